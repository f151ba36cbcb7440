//! YAML as a tree that remembers where everything stood, with CloudFormation's short tags written out.
//!
//! Every scalar keeps its spelling: `012345678901` and `2010-09-09` stay what a person wrote, and whoever reads the
//! tree decides what is a number. Everything is bounded: text, depth, and the nodes that aliases multiply into.

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::HashMap;

/// Lists and maps within each other, most.
const DEPTH_MAX: usize = 100;
/// Keys of one map, most: each is compared with those before it.
const KEYS_MAX: usize = 5_000;
/// Nodes, after aliases are replaced, most.
const NODES_MAX: usize = 200_000;
/// Bytes of all scalars together, after aliases are replaced, most.
const SCALAR_BYTES_MAX: usize = 8 << 20;
/// The short tags of CloudFormation that stand for `Fn::` and their name.
const FUNCTIONS: [&str; 20] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "Contains",
    "EachMemberIn",
];

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    place: Place,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    place: Place,
    name: String,
}

impl Node {
    /// The tree as JSON: every scalar is a text.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Scalar(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.name.clone(), node.to_value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// The place of a path such as `Resources.Pipeline.Properties.Stages[0]`: of its end, or of as much of it as
    /// there is.
    pub fn place_of(&self, path: &str) -> Place {
        self.find(path, self.place)
    }

    /// `above` is the place of what leads here.
    fn find(&self, path: &str, above: Place) -> Place {
        match &self.content {
            Content::Map(entries) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let below = entries.iter().find_map(|(key, node)| {
                    let rest = path.strip_prefix(key.name.as_str())?;
                    (rest.is_empty() || rest.starts_with(['.', '['])).then_some((key, node, rest))
                });
                below.map_or(above, |(key, node, rest)| node.find(rest, key.place))
            }
            Content::List(items) => {
                let index = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let entry =
                    index.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
                entry.map_or(above, |(node, rest)| node.find(rest, node.place))
            }
            Content::Null | Content::Scalar(_) => above,
        }
    }

    /// How many nodes, and bytes of scalars, an alias to this one costs.
    fn cost(&self) -> (usize, usize) {
        let sum = |costs: &mut dyn Iterator<Item = (usize, usize)>| {
            costs.fold((1, 0), |(nodes, bytes), (more_nodes, more_bytes)| {
                (nodes + more_nodes, bytes + more_bytes)
            })
        };
        match &self.content {
            Content::Null => (1, 0),
            Content::Scalar(text) => (1, text.len()),
            Content::List(items) => sum(&mut items.iter().map(Node::cost)),
            Content::Map(entries) => sum(&mut entries.iter().map(|(key, node)| {
                let (nodes, bytes) = node.cost();
                (nodes + 1, bytes + key.name.len())
            })),
        }
    }
}

/// Reads one document; `None` when there is nothing in it.
pub fn parse(text: &str) -> Result<Option<Node>, Flaw> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Flaw {
            place: place(error.marker()),
            message: format!("this is not YAML: {}", error.info()),
        })?;
        builder.take(event, place(&span.start))?;
    }
    Ok(builder.root)
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
    /// The function its tag stands for.
    function: Option<String>,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key>, merged: Vec<Node> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let function = function(tag.as_deref(), place)?;
                let content = match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") if function.is_none() => {
                        Content::Null
                    }
                    (_, text) => Content::Scalar(text.to_owned()),
                };
                self.spend(1, text.len(), place)?;
                // An empty key or `null` is a name like any other.
                if let Some(Body::Map { key: key @ None, .. }) =
                    self.open.last_mut().map(|open| &mut open.body)
                {
                    *key = Some(Key { place, name: text.into_owned() });
                    return Ok(());
                }
                self.place(anchor, wrapped(Node { place, content }, function))
            }
            Event::SequenceStart(_, anchor, tag) => {
                let function = function(tag.as_deref(), place)?;
                self.open(Open { anchor, place, function, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                let function = function(tag.as_deref(), place)?;
                let body = Body::Map { entries: Vec::new(), key: None, merged: Vec::new() };
                self.open(Open { anchor, place, function, body })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(flaw(place, "this alias stands for the list or map it lies in"));
                };
                let (nodes, bytes) = node.cost();
                self.spend(nodes, bytes, place)?;
                let content = self.anchors[&anchor].content.clone();
                self.place(0, Node { place, content })
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
        let Some(Open { anchor, place, function, body }) = self.open.pop() else { return Ok(()) };
        let content = match body {
            Body::List(items) => Content::List(items),
            Body::Map { mut entries, merged, .. } => {
                for node in merged {
                    merge(&mut entries, node)?;
                }
                Content::Map(entries)
            }
        };
        self.place(anchor, wrapped(Node { place, content }, function))
    }

    fn place(&mut self, anchor: usize, node: Node) -> Result<(), Flaw> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.root = Some(node).filter(|node| node.content != Content::Null),
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map { entries, key, merged }) => match key.take() {
                // Only an alias comes here without a key before it.
                None => match node.content {
                    Content::Scalar(name) => *key = Some(Key { place: node.place, name }),
                    Content::Null | Content::List(_) | Content::Map(_) => {
                        return Err(flaw(node.place, "a key must be one word or a quoted text"));
                    }
                },
                Some(name) if name.name == "<<" => merged.push(node),
                Some(name) => entries.push((name, node)),
            },
        }
        self.check_last_key()
    }

    /// Two values under one key: whichever was meant, the other would be lost.
    fn check_last_key(&self) -> Result<(), Flaw> {
        let Some(Body::Map { entries, key: None, .. }) = self.open.last().map(|open| &open.body) else {
            return Ok(());
        };
        let Some(((last, _), before)) = entries.split_last() else { return Ok(()) };
        if before.len() >= KEYS_MAX {
            return Err(flaw(last.place, &format!("more than {KEYS_MAX} keys")));
        }
        match before.iter().find(|(key, _)| key.name == last.name) {
            Some((first, _)) => {
                let message = format!("`{}` is given twice: first on line {}", last.name, first.place.line);
                Err(flaw(last.place, &message))
            }
            None => Ok(()),
        }
    }
}

/// The function that a short tag stands for; none for YAML's own tags, which say nothing new here.
fn function(tag: Option<&Tag>, place: Place) -> Result<Option<String>, Flaw> {
    let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return Ok(None) };
    match (tag.handle(), tag.suffix()) {
        ("!", name @ ("Ref" | "Condition")) => Ok(Some(name.to_owned())),
        ("!", name) if FUNCTIONS.contains(&name) => Ok(Some(format!("Fn::{name}"))),
        ("" | "!", "" | "!") => Ok(None),
        (handle, suffix) => {
            let message = format!("`{handle}{suffix}` is no tag of CloudFormation's: `!Ref` and `!Sub` are");
            Err(flaw(place, &message))
        }
    }
}

fn wrapped(node: Node, function: Option<String>) -> Node {
    let Some(name) = function else { return node };
    let place = node.place;
    Node { place, content: Content::Map(vec![(Key { place, name }, node)]) }
}

/// `<<: *other`: the other map's entries, unless given here.
fn merge(entries: &mut Vec<(Key, Node)>, node: Node) -> Result<(), Flaw> {
    match node.content {
        Content::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(own, _)| own.name == key.name) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Content::List(maps) => maps.into_iter().try_for_each(|map| merge(entries, map)),
        Content::Null | Content::Scalar(_) => Err(flaw(node.place, "`<<` takes a map, or a list of maps")),
    }
}

fn flaw(place: Place, message: &str) -> Flaw {
    Flaw { place, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse(text).unwrap().unwrap().to_value()
    }

    fn why(text: &str) -> String {
        let flaw = parse(text).unwrap_err();
        format!("{}:{}: {}", flaw.place.line, flaw.place.column, flaw.message)
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let text = "a: 012345678901\nb: 2010-09-09\nc: yes\nd: 1.10\ne: ~\nf: '~'\ng: 0x1F\nh: ''\ni: 1e3\n";
        let expected = json!({
            "a": "012345678901", "b": "2010-09-09", "c": "yes", "d": "1.10", "e": null, "f": "~", "g": "0x1F",
            "h": "", "i": "1e3",
        });
        assert_eq!(value(text), expected);
    }

    #[test]
    fn short_tags_are_written_out() {
        let text = "a: !Ref X\nb: !Sub '${X}-y'\nc: !Join\n  - ','\n  - [!GetAtt A.B, !Ref C]\n\
                    d: !If [Yes, !Ref 'AWS::NoValue', {x: 1}]\ne: !Not [!Condition Z]\nf: !Base64\n  Fn::Sub: q\n\
                    g: !!str 7\nh: !ImportValue\n  'Fn::Sub': '${N}-id'\n";
        let expected = json!({
            "a": {"Ref": "X"}, "b": {"Fn::Sub": "${X}-y"},
            "c": {"Fn::Join": [",", [{"Fn::GetAtt": "A.B"}, {"Ref": "C"}]]},
            "d": {"Fn::If": ["Yes", {"Ref": "AWS::NoValue"}, {"x": "1"}]},
            "e": {"Fn::Not": [{"Condition": "Z"}]}, "f": {"Fn::Base64": {"Fn::Sub": "q"}}, "g": "7",
            "h": {"Fn::ImportValue": {"Fn::Sub": "${N}-id"}},
        });
        assert_eq!(value(text), expected);
    }

    #[test]
    fn aliases_and_merges_are_replaced() {
        assert_eq!(
            value("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\n"),
            json!({"base": {"x": "1", "y": "2"}, "mine": {"x": "1", "y": "3"}})
        );
    }

    #[test]
    fn a_path_leads_to_its_line() {
        let text = "Resources:\n  P:\n    Properties:\n      Stages:\n        - Name: A\n        - Name: !Sub x\n          \
                    Actions:\n            - Configuration: {K.L: 1}\n";
        let node = parse(text).unwrap().unwrap();
        let line = |path: &str| node.place_of(path).line;
        assert_eq!(line("Resources.P"), 2);
        assert_eq!(line("Resources.P.Properties.Stages"), 4);
        assert_eq!(line("Resources.P.Properties.Stages[1].Name"), 6);
        assert_eq!(line("Resources.P.Properties.Stages[1].Name.Fn::Sub"), 6);
        assert_eq!(line("Resources.P.Properties.Stages[1].Actions[0].Configuration.K.L"), 8);
        assert_eq!(line("Resources.P.Properties.Stages[1].RoleArn"), 6, "what is missing: where it would be");
        assert_eq!(line("Nowhere"), 1);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(why("a: 1\nb: 2\na: 3\n"), "3:1: `a` is given twice: first on line 1");
        assert_eq!(why("a: !Reff X\n"), "1:10: `!Reff` is no tag of CloudFormation's: `!Ref` and `!Sub` are");
        assert_eq!(why("a: 1\n---\nb: 1\n"), "2:1: a second document starts here: one is expected");
        assert!(why("a: [1\n").contains(": this is not YAML: "));
        assert_eq!(why(&format!("{}{}", "[".repeat(200), "]".repeat(200))), "1:101: more than 100 levels");
        assert_eq!(parse("# nothing\n"), Ok(None));
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

    /// Pieces of templates, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a: ",
            "- ",
            "  ",
            "\n",
            "\n  ",
            "\n    - ",
            "!Sub ",
            "!Ref ",
            "!If ",
            "!GetAtt ",
            "!x ",
            "! ",
            "!!str ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "&a ",
            "*a",
            "<<: ",
            "'",
            "\"",
            "|\n",
            ">-\n",
            "#",
            "---\n",
            "...\n",
            "%TAG ! x\n",
            "? ",
            "${X}",
            "012",
            "~",
            "\t",
            "\u{feff}",
            "é",
            "\0",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_refused(text in prop_oneof![pieces(), any::<String>()], path in "[a-c.\\[\\]0-9]{0,12}") {
            match parse(&text) {
                Ok(Some(node)) => {
                    node.to_value();
                    prop_assert!(node.place_of(&path).line >= 1);
                }
                Ok(None) => {}
                Err(flaw) => prop_assert!(flaw.place.line >= 1 && !flaw.message.is_empty()),
            }
        }

        /// Whatever JSON can say, YAML reads the same, but that everything is a text: so lines can be found in both.
        #[test]
        fn json_is_read_alike(texts in prop::collection::btree_map("[ -~]{1,8}", "[ -~]{0,8}", 0..6)) {
            prop_assume!(!texts.contains_key("<<"));
            let value = json!({ "list": [texts], "map": texts });
            for text in [value.to_string(), format!("{value:#}")] {
                prop_assert_eq!(parse(&text).unwrap().unwrap().to_value(), value.clone(), "{}", text);
            }
        }
    }
}
