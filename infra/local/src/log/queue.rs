//! What waits for the writer. A place in the queue is a place in the log's order.

use engine::{
    log::{Appended, Batch, LogError, Position},
    views::{Cursor, ViewRow, ViewsError},
};
use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::oneshot;

/// Appends that may wait; one more is answered as unavailable.
pub const WAITING_APPENDS_MAX: usize = 65_536;

/// Writes of views that may wait; one more is answered as unavailable.
pub const WAITING_VIEWS_MAX: usize = 65_536;

/// Batches in one transaction.
pub const GROUP_BATCHES_MAX: usize = 256;

/// Bytes of events in one transaction, unless a single batch is larger.
pub const GROUP_BYTES_MAX: usize = 4 << 20;

/// Rows of views written between two groups of appends, unless a single write holds more.
pub const GROUP_VIEW_ROWS_MAX: usize = 512;

/// Work for the writer that must keep its order.
pub(crate) enum Job {
    /// Append a batch; `events` are the texts of its commits' rows.
    Append { batch: Batch, events: Vec<String>, answer: oneshot::Sender<Result<Appended, LogError>> },
    /// Say when everything before is durable.
    Flush(oneshot::Sender<Result<Position, LogError>>),
    /// Let the file grow to so many pages at most.
    LimitPages(u32),
}

/// Work on views: nobody waits for it unless they say so.
pub(crate) enum ViewJob {
    Put { rows: Vec<ViewRow>, cursor: Option<Cursor>, answer: oneshot::Sender<Result<(), ViewsError>> },
    DropAll { reader: String, answer: oneshot::Sender<Result<(), ViewsError>> },
}

/// What the writer does next: one group of appends, then some views.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) jobs: Vec<Job>,
    pub(crate) views: Vec<ViewJob>,
}

/// Why nothing more is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("the log is closed")]
    Closed,
    #[error("too much is waiting to be written")]
    Full,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    unanswered: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    views: VecDeque<ViewJob>,
    closed: bool,
}

impl Queue {
    /// Takes the next place.
    pub(crate) fn push(&self, job: Job) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        waiting.room(waiting.jobs.len(), WAITING_APPENDS_MAX)?;
        waiting.jobs.push_back(job);
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        self.arrived.notify_one();
        Ok(())
    }

    /// Jobs that wait or are being written.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// Notes that so many jobs have been answered.
    pub(crate) fn answered(&self, jobs: usize) {
        self.unanswered.fetch_sub(jobs, Ordering::SeqCst);
    }

    /// Takes the next place among the views.
    pub(crate) fn push_view(&self, job: ViewJob) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        waiting.room(waiting.views.len(), WAITING_VIEWS_MAX)?;
        waiting.views.push_back(job);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes nothing more; what waits is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Waits for work. `None` when the queue is closed and empty.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut waiting = self.lock();
        while waiting.jobs.is_empty() && waiting.views.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Some(waiting.group())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn room(&self, waiting: usize, max: usize) -> Result<(), NotTaken> {
        match (self.closed, waiting < max) {
            (true, _) => Err(NotTaken::Closed),
            (false, false) => Err(NotTaken::Full),
            (false, true) => Ok(()),
        }
    }

    fn group(&mut self) -> Work {
        let mut work = Work::default();
        let mut bytes = 0;
        while let Some(job) = self.jobs.pop_front_if(|job| {
            bytes += job.bytes();
            work.jobs.is_empty() || (work.jobs.len() < GROUP_BATCHES_MAX && bytes <= GROUP_BYTES_MAX)
        }) {
            work.jobs.push(job);
        }
        let mut rows = 0;
        while let Some(job) = self.views.pop_front_if(|job| {
            rows += job.rows();
            work.views.is_empty() || rows <= GROUP_VIEW_ROWS_MAX
        }) {
            work.views.push(job);
        }
        work
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { batch, events, .. } => {
                let snapshots = batch.commits.iter().filter_map(|commit| commit.snapshot.as_ref());
                let snapshots: usize = snapshots.map(|snapshot| snapshot.state.len()).sum();
                snapshots + events.iter().map(String::len).sum::<usize>()
            }
            Self::Flush(_) | Self::LimitPages(_) => 0,
        }
    }
}

impl ViewJob {
    fn rows(&self) -> usize {
        match self {
            Self::Put { rows, .. } => rows.len().max(1),
            Self::DropAll { .. } => 1,
        }
    }
}
