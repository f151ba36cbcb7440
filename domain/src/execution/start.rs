//! Starting a run. See `spec/execution-semantics.md`, section 1.

use super::{advance, gate};
use crate::{draft::Draft, limits, pipeline::PipelineDeclaration, rejection::Rejection};
use events::{
    ActionCategory, ActionName, ExecutionEvent, ExecutionId, ExecutionMode, ExecutionStarted, Trigger,
};
use std::collections::BTreeMap;

/// Starts the run of this id. Starting one that exists changes nothing.
pub(crate) fn start(
    draft: &mut Draft<'_>,
    execution: &ExecutionId,
    trigger: &Trigger,
    variables: &BTreeMap<String, String>,
    revisions: &BTreeMap<ActionName, String>,
) -> Result<(), Rejection> {
    if draft.scope.execution.exists() {
        return Ok(());
    }
    let definition = draft.scope.pipeline.current_definition().cloned().ok_or_else(|| draft.no_pipeline())?;
    let version = draft.scope.pipeline.current.ok_or_else(|| draft.no_pipeline())?;
    let variables = resolve_variables(draft, &definition, variables)?;
    check_revisions(draft, &definition, revisions)?;
    let mode = definition.mode();
    check_room(draft, mode)?;
    draft.execution(ExecutionEvent::ExecutionStarted(ExecutionStarted {
        pipeline: draft.name.clone(),
        pipeline_version: version,
        incarnation: draft.scope.pipeline.incarnation,
        mode,
        sequence: draft.scope.lane.sequence.next(),
        trigger: trigger.clone(),
        variables,
        revisions: revisions.clone(),
        rollback: None,
        policy: gate::policy_at_start(draft.policy, &definition),
    }));
    if advance::arrive_at_next(draft, execution, &definition, None) {
        advance::advance(draft, execution, &definition);
    }
    Ok(())
}

/// QUEUED and PARALLEL pipelines hold so many executions that have not ended, and no more.
pub(crate) fn check_room(draft: &Draft<'_>, mode: ExecutionMode) -> Result<(), Rejection> {
    let limit = limits::CONCURRENT_EXECUTIONS_MAX;
    match mode {
        ExecutionMode::Superseded => Ok(()),
        ExecutionMode::Queued | ExecutionMode::Parallel => {
            if draft.scope.lane.under_way().len() < limit {
                Ok(())
            } else {
                Err(Rejection::ConcurrentExecutionsLimit { pipeline: draft.name.clone(), limit })
            }
        }
    }
}

fn resolve_variables(
    draft: &Draft<'_>,
    definition: &PipelineDeclaration,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Rejection> {
    for (name, value) in given {
        if !definition.variables.iter().any(|declared| declared.name.as_str() == name) {
            let variable = name.clone();
            return Err(Rejection::UnknownVariable { pipeline: draft.name.clone(), variable });
        }
        if !(1..=limits::VARIABLE_VALUE_CHARS_MAX).contains(&value.chars().count()) {
            return Err(Rejection::BadVariableValue { variable: name.clone() });
        }
    }
    let mut resolved = BTreeMap::new();
    for declared in &definition.variables {
        let name = declared.name.as_str();
        let value = given.get(name).or(declared.default_value.as_ref()).ok_or_else(|| {
            Rejection::MissingVariable { pipeline: draft.name.clone(), variable: name.to_owned() }
        })?;
        resolved.insert(name.to_owned(), value.clone());
    }
    Ok(resolved)
}

fn check_revisions(
    draft: &Draft<'_>,
    definition: &PipelineDeclaration,
    revisions: &BTreeMap<ActionName, String>,
) -> Result<(), Rejection> {
    let is_source = |name: &ActionName| {
        definition.actions().any(|(_, action)| {
            action.name == *name && action.action_type_id.category == ActionCategory::Source
        })
    };
    match revisions.keys().find(|name| !is_source(name)) {
        None => Ok(()),
        Some(action) => {
            Err(Rejection::NotASourceAction { pipeline: draft.name.clone(), action: action.clone() })
        }
    }
}
