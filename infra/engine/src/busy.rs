//! How much an engine has set out to do and not finished, for those who must not stop before that.

use std::sync::Arc;
use tokio::sync::watch;

/// A count that can be waited for. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<watch::Sender<usize>>);

/// One more thing under way, until it is dropped; also by a panic.
pub(crate) struct Underway(Busy);

impl Busy {
    /// Counts one more.
    pub(crate) fn enter(&self) -> Underway {
        self.0.send_modify(|count| *count += 1);
        Underway(self.clone())
    }

    /// Waits until nothing is under way.
    pub(crate) async fn quiet(&self) {
        // The sender lives as long as `self`, so the wait ends with the count alone.
        drop(self.0.subscribe().wait_for(|count| *count == 0).await);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
