//! Lambda invoke: the function gets the job event, and answers by calling the API with the job's id, which is that of
//! the attempt. What it returns, and whether it breaks, does not matter, as on CodePipeline.

use super::provider::{Answer, Provider, Step, Task, configuration, console, job_failed, unavailable};
use crate::client::{CallError, RestRequest, Service};
use api::sigv4::percent_encoded;
use engine::{
    action::{ArtifactLocation, Failure},
    ports::ArtifactLoan,
};
use events::ArtifactName;
use http::Method;
use serde_json::{Value, json};

/// How long a function may take to answer; functions cannot ask for more time here.
const REPLY_MINUTES: i64 = 20;

/// Actions of the provider `Lambda` in the category `Invoke`.
pub struct LambdaInvoke;

impl Provider for LambdaInvoke {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }

    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        Box::pin(async move {
            let function = task.needs("FunctionName")?;
            let minutes = (task.now.0 - task.began().0) / 60_000;
            if minutes < REPLY_MINUTES {
                return Ok(invoked(task, function, id));
            }
            let mut failure = job_failed(format!(
                "The action timed out after {REPLY_MINUTES} minutes: the function `{function}` has called neither \
                 `PutJobSuccessResult` nor `PutJobFailureResult` for the job `{id}`. Look at its log; it must call \
                 Towpath's endpoint, for example through `AWS_ENDPOINT_URL_CODEPIPELINE`."
            ));
            failure.external_execution_id = Some(id.to_owned());
            Err(failure)
        })
    }

    fn find<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Option<String>> {
        let _ = task;
        // Nobody knows whether the function was called. It has to expect to be called twice: Lambda promises no less.
        Box::pin(std::future::ready(Ok(None)))
    }
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let function = task.needs("FunctionName")?;
    let event = event(task).await?;
    let request = invocation(function, "Event", &event);
    task.client.rest(request).await.map_err(|error| refused(task, function, error))?;
    Ok(invoked(task, function, task.token()))
}

fn invoked(task: &Task<'_>, function: &str, id: &str) -> Step {
    Step::begun(id, Some(url(task, function)), format!("The function {} was invoked", bare(function)))
}

/// A call of a function given by its name, a part of its ARN or the whole, perhaps with a version or an alias.
pub(super) fn invocation(function: &str, kind: &str, event: &Value) -> RestRequest {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    RestRequest::new(Service::Lambda, "Invoke", Method::POST, path)
        .header("x-amz-invocation-type", kind)
        .header("content-type", "application/json")
        .body(event.to_string())
}

pub(super) fn refused(task: &Task<'_>, function: &str, error: CallError) -> Failure {
    if error.is(&["ResourceNotFoundException"]) {
        return configuration(format!(
            "There is no Lambda function `{function}` in {}. Make it, or correct `FunctionName`.",
            task.region
        ));
    }
    task.failed(error)
}

/// The event as CodePipeline sends it, with the same members and no others.
pub(super) async fn event(task: &Task<'_>) -> Result<Value, Failure> {
    let job = task.job;
    let artifact = |name: &ArtifactName, location: &ArtifactLocation, revision: Option<&String>| {
        json!({
            "name": name,
            "revision": revision,
            "location": {
                "type": "S3",
                "s3Location": { "bucketName": location.bucket, "objectKey": location.key },
            },
        })
    };
    let inputs: Vec<Value> = job
        .inputs
        .iter()
        .map(|input| artifact(&input.name, &input.location, input.revision.as_ref()))
        .collect();
    let outputs: Vec<Value> =
        job.outputs.iter().map(|output| artifact(&output.name, &output.location, None)).collect();
    let mut data = json!({
        "actionConfiguration": { "configuration": job.configuration },
        "inputArtifacts": inputs,
        "outputArtifacts": outputs,
    });
    let credentials = task.lend.lend(&ArtifactLoan::of(job), task.now).await;
    let credentials = credentials.map_err(|error| unavailable(format!("{error}. Retry the stage.")))?;
    data["artifactCredentials"] = json!({
        "accessKeyId": credentials.access_key_id,
        "secretAccessKey": credentials.secret_access_key,
        "sessionToken": credentials.session_token,
    });
    if let Some(key) = task.encryption_key {
        data["encryptionKey"] = json!({ "id": key, "type": "KMS" });
    }
    let id = task.token();
    Ok(json!({ "CodePipeline.job": { "id": id, "accountId": task.account, "data": data } }))
}

/// The name alone.
pub(super) fn bare(function: &str) -> &str {
    let name = function.split_once(":function:").map_or(function, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}

fn url(task: &Task<'_>, function: &str) -> String {
    format!(
        "{}/lambda/home?region={}#/functions/{}",
        console(task.region),
        task.region,
        percent_encoded(bare(function))
    )
}
