//! Rows for reading, derived from states: listings, and the newest attempt at each action of a pipeline. Pure;
//! a row may be written twice, and the whole may be deleted and made again.

pub mod jobs;
pub mod listing;
pub mod pipeline_state;
pub mod webhooks;

use events::{Entry, Version};

/// One row of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The partition: the listing a row belongs to.
    pub p: String,
    /// The row's place in it; rows are ordered by the bytes of this text.
    pub q: String,
    /// Grows with what the row reflects: a row is written only over an older one.
    pub v: Version,
    /// The row as JSON; `None` deletes it.
    pub body: Option<String>,
}

/// Partition of the list of pipelines.
pub const PIPELINES: &str = "pipelines";
/// Partition of the list of webhooks.
pub const WEBHOOKS: &str = "webhooks";
/// Partition of executions under way, of all pipelines.
pub const OPEN: &str = "open";
/// Partition of pipelines whose lane owes a run that must still be started.
pub const OWING: &str = "owing";

/// Bytes of most rows, at most: room that is asked for once.
const ROW_BYTES: usize = 1024;

fn json<T: serde::Serialize>(value: &T) -> String {
    let mut text = Vec::with_capacity(ROW_BYTES);
    let written = serde_json::to_writer(&mut text, value).ok().and_then(|()| String::from_utf8(text).ok());
    written.expect("view rows hold only text keys and plain values, which JSON can always write")
}

/// A number with zeros before it, so that texts are in the order of their numbers.
fn padded(number: u64, digits: usize) -> String {
    const ZEROS: &str = "00000000000000000000";
    let text = number.to_string();
    [&ZEROS[..digits.saturating_sub(text.len()).min(ZEROS.len())], &text].concat()
}

/// Orders rows that several executions write: a later admission wins, within one the later event. A stream holds
/// far fewer than 2^24 events, since an execution has at most 500 actions.
fn by_entry(entry: Entry, version: Version) -> Version {
    Version((entry.0 << 24) | (version.0 & 0xff_ffff))
}
