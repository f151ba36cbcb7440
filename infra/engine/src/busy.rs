//! How much an engine has set out to do and not finished, for those who must not stop before that; and which attempts
//! it has in hand, so that it never works at one twice at once.

use events::ActionExecutionId;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// A count that can be waited for. Clones share it. Those who wait are woken in the order in which they came: see
/// `cache::OnItsWay`.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Count>);

#[derive(Default)]
struct Count {
    under_way: AtomicUsize,
    quiet: Notify,
}

/// One more thing under way, until it is dropped; also by a panic.
pub(crate) struct Underway(Busy);

impl Busy {
    /// Counts one more.
    pub(crate) fn enter(&self) -> Underway {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        Underway(self.clone())
    }

    /// Waits until nothing is under way.
    pub(crate) async fn quiet(&self) {
        loop {
            // Before the look: the last may leave between the two.
            let quiet = self.0.quiet.notified();
            if self.0.under_way.load(Ordering::SeqCst) == 0 {
                return;
            }
            quiet.await;
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if self.0.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.quiet.notify_waiters();
        }
    }
}

/// Attempts in hand. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct InHand(Arc<Mutex<BTreeMap<ActionExecutionId, Held>>>);

/// What happened to an attempt since it was taken in hand.
#[derive(Default)]
struct Held {
    /// Somebody asked for it.
    asked_again: bool,
    off: Arc<Off>,
}

/// Whether an attempt was called off.
#[derive(Default)]
struct Off {
    is_so: AtomicBool,
    told: Notify,
}

/// An attempt in hand, until it is dropped.
pub(crate) struct Hand {
    among: InHand,
    attempt: ActionExecutionId,
    off: Arc<Off>,
    is_gone: bool,
}

impl InHand {
    /// Takes an attempt in hand. `None` when it is already: whoever has it then looks once more before letting go, so
    /// that word of its end which came meanwhile is not lost.
    pub(crate) fn take(&self, attempt: &ActionExecutionId) -> Option<Hand> {
        let mut attempts = self.attempts();
        if let Some(held) = attempts.get_mut(attempt) {
            held.asked_again = true;
            return None;
        }
        let held = Held::default();
        let off = Arc::clone(&held.off);
        attempts.insert(attempt.clone(), held);
        Some(Hand { among: self.clone(), attempt: attempt.clone(), off, is_gone: false })
    }

    /// Tells whoever has this attempt in hand that it no longer counts.
    pub(crate) fn call_off(&self, attempt: &ActionExecutionId) {
        if let Some(held) = self.attempts().get(attempt) {
            held.off.is_so.store(true, Ordering::SeqCst);
            // Kept for whoever does not listen yet.
            held.off.told.notify_one();
        }
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<ActionExecutionId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hand {
    /// The attempt.
    pub(crate) fn attempt(&self) -> &ActionExecutionId {
        &self.attempt
    }

    /// Whether it was called off since it was taken in hand.
    pub(crate) fn is_called_off(&self) -> bool {
        self.off.is_so.load(Ordering::SeqCst)
    }

    /// Waits until it is called off.
    pub(crate) async fn called_off(&self) {
        while !self.is_called_off() {
            self.off.told.notified().await;
        }
    }

    /// Lets go, unless somebody asked for the attempt meanwhile: then it stays in hand.
    pub(crate) fn let_go(mut self) -> Option<Self> {
        {
            let mut attempts = self.among.attempts();
            match attempts.get_mut(&self.attempt) {
                Some(held) if held.asked_again => held.asked_again = false,
                // In one step with the look: a question that comes later takes the attempt in hand itself.
                Some(_) | None => {
                    attempts.remove(&self.attempt);
                    self.is_gone = true;
                }
            }
        }
        (!self.is_gone).then_some(self)
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        if !self.is_gone {
            self.among.attempts().remove(&self.attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_in_hand_once_and_looked_at_again_when_somebody_asked_meanwhile() {
        let (in_hand, id) = (InHand::default(), ActionExecutionId::parse("a1").unwrap());
        let hand = in_hand.take(&id).unwrap();
        assert!(in_hand.take(&id).is_none());
        let hand = hand.let_go().expect("it was asked for meanwhile");
        assert!(hand.let_go().is_none());
        assert!(in_hand.take(&id).is_some());
    }

    #[tokio::test]
    async fn whoever_has_an_attempt_in_hand_hears_that_it_was_called_off() {
        let (in_hand, id) = (InHand::default(), ActionExecutionId::parse("a1").unwrap());
        in_hand.call_off(&id);
        let hand = in_hand.take(&id).unwrap();
        assert!(!hand.is_called_off(), "it was not in hand then");
        in_hand.call_off(&id);
        hand.called_off().await;
        assert!(hand.is_called_off());
    }

    #[tokio::test]
    async fn it_is_quiet_once_everything_that_was_entered_has_left() {
        let busy = Busy::default();
        busy.quiet().await;
        let first = busy.enter();
        let second = first.0.enter();
        drop(first);
        let waiting = tokio::spawn({
            let busy = busy.clone();
            async move { busy.quiet().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
