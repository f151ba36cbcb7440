//! Rules that connect actions: artifacts flow from earlier actions to later ones, and names are not shared.

use super::rules::conditions;
use super::{Place, Setting, places};
use crate::pipeline::DefinitionErrorCode::{
    InvalidActionDeclarationException, InvalidStageDeclarationException,
};
use crate::pipeline::variables::{NAMESPACE_PIPELINE, NAMESPACE_VARIABLES};
use crate::pipeline::{DefinitionError, PipelineDeclaration, RunOrder};
use events::ArtifactName;
use std::collections::BTreeMap;

/// When an action runs: its stage, then its run order. Equal moments run side by side.
pub(in crate::pipeline) type Moment = (usize, RunOrder);

pub(in crate::pipeline) fn moment(place: &Place<'_>) -> Moment {
    (place.stage_index, place.action.run_order)
}

pub(super) fn check_artifacts(
    declaration: &PipelineDeclaration,
    _: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    let mut made: BTreeMap<&ArtifactName, Moment> = BTreeMap::new();
    for place in places(declaration) {
        for (index, output) in place.action.output_artifacts.iter().enumerate() {
            if made.contains_key(&output.name) {
                found.push(
                    broken(
                        place.path(&format!(".outputArtifacts[{index}]")),
                        format!(
                            "Output Artifact Bundle name must be unique within the pipeline. {} has been used \
                             more than once.",
                            output.name
                        ),
                    )
                    .hint("give each output artifact its own name"),
                );
            } else {
                made.insert(&output.name, moment(&place));
            }
        }
    }
    for place in places(declaration) {
        for (index, input) in place.action.input_artifacts.iter().enumerate() {
            let producer = made.get(&input.name);
            if producer.is_some_and(|made_at| *made_at < moment(&place)) {
                continue;
            }
            let hint = match producer {
                Some(_) => format!(
                    "the action that makes `{}` does not run before this one: raise `runOrder`, or move the \
                     action to a later stage",
                    input.name
                ),
                None => format!("no action has `{}` among its `outputArtifacts`", input.name),
            };
            found.push(
                broken(
                    place.path(&format!(".inputArtifacts[{index}]")),
                    format!(
                        "Input Artifact Bundle {} in action {} is not declared as Output Artifact Bundle in any of \
                         the preceding actions",
                        input.name, place.action.name
                    ),
                )
                .hint(hint),
            );
        }
    }
    check_rule_inputs(declaration, &made, found);
}

fn check_rule_inputs(
    declaration: &PipelineDeclaration,
    made: &BTreeMap<&ArtifactName, Moment>,
    found: &mut Vec<DefinitionError>,
) {
    for (stage_index, stage) in declaration.stages.iter().enumerate() {
        for (gate, index, condition) in conditions(stage) {
            for (rule_index, rule) in condition.rules.iter().enumerate() {
                for (input_index, input) in rule.input_artifacts.iter().enumerate() {
                    let there = made.get(&input.name).is_some_and(|(made_in, _)| {
                        // Before entry the stage's own actions have not run yet.
                        *made_in < stage_index || (gate != "beforeEntry" && *made_in == stage_index)
                    });
                    if !there {
                        found.push(DefinitionError::new(
                            InvalidStageDeclarationException,
                            format!(
                                "stages[{stage_index}].{gate}.conditions[{index}].rules[{rule_index}]\
                                 .inputArtifacts[{input_index}]"
                            ),
                            format!(
                                "Input Artifact Bundle {} in rule {} is not declared as Output Artifact Bundle in \
                                 any of the preceding actions",
                                input.name, rule.name
                            ),
                        ));
                    }
                }
            }
        }
    }
}

pub(super) fn check_namespaces(
    declaration: &PipelineDeclaration,
    _: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    let mut by_name: BTreeMap<&str, Vec<Place<'_>>> = BTreeMap::new();
    for place in places(declaration) {
        let Some(namespace) = &place.action.namespace else { continue };
        by_name.entry(namespace.as_str()).or_default().push(place);
        if [NAMESPACE_PIPELINE, NAMESPACE_VARIABLES].contains(&namespace.as_str()) {
            found.push(
                broken(
                    place.path(".namespace"),
                    format!(
                        "The namespace '{namespace}' of action '{}' in stage '{}' is reserved",
                        place.action.name, place.stage.name
                    ),
                )
                .hint("choose another namespace"),
            );
        }
    }
    for holders in by_name.values().filter(|holders| holders.len() > 1) {
        found.push(shared_namespace(holders));
    }
    for place in places(declaration) {
        for (index, output) in place.action.output_artifacts.iter().enumerate() {
            if by_name.contains_key(output.name.as_str()) {
                found.push(broken(
                    place.path(&format!(".outputArtifacts[{index}]")),
                    format!("The name '{}' is used both as a namespace and as an artifact name", output.name),
                ));
            }
        }
    }
}

fn shared_namespace(holders: &[Place<'_>]) -> DefinitionError {
    let mut message =
        "Namespaces must be unique across the pipeline definition. The following occur more than \
                       once in the pipeline."
            .to_owned();
    for place in holders {
        let namespace = place.action.namespace.as_ref().map_or("", |namespace| namespace.as_str());
        message.push_str(&format!(
            "\nStageName=[{}], ActionName=[{}], Namespace=[{namespace}]",
            place.stage.name, place.action.name
        ));
    }
    let path = holders.get(1).map_or_else(String::new, |second| second.path(".namespace"));
    broken(path, message).hint("give each action its own namespace")
}

fn broken(path: String, message: String) -> DefinitionError {
    DefinitionError::new(InvalidActionDeclarationException, path, message)
}
