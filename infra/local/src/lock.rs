//! The lock on the state folder: one process at a time writes there. The operating system holds it on the open
//! file, so that it is gone the moment the process is, however it ends; the file itself stays.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The file's name in the state folder.
pub const LOCK_FILE: &str = "lock";

/// What is read of a holder's own words, in bytes.
const HOLDER_BYTES_MAX: u64 = 4096;

/// How long the lock of a holder that is gone may still be held. A process it was just starting when it was killed
/// has its open files until it becomes the program it was made for: milliseconds, more on a busy machine.
const HEIRS_MAX: Duration = Duration::from_secs(2);
/// How often that is looked at.
const HEIRS_LOOK: Duration = Duration::from_millis(5);

/// The state folder, held for as long as this value lives.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    file: File,
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
    /// wants the folder will be shown it. Does not wait for a holder that is alive; blocks for at most two seconds
    /// while one that was killed is still letting go.
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
        let began = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(unwritable(errno.into())),
            }
            let holder = holder(&mut file);
            if !holder.is_gone() || began.elapsed() > HEIRS_MAX {
                return Err(LockError::Held { folder: folder.to_owned(), holder: holder.shown });
            }
            thread::sleep(HEIRS_LOOK);
        }
        let introduce = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}\n{}", std::process::id(), command.replace('\n', " "))
        };
        introduce(&mut file).map_err(unwritable)?;
        Ok(Self { folder: folder.to_owned(), file })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for FolderLock {
    /// Closing the file is not enough: a process that is just being started has it too, until it becomes the program
    /// it was made for.
    fn drop(&mut self) {
        // Should it fail, the file is closed next.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Who holds a folder.
struct Holder {
    id: Option<Pid>,
    shown: String,
}

impl Holder {
    /// No process has its id any more.
    fn is_gone(&self) -> bool {
        self.id.is_some_and(|id| test_kill_process(id) == Err(Errno::SRCH))
    }
}

/// What the holder wrote about itself. It may be about to: then nothing is known of it.
fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_BYTES_MAX).read_to_string(&mut text));
    let (id, command) = text.split_once('\n').unwrap_or_default();
    let id = id.parse().ok().filter(|_| read.is_ok()).and_then(Pid::from_raw);
    let shown = match (id, command.trim()) {
        (None, _) => "another process".to_owned(),
        (Some(id), "") => format!("process {}", id.as_raw_nonzero()),
        (Some(id), command) => format!("process {} (`{command}`)", id.as_raw_nonzero()),
    };
    Holder { id, shown }
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
    fn a_folder_that_was_let_go_is_free_although_a_process_under_way_still_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path(), "towpath up").unwrap();
        let inherited = held.file.try_clone().unwrap();
        drop(held);
        FolderLock::acquire(folder.path(), "towpath run").unwrap();
        drop(inherited);
    }

    #[test]
    fn a_killed_holder_whose_last_child_has_not_let_go_yet_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path(), "towpath up").unwrap();
        // The id of a process that has ended stands in the file, and the lock is held all the same.
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        fs::write(folder.path().join(LOCK_FILE), format!("{}\ntowpath up\n", ended.id())).unwrap();
        let heir = thread::spawn(move || {
            thread::sleep(HEIRS_LOOK * 4);
            drop(held);
        });
        FolderLock::acquire(folder.path(), "towpath run").unwrap();
        heir.join().unwrap();
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
