//! The SDKs of three languages against `towpath up`, each through the whole life of a pipeline, every answer checked
//! on the way. The scenarios lie in `tests/clients`; `cargo xtask test` installs and builds what they need.

use serde_json::json;
use std::{env, ffi::OsString, path::PathBuf, process::Command};
use tests::{
    folder::Folder,
    pipelines::{approval, commands, pipeline, source, stage},
    proxy::Proxy,
    server::{ACCESS_KEY, SECRET_KEY, Server},
    towpath,
};

/// What the environment says, or what to do about it.
fn installed(variable: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} is not set: run `cargo xtask test`, which installs the clients")
    })
}

fn scenario(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/clients")).join(name)
}

/// Runs a scenario; the client finds in its environment:
///
/// - `CLIENT_ENDPOINT`: where the API is
/// - `CLIENT_DEFINITION`: a file with the input of CreatePipeline: stages Source (Checkout), Gate (approval Sign) and
///   Live (Ship, fails until the mark is there), variable COLOUR, two tags
/// - `CLIENT_MARK`: a file to make, so that Ship succeeds
/// - a key pair, as every SDK reads it
#[track_caller]
fn plays(mut client: Command) {
    let marks = Folder::new();
    let ship = commands("Ship", &[&format!("test -e {}", marks.at("go").display())]);
    let mut definition =
        pipeline("shop", vec![source(), stage("Gate", vec![approval("Sign")]), stage("Live", vec![ship])]);
    definition["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
    definition["tags"] = json!([{ "key": "team", "value": "shop" }, { "key": "cost", "value": "" }]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let proxy = Proxy::before(&server);
    towpath::plain(&mut client);
    client.env("CLIENT_ENDPOINT", proxy.url()).env("CLIENT_DEFINITION", folder.at("pipeline.json"));
    client.env("CLIENT_MARK", marks.at("go"));
    client.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    client.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let done = client.output().unwrap_or_else(|error| panic!("{client:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(done.status.success(), "{}\n{}", said(&done.stdout), said(&done.stderr));
    assert_eq!(said(&done.stdout), "done", "{}", said(&done.stderr));
    // Nothing went past the proxy.
    for (operation, outcome, least) in [
        ("CreatePipeline", "200", 1),
        ("CreatePipeline", "PipelineNameInUseException", 1),
        ("StartPipelineExecution", "200", 2),
        ("PutApprovalResult", "ApprovalAlreadyCompletedException", 1),
        ("RetryStageExecution", "200", 1),
        ("ListActionExecutions", "200", 3),
        ("DisableStageTransition", "200", 1),
        ("UpdatePipeline", "200", 1),
        ("DeletePipeline", "200", 2),
        ("GetPipeline", "PipelineNotFoundException", 1),
    ] {
        assert!(proxy.count(operation, outcome) >= least, "{operation} {outcome}");
    }
    assert!(proxy.checked() > 30, "{} answers", proxy.checked());
}

#[test]
fn boto3_leads_a_pipeline_through_its_life() {
    let mut python = Command::new(installed("TOWPATH_TEST_PYTHON"));
    python.arg(scenario("python/scenario.py"));
    plays(python);
}

#[test]
fn the_javascript_sdk_leads_a_pipeline_through_its_life() {
    let mut node = Command::new("node");
    node.env("NODE_PATH", installed("TOWPATH_TEST_NODE_MODULES"));
    node.arg(scenario("javascript/scenario.cjs"));
    plays(node);
}

#[test]
fn the_rust_sdk_leads_a_pipeline_through_its_life() {
    plays(Command::new(installed("TOWPATH_TEST_RUST_CLIENT")));
}
