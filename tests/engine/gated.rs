//! A log that takes its time.

use engine::{
    log::{Appended, Batch, Commit, Loaded, Log, LogError},
    memory::MemoryLog,
};
use events::{StreamName, Version};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// A log whose appends become durable, and readable, in their order, and only as many as it lets pass: at first all.
#[derive(Clone)]
pub(crate) struct Gated {
    pub(crate) inner: Arc<MemoryLog>,
    asked: Arc<AtomicU64>,
    allowed: watch::Sender<u64>,
    done: watch::Sender<u64>,
    is_deaf: Arc<AtomicBool>,
}

impl Gated {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(MemoryLog::new()),
            asked: Arc::default(),
            allowed: watch::Sender::new(u64::MAX),
            done: watch::Sender::new(0),
            is_deaf: Arc::default(),
        }
    }

    /// Lets no append pass that was not asked for yet. Returns how many were.
    pub(crate) fn close(&self) -> u64 {
        let asked = self.asked.load(Ordering::SeqCst);
        self.allow(asked);
        asked
    }

    /// Lets so many appends pass, counted from the first.
    pub(crate) fn allow(&self, count: u64) {
        self.allowed.send_replace(count);
    }

    /// Lets every append pass.
    pub(crate) fn open(&self) {
        self.allow(u64::MAX);
    }

    /// The next look at a stream is not answered.
    pub(crate) fn be_deaf_once(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
    }

    /// Waits until so many appends were asked for, counted from the first.
    pub(crate) async fn asked(&self, count: u64) {
        for _ in 0..2_000 {
            if self.asked.load(Ordering::SeqCst) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{count} appends were not asked for");
    }
}

impl Log for Gated {
    const PIPELINED: bool = true;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let log = self.clone();
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        // Spawned: an append goes on when nobody waits for it.
        let work = tokio::spawn(async move {
            log.done.subscribe().wait_for(|done| *done == turn).await.expect("the log is alive");
            log.allowed.subscribe().wait_for(|allowed| *allowed > turn).await.expect("the log is alive");
            let answer = log.inner.append(batch).await;
            log.done.send_modify(|done| *done += 1);
            answer
        });
        async move { work.await.expect("an append does not panic") }
    }

    async fn barrier(&self) {
        let asked = self.asked.load(Ordering::SeqCst);
        self.done.subscribe().wait_for(|done| *done >= asked).await.expect("the log is alive");
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        self.inner.load(stream, fold).await
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        if self.is_deaf.swap(false, Ordering::SeqCst) {
            return Err(LogError::Unavailable { subject: stream.to_string(), source: "throttled".into() });
        }
        self.inner.read(stream, after, limit).await
    }
}
