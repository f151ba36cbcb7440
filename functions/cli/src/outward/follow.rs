//! A reader of the log that tells somebody of executions: in order for each of them, again when it did not work, and from
//! where it was after a crash.

use engine::log::Position;
use events::{ExecutionId, StreamKind, Version};
use local::log::SqliteLog;
use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Commits that are read at a time.
const COMMITS: usize = 256;
/// Executions that may wait to be told of; beyond that the log is not read on.
const WAITING_MAX: usize = 1024;
/// How long to wait before a log that did not answer is asked again, and before telling is tried again. Doubles.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest such pause.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// How long somebody may be out of reach before an execution is given up: until it changes again.
const GIVEN_UP: Duration = Duration::from_secs(15 * 60);

/// An execution of which there is something to tell.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) execution: ExecutionId,
    /// The first of its events that is new.
    pub(super) since: Version,
}

struct Waiting {
    heard: Heard,
    /// Of its first commit.
    position: Position,
    first_tried: Option<Instant>,
    due: Instant,
    pause: Duration,
}

/// Where a reader goes on. Whoever is told from now on is told of what happens from now on, so this is to be called
/// before anything can happen.
pub(super) fn begin(log: &SqliteLog, file: &Path) -> Position {
    let at = read(file).filter(|at| *at <= log.head()).unwrap_or_else(|| log.head());
    note(file, at);
    at
}

/// Follows the log until the task is dropped.
pub(super) async fn follow<F, T>(log: Arc<SqliteLog>, file: PathBuf, whom: &'static str, told: F)
where
    F: Fn(Heard) -> T + Send,
    T: Future<Output = Result<(), String>> + Send,
{
    let mut head = log.watch();
    let mut at = begin(&log, &file);
    let mut waiting: BTreeMap<ExecutionId, Waiting> = BTreeMap::new();
    loop {
        let more = match log.follow(at, COMMITS).await {
            Ok(_) if waiting.len() >= WAITING_MAX => false,
            Ok(commits) => {
                for (position, commit) in &commits {
                    at = *position;
                    let Ok(StreamKind::Execution(execution)) = commit.stream.kind() else { continue };
                    let heard = Heard { execution: execution.clone(), since: commit.first };
                    waiting.entry(execution).or_insert_with(|| Waiting {
                        heard,
                        position: *position,
                        first_tried: None,
                        due: Instant::now(),
                        pause: AGAIN,
                    });
                }
                commits.len() == COMMITS
            }
            Err(error) => {
                tracing::warn!(%error, "{whom} does not hear of executions");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        tell(&mut waiting, whom, &told).await;
        let first = waiting.values().map(|waiting| Position(waiting.position.0.saturating_sub(1))).min();
        note(&file, first.unwrap_or(at));
        if more {
            continue;
        }
        let next = waiting.values().map(|waiting| waiting.due).min();
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = until(next) => {}
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Tells of every execution whose turn it is.
async fn tell<F, T>(waiting: &mut BTreeMap<ExecutionId, Waiting>, whom: &str, told: &F)
where
    F: Fn(Heard) -> T + Send,
    T: Future<Output = Result<(), String>> + Send,
{
    let now = Instant::now();
    let mut due: Vec<(Position, ExecutionId)> = waiting
        .iter()
        .filter(|(_, waiting)| waiting.due <= now)
        .map(|(id, waiting)| (waiting.position, id.clone()))
        .collect();
    due.sort();
    for (_, id) in due {
        let Some(one) = waiting.get_mut(&id) else { continue };
        let Err(reason) = told(one.heard.clone()).await else {
            waiting.remove(&id);
            continue;
        };
        let since = *one.first_tried.get_or_insert_with(Instant::now);
        if since.elapsed() >= GIVEN_UP {
            tracing::error!(execution = %id, %reason, "{whom} could not be told for 15 minutes: given up until it changes again");
            waiting.remove(&id);
            continue;
        }
        tracing::warn!(execution = %id, %reason, "{whom} could not be told: tried again");
        one.due = Instant::now() + one.pause;
        one.pause = (one.pause * 2).min(AGAIN_MAX);
    }
}

fn read(file: &Path) -> Option<Position> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok().map(Position)
}

fn note(file: &Path, at: Position) {
    if read(file) == Some(at) {
        return;
    }
    let fresh = file.with_extension("json.new");
    let written = std::fs::write(&fresh, format!("{}\n", at.0)).and_then(|()| std::fs::rename(&fresh, file));
    if let Err(error) = written {
        tracing::warn!(%error, "how far the world was told could not be noted");
    }
}
