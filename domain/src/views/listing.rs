//! Listings: pipelines, executions of a pipeline newest first, executions under way.

use super::{OPEN, OWING, PIPELINES, Row, json, padded};
use crate::{
    execution::{AttemptRun, Execution, ExecutionStatus, Start, StopRequest},
    lane::Lane,
    pipeline::{PipelineType, versions::Pipeline},
    trigger,
};
use events::{
    ActionCategory, ExecutionEvent, ExecutionId, ExecutionMode, PipelineName, PipelineVersion,
    SourceRevision, StageName, Timestamp, Trigger, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A pipeline in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words, see `PipelineSummary`")]
pub struct PipelineSummary {
    pub name: PipelineName,
    pub version: PipelineVersion,
    pub pipeline_type: Option<PipelineType>,
    pub execution_mode: ExecutionMode,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Where its sources lie; not known of a row that an older version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<BTreeSet<String>>,
}

/// An execution in its pipeline's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words, see `PipelineExecutionSummary`")]
pub struct ExecutionSummary {
    pub execution: ExecutionId,
    pub pipeline: PipelineName,
    pub pipeline_version: PipelineVersion,
    pub status: ExecutionStatus,
    pub cause: Option<String>,
    pub mode: ExecutionMode,
    pub trigger: Trigger,
    pub stop: Option<StopRequest>,
    pub revisions: Vec<SourceRevision>,
    /// The execution it goes back to; its type is ROLLBACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_target: Option<ExecutionId>,
    pub started: Timestamp,
    pub updated: Timestamp,
}

/// An execution under way: whose it is, and when somebody has to look after it who was not told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// From here on something of it is due, at every look: a deadline passed, or the provider of work under way is to
    /// be asked. `None` when it only waits.
    pub due: Option<Timestamp>,
    /// When it changed last. Word from its lane may have been lost since: that is asked for more and more rarely.
    pub changed: Timestamp,
}

/// For how long whoever began some work is left alone before its provider is asked, milliseconds: 1 minute.
pub const PATIENCE_MS: i64 = 60 * 1000;
/// For how long after its last change an execution is looked after at every look, milliseconds: 4 minutes.
const ATTENTION_MS: u64 = 4 * 60 * 1000;
/// How often it is looked after later, milliseconds: once an hour.
const ROUND_MS: u64 = 60 * 60 * 1000;
/// How far apart two looks may be for one of them to fall into every round, milliseconds: 2 minutes.
const LOOKS_MS: u64 = 2 * 60 * 1000;

impl Open {
    /// As an execution stands; `None` when it is not under way.
    pub fn of(state: &Execution) -> Option<Self> {
        let start = state.start.as_ref().filter(|_| !state.status.is_terminal() || fault!(OpenRowKept))?;
        let later = |from: Timestamp| Timestamp(from.0.saturating_add(PATIENCE_MS));
        let actions = state.running().map(|(_, run)| {
            if is_awaited(run) { run.deadline } else { run.deadline.min(later(run.started)) }
        });
        let rules = state.running_rules().map(|(_, _, run)| run.deadline.min(later(run.started)));
        let due = actions.chain(rules).min();
        Some(Self { pipeline: start.pipeline.clone(), due, changed: last_change(state) })
    }

    /// Whether somebody has to look after it at this time.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let idle = now.since(self.changed);
        let is_forgotten =
            idle >= PATIENCE_MS.unsigned_abs() && (idle < ATTENTION_MS || idle % ROUND_MS < LOOKS_MS);
        self.due.is_some_and(|due| due <= now) || is_forgotten
    }
}

/// Partition of one pipeline's rows. A name that is declared again after a deletion starts with empty history.
pub fn pipeline_partition(name: &PipelineName, incarnation: u32) -> String {
    ["pipeline#", name.as_str(), "#", &incarnation.to_string()].concat()
}

/// Prefix of the rows that list executions, in the order of their starts.
pub const EXECUTION_PREFIX: &str = "exec#";

/// Rows of a pipeline's stream.
pub fn pipeline_rows(name: &PipelineName, state: &Pipeline, version: Version) -> Vec<Row> {
    let body = state.current.map(|version| {
        // Without one that can be read it is listed all the same: it waits for an update.
        let definition = state.current_definition();
        json(&PipelineSummary {
            name: name.clone(),
            version,
            pipeline_type: definition.and_then(|definition| definition.pipeline_type),
            execution_mode: definition.map(|definition| definition.mode()).unwrap_or_default(),
            created: state.created,
            updated: state.updated,
            places: definition.map(|definition| trigger::place::places(definition)),
        })
    });
    vec![Row { p: PIPELINES.into(), q: name.to_string(), v: version, body }]
}

/// Rows of an execution's stream that these events touch: its place in the list, and whether it is under way.
pub fn execution_rows<'a>(
    id: &ExecutionId,
    state: &Execution,
    version: Version,
    events: impl IntoIterator<Item = &'a ExecutionEvent>,
) -> Vec<Row> {
    let Some(start) = &state.start else { return Vec::new() };
    let (mut is_listed, mut is_looked_after) = (false, false);
    for event in events {
        let (listed, looked_after) = touched(event);
        is_listed |= listed;
        is_looked_after |= looked_after;
        // What is left may take days, and nobody is to look after it until then.
        is_looked_after |= matches!(event, ExecutionEvent::ActionSucceeded(_)) && waits_alone(state);
    }
    let mut rows = Vec::new();
    if is_listed {
        rows.push(listed(id, start, state, version));
    }
    if is_looked_after {
        let open = Open::of(state).map(|open| json(&open));
        rows.push(Row { p: OPEN.into(), q: id.to_string(), v: version, body: open });
    }
    rows
}

/// Whether all that is under way is awaited: a person decides, or a worker that comes by itself.
fn waits_alone(state: &Execution) -> bool {
    let mut rules = state.running_rules();
    let mut actions = state.running().peekable();
    rules.next().is_none() && actions.peek().is_some() && actions.all(|(_, run)| is_awaited(run))
}

/// Nobody can be asked how it goes.
fn is_awaited(run: &AttemptRun) -> bool {
    run.action_type.category == ActionCategory::Approval || run.job.is_some()
}

/// Which rows of an execution an event changes: the one in the list, and the one of those under way. What happens inside
/// of a stage leaves the first, whose time of change is that of the stage's; work that goes on or ends leaves the second,
/// which is then due too early: that costs a look, and not a row.
fn touched(event: &ExecutionEvent) -> (bool, bool) {
    match event {
        ExecutionEvent::ExecutionStarted(_)
        | ExecutionEvent::StageStarted(_)
        | ExecutionEvent::StageRetried(_)
        | ExecutionEvent::StageSucceeded(_)
        | ExecutionEvent::StageSkipped(_)
        | ExecutionEvent::StageFailed(_)
        | ExecutionEvent::StageStopped(_)
        | ExecutionEvent::StageCancelled(_)
        | ExecutionEvent::StopRequested(_)
        // It brings a run that had failed back to life.
        | ExecutionEvent::ConditionOverridden(_)
        | ExecutionEvent::ExecutionSucceeded(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_) => (true, true),
        ExecutionEvent::ActionStarted(_)
        | ExecutionEvent::RuleStarted(_)
        | ExecutionEvent::ConditionStarted(_)
        | ExecutionEvent::ConditionEnded(_)
        | ExecutionEvent::JobQueued(_)
        | ExecutionEvent::JobContinued(_) => (false, true),
        ExecutionEvent::ActionSucceeded(succeeded) => (succeeded.revision.is_some(), false),
        ExecutionEvent::ActionFailed(_)
        | ExecutionEvent::ActionAbandoned(_)
        | ExecutionEvent::JobDispatched(_)
        | ExecutionEvent::JobAcknowledged(_)
        | ExecutionEvent::ActionProgressed(_)
        | ExecutionEvent::RuleProgressed(_)
        | ExecutionEvent::ResultIgnored(_)
        | ExecutionEvent::RuleSucceeded(_)
        | ExecutionEvent::RuleFailed(_)
        | ExecutionEvent::RuleAbandoned(_)
        | ExecutionEvent::RuleResultIgnored(_) => (false, false),
    }
}

fn listed(id: &ExecutionId, start: &Start, state: &Execution, version: Version) -> Row {
    let summary = ExecutionSummary {
        execution: id.clone(),
        pipeline: start.pipeline.clone(),
        pipeline_version: start.pipeline_version,
        status: state.status,
        cause: state.cause.clone(),
        mode: start.mode,
        trigger: start.trigger.clone(),
        stop: state.stop.clone(),
        revisions: state.revisions.clone(),
        rollback_target: start.rollback.as_ref().map(|rollback| rollback.target.clone()),
        started: start.at,
        updated: last_change(state),
    };
    Row {
        p: pipeline_partition(&start.pipeline, start.incarnation),
        q: place(id, start),
        v: version,
        body: Some(json(&summary)),
    }
}

/// Partition of the STANDARD executions that succeeded in a stage under one version: what it may be rolled back to,
/// unless the pipeline is PARALLEL. A row stands where the execution's own row does in [`pipeline_partition`].
pub fn succeeded_partition(
    name: &PipelineName,
    incarnation: u32,
    version: PipelineVersion,
    stage: &str,
) -> String {
    let (incarnation, version) = (incarnation.to_string(), version.0.to_string());
    ["succeeded#", name.as_str(), "#", &incarnation, "#", &version, "#", stage].concat()
}

/// Rows of the stages that these events passed, so that who succeeded in one need not be looked for among all.
pub fn succeeded_rows<'a>(
    id: &ExecutionId,
    state: &Execution,
    version: Version,
    events: impl IntoIterator<Item = &'a ExecutionEvent>,
) -> Vec<Row> {
    let Some(start) = state.start.as_ref().filter(|start| start.rollback.is_none()) else {
        return Vec::new();
    };
    let row = |stage: &StageName| Row {
        p: succeeded_partition(&start.pipeline, start.incarnation, start.pipeline_version, stage.as_str()),
        q: place(id, start),
        v: version,
        body: Some("true".into()),
    };
    let passed = events.into_iter().filter_map(|event| match event {
        ExecutionEvent::StageSucceeded(ended) => Some(&ended.stage),
        ExecutionEvent::ExecutionStarted(_)
        | ExecutionEvent::StageStarted(_)
        | ExecutionEvent::StageRetried(_)
        | ExecutionEvent::ActionStarted(_)
        | ExecutionEvent::ActionSucceeded(_)
        | ExecutionEvent::ActionFailed(_)
        | ExecutionEvent::ActionAbandoned(_)
        | ExecutionEvent::JobQueued(_)
        | ExecutionEvent::JobDispatched(_)
        | ExecutionEvent::JobAcknowledged(_)
        | ExecutionEvent::JobContinued(_)
        | ExecutionEvent::ActionProgressed(_)
        | ExecutionEvent::RuleProgressed(_)
        | ExecutionEvent::ResultIgnored(_)
        | ExecutionEvent::ConditionStarted(_)
        | ExecutionEvent::ConditionEnded(_)
        | ExecutionEvent::ConditionOverridden(_)
        | ExecutionEvent::RuleStarted(_)
        | ExecutionEvent::RuleSucceeded(_)
        | ExecutionEvent::RuleFailed(_)
        | ExecutionEvent::RuleAbandoned(_)
        | ExecutionEvent::RuleResultIgnored(_)
        | ExecutionEvent::StageSkipped(_)
        | ExecutionEvent::StageFailed(_)
        | ExecutionEvent::StageStopped(_)
        | ExecutionEvent::StageCancelled(_)
        | ExecutionEvent::StopRequested(_)
        | ExecutionEvent::ExecutionSucceeded(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_) => None,
    });
    passed.map(row).collect()
}

/// An execution's row in any listing: in the order of starts.
pub fn place(id: &ExecutionId, start: &Start) -> String {
    let (at, sequence) = (padded(start.at.0.max(0).unsigned_abs(), 13), padded(start.sequence.0, 12));
    [EXECUTION_PREFIX, &at, "#", &sequence, "#", id.as_str()].concat()
}

/// The row of a lane that owes runs which do not exist yet, so that they are found after a crash.
pub fn lane_rows(name: &PipelineName, state: &Lane, version: Version) -> Vec<Row> {
    let owes = (!state.rollbacks.is_empty()).then(|| json(&state.rollbacks.keys().collect::<Vec<_>>()));
    vec![Row { p: OWING.into(), q: name.to_string(), v: version, body: owes }]
}

/// When a run changed last.
pub fn last_change(state: &Execution) -> Timestamp {
    let start = state.start.as_ref().map(|start| start.at).unwrap_or_default();
    let stages = state.stages.iter().flat_map(|run| {
        let attempts = run.attempts.iter().map(|attempt| attempt.updated);
        let conditions = run
            .conditions
            .iter()
            .flat_map(|condition| condition.rules.iter().map(|rule| rule.updated).chain([condition.updated]));
        attempts.chain(conditions).chain([run.started]).chain(run.ended)
    });
    stages.chain(state.ended).fold(start, Timestamp::max)
}
