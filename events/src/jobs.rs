//! What can happen to a job: the work of one action, offered to workers that ask for it.

use crate::{ActionExecutionId, ActionName, JobId, StageName};
use serde::{Deserialize, Serialize};

/// A job waits for a worker. The first of its attempt, or the one that follows a continuation. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobQueued {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt whose work it is.
    pub action_execution: ActionExecutionId,
    /// The job.
    pub job: JobId,
    /// The value jobs of this type are asked for by, when the type has a queryable property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What the worker of the job before wants to be reminded of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// A worker that asked was handed the job. Until one acknowledges it, it may be handed out again. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDispatched {
    /// The stage.
    pub stage: StageName,
    /// The attempt whose work it is.
    pub action_execution: ActionExecutionId,
    /// The job.
    pub job: JobId,
    /// What the worker must show to acknowledge it; voids every nonce before.
    pub nonce: String,
}

/// A worker has taken the job on. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAcknowledged {
    /// The stage.
    pub stage: StageName,
    /// The attempt whose work it is.
    pub action_execution: ActionExecutionId,
    /// The job.
    pub job: JobId,
    /// Principal that took it.
    pub by: String,
}

/// A job ended, but its action has not: the work goes on in a job that is queued with the same decision. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobContinued {
    /// The stage.
    pub stage: StageName,
    /// The attempt whose work it is.
    pub action_execution: ActionExecutionId,
    /// The job that ended.
    pub job: JobId,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The worker's own id of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// How much of the work is done, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<u8>,
}
