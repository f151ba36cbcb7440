//! The gates of a stage: asking their conditions, and what a condition that has ended leads to. See
//! `spec/execution-semantics.md`, section 10.
//!
//! A condition is under way as long as one of its rules is. What the whole of them says is noted once, as its
//! verdict; what follows from a verdict is decided in `advance`.

use super::{ActionStatus, Execution, StageRun, StageStatus, rule};
use crate::{
    draft::Draft,
    limits,
    pipeline::{Condition, ConditionResult, PipelineDeclaration},
};
use events::{
    Artifact, ConditionEnded, ConditionStarted, ConditionType, ConditionVerdict, Entry, ExecutionEvent,
    ExecutionId, FailureCode, RuleAbandoned, RuleExecutionId, RuleName, StageName, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `ConditionExecutionStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ConditionStatus {
    InProgress,
    Failed,
    Errored,
    Succeeded,
    Cancelled,
    Abandoned,
    Overridden,
}

impl ConditionStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Errored => "Errored",
            Self::Succeeded => "Succeeded",
            Self::Cancelled => "Cancelled",
            Self::Abandoned => "Abandoned",
            Self::Overridden => "Overridden",
        }
    }
}

impl From<ConditionVerdict> for ConditionStatus {
    fn from(verdict: ConditionVerdict) -> Self {
        match verdict {
            ConditionVerdict::Succeeded => Self::Succeeded,
            ConditionVerdict::Failed => Self::Failed,
            ConditionVerdict::Errored => Self::Errored,
            ConditionVerdict::Cancelled => Self::Cancelled,
            ConditionVerdict::Abandoned => Self::Abandoned,
        }
    }
}

/// One time a gate was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionRun {
    /// Which gate.
    pub condition: ConditionType,
    /// The admission it belongs to.
    pub entry: Entry,
    /// The API's status.
    pub status: ConditionStatus,
    /// Which rules stood in the way.
    pub summary: Option<String>,
    /// Every rule, in declared order.
    pub rules: Vec<RuleRun>,
    /// When it was asked.
    pub started: Timestamp,
    /// When its status changed last.
    pub updated: Timestamp,
    /// Principal that overrode it.
    pub by: Option<String>,
    /// A retry set it aside: it no longer decides about its stage.
    pub set_aside: bool,
}

/// One attempt at one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `events::RuleStarted` and the events that end it")]
pub struct RuleRun {
    pub rule: RuleName,
    pub rule_execution: RuleExecutionId,
    pub entry: Entry,
    pub provider: String,
    pub version: String,
    /// `RuleExecutionStatus` has the words of `ActionExecutionStatus`.
    pub status: ActionStatus,
    pub started: Timestamp,
    /// When its status changed last.
    pub updated: Timestamp,
    pub deadline: Timestamp,
    pub resolved: BTreeMap<String, String>,
    pub inputs: Vec<Artifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<(FailureCode, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    pub mocked: bool,
    /// A result that no longer counts has been noted; more of them change nothing.
    pub result_ignored: bool,
}

impl RuleRun {
    /// As of an action.
    pub fn is_called_off(&self) -> bool {
        super::is_called_off(self.status, self.updated, self.deadline)
    }
}

impl StageRun {
    /// The newest asking of a gate, unless a retry set it aside.
    pub fn condition(&self, gate: ConditionType) -> Option<&ConditionRun> {
        self.conditions.iter().rev().find(|run| run.condition == gate && !run.set_aside)
    }

    /// The condition under way; there is at most one.
    pub fn open_condition(&self) -> Option<&ConditionRun> {
        self.conditions.iter().rev().find(|run| run.status == ConditionStatus::InProgress && !run.set_aside)
    }

    /// Attempts at rules that are under way.
    pub fn running_rules(&self) -> impl Iterator<Item = &RuleRun> {
        let rules = self.conditions.iter().flat_map(|condition| &condition.rules);
        rules.filter(|rule| rule.status == ActionStatus::InProgress)
    }

    /// The gate it failed by, if it was a gate rather than an action.
    pub fn failed_by(&self) -> Option<&ConditionRun> {
        let gates = [ConditionType::BeforeEntry, ConditionType::OnSuccess].into_iter();
        let shut =
            |run: &&ConditionRun| matches!(run.status, ConditionStatus::Failed | ConditionStatus::Errored);
        let failed = self.status == StageStatus::Failed;
        gates.filter_map(|gate| self.condition(gate).filter(shut)).find(|_| failed)
    }
}

impl Execution {
    /// One attempt at a rule by its id.
    pub fn rule(&self, id: &RuleExecutionId) -> Option<(&StageRun, &ConditionRun, &RuleRun)> {
        self.rules().find(|(_, _, rule)| rule.rule_execution == *id)
    }

    /// Every attempt at a rule, with its stage and condition, in order of start.
    pub fn rules(&self) -> impl Iterator<Item = (&StageRun, &ConditionRun, &RuleRun)> {
        self.stages.iter().flat_map(|stage| {
            stage
                .conditions
                .iter()
                .flat_map(move |condition| condition.rules.iter().map(move |rule| (stage, condition, rule)))
        })
    }

    /// Every attempt at a rule that is under way.
    pub fn running_rules(&self) -> impl Iterator<Item = (&StageRun, &ConditionRun, &RuleRun)> {
        self.rules().filter(|(_, _, rule)| rule.status == ActionStatus::InProgress)
    }
}

/// What a gate says to a run that stands in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Go on: there is no condition, it is met, or someone overrode it.
    Open,
    /// Nobody has asked it yet.
    Unasked,
    /// The condition asks for its result. For `onFailure` that is so when it is met, for the others when it is not.
    Engages(ConditionResult),
}

/// What a gate of the run's stage says. A condition under way is closed, by [`close`], before this is asked. A
/// rollback is asked nothing: it must be able to go back whatever the gates say, and does not go back again.
pub(crate) fn gate(
    draft: &Draft<'_>,
    definition: &PipelineDeclaration,
    stage: &StageName,
    which: ConditionType,
) -> Gate {
    let declared = declared(definition, stage, which).filter(|_| !draft.scope.execution.is_rollback());
    let Some(declared) = declared else { return Gate::Open };
    let run = draft.scope.execution.stage(stage).and_then(|run| run.condition(which));
    let Some(run) = run else { return Gate::Unasked };
    let engages = Gate::Engages(declared.result_in(which));
    match (which, run.status) {
        (_, ConditionStatus::Overridden) => Gate::Open,
        (ConditionType::OnFailure, ConditionStatus::Succeeded) => engages,
        (ConditionType::OnFailure, ConditionStatus::Failed | ConditionStatus::Errored) => Gate::Open,
        (ConditionType::BeforeEntry | ConditionType::OnSuccess, ConditionStatus::Succeeded) => Gate::Open,
        (
            ConditionType::BeforeEntry | ConditionType::OnSuccess,
            ConditionStatus::Failed | ConditionStatus::Errored,
        ) => engages,
        (_, ConditionStatus::InProgress | ConditionStatus::Cancelled | ConditionStatus::Abandoned) => {
            Gate::Unasked
        }
    }
}

fn declared<'d>(
    definition: &'d PipelineDeclaration,
    stage: &StageName,
    which: ConditionType,
) -> Option<&'d Condition> {
    definition.stage(stage)?.condition(which)
}

/// Asks a gate: all of its rules at once. A rule that cannot start fails at once.
pub(crate) fn ask(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
    which: ConditionType,
) {
    let Some(declared) = declared(definition, stage, which) else { return };
    let Some(entry) = draft.scope.execution.stage(stage).map(|run| run.entry) else { return };
    draft.execution(ExecutionEvent::ConditionStarted(ConditionStarted {
        stage: stage.clone(),
        condition: which,
        entry,
    }));
    for declared in &declared.rules {
        rule::start(draft, id, definition, &rule::Place { stage, condition: which, entry }, declared);
    }
}

/// Notes the verdict of a condition whose rules have all ended. False when there is none.
pub(crate) fn close(draft: &mut Draft<'_>, stage: &StageName) -> bool {
    let Some(open) = draft.scope.execution.stage(stage).and_then(StageRun::open_condition) else {
        return false;
    };
    let (verdict, summary) = verdict(open);
    let condition = open.condition;
    draft.execution(ExecutionEvent::ConditionEnded(ConditionEnded {
        stage: stage.clone(),
        condition,
        verdict,
        summary,
    }));
    true
}

/// One failed rule fails the condition; one that could not be asked makes it an error, whatever the others say.
fn verdict(condition: &ConditionRun) -> (ConditionVerdict, Option<String>) {
    let failed: Vec<(&RuleRun, FailureCode, &str)> = condition
        .rules
        .iter()
        .filter(|rule| rule.status != ActionStatus::Succeeded)
        .map(|rule| match &rule.error {
            Some((code, message)) => (rule, *code, message.as_str()),
            None => (rule, FailureCode::JobFailed, "given up"),
        })
        .collect();
    let verdict = if failed.is_empty() {
        ConditionVerdict::Succeeded
    } else if failed.iter().any(|(_, code, _)| could_not_run(*code)) {
        ConditionVerdict::Errored
    } else {
        ConditionVerdict::Failed
    };
    let words: Vec<String> =
        failed.iter().map(|(rule, _, message)| format!("{}: {message}", rule.rule)).collect();
    let summary: String = words.join("; ").chars().take(limits::CONDITION_SUMMARY_CHARS_MAX).collect();
    (verdict, Some(summary).filter(|text| !text.is_empty()))
}

/// A rule that answered "no", as against one that could not be asked.
fn could_not_run(code: FailureCode) -> bool {
    match code {
        FailureCode::JobFailed => false,
        FailureCode::ConfigurationError
        | FailureCode::PermissionError
        | FailureCode::RevisionOutOfSync
        | FailureCode::RevisionUnavailable
        | FailureCode::SystemUnavailable => true,
    }
}

/// Gives up every rule under way and the conditions they belong to.
pub(crate) fn give_up(draft: &mut Draft<'_>, verdict: ConditionVerdict) {
    abandon_rules(draft);
    let open: Vec<(StageName, ConditionType)> = draft
        .scope
        .execution
        .stages
        .iter()
        .filter_map(|stage| stage.open_condition().map(|open| (stage.stage.clone(), open.condition)))
        .collect();
    for (stage, condition) in open {
        let ended = ConditionEnded { stage, condition, verdict, summary: None };
        draft.execution(ExecutionEvent::ConditionEnded(ended));
    }
}

/// Gives up every rule under way.
pub(crate) fn abandon_rules(draft: &mut Draft<'_>) {
    let running: Vec<RuleAbandoned> = draft
        .scope
        .execution
        .running_rules()
        .map(|(stage, _, rule)| RuleAbandoned {
            stage: stage.stage.clone(),
            rule: rule.rule.clone(),
            rule_execution: rule.rule_execution.clone(),
        })
        .collect();
    for abandoned in running {
        draft.execution(ExecutionEvent::RuleAbandoned(abandoned));
    }
}
