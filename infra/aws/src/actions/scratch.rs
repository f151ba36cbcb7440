//! Files for a while: what is too large for memory lies on a function's disk, and vanishes with its handle.

use std::path::{Path, PathBuf};

/// The place of a file that is removed when this is dropped. Two that are made for the same attempt have places of
/// their own.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A place in a folder. There is no file yet.
    pub(crate) fn new(folder: &Path, attempt: &str) -> Self {
        Self(folder.join(format!("towpath-{attempt}-{}", uuid::Uuid::new_v4())))
    }

    /// The place.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been written; and what is left lying vanishes with the machine.
        let _ = std::fs::remove_file(&self.0);
    }
}
