//! Warm states by stream. A slot is locked while a decision is made on it; the condition of the append, not this
//! lock, is what keeps two writers apart.

use crate::streams::{Folded, Head};
use events::StreamName;
use foldhash::fast::RandomState;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tokio::sync::{Notify, OwnedMutexGuard};

/// Streams kept warm, of each kind, before idle ones are dropped.
pub(crate) const WARM_STREAMS_MAX: usize = 2_000;

/// What is known of one stream; `None` until it was loaded, or after an append on it failed.
pub(crate) type Slot<S> = Option<Warm<S>>;

/// A folded state and where its stream stands.
pub(crate) struct Warm<S> {
    /// The state.
    pub(crate) state: Arc<S>,
    /// The head.
    pub(crate) head: Head,
    /// The append that made it; `None` when it was read.
    pub(crate) rests_on: Option<OnItsWay>,
}

/// An append whose outcome is known, or will be. Not a `watch`: that wakes those who wait in an order drawn by lot, and
/// then a simulation could not be repeated.
#[derive(Clone)]
pub(crate) struct OnItsWay(Arc<Fate>);

/// Tells whoever waits what became of an append. Dropped without a word, the append counts as refused: its states are
/// read again.
pub(crate) struct Outcome(Arc<Fate>);

#[derive(Default)]
struct Fate {
    is_durable: OnceLock<bool>,
    told: Notify,
    /// The appends that it continues, until its outcome is known: without one of them it comes to nothing either.
    after: Mutex<Vec<OnItsWay>>,
}

impl Fate {
    fn tell(&self, durable: bool) {
        // Whoever told first is right.
        if self.is_durable.set(durable).is_ok() {
            // Not while the lock is held: dropping them may go far back.
            let after = std::mem::take(&mut *self.after.lock().unwrap_or_else(PoisonError::into_inner));
            drop(after);
            self.told.notify_waiters();
        }
    }
}

impl Outcome {
    /// An append that sets out now, and continues these.
    pub(crate) fn open(after: impl IntoIterator<Item = OnItsWay>) -> (Self, OnItsWay) {
        let after = after.into_iter().filter(OnItsWay::is_pending).collect();
        let fate = Arc::new(Fate { after: Mutex::new(after), ..Fate::default() });
        (Self(Arc::clone(&fate)), OnItsWay(fate))
    }

    /// It is durable, or will never be.
    pub(crate) fn tell(self, durable: bool) {
        self.0.tell(durable);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.0.tell(false);
    }
}

impl OnItsWay {
    /// Waits for its outcome; false when what it would have written never came to be.
    pub(crate) async fn lasts(self) -> bool {
        loop {
            // Before the look: who is told between the two would otherwise wait for ever.
            let told = self.0.told.notified();
            if let Some(is_durable) = self.0.is_durable.get() {
                return *is_durable;
            }
            told.await;
        }
    }

    /// It is known by now that nothing came of it, or that nothing will: one that it continues was refused.
    fn is_refused(&self) -> bool {
        if let Some(is_durable) = self.0.is_durable.get() {
            return !is_durable;
        }
        let (mut open, mut seen) = (vec![Arc::clone(&self.0)], BTreeSet::new());
        while let Some(fate) = open.pop() {
            match fate.is_durable.get() {
                Some(false) => return true,
                Some(true) => {}
                None if seen.insert(Arc::as_ptr(&fate)) => {
                    let after = fate.after.lock().unwrap_or_else(PoisonError::into_inner);
                    open.extend(after.iter().map(|one| Arc::clone(&one.0)));
                }
                None => {}
            }
        }
        false
    }

    /// Nobody knows yet what becomes of it.
    fn is_pending(&self) -> bool {
        self.0.is_durable.get().is_none()
    }
}

impl<S> Warm<S> {
    /// The state never came to be.
    pub(crate) fn is_refused(&self) -> bool {
        self.rests_on.as_ref().is_some_and(OnItsWay::is_refused)
    }

    /// The state is newer than the log, and may last.
    pub(crate) fn is_pending(&self) -> bool {
        self.rests_on.as_ref().is_some_and(|append| append.is_pending() && !append.is_refused())
    }
}

/// Three of them are looked up for every command, and the standard hasher is slow for a name.
type Slots<S> = HashMap<StreamName, Arc<tokio::sync::Mutex<Slot<S>>>, RandomState>;

/// Slots of one kind of stream.
pub struct Cache<S> {
    slots: Mutex<Slots<S>>,
}

impl<S> Default for Cache<S> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

impl<S: Folded> Cache<S> {
    /// Locks a stream's slot; an empty one if it is cold.
    pub(crate) async fn lock(&self, stream: &StreamName) -> OwnedMutexGuard<Slot<S>> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() >= WARM_STREAMS_MAX && !slots.contains_key(stream) {
                // Nobody else holds a slot whose only owner is the map: dropping it costs a load, no more.
                slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            }
            Arc::clone(slots.entry(stream.clone()).or_default())
        };
        slot.lock_owned().await
    }

    /// Drops a stream that is not expected to be needed soon.
    pub(crate) fn forget(&self, stream: &StreamName) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.get(stream).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::lane::Lane;
    use events::PipelineName;

    fn stream(name: &str) -> StreamName {
        StreamName::lane(&PipelineName::parse(name).unwrap())
    }

    #[tokio::test]
    async fn a_state_that_rests_on_an_append_under_way_is_neither_forgotten_nor_dropped() {
        let cache = Cache::<Lane>::default();
        let pinned = {
            let mut slot = cache.lock(&stream("busy")).await;
            *slot = Some(Warm { state: Arc::default(), head: Head::default(), rests_on: None });
            Arc::clone(OwnedMutexGuard::mutex(&slot))
        };
        cache.forget(&stream("busy"));
        for number in 0..=WARM_STREAMS_MAX {
            drop(cache.lock(&stream(&format!("other{number}"))).await);
        }
        assert!(cache.lock(&stream("busy")).await.is_some());
        drop(pinned);
        cache.forget(&stream("busy"));
        assert!(cache.lock(&stream("busy")).await.is_none());
    }
}
