//! A pipeline out of a CloudFormation, SAM or CDK template.

use super::{Reading, text::Text};
use anyhow::Context;
use domain::template::{Declared, Evaluator, Findings, PipelineResource, Setting, Template};
use regex_automata::{Anchored, Input, meta::Regex};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

/// Bytes of a compiled pattern of a parameter, most.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Places shown for one value that is missing, most; the rest are counted as far as they are kept.
const PLACES_SHOWN: usize = 5;
/// The stack's name where the file's name gives none.
const STACK_DEFAULT: &str = "local";

/// A template and what it is evaluated under; kept for what else it says.
#[derive(Debug, Clone)]
pub struct TemplateFile {
    /// The file's name for messages.
    pub shown: String,
    /// The Region the template is taken to be in.
    pub region: String,
    /// The account.
    pub account: String,
    /// The logical id of the pipeline.
    pub id: String,
    value: Value,
    stack: String,
    given: BTreeMap<String, String>,
}

impl TemplateFile {
    /// Finds the pipeline that is meant, and reads it.
    pub fn read(text: &Text, path: &Path, reading: &Reading<'_>) -> anyhow::Result<(Self, Declared)> {
        let given = given(reading.params)?;
        let known = |key: &str, default: &str| given.get(key).map_or(default, String::as_str).to_owned();
        let mut file = Self {
            shown: text.shown.clone(),
            region: known("AWS::Region", reading.region.unwrap_or("us-east-1")),
            account: known("AWS::AccountId", reading.account),
            id: String::new(),
            value: text.value.clone(),
            stack: stack_of(path),
            given,
        };
        anyhow::ensure!(
            file.account.len() == 12 && file.account.bytes().all(|byte| byte.is_ascii_digit()),
            "the account `{}` must have 12 digits",
            file.account
        );
        let (id, declared) = file.evaluate(|evaluator| {
            let pipelines = evaluator.pipelines();
            let id = choose(&pipelines, reading.pipeline, &text.shown)?;
            let declared = evaluator.pipeline(&id);
            let mut findings = evaluator.take_findings();
            for key in evaluator.unused() {
                findings
                    .notes
                    .push((key, "was given with `--param`, and nothing in the pipeline asks for it".into()));
            }
            refuse(&findings, text)?;
            let declared = declared.context("the pipeline could not be read")?;
            Ok((id, (declared, findings.notes)))
        })?;
        let (declared, notes) = declared;
        for (path, note) in notes {
            anstream::eprintln!("warning: `{path}`: {note}");
        }
        file.id = id;
        Ok((file, declared))
    }

    /// Whether what was given under a key is not to be shown: a parameter with `NoEcho`, a value looked up.
    pub fn is_secret(&self, key: &str) -> bool {
        let echo = self.value.get("Parameters").and_then(|all| all.get(key)?.get("NoEcho"));
        key.starts_with("resolve:")
            || echo.is_some_and(|echo| matches!(echo.to_string().as_str(), "true" | "\"true\""))
    }

    /// Evaluates parts of the template.
    pub fn evaluate<T>(
        &self,
        work: impl FnOnce(&mut Evaluator<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let template = Template::of(&self.value).context("the file is not a template any more")?;
        let setting = Setting {
            region: &self.region,
            account: &self.account,
            stack: &self.stack,
            given: &self.given,
            matches: &matches,
        };
        work(&mut Evaluator::new(template, setting))
    }
}

/// An error that lists everything found, unless that is nothing.
pub fn refuse(findings: &Findings, text: &Text) -> anyhow::Result<()> {
    if findings.is_clear() {
        return Ok(());
    }
    let shown = &text.shown;
    let mut told = String::new();
    if !findings.problems.is_empty() {
        let _ = write!(told, "`{shown}` cannot be evaluated:");
        for problem in &findings.problems {
            let place = place(text, &problem.path);
            let _ = write!(told, "\n  {place}: {}", problem.message);
            if let Some(hint) = &problem.hint {
                let _ = write!(told, "\n    {hint}");
            }
        }
    }
    if !findings.unknown.is_empty() {
        if !told.is_empty() {
            told.push('\n');
        }
        let _ = write!(told, "`{shown}` needs what cannot be known on this machine:");
        for unknown in &findings.unknown {
            let _ = write!(told, "\n  {}: {}", unknown.key, unknown.what);
            for path in unknown.places.iter().take(PLACES_SHOWN) {
                let _ = write!(told, "\n    at {}", place(text, path));
            }
            let more = unknown.places.len().saturating_sub(PLACES_SHOWN);
            if more > 0 {
                let _ = write!(told, "\n    and {more} more");
            }
        }
        let keys =
            findings.unknown.iter().map(|unknown| format!("--param {}", word(&format!("{}=…", unknown.key))));
        let _ = write!(told, "\n  give each value: {}", keys.collect::<Vec<_>>().join(" "));
    }
    anyhow::bail!(told)
}

/// A path with its line.
pub fn place(text: &Text, path: &str) -> String {
    match text.line_of(path) {
        Some(line) => format!("{path} (line {line})"),
        None => path.to_owned(),
    }
}

fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@%+,…".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn given(params: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for text in params {
        let (key, value) = text
            .split_once('=')
            .with_context(|| format!("`--param {text}` must have the form `NAME=VALUE`"))?;
        let before = given.insert(key.trim().to_owned(), value.to_owned());
        anyhow::ensure!(before.is_none(), "`--param {key}` is given twice");
    }
    Ok(given)
}

fn choose(pipelines: &[PipelineResource], asked: Option<&str>, shown: &str) -> anyhow::Result<String> {
    let listed = || {
        let each = pipelines.iter().map(|pipeline| match &pipeline.name {
            Some(name) if *name != pipeline.id => format!("  {} (logical id {})", name, pipeline.id),
            Some(_) | None => format!("  {}", pipeline.id),
        });
        each.collect::<Vec<_>>().join("\n")
    };
    let Some(asked) = asked else {
        return match pipelines {
            [only] => Ok(only.id.clone()),
            [] => anyhow::bail!("the template `{shown}` makes no `AWS::CodePipeline::Pipeline`"),
            _ => anyhow::bail!(
                "the template `{shown}` holds {} pipelines; choose one with `--pipeline`:\n{}",
                pipelines.len(),
                listed()
            ),
        };
    };
    let by_id = pipelines.iter().find(|pipeline| pipeline.id == asked);
    let found = by_id.or_else(|| pipelines.iter().find(|pipeline| pipeline.name.as_deref() == Some(asked)));
    match found {
        Some(pipeline) => Ok(pipeline.id.clone()),
        None => anyhow::bail!("the template `{shown}` holds no pipeline `{asked}`; it holds:\n{}", listed()),
    }
}

/// The stack's name, from the file's: `ShopStack.template.json` is `ShopStack`.
fn stack_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(128).collect();
    let plain = plain.trim_matches('-');
    match plain.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => plain.to_owned(),
        false => STACK_DEFAULT.to_owned(),
    }
}

/// The folder a run belongs to: that of the file, or the one above a folder that tools write into.
pub fn home_of(folder: &Path) -> PathBuf {
    let written: [&[&str]; 2] = [&["cdk.out"], &[".aws-sam", "build"]];
    for names in written {
        let end: PathBuf = names.iter().collect();
        if folder.ends_with(&end)
            && let Some(home) = folder.ancestors().nth(names.len())
        {
            return home.to_owned();
        }
    }
    folder.to_owned()
}

/// Whether a pattern matches a whole text. Patterns are Java's; what this engine cannot read is not decided.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    let config =
        Regex::config().nfa_size_limit(Some(PATTERN_BYTES_MAX)).onepass_size_limit(Some(PATTERN_BYTES_MAX));
    let regex = Regex::builder().configure(config).build(&format!("(?:{pattern})$")).ok()?;
    let input = Input::new(text).anchored(Anchored::Yes);
    Some(regex.find(input).is_some_and(|found| found.end() == text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_named_after_the_file() {
        let names = ["out/ShopStack.template.json", "template.yaml", "7.yaml", "my_stack.yml"];
        assert_eq!(
            names.map(|name| stack_of(Path::new(name))),
            ["ShopStack", "template", "local", "my-stack"]
        );
    }

    #[test]
    fn a_run_belongs_to_the_folder_above_what_tools_write() {
        let homes =
            ["/a/cdk.out", "/a/.aws-sam/build", "/a/build", "/a"].map(|folder| home_of(Path::new(folder)));
        assert_eq!(homes, ["/a", "/a", "/a/build", "/a"].map(PathBuf::from));
    }

    #[test]
    fn patterns_match_the_whole_text() {
        assert_eq!(matches("[a-z]+", "abc"), Some(true));
        assert_eq!(matches("[a-z]+", "abc1"), Some(false));
        assert_eq!(matches("^a|ab$", "ab"), Some(true));
        assert_eq!(matches("(?=x)y", "y"), None);
    }
}
