//! Rules about the pipeline as a whole: artifact stores, the shape of its stages, what its type allows.

use super::{Setting, places};
use crate::catalogue::Registry;
use crate::limits::{PIPELINE_ACTIONS_MAX, STAGES_MAX, STAGES_MIN};
use crate::pipeline::DefinitionErrorCode::{
    InvalidActionDeclarationException, InvalidStageDeclarationException, InvalidStructureException,
    ValidationException,
};
use crate::pipeline::{DefinitionError, PipelineDeclaration, PipelineType, StageDeclaration};
use events::ExecutionMode;
use events::{ActionCategory, ActionTypeId};
use std::collections::BTreeSet;

pub(super) fn check_stores(
    declaration: &PipelineDeclaration,
    setting: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    match (&declaration.artifact_store, &declaration.artifact_stores) {
        (Some(_), Some(_)) => found.push(
            DefinitionError::new(
                ValidationException,
                "artifactStores",
                "A pipeline can have either 'pipeline.artifactStore' or 'pipeline.artifactStores', not both.",
            )
            .hint("keep `artifactStores` if an action runs in another Region, else `artifactStore`"),
        ),
        (None, None) => found.push(
            DefinitionError::new(
                ValidationException,
                "artifactStore",
                "A pipeline must have either 'pipeline.artifactStore' or 'pipeline.artifactStores'.",
            )
            .hint("add `artifactStore` with `type` `S3` and the name of a bucket as `location`"),
        ),
        (Some(_), None) => {
            let elsewhere = places(declaration)
                .find(|place| place.action.region.as_deref().is_some_and(|region| region != setting.region));
            if let Some(place) = elsewhere {
                found.push(
                    DefinitionError::new(
                        ValidationException,
                        place.path(".region"),
                        "Your pipeline contains actions in more than one region. Use 'pipeline.artifactStores' \
                         instead of 'pipeline.artifactStore' to declare an artifact store, such as an artifact \
                         bucket, for each region where you have an action.",
                    )
                    .hint(format!("this pipeline's own Region is `{}`", setting.region)),
                );
            }
        }
        (None, Some(stores)) => {
            let needed: BTreeSet<&str> = std::iter::once(setting.region)
                .chain(declaration.actions().filter_map(|(_, action)| action.region.as_deref()))
                .collect();
            for region in needed.into_iter().filter(|region| !stores.contains_key(*region)) {
                found.push(
                    DefinitionError::new(
                        ValidationException,
                        "artifactStores",
                        format!(
                            "Your pipeline must have an artifact store, such as an artifact bucket, for each \
                             region where you have an action. The following region is missing in \
                             'pipeline.artifactStores': {region}."
                        ),
                    )
                    .hint(format!("add a store for `{region}`")),
                );
            }
        }
    }
}

pub(super) fn check_stages(
    declaration: &PipelineDeclaration,
    _: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    let stages = &declaration.stages;
    let broken = |path: &str, message: String| DefinitionError::new(InvalidStructureException, path, message);
    if stages.len() < STAGES_MIN {
        found.push(broken(
            "stages",
            format!(
                "Pipeline has only {} stage(s). There should be a minimum of {STAGES_MIN} stages in a pipeline",
                stages.len()
            ),
        ));
    }
    if stages.len() > STAGES_MAX {
        found.push(broken(
            "stages",
            format!(
                "Pipeline has too many stages. There can only be up to {STAGES_MAX} stages in a pipeline"
            ),
        ));
    }
    let is_source = |category: ActionCategory| category == ActionCategory::Source;
    if let Some(first) = stages.first() {
        let other = first.actions.iter().position(|action| !is_source(action.action_type_id.category));
        if first.actions.is_empty() || other.is_some() {
            let path = other.map_or("stages[0]".to_owned(), |index| format!("stages[0].actions[{index}]"));
            found.push(
                broken(
                    &path,
                    "Pipeline should start with a stage that only contains source actions".to_owned(),
                )
                .hint("move every action that is no source into a later stage"),
            );
        }
    }
    for place in places(declaration) {
        if place.stage_index > 0 && is_source(place.action.action_type_id.category) {
            found.push(
                broken(
                    &place.path(""),
                    "Source actions can only be included in the first stage of the pipeline".to_owned(),
                )
                .hint(format!("move `{}` into the first stage", place.action.name)),
            );
        }
    }
    if declaration.actions().all(|(_, action)| is_source(action.action_type_id.category)) {
        found.push(broken(
            "stages",
            "Pipeline should contain at least 1 action whose category is not Source".to_owned(),
        ));
    }
}

pub(super) fn check_type_gates(
    declaration: &PipelineDeclaration,
    setting: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    // A type left out becomes V2 as soon as the definition needs it: there is nothing to refuse then.
    if declaration.pipeline_type != Some(PipelineType::V1) {
        return;
    }
    found.extend(
        v2_features(declaration, setting.registry)
            .map(|feature| feature.hint("set `pipelineType` to `V2`, or leave this out")),
    );
}

pub(super) fn check_quotas(
    declaration: &PipelineDeclaration,
    _: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    let actions = declaration.actions().count();
    if actions > PIPELINE_ACTIONS_MAX {
        found.push(DefinitionError::new(
            InvalidStructureException,
            "stages",
            format!(
                "Pipeline has too many actions. There can only be up to {PIPELINE_ACTIONS_MAX} actions in a \
                 pipeline"
            ),
        ));
    }
}

/// Whether a definition uses what only V2 pipelines have.
pub(super) fn needs_v2(declaration: &PipelineDeclaration, registry: &Registry) -> bool {
    v2_features(declaration, registry).next().is_some()
}

/// Everything in a definition that only V2 pipelines have, as the violation it is in a V1 pipeline.
fn v2_features<'a>(
    declaration: &'a PipelineDeclaration,
    registry: &'a Registry,
) -> impl Iterator<Item = DefinitionError> + 'a {
    let structure =
        |path: &str, message: &str| DefinitionError::new(InvalidStructureException, path, message);
    let mode = (declaration.execution_mode != ExecutionMode::Superseded)
        .then(|| structure("executionMode", "QUEUED or PARALLEL mode can only be used with V2 pipelines"));
    let variables = (!declaration.variables.is_empty())
        .then(|| structure("variables", "Pipeline variable can only be used with V2 pipelines"));
    let triggers = (!declaration.triggers.is_empty())
        .then(|| structure("triggers", "Triggers on tag can only be used with V2 pipelines"));
    let conditions = declaration.stages.iter().enumerate().filter_map(|(index, stage)| {
        let gate = stage_gate(stage)?;
        Some(DefinitionError::new(
            InvalidStageDeclarationException,
            format!("stages[{index}].{gate}"),
            "Stage level conditions can only be used with V2 pipelines.",
        ))
    });
    let providers =
        places(declaration).filter(|place| is_v2_only(&place.action.action_type_id, registry)).map(|place| {
            DefinitionError::new(
                InvalidActionDeclarationException,
                place.path(".actionTypeId"),
                format!(
                    "{} Action can only be used with V2 pipelines.",
                    place.action.action_type_id.provider
                ),
            )
        });
    mode.into_iter().chain(variables).chain(triggers).chain(conditions).chain(providers)
}

fn stage_gate(stage: &StageDeclaration) -> Option<&'static str> {
    let gates = [
        (stage.before_entry.is_some(), "beforeEntry"),
        (stage.on_success.is_some(), "onSuccess"),
        (stage.on_failure.is_some(), "onFailure"),
    ];
    gates.into_iter().find(|(there, _)| *there).map(|(_, gate)| gate)
}

fn is_v2_only(id: &ActionTypeId, registry: &Registry) -> bool {
    registry.find(id).is_some_and(|found| found.v2_only)
}
