//! The log port: what every log must do, and the shapes that lie in it. One contract suite
//! (`tests/log_contract`) holds for all of them.

use events::{
    CommandId, StreamName, Timestamp, Version,
    codec::{CodecError, Stored},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    any::Any,
    borrow::Cow,
    fmt,
    future::Future,
    sync::{Arc, OnceLock},
};

/// Any error of an adapter, kept as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An event as it lies in a log: its type's name, its schema, and its body as one JSON text.
#[derive(Clone)]
pub struct StoredEvent {
    /// The event's explicit type name, for example `StageStarted`.
    pub kind: Cow<'static, str>,
    /// The schema its body was written with, from 1.
    pub schema: u16,
    /// A JSON object of some hundred bytes as a rule. What it may hold at most, `domain::limits` says, and a store that
    /// takes no commit so long refuses it by [`LogError::TooLarge`].
    pub body: String,
    /// The event itself, once somebody has read it. No part of what is stored.
    read: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl StoredEvent {
    /// An event as a store gives it back.
    pub fn new(kind: impl Into<String>, schema: u16, body: impl Into<String>) -> Self {
        Self { kind: Cow::Owned(kind.into()), schema, body: body.into(), read: OnceLock::new() }
    }

    /// An event as a store takes it. Who reads it from this value, or a copy, is spared the parsing.
    pub fn of<E: Stored>(event: E) -> Self {
        let (kind, schema, body) = (event.kind(), event.schema(), event.body());
        Self {
            kind: Cow::Borrowed(kind),
            schema,
            body,
            read: OnceLock::from(Arc::new(event) as Arc<dyn Any + Send + Sync>),
        }
    }

    /// The event, parsed once however many ask, and kept as long as the commit is.
    ///
    /// # Errors
    /// This version cannot read it, or it was read as an event of another kind of stream before.
    pub fn read<E: Stored>(&self) -> Result<&E, CodecError> {
        if self.read.get().is_none() {
            let event = self.parse::<E>()?;
            // Somebody may have been faster, with the same.
            let _ = self.read.set(Arc::new(event));
        }
        self.known().ok_or_else(|| CodecError::UnknownType { kind: self.kind.to_string() })
    }

    /// The event for whoever goes through a whole stream: what has to be parsed for it is not kept.
    ///
    /// # Errors
    /// This version cannot read it.
    pub fn glance<E: Stored>(&self) -> Result<Cow<'_, E>, CodecError> {
        self.known().map_or_else(|| self.parse().map(Cow::Owned), |event| Ok(Cow::Borrowed(event)))
    }

    fn known<E: Stored>(&self) -> Option<&E> {
        self.read.get().and_then(|event| event.downcast_ref())
    }

    /// The event as its bytes say, whatever was read before.
    ///
    /// # Errors
    /// This version cannot read it.
    pub fn parse<E: Stored>(&self) -> Result<E, CodecError> {
        E::decode(&self.kind, self.schema, &self.body)
    }
}

impl PartialEq for StoredEvent {
    fn eq(&self, other: &Self) -> bool {
        (&self.kind, self.schema, &self.body) == (&other.kind, other.schema, &other.body)
    }
}

impl Eq for StoredEvent {}

impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} {}", self.kind, self.schema, self.body)
    }
}

/// SHA-256 over a commit and the hash of the commit before it in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The state of a stream after a commit, so that a reader need not fold from the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Number of the fold that made it; a reader with another fold ignores the snapshot.
    pub fold: u32,
    /// The state as JSON.
    pub state: String,
}

/// What one decision appended to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The stream.
    pub stream: StreamName,
    /// Version of its first event: the stream's version before it, plus one.
    pub first: Version,
    /// At least one event. Copies of a commit share them.
    pub events: Arc<[StoredEvent]>,
    /// Recorded time; never earlier than the stream's commit before.
    pub time: Timestamp,
    /// Id of the command that led to it.
    pub command: CommandId,
    /// Who sent that command: a principal ARN, or a part of the system such as `towpath:timer`.
    pub actor: Arc<str>,
    /// The chain: see [`Commit::chained`].
    pub hash: Hash,
    /// The state after it, on some commits.
    pub snapshot: Option<Snapshot>,
}

impl Commit {
    /// Version of the stream after this commit.
    pub fn last(&self) -> Version {
        Version(self.first.0 + self.events.len() as u64 - 1)
    }

    /// The hash this commit must carry when `previous` is the hash of the commit before it (all zero for the
    /// first). Covers everything but the snapshot, which is derived. Lengths are hashed before texts, so no two
    /// commits share an input.
    pub fn chained(&self, previous: Hash) -> Hash {
        let texts = self.events.iter().map(|event| event.kind.len() + event.body.len() + 32);
        // In one piece: a hasher that is fed in crumbs copies every one of them.
        let mut bytes = Vec::with_capacity(256 + self.actor.len() + texts.sum::<usize>());
        let mut text = |text: &str| {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        text(self.stream.as_str());
        text(self.command.as_str());
        text(&self.actor);
        for event in self.events.iter() {
            text(&event.kind);
            // Nearly all have the first.
            match event.schema {
                1 => text("1"),
                later => text(&later.to_string()),
            }
            text(&event.body);
        }
        bytes.extend_from_slice(&self.first.0.to_be_bytes());
        bytes.extend_from_slice(&self.time.0.to_be_bytes());
        bytes.extend_from_slice(&previous.0);
        Hash(Sha256::digest(&bytes).into())
    }
}

/// Checks the chain of one stream, commits in order from the first. Says which version is wrong.
pub fn verify(commits: &[Commit]) -> Result<(), BrokenChain> {
    verify_after(Version(0), Hash::default(), commits)
}

/// Checks commits that follow a commit already trusted: its last version and its hash. Says which version is
/// wrong.
pub fn verify_after(last: Version, hash: Hash, commits: &[Commit]) -> Result<(), BrokenChain> {
    let (mut next, mut previous) = (last.next(), hash);
    for commit in commits {
        let broken = |what| BrokenChain { stream: commit.stream.clone(), version: commit.first, what };
        if commit.first != next {
            return Err(broken("a commit before it is missing"));
        }
        if commit.chained(previous) != commit.hash {
            return Err(broken("its hash does not match what it holds"));
        }
        previous = commit.hash;
        next = commit.last().next();
    }
    Ok(())
}

/// The history of a stream was changed after it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history of stream `{stream}` is damaged at version {version}: {what}")]
pub struct BrokenChain {
    /// The stream.
    pub stream: StreamName,
    /// First version of the commit at fault.
    pub version: Version,
    /// What is wrong.
    pub what: &'static str,
}

/// A key that must be new, and what to remember under it: a start that was already made answers with the
/// earlier outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// For example `start#<pipeline>#<clientRequestToken>`; at most 300 bytes.
    pub key: String,
    /// What the first use led to; handed back to every later one.
    pub outcome: String,
    /// When the key is free again: a batch with a commit recorded at this time or later may take it. A batch
    /// without commits has no time and never finds a key free.
    pub expires: Timestamp,
}

/// All commits of one decision: appended together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// At most one commit a stream; each must continue its stream.
    pub commits: Vec<Commit>,
    /// Streams that were read but not written: they must still be at this version.
    pub checks: Vec<(StreamName, Version)>,
    /// An idempotency key to take with it.
    pub once: Option<Once>,
}

/// Where a commit stands among all commits of a log, for readers that follow it. Local logs only: a change
/// stream on AWS has no such order, and nothing but following may rely on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// The answer to an append that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// All commits are durable.
    Written,
    /// Nothing was written: this stream is not at the version the decision was made on.
    Conflict {
        /// The first stream that did not match.
        stream: StreamName,
    },
    /// Nothing was written: the `once` key was taken before.
    Repeated {
        /// What its first use led to.
        outcome: String,
    },
}

/// Why a log did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Try again later: the store did not answer, or had no room.
    #[error("the log did not answer for `{subject}`: {source}")]
    Unavailable {
        /// The stream, or what was being done.
        subject: String,
        /// The store's own error.
        #[source]
        source: BoxError,
    },
    /// What lies in the store cannot be what was written.
    #[error(transparent)]
    Broken(#[from] BrokenChain),
    /// The store takes no commit of this size. Nothing was written, and again would be the same.
    #[error("`{stream}`: a commit of {bytes} bytes is more than this store takes, which is {bytes_max}")]
    TooLarge {
        /// The stream.
        stream: StreamName,
        /// What the commit weighs.
        bytes: usize,
        /// The most it may.
        bytes_max: usize,
    },
    /// Stored bytes this version cannot read.
    #[error("`{stream}` holds something this version of towpath cannot read: {reason}")]
    Unreadable {
        /// The stream.
        stream: StreamName,
        /// What could not be read.
        reason: String,
    },
}

/// A stream as read: the newest usable snapshot, and the commits after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The commit that carried the snapshot: its last version, hash and time, and the snapshot.
    pub base: Option<(Version, Hash, Timestamp, Snapshot)>,
    /// The commits after the base, or all of them, oldest first.
    pub commits: Vec<Commit>,
}

/// An append-only log of commits in streams.
pub trait Log: Send + Sync + 'static {
    /// True when appends become durable in the order of the calls, and one that fails makes every later call
    /// that builds on it conflict. The engine may then decide on commits that are still on their way.
    const PIPELINED: bool;

    /// Appends a batch. The call itself takes its place in the order; the future answers when the outcome is
    /// durable, and dropping it does not take the batch back. A batch whose answer was lost may be appended
    /// again: a commit that already stands there with the same hash counts as written. After
    /// [`LogError::Unavailable`] the batch may or may not have been written. Where [`Log::PIPELINED`] is false, what
    /// builds on a batch is appended only once that batch has its answer.
    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static;

    /// Resolves when every append called before is durable, or has failed. At once where nothing is on its way.
    fn barrier(&self) -> impl Future<Output = ()> + Send;

    /// Reads a stream from its newest snapshot of this fold, or from its beginning. Empty when it has none.
    fn load(&self, stream: &StreamName, fold: u32) -> impl Future<Output = Result<Loaded, LogError>> + Send;

    /// Reads every commit of a stream from the first, at most `limit`, starting after a version. A version in
    /// the middle of a commit starts with the commit after that one.
    fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Commit>, LogError>> + Send;
}

impl<T: Log> Log for std::sync::Arc<T> {
    const PIPELINED: bool = T::PIPELINED;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        T::append(self, batch)
    }

    fn barrier(&self) -> impl Future<Output = ()> + Send {
        T::barrier(self)
    }

    fn load(&self, stream: &StreamName, fold: u32) -> impl Future<Output = Result<Loaded, LogError>> + Send {
        T::load(self, stream, fold)
    }

    fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Commit>, LogError>> + Send {
        T::read(self, stream, after, limit)
    }
}
