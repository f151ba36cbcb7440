//! Stages that go back to an earlier execution, by hand or of their own accord, and stages that are tried again.

use crate::steps::{
    action_reaches, create, execution, executions, needs, reaches, stage as stage_state, start,
};
use engine::views::{Cursor, ViewRow, Views};
use events::Version;
use serde_json::{Value, json};
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, pipeline, source, source_action, stage},
    processes::eventually,
    server::Server,
};

const CALLER: &str = "arn:aws:iam::123456789012:user/AKIATESTTOWPATH";

/// Source, Live, After. Live writes down which word it was given by which commit; it fails while there is a file
/// `broken`.
fn words(marks: &Folder) -> Value {
    let (log, broken, after) = (marks.at("live"), marks.at("broken"), marks.at("after"));
    let mut checkout = source_action("main", false);
    checkout["namespace"] = json!("Src");
    let ship = commands(
        "Ship",
        &[
            &format!("test ! -e {}", broken.display()),
            &format!("echo \"$(cat word) #{{Src.CommitId}} #{{variables.SIZE}}\" >> {}", log.display()),
        ],
    );
    let last = commands("Last", &[&format!("echo x >> {}", after.display())]);
    let stages = vec![stage("Source", vec![checkout]), stage("Live", vec![ship]), stage("After", vec![last])];
    let mut definition = pipeline("shop", stages);
    definition["pipeline"]["variables"] = json!([{ "name": "SIZE", "defaultValue": "small" }]);
    definition
}

/// The first two executions, of the words `one` and `two`.
fn two_words(client: &Client, folder: &Folder, definition: &Value) -> [(String, String); 2] {
    let first = create(client, definition, "Succeeded");
    let before = folder.git(&["rev-parse", "HEAD"]);
    folder.write("word", "two");
    let commit = folder.commit("Second word");
    let variables = json!([{ "name": "SIZE", "value": "large" }]);
    let started = client.call("StartPipelineExecution", &json!({ "name": "shop", "variables": variables }));
    let second = started["pipelineExecutionId"].as_str().unwrap().to_owned();
    reaches(client, "shop", &second, "Succeeded");
    [(first, before), (second, commit)]
}

fn back_to(target: &str) -> Value {
    json!({ "pipelineName": "shop", "stageName": "Live", "targetPipelineExecutionId": target })
}

fn succeeded_in(client: &Client, stage: &str) -> Vec<Value> {
    let filter = json!({ "succeededInStage": { "stageName": stage } });
    let listed = client.call("ListPipelineExecutions", &json!({ "pipelineName": "shop", "filter": filter }));
    let listed = listed["pipelineExecutionSummaries"].as_array().unwrap().clone();
    listed.into_iter().map(|one| one["pipelineExecutionId"].clone()).collect()
}

#[test]
fn a_stage_goes_back_to_what_an_earlier_execution_had() {
    let marks = Folder::new();
    let definition = words(&marks);
    let folder = Folder::repository(&definition, &[("word", "one")]);
    let server = Server::start(&folder);
    let client = &server.client;
    let [(first, before), (second, commit)] = two_words(client, &folder, &definition);
    let lines = format!("one {before} small\ntwo {commit} large\n");
    assert_eq!(marks.read("live"), lines);

    let answer = client.call("RollbackStage", &back_to(&first));
    let back = answer["pipelineExecutionId"].as_str().unwrap();
    reaches(client, "shop", back, "Succeeded");
    assert_eq!(marks.read("live"), format!("{lines}one {before} small\n"));
    assert_eq!(marks.read("after"), "x\nx\n", "the stages after it do not run");

    let told = execution(client, "shop", back);
    assert_eq!(told["executionType"], "ROLLBACK");
    assert_eq!(told["rollbackMetadata"], json!({ "rollbackTargetPipelineExecutionId": first }));
    assert_eq!(told["trigger"], json!({ "triggerType": "ManualRollback", "triggerDetail": CALLER }));
    assert_eq!(told["variables"], json!([{ "name": "SIZE", "resolvedValue": "small" }]));
    assert_eq!(told["artifactRevisions"][0]["revisionId"], before);
    let listed = executions(client, "shop");
    assert_eq!(listed[0]["pipelineExecutionId"], back);
    for key in ["executionType", "rollbackMetadata", "trigger"] {
        assert_eq!(listed[0][key], told[key], "{key}");
    }
    assert_eq!(listed[0]["sourceRevisions"][0]["revisionId"], before);
    assert_eq!(listed[1]["executionType"], "STANDARD");
    assert_eq!(listed[1].get("rollbackMetadata"), None);
    let live = stage_state(client, "shop", "Live")["latestExecution"].clone();
    assert_eq!(live, json!({ "pipelineExecutionId": back, "status": "Succeeded", "type": "ROLLBACK" }));
    let after = stage_state(client, "shop", "After")["latestExecution"].clone();
    assert_eq!(after, json!({ "pipelineExecutionId": second, "status": "Succeeded", "type": "STANDARD" }));
    let only = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": back } });
    let attempts = client.call("ListActionExecutions", &only)["actionExecutionDetails"].clone();
    assert_eq!(attempts.as_array().unwrap().len(), 1);
    assert_eq!(attempts[0]["actionName"], "Ship");

    assert_eq!(
        succeeded_in(client, "Live"),
        [second.as_str(), first.as_str()],
        "only what may be gone back to"
    );
    assert_eq!(succeeded_in(client, "Nowhere"), Vec::<Value>::new());
}

#[test]
fn what_a_stage_cannot_go_back_to_is_refused_each_for_its_own_reason() {
    let marks = Folder::new();
    let mut definition = words(&marks);
    let folder = Folder::repository(&definition, &[("word", "one")]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Succeeded");
    let refused = |input: &Value, code: &str| client.refused("RollbackStage", input, code).message;
    let with = |key: &str, value: &str| {
        let mut input = back_to(&first);
        input[key] = json!(value);
        input
    };
    refused(&with("pipelineName", "ship"), "PipelineNotFoundException");
    refused(&with("stageName", "Nowhere"), "StageNotFoundException");
    let unknown = "00000000-0000-4000-8000-000000000000";
    let told = refused(&back_to(unknown), "PipelineExecutionNotFoundException");
    assert_eq!(told, format!("Pipeline 'shop' does not have an execution with id '{unknown}'"));
    let unable = "UnableToRollbackStageException";
    assert!(refused(&with("stageName", "Source"), unable).ends_with("it is the source stage"));
    let back = client.call("RollbackStage", &back_to(&first))["pipelineExecutionId"].clone();
    let back = back.as_str().unwrap();
    reaches(client, "shop", back, "Succeeded");
    assert!(refused(&back_to(back), unable).ends_with("that execution is a rollback itself"));
    marks.write("broken", "");
    let failed = start(client, "shop");
    reaches(client, "shop", &failed, "Failed");
    assert!(refused(&back_to(&failed), unable).ends_with("did not succeed in the stage"));
    definition["pipeline"]["variables"] = json!([{ "name": "SIZE", "defaultValue": "medium" }]);
    client.call("UpdatePipeline", &definition);
    assert!(refused(&back_to(&first), unable).contains("was changed since"));
    assert_eq!(succeeded_in(client, "Live"), Vec::<Value>::new(), "nothing ran in the new version yet");
}

#[test]
fn a_running_stage_is_not_rolled_back() {
    let marks = Folder::new();
    let wait = format!("while [ -e {} ]; do sleep 0.02; done", marks.at("hold").display());
    let live = stage("Live", vec![commands("Ship", &[&wait])]);
    let definition = pipeline("shop", vec![source(), live]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Succeeded");
    marks.write("hold", "");
    let second = start(client, "shop");
    let runs = || stage_state(client, "shop", "Live")["latestExecution"].clone();
    let runs_second =
        || runs() == json!({ "pipelineExecutionId": second, "status": "InProgress", "type": "STANDARD" });
    assert!(eventually(std::time::Duration::from_secs(30), runs_second), "{:#}", runs());
    let told = client.refused("RollbackStage", &back_to(&first), "UnableToRollbackStageException");
    assert!(told.message.ends_with("the stage is running"), "{told:?}");
    std::fs::remove_file(marks.at("hold")).unwrap();
    reaches(client, "shop", &second, "Succeeded");
}

#[test]
fn a_stage_that_fails_goes_back_by_itself_and_says_for_whom() {
    let marks = Folder::new();
    let mut definition = words(&marks);
    definition["pipeline"]["stages"][1]["onFailure"] = json!({ "result": "ROLLBACK" });
    let folder = Folder::repository(&definition, &[("word", "one")]);
    let server = Server::start(&folder);
    let client = &server.client;
    marks.write("broken", "");
    let first = create(client, &definition, "Failed");
    assert_eq!(executions(client, "shop").len(), 1, "there was nothing to go back to");
    std::fs::remove_file(marks.at("broken")).unwrap();
    let good = start(client, "shop");
    reaches(client, "shop", &good, "Succeeded");
    // It fails once: what it goes back to works.
    folder.write("word", "two");
    folder.commit("Second word");
    let once = format!("rm {} && false; exit 1", marks.at("broken").display());
    let lines = &mut definition["pipeline"]["stages"][1]["actions"][0]["commands"];
    lines[0] = json!(format!("if [ -e {} ]; then {once}; fi", marks.at("broken").display()));
    client.call("UpdatePipeline", &definition);
    let good = start(client, "shop");
    reaches(client, "shop", &good, "Succeeded");
    marks.write("broken", "");
    let bad = start(client, "shop");
    reaches(client, "shop", &bad, "Failed");
    let mut newest = Value::Null;
    let done = eventually(std::time::Duration::from_secs(30), || {
        newest = executions(client, "shop")[0].clone();
        newest["status"] == "Succeeded"
    });
    assert!(done, "{newest:#}");
    assert_eq!(newest["executionType"], "ROLLBACK");
    assert_eq!(newest["trigger"], json!({ "triggerType": "AutomatedRollback", "triggerDetail": bad }));
    assert_eq!(newest["rollbackMetadata"], json!({ "rollbackTargetPipelineExecutionId": good }));
    let live = stage_state(client, "shop", "Live")["latestExecution"].clone();
    let expected = json!({ "pipelineExecutionId": newest["pipelineExecutionId"], "status": "Succeeded", "type": "ROLLBACK" });
    assert_eq!(live, expected);
    let retry = json!({ "pipelineName": "shop", "stageName": "Live", "pipelineExecutionId": bad, "retryMode": "FAILED_ACTIONS" });
    client.refused("RetryStageExecution", &retry, "NotLatestPipelineExecutionException");
    assert_eq!(execution(client, "shop", &first)["executionType"], "STANDARD");
}

#[test]
fn a_stage_is_tried_once_more_by_itself_and_counts_that_apart() {
    let marks = Folder::new();
    let (flag, count) = (marks.at("go"), marks.at("count"));
    let flaky = commands("Flaky", &[&format!("echo x >> {}", count.display()), &needs(&flag)]);
    let mut definition = pipeline("shop", vec![source(), stage("Build", vec![flaky])]);
    definition["pipeline"]["stages"][1]["onFailure"] =
        json!({ "result": "RETRY", "retryConfiguration": { "retryMode": "ALL_ACTIONS" } });
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Failed");
    assert_eq!(marks.read("count"), "x\nx\n");
    action_reaches(client, "shop", ("Build", "Flaky"), "Failed");
    let metadata = || stage_state(client, "shop", "Build")["retryStageMetadata"].clone();
    assert_eq!(
        metadata(),
        json!({ "autoStageRetryAttempt": 1, "latestRetryTrigger": "AutomatedStageRetry" })
    );
    let retry = json!({ "pipelineName": "shop", "stageName": "Build", "pipelineExecutionId": first, "retryMode": "FAILED_ACTIONS" });
    client.call("RetryStageExecution", &retry);
    reaches(client, "shop", &first, "Failed");
    assert_eq!(marks.read("count"), "x\nx\nx\n", "a retry by hand does not arm it again");
    let by_hand = json!({
        "autoStageRetryAttempt": 1, "manualStageRetryAttempt": 1, "latestRetryTrigger": "ManualStageRetry",
    });
    assert_eq!(metadata(), by_hand);
    marks.write("go", "");
    client.call("RetryStageExecution", &retry);
    reaches(client, "shop", &first, "Succeeded");
}

#[test]
fn who_succeeded_in_a_stage_is_listed_in_pages_without_those_who_did_not() {
    let marks = Folder::new();
    let definition = words(&marks);
    let folder = Folder::repository(&definition, &[("word", "one")]);
    let server = Server::start(&folder);
    let client = &server.client;
    let mut good = vec![create(client, &definition, "Succeeded")];
    for round in 0..6 {
        let breaks = round % 2 == 0;
        if breaks {
            marks.write("broken", "");
        } else {
            std::fs::remove_file(marks.at("broken")).unwrap();
        }
        let run = start(client, "shop");
        reaches(client, "shop", &run, if breaks { "Failed" } else { "Succeeded" });
        if !breaks {
            good.push(run);
        }
    }
    good.reverse();
    for size in [1, 2, 3, 4, 5] {
        let filter = json!({ "succeededInStage": { "stageName": "Live" } });
        let mut input = json!({ "pipelineName": "shop", "maxResults": size, "filter": filter });
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = client.call("ListPipelineExecutions", &input);
            let rows = page["pipelineExecutionSummaries"].as_array().unwrap();
            assert!(!rows.is_empty() && rows.len() <= size, "pages of {size}");
            found.extend(rows.iter().map(|row| row["pipelineExecutionId"].as_str().unwrap().to_owned()));
            match page.get("nextToken") {
                Some(token) => input["nextToken"] = token.clone(),
                None => break,
            }
        }
        assert_eq!(found, good, "pages of {size}");
    }
    assert_eq!(succeeded_in(client, "Source").len(), 7);
}

#[test]
fn a_rollback_whose_artifacts_are_gone_fails_and_leads_to_nothing_more() {
    let marks = Folder::new();
    let mut definition = words(&marks);
    definition["pipeline"]["stages"][1]["onFailure"] = json!({ "result": "ROLLBACK" });
    let folder = Folder::repository(&definition, &[("word", "one")]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Succeeded");
    let second = start(client, "shop");
    reaches(client, "shop", &second, "Succeeded");
    std::fs::remove_dir_all(folder.at(".towpath/artifacts")).unwrap();
    let back = client.call("RollbackStage", &back_to(&first))["pipelineExecutionId"].clone();
    reaches(client, "shop", back.as_str().unwrap(), "Failed");
    let failed = action_reaches(client, "shop", ("Live", "Ship"), "Failed");
    assert!(failed["errorDetails"]["message"].as_str().unwrap().contains("Code"), "{failed:#}");
    assert_eq!(executions(client, "shop").len(), 3);
}

#[test]
fn listings_that_an_earlier_version_left_are_made_anew() {
    let marks = Folder::new();
    let definition = words(&marks);
    let folder = Folder::repository(&definition, &[("word", "one")]);
    let server = Server::start(&folder);
    let first = create(&server.client, &definition, "Succeeded");
    let listed = executions(&server.client, "shop");
    assert!(server.stop().success());
    leave_old_listings(&folder);
    let server = Server::start(&folder);
    assert_eq!(executions(&server.client, "shop"), listed);
    assert_eq!(server.client.call("ListPipelines", &json!({}))["pipelines"].as_array().unwrap().len(), 1);
    assert_eq!(succeeded_in(&server.client, "Live"), [first.as_str()]);
}

/// As if an earlier version had been the last to run: rows of its own shape, kept by a reader of its own name.
#[tokio::main]
async fn leave_old_listings(folder: &Folder) {
    let lock = local::lock::FolderLock::acquire(&folder.at(".towpath"), "test").unwrap();
    let log = local::log::SqliteLog::open(&lock).unwrap();
    let views = log.views();
    views.drop_all(handlers::project::READER).await.unwrap();
    let body = json!({ "name": "shop-old", "version": 1, "pipeline_type": "V2", "execution_mode": "QUEUED",
        "created": 1, "updated": 1 });
    let (p, q) = ("pipelines".into(), "shop-old".into());
    let row = ViewRow { p, q, v: Version(9), body: Some(body.to_string()) };
    let at = log.head();
    views.put(vec![row], Some(Cursor { reader: "project".into(), at })).await.unwrap();
    log.close().await;
}
