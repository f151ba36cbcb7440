//! What pipelines go through: runs, approvals, stops, retries, closed doors; each as GetPipelineState and the
//! histories show it.

use crate::steps::{
    action, action_reaches, create, execution, executions, needs, reaches, stage as stage_state, start,
    state, wait_for,
};
use serde_json::{Value, json};
use tests::{
    folder::Folder,
    pipelines::{approval, commands, pipeline, source, source_action, stage},
    server::Server,
};

const CALLER: &str = "arn:aws:iam::123456789012:user/AKIATESTTOWPATH";

#[test]
fn a_run_is_told_the_same_way_by_state_and_histories() {
    let mut checkout = source_action("main", false);
    checkout["namespace"] = json!("Src");
    let mut say = commands("Say", &["WORD=hello", "echo $WORD #{Src.BranchName} #{variables.COLOUR}"]);
    say["namespace"] = json!("Out");
    say["outputVariables"] = json!(["WORD"]);
    let mut definition = pipeline("shop", vec![stage("Source", vec![checkout]), stage("Build", vec![say])]);
    definition["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
    let folder = Folder::repository(&definition, &[]);
    let commit = folder.git(&["rev-parse", "HEAD"]);
    let server = Server::start(&folder);
    let client = &server.client;

    let first = create(client, &definition, "Succeeded");
    let told = execution(client, "shop", &first);
    assert_eq!(told["trigger"], json!({ "triggerType": "CreatePipeline", "triggerDetail": CALLER }));
    assert_eq!(told["variables"], json!([{ "name": "COLOUR", "resolvedValue": "red" }]));
    assert_eq!(told["artifactRevisions"][0]["revisionId"], commit);
    assert_eq!(told["artifactRevisions"][0]["name"], "Code");

    let variables = json!([{ "name": "COLOUR", "value": "blue" }]);
    let asked = json!({ "name": "shop", "variables": variables, "clientRequestToken": "token-1" });
    let second = client.call("StartPipelineExecution", &asked);
    assert_eq!(client.call("StartPipelineExecution", &asked), second, "the token makes it one start");
    let second = second["pipelineExecutionId"].as_str().unwrap();
    reaches(client, "shop", second, "Succeeded");
    let listed = executions(client, "shop");
    let ids: Vec<&Value> = listed.iter().map(|listed| &listed["pipelineExecutionId"]).collect();
    assert_eq!(ids, [second, &first]);
    assert_eq!(listed[0]["trigger"]["triggerType"], "StartPipelineExecution");
    assert_eq!(listed[0]["sourceRevisions"][0]["revisionId"], commit);
    assert_eq!(listed[0]["executionType"], "STANDARD");

    let build = stage_state(client, "shop", "Build");
    assert_eq!(build["latestExecution"]["pipelineExecutionId"], second);
    assert_eq!(build["inboundTransitionState"], json!({ "enabled": true }));
    let checkout = action(client, "shop", ("Source", "Checkout"));
    assert_eq!(checkout["currentRevision"]["revisionId"], commit);
    let only = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": second } });
    let details = client.call("ListActionExecutions", &only)["actionExecutionDetails"].clone();
    let (say, checkout) = (&details[0], &details[1]);
    assert_eq!(say["actionName"], "Say");
    assert_eq!(say["output"]["outputVariables"], json!({ "WORD": "hello" }));
    assert_eq!(checkout["output"]["outputVariables"]["CommitId"], commit);
    let made = &checkout["output"]["outputArtifacts"][0];
    assert_eq!(&say["input"]["inputArtifacts"][0], made, "what one made the other used");
    let key = made["s3location"]["key"].as_str().unwrap();
    assert!(key.starts_with("shop/Code/") && key.len() <= 100, "{key}");
}

#[test]
fn a_pipeline_that_never_ran_shows_names_and_open_doors_alone() {
    let mut definition = pipeline("shop", vec![source(), stage("Gate", vec![approval("Sign")])]);
    // Without a default the pipeline cannot start by itself.
    definition["pipeline"]["variables"] = json!([{ "name": "SIZE" }]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    server.client.call("CreatePipeline", &definition);
    let open = json!({ "enabled": true });
    let seen = state(&server.client, "shop");
    assert_eq!(
        seen["stageStates"],
        json!([
            { "stageName": "Source", "actionStates": [{ "actionName": "Checkout" }], "inboundTransitionState": open },
            { "stageName": "Gate", "actionStates": [{ "actionName": "Sign" }], "inboundTransitionState": open },
        ])
    );
    assert_eq!((&seen["pipelineName"], &seen["pipelineVersion"]), (&json!("shop"), &json!(1)));
}

#[test]
fn an_approval_is_asked_answered_once_and_remembered() {
    let gate = stage("Gate", vec![approval("Sign")]);
    let definition = pipeline("shop", vec![source(), gate, stage("Live", vec![commands("Ship", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    let open = action_reaches(client, "shop", ("Gate", "Sign"), "InProgress");
    assert_eq!(open["summary"], "Is it good?");
    let token = open["token"].as_str().unwrap();
    let answer = |token: &str, status: &str| {
        json!({ "pipelineName": "shop", "stageName": "Gate", "actionName": "Sign", "token": token,
            "result": { "summary": "looks fine", "status": status } })
    };
    let wrong = answer("00000000-0000-4000-8000-000000000000", "Approved");
    client.refused("PutApprovalResult", &wrong, "InvalidApprovalTokenException");
    client.call("PutApprovalResult", &answer(token, "Approved"));
    for status in ["Approved", "Rejected"] {
        client.refused("PutApprovalResult", &answer(token, status), "ApprovalAlreadyCompletedException");
    }
    let done = action_reaches(client, "shop", ("Gate", "Sign"), "Succeeded");
    assert_eq!((&done["summary"], &done["lastUpdatedBy"]), (&json!("looks fine"), &json!(CALLER)));
    assert_eq!(done.get("token"), None);
    action_reaches(client, "shop", ("Live", "Ship"), "Succeeded");

    let second = start(client, "shop");
    let token = action_reaches(client, "shop", ("Gate", "Sign"), "InProgress")["token"].clone();
    // By the id in the history the same approval can be answered.
    let listed = client.call("ListActionExecutions", &json!({ "pipelineName": "shop", "maxResults": 1 }));
    let result = &listed["actionExecutionDetails"][0]["output"]["executionResult"];
    assert_eq!(result["externalExecutionId"], token);
    client.call("PutApprovalResult", &answer(token.as_str().unwrap(), "Rejected"));
    reaches(client, "shop", &second, "Failed");
    let refused = action_reaches(client, "shop", ("Gate", "Sign"), "Failed");
    assert_eq!(refused["errorDetails"]["code"], "JobFailed");
    let message = refused["errorDetails"]["message"].as_str().unwrap();
    assert_eq!(message, format!("Rejected by {CALLER}: looks fine"));
}

#[test]
fn a_failed_stage_is_retried_in_the_same_execution_with_what_succeeded_kept() {
    let marks = Folder::new();
    let (flag, count) = (marks.at("go"), marks.at("count"));
    let counted = format!("echo x >> {}", count.display());
    let actions = vec![commands("Once", &[&counted]), commands("Flaky", &[&needs(&flag)])];
    let definition = pipeline(
        "shop",
        vec![source(), stage("Build", actions), stage("Live", vec![commands("Ship", &["true"])])],
    );
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Failed");
    let failed = action_reaches(client, "shop", ("Build", "Flaky"), "Failed");
    assert_eq!(failed["errorDetails"]["code"], "JobFailed");
    let retry = |mode: &str| json!({ "pipelineName": "shop", "stageName": "Build", "pipelineExecutionId": first, "retryMode": mode });
    client.call("RetryStageExecution", &retry("FAILED_ACTIONS"));
    reaches(client, "shop", &first, "Failed");
    marks.write("go", "");
    let answer = client.call("RetryStageExecution", &retry("FAILED_ACTIONS"));
    assert_eq!(answer["pipelineExecutionId"], first);
    reaches(client, "shop", &first, "Succeeded");
    assert_eq!(marks.read("count"), "x\n", "what succeeded ran once");
    let build = stage_state(client, "shop", "Build");
    assert_eq!(
        build["retryStageMetadata"],
        json!({ "manualStageRetryAttempt": 2, "latestRetryTrigger": "ManualStageRetry" })
    );
    let all = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": first } });
    let attempts = client.call("ListActionExecutions", &all)["actionExecutionDetails"].clone();
    let statuses = |name: &str| -> Vec<String> {
        let of = attempts.as_array().unwrap().iter().filter(|attempt| attempt["actionName"] == name);
        of.map(|attempt| attempt["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(statuses("Flaky"), ["Succeeded", "Failed", "Failed"], "newest first");
    assert_eq!(statuses("Once"), ["Succeeded"]);
    client.refused("RetryStageExecution", &retry("ALL_ACTIONS"), "StageNotRetryableException");
}

#[test]
fn stopping_waits_for_what_runs_or_gives_it_up() {
    let marks = Folder::new();
    let wait = wait_for(&marks.at("go"));
    let actions = vec![commands("Slow", &[&wait])];
    let definition = pipeline("shop", vec![source(), stage("Build", actions)]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    let first = executions(client, "shop")[0]["pipelineExecutionId"].as_str().unwrap().to_owned();
    action_reaches(client, "shop", ("Build", "Slow"), "InProgress");
    let stop = |id: &str, abandon: bool| json!({ "pipelineName": "shop", "pipelineExecutionId": id, "abandon": abandon, "reason": "no need" });
    client.call("StopPipelineExecution", &stop(&first, false));
    assert_eq!(execution(client, "shop", &first)["status"], "Stopping");
    assert_eq!(stage_state(client, "shop", "Build")["latestExecution"]["status"], "Stopping");
    client.refused("StopPipelineExecution", &stop(&first, false), "DuplicatedStopRequestException");
    marks.write("go", "");
    reaches(client, "shop", &first, "Stopped");
    assert_eq!(action(client, "shop", ("Build", "Slow"))["latestExecution"]["status"], "Succeeded");
    assert_eq!(executions(client, "shop")[0]["stopTrigger"], json!({ "reason": "no need" }));
    client.refused("StopPipelineExecution", &stop(&first, true), "PipelineExecutionNotStoppableException");

    std::fs::remove_file(marks.at("go")).unwrap();
    let second = start(client, "shop");
    action_reaches(client, "shop", ("Build", "Slow"), "InProgress");
    client.call("StopPipelineExecution", &stop(&second, false));
    client.call("StopPipelineExecution", &stop(&second, true));
    reaches(client, "shop", &second, "Stopped");
    assert_eq!(action(client, "shop", ("Build", "Slow"))["latestExecution"]["status"], "Abandoned");
    // Given up means ended: nothing waits for the mark any more.
    tests::processes::none_left(marks.path().to_str().unwrap());
}

#[test]
fn a_closed_door_holds_the_newest_run_and_says_who_closed_it() {
    let definition = pipeline("shop", vec![source(), stage("Live", vec![commands("Ship", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Succeeded");
    let door = json!({ "pipelineName": "shop", "stageName": "Live", "transitionType": "Inbound" });
    let mut close = door.clone();
    close["reason"] = json!("freeze!");
    client.call("DisableStageTransition", &close);
    client.call("DisableStageTransition", &close);
    let second = start(client, "shop");
    let waits = |id: &str| {
        let seen = tests::processes::eventually(std::time::Duration::from_secs(30), || {
            stage_state(client, "shop", "Live")["inboundExecution"]["pipelineExecutionId"] == id
        });
        assert!(seen, "{:#}", stage_state(client, "shop", "Live"));
    };
    waits(&second);
    let live = stage_state(client, "shop", "Live");
    let transition = &live["inboundTransitionState"];
    assert_eq!((&transition["enabled"], &transition["disabledReason"]), (&json!(false), &json!("freeze!")));
    assert_eq!(transition["lastChangedBy"], CALLER);
    assert_eq!(live["latestExecution"]["pipelineExecutionId"], first, "nobody has entered since");
    assert_eq!(execution(client, "shop", &second)["status"], "InProgress");
    let third = start(client, "shop");
    waits(&third);
    reaches(client, "shop", &second, "Superseded");
    assert_eq!(live["inboundExecutions"].as_array().unwrap().len(), 1);
    let outbound = json!({ "pipelineName": "shop", "stageName": "Source", "transitionType": "Outbound" });
    client.call("EnableStageTransition", &outbound);
    reaches(client, "shop", &third, "Succeeded");
    assert_eq!(stage_state(client, "shop", "Live")["inboundTransitionState"]["enabled"], true);
    assert_eq!(stage_state(client, "shop", "Live").get("inboundExecution"), None);
}

#[test]
fn a_pipeline_that_is_deleted_is_gone_with_its_history_and_its_processes() {
    let marks = Folder::new();
    let slow = commands("Slow", &[&wait_for(&marks.at("never"))]);
    let definition = pipeline("shop", vec![source(), stage("Build", vec![slow])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    let first = executions(client, "shop")[0]["pipelineExecutionId"].clone();
    action_reaches(client, "shop", ("Build", "Slow"), "InProgress");
    client.call("DeletePipeline", &json!({ "name": "shop" }));
    client.call("DeletePipeline", &json!({ "name": "shop" }));
    tests::processes::none_left(marks.path().to_str().unwrap());
    assert_eq!(client.call("ListPipelines", &json!({})), json!({ "pipelines": [] }));
    client.call("CreatePipeline", &definition);
    let listed = executions(client, "shop");
    assert_eq!(listed.len(), 1, "a new pipeline has no history of the old one");
    let old = json!({ "pipelineName": "shop", "pipelineExecutionId": first });
    client.refused("GetPipelineExecution", &old, "PipelineExecutionNotFoundException");
    assert_eq!(client.call("GetPipeline", &json!({ "name": "shop" }))["pipeline"]["version"], 1);
}

#[test]
fn what_was_under_way_goes_on_after_a_restart() {
    let gate = stage("Gate", vec![approval("Sign")]);
    let definition = pipeline("shop", vec![source(), gate, stage("Live", vec![commands("Ship", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    server.client.call("CreatePipeline", &definition);
    let before = action_reaches(&server.client, "shop", ("Gate", "Sign"), "InProgress");
    let whole = state(&server.client, "shop");
    assert!(server.stop().success());
    let server = Server::start(&folder);
    assert_eq!(state(&server.client, "shop"), whole, "a restart changes nothing that is shown");
    let answer = json!({ "pipelineName": "shop", "stageName": "Gate", "actionName": "Sign",
        "token": before["token"], "result": { "summary": "", "status": "Approved" } });
    server.client.call("PutApprovalResult", &answer);
    action_reaches(&server.client, "shop", ("Live", "Ship"), "Succeeded");
}
