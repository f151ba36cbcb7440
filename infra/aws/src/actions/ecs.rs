//! ECS: a service brought to images that a file in the artifact names, by a rolling update.

use super::{
    archive,
    provider::{Answer, Provider, Step, Task, configuration, console, job_failed, unavailable},
};
use crate::client::{CallError, Service};
use api::sigv4::percent_encoded;
use engine::action::{Failure, Success};
use serde::Deserialize;
use serde_json::{Value, json};

/// Bytes of the file with the images.
const FILE_BYTES_MAX: u64 = 100 << 10;
/// What the file with the images is called unless the action says otherwise.
const FILE: &str = "imagedefinitions.json";
/// The tag by which a task definition tells whose it is.
const ATTEMPT: &str = "towpath:action-execution";
/// Minutes an update may take, most.
const MINUTES_MAX: i64 = 60;
/// Members of a task definition's description that its registration does not take.
const NOT_GIVEN: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "tags",
];

/// Deploy actions of the provider `ECS`.
pub struct Ecs;

impl Provider for Ecs {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }

    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        Box::pin(poll(task, id))
    }

    fn find<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Option<String>> {
        Box::pin(find(task))
    }
}

/// One entry of the file with the images.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    name: String,
    image_uri: String,
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    minutes(task)?;
    let images = images(task).await?;
    let service = service(task).await?;
    let controller = service["deploymentController"]["type"].as_str().unwrap_or("ECS");
    if controller != "ECS" {
        return Err(configuration(format!(
            "The service `{}` is deployed by `{controller}`; this action makes rolling updates only.",
            task.needs("ServiceName")?
        )));
    }
    // What the service runs, not the newest of the family: somebody may be trying something there.
    let current = service["taskDefinition"].as_str().unwrap_or_default();
    let definition = register(task, current, &images).await?;
    let (cluster, name) = place(task)?;
    let input = json!({ "cluster": cluster, "service": name, "taskDefinition": definition });
    let answer = task.client.json(Service::Ecs, "UpdateService", &input).await;
    let answer = answer.map_err(|error| refused(task, error))?;
    let id = primary(&answer["service"]).and_then(|deployment| deployment["id"].as_str().map(str::to_owned));
    let id = id.ok_or_else(|| unavailable("ECS answered `UpdateService` without a deployment's id."))?;
    Ok(Step::begun(&id, Some(url(task)?), format!("Service {name} is brought to {definition}")))
}

async fn images(task: &Task<'_>) -> Result<Vec<Image>, Failure> {
    let path = task.value("FileName").unwrap_or(FILE);
    let bytes = archive::read(task, task.input()?, path, FILE_BYTES_MAX).await?;
    let images: Vec<Image> = serde_json::from_slice(&bytes).map_err(|error| {
        configuration(format!(
            "`{path}` in the input artifact is not a JSON list of `{{\"name\":…,\"imageUri\":…}}`: {error}."
        ))
    })?;
    match images.is_empty() {
        true => Err(configuration(format!("`{path}` in the input artifact names no image."))),
        false => Ok(images),
    }
}

/// Registers the definition of what runs with other images. Gives its ARN.
async fn register(task: &Task<'_>, current: &str, images: &[Image]) -> Result<String, Failure> {
    let input = json!({ "taskDefinition": current, "include": ["TAGS"] });
    let answer = task.client.json(Service::Ecs, "DescribeTaskDefinition", &input).await;
    let answer = answer.map_err(|error| refused(task, error))?;
    let mut definition = answer["taskDefinition"].clone();
    let containers = definition["containerDefinitions"].as_array_mut();
    let containers =
        containers.ok_or_else(|| unavailable("ECS describes a task definition without containers."))?;
    for Image { name, image_uri } in images {
        let container = containers.iter_mut().find(|container| container["name"] == name.as_str());
        let container = container.ok_or_else(|| {
            configuration(format!("The task definition `{current}` has no container `{name}`."))
        })?;
        container["image"] = image_uri.as_str().into();
    }
    if let Some(members) = definition.as_object_mut() {
        members.retain(|name, value| !NOT_GIVEN.contains(&name.as_str()) && !value.is_null());
    }
    let mut tags = answer["tags"].as_array().cloned().unwrap_or_default();
    tags.retain(|tag| tag["key"] != ATTEMPT);
    tags.push(json!({ "key": ATTEMPT, "value": task.token() }));
    definition["tags"] = tags.into();
    let answer = task.client.json(Service::Ecs, "RegisterTaskDefinition", &definition).await;
    let answer = answer.map_err(|error| refused(task, error))?;
    let arn = answer["taskDefinition"]["taskDefinitionArn"].as_str().map(str::to_owned);
    arn.ok_or_else(|| unavailable("ECS answered `RegisterTaskDefinition` without an ARN."))
}

async fn poll(task: &Task<'_>, id: &str) -> Result<Step, Failure> {
    let service = service(task).await?;
    let name = task.needs("ServiceName")?;
    let deployments = service["deployments"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(own) = deployments.iter().find(|deployment| deployment["id"] == id) else {
        return Err(ended(
            task,
            id,
            format!("The deployment {id} of the service {name} gave way to another one."),
        )?);
    };
    let rollout = own["rolloutState"].as_str();
    let is_over = match rollout {
        Some(rollout) => rollout == "COMPLETED",
        None => deployments.len() == 1 && own["runningCount"] == own["desiredCount"],
    };
    if rollout == Some("FAILED") {
        let reason = own["rolloutStateReason"].as_str().unwrap_or("ECS gives no reason");
        return Err(ended(task, id, format!("The deployment {id} of the service {name} failed: {reason}"))?);
    }
    if own["status"] != "PRIMARY" {
        return Err(ended(
            task,
            id,
            format!("The deployment {id} of the service {name} was replaced by a newer one."),
        )?);
    }
    if is_over {
        return Ok(Step::Done(Success {
            summary: Some(format!(
                "Service {name} runs {}",
                own["taskDefinition"].as_str().unwrap_or_default()
            )),
            external_execution_id: Some(id.to_owned()),
            external_execution_url: Some(url(task)?),
            ..Success::default()
        }));
    }
    let limit = minutes(task)?;
    if task.now.0 - task.began().0 >= limit * 60_000 {
        let message = format!(
            "The action timed out after {limit} minutes: {} of {} tasks of the service {name} run. Look at the \
             service's events; the update itself goes on.",
            own["runningCount"], own["desiredCount"]
        );
        return Err(ended(task, id, message)?);
    }
    let summary = format!("Service {name}: {} of {} tasks run", own["runningCount"], own["desiredCount"]);
    Ok(Step::begun(id, Some(url(task)?), summary))
}

/// Whether what the service is being brought to was registered by this attempt.
async fn find(task: &Task<'_>) -> Result<Option<String>, Failure> {
    let service = service(task).await?;
    let Some(newest) = primary(&service) else { return Ok(None) };
    let input = json!({ "taskDefinition": newest["taskDefinition"], "include": ["TAGS"] });
    let answer = task.client.json(Service::Ecs, "DescribeTaskDefinition", &input).await;
    let answer = answer.map_err(|error| refused(task, error))?;
    let mut tags = answer["tags"].as_array().into_iter().flatten();
    let is_own = tags.any(|tag| tag["key"] == ATTEMPT && tag["value"] == task.token());
    Ok(newest["id"].as_str().filter(|_| is_own).map(str::to_owned))
}

async fn service(task: &Task<'_>) -> Result<Value, Failure> {
    let (cluster, name) = place(task)?;
    let input = json!({ "cluster": cluster, "services": [name] });
    let answer = task.client.json(Service::Ecs, "DescribeServices", &input).await;
    let answer = answer.map_err(|error| refused(task, error))?;
    let service = answer["services"].get(0).filter(|service| service["status"] != "INACTIVE").cloned();
    service.ok_or_else(|| {
        configuration(format!(
            "There is no service `{name}` in the cluster `{cluster}` in {}. Make it, or correct the action.",
            task.region
        ))
    })
}

fn primary(service: &Value) -> Option<&Value> {
    service["deployments"].as_array()?.iter().find(|deployment| deployment["status"] == "PRIMARY")
}

fn place<'a>(task: &'a Task<'_>) -> Result<(&'a str, &'a str), Failure> {
    Ok((task.needs("ClusterName")?, task.needs("ServiceName")?))
}

fn minutes(task: &Task<'_>) -> Result<i64, Failure> {
    let Some(text) = task.value("DeploymentTimeout") else { return Ok(MINUTES_MAX) };
    text.parse().ok().filter(|minutes| (1..=MINUTES_MAX).contains(minutes)).ok_or_else(|| {
        configuration(format!(
            "`DeploymentTimeout` is `{text}`, and not a number of minutes from 1 to {MINUTES_MAX}."
        ))
    })
}

fn ended(task: &Task<'_>, id: &str, message: String) -> Result<Failure, Failure> {
    let mut failure = job_failed(message);
    failure.external_execution_id = Some(id.to_owned());
    failure.external_execution_url = Some(url(task)?);
    Ok(failure)
}

fn refused(task: &Task<'_>, error: CallError) -> Failure {
    match error.code() {
        Some("ClusterNotFoundException") => configuration(format!(
            "There is no cluster `{}` in {}. Make it, or correct `ClusterName`.",
            task.value("ClusterName").unwrap_or_default(),
            task.region
        )),
        _ => task.failed(error),
    }
}

fn url(task: &Task<'_>) -> Result<String, Failure> {
    let (cluster, name) = place(task)?;
    let (cluster, name) =
        (cluster.rsplit('/').next().unwrap_or(cluster), name.rsplit('/').next().unwrap_or(name));
    Ok(format!(
        "{}/ecs/v2/clusters/{}/services/{}/events?region={}",
        console(task.region),
        percent_encoded(cluster),
        percent_encoded(name),
        task.region
    ))
}
