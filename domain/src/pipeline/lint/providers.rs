//! Settings that a provider refuses when it is too late: they are checked by nobody before the action runs.

use super::{Family, Findings, Rule, Severity};
use crate::limits::PARAMETER_OVERRIDES_BYTES_MAX;
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::{Place, places};
use crate::pipeline::variables::{Segment, segments};
use serde_json::Value;

pub(super) const FAMILY: Family =
    Family { rules: &[&PRIMARY_SOURCE, &MALFORMED_JSON, &PARAMETER_OVERRIDES_SIZE, &NOT_A_BOOLEAN], check };

static PRIMARY_SOURCE: Rule = Rule {
    id: "primary-source",
    severity: Severity::Error,
    what: "a CodeBuild action with several inputs that does not say which one holds the buildspec",
    why: "CodeBuild looks for the buildspec in the primary source. With several inputs and no `PrimarySource`, or \
          one that is not an input, the action fails when it is reached.",
    mend: "Set `PrimarySource` to the name of one of the action's `inputArtifacts`.",
};

static MALFORMED_JSON: Rule = Rule {
    id: "malformed-json-setting",
    severity: Severity::Error,
    what: "a setting that must hold JSON, and does not",
    why: "A text inside a text is easily quoted wrongly, and only the provider reads it, when the action runs.",
    mend: "`EnvironmentVariables` and `Variables` hold a list of `name` and `value`, `ParameterOverrides` an object. \
           Each quote inside is written `\\\"`.",
};

static PARAMETER_OVERRIDES_SIZE: Rule = Rule {
    id: "parameter-overrides-size",
    severity: Severity::Warning,
    what: "`ParameterOverrides` of more than 1 KB",
    why: "CloudFormation actions take one kilobyte of overrides. Pipelines often grow over it one parameter at a time.",
    mend: "Put the parameters into a file of the artifact, and name it in `TemplateConfiguration`.",
};

static NOT_A_BOOLEAN: Rule = Rule {
    id: "not-a-boolean",
    severity: Severity::Warning,
    what: "a setting that is a yes or no, and is neither `true` nor `false`",
    why: "What else it holds counts as one of the two, and not always as the one that was meant.",
    mend: "Write `\"true\"` or `\"false\"`.",
};

const BOOLEANS: &[&str] =
    &["PollForSourceChanges", "DetectChanges", "Extract", "BatchEnabled", "CombineArtifacts"];

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for place in places(declaration) {
        match place.action.action_type_id.provider.as_str() {
            "CodeBuild" => {
                check_primary(&place, found);
                check_json(
                    &place,
                    "EnvironmentVariables",
                    is_name_value_list,
                    "a list of `name` and `value`",
                    found,
                );
            }
            "CloudFormation" => {
                check_json(&place, "ParameterOverrides", Value::is_object, "an object", found);
                check_overrides_size(&place, found);
            }
            "CodePipeline" => {
                check_json(&place, "Variables", is_name_value_list, "a list of `name` and `value`", found);
                check_json(&place, "SourceRevisions", Value::is_array, "a list", found);
            }
            "StepFunctions" => {
                let literal =
                    place.action.configuration.get("InputType").is_none_or(|kind| kind == "Literal");
                if literal {
                    check_json(&place, "Input", |_| true, "JSON", found);
                }
            }
            _ => {}
        }
        check_booleans(&place, found);
    }
}

fn check_primary(place: &Place<'_>, found: &mut Findings) {
    let action = place.action;
    match action.configuration.get("PrimarySource") {
        None if action.input_artifacts.len() > 1 => found.add(
            &PRIMARY_SOURCE,
            place.path(".inputArtifacts"),
            format!("`{}` has {} inputs and no `PrimarySource`.", action.name, action.input_artifacts.len()),
        ),
        Some(primary)
            if !primary.contains("#{")
                && !action.input_artifacts.iter().any(|input| input.name.as_str() == primary) =>
        {
            found.add(
                &PRIMARY_SOURCE,
                place.path(".configuration.PrimarySource"),
                format!("`PrimarySource` of `{}` is not among its inputs.", action.name),
            );
        }
        None | Some(_) => {}
    }
}

fn check_json(place: &Place<'_>, key: &str, fits: fn(&Value) -> bool, wanted: &str, found: &mut Findings) {
    let Some(text) = place.action.configuration.get(key) else { return };
    // A reference alone may stand for the whole; inside or outside of quotes a digit is what it may become.
    let mut resolved = String::with_capacity(text.len());
    let mut plain = false;
    for segment in segments(text) {
        match segment {
            Segment::Text(text) => {
                plain = plain || !text.trim().is_empty();
                resolved.push_str(text);
            }
            Segment::Reference(_) | Segment::Malformed(_) => resolved.push('0'),
        }
    }
    let name = &place.action.name;
    let message = match serde_json::from_str::<Value>(&resolved) {
        _ if !plain => return,
        Ok(value) if fits(&value) => return,
        Ok(_) => format!("`{key}` of `{name}` is not {wanted}."),
        // The parser's words name places only, never what stands there.
        Err(error) => format!(
            "`{key}` of `{name}` is not JSON: it breaks off or goes wrong at line {}, column {} of the text.",
            error.line(),
            error.column()
        ),
    };
    found.add(&MALFORMED_JSON, place.path(&format!(".configuration.{key}")), message);
}

fn is_name_value_list(value: &Value) -> bool {
    value.as_array().is_some_and(|entries| {
        entries
            .iter()
            .all(|entry| entry.get("name").is_some_and(Value::is_string) && entry.get("value").is_some())
    })
}

fn check_overrides_size(place: &Place<'_>, found: &mut Findings) {
    let size = place.action.configuration.get("ParameterOverrides").map_or(0, String::len);
    if size > PARAMETER_OVERRIDES_BYTES_MAX {
        found.add(
            &PARAMETER_OVERRIDES_SIZE,
            place.path(".configuration.ParameterOverrides"),
            format!("the overrides of `{}` have {size} bytes.", place.action.name),
        );
    }
}

fn check_booleans(place: &Place<'_>, found: &mut Findings) {
    for key in BOOLEANS {
        let Some(value) = place.action.configuration.get(*key) else { continue };
        let known = ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word));
        if !known && !value.contains("#{") {
            found.add(
                &NOT_A_BOOLEAN,
                place.path(&format!(".configuration.{key}")),
                format!("`{key}` of `{}` is neither `true` nor `false`.", place.action.name),
            );
        }
    }
}
