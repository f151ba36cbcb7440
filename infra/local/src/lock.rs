//! The lock on the state folder: one process at a time writes there. The operating system holds it on the open
//! file, so that it is gone the moment the process is, however it ends; the file itself stays.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The file's name in the state folder.
pub const LOCK_FILE: &str = "lock";

/// What is read of a holder's own words, in bytes.
const HOLDER_BYTES_MAX: u64 = 4096;

/// The state folder, held for as long as this value lives.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    _file: File,
}

/// Why the state folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("the state folder `{folder}` is in use by {holder}: stop that first, or use another folder")]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The other process: its id and command line as far as it said.
        holder: String,
    },
    /// The folder cannot be made, or nothing can be written in it.
    #[error("cannot write to the state folder `{folder}`: {source}")]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

impl FolderLock {
    /// Takes the folder, making it if need be. `command` is how this process was called; another process that
    /// wants the folder will be shown it. Never waits.
    pub fn acquire(folder: &Path, command: &str) -> Result<Self, LockError> {
        let unwritable = |source| LockError::Unwritable { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(unwritable)?;
        let path = folder.join(LOCK_FILE);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held { folder: folder.to_owned(), holder: holder(&mut file) });
            }
            Err(errno) => return Err(unwritable(errno.into())),
        }
        let introduce = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}\n{}", std::process::id(), command.replace('\n', " "))
        };
        introduce(&mut file).map_err(unwritable)?;
        Ok(Self { folder: folder.to_owned(), _file: file })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What the holder wrote about itself. It may be about to: then nothing is known of it.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut text);
    match (read, text.split_once('\n')) {
        (Ok(_), Some((pid, command))) if pid.parse::<u32>().is_ok() => match command.trim() {
            "" => format!("process {pid}"),
            command => format!("process {pid} (`{command}`)"),
        },
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path(), "towpath up\n--port 1").unwrap();
        let refused = FolderLock::acquire(folder.path(), "towpath run").unwrap_err().to_string();
        let holder = format!("process {} (`towpath up --port 1`)", std::process::id());
        assert!(refused.contains(&holder), "{refused}");
        drop(held);
        FolderLock::acquire(folder.path(), "towpath run").unwrap();
    }

    #[test]
    fn a_folder_is_made_with_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        assert_eq!(FolderLock::acquire(&deep, "").unwrap().folder(), deep);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said_plainly() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let refused = FolderLock::acquire(&folder.path().join("file/state"), "").unwrap_err().to_string();
        assert!(refused.starts_with("cannot write to the state folder `"), "{refused}");
    }
}
