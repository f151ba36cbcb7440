//! CodeDeploy: a deployment of the input artifact to a deployment group.

use super::{
    archive, clone_ref,
    provider::{Answer, Provider, Step, Task, configuration, console, cut, job_failed, unavailable},
};
use crate::client::{CallError, Service};
use engine::action::{Failure, Success};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt::Write as _};

/// Pages of deployments that are looked through for one that was made before.
const PAGES_MAX: usize = 4;
/// Deployments described with one call, as the service bounds it.
const DESCRIBED_MAX: usize = 25;
/// Targets that are told of in a failure.
const TARGETS_SHOWN: usize = 3;
/// Characters of a script's last output in a failure.
const LOG_CHARS_MAX: usize = 1_000;
/// Bytes of an AppSpec file, most.
const APPSPEC_BYTES_MAX: u64 = 256 << 10;
/// What the AppSpec of a platform without servers may be called.
const APPSPEC_NAMES: [&str; 3] = ["appspec.yaml", "appspec.yml", "appspec.json"];

/// Actions of the provider `CodeDeploy`.
pub struct CodeDeploy;

impl Provider for CodeDeploy {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }

    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        Box::pin(poll(task, id))
    }

    fn find<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Option<String>> {
        Box::pin(find(task))
    }

    fn wants_artifacts_near(&self) -> bool {
        true
    }

    fn stop<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let input = json!({ "deploymentId": id, "autoRollbackEnabled": false });
            let stopped = task.client.json(Service::CodeDeploy, "StopDeployment", &input).await;
            match stopped {
                Err(error) if error.is(&["DeploymentAlreadyCompletedException"]) => Ok(()),
                stopped => stopped.map(drop).map_err(|error| task.failed(error)),
            }
        })
    }
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let application = task.needs("ApplicationName")?;
    let group = task.needs("DeploymentGroupName")?;
    let input = json!({
        "applicationName": application,
        "deploymentGroupName": group,
        "revision": revision(task, application).await?,
        "description": description(task),
    });
    let answer = task.client.json(Service::CodeDeploy, "CreateDeployment", &input).await;
    let answer = match answer {
        Ok(answer) => answer,
        // Another deployment to the group is under way; it ends.
        Err(error) if error.is(&["DeploymentLimitExceededException"]) => return Ok(Step::NotYet),
        Err(error) => return Err(refused(task, application, group, error)),
    };
    let id = answer["deploymentId"].as_str();
    let id =
        id.ok_or_else(|| unavailable("CodeDeploy answered `CreateDeployment` without the deployment's id."))?;
    Ok(Step::begun(id, Some(url(task, id)), format!("Deployment {id} is under way")))
}

/// By it the deployment is found again: there is no token. What follows the id is for people.
fn description(task: &Task<'_>) -> String {
    cut(&format!("{}: {} of {}", task.token(), task.job.action, task.job.pipeline), 256)
}

/// The artifact, or for a platform without servers the AppSpec in it.
async fn revision(task: &Task<'_>, application: &str) -> Result<Value, Failure> {
    let input = task.input()?;
    let head = clone_ref::files(task, input).await?;
    if !is_without_servers(task, application).await? {
        let mut location = json!({
            "bucket": input.location.bucket,
            "key": input.location.key,
            "bundleType": "zip",
        });
        if let Some(version) = head.version_id {
            location["version"] = version.into();
        }
        if let Some(etag) = head.etag {
            location["eTag"] = etag.into();
        }
        return Ok(json!({ "revisionType": "S3", "s3Location": location }));
    }
    for name in APPSPEC_NAMES {
        let Some(bytes) = archive::read_if_there(task, input, name, APPSPEC_BYTES_MAX).await? else {
            continue;
        };
        let content = String::from_utf8(bytes).map_err(|_| {
            configuration(format!("`{name}` in the input artifact `{}` is not UTF-8 text.", input.name))
        })?;
        let hash = Sha256::digest(&content).iter().fold(String::new(), |mut text, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let content = json!({ "content": content, "sha256": hash });
        return Ok(json!({ "revisionType": "AppSpecContent", "appSpecContent": content }));
    }
    Err(configuration(format!(
        "The input artifact `{}` has no AppSpec file at its top: one of `{}`.",
        input.name,
        APPSPEC_NAMES.join("`, `")
    )))
}

/// True for Lambda and ECS. Whoever may not ask is taken to deploy to servers.
async fn is_without_servers(task: &Task<'_>, application: &str) -> Result<bool, Failure> {
    let input = json!({ "applicationName": application });
    match task.client.json(Service::CodeDeploy, "GetApplication", &input).await {
        Ok(answer) => Ok(matches!(answer["application"]["computePlatform"].as_str(), Some("Lambda" | "ECS"))),
        Err(error) if error.is_denied() => Ok(false),
        Err(error) => Err(refused(task, application, "", error)),
    }
}

async fn poll(task: &Task<'_>, id: &str) -> Result<Step, Failure> {
    let answer = task.client.json(Service::CodeDeploy, "GetDeployment", &json!({ "deploymentId": id })).await;
    let answer = answer.map_err(|error| match error.is(&["DeploymentDoesNotExistException"]) {
        true => {
            job_failed(format!("CodeDeploy does not know the deployment `{id}` any more. Retry the stage."))
        }
        false => task.failed(error),
    })?;
    let deployment = &answer["deploymentInfo"];
    let overview = &deployment["deploymentOverview"];
    let count = |key: &str| overview[key].as_i64().unwrap_or(0);
    let total: i64 =
        ["Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"].map(count).iter().sum();
    match deployment["status"].as_str().unwrap_or_default() {
        "Succeeded" => {
            let summary = match total {
                0 => format!("Deployment {id} succeeded"),
                _ => format!("Deployment {id} succeeded on {} of {total} targets", count("Succeeded")),
            };
            Ok(Step::Done(Success {
                output_variables: BTreeMap::from([("DeploymentId".to_owned(), id.to_owned())]),
                summary: Some(summary),
                external_execution_id: Some(id.to_owned()),
                external_execution_url: Some(url(task, id)),
                ..Success::default()
            }))
        }
        status @ ("Failed" | "Stopped") => Err(failed(task, id, status, deployment).await),
        status => {
            let summary = match total {
                0 => format!("Deployment {id}: {status}"),
                _ => format!("Deployment {id}: {status}, {} of {total} targets done", count("Succeeded")),
            };
            Ok(Step::begun(id, Some(url(task, id)), summary))
        }
    }
}

async fn failed(task: &Task<'_>, id: &str, status: &str, deployment: &Value) -> Failure {
    let error = &deployment["errorInformation"];
    let mut message = match (error["code"].as_str(), error["message"].as_str()) {
        (Some(code), Some(text)) => format!("Deployment {id} ended as {status}: {code}: {text}"),
        (Some(code), None) => format!("Deployment {id} ended as {status}: {code}"),
        (None, _) => format!("Deployment {id} ended as {status}."),
    };
    for line in targets(task, id).await {
        message.push('\n');
        message.push_str(&line);
    }
    if let Some(rollback) = deployment["rollbackInfo"]["rollbackDeploymentId"].as_str() {
        let _ = write!(message, "\nCodeDeploy rolls back with the deployment {rollback}.");
    }
    let mut failure = job_failed(message);
    failure.summary = Some(format!("Deployment {id} failed"));
    failure.external_execution_id = Some(id.to_owned());
    failure.external_execution_url = Some(url(task, id));
    failure
}

/// What broke on which target. Whoever may not ask goes without.
async fn targets(task: &Task<'_>, id: &str) -> Vec<String> {
    let filter = json!({ "deploymentId": id, "targetFilters": { "TargetStatus": ["Failed"] } });
    let listed = match task.client.json(Service::CodeDeploy, "ListDeploymentTargets", &filter).await {
        Ok(listed) => listed,
        Err(error) => {
            tracing::info!(%error, "the targets of a deployment were not listed");
            return Vec::new();
        }
    };
    let ids: Vec<Value> =
        listed["targetIds"].as_array().into_iter().flatten().take(TARGETS_SHOWN).cloned().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let input = json!({ "deploymentId": id, "targetIds": ids });
    match task.client.json(Service::CodeDeploy, "BatchGetDeploymentTargets", &input).await {
        Ok(answer) => {
            answer["deploymentTargets"].as_array().into_iter().flatten().filter_map(target).collect()
        }
        Err(error) => {
            tracing::info!(%error, "the targets of a deployment were not described");
            Vec::new()
        }
    }
}

/// `On i-0: ScriptFailed in AfterInstall (scripts/check.sh): words`, and the script's last output.
fn target(target: &Value) -> Option<String> {
    let kinds = ["instanceTarget", "lambdaTarget", "ecsTarget", "cloudFormationTarget"];
    let target = kinds.iter().map(|kind| &target[*kind]).find(|target| target.is_object())?;
    let events = target["lifecycleEvents"].as_array()?;
    let event = events.iter().find(|event| event["status"] == "Failed")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let diagnostics = &event["diagnostics"];
    let name = text(&event["lifecycleEventName"]);
    let code = match text(&diagnostics["errorCode"]) {
        code if code.is_empty() => "failed".to_owned(),
        code => code,
    };
    let mut line = format!("On {}: {code} in {name}", text(&target["targetId"]));
    let script = text(&diagnostics["scriptName"]);
    if !script.is_empty() {
        let _ = write!(line, " ({script})");
    }
    let message = text(&diagnostics["message"]);
    if !message.is_empty() {
        let _ = write!(line, ": {message}");
    }
    let log = text(&diagnostics["logTail"]);
    if !log.is_empty() {
        // The end says why.
        let skipped = log.chars().count().saturating_sub(LOG_CHARS_MAX);
        let tail: String = log.chars().skip(skipped).collect();
        let _ = write!(line, "\n{tail}");
    }
    Some(line)
}

/// Looks for the deployment that an earlier try may have made.
async fn find(task: &Task<'_>) -> Result<Option<String>, Failure> {
    let (application, group) = (task.needs("ApplicationName")?, task.needs("DeploymentGroupName")?);
    // A minute for clocks that differ.
    let since = (task.began().0 - 60_000) as f64 / 1000.0;
    let mut next = Value::Null;
    for _ in 0..PAGES_MAX {
        let mut input = json!({
            "applicationName": application,
            "deploymentGroupName": group,
            "createTimeRange": { "start": since },
        });
        if next.is_string() {
            input["nextToken"] = next;
        }
        let page = task.client.json(Service::CodeDeploy, "ListDeployments", &input).await;
        let page = page.map_err(|error| refused(task, application, group, error))?;
        let ids = page["deployments"].as_array().cloned().unwrap_or_default();
        for ids in ids.chunks(DESCRIBED_MAX) {
            let input = json!({ "deploymentIds": ids });
            let answer = task.client.json(Service::CodeDeploy, "BatchGetDeployments", &input).await;
            let answer = answer.map_err(|error| task.failed(error))?;
            let is_own = |deployment: &&Value| {
                deployment["description"].as_str().is_some_and(|text| text.starts_with(task.token()))
            };
            let deployments = answer["deploymentsInfo"].as_array().map_or(&[][..], Vec::as_slice);
            if let Some(own) = deployments.iter().find(is_own) {
                return Ok(own["deploymentId"].as_str().map(str::to_owned));
            }
        }
        next = page["nextToken"].clone();
        if !next.is_string() {
            break;
        }
    }
    Ok(None)
}

fn refused(task: &Task<'_>, application: &str, group: &str, error: CallError) -> Failure {
    let what = match error.code() {
        Some("ApplicationDoesNotExistException") => format!("application `{application}`"),
        Some("DeploymentGroupDoesNotExistException") => {
            format!("deployment group `{group}` of the application `{application}`")
        }
        _ => return task.failed(error),
    };
    configuration(format!(
        "There is no CodeDeploy {what} in {}. Make it, or correct the action.",
        task.region
    ))
}

fn url(task: &Task<'_>, id: &str) -> String {
    format!("{}/codedeploy/home?region={}#/deployments/{id}", console(task.region), task.region)
}
