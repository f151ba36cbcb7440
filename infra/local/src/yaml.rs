//! YAML as a tree that remembers where everything stood and how each scalar was spelled.
//!
//! Buildspecs, appspecs, definitions and templates are read with it: their scalars keep their spelling (`1.10`, `0644`,
//! `yes`), so that whoever reads the tree decides what is a number; and their errors must name line and column, also
//! for what is well-formed but means nothing. Both get lost in a typed deserializer. Everything is bounded: text,
//! depth, and the nodes that aliases multiply into.

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::HashMap;

/// Bytes of text that are read at all.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Lists and maps within each other, most, beside those that tags stand for, of which each may have one: readers of the
/// tree are recursive. The parser itself goes to 255.
const DEPTH_MAX: usize = 100;
/// Keys of one map, most: each is compared with those before it.
const KEYS_MAX: usize = 5_000;
/// Nodes, after aliases are replaced, most; what has an anchor counts twice.
const NODES_MAX: usize = 200_000;
/// Bytes of all scalars together, after aliases are replaced, most.
const SCALAR_BYTES_MAX: usize = 8 << 20;

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins; for what an alias stands for, where the alias is.
    pub place: Place,
    /// What it holds.
    pub content: Content,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// Anything else that is one word or text, as it was written.
    Scalar {
        /// The text, without quotes.
        text: String,
        /// It had quotes, or is block text.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the text; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it begins.
    pub place: Place,
    /// The key; an empty one or `null` is a name like any other.
    pub name: String,
}

/// What a tag that is not YAML's own stands for: the key of a map that holds only what was tagged, as CloudFormation's
/// `!Ref x` is short for `Ref: x`; or nothing. The error says what is wrong with it.
pub type KeyOfTag = fn(&str) -> Result<Option<String>, String>;

impl Place {
    /// Where every text begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Reads one document; `None` when there is nothing in it. Tags say nothing.
pub fn parse(text: &str) -> Result<Option<Node>, Flaw> {
    parse_tagged(text, |_| Ok(None))
}

/// Reads one document in which tags stand for something.
pub fn parse_tagged(text: &str, key_of_tag: KeyOfTag) -> Result<Option<Node>, Flaw> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(flaw(Place::START, format!("the file is larger than {TEXT_BYTES_MAX} bytes")));
    }
    let mut builder = Builder::new(key_of_tag);
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| flaw(place(error.marker()), format!("this is not YAML: {}", error.info())))?;
        builder.take(event, place(&span.start))?;
    }
    Ok(builder.root.filter(|root| root.content != Content::Null))
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

fn too_deep(place: Place) -> Flaw {
    flaw(place, format!("more than {DEPTH_MAX} levels"))
}

fn flaw(place: Place, message: impl Into<String>) -> Flaw {
    Flaw { place, message: message.into() }
}

impl Node {
    /// What a copy of this one costs.
    fn size(&self) -> Size {
        let around = |size: Size, inner: Size| Size {
            nodes: size.nodes + inner.nodes,
            bytes: size.bytes + inner.bytes,
            depth: size.depth.max(inner.depth + 1),
        };
        let empty = Size { nodes: 1, bytes: 0, depth: 1 };
        match &self.content {
            Content::Null => Size { depth: 0, ..empty },
            Content::Scalar { text, .. } => Size { bytes: text.len(), depth: 0, ..empty },
            Content::List(items) => items.iter().map(Self::size).fold(empty, around),
            Content::Map(entries) => entries.iter().fold(empty, |size, (key, node)| {
                let key = Size { nodes: 1, bytes: key.name.len(), depth: 0 };
                around(around(size, key), node.size())
            }),
        }
    }

    /// Itself, or a map that holds it under the key its tag stands for.
    fn under(self, key: Option<String>) -> Self {
        let Some(name) = key else { return self };
        let place = self.place;
        Self { place, content: Content::Map(vec![(Key { place, name }, self)]) }
    }
}

/// How much there is in a node, itself and its keys included.
struct Size {
    nodes: usize,
    /// Of scalars.
    bytes: usize,
    /// Lists and maps within each other.
    depth: usize,
}

/// The tree as far as the parser's events have come.
struct Builder {
    key_of_tag: KeyOfTag,
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
    /// The key its tag stands for.
    tagged: Option<String>,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, next: Next, merged: Vec<Node> },
}

/// What comes next in a map.
enum Next {
    Key,
    Value(Key),
    /// What `<<` takes. In quotes it is a key like any other.
    Merged,
}

impl Builder {
    fn new(key_of_tag: KeyOfTag) -> Self {
        Self { key_of_tag, open: Vec::new(), anchors: HashMap::new(), root: None, nodes: 0, bytes: 0 }
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = self.tagged(tag.as_deref(), place)?;
                self.scalar(&text, style, anchor, tagged, place)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tagged = self.tagged(tag.as_deref(), place)?;
                self.open(Open { anchor, place, tagged, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                let tagged = self.tagged(tag.as_deref(), place)?;
                let body = Body::Map { entries: Vec::new(), next: Next::Key, merged: Vec::new() };
                self.open(Open { anchor, place, tagged, body })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(flaw(place, "a second document starts here: one is expected"))
            }
            // The parser's enum may grow; what else it reports is presentation.
            _ => Ok(()),
        }
    }

    /// YAML's own tags, and the lone `!`, say nothing that the spelling does not.
    fn tagged(&self, tag: Option<&Tag>, place: Place) -> Result<Option<String>, Flaw> {
        let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return Ok(None) };
        match format!("{}{}", tag.handle(), tag.suffix()).as_str() {
            "" | "!" => Ok(None),
            spelled => (self.key_of_tag)(spelled).map_err(|message| flaw(place, message)),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tagged: Option<String>,
        place: Place,
    ) -> Result<(), Flaw> {
        self.spend(1, text.len(), place)?;
        let plain = style == ScalarStyle::Plain;
        let content = match text {
            "" | "~" | "null" | "Null" | "NULL" if plain && tagged.is_none() => Content::Null,
            _ => Content::Scalar { text: text.to_owned(), quoted: !plain },
        };
        let node = Node { place, content }.under(tagged);
        let Some(Body::Map { next: next @ Next::Key, .. }) = self.open.last_mut().map(|open| &mut open.body)
        else {
            return self.place(anchor, node);
        };
        *next = match text {
            "<<" if plain => Next::Merged,
            _ => Next::Value(Key { place, name: text.to_owned() }),
        };
        self.remember(anchor, &node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Flaw> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(flaw(place, "this alias stands for the list or map it lies in"));
        };
        let size = node.size();
        self.spend(size.nodes, size.bytes, place)?;
        if self.open.len() + size.depth > DEPTH_MAX {
            return Err(too_deep(place));
        }
        let content = self.anchors[&anchor].content.clone();
        self.place(0, Node { place, content })
    }

    /// Keeps a copy of what has an anchor, which counts: anchors within each other copy what they hold again and again.
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Flaw> {
        if anchor == 0 {
            return Ok(());
        }
        let size = node.size();
        self.spend(size.nodes, size.bytes, node.place)?;
        self.anchors.insert(anchor, node.clone());
        Ok(())
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
            return Err(too_deep(open.place));
        }
        if let Some(Body::Map { next: Next::Key, .. }) = self.open.last().map(|above| &above.body) {
            return Err(flaw(open.place, "a key must be one word or a quoted text"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Flaw> {
        let Some(Open { anchor, place, tagged, body }) = self.open.pop() else { return Ok(()) };
        let content = match body {
            Body::List(items) => Content::List(items),
            Body::Map { mut entries, merged, .. } => {
                for node in merged {
                    merge(&mut entries, node)?;
                }
                Content::Map(entries)
            }
        };
        self.place(anchor, Node { place, content }.under(tagged))
    }

    fn place(&mut self, anchor: usize, node: Node) -> Result<(), Flaw> {
        self.remember(anchor, &node)?;
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.root = Some(node),
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map { entries, next, merged }) => match std::mem::replace(next, Next::Key) {
                // Only an alias comes here where a key is due.
                Next::Key => match node.content {
                    Content::Scalar { text, .. } => {
                        *next = Next::Value(Key { place: node.place, name: text })
                    }
                    Content::Null | Content::List(_) | Content::Map(_) => {
                        return Err(flaw(node.place, "a key must be one word or a quoted text"));
                    }
                },
                Next::Value(key) => add(entries, key, node)?,
                Next::Merged => merged.push(node),
            },
        }
        Ok(())
    }
}

/// Two values under one key: whichever was meant, the other would be lost.
fn add(entries: &mut Vec<(Key, Node)>, key: Key, node: Node) -> Result<(), Flaw> {
    if let Some((first, _)) = entries.iter().find(|(other, _)| other.name == key.name) {
        let message = format!("`{}` is given twice: first on line {}", key.name, first.place.line);
        return Err(flaw(key.place, message));
    }
    push(entries, key, node)
}

fn push(entries: &mut Vec<(Key, Node)>, key: Key, node: Node) -> Result<(), Flaw> {
    if entries.len() >= KEYS_MAX {
        return Err(flaw(key.place, format!("more than {KEYS_MAX} keys")));
    }
    entries.push((key, node));
    Ok(())
}

/// `<<: *other`: the other map's entries, unless given here.
fn merge(entries: &mut Vec<(Key, Node)>, node: Node) -> Result<(), Flaw> {
    match node.content {
        Content::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(own, _)| own.name == key.name) {
                    push(entries, key, value)?;
                }
            }
            Ok(())
        }
        Content::List(maps) => maps.into_iter().try_for_each(|map| merge(entries, map)),
        Content::Null | Content::Scalar { .. } => {
            Err(flaw(node.place, "`<<` takes a map, or a list of maps"))
        }
    }
}

#[cfg(test)]
mod tests;
