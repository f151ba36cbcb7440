//! What SQLite says, in plain words.

use engine::log::{BrokenChain, LogError, Position};
use events::{BadName, StreamName};
use rusqlite::ErrorCode;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why the log's file could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something else lies where the log should be.
    #[error("`{path}` is not a log of towpath: move it away, or use another state folder")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error(
        "`{path}` was written by a newer towpath (format {found}, this one reads up to {known}): use that version"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format this version reads.
        known: i64,
    },
    /// SQLite, or the system below it, refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An error of the store in plain words, with what to do. Shared by all whose work it stopped.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    damaged: bool,
    #[source]
    source: Arc<rusqlite::Error>,
}

impl StoreError {
    /// Puts an error of SQLite into plain words.
    pub(crate) fn new(path: &Path, error: rusqlite::Error) -> Self {
        let file = path.display();
        let code = error.sqlite_error_code();
        let damaged = matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
        let message = match code {
            Some(ErrorCode::DiskFull) => {
                format!("no room for `{file}`, the disk is full: free some space and try again")
            }
            Some(ErrorCode::SystemIoFailure) => {
                format!("the disk failed under `{file}` ({error}): see the system's own log")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("another program holds `{file}`: close it there and try again")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                format!("`{file}` cannot be opened for writing ({error}): see the rights of file and folder")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
                "`{file}` is damaged ({error}), and was left as it is: `towpath audit verify` says what is \
                 still whole; restore the file from a backup, or use another state folder"
            ),
            _ => format!("`{file}`: {error}"),
        };
        Self { message, damaged, source: Arc::new(error) }
    }

    /// The error of an operation on the log.
    pub(crate) fn unavailable(self, subject: impl Into<String>) -> LogError {
        LogError::Unavailable { subject: subject.into(), source: self.into() }
    }
}

/// Why a look into the file gave nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    Store(rusqlite::Error),
    Chain(BrokenChain),
    /// The commit at this position belongs to no stream.
    Name(Position, BadName),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

impl From<BrokenChain> for Failed {
    fn from(broken: BrokenChain) -> Self {
        Self::Chain(broken)
    }
}

impl Failed {
    /// The error of reading a stream. A damaged file is nothing to try again.
    pub(crate) fn reading(self, path: &Path, stream: &StreamName) -> LogError {
        match self {
            Self::Store(error) => {
                let error = StoreError::new(path, error);
                if error.damaged {
                    LogError::Unreadable { stream: stream.clone(), reason: error.to_string() }
                } else {
                    error.unavailable(stream.to_string())
                }
            }
            Self::Chain(_) | Self::Name(..) => self.following(path),
        }
    }

    /// The error of reading all streams.
    pub(crate) fn following(self, path: &Path) -> LogError {
        match self {
            Self::Chain(broken) => broken.into(),
            Self::Store(error) => StoreError::new(path, error).unavailable("the whole log"),
            Self::Name(position, bad) => LogError::Unavailable {
                subject: format!("commit {} of the log", position.0),
                source: bad.into(),
            },
        }
    }
}
