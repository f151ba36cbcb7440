//! Records of the log's change stream, as its readers take them. A record says no more than "this stream has got this
//! commit": records come more than once, late, and in any order between streams.

use crate::Home;
use engine::log::{Commit, LogError};
use std::collections::BTreeMap;

/// A record of the change stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number in the change stream, by which the platform knows it.
    pub sequence: String,
    /// The commit, or why none can be read from it.
    pub commit: Result<Commit, String>,
}

/// A record that was not dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Its number.
    pub sequence: String,
    /// Why, for people.
    pub reason: String,
    /// Whether to try again.
    pub turn: Turn,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The same record may do better later.
    Later,
    /// The same record will never do better: an operator has to look at it.
    Never,
}

impl Unmet {
    pub(crate) fn later(sequence: &str, reason: impl std::fmt::Display) -> Self {
        Self { sequence: sequence.to_owned(), reason: reason.to_string(), turn: Turn::Later }
    }

    pub(crate) fn never(sequence: &str, reason: impl std::fmt::Display) -> Self {
        Self { sequence: sequence.to_owned(), reason: reason.to_string(), turn: Turn::Never }
    }

    /// After a log that did not give what was asked.
    pub(crate) fn after(sequence: &str, error: &LogError) -> Self {
        match error {
            LogError::Unavailable { .. } => Self::later(sequence, error),
            LogError::Broken(_) | LogError::Unreadable { .. } | LogError::TooLarge { .. } => {
                Self::never(sequence, error)
            }
        }
    }
}

/// Records of one stream, in the order of its versions.
pub(crate) type OfStream<'a> = Vec<(&'a str, &'a Commit)>;

/// Takes the records apart by stream; those without a commit are given back.
pub(crate) fn by_stream(changes: &[Change]) -> (BTreeMap<events::StreamName, OfStream<'_>>, Vec<Unmet>) {
    let mut streams: BTreeMap<_, OfStream<'_>> = BTreeMap::new();
    let mut unmet = Vec::new();
    for change in changes {
        match &change.commit {
            Ok(commit) => {
                let own = streams.entry(commit.stream.clone()).or_default();
                own.push((change.sequence.as_str(), commit));
            }
            Err(reason) => unmet.push(Unmet::never(&change.sequence, reason)),
        }
    }
    for own in streams.values_mut() {
        own.sort_by_key(|(_, commit)| commit.first);
    }
    (streams, unmet)
}

/// Waits until everything this process carries out has come to its end.
pub(crate) async fn settle<H: Home>(home: &H) {
    home.engine().quiet().await;
}
