//! Jobs: the work of an attempt, offered to workers that ask for it. See `spec/api.md`, sections 2.5 and 2.6.
//!
//! A job is queued, handed out with a nonce, acknowledged by whoever shows the newest nonce, and ended by a result.
//! Each step is an event, so that a job is neither lost nor taken twice, whichever process answers the worker.

use super::{ActionStatus, AttemptRun, action};
use crate::{
    command::{ActionResult, Attempt, Details, JobWish},
    draft::Draft,
    limits,
    rejection::Rejection,
};
use events::{
    ActionCategory, ActionExecutionId, ActionOwner, ActionTypeId, ExecutionEvent, ExecutionId,
    JobAcknowledged, JobContinued, JobDispatched, JobId, JobQueued, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The job an attempt is at; those before it have succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRun {
    /// Its id.
    pub job: JobId,
    /// The API's status.
    pub status: JobStatus,
    /// The value it is asked for by, when its type has a queryable property.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What the worker of the job before wants to be reminded of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
    /// What the worker it was handed to last must show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// When it was handed out last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatched: Option<Timestamp>,
}

/// `JobStatus`, as far as a job here can have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum JobStatus {
    Queued,
    Dispatched,
    InProgress,
    TimedOut,
    Succeeded,
    Failed,
}

impl JobStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Dispatched => "Dispatched",
            Self::InProgress => "InProgress",
            Self::TimedOut => "TimedOut",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Nothing can happen to the job any more.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Dispatched | Self::InProgress => false,
            Self::TimedOut | Self::Succeeded | Self::Failed => true,
        }
    }
}

impl JobRun {
    /// Since when, or from when, a worker may be handed the job; `None` once one has taken it.
    pub fn offered_from(&self) -> Option<Timestamp> {
        match (self.status, self.dispatched) {
            (JobStatus::Queued, _) | (JobStatus::Dispatched, None) => Some(Timestamp::default()),
            (JobStatus::Dispatched, Some(at)) => {
                Some(Timestamp(at.0.saturating_add(limits::JOB_DISPATCH_MS)))
            }
            (JobStatus::InProgress | JobStatus::TimedOut | JobStatus::Succeeded | JobStatus::Failed, _) => {
                None
            }
        }
    }
}

impl AttemptRun {
    /// The status of a job of this attempt; `None` when the job is not one of it.
    ///
    /// `earlier` says that the job was queued for this attempt at some time: one that is not the newest has been
    /// continued in another.
    pub fn job_status(&self, job: &JobId, earlier: bool) -> Option<JobStatus> {
        match &self.job {
            Some(newest) if newest.job == *job => Some(newest.status),
            _ if is_function(&self.action_type) && self.action_execution.as_str() == job.as_str() => {
                Some(match self.status {
                    ActionStatus::InProgress => JobStatus::InProgress,
                    ActionStatus::Succeeded => JobStatus::Succeeded,
                    ActionStatus::Failed | ActionStatus::Abandoned => JobStatus::Failed,
                })
            }
            Some(_) if earlier => Some(JobStatus::Succeeded),
            Some(_) | None => None,
        }
    }
}

/// An invoked function answers for its attempt without having asked for a job; the attempt's id is the job's.
pub fn is_function(action_type: &ActionTypeId) -> bool {
    action_type.category == ActionCategory::Invoke
        && action_type.owner == ActionOwner::AWS
        && action_type.provider == "Lambda"
}

/// Decides a wish about an attempt's job.
pub(crate) fn decide(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &ActionExecutionId,
    wish: &JobWish,
) -> Result<(), Rejection> {
    match wish {
        JobWish::Queue { query } => {
            queue(draft, id, attempt, query.as_ref());
            Ok(())
        }
        JobWish::Dispatch { job, nonce } => dispatch(draft, attempt, job, nonce),
        JobWish::Acknowledge { job, nonce } => acknowledge(draft, attempt, job, nonce),
        JobWish::Continue { job, continuation_token, details } => {
            proceed(draft, attempt, job, continuation_token, details)
        }
        JobWish::End { job, result } => end(draft, id, attempt, job, result),
    }
}

/// Offers the work of an attempt for the first time.
fn queue(draft: &mut Draft<'_>, id: &ExecutionId, attempt: &ActionExecutionId, query: Option<&String>) {
    let Some((stage, run)) = draft.scope.execution.attempt(attempt) else { return };
    if run.status != ActionStatus::InProgress || run.job.is_some() {
        return;
    }
    let (stage, action) = (stage.stage.clone(), run.action.clone());
    let job = job_id(draft, &[id.as_str(), attempt.as_str()]);
    draft.execution(ExecutionEvent::JobQueued(JobQueued {
        stage,
        action,
        action_execution: attempt.clone(),
        job,
        query: query.cloned(),
        continuation_token: None,
    }));
}

/// Hands a job to whoever asks, unless it was handed out a moment ago.
fn dispatch(
    draft: &mut Draft<'_>,
    attempt: &ActionExecutionId,
    job: &JobId,
    nonce: &str,
) -> Result<(), Rejection> {
    let found = open(draft, attempt, job)?;
    let run = found.run.job.as_ref().ok_or_else(|| Rejection::JobNotFound { job: job.clone() })?;
    if run.offered_from().is_none_or(|from| draft.now < from) {
        return Err(Rejection::InvalidJobState { job: job.clone(), status: run.status });
    }
    let stage = found.attempt.stage;
    draft.execution(ExecutionEvent::JobDispatched(JobDispatched {
        stage,
        action_execution: attempt.clone(),
        job: job.clone(),
        nonce: nonce.to_owned(),
    }));
    Ok(())
}

/// Gives a job to the worker that shows its newest nonce; it is given once.
fn acknowledge(
    draft: &mut Draft<'_>,
    attempt: &ActionExecutionId,
    job: &JobId,
    nonce: &str,
) -> Result<(), Rejection> {
    let found = open(draft, attempt, job)?;
    let run = found.run.job.as_ref().ok_or_else(|| Rejection::JobNotFound { job: job.clone() })?;
    // The nonce of a hand-out that ran out is as good as any, as long as nobody else was handed the job.
    let is_taken = run.status != JobStatus::Dispatched && !fault!(JobTakenTwice);
    if is_taken || run.nonce.as_deref() != Some(nonce) {
        return Err(Rejection::InvalidNonce { job: job.clone() });
    }
    let stage = found.attempt.stage;
    draft.execution(ExecutionEvent::JobAcknowledged(JobAcknowledged {
        stage,
        action_execution: attempt.clone(),
        job: job.clone(),
        by: draft.actor.to_owned(),
    }));
    Ok(())
}

/// Ends a job whose work goes on in another, and queues that one.
fn proceed(
    draft: &mut Draft<'_>,
    attempt: &ActionExecutionId,
    job: &JobId,
    continuation_token: &str,
    details: &Details,
) -> Result<(), Rejection> {
    let found = in_progress(draft, attempt, job)?;
    let Some(run) = &found.run.job else {
        return Err(Rejection::FunctionCannotContinue { job: job.clone() });
    };
    let (query, action, stage) = (run.query.clone(), found.attempt.action, found.attempt.stage);
    draft.execution(ExecutionEvent::JobContinued(JobContinued {
        stage: stage.clone(),
        action_execution: attempt.clone(),
        job: job.clone(),
        summary: details.summary.clone(),
        external_execution_id: details.external_execution_id.clone(),
        external_execution_url: details.external_execution_url.clone(),
        percent_complete: details.percent_complete,
    }));
    let next = job_id(draft, &[attempt.as_str(), job.as_str()]);
    draft.execution(ExecutionEvent::JobQueued(JobQueued {
        stage,
        action,
        action_execution: attempt.clone(),
        job: next,
        query,
        continuation_token: Some(continuation_token.to_owned()),
    }));
    Ok(())
}

/// Ends a job, and with it its attempt.
fn end(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &ActionExecutionId,
    job: &JobId,
    result: &ActionResult,
) -> Result<(), Rejection> {
    let found = in_progress(draft, attempt, job)?;
    let known = found.run;
    let result = match result {
        ActionResult::Succeeded { output_variables, revision, mocked, details } => ActionResult::Succeeded {
            output_variables: output_variables.clone(),
            revision: revision.clone(),
            mocked: *mocked,
            details: kept(details, known),
        },
        ActionResult::Failed { code, message, details } => {
            ActionResult::Failed { code: *code, message: message.clone(), details: kept(details, known) }
        }
    };
    action::record_result(draft, id, &found.attempt, &result)
}

/// What a last result does not say again is as the worker said it before.
fn kept(details: &Details, known: &AttemptRun) -> Details {
    Details {
        summary: details.summary.clone().or_else(|| known.summary.clone()),
        external_execution_id: details
            .external_execution_id
            .clone()
            .or_else(|| known.external_execution_id.clone()),
        external_execution_url: details
            .external_execution_url
            .clone()
            .or_else(|| known.external_execution_url.clone()),
        percent_complete: details.percent_complete.or(known.percent_complete),
    }
}

struct Found<'a> {
    attempt: Attempt,
    run: &'a AttemptRun,
}

/// The attempt of a job that has not ended, and whose result would count.
fn open<'a>(draft: &'a Draft<'_>, attempt: &ActionExecutionId, job: &JobId) -> Result<Found<'a>, Rejection> {
    let not_found = || Rejection::JobNotFound { job: job.clone() };
    let (stage, run) = draft.scope.execution.attempt(attempt).ok_or_else(not_found)?;
    // Whoever names an attempt took it from what was queued: another job of it came before the newest.
    let status = run.job_status(job, true).ok_or_else(not_found)?;
    let is_lost = !draft.is_own_run() || run.status != ActionStatus::InProgress || run.entry != stage.entry;
    if status.is_terminal() || is_lost {
        let status = if status.is_terminal() { status } else { JobStatus::Failed };
        return Err(Rejection::InvalidJobState { job: job.clone(), status });
    }
    let attempt = Attempt {
        stage: stage.stage.clone(),
        action: run.action.clone(),
        action_execution: attempt.clone(),
        entry: run.entry,
    };
    Ok(Found { attempt, run })
}

/// The same, when a worker has taken the job on.
fn in_progress<'a>(
    draft: &'a Draft<'_>,
    attempt: &ActionExecutionId,
    job: &JobId,
) -> Result<Found<'a>, Rejection> {
    let found = open(draft, attempt, job)?;
    match found.run.job_status(job, true) {
        Some(JobStatus::InProgress) => Ok(found),
        Some(status) => Err(Rejection::InvalidJobState { job: job.clone(), status }),
        None => Err(Rejection::JobNotFound { job: job.clone() }),
    }
}

fn job_id(draft: &Draft<'_>, place: &[&str]) -> JobId {
    let purpose: Vec<&str> = place.iter().copied().chain(["job"]).collect();
    JobId::parse(draft.derive_uuid(&purpose))
        .expect("a derived UUID has 36 characters, all hexadecimal or dashes")
}
