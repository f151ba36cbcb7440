//! CloudFormation: a stack made, brought up to date or deleted, or a change set made and carried out.
//!
//! Every call that changes something carries the attempt's id as token, so events and later calls can be told apart
//! from those of others. The states of each mode follow `spec/action-providers.md`, section 4.5.

mod change_set;
mod order;
mod parameters;
mod stack;

use super::{
    archive,
    objects::Properties,
    provider::{Answer, Provider, Step, Task, configuration, console, job_failed, unavailable},
};
use crate::client::{CallError, Service};
use api::sigv4::percent_encoded;
use engine::action::{Failure, Success};
use order::{Mode, Order};
use serde_json::json;
use stack::{Stack, Stage};
use std::collections::BTreeMap;

/// What CloudFormation says when there is nothing to do.
const NO_UPDATES: &str = "No updates are to be performed";
/// Names and values of one action's output variables together, as the API bounds them.
const VARIABLES_BYTES_MAX: usize = 122_880;

/// Deploy actions of the provider `CloudFormation`.
pub struct CloudFormation;

impl Provider for CloudFormation {
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
        Box::pin(stop(task, id))
    }
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let mode = Mode::of(task)?;
    let name = task.needs("StackName")?;
    let found = stack::describe(task, name).await?;
    match mode {
        Mode::DeleteOnly => delete(task, name, found).await,
        Mode::ChangeSetReplace => change_set::replace(task, name, found).await,
        Mode::ChangeSetExecute => change_set::execute(task, name, found).await,
        Mode::CreateUpdate => create_or_update(task, name, found).await,
        Mode::ReplaceOnFailure => match found {
            Some(found) if found.is_broken() => {
                let token = format!("{}-delete", task.token());
                stack::delete(task, &found.id, &token).await?;
                let words = format!("Stack {name} is deleted, to be made anew");
                Ok(Step::begun(&found.id, Some(url(task, &found.id)), words))
            }
            found => create_or_update(task, name, found).await,
        },
    }
}

async fn create_or_update(task: &Task<'_>, name: &str, found: Option<Stack>) -> Result<Step, Failure> {
    match found {
        None => create(task, name).await,
        // Only a change set that was never carried out is there; CloudFormation refuses both of what we could ask.
        Some(found) if found.status == "REVIEW_IN_PROGRESS" => Err(job_failed(format!(
            "The stack `{name}` is in `REVIEW_IN_PROGRESS`: somebody made a change set for it that was never carried \
             out. Carry it out, or delete the stack."
        ))),
        Some(found) if found.stage() == Stage::UnderWay => Ok(Step::NotYet),
        Some(found) => update(task, name, found).await,
    }
}

async fn create(task: &Task<'_>, name: &str) -> Result<Step, Failure> {
    let order = Order::read(task).await?;
    let mut params = order.params(task, &[]).await?;
    params.extend(pairs([("StackName", name), ("ClientRequestToken", task.token())]));
    match task.client.query(Service::CloudFormation, "CreateStack", &params).await {
        Ok(answer) => {
            let id = answer.text_of("CreateStackResult/StackId");
            let id = id.ok_or_else(|| {
                unavailable("CloudFormation answered `CreateStack` without the stack's id.")
            })?;
            Ok(Step::begun(&id, Some(url(task, &id)), format!("Stack {name} is being made")))
        }
        // Made by us a moment ago, or by somebody else: the next look says which.
        Err(error) if error.is(&["AlreadyExistsException", "TokenAlreadyExistsException"]) => {
            Ok(Step::NotYet)
        }
        Err(error) => Err(refused(task, error)),
    }
}

async fn update(task: &Task<'_>, name: &str, found: Stack) -> Result<Step, Failure> {
    let order = Order::read(task).await?;
    let mut params = order.params(task, &found.parameters).await?;
    params.extend(pairs([("StackName", name), ("ClientRequestToken", task.token())]));
    match task.client.query(Service::CloudFormation, "UpdateStack", &params).await {
        Ok(answer) => {
            let id = answer.text_of("UpdateStackResult/StackId").unwrap_or(found.id);
            Ok(Step::begun(&id, Some(url(task, &id)), format!("Stack {name} is brought up to date")))
        }
        Err(error) if error.message().contains(NO_UPDATES) => {
            done(task, &found, format!("Stack {name} needed no update.")).await
        }
        Err(error) if is_busy(&error) => Ok(Step::NotYet),
        Err(error) => Err(refused(task, error)),
    }
}

async fn delete(task: &Task<'_>, name: &str, found: Option<Stack>) -> Result<Step, Failure> {
    let Some(found) = found else {
        return Ok(Step::Done(Success {
            summary: Some(format!("There was no stack {name} to delete.")),
            ..Success::default()
        }));
    };
    if found.status != "DELETE_IN_PROGRESS" {
        if found.stage() == Stage::UnderWay {
            return Ok(Step::NotYet);
        }
        stack::delete(task, &found.id, task.token()).await?;
    }
    Ok(Step::begun(&found.id, Some(url(task, &found.id)), format!("Stack {name} is deleted")))
}

async fn poll(task: &Task<'_>, id: &str) -> Result<Step, Failure> {
    let mode = Mode::of(task)?;
    let name = task.needs("StackName")?;
    if mode == Mode::ChangeSetReplace {
        return change_set::ask(task, name, id).await;
    }
    let Some(found) = stack::describe(task, id).await? else {
        return match mode {
            Mode::DeleteOnly => Ok(deleted(task, name, id)),
            _ => Err(job_failed(format!(
                "The stack `{name}` (`{id}`) is not there any more. Retry the stage."
            ))),
        };
    };
    match (mode, found.stage()) {
        (Mode::DeleteOnly, Stage::Deleted) => Ok(deleted(task, name, id)),
        (Mode::DeleteOnly, _) if found.status == "DELETE_FAILED" => Err(stack::failed(task, &found).await),
        // Whatever else it says, it was asked to go.
        (Mode::DeleteOnly, _) => Ok(under_way(task, &found)),
        // Out of the way: the second half begins.
        (Mode::ReplaceOnFailure, Stage::Deleted) => match stack::describe(task, name).await? {
            None => create(task, name).await,
            // Made already, by whoever took this step before.
            Some(made) => Ok(under_way(task, &made)),
        },
        (Mode::ChangeSetExecute, Stage::Good | Stage::Bad)
            if change_set::is_being_carried_out(task, name).await? =>
        {
            Ok(under_way(task, &found))
        }
        (_, Stage::UnderWay) => Ok(under_way(task, &found)),
        (_, Stage::Good) => {
            let verb = if found.status == "CREATE_COMPLETE" { "created" } else { "updated" };
            done(task, &found, format!("Stack {name} was {verb}.")).await
        }
        (_, Stage::Bad | Stage::Deleted) => Err(stack::failed(task, &found).await),
    }
}

fn under_way(task: &Task<'_>, found: &Stack) -> Step {
    Step::begun(&found.id, Some(url(task, &found.id)), format!("Stack {}: {}", found.name, found.status))
}

fn deleted(task: &Task<'_>, name: &str, id: &str) -> Step {
    Step::Done(Success {
        summary: Some(format!("Stack {name} was deleted.")),
        external_execution_id: Some(id.to_owned()),
        external_execution_url: Some(url(task, id)),
        ..Success::default()
    })
}

/// The end of an action whose stack stands: its outputs as variables and, if wanted, as an artifact.
async fn done(task: &Task<'_>, found: &Stack, summary: String) -> Result<Step, Failure> {
    let variables: BTreeMap<String, String> = found.outputs.iter().cloned().collect();
    if let Some(output) = task.job.outputs.first() {
        let file = task.value("OutputFileName").ok_or_else(|| {
            configuration(format!(
                "The action declares the output artifact `{}`, and no `OutputFileName` that says what the file in it \
                 is called.",
                output.name
            ))
        })?;
        let content = serde_json::to_vec_pretty(&json!(variables))
            .map_err(|error| unavailable(format!("The outputs cannot be written: {error}.")))?;
        let archive = archive::of_one_file(file, &content).map_err(|error| {
            configuration(format!("`OutputFileName` is `{file}`, which no archive takes: {error}."))
        })?;
        let properties = Properties {
            content_type: Some("application/zip".to_owned()),
            key: task.encryption_key.map(str::to_owned),
            ..Properties::default()
        };
        let to = (output.location.bucket.as_str(), output.location.key.as_str());
        task.objects.put(to, archive, &properties).await.map_err(|error| task.failed(error))?;
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > VARIABLES_BYTES_MAX {
        return Err(job_failed(format!(
            "The stack's outputs have {bytes} bytes, more than the {VARIABLES_BYTES_MAX} that an action's variables \
             may have."
        )));
    }
    Ok(Step::Done(Success {
        output_variables: variables,
        summary: Some(summary),
        external_execution_id: Some(found.id.clone()),
        external_execution_url: Some(url(task, &found.id)),
        ..Success::default()
    }))
}

/// Looks for what an earlier try may have begun: by the token of the stack's events, or a change set's description.
async fn find(task: &Task<'_>) -> Result<Option<String>, Failure> {
    let name = task.needs("StackName")?;
    match Mode::of(task)? {
        Mode::ChangeSetReplace => change_set::find(task, name).await,
        // Deleting twice does no harm.
        Mode::DeleteOnly => Ok(None),
        Mode::CreateUpdate | Mode::ReplaceOnFailure | Mode::ChangeSetExecute => {
            let Some(found) = stack::describe(task, name).await? else { return Ok(None) };
            let is_own = stack::was_begun_by(task, &found.id).await;
            Ok(is_own.then_some(found.id))
        }
    }
}

/// Only an update can be called off.
async fn stop(task: &Task<'_>, id: &str) -> Result<(), Failure> {
    if Mode::of(task)? == Mode::ChangeSetReplace {
        return Ok(());
    }
    let Some(found) = stack::describe(task, id).await? else { return Ok(()) };
    if found.status != "UPDATE_IN_PROGRESS" {
        return Ok(());
    }
    let params = pairs([("StackName", id)]);
    let stopped = task.client.query(Service::CloudFormation, "CancelUpdateStack", &params).await;
    stopped.map(drop).map_err(|error| refused(task, error))
}

fn is_busy(error: &CallError) -> bool {
    let message = error.message();
    error.code() == Some("ValidationError")
        && (message.contains("_IN_PROGRESS state") || message.contains("is in progress"))
}

/// CloudFormation says in the same way that something is missing and that a template is wrong; its own words say more
/// than ours could.
fn refused(task: &Task<'_>, error: CallError) -> Failure {
    match &error {
        CallError::Refused { code, message, .. }
            if code == "ValidationError" && !message.contains("is not authorized to perform") =>
        {
            configuration(format!("CloudFormation refused it: {}", ended(message)))
        }
        CallError::Refused { code, message, .. } if code == "InsufficientCapabilitiesException" => {
            configuration(format!(
                "The template makes resources that must be agreed to: add what is missing to `Capabilities`. {}",
                ended(message)
            ))
        }
        _ => task.failed(error),
    }
}

fn ended(text: &str) -> String {
    let text = text.trim();
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn url(task: &Task<'_>, id: &str) -> String {
    let region = task.region;
    format!(
        "{}/cloudformation/home?region={region}#/stack/detail?stackId={}",
        console(region),
        percent_encoded(id)
    )
}
