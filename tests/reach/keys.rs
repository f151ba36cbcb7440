//! Keys that are not written down: from a program, by a role.

use crate::running::ran;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};
use tests::{
    folder::Folder,
    function_url::{AWS_KEY, AWS_SECRET, AWS_TOKEN, FunctionUrl},
    server::Server,
};

/// Calls `towpath pipelines` with a profile.
fn listed(
    folder: &Folder,
    function: &FunctionUrl,
    profile: &str,
    more: &[(&str, &str)],
) -> tests::folder::Ran {
    let url = function.url();
    let mut command =
        folder.command(&["--profile", profile, "pipelines", "--url", &url, "--sign-for", "lambda"]);
    command.env("HOME", folder.path()).env("AWS_REGION", "us-east-1");
    command.envs(more.iter().copied());
    ran(&mut command)
}

#[test]
fn a_program_gives_keys() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let printed = format!(
        r#"{{"Version":1,"AccessKeyId":"{AWS_KEY}","SecretAccessKey":"{AWS_SECRET}","SessionToken":"{AWS_TOKEN}","Expiration":"2999-01-01T00:00:00Z"}}"#
    );
    folder.write("keys.json", &printed);
    let towpath = tests::towpath::binary().display();
    folder.write(
        ".aws/config",
        &format!(
            "[profile tool]\ncredential_process = cat \"{}\"\n[profile through]\ncredential_process = {towpath} \
             credentials --profile tool\n[profile loop]\ncredential_process = {towpath} credentials --profile loop\n\
             [profile broken]\ncredential_process = exit 3\n",
            folder.at("keys.json").display()
        ),
    );
    listed(&folder, &function, "tool", &[]).exits(0).says(&["there are no pipelines"]);
    let looped = listed(&folder, &function, "loop", &[]).exits(2).complains(&["leads back to `loop`"]);
    assert!(!looped.err.contains(AWS_SECRET));
    listed(&folder, &function, "broken", &[])
        .exits(2)
        .complains(&["`broken` gave no keys", "exit status: 3"]);
    // The keys of one profile, by way of another.
    listed(&folder, &function, "through", &[]).exits(0).says(&["there are no pipelines"]);
}

#[test]
fn a_role_is_taken_with_the_keys_of_another_profile() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    folder.write(
        ".aws/credentials",
        "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base-secret\n",
    );
    folder.write(
        ".aws/config",
        "[profile deploy]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\nexternal_id = why\n",
    );
    let sts = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", sts.local_addr().unwrap());
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut caller, _) = sts.accept().unwrap();
        let mut reader = BufReader::new(caller.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        send.send((head, String::from_utf8(body).unwrap())).unwrap();
        let xml = format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{AWS_KEY}</AccessKeyId><SecretAccessKey>\
             {AWS_SECRET}</SecretAccessKey><SessionToken>{AWS_TOKEN}</SessionToken><Expiration>2999-01-01T00:00:00Z\
             </Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        );
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{xml}", xml.len());
        caller.write_all(answer.as_bytes()).unwrap();
    });
    listed(&folder, &function, "deploy", &[("AWS_ENDPOINT_URL_STS", &url)])
        .exits(0)
        .says(&["there are no pipelines"]);
    let (head, body) = receive.recv().unwrap();
    assert!(head.contains("AKIABASE/") && head.contains("/us-east-1/sts/aws4_request"), "{head}");
    assert!(body.contains("Action=AssumeRole") && body.contains("ExternalId=why"), "{body}");
}

#[test]
fn what_is_left_to_the_aws_command_is_said_when_there_is_none() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    folder.write(".aws/config", "[profile sso]\nsso_session = work\n");
    let bin = folder.at("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = bin.to_str().unwrap();
    listed(&folder, &function, "sso", &[("PATH", path)])
        .exits(2)
        .complains(&["`sso_session`", "aws configure export-credentials --profile sso --format env"]);
    let printed = format!(
        "#!/bin/sh\ntest \"$*\" = \"configure export-credentials --profile sso --format process\" || exit 9\necho '{}'\n",
        format_args!(
            r#"{{"Version":1,"AccessKeyId":"{AWS_KEY}","SecretAccessKey":"{AWS_SECRET}","SessionToken":"{AWS_TOKEN}"}}"#
        )
    );
    folder.script("bin/aws", &printed);
    listed(&folder, &function, "sso", &[("PATH", path)]).exits(0).says(&["there are no pipelines"]);
}
