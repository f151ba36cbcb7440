//! Lengths, counts and characters of single members, in the wording of the service's constraint layer. What a
//! newtype of the declaration already guarantees is not asked again.

use super::rules::rules_with_paths;
use super::{Place, Setting, places};
use crate::limits::*;
use crate::pipeline::{
    ArtifactStore, DefinitionError, GitPatterns, PipelineDeclaration, PipelineVariable, RuleDeclaration,
    StageDeclaration, Trigger,
};
use std::collections::BTreeMap;

pub(super) fn check(declaration: &PipelineDeclaration, _: &Setting<'_>, found: &mut Vec<DefinitionError>) {
    if let Some(store) = &declaration.artifact_store {
        check_store(store, "artifactStore", found);
    }
    for (region, store) in declaration.artifact_stores.iter().flatten() {
        let path = format!("artifactStores.{region}");
        length(found, region, REGION_CHARS_MIN, REGION_CHARS_MAX, || path.clone());
        check_store(store, &path, found);
    }
    for (index, stage) in declaration.stages.iter().enumerate() {
        check_conditions(stage, index, found);
    }
    for place in places(declaration) {
        check_action(&place, found);
    }
    count(found, declaration.variables.len(), 0, VARIABLES_MAX, || "variables".to_owned());
    for (index, variable) in declaration.variables.iter().enumerate() {
        check_variable(variable, index, found);
    }
    count(found, declaration.triggers.len(), 0, TRIGGERS_MAX, || "triggers".to_owned());
    for (index, trigger) in declaration.triggers.iter().enumerate() {
        check_trigger(trigger, index, found);
    }
}

fn check_store(store: &ArtifactStore, path: &str, found: &mut Vec<DefinitionError>) {
    if let Some(key) = &store.encryption_key {
        length(found, &key.id, 1, ENCRYPTION_KEY_ID_CHARS_MAX, || format!("{path}.encryptionKey.id"));
    }
}

fn check_conditions(stage: &StageDeclaration, stage_index: usize, found: &mut Vec<DefinitionError>) {
    let sets = [
        ("beforeEntry", stage.before_entry.as_ref().map(|gate| &gate.conditions), 1),
        ("onSuccess", stage.on_success.as_ref().map(|gate| &gate.conditions), 1),
        ("onFailure", stage.on_failure.as_ref().map(|gate| &gate.conditions), 0),
    ];
    for (kind, conditions, min) in sets {
        let Some(conditions) = conditions else { continue };
        let path = || format!("stages[{stage_index}].{kind}.conditions");
        count(found, conditions.len(), min, CONDITIONS_MAX, path);
        for (index, condition) in conditions.iter().enumerate() {
            count(found, condition.rules.len(), 1, RULES_MAX, || format!("{}[{index}].rules", path()));
        }
    }
    for (path, rule) in rules_with_paths(stage, stage_index) {
        check_rule(rule, &path, found);
    }
}

fn check_rule(rule: &RuleDeclaration, path: &str, found: &mut Vec<DefinitionError>) {
    let type_id = &rule.rule_type_id;
    type_word(found, &type_id.provider, PROVIDER_CHARS_MAX, || format!("{path}.ruleTypeId.provider"));
    type_word(found, type_id.version(), TYPE_VERSION_CHARS_MAX, || format!("{path}.ruleTypeId.version"));
    count(found, rule.configuration.len(), 0, RULE_CONFIGURATION_ENTRIES_MAX, || {
        format!("{path}.configuration")
    });
    check_configuration(&rule.configuration, RULE_CONFIGURATION_VALUE_CHARS_MAX, path, found);
    check_commands(&rule.commands, path, found);
    if let Some(region) = &rule.region {
        length(found, region, REGION_CHARS_MIN, REGION_CHARS_MAX, || format!("{path}.region"));
    }
}

fn check_action(place: &Place<'_>, found: &mut Vec<DefinitionError>) {
    let action = place.action;
    let type_id = &action.action_type_id;
    type_word(found, &type_id.provider, PROVIDER_CHARS_MAX, || place.path(".actionTypeId.provider"));
    type_word(found, &type_id.version, TYPE_VERSION_CHARS_MAX, || place.path(".actionTypeId.version"));
    if let Some(region) = &action.region {
        length(found, region, REGION_CHARS_MIN, REGION_CHARS_MAX, || place.path(".region"));
    }
    let fits = |text: &str, max: usize| fits(text, 1, max);
    if !action.configuration.iter().all(|(key, value)| {
        fits(key, CONFIGURATION_KEY_CHARS_MAX) && fits(value, CONFIGURATION_VALUE_CHARS_MAX)
    }) {
        check_configuration(&action.configuration, CONFIGURATION_VALUE_CHARS_MAX, &place.path(""), found);
    }
    if !action.commands.is_empty() {
        check_commands(&action.commands, &place.path(""), found);
    }
    count(found, action.output_variables.len(), 0, OUTPUT_VARIABLES_MAX, || place.path(".outputVariables"));
    for (index, name) in action.output_variables.iter().enumerate() {
        length(found, name, 1, OUTPUT_VARIABLE_NAME_CHARS_MAX, || {
            place.path(&format!(".outputVariables[{index}]"))
        });
    }
    for (index, output) in action.output_artifacts.iter().enumerate() {
        let path = || place.path(&format!(".outputArtifacts[{index}].files"));
        count(found, output.files.len(), 0, OUTPUT_FILES_MAX, path);
        for (file_index, file) in output.files.iter().enumerate() {
            length(found, file, 1, OUTPUT_FILE_CHARS_MAX, || format!("{}[{file_index}]", path()));
        }
    }
    check_environment(place, found);
}

fn check_environment(place: &Place<'_>, found: &mut Vec<DefinitionError>) {
    let variables = &place.action.environment_variables;
    count(found, variables.len(), 0, ENVIRONMENT_VARIABLES_MAX, || place.path(".environmentVariables"));
    for (index, variable) in variables.iter().enumerate() {
        let path = |member: &str| place.path(&format!(".environmentVariables[{index}].{member}"));
        length(found, &variable.name, 1, ENVIRONMENT_VARIABLE_NAME_CHARS_MAX, || path("name"));
        if !variable.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            found.push(pattern(path("name"), "[A-Za-z0-9_]+"));
        }
        length(found, &variable.value, 1, ENVIRONMENT_VARIABLE_VALUE_CHARS_MAX, || path("value"));
    }
}

fn check_configuration(
    configuration: &BTreeMap<String, String>,
    value_chars_max: usize,
    path: &str,
    found: &mut Vec<DefinitionError>,
) {
    for (key, value) in configuration {
        let path = || format!("{path}.configuration.{key}");
        if !fits(key, 1, CONFIGURATION_KEY_CHARS_MAX) {
            let constraint = format!(
                "Map keys must satisfy constraint: [Member must have length less than or equal to \
                 {CONFIGURATION_KEY_CHARS_MAX}, Member must have length greater than or equal to 1]"
            );
            found.push(DefinitionError::constraint(path(), &constraint));
        }
        if !fits(value, 1, value_chars_max) {
            let constraint = format!(
                "Map value must satisfy constraint: [Member must have length less than or equal to \
                 {value_chars_max}, Member must have length greater than or equal to 1]"
            );
            let error = DefinitionError::constraint(path(), &constraint);
            found.push(match value.is_empty() {
                true => error.hint(format!("leave `{key}` out, or give it a value")),
                false => error,
            });
        }
    }
}

fn check_commands(commands: &[String], path: &str, found: &mut Vec<DefinitionError>) {
    count(found, commands.len(), 0, COMMANDS_MAX, || format!("{path}.commands"));
    for (index, command) in commands.iter().enumerate() {
        length(found, command, 1, COMMAND_CHARS_MAX, || format!("{path}.commands[{index}]"));
    }
}

fn check_variable(variable: &PipelineVariable, index: usize, found: &mut Vec<DefinitionError>) {
    if let Some(value) = &variable.default_value {
        length(found, value, 1, VARIABLE_VALUE_CHARS_MAX, || format!("variables[{index}].defaultValue"));
    }
    if let Some(text) = &variable.description {
        length(found, text, 0, VARIABLE_DESCRIPTION_CHARS_MAX, || format!("variables[{index}].description"));
    }
}

fn check_trigger(trigger: &Trigger, index: usize, found: &mut Vec<DefinitionError>) {
    let git = &trigger.git_configuration;
    let path = |member: &str| format!("triggers[{index}].gitConfiguration.{member}");
    count(found, git.push.len(), 0, TRIGGER_FILTERS_MAX, || path("push"));
    for (index, filter) in git.push.iter().enumerate() {
        for (criterion, patterns) in
            [("tags", &filter.tags), ("branches", &filter.branches), ("filePaths", &filter.file_paths)]
        {
            check_patterns(patterns.as_ref(), || path(&format!("push[{index}].{criterion}")), found);
        }
    }
    count(found, git.pull_request.len(), 0, TRIGGER_FILTERS_MAX, || path("pullRequest"));
    for (index, filter) in git.pull_request.iter().enumerate() {
        let events = || path(&format!("pullRequest[{index}].events"));
        count(found, filter.events.len(), 0, PULL_REQUEST_EVENTS_MAX, events);
        for (criterion, patterns) in [("branches", &filter.branches), ("filePaths", &filter.file_paths)] {
            check_patterns(patterns.as_ref(), || path(&format!("pullRequest[{index}].{criterion}")), found);
        }
    }
}

fn check_patterns(
    patterns: Option<&GitPatterns>,
    path: impl Fn() -> String,
    found: &mut Vec<DefinitionError>,
) {
    let Some(patterns) = patterns else { return };
    for (list, texts) in [("includes", &patterns.includes), ("excludes", &patterns.excludes)] {
        count(found, texts.len(), 0, TRIGGER_PATTERNS_MAX, || format!("{}.{list}", path()));
        for (index, text) in texts.iter().enumerate() {
            length(found, text, 1, TRIGGER_PATTERN_CHARS_MAX, || format!("{}.{list}[{index}]", path()));
        }
    }
}

fn fits(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.chars().count())
}

fn length(
    found: &mut Vec<DefinitionError>,
    text: &str,
    min: usize,
    max: usize,
    path: impl FnOnce() -> String,
) {
    if !fits(text, min, max) {
        found.push(out_of_range(path(), text.chars().count(), min, max));
    }
}

fn count(
    found: &mut Vec<DefinitionError>,
    items: usize,
    min: usize,
    max: usize,
    path: impl FnOnce() -> String,
) {
    if !(min..=max).contains(&items) {
        found.push(out_of_range(path(), items, min, max));
    }
}

fn out_of_range(path: String, length: usize, min: usize, max: usize) -> DefinitionError {
    let constraint = match length < min {
        true => format!("Member must have length greater than or equal to {min}"),
        false => format!("Member must have length less than or equal to {max}"),
    };
    DefinitionError::constraint(path, &constraint)
}

fn pattern(path: String, pattern: &str) -> DefinitionError {
    let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
    DefinitionError::constraint(path, &constraint)
}

/// A provider's name or a type's version.
fn type_word(found: &mut Vec<DefinitionError>, text: &str, max: usize, path: impl Fn() -> String) {
    length(found, text, 1, max, &path);
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        found.push(pattern(path(), "[0-9A-Za-z_-]+"));
    }
}
