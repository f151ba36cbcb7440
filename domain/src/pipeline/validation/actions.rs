//! Rules about single actions, asked action by action: type, Region, artifact counts, configuration, commands,
//! name.

use super::{Place, Setting, places};
use crate::catalogue::{ActionType, ArtifactCount, Property};
use crate::limits::QUERYABLE_VALUE_CHARS_MAX;
use crate::pipeline::DefinitionErrorCode::InvalidActionDeclarationException;
use crate::pipeline::error::nearest;
use crate::pipeline::{DefinitionError, EnvironmentVariableType, PipelineDeclaration};
use events::{ActionCategory, ActionOwner, ArtifactName};
use std::collections::BTreeSet;

pub(super) fn check(
    declaration: &PipelineDeclaration,
    setting: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    let mut names = BTreeSet::new();
    for place in places(declaration) {
        match setting.registry.find(&place.action.action_type_id) {
            Some(kind) => {
                check_region(&place, setting, found);
                check_counts(&place, kind, found);
                check_configuration(&place, kind, found);
                check_artifact_paths(&place, kind, found);
                check_compute(&place, kind, found);
                check_timeout(&place, kind, found);
                check_notification(&place, kind, setting, found);
            }
            None => found.push(unknown_type(&place, setting)),
        }
        if !names.insert((place.stage_index, &place.action.name)) {
            found.push(
                broken(
                    place.path(".name"),
                    format!(
                        "Action name '{}' is used more than once in stage '{}'",
                        place.action.name, place.stage.name
                    ),
                )
                .hint("give each action of a stage its own name"),
            );
        }
    }
}

/// The service's words for a type it does not have; `what` names the type and where it stands.
pub(super) fn not_available_message(what: &str, region: &str) -> String {
    format!("{what} is not available in region '{}'", region.to_uppercase().replace('-', "_"))
}

fn unknown_type(place: &Place<'_>, setting: &Setting<'_>) -> DefinitionError {
    let id = &place.action.action_type_id;
    let region = place.action.region.as_deref().unwrap_or(setting.region);
    let what = format!(
        "ActionType (Category: '{:?}', Provider: '{}', Owner: '{:?}', Version: '{}') in action '{}'",
        id.category, id.provider, id.owner, id.version, place.action.name
    );
    let error = broken(place.path(".actionTypeId"), not_available_message(&what, region));
    let same_provider = setting.registry.iter().find(|known| known.provider == id.provider);
    if let Some(known) = same_provider {
        return error.hint(format!("there is `{}`", known.id()));
    }
    let providers =
        setting.registry.iter().filter(|known| known.category == id.category).map(|known| &*known.provider);
    match (nearest(&id.provider, providers), id.owner) {
        (Some(meant), _) => error.hint(format!("did you mean `{meant}`?")),
        (None, ActionOwner::Custom) => error.hint("create the custom action type first"),
        (None, ActionOwner::AWS | ActionOwner::ThirdParty) => error,
    }
}

fn check_region(place: &Place<'_>, setting: &Setting<'_>, found: &mut Vec<DefinitionError>) {
    let id = &place.action.action_type_id;
    let Some(region) = place.action.region.as_deref().filter(|region| *region != setting.region) else {
        return;
    };
    if id.category == ActionCategory::Source || id.owner != ActionOwner::AWS {
        let kind = match id.category == ActionCategory::Source {
            true => "Source".to_owned(),
            false => format!("{:?}", id.owner),
        };
        found.push(
            broken(
                place.path(".region"),
                format!(
                    "Action {} cannot run in region {region}: {kind} actions must be in the same region as the \
                     pipeline",
                    place.action.name
                ),
            )
            .hint("leave `region` out"),
        );
    }
}

fn check_counts(place: &Place<'_>, kind: &ActionType, found: &mut Vec<DefinitionError>) {
    let action = place.action;
    let sides: [(&str, &str, usize, ArtifactCount); 2] = [
        ("input", ".inputArtifacts", action.input_artifacts.len(), kind.inputs),
        ("output", ".outputArtifacts", action.output_artifacts.len(), kind.outputs),
    ];
    for (side, member, count, bounds) in sides {
        let (relation, limit) = match count {
            few if few < bounds.min => ("less than the minimum", bounds.min),
            many if many > bounds.max => ("more than the maximum", bounds.max),
            _ => continue,
        };
        found.push(broken(
            place.path(member),
            format!(
                "Action {} declares {count} {side} artifacts which is {relation} count ({limit})",
                action.name
            ),
        ));
    }
    let mut seen: BTreeSet<&ArtifactName> = BTreeSet::new();
    for (index, input) in action.input_artifacts.iter().enumerate() {
        if !seen.insert(&input.name) {
            found.push(broken(
                place.path(&format!(".inputArtifacts[{index}]")),
                format!("Action {} lists the input artifact {} more than once", action.name, input.name),
            ));
        }
    }
}

fn check_configuration(place: &Place<'_>, kind: &ActionType, found: &mut Vec<DefinitionError>) {
    let (name, configuration) = (&place.action.name, &place.action.configuration);
    let missing = |key: &str| {
        broken(
            place.path(".configuration"),
            format!("Action configuration for action '{name}' is missing required configuration '{key}'"),
        )
        .hint(format!("add `{key}` to `configuration`"))
    };
    for property in kind.properties.iter() {
        match configuration.get(&*property.name) {
            None if property.required => found.push(missing(&property.name)),
            None => {}
            Some(value) => found.extend(queryable_problem(place, property, value)),
        }
    }
    for rule in kind.required_when {
        let holds = configuration.get(rule.other).is_some_and(|value| value.eq_ignore_ascii_case(rule.value));
        if holds && !configuration.contains_key(rule.key) {
            found.push(missing(rule.key));
        }
    }
    if kind.open_configuration {
        return;
    }
    for key in configuration.keys().filter(|key| kind.property(key).is_none()) {
        let error = broken(
            place.path(&format!(".configuration.{key}")),
            format!("Action configuration for action '{name}' contains unknown configuration '{key}'"),
        );
        found.push(match nearest(key, kind.properties.iter().map(|property| &*property.name)) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint(format!("`{}` does not know this key: remove it", kind.provider)),
        });
    }
}

fn queryable_problem(place: &Place<'_>, property: &Property, value: &str) -> Option<DefinitionError> {
    let legal = value.chars().count() <= QUERYABLE_VALUE_CHARS_MAX
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    (property.queryable && !legal).then(|| {
        broken(
            place.path(&format!(".configuration.{}", property.name)),
            format!(
                "Action configuration for action '{}' has an invalid value for the queryable configuration '{}': \
                 it must have at most {QUERYABLE_VALUE_CHARS_MAX} characters and satisfy the pattern \
                 [a-zA-Z0-9_-]+",
                place.action.name, property.name
            ),
        )
    })
}

/// `Artifact::path` must name an input of the action. Whether the file is there shows when the action runs.
fn check_artifact_paths(place: &Place<'_>, kind: &ActionType, found: &mut Vec<DefinitionError>) {
    let action = place.action;
    for property in kind.properties.iter().filter(|property| property.artifact_path) {
        let Some((artifact, _)) =
            action.configuration.get(&*property.name).and_then(|value| value.split_once("::"))
        else {
            continue;
        };
        // What no artifact could be called is no artifact path: a JSON text may well hold `::`.
        let Ok(artifact) = ArtifactName::parse(artifact) else { continue };
        if !action.input_artifacts.iter().any(|input| input.name == artifact) {
            found.push(
                broken(
                    place.path(&format!(".configuration.{}", property.name)),
                    format!(
                        "Action configuration for action '{}' refers to the artifact '{artifact}' in '{}', which \
                         is not an input artifact of the action",
                        action.name, property.name
                    ),
                )
                .hint(format!("add `{artifact}` to `inputArtifacts`")),
            );
        }
    }
}

fn check_compute(place: &Place<'_>, kind: &ActionType, found: &mut Vec<DefinitionError>) {
    let action = place.action;
    let name = &action.name;
    if kind.compute {
        if action.commands.is_empty() {
            found.push(broken(
                place.path(".commands"),
                format!("Action {name} must have a non-empty commands field"),
            ));
        }
        if let Some(index) = action.commands.iter().position(|command| command.contains(['\n', '\r'])) {
            found.push(
                broken(
                    place.path(&format!(".commands[{index}]")),
                    format!("Action {name} has a command with more than one line"),
                )
                .hint("write each line as a command of its own"),
            );
        }
        return;
    }
    let with_files = action.output_artifacts.iter().position(|output| !output.files.is_empty());
    let member = match (action.commands.is_empty(), with_files) {
        (false, _) => Some(".commands".to_owned()),
        (true, Some(index)) => Some(format!(".outputArtifacts[{index}].files")),
        (true, None) => None,
    };
    if let Some(member) = member {
        // The service answers with the same words for `files`.
        found.push(broken(
            place.path(&member),
            format!(
                "The following action cannot contain a commands field: {name}. To use the commands field, use a \
                 compute action."
            ),
        ));
    }
    if !action.output_variables.is_empty() {
        found.push(broken(
            place.path(".outputVariables"),
            format!(
                "The following action cannot contain an outputVariables field: {name}. To use the \
                 outputVariables field, use a compute action."
            ),
        ));
    }
    // Plain values are let through: some action types beyond the compute ones read them.
    let secret = action
        .environment_variables
        .iter()
        .position(|variable| variable.kind == Some(EnvironmentVariableType::SecretsManager));
    if let Some(index) = secret {
        found.push(broken(
            place.path(&format!(".environmentVariables[{index}].type")),
            format!("Action {name} cannot use environment variables of type SECRETS_MANAGER"),
        ));
    }
}

fn check_timeout(place: &Place<'_>, kind: &ActionType, found: &mut Vec<DefinitionError>) {
    if place.action.timeout_in_minutes.is_some() && kind.category != ActionCategory::Approval {
        found.push(
            broken(
                place.path(".timeoutInMinutes"),
                format!(
                    "Action {} cannot have a timeoutInMinutes field: only manual approval actions can",
                    place.action.name
                ),
            )
            .hint("leave `timeoutInMinutes` out"),
        );
    }
}

fn check_notification(
    place: &Place<'_>,
    kind: &ActionType,
    setting: &Setting<'_>,
    found: &mut Vec<DefinitionError>,
) {
    if kind.category != ActionCategory::Approval {
        return;
    }
    let Some(arn) = place.action.configuration.get("NotificationArn") else { return };
    // What a variable holds is known only when the action runs.
    if arn.contains("#{") {
        return;
    }
    let action = &place.action.name;
    let message = match topic_region(arn) {
        Err(NoTopic::Format) => format!(
            "The ARN {arn} you specified for sending notifications for the approval action {action} contains a \
             format error."
        ),
        Err(NoTopic::Service) => format!(
            "The ARN {arn} has been specified for sending notifications for the approval action {action}, but the \
             AWS service for this ARN cannot be used to send approval requests."
        ),
        Ok(region) if region != setting.region => format!(
            "The ARN {arn} has been specified for sending notifications for the approval action {action}, but the \
             ARN is not in the same region as the pipeline."
        ),
        Ok(_) => return,
    };
    found.push(
        broken(place.path(".configuration.NotificationArn"), message)
            .hint(format!("name an SNS topic: `arn:aws:sns:{}:{}:<topic>`", setting.region, setting.account)),
    );
}

enum NoTopic {
    Format,
    Service,
}

/// The Region of an SNS topic's ARN.
fn topic_region(arn: &str) -> Result<&str, NoTopic> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, topic] = parts[..] else {
        return Err(NoTopic::Format);
    };
    if prefix != "arn" || !partition.starts_with("aws") || service.is_empty() || topic.is_empty() {
        return Err(NoTopic::Format);
    }
    if service != "sns" {
        return Err(NoTopic::Service);
    }
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if region.is_empty() || !is_account || topic.contains(':') {
        return Err(NoTopic::Format);
    }
    Ok(region)
}

fn broken(path: String, message: String) -> DefinitionError {
    DefinitionError::new(InvalidActionDeclarationException, path, message)
}
