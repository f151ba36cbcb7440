//! ZIP archives: packed the same way every time, unpacked without trusting them.

use std::path::{Path, PathBuf};

/// What an archive may hold at most.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Unpacked bytes.
    pub bytes: u64,
    /// Entries.
    pub files: u64,
}

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An entry, or a link, leads out of the folder.
    #[error("`{entry}` leads out of the folder it is unpacked to")]
    Escapes {
        /// The entry's name.
        entry: String,
    },
    /// More than the caps allow.
    #[error("the archive is too large: {0}")]
    TooLarge(String),
    /// Not a ZIP archive, or a damaged one.
    #[error("`{path}` cannot be read as a ZIP archive: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// The file system's own error.
    #[error("`{path}`: {source}")]
    Io {
        /// The file or folder at fault.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// One file to pack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name in the archive: relative, forward slashes.
    pub name: String,
    /// The file on disk.
    pub path: PathBuf,
    /// Store the link itself instead of what it points to.
    pub keep_link: bool,
}

/// Packs files: sorted by name, fixed times, Unix modes kept, so that equal trees give equal bytes.
pub fn pack(entries: &[Entry], into: &Path, caps: Caps) -> Result<(), ArchiveError> {
    let _ = (entries, into, caps);
    todo!()
}

/// Unpacks into an empty folder. Modes are kept; absolute paths, `..` and links that leave are refused.
pub fn unpack(archive: &Path, into: &Path, caps: Caps) -> Result<(), ArchiveError> {
    let _ = (archive, into, caps);
    todo!()
}

/// Every file below a folder as entries, links that stay inside kept as links.
pub fn list(folder: &Path) -> Result<Vec<Entry>, ArchiveError> {
    let _ = folder;
    todo!()
}
