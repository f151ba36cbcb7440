//! The contract between the engine and whatever carries out an action: a runner on this machine, or an AWS
//! service. See `spec/action-providers.md`, section 0.

use events::{
    ActionExecutionId, ActionName, ArtifactName, Entry, ExecutionId, PipelineName, StageName, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use events::{ActionTypeId, ArtifactLocation, FailureCode, SourceRevision};

/// Everything a provider needs to know to carry out one attempt at one action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionJob {
    /// This attempt's id; providers use it as their client token.
    pub action_execution: ActionExecutionId,
    /// The run it belongs to.
    pub execution: ExecutionId,
    /// The pipeline of that run.
    pub pipeline: PipelineName,
    /// The stage the action stands in.
    pub stage: StageName,
    /// The action's name.
    pub action: ActionName,
    /// What the provider calls the work, when it is known to have begun: ask it rather than begin again.
    pub begun: Option<String>,
    /// The stage admission this attempt belongs to; handed back with the result.
    pub entry: Entry,
    /// Category, owner, provider and version.
    pub action_type: ActionTypeId,
    /// The roles in whose name it is carried out: the pipeline's, and the action's own, which is assumed from it.
    pub roles: Vec<String>,
    /// Where the provider works, where the definition says so; the pipeline's Region when absent.
    pub region: Option<Region>,
    /// The key that the artifacts are encrypted with; the bucket's own way when absent.
    pub encryption_key: Option<String>,
    /// Configuration with every `#{namespace.key}` replaced.
    pub configuration: BTreeMap<String, String>,
    /// The `commands` field of a compute action, with references replaced.
    pub commands: Vec<String>,
    /// Names of variables a compute action publishes.
    pub output_variables: Vec<String>,
    /// The `environmentVariables` field, with references replaced.
    pub environment_variables: Vec<EnvironmentVariable>,
    /// Input artifacts in declared order; the first is the primary one unless `PrimarySource` says otherwise.
    pub inputs: Vec<InputArtifact>,
    /// Output artifacts in declared order, each with the place it must be written to.
    pub outputs: Vec<OutputArtifact>,
    /// For a source action: the revision to fetch; `None` means the newest of the configured place.
    pub revision: Option<String>,
    /// True when this job was already started before a crash: work left behind by the earlier attempt must be
    /// cleared away first.
    pub resumed: bool,
    /// When the attempt times out.
    pub deadline: Timestamp,
}

/// An attempt at an action or a rule, and where it belongs: what is noted of work at a provider, and what the function
/// for long work is handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub execution: ExecutionId,
    /// The attempt's id.
    pub attempt: ActionExecutionId,
}

/// The variable of a provider's environment that says whose work it is, as [`Work::line`] writes it: word of the work's
/// end that carries the environment leads back by it.
pub const WORK_VARIABLE: &str = "TOWPATH_WORK";

impl Work {
    /// Where a job belongs.
    pub fn of(job: &ActionJob) -> Self {
        Self {
            pipeline: job.pipeline.clone(),
            execution: job.execution.clone(),
            attempt: job.action_execution.clone(),
        }
    }

    /// As one line: pipeline, execution and attempt with `/` between them, which none of them holds.
    pub fn line(&self) -> String {
        format!("{}/{}/{}", self.pipeline, self.execution, self.attempt)
    }

    /// Reads a line; `None` for what is none.
    pub fn of_line(line: &str) -> Option<Self> {
        let mut parts = line.split('/');
        let work = Self {
            pipeline: PipelineName::parse(parts.next()?).ok()?,
            execution: ExecutionId::parse(parts.next()?).ok()?,
            attempt: ActionExecutionId::parse(parts.next()?).ok()?,
        };
        parts.next().is_none().then_some(work)
    }
}

/// A Region that a definition names, and where artifacts are kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// The bucket of the pipeline's artifact store in that Region; `None` when it has none there.
    pub bucket: Option<String>,
    /// The key of that store; the bucket's own way when absent.
    pub encryption_key: Option<String>,
}

/// One entry of `environmentVariables`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentVariable {
    /// 1 to 128 letters, digits or `_`.
    pub name: String,
    /// The value, or the secret's id for `SECRETS_MANAGER`.
    pub value: String,
    /// Whether `value` is the value itself or names a secret.
    #[serde(rename = "type")]
    pub kind: EnvironmentVariableType,
}

/// How to read an [`EnvironmentVariable`]'s value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EnvironmentVariableType {
    /// The value itself.
    #[default]
    Plaintext,
    /// `secret-id[:json-key]`.
    SecretsManager,
}

/// An artifact an action reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputArtifact {
    /// Its name in the definition.
    pub name: ArtifactName,
    /// Where it lies.
    pub location: ArtifactLocation,
    /// The source revision it stems from, where one is known: a commit id.
    pub revision: Option<String>,
}

/// An artifact an action must write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputArtifact {
    /// Its name in the definition.
    pub name: ArtifactName,
    /// Where to put it; chosen when the action started, never used before.
    pub location: ArtifactLocation,
    /// The `files` patterns of a compute action; empty for every other action.
    pub files: Vec<String>,
}

/// Where an attempt at a deployment went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployTargets {
    /// The pipeline it was made for, where that is known.
    pub pipeline: Option<PipelineName>,
    /// In the order of the deployment.
    pub targets: Vec<DeployTarget>,
}

/// One server, or whatever else is deployed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployTarget {
    /// What tells it from others.
    pub id: String,
    /// For example `InstanceTarget`.
    pub kind: String,
    /// `Pending`, `InProgress`, `Succeeded`, `Failed` or `Skipped`.
    pub status: String,
    /// When its first event began.
    pub started: Option<Timestamp>,
    /// When its last event ended.
    pub ended: Option<Timestamp>,
    /// What happened on it, in order.
    pub events: Vec<TargetEvent>,
}

/// One lifecycle event of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEvent {
    /// For example `BeforeInstall`.
    pub name: String,
    /// As of the target.
    pub status: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub message: Option<String>,
}

/// What became of an attempt that was handed to a provider.
#[derive(Debug, Clone, PartialEq)]
pub enum Run<O> {
    /// It has ended.
    Ended(O),
    /// It has begun, and goes on without us: whoever takes it up again asks the provider by this id.
    Begun(Begun),
    /// There is nothing to say yet: it is under way, somebody else has it in hand, or it no longer counts. Whoever
    /// learns of its end reports it.
    Elsewhere,
}

/// What a provider calls the work it has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The provider's own id, by which it can be asked; not empty.
    pub external_execution_id: String,
    /// Where a person can look at the work.
    pub external_execution_url: Option<String>,
    /// One line for people, at most 2,048 characters.
    pub summary: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done and every declared output artifact has been written.
    Succeeded(Success),
    /// The work failed.
    Failed(Failure),
}

/// What a provider reports of work that succeeded. All texts are for people, except the ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Success {
    /// Output variables; at most 122,880 bytes of names and values together.
    pub output_variables: BTreeMap<String, String>,
    /// One line about what was done, at most 2,048 characters.
    pub summary: Option<String>,
    /// The provider's own id of the work: a commit, a build id, a deployment id.
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    pub external_execution_url: Option<String>,
    /// For source actions: the revision that was fetched.
    pub revision: Option<SourceRevision>,
    /// True when nothing was really done: the settings asked for a mock.
    pub mocked: bool,
}

/// What a provider reports of work that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The class of the failure, as `errorDetails.code` shows it.
    pub code: FailureCode,
    /// What went wrong and what to do, 1 to 5,000 characters.
    pub message: String,
    /// One line about what was done, at most 2,048 characters.
    pub summary: Option<String>,
    /// The provider's own id of the work.
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    pub external_execution_url: Option<String>,
}

impl Failure {
    /// A failure with a code and a message, and nothing else known.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            summary: None,
            external_execution_id: None,
            external_execution_url: None,
        }
    }
}
