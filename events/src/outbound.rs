//! What is published when the state of an execution changes: the `detail` of CodePipeline's own events at the three
//! levels, for the bus. Nothing of this is stored. See `spec/events-and-notifications.md`, section 2.

use crate::{
    ActionCategory, ActionExecutionId, ActionName, ActionOwner, ActionTypeId, Artifact, ExecutionId,
    FailureCode, PipelineName, PipelineVersion, StageName, TriggerType,
};
use serde::{Deserialize, Serialize};

/// `detail-type` of the whole execution's changes.
pub const PIPELINE_STATE_CHANGE: &str = "CodePipeline Pipeline Execution State Change";
/// `detail-type` of a stage's changes.
pub const STAGE_STATE_CHANGE: &str = "CodePipeline Stage Execution State Change";
/// `detail-type` of an action's changes.
pub const ACTION_STATE_CHANGE: &str = "CodePipeline Action Execution State Change";
/// `detail-type` of a stage whose entry condition took the execution past it; CodePipeline publishes nothing then.
pub const STAGE_SKIPPED: &str = "Towpath Stage Skipped";

/// `detail.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "CodePipeline's own words, and `SKIPPED`")]
pub enum ChangedState {
    Started,
    Stopping,
    Stopped,
    Succeeded,
    Failed,
    Resumed,
    Canceled,
    Superseded,
    Abandoned,
    Skipped,
}

impl ChangedState {
    /// The word as published.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Resumed => "RESUMED",
            Self::Canceled => "CANCELED",
            Self::Superseded => "SUPERSEDED",
            Self::Abandoned => "ABANDONED",
            Self::Skipped => "SKIPPED",
        }
    }
}

/// The `detail` of one change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each variant is documented at its shape")]
pub enum ChangeDetail {
    Pipeline(PipelineChange),
    Stage(StageChange),
    Action(Box<ActionChange>),
}

/// The whole execution changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PipelineChange {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The execution.
    pub execution_id: ExecutionId,
    /// When the execution started, with milliseconds.
    pub start_time: String,
    /// What started it, as far as it is told with this change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_trigger: Option<ExecutionTrigger>,
    /// What it is now.
    pub state: ChangedState,
    /// The definition it follows.
    pub version: PipelineVersion,
    /// From 1; one more with each retry of a stage.
    pub pipeline_execution_attempt: u32,
    /// Why it was stopped, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_execution_comments: Option<String>,
    /// The event's own id, the same whenever it is published again; ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub towpath_event_id: Option<String>,
}

/// What started an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExecutionTrigger {
    /// Its kind, and who or what.
    Plain(PlainTrigger),
    /// The change in a repository behind a connection.
    Connection(Box<ConnectionTrigger>),
}

/// `trigger-type` and `trigger-detail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlainTrigger {
    /// The cause's kind.
    pub trigger_type: TriggerType,
    /// The principal, rule or revision behind it.
    pub trigger_detail: String,
}

/// What a source action of a connection says of what it fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs, reason = "CodePipeline's own words")]
pub struct ConnectionTrigger {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_repository_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_id: Option<String>,
}

/// A stage of an execution changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StageChange {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The execution.
    pub execution_id: ExecutionId,
    /// When the stage was entered first, with milliseconds.
    pub start_time: String,
    /// The stage.
    pub stage: StageName,
    /// What it is now.
    pub state: ChangedState,
    /// When it was retried last, with milliseconds; absent before its first retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_last_retry_attempt_time: Option<String>,
    /// The definition the execution follows.
    pub version: PipelineVersion,
    /// From 1; one more with each retry of a stage.
    pub pipeline_execution_attempt: u32,
    /// The event's own id, the same whenever it is published again; ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub towpath_event_id: Option<String>,
}

/// An action of an execution changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ActionChange {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The execution.
    pub execution_id: ExecutionId,
    /// When this attempt at the action began, with milliseconds.
    pub start_time: String,
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// This attempt at it.
    pub action_execution_id: ActionExecutionId,
    /// What it is now.
    pub state: ChangedState,
    /// The action's Region.
    pub region: String,
    /// What it reads: with `STARTED`, unless it reads nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_artifacts: Vec<ChangedArtifact>,
    /// What it wrote: with `SUCCEEDED`, unless it writes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_artifacts: Vec<ChangedArtifact>,
    /// How it went: with `SUCCEEDED` and `FAILED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_result: Option<ExecutionResult>,
    /// What kind of work it is.
    #[serde(rename = "type")]
    pub action_type: ChangedType,
    /// The definition the execution follows.
    pub version: PipelineVersion,
    /// From 1; one more with each retry of a stage.
    pub pipeline_execution_attempt: u32,
    /// The event's own id, the same whenever it is published again; ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub towpath_event_id: Option<String>,
}

/// An artifact by name and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedArtifact {
    /// Its name in the definition.
    pub name: String,
    /// Where it lies; spelt so by CodePipeline.
    pub s3location: ChangedLocation,
}

/// Bucket and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ChangedLocation {
    pub bucket: String,
    pub key: String,
}

impl From<&Artifact> for ChangedArtifact {
    fn from(artifact: &Artifact) -> Self {
        let location = &artifact.location;
        Self {
            name: artifact.name.to_string(),
            s3location: ChangedLocation { bucket: location.bucket.clone(), key: location.key.clone() },
        }
    }
}

/// How an attempt at an action went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ExecutionResult {
    /// Where a person can look at the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_summary: Option<String>,
    /// The provider's own id of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// The class of failure: with `FAILED` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<FailureCode>,
}

/// An action type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `ActionTypeId`")]
pub struct ChangedType {
    pub owner: ActionOwner,
    pub category: ActionCategory,
    pub provider: String,
    pub version: String,
}

impl From<&ActionTypeId> for ChangedType {
    fn from(id: &ActionTypeId) -> Self {
        Self {
            owner: id.owner,
            category: id.category,
            provider: id.provider.clone(),
            version: id.version.clone(),
        }
    }
}
