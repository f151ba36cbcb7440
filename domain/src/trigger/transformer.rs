//! Input transformers: from an event of the bus to what the pipeline is started with.

use crate::{limits, webhook::json_path::JsonPath};
use events::ActionName;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Paths of one transformer, most.
pub const PATHS_MAX: usize = 100;
/// Characters of a template, most.
pub const TEMPLATE_CHARS_MAX: usize = 8192;
/// Bytes of what a template becomes, most.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;

/// Why something is no transformer, or no input, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Takes values out of an event and puts them into a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformer {
    paths: BTreeMap<String, JsonPath>,
    template: String,
}

/// What a rule's own placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Reserved<'a> {
    /// `<aws.events.rule-arn>`.
    pub rule_arn: &'a str,
    /// `<aws.events.rule-name>`.
    pub rule_name: &'a str,
    /// `<aws.events.event.ingestion-time>`.
    pub ingestion_time: &'a str,
}

/// What a pipeline is started with, as an input says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetInput {
    /// Revision kind and value, by source action.
    pub revisions: Vec<(ActionName, String, String)>,
    /// Values of pipeline variables.
    pub variables: BTreeMap<String, String>,
}

impl Transformer {
    /// Reads a transformer.
    pub fn parse(paths: &BTreeMap<String, String>, template: &str) -> Result<Self, BadInput> {
        if paths.len() > PATHS_MAX {
            return Err(BadInput(format!("an input transformer has at most {PATHS_MAX} paths")));
        }
        if template.is_empty() || template.chars().count() > TEMPLATE_CHARS_MAX {
            return Err(BadInput(format!("an input template has 1 to {TEMPLATE_CHARS_MAX} characters")));
        }
        let mut read = BTreeMap::new();
        for (name, path) in paths {
            if name.starts_with("aws.") || name.is_empty() || name.contains(['<', '>']) {
                return Err(BadInput(format!("`{name}` cannot be the name of a placeholder")));
            }
            let path = JsonPath::parse(path).map_err(|error| BadInput(format!("`{name}`: {error}")))?;
            read.insert(name.clone(), path);
        }
        let transformer = Self { paths: read, template: template.to_owned() };
        for piece in pieces(template) {
            if let Piece::Placeholder { name, .. } = piece
                && !transformer.paths.contains_key(name)
                && !name.starts_with("aws.events.")
            {
                return Err(BadInput(format!("the template has `<{name}>`, and no path of that name")));
            }
        }
        Ok(transformer)
    }

    /// What the template becomes for an event.
    pub fn apply(&self, event: &Value, reserved: Reserved<'_>) -> Result<String, BadInput> {
        let mut text = String::new();
        for piece in pieces(&self.template) {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Placeholder { name, quoted } => {
                    text.push_str(&shown(self.value(name, event, reserved).as_ref(), quoted));
                }
            }
            if text.len() > INPUT_BYTES_MAX {
                return Err(BadInput(format!("the input grows beyond {INPUT_BYTES_MAX} bytes")));
            }
        }
        Ok(text)
    }

    fn value(&self, name: &str, event: &Value, reserved: Reserved<'_>) -> Option<Value> {
        match name {
            "aws.events.rule-arn" => Some(reserved.rule_arn.into()),
            "aws.events.rule-name" => Some(reserved.rule_name.into()),
            "aws.events.event.ingestion-time" => Some(reserved.ingestion_time.into()),
            "aws.events.event" | "aws.events.event.json" => Some(event.clone()),
            _ => {
                let mut found = None;
                // A path that leads to too much has led somewhere by then, or to nothing.
                let _ = self.paths.get(name)?.finds(event, |value| {
                    found = Some(value.clone());
                    true
                });
                found
            }
        }
    }
}

/// Within quotes a text stands without its own, and everything else as JSON, so that the whole stays JSON; outside of
/// quotes everything stands as JSON. What is not there leaves nothing behind.
fn shown(value: Option<&Value>, quoted: bool) -> String {
    match (value, quoted) {
        (None, _) => String::new(),
        (Some(value), false) => value.to_string(),
        (Some(Value::String(text)), true) => inner(text),
        (Some(value), true) => inner(&value.to_string()),
    }
}

/// A text as it stands between the quotes of a JSON text.
fn inner(text: &str) -> String {
    let written = Value::from(text).to_string();
    written.get(1..written.len() - 1).unwrap_or_default().to_owned()
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder { name: &'a str, quoted: bool },
}

/// A template, taken apart. `<` that begins no placeholder stands for itself.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest, mut quoted) = (Vec::new(), template, false);
    while let Some(start) = rest.find('<') {
        let (plain, after) = rest.split_at(start);
        quoted ^= has_odd_quotes(plain);
        found.push(Piece::Text(plain));
        let name = after[1..].find('>').map(|end| &after[1..=end]);
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        match name.filter(is_name) {
            Some(name) => {
                found.push(Piece::Placeholder { name, quoted });
                rest = &after[name.len() + 2..];
            }
            None => {
                found.push(Piece::Text("<"));
                rest = &after[1..];
            }
        }
    }
    found.push(Piece::Text(rest));
    found
}

/// Whether the number of quotes that are not escaped is odd.
fn has_odd_quotes(text: &str) -> bool {
    let (mut odd, mut escaped) = (false, false);
    for letter in text.chars() {
        if letter == '"' && !escaped {
            odd = !odd;
        }
        escaped = letter == '\\' && !escaped;
    }
    odd
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    source_revisions: Vec<WrittenRevision>,
    #[serde(default)]
    variables: Vec<WrittenVariable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRevision {
    action_name: String,
    revision_type: String,
    revision_value: String,
}

#[derive(Deserialize)]
struct WrittenVariable {
    name: String,
    value: String,
}

impl TargetInput {
    /// Reads an input. Members that are not known are passed over.
    pub fn parse(text: &str) -> Result<Self, BadInput> {
        let written: Written = serde_json::from_str(text)
            .map_err(|error| BadInput(format!("the input cannot start a pipeline: {error}")))?;
        if written.variables.len() > limits::VARIABLES_MAX
            || written.source_revisions.len() > limits::VARIABLES_MAX
        {
            let max = limits::VARIABLES_MAX;
            return Err(BadInput(format!("the input has more than {max} variables or source revisions")));
        }
        let mut input = Self::default();
        for one in written.source_revisions {
            let action = ActionName::parse(one.action_name).map_err(|error| BadInput(error.to_string()))?;
            if one.revision_value.is_empty() || one.revision_value.chars().count() > REVISION_CHARS_MAX {
                let text =
                    format!("the revision of `{action}` must have 1 to {REVISION_CHARS_MAX} characters");
                return Err(BadInput(text));
            }
            if input.revisions.iter().any(|(known, kind, _)| *known == action && *kind == one.revision_type) {
                return Err(BadInput(format!("`{action}` is given two revisions of the same kind")));
            }
            input.revisions.push((action, one.revision_type, one.revision_value));
        }
        for one in written.variables {
            if input.variables.insert(one.name.clone(), one.value).is_some() {
                return Err(BadInput(format!("the variable `{}` is given twice", one.name)));
            }
        }
        Ok(input)
    }
}

/// Characters of a revision, most.
const REVISION_CHARS_MAX: usize = 1500;
