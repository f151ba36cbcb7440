//! What the engine needs of the world, besides the log: who acts, what time it is, fresh ids, timers.

use crate::{
    action::{ActionJob, Outcome},
    rule::{RuleJob, RuleOutcome},
};
use domain::{command::Command, pipeline::secrets::Secret};
use events::{ActionExecutionId, PipelineName, Timestamp};
use std::future::Future;

/// Carries out actions, and decides the rules of conditions.
pub trait Actions: Send + Sync + 'static {
    /// Starts one attempt. `Some` is its outcome; `None` means that the outcome will be reported later, by
    /// whoever learns of it. Called again for an attempt that may have been started before (`job.resumed`).
    fn run(&self, job: ActionJob) -> impl Future<Output = Option<Outcome>> + Send;

    /// The same for one attempt at a rule.
    fn run_rule(&self, job: RuleJob) -> impl Future<Output = Option<RuleOutcome>> + Send;

    /// Stops an attempt at an action or a rule that no longer counts; its outcome is dropped. Unknown attempts are
    /// none of its business.
    fn cancel(&self, attempt: &ActionExecutionId);
}

/// The time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Fresh ids.
pub trait Ids: Send + Sync + 'static {
    /// A random UUID in lower case, never seen before.
    fn uuid(&self) -> String;
}

/// Sends commands at a later time. A timer that is lost is set again by `resume`.
pub trait Timers: Send + Sync + 'static {
    /// Sends the command when the time has come; replaces an earlier timer of the same attempt.
    fn set(&self, attempt: &ActionExecutionId, at: Timestamp, command: Command);

    /// Forgets the timer of an attempt.
    fn clear(&self, attempt: &ActionExecutionId);
}

/// Keeps secret configuration values (such as an `OAuthToken`) out of the log.
pub trait Secrets: Send + Sync + 'static {
    /// Replaces a pipeline's secrets, durably.
    fn put(
        &self,
        pipeline: &PipelineName,
        secrets: &[Secret],
    ) -> impl Future<Output = Result<(), SecretsError>> + Send;

    /// A pipeline's secrets; empty when it has none.
    fn get(&self, pipeline: &PipelineName) -> impl Future<Output = Result<Vec<Secret>, SecretsError>> + Send;
}

/// The store of secrets did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the store of secrets did not answer: {0}")]
pub struct SecretsError(pub String);
