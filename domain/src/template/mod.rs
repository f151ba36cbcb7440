//! Pipelines inside CloudFormation templates: what AWS would make of the template, as far as that can be known here.
//!
//! Values in, values out, like the rest of the rules: a template is a JSON value in the long spelling of the
//! intrinsic functions (`{"Fn::Sub": …}`), whatever the file looked like. What only AWS knows, such as what another
//! stack exports, is listed by name and never guessed; whoever knows it can give it. Work, depth and size are
//! bounded, since a small template can ask for a great deal.

mod conditions;
mod dynamic;
mod evaluate;
mod findings;
mod functions;
mod local;
mod origins;
mod parameters;
mod pipeline;
mod references;
mod resources;
mod shape;
mod substitute;

pub use evaluate::{Evaluator, Setting};
pub use findings::{Findings, Problem, Unknown};
pub use origins::Origins;
pub use pipeline::{ClosedTransition, Declared, PipelineResource};
pub use resources::{DeploymentGroup, Project, Variable, VariableKind};
pub use shape::{Kind, PIPELINE, Spelling, convert};

use serde_json::{Map, Value};

/// The type of the resource this is all about.
pub const PIPELINE_TYPE: &str = "AWS::CodePipeline::Pipeline";

/// A template, not yet evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Template<'t> {
    whole: &'t Map<String, Value>,
}

/// One of its resources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resource<'t> {
    pub(crate) kind: &'t str,
    pub(crate) whole: &'t Map<String, Value>,
}

impl<'t> Template<'t> {
    /// The template that a value is; `None` when it looks like something else.
    pub fn of(value: &'t Value) -> Option<Self> {
        let whole = value.as_object()?;
        let marks = ["AWSTemplateFormatVersion", "Resources", "Transform"];
        marks.iter().any(|mark| whole.contains_key(*mark)).then_some(Self { whole })
    }

    /// A section such as `Parameters`; `None` when it is absent or no map.
    pub(crate) fn section(&self, name: &str) -> Option<&'t Map<String, Value>> {
        self.whole.get(name)?.as_object()
    }

    pub(crate) fn resource(&self, id: &str) -> Option<Resource<'t>> {
        resource(self.section("Resources")?.get(id)?)
    }

    /// The resources with their logical ids, in the order of those ids.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&'t str, Resource<'t>)> + use<'t> {
        let all = self.section("Resources").into_iter().flatten();
        let mut all: Vec<_> = all.filter_map(|(id, body)| Some((id.as_str(), resource(body)?))).collect();
        all.sort_by_key(|(id, _)| *id);
        all.into_iter()
    }

    /// The logical ids of the resources of a type.
    pub(crate) fn ids_of(&self, kind: &str) -> Vec<&'t str> {
        self.resources().filter(|(_, resource)| resource.kind == kind).map(|(id, _)| id).collect()
    }
}

impl<'t> Resource<'t> {
    pub(crate) fn property(&self, name: &str) -> Option<&'t Value> {
        self.whole.get("Properties")?.get(name).filter(|value| !value.is_null())
    }
}

fn resource(body: &Value) -> Option<Resource<'_>> {
    let whole = body.as_object()?;
    Some(Resource { kind: whole.get("Type")?.as_str()?, whole })
}

/// A scalar as CloudFormation hands it on: everything is a text there.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What stands somewhere, for a message.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
