//! Messages for topics: changes of state as CodeStar Notifications publish them, and the question of an approval. See
//! `spec/events-and-notifications.md`, sections 3 and 4.

use super::{Course, StateChange, minutes};
use crate::{
    execution::{ActionStatus, AttemptRun, Execution},
    pipeline::PipelineDeclaration,
    trigger::{Here, event::rfc3339},
};
use events::{
    ActionCategory, ActionName, ActionStarted, PipelineName, StageName,
    outbound::{ChangeDetail, ChangedState},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The `source` in messages: there it is data, by which chat clients and other consumers know what they read.
const SOURCE: &str = "aws.codepipeline";
/// The version of our own members in a message.
const MESSAGE_VERSION: &str = "1";
/// Characters of a subject, most: the service's own.
const SUBJECT_CHARS_MAX: usize = 100;
/// Characters of a provider's words in a message, most.
const INFORMATION_CHARS_MAX: usize = 5_000;
/// Failed actions that a message names.
const FAILED_ACTIONS_MAX: usize = 50;

/// Every event type id there is.
pub const EVENT_TYPE_IDS: [&str; 18] = [
    "codepipeline-pipeline-action-execution-succeeded",
    "codepipeline-pipeline-action-execution-failed",
    "codepipeline-pipeline-action-execution-canceled",
    "codepipeline-pipeline-action-execution-started",
    "codepipeline-pipeline-stage-execution-started",
    "codepipeline-pipeline-stage-execution-succeeded",
    "codepipeline-pipeline-stage-execution-resumed",
    "codepipeline-pipeline-stage-execution-canceled",
    "codepipeline-pipeline-stage-execution-failed",
    "codepipeline-pipeline-pipeline-execution-failed",
    "codepipeline-pipeline-pipeline-execution-canceled",
    "codepipeline-pipeline-pipeline-execution-started",
    "codepipeline-pipeline-pipeline-execution-resumed",
    "codepipeline-pipeline-pipeline-execution-succeeded",
    "codepipeline-pipeline-pipeline-execution-superseded",
    "codepipeline-pipeline-manual-approval-failed",
    "codepipeline-pipeline-manual-approval-needed",
    "codepipeline-pipeline-manual-approval-succeeded",
];

/// What an installation's topic hears of unless something else is asked for: runs that fail, and people who are waited
/// for.
pub const EVENT_TYPE_IDS_DEFAULT: [&str; 2] =
    ["codepipeline-pipeline-pipeline-execution-failed", "codepipeline-pipeline-manual-approval-needed"];

/// The ids a notification rule may select a change by; none for states that have none.
pub fn event_type_ids(change: &StateChange) -> Vec<&'static str> {
    let state = change.state().as_str().to_lowercase();
    let (level, approval) = match &change.detail {
        ChangeDetail::Pipeline(_) => ("pipeline", false),
        ChangeDetail::Stage(_) => ("stage", false),
        ChangeDetail::Action(action) => ("action", action.action_type.category == ActionCategory::Approval),
    };
    let answer = match change.state() {
        ChangedState::Started => Some("needed"),
        ChangedState::Succeeded => Some("succeeded"),
        ChangedState::Failed => Some("failed"),
        ChangedState::Stopping
        | ChangedState::Stopped
        | ChangedState::Resumed
        | ChangedState::Canceled
        | ChangedState::Superseded
        | ChangedState::Abandoned
        | ChangedState::Skipped => None,
    };
    let wanted = [
        answer.filter(|_| approval).map(|answer| format!("codepipeline-pipeline-manual-approval-{answer}")),
        Some(format!("codepipeline-pipeline-{level}-execution-{state}")),
    ];
    let known = |wanted: String| EVENT_TYPE_IDS.into_iter().find(|id| *id == wanted);
    wanted.into_iter().flatten().filter_map(known).collect()
}

/// A message for a topic, before it has a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What people see first, where a protocol has such a thing.
    pub subject: Option<String>,
    /// The JSON.
    pub body: Value,
    /// What people read who get mail.
    pub mail: Option<String>,
    /// Texts to filter by.
    pub attributes: BTreeMap<String, String>,
}

/// A change as its message; `run` is the execution as it is now, `definition` the one it follows.
pub fn changed(
    change: &StateChange,
    course: &Course,
    run: &Execution,
    definition: Option<&PipelineDeclaration>,
    here: Here<'_>,
) -> Message {
    let ids = event_type_ids(change);
    let body = json!({
        "account": here.account,
        "detailType": change.detail_type(),
        "region": here.region,
        "source": SOURCE,
        "time": rfc3339(change.at),
        "notificationRuleArn": format!(
            "arn:aws:codestar-notifications:{}:{}:notificationrule/towpath", here.region, here.account
        ),
        "detail": serde_json::from_str::<Value>(&change.body()).unwrap_or_default(),
        "resources": [pipeline_arn(&change.pipeline, here)],
        "additionalAttributes": additional(change, course, run, definition),
        "towpathMessageVersion": MESSAGE_VERSION,
    });
    let attributes = [
        ("eventTypeId", ids.first().copied().unwrap_or_default().to_owned()),
        ("pipeline", change.pipeline.to_string()),
        ("state", change.state().as_str().to_owned()),
    ];
    let attributes = attributes.into_iter().filter(|(_, value)| !value.is_empty());
    Message {
        subject: None,
        body,
        mail: None,
        attributes: attributes.map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

/// `additionalAttributes`.
fn additional(
    change: &StateChange,
    course: &Course,
    run: &Execution,
    definition: Option<&PipelineDeclaration>,
) -> Value {
    let stage = course.stage();
    match (&change.detail, change.state()) {
        (ChangeDetail::Pipeline(_) | ChangeDetail::Stage(_), ChangedState::Failed) => {
            let failed = stage.map(|stage| failed_actions(run, stage)).unwrap_or_default();
            let told = failed.iter().take(FAILED_ACTIONS_MAX).map(
                |attempt| json!({ "action": attempt.action, "additionalInformation": information(attempt) }),
            );
            json!({
                "failedActionCount": failed.len(),
                "failedStage": stage,
                "failedActions": told.collect::<Vec<_>>(),
            })
        }
        (ChangeDetail::Stage(_), ChangedState::Started) => {
            let sources = run.stages.iter().flat_map(|stage| &stage.attempts).filter(|attempt| {
                attempt.action_type.category == ActionCategory::Source
                    && attempt.status == ActionStatus::Succeeded
                    && !attempt.set_aside
            });
            let told = sources.map(|attempt| {
                json!({
                    "sourceActionName": attempt.action,
                    "sourceActionProvider": attempt.action_type.provider,
                    "sourceActionVariables": attempt.output_variables,
                })
            });
            let told: Vec<Value> = told.collect();
            if told.is_empty() { json!({}) } else { json!({ "sourceActions": told }) }
        }
        (ChangeDetail::Action(action), ChangedState::Failed) => {
            let result = action.execution_result.as_ref();
            json!({ "additionalInformation": result.and_then(|result| result.external_execution_summary.clone()) })
        }
        (ChangeDetail::Action(action), ChangedState::Started)
            if action.action_type.category == ActionCategory::Approval =>
        {
            let attempt = run.attempt(&action.action_execution_id).map(|(_, attempt)| attempt);
            let declared = definition.and_then(|definition| definition.action(&action.stage, &action.action));
            let said = |key: &str| {
                let resolved = attempt.and_then(|attempt| attempt.resolved.get(key));
                resolved.or_else(|| declared.and_then(|declared| declared.configuration.get(key)))
            };
            json!({ "customData": said("CustomData"), "externalEntityLink": said("ExternalEntityLink") })
        }
        _ => json!({}),
    }
}

/// The newest attempt at each action of a stage that failed.
pub(crate) fn failed_actions<'r>(run: &'r Execution, stage: &StageName) -> Vec<&'r AttemptRun> {
    let attempts = run.stage(stage).map(|stage| stage.attempts.as_slice()).unwrap_or_default();
    let newest = |attempt: &&AttemptRun| {
        let later = attempts.iter().rev().find(|other| other.action == attempt.action);
        later.is_some_and(|later| later.action_execution == attempt.action_execution)
    };
    attempts.iter().filter(|attempt| attempt.status == ActionStatus::Failed).filter(newest).collect()
}

fn information(attempt: &AttemptRun) -> Option<String> {
    let message = attempt.error.as_ref().map(|(_, message)| message);
    let words = message.or(attempt.summary.as_ref())?;
    Some(words.chars().take(INFORMATION_CHARS_MAX).collect())
}

/// Where an approval stands, and what it says.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Asked<'a> {
    pub pipeline: &'a PipelineName,
    pub started: &'a ActionStarted,
    /// The action's configuration as declared; what held references is resolved in `started`.
    pub configuration: &'a BTreeMap<String, String>,
    /// The address of the pages people look at, without `/` at its end.
    pub console: Option<&'a str>,
}

impl Asked<'_> {
    fn said(&self, key: &str) -> Option<&String> {
        self.started.resolved.get(key).or_else(|| self.configuration.get(key))
    }

    /// The topic it is to be published to.
    pub fn topic(&self) -> Option<&str> {
        let is_approval = self.started.action_type.category == ActionCategory::Approval;
        self.said("NotificationArn").filter(|_| is_approval).map(String::as_str)
    }
}

/// The question of an approval as its message. `default` stays JSON, for the many that parse it.
pub fn approval(asked: Asked<'_>, region: &str) -> Message {
    let Asked { pipeline, started, console, .. } = asked;
    let (stage, action) = (&started.stage, &started.action);
    let token = started.token.as_deref().unwrap_or_default();
    let link = console_link(console, pipeline);
    let review = link.as_ref().map(|link| format!("{link}/{stage}/{action}/approve/{token}"));
    let body = json!({
        "region": region,
        "consoleLink": link,
        "approval": {
            "pipelineName": pipeline,
            "stageName": stage,
            "actionName": action,
            "token": token,
            "expires": minutes(started.deadline),
            "externalEntityLink": asked.said("ExternalEntityLink"),
            "approvalReviewLink": review,
            "customData": asked.said("CustomData"),
        },
    });
    let attributes = [
        ("eventTypeId", "codepipeline-pipeline-manual-approval-needed".to_owned()),
        ("pipeline", pipeline.to_string()),
        ("state", ChangedState::Started.as_str().to_owned()),
    ];
    Message {
        subject: Some(subject(pipeline, action)),
        body,
        mail: Some(mail(asked, review.as_deref())),
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

/// Names are ASCII; a long one is cut.
fn subject(pipeline: &PipelineName, action: &ActionName) -> String {
    let subject = format!("APPROVAL NEEDED: AWS CodePipeline {pipeline} for action {action}");
    subject.chars().take(SUBJECT_CHARS_MAX).collect()
}

fn mail(asked: Asked<'_>, review: Option<&str>) -> String {
    let Asked { pipeline, started, .. } = asked;
    let mut lines = vec![
        format!(
            "Pipeline {pipeline} waits for an approval in stage {}, action {}.",
            started.stage, started.action
        ),
        format!("It must be answered before {}.", minutes(started.deadline)),
    ];
    let said = [
        ("Comments", asked.said("CustomData").map(String::as_str)),
        ("To be reviewed", asked.said("ExternalEntityLink").map(String::as_str)),
        ("Approve or reject", review),
    ];
    lines.extend(said.into_iter().filter_map(|(what, said)| Some(format!("{what}: {}", said?))));
    lines.join("\n")
}

/// The page of a pipeline, spelt as in the vendor's console.
pub fn console_link(console: Option<&str>, pipeline: &PipelineName) -> Option<String> {
    console.map(|base| format!("{base}/#/view/{pipeline}"))
}

/// The ARN of a pipeline.
pub fn pipeline_arn(pipeline: &PipelineName, here: Here<'_>) -> String {
    format!("arn:aws:codepipeline:{}:{}:{pipeline}", here.region, here.account)
}

impl Message {
    /// The text to publish: by protocol where people with mail get words of their own.
    pub fn text(&self) -> String {
        let body = self.body.to_string();
        match &self.mail {
            None => body,
            Some(mail) => {
                let mut by_protocol = Map::new();
                by_protocol.insert("default".to_owned(), Value::String(body));
                by_protocol.insert("email".to_owned(), Value::String(mail.clone()));
                Value::Object(by_protocol).to_string()
            }
        }
    }
}
