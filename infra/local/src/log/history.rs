//! The log read by somebody who does not write it: beside a running server, or long after.

use super::{error::StoreError, rows, schema};
use engine::log::{Commit, LogError, Position};
use events::{StreamName, Version};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};

/// Commits of one stream that are read at once; no stream of an ordinary run comes near it.
const COMMITS_MAX: usize = 1_000_000;

/// A log's file, opened for reading. Nothing is ever written to it.
pub struct History {
    conn: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the file; it may be in use.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { conn: schema::open_reader(path)?, path: path.to_owned() })
    }

    /// All commits of a stream, oldest first, its chain checked. Empty when there is none of that name.
    pub fn read(&self, stream: &StreamName) -> Result<Vec<Commit>, LogError> {
        rows::read(&self.conn, stream, Version(0), COMMITS_MAX)
            .map_err(|failed| failed.reading(&self.path, stream))
    }

    /// Commits of all streams in the order they were appended, at most `limit`, after a position.
    pub fn follow(&self, after: Position, limit: usize) -> Result<Vec<(Position, Commit)>, LogError> {
        rows::follow(&self.conn, after, limit).map_err(|failed| failed.following(&self.path))
    }

    /// Streams whose names begin so, newest first by their first commit, at most `limit`.
    pub fn streams(&self, prefix: &str, limit: usize) -> Result<Vec<StreamName>, LogError> {
        // `substr` and not `LIKE`, which has letters of its own; a range so that the index is used.
        const FIRSTS: &str = "SELECT stream FROM commits
            WHERE stream >= ?1 AND stream < ?2 AND substr(stream, 1, length(?1)) = ?1 AND version = 1
            ORDER BY position DESC LIMIT ?3";
        let names = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.conn.prepare(FIRSTS)?;
            let end = format!("{prefix}\u{10ffff}");
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            statement.query_map(params![prefix, end, limit], |row| row.get(0))?.collect()
        };
        let names =
            names().map_err(|error| StoreError::new(&self.path, error).unavailable("the list of streams"))?;
        Ok(names.iter().filter_map(|name| StreamName::parse(name).ok()).collect())
    }
}
