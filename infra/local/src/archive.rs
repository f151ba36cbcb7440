//! ZIP archives: packed the same way every time, unpacked without trusting them.
//!
//! An archive may come from anybody. All names and links are judged before the first byte is written, links are
//! made last so that nothing is ever written through one, and the caps count bytes that were really unpacked,
//! not the sizes an archive claims.

mod links;
mod pack;
mod unpack;

pub use pack::{Packer, pack};
pub use unpack::unpack;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Bytes moved at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// A link's target; Linux takes no longer path.
const LINK_TARGET_BYTES_MAX: u64 = 4096;
/// An entry's name; Linux takes no longer path.
const NAME_BYTES_MAX: usize = 4096;

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
    /// Two entries with one name, or an entry below one that is no folder.
    #[error("`{entry}` is in the archive twice, or lies below something that is not a folder")]
    Duplicate {
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
        source: io::Error,
    },
}

impl ArchiveError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn unreadable(path: &Path, reason: impl ToString) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: reason.to_string() }
    }
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

/// Every file below a folder as entries, links that stay inside kept as links. A link that leaves is followed
/// when it leads to a file and refused when it does not. Folders without files, sockets, pipes and devices are
/// left out. Sorted by name.
pub fn list(folder: &Path) -> Result<Vec<Entry>, ArchiveError> {
    let mut entries = Vec::new();
    let walk = walkdir::WalkDir::new(folder).min_depth(1);
    for found in walk {
        let found = found.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            ArchiveError::Io { path, source: error.into() }
        })?;
        let kind = found.file_type();
        if !kind.is_file() && !kind.is_symlink() {
            continue;
        }
        let path = found.into_path();
        let relative = path.strip_prefix(folder).ok().and_then(Path::to_str);
        let name = relative.ok_or_else(|| not_text(&path))?.to_owned();
        let keep_link = kind.is_symlink() && {
            let target = fs::read_link(&path).map_err(ArchiveError::io(&path))?;
            let stays = links::stays_inside(folder, &path, &target);
            if !stays && !path.is_file() {
                return Err(ArchiveError::Escapes { entry: name });
            }
            stays
        };
        entries.push(Entry { name, path, keep_link });
    }
    entries.sort_unstable();
    Ok(entries)
}

/// A name without `.` and doubled slashes; `None` when it could lead out.
fn normal(name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains('\0') || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

fn is_safe(name: &str) -> bool {
    !name.is_empty() && normal(name).is_some_and(|normal| normal == name)
}

/// An entry's name for a message, cut to 200 characters.
fn cut(name: &str) -> String {
    name.chars().take(200).collect()
}

fn not_text(path: &Path) -> ArchiveError {
    ArchiveError::io(path)(io::Error::new(io::ErrorKind::InvalidData, "its name or target is not UTF-8 text"))
}

fn too_many(files: u64, caps: Caps) -> ArchiveError {
    ArchiveError::TooLarge(format!("{files} entries, at most {} are allowed", caps.files))
}

fn too_long(caps: Caps) -> ArchiveError {
    ArchiveError::TooLarge(format!("more than {} bytes unpacked", caps.bytes))
}

#[cfg(test)]
mod tests;
