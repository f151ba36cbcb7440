//! The reader of the log that keeps the views: each commit's stream is folded and its rows are written.

use domain::views::{Row, jobs, listing, pipeline_state, webhooks};
use engine::{
    log::{Commit, LogError, Position},
    views::{Cursor, Views, ViewsError},
};
use events::{ExecutionEvent, ExecutionId, PipelineName, StreamKind, WebhookName, codec::Stored};
use std::collections::{BTreeMap, BTreeSet};

use crate::Home;

/// This reader's name, under which its cursor is kept. Another name whenever a row's shape changes or
/// rows of a new kind come: all of them are then made anew, from the first commit on.
pub const READER: &str = "project.2";

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
    let mut rows: Vec<Row> = Vec::new();
    let mut executions: BTreeMap<ExecutionId, Vec<ExecutionEvent>> = BTreeMap::new();
    let mut pipelines: Vec<PipelineName> = Vec::new();
    let mut lanes: Vec<PipelineName> = Vec::new();
    let mut hooks: BTreeSet<WebhookName> = BTreeSet::new();
    for (_, commit) in commits {
        match commit.stream.kind() {
            Ok(StreamKind::Pipeline(name)) => pipelines.push(name),
            // What the lane knows is folded when it is asked for; only what nobody would ask for has a row.
            Ok(StreamKind::Lane(name)) => {
                if commit.events.iter().any(|stored| OWING.contains(&stored.kind.as_str())) {
                    lanes.push(name);
                }
            }
            // Few enough to be folded when they are asked for.
            Ok(StreamKind::ActionTypes(_) | StreamKind::Triggers(_)) => {}
            Ok(StreamKind::Webhook(name)) => drop(hooks.insert(name)),
            Ok(StreamKind::Execution(id)) => {
                let decode = |stored: &engine::log::StoredEvent| {
                    ExecutionEvent::decode(&stored.kind, stored.schema, &stored.body).ok()
                };
                executions.entry(id).or_default().extend(commit.events.iter().filter_map(decode));
            }
            Err(error) => tracing::warn!(%error, "a stream of an unknown kind is not projected"),
        }
    }
    pipelines.dedup();
    for name in pipelines {
        let (state, version) = home.engine().pipeline_at(&name).await?;
        rows.extend(listing::pipeline_rows(&name, &state, version));
    }
    for name in hooks {
        let (state, version) = home.engine().webhook_at(&name).await?;
        rows.extend(webhooks::rows(&name, &state, version));
    }
    lanes.dedup();
    for name in lanes {
        let (state, version) = home.engine().lane_at(&name).await?;
        rows.extend(listing::lane_rows(&name, &state, version));
    }
    for (id, events) in executions {
        let (state, version) = home.engine().execution_at(&id).await?;
        rows.extend(listing::execution_rows(&id, &state, version));
        rows.extend(listing::succeeded_rows(&id, &state, version, &events));
        rows.extend(pipeline_state::rows(&id, &state, version, &events));
        rows.extend(jobs::rows(&id, &state, version, &events));
    }
    home.views().put(rows, Some(Cursor { reader: READER.into(), at: *at })).await?;
    Ok(())
}
