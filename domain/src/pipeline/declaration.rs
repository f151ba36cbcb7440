//! A pipeline's definition in the API's own spelling, and quick ways around it.
//!
//! These types are read from requests and from stored events, and are written back to both: reading and writing
//! must lose nothing but members the API does not know. Whether a definition makes sense is not decided here.

use super::AsSent;
use super::gates::{BeforeEntry, Condition, OnFailure, OnSuccess};
use super::members::{BucketName, RoleArn, RunOrder, TimeoutMinutes, VariableName};
use events::{
    ActionName, ActionTypeId, ArtifactName, ConditionType, ExecutionMode, Namespace, PipelineName,
    PipelineVersion, StageName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A pipeline: stages in order, and everything that belongs to the whole of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineDeclaration {
    /// Unique per account and Region; never changes.
    pub name: PipelineName,
    /// The service role.
    pub role_arn: RoleArn,
    /// The only artifact store of a pipeline that stays in its Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_store: Option<ArtifactStore>,
    /// One artifact store per Region; instead of `artifact_store`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_stores: Option<BTreeMap<String, ArtifactStore>>,
    /// 2 to 50 stages, in the order executions pass them.
    pub stages: Vec<StageDeclaration>,
    /// Assigned by the service; what a caller sends is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<PipelineVersion>,
    /// How executions of this pipeline share its stages.
    #[serde(default)]
    pub execution_mode: ExecutionMode,
    /// As the caller gave it; always present once [`super::normalize`]d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_type: Option<PipelineType>,
    /// At most 50 variables a caller may set when starting an execution.
    #[serde(default, skip_serializing_if = "AsSent::is_absent")]
    pub variables: AsSent<Vec<PipelineVariable>>,
    /// At most 50 triggers, each for another source action.
    #[serde(default, skip_serializing_if = "AsSent::is_absent")]
    pub triggers: AsSent<Vec<Trigger>>,
}

impl PipelineDeclaration {
    /// How executions share the stages.
    pub fn mode(&self) -> ExecutionMode {
        self.execution_mode
    }

    /// The stage of that name.
    pub fn stage(&self, name: &StageName) -> Option<&StageDeclaration> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// The place of the stage of that name, counted from 0.
    pub fn stage_index(&self, name: &StageName) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name == *name)
    }

    /// The stage that follows; none after the last stage or an unknown one.
    pub fn next_stage(&self, name: &StageName) -> Option<&StageDeclaration> {
        self.stages.get(self.stage_index(name)? + 1)
    }

    /// The first stage: the one with the source actions. Present in every accepted definition.
    pub fn first_stage(&self) -> Option<&StageDeclaration> {
        self.stages.first()
    }

    /// An action by stage and name.
    pub fn action(&self, stage: &StageName, action: &ActionName) -> Option<&ActionDeclaration> {
        self.stage(stage)?.action(action)
    }

    /// Every action with its stage, in declared order.
    pub fn actions(&self) -> impl Iterator<Item = (&StageDeclaration, &ActionDeclaration)> {
        self.stages.iter().flat_map(|stage| stage.actions.iter().map(move |action| (stage, action)))
    }

    /// The action whose variables a namespace holds, with its stage.
    pub fn namespace(&self, namespace: &str) -> Option<(&StageDeclaration, &ActionDeclaration)> {
        self.actions().find(|(_, action)| {
            action.namespace.as_ref().is_some_and(|declared| declared.as_str() == namespace)
        })
    }

    /// The Region of the only entry of `artifactStores`: where such a pipeline must live. Tools that know no
    /// Region check with this one.
    pub fn only_region(&self) -> Option<&str> {
        let stores = self.artifact_stores.as_ref().filter(|stores| stores.len() == 1)?;
        stores.keys().next().map(String::as_str)
    }

    /// The artifact store for work done in a Region.
    pub fn store(&self, region: &str) -> Option<&ArtifactStore> {
        match &self.artifact_stores {
            Some(stores) => stores.get(region),
            None => self.artifact_store.as_ref(),
        }
    }
}

/// `pipelineType`: which features a pipeline may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum PipelineType {
    V1,
    V2,
}

/// Where artifacts are kept: a bucket, never a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStore {
    /// Always `S3`.
    #[serde(rename = "type")]
    pub kind: ArtifactStoreType,
    /// The bucket.
    pub location: BucketName,
    /// How artifacts are encrypted; the bucket's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<EncryptionKey>,
}

/// `artifactStore.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ArtifactStoreType {
    #[default]
    S3,
}

/// The key artifacts are encrypted with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionKey {
    /// Key id, key ARN or alias ARN; 1 to 400 characters.
    pub id: String,
    /// Always `KMS`.
    #[serde(rename = "type")]
    pub kind: EncryptionKeyType,
}

/// `encryptionKey.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum EncryptionKeyType {
    #[default]
    KMS,
}

/// One variable of the whole pipeline. Its value is no secret: anyone who may read an execution sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineVariable {
    /// Unique in the pipeline.
    pub name: VariableName,
    /// 1 to 1,000 characters; without it, every start must supply a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
    /// At most 200 characters, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One stage: actions, and what is asked before, and after them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageDeclaration {
    /// Unique in the pipeline.
    pub name: StageName,
    /// Reserved by the API; only an empty list is accepted.
    #[serde(default, skip_serializing_if = "AsSent::is_absent")]
    pub blockers: AsSent<Vec<Blocker>>,
    /// 1 to 50 actions.
    pub actions: Vec<ActionDeclaration>,
    /// What must hold before an execution enters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_entry: Option<BeforeEntry>,
    /// What must hold after every action succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<OnSuccess>,
    /// What happens when an action failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

/// Actions of one stage that run at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionGroup<'a> {
    /// The number they share.
    pub run_order: RunOrder,
    /// In declared order; never empty.
    pub actions: Vec<&'a ActionDeclaration>,
}

impl StageDeclaration {
    /// The action of that name.
    pub fn action(&self, name: &ActionName) -> Option<&ActionDeclaration> {
        self.actions.iter().find(|action| action.name == *name)
    }

    /// The condition of a gate, if the gate has one.
    pub fn condition(&self, gate: ConditionType) -> Option<&Condition> {
        let conditions = match gate {
            ConditionType::BeforeEntry => self.before_entry.as_ref().map(|gate| &gate.conditions),
            ConditionType::OnSuccess => self.on_success.as_ref().map(|gate| &gate.conditions),
            ConditionType::OnFailure => self.on_failure.as_ref().map(|gate| &gate.conditions),
        };
        conditions?.first()
    }

    /// The actions by run order, lowest first. Gaps in the numbers mean nothing.
    pub fn groups(&self) -> Vec<ActionGroup<'_>> {
        let mut by_order: BTreeMap<RunOrder, Vec<&ActionDeclaration>> = BTreeMap::new();
        for action in &self.actions {
            by_order.entry(action.run_order).or_default().push(action);
        }
        by_order.into_iter().map(|(run_order, actions)| ActionGroup { run_order, actions }).collect()
    }

    /// The group that follows a run order; `None` as `after` asks for the first.
    pub fn next_group(&self, after: Option<RunOrder>) -> Option<ActionGroup<'_>> {
        let run_order =
            self.actions.iter().map(|action| action.run_order).filter(|order| Some(*order) > after).min()?;
        let actions = self.actions.iter().filter(|action| action.run_order == run_order).collect();
        Some(ActionGroup { run_order, actions })
    }
}

/// A blocker; modelled by the API, never accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// 1 to 100 characters.
    pub name: String,
    /// Always `Schedule`.
    #[serde(rename = "type")]
    pub kind: BlockerType,
}

/// `blockers[].type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum BlockerType {
    #[default]
    Schedule,
}

/// One action: what to do, with which inputs, in whose name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionDeclaration {
    /// Unique in its stage.
    pub name: ActionName,
    /// Who does the work.
    pub action_type_id: ActionTypeId,
    /// Actions with the same number run together.
    #[serde(default)]
    pub run_order: RunOrder,
    /// The provider's settings; values may hold `#{namespace.key}`.
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
    /// At most 50 shell commands, one line each; compute actions only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Artifacts made, in order.
    #[serde(default)]
    pub output_artifacts: Vec<OutputArtifact>,
    /// Artifacts read, in order.
    #[serde(default)]
    pub input_artifacts: Vec<InputArtifact>,
    /// At most 15 names of variables a compute action exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_variables: Vec<String>,
    /// The role to assume from the pipeline's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
    /// Where the action runs; the pipeline's Region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The namespace under which later actions may use this action's variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Manual approval only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes: Option<TimeoutMinutes>,
    /// At most 10; compute actions only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_variables: Vec<EnvironmentVariable>,
}

/// An artifact an action reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputArtifact {
    /// The name some earlier action gave it.
    pub name: ArtifactName,
}

/// An artifact an action makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputArtifact {
    /// Unique among the pipeline's outputs.
    pub name: ArtifactName,
    /// At most 10 path patterns; compute actions only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// One environment variable of a compute action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentVariable {
    /// 1 to 128 letters, digits or `_`.
    pub name: String,
    /// 1 to 2,000 characters; a secret's id when the type says so.
    pub value: String,
    /// How to read `value`; plain text when absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EnvironmentVariableType>,
}

/// `environmentVariables[].type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EnvironmentVariableType {
    /// The value itself.
    #[default]
    Plaintext,
    /// The id of a secret.
    SecretsManager,
}

/// Starts executions on pushes and pull requests of one connected repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Always `CodeStarSourceConnection`.
    pub provider_type: TriggerProvider,
    /// What to listen to.
    pub git_configuration: GitConfiguration,
}

/// `triggers[].providerType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum TriggerProvider {
    #[default]
    CodeStarSourceConnection,
}

/// Which git events start an execution. Neither filter means: any push to the action's branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitConfiguration {
    /// A `CodeStarSourceConnection` source action of this pipeline.
    pub source_action_name: ActionName,
    /// At most 3 filters, any of which may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub push: Vec<GitPushFilter>,
    /// At most 3 filters, any of which may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_request: Vec<GitPullRequestFilter>,
}

/// A push filter: tags alone, branches alone, or branches with file paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitPushFilter {
    /// Tag names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<GitPatterns>,
    /// Branch names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<GitPatterns>,
    /// Paths of changed files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_paths: Option<GitPatterns>,
}

/// A pull request filter: branches, or branches with file paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitPullRequestFilter {
    /// At most 3; all kinds when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<PullRequestEvent>,
    /// Destination branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<GitPatterns>,
    /// Paths of changed files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_paths: Option<GitPatterns>,
}

/// Glob patterns; an exclude beats an include. Each list holds at most 8 patterns of 1 to 255 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitPatterns {
    /// What may match; everything when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<String>,
    /// What must not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
}

/// `pullRequest[].events[]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PullRequestEvent {
    /// A pull request was opened.
    Open,
    /// Its source branch got new commits.
    Updated,
    /// It was closed.
    Closed,
}
