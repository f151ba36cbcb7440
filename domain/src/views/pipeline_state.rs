//! What `GetPipelineState` shows beyond the lane: how each stage was entered last, and the newest attempt at each
//! action, whichever execution made it. See `spec/execution-semantics.md`, section 13.

use super::{Row, by_entry, json, listing::pipeline_partition};
use crate::execution::{AttemptRun, ConditionRun, Execution, ExecutionType, RetryTrigger, StageStatus};
use events::{ConditionType, Entry, ExecutionEvent, ExecutionId, StageName, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
pub struct ActionRow {
    /// The execution it belongs to.
    pub execution: ExecutionId,
    /// The attempt.
    pub attempt: AttemptRun,
}

/// The newest asking of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionRow {
    /// The execution it belongs to.
    pub execution: ExecutionId,
    /// The condition with its rules.
    pub condition: ConditionRun,
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

/// Rows of the stages and actions that some events touched.
pub fn rows<'a>(
    id: &ExecutionId,
    state: &Execution,
    version: Version,
    events: impl IntoIterator<Item = &'a ExecutionEvent>,
) -> Vec<Row> {
    let Some(start) = &state.start else { return Vec::new() };
    let p = pipeline_partition(&start.pipeline, start.incarnation);
    let touched: BTreeSet<&StageName> =
        events.into_iter().filter_map(|event| stage_of(state, event)).collect();
    let mut rows = Vec::new();
    for run in state.stages.iter().filter(|run| touched.contains(&run.stage)) {
        let stage = StageRow {
            execution: id.clone(),
            status: run.status,
            entry: run.entry,
            execution_type: start.execution_type(),
            manual_retries: run.manual_retries,
            auto_retries: run.auto_retries,
            latest_retry: run.retry.map(|retry| retry.trigger),
        };
        let v = by_entry(run.entry, version);
        rows.push(Row {
            p: p.clone(),
            q: format!("{STAGE_PREFIX}{}", run.stage),
            v,
            body: Some(json(&stage)),
        });
        for gate in [ConditionType::BeforeEntry, ConditionType::OnSuccess, ConditionType::OnFailure] {
            let newest = run.conditions.iter().rev().find(|condition| condition.condition == gate);
            let Some(condition) = newest else { continue };
            let row = ConditionRow { execution: id.clone(), condition: condition.clone() };
            let q = condition_key(&run.stage, gate);
            rows.push(Row { p: p.clone(), q, v: by_entry(run.entry, version), body: Some(json(&row)) });
        }
        let mut seen = BTreeSet::new();
        for attempt in run.attempts.iter().rev().filter(|attempt| seen.insert(attempt.action.clone())) {
            let row = ActionRow { execution: id.clone(), attempt: attempt.clone() };
            let q = format!("{ACTION_PREFIX}{}/{}", run.stage, attempt.action);
            rows.push(Row { p: p.clone(), q, v: by_entry(attempt.entry, version), body: Some(json(&row)) });
        }
    }
    rows
}

fn stage_of<'a>(state: &'a Execution, event: &'a ExecutionEvent) -> Option<&'a StageName> {
    match event {
        ExecutionEvent::StageStarted(started) => Some(&started.stage),
        ExecutionEvent::StageRetried(retried) => Some(&retried.stage),
        ExecutionEvent::ActionStarted(started) => Some(&started.stage),
        ExecutionEvent::ActionSucceeded(succeeded) => Some(&succeeded.stage),
        ExecutionEvent::ActionFailed(failed) => Some(&failed.stage),
        ExecutionEvent::ActionAbandoned(abandoned) => Some(&abandoned.stage),
        ExecutionEvent::JobQueued(queued) => Some(&queued.stage),
        ExecutionEvent::JobDispatched(dispatched) => Some(&dispatched.stage),
        ExecutionEvent::JobAcknowledged(acknowledged) => Some(&acknowledged.stage),
        ExecutionEvent::JobContinued(continued) => Some(&continued.stage),
        ExecutionEvent::ActionProgressed(progressed) => Some(&progressed.stage),
        ExecutionEvent::RuleProgressed(progressed) => Some(&progressed.stage),
        ExecutionEvent::ConditionStarted(started) => Some(&started.stage),
        ExecutionEvent::ConditionEnded(ended) => Some(&ended.stage),
        ExecutionEvent::ConditionOverridden(overridden) => Some(&overridden.stage),
        ExecutionEvent::RuleStarted(started) => Some(&started.stage),
        ExecutionEvent::RuleSucceeded(succeeded) => Some(&succeeded.stage),
        ExecutionEvent::RuleFailed(failed) => Some(&failed.stage),
        ExecutionEvent::RuleAbandoned(abandoned) => Some(&abandoned.stage),
        ExecutionEvent::StageSkipped(ended)
        | ExecutionEvent::StageSucceeded(ended)
        | ExecutionEvent::StageFailed(ended)
        | ExecutionEvent::StageStopped(ended)
        | ExecutionEvent::StageCancelled(ended) => Some(&ended.stage),
        ExecutionEvent::StopRequested(_) => state.current_stage().map(|run| &run.stage),
        // What is noted of a result that no longer counts is part of the attempt's row.
        ExecutionEvent::ResultIgnored(ignored) => {
            state.attempt(&ignored.action_execution).map(|(stage, _)| &stage.stage)
        }
        ExecutionEvent::RuleResultIgnored(ignored) => {
            state.rule(&ignored.rule_execution).map(|(stage, _, _)| &stage.stage)
        }
        ExecutionEvent::ExecutionStarted(_)
        | ExecutionEvent::ExecutionSucceeded(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_) => None,
    }
}
