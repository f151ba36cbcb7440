//! `towpath import` against a running `towpath up`.

use serde_json::{Value, json};
use std::process::Output;
use tests::{
    folder::{Folder, Ran},
    pipelines::{build, commands, foreign, pipeline, source, stage},
    server::{ACCESS_KEY, SECRET_KEY, Server},
};

/// Calls `towpath import` with the server's key pair in the environment.
fn import(folder: &Folder, server: &Server, arguments: &[&str]) -> Ran {
    let url = server.url();
    let all = [&["import"], arguments, &["--endpoint-url", &url]].concat();
    let mut command = folder.command(&all);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.env("AWS_REGION", "us-east-1").env("HOME", folder.path());
    ran(&command.output().unwrap())
}

fn ran(done: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: done.status.code(), out: text(&done.stdout), err: text(&done.stderr) }
}

#[test]
fn a_live_pipeline_comes_back_as_it_was_sent_and_runs() {
    let live = Folder::new();
    let server = Server::start(&live);
    let definition = pipeline(
        "shop",
        vec![
            source(),
            stage("Build", vec![build("Compile")]),
            stage("Say", vec![commands("Say", &["true"])]),
        ],
    );
    server.client.call("CreatePipeline", &definition);
    let shown = server.client.call("GetPipeline", &json!({ "name": "shop" }));
    let folder = Folder::repository(
        &json!({}),
        &[(
            "buildspec.yml",
            "version: 0.2\nphases: {build: {commands: [echo > o]}}\nartifacts: {files: [o]}\n",
        )],
    );
    import(&folder, &server, &["shop", "--out", "shop.json"]).exits(0).says(&[
        "`shop.json`: shop in version 1",
        "[sources] \"shop\" = \"<folder or URL>\"    else the git repository that holds the file",
        "[codebuild.\"Compile\"]    its buildspec and variables; else `buildspec.yml` of the source",
    ]);
    let file: Value = serde_json::from_str(&folder.read("shop.json")).unwrap();
    assert_eq!(file["pipeline"], shown["pipeline"]);
    // It goes back as it came, and it runs.
    let again = server.client.call("UpdatePipeline", &json!({ "pipeline": file["pipeline"] }));
    let mut renumbered = shown["pipeline"].clone();
    renumbered["version"] = json!(2);
    assert_eq!(again["pipeline"], renumbered);
    folder.towpath(&["run", "shop.json"]).exits(0).says(&["shop succeeded"]);
    import(&folder, &server, &["shop", "--out", "shop.json"])
        .exits(2)
        .complains(&["there already", "`--force`"]);
    import(&folder, &server, &["shop", "--out", "shop.json", "--force", "--version", "2"]).exits(0);
    let printed = import(&folder, &server, &["shop", "--out", "-"]).exits(0);
    assert_eq!(serde_json::from_str::<Value>(&printed.out).unwrap()["pipeline"]["version"], 2);
}

#[test]
fn what_this_machine_cannot_do_is_told_with_the_line_to_write() {
    let live = Folder::new();
    let server = Server::start(&live);
    let notify = json!({
        "name": "Notify",
        "actionTypeId": { "category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1" },
        "configuration": { "FunctionName": "notify" },
    });
    server.client.call(
        "CreatePipeline",
        &pipeline("shop", vec![source(), stage("Live", vec![foreign("Ship"), notify])]),
    );
    let folder = Folder::new();
    import(&folder, &server, &["shop"]).exits(0).says(&[
        "[mock] \"Deploy/ECS\" = \"succeed\"    needed: this machine cannot do it",
        "[lambda.\"notify\"] command = [\"<program>\"]    needed",
    ]);
    assert!(folder.at("pipeline.json").is_file());
}

#[test]
fn what_goes_wrong_is_said_plainly_and_no_secret_with_it() {
    let live = Folder::new();
    let server = Server::start(&live);
    let folder = Folder::new();
    import(&folder, &server, &["none"]).exits(2).complains(&["PipelineNotFoundException", "'none'"]);
    import(&folder, &server, &["none", "--region", "eu-west-1"])
        .exits(2)
        .complains(&["InvalidSignatureException"]);
    import(&folder, &server, &["none", "--profile", "ci"]).exits(2).complains(&["no profile `ci`"]);
    folder.write(
        ".aws/credentials",
        &format!("[ci]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = wrong-secret\n"),
    );
    let ran = import(&folder, &server, &["none", "--profile", "ci"])
        .exits(2)
        .complains(&["InvalidSignatureException"]);
    assert!(!ran.err.contains("wrong-secret") && !ran.err.contains(SECRET_KEY), "{}", ran.err);
    folder.write(
        ".aws/credentials",
        &format!("[ci]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"),
    );
    import(&folder, &server, &["none", "--profile", "ci"]).exits(2).complains(&["PipelineNotFoundException"]);
    let bare = |url: &str| {
        let mut bare = folder.command(&["import", "x", "--endpoint-url", url]);
        ran_of(bare.env("HOME", live.path()).env("AWS_REGION", "us-east-1"))
    };
    bare(&server.url()).exits(2).complains(&["no credentials", "AWS_ACCESS_KEY_ID"]);
    bare("http://example.com").exits(2).complains(&["must begin with `https://`"]);
    assert!(!folder.at("pipeline.json").exists());
}

fn ran_of(command: &mut std::process::Command) -> Ran {
    ran(&command.output().unwrap())
}
