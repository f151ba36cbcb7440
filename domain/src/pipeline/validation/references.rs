//! Rules about `#{namespace.key}`: whatever is referred to must exist, and earlier.

use super::flow::{Moment, moment};
use super::rules::conditions;
use super::{Place, Setting, places};
use crate::pipeline::DefinitionErrorCode::{
    InvalidActionDeclarationException, InvalidStageDeclarationException, InvalidStructureException,
};
use crate::pipeline::error::nearest;
use crate::pipeline::variables::{NAMESPACE_PIPELINE, NAMESPACE_VARIABLES, Reference, Segment, segments};
use crate::pipeline::{DefinitionError, DefinitionErrorCode, PipelineDeclaration, RunOrder};
use events::ActionCategory;
use std::collections::BTreeMap;

const FORMAT: &str = "Valid format for a pipeline execution variable reference is a namespace and a key separated \
                      by a period (.).";

pub(super) fn check(declaration: &PipelineDeclaration, _: &Setting<'_>, found: &mut Vec<DefinitionError>) {
    let scope = Scope {
        namespaces: places(declaration)
            .filter_map(|place| Some((place.action.namespace.as_ref()?.as_str(), moment(&place))))
            .collect(),
        variables: declaration.variables.iter().map(|variable| variable.name.as_str()).collect(),
    };
    for place in places(declaration) {
        check_action(&place, &scope, found);
    }
    check_rules(declaration, &scope, found);
}

/// What references may name.
struct Scope<'a> {
    namespaces: BTreeMap<&'a str, Moment>,
    variables: Vec<&'a str>,
}

/// Where a text with references stands.
struct Site<'a> {
    path: &'a dyn Fn() -> String,
    /// `StageName=[S], ActionName=[A], ActionConfigurationKey=[K]`.
    detail: &'a dyn Fn() -> String,
    /// Namespaces of actions that ran before this moment are there.
    before: Moment,
    in_source: bool,
    code: DefinitionErrorCode,
}

fn check_action(place: &Place<'_>, scope: &Scope<'_>, found: &mut Vec<DefinitionError>) {
    let action = place.action;
    let mut check = |text: &str, key: &str, member: &dyn Fn() -> String| {
        if !text.contains("#{") {
            return;
        }
        let site = Site {
            path: &|| place.path(&member()),
            detail: &|| {
                format!(
                    "StageName=[{}], ActionName=[{}], ActionConfigurationKey=[{key}]",
                    place.stage.name, action.name
                )
            },
            before: moment(place),
            in_source: action.action_type_id.category == ActionCategory::Source,
            code: InvalidActionDeclarationException,
        };
        check_text(text, &site, scope, found);
    };
    for (key, value) in &action.configuration {
        check(value, key, &|| format!(".configuration.{key}"));
    }
    for (index, command) in action.commands.iter().enumerate() {
        check(command, "commands", &|| format!(".commands[{index}]"));
    }
    for (index, variable) in action.environment_variables.iter().enumerate() {
        check(&variable.value, &variable.name, &|| format!(".environmentVariables[{index}].value"));
    }
}

fn check_rules(declaration: &PipelineDeclaration, scope: &Scope<'_>, found: &mut Vec<DefinitionError>) {
    for (stage_index, stage) in declaration.stages.iter().enumerate() {
        for (gate, index, condition) in conditions(stage) {
            // Entry is asked before the stage's own actions run, the other gates after all of them.
            let before = match gate {
                "beforeEntry" => (stage_index, RunOrder::default()),
                _ => (stage_index + 1, RunOrder::default()),
            };
            for (rule_index, rule) in condition.rules.iter().enumerate() {
                let commands = rule.commands.iter().map(|command| ("commands", command));
                let values = rule.configuration.iter().map(|(key, value)| (key.as_str(), value));
                for (key, text) in values.chain(commands) {
                    let path = || {
                        let rule =
                            format!("stages[{stage_index}].{gate}.conditions[{index}].rules[{rule_index}]");
                        match key {
                            "commands" => format!("{rule}.commands"),
                            _ => format!("{rule}.configuration.{key}"),
                        }
                    };
                    let detail = || {
                        format!(
                            "StageName=[{}], RuleName=[{}], RuleConfigurationKey=[{key}]",
                            stage.name, rule.name
                        )
                    };
                    let site = Site {
                        path: &path,
                        detail: &detail,
                        before,
                        in_source: false,
                        code: InvalidStageDeclarationException,
                    };
                    check_text(text, &site, scope, found);
                }
            }
        }
    }
}

fn check_text(text: &str, site: &Site<'_>, scope: &Scope<'_>, found: &mut Vec<DefinitionError>) {
    for segment in segments(text) {
        match segment {
            Segment::Text(_) => {}
            Segment::Malformed(inner) => found.push(site.error(
                site.code,
                &format!("{FORMAT} The following pipeline execution variables are not in this format."),
                inner,
            )),
            Segment::Reference(reference) => found.extend(reference_problem(reference, site, scope)),
        }
    }
}

fn reference_problem(
    reference: Reference<'_>,
    site: &Site<'_>,
    scope: &Scope<'_>,
) -> Option<DefinitionError> {
    let text = reference.to_string();
    match reference.namespace {
        NAMESPACE_PIPELINE => None,
        NAMESPACE_VARIABLES if site.in_source => Some(
            site.error(
                InvalidStructureException,
                "Variables at the pipeline level cannot be used in source actions.",
                &text,
            )
            .hint("write the value itself, or override the source revision when starting an execution"),
        ),
        NAMESPACE_VARIABLES if scope.variables.contains(&reference.key) => None,
        NAMESPACE_VARIABLES => {
            let message = "The referenced variables haven't been declared.";
            let error = site.error(InvalidStructureException, message, &text);
            Some(match nearest(reference.key, scope.variables.iter().copied()) {
                Some(meant) => error.hint(format!("did you mean `#{{variables.{meant}}}`?")),
                None => error.hint(format!("add `{}` to the pipeline's `variables`", reference.key)),
            })
        }
        namespace => match scope.namespaces.get(namespace) {
            Some(published) if *published < site.before => None,
            Some(_) => Some(
                site.error(
                    site.code,
                    &format!(
                        "{FORMAT} The following pipeline execution variables are referencing a namespace of an \
                         action that does not run earlier."
                    ),
                    &text,
                )
                .hint(format!("let the action with the namespace `{namespace}` run in an earlier stage or group")),
            ),
            None => {
                let error = site.error(
                    site.code,
                    &format!(
                        "{FORMAT} The following pipeline execution variables are referencing a namespace that does \
                         not exist."
                    ),
                    &text,
                );
                Some(match nearest(namespace, scope.namespaces.keys().copied()) {
                    Some(meant) => error.hint(format!("did you mean `#{{{meant}.{}}}`?", reference.key)),
                    None => error.hint(format!("add `namespace` `{namespace}` to the action that publishes it")),
                })
            }
        },
    }
}

impl Site<'_> {
    fn error(&self, code: DefinitionErrorCode, message: &str, reference: &str) -> DefinitionError {
        let message = format!("{message}\n{}, VariableReferenceText=[{reference}]", (self.detail)());
        DefinitionError::new(code, (self.path)(), message)
    }
}
