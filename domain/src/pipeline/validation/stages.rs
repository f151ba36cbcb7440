//! Rules about single stages: names, blockers, and what is asked before and after their actions.

use super::Setting;
use super::rules::check_rules;
use crate::limits::STAGE_ACTIONS_MAX;
use crate::pipeline::DefinitionErrorCode::{
    InvalidBlockerDeclarationException, InvalidStageDeclarationException,
};
use crate::pipeline::{
    Condition, ConditionResult, DefinitionError, OnFailure, PipelineDeclaration, StageDeclaration,
};
use events::ExecutionMode;
use std::collections::BTreeSet;

pub(super) fn check(
    declaration: &PipelineDeclaration,
    setting: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    let mut names = BTreeSet::new();
    for (index, stage) in declaration.stages.iter().enumerate() {
        if !names.insert(&stage.name) {
            found.push(
                broken(index, ".name", format!("Stage name '{}' is used more than once", stage.name))
                    .hint("give each stage its own name"),
            );
        }
        if let Some(blocker) = stage.blockers.first() {
            found.push(DefinitionError::new(
                InvalidBlockerDeclarationException,
                format!("stages[{index}].blockers[0]"),
                format!(
                    "Blocker '{}' in stage '{}' cannot be used: blockers are reserved",
                    blocker.name, stage.name
                ),
            ));
        }
        check_size(stage, index, found);
        check_gates(declaration.mode(), stage, index, found);
        check_rules(stage, index, setting, found);
    }
}

fn check_size(stage: &StageDeclaration, index: usize, found: &mut Vec<DefinitionError>) {
    if stage.actions.is_empty() {
        found.push(broken(
            index,
            ".actions",
            format!("Stage '{}' must contain at least one action", stage.name),
        ));
    }
    if stage.actions.len() > STAGE_ACTIONS_MAX {
        found.push(broken(
            index,
            ".actions",
            format!(
                "Stage '{}' has too many actions. There can only be up to {STAGE_ACTIONS_MAX} actions in a stage",
                stage.name
            ),
        ));
    }
}

fn check_gates(
    mode: ExecutionMode,
    stage: &StageDeclaration,
    index: usize,
    found: &mut Vec<DefinitionError>,
) {
    let is_first = index == 0;
    if let Some(gate) = &stage.before_entry {
        if is_first {
            found.push(broken(
                index,
                ".beforeEntry",
                format!("Stage '{}' is the source stage: it cannot have entry conditions", stage.name),
            ));
        }
        let allowed = [ConditionResult::Fail, ConditionResult::Skip];
        check_results(&gate.conditions, &allowed, index, "beforeEntry", found);
    }
    if let Some(gate) = &stage.on_success {
        let allowed: &[ConditionResult] = match is_first {
            true => &[ConditionResult::Fail],
            false => &[ConditionResult::Rollback, ConditionResult::Fail],
        };
        check_results(&gate.conditions, allowed, index, "onSuccess", found);
    }
    if let Some(gate) = &stage.on_failure {
        check_on_failure(gate, stage, index, found);
        check_results(&gate.conditions, &[ConditionResult::Rollback], index, "onFailure", found);
    }
    if mode == ExecutionMode::Parallel
        && let Some(member) = rollback_in(stage)
    {
        found.push(
            broken(
                index,
                member,
                "Failure conditions with rollback result type cannot be added to a PARALLEL pipeline.",
            )
            .hint(
                "executions of a PARALLEL pipeline know nothing of each other: there is none to go back to",
            ),
        );
    }
}

fn check_on_failure(
    gate: &OnFailure,
    stage: &StageDeclaration,
    index: usize,
    found: &mut Vec<DefinitionError>,
) {
    if gate.result.is_some() && !gate.conditions.is_empty() {
        found.push(
            broken(
                index,
                ".onFailure",
                format!(
                    "The following stage cannot have a failure exit gate configured with both top level result \
                     and conditions: '{}'",
                    stage.name
                ),
            )
            .hint("keep `result` or `conditions`"),
        );
    }
    if let Some(result @ (ConditionResult::Fail | ConditionResult::Skip)) = gate.result {
        found.push(
            broken(
                index,
                ".onFailure.result",
                format!(
                    "Stage '{}' cannot have the failure result {}: a failed stage can only be rolled back or \
                     retried",
                    stage.name,
                    word(result)
                ),
            )
            .hint("use `ROLLBACK` or `RETRY`, or leave `onFailure` out"),
        );
    }
    if index == 0 && gate.result == Some(ConditionResult::Rollback) {
        found.push(broken(
            index,
            ".onFailure.result",
            format!("Stage '{}' is the source stage: it cannot be rolled back", stage.name),
        ));
    }
    if gate.retry_configuration.is_some() && gate.result != Some(ConditionResult::Retry) {
        found.push(
            broken(
                index,
                ".onFailure.retryConfiguration",
                format!("Stage '{}' has a retry configuration without the failure result RETRY", stage.name),
            )
            .hint("set `result` to `RETRY`, or leave `retryConfiguration` out"),
        );
    }
}

fn check_results(
    conditions: &[Condition],
    allowed: &[ConditionResult],
    stage_index: usize,
    gate: &str,
    found: &mut Vec<DefinitionError>,
) {
    for (index, condition) in conditions.iter().enumerate() {
        let Some(result) = condition.result.filter(|result| !allowed.contains(result)) else { continue };
        let words: Vec<&str> = allowed.iter().copied().map(word).collect();
        found.push(
            broken(
                stage_index,
                &format!(".{gate}.conditions[{index}].result"),
                format!("The result {} cannot be used in {gate} of this stage", word(result)),
            )
            .hint(format!("use one of: {}", words.join(", "))),
        );
    }
}

/// The member by which a stage asks to be rolled back.
fn rollback_in(stage: &StageDeclaration) -> Option<&'static str> {
    let asks = |conditions: &[Condition]| {
        conditions.iter().any(|condition| condition.result == Some(ConditionResult::Rollback))
    };
    if stage.on_success.as_ref().is_some_and(|gate| asks(&gate.conditions)) {
        return Some(".onSuccess");
    }
    let gate = stage.on_failure.as_ref()?;
    // A failure condition without a result means rollback.
    let rolls_back = gate.result == Some(ConditionResult::Rollback)
        || gate
            .conditions
            .iter()
            .any(|condition| matches!(condition.result, None | Some(ConditionResult::Rollback)));
    rolls_back.then_some(".onFailure")
}

fn word(result: ConditionResult) -> &'static str {
    match result {
        ConditionResult::Rollback => "ROLLBACK",
        ConditionResult::Fail => "FAIL",
        ConditionResult::Retry => "RETRY",
        ConditionResult::Skip => "SKIP",
    }
}

fn broken(stage_index: usize, member: &str, message: impl Into<String>) -> DefinitionError {
    DefinitionError::new(InvalidStageDeclarationException, format!("stages[{stage_index}]{member}"), message)
}
