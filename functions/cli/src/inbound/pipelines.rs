//! Changes of state of executions, as events for the rules: so one pipeline's success starts another.

use super::{Known, deal};
use crate::machine::LocalService;
use domain::trigger::{
    Here,
    event::{self, Run},
};
use engine::log::{Commit, Position};
use events::{ExecutionEvent, ExecutionId, StreamKind, TriggerSource, codec::Stored};
use handlers::triggers::{Arrived, What};
use local::log::SqliteLog;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Commits that are read at a time.
const COMMITS: usize = 256;
/// How long to wait before a log that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows the log until the task is dropped.
pub async fn follow(service: LocalService, log: Arc<SqliteLog>, known: Known, state: PathBuf) {
    let file = state.join("followed.json");
    if known.plain.iter().all(|rule| rule.pattern.is_none()) {
        // Rules that come later are for what happens then.
        let _ = std::fs::remove_file(&file);
        return;
    }
    let mut head = log.watch();
    let mut at = match read(&file) {
        Some(at) if at <= log.head() => at,
        Some(_) | None => log.head(),
    };
    note(&file, at);
    loop {
        match log.follow(at, COMMITS).await {
            Ok(commits) if commits.is_empty() => {
                if head.changed().await.is_err() {
                    return;
                }
            }
            Ok(commits) => {
                let mut is_told = false;
                for (position, commit) in commits {
                    is_told |= tell(&service, &known, &commit).await;
                    at = position;
                }
                // What is told a second time after a crash is known by its delivery.
                if is_told {
                    note(&file, at);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "rules do not hear of executions");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Tells the rules of a commit; true when there was something to tell.
async fn tell(service: &LocalService, known: &Known, commit: &Commit) -> bool {
    let Ok(StreamKind::Execution(id)) = commit.stream.kind() else { return false };
    let mut is_told = false;
    for (index, stored) in commit.events.iter().enumerate() {
        let Ok(event) = ExecutionEvent::decode(&stored.kind, stored.schema, &stored.body) else { continue };
        let Some(state) = event::state_change(&event) else { continue };
        is_told |= tell_one(service, known, commit, &id, index, state).await;
    }
    is_told
}

async fn tell_one(
    service: &LocalService,
    known: &Known,
    commit: &Commit,
    id: &ExecutionId,
    index: usize,
    state: &str,
) -> bool {
    let Ok(execution) = service.engine.execution(id).await else { return false };
    let Some(start) = &execution.start else { return false };
    let here = Here { region: service.engine.region(), account: service.engine.account() };
    let run = Run {
        pipeline: &start.pipeline,
        execution: id,
        version: start.pipeline_version,
        trigger: &start.trigger,
    };
    let delivery = format!("{id}@{}.{index}", commit.first);
    let event = event::pipeline_state(run, state, &delivery, commit.time, here);
    let what = What::Bus { event, rules: &known.plain };
    deal(service, &Arrived { source: TriggerSource::Pipeline, delivery, what }).await;
    true
}

fn read(file: &Path) -> Option<Position> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok().map(Position)
}

fn note(file: &Path, at: Position) {
    let fresh = file.with_extension("json.new");
    let written = std::fs::write(&fresh, format!("{}\n", at.0)).and_then(|()| std::fs::rename(&fresh, file));
    if let Err(error) = written {
        tracing::warn!(%error, "how far rules have heard of executions could not be noted");
    }
}
