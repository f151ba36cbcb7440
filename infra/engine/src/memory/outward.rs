//! A bus, topics and marks in memory, with faults to order.

use crate::outward::{Bus, BusEvent, Mark, Marks, MarksError, OutwardError, TopicMessage, Topics};
use events::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keeps whatever it is told, in order.
#[derive(Debug)]
pub struct Told<T>(Mutex<(Vec<T>, VecDeque<OutwardError>)>);

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self(Mutex::new((Vec::new(), VecDeque::new())))
    }
}

impl<T: Clone> Told<T> {
    /// Everything that was taken.
    pub fn all(&self) -> Vec<T> {
        self.state().0.clone()
    }

    /// The next calls fail like this, one each.
    pub fn fail(&self, errors: impl IntoIterator<Item = OutwardError>) {
        self.state().1.extend(errors);
    }

    fn take(&self, new: Vec<T>) -> Result<(), OutwardError> {
        let mut state = self.state();
        if let Some(error) = state.1.pop_front() {
            return Err(error);
        }
        state.0.extend(new);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, (Vec<T>, VecDeque<OutwardError>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bus nobody listens to.
pub type MemoryBus = Told<BusEvent>;

/// Topics without subscribers.
pub type MemoryTopics = Told<TopicMessage>;

impl Bus for MemoryBus {
    async fn put(&self, events: Vec<BusEvent>) -> Result<(), OutwardError> {
        self.take(events)
    }
}

impl Topics for MemoryTopics {
    async fn publish(&self, message: TopicMessage) -> Result<(), OutwardError> {
        self.take(vec![message])
    }
}

/// Marks that live as long as the value does. They never expire.
#[derive(Debug, Default)]
pub struct MemoryMarks(Mutex<BTreeMap<String, Mark>>);

impl Marks for MemoryMarks {
    async fn get(&self, key: &str) -> Result<Option<Mark>, MarksError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn put(&self, key: &str, seen: u64, note: &str, _expires: Timestamp) -> Result<bool, MarksError> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.get(key).map_or(0, |mark| mark.version) != seen {
            return Ok(false);
        }
        marks.insert(key.to_owned(), Mark { version: seen + 1, note: note.to_owned() });
        Ok(true)
    }
}
