//! What `GetPipelineState` shows beyond the lane: how each stage was entered last, and the newest attempt at each
//! action, whichever execution made it. See `spec/execution-semantics.md`, section 13.

use super::{Row, by_entry, json, listing::pipeline_partition};
use crate::execution::{
    ActionStatus, AttemptRun, ConditionRun, Execution, ExecutionType, RetryTrigger, StageStatus,
};
use events::{
    ActionCategory, ActionExecutionId, ConditionType, Entry, ExecutionEvent, ExecutionId, FailureCode,
    SourceRevision, StageName, Timestamp, Version,
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
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
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
    /// The condition with its rules.
    pub condition: Cow<'a, ConditionRun>,
}

/// Prefix of condition rows, within [`pipeline_partition`].
pub const CONDITION_PREFIX: &str = "condition#";

/// Place of a condition's row, within [`pipeline_partition`].
pub fn condition_key(stage: &StageName, gate: ConditionType) -> String {
    format!("{CONDITION_PREFIX}{stage}/{}", gate.member())
}

/// Prefix of stage rows, within [`pipeline_partition`].
pub const STAGE_PREFIX: &str = "stage#";
/// Prefix of action rows; then stage, `/` (no stage name holds one) and action.
pub const ACTION_PREFIX: &str = "action#";

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
        let is_whole = touched.whole.contains(&run.stage);
        let by_stage = by_entry(run.entry, version);
        if is_whole || touched.stages.contains(&run.stage) {
            let stage = StageRow {
                execution: id.clone(),
                status: run.status,
                entry: run.entry,
                execution_type: start.execution_type(),
                manual_retries: run.manual_retries,
                auto_retries: run.auto_retries,
                latest_retry: run.retry.map(|retry| retry.trigger),
            };
            let q = format!("{STAGE_PREFIX}{}", run.stage);
            rows.push(Row { p: p.clone(), q, v: by_stage, body: Some(json(&stage)) });
        }
        let gates = [ConditionType::BeforeEntry, ConditionType::OnSuccess, ConditionType::OnFailure];
        for gate in gates.into_iter().filter(|_| is_whole || touched.gates.contains(&run.stage)) {
            let newest = run.conditions.iter().rev().find(|condition| condition.condition == gate);
            let Some(condition) = newest else { continue };
            let row = ConditionRow { execution: Cow::Borrowed(id), condition: Cow::Borrowed(condition) };
            let q = condition_key(&run.stage, gate);
            rows.push(Row { p: p.clone(), q, v: by_stage, body: Some(json(&row)) });
        }
        let mut seen = BTreeSet::new();
        let newest = run.attempts.iter().rev().filter(|attempt| seen.insert(&attempt.action));
        for attempt in newest.filter(|run| is_whole || touched.attempts.contains(&run.action_execution)) {
            let row = ActionRow { execution: Cow::Borrowed(id), attempt: Shown::of(attempt) };
            let q = format!("{ACTION_PREFIX}{}/{}", run.stage, attempt.action);
            rows.push(Row { p: p.clone(), q, v: by_entry(attempt.entry, version), body: Some(json(&row)) });
        }
    }
    rows
}

/// What some events touched.
#[derive(Default)]
struct Touched<'a> {
    /// Stages with everything in them.
    whole: BTreeSet<&'a StageName>,
    /// Stages alone.
    stages: BTreeSet<&'a StageName>,
    /// The conditions of these stages.
    gates: BTreeSet<&'a StageName>,
    /// Attempts at actions.
    attempts: BTreeSet<&'a ActionExecutionId>,
}

impl<'a> Touched<'a> {
    fn add(&mut self, state: &'a Execution, event: &'a ExecutionEvent) {
        match event {
            // It sets attempts and conditions aside.
            ExecutionEvent::StageRetried(retried) => {
                self.whole.insert(&retried.stage);
            }
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
            ExecutionEvent::ConditionStarted(event) => self.gate(&event.stage),
            ExecutionEvent::ConditionEnded(event) => self.gate(&event.stage),
            // The stage is under way again with it.
            ExecutionEvent::ConditionOverridden(event) => {
                self.whole.insert(&event.stage);
            }
            ExecutionEvent::RuleStarted(event) => self.gate(&event.stage),
            ExecutionEvent::RuleProgressed(event) => self.gate(&event.stage),
            ExecutionEvent::RuleSucceeded(event) => self.gate(&event.stage),
            ExecutionEvent::RuleFailed(event) => self.gate(&event.stage),
            ExecutionEvent::RuleAbandoned(event) => self.gate(&event.stage),
            ExecutionEvent::RuleResultIgnored(ignored) => {
                self.gates.extend(state.rule(&ignored.rule_execution).map(|(stage, _, _)| &stage.stage));
            }
            // What came too late is not shown, nor who works at a job.
            ExecutionEvent::ResultIgnored(_)
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

    fn attempt(&mut self, attempt: &'a ActionExecutionId) {
        self.attempts.insert(attempt);
    }

    fn gate(&mut self, stage: &'a StageName) {
        self.gates.insert(stage);
    }
}
