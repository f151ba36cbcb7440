//! YAML as a tree that remembers where everything stood and how each scalar was spelled.
//!
//! A buildspec's variables keep their spelling (`1.10`, `yes`), and its errors must name line and column,
//! also for what is well-formed but means nothing; both get lost in a typed deserializer. Everything is
//! bounded: text, depth, and the nodes that aliases multiply into.

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::HashMap;

/// Bytes of text that are read at all.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 64;
/// Keys of one map.
const ENTRIES_MAX: usize = 5_000;
const NODES_MAX: usize = 200_000;
/// Bytes of all scalars together, after aliases are replaced.
const SCALAR_BYTES_MAX: usize = 8 << 20;

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) place: Place,
    pub(super) message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Anything else that is one word or text, as it was written.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the text; keys are unique.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

impl Node {
    /// For messages: what stands here.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "subkeys",
        }
    }

    /// How many nodes, and bytes of scalars, an alias to this one costs.
    fn cost(&self) -> (usize, usize) {
        let sum = |costs: &mut dyn Iterator<Item = (usize, usize)>| {
            costs.fold((1, 0), |(nodes, bytes), (more_nodes, more_bytes)| {
                (nodes + more_nodes, bytes + more_bytes)
            })
        };
        match &self.value {
            Value::Null => (1, 0),
            Value::Scalar(text) => (1, text.len()),
            Value::List(items) => sum(&mut items.iter().map(Node::cost)),
            Value::Map(entries) => sum(&mut entries.iter().map(|(key, node)| {
                let (nodes, bytes) = node.cost();
                (nodes + 1, bytes + key.name.len())
            })),
        }
    }
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, Flaw> {
    let start = Place { line: 1, column: 1 };
    if text.len() > TEXT_BYTES_MAX {
        return Err(Flaw {
            place: start,
            message: format!("the file is larger than {TEXT_BYTES_MAX} bytes"),
        });
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Flaw {
            place: place(error.marker()),
            message: format!("this is not YAML: {}", error.info()),
        })?;
        builder.take(event, place(&span.start))?;
    }
    Ok(builder.root.unwrap_or(Node { place: start, value: Value::Null }))
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    bytes: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: usize,
    place: Place,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key>, merged: Vec<Node> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
                    (_, text) => Value::Scalar(text.to_owned()),
                };
                self.spend(1, text.len(), place)?;
                // An empty key or `null` is a name like any other.
                if let Some(Body::Map { key: key @ None, .. }) =
                    self.open.last_mut().map(|open| &mut open.body)
                {
                    *key = Some(Key { place, name: text.into_owned() });
                    return Ok(());
                }
                self.place(anchor, Node { place, value })
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Open { anchor, place, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, _) => {
                let body = Body::Map { entries: Vec::new(), key: None, merged: Vec::new() };
                self.open(Open { anchor, place, body })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(flaw(place, "this alias stands for the list or map it lies in"));
                };
                let (nodes, bytes) = node.cost();
                self.spend(nodes, bytes, place)?;
                let value = self.anchors[&anchor].value.clone();
                self.place(0, Node { place, value })
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(flaw(place, "a second document starts here: one is expected"))
            }
            // The parser's enum may grow; what else it reports is presentation.
            _ => Ok(()),
        }
    }

    fn spend(&mut self, nodes: usize, bytes: usize, place: Place) -> Result<(), Flaw> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > NODES_MAX || self.bytes > SCALAR_BYTES_MAX {
            return Err(flaw(place, "the file holds too much once its aliases are replaced"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), Flaw> {
        self.spend(1, 0, open.place)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(flaw(open.place, &format!("more than {DEPTH_MAX} levels")));
        }
        if let Some(Body::Map { key: None, .. }) = self.open.last().map(|above| &above.body) {
            return Err(flaw(open.place, "a key must be one word or a quoted text"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Flaw> {
        let Some(Open { anchor, place, body }) = self.open.pop() else { return Ok(()) };
        let value = match body {
            Body::List(items) => Value::List(items),
            Body::Map { mut entries, merged, .. } => {
                for node in merged {
                    merge(&mut entries, node)?;
                }
                Value::Map(entries)
            }
        };
        self.place(anchor, Node { place, value })
    }

    fn place(&mut self, anchor: usize, node: Node) -> Result<(), Flaw> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.root = Some(node),
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map { entries, key, merged }) => match key.take() {
                // Only an alias comes here without a key before it.
                None => match node.value {
                    Value::Scalar(name) => *key = Some(Key { place: node.place, name }),
                    Value::Null | Value::List(_) | Value::Map(_) => {
                        return Err(flaw(node.place, "a key must be one word or a quoted text"));
                    }
                },
                Some(name) if name.name == "<<" => merged.push(node),
                Some(name) => {
                    if let Some((first, _)) = entries.iter().find(|(other, _)| other.name == name.name) {
                        let message =
                            format!("`{}` is given twice: first on line {}", name.name, first.place.line);
                        return Err(flaw(name.place, &message));
                    }
                    if entries.len() >= ENTRIES_MAX {
                        return Err(flaw(name.place, &format!("more than {ENTRIES_MAX} keys")));
                    }
                    entries.push((name, node));
                }
            },
        }
        Ok(())
    }
}

/// `<<: *other`: the other map's entries, unless given here.
fn merge(entries: &mut Vec<(Key, Node)>, node: Node) -> Result<(), Flaw> {
    match node.value {
        Value::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(own, _)| own.name == key.name) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Value::List(maps) => maps.into_iter().try_for_each(|map| merge(entries, map)),
        Value::Null | Value::Scalar(_) => Err(flaw(node.place, "`<<` takes a map, or a list of maps")),
    }
}

fn flaw(place: Place, message: &str) -> Flaw {
    Flaw { place, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let flaw = parse(text).unwrap_err();
        format!("{}:{}: {}", flaw.place.line, flaw.place.column, flaw.message)
    }

    #[test]
    fn places_and_spellings_are_remembered() {
        let Value::Map(entries) = parse("a: 1.10\nb:\n  - yes\n").unwrap().value else { panic!("a map") };
        assert_eq!(entries[0].1.value, Value::Scalar("1.10".to_owned()));
        let Value::List(items) = &entries[1].1.value else { panic!("a list") };
        assert_eq!(
            (items[0].place, &items[0].value),
            (Place { line: 3, column: 5 }, &Value::Scalar("yes".into()))
        );
    }

    #[test]
    fn aliases_and_merges_are_replaced() {
        let node = parse("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\n").unwrap();
        let Value::Map(entries) = node.value else { panic!("a map") };
        let Value::Map(mine) = &entries[1].1.value else { panic!("a map") };
        let mine: Vec<_> = mine.iter().map(|(key, node)| (key.name.as_str(), &node.value)).collect();
        assert_eq!(mine, [("y", &Value::Scalar("3".into())), ("x", &Value::Scalar("1".into()))]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(why("a: 1\nb: 2\na: 3\n"), "3:1: `a` is given twice: first on line 1");
        assert_eq!(why("? [a]\n: b\n"), "1:3: a key must be one word or a quoted text");
        assert_eq!(why("a: 1\n---\nb: 1\n"), "2:1: a second document starts here: one is expected");
        assert!(why("a: [1\n").contains(": this is not YAML: "));
        assert_eq!(why(&format!("{}{}", "[".repeat(100), "]".repeat(100))), "1:65: more than 64 levels");
        assert!(why(&"[".repeat(100_000)).contains("this is not YAML"));
        assert!(why(&"x".repeat(TEXT_BYTES_MAX + 1)).contains("larger than"));
    }

    #[test]
    fn aliases_that_multiply_are_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let below = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", ")));
        }
        assert!(why(&text).contains("too much once its aliases are replaced"));
    }
}
