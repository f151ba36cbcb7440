//! The list of what a deployment made on a host, so that the next one can take it away again.
//!
//! One whole path a line. Lines that are not under the host's folder, say because the settings now name another
//! folder, are passed over: files that stand there are not this list's to remove.

use super::root::HostRoot;
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// A list being written.
pub(super) struct Cleanup {
    file: File,
}

impl Cleanup {
    /// Starts a new list.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().create(true).append(true).open(path)? })
    }

    /// Adds a path that is about to be made.
    pub(super) fn note(&mut self, path: &Path) -> io::Result<()> {
        let mut line = path.as_os_str().as_bytes().to_vec();
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Takes away what a list names, newest first, and then the list. Folders go only when empty; what is
    /// missing already, and an unfinished last line, are passed over. Returns how much went, and warnings.
    pub(super) fn undo(path: &Path, root: &HostRoot) -> io::Result<(usize, Vec<String>)> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Vec::new())),
            Err(error) => return Err(error),
        };
        let finished = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
        let (mut removed, mut warnings) = (0, Vec::new());
        for line in finished.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
            let full = Path::new(OsStr::from_bytes(line));
            match root.holds(full) {
                Ok(()) => removed += usize::from(remove(full)?),
                Err(error) => warnings.push(format!("cleanup passes over a path: {error}")),
            }
        }
        fs::remove_file(path)?;
        Ok((removed, warnings))
    }
}

fn remove(path: &Path) -> io::Result<bool> {
    let result = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))),
    }
}
