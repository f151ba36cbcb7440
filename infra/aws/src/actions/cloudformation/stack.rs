//! A stack as CloudFormation describes it, and what went wrong with it.

use super::{Service, pairs, refused, url};
use crate::{
    actions::provider::{Task, cut, job_failed},
    client::{CallError, Xml},
};
use engine::action::Failure;

/// Failed resources that are told of.
const FAILURES_SHOWN: usize = 3;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 800;

/// A stack.
pub(super) struct Stack {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    /// Names of its parameters.
    pub(super) parameters: Vec<String>,
    /// Its outputs.
    pub(super) outputs: Vec<(String, String)>,
}

/// Where a stack stands, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    UnderWay,
    Good,
    Bad,
    Deleted,
}

impl Stack {
    fn of(xml: &Xml) -> Self {
        let text = |name: &str| xml.text_of(name).unwrap_or_default();
        let outputs = xml.members("Outputs").filter_map(|output| {
            Some((output.text_of("OutputKey")?, output.text_of("OutputValue").unwrap_or_default()))
        });
        Self {
            id: text("StackId"),
            name: text("StackName"),
            status: text("StackStatus"),
            reason: xml.text_of("StackStatusReason").filter(|reason| !reason.is_empty()),
            parameters: xml.members("Parameters").filter_map(|known| known.text_of("ParameterKey")).collect(),
            outputs: outputs.collect(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        stage(&self.status)
    }

    /// It can only be deleted.
    pub(super) fn is_broken(&self) -> bool {
        matches!(
            self.status.as_str(),
            "ROLLBACK_COMPLETE"
                | "ROLLBACK_FAILED"
                | "CREATE_FAILED"
                | "DELETE_FAILED"
                | "UPDATE_ROLLBACK_FAILED"
        )
    }
}

fn stage(status: &str) -> Stage {
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Stage::Good,
        "DELETE_COMPLETE" => Stage::Deleted,
        // With the clean-up after an update among them: what is replaced is still being removed.
        status if status.ends_with("_IN_PROGRESS") => Stage::UnderWay,
        _ => Stage::Bad,
    }
}

/// A stack by its name or its id. One that was deleted is found by its id alone.
pub(super) async fn describe(task: &Task<'_>, name: &str) -> Result<Option<Stack>, Failure> {
    let params = pairs([("StackName", name)]);
    match task.client.query(Service::CloudFormation, "DescribeStacks", &params).await {
        Ok(answer) => Ok(answer.members("DescribeStacksResult/Stacks").next().map(Stack::of)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused(task, error)),
    }
}

fn is_missing(error: &CallError) -> bool {
    error.is(&["ValidationError", "StackNotFoundException"]) && error.message().contains("does not exist")
}

/// Asks for a stack to be deleted.
pub(super) async fn delete(task: &Task<'_>, id: &str, token: &str) -> Result<(), Failure> {
    let mut params = pairs([("StackName", id), ("ClientRequestToken", token)]);
    if let Some(role) = task.value("RoleArn") {
        params.push(("RoleARN".to_owned(), role.to_owned()));
    }
    let asked = task.client.query(Service::CloudFormation, "DeleteStack", &params).await;
    asked.map(drop).map_err(|error| refused(task, error))
}

/// One thing that happened to a stack, the newest first.
struct Event {
    token: Option<String>,
    logical: String,
    kind: String,
    status: String,
    reason: Option<String>,
}

/// The newest events of a stack. Whoever may not read them goes without.
async fn events(task: &Task<'_>, id: &str) -> Vec<Event> {
    let params = pairs([("StackName", id)]);
    match task.client.query(Service::CloudFormation, "DescribeStackEvents", &params).await {
        Ok(answer) => answer
            .members("DescribeStackEventsResult/StackEvents")
            .map(|event| Event {
                token: event.text_of("ClientRequestToken").filter(|token| !token.is_empty()),
                logical: event.text_of("LogicalResourceId").unwrap_or_default(),
                kind: event.text_of("ResourceType").unwrap_or_default(),
                status: event.text_of("ResourceStatus").unwrap_or_default(),
                reason: event.text_of("ResourceStatusReason").filter(|reason| !reason.is_empty()),
            })
            .collect(),
        Err(error) => {
            tracing::info!(%error, "the events of a stack were not read");
            Vec::new()
        }
    }
}

/// True when something happened to the stack because this attempt asked for it.
pub(super) async fn was_begun_by(task: &Task<'_>, id: &str) -> bool {
    let is_own = |event: &Event| event.token.as_deref().is_some_and(|token| token.starts_with(task.token()));
    events(task, id).await.iter().any(is_own)
}

/// Why a stack did not come to stand: the resources that failed first, and their reasons.
pub(super) async fn failed(task: &Task<'_>, found: &Stack) -> Failure {
    let Stack { name, status, reason, id, .. } = found;
    let mut message = format!("Stack {name} ended as {status}");
    message.push_str(
        &reason
            .as_ref()
            .map_or_else(|| ".".to_owned(), |reason| format!(": {}", cut(reason, REASON_CHARS_MAX))),
    );
    let events = events(task, id).await;
    // Since ours began; where events have no token, all that are known.
    let ours = |event: &&Event| event.token.as_deref().is_none_or(|token| token.starts_with(task.token()));
    let says_why = |event: &&Event| {
        let follows = |reason: &String| {
            reason.contains("cancelled")
                || reason.contains("Cancelled")
                || reason.contains("The following resource")
        };
        event.status.ends_with("_FAILED") && event.reason.as_ref().is_some_and(|reason| !follows(reason))
    };
    let mut failures: Vec<&Event> = events.iter().filter(ours).filter(says_why).collect();
    failures.reverse();
    for Event { logical, kind, status, reason, .. } in failures.into_iter().take(FAILURES_SHOWN) {
        let reason = cut(reason.as_deref().unwrap_or_default(), REASON_CHARS_MAX);
        message.push_str(&format!("\n{logical} ({kind}) {status}: {reason}"));
    }
    let mut failure = job_failed(message);
    failure.summary = Some(format!("Stack {name} ended as {status}"));
    failure.external_execution_id = Some(id.clone());
    failure.external_execution_url = Some(url(task, id));
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_one_of_four_stages() {
        for (status, expected) in [
            ("CREATE_COMPLETE", Stage::Good),
            ("UPDATE_COMPLETE", Stage::Good),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Stage::UnderWay),
            ("REVIEW_IN_PROGRESS", Stage::UnderWay),
            ("ROLLBACK_COMPLETE", Stage::Bad),
            ("UPDATE_ROLLBACK_COMPLETE", Stage::Bad),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", Stage::UnderWay),
            ("DELETE_FAILED", Stage::Bad),
            ("DELETE_COMPLETE", Stage::Deleted),
            ("UNHEARD_OF", Stage::Bad),
        ] {
            assert_eq!(stage(status), expected, "{status}");
        }
    }
}
