//! `towpath move create`: pipelines made so that nothing of them runs.
//!
//! CreatePipeline starts an execution, and a transition can only be closed once it is there: between the two, the
//! execution might get through. So a pipeline is made with a second stage that holds nothing but an approval; then its
//! transition is closed, the execution stopped, and the real definition put in. The transition stays closed over that.

use super::{
    HELD,
    side::{Door, Side},
};
use crate::{
    client,
    definition_file::{self, Reading},
    import::all::{NOTES, Notes},
};
use anyhow::{Context, bail};
use api::model::{
    CreatePipelineInput, GetPipelineInput, PipelineDeclaration, StageDeclaration, Tag, UpdatePipelineInput,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The action that nobody gets past.
const STOPPER: &str = "towpath-move-in";
/// Bytes of the notes, most.
const NOTES_BYTES_MAX: u64 = 1 << 20;

/// One pipeline to make.
struct Wanted {
    pipeline: PipelineDeclaration,
    tags: Vec<Tag>,
    closed: BTreeMap<String, String>,
}

/// Makes them. What is there already, in any state on the way, is led on from there.
pub async fn create(towpath: &Side, paths: &[PathBuf]) -> anyhow::Result<u8> {
    // All are read first: what is wrong with one of them is said before anything is made.
    let mut wanted = Vec::new();
    for path in files(paths)? {
        wanted.push(read(&path, towpath.client.region())?);
    }
    let mut failed = 0;
    for one in &wanted {
        let name = &one.pipeline.name;
        match make(towpath, one).await {
            Ok(words) => anstream::println!("  {name}: {words}"),
            Err(error) => {
                failed += 1;
                anstream::eprintln!("  {name}: {}", crate::in_words(&error));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} were not made; the same command again goes on where it stopped", wanted.len());
    }
    anstream::println!("next: `towpath move switch NAME` has Towpath run one");
    Ok(0)
}

fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = || format!("`{}` cannot be read", path.display());
        for entry in fs::read_dir(path).with_context(unreadable)? {
            let file = entry.with_context(unreadable)?.path();
            let is_definition = file.extension().is_some_and(|ending| ending == "json")
                && file.file_name().is_none_or(|name| name != NOTES);
            files.extend(is_definition.then_some(file));
        }
    }
    anyhow::ensure!(!files.is_empty(), "there are no definitions: `towpath import --all` writes them");
    files.sort();
    Ok(files)
}

fn read(path: &Path, region: &str) -> anyhow::Result<Wanted> {
    let reading = Reading { region: Some(region), account: crate::up::ACCOUNT_DEFAULT, ..Reading::default() };
    let file = definition_file::read(path, &reading)?;
    let pipeline: PipelineDeclaration = serde_json::from_value(file.declaration)
        .with_context(|| format!("`{}` is not as the API has it", path.display()))?;
    let tags = file.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    let notes = path.parent().unwrap_or(Path::new(".")).join(NOTES);
    let closed = match fs::metadata(&notes) {
        Err(_) => BTreeMap::new(),
        Ok(data) => {
            anyhow::ensure!(data.len() <= NOTES_BYTES_MAX, "`{}` is larger than 1 MiB", notes.display());
            let text = fs::read_to_string(&notes)?;
            let mut notes: Notes = serde_json::from_str(&text)
                .with_context(|| format!("`{}` cannot be read", notes.display()))?;
            notes.closed.remove(&pipeline.name).unwrap_or_default()
        }
    };
    Ok(Wanted { pipeline, tags, closed })
}

async fn make(towpath: &Side, wanted: &Wanted) -> anyhow::Result<&'static str> {
    let pipeline = &wanted.pipeline;
    let name = pipeline.name.as_str();
    let second = &pipeline.stages.get(1).context("a pipeline has at least two stages")?.name;
    match current(towpath, name).await? {
        None => {
            let tags = (!wanted.tags.is_empty()).then(|| wanted.tags.clone());
            let input = CreatePipelineInput { pipeline: stopper(pipeline), tags };
            towpath.client.tell(&input).await?;
        }
        Some(there) if is_stopper(&there) => {}
        Some(_) => {
            return Ok(match towpath.must_stand(name).await?.door {
                Door::Open => "is there already, and runs; nothing was changed",
                Door::Held => "is there already, and is held; nothing was changed",
                Door::Closed(_) => "is there already, with its transition closed; nothing was changed",
            });
        }
    }
    let reason = format!("{HELD}CodePipeline runs this pipeline");
    towpath.close(name, second, &reason).await?;
    for run in towpath.runs(name).await? {
        towpath.stop(name, &run.id, "made by `towpath move create`").await?;
    }
    towpath.client.tell(&UpdatePipelineInput { pipeline: pipeline.clone() }).await?;
    for (stage, reason) in wanted.closed.iter().filter(|(stage, _)| *stage != second) {
        towpath.close(name, stage, reason).await?;
    }
    let standing = towpath.must_stand(name).await?;
    anyhow::ensure!(
        standing.door == Door::Held,
        "the transition into `{second}` is not closed, although it was: look at `towpath state {name}` before you switch"
    );
    Ok(match wanted.closed.contains_key(second.as_str()) {
        true => {
            "made, and held; the transition that was closed at CodePipeline too must be closed again after the switch"
        }
        false => "made, and held",
    })
}

async fn current(towpath: &Side, name: &str) -> anyhow::Result<Option<PipelineDeclaration>> {
    match towpath.client.ask(&GetPipelineInput { name: name.to_owned(), version: None }).await {
        Ok(answer) => Ok(answer.pipeline),
        Err(error) if client::refusal(&error).is_some_and(|no| no.code == "PipelineNotFoundException") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The same pipeline as far as its sources, and nothing behind them but a question.
fn stopper(pipeline: &PipelineDeclaration) -> PipelineDeclaration {
    let mut stages: Vec<StageDeclaration> = pipeline.stages.iter().take(1).cloned().collect();
    let action = json!({
        "name": STOPPER,
        "actionTypeId": { "category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1" },
        "configuration": { "CustomData": "This pipeline is being moved in. Nobody needs to answer." },
    });
    let second = pipeline.stages.get(1).map(|stage| json!({ "name": stage.name, "actions": [action] }));
    stages.extend(second.and_then(|stage| serde_json::from_value(stage).ok()));
    PipelineDeclaration { stages, triggers: None, version: None, ..pipeline.clone() }
}

fn is_stopper(pipeline: &PipelineDeclaration) -> bool {
    let actions = pipeline.stages.get(1).map(|stage| stage.actions.as_slice());
    matches!(actions, Some([only]) if only.name == STOPPER)
}
