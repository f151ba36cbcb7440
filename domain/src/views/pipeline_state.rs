//! What `GetPipelineState` shows beyond the lane: how each stage was entered last, and the newest attempt at each
//! action, whichever execution made it. See `spec/execution-semantics.md`, section 13.

use super::{Row, by_entry, json, listing::pipeline_partition};
use crate::execution::{
    ActionStatus, AttemptRun, ConditionRun, ConditionStatus, Execution, ExecutionType, RetryTrigger, RuleRun,
    StageStatus,
};
use events::{
    ActionCategory, ActionExecutionId, ActionName, ConditionType, Entry, ExecutionEvent, ExecutionId,
    FailureCode, RuleExecutionId, RuleName, SourceRevision, StageName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// The execution that entered a stage last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words, see `StageExecution` and `RetryStageMetadata`")]
pub struct StageRow {
    pub execution: ExecutionId,
    pub status: StageStatus,
    pub entry: Entry,
    pub execution_type: ExecutionType,
    pub manual_retries: u32,
    pub auto_retries: u32,
    pub latest_retry: Option<RetryTrigger>,
}

/// The newest attempt at an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRow<'a> {
    /// The execution it belongs to.
    pub execution: Cow<'a, ExecutionId>,
    /// What is shown of the attempt.
    pub attempt: Shown<'a>,
}

/// What `GetPipelineState` shows of an attempt, under the names that [`AttemptRun`] has for it: a row is written with
/// every change of one, and paid for by its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `AttemptRun`")]
pub struct Shown<'a> {
    pub action_execution: Cow<'a, ActionExecutionId>,
    pub action_type: ShownType,
    pub status: ActionStatus,
    pub updated: Timestamp,
    pub resolved: Cow<'a, BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Cow<'a, SourceRevision>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, (FailureCode, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Cow<'a, str>>,
}

/// What kind of work an attempt is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownType {
    /// `category` of its type.
    pub category: ActionCategory,
}

impl<'a> Shown<'a> {
    fn of(run: &'a AttemptRun) -> Self {
        Self {
            action_execution: Cow::Borrowed(&run.action_execution),
            action_type: ShownType { category: run.action_type.category },
            status: run.status,
            updated: run.updated,
            resolved: Cow::Borrowed(&run.resolved),
            token: text(&run.token),
            revision: run.revision.as_ref().map(Cow::Borrowed),
            error: run.error.as_ref().map(Cow::Borrowed),
            summary: text(&run.summary),
            external_execution_id: text(&run.external_execution_id),
            external_execution_url: text(&run.external_execution_url),
            percent_complete: run.percent_complete,
            by: text(&run.by),
        }
    }
}

/// The newest asking of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionRow<'a> {
    /// The execution it belongs to.
    pub execution: Cow<'a, ExecutionId>,
    /// What is shown of the condition.
    pub condition: ShownCondition<'a>,
}

/// What `GetPipelineState` shows of a condition, under the names that [`ConditionRun`] has for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `ConditionRun`")]
pub struct ShownCondition<'a> {
    pub status: ConditionStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    pub rules: Vec<ShownRule<'a>>,
    pub updated: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Cow<'a, str>>,
}

/// What `GetPipelineState` shows of a rule, under the names that [`RuleRun`] has for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `RuleRun`")]
pub struct ShownRule<'a> {
    pub rule: Cow<'a, RuleName>,
    pub rule_execution: Cow<'a, RuleExecutionId>,
    pub status: ActionStatus,
    pub updated: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, (FailureCode, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<Cow<'a, str>>,
}

impl<'a> ShownCondition<'a> {
    fn of(run: &'a ConditionRun) -> Self {
        Self {
            status: run.status,
            summary: text(&run.summary),
            rules: run.rules.iter().map(ShownRule::of).collect(),
            updated: run.updated,
            by: text(&run.by),
        }
    }
}

impl<'a> ShownRule<'a> {
    fn of(run: &'a RuleRun) -> Self {
        Self {
            rule: Cow::Borrowed(&run.rule),
            rule_execution: Cow::Borrowed(&run.rule_execution),
            status: run.status,
            updated: run.updated,
            error: run.error.as_ref().map(Cow::Borrowed),
            summary: text(&run.summary),
            external_execution_id: text(&run.external_execution_id),
            external_execution_url: text(&run.external_execution_url),
        }
    }
}

fn text(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}

/// The gates of a stage.
pub const GATES: [ConditionType; 3] =
    [ConditionType::BeforeEntry, ConditionType::OnSuccess, ConditionType::OnFailure];

/// Prefix of condition rows, within [`pipeline_partition`].
pub const CONDITION_PREFIX: &str = "condition#";

/// Place of a condition's row, within [`pipeline_partition`].
pub fn condition_key(stage: &StageName, gate: ConditionType) -> String {
    [CONDITION_PREFIX, stage.as_str(), "/", gate.member()].concat()
}

/// Prefix of stage rows, within [`pipeline_partition`].
pub const STAGE_PREFIX: &str = "stage#";

/// Place of a stage's row, within [`pipeline_partition`].
pub fn stage_key(stage: &StageName) -> String {
    [STAGE_PREFIX, stage.as_str()].concat()
}

/// Prefix of action rows, within [`pipeline_partition`].
pub const ACTION_PREFIX: &str = "action#";

/// Place of an action's row, within [`pipeline_partition`]. No stage's name holds a `/`.
pub fn action_key(stage: &StageName, action: &ActionName) -> String {
    [ACTION_PREFIX, stage.as_str(), "/", action.as_str()].concat()
}

/// Rows of what some events touched: a row is written when it changes, and not whenever its stage does.
pub fn rows<'a>(
    id: &ExecutionId,
    state: &Execution,
    version: Version,
    events: impl IntoIterator<Item = &'a ExecutionEvent>,
) -> Vec<Row> {
    let Some(start) = &state.start else { return Vec::new() };
    let p = pipeline_partition(&start.pipeline, start.incarnation);
    let mut touched = Touched::default();
    events.into_iter().for_each(|event| touched.add(state, event));
    let mut rows = Vec::new();
    for run in &state.stages {
        let by_stage = by_entry(run.entry, version);
        if touched.stages.contains(&run.stage) {
            let stage = StageRow {
                execution: id.clone(),
                status: run.status,
                entry: run.entry,
                execution_type: start.execution_type(),
                manual_retries: run.manual_retries,
                auto_retries: run.auto_retries,
                latest_retry: run.retry.map(|retry| retry.trigger),
            };
            let q = stage_key(&run.stage);
            rows.push(Row { p: p.clone(), q, v: by_stage, body: Some(json(&stage)) });
        }
        for gate in GATES.into_iter().filter(|gate| touched.gates.contains(&(&run.stage, *gate))) {
            let newest = run.conditions.iter().rev().find(|condition| condition.condition == gate);
            let Some(condition) = newest else { continue };
            let row = ConditionRow { execution: Cow::Borrowed(id), condition: ShownCondition::of(condition) };
            let q = condition_key(&run.stage, gate);
            rows.push(Row { p: p.clone(), q, v: by_stage, body: Some(json(&row)) });
        }
        let mut seen = BTreeSet::new();
        let newest = run.attempts.iter().rev().filter(|attempt| seen.insert(&attempt.action));
        for attempt in newest.filter(|run| touched.attempts.contains(&run.action_execution)) {
            let row = ActionRow { execution: Cow::Borrowed(id), attempt: Shown::of(attempt) };
            let q = action_key(&run.stage, &attempt.action);
            rows.push(Row { p: p.clone(), q, v: by_entry(attempt.entry, version), body: Some(json(&row)) });
        }
    }
    rows
}

/// What some events touched.
#[derive(Default)]
struct Touched<'a> {
    /// Stages, as they were entered.
    stages: BTreeSet<&'a StageName>,
    /// Conditions of stages.
    gates: BTreeSet<(&'a StageName, ConditionType)>,
    /// Attempts at actions.
    attempts: BTreeSet<&'a ActionExecutionId>,
}

impl<'a> Touched<'a> {
    fn add(&mut self, state: &'a Execution, event: &'a ExecutionEvent) {
        match event {
            ExecutionEvent::StageRetried(retried) => self.entered_again(&retried.stage),
            ExecutionEvent::StageStarted(started) => {
                self.stages.insert(&started.stage);
            }
            ExecutionEvent::StageSkipped(ended)
            | ExecutionEvent::StageSucceeded(ended)
            | ExecutionEvent::StageFailed(ended)
            | ExecutionEvent::StageStopped(ended)
            | ExecutionEvent::StageCancelled(ended) => {
                self.stages.insert(&ended.stage);
            }
            ExecutionEvent::StopRequested(_) => {
                self.stages.extend(state.current_stage().map(|run| &run.stage));
            }
            ExecutionEvent::ActionStarted(event) => self.attempt(&event.action_execution),
            ExecutionEvent::ActionSucceeded(event) => self.attempt(&event.action_execution),
            ExecutionEvent::ActionFailed(event) => self.attempt(&event.action_execution),
            ExecutionEvent::ActionAbandoned(event) => self.attempt(&event.action_execution),
            ExecutionEvent::JobContinued(event) => self.attempt(&event.action_execution),
            ExecutionEvent::ActionProgressed(event) => self.attempt(&event.action_execution),
            ExecutionEvent::ConditionStarted(event) => self.gate(&event.stage, event.condition),
            ExecutionEvent::ConditionEnded(event) => self.gate(&event.stage, event.condition),
            ExecutionEvent::ConditionOverridden(event) => self.entered_again(&event.stage),
            ExecutionEvent::RuleStarted(event) => self.gate(&event.stage, event.condition),
            ExecutionEvent::RuleProgressed(event) => self.gate_of(state, &event.rule_execution),
            ExecutionEvent::RuleSucceeded(event) => self.gate_of(state, &event.rule_execution),
            ExecutionEvent::RuleFailed(event) => self.gate_of(state, &event.rule_execution),
            ExecutionEvent::RuleAbandoned(event) => self.gate_of(state, &event.rule_execution),
            // What came too late is not shown, nor who works at a job.
            ExecutionEvent::ResultIgnored(_)
            | ExecutionEvent::RuleResultIgnored(_)
            | ExecutionEvent::JobQueued(_)
            | ExecutionEvent::JobDispatched(_)
            | ExecutionEvent::JobAcknowledged(_)
            | ExecutionEvent::ExecutionStarted(_)
            | ExecutionEvent::ExecutionSucceeded(_)
            | ExecutionEvent::ExecutionFailed(_)
            | ExecutionEvent::ExecutionStopped(_)
            | ExecutionEvent::ExecutionCancelled(_)
            | ExecutionEvent::ExecutionSuperseded(_) => {}
        }
    }

    /// Whoever entered a stage last is shown, and so are its gates, which another run may have been asked at meanwhile.
    /// Attempts stay those of the entry they were made in.
    fn entered_again(&mut self, stage: &'a StageName) {
        self.stages.insert(stage);
        self.gates.extend(GATES.map(|gate| (stage, gate)));
    }

    fn attempt(&mut self, attempt: &'a ActionExecutionId) {
        self.attempts.insert(attempt);
    }

    fn gate(&mut self, stage: &'a StageName, gate: ConditionType) {
        self.gates.insert((stage, gate));
    }

    fn gate_of(&mut self, state: &'a Execution, rule: &RuleExecutionId) {
        let gate = state.rule(rule).map(|(stage, condition, _)| (&stage.stage, condition.condition));
        self.gates.extend(gate);
    }
}
