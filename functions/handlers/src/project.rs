//! The reader of the log that keeps the views: each commit's stream is folded and its rows are written.

use crate::{
    Home,
    changes::{Change, Unmet, by_stream},
};
use domain::views::{Row, jobs, listing, pipeline_state, webhooks};
use engine::{
    log::{Commit, Log as _, LogError, Position},
    views::{Cursor, Views, ViewsError},
};
use events::{ExecutionEvent, PipelineName, StreamKind, StreamName, Version};
use std::collections::BTreeMap;

/// This reader's name, under which its cursor is kept. Another name whenever an earlier row cannot be read any more, or
/// rows of a new kind come: all of them are then made anew, from the first commit on.
pub const READER: &str = "project.3";

/// Events of a lane that change whether it owes a run.
const OWING: [&str; 3] = ["RollbackOwed", "RollbackSettled", "LaneCleared"];

/// Why the views fell behind.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The views did not.
    #[error(transparent)]
    Views(#[from] ViewsError),
}

/// Brings the views up to these commits, which follow each other in the log, and remembers how far it came.
/// Commits seen before change nothing. Returns when the rows are written.
pub async fn project<H: Home>(home: &H, commits: &[(Position, Commit)]) -> Result<(), ProjectError> {
    let Some((at, _)) = commits.last() else { return Ok(()) };
    let mut streams: BTreeMap<&StreamName, Vec<&Commit>> = BTreeMap::new();
    for (_, commit) in commits {
        streams.entry(&commit.stream).or_default().push(commit);
    }
    let mut rows: Vec<Row> = Vec::new();
    for (stream, commits) in streams {
        rows.extend(rows_of(home, stream, &commits).await?);
    }
    home.views().put(rows, Some(Cursor { reader: READER.into(), at: *at })).await?;
    Ok(())
}

/// Brings the views up to these records, in whatever order they come. Returns those that were not dealt with; a
/// history that cannot be read holds up nobody but itself.
pub async fn project_changes<H: Home>(home: &H, changes: &[Change]) -> Vec<Unmet> {
    let (streams, mut unmet) = by_stream(changes);
    let mut rows: Vec<Row> = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    for (stream, records) in &streams {
        let commits: Vec<&Commit> = records.iter().map(|(_, commit)| *commit).collect();
        match rows_of(home, stream, &commits).await {
            Ok(own) => {
                rows.extend(own);
                written.extend(records.iter().map(|(sequence, _)| *sequence));
            }
            Err(error) => unmet.extend(records.iter().map(|(sequence, _)| Unmet::after(sequence, &error))),
        }
    }
    if let Err(error) = home.views().put(rows, None).await {
        unmet.extend(written.into_iter().map(|sequence| Unmet::later(sequence, &error)));
    }
    unmet
}

/// Writes a pipeline's row in the list at once, where readers do not wait for the rows: whoever lists next finds it, and
/// an event that comes next is held against its sources. The change stream is the guarantee.
pub(crate) async fn list_at_once<H: Home>(home: &H, name: &PipelineName) {
    if H::Log::PIPELINED {
        return;
    }
    let written = async {
        let (state, version) = home.engine().pipeline_at(name).await?;
        // Nothing to say of a name that was never used.
        if version != Version::default() {
            home.views().put(listing::pipeline_rows(name, &state, version), None).await?;
        }
        Ok::<_, ProjectError>(())
    };
    if let Err(error) = written.await {
        tracing::warn!(pipeline = %name, %error, "the list of pipelines is a moment behind");
    }
}

/// The rows of a stream that got these commits: of its state with them, which may be newer.
async fn rows_of<H: Home>(home: &H, stream: &StreamName, commits: &[&Commit]) -> Result<Vec<Row>, LogError> {
    let engine = home.engine();
    let mut stored = commits.iter().flat_map(|commit| commit.events.iter());
    Ok(match stream.kind() {
        Ok(StreamKind::Pipeline(name)) => {
            let (state, version) = engine.pipeline_at(&name).await?;
            listing::pipeline_rows(&name, &state, version)
        }
        // What the lane knows is folded when it is asked for; only what nobody would ask for has a row.
        Ok(StreamKind::Lane(name)) if stored.any(|event| OWING.contains(&&*event.kind)) => {
            let (state, version) = engine.lane_at(&name).await?;
            listing::lane_rows(&name, &state, version)
        }
        // Few enough to be folded when they are asked for.
        Ok(StreamKind::Lane(_) | StreamKind::ActionTypes(_) | StreamKind::Triggers(_)) => Vec::new(),
        Ok(StreamKind::Webhook(name)) => {
            let (state, version) = engine.webhook_at(&name).await?;
            webhooks::rows(&name, &state, version)
        }
        Ok(StreamKind::Execution(id)) => {
            let events: Vec<&ExecutionEvent> = stored.filter_map(|stored| stored.read().ok()).collect();
            let (state, version) = engine.execution_with(&id, commits).await?;
            let events = || events.iter().copied();
            let mut rows = listing::execution_rows(&id, &state, version, events());
            rows.extend(listing::succeeded_rows(&id, &state, version, events()));
            rows.extend(pipeline_state::rows(&id, &state, version, events()));
            rows.extend(jobs::rows(&id, &state, version, events()));
            rows
        }
        Err(error) => {
            tracing::warn!(%error, "a stream of an unknown kind is not projected");
            Vec::new()
        }
    })
}
