//! The text of a definition file: JSON or YAML, and where in it things stand.

use super::yaml::{self, Node};
use serde_json::Value;
use std::{cell::OnceCell, fs, path::Path};

/// Bytes of a definition file, most: those of an API request, and of a template.
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
                let node = yaml::parse(&text).map_err(|flaw| {
                    let place = flaw.place;
                    anyhow::anyhow!(
                        "`{shown}` cannot be read at line {}, column {}: {}",
                        place.line,
                        place.column,
                        flaw.message
                    )
                })?;
                let value = node.as_ref().map_or(Value::Null, Node::to_value);
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
        let tree = self.tree.get_or_init(|| yaml::parse(&self.text).ok().flatten());
        let place = tree.as_ref()?.place_of(path);
        Some((place.line, place.column))
    }

    /// The line of a path in the value, such as `pipeline.stages[0].name`, if it can be found.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        // JSON is YAML but for rarities; where it is not, there are just no lines.
        self.place_of(path).map(|(line, _)| line)
    }
}

fn json(shown: &str, text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!("`{shown}` is not valid JSON at line {line}, column {column}: {error}")
    })
}
