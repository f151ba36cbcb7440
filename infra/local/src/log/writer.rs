//! The one thread that writes. It takes what waits at that moment, writes it in one transaction, and answers
//! once the transaction is durable.

use super::{
    error::{Failed, StoreError},
    queue::{Job, Queue, ViewJob},
    recent::Recent,
    reserve::reserve,
    rows::{self, int, number},
};
use crate::views;
use engine::{
    judge::{Head, Refused, Standing, Verdict, judge},
    log::{Appended, Batch, BrokenChain, Hash, LogError, Position},
    views::ViewsError,
};
use events::{StreamName, Timestamp, Version};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// Streams whose end is remembered, in each of two generations: some 100 bytes a stream.
const HEADS_MAX: usize = 16_384;

/// `once` keys taken between two rounds of throwing expired ones away.
const ONCE_KEYS_BETWEEN_SWEEPS: u32 = 256;

/// SQLite's own limit on pages, and its default.
pub(crate) const PAGES_MAX: u32 = 0xffff_fffe;

pub(crate) struct Writer {
    store: Store,
    path: PathBuf,
    queue: Arc<Queue>,
    refused: Refused,
    recent: Arc<Recent>,
    /// The last durable commit.
    head: watch::Sender<Position>,
    once_taken: u32,
    /// Whether the connection waits for the disk at each commit.
    synced: bool,
}

/// What one job of a group came to, before the group is durable.
enum Judged {
    /// The position of its first commit, if this group wrote it.
    Append(Result<Appended, BrokenChain>, Option<Position>),
    Done,
}

impl Writer {
    pub(crate) fn new(
        conn: Connection,
        path: &Path,
        queue: Arc<Queue>,
        recent: Arc<Recent>,
        head: watch::Sender<Position>,
    ) -> Self {
        let store = Store { conn, heads: Heads::default() };
        let refused = Refused::default();
        Self { store, path: path.to_owned(), queue, refused, recent, head, once_taken: 0, synced: true }
    }

    /// Works until the queue is closed and empty, then folds the write-ahead file into the main one.
    pub(crate) fn run(mut self) {
        if let Err(error) = reserve(&self.path) {
            // Only time is lost. If the disk is full, the first append will say so.
            tracing::debug!(%error, "no room was taken for the write-ahead file");
        }
        while let Some(work) = self.queue.next() {
            if !work.jobs.is_empty() {
                self.group(work.jobs);
            }
            if !work.views.is_empty() {
                self.views(work.views);
            }
        }
        if let Err(error) = self.store.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead file was left beside the log; it is read at the next start");
        }
    }

    fn group(&mut self, jobs: Vec<Job>) {
        let mut head = *self.head.borrow();
        let count = jobs.len();
        match self.transaction(&jobs, &mut head) {
            Ok(judged) => {
                // Those who are answered may ask at once whether anything is on its way.
                self.queue.answered(count);
                let jobs = self.remember(jobs, &judged);
                self.head.send_if_modified(|durable| std::mem::replace(durable, head) != head);
                jobs.into_iter().zip(judged).for_each(|(job, judged)| answer(job, judged, head));
            }
            Err(error) => {
                let error = self.give_up(error);
                jobs.into_iter().for_each(|job| self.refuse(job, &error));
                self.queue.answered(count);
            }
        }
    }

    /// Keeps what was written for those who follow; they are told of the new head afterwards.
    fn remember(&self, mut jobs: Vec<Job>, judged: &[Judged]) -> Vec<Job> {
        for (job, judged) in jobs.iter_mut().zip(judged) {
            if let (Job::Append { batch, .. }, Judged::Append(_, Some(first))) = (job, judged) {
                self.recent.push(*first, std::mem::take(&mut batch.commits));
            }
        }
        jobs
    }

    fn transaction(&mut self, jobs: &[Job], head: &mut Position) -> rusqlite::Result<Vec<Judged>> {
        if !std::mem::replace(&mut self.synced, true) {
            self.store.conn.execute_batch("PRAGMA synchronous = FULL")?;
        }
        self.store.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut judged = Vec::with_capacity(jobs.len());
        for job in jobs {
            judged.push(match job {
                Job::Append { batch, events, .. } => {
                    let before = *head;
                    let answer = self.append(batch, events, head)?;
                    Judged::Append(answer, (*head > before).then_some(Position(before.0 + 1)))
                }
                Job::LimitPages(pages) => {
                    self.store.conn.pragma_update(None, "max_page_count", pages)?;
                    Judged::Done
                }
                Job::Flush(_) => Judged::Done,
            });
        }
        self.store.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(judged)
    }

    /// Judges a batch and writes it into the open transaction. An error is the end of the whole group.
    fn append(
        &mut self,
        batch: &Batch,
        events: &[String],
        head: &mut Position,
    ) -> rusqlite::Result<Result<Appended, BrokenChain>> {
        let answer = match judge(batch, &mut self.store, &self.refused) {
            Ok(Verdict::Write) => {
                self.write(batch, events, head)?;
                Ok(Appended::Written)
            }
            Ok(Verdict::Answer(answer)) => Ok(answer),
            Err(Failed::Chain(broken)) => Err(broken),
            Err(Failed::Store(error)) => return Err(error),
            Err(Failed::Name(position, bad)) => {
                return Err(rusqlite::Error::InvalidPath(format!("commit {}: {bad}", position.0).into()));
            }
        };
        if answer != Ok(Appended::Written) {
            self.refused.remember(batch);
        }
        Ok(answer)
    }

    fn write(&mut self, batch: &Batch, events: &[String], head: &mut Position) -> rusqlite::Result<()> {
        for (commit, events) in batch.commits.iter().zip(events) {
            *head = Position(head.0 + 1);
            rows::insert(&self.store.conn, *head, commit, events)?;
            self.store.heads.put(&commit.stream, Head { last: commit.last(), hash: commit.hash });
        }
        let Some(once) = &batch.once else { return Ok(()) };
        const TAKE: &str = "INSERT INTO once(key, outcome, expires) VALUES (?1, ?2, ?3)
            ON CONFLICT(key) DO UPDATE SET outcome = excluded.outcome, expires = excluded.expires";
        let mut take = self.store.conn.prepare_cached(TAKE)?;
        take.execute(params![once.key, once.outcome, once.expires.0])?;
        self.once_taken += 1;
        if let Some(now) = batch.commits.iter().map(|commit| commit.time.0).max()
            && self.once_taken >= ONCE_KEYS_BETWEEN_SWEEPS
        {
            self.once_taken = 0;
            self.store.conn.execute("DELETE FROM once WHERE expires <= ?1", [now])?;
        }
        Ok(())
    }

    /// Takes back whatever the failed transaction did. What was remembered of the file may stem from it, or may
    /// be the reason it failed: a person may have written there.
    fn give_up(&mut self, error: rusqlite::Error) -> StoreError {
        self.store.heads = Heads::default();
        self.recent.clear();
        if !self.store.conn.is_autocommit()
            && let Err(error) = self.store.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed write could not be taken back");
        }
        if let Ok(durable) = rows::head(&self.store.conn) {
            self.head.send_if_modified(|head| std::mem::replace(head, durable) != durable);
        }
        let error = StoreError::new(&self.path, error);
        tracing::error!(%error, "nothing was written");
        error
    }

    fn refuse(&mut self, job: Job, error: &StoreError) {
        // An answer nobody waits for any more is no error: the sender dropped its future.
        match job {
            Job::Append { batch, answer, .. } => {
                self.refused.remember(&batch);
                let subject = batch.commits.first().map_or("a batch without commits", |c| c.stream.as_str());
                let _ = answer.send(Err(error.clone().unavailable(subject)));
            }
            Job::Flush(answer) => {
                let _ = answer.send(Err(error.clone().unavailable("the whole log")));
            }
            Job::LimitPages(_) => {}
        }
    }

    /// Writes views in a transaction of their own, which does not wait for the disk: rows and cursor are lost
    /// together, and the log they are made from is not. The next group of appends makes both durable.
    fn views(&mut self, jobs: Vec<ViewJob>) {
        let done = self.views_transaction(&jobs).map_err(|error| self.give_up(error));
        for job in jobs {
            let (ViewJob::Put { answer, .. } | ViewJob::DropAll { answer, .. }) = job;
            let done = done.clone().map_err(|error| ViewsError { source: error.into() });
            let _ = answer.send(done);
        }
    }

    fn views_transaction(&mut self, jobs: &[ViewJob]) -> rusqlite::Result<()> {
        let conn = &self.store.conn;
        if std::mem::replace(&mut self.synced, false) {
            conn.execute_batch("PRAGMA synchronous = NORMAL")?;
        }
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for job in jobs {
            match job {
                ViewJob::Put { rows, cursor, .. } => views::write(conn, rows, cursor.as_ref())?,
                ViewJob::DropAll { reader, .. } => views::drop_all(conn, reader)?,
            }
        }
        conn.prepare_cached("COMMIT")?.execute([]).map(|_| ())
    }
}

fn answer(job: Job, judged: Judged, head: Position) {
    match (job, judged) {
        (Job::Append { answer, .. }, Judged::Append(judged, _)) => {
            let _ = answer.send(judged.map_err(LogError::from));
        }
        (Job::Flush(answer), Judged::Done) => {
            let _ = answer.send(Ok(head));
        }
        // Nobody waits for a limit, and the other pairs are not made.
        (Job::LimitPages(_), _)
        | (Job::Append { .. }, Judged::Done)
        | (Job::Flush(_), Judged::Append(..)) => {}
    }
}

/// The file, and what is remembered of it.
struct Store {
    conn: Connection,
    heads: Heads,
}

impl Standing for Store {
    type Error = Failed;

    fn head(&mut self, stream: &StreamName) -> Result<Head, Failed> {
        const HEAD: &str =
            "SELECT last, hash, version FROM commits WHERE stream = ?1 ORDER BY version DESC LIMIT 1";
        if let Some(head) = self.heads.get(stream) {
            return Ok(head);
        }
        let stored = self
            .conn
            .prepare_cached(HEAD)?
            .query_row([stream.as_str()], |row| Ok((number(row, 0)?, rows::hash(row, 1)?, number(row, 2)?)))
            .optional()?;
        let head = match stored {
            None => Head::default(),
            Some((last, Some(hash), _)) => Head { last: Version(last), hash },
            Some((_, None, version)) => {
                let what = "its hash is not readable";
                return Err(BrokenChain { stream: stream.clone(), version: Version(version), what }.into());
            }
        };
        self.heads.put(stream, head);
        Ok(head)
    }

    fn hash_at(&mut self, stream: &StreamName, first: Version) -> Result<Option<Hash>, Failed> {
        const AT: &str = "SELECT hash FROM commits WHERE stream = ?1 AND version = ?2";
        let mut statement = self.conn.prepare_cached(AT)?;
        let hash = statement.query_row(params![stream.as_str(), int(first.0)], |row| rows::hash(row, 0));
        Ok(hash.optional()?.flatten())
    }

    fn taken(&mut self, key: &str) -> Result<Option<(String, Timestamp)>, Failed> {
        const TAKEN: &str = "SELECT outcome, expires FROM once WHERE key = ?1";
        let mut statement = self.conn.prepare_cached(TAKEN)?;
        Ok(statement.query_row([key], |row| Ok((row.get(0)?, Timestamp(row.get(1)?)))).optional()?)
    }
}

/// Ends of streams, so that an append need not ask the file. Two generations: what was not used while the young
/// one filled up is forgotten.
#[derive(Default)]
struct Heads {
    young: HashMap<StreamName, Head>,
    old: HashMap<StreamName, Head>,
}

impl Heads {
    fn get(&mut self, stream: &StreamName) -> Option<Head> {
        if let Some(head) = self.young.get(stream) {
            return Some(*head);
        }
        let head = self.old.remove(stream)?;
        self.put(stream, head);
        Some(head)
    }

    fn put(&mut self, stream: &StreamName, head: Head) {
        if let Some(known) = self.young.get_mut(stream) {
            *known = head;
            return;
        }
        if self.young.len() == HEADS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(stream.clone(), head);
    }
}
