//! What a notice says of a run, before it is put into the words of a channel.

use super::Outcome;
use crate::{
    execution::{ActionStatus, AttemptRun, Execution, ExecutionStatus, StageStatus},
    pipeline::PipelineDeclaration,
    state_change::topic,
    story,
};
use events::{
    ActionCategory, ConditionType, ExecutionId, PipelineName, PipelineVersion, SourceRevision, StageName,
    Timestamp, TriggerType,
};

/// Letters of an execution's id that people are shown.
const SHORT_ID: usize = 8;
/// Letters of a commit's id that people are shown.
const SHORT_COMMIT: usize = 7;
/// Lines of output that a failure is shown with, most: the last.
const LOG_LINES_MAX: usize = 15;
/// Commits that are named, most.
const COMMITS_MAX: usize = 3;
/// Failed actions that are named, most.
const FAILURES_MAX: usize = 5;

/// A run as a notice shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run's id, shortened.
    pub execution: String,
    /// The definition it follows.
    pub version: PipelineVersion,
    /// What it is.
    pub status: ExecutionStatus,
    /// What it is to whoever is told; `None` while nothing of note has happened last.
    pub outcome: Option<Outcome>,
    /// It goes back to what an earlier run had.
    pub is_rollback: bool,
    /// Every stage of its definition, in order.
    pub stages: Vec<Step>,
    /// What it brings.
    pub commits: Vec<Commit>,
    /// Who or what started it.
    pub trigger: String,
    /// When.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What failed, where it has failed.
    pub failures: Vec<Failure>,
    /// Why it was cancelled or stopped.
    pub cause: Option<String>,
    /// Approvals that it waits for.
    pub approvals: Vec<Approval>,
    /// The page people look at.
    pub link: Option<String>,
    /// The account and the Region.
    pub place: String,
}

/// A stage in the strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub stage: StageName,
    /// What became of it; `None`: it was not reached.
    pub status: Option<StageStatus>,
    /// It waits for an approval.
    pub waits: bool,
}

/// A commit, or whatever else a source fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id, shortened where it is one of Git's.
    pub id: String,
    /// Where people can look at it.
    pub url: Option<String>,
    /// The first line of its message.
    pub title: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// From which branch.
    pub branch: Option<String>,
}

/// An action, or a condition, that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stage.
    pub stage: StageName,
    /// The action, or the gate.
    pub what: String,
    /// The class of failure.
    pub code: Option<String>,
    /// The provider's words: the first line.
    pub reason: String,
    /// What follows in them: the last lines of output.
    pub lines: Vec<String>,
    /// Where people can look at the work.
    pub url: Option<String>,
}

/// An approval somebody is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: String,
    /// Until when it may be answered.
    pub until: Timestamp,
    /// What it says.
    pub comment: Option<String>,
    /// What is to be looked at.
    pub url: Option<String>,
}

/// What is known besides the run.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Known<'a> {
    pub execution: &'a ExecutionId,
    pub definition: Option<&'a PipelineDeclaration>,
    /// The address of the pages people look at, without `/` at its end.
    pub console: Option<&'a str>,
    pub account: &'a str,
    pub region: &'a str,
}

impl Facts {
    /// What there is to say of a run; `None` of one that does not exist.
    pub fn of(run: &Execution, outcome: Option<Outcome>, known: Known<'_>) -> Option<Self> {
        let start = run.start.as_ref()?;
        Some(Self {
            pipeline: start.pipeline.clone(),
            execution: known.execution.as_str().chars().take(SHORT_ID).collect(),
            version: start.pipeline_version,
            status: run.status,
            outcome,
            is_rollback: run.is_rollback(),
            stages: steps(run, known.definition),
            commits: run.revisions.iter().take(COMMITS_MAX).map(|revision| commit(run, revision)).collect(),
            trigger: who(start.trigger.kind, &start.trigger.detail),
            started: start.at,
            ended: run.ended,
            failures: failures(run),
            cause: cause(run),
            approvals: approvals(run, known.definition),
            link: topic::console_link(known.console, &start.pipeline),
            place: format!("{} {}", known.account, known.region),
        })
    }
}

fn steps(run: &Execution, definition: Option<&PipelineDeclaration>) -> Vec<Step> {
    let step = |stage: &StageName| {
        let known = run.stage(stage);
        let waits = known.is_some_and(|known| known.running().any(is_approval));
        Step { stage: stage.clone(), status: known.map(|known| known.status), waits }
    };
    // A rollback is about the one stage it was started for.
    match definition.filter(|_| !run.is_rollback()) {
        Some(definition) => definition.stages.iter().map(|stage| step(&stage.name)).collect(),
        None => run.stages.iter().map(|stage| step(&stage.stage)).collect(),
    }
}

fn is_approval(attempt: &AttemptRun) -> bool {
    attempt.action_type.category == ActionCategory::Approval
}

fn commit(run: &Execution, revision: &SourceRevision) -> Commit {
    let attempts = run.stages.iter().flat_map(|stage| &stage.attempts);
    let source = attempts.rev().find(|attempt| attempt.action == revision.action);
    let said = |keys: &[&str]| {
        let variables = source.map(|source| &source.output_variables)?;
        keys.iter().find_map(|key| variables.get(*key).filter(|value| !value.is_empty()).cloned())
    };
    let is_git =
        revision.revision_id.len() >= 40 && revision.revision_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = &revision.revision_id;
    Commit {
        id: if is_git { id.chars().take(SHORT_COMMIT).collect() } else { story::one_line(id) },
        url: revision.url.clone(),
        title: revision.summary.as_deref().map(title).filter(|title| !title.is_empty()),
        author: said(&["AuthorDisplayName", "AuthorName", "AuthorEmail", "AuthorId"]),
        branch: said(&["BranchName", "TagName"]),
    }
}

/// A connection's source action says more than the message, as JSON.
fn title(summary: &str) -> String {
    let read = || {
        serde_json::from_str::<serde_json::Value>(summary).ok()?["CommitMessage"]
            .as_str()
            .map(story::one_line)
    };
    let wrapped = summary.starts_with('{').then(read).flatten();
    wrapped.unwrap_or_else(|| story::one_line(summary))
}

/// The principal's own name rather than its whole ARN.
fn who(kind: TriggerType, detail: &str) -> String {
    let detail = story::one_line(detail);
    let name = match detail.strip_prefix("arn:") {
        Some(rest) => rest.rsplit(['/', ':']).next().unwrap_or(&detail),
        None => &detail,
    };
    if name.is_empty() { format!("{kind:?}") } else { format!("{name} ({kind:?})") }
}

fn failures(run: &Execution) -> Vec<Failure> {
    let Some(stage) = run.current_stage().filter(|_| run.status == ExecutionStatus::Failed) else {
        return Vec::new();
    };
    let failed = topic::failed_actions(run, &stage.stage).into_iter().map(|attempt| {
        let (code, message) = match &attempt.error {
            Some((code, message)) => (Some(code.to_string()), message.as_str()),
            None => (None, attempt.summary.as_deref().unwrap_or_default()),
        };
        let (reason, lines) = told(message);
        Failure {
            stage: stage.stage.clone(),
            what: attempt.action.to_string(),
            code,
            reason,
            lines,
            url: attempt.external_execution_url.clone(),
        }
    });
    let gate = stage.failed_by().map(|condition| Failure {
        stage: stage.stage.clone(),
        what: gate(condition.condition).to_owned(),
        code: None,
        reason: condition.summary.as_deref().map(story::one_line).unwrap_or_default(),
        lines: Vec::new(),
        url: None,
    });
    failed.chain(gate).take(FAILURES_MAX).collect()
}

fn gate(condition: ConditionType) -> &'static str {
    condition.member()
}

/// A provider's words: the first line says why, the others are what it saw last.
fn told(message: &str) -> (String, Vec<String>) {
    let visible = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>();
    let mut lines = message.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    let reason = lines.next().map(visible).unwrap_or_default();
    let rest: Vec<String> = lines.map(visible).collect();
    let last = rest.len().saturating_sub(LOG_LINES_MAX);
    (reason, rest.into_iter().skip(last).collect())
}

fn cause(run: &Execution) -> Option<String> {
    match run.status {
        ExecutionStatus::Stopped | ExecutionStatus::Stopping => {
            let stop = run.stop.as_ref()?;
            let reason = stop.reason.as_deref().map(story::one_line).filter(|reason| !reason.is_empty());
            let by = stop.by.rsplit(['/', ':']).next().unwrap_or_default();
            Some(match reason {
                Some(reason) => format!("{reason} ({by})"),
                None => by.to_owned(),
            })
        }
        ExecutionStatus::Cancelled => run.cause.as_deref().map(story::one_line),
        ExecutionStatus::Superseded => {
            let by: String = run.cause.as_deref()?.chars().take(SHORT_ID).collect();
            Some(format!("by execution {by}"))
        }
        ExecutionStatus::InProgress | ExecutionStatus::Succeeded | ExecutionStatus::Failed => None,
    }
}

fn approvals(run: &Execution, definition: Option<&PipelineDeclaration>) -> Vec<Approval> {
    let waiting = run.running().filter(|(_, attempt)| is_approval(attempt));
    let told = waiting.map(|(stage, attempt)| {
        let declared = definition.and_then(|definition| definition.action(&stage.stage, &attempt.action));
        let said = |key: &str| {
            let declared = declared.and_then(|declared| declared.configuration.get(key));
            attempt.resolved.get(key).or(declared).cloned()
        };
        Approval {
            stage: stage.stage.clone(),
            action: attempt.action.to_string(),
            until: attempt.deadline,
            comment: said("CustomData"),
            url: said("ExternalEntityLink"),
        }
    });
    told.take(FAILURES_MAX).collect()
}

/// Who answered an approval, and how; `None` for what is no answer.
pub fn answered(attempt: &AttemptRun) -> Option<(bool, String, Option<String>)> {
    let by = attempt.by.as_deref().filter(|_| is_approval(attempt))?;
    let by = by.rsplit(['/', ':']).next().unwrap_or(by).to_owned();
    Some((attempt.status == ActionStatus::Succeeded, by, attempt.summary.as_deref().map(story::one_line)))
}

/// A time span in words: `2 h 5 min`, `1 min 3 s`, `4 s`.
pub fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.since(from) / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}
