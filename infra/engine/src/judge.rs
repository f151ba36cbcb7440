//! The rule by which a log takes or refuses a batch, in one place for every log that can look before it
//! writes. A log must judge and write without anything in between.

use crate::log::{Appended, Batch, BrokenChain, Commit, Hash};
use events::{StreamName, Timestamp, Version};
use std::collections::VecDeque;

/// Commits remembered as refused. More than any log lets wait, times the streams of a decision.
pub const REFUSED_COMMITS_MAX: usize = 4096;

/// Bytes of a `once` key.
pub const ONCE_KEY_BYTES_MAX: usize = 300;

/// Where a stream ends; version 0 and a hash of zeros for a stream without commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Version of the stream's last event.
    pub last: Version,
    /// Hash of its last commit.
    pub hash: Hash,
}

/// What already stands in a log, looked up while a batch is judged.
pub trait Standing {
    /// Why a look-up failed, or a batch was no batch.
    type Error: From<BrokenChain>;

    /// Where a stream ends.
    fn head(&mut self, stream: &StreamName) -> Result<Head, Self::Error>;

    /// Hash of the commit whose first event has this version, if there is one.
    fn hash_at(&mut self, stream: &StreamName, first: Version) -> Result<Option<Hash>, Self::Error>;

    /// Outcome and expiry of a `once` key that was taken.
    fn taken(&mut self, key: &str) -> Result<Option<(String, Timestamp)>, Self::Error>;
}

/// What to do with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Write all of it.
    Write,
    /// Write nothing and answer this.
    Answer(Appended),
}

/// Judges a batch against what stands. A `once` key that is taken answers before a conflict does: the sender
/// then need not decide again to learn that its wish was already met. Fails with [`BrokenChain`] for a batch
/// that no decision on this log can have produced.
pub fn judge<S: Standing>(batch: &Batch, standing: &mut S, refused: &Refused) -> Result<Verdict, S::Error> {
    well_formed(batch)?;
    let mut stood = 0;
    let mut lost: Option<&StreamName> = None;
    let mut astray: Option<&Commit> = None;
    for commit in &batch.commits {
        let head = standing.head(&commit.stream)?;
        if head.last.next() == commit.first {
            if commit.chained(head.hash) != commit.hash {
                astray.get_or_insert(commit);
            }
            continue;
        }
        let stands =
            head.last >= commit.first && standing.hash_at(&commit.stream, commit.first)? == Some(commit.hash);
        stood += usize::from(stands);
        lost.get_or_insert(&commit.stream);
    }
    if stood > 0 && stood == batch.commits.len() {
        return Ok(Verdict::Answer(Appended::Written));
    }
    if let Some(outcome) = repeated(batch, standing)? {
        return Ok(Verdict::Answer(Appended::Repeated { outcome }));
    }
    for (stream, version) in &batch.checks {
        if lost.is_none() && standing.head(stream)?.last != *version {
            lost = Some(stream);
        }
    }
    if let Some(commit) = astray.filter(|_| lost.is_none()) {
        // Right version, other parent. Either the parent was refused and another commit took its place, which
        // is a lost race like any other, or the sender's arithmetic is wrong.
        if !refused.led_to(commit) {
            return Err(broken(commit, "it does not continue the commit before it").into());
        }
        lost = Some(&commit.stream);
    }
    Ok(match lost {
        Some(stream) => Verdict::Answer(Appended::Conflict { stream: stream.clone() }),
        None => Verdict::Write,
    })
}

/// The newest commits that were not written. A pipelined sender may have built on them, and must then hear of
/// a conflict even where another commit of the same version took their place.
#[derive(Debug, Default)]
pub struct Refused(VecDeque<(StreamName, Version, Hash)>);

impl Refused {
    /// Remembers a batch that was not written.
    pub fn remember(&mut self, batch: &Batch) {
        for commit in batch.commits.iter().filter(|commit| !commit.events.is_empty()) {
            if self.0.len() == REFUSED_COMMITS_MAX {
                self.0.pop_front();
            }
            self.0.push_back((commit.stream.clone(), commit.last(), commit.hash));
        }
    }

    fn led_to(&self, commit: &Commit) -> bool {
        self.0.iter().any(|(stream, last, hash)| {
            *stream == commit.stream && last.next() == commit.first && commit.chained(*hash) == commit.hash
        })
    }
}

/// Refuses what is no batch, whatever stands.
pub fn well_formed(batch: &Batch) -> Result<(), BrokenChain> {
    for (index, commit) in batch.commits.iter().enumerate() {
        if commit.events.is_empty() {
            return Err(broken(commit, "the commit to append holds no events"));
        }
        if batch.commits[..index].iter().any(|earlier| earlier.stream == commit.stream) {
            return Err(broken(commit, "one batch appends to it twice"));
        }
        if batch.once.as_ref().is_some_and(|once| once.key.len() > ONCE_KEY_BYTES_MAX) {
            return Err(broken(commit, "its idempotency key is longer than 300 bytes"));
        }
    }
    Ok(())
}

fn repeated<S: Standing>(batch: &Batch, standing: &mut S) -> Result<Option<String>, S::Error> {
    let Some(once) = &batch.once else { return Ok(None) };
    let now = batch.commits.iter().map(|commit| commit.time).max();
    let taken = standing.taken(&once.key)?;
    Ok(taken.filter(|(_, expires)| now.is_none_or(|now| now < *expires)).map(|(outcome, _)| outcome))
}

fn broken(commit: &Commit, what: &'static str) -> BrokenChain {
    BrokenChain { stream: commit.stream.clone(), version: commit.first, what }
}
