//! Step Functions: an execution of a state machine.

use super::{
    archive,
    objects::Properties,
    provider::{Answer, Provider, Step, Task, configuration, console, cut, job_failed, unavailable},
};
use crate::client::{CallError, Service};
use api::sigv4::percent_encoded;
use engine::action::{Failure, Success};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bytes of an input, as the service bounds it.
const INPUT_BYTES_MAX: u64 = 256 << 10;
/// Characters of an execution's name.
const NAME_CHARS_MAX: usize = 80;
/// Characters of a cause that are shown.
const CAUSE_CHARS_MAX: usize = 2_000;
/// What the file in the output artifact is called; AWS's own name for it is not public.
const OUTPUT_FILE: &str = "output.json";

/// Actions of the provider `StepFunctions`.
pub struct StepFunctions;

impl Provider for StepFunctions {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }

    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        Box::pin(poll(task, id))
    }

    fn stop<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let input = json!({ "executionArn": id, "error": "Stopped", "cause": "the pipeline's action was stopped" });
            let stopped = task.client.json(Service::StepFunctions, "StopExecution", &input).await;
            stopped.map(drop).map_err(|error| task.failed(error))
        })
    }
}

/// The name is the attempt's, so that starting twice starts once: the service gives the same execution for the same name
/// and input.
async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let machine = task.needs("StateMachineArn")?;
    let about = json!({ "stateMachineArn": machine });
    let about = task.client.json(Service::StepFunctions, "DescribeStateMachine", &about).await;
    let about = about.map_err(|error| refused(task, machine, error))?;
    let is_express = about["type"] == "EXPRESS";
    if is_express && !task.job.outputs.is_empty() {
        return Err(configuration(format!(
            "The state machine `{machine}` is an express one, whose output cannot be had: declare no output artifact."
        )));
    }
    let input = json!({ "stateMachineArn": machine, "name": name(task)?, "input": input(task).await? });
    let answer = task.client.json(Service::StepFunctions, "StartExecution", &input).await;
    let id = match answer {
        Ok(answer) => answer["executionArn"].as_str().map(str::to_owned),
        // Begun before, with an input that was put together differently, and perhaps over by now.
        Err(error) if error.is(&["ExecutionAlreadyExists"]) => Some(arn(machine, &name(task)?)),
        Err(error) => return Err(refused(task, machine, error)),
    };
    let id = id.ok_or_else(|| {
        unavailable("Step Functions answered `StartExecution` without the execution's ARN.")
    })?;
    if is_express {
        return Ok(Step::Done(Success {
            summary: Some("The express state machine was started.".to_owned()),
            external_execution_id: Some(id),
            ..Success::default()
        }));
    }
    Ok(Step::begun(&id, Some(url(task, &id)), "The state machine is under way"))
}

fn name(task: &Task<'_>) -> Result<String, Failure> {
    let name = match task.value("ExecutionNamePrefix") {
        Some(prefix) => format!("{prefix}-{}", task.token()),
        None => task.token().to_owned(),
    };
    match name.chars().count() <= NAME_CHARS_MAX {
        true => Ok(name),
        false => Err(configuration(format!(
            "`ExecutionNamePrefix` is too long: with the attempt's id behind it, a name has {NAME_CHARS_MAX} characters \
             at most."
        ))),
    }
}

/// `arn:aws:states:R:A:stateMachine:N` as that of an execution.
fn arn(machine: &str, name: &str) -> String {
    format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1))
}

async fn input(task: &Task<'_>) -> Result<String, Failure> {
    let text = match (task.value("InputType"), task.value("Input")) {
        (None | Some("Literal"), text) => text.unwrap_or("{}").to_owned(),
        (Some("FilePath"), Some(path)) => {
            let bytes = archive::read(task, task.input()?, path, INPUT_BYTES_MAX).await?;
            String::from_utf8(bytes)
                .map_err(|_| configuration(format!("`{path}` in the input artifact is not UTF-8 text.")))?
        }
        (Some("FilePath"), None) => {
            return Err(configuration("`InputType` = `FilePath` needs a path in `Input`."));
        }
        (Some(other), _) => {
            return Err(configuration(format!(
                "`InputType` must be `Literal` or `FilePath`, not `{other}`."
            )));
        }
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(configuration(format!("The input of the state machine is not JSON: {error}."))),
    }
}

async fn poll(task: &Task<'_>, id: &str) -> Result<Step, Failure> {
    let machine = task.needs("StateMachineArn")?;
    let answer = json!({ "executionArn": id });
    let answer = task.client.json(Service::StepFunctions, "DescribeExecution", &answer).await;
    let answer = answer.map_err(|error| refused(task, machine, error))?;
    match answer["status"].as_str().unwrap_or_default() {
        "SUCCEEDED" => {
            if let Some(output) = task.job.outputs.first() {
                let content = answer["output"].as_str().unwrap_or("{}");
                let archive = archive::of_one_file(OUTPUT_FILE, content.as_bytes())
                    .map_err(|error| unavailable(format!("The output cannot be packed: {error}.")))?;
                let properties = Properties {
                    content_type: Some("application/zip".to_owned()),
                    key: task.encryption_key.map(str::to_owned),
                    ..Properties::default()
                };
                let to = (output.location.bucket.as_str(), output.location.key.as_str());
                task.objects.put(to, archive, &properties).await.map_err(|error| task.failed(error))?;
            }
            Ok(Step::Done(Success {
                output_variables: BTreeMap::from([
                    ("StateMachineArn".to_owned(), machine.to_owned()),
                    ("ExecutionArn".to_owned(), id.to_owned()),
                ]),
                summary: Some("The state machine succeeded".to_owned()),
                external_execution_id: Some(id.to_owned()),
                external_execution_url: Some(url(task, id)),
                ..Success::default()
            }))
        }
        "RUNNING" | "PENDING_REDRIVE" => {
            Ok(Step::begun(id, Some(url(task, id)), "The state machine is under way"))
        }
        status => {
            let text = |key: &str| answer[key].as_str().map(|text| cut(text, CAUSE_CHARS_MAX));
            let why: Vec<String> = [text("error"), text("cause")].into_iter().flatten().collect();
            let why = if why.is_empty() { ".".to_owned() } else { format!(": {}", why.join(": ")) };
            let mut failure =
                job_failed(format!("The execution of the state machine ended as {status}{why}"));
            failure.external_execution_id = Some(id.to_owned());
            failure.external_execution_url = Some(url(task, id));
            Err(failure)
        }
    }
}

fn refused(task: &Task<'_>, machine: &str, error: CallError) -> Failure {
    if error.is(&["StateMachineDoesNotExist", "InvalidArn"]) {
        return configuration(format!(
            "There is no state machine `{machine}` in {}. Make it, or correct `StateMachineArn`.",
            task.region
        ));
    }
    task.failed(error)
}

fn url(task: &Task<'_>, id: &str) -> String {
    let region = task.region;
    let id = percent_encoded(id).replace("%3A", ":");
    format!("{}/states/home?region={region}#/executions/details/{id}", console(region))
}
