//! YAML as a tree whose every node knows its line, so that a message can point at the fault.
//!
//! Scalars keep the spelling of the file: `0.0`, `0644` and `yes` stay what a person wrote, and the appspec's
//! own rules decide what they mean.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Bytes of YAML text read at most.
pub(super) const YAML_BYTES_MAX: usize = 1 << 20;

/// Lists and maps within each other at most. Reading is recursive: the limit keeps it well inside any stack.
const YAML_DEPTH_MAX: usize = 64;

/// A place in a text, both numbers counted from 1; 0 where no place is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) kind: Kind,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar as it is spelled; `quoted` also covers block text.
    Scalar { text: String, quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// A map in file order; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) at: Mark,
    pub(super) name: String,
}

/// A fault in a text, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Mark,
    pub(super) message: String,
}

impl Node {
    /// What the node is, for messages.
    pub(super) fn what(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Scalar { text, .. } => format!("`{}`", text.chars().take(60).collect::<String>()),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map of keys and values".to_owned(),
        }
    }
}

/// Reads the one document of a text. `Ok(None)` is an empty document.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    if text.len() > YAML_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {YAML_BYTES_MAX} are read", text.len());
        return Err(Fault { at: Mark::default(), message });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: YAML_DEPTH_MAX } };
    match serde_saphyr::from_str_with_options::<Option<Spanned<Raw>>>(text, options) {
        Ok(None) => Ok(None),
        Ok(Some(raw)) => {
            let node = resolve(raw, text);
            Ok(if node.kind == Kind::Null { None } else { Some(node) })
        }
        Err(error) => {
            let at = error.location().map(mark).unwrap_or_default();
            Err(Fault { at, message: plain_message(&error) })
        }
    }
}

/// The first line of the parser's message: the place is told separately and the excerpt adds nothing to it.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let line = message.lines().next().unwrap_or("not YAML");
    let cut = line.find(" at line ").map_or(line, |end| &line[..end]);
    cut.trim_end_matches([',', ':', ' ']).to_owned()
}

fn mark(location: Location) -> Mark {
    Mark { line: location.line(), column: location.column() }
}

/// The tree as the parser reports it: typed scalars have lost their spelling.
enum Raw {
    Null,
    /// A number or a truth value: spelled as in the source.
    Plain(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn resolve(raw: Spanned<Raw>, source: &str) -> Node {
    let at = mark(raw.referenced);
    let spelled = spelling(raw.defined, source);
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Plain(guess) => {
            Kind::Scalar { text: spelled.map_or(guess, |text| text.trim().to_owned()), quoted: false }
        }
        Raw::Text(text) => {
            let quoted = spelled.is_none_or(|spelled| spelled.trim() != text);
            Kind::Scalar { text, quoted }
        }
        Raw::List(items) => Kind::List(items.into_iter().map(|item| resolve(item, source)).collect()),
        Raw::Map(entries) => Kind::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (Key { at: mark(key.referenced), name: key.value }, resolve(value, source))
                })
                .collect(),
        ),
    };
    Node { at, kind }
}

fn spelling(location: Location, source: &str) -> Option<&str> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    source.get(start..end).filter(|text| !text.trim().is_empty())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key()? {
            map.push((key, entries.next_value()?));
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> (String, bool) {
        let Some(Node { kind: Kind::Map(entries), .. }) = parse(text).unwrap() else { panic!("a map") };
        let Kind::Scalar { text, quoted } = entries[0].1.kind.clone() else { panic!("{:?}", entries[0].1) };
        (text, quoted)
    }

    #[test]
    fn scalars_keep_their_spelling() {
        assert_eq!(scalar("a: 0.0"), ("0.0".into(), false));
        assert_eq!(scalar("a: 0644 # why"), ("0644".into(), false));
        assert_eq!(scalar("a: yes"), ("yes".into(), false));
        assert_eq!(scalar("a: '0644'"), ("0644".into(), true));
        assert_eq!(scalar("a: plain words"), ("plain words".into(), false));
        assert_eq!(scalar("a: &x 010\nb: *x"), ("010".into(), false));
    }

    #[test]
    fn nodes_know_their_line_and_column() {
        let Some(Node { kind: Kind::Map(entries), .. }) = parse("a: 1\nbé:\n  - x\n").unwrap() else {
            panic!()
        };
        assert_eq!(entries[1].0.at, Mark { line: 2, column: 1 });
        let Kind::List(items) = &entries[1].1.kind else { panic!() };
        assert_eq!(items[0].at, Mark { line: 3, column: 5 });
    }

    #[test]
    fn faults_name_the_place_and_empty_documents_are_none() {
        assert_eq!(parse("a: [1\nb: 2").unwrap_err().at.line, 2);
        assert!(parse("a: 1\na: 2\n").unwrap_err().message.contains("duplicate"));
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("# only words\n").unwrap(), None);
        assert_eq!(parse("~").unwrap(), None);
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
        assert!(parse(&" ".repeat(YAML_BYTES_MAX + 1)).unwrap_err().message.contains("bytes"));
    }
}
