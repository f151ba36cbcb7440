//! Shapes shared by several events.

use crate::{ActionName, ArtifactName, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Identity of an action type: the whole 4-tuple is the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionTypeId {
    /// What kind of work it is.
    pub category: ActionCategory,
    /// Who made the type.
    pub owner: ActionOwner,
    /// 1 to 35 letters, digits, `-` or `_`.
    pub provider: String,
    /// 1 to 9 letters, digits, `-` or `_`; `1` for every built-in type.
    pub version: String,
}

impl fmt::Display for ActionTypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}/{}/{}", self.category, self.owner, self.provider, self.version)
    }
}

/// `actionTypeId.category`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ActionCategory {
    Source,
    Build,
    Deploy,
    Test,
    Invoke,
    Approval,
    Compute,
}

/// `actionTypeId.owner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ActionOwner {
    AWS,
    ThirdParty,
    Custom,
}

/// Where an artifact lies: an object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArtifactLocation {
    /// The store's bucket.
    pub bucket: String,
    /// The object's key, at most 100 characters, never used twice.
    pub key: String,
}

/// An artifact by name and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name in the definition.
    pub name: ArtifactName,
    /// Where it lies.
    #[serde(flatten)]
    pub location: ArtifactLocation,
}

/// The revision a source action fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRevision {
    /// The source action.
    pub action: ActionName,
    /// A commit id, an object version, an image digest.
    pub revision_id: String,
    /// The commit message, or words about the object; at most 2,048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Where a person can look at the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What tells one change of the revision from another, where a worker named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
    /// When the revision came to be, where a worker named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// The classes of failure that `errorDetails.code` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum FailureCode {
    JobFailed,
    ConfigurationError,
    PermissionError,
    RevisionOutOfSync,
    RevisionUnavailable,
    SystemUnavailable,
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// `executionMode`: how executions of one pipeline share its stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionMode {
    /// One execution a stage; of those waiting at a door the newest wins.
    #[default]
    Superseded,
    /// One execution a stage; those waiting enter in the order of their starts.
    Queued,
    /// Executions do not see each other.
    Parallel,
}

/// `retryMode`: which actions of a stage run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StageRetryMode {
    /// Those that failed or were abandoned.
    FailedActions,
    /// Every action of the stage.
    AllActions,
}

/// What started a run: `trigger.triggerType` and `triggerDetail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// The cause's kind.
    #[serde(rename = "type")]
    pub kind: TriggerType,
    /// The principal, rule or revision behind it; at most 1,024 characters.
    pub detail: String,
}

/// `trigger.triggerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum TriggerType {
    CreatePipeline,
    StartPipelineExecution,
    PollForSourceChanges,
    Webhook,
    WebhookV2,
    CloudWatchEvent,
    PutActionRevision,
    ManualRollback,
    AutomatedRollback,
}
