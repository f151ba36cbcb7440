//! The artifact store: buckets as folders, objects as files.

use engine::action::ArtifactLocation;
use std::path::{Path, PathBuf};

/// A store under one folder: `<root>/<bucket>/<key>`.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    root: PathBuf,
}

impl ArtifactStore {
    /// A store in this folder, made on first use.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The file of an object. Bucket and key are checked: neither may leave the store's folder.
    pub fn path(&self, location: &ArtifactLocation) -> std::io::Result<PathBuf> {
        let _ = location;
        todo!()
    }

    /// Moves a finished file into the store: whole and on disk, or not at all.
    pub fn put(&self, location: &ArtifactLocation, file: &Path) -> std::io::Result<()> {
        let _ = (location, file);
        todo!()
    }
}
