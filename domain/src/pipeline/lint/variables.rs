//! Variables that are never there, and variables nobody asks for.

use super::sources::starts_by_itself;
use super::texts::{Site, texts};
use super::{Family, Findings, Rule, Severity};
use crate::catalogue::{OutputVariables, action_type};
use crate::pipeline::error::nearest;
use crate::pipeline::validation::places;
use crate::pipeline::variables::{
    NAMESPACE_PIPELINE, NAMESPACE_VARIABLES, Reference, Segment, references, segments,
};
use crate::pipeline::{ActionDeclaration, PipelineDeclaration};
use events::ActionCategory;
use std::collections::BTreeSet;

pub(super) const FAMILY: Family = Family {
    rules: &[
        &UNKNOWN_OUTPUT_VARIABLE,
        &UNCLOSED_REFERENCE,
        &VARIABLE_WITHOUT_DEFAULT,
        &UNUSED_VARIABLE,
        &UNREAD_OUTPUT_VARIABLE,
    ],
    check,
};

static UNKNOWN_OUTPUT_VARIABLE: Rule = Rule {
    id: "unknown-output-variable",
    severity: Severity::Error,
    what: "a reference to a variable that its action never publishes",
    why: "The service checks that the namespace exists, not the key. The action that asks for it fails when it is \
          reached, after everything before it has run.",
    mend: "Use one of the variables the action publishes; for `Commands` list it in `outputVariables`.",
};

static UNCLOSED_REFERENCE: Rule = Rule {
    id: "unclosed-reference",
    severity: Severity::Warning,
    what: "`#{` without its `}`",
    why: "It is not replaced and no error tells of it: the provider gets the text as it stands.",
    mend: "Close the reference: `#{namespace.key}`.",
};

static VARIABLE_WITHOUT_DEFAULT: Rule = Rule {
    id: "variable-without-default",
    severity: Severity::Warning,
    what: "a variable without a default in a pipeline that pushes start",
    why: "A variable without `defaultValue` must be given by whoever starts the pipeline. A push gives none, so what \
          it would start is refused.",
    mend: "Add `defaultValue`, or turn change detection off if the pipeline is only started by hand.",
};

static UNUSED_VARIABLE: Rule = Rule {
    id: "unused-variable",
    severity: Severity::Warning,
    what: "a pipeline variable that nothing refers to",
    why: "Whoever starts the pipeline with a value believes that it does something.",
    mend: "Refer to it as `#{variables.NAME}`, or take it out of `variables`.",
};

static UNREAD_OUTPUT_VARIABLE: Rule = Rule {
    id: "unread-output-variable",
    severity: Severity::Note,
    what: "an entry of `outputVariables` that nothing refers to",
    why: "It is exported for nobody; without a `namespace` on its action nobody even could read it.",
    mend: "Give the action a `namespace` and refer to the variable, or take it out of `outputVariables`.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    let texts = texts(declaration);
    let mut asked: BTreeSet<Reference<'_>> = BTreeSet::new();
    for text in &texts {
        for reference in references(text.value) {
            if let Some(message) = unknown_key(declaration, reference) {
                found.add(&UNKNOWN_OUTPUT_VARIABLE, &text.path, message);
            }
            asked.insert(reference);
        }
        let open = segments(text.value)
            .any(|segment| matches!(segment, Segment::Text(plain) if plain.contains("#{")));
        if open && matches!(text.site, Site::Configuration(_)) {
            found.add(&UNCLOSED_REFERENCE, &text.path, "a reference is opened with `#{` and never closed.");
        }
    }
    check_declared(declaration, &asked, found);
    check_published(declaration, &asked, found);
}

/// What is wrong with a reference whose namespace exists.
fn unknown_key(declaration: &PipelineDeclaration, reference: Reference<'_>) -> Option<String> {
    let (namespace, key) = (reference.namespace, reference.key);
    if namespace == NAMESPACE_PIPELINE {
        let only = "PipelineExecutionId";
        return (key != only)
            .then(|| format!("`#{{{reference}}}` does not exist: `codepipeline` holds `{only}` only."));
    }
    if namespace == NAMESPACE_VARIABLES {
        return None;
    }
    let (_, action) = declaration.namespace(namespace)?;
    let published = published(action)?;
    if published.keys.contains(&key) {
        return None;
    }
    let near = nearest(key, published.keys.iter().copied());
    match (near, published.complete) {
        (Some(near), _) => {
            Some(format!("`{}` publishes no `{key}`: did you mean `#{{{namespace}.{near}}}`?", action.name))
        }
        (None, true) if published.keys.is_empty() => {
            Some(format!("`{}` publishes no variables, so `#{{{reference}}}` has no value.", action.name))
        }
        (None, true) => {
            Some(format!("`{}` publishes no `{key}`, only `{}`.", action.name, published.keys.join("`, `")))
        }
        (None, false) => None,
    }
}

/// What an action publishes.
struct Published<'a> {
    keys: Vec<&'a str>,
    /// False where other keys may come, depending on what started the execution or on the service's version.
    complete: bool,
}

/// None when that is known only once it ran.
fn published(action: &ActionDeclaration) -> Option<Published<'_>> {
    let id = &action.action_type_id;
    match action_type(id)?.output_variables {
        OutputVariables::Reported => None,
        OutputVariables::Declared => Some(Published {
            keys: action.output_variables.iter().map(String::as_str).collect(),
            complete: true,
        }),
        OutputVariables::Fixed(keys) => {
            let documented = match id.category {
                ActionCategory::Source => id.provider != "CodeStarSourceConnection",
                ActionCategory::Approval => true,
                ActionCategory::Build
                | ActionCategory::Deploy
                | ActionCategory::Test
                | ActionCategory::Invoke
                | ActionCategory::Compute => false,
            };
            Some(Published { keys: keys.to_vec(), complete: documented })
        }
    }
}

fn check_declared(declaration: &PipelineDeclaration, asked: &BTreeSet<Reference<'_>>, found: &mut Findings) {
    let automatic = starts_by_itself(declaration);
    for (index, variable) in declaration.variables.iter().enumerate() {
        let name = variable.name.as_str();
        if !asked.contains(&Reference { namespace: NAMESPACE_VARIABLES, key: name }) {
            found.add(
                &UNUSED_VARIABLE,
                format!("variables[{index}].name"),
                format!("nothing refers to `#{{variables.{name}}}`."),
            );
        }
        if automatic && variable.default_value.is_none() {
            found.add(
                &VARIABLE_WITHOUT_DEFAULT,
                format!("variables[{index}]"),
                format!("`{name}` has no `defaultValue`, and changes of the source start this pipeline."),
            );
        }
    }
}

fn check_published(declaration: &PipelineDeclaration, asked: &BTreeSet<Reference<'_>>, found: &mut Findings) {
    for place in places(declaration) {
        let namespace = place.action.namespace.as_ref().map(|namespace| namespace.as_str());
        for (index, name) in place.action.output_variables.iter().enumerate() {
            let path = place.path(&format!(".outputVariables[{index}]"));
            match namespace {
                None => found.add(
                    &UNREAD_OUTPUT_VARIABLE,
                    path,
                    format!("`{}` has no `namespace`, so nothing can read `{name}`.", place.action.name),
                ),
                Some(namespace) if asked.contains(&Reference { namespace, key: name }) => {}
                Some(namespace) => found.add(
                    &UNREAD_OUTPUT_VARIABLE,
                    path,
                    format!("nothing refers to `#{{{namespace}.{name}}}`."),
                ),
            }
        }
    }
}
