//! Who begins an attempt, and who takes it up.

use super::{
    service::refusal,
    stage::{ATTEMPT, Stage, archive, input, job, output},
};
use aws::actions::Handover;
use engine::{
    action::{ActionJob, ActionTypeId, FailureCode, Run},
    ports::Actions as _,
};
use events::{ActionCategory, ActionOwner};
use serde_json::json;

fn deployment() -> ActionJob {
    let configuration = [("ApplicationName", "shop"), ("DeploymentGroupName", "live")];
    ActionJob { inputs: vec![input("Built")], ..job("Deploy/CodeDeploy", &configuration) }
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", archive(&[("appspec.yml", "version: 0.0")]));
    stage.service.on("GetApplication", json!({ "application": { "computePlatform": "Server" } }));
    stage
}

#[tokio::test]
async fn one_of_many_begins_an_attempt() {
    let stage = stage();
    stage.service.on("CreateDeployment", json!({ "deploymentId": "d-1" }));
    let all = (0..8).map(|_| {
        let stage = stage.clone();
        tokio::spawn(async move { stage.actions.run(deployment()).await })
    });
    let mut begun = 0;
    for run in all {
        match run.await.unwrap() {
            Run::Begun(_) => begun += 1,
            Run::Elsewhere => {}
            Run::Ended(outcome) => panic!("{outcome:?}"),
        }
    }
    assert_eq!(begun, 1);
    stage.service.call("CreateDeployment");
}

#[tokio::test]
async fn a_claim_that_ran_out_means_looking_before_beginning_also_when_nobody_says_resumed() {
    let stage = stage();
    stage.service.on("CreateDeployment", json!({ "deploymentId": "d-1" }));
    stage.begun(&deployment()).await;
    // The holder died before anybody heard of it; somebody else comes by within the claim, and after it.
    stage.later(1);
    stage.service.on("ListDeployments", json!({ "deployments": ["d-0", "d-1"] }));
    stage.service.on(
        "BatchGetDeployments",
        json!({ "deploymentsInfo": [
            { "deploymentId": "d-0", "description": "somebody else's" },
            { "deploymentId": "d-1", "description": format!("{ATTEMPT}: Action of shop") },
        ] }),
    );
    stage.service.on("GetDeployment", json!({ "deploymentInfo": { "status": "InProgress" } }));
    let run = stage.actions.run(deployment()).await;
    let claimed_for_work = matches!(run, Run::Elsewhere);
    assert!(claimed_for_work, "{run:?}");
    stage.later(15);
    let begun = stage.begun(&deployment()).await;
    assert_eq!(begun.external_execution_id, "d-1");
    stage.service.call("CreateDeployment");
}

#[tokio::test]
async fn a_busy_provider_is_tried_again_without_waiting_for_the_claim() {
    let stage = stage();
    stage.service.on("CreateDeployment", refusal("DeploymentLimitExceededException", "d-0 is active"));
    stage.service.on("CreateDeployment", json!({ "deploymentId": "d-1" }));
    stage.elsewhere(&deployment()).await;
    assert_eq!(stage.begun(&deployment()).await.external_execution_id, "d-1");
}

#[tokio::test]
async fn long_work_is_handed_on_once_to_the_function_that_has_time() {
    let work = |settings: &mut aws::actions::Settings| {
        settings.handover = Handover::Function("towpath-work".into());
    };
    let stage = Stage::with(work);
    stage.service.on("Invoke", super::service::Reply::Raw(202, vec![], vec![]));
    let source = ActionJob {
        outputs: vec![output("Source")],
        ..job("Source/CodeCommit", &[("RepositoryName", "shop"), ("BranchName", "main")])
    };
    stage.elsewhere(&source).await;
    stage.elsewhere(&source).await;
    let call = stage.service.call("Invoke");
    assert_eq!(call.target, "POST /2015-03-31/functions/towpath-work/invocations");
    assert_eq!(call.headers["x-amz-invocation-type"], "Event");
    assert_eq!(call.who, "own");
    let execution = source.execution.as_str();
    assert_eq!(call.input, json!({ "pipeline": "shop", "execution": execution, "attempt": ATTEMPT }));
    // Nothing was begun: whoever it was handed to finds the attempt free.
    let worker = Stage::new();
    assert_eq!(worker.failed(&source).await.code, FailureCode::ConfigurationError);
    // A large artifact is known to be one only when it is looked at.
    let stage = Stage::with(work);
    stage.service.on("Invoke", super::service::Reply::Raw(202, vec![], vec![]));
    stage.service.put("store/shop/Built/k1", vec![0; 2 << 20]);
    let configuration = [("BucketName", "site"), ("Extract", "true")];
    let site = ActionJob { inputs: vec![input("Built")], ..job("Deploy/S3", &configuration) };
    stage.elsewhere(&site).await;
    stage.service.call("Invoke");
    stage.later(4);
    stage.elsewhere(&site).await;
    assert_eq!(
        stage.service.calls("Invoke").len(),
        2,
        "what was handed on and did nothing is handed on again"
    );
}

#[tokio::test]
async fn what_nothing_here_carries_out_says_what_to_do() {
    let stage = Stage::new();
    let id = |category, provider: &str| ActionTypeId {
        category,
        owner: ActionOwner::AWS,
        provider: provider.into(),
        version: "1".into(),
    };
    let beanstalk = id(ActionCategory::Deploy, "ElasticBeanstalk");
    assert!(!stage.actions.can_carry_out(&beanstalk));
    assert!(stage.actions.can_carry_out(&id(ActionCategory::Build, "CodeBuild")));
    let failure = stage.failed(&ActionJob { action_type: beanstalk, ..job("Deploy/S3", &[]) }).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("ElasticBeanstalk") && failure.message.contains("CodeBuild"));
}
