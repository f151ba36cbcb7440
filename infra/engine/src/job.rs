//! From a run's state to the job of one attempt at an action or a rule.

use crate::{
    action::{
        ActionJob, EnvironmentVariable, EnvironmentVariableType, InputArtifact, OutputArtifact, Region,
    },
    rule::RuleJob,
};
use domain::{
    command::{Attempt, RuleAttempt},
    execution::{AttemptRun, Execution},
    pipeline::{self, ActionDeclaration, PipelineDeclaration, variables},
};
use events::{ExecutionId, PipelineName};

/// Whose job it is.
pub struct Place<'a> {
    /// The pipeline.
    pub pipeline: &'a PipelineName,
    /// The run.
    pub execution: &'a ExecutionId,
    /// The attempt.
    pub attempt: &'a Attempt,
}

/// Everything a provider needs to know; `None` when the attempt or its declaration is gone.
pub fn job(
    place: &Place<'_>,
    state: &Execution,
    definition: &PipelineDeclaration,
    resumed: bool,
) -> Option<ActionJob> {
    let (_, run) = state.attempt(&place.attempt.action_execution)?;
    let declared = definition.action(&place.attempt.stage, &place.attempt.action)?;
    // Resolved before, when the attempt started; what had no value then failed the attempt there.
    let resolve = |template: &String| {
        variables::resolve(template, |reference| state.variable(place.execution, definition, reference))
            .unwrap_or_else(|_| template.clone())
    };
    let mut configuration = declared.configuration.clone();
    configuration.extend(run.resolved.clone());
    let start = state.start.as_ref()?;
    Some(ActionJob {
        action_execution: place.attempt.action_execution.clone(),
        execution: place.execution.clone(),
        pipeline: place.pipeline.clone(),
        stage: place.attempt.stage.clone(),
        action: place.attempt.action.clone(),
        begun: run.external_execution_id.clone(),
        entry: place.attempt.entry,
        action_type: declared.action_type_id.clone(),
        roles: roles(definition, declared.role_arn.as_ref()),
        region: declared.region.as_deref().map(|name| region(definition, name)),
        encryption_key: encryption_key(definition, &[&run.outputs, &run.inputs]),
        configuration,
        commands: declared.commands.iter().map(resolve).collect(),
        output_variables: declared.output_variables.clone(),
        environment_variables: declared
            .environment_variables
            .iter()
            .map(|variable| EnvironmentVariable {
                name: variable.name.clone(),
                value: resolve(&variable.value),
                kind: kind(variable.kind),
            })
            .collect(),
        inputs: inputs(state, &run.inputs),
        outputs: outputs(declared, run),
        revision: start.revisions.get(&place.attempt.action).cloned(),
        resumed,
        deadline: run.deadline,
    })
}

/// Everything a provider needs to know to decide a rule; `None` when the attempt or its declaration is gone.
pub fn rule_job(
    pipeline: &PipelineName,
    execution: &ExecutionId,
    attempt: &RuleAttempt,
    state: &Execution,
    definition: &PipelineDeclaration,
    resumed: bool,
) -> Option<RuleJob> {
    let (_, condition, run) = state.rule(&attempt.rule_execution)?;
    let gate = definition.stage(&attempt.stage)?.condition(condition.condition)?;
    let declared = gate.rules.iter().find(|rule| rule.name == attempt.rule)?;
    // Resolved before, when the attempt started; what had no value then failed the attempt there.
    let resolve = |template: &String| {
        variables::resolve(template, |reference| state.variable(execution, definition, reference))
            .unwrap_or_else(|_| template.clone())
    };
    let mut configuration = declared.configuration.clone();
    configuration.extend(run.resolved.clone());
    Some(RuleJob {
        rule_execution: attempt.rule_execution.clone(),
        execution: execution.clone(),
        pipeline: pipeline.clone(),
        stage: attempt.stage.clone(),
        condition: condition.condition,
        rule: attempt.rule.clone(),
        begun: run.external_execution_id.clone(),
        entry: attempt.entry,
        provider: run.provider.clone(),
        version: run.version.clone(),
        roles: roles(definition, declared.role_arn.as_ref()),
        region: declared.region.as_deref().map(|name| region(definition, name)),
        encryption_key: encryption_key(definition, &[&run.inputs]),
        configuration,
        commands: declared.commands.iter().map(resolve).collect(),
        inputs: inputs(state, &run.inputs),
        resumed,
        started: run.started,
        deadline: run.deadline,
    })
}

fn roles(definition: &PipelineDeclaration, own: Option<&impl ToString>) -> Vec<String> {
    [definition.role_arn.to_string()].into_iter().chain(own.map(ToString::to_string)).collect()
}

/// A Region, with the artifact store that the pipeline has there.
fn region(definition: &PipelineDeclaration, name: &str) -> Region {
    let store = definition.artifact_stores.as_ref().and_then(|stores| stores.get(name));
    Region {
        name: name.to_owned(),
        bucket: store.map(|store| store.location.to_string()),
        encryption_key: store.and_then(|store| Some(store.encryption_key.as_ref()?.id.clone())),
    }
}

/// The key of the artifact store that these artifacts belong to.
fn encryption_key(definition: &PipelineDeclaration, artifacts: &[&[events::Artifact]]) -> Option<String> {
    let bucket = &artifacts.iter().find_map(|some| some.first())?.location.bucket;
    let several = definition.artifact_stores.iter().flat_map(|stores| stores.values());
    let mut stores = definition.artifact_store.iter().chain(several);
    let store = stores.find(|store| store.location.as_str() == bucket)?;
    Some(store.encryption_key.as_ref()?.id.clone())
}

fn kind(kind: Option<pipeline::EnvironmentVariableType>) -> EnvironmentVariableType {
    match kind {
        None | Some(pipeline::EnvironmentVariableType::Plaintext) => EnvironmentVariableType::Plaintext,
        Some(pipeline::EnvironmentVariableType::SecretsManager) => EnvironmentVariableType::SecretsManager,
    }
}

fn inputs(state: &Execution, artifacts: &[events::Artifact]) -> Vec<InputArtifact> {
    let input = |artifact: &events::Artifact| InputArtifact {
        name: artifact.name.clone(),
        location: artifact.location.clone(),
        revision: state.artifacts.get(&artifact.name).and_then(|known| known.revision.clone()),
    };
    artifacts.iter().map(input).collect()
}

fn outputs(declared: &ActionDeclaration, run: &AttemptRun) -> Vec<OutputArtifact> {
    let files = |artifact: &events::Artifact| {
        let output = declared.output_artifacts.iter().find(|output| output.name == artifact.name);
        output.map(|output| output.files.clone()).unwrap_or_default()
    };
    run.outputs
        .iter()
        .map(|artifact| OutputArtifact {
            name: artifact.name.clone(),
            location: artifact.location.clone(),
            files: files(artifact),
        })
        .collect()
}
