//! A pipeline resource as a definition in the API's words.

use super::{
    Evaluator, Origins, PIPELINE, PIPELINE_TYPE, Spelling, convert,
    evaluate::{At, Found},
    local, scalar,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Properties that are no part of a definition: they say what else to do with it.
const BESIDE: [&str; 3] = ["DisableInboundStageTransitions", "RestartExecutionOnUpdate", "Tags"];

/// A pipeline in the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineResource {
    /// Its logical id.
    pub id: String,
    /// Its name, if that can be known here.
    pub name: Option<String>,
}

/// A transition that is closed before the first execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTransition {
    /// The stage it leads into.
    pub stage: String,
    /// Why.
    pub reason: String,
}

/// What a pipeline resource declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The definition, in the API's words; the API's constraints are not checked yet.
    pub declaration: Value,
    /// Tags of the pipeline.
    pub tags: BTreeMap<String, String>,
    /// Transitions to close.
    pub closed: Vec<ClosedTransition>,
    /// Where the properties stand: `Resources.<id>.Properties`.
    pub root: String,
    /// Where parts of the definition came from.
    pub origins: Origins,
}

impl Declared {
    /// The place in the template of a place in the definition, such as `stages[0].actions[1].runOrder`.
    pub fn source_of(&self, path: &str) -> String {
        let mut spelled = String::with_capacity(path.len());
        let mut own_keys = false;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            if !spelled.is_empty() {
                spelled.push('.');
            }
            let (first, rest) = step.split_at(step.chars().next().map_or(0, char::len_utf8));
            // The keys of a configuration are the action's own, and may have dots in them.
            match own_keys {
                true => spelled.push_str(step),
                false => spelled.extend([&first.to_uppercase(), rest]),
            }
            own_keys |= step == "configuration";
        }
        self.origins.source_of(&self.root, &spelled)
    }
}

impl Evaluator<'_> {
    /// The pipelines of the template that are made, in the order of their logical ids.
    pub fn pipelines(&mut self) -> Vec<PipelineResource> {
        let mut found = Vec::new();
        for id in self.template.ids_of(PIPELINE_TYPE) {
            let Some(resource) = self.template.resource(id) else { continue };
            if self.exists(id, resource) == Some(false) {
                continue;
            }
            // What is missing for the name of one is no matter while another is meant.
            let before = std::mem::take(&mut self.findings);
            let name = local::of(PIPELINE_TYPE).and_then(|local| self.name_of(id, resource, local));
            self.findings = before;
            found.push(PipelineResource { id: id.to_owned(), name });
        }
        found
    }

    /// The definition of a pipeline by its logical id; `None` when something stands in the way, which the findings
    /// name.
    pub fn pipeline(&mut self, id: &str) -> Option<Declared> {
        let resource = self.template.resource(id).filter(|resource| resource.kind == PIPELINE_TYPE)?;
        let resources = At::Root("Resources");
        let own = resources.key(id);
        let at = own.key("Properties");
        let empty = Value::Object(Map::new());
        let properties = resource.whole.get("Properties").unwrap_or(&empty);
        self.origins = Origins::default();
        let found = self.resolved(properties, &at);
        let origins = std::mem::take(&mut self.origins);
        let Found::Value(Value::Object(mut properties)) = found else {
            if matches!(found, Found::Value(_) | Found::Nothing) {
                self.problem(&at, "a map with the pipeline's properties is expected".to_owned());
            }
            return None;
        };
        let beside: Vec<Option<Value>> = BESIDE.iter().map(|name| properties.remove(*name)).collect();
        if !properties.contains_key("Name") {
            let name = local::of(PIPELINE_TYPE).and_then(|local| self.name_of(id, resource, local))?;
            properties.insert("Name".to_owned(), Value::String(name));
        }
        let mut problems = Vec::new();
        let properties = Value::Object(properties);
        let mut declaration = convert(&properties, &PIPELINE, Spelling::CloudFormation, "", &mut problems);
        // The service numbers versions; CloudFormation knows no such property.
        if let Some(members) = declaration.as_object_mut()
            && members.remove("version").is_some()
        {
            self.problem(&at.key("Version"), "there is no property `Version` here".to_owned());
        }
        let root = at.to_string();
        for problem in problems {
            let path = origins.source_of(&root, &problem.path);
            self.findings.problem(path, problem.message, problem.hint);
        }
        let [closed, _, tags] = beside.try_into().ok()?;
        let closed = self.closed(closed.as_ref(), &declaration, &at.key(BESIDE[0]));
        let tags = self.tags(tags.as_ref(), &at.key(BESIDE[2]));
        Some(Declared { declaration, tags, closed, root, origins })
    }

    fn closed(&mut self, value: Option<&Value>, declaration: &Value, at: &At<'_>) -> Vec<ClosedTransition> {
        let entries = self.entries(value, ["StageName", "Reason"], at);
        let stages: Vec<&str> = declaration["stages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|stage| stage["name"].as_str())
            .collect();
        for (index, (stage, _)) in entries.iter().enumerate() {
            if !stages.contains(&stage.as_str()) {
                let message = format!("the pipeline has no stage `{stage}`");
                let hint = format!("its stages: {}", stages.join(", "));
                let entry = at.index(index);
                self.problem_with(&entry.key("StageName"), message, hint);
            }
        }
        entries.into_iter().map(|(stage, reason)| ClosedTransition { stage, reason }).collect()
    }

    fn tags(&mut self, value: Option<&Value>, at: &At<'_>) -> BTreeMap<String, String> {
        self.entries(value, ["Key", "Value"], at).into_iter().collect()
    }

    /// A list of maps with the same two texts each.
    fn entries(&mut self, value: Option<&Value>, names: [&str; 2], at: &At<'_>) -> Vec<(String, String)> {
        let items = match value {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.problem(at, format!("a list of `{}` and `{}` is expected", names[0], names[1]));
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let both = names.map(|name| item.get(name).and_then(scalar));
            let foreign =
                item.as_object().into_iter().flat_map(Map::keys).find(|key| !names.contains(&key.as_str()));
            match (both, foreign) {
                ([Some(one), Some(other)], None) => read.push((one, other)),
                (_, Some(foreign)) => {
                    let entry = at.index(index);
                    self.problem(&entry.key(foreign), format!("there is no property `{foreign}` here"));
                }
                (_, None) => {
                    let message = format!("`{}` and `{}` are needed here", names[0], names[1]);
                    self.problem(&at.index(index), message);
                }
            }
        }
        read
    }
}
