//! Event patterns: which events of the bus a rule is for. A pattern is read once, and whatever is not understood is
//! refused then, so that no rule waits for events in vain.

use crate::webhook::cidr;
use serde_json::{Map, Value};

/// Bytes of a pattern, most.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Members and alternatives of one pattern, most: `$or` multiplies nothing here, yet a pattern has its bounds.
pub const PATTERN_LEAVES_MAX: usize = 500;
/// Objects within objects, most.
const DEPTH_MAX: usize = 32;

/// Why a text is no pattern, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPattern(pub String);

/// Where an event is not as the pattern wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The member, such as `detail.state`.
    pub path: String,
    /// As a sentence.
    pub reason: String,
}

/// A pattern that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    root: Fields,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Fields {
    all: Vec<(String, Node)>,
    /// Each `$or`: one of its patterns must match.
    or: Vec<Vec<Fields>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Fields(Fields),
    Leaf(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equals(Value),
    Text(Text),
    Not(Vec<Test>),
    Numeric(Vec<(Comparison, f64)>),
    Cidr(String),
    Exists(bool),
}

#[derive(Debug, Clone, PartialEq)]
enum Text {
    Prefix(String),
    Suffix(String),
    PrefixIgnoreCase(String),
    SuffixIgnoreCase(String),
    EqualsIgnoreCase(String),
    Wildcard(Vec<Wild>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wild {
    Is(char),
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(BadPattern(format!("an event pattern has at most {PATTERN_BYTES_MAX} bytes")));
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| BadPattern(format!("the event pattern is not JSON: {error}")))?;
        let Value::Object(object) = &value else {
            return Err(BadPattern("an event pattern is a JSON object".to_owned()));
        };
        if object.is_empty() {
            return Err(BadPattern("an event pattern names at least one member".to_owned()));
        }
        let mut leaves = 0;
        let root = fields(object, "", &mut leaves, 0)?;
        Ok(Self { root, text: value.to_string() })
    }

    /// Whether an event is as wanted; if not, where the first difference is.
    pub fn check(&self, event: &Value) -> Result<(), Mismatch> {
        self.root.check(event, "")
    }

    /// Whether an event is as wanted.
    pub fn matches(&self, event: &Value) -> bool {
        self.check(event).is_ok()
    }

    /// As it was written, in one line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn fields(
    object: &Map<String, Value>,
    path: &str,
    leaves: &mut usize,
    depth: usize,
) -> Result<Fields, BadPattern> {
    if depth > DEPTH_MAX {
        return Err(BadPattern(format!("an event pattern has at most {DEPTH_MAX} levels")));
    }
    let mut read = Fields::default();
    for (key, value) in object {
        let here = join(path, key);
        match value {
            // Any other use of the name is a member of that name, as in the service.
            Value::Array(list) if key == "$or" && list.len() > 1 && list.iter().all(Value::is_object) => {
                let objects = list.iter().filter_map(Value::as_object);
                let parts: Result<Vec<Fields>, BadPattern> =
                    objects.map(|one| fields(one, path, leaves, depth + 1)).collect();
                read.or.push(parts?);
            }
            Value::Array(list) => {
                if list.is_empty() {
                    return Err(BadPattern(format!("`{here}`: an empty list matches nothing")));
                }
                *leaves += list.len();
                if *leaves > PATTERN_LEAVES_MAX {
                    let text = format!("an event pattern has at most {PATTERN_LEAVES_MAX} alternatives");
                    return Err(BadPattern(text));
                }
                let tests: Result<Vec<Test>, BadPattern> = list.iter().map(|one| test(one, &here)).collect();
                read.all.push((key.clone(), Node::Leaf(tests?)));
            }
            Value::Object(inner) if inner.is_empty() => {
                return Err(BadPattern(format!("`{here}`: an empty object matches nothing")));
            }
            Value::Object(inner) => {
                read.all.push((key.clone(), Node::Fields(fields(inner, &here, leaves, depth + 1)?)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(BadPattern(format!(
                    "`{here}`: alternatives stand in a list, even one: [{value}]"
                )));
            }
        }
    }
    Ok(read)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn test(value: &Value, path: &str) -> Result<Test, BadPattern> {
    let bad = |what: &str| BadPattern(format!("`{path}`: {what}"));
    let object = match value {
        Value::Object(object) => object,
        Value::Array(_) => return Err(bad("a list within a list is not understood")),
        plain => return Ok(Test::Equals(plain.clone())),
    };
    let mut members = object.iter();
    let (Some((operator, operand)), None) = (members.next(), members.next()) else {
        return Err(bad("a comparison has one member, such as {\"prefix\": \"a\"}"));
    };
    match operator.as_str() {
        "anything-but" => anything_but(operand, path).map(Test::Not),
        "numeric" => numeric(operand).map(Test::Numeric).ok_or_else(|| {
            bad("`numeric` wants a list such as [\">\", 0, \"<=\", 5], each comparison with a number")
        }),
        "cidr" => operand
            .as_str()
            .filter(|range| cidr::is_range(range))
            .map(|range| Test::Cidr(range.to_owned()))
            .ok_or_else(|| bad("`cidr` wants an address range such as \"10.0.0.0/24\"")),
        "exists" => operand.as_bool().map(Test::Exists).ok_or_else(|| bad("`exists` is true or false")),
        _ => text(operator, operand, path).map(Test::Text),
    }
}

fn text(operator: &str, operand: &Value, path: &str) -> Result<Text, BadPattern> {
    let bad = |what: String| BadPattern(format!("`{path}`: {what}"));
    let plain = operand.as_str().map(str::to_owned);
    let folded = operand
        .as_object()
        .filter(|object| object.len() == 1)
        .and_then(|object| object.get("equals-ignore-case"))
        .and_then(Value::as_str)
        .map(str::to_lowercase);
    match (operator, plain, folded) {
        ("prefix", Some(text), _) => Ok(Text::Prefix(text)),
        ("suffix", Some(text), _) => Ok(Text::Suffix(text)),
        ("prefix", None, Some(text)) => Ok(Text::PrefixIgnoreCase(text)),
        ("suffix", None, Some(text)) => Ok(Text::SuffixIgnoreCase(text)),
        ("equals-ignore-case", Some(text), _) => Ok(Text::EqualsIgnoreCase(text.to_lowercase())),
        ("wildcard", Some(text), _) => wildcard(&text).map(Text::Wildcard).ok_or_else(|| {
            bad(format!(
                "`{text}` is no wildcard: `*` stands alone, \
                 and `\\` before `*` or `\\`"
            ))
        }),
        ("prefix" | "suffix" | "equals-ignore-case" | "wildcard", _, _) => {
            Err(bad(format!("`{operator}` wants a text")))
        }
        _ => Err(bad(format!("there is no comparison `{operator}`"))),
    }
}

fn anything_but(operand: &Value, path: &str) -> Result<Vec<Test>, BadPattern> {
    let bad = |what: &str| BadPattern(format!("`{path}`: {what}"));
    match operand {
        Value::Object(object) => {
            let mut members = object.iter();
            let (Some((operator, operand)), None) = (members.next(), members.next()) else {
                return Err(bad("`anything-but` wants one comparison"));
            };
            let list = match operand {
                Value::Array(list) if !list.is_empty() => list.as_slice(),
                other => std::slice::from_ref(other),
            };
            list.iter().map(|one| text(operator, one, path).map(Test::Text)).collect()
        }
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .map(|one| match one {
                Value::Object(_) | Value::Array(_) => Err(bad("`anything-but` lists plain values only")),
                plain => Ok(Test::Equals(plain.clone())),
            })
            .collect(),
        Value::Array(_) | Value::Null => Err(bad("`anything-but` wants a value")),
        plain => Ok(vec![Test::Equals(plain.clone())]),
    }
}

fn numeric(operand: &Value) -> Option<Vec<(Comparison, f64)>> {
    let list = operand.as_array()?;
    if !matches!(list.len(), 2 | 4) {
        return None;
    }
    let pairs = list.chunks(2).map(|pair| {
        let comparison = match pair[0].as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::More,
            ">=" => Comparison::AtLeast,
            _ => return None,
        };
        Some((comparison, pair[1].as_f64()?))
    });
    pairs.collect()
}

fn wildcard(text: &str) -> Option<Vec<Wild>> {
    let mut read = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        read.push(match letter {
            '*' if read.last() == Some(&Wild::Any) => return None,
            '*' => Wild::Any,
            '\\' => Wild::Is(letters.next().filter(|next| matches!(next, '*' | '\\'))?),
            plain => Wild::Is(plain),
        });
    }
    Some(read)
}

impl Fields {
    fn check(&self, value: &Value, path: &str) -> Result<(), Mismatch> {
        for (key, node) in &self.all {
            let here = join(path, key);
            let found = value.get(key);
            match node {
                Node::Leaf(tests) => leaf(tests, found, &here)?,
                Node::Fields(fields) => match found {
                    // Each object of a list stands for itself.
                    Some(Value::Array(list)) if list.iter().any(|one| fields.check(one, &here).is_ok()) => {}
                    Some(Value::Array(list)) if !list.is_empty() => fields.check(&list[0], &here)?,
                    other => fields.check(other.unwrap_or(&Value::Null), &here)?,
                },
            }
        }
        for parts in &self.or {
            if !parts.iter().any(|part| part.check(value, path).is_ok()) {
                let path = join(path, "$or");
                return Err(Mismatch {
                    reason: format!("none of the alternatives of `{path}` is met"),
                    path,
                });
            }
        }
        Ok(())
    }
}

fn leaf(tests: &[Test], found: Option<&Value>, path: &str) -> Result<(), Mismatch> {
    if tests.iter().any(|test| test.is_met(found)) {
        return Ok(());
    }
    let shown = match found {
        None => "absent".to_owned(),
        Some(value) => format!("`{}`", super::fitting(&value.to_string(), 80)),
    };
    let reason = format!("`{path}` is {shown}, and the event pattern wants something else");
    Err(Mismatch { path: path.to_owned(), reason })
}

impl Test {
    fn is_met(&self, found: Option<&Value>) -> bool {
        if let Self::Exists(wanted) = self {
            let is_leaf = found.is_some_and(|value| !value.is_object());
            return is_leaf == *wanted;
        }
        match found {
            None | Some(Value::Object(_)) => false,
            Some(Value::Array(list)) => list.iter().any(|one| self.is_met_by(one)),
            Some(value) => self.is_met_by(value),
        }
    }

    fn is_met_by(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted) => match (wanted.as_f64(), value.as_f64()) {
                (Some(wanted), Some(found)) => wanted == found,
                _ => wanted == value,
            },
            Self::Text(text) => value.as_str().is_some_and(|found| text.is_met_by(found)),
            Self::Not(tests) => !tests.iter().any(|test| test.is_met_by(value)),
            Self::Numeric(pairs) => value.as_f64().is_some_and(|found| {
                pairs.iter().all(|(comparison, wanted)| comparison.holds(found, *wanted))
            }),
            Self::Cidr(range) => value
                .as_str()
                .and_then(|found| found.parse().ok())
                .and_then(|address| cidr::contains(range, address))
                .unwrap_or(false),
            Self::Exists(wanted) => *wanted,
        }
    }
}

impl Comparison {
    fn holds(self, found: f64, wanted: f64) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::Less => found < wanted,
            Self::AtMost => found <= wanted,
            Self::More => found > wanted,
            Self::AtLeast => found >= wanted,
        }
    }
}

impl Text {
    fn is_met_by(&self, found: &str) -> bool {
        match self {
            Self::Prefix(text) => found.starts_with(text.as_str()),
            Self::Suffix(text) => found.ends_with(text.as_str()),
            Self::PrefixIgnoreCase(text) => found.to_lowercase().starts_with(text.as_str()),
            Self::SuffixIgnoreCase(text) => found.to_lowercase().ends_with(text.as_str()),
            Self::EqualsIgnoreCase(text) => found.to_lowercase() == *text,
            Self::Wildcard(pattern) => is_wild_match(pattern, found),
        }
    }
}

/// Goes back to the last `*` only: each `*` takes as little as it can, which is enough.
fn is_wild_match(pattern: &[Wild], found: &str) -> bool {
    let text: Vec<char> = found.chars().collect();
    let (mut at, mut place, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(place) {
            Some(Wild::Is(letter)) if *letter == text[at] => (at, place) = (at + 1, place + 1),
            Some(Wild::Any) => {
                star = Some((place, at));
                place += 1;
            }
            _ => match star {
                None => return false,
                Some((kept, from)) => {
                    star = Some((kept, from + 1));
                    (at, place) = (from + 1, kept + 1);
                }
            },
        }
    }
    pattern[place..].iter().all(|step| *step == Wild::Any)
}
