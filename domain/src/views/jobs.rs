//! Rows for workers: which jobs wait for one, by type and queryable value, and which attempt a job belongs to.

use super::{Row, json, padded};
use crate::execution::{ActionStatus, AttemptRun, Execution, job};
use events::{
    ActionExecutionId, ActionTypeId, ExecutionEvent, ExecutionId, JobId, PipelineName, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Partition of all jobs, by id. Rows stay for as long as the views do.
pub const JOBS: &str = "job";

/// Whose job it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is what its type says")]
pub struct JobPlace {
    pub pipeline: PipelineName,
    pub execution: ExecutionId,
    pub action_execution: ActionExecutionId,
    pub action_type: ActionTypeId,
}

/// A job that waits for a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingJob {
    /// The job.
    pub job: JobId,
    /// Whose it is.
    pub place: JobPlace,
    /// Before this time it is kept for the worker it was handed to.
    pub offered_from: Timestamp,
}

/// Partition of the jobs that wait for a worker of this type which asks for this value.
pub fn waiting_partition(action_type: &ActionTypeId, query: Option<&str>) -> String {
    let ActionTypeId { category, owner, provider, version } = action_type;
    format!("jobs#{category:?}#{owner:?}#{provider}#{version}#{}", query.unwrap_or_default())
}

/// Rows of the jobs that some events touched.
pub fn rows<'a>(
    id: &ExecutionId,
    state: &Execution,
    version: Version,
    events: impl IntoIterator<Item = &'a ExecutionEvent>,
) -> Vec<Row> {
    let Some(start) = &state.start else { return Vec::new() };
    let mut rows = Vec::new();
    let mut touched: BTreeSet<(&ActionExecutionId, &JobId)> = BTreeSet::new();
    for event in events {
        match touch(event) {
            Touch::Nothing => {}
            Touch::Started(attempt) => {
                rows.extend(function_row(id, state, &start.pipeline, version, attempt))
            }
            Touch::Job(attempt, job) => {
                touched.insert((attempt, job));
            }
            Touch::Ended(attempt) => {
                let job = state.attempt(attempt).and_then(|(_, run)| run.job.as_ref());
                touched.extend(job.map(|job| (attempt, &job.job)));
            }
        }
    }
    for (attempt, job) in touched {
        let Some((_, run)) = state.attempt(attempt) else { continue };
        let place = place(id, &start.pipeline, run);
        rows.push(Row { p: JOBS.into(), q: job.to_string(), v: version, body: Some(json(&place)) });
        rows.push(waiting_row(&place, run, job, version));
    }
    rows
}

fn place(id: &ExecutionId, pipeline: &PipelineName, run: &AttemptRun) -> JobPlace {
    JobPlace {
        pipeline: pipeline.clone(),
        execution: id.clone(),
        action_execution: run.action_execution.clone(),
        action_type: run.action_type.clone(),
    }
}

/// A job is there as long as it may be handed out; the oldest attempt comes first.
fn waiting_row(place: &JobPlace, run: &AttemptRun, job: &JobId, version: Version) -> Row {
    let newest = run.job.as_ref().filter(|newest| newest.job == *job);
    let offered_from = newest.filter(|_| run.status == ActionStatus::InProgress);
    let offered_from = offered_from.and_then(job::JobRun::offered_from);
    let body = offered_from
        .map(|offered_from| json(&WaitingJob { job: job.clone(), place: place.clone(), offered_from }));
    // All jobs of one attempt are asked for by the same value.
    let query = run.job.as_ref().and_then(|newest| newest.query.as_deref());
    Row {
        p: waiting_partition(&run.action_type, query),
        q: [&padded(run.started.0.max(0).unsigned_abs(), 13), "#", job.as_str()].concat(),
        v: version,
        body,
    }
}

/// An invoked function's job is its attempt: it is found, but never handed out.
fn function_row(
    id: &ExecutionId,
    state: &Execution,
    pipeline: &PipelineName,
    version: Version,
    attempt: &ActionExecutionId,
) -> Option<Row> {
    let (_, run) = state.attempt(attempt).filter(|(_, run)| job::is_function(&run.action_type))?;
    let body = Some(json(&place(id, pipeline, run)));
    Some(Row { p: JOBS.into(), q: attempt.to_string(), v: version, body })
}

enum Touch<'a> {
    Nothing,
    Started(&'a ActionExecutionId),
    Job(&'a ActionExecutionId, &'a JobId),
    Ended(&'a ActionExecutionId),
}

fn touch(event: &ExecutionEvent) -> Touch<'_> {
    match event {
        ExecutionEvent::ActionStarted(started) => Touch::Started(&started.action_execution),
        ExecutionEvent::JobQueued(event) => Touch::Job(&event.action_execution, &event.job),
        ExecutionEvent::JobDispatched(event) => Touch::Job(&event.action_execution, &event.job),
        ExecutionEvent::JobAcknowledged(event) => Touch::Job(&event.action_execution, &event.job),
        ExecutionEvent::JobContinued(event) => Touch::Job(&event.action_execution, &event.job),
        ExecutionEvent::ActionSucceeded(event) => Touch::Ended(&event.action_execution),
        ExecutionEvent::ActionFailed(event) => Touch::Ended(&event.action_execution),
        ExecutionEvent::ActionAbandoned(event) => Touch::Ended(&event.action_execution),
        ExecutionEvent::ExecutionStarted(_)
        | ExecutionEvent::ActionProgressed(_)
        | ExecutionEvent::RuleProgressed(_)
        | ExecutionEvent::StageStarted(_)
        | ExecutionEvent::StageRetried(_)
        | ExecutionEvent::ConditionStarted(_)
        | ExecutionEvent::ConditionEnded(_)
        | ExecutionEvent::ConditionOverridden(_)
        | ExecutionEvent::RuleStarted(_)
        | ExecutionEvent::RuleSucceeded(_)
        | ExecutionEvent::RuleFailed(_)
        | ExecutionEvent::RuleAbandoned(_)
        | ExecutionEvent::RuleResultIgnored(_)
        | ExecutionEvent::StageSkipped(_)
        | ExecutionEvent::ResultIgnored(_)
        | ExecutionEvent::StageSucceeded(_)
        | ExecutionEvent::StageFailed(_)
        | ExecutionEvent::StageStopped(_)
        | ExecutionEvent::StageCancelled(_)
        | ExecutionEvent::StopRequested(_)
        | ExecutionEvent::ExecutionSucceeded(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_) => Touch::Nothing,
    }
}
