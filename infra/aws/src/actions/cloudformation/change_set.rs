//! Change sets: made anew, and carried out. No event tells that one is ready, so it is waited for a moment.

use super::{NO_UPDATES, Order, Service, Stack, Stage, done, pairs, refused, under_way, url};
use crate::{
    actions::provider::{Step, Task, configuration, job_failed, unavailable},
    client::Xml,
};
use engine::action::{Failure, Success};
use std::time::Duration;
use tokio::time::Instant;

/// How long is waited between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A change set as it stands.
struct ChangeSet {
    id: String,
    status: String,
    reason: String,
    execution: String,
    description: String,
}

impl ChangeSet {
    fn of(answer: &Xml) -> Self {
        let text =
            |name: &str| answer.text_of(&format!("DescribeChangeSetResult/{name}")).unwrap_or_default();
        Self {
            id: text("ChangeSetId"),
            status: text("Status"),
            reason: text("StatusReason"),
            execution: text("ExecutionStatus"),
            description: text("Description"),
        }
    }

    /// It was not made because there is nothing to change.
    fn is_empty(&self) -> bool {
        self.status == "FAILED"
            && (self.reason.contains("didn't contain changes") || self.reason.contains(NO_UPDATES))
    }
}

/// Makes the change set, after removing one of the same name.
pub(super) async fn replace(task: &Task<'_>, stack: &str, found: Option<Stack>) -> Result<Step, Failure> {
    let name = task.needs("ChangeSetName")?;
    let is_new = found.as_ref().is_none_or(|found| found.status == "REVIEW_IN_PROGRESS");
    if !is_new && found.as_ref().is_some_and(|found| found.stage() == Stage::UnderWay) {
        return Ok(Step::NotYet);
    }
    if !is_out_of_the_way(task, stack, name).await? {
        return Ok(Step::NotYet);
    }
    let order = Order::read(task).await?;
    let parameters = found.filter(|_| !is_new).map(|found| found.parameters).unwrap_or_default();
    let mut params = order.params(task, &parameters).await?;
    // Policies come with the stack, not with the change set.
    params.retain(|(name, _)| name != "StackPolicyBody");
    params.extend(pairs([
        ("StackName", stack),
        ("ChangeSetName", name),
        ("ChangeSetType", if is_new { "CREATE" } else { "UPDATE" }),
        ("ClientToken", task.token()),
        // By it a change set is known again.
        ("Description", task.token()),
    ]));
    let made = task.client.query(Service::CloudFormation, "CreateChangeSet", &params).await;
    let made = match made {
        Ok(made) => made,
        Err(error) if error.is(&["AlreadyExistsException"]) => return Ok(Step::NotYet),
        Err(error) => return Err(refused(task, error)),
    };
    let id = made.text_of("CreateChangeSetResult/Id");
    let id = id.ok_or_else(|| unavailable("CloudFormation answered `CreateChangeSet` without an id."))?;
    let until = Instant::now() + task.linger;
    loop {
        let step = ask(task, stack, &id).await?;
        if !matches!(step, Step::Begun(_)) || Instant::now() + LOOK_EVERY >= until {
            return Ok(step);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Removes a change set of that name; false when that takes longer than is waited.
async fn is_out_of_the_way(task: &Task<'_>, stack: &str, name: &str) -> Result<bool, Failure> {
    let until = Instant::now() + task.linger;
    let mut asked = false;
    loop {
        let Some(old) = describe(task, stack, name).await? else { return Ok(true) };
        match old.status.as_str() {
            "CREATE_PENDING" | "CREATE_IN_PROGRESS" | "DELETE_PENDING" | "DELETE_IN_PROGRESS" => {}
            _ if asked => {}
            _ => {
                let params = pairs([("StackName", stack), ("ChangeSetName", name)]);
                let removed = task.client.query(Service::CloudFormation, "DeleteChangeSet", &params).await;
                removed.map_err(|error| refused(task, error))?;
                asked = true;
                continue;
            }
        }
        if Instant::now() + LOOK_EVERY >= until {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Asks how far a change set is.
pub(super) async fn ask(task: &Task<'_>, stack: &str, id: &str) -> Result<Step, Failure> {
    let name = task.needs("ChangeSetName")?;
    let Some(made) = describe(task, stack, id).await? else {
        return Err(job_failed(format!(
            "The change set `{name}` of the stack `{stack}` was removed before it was ready. Retry the stage."
        )));
    };
    let url = format!("{}&changeSetId={}", url(task, stack), api::sigv4::percent_encoded(id));
    let success = |summary: String| Success {
        summary: Some(summary),
        external_execution_id: Some(id.to_owned()),
        external_execution_url: Some(url.clone()),
        ..Success::default()
    };
    match made.status.as_str() {
        "CREATE_COMPLETE" => {
            // Its outputs are those of the stack as it is: nothing has changed yet.
            let found = super::stack::describe(task, stack).await?;
            let outputs = found.map(|found| found.outputs).unwrap_or_default();
            let summary = format!("Change set {name} of the stack {stack} is ready.");
            Ok(Step::Done(Success { output_variables: outputs.into_iter().collect(), ..success(summary) }))
        }
        "FAILED" if made.is_empty() => {
            Ok(Step::Done(success(format!("Change set {name} changes nothing in the stack {stack}."))))
        }
        "CREATE_PENDING" | "CREATE_IN_PROGRESS" => {
            Ok(Step::begun(id, Some(url), format!("Change set {name} is being made")))
        }
        status => {
            let mut failure = job_failed(format!(
                "The change set `{name}` of the stack `{stack}` ended as {status}: {}",
                super::ended(&made.reason)
            ));
            failure.external_execution_id = Some(id.to_owned());
            failure.external_execution_url = Some(url);
            Err(failure)
        }
    }
}

/// Carries a change set out.
pub(super) async fn execute(task: &Task<'_>, stack: &str, found: Option<Stack>) -> Result<Step, Failure> {
    let name = task.needs("ChangeSetName")?;
    let missing = || {
        configuration(format!(
            "There is no change set `{name}` of the stack `{stack}` in {}. An action with `CHANGE_SET_REPLACE` must \
             make it before this one.",
            task.region
        ))
    };
    let found = found.ok_or_else(missing)?;
    let change_set = describe(task, stack, name).await?.ok_or_else(missing)?;
    if change_set.is_empty() {
        return done(task, &found, format!("Change set {name} changes nothing in the stack {stack}.")).await;
    }
    if change_set.status.ends_with("_IN_PROGRESS") || change_set.status.ends_with("_PENDING") {
        return Ok(Step::NotYet);
    }
    if change_set.status == "FAILED" {
        return Err(job_failed(format!(
            "The change set `{name}` of the stack `{stack}` cannot be carried out; it failed: {}",
            super::ended(&change_set.reason)
        )));
    }
    if found.stage() == Stage::UnderWay && found.status != "REVIEW_IN_PROGRESS" {
        return Ok(Step::NotYet);
    }
    if let Some(policy) = Order::stack_policy(task).await? {
        let params = pairs([("StackName", stack), ("StackPolicyBody", &policy)]);
        let set = task.client.query(Service::CloudFormation, "SetStackPolicy", &params).await;
        set.map_err(|error| refused(task, error))?;
    }
    let params = pairs([("StackName", stack), ("ChangeSetName", name), ("ClientRequestToken", task.token())]);
    match task.client.query(Service::CloudFormation, "ExecuteChangeSet", &params).await {
        Ok(_) => Ok(under_way(task, &found)),
        Err(error) if error.is(&["InvalidChangeSetStatus", "InvalidChangeSetStatusException"]) => {
            Err(job_failed(format!(
                "The change set `{name}` of the stack `{stack}` cannot be carried out: {} Make it anew.",
                super::ended(error.message())
            )))
        }
        Err(error) => Err(refused(task, error)),
    }
}

/// True while a change set is being carried out although the stack still shows its state of before.
pub(super) async fn is_being_carried_out(task: &Task<'_>, stack: &str) -> Result<bool, Failure> {
    let found = describe(task, stack, task.needs("ChangeSetName")?).await?;
    Ok(found.is_some_and(|found| found.execution == "EXECUTE_IN_PROGRESS"))
}

/// The change set that an earlier try made.
pub(super) async fn find(task: &Task<'_>, stack: &str) -> Result<Option<String>, Failure> {
    let found = describe(task, stack, task.needs("ChangeSetName")?).await?;
    Ok(found.filter(|found| found.description == task.token()).map(|found| found.id))
}

async fn describe(task: &Task<'_>, stack: &str, name: &str) -> Result<Option<ChangeSet>, Failure> {
    let params = pairs([("StackName", stack), ("ChangeSetName", name)]);
    match task.client.query(Service::CloudFormation, "DescribeChangeSet", &params).await {
        Ok(answer) => Ok(Some(ChangeSet::of(&answer))),
        Err(error) if error.is(&["ChangeSetNotFound", "ChangeSetNotFoundException"]) => Ok(None),
        Err(error)
            if error.code() == Some("ValidationError") && error.message().contains("does not exist") =>
        {
            Ok(None)
        }
        Err(error) => Err(refused(task, error)),
    }
}
