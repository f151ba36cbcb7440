//! A log, views and lent credentials in memory, with the real contract: for tests and simulation. Nothing here reads
//! a clock or waits, so a run that is repeated repeats exactly.

pub mod outward;

use crate::{
    judge::{Head, Refused, Standing, Verdict, judge},
    log::{Appended, Batch, BrokenChain, Commit, Hash, Loaded, Log, LogError, Position},
    ports::{
        ARTIFACT_CREDENTIALS_MS, ArtifactAccess, ArtifactAccessError, ArtifactCredentials, ArtifactLoan,
    },
    views::{Cursor, ViewRow, Views, ViewsError},
};
use events::{StreamName, Timestamp, Version};
use foldhash::fast::RandomState;
use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, ready},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// What can go wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and the answer is a conflict on the batch's first stream.
    Conflict,
    /// Nothing is written, and the log does not answer.
    Unavailable,
    /// The batch is judged and written as ever, but the log does not answer.
    AnswerLost,
}

/// Draws the fault of each append, in the order of the appends. Without one nothing goes wrong.
#[derive(Default)]
pub struct Faults(Option<Box<Draw>>);

type Draw = dyn FnMut(&Batch) -> Option<Fault> + Send;

impl Faults {
    /// Faults drawn by a function, from a seed for example.
    pub fn drawn(draw: impl FnMut(&Batch) -> Option<Fault> + Send + 'static) -> Self {
        Self(Some(Box::new(draw)))
    }

    /// These faults for the next appends, one each, then none.
    pub fn listed(faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.reverse();
        Self::drawn(move |_| faults.pop().flatten())
    }
}

/// A log that lives as long as the value does.
#[derive(Default)]
pub struct MemoryLog {
    state: Mutex<State>,
    head: watch::Sender<Position>,
}

#[derive(Default)]
struct State {
    /// In order of their positions, the first at position 1.
    commits: Vec<Commit>,
    /// Indexes into `commits`, per stream.
    streams: HashMap<StreamName, Vec<usize>, RandomState>,
    once: HashMap<String, (String, Timestamp), RandomState>,
    refused: Refused,
    faults: Faults,
}

impl MemoryLog {
    /// An empty log without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Reads commits of all streams in the order they were appended, at most `limit`, after a position.
    pub fn follow(&self, after: Position, limit: usize) -> Vec<(Position, Commit)> {
        let mut followed = Vec::new();
        self.look(after, limit, |position, commit| followed.push((position, commit.clone())));
        followed
    }

    /// The commit at a position.
    pub fn commit(&self, at: Position) -> Option<Commit> {
        let index = usize::try_from(at.0).ok()?.checked_sub(1)?;
        self.state().commits.get(index).cloned()
    }

    /// Shows commits of all streams in the order they were appended, at most `limit`, after a position. The log waits
    /// meanwhile.
    pub fn look(&self, after: Position, limit: usize, mut see: impl FnMut(Position, &Commit)) {
        let state = self.state();
        let from = usize::try_from(after.0).unwrap_or(usize::MAX);
        let newer = state.commits.get(from..).unwrap_or_default();
        let positions = (after.0 + 1..).map(Position);
        positions.zip(newer).take(limit).for_each(|(position, commit)| see(position, commit));
    }

    /// Position of the last commit; 0 when there is none.
    pub fn head(&self) -> Position {
        *self.head.borrow()
    }

    /// Tells a reader of every new head.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_now(&self, batch: Batch) -> Result<Appended, LogError> {
        let mut state = self.state();
        let fault = state.faults.0.as_mut().and_then(|draw| draw(&batch));
        let subject = || match (batch.commits.first(), &batch.once) {
            (Some(commit), _) => commit.stream.to_string(),
            (None, Some(once)) => once.key.clone(),
            (None, None) => "an empty batch".to_owned(),
        };
        let lost = |what: &str| LogError::Unavailable { subject: subject(), source: what.into() };
        match (fault, batch.commits.first()) {
            (Some(Fault::Conflict), Some(commit)) => {
                state.refused.remember(&batch);
                Ok(Appended::Conflict { stream: commit.stream.clone() })
            }
            (Some(Fault::Unavailable), _) => {
                state.refused.remember(&batch);
                Err(lost("a fault before the write"))
            }
            (Some(Fault::AnswerLost), _) => {
                let lost = lost("a fault after the write");
                self.judged(&mut state, batch)?;
                Err(lost)
            }
            (Some(Fault::Conflict), None) | (None, _) => self.judged(&mut state, batch),
        }
    }

    fn judged(&self, state: &mut State, batch: Batch) -> Result<Appended, LogError> {
        let refused = std::mem::take(&mut state.refused);
        let verdict = judge(&batch, state, &refused);
        state.refused = refused;
        match verdict {
            Ok(Verdict::Write) => {
                state.write(batch);
                self.head.send_replace(Position(state.commits.len() as u64));
                Ok(Appended::Written)
            }
            Ok(Verdict::Answer(answer)) => {
                if answer != Appended::Written {
                    state.refused.remember(&batch);
                }
                Ok(answer)
            }
            Err(broken) => {
                state.refused.remember(&batch);
                Err(broken.into())
            }
        }
    }
}

impl State {
    fn write(&mut self, batch: Batch) {
        if let Some(once) = batch.once {
            self.once.insert(once.key, (once.outcome, once.expires));
        }
        for commit in batch.commits {
            self.streams.entry(commit.stream.clone()).or_default().push(self.commits.len());
            self.commits.push(commit);
        }
    }

    fn stream(&self, stream: &StreamName) -> impl DoubleEndedIterator<Item = &Commit> {
        let indexes = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        indexes.iter().map(|index| &self.commits[*index])
    }
}

impl Standing for State {
    type Error = BrokenChain;

    fn head(&mut self, stream: &StreamName) -> Result<Head, BrokenChain> {
        let last = self.stream(stream).next_back();
        Ok(last.map_or(Head::default(), |commit| Head { last: commit.last(), hash: commit.hash }))
    }

    fn hash_at(&mut self, stream: &StreamName, first: Version) -> Result<Option<Hash>, BrokenChain> {
        Ok(self.stream(stream).find(|commit| commit.first == first).map(|commit| commit.hash))
    }

    fn taken(&mut self, key: &str) -> Result<Option<(String, Timestamp)>, BrokenChain> {
        Ok(self.once.get(key).cloned())
    }
}

impl Log for MemoryLog {
    const PIPELINED: bool = true;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        ready(self.append_now(batch))
    }

    async fn barrier(&self) {
        // Appends are durable when the call returns, as far as memory can be.
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        let state = self.state();
        let base = state.stream(stream).rev().find_map(|commit| {
            let snapshot = commit.snapshot.as_ref().filter(|snapshot| snapshot.fold == fold)?;
            Some((commit.last(), commit.hash, commit.time, snapshot.clone()))
        });
        let last = base.as_ref().map_or_else(Version::default, |base| base.0);
        // Each was held against the one before when it was appended, and nothing can touch it here since.
        let mut tail: Vec<_> =
            state.stream(stream).rev().take_while(|commit| commit.first > last).cloned().collect();
        tail.reverse();
        Ok(Loaded { base, commits: tail })
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        let state = self.state();
        let commits = state.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let from = commits.partition_point(|index| state.commits[*index].first <= after);
        Ok(commits[from..].iter().take(limit).map(|index| state.commits[*index].clone()).collect())
    }
}

/// Views that live as long as the value does.
#[derive(Default)]
pub struct MemoryViews(Mutex<Rows>);

/// Rows by their place in it. One without a body is gone, and its version stays.
type Partition = BTreeMap<String, (Version, Option<String>)>;

#[derive(Default)]
struct Rows {
    partitions: HashMap<String, Partition, RandomState>,
    cursors: BTreeMap<String, Position>,
}

impl MemoryViews {
    /// Views without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Partitions that have, or had, rows, in the order of their names.
    pub fn partitions(&self) -> Vec<String> {
        let mut names: Vec<_> = self.rows().partitions.keys().cloned().collect();
        names.sort();
        names
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views for MemoryViews {
    fn put(
        &self,
        rows: Vec<ViewRow>,
        cursor: Option<Cursor>,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let mut stored = self.rows();
        for row in rows {
            let partition = stored.partitions.entry(row.p).or_default();
            if partition.get(&row.q).is_none_or(|(v, _)| row.v >= *v) {
                partition.insert(row.q, (row.v, row.body));
            }
        }
        if let Some(Cursor { reader, at }) = cursor {
            let stored = stored.cursors.entry(reader).or_default();
            *stored = at.max(*stored);
        }
        ready(Ok(()))
    }

    async fn get(&self, p: &str, q: &str) -> Result<Option<ViewRow>, ViewsError> {
        let rows = self.rows();
        let row = rows.partitions.get(p).and_then(|partition| partition.get(q));
        Ok(row.and_then(|(v, body)| alive(p, q, *v, body.as_ref())))
    }

    async fn page(
        &self,
        p: &str,
        after_q: Option<&str>,
        limit: usize,
        descending: bool,
    ) -> Result<Vec<ViewRow>, ViewsError> {
        let rows = self.rows();
        let Some(partition) = rows.partitions.get(p) else { return Ok(Vec::new()) };
        let edge = after_q.map_or(Bound::Unbounded, Bound::Excluded);
        let read = |(q, (v, body)): (&String, &(Version, Option<String>))| alive(p, q, *v, body.as_ref());
        Ok(if descending {
            let range = partition.range::<str, _>((Bound::Unbounded, edge));
            range.rev().filter_map(read).take(limit).collect()
        } else {
            let range = partition.range::<str, _>((edge, Bound::Unbounded));
            range.filter_map(read).take(limit).collect()
        })
    }

    async fn cursor(&self, reader: &str) -> Result<Position, ViewsError> {
        Ok(self.rows().cursors.get(reader).copied().unwrap_or_default())
    }

    fn drop_all(&self, reader: &str) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let mut rows = self.rows();
        rows.partitions.clear();
        rows.cursors.remove(reader);
        ready(Ok(()))
    }
}

fn alive(p: &str, q: &str, v: Version, body: Option<&String>) -> Option<ViewRow> {
    let body = body?.clone();
    Some(ViewRow { p: p.to_owned(), q: q.to_owned(), v, body: Some(body) })
}

/// Lends credentials that open nothing, and remembers what it was asked for.
#[derive(Default)]
pub struct MemoryArtifactAccess {
    lent: Mutex<Vec<(ArtifactLoan, Timestamp)>>,
}

impl MemoryArtifactAccess {
    /// Everything that was lent, in order.
    pub fn lent(&self) -> Vec<(ArtifactLoan, Timestamp)> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ArtifactAccess for MemoryArtifactAccess {
    async fn lend(
        &self,
        loan: &ArtifactLoan,
        now: Timestamp,
    ) -> Result<ArtifactCredentials, ArtifactAccessError> {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        lent.push((loan.clone(), now));
        let number = lent.len();
        Ok(ArtifactCredentials {
            access_key_id: format!("ASIAMEMORY{number:010}"),
            secret_access_key: format!("secret {number}"),
            session_token: format!("token {number}"),
            expires: Timestamp(now.0.saturating_add(ARTIFACT_CREDENTIALS_MS)),
        })
    }
}
