//! A pipeline's definition as a file: what `get-pipeline` prints, and `create-pipeline --cli-input-json` takes.

use api::Invalid;
use domain::{
    catalogue::Registry,
    pipeline::{self, PipelineDeclaration, Setting},
};
use serde_json::Value;
use std::{fmt::Write, fs, path::Path};

/// Bytes of a definition file, most: those of an API request.
const FILE_BYTES_MAX: u64 = api::codec::BODY_BYTES_MAX as u64;

/// A definition that obeys every rule.
pub struct DefinitionFile {
    /// The declaration as it stands in the file.
    pub declaration: Value,
    /// The same, read.
    pub definition: PipelineDeclaration,
}

/// Reads and checks a definition. The error lists everything that is wrong with it.
pub fn read(path: &Path, region: Option<&str>, account: &str) -> anyhow::Result<DefinitionFile> {
    let shown = path.display();
    let declaration = declaration(path, &text(path)?)?;
    if let Err(invalid) = api::validate_shape("PipelineDeclaration", &declaration, "pipeline") {
        anyhow::bail!("`{shown}` is not a legal pipeline definition:\n{}", constraints(&invalid));
    }
    let mut definition = pipeline::parse(&declaration).map_err(|error| {
        anyhow::anyhow!("`{shown}` is not a legal pipeline definition:\n{}", problem(&error))
    })?;
    let registry = Registry::builtin();
    let version = events::PipelineVersion(1);
    pipeline::normalize(&mut definition, version, None, &registry);
    let region = region.map_or_else(|| region_of(&definition), str::to_owned);
    let problems =
        pipeline::check_all(&definition, &Setting { registry: &registry, region: &region, account });
    if !problems.is_empty() {
        let listed: Vec<String> = problems.iter().map(problem).collect();
        anyhow::bail!("`{shown}` is not a legal pipeline definition:\n{}", listed.join("\n"));
    }
    Ok(DefinitionFile { declaration, definition })
}

/// What a file holds.
pub fn text(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let size = fs::metadata(path)
        .map_err(|error| anyhow::anyhow!("the pipeline's file `{shown}` cannot be read: {error}"))?
        .len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "`{shown}` is larger than {} MiB", FILE_BYTES_MAX >> 20);
    fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("the pipeline's file `{shown}` cannot be read: {error}"))
}

/// The declaration in a file's text, unchecked.
pub fn declaration(path: &Path, text: &str) -> anyhow::Result<Value> {
    let whole: Value =
        serde_json::from_str(text).map_err(|error| not_json(&path.display().to_string(), text, &error))?;
    Ok(whole.get("pipeline").cloned().unwrap_or(whole))
}

/// The Region a definition was written for, where it says so; else the usual one.
pub fn region_of(definition: &PipelineDeclaration) -> String {
    definition.only_region().map_or_else(|| "us-east-1".to_owned(), str::to_owned)
}

fn not_json(shown: &str, text: &str, error: &serde_json::Error) -> anyhow::Error {
    let first = text.trim_start().chars().next();
    if !matches!(first, Some('{')) {
        return anyhow::anyhow!(
            "`{shown}` is not JSON (line {}, column {}): {error}.\n  towpath reads what `aws codepipeline \
             get-pipeline` prints; definitions in YAML or CloudFormation templates are not read yet",
            error.line(),
            error.column()
        );
    }
    anyhow::anyhow!(
        "`{shown}` is not valid JSON at line {}, column {}: {error}",
        error.line(),
        error.column()
    )
}

fn constraints(invalid: &Invalid) -> String {
    match invalid {
        Invalid::Type(mismatch) => format!("  {mismatch}"),
        Invalid::Constraints(violations) => {
            let mut text = String::new();
            for violation in &violations.listed {
                let _ = writeln!(text, "  {violation}");
            }
            text.trim_end().to_owned()
        }
    }
}

fn problem(error: &pipeline::DefinitionError) -> String {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    let hint = error.hint.as_ref().map(|hint| format!("\n    {hint}")).unwrap_or_default();
    format!("  {place}{}{hint}", error.message)
}
