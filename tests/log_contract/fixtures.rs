//! Streams, commits and folders to test with.

use engine::log::{Appended, Batch, Commit, Hash, Log, LogError, Snapshot, StoredEvent};
use events::{CommandId, PipelineName, StreamName, Timestamp, Version};
use local::{lock::FolderLock, log::SqliteLog, views::SqliteViews};
use std::{path::PathBuf, sync::Arc};
use tempfile::TempDir;

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::lane(&PipelineName::parse(name).unwrap())
}

pub(crate) fn event(body: &str) -> StoredEvent {
    StoredEvent::new("StageHeld", 1, body)
}

/// The end of a stream as a writer knows it.
#[derive(Debug, Clone)]
pub(crate) struct Tip {
    pub(crate) stream: StreamName,
    pub(crate) last: Version,
    pub(crate) hash: Hash,
}

impl Tip {
    pub(crate) fn start(name: &str) -> Self {
        Self { stream: stream(name), last: Version(0), hash: Hash::default() }
    }

    /// A commit of one event that continues this end.
    pub(crate) fn one(&self, command: &str) -> Commit {
        self.commit(command, vec![event(&format!("{{\"command\":\"{command}\"}}"))])
    }

    pub(crate) fn commit(&self, command: &str, events: Vec<StoredEvent>) -> Commit {
        let commit = Commit {
            stream: self.stream.clone(),
            first: self.last.next(),
            events: events.into(),
            time: Timestamp(1_700_000_000_000 + self.last.0 as i64),
            command: CommandId::parse(command).unwrap(),
            actor: "arn:aws:iam::123456789012:user/ada".into(),
            hash: Hash::default(),
            snapshot: None,
        };
        sealed(commit, self.hash)
    }

    pub(crate) fn after(commit: &Commit) -> Self {
        Self { stream: commit.stream.clone(), last: commit.last(), hash: commit.hash }
    }
}

/// The commit with the hash it must have after `previous`.
pub(crate) fn sealed(commit: Commit, previous: Hash) -> Commit {
    Commit { hash: commit.chained(previous), ..commit }
}

pub(crate) fn with_snapshot(commit: Commit, fold: u32, state: &str) -> Commit {
    Commit { snapshot: Some(Snapshot { fold, state: state.to_owned() }), ..commit }
}

pub(crate) fn batch(commits: impl IntoIterator<Item = Commit>) -> Batch {
    Batch { commits: commits.into_iter().collect(), checks: Vec::new(), once: None }
}

/// Appends one commit after another to a stream, each of one event, and gives them back.
pub(crate) async fn grow(log: &impl Log, tip: &mut Tip, commits: usize) -> Vec<Commit> {
    let mut grown = Vec::new();
    for _ in 0..commits {
        let commit = tip.one(&format!("grow-{}", tip.last.0));
        written(log.append(batch([commit.clone()])).await);
        *tip = Tip::after(&commit);
        grown.push(commit);
    }
    grown
}

pub(crate) async fn all(log: &impl Log, stream: &StreamName) -> Vec<Commit> {
    log.read(stream, Version(0), usize::MAX).await.unwrap()
}

#[track_caller]
pub(crate) fn written(answer: Result<Appended, LogError>) {
    assert_eq!(answer.unwrap(), Appended::Written);
}

#[track_caller]
pub(crate) fn conflict(answer: Result<Appended, LogError>, stream: &StreamName) {
    assert_eq!(answer.unwrap(), Appended::Conflict { stream: stream.clone() });
}

/// A state folder that is gone after the test.
pub(crate) struct Folder {
    dir: TempDir,
    lock: FolderLock,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::acquire(dir.path(), "log_contract").unwrap();
        Self { dir, lock }
    }

    pub(crate) fn lock(&self) -> &FolderLock {
        &self.lock
    }

    pub(crate) fn open(&self) -> SqliteLog {
        SqliteLog::open(&self.lock).unwrap()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join(local::log::LOG_FILE)
    }
}

pub(crate) fn whole_log(log: SqliteLog) -> Arc<SqliteLog> {
    Arc::new(log)
}

/// The views, with the log they live on kept open beside them.
pub(crate) fn views_of(log: SqliteLog) -> Arc<KeptViews> {
    Arc::new(KeptViews { views: log.views(), _log: log })
}

pub(crate) struct KeptViews {
    views: SqliteViews,
    _log: SqliteLog,
}

impl std::ops::Deref for KeptViews {
    type Target = SqliteViews;

    fn deref(&self) -> &SqliteViews {
        &self.views
    }
}
