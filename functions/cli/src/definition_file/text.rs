//! The text of a definition file: JSON or YAML, and where in it things stand.

use super::short_tags;
use local::yaml::{self, Content, Flaw, Node, Place};
use serde_json::Value;
use std::{cell::OnceCell, fs, path::Path};

/// Bytes of a definition file, most: those of an API request. One in YAML ends earlier, see [`yaml::TEXT_BYTES_MAX`].
const FILE_BYTES_MAX: u64 = api::codec::BODY_BYTES_MAX as u64;

/// Which of both a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Texts and numbers are told apart.
    Json,
    /// Every scalar is a text, until somebody knows better.
    Yaml,
}

/// A file, read.
pub struct Text {
    /// The file's name for messages.
    pub shown: String,
    /// What it is written in.
    pub format: Format,
    /// What it says.
    pub value: Value,
    text: String,
    tree: OnceCell<Option<Node>>,
}

impl Text {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        let unreadable = |error| anyhow::anyhow!("the pipeline's file `{shown}` cannot be read: {error}");
        let size = fs::metadata(path).map_err(unreadable)?.len();
        anyhow::ensure!(size <= FILE_BYTES_MAX, "`{shown}` is larger than {} MiB", FILE_BYTES_MAX >> 20);
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let by_name = path.extension().and_then(|name| name.to_str()).map(str::to_ascii_lowercase);
        Self::parse(shown, text, matches!(by_name.as_deref(), Some("yaml" | "yml")))
    }

    /// Reads a text; what starts with a brace is JSON unless the name says otherwise.
    pub fn parse(shown: String, text: String, is_yaml: bool) -> anyhow::Result<Self> {
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let tree = OnceCell::new();
        let (format, value) = match text.trim_start().chars().next() {
            Some('{' | '[') if !is_yaml => (Format::Json, json(&shown, &text)?),
            _ => {
                let node = parse_yaml(&text).map_err(|flaw| {
                    let place = flaw.place;
                    anyhow::anyhow!(
                        "`{shown}` cannot be read at line {}, column {}: {}",
                        place.line,
                        place.column,
                        flaw.message
                    )
                })?;
                let value = node.as_ref().map_or(Value::Null, to_value);
                let _ = tree.set(node);
                (Format::Yaml, value)
            }
        };
        anyhow::ensure!(
            value.is_object(),
            "`{shown}` holds no pipeline. Towpath reads what `aws codepipeline get-pipeline` prints, as JSON or \
             YAML, and CloudFormation templates with an `AWS::CodePipeline::Pipeline`"
        );
        Ok(Self { shown, format, value, text, tree })
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column, from 1, of a path in the value, or of what holds it, if they can be found.
    pub fn place_of(&self, path: &str) -> Option<(usize, usize)> {
        let tree = self.tree.get_or_init(|| parse_yaml(&self.text).ok().flatten());
        let place = place_of(tree.as_ref()?, path);
        Some((place.line, place.column))
    }

    /// The line of a path in the value, such as `pipeline.stages[0].name`, if it can be found.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        // JSON is YAML but for rarities and what is longer than YAML is read; there are just no lines then.
        self.place_of(path).map(|(line, _)| line)
    }
}

fn json(shown: &str, text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!("`{shown}` is not valid JSON at line {line}, column {column}: {error}")
    })
}

/// The text as YAML, with short tags written out.
fn parse_yaml(text: &str) -> Result<Option<Node>, Flaw> {
    yaml::parse_tagged(text, short_tags::function)
}

/// A tree as JSON: every scalar is a text.
fn to_value(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Scalar { text, .. } => Value::String(text.clone()),
        Content::List(items) => items.iter().map(to_value).collect(),
        Content::Map(entries) => {
            Value::Object(entries.iter().map(|(key, node)| (key.name.clone(), to_value(node))).collect())
        }
    }
}

/// The place of a path such as `Resources.Pipeline.Properties.Stages[0]`: of its end, or of as much of it as there is.
fn place_of(root: &Node, path: &str) -> Place {
    find(root, path, root.place)
}

/// `above` is the place of what leads here.
fn find(node: &Node, path: &str, above: Place) -> Place {
    match &node.content {
        Content::Map(entries) => {
            let path = path.strip_prefix('.').unwrap_or(path);
            let below = entries.iter().find_map(|(key, node)| {
                let rest = path.strip_prefix(key.name.as_str())?;
                (rest.is_empty() || rest.starts_with(['.', '['])).then_some((key, node, rest))
            });
            below.map_or(above, |(key, node, rest)| find(node, rest, key.place))
        }
        Content::List(items) => {
            let index = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let entry =
                index.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
            entry.map_or(above, |(node, rest)| find(node, rest, node.place))
        }
        Content::Null | Content::Scalar { .. } => above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        to_value(&parse_yaml(text).unwrap().unwrap())
    }

    #[test]
    fn every_scalar_is_a_text() {
        let text = "a: 012345678901\nb: 2010-09-09\nc: [yes, 1.10]\nd: ~\ne: '~'\n";
        let expected =
            json!({"a": "012345678901", "b": "2010-09-09", "c": ["yes", "1.10"], "d": null, "e": "~"});
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
    fn a_path_leads_to_its_line() {
        let text = "Resources:\n  P:\n    Properties:\n      Stages:\n        - Name: A\n        - Name: !Sub x\n          \
                    Actions:\n            - Configuration: {K.L: 1}\n";
        let root = parse_yaml(text).unwrap().unwrap();
        let line = |path: &str| place_of(&root, path).line;
        assert_eq!(line("Resources.P"), 2);
        assert_eq!(line("Resources.P.Properties.Stages"), 4);
        assert_eq!(line("Resources.P.Properties.Stages[1].Name"), 6);
        assert_eq!(line("Resources.P.Properties.Stages[1].Name.Fn::Sub"), 6);
        assert_eq!(line("Resources.P.Properties.Stages[1].Actions[0].Configuration.K.L"), 8);
        assert_eq!(line("Resources.P.Properties.Stages[1].RoleArn"), 6, "what is missing: where it would be");
        assert_eq!(line("Nowhere"), 1);
    }

    proptest! {
        #[test]
        fn every_path_has_a_place_in_every_tree(
            text in "([a-c][:.]? ?|- |\\[|\\]|, |!Ref |\n|  ){0,20}",
            path in "[a-c.\\[\\]0-9]{0,12}",
        ) {
            if let Ok(Some(root)) = parse_yaml(&text) {
                to_value(&root);
                prop_assert!(place_of(&root, &path) >= root.place);
            }
        }
    }
}
