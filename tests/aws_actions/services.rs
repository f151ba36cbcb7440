//! Step Functions and ECS: each a file behind the port.

use super::{
    service::refusal,
    stage::{ATTEMPT, Stage, archive, asked, files, input, job, output, resumed},
};
use engine::{
    action::{ActionJob, FailureCode},
    ports::Actions as _,
};
use serde_json::{Value, json};

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:Smoke";
const EXECUTION: &str =
    "arn:aws:states:eu-west-1:111122223333:execution:Smoke:11111111-1111-4111-8111-111111111111";

fn machine(more: &[(&str, &str)]) -> ActionJob {
    let configuration = [&[("StateMachineArn", MACHINE)], more].concat();
    job("Invoke/StepFunctions", &configuration)
}

#[tokio::test]
async fn a_state_machine_is_run_once_under_the_attempts_name() {
    let stage = Stage::new();
    stage.service.on("DescribeStateMachine", json!({ "type": "STANDARD" }));
    stage.service.on("StartExecution", json!({ "executionArn": EXECUTION }));
    let job = ActionJob { outputs: vec![output("Result")], ..machine(&[("Input", r#"{"n":1}"#)]) };
    let begun = stage.begun(&job).await;
    assert_eq!(begun.external_execution_id, EXECUTION);
    let call = stage.service.call("StartExecution");
    assert_eq!((&call.input["name"], &call.input["input"]), (&json!(ATTEMPT), &json!(r#"{"n":1}"#)));
    stage.service.on("DescribeExecution", json!({ "status": "RUNNING" }));
    stage.elsewhere(&asked(&job, &begun)).await;
    stage.service.now("DescribeExecution", json!({ "status": "SUCCEEDED", "output": "{\"ok\":true}" }));
    let success = stage.succeeded(&asked(&job, &begun)).await;
    assert_eq!(success.output_variables["ExecutionArn"], EXECUTION);
    let artifact = stage.service.object("store/shop/Result/k2").unwrap();
    assert_eq!(files(&artifact.bytes)["output.json"], "{\"ok\":true}");
    // Its holder died before anybody heard of it.
    stage.service.now("StartExecution", refusal("ExecutionAlreadyExists", "it does"));
    stage.later(20);
    assert_eq!(stage.begun(&resumed(&job)).await.external_execution_id, EXECUTION);
}

#[tokio::test]
async fn a_state_machine_that_fails_says_why_and_bad_input_is_not_sent() {
    let stage = Stage::new();
    let failed = json!({ "status": "FAILED", "error": "States.TaskFailed", "cause": "no stock" });
    stage.service.on("DescribeExecution", failed);
    let failure = stage.failed(&ActionJob { begun: Some(EXECUTION.into()), ..machine(&[]) }).await;
    assert_eq!(failure.code, FailureCode::JobFailed);
    assert_eq!(
        failure.message,
        "The execution of the state machine ended as FAILED: States.TaskFailed: no stock"
    );
    stage.service.on("DescribeStateMachine", json!({ "type": "STANDARD" }));
    let failure = stage.failed(&machine(&[("Input", "{")])).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("is not JSON"), "{}", failure.message);
    stage.service.on("StopExecution", json!({}));
    stage.actions.stop(ActionJob { begun: Some(EXECUTION.into()), ..machine(&[]) }).await;
    assert_eq!(stage.service.call("StopExecution").input["executionArn"], EXECUTION);
}

fn rolling() -> ActionJob {
    let configuration = [("ClusterName", "live"), ("ServiceName", "shop"), ("DeploymentTimeout", "10")];
    ActionJob { inputs: vec![input("Images")], ..job("Deploy/ECS", &configuration) }
}

fn service(deployments: Value) -> Value {
    json!({ "services": [{ "serviceName": "shop", "status": "ACTIVE", "taskDefinition": "shop:6",
                           "deployments": deployments }] })
}

fn deployment(status: &str, rollout: &str) -> Value {
    json!({ "id": "ecs-svc/7", "status": status, "rolloutState": rollout, "rolloutStateReason": "circuit breaker",
            "taskDefinition": "shop:7", "runningCount": 1, "desiredCount": 2 })
}

fn stage() -> Stage {
    let stage = Stage::new();
    let images = r#"[{"name":"web","imageUri":"repo/shop@sha256:1"}]"#;
    stage.service.put("store/shop/Images/k1", archive(&[("imagedefinitions.json", images)]));
    stage.service.on(
        "DescribeTaskDefinition",
        json!({ "tags": [{ "key": "team", "value": "shop" }], "taskDefinition": {
            "taskDefinitionArn": "arn:shop:6", "revision": 6, "status": "ACTIVE", "family": "shop",
            "containerDefinitions": [{ "name": "web", "image": "old" }, { "name": "side", "image": "keep" }] } }),
    );
    stage
}

#[tokio::test]
async fn a_service_is_brought_to_new_images_from_what_it_runs() {
    let stage = stage();
    stage.service.on("DescribeServices", service(json!([deployment("PRIMARY", "COMPLETED")])));
    stage
        .service
        .on("RegisterTaskDefinition", json!({ "taskDefinition": { "taskDefinitionArn": "arn:shop:7" } }));
    let updated = json!({ "service": { "deployments": [deployment("PRIMARY", "IN_PROGRESS")] } });
    stage.service.on("UpdateService", updated);
    let begun = stage.begun(&rolling()).await;
    assert_eq!(begun.external_execution_id, "ecs-svc/7");
    let registered = stage.service.call("RegisterTaskDefinition").input;
    assert_eq!(registered["containerDefinitions"][0]["image"], "repo/shop@sha256:1");
    assert_eq!(registered["containerDefinitions"][1]["image"], "keep");
    assert!(registered.get("revision").is_none() && registered.get("status").is_none());
    assert_eq!(registered["tags"][0], json!({ "key": "team", "value": "shop" }));
    assert_eq!(registered["tags"][1]["value"], ATTEMPT);
    assert_eq!(stage.service.call("UpdateService").input["taskDefinition"], "arn:shop:7");
    let later = asked(&rolling(), &begun);
    stage.service.now("DescribeServices", service(json!([deployment("PRIMARY", "IN_PROGRESS")])));
    stage.elsewhere(&later).await;
    stage.service.now("DescribeServices", service(json!([deployment("PRIMARY", "COMPLETED")])));
    assert_eq!(stage.succeeded(&later).await.summary.as_deref(), Some("Service shop runs shop:7"));
    stage.service.now("DescribeServices", service(json!([deployment("PRIMARY", "FAILED")])));
    assert!(stage.failed(&later).await.message.ends_with("failed: circuit breaker"));
    stage.service.now("DescribeServices", service(json!([])));
    assert!(stage.failed(&later).await.message.contains("gave way to another one"));
    stage.service.now("DescribeServices", service(json!([deployment("PRIMARY", "IN_PROGRESS")])));
    stage.later(10);
    let failure = stage.failed(&later).await;
    assert!(
        failure.message.starts_with("The action timed out after 10 minutes: 1 of 2"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn an_update_begun_before_a_crash_is_known_by_the_tag_of_what_it_registered() {
    let stage = stage();
    stage.service.on("DescribeServices", service(json!([deployment("PRIMARY", "IN_PROGRESS")])));
    let tags = json!([{ "key": "towpath:action-execution", "value": ATTEMPT }]);
    stage.service.now("DescribeTaskDefinition", json!({ "tags": tags, "taskDefinition": {} }));
    assert_eq!(stage.begun(&resumed(&rolling())).await.external_execution_id, "ecs-svc/7");
    assert!(stage.service.calls("UpdateService").is_empty());
}

#[tokio::test]
async fn what_does_not_fit_a_service_is_said() {
    let stage = stage();
    stage.service.on("DescribeServices", service(json!([])));
    stage.service.put(
        "store/shop/Images/k1",
        archive(&[("imagedefinitions.json", r#"[{"name":"x","imageUri":"y"}]"#)]),
    );
    let failure = stage.failed(&rolling()).await;
    assert!(failure.message.contains("has no container `x`"), "{}", failure.message);
    let stage = self::stage();
    stage.service.on("DescribeServices", json!({ "services": [], "failures": [{ "reason": "MISSING" }] }));
    let failure = stage.failed(&rolling()).await;
    assert!(failure.message.contains("no service `shop` in the cluster `live`"), "{}", failure.message);
}
