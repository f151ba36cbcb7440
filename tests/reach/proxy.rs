//! `towpath proxy`: real clients through it, and everything that it must not let through.

use crate::running::{Running, ran, with_keys};
use serde_json::json;
use std::process::Command;
use tests::{
    client::Client,
    folder::Folder,
    function_url::{AWS_KEY, AWS_SECRET, AWS_TOKEN, FunctionUrl, Mishap},
    scenario::{self, Scenario},
    server::Server,
    towpath,
};

#[track_caller]
fn plays(client: Command) {
    let scenario = Scenario::new();
    let function = FunctionUrl::before(&scenario.server);
    let proxy = Running::before(&function, &[]);
    scenario.play(client, &proxy.url(), (AWS_KEY, AWS_SECRET));
    assert!(function.seen().len() > 30, "{} calls", function.seen().len());
    assert_eq!(function.refused(), 0);
}

#[test]
fn boto3_leads_a_pipeline_through_its_life_behind_a_function_url() {
    plays(scenario::python());
}

#[test]
fn the_javascript_sdk_leads_a_pipeline_through_its_life_behind_a_function_url() {
    plays(scenario::javascript());
}

#[test]
fn the_rust_sdk_leads_a_pipeline_through_its_life_behind_a_function_url() {
    plays(scenario::rust());
}

#[test]
fn the_aws_command_gets_answers_and_exceptions_through_the_proxy() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let proxy = Running::before(&function, &[]);
    let call = |arguments: &[&str]| {
        let mut aws = Command::new(scenario::aws());
        towpath::plain(&mut aws);
        with_keys(&mut aws);
        aws.args(["--endpoint-url", &proxy.url(), "--output", "json", "codepipeline"]).args(arguments);
        ran(&mut aws)
    };
    let listed = call(&["list-pipelines"]).exits(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&listed.out).unwrap(), json!({ "pipelines": [] }));
    let missing = call(&["get-pipeline", "--name", "none"]);
    assert!(missing.err.contains("(PipelineNotFoundException)"), "{}", missing.err);
}

#[test]
fn nothing_but_the_call_itself_goes_on_and_comes_back() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let proxy = Running::before(&function, &[]);
    let mut request = proxy.client().signed("ListPipelines", b"{}");
    for (name, value) in [("cookie", "a=b"), ("x-forwarded-for", "1.2.3.4"), ("user-agent", "test/1")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = proxy.client().send(&request).unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({ "pipelines": [] })));
    assert!(answer.header("x-amzn-requestid").is_some());
    let seen = function.seen().remove(0);
    let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert!(header("authorization").unwrap().contains(&format!("{AWS_KEY}/")));
    assert!(header("authorization").unwrap().contains("/us-east-1/lambda/aws4_request"));
    assert_ne!(header("authorization").unwrap().as_bytes(), request.headers()["authorization"].as_bytes());
    assert_eq!(header("x-amz-security-token").as_deref(), Some(AWS_TOKEN));
    assert_eq!(header("user-agent").as_deref(), Some("test/1"));
    assert_eq!((header("cookie"), header("x-forwarded-for")), (None, None));
    assert_eq!(seen.body, b"{}");
    // A refusal by the stand-in carries a cookie as well; neither it nor Lambda's words come back.
    function.next(Mishap::Says(403, r#"{"Message":"Forbidden. For troubleshooting see the manual"}"#));
    let answer = proxy.client().post("ListPipelines", b"{}").unwrap();
    assert_eq!(answer.header("set-cookie"), None);
    let refusal = answer.refusal();
    assert_eq!((refusal.status, refusal.code.as_str()), (400, "AccessDeniedException"));
    assert!(refusal.message.contains("`lambda:InvokeFunctionUrl`"), "{}", refusal.message);
}

#[test]
fn who_cannot_sign_with_its_keys_is_refused_in_the_words_of_the_api() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let proxy = Running::before(&function, &[]);
    let refused = |request: &http::Request<Vec<u8>>| {
        let answer = proxy.client().send(request).unwrap();
        assert_eq!(answer.header("x-amzn-errortype").unwrap(), answer.refusal().code);
        answer.refusal()
    };
    let client = proxy.client();
    let good = || client.signed("ListPipelines", b"{}");
    let mut unsigned = good();
    unsigned.headers_mut().remove("authorization");
    assert_eq!(refused(&unsigned).code, "MissingAuthenticationTokenException");
    let other = Client::new(proxy.address).with_key("AKIAOTHER", "x").signed("ListPipelines", b"{}");
    let said = refused(&other);
    assert_eq!((said.status, said.code.as_str()), (403, "UnrecognizedClientException"));
    assert!(said.message.contains("`--own-keys`"), "{}", said.message);
    let wrong = Client::new(proxy.address).with_key(AWS_KEY, "wrong").signed("ListPipelines", b"{}");
    assert_eq!(refused(&wrong).code, "InvalidSignatureException");
    let mut swapped = good();
    swapped.headers_mut().insert("x-amz-target", "CodePipeline_20150709.DeletePipeline".parse().unwrap());
    assert_eq!(refused(&swapped).code, "InvalidSignatureException");
    let mut changed = good();
    *changed.body_mut() = br#"{"name":"shop"}"#.to_vec();
    assert_eq!(refused(&changed).code, "InvalidSignatureException");
    let other_service = client.signed_for("events", "/", "AWSEvents.PutEvents", b"{}");
    assert_eq!(refused(&other_service).code, "InvalidSignatureException");

    // A page on the web that has a name for this machine, whatever it signed.
    for host in ["evil.example", "evil.example:4501", "127.0.0.1", "127.0.0.1:1"] {
        let mut request = good();
        request.headers_mut().insert("host", host.parse().unwrap());
        client.sign(&mut request);
        let said = refused(&request);
        assert_eq!(said.code, "AccessDeniedException", "{host}");
        assert!(said.message.contains("`host`"), "{}", said.message);
    }
    let get = client.get("/").unwrap();
    assert_eq!(get.refusal().code, "UnknownOperationException");
    let large = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        proxy.address,
        11 << 20
    );
    assert_eq!(client.raw(large.as_bytes()).unwrap().refusal().code, "RequestTooLarge");
    assert_eq!((function.seen().len(), function.refused()), (0, 0));
    assert_eq!(client.call("ListPipelines", &json!({})), json!({ "pipelines": [] }));
    // One that was taught to sign for Lambda is let in as well.
    let taught = client.signed_for("lambda", "/", "CodePipeline_20150709.ListPipelines", b"{}");
    assert_eq!(client.send(&taught).unwrap().status, 200);
}

#[test]
fn what_lambda_says_itself_is_told_in_words_that_clients_know() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let proxy = Running::before(&function, &[]);
    for (status, said, code) in [
        (403, r#"{"Message":null}"#, "AccessDeniedException"),
        (429, r#"{"Message":"Rate Exceeded."}"#, "ThrottlingException"),
        (413, r#"{"Message":null}"#, "RequestTooLarge"),
        (502, "Internal Server Error", "ServiceUnavailable"),
        (404, "<html>", "InternalFailure"),
    ] {
        function.next(Mishap::Says(status, said));
        let refusal = proxy.client().post("ListPipelines", b"{}").unwrap().refusal();
        assert_eq!(refusal.code, code, "{status}");
        assert!(refusal.message.contains(&function.url()) || status == 413, "{}", refusal.message);
    }
    // The API's own words go through as they are.
    proxy.client().refused("GetPipeline", &json!({ "name": "none" }), "PipelineNotFoundException");
    function.next(Mishap::Endless(32 << 20));
    let answer = proxy.client().post("ListPipelines", b"{}").unwrap();
    assert!(answer.body.len() < 13 << 20, "{} bytes", answer.body.len());
    function.next(Mishap::BreaksOff);
    let answer = proxy.client().post("ListPipelines", b"{}").unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
    assert_eq!(proxy.client().call("ListPipelines", &json!({})), json!({ "pipelines": [] }));
}

#[test]
fn with_keys_of_its_own_the_proxy_takes_no_others() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let proxy = Running::before(&function, &["--own-keys"]);
    let told = |name: &str| {
        let prefix = format!("export {name}=");
        proxy.lines.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
    };
    let own = Client::new(proxy.address).with_key(&told("AWS_ACCESS_KEY_ID"), &told("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(own.call("ListPipelines", &json!({})), json!({ "pipelines": [] }));
    let refusal = proxy.client().post("ListPipelines", b"{}").unwrap().refusal();
    assert_eq!(refusal.code, "UnrecognizedClientException");
    assert_eq!(function.seen().len(), 1);
}

#[test]
fn keys_that_were_written_anew_are_found_without_a_restart() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let keys = |key: &str| {
        format!(
            "[ci]\naws_access_key_id={key}\naws_secret_access_key={AWS_SECRET}\naws_session_token={AWS_TOKEN}\n"
        )
    };
    let file = folder.write("credentials", &keys("AKIAYESTERDAY"));
    let mut command = folder.command(&["proxy", "--port", "0", "--sign-for", "lambda", "--profile", "ci"]);
    command.args(["--region", "us-east-1", "--url", &function.url()]);
    command.env("AWS_SHARED_CREDENTIALS_FILE", &file).env("AWS_CONFIG_FILE", "/dev/null");
    let proxy = Running::launch(command);
    folder.write("credentials", &keys(AWS_KEY));
    assert_eq!(proxy.client().call("ListPipelines", &json!({})), json!({ "pipelines": [] }));
}

#[test]
fn what_cannot_work_is_said_before_anybody_calls() {
    let folder = Folder::new();
    folder.towpath(&["proxy"]).exits(2).complains(&["no Towpath is named", "`--url`"]);
    let mut command = folder.command(&["proxy", "--url", "http://127.0.0.1:1", "--region", "us-east-1"]);
    command.env("HOME", folder.path());
    ran(&mut command).exits(2).complains(&["no credentials"]);
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = folder.command(&["proxy", "--url", "http://127.0.0.1:1", "--port", &port]);
    with_keys(&mut command);
    ran(&mut command).exits(2).complains(&["cannot be listened on", "`--port`"]);
}
