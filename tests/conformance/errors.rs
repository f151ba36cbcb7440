//! Every modelled error of the operations that can be provoked from outside, and the service's own words for those
//! that clients show.

use crate::steps::{action_reaches, create, execution, executions, reaches, start, wait_for};
use serde_json::{Value, json};
use tests::{
    folder::Folder,
    pipelines::{approval, commands, foreign, pipeline, source, stage},
    server::Server,
};

const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

fn simple(name: &str) -> Value {
    pipeline(name, vec![source(), stage("Build", vec![commands("Say", &["true"])])])
}

#[test]
fn an_unknown_pipeline_is_told_as_such_by_every_operation_that_names_one() {
    let server_folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&server_folder);
    let client = &server.client;
    let stop = json!({ "pipelineName": "none", "pipelineExecutionId": NO_ID });
    let door =
        json!({ "pipelineName": "none", "stageName": "S", "transitionType": "Inbound", "reason": "r" });
    let answer = json!({ "pipelineName": "none", "stageName": "S", "actionName": "A", "token": NO_ID,
        "result": { "summary": "", "status": "Approved" } });
    let retry = json!({ "pipelineName": "none", "stageName": "S", "pipelineExecutionId": NO_ID,
        "retryMode": "FAILED_ACTIONS" });
    let calls = [
        ("UpdatePipeline", simple("none")),
        ("GetPipelineState", json!({ "name": "none" })),
        ("StartPipelineExecution", json!({ "name": "none" })),
        ("StopPipelineExecution", stop.clone()),
        ("RetryStageExecution", retry),
        ("GetPipelineExecution", stop),
        ("ListPipelineExecutions", json!({ "pipelineName": "none" })),
        ("ListActionExecutions", json!({ "pipelineName": "none" })),
        ("DisableStageTransition", door.clone()),
        ("EnableStageTransition", door),
        ("PutApprovalResult", answer),
        (
            "PutActionRevision",
            json!({ "pipelineName": "none", "stageName": "S", "actionName": "A",
            "actionRevision": { "revisionId": "r", "revisionChangeId": "c", "created": 1 } }),
        ),
        ("ListDeployActionExecutionTargets", json!({ "pipelineName": "none", "actionExecutionId": NO_ID })),
    ];
    let words = "The account with id '123456789012' does not include a pipeline with the name 'none'";
    for (operation, input) in calls {
        let refusal = client.refused(operation, &input, "PipelineNotFoundException");
        assert_eq!((refusal.status, refusal.message.as_str()), (400, words), "{operation}");
    }
    let refusal = client.refused("GetPipeline", &json!({ "name": "none" }), "PipelineNotFoundException");
    assert_eq!(refusal.message, "Account '123456789012' does not have a pipeline with name 'none'");
    client.call("DeletePipeline", &json!({ "name": "none" }));
}

#[test]
fn names_of_stages_actions_executions_and_versions_are_checked() {
    let mut definition = simple("shop");
    definition["pipeline"]["stages"].as_array_mut().unwrap().insert(1, stage("Gate", vec![approval("Sign")]));
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    let first = executions(client, "shop")[0]["pipelineExecutionId"].clone();
    let token = action_reaches(client, "shop", ("Gate", "Sign"), "InProgress")["token"].clone();

    let refusal = client.refused("CreatePipeline", &definition, "PipelineNameInUseException");
    assert_eq!(refusal.message, "A pipeline with the name 'shop' already exists in account '123456789012'");
    let version = json!({ "name": "shop", "version": 9 });
    client.refused("GetPipeline", &version, "PipelineVersionNotFoundException");
    let other = json!({ "pipelineName": "shop", "pipelineExecutionId": NO_ID });
    client.refused("GetPipelineExecution", &other, "PipelineExecutionNotFoundException");
    client.refused("StopPipelineExecution", &other, "PipelineExecutionNotStoppableException");
    let filtered = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": NO_ID } });
    client.refused("ListActionExecutions", &filtered, "PipelineExecutionNotFoundException");
    let both = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": first,
        "latestInPipelineExecution": { "pipelineExecutionId": first, "startTimeRange": "All" } } });
    client.refused("ListActionExecutions", &both, "ValidationException");

    let door = |stage: &str, kind: &str| json!({ "pipelineName": "shop", "stageName": stage, "transitionType": kind, "reason": "why" });
    for operation in ["DisableStageTransition", "EnableStageTransition"] {
        client.refused(operation, &door("None", "Inbound"), "StageNotFoundException");
        client.refused(operation, &door("Build", "Outbound"), "ValidationException");
        client.refused(operation, &door("Build", "Sideways"), "ValidationException");
    }
    let mut comma = door("Build", "Inbound");
    comma["reason"] = json!("no, never");
    client.refused("DisableStageTransition", &comma, "ValidationException");

    let retry = |stage: &str, id: &Value| {
        json!({ "pipelineName": "shop", "stageName": stage, "pipelineExecutionId": id,
            "retryMode": "FAILED_ACTIONS" })
    };
    client.refused("RetryStageExecution", &retry("None", &first), "StageNotFoundException");
    client.refused("RetryStageExecution", &retry("Build", &first), "NotLatestPipelineExecutionException");
    client.refused(
        "RetryStageExecution",
        &retry("Gate", &json!(NO_ID)),
        "NotLatestPipelineExecutionException",
    );
    client.refused("RetryStageExecution", &retry("Gate", &first), "StageNotRetryableException");

    let answer = |stage: &str, action: &str, token: &Value| {
        json!({ "pipelineName": "shop", "stageName": stage, "actionName": action, "token": token,
            "result": { "summary": "", "status": "Approved" } })
    };
    client.refused("PutApprovalResult", &answer("None", "Sign", &token), "StageNotFoundException");
    client.refused("PutApprovalResult", &answer("Gate", "None", &token), "ActionNotFoundException");
    let invalid = "InvalidApprovalTokenException";
    client.refused("PutApprovalResult", &answer("Build", "Say", &token), invalid);
    let refusal = client.refused("PutApprovalResult", &answer("Gate", "Sign", &json!(NO_ID)), invalid);
    assert_eq!(
        refusal.message,
        format!(
            "Approval token '{NO_ID}' either does not exist or is not the correct token for the action or Gate stage."
        )
    );
    client.refused("PutApprovalResult", &answer("Gate", "Sign", &json!("abc")), "ValidationException");
    client.call("PutApprovalResult", &answer("Gate", "Sign", &token));
}

#[test]
fn a_start_is_refused_for_what_does_not_fit_the_pipeline() {
    let mut definition = simple("shop");
    definition["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition, "Succeeded");
    let with = |member: &str, value: Value| {
        let mut input = json!({ "name": "shop" });
        input[member] = value;
        input
    };
    let variables = |name: &str, value: &str| with("variables", json!([{ "name": name, "value": value }]));
    let revision = |action: &str, kind: &str| {
        let revision = json!({ "actionName": action, "revisionType": kind, "revisionValue": "abc" });
        with("sourceRevisions", json!([revision]))
    };
    for input in [
        variables("SIZE", "1"),
        variables("COLOUR", ""),
        with("variables", json!([])),
        with("variables", json!([{ "name": "COLOUR", "value": "a" }, { "name": "COLOUR", "value": "b" }])),
        with("clientRequestToken", json!("no spaces")),
        with("clientRequestToken", json!("")),
        revision("Nobody", "COMMIT_ID"),
        revision("Say", "COMMIT_ID"),
        revision("Checkout", "IMAGE_DIGEST"),
        revision("Checkout", "COMMIT"),
    ] {
        client.refused("StartPipelineExecution", &input, "ValidationException");
    }
    let mut once = variables("COLOUR", "blue");
    once["clientRequestToken"] = json!("the-same");
    client.call("StartPipelineExecution", &once);
    once["variables"][0]["value"] = json!("green");
    client.refused("StartPipelineExecution", &once, "ConflictException");
    assert_eq!(executions(client, "shop").len(), 2, "what is refused starts nothing");
}

#[test]
fn an_execution_of_another_pipeline_is_none_of_this_one() {
    let definition = simple("shop");
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition, "Succeeded");
    let other = create(client, &simple("other"), "Succeeded");
    let strange = json!({ "pipelineName": "shop", "pipelineExecutionId": other });
    client.refused("GetPipelineExecution", &strange, "PipelineExecutionNotFoundException");
    client.refused("StopPipelineExecution", &strange, "PipelineExecutionNotStoppableException");
    let retry = json!({ "pipelineName": "shop", "stageName": "Build", "pipelineExecutionId": other,
        "retryMode": "ALL_ACTIONS" });
    client.refused("RetryStageExecution", &retry, "NotLatestPipelineExecutionException");
    let filtered = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": other } });
    client.refused("ListActionExecutions", &filtered, "PipelineExecutionNotFoundException");
}

#[test]
fn retries_need_the_latest_run_of_the_current_version_and_a_stage_that_stands_still() {
    let marks = Folder::new();
    let slow = commands("Slow", &[&wait_for(&marks.at("go"))]);
    let definition = pipeline("shop", vec![source(), stage("Live", vec![foreign("Ship"), slow])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    let first = executions(client, "shop")[0]["pipelineExecutionId"].as_str().unwrap().to_owned();
    let retry = |id: &str, mode: &str| json!({ "pipelineName": "shop", "stageName": "Live", "pipelineExecutionId": id, "retryMode": mode });
    action_reaches(client, "shop", ("Live", "Ship"), "Failed");
    action_reaches(client, "shop", ("Live", "Slow"), "InProgress");
    client.refused("RetryStageExecution", &retry(&first, "ALL_ACTIONS"), "ConflictException");
    // What failed can be run again beside what still runs.
    client.call("RetryStageExecution", &retry(&first, "FAILED_ACTIONS"));
    action_reaches(client, "shop", ("Live", "Ship"), "Failed");
    marks.write("go", "");
    reaches(client, "shop", &first, "Failed");
    let second = start(client, "shop");
    reaches(client, "shop", &second, "Failed");
    let not_latest = "NotLatestPipelineExecutionException";
    client.refused("RetryStageExecution", &retry(&first, "FAILED_ACTIONS"), not_latest);
    let mut changed = definition.clone();
    changed["pipeline"]["stages"][1]["actions"][1]["commands"] = json!(["true"]);
    client.call("UpdatePipeline", &changed);
    let refused = "StageNotRetryableException";
    client.refused("RetryStageExecution", &retry(&second, "FAILED_ACTIONS"), refused);
}

#[test]
fn a_queued_pipeline_takes_fifty_executions_and_no_more() {
    let mut definition = pipeline("shop", vec![source(), stage("Gate", vec![approval("Sign")])]);
    definition["pipeline"]["executionMode"] = json!("QUEUED");
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    for _ in 1..50 {
        start(client, "shop");
    }
    let too_many = "ConcurrentPipelineExecutionsLimitExceededException";
    client.refused("StartPipelineExecution", &json!({ "name": "shop" }), too_many);
    let last = executions(client, "shop")[0]["pipelineExecutionId"].as_str().unwrap().to_owned();
    let stop = json!({ "pipelineName": "shop", "pipelineExecutionId": last, "abandon": true });
    client.call("StopPipelineExecution", &stop);
    reaches(client, "shop", &last, "Stopped");
    start(client, "shop");
    assert_eq!(execution(client, "shop", &last)["status"], "Stopped");
}

#[test]
fn every_operation_lists_all_broken_constraints_by_path() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let refusal = server.client.refused("StopPipelineExecution", &json!({}), "ValidationException");
    assert_eq!(
        refusal.message,
        "2 validation errors detected: Value at 'pipelineName' failed to satisfy constraint: Member must not be \
         null; Value at 'pipelineExecutionId' failed to satisfy constraint: Member must not be null"
    );
    for operation in api::Operation::ALL.iter().copied() {
        let served = server.client.try_call(operation.name(), &json!({ "maxResults": 0, "MaxResults": 0 }));
        let refusal = served.expect_err(operation.name());
        let known = ["ValidationException", "UnknownOperationException"].contains(&refusal.code.as_str());
        assert!(known, "{}: {refusal:?}", operation.name());
        if refusal.code == "UnknownOperationException" {
            assert!(refusal.message.contains(operation.name()), "{refusal:?}");
        }
    }
    for (operation, input) in [
        ("GetPipeline", json!({ "name": 7 })),
        ("GetPipeline", json!({ "name": "a", "version": "1" })),
        ("StartPipelineExecution", json!({ "name": "a", "variables": {} })),
        ("CreatePipeline", json!({ "pipeline": [] })),
    ] {
        server.client.refused(operation, &input, "SerializationException");
    }
}
