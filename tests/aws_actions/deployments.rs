//! CodeDeploy.

use super::{
    service::refusal,
    stage::{ATTEMPT, Stage, archive, asked, input, job, resumed},
};
use engine::{
    action::{ActionJob, FailureCode},
    ports::Actions as _,
};
use serde_json::{Value, json};

fn stage() -> Stage {
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", archive(&[("appspec.yml", "version: 0.0")]));
    stage.service.on("GetApplication", json!({ "application": { "computePlatform": "Server" } }));
    stage
}

fn deployment() -> ActionJob {
    let configuration = [("ApplicationName", "shop"), ("DeploymentGroupName", "live")];
    ActionJob { inputs: vec![input("Built")], ..job("Deploy/CodeDeploy", &configuration) }
}

fn known() -> ActionJob {
    ActionJob { begun: Some("d-ABC".into()), ..deployment() }
}

fn described(status: &str, more: Value) -> Value {
    let mut info = json!({ "deploymentId": "d-ABC", "status": status });
    info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "deploymentInfo": info })
}

#[tokio::test]
async fn an_artifact_is_deployed_and_the_deployment_tells_whose_it_is() {
    let stage = stage();
    stage.service.on("CreateDeployment", json!({ "deploymentId": "d-ABC" }));
    let begun = stage.begun(&deployment()).await;
    assert_eq!(begun.external_execution_id, "d-ABC");
    let call = stage.service.call("CreateDeployment");
    assert!(call.input["description"].as_str().unwrap().starts_with(ATTEMPT));
    let location = &call.input["revision"]["s3Location"];
    assert_eq!(location["bucket"], "store");
    assert_eq!(location["key"], "shop/Built/k1");
    assert_eq!((&location["bundleType"], &location["version"]), (&json!("zip"), &json!("v-new")));
    let counts = json!({ "deploymentOverview": { "Succeeded": 2, "InProgress": 1 } });
    stage.service.on("GetDeployment", described("InProgress", counts));
    stage.elsewhere(&asked(&deployment(), &begun)).await;
    let counts = json!({ "deploymentOverview": { "Succeeded": 3 } });
    stage.service.now("GetDeployment", described("Succeeded", counts));
    let success = stage.succeeded(&asked(&deployment(), &begun)).await;
    assert_eq!(success.summary.as_deref(), Some("Deployment d-ABC succeeded on 3 of 3 targets"));
    assert_eq!(success.output_variables["DeploymentId"], "d-ABC");
}

#[tokio::test]
async fn a_failed_deployment_says_on_which_target_which_script_and_its_last_output() {
    let stage = stage();
    let error = json!({
        "errorInformation": { "code": "HEALTH_CONSTRAINTS", "message": "Too few healthy instances." },
        "rollbackInfo": { "rollbackDeploymentId": "d-BACK" },
    });
    stage.service.on("GetDeployment", described("Failed", error));
    stage.service.on("ListDeploymentTargets", json!({ "targetIds": ["i-0abc"] }));
    let events = json!([
        { "lifecycleEventName": "BeforeInstall", "status": "Succeeded" },
        { "lifecycleEventName": "ValidateService", "status": "Failed", "diagnostics": {
            "errorCode": "ScriptFailed", "scriptName": "scripts/check.sh",
            "message": "Script at specified location: scripts/check.sh failed with exit code 1",
            "logTail": "[stderr]connection refused" } },
    ]);
    let target = json!({ "instanceTarget": { "targetId": "i-0abc", "lifecycleEvents": events } });
    stage.service.on("BatchGetDeploymentTargets", json!({ "deploymentTargets": [target] }));
    let failure = stage.failed(&known()).await;
    assert_eq!(failure.code, FailureCode::JobFailed);
    assert_eq!(
        failure.message,
        "Deployment d-ABC ended as Failed: HEALTH_CONSTRAINTS: Too few healthy instances.\nOn i-0abc: ScriptFailed in \
         ValidateService (scripts/check.sh): Script at specified location: scripts/check.sh failed with exit code \
         1\n[stderr]connection refused\nCodeDeploy rolls back with the deployment d-BACK."
    );
    // Whoever may not look at targets still hears why.
    stage.service.now("ListDeploymentTargets", refusal("AccessDeniedException", "no"));
    let failure = stage.failed(&known()).await;
    assert!(failure.message.starts_with("Deployment d-ABC ended as Failed: HEALTH_CONSTRAINTS"));
}

#[tokio::test]
async fn a_deployment_made_before_a_crash_is_found_by_its_description() {
    let stage = stage();
    stage.service.on("ListDeployments", json!({ "deployments": ["d-OLD", "d-ABC"] }));
    stage.service.on(
        "BatchGetDeployments",
        json!({ "deploymentsInfo": [
            { "deploymentId": "d-OLD", "description": "other" },
            { "deploymentId": "d-ABC", "description": format!("{ATTEMPT}: Action of shop") },
        ] }),
    );
    stage.service.on("GetDeployment", described("Succeeded", json!({})));
    let success = stage.succeeded(&resumed(&deployment())).await;
    assert_eq!(success.external_execution_id.as_deref(), Some("d-ABC"));
    assert!(stage.service.calls("CreateDeployment").is_empty());
    let range = stage.service.call("ListDeployments").input["createTimeRange"]["start"].as_f64().unwrap();
    assert!(range < 1_800_000_000.0 && range > 1_799_999_000.0, "{range}");
}

#[tokio::test]
async fn a_platform_without_servers_gets_the_appspec_itself() {
    let stage = Stage::new();
    let spec = "version: 0.0\nResources: []\n";
    stage.service.put("store/shop/Built/k1", archive(&[("appspec.yaml", spec)]));
    stage.service.on("GetApplication", json!({ "application": { "computePlatform": "Lambda" } }));
    stage.service.on("CreateDeployment", json!({ "deploymentId": "d-ABC" }));
    stage.begun(&deployment()).await;
    let revision = &stage.service.call("CreateDeployment").input["revision"];
    assert_eq!(revision["appSpecContent"]["content"], spec);
    assert_eq!(revision["appSpecContent"]["sha256"].as_str().unwrap().len(), 64);
    stage.service.put("store/shop/Built/k1", archive(&[("other", "")]));
    stage.later(20);
    stage.service.on("ListDeployments", json!({ "deployments": [] }));
    let failure = stage.failed(&deployment()).await;
    assert!(failure.message.contains("has no AppSpec file at its top"), "{}", failure.message);
}

#[tokio::test]
async fn what_the_configuration_names_and_is_not_there_is_named() {
    let stage = stage();
    stage
        .service
        .on("CreateDeployment", refusal("DeploymentGroupDoesNotExistException", "No Deployment Group"));
    let failure = stage.failed(&deployment()).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(
        failure
            .message
            .contains("no CodeDeploy deployment group `live` of the application `shop` in eu-west-1")
    );
    let missing = ActionJob { inputs: vec![input("Gone")], ..deployment() };
    let failure = Stage::new().failed(&missing).await;
    assert!(failure.message.contains("The input artifact `Gone` is not there"), "{}", failure.message);
}

#[tokio::test]
async fn a_deployment_is_asked_to_stop_without_a_rollback() {
    let stage = stage();
    stage.service.on("StopDeployment", json!({ "status": "Pending" }));
    stage.actions.stop(known()).await;
    let call = stage.service.call("StopDeployment");
    assert_eq!(call.input, json!({ "deploymentId": "d-ABC", "autoRollbackEnabled": false }));
}
