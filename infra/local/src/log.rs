//! The log in one SQLite file, which anyone may open with `sqlite3` and read. One thread writes: it groups the
//! appends that wait at that moment into one transaction, and answers once that is durable.
//!
//! The file is opened by one process at a time; [`FolderLock`] sees to it. It is never repaired or replaced
//! here: what is damaged is said, and left to a person.

mod error;
mod history;
pub(crate) mod queue;
mod readers;
mod recent;
mod reserve;
pub(crate) mod rows;
mod schema;
mod verify;
mod writer;

pub use error::{OpenError, StoreError};
pub use history::History;
pub use queue::{
    GROUP_BATCHES_MAX, GROUP_BYTES_MAX, GROUP_VIEW_ROWS_MAX, WAITING_APPENDS_MAX, WAITING_VIEWS_MAX,
};
pub use verify::{DAMAGES_MAX, Damage, Verified, verify_file};

use crate::{lock::FolderLock, views::SqliteViews};
use engine::log::{Appended, Batch, Commit, Loaded, Log, LogError, Position};
use error::Failed;
use events::{StreamName, Version};
use queue::{Job, NotTaken, Queue};
use readers::Readers;
use recent::Recent;
use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};
use tokio::sync::{oneshot, watch};
use writer::{PAGES_MAX, Writer};

/// The file's name in the state folder.
pub const LOG_FILE: &str = "log.sqlite";

/// The log of one state folder. Dropping it writes what waits, and blocks until that is durable; see
/// [`SqliteLog::close`].
pub struct SqliteLog {
    store: Arc<Store>,
}

/// What the log and its views share.
pub(crate) struct Store {
    pub(crate) path: PathBuf,
    pub(crate) queue: Arc<Queue>,
    pub(crate) readers: Readers,
    head: watch::Receiver<Position>,
    recent: Arc<Recent>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteLog {
    /// Opens the log of a state folder, making it when there is none. Takes the same few milliseconds for any
    /// length of the log: histories are checked as they are read, all of them by [`SqliteLog::verify_all`].
    pub fn open(lock: &FolderLock) -> Result<Self, OpenError> {
        let path = lock.folder().join(LOG_FILE);
        let conn = schema::open_writer(&path)?;
        let durable = rows::head(&conn).map_err(|error| StoreError::new(&path, error))?;
        let readers = Readers::open(&path)?;
        let queue = Arc::new(Queue::default());
        let (tell, head) = watch::channel(durable);
        let recent = Arc::new(Recent::default());
        let writer = Writer::new(conn, &path, queue.clone(), recent.clone(), tell);
        let writer = Mutex::new(Some(thread::spawn(|| writer.run())));
        Ok(Self { store: Arc::new(Store { path, queue, readers, head, recent, writer }) })
    }

    /// The views that lie in the same file. They answer for as long as the log is open.
    pub fn views(&self) -> SqliteViews {
        SqliteViews::of(self.store.clone())
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Position of the last durable commit; 0 when there is none.
    pub fn head(&self) -> Position {
        *self.store.head.borrow()
    }

    /// Tells a reader of every new head, once it is durable. Ends when the log is closed.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.store.head.clone()
    }

    /// Reads commits of all streams in the order they were appended, at most `limit`, after a position.
    /// Positions have no gaps. Their chains are not checked: they lead to commits of other streams.
    pub async fn follow(&self, after: Position, limit: usize) -> Result<Vec<(Position, Commit)>, LogError> {
        if after >= self.head() {
            return Ok(Vec::new());
        }
        if let Some(commits) = self.store.recent.after(after, limit) {
            return Ok(commits);
        }
        let read = self.store.readers.run(move |conn| rows::follow(conn, after, limit)).await;
        let read = read.map_err(|refused| unavailable("the whole log", refused))?;
        read.map_err(|failed| failed.following(&self.store.path))
    }

    /// Answers with the head once everything appended before the call has been written, or refused. Fails when
    /// the last of it could not be written.
    pub fn flush(&self) -> impl Future<Output = Result<Position, LogError>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let taken = self.store.queue.push(Job::Flush(answer));
        async move {
            taken.map_err(|refused| unavailable("the whole log", refused))?;
            answered.await.unwrap_or_else(|_| Err(unavailable("the whole log", NotTaken::Closed)))
        }
    }

    /// Checks every commit of every stream; see [`verify_file`]. The log goes on working.
    pub async fn verify_all(
        &self,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Verified, LogError> {
        let path = self.store.path.clone();
        let check = tokio::task::spawn_blocking(move || verify_file(&path, progress));
        check.await.unwrap_or_else(|_| Err(unavailable("the whole log", NotTaken::Closed)))
    }

    /// Lets the file grow to so many pages of 4,096 bytes, the write-ahead file not counted; `None` lifts the
    /// limit. Appends beyond it are answered as on a full disk.
    pub fn limit_pages(&self, pages: Option<u32>) -> Result<(), LogError> {
        let job = Job::LimitPages(pages.unwrap_or(PAGES_MAX));
        self.store.queue.push(job).map_err(|refused| unavailable("the whole log", refused))
    }

    /// Writes what waits, closes the file and ends the threads. Later calls are answered as unavailable.
    pub async fn close(&self) {
        let store = self.store.clone();
        if tokio::task::spawn_blocking(move || store.stop()).await.is_err() {
            tracing::error!("the log did not close in good order; nothing durable is lost");
        }
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        self.store.stop();
    }
}

impl Store {
    fn stop(&self) {
        self.readers.close();
        self.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the thread that writes the log had panicked");
        }
    }
}

impl Log for SqliteLog {
    const PIPELINED: bool = true;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let subject = batch.commits.first().map(|commit| commit.stream.clone());
        let taken = encoded(&batch).map(|events| {
            let (answer, answered) = oneshot::channel();
            self.store.queue.push(Job::Append { batch, events, answer }).map(|()| answered)
        });
        async move {
            let subject = subject.as_ref().map_or("a batch without commits", StreamName::as_str);
            let answered = taken?.map_err(|refused| unavailable(subject, refused))?;
            answered.await.unwrap_or_else(|_| Err(unavailable(subject, NotTaken::Closed)))
        }
    }

    async fn barrier(&self) {
        // Most of the time nothing is on its way, and then the writer need not be woken.
        if self.store.queue.unanswered() > 0 {
            let _ = self.flush().await;
        }
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        let name = stream.clone();
        self.answer(stream, self.store.readers.run(move |conn| rows::load(conn, &name, fold)).await)
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        let name = stream.clone();
        self.answer(stream, self.store.readers.run(move |conn| rows::read(conn, &name, after, limit)).await)
    }
}

impl SqliteLog {
    fn answer<T>(
        &self,
        stream: &StreamName,
        read: Result<Result<T, Failed>, NotTaken>,
    ) -> Result<T, LogError> {
        let read = read.map_err(|refused| unavailable(stream.as_str(), refused))?;
        read.map_err(|failed| failed.reading(&self.store.path, stream))
    }
}

/// The texts of the commits' rows, made in the sender's thread: the writer has enough to do.
fn encoded(batch: &Batch) -> Result<Vec<String>, LogError> {
    let encode = |commit: &Commit| {
        let unreadable = |reason| LogError::Unreadable { stream: commit.stream.clone(), reason };
        rows::encode(&commit.events).map_err(unreadable)
    };
    batch.commits.iter().map(encode).collect()
}

fn unavailable(subject: impl Into<String>, refused: NotTaken) -> LogError {
    LogError::Unavailable { subject: subject.into(), source: refused.into() }
}
