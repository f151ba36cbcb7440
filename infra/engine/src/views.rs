//! The views port: rows derived from the log for reading. They may be deleted and rebuilt at any time, so
//! nothing here is ever the truth.

use crate::log::{BoxError, Position};
use std::future::Future;

pub use domain::views::Row as ViewRow;

/// How far a reader of the log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The reader's name, for example `project`.
    pub reader: String,
    /// Everything up to here has been dealt with.
    pub at: Position,
}

/// The views did not answer. Try again later: what was written of the call is written again without harm.
#[derive(Debug, thiserror::Error)]
#[error("the views did not answer: {source}")]
pub struct ViewsError {
    /// The store's own error.
    #[source]
    pub source: BoxError,
}

/// Rows derived from the log.
pub trait Views: Send + Sync + 'static {
    /// Writes rows, and a cursor once all of them are written. A row older than the one stored is skipped, so that
    /// duplicates and stragglers change nothing; a deleted row keeps its version for the same purpose, for a day at
    /// least. A cursor never moves back, and never passes a row that is not written. The call itself takes its place in the order; the future need not be awaited.
    fn put(
        &self,
        rows: Vec<ViewRow>,
        cursor: Option<Cursor>,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static;

    /// Reads one row.
    fn get(&self, p: &str, q: &str) -> impl Future<Output = Result<Option<ViewRow>, ViewsError>> + Send;

    /// Reads a partition in order of `q`, at most `limit` rows, from the one after (or, descending, before)
    /// `after_q`.
    fn page(
        &self,
        p: &str,
        after_q: Option<&str>,
        limit: usize,
        descending: bool,
    ) -> impl Future<Output = Result<Vec<ViewRow>, ViewsError>> + Send;

    /// Reads how far a reader has come; the beginning when it never said.
    fn cursor(&self, reader: &str) -> impl Future<Output = Result<Position, ViewsError>> + Send;

    /// Forgets every row, and the cursor of the reader that makes them, so that it starts afresh.
    fn drop_all(&self, reader: &str) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static;
}
