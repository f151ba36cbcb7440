//! What can happen to one run of a pipeline.

use crate::{
    ActionExecutionId, ActionName, ActionTypeId, Artifact, ArtifactLocation, ArtifactName, ConditionType,
    ConditionVerdict, Entry, ExecutionId, ExecutionMode, FailureCode, GaveWay, JobAcknowledged, JobContinued,
    JobDispatched, JobQueued, PipelineName, PipelineVersion, Policy, RuleExecutionId, RuleName, Sequence,
    SourceRevision, StageName, StageRetryMode, Timestamp, Trigger,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts of an `execution#<id>` stream.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its shape")]
pub enum ExecutionEvent {
    ExecutionStarted(ExecutionStarted),
    StageStarted(StageStarted),
    StageRetried(StageRetried),
    ActionStarted(ActionStarted),
    ActionProgressed(ActionProgressed),
    ActionSucceeded(ActionSucceeded),
    ActionFailed(ActionFailed),
    ActionAbandoned(ActionAbandoned),
    JobQueued(JobQueued),
    JobDispatched(JobDispatched),
    JobAcknowledged(JobAcknowledged),
    JobContinued(JobContinued),
    ResultIgnored(ResultIgnored),
    ConditionStarted(ConditionStarted),
    ConditionEnded(ConditionEnded),
    ConditionOverridden(ConditionOverridden),
    RuleStarted(RuleStarted),
    RuleProgressed(RuleProgressed),
    RuleSucceeded(RuleSucceeded),
    RuleFailed(RuleFailed),
    RuleAbandoned(RuleAbandoned),
    RuleResultIgnored(RuleResultIgnored),
    StageSkipped(StageEnded),
    StageSucceeded(StageEnded),
    StageFailed(StageEnded),
    StageStopped(StageEnded),
    StageCancelled(StageEnded),
    StopRequested(StopRequested),
    ExecutionSucceeded(ExecutionEnded),
    ExecutionFailed(ExecutionEnded),
    ExecutionStopped(ExecutionEnded),
    ExecutionCancelled(ExecutionCancelled),
    ExecutionSuperseded(ExecutionSuperseded),
}

/// The run exists. Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionStarted {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The definition this run follows; a later one ends it at its next step, except in PARALLEL mode
    /// and where its policy lets it keep this one.
    pub pipeline_version: PipelineVersion,
    /// How often the name had been deleted before; a run never outlives its own pipeline.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incarnation: u32,
    /// The mode in force at the start.
    pub mode: ExecutionMode,
    /// Place in the pipeline's order of starts.
    pub sequence: Sequence,
    /// What started it.
    pub trigger: Trigger,
    /// Pipeline-level variables, resolved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Revisions that source actions must fetch, by action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<ActionName, String>,
    /// The run rolls a stage back: its type is ROLLBACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// What governs the run beyond CodePipeline's own rules.
    #[serde(default, skip_serializing_if = "Policy::is_exact")]
    pub policy: Policy,
}

/// Which stage a run rolls back, and what it takes over from an earlier run for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The one stage that runs.
    pub stage: StageName,
    /// The earlier run.
    pub target: ExecutionId,
    /// Its artifacts, as far as the stage reads them or a source action made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<KeptArtifact>,
    /// What its source actions fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRevision>,
    /// Its output variables that the stage refers to, by namespace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, BTreeMap<String, String>>,
}

/// An artifact of an earlier run that is used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptArtifact {
    /// Its name in the definition.
    pub name: ArtifactName,
    /// Where it lies.
    #[serde(flatten)]
    pub location: ArtifactLocation,
    /// The source revision behind it, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// The run entered a stage. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStarted {
    /// The stage.
    pub stage: StageName,
    /// The admission's number.
    pub entry: Entry,
}

/// A failed or stopped stage runs again. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRetried {
    /// The stage.
    pub stage: StageName,
    /// The number of the new admission; unchanged while actions of the old one still run.
    pub entry: Entry,
    /// Which actions run again.
    pub mode: StageRetryMode,
    /// Principal that asked for it; the sender of the last result when nobody did.
    pub by: String,
    /// Nobody asked for it: the stage's definition did.
    #[serde(default, skip_serializing_if = "is_false")]
    pub automatic: bool,
}

/// An attempt at an action began. Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionStarted {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt's id.
    pub action_execution: ActionExecutionId,
    /// The admission it belongs to.
    pub entry: Entry,
    /// What kind of work it is.
    pub action_type: ActionTypeId,
    /// Configuration values that held references, after substitution.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved: BTreeMap<String, String>,
    /// Artifacts it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Artifact>,
    /// Artifacts it must write, with the place chosen for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Artifact>,
    /// When the attempt times out.
    pub deadline: Timestamp,
    /// A manual approval's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A provider has begun the work of an attempt and goes on with it by itself: whoever asks it later needs its id.
/// Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionProgressed {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt.
    pub action_execution: ActionExecutionId,
    /// The provider's own id of the work.
    pub external_execution_id: String,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// An attempt did its work. Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionSucceeded {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt.
    pub action_execution: ActionExecutionId,
    /// Output variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output_variables: BTreeMap<String, String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The provider's own id of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// The revision a source action fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<SourceRevision>,
    /// Nothing was really done: the installation mocks this kind of action.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mocked: bool,
    /// Principal that decided it, for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How much of the work is done, 0 to 100, where a worker said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<u8>,
}

/// An attempt failed. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionFailed {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt.
    pub action_execution: ActionExecutionId,
    /// `errorDetails.code`.
    pub code: FailureCode,
    /// `errorDetails.message`, at most 5,000 characters.
    pub message: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The provider's own id of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// Its time was up; the provider is asked to stop.
    #[serde(default, skip_serializing_if = "is_false")]
    pub timed_out: bool,
    /// Principal that decided it, for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// An attempt was given up by a stop request. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionAbandoned {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt.
    pub action_execution: ActionExecutionId,
}

/// A result arrived that no longer counts. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultIgnored {
    /// The attempt it speaks of.
    pub action_execution: ActionExecutionId,
    /// The admission it speaks of.
    pub entry: Entry,
}

/// A gate of a stage began to be asked. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionStarted {
    /// The stage.
    pub stage: StageName,
    /// Which gate.
    pub condition: ConditionType,
    /// The admission it belongs to.
    pub entry: Entry,
}

/// Every rule of a condition has ended, or nobody waits for them any more. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionEnded {
    /// The stage.
    pub stage: StageName,
    /// Which gate.
    pub condition: ConditionType,
    /// How it ended.
    pub verdict: ConditionVerdict,
    /// Words for people: which rules stood in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// Someone let the run pass in spite of a condition: the stage is, or is again, in progress. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionOverridden {
    /// The stage.
    pub stage: StageName,
    /// Which gate.
    pub condition: ConditionType,
    /// The admission that counts from now on: a new one when the stage had failed and was left.
    pub entry: Entry,
    /// Principal that asked for it.
    pub by: String,
}

/// An attempt at a rule began. Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleStarted {
    /// The stage.
    pub stage: StageName,
    /// Which gate.
    pub condition: ConditionType,
    /// The rule.
    pub rule: RuleName,
    /// The attempt's id.
    pub rule_execution: RuleExecutionId,
    /// The admission it belongs to.
    pub entry: Entry,
    /// Who decides: `ruleTypeId.provider`.
    pub provider: String,
    /// `ruleTypeId.version`.
    pub version: String,
    /// Configuration values that held references, after substitution.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved: BTreeMap<String, String>,
    /// Artifacts it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Artifact>,
    /// When the attempt times out.
    pub deadline: Timestamp,
}

/// A provider has begun the work of an attempt at a rule and goes on with it by itself. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleProgressed {
    /// The stage.
    pub stage: StageName,
    /// The rule.
    pub rule: RuleName,
    /// The attempt.
    pub rule_execution: RuleExecutionId,
    /// The provider's own id of the work.
    pub external_execution_id: String,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// A rule is met. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSucceeded {
    /// The stage.
    pub stage: StageName,
    /// The rule.
    pub rule: RuleName,
    /// The attempt.
    pub rule_execution: RuleExecutionId,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The provider's own id of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// Nothing was really asked: the installation mocks this kind of rule.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mocked: bool,
}

/// A rule is not met, or could not be asked. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFailed {
    /// The stage.
    pub stage: StageName,
    /// The rule.
    pub rule: RuleName,
    /// The attempt.
    pub rule_execution: RuleExecutionId,
    /// `errorDetails.code`. `JobFailed`: it was asked and is not met. Every other: it could not be asked.
    pub code: FailureCode,
    /// `errorDetails.message`, at most 5,000 characters.
    pub message: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The provider's own id of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_execution_url: Option<String>,
    /// Its time was up; the provider is asked to stop.
    #[serde(default, skip_serializing_if = "is_false")]
    pub timed_out: bool,
}

/// An attempt at a rule was given up: by a stop request, by an override, with its pipeline. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAbandoned {
    /// The stage.
    pub stage: StageName,
    /// The rule.
    pub rule: RuleName,
    /// The attempt.
    pub rule_execution: RuleExecutionId,
}

/// A rule's result arrived that no longer counts. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResultIgnored {
    /// The attempt it speaks of.
    pub rule_execution: RuleExecutionId,
    /// The admission it speaks of.
    pub entry: Entry,
}

/// A stage ended. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEnded {
    /// The stage.
    pub stage: StageName,
}

/// Someone asked for the run to stop. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequested {
    /// Give up running actions instead of waiting for them.
    pub abandon: bool,
    /// At most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Principal that asked.
    pub by: String,
}

/// The run ended. Schema 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionEnded {}

/// The run ended because its pipeline went away or changed. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionCancelled {
    /// Words for people.
    pub reason: String,
}

/// A newer run took this one's place. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionSuperseded {
    /// The newer run.
    pub by: ExecutionId,
    /// Which rule made it give way; without it, its mode did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<GaveWay>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
