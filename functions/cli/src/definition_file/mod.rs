//! A pipeline's definition as a file: what `get-pipeline` prints, as JSON or YAML, or a CloudFormation template.

mod needs;
mod resources;
mod short_tags;
mod template;
mod text;

pub use needs::needs;
pub use resources::settle;
pub use template::{TemplateFile, home_of};

use anyhow::Context;
use api::Invalid;
use domain::{
    catalogue::Registry,
    pipeline::{self, PipelineDeclaration, Setting},
    template::{ClosedTransition, Declared, PIPELINE, Spelling, Template, convert},
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};
use text::{Format, Text};

/// How a file is to be read.
#[derive(Default)]
pub struct Reading<'a> {
    /// The Region to check with; else that of the definition, or the usual one.
    pub region: Option<&'a str>,
    /// The account, unless a template is told another.
    pub account: &'a str,
    /// `--param`: values for parameters of a template, and for what it cannot know.
    pub params: &'a [String],
    /// `--pipeline`: which one of a template.
    pub pipeline: Option<&'a str>,
}

/// A definition that obeys every rule.
pub struct DefinitionFile {
    /// The declaration as the API has it.
    pub declaration: Value,
    /// The same, read.
    pub definition: PipelineDeclaration,
    /// The Region it is checked for.
    pub region: String,
    /// The account.
    pub account: String,
    /// Tags for the pipeline.
    pub tags: BTreeMap<String, String>,
    /// Transitions to close before the first execution.
    pub closed: Vec<ClosedTransition>,
    /// The template it came out of.
    pub template: Option<TemplateFile>,
    /// The file.
    text: Text,
}

/// A definition as a file has it: no rule was asked yet.
pub struct Unchecked {
    /// The declaration in the API's words.
    pub declaration: Value,
    text: Text,
    declared: Option<Declared>,
}

impl Unchecked {
    /// The text, when it is JSON that holds the declaration itself.
    pub fn json(&self) -> Option<&str> {
        (self.text.format == Format::Json && self.declared.is_none()).then(|| self.text.text())
    }

    /// Line and column, from 1, of a place in the declaration, or of what holds it, if they can be found.
    pub fn place_of(&self, path: &str) -> Option<(usize, usize)> {
        let path = match &self.declared {
            Some(declared) => declared.source_of(path),
            None if self.text.value.get("pipeline").is_none() => path.to_owned(),
            None if path.is_empty() => "pipeline".to_owned(),
            None => format!("pipeline.{path}"),
        };
        self.text.place_of(&path)
    }
}

/// Reads a definition without asking its rules. The error says what cannot be read, or is unknown.
pub fn unchecked(path: &Path, reading: &Reading<'_>) -> anyhow::Result<Unchecked> {
    let text = Text::read(path)?;
    if Template::of(&text.value).is_some() {
        let (_, declared) = TemplateFile::read(&text, path, reading)?;
        return Ok(Unchecked { declaration: declared.declaration.clone(), text, declared: Some(declared) });
    }
    let declaration = api_form(&text, &|path| path.to_owned())?;
    Ok(Unchecked { declaration, text, declared: None })
}

/// Reads and checks a definition. The error lists everything that is wrong with it.
pub fn read(path: &Path, reading: &Reading<'_>) -> anyhow::Result<DefinitionFile> {
    let text = Text::read(path)?;
    match Template::of(&text.value) {
        Some(_) => from_template(text, path, reading),
        None => from_api(text, reading),
    }
}

fn from_template(text: Text, path: &Path, reading: &Reading<'_>) -> anyhow::Result<DefinitionFile> {
    let (template, declared) = TemplateFile::read(&text, path, reading)?;
    let (region, account) = (template.region.clone(), template.account.clone());
    let places = |path: &str| template::place(&text, &declared.source_of(path));
    let definition = check(&text, &declared.declaration, Some(&region), &account, &places)?;
    let Declared { declaration, tags, closed, .. } = declared;
    let template = Some(template);
    Ok(DefinitionFile { declaration, definition, region, account, tags, closed, template, text })
}

fn from_api(text: Text, reading: &Reading<'_>) -> anyhow::Result<DefinitionFile> {
    anyhow::ensure!(
        reading.params.is_empty(),
        "`--param` is for the parameters of a template, and `{}` is none; values of the pipeline's own variables are \
         given with `--var`",
        text.shown
    );
    let wrapped = text.value.get("pipeline");
    let root = if wrapped.is_some() { "pipeline" } else { "" };
    let places = |path: &str| match text.line_of(&format!("{root}.{path}")) {
        Some(line) => format!("{path} (line {line})"),
        None => path.to_owned(),
    };
    let declaration = api_form(&text, &places)?;
    let definition = check(&text, &declaration, reading.region, reading.account, &places)?;
    if let Some(asked) = reading.pipeline {
        let name = definition.name.as_str();
        anyhow::ensure!(asked == name, "`{}` holds the pipeline `{name}`, not `{asked}`", text.shown);
    }
    let region = reading.region.map_or_else(|| region_of(&definition), str::to_owned);
    let account = reading.account.to_owned();
    let tags = tags(&text)?;
    let (closed, template) = (Vec::new(), None);
    Ok(DefinitionFile { declaration, definition, region, account, tags, closed, template, text })
}

/// The declaration of a file that is no template; scalars of YAML get the types the API has.
fn api_form(text: &Text, places: Places<'_>) -> anyhow::Result<Value> {
    let declaration = text.value.get("pipeline").unwrap_or(&text.value);
    if text.format == Format::Json {
        return Ok(declaration.clone());
    }
    let mut problems = Vec::new();
    let declaration = convert(declaration, &PIPELINE, Spelling::Api, "", &mut problems);
    if problems.is_empty() {
        return Ok(declaration);
    }
    let listed = problems.iter().map(|problem| line(places, &problem.path, &problem.message, &problem.hint));
    Err(illegal(text, listed.collect()))
}

/// Tags beside a wrapped definition, as `create-pipeline --cli-input-json` takes them.
fn tags(text: &Text) -> anyhow::Result<BTreeMap<String, String>> {
    let listed =
        text.value.get("pipeline").and_then(|_| text.value.get("tags")).filter(|tags| !tags.is_null());
    let Some(listed) = listed else { return Ok(BTreeMap::new()) };
    let pair =
        |tag: &Value| Some((tag.get("key")?.as_str()?.to_owned(), tag.get("value")?.as_str()?.to_owned()));
    let tags = listed.as_array().and_then(|tags| tags.iter().map(pair).collect());
    tags.with_context(|| format!("`{}`: `tags` must be a list of `key` and `value`", text.shown))
}

/// Says where a place of the definition is in the file.
type Places<'p> = &'p dyn Fn(&str) -> String;

fn check(
    text: &Text,
    declaration: &Value,
    region: Option<&str>,
    account: &str,
    places: Places<'_>,
) -> anyhow::Result<PipelineDeclaration> {
    if let Err(invalid) = api::validate_shape("PipelineDeclaration", declaration, "pipeline") {
        return Err(illegal(text, constraints(&invalid, places)));
    }
    let shown = |error: &pipeline::DefinitionError| line(places, &error.path, &error.message, &error.hint);
    let mut definition = pipeline::parse(declaration).map_err(|error| illegal(text, vec![shown(&error)]))?;
    let registry = Registry::builtin();
    let version = events::PipelineVersion(1);
    pipeline::normalize(&mut definition, version, None, &registry);
    let region = region.map_or_else(|| region_of(&definition), str::to_owned);
    let problems =
        pipeline::check_all(&definition, &Setting { registry: &registry, region: &region, account });
    match problems.is_empty() {
        true => Ok(definition),
        false => Err(illegal(text, problems.iter().map(shown).collect())),
    }
}

/// The Region a definition was written for, where it says so; else the usual one.
pub fn region_of(definition: &PipelineDeclaration) -> String {
    definition.only_region().map_or_else(|| "us-east-1".to_owned(), str::to_owned)
}

fn illegal(text: &Text, lines: Vec<String>) -> anyhow::Error {
    anyhow::anyhow!("`{}` is not a legal pipeline definition:\n{}", text.shown, lines.join("\n"))
}

fn line(places: Places<'_>, path: &str, message: &str, hint: &Option<String>) -> String {
    let place = if path.is_empty() { String::new() } else { format!("{}: ", places(path)) };
    let hint = hint.as_ref().map(|hint| format!("\n    {hint}")).unwrap_or_default();
    format!("  {place}{message}{hint}")
}

/// The constraint layer's own words, each with the place in the file.
fn constraints(invalid: &Invalid, places: Places<'_>) -> Vec<String> {
    let at = |path: &str| places(&counted_from_0(path));
    match invalid {
        Invalid::Type(mismatch) => vec![format!("  {}: {mismatch}", at(&mismatch.path))],
        Invalid::Constraints(violations) => violations
            .listed
            .iter()
            .map(|violation| format!("  {}: {violation}", at(&violation.path)))
            .collect(),
    }
}

/// `pipeline.stages.2.member.name`, as the service counts, as `stages[1].name`.
fn counted_from_0(path: &str) -> String {
    let mut counted = String::new();
    let mut steps =
        path.strip_prefix("pipeline").unwrap_or(path).split('.').filter(|step| !step.is_empty()).peekable();
    while let Some(step) = steps.next() {
        match step.parse::<usize>() {
            Ok(number) if steps.peek() == Some(&"member") => {
                steps.next();
                counted.push_str(&format!("[{}]", number.saturating_sub(1)));
            }
            _ if counted.is_empty() => counted.push_str(step),
            _ => counted.push_str(&format!(".{step}")),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::counted_from_0;

    #[test]
    fn the_services_paths_are_counted_from_0() {
        let path = "pipeline.stages.2.member.actions.1.member.configuration.Key";
        assert_eq!(counted_from_0(path), "stages[1].actions[0].configuration.Key");
        assert_eq!(counted_from_0("pipeline"), "");
    }
}
