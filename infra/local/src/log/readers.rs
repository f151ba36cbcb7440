//! Threads that read, each with a connection of its own, so that neither the writer nor the async runtime waits
//! for a read.

use super::{error::StoreError, queue::NotTaken, schema};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

/// Threads. Two, so that a slow listing does not hold up the next load; more would each start with cold memory.
const READERS: usize = 2;

/// Reads that may wait; one more is answered as unavailable.
const WAITING_READS_MAX: usize = 16_384;

type Read = Box<dyn FnOnce(&Connection) + Send>;

pub(crate) struct Readers {
    queue: Mutex<Option<SyncSender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let (queue, reads) = sync_channel(WAITING_READS_MAX);
        let reads = Arc::new(Mutex::new(reads));
        let connections: Result<Vec<_>, _> = (0..READERS).map(|_| schema::open_reader(path)).collect();
        let serve = |conn| {
            let reads = reads.clone();
            thread::spawn(move || serve(&conn, &reads))
        };
        let threads = connections?.into_iter().map(serve).collect();
        Ok(Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads) })
    }

    /// Runs a read on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, NotTaken> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |conn| {
            // Nobody waits for it any more: the reader was dropped.
            let _ = answer.send(read(conn));
        });
        self.push(read)?;
        answered.await.map_err(|_| NotTaken::Closed)
    }

    /// Lets the threads finish what waits, and waits for them.
    pub(crate) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that reads the log had panicked");
            }
        }
    }

    fn push(&self, read: Read) -> Result<(), NotTaken> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(NotTaken::Closed)?;
        queue.try_send(read).map_err(|refused| match refused {
            TrySendError::Full(_) => NotTaken::Full,
            TrySendError::Disconnected(_) => NotTaken::Closed,
        })
    }
}

fn serve(conn: &Connection, reads: &Mutex<Receiver<Read>>) {
    loop {
        // The guard is dropped before the read, so that the next thread can wait for the next one.
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(read) => read(conn),
            Err(_) => return,
        }
    }
}
