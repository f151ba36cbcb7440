//! What the engine needs of the world, besides the log: who acts, what time it is, fresh ids, timers, secrets, and
//! credentials for artifacts.

use crate::{
    action::{ActionJob, ArtifactLocation, DeployTargets, Outcome, Run},
    rule::{RuleJob, RuleOutcome},
};
use domain::{command::Command, pipeline::secrets::Secret};
use events::{ActionExecutionId, ActionOwner, ActionTypeId, PipelineName, Timestamp};
use std::{future::Future, pin::Pin};

pub use crate::outward::{
    Bus, BusEvent, Mark, Marks, MarksError, OutwardError, TopicMessage, Topics, Web, WebAnswer, WebError,
    WebPost,
};

/// Carries out actions, and decides the rules of conditions.
pub trait Actions: Send + Sync + 'static {
    /// Starts one attempt, or asks how it goes when it was begun (`job.begun`). Called again for an attempt that may
    /// have been started before (`job.resumed`), and perhaps for one that is under way.
    fn run(&self, job: ActionJob) -> impl Future<Output = Run<Outcome>> + Send;

    /// The same for one attempt at a rule.
    fn run_rule(&self, job: RuleJob) -> impl Future<Output = Run<RuleOutcome>> + Send;

    /// True when attempts of this type are not for [`Actions::run`]: workers ask for them.
    fn leaves_to_workers(&self, action_type: &ActionTypeId) -> bool {
        action_type.owner == ActionOwner::Custom
    }

    /// True when actions of this type can be carried out here, by whomever. Others fail when they are reached.
    fn can_carry_out(&self, action_type: &ActionTypeId) -> bool {
        let _ = action_type;
        true
    }

    /// Stops an attempt at an action or a rule that no longer counts; its outcome is dropped. Unknown attempts are
    /// none of its business.
    fn cancel(&self, attempt: &ActionExecutionId);

    /// Asks the provider that has begun an attempt (`job.begun`) to stop. What it says does not matter any more.
    fn stop(&self, job: ActionJob) -> impl Future<Output = ()> + Send {
        let _ = job;
        std::future::ready(())
    }

    /// The same for an attempt at a rule.
    fn stop_rule(&self, job: RuleJob) -> impl Future<Output = ()> + Send {
        let _ = job;
        std::future::ready(())
    }

    /// Where an attempt at a deployment went, as durable as its result; `None` when no provider made a deployment to
    /// targets for it.
    fn targets(
        &self,
        attempt: &ActionExecutionId,
    ) -> impl Future<Output = Result<Option<DeployTargets>, TargetsError>> + Send {
        let _ = attempt;
        std::future::ready(Ok(None))
    }
}

/// The record of a deployment could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the record of the deployment could not be read: {0}")]
pub struct TargetsError(pub String);

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

    /// Keeps one value under a name of its own, durably. Names have letters, digits, `.`, `@`, `-` or `_`.
    fn keep(&self, name: &str, value: &str) -> impl Future<Output = Result<(), SecretsError>> + Send;

    /// The value kept under a name.
    fn recall(&self, name: &str) -> impl Future<Output = Result<Option<String>, SecretsError>> + Send;

    /// Drops the value kept under a name; there may be none.
    fn forget(&self, name: &str) -> impl Future<Output = Result<(), SecretsError>> + Send;
}

/// Tells Git hosts where to send their pushes. A trait object, since a home may do without.
pub trait GitHosts: Send + Sync + 'static {
    /// Has the host call an address on every push to a repository. Made again for the same address, it gives the
    /// hook that is there.
    fn register<'a>(&'a self, hook: &'a Hook<'a>) -> HostAnswer<'a, String>;

    /// Has the host forget a hook; one that is gone is forgotten already.
    fn deregister<'a>(&'a self, repository: &'a str, id: &'a str) -> HostAnswer<'a, ()>;
}

/// A Git host's answer, on its way.
pub type HostAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, HostError>> + Send + 'a>>;

/// What a Git host is told.
pub struct Hook<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// Where to send pushes.
    pub url: &'a str,
    /// What to sign them with.
    pub secret: Option<&'a str>,
}

/// Why a Git host did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct HostError {
    /// One word for programs.
    pub code: String,
    /// For people; at most 1,000 characters, and no secret.
    pub message: String,
}

/// The store of secrets did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the store of secrets did not answer: {0}")]
pub struct SecretsError(pub String);

/// How long credentials for artifacts hold, in milliseconds: an hour, the shortest that AWS itself gives to a role.
pub const ARTIFACT_CREDENTIALS_MS: i64 = 60 * 60 * 1000;

/// Lends a worker the means to fetch a job's inputs and to store its outputs.
pub trait ArtifactAccess: Send + Sync + 'static {
    /// Credentials for exactly this loan, from `now` for [`ARTIFACT_CREDENTIALS_MS`]. Nothing is kept of it, so it may
    /// be called as often as somebody asks; what was lent before holds on until its own end.
    fn lend(
        &self,
        loan: &ArtifactLoan,
        now: Timestamp,
    ) -> impl Future<Output = Result<ArtifactCredentials, ArtifactAccessError>> + Send;
}

/// Which artifacts a job may touch. An output may be read too: a worker that tries again sees what it has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactLoan {
    /// May be read.
    pub inputs: Vec<ArtifactLocation>,
    /// May be written, once, and read.
    pub outputs: Vec<ArtifactLocation>,
}

impl ArtifactLoan {
    /// What a job reads and writes.
    pub fn of(job: &ActionJob) -> Self {
        Self {
            inputs: job.inputs.iter().map(|input| input.location.clone()).collect(),
            outputs: job.outputs.iter().map(|output| output.location.clone()).collect(),
        }
    }
}

/// `AWSSessionCredentials` of the API, with their end.
#[derive(Clone, PartialEq, Eq)]
pub struct ArtifactCredentials {
    /// The id of the key, not secret.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// Goes along with every request.
    pub session_token: String,
    /// When they cease to hold.
    pub expires: Timestamp,
}

/// Secrets show as `***`.
impl std::fmt::Debug for ArtifactCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ArtifactCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &format_args!("***"))
            .field("session_token", &format_args!("***"))
            .field("expires", &self.expires)
            .finish()
    }
}

/// Credentials could not be had.
#[derive(Debug, thiserror::Error)]
#[error("credentials for the artifacts could not be had: {0}")]
pub struct ArtifactAccessError(pub String);
