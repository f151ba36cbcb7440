//! One run of a pipeline: its state, and the rules that move it from stage to stage.

pub mod action;
pub mod advance;
pub mod approval;
pub mod condition;
pub mod evolve;
pub mod failure;
pub mod gate;
pub mod job;
pub mod overriding;
pub mod retry;
pub mod rollback;
pub mod rule;
pub mod settle;
pub mod start;
pub mod stop;

use crate::pipeline::{
    PipelineDeclaration,
    variables::{NAMESPACE_PIPELINE, NAMESPACE_VARIABLES, Reference},
};
use events::{
    ActionExecutionId, ActionName, ActionTypeId, Artifact, ArtifactLocation, ArtifactName, Entry,
    ExecutionId, ExecutionMode, FailureCode, GaveWay, PipelineName, PipelineVersion, Policy, Rollback,
    Sequence, SourceRevision, StageName, StageRetryMode, Timestamp, Trigger,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use condition::{ConditionRun, ConditionStatus, RuleRun};

/// Number of this fold; one more whenever [`Execution`]'s shape or meaning changes.
pub const FOLD: u32 = 6;

/// The state of an `execution#<id>` stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// What the start recorded; `None` while the run does not exist.
    pub start: Option<Start>,
    /// The API's status.
    pub status: ExecutionStatus,
    /// Someone asked for the run to stop.
    pub stop: Option<StopRequest>,
    /// Stages entered so far, in order.
    pub stages: Vec<StageRun>,
    /// Where each artifact lies, with the revision it stems from.
    pub artifacts: BTreeMap<ArtifactName, ArtifactState>,
    /// What source actions fetched, in order.
    pub revisions: Vec<SourceRevision>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it was cancelled, or by which run it was superseded.
    pub cause: Option<String>,
    /// Which rule made it give way, where it was not its mode.
    pub gave_way: Option<GaveWay>,
}

/// What is fixed when a run starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `events::ExecutionStarted`")]
pub struct Start {
    pub pipeline: PipelineName,
    pub pipeline_version: PipelineVersion,
    pub incarnation: u32,
    pub mode: ExecutionMode,
    pub sequence: Sequence,
    pub trigger: Trigger,
    pub variables: BTreeMap<String, String>,
    pub revisions: BTreeMap<ActionName, String>,
    pub rollback: Option<Rollback>,
    pub policy: Policy,
    pub at: Timestamp,
}

impl Start {
    /// `executionType`.
    pub fn execution_type(&self) -> ExecutionType {
        if self.rollback.is_some() { ExecutionType::Rollback } else { ExecutionType::Standard }
    }
}

/// `executionType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ExecutionType {
    #[default]
    Standard,
    Rollback,
}

/// `PipelineExecutionStatus`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ExecutionStatus {
    #[default]
    InProgress,
    Stopping,
    Stopped,
    Succeeded,
    Superseded,
    Failed,
    Cancelled,
}

impl ExecutionStatus {
    /// The run does nothing more unless someone retries it.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::InProgress | Self::Stopping => false,
            Self::Stopped | Self::Succeeded | Self::Superseded | Self::Failed | Self::Cancelled => true,
        }
    }

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Superseded => "Superseded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// `StageExecutionStatus`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum StageStatus {
    #[default]
    InProgress,
    Stopping,
    Stopped,
    Succeeded,
    Failed,
    Cancelled,
    Skipped,
}

impl StageStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Skipped => "Skipped",
        }
    }
}

/// `ActionExecutionStatus`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ActionStatus {
    #[default]
    InProgress,
    Succeeded,
    Failed,
    Abandoned,
}

impl ActionStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Abandoned => "Abandoned",
        }
    }
}

/// A request to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `events::StopRequested`")]
pub struct StopRequest {
    pub abandon: bool,
    pub reason: Option<String>,
    pub by: String,
}

/// An artifact as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactState {
    /// Where.
    pub location: ArtifactLocation,
    /// The source revision behind it, where one is known.
    pub revision: Option<String>,
}

/// One stage of this run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRun {
    /// Its name.
    pub stage: StageName,
    /// The newest admission.
    pub entry: Entry,
    /// The API's status.
    pub status: StageStatus,
    /// Every attempt at every action, in order of start.
    pub attempts: Vec<AttemptRun>,
    /// Every time one of its gates was asked, in order.
    pub conditions: Vec<ConditionRun>,
    /// How often it was retried by hand.
    pub manual_retries: u32,
    /// How often its own definition retried it: at most once.
    pub auto_retries: u32,
    /// The last retry, and whether it has not come to its end.
    pub retry: Option<Retry>,
    /// When it was entered first.
    pub started: Timestamp,
    /// When it ended last.
    pub ended: Option<Timestamp>,
}

/// A retry of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Which actions run again.
    pub mode: StageRetryMode,
    /// Whose idea it was.
    pub trigger: RetryTrigger,
    /// The stage has not ended since.
    pub under_way: bool,
}

/// `latestRetryTrigger`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum RetryTrigger {
    AutomatedStageRetry,
    ManualStageRetry,
}

/// One attempt at one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `events::ActionStarted` and the events that end it")]
pub struct AttemptRun {
    pub action: ActionName,
    pub action_execution: ActionExecutionId,
    pub entry: Entry,
    pub action_type: ActionTypeId,
    pub status: ActionStatus,
    pub started: Timestamp,
    /// When its status changed last.
    pub updated: Timestamp,
    pub deadline: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    pub resolved: BTreeMap<String, String>,
    pub inputs: Vec<Artifact>,
    pub outputs: Vec<Artifact>,
    pub output_variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<SourceRevision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<(FailureCode, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// How much of the work is done, 0 to 100, where a worker said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<u8>,
    /// The job it is at, when workers do its work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<job::JobRun>,
    pub mocked: bool,
    /// Principal that decided it, for approvals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// A retry set this attempt aside: it no longer decides about its stage.
    pub set_aside: bool,
    /// A result that no longer counts has been noted; more of them change nothing.
    pub result_ignored: bool,
}

impl AttemptRun {
    /// It was given up, or its time was over: whoever works at it is to stop.
    pub fn is_called_off(&self) -> bool {
        is_called_off(self.status, self.updated, self.deadline)
    }
}

/// Whether an attempt of this status, changed then and with time until then, ended by no result of its own.
fn is_called_off(status: ActionStatus, changed: Timestamp, deadline: Timestamp) -> bool {
    match status {
        ActionStatus::Abandoned => true,
        ActionStatus::Failed => changed >= deadline,
        ActionStatus::InProgress | ActionStatus::Succeeded => false,
    }
}

impl StageRun {
    /// The attempt at an action that counts: the newest, unless a retry set it aside.
    pub fn attempt(&self, action: &ActionName) -> Option<&AttemptRun> {
        self.attempts.iter().rev().find(|attempt| attempt.action == *action && !attempt.set_aside)
    }

    /// Attempts that count and are under way.
    pub fn running(&self) -> impl Iterator<Item = &AttemptRun> {
        self.attempts.iter().filter(|attempt| attempt.status == ActionStatus::InProgress)
    }

    /// Attempts that count and did not succeed.
    pub fn unsuccessful(&self) -> impl Iterator<Item = &AttemptRun> {
        self.attempts.iter().filter(|attempt| {
            !attempt.set_aside && matches!(attempt.status, ActionStatus::Failed | ActionStatus::Abandoned)
        })
    }
}

impl Execution {
    /// The run exists.
    pub fn exists(&self) -> bool {
        self.start.is_some()
    }

    /// The stage entered last.
    pub fn current_stage(&self) -> Option<&StageRun> {
        self.stages.last()
    }

    /// The stage of that name, if it was entered.
    pub fn stage(&self, stage: &StageName) -> Option<&StageRun> {
        self.stages.iter().find(|run| run.stage == *stage)
    }

    /// One attempt by its id.
    pub fn attempt(&self, id: &ActionExecutionId) -> Option<(&StageRun, &AttemptRun)> {
        self.stages.iter().find_map(|stage| {
            stage
                .attempts
                .iter()
                .find(|attempt| attempt.action_execution == *id)
                .map(|attempt| (stage, attempt))
        })
    }

    /// Every attempt under way, with its stage.
    pub fn running(&self) -> impl Iterator<Item = (&StageRun, &AttemptRun)> {
        self.stages.iter().flat_map(|stage| stage.running().map(move |attempt| (stage, attempt)))
    }

    /// A stage is under way, as against waiting between stages.
    pub fn is_inside_a_stage(&self) -> bool {
        self.current_stage().is_some_and(|stage| match stage.status {
            StageStatus::InProgress | StageStatus::Stopping => true,
            StageStatus::Stopped
            | StageStatus::Succeeded
            | StageStatus::Failed
            | StageStatus::Cancelled
            | StageStatus::Skipped => false,
        })
    }

    /// The run rolls a stage back.
    pub fn is_rollback(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.rollback.is_some())
    }

    /// The value a reference has in this run now.
    pub fn variable(
        &self,
        id: &ExecutionId,
        definition: &PipelineDeclaration,
        reference: Reference<'_>,
    ) -> Option<String> {
        match reference.namespace {
            NAMESPACE_PIPELINE => (reference.key == "PipelineExecutionId").then(|| id.to_string()),
            NAMESPACE_VARIABLES => self.start.as_ref()?.variables.get(reference.key).cloned(),
            namespace => {
                let (stage, action) = definition.namespace(namespace)?;
                let Some(run) = self.stage(&stage.name) else {
                    let kept = &self.start.as_ref()?.rollback.as_ref()?.outputs;
                    return kept.get(namespace)?.get(reference.key).cloned();
                };
                run.attempt(&action.name)?.output_variables.get(reference.key).cloned()
            }
        }
    }
}
