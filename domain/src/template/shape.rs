//! The members of a definition as data: how the API spells each, and what kind of value it takes.
//!
//! CloudFormation spells them with a capital first letter. Everything else follows from this table: the conversion of
//! a pipeline resource, and which words of a YAML file are texts although they look like numbers.

use super::{Problem, kind_of, scalar};
use serde_json::{Map, Value};

/// What kind of value a member takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A text; a number or truth value is spelled out.
    Text,
    /// A whole number, also written as a text.
    Integer,
    /// A map of texts whose keys are the user's own.
    Texts,
    /// A list.
    List(&'static Kind),
    /// A map by Region; in CloudFormation a list of `{Region, ArtifactStore}`.
    ByRegion(&'static Kind),
    /// Named members.
    Structure(&'static [(&'static str, Kind)]),
}

/// How members are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `roleArn`; members that are not known are kept as they are, for the API ignores them.
    Api,
    /// `RoleArn`; members that are not known are problems, for CloudFormation refuses them.
    CloudFormation,
}

use Kind::{ByRegion, Integer, List, Structure, Text, Texts};

const NAMED: Kind = Structure(&[("name", Text)]);
const STORE: Kind = Structure(&[
    ("type", Text),
    ("location", Text),
    ("encryptionKey", Structure(&[("id", Text), ("type", Text)])),
]);
const TYPE_ID: Kind =
    Structure(&[("category", Text), ("owner", Text), ("provider", Text), ("version", Text)]);
const RULE: Kind = Structure(&[
    ("name", Text),
    ("ruleTypeId", TYPE_ID),
    ("configuration", Texts),
    ("commands", List(&Text)),
    ("inputArtifacts", List(&NAMED)),
    ("roleArn", Text),
    ("region", Text),
    ("timeoutInMinutes", Integer),
]);
const CONDITIONS: Kind = List(&Structure(&[("result", Text), ("rules", List(&RULE))]));
const ACTION: Kind = Structure(&[
    ("name", Text),
    ("actionTypeId", TYPE_ID),
    ("runOrder", Integer),
    ("configuration", Texts),
    ("commands", List(&Text)),
    ("outputArtifacts", List(&Structure(&[("name", Text), ("files", List(&Text))]))),
    ("inputArtifacts", List(&NAMED)),
    ("outputVariables", List(&Text)),
    ("roleArn", Text),
    ("region", Text),
    ("namespace", Text),
    ("timeoutInMinutes", Integer),
    ("environmentVariables", List(&Structure(&[("name", Text), ("value", Text), ("type", Text)]))),
]);
const STAGE: Kind = Structure(&[
    ("name", Text),
    ("blockers", List(&Structure(&[("name", Text), ("type", Text)]))),
    ("actions", List(&ACTION)),
    (
        "onFailure",
        Structure(&[
            ("result", Text),
            ("retryConfiguration", Structure(&[("retryMode", Text)])),
            ("conditions", CONDITIONS),
        ]),
    ),
    ("onSuccess", Structure(&[("conditions", CONDITIONS)])),
    ("beforeEntry", Structure(&[("conditions", CONDITIONS)])),
]);
const PATTERNS: Kind = Structure(&[("includes", List(&Text)), ("excludes", List(&Text))]);
const TRIGGER: Kind = Structure(&[
    ("providerType", Text),
    (
        "gitConfiguration",
        Structure(&[
            ("sourceActionName", Text),
            (
                "push",
                List(&Structure(&[("tags", PATTERNS), ("branches", PATTERNS), ("filePaths", PATTERNS)])),
            ),
            (
                "pullRequest",
                List(&Structure(&[("events", List(&Text)), ("branches", PATTERNS), ("filePaths", PATTERNS)])),
            ),
        ]),
    ),
]);

/// A whole definition.
pub const PIPELINE: Kind = Structure(&[
    ("name", Text),
    ("roleArn", Text),
    ("artifactStore", STORE),
    ("artifactStores", ByRegion(&STORE)),
    ("stages", List(&STAGE)),
    ("version", Integer),
    ("executionMode", Text),
    ("pipelineType", Text),
    ("variables", List(&Structure(&[("name", Text), ("defaultValue", Text), ("description", Text)]))),
    ("triggers", List(&TRIGGER)),
]);

/// A value in the API's spelling, with texts and numbers where the API has them. What cannot be read becomes a
/// problem, with a path that starts at `path`.
pub fn convert(
    value: &Value,
    kind: &Kind,
    spelling: Spelling,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Value {
    let mut conversion = Conversion { spelling, problems };
    conversion.value(value, kind, path)
}

struct Conversion<'p> {
    spelling: Spelling,
    problems: &'p mut Vec<Problem>,
}

impl Conversion<'_> {
    fn value(&mut self, value: &Value, kind: &Kind, path: &str) -> Value {
        match (kind, value) {
            (_, Value::Null) => Value::Null,
            (Text, Value::String(_) | Value::Bool(_) | Value::Number(_)) => {
                scalar(value).map_or(Value::Null, Value::String)
            }
            (Integer, Value::String(text)) => match text.trim().parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => self.wrong(path, value, &format!("`{text}` is not a whole number")),
            },
            (Integer, Value::Number(_)) => value.clone(),
            (Texts, Value::Object(entries)) => self.texts(entries, path),
            (List(kind), Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.value(item, kind, &format!("{path}[{index}]"))).collect()
            }
            (ByRegion(kind), Value::Array(items)) if self.spelling == Spelling::CloudFormation => {
                self.by_region(items, kind, path)
            }
            (ByRegion(kind), Value::Object(entries)) if self.spelling == Spelling::Api => {
                let entries = entries.iter();
                let read = |(region, store): (&String, &Value)| {
                    (region.clone(), self.value(store, kind, &format!("{path}.{region}")))
                };
                Value::Object(entries.map(read).collect())
            }
            (Structure(members), Value::Object(object)) => self.structure(object, members, path),
            (Text, _) => {
                self.wrong(path, value, &format!("{} stands where a text is expected", kind_of(value)))
            }
            (Integer, _) => {
                let message = format!("{} stands where a whole number is expected", kind_of(value));
                self.wrong(path, value, &message)
            }
            (Texts | Structure(_), _) => {
                self.wrong(path, value, &format!("{} stands where a map is expected", kind_of(value)))
            }
            (List(_), _) => {
                self.wrong(path, value, &format!("{} stands where a list is expected", kind_of(value)))
            }
            (ByRegion(_), _) => {
                let expected = match self.spelling {
                    Spelling::Api => "a map by Region",
                    Spelling::CloudFormation => "a list of `Region` and `ArtifactStore`",
                };
                self.wrong(path, value, &format!("{} stands where {expected} is expected", kind_of(value)))
            }
        }
    }

    fn structure(
        &mut self,
        object: &Map<String, Value>,
        members: &'static [(&'static str, Kind)],
        path: &str,
    ) -> Value {
        let mut read = Map::new();
        for (key, value) in object {
            let at = join(path, key);
            match members.iter().find(|(name, _)| self.spelled(name) == *key) {
                Some(_) if value.is_null() && self.spelling == Spelling::CloudFormation => {}
                Some((name, kind)) => {
                    let value = self.value(value, kind, &at);
                    read.insert((*name).to_owned(), value);
                }
                None if self.spelling == Spelling::Api => {
                    read.insert(key.clone(), value.clone());
                }
                None => self.unknown(key, members, at),
            }
        }
        Value::Object(read)
    }

    fn unknown(&mut self, key: &str, members: &'static [(&'static str, Kind)], path: String) {
        let known: Vec<String> = members.iter().map(|(name, _)| self.spelled(name)).collect();
        let meant = known.iter().find(|name| name.eq_ignore_ascii_case(key));
        let hint = match meant {
            Some(name) => format!("write `{name}`: upper and lower case matter"),
            None => format!("known here: {}", known.join(", ")),
        };
        let message = format!("there is no property `{key}` here");
        self.problems.push(Problem { path, message, hint: Some(hint) });
    }

    /// Keys are the user's; a value that is a map or list has no text the API could mean by it.
    fn texts(&mut self, entries: &Map<String, Value>, path: &str) -> Value {
        let mut read = Map::new();
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            let text = match scalar(value) {
                Some(text) => Value::String(text),
                None => {
                    let message = format!("{} stands where a text is expected", kind_of(value));
                    let hint = "write it as a JSON text, in quotes".to_owned();
                    let path = join(path, key);
                    self.problems.push(Problem { path, message, hint: Some(hint) });
                    value.clone()
                }
            };
            read.insert(key.clone(), text);
        }
        Value::Object(read)
    }

    fn by_region(&mut self, items: &[Value], kind: &Kind, path: &str) -> Value {
        let mut stores = Map::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{path}[{index}]");
            let entry = item.as_object();
            let known = |key: &String| key == "Region" || key == "ArtifactStore";
            if let Some(key) = entry.and_then(|entry| entry.keys().find(|key| !known(key))) {
                self.wrong(&join(&at, key), item, &format!("there is no property `{key}` here"));
            }
            let region = entry.and_then(|entry| scalar(entry.get("Region")?));
            let (Some(region), Some(store)) = (region, entry.and_then(|entry| entry.get("ArtifactStore")))
            else {
                self.wrong(&at, item, "`Region` and `ArtifactStore` are needed here");
                continue;
            };
            let store = self.value(store, kind, &join(&at, "ArtifactStore"));
            if stores.insert(region.clone(), store).is_some() {
                self.wrong(&join(&at, "Region"), item, &format!("the Region `{region}` is given twice"));
            }
        }
        Value::Object(stores)
    }

    fn wrong(&mut self, path: &str, value: &Value, message: &str) -> Value {
        self.problems.push(Problem { path: path.to_owned(), message: message.to_owned(), hint: None });
        value.clone()
    }

    fn spelled(&self, name: &str) -> String {
        match self.spelling {
            Spelling::Api => name.to_owned(),
            Spelling::CloudFormation => {
                let (first, rest) = name.split_at(1);
                format!("{}{rest}", first.to_ascii_uppercase())
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
