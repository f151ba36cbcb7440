//! The newest commits, for those who follow the log: they need not be read back from the file, decoded and checked
//! a moment after they were written.

use engine::log::{Commit, Position};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Commits kept.
const COMMITS_MAX: usize = 512;

/// Bytes of events and snapshots kept, as text. Events in hand come on top: about as much again, a few times as much
/// where definitions are among them.
const BYTES_MAX: usize = 1 << 20;

/// Durable commits in order of position, without gaps, up to the newest.
#[derive(Default)]
pub(crate) struct Recent {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    commits: VecDeque<(Position, Commit)>,
    bytes: usize,
}

impl Recent {
    /// Keeps commits that have just become durable, the first at `first`.
    pub(crate) fn push(&self, first: Position, commits: Vec<Commit>) {
        let mut kept = self.lock();
        if kept.commits.back().is_some_and(|(last, _)| last.0 + 1 != first.0) {
            *kept = Kept::default();
        }
        for (position, commit) in (first.0..).map(Position).zip(commits) {
            kept.bytes += bytes(&commit);
            kept.commits.push_back((position, commit));
        }
        while kept.commits.len() > COMMITS_MAX || kept.bytes > BYTES_MAX {
            let Some((_, oldest)) = kept.commits.pop_front() else { break };
            kept.bytes -= bytes(&oldest);
        }
    }

    /// At most `limit` commits after a position; `None` when they are not all here.
    pub(crate) fn after(&self, after: Position, limit: usize) -> Option<Vec<(Position, Commit)>> {
        let kept = self.lock();
        let (first, _) = kept.commits.front()?;
        let skip = usize::try_from((after.0 + 1).checked_sub(first.0)?).ok()?;
        Some(kept.commits.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Forgets everything: what was written last may not stand.
    pub(crate) fn clear(&self) {
        *self.lock() = Kept::default();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(commit: &Commit) -> usize {
    let events: usize = commit.events.iter().map(|event| event.kind.len() + event.body.len()).sum();
    events + commit.snapshot.as_ref().map_or(0, |snapshot| snapshot.state.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::log::{Hash, StoredEvent};
    use events::{CommandId, StreamName, Timestamp, Version};

    fn commit(body: usize) -> Commit {
        Commit {
            stream: StreamName::parse("lane#p").unwrap(),
            first: Version(1),
            events: [StoredEvent::new("A", 1, "x".repeat(body))].into(),
            time: Timestamp(0),
            command: CommandId::parse("c").unwrap(),
            actor: "a".into(),
            hash: Hash::default(),
            snapshot: None,
        }
    }

    fn positions(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        let found = recent.after(Position(after), limit)?;
        Some(found.into_iter().map(|(position, _)| position.0).collect())
    }

    #[test]
    fn what_follows_a_position_is_given_whole_or_not_at_all() {
        let recent = Recent::default();
        assert_eq!(positions(&recent, 0, 9), None);
        recent.push(Position(5), vec![commit(1), commit(1)]);
        recent.push(Position(7), vec![commit(1)]);
        assert_eq!(positions(&recent, 3, 9), None);
        assert_eq!(positions(&recent, 4, 9), Some(vec![5, 6, 7]));
        assert_eq!(positions(&recent, 4, 2), Some(vec![5, 6]));
        assert_eq!(positions(&recent, 7, 9), Some(vec![]));
        recent.push(Position(9), vec![commit(1)]);
        assert_eq!(positions(&recent, 4, 9), None, "a gap forgets what was before it");
        recent.clear();
        assert_eq!(positions(&recent, 8, 9), None);
    }

    #[test]
    fn it_keeps_neither_too_many_nor_too_much() {
        let recent = Recent::default();
        recent.push(Position(1), (0..COMMITS_MAX + 10).map(|_| commit(1)).collect());
        assert_eq!(positions(&recent, 9, 1), None);
        assert_eq!(positions(&recent, 10, 1), Some(vec![11]));
        recent.push(Position(COMMITS_MAX as u64 + 11), vec![commit(BYTES_MAX - 5), commit(2)]);
        let last = COMMITS_MAX as u64 + 12;
        assert_eq!(positions(&recent, last - 1, 9), Some(vec![last]));
        assert!(positions(&recent, 20, 9).is_none());
    }
}
