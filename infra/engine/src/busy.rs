//! How much an engine has set out to do and not finished, for those who must not stop before that; and which attempts
//! it has in hand, so that it never works at one twice at once.

use events::ActionExecutionId;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
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

/// Attempts in hand, each with whether somebody asked for it meanwhile. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct InHand(Arc<Mutex<BTreeMap<ActionExecutionId, bool>>>);

/// An attempt in hand, until it is dropped.
pub(crate) struct Hand {
    among: InHand,
    attempt: ActionExecutionId,
    is_gone: bool,
}

impl InHand {
    /// Takes an attempt in hand. `None` when it is already: whoever has it then looks once more before letting go, so
    /// that word of its end which came meanwhile is not lost.
    pub(crate) fn take(&self, attempt: &ActionExecutionId) -> Option<Hand> {
        let mut attempts = self.attempts();
        if let Some(asked_again) = attempts.get_mut(attempt) {
            *asked_again = true;
            return None;
        }
        attempts.insert(attempt.clone(), false);
        Some(Hand { among: self.clone(), attempt: attempt.clone(), is_gone: false })
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<ActionExecutionId, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hand {
    /// Lets go, unless somebody asked for the attempt meanwhile: then it stays in hand.
    pub(crate) fn let_go(mut self) -> Option<Self> {
        {
            let mut attempts = self.among.attempts();
            match attempts.get_mut(&self.attempt) {
                Some(asked_again @ true) => *asked_again = false,
                // In one step with the look: a question that comes later takes the attempt in hand itself.
                Some(false) | None => {
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
