//! Whether a definition makes sense.
//!
//! Rules are grouped in layers, in the order the service is known or assumed to ask. A definition is refused
//! with the first violation of the first layer that has one; tools that want all of them ask [`check_all`].

mod actions;
mod constraints;
mod flow;
mod references;
mod rules;
mod stages;
mod structure;
mod triggers;

use super::{ActionDeclaration, DefinitionError, PipelineDeclaration, PipelineType, StageDeclaration};
use crate::catalogue::Registry;
use events::PipelineVersion;

pub(super) use flow::{Moment, moment};
pub(super) use rules::rules_with_paths;

/// What a definition is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The action types of this installation.
    pub registry: &'a Registry,
    /// The pipeline's Region.
    pub region: &'a str,
    /// The pipeline's account: 12 digits.
    pub account: &'a str,
}

/// Checks a definition.
///
/// # Errors
/// The first violation, in the order the service asks.
pub fn check(declaration: &PipelineDeclaration, setting: &Setting<'_>) -> Result<(), DefinitionError> {
    let mut found = Vec::new();
    for layer in LAYERS {
        layer(declaration, setting, &mut found);
        if !found.is_empty() {
            return Err(found.swap_remove(0));
        }
    }
    Ok(())
}

/// Every violation of a definition, in the order [`check`] would find them; empty when there is none.
pub fn check_all(declaration: &PipelineDeclaration, setting: &Setting<'_>) -> Vec<DefinitionError> {
    let mut found = Vec::new();
    for layer in LAYERS {
        layer(declaration, setting, &mut found);
    }
    found
}

/// Gives a definition the form it is stored and returned in: version and type filled in. What reading already
/// fills in is the run order, the configuration, both artifact lists and the execution mode.
///
/// A type left out stays `current`, or becomes V1, unless the definition uses a feature only V2 has.
pub fn normalize(
    declaration: &mut PipelineDeclaration,
    version: PipelineVersion,
    current: Option<PipelineType>,
    registry: &Registry,
) {
    declaration.version = Some(version);
    let stays = declaration.pipeline_type.or(current.filter(|current| *current == PipelineType::V2));
    declaration.pipeline_type = Some(match stays {
        Some(given) => given,
        None if structure::needs_v2(declaration, registry) => PipelineType::V2,
        None => PipelineType::V1,
    });
}

type Layer = fn(&PipelineDeclaration, &Setting<'_>, &mut Vec<DefinitionError>);

const LAYERS: &[Layer] = &[
    constraints::check,
    structure::check_stores,
    structure::check_stages,
    structure::check_type_gates,
    stages::check,
    actions::check,
    flow::check_artifacts,
    flow::check_namespaces,
    references::check,
    triggers::check,
    structure::check_quotas,
];

/// An action and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) stage: &'a StageDeclaration,
    pub(super) stage_index: usize,
    pub(super) action: &'a ActionDeclaration,
    pub(super) action_index: usize,
}

impl Place<'_> {
    /// The path of the action, or of one of its members: `.region`.
    pub(super) fn path(&self, member: &str) -> String {
        format!("stages[{}].actions[{}]{member}", self.stage_index, self.action_index)
    }
}

/// Every action with its place, in declared order.
pub(super) fn places(declaration: &PipelineDeclaration) -> impl Iterator<Item = Place<'_>> {
    declaration.stages.iter().enumerate().flat_map(|(stage_index, stage)| {
        stage.actions.iter().enumerate().map(move |(action_index, action)| Place {
            stage,
            stage_index,
            action,
            action_index,
        })
    })
}
