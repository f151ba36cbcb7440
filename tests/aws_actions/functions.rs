//! Lambda invoke.

use super::{
    service::{Reply, refusal},
    stage::{ATTEMPT, Stage, asked, input, job, output},
};
use engine::action::{ActionJob, FailureCode};
use serde_json::json;

fn invoke() -> ActionJob {
    ActionJob {
        inputs: vec![input("Source")],
        outputs: vec![output("Report")],
        encryption_key: Some("arn:aws:kms:eu-west-1:111122223333:key/k".into()),
        ..job("Invoke/Lambda", &[("FunctionName", "smoke-test"), ("UserParameters", "{\"a\":1}")])
    }
}

#[tokio::test]
async fn a_function_gets_the_job_as_codepipeline_sends_it() {
    let stage = Stage::new();
    stage.service.on("Invoke", Reply::Raw(202, vec![], vec![]));
    let begun = stage.begun(&invoke()).await;
    assert_eq!(begun.external_execution_id, ATTEMPT);
    let call = stage.service.call("Invoke");
    assert_eq!(call.target, "POST /2015-03-31/functions/smoke-test/invocations");
    assert_eq!(call.headers["x-amz-invocation-type"], "Event");
    let job = &call.input["CodePipeline.job"];
    assert_eq!(job["id"], ATTEMPT);
    assert_eq!(job["accountId"], "111122223333");
    let data = &job["data"];
    assert_eq!(data["actionConfiguration"]["configuration"]["UserParameters"], "{\"a\":1}");
    assert_eq!(
        data["inputArtifacts"][0],
        json!({ "name": "Source", "revision": "abc123", "location": {
            "type": "S3", "s3Location": { "bucketName": "store", "objectKey": "shop/Source/k1" } } })
    );
    assert_eq!(data["outputArtifacts"][0]["location"]["s3Location"]["objectKey"], "shop/Report/k2");
    assert_eq!(data["artifactCredentials"]["sessionToken"], "lent-token");
    assert_eq!(data["encryptionKey"]["type"], "KMS");
    assert!(data.get("continuationToken").is_none());
}

#[tokio::test]
async fn a_function_that_never_answers_fails_its_action_after_twenty_minutes() {
    let stage = Stage::new();
    stage.service.on("Invoke", Reply::Raw(202, vec![], vec![]));
    let begun = stage.begun(&invoke()).await;
    let later = asked(&invoke(), &begun);
    stage.later(19);
    stage.elsewhere(&later).await;
    stage.later(2);
    let failure = stage.failed(&later).await;
    assert_eq!(failure.code, FailureCode::JobFailed);
    assert!(failure.message.starts_with("The action timed out after 20 minutes"), "{}", failure.message);
    stage.service.call("Invoke");
}

#[tokio::test]
async fn a_function_that_is_not_there_or_not_allowed_is_named() {
    let stage = Stage::new();
    stage.service.on("Invoke", Reply::Refusal(404, "ResourceNotFoundException", "Function not found".into()));
    let failure = stage.failed(&invoke()).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("no Lambda function `smoke-test` in eu-west-1"), "{}", failure.message);
    let stage = Stage::new();
    stage.service.on(
        "Invoke",
        refusal(
            "AccessDeniedException",
            "User: arn:aws:sts::1:assumed-role/pipeline/towpath is not authorized to perform: lambda:InvokeFunction on \
             resource: arn:aws:lambda:eu-west-1:1:function:smoke-test",
        ),
    );
    let failure = stage.failed(&invoke()).await;
    assert_eq!(failure.code, FailureCode::PermissionError);
    assert!(failure.message.starts_with("Permission `lambda:InvokeFunction` on `arn:aws:lambda"));
    assert!(!failure.message.contains("lent-secret"));
}
