//! A push to a watched repository starts its pipeline with the pushed commit, also one made while nobody watched.

use crate::steps::{create, executions, reaches};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, pipeline, source_action, stage},
    processes::eventually,
    server::Server,
};

fn watched() -> Value {
    let first = stage("Source", vec![source_action("main", true)]);
    pipeline("shop", vec![first, stage("Build", vec![commands("Say", &["true"])])])
}

/// Waits for this many executions; returns the newest.
#[track_caller]
fn started(client: &Client, count: usize) -> Value {
    let mut listed = Vec::new();
    let there = eventually(Duration::from_secs(20), || {
        listed = executions(client, "shop");
        listed.len() >= count
    });
    assert!(there && listed.len() == count, "{listed:#?}");
    listed[0].clone()
}

#[track_caller]
fn is_of(client: &Client, run: &Value, commit: &str, kind: &str) {
    let id = run["pipelineExecutionId"].as_str().unwrap();
    reaches(client, "shop", id, "Succeeded");
    assert_eq!(run["trigger"]["triggerType"], kind);
    assert!(run["trigger"]["triggerDetail"].as_str().unwrap().contains(commit), "{run:#}");
    let told = crate::steps::execution(client, "shop", id);
    assert_eq!(told["artifactRevisions"][0]["revisionId"], commit);
}

#[test]
fn a_push_starts_the_pipeline_with_the_pushed_commit() {
    let folder = Folder::repository(&watched(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &watched(), "Succeeded");
    // What lay there before it was watched starts nothing more; a commit on another branch neither.
    watched_now(&folder);
    folder.git(&["checkout", "--quiet", "-b", "side"]);
    folder.commit("On the side");
    folder.git(&["checkout", "--quiet", "main"]);
    let commit = folder.commit("Second commit");
    let run = started(client, 2);
    is_of(client, &run, &commit, "PollForSourceChanges");

    assert!(server.stop().success());
    let missed = folder.commit("While nobody watched");
    let server = Server::start(&folder);
    let run = started(&server.client, 3);
    is_of(&server.client, &run, &missed, "PollForSourceChanges");
    assert!(server.stop().success());
    let server = Server::start(&folder);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(executions(&server.client, "shop").len(), 3, "a restart alone starts nothing");
}

#[test]
fn a_connection_starts_by_webhook_unless_detection_is_off() {
    let connection = |branch: &str, detect: bool| {
        json!({
            "name": "Checkout",
            "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection",
                "version": "1" },
            "configuration": {
                "ConnectionArn": "arn:aws:codestar-connections:us-east-1:123456789012:connection/0d9b6c1e-7a52-4f3b-8c4d-5e6f70812a3b",
                "FullRepositoryId": "acme/shop", "BranchName": branch, "DetectChanges": detect.to_string(),
            },
            "outputArtifacts": [{ "name": "Code" }],
        })
    };
    let build = stage("Build", vec![commands("Say", &["true"])]);
    let on = pipeline("shop", vec![stage("Source", vec![connection("main", true)]), build.clone()]);
    let off = pipeline("quiet", vec![stage("Source", vec![connection("main", false)]), build]);
    let folder = Folder::repository(&on, &[]);
    let server = Server::start(&folder);
    create(&server.client, &on, "Succeeded");
    create(&server.client, &off, "Succeeded");
    watched_now(&folder);
    let commit = folder.commit("Second commit");
    let run = started(&server.client, 2);
    is_of(&server.client, &run, &commit, "WebhookV2");
    assert_eq!(executions(&server.client, "quiet").len(), 1);
}

/// Waits until the server has noted the head it watches from.
fn watched_now(folder: &Folder) {
    let head = folder.git(&["rev-parse", "main"]);
    assert!(eventually(Duration::from_secs(10), || folder.read(".towpath/watched.json").contains(&head)));
}
