//! States as the engine holds them: folded once, kept warm, written back as commits.

use crate::log::{Commit, Hash, Loaded, LogError, Snapshot, StoredEvent};
use domain::{
    catalogue::custom::{self, ActionTypes},
    execution::{self, Execution},
    fault,
    lane::{self, Lane},
    pipeline::versions::{self, Pipeline},
    trigger::{self, Triggers},
    webhook::{self, Webhook},
};
use events::{
    ActionTypesEvent, CommandId, ExecutionEvent, LaneEvent, PipelineEvent, StreamName, Timestamp,
    TriggerEvent, Version, WebhookEvent, codec::Stored,
};
use serde::{Serialize, de::DeserializeOwned};

/// A stream takes a snapshot with the commit that crosses a multiple of so many events.
pub const SNAPSHOT_EVENTS: u64 = 64;

/// A state that is folded from events of one kind.
pub trait Folded: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its events.
    type Event: Stored;

    /// Number of the fold: a snapshot of another fold is not used.
    const FOLD: u32;

    /// Writes one event down.
    fn fold(&mut self, event: &Self::Event, at: Timestamp);
}

impl Folded for Pipeline {
    type Event = PipelineEvent;
    const FOLD: u32 = versions::FOLD;

    fn fold(&mut self, event: &PipelineEvent, at: Timestamp) {
        self.evolve(event, at);
    }
}

impl Folded for Lane {
    type Event = LaneEvent;
    const FOLD: u32 = lane::FOLD;

    fn fold(&mut self, event: &LaneEvent, at: Timestamp) {
        self.evolve(event, at);
    }
}

impl Folded for Execution {
    type Event = ExecutionEvent;
    const FOLD: u32 = execution::FOLD;

    fn fold(&mut self, event: &ExecutionEvent, at: Timestamp) {
        self.evolve(event, at);
    }
}

impl Folded for Webhook {
    type Event = WebhookEvent;
    const FOLD: u32 = webhook::FOLD;

    fn fold(&mut self, event: &WebhookEvent, at: Timestamp) {
        self.evolve(event, at);
    }
}

impl Folded for ActionTypes {
    type Event = ActionTypesEvent;
    const FOLD: u32 = custom::FOLD;

    fn fold(&mut self, event: &ActionTypesEvent, at: Timestamp) {
        self.evolve(event, at);
    }
}

impl Folded for Triggers {
    type Event = TriggerEvent;
    const FOLD: u32 = trigger::FOLD;

    fn fold(&mut self, event: &TriggerEvent, at: Timestamp) {
        self.evolve(event, at);
    }
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Its version.
    pub version: Version,
    /// The hash of its last commit.
    pub hash: Hash,
    /// The time of its last commit.
    pub time: Timestamp,
}

/// Folds what was loaded. Its chain is the log's business.
pub fn fold<S: Folded>(stream: &StreamName, loaded: &Loaded) -> Result<(S, Head), LogError> {
    let unreadable = |reason: String| LogError::Unreadable { stream: stream.clone(), reason };
    let (mut state, mut head) = match &loaded.base {
        Some((version, hash, time, snapshot)) => {
            let state =
                serde_json::from_str(&snapshot.state).map_err(|error| unreadable(error.to_string()))?;
            (state, Head { version: *version, hash: *hash, time: *time })
        }
        None => (S::default(), Head::default()),
    };
    fold_on(stream, &mut state, &mut head, &loaded.commits)?;
    Ok((state, head))
}

/// Folds commits that follow a state.
pub fn fold_on<'c, S: Folded>(
    stream: &StreamName,
    state: &mut S,
    head: &mut Head,
    commits: impl IntoIterator<Item = &'c Commit>,
) -> Result<(), LogError> {
    for commit in commits {
        for stored in commit.events.iter() {
            let event = stored.glance().map_err(|error| LogError::Unreadable {
                stream: stream.clone(),
                reason: error.to_string(),
            })?;
            state.fold(&event, commit.time);
        }
        *head = Head { version: commit.last(), hash: commit.hash, time: commit.time };
    }
    Ok(())
}

/// Makes the commit that continues a stream, and the head after it. `None` when there is nothing to write.
pub fn commit<S: Folded>(
    stream: &StreamName,
    head: &Head,
    events: Vec<S::Event>,
    state_after: &S,
    written: &Written<'_>,
) -> Option<(Commit, Head)> {
    if events.is_empty() {
        return None;
    }
    let mut commit = Commit {
        stream: stream.clone(),
        first: head.version.next(),
        events: events.into_iter().map(StoredEvent::of).collect(),
        time: written.now,
        command: written.command.clone(),
        actor: written.actor.into(),
        hash: Hash::default(),
        snapshot: None,
    };
    commit.hash = commit.chained(head.hash);
    let last = commit.last();
    if last.0 / SNAPSHOT_EVENTS > head.version.0 / SNAPSHOT_EVENTS {
        let before = S::default();
        let state_after = if fault!(SnapshotOfBefore) { &before } else { state_after };
        // A state that cannot be written as JSON only costs its readers time.
        commit.snapshot =
            serde_json::to_string(state_after).ok().map(|state| Snapshot { fold: S::FOLD, state });
    }
    let after = Head { version: last, hash: commit.hash, time: written.now };
    Some((commit, after))
}

/// What every commit of one decision has in common.
pub struct Written<'a> {
    /// The recorded time.
    pub now: Timestamp,
    /// The command behind it.
    pub command: &'a CommandId,
    /// Who sent it.
    pub actor: &'a str,
}
