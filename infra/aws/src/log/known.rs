//! What one process knows without asking: where commits ended, and which appends are under way.

use engine::log::Hash;
use events::{StreamName, Version};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Streams that are remembered.
const STREAMS_MAX: usize = 4_096;

/// Where commits ended: at this version of this stream, with this hash. Written once, such a fact stays true for ever,
/// whoever goes on writing; so nothing here can be out of date, only incomplete.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<HashMap<StreamName, (Version, Hash)>>);

impl Ends {
    pub(super) fn remember(&self, stream: &StreamName, version: Version, hash: Hash) {
        let mut known = lock(&self.0);
        if known.len() >= STREAMS_MAX && !known.contains_key(stream) {
            // What is forgotten is looked up again.
            known.clear();
        }
        let newest = known.entry(stream.clone()).or_insert((version, hash));
        if newest.0 < version {
            *newest = (version, hash);
        }
    }

    /// The hash of the commit that ended at this version, if that is known.
    pub(super) fn at(&self, stream: &StreamName, version: Version) -> Option<Hash> {
        // Every stream begins so.
        if version == Version(0) {
            return Some(Hash::default());
        }
        lock(&self.0).get(stream).filter(|(known, _)| *known == version).map(|(_, hash)| *hash)
    }
}

/// Appends that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    open: Mutex<Open>,
    ended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    numbers: BTreeSet<u64>,
}

impl UnderWay {
    pub(super) fn begin(&self) -> u64 {
        let mut open = lock(&self.open);
        open.next += 1;
        let number = open.next;
        open.numbers.insert(number);
        number
    }

    pub(super) fn end(&self, number: u64) {
        lock(&self.open).numbers.remove(&number);
        self.ended.send_replace(());
    }

    /// Waits until everything that began before has ended.
    pub(super) async fn settled(&self) {
        let mut ended = self.ended.subscribe();
        let last = lock(&self.open).next;
        loop {
            // In a scope of its own: no lock is held over a wait.
            let waits = lock(&self.open).numbers.first().is_some_and(|first| *first <= last);
            // The sender lives as long as `self`.
            if !waits || ended.changed().await.is_err() {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
