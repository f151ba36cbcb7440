//! `towpath explain-trigger`: what an event would start, and which rule decides. Starts nothing.

use crate::definition_file::{self, Reading};
use anyhow::{Context, bail, ensure};
use clap::Parser;
use domain::{
    pipeline::PipelineDeclaration,
    trigger::{self, GitEvent, Here, Rule, Verdict, hosts},
};
use events::PipelineName;
use handlers::triggers::evaluate_git;
use local::{
    settings::{Settings, Source},
    watch::{self, Change},
};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Bytes of an event's file, most.
const EVENT_BYTES_MAX: u64 = 10 << 20;
/// Definitions that are asked, most.
const DEFINITIONS_MAX: usize = 1000;

/// Say what an event would start, and which rule decides. Nothing is started.
///
/// The event is a push of commits in the repository you stand in, or a file: what a Git host sends, or an event of
/// the bus. Asked are the definitions given, or every pipeline definition in this folder.
#[derive(Parser)]
#[command(after_help = "Examples:\n  towpath explain-trigger --commits main~3..main --branch main\n  \
                        towpath explain-trigger pipeline.json --commits HEAD --tag v1.4\n  \
                        towpath explain-trigger --event pull-request.json")]
pub struct Args {
    /// Definitions; without any, every `*.json` in this folder that is one.
    #[arg(value_name = "PIPELINE.JSON")]
    definitions: Vec<PathBuf>,
    /// The commits that are pushed: `BEFORE..AFTER`, or `AFTER` alone for a new branch or tag.
    #[arg(long, value_name = "RANGE", required_unless_present = "event", conflicts_with = "event")]
    commits: Option<String>,
    /// The branch they are pushed to. Default: the one that is checked out.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tag", "event"])]
    branch: Option<String>,
    /// The tag that is pushed.
    #[arg(long, value_name = "NAME", conflicts_with = "event")]
    tag: Option<String>,
    /// A file with an event: a payload of GitHub, GitLab or Bitbucket, or an event of the bus.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Settings with rules. Without it: `towpath.toml` in this folder, if there is one.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// What is asked about.
enum Asked {
    /// A push in the repository that sources are fetched from.
    Push(Box<trigger::Push>),
    /// What a Git host says.
    Host(Vec<GitEvent>),
    /// An event of the bus.
    Bus(Value),
}

/// Says it.
pub async fn explain(args: &Args) -> anyhow::Result<u8> {
    let base = std::env::current_dir()?;
    let settings = Settings::load(args.settings.as_deref(), &base)?;
    let asked = match &args.event {
        Some(file) => from_file(file)?,
        None => Asked::Push(Box::new(from_commits(args, &base, &settings).await?)),
    };
    let rules: Vec<Rule> = settings.rules.iter().filter_map(|rule| Some(rule.read().ok()?.rule)).collect();
    let definitions = definitions(&args.definitions, &base)?;
    for (name, definition) in &definitions {
        for verdict in verdicts(&asked, name, definition, &rules, settings.triggers.allow_forks) {
            let (told, reason) = match verdict {
                Verdict::Start(start) => ("started", start.because),
                Verdict::Nothing { reason } => ("not started", reason),
                Verdict::Elsewhere => {
                    ("not started", "none of its sources or rules is about this".to_owned())
                }
            };
            anstream::println!("{name}: {told}: {reason}");
        }
    }
    Ok(0)
}

fn verdicts(
    asked: &Asked,
    name: &PipelineName,
    definition: &PipelineDeclaration,
    rules: &[Rule],
    allow_forks: bool,
) -> Vec<Verdict> {
    match asked {
        Asked::Push(push) => vec![trigger::evaluate_push(definition, push, |_| true)],
        Asked::Host(events) => {
            events.iter().map(|event| evaluate_git(definition, event, allow_forks)).collect()
        }
        Asked::Bus(event) => {
            let here = Here {
                region: event["region"].as_str().unwrap_or("us-east-1"),
                account: event["account"].as_str().unwrap_or(crate::up::ACCOUNT_DEFAULT),
            };
            let own = rules.iter().filter(|rule| rule.pipeline == *name);
            let mut judged: Vec<Verdict> =
                own.map(|rule| trigger::evaluate_rule(rule, definition, event, false, here)).collect();
            if !judged.iter().any(|verdict| matches!(verdict, Verdict::Start(_))) {
                judged.push(trigger::evaluate_sources(name, definition, event, here));
            }
            // One sentence is enough for what nothing is about.
            if judged.iter().any(|verdict| *verdict != Verdict::Elsewhere) {
                judged.retain(|verdict| *verdict != Verdict::Elsewhere);
            } else {
                judged.truncate(1);
            }
            judged
        }
    }
}

fn from_file(file: &Path) -> anyhow::Result<Asked> {
    let shown = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("`{shown}` cannot be read"))?.len();
    ensure!(size <= EVENT_BYTES_MAX, "`{shown}` is larger than {} MiB", EVENT_BYTES_MAX >> 20);
    let text = std::fs::read_to_string(file).with_context(|| format!("`{shown}` cannot be read"))?;
    let body: Value = serde_json::from_str(&text).with_context(|| format!("`{shown}` is not JSON"))?;
    let told = if body["detail-type"].is_string() {
        return Ok(Asked::Bus(body));
    } else if let Some(kind) = body["object_kind"].as_str() {
        let header = match kind {
            "tag_push" => "Tag Push Hook",
            "merge_request" => "Merge Request Hook",
            _ => "Push Hook",
        };
        hosts::gitlab(header, &body)
    } else if body["pullrequest"].is_object() {
        // The file does not say which: an update is what happens most.
        hosts::bitbucket("pullrequest:updated", &body)
    } else if body["push"].is_object() {
        hosts::bitbucket("repo:push", &body)
    } else if body["pull_request"].is_object() {
        hosts::github("pull_request", false, &body)
    } else if body["ref"].is_string() {
        hosts::github("push", false, &body)
    } else {
        bail!("`{shown}` is neither an event of the bus nor a push or pull request of a known Git host");
    };
    match told.with_context(|| format!("`{shown}`"))? {
        hosts::Told::Events(events) => Ok(Asked::Host(events)),
        hosts::Told::Nothing(reason) => bail!("`{shown}` starts nothing anywhere: {reason}"),
    }
}

async fn from_commits(args: &Args, base: &Path, settings: &Settings) -> anyhow::Result<trigger::Push> {
    let range = args.commits.as_deref().unwrap_or_default();
    let source = Source::Folder(base.to_owned());
    let watch = watch::Watch::new("explain", &source, None)?;
    let folder = watch.folder().context("the repository is not on this machine")?;
    let (before, after) = match range.split_once("..") {
        Some((before, after)) => (Some(watch::commit_of(folder, before).await?), after),
        None => (None, range),
    };
    let after = watch::commit_of(folder, after).await?;
    let name = match (&args.tag, &args.branch) {
        (Some(tag), _) => format!("refs/tags/{tag}"),
        (None, Some(branch)) => format!("refs/heads/{branch}"),
        (None, None) => format!("refs/heads/{}", watch::current_branch(folder).await?),
    };
    let change = Change { name, old: before, new: Some(after) };
    let new_branch = settings.triggers.new_branch_file_paths.into();
    let push = watch::push(Some(folder), &change, true, new_branch).await;
    push.context("neither a branch nor a tag was named")
}

type Named = (PipelineName, PipelineDeclaration);

fn definitions(given: &[PathBuf], base: &Path) -> anyhow::Result<Vec<Named>> {
    let read = |path: &Path| -> anyhow::Result<Named> {
        let file = definition_file::read(
            path,
            &Reading { account: crate::up::ACCOUNT_DEFAULT, ..Reading::default() },
        )?;
        Ok((file.definition.name.clone(), file.definition))
    };
    if !given.is_empty() {
        return given.iter().map(|path| read(path)).collect();
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(base)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    ensure!(paths.len() <= DEFINITIONS_MAX, "there are more than {DEFINITIONS_MAX} files here: name some");
    let found: Vec<Named> = paths.iter().filter_map(|path| read(path).ok()).collect();
    ensure!(!found.is_empty(), "no file `*.json` here is a pipeline definition: name one");
    Ok(found)
}
