//! The constraint check: everything the service model demands of a value, told in one message.
//!
//! It walks the shape, not the value, so its depth is that of the model whatever the input looks like.

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::constraint::{Kind, Member, Shape, shape};
use crate::{ApiError, Code, Operation};

/// Most violations that one message lists; the rest are counted.
pub const VIOLATIONS_LISTED_MAX: usize = 100;
/// Most bytes of the list in one message; at least one violation is always listed.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Most characters of a caller's map key that a path repeats.
const KEY_CHARS_MAX: usize = 100;

/// Why a value does not fit its shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It could not even be read as one; comes before any constraint.
    #[error(transparent)]
    Type(#[from] TypeMismatch),
    /// It could be read, and breaks constraints.
    #[error(transparent)]
    Constraints(#[from] Violations),
}

/// A value of another JSON type than the model wants. Told in the service's words first, then in plain ones with the
/// place, which the service leaves out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}: {} must be {expected}, found {found}", Place(path))]
pub struct TypeMismatch {
    /// The service's words, such as `NUMBER_VALUE can not be converted to a String`.
    pub words: String,
    /// Where, such as `pipeline.stages.1.member.name`; empty for the whole input.
    pub path: String,
    /// What the model wants, with its article.
    pub expected: &'static str,
    /// What was there, with its article.
    pub found: &'static str,
}

/// All constraints that a value breaks.
///
/// Invariant: never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    /// The first [`VIOLATIONS_LISTED_MAX`] of them, in the order of the model.
    pub listed: Vec<Violation>,
    /// How many there are in all.
    pub count: usize,
}

/// One broken constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, list entries counted from 1: `pipeline.stages.2.member.name`.
    pub path: String,
    /// The key concerned when the path ends at a map: the service's wording does not name it.
    pub key: Option<String>,
    /// The service's wording, such as `Member must not be null`.
    pub constraint: String,
}

/// Checks an operation's input.
///
/// # Errors
/// [`Invalid::Type`] for the first value of a wrong type; else [`Invalid::Constraints`] with all violations.
pub fn validate(operation: Operation, input: &Value) -> Result<(), Invalid> {
    check(operation.model().input, input, "")
}

/// Checks a value against any shape of the model, such as `PipelineDeclaration`; paths start with `root`.
///
/// # Errors
/// As [`validate`]. A name that the model lacks is reported as a type mismatch at `root`.
pub fn validate_shape(name: &str, value: &Value, root: &str) -> Result<(), Invalid> {
    let unknown = || TypeMismatch {
        words: "Unexpected field type".to_owned(),
        path: root.to_owned(),
        expected: "of a shape in the service model",
        found: "an unknown shape name",
    };
    check(shape(name).ok_or_else(unknown)?, value, root)
}

fn check(shape: &'static Shape, value: &Value, root: &str) -> Result<(), Invalid> {
    let mut walk = Walk { listed: Vec::new(), count: 0 };
    let root_path = Path { above: None, step: Step::Root(root) };
    if value.is_null() && !root.is_empty() {
        walk.violation(&root_path, Constraint::NotNull);
    } else {
        walk.value(shape, value, &root_path)?;
    }
    match walk.count {
        0 => Ok(()),
        count => Err(Violations { listed: walk.listed, count }.into()),
    }
}

/// Where in the value the walk is. Written out only for what is wrong there.
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    /// What the caller calls the whole value; empty for an operation's input.
    Root(&'a str),
    Member(&'a str),
    /// An entry of a list, counted from 1.
    Entry(usize),
    /// An entry of a map, under a caller's key.
    Key(&'a str),
}

impl Path<'_> {
    fn below<'a>(&'a self, step: Step<'a>) -> Path<'a> {
        Path { above: Some(self), step }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(out)?;
            if !matches!(above.step, Step::Root("")) {
                out.write_char('.')?;
            }
        }
        match self.step {
            Step::Root(name) | Step::Member(name) => out.write_str(name),
            Step::Entry(number) => write!(out, "{number}.member"),
            Step::Key(key) => write!(out, "{}.member", shortened(key)),
        }
    }
}

struct Walk {
    listed: Vec<Violation>,
    count: usize,
}

impl Walk {
    fn value(&mut self, shape: &'static Shape, value: &Value, path: &Path<'_>) -> Result<(), TypeMismatch> {
        match (&shape.kind, value) {
            (Kind::Structure(members), Value::Object(object)) => {
                members.iter().try_for_each(|member| self.member(member, object.get(member.name), path))
            }
            (Kind::List(entry), Value::Array(entries)) => {
                self.length(shape, entries.len(), path);
                entries.iter().enumerate().try_for_each(|(index, value)| {
                    self.entry(entry, value, &path.below(Step::Entry(index + 1)))
                })
            }
            (Kind::Map { key, value }, Value::Object(entries)) => {
                self.length(shape, entries.len(), path);
                entries.iter().try_for_each(|(name, held)| self.map_entry(key, value, (name, held), path))
            }
            (Kind::Text(_) | Kind::Enum(_), Value::String(text)) => {
                broken_by_text(shape, text).into_iter().for_each(|broken| self.violation(path, broken));
                Ok(())
            }
            (Kind::Integer, Value::Number(number)) => match number.as_i64() {
                Some(number) => {
                    self.range(shape, number, path);
                    Ok(())
                }
                None => Err(mismatch(shape, value, path)),
            },
            (Kind::Boolean, Value::Bool(_)) | (Kind::Timestamp, Value::Number(_)) => Ok(()),
            // Every other pairing of what is wanted with what is there, by nature.
            _ => Err(mismatch(shape, value, path)),
        }
    }

    fn member(
        &mut self,
        member: &'static Member,
        value: Option<&Value>,
        path: &Path<'_>,
    ) -> Result<(), TypeMismatch> {
        let path = &path.below(Step::Member(member.name));
        match value {
            None | Some(Value::Null) if member.required => {
                self.violation(path, Constraint::NotNull);
                Ok(())
            }
            None | Some(Value::Null) => Ok(()),
            Some(value) => self.value(member.shape, value, path),
        }
    }

    fn entry(&mut self, shape: &'static Shape, value: &Value, path: &Path<'_>) -> Result<(), TypeMismatch> {
        if value.is_null() {
            self.violation(path, Constraint::NotNull);
            return Ok(());
        }
        self.value(shape, value, path)
    }

    /// Texts in maps are reported at the map, with all that the model asks of them; structures at their own
    /// path.
    fn map_entry(
        &mut self,
        key_shape: &'static Shape,
        shape: &'static Shape,
        (key, value): (&str, &Value),
        path: &Path<'_>,
    ) -> Result<(), TypeMismatch> {
        if !broken_by_text(key_shape, key).is_empty() {
            let constraint = format!("Map keys must satisfy constraint: {}", all_of(key_shape));
            self.keyed_violation(path, key, constraint);
        }
        match (&shape.kind, value) {
            (Kind::Text(_) | Kind::Enum(_), Value::String(text)) => {
                if !broken_by_text(shape, text).is_empty() {
                    let constraint = format!("Map value must satisfy constraint: {}", all_of(shape));
                    self.keyed_violation(path, key, constraint);
                }
                Ok(())
            }
            (Kind::Text(_) | Kind::Enum(_), Value::Null) => {
                let constraint = format!("Map value must satisfy constraint: [{}]", Constraint::NotNull);
                self.keyed_violation(path, key, constraint);
                Ok(())
            }
            _ => self.entry(shape, value, &path.below(Step::Key(key))),
        }
    }

    fn length(&mut self, shape: &'static Shape, entries: usize, path: &Path<'_>) {
        broken_length(shape, entries).into_iter().for_each(|constraint| self.violation(path, constraint));
    }

    fn range(&mut self, shape: &'static Shape, number: i64, path: &Path<'_>) {
        let above = shape.max.filter(|max| number > *max).map(Constraint::ValueMax);
        let below = shape.min.filter(|min| number < *min).map(Constraint::ValueMin);
        above.into_iter().chain(below).for_each(|constraint| self.violation(path, constraint));
    }

    fn violation(&mut self, path: &Path<'_>, constraint: Constraint) {
        self.list(path, || (None, constraint.to_string()));
    }

    fn keyed_violation(&mut self, path: &Path<'_>, key: &str, constraint: String) {
        self.list(path, || (Some(shortened(key)), constraint));
    }

    fn list(&mut self, path: &Path<'_>, tell: impl FnOnce() -> (Option<String>, String)) {
        self.count += 1;
        if self.listed.len() < VIOLATIONS_LISTED_MAX {
            let (key, constraint) = tell();
            self.listed.push(Violation { path: path.to_string(), key, constraint });
        }
    }
}

fn mismatch(shape: &'static Shape, value: &Value, path: &Path<'_>) -> TypeMismatch {
    TypeMismatch {
        words: service_words(&shape.kind, value),
        path: path.to_string(),
        expected: expected(&shape.kind),
        found: found(value),
    }
}

/// A single demand, in the service's words.
enum Constraint {
    NotNull,
    LengthMax(i64),
    LengthMin(i64),
    ValueMax(i64),
    ValueMin(i64),
    Pattern(&'static str),
    Enum(&'static [&'static str]),
}

impl fmt::Display for Constraint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => out.write_str("Member must not be null"),
            Self::LengthMax(max) => write!(out, "Member must have length less than or equal to {max}"),
            Self::LengthMin(min) => write!(out, "Member must have length greater than or equal to {min}"),
            Self::ValueMax(max) => write!(out, "Member must have value less than or equal to {max}"),
            Self::ValueMin(min) => write!(out, "Member must have value greater than or equal to {min}"),
            Self::Pattern(pattern) => {
                write!(out, "Member must satisfy regular expression pattern: {pattern}")
            }
            Self::Enum(values) => write!(out, "Member must satisfy enum value set: [{}]", values.join(", ")),
        }
    }
}

/// Length counts Unicode characters, not bytes.
fn broken_by_text(shape: &'static Shape, text: &str) -> Vec<Constraint> {
    let mut broken = match &shape.kind {
        Kind::Enum(values) if !values.contains(&text) => vec![Constraint::Enum(values)],
        _ if shape.min.is_none() && shape.max.is_none() => vec![],
        _ => broken_length(shape, text.chars().count()),
    };
    if let Kind::Text(Some(pattern)) = &shape.kind
        && !(pattern.matches)(text)
    {
        broken.push(Constraint::Pattern(pattern.text));
    }
    broken
}

fn broken_length(shape: &'static Shape, length: usize) -> Vec<Constraint> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let above = shape.max.filter(|max| length > *max).map(Constraint::LengthMax);
    let below = shape.min.filter(|min| length < *min).map(Constraint::LengthMin);
    above.into_iter().chain(below).collect()
}

/// Everything the model asks of a text, in brackets.
fn all_of(shape: &'static Shape) -> String {
    let mut demands: Vec<String> = Vec::new();
    demands.extend(shape.max.map(|max| Constraint::LengthMax(max).to_string()));
    demands.extend(shape.min.map(|min| Constraint::LengthMin(min).to_string()));
    match &shape.kind {
        Kind::Text(Some(pattern)) => demands.push(Constraint::Pattern(pattern.text).to_string()),
        Kind::Enum(values) => demands.push(Constraint::Enum(values).to_string()),
        Kind::Text(None)
        | Kind::Structure(_)
        | Kind::List(_)
        | Kind::Map { .. }
        | Kind::Integer
        | Kind::Boolean
        | Kind::Timestamp => {}
    }
    format!("[{}]", demands.join(", "))
}

/// How services of this protocol say that a value cannot be read: by the token that came, and what it should become.
fn service_words(kind: &Kind, value: &Value) -> String {
    let token = match value {
        Value::Array(_) => return "Start of list found where not expected".to_owned(),
        Value::Object(_) => return "Start of structure or map found where not expected".to_owned(),
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
    };
    let wanted = match kind {
        Kind::Structure(_) | Kind::Map { .. } | Kind::List(_) => return "Unexpected field type".to_owned(),
        Kind::Text(_) | Kind::Enum(_) => "a String",
        Kind::Integer => "an Integer",
        Kind::Boolean => "a Boolean",
        Kind::Timestamp => "milliseconds since epoch",
    };
    format!("{token} can not be converted to {wanted}")
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Structure(_) | Kind::Map { .. } => "an object",
        Kind::List(_) => "a list",
        Kind::Text(_) | Kind::Enum(_) => "a string",
        Kind::Integer => "a whole number of at most 64 bits",
        Kind::Boolean => "`true` or `false`",
        Kind::Timestamp => "a number of seconds since 1970",
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction or exponent",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn shortened(key: &str) -> String {
    match key.char_indices().nth(KEY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { out.write_str("The input") } else { write!(out, "Value at '{}'", self.0) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Value at '{}' failed to satisfy constraint: {}", self.path, self.constraint)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "error" } else { "errors" };
        let mut list = String::new();
        let mut told = 0;
        for violation in &self.listed {
            let next = violation.to_string();
            if told > 0 && list.len() + next.len() > MESSAGE_BYTES_MAX {
                break;
            }
            let separator = if told > 0 { "; " } else { "" };
            write!(list, "{separator}{next}")?;
            told += 1;
        }
        write!(out, "{} validation {plural} detected: {list}", self.count)?;
        match self.count - told {
            0 => Ok(()),
            untold => write!(out, "; and {untold} more"),
        }
    }
}

impl std::error::Error for Violations {}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Type(mismatch) => Self::new(Code::Serialization, mismatch.to_string()),
            Invalid::Constraints(violations) => Self::validation(violations.to_string()),
        }
    }
}
