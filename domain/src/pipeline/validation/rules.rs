//! Rules of stage conditions: their types, configuration, commands and artifact counts.

use super::Setting;
use super::actions::not_available_message;
use crate::catalogue::{RuleType, rule_type, rules};
use crate::pipeline::DefinitionErrorCode::InvalidStageDeclarationException;
use crate::pipeline::error::nearest;
use crate::pipeline::{Condition, ConditionResult, DefinitionError, RuleDeclaration, StageDeclaration};
use std::collections::BTreeSet;

/// The conditions of a stage with the member they stand in.
pub(super) fn conditions(
    stage: &StageDeclaration,
) -> impl Iterator<Item = (&'static str, usize, &Condition)> {
    let before = stage.before_entry.iter().map(|gate| ("beforeEntry", &gate.conditions));
    let success = stage.on_success.iter().map(|gate| ("onSuccess", &gate.conditions));
    let failure = stage.on_failure.iter().map(|gate| ("onFailure", &gate.conditions));
    before.chain(success).chain(failure).flat_map(|(gate, conditions)| {
        conditions.iter().enumerate().map(move |(index, condition)| (gate, index, condition))
    })
}

/// The rules of a stage with their paths.
pub(in crate::pipeline) fn rules_with_paths(
    stage: &StageDeclaration,
    stage_index: usize,
) -> impl Iterator<Item = (String, &RuleDeclaration)> {
    conditions(stage).flat_map(move |(gate, index, condition)| {
        condition.rules.iter().enumerate().map(move |(rule_index, rule)| {
            (format!("stages[{stage_index}].{gate}.conditions[{index}].rules[{rule_index}]"), rule)
        })
    })
}

pub(super) fn check_rules(
    stage: &StageDeclaration,
    stage_index: usize,
    setting: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    for (gate, index, condition) in conditions(stage) {
        let mut names = BTreeSet::new();
        for (rule_index, rule) in condition.rules.iter().enumerate() {
            let path = format!("stages[{stage_index}].{gate}.conditions[{index}].rules[{rule_index}]");
            if !names.insert(&rule.name) {
                found.push(broken(
                    format!("{path}.name"),
                    format!(
                        "Rule name '{}' is used more than once in a condition of stage '{}'",
                        rule.name, stage.name
                    ),
                ));
            }
            match rule_type(&rule.rule_type_id) {
                Some(kind) => {
                    check_rule(rule, kind, &path, found);
                    if condition.result == Some(ConditionResult::Skip) && !kind.may_skip {
                        found.push(cannot_skip(rule, &path));
                    }
                }
                None => found.push(unknown_type(rule, &path, setting)),
            }
        }
    }
}

fn check_rule(rule: &RuleDeclaration, kind: &RuleType, path: &str, found: &mut Vec<DefinitionError>) {
    let name = &rule.name;
    for property in kind.properties.iter().filter(|property| property.required) {
        if !rule.configuration.contains_key(&*property.name) {
            found.push(broken(
                format!("{path}.configuration"),
                format!(
                    "Rule configuration for rule '{name}' is missing required configuration '{}'",
                    property.name
                ),
            ));
        }
    }
    let known = || kind.properties.iter().map(|property| &*property.name);
    for key in rule.configuration.keys().filter(|key| !known().any(|known| known == key.as_str())) {
        let error = broken(
            format!("{path}.configuration.{key}"),
            format!("Rule configuration for rule '{name}' contains unknown configuration '{key}'"),
        );
        found.push(match nearest(key, known()) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error,
        });
    }
    if kind.compute && rule.commands.is_empty() {
        found.push(broken(
            format!("{path}.commands"),
            format!("Rule {name} must have a non-empty commands field"),
        ));
    }
    if !kind.compute && !rule.commands.is_empty() {
        found.push(broken(
            format!("{path}.commands"),
            format!(
                "The following rule cannot contain a commands field: {name}. To use the commands field, use the \
                 Commands rule."
            ),
        ));
    }
    let (count, bounds) = (rule.input_artifacts.len(), kind.inputs);
    if count < bounds.min || count > bounds.max {
        let (side, limit) = match count < bounds.min {
            true => ("less than the minimum", bounds.min),
            false => ("more than the maximum", bounds.max),
        };
        found.push(broken(
            format!("{path}.inputArtifacts"),
            format!("Rule {name} declares {count} input artifacts which is {side} count ({limit})"),
        ));
    }
}

fn unknown_type(rule: &RuleDeclaration, path: &str, setting: &Setting<'_>) -> DefinitionError {
    let id = &rule.rule_type_id;
    let region = rule.region.as_deref().unwrap_or(setting.region);
    let what = format!(
        "RuleType (Category: 'Rule', Provider: '{}', Owner: 'AWS', Version: '{}') in rule '{}'",
        id.provider,
        id.version(),
        rule.name
    );
    let error = broken(format!("{path}.ruleTypeId"), not_available_message(&what, region));
    match nearest(&id.provider, rules().iter().map(|known| known.provider)) {
        Some(meant) if meant == id.provider => error.hint("use version `1`"),
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error,
    }
}

fn cannot_skip(rule: &RuleDeclaration, path: &str) -> DefinitionError {
    broken(
        format!("{path}.ruleTypeId"),
        format!("Rule '{}' cannot be used in a condition with the result SKIP", rule.name),
    )
    .hint("only `LambdaInvoke` and `VariableCheck` may skip a stage")
}

fn broken(path: String, message: String) -> DefinitionError {
    DefinitionError::new(InvalidStageDeclarationException, path, message)
}
