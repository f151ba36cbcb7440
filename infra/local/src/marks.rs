//! Notes of those who tell the world, as files beside the log: one for each key, replaced whole. What is lost of them is
//! told twice, nothing more, so they are not made durable one by one.

use engine::ports::{Mark, Marks, MarksError};
use events::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Marks in a folder.
pub struct MarkFiles {
    folder: PathBuf,
    /// One at a time: a mark is read and written in one go.
    turn: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u64,
    expires: Timestamp,
    note: String,
}

impl MarkFiles {
    /// Marks in a folder, which is made when something is noted.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, turn: Mutex::new(()) }
    }

    /// Removes what nobody needs any more. Returns how many there were.
    pub fn sweep(&self, now: Timestamp) -> std::io::Result<usize> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut removed = 0;
        for entry in entries {
            let path = entry?.path();
            let stored = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
            if stored.is_none_or(|stored| stored.expires < now) {
                fs::remove_file(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Keys have letters, digits, `#`, `-` and `_`.
    fn path(&self, key: &str) -> Result<PathBuf, MarksError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "#-_".contains(c);
        match !key.is_empty() && key.len() <= 200 && key.chars().all(legal) {
            true => Ok(self.folder.join(format!("{}.json", key.replace('#', ".")))),
            false => Err(MarksError(format!("`{key}` is no key"))),
        }
    }

    fn read(path: &Path) -> Result<Option<Stored>, MarksError> {
        match fs::read(path) {
            // A file that a crash cut short is as good as none.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(said(path, &error)),
        }
    }
}

fn said(path: &Path, error: &dyn std::fmt::Display) -> MarksError {
    MarksError(format!("`{}`: {error}", path.display()))
}

impl Marks for MarkFiles {
    async fn get(&self, key: &str) -> Result<Option<Mark>, MarksError> {
        let stored = Self::read(&self.path(key)?)?;
        Ok(stored.map(|Stored { version, note, .. }| Mark { version, note }))
    }

    async fn put(&self, key: &str, seen: u64, note: &str, expires: Timestamp) -> Result<bool, MarksError> {
        let path = self.path(key)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if Self::read(&path)?.map_or(0, |stored| stored.version) != seen {
            return Ok(false);
        }
        let stored = Stored { version: seen + 1, expires, note: note.to_owned() };
        let bytes = serde_json::to_vec(&stored).map_err(|error| said(&path, &error))?;
        let fresh = path.with_extension("json.new");
        let write = || {
            fs::create_dir_all(&self.folder)?;
            fs::write(&fresh, bytes)?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|error| said(&path, &error))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_is_written_over_the_one_that_was_seen_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let marks = MarkFiles::new(folder.path().join("told"));
        let key = "once#notice#0a1b-2c#team";
        assert_eq!(marks.get(key).await.unwrap(), None);
        assert!(marks.put(key, 0, "{}", Timestamp(10)).await.unwrap());
        assert!(!marks.put(key, 0, "{\"late\":1}", Timestamp(10)).await.unwrap());
        assert!(marks.put(key, 1, "{\"next\":1}", Timestamp(20)).await.unwrap());
        let mark = marks.get(key).await.unwrap().unwrap();
        assert_eq!((mark.version, mark.note.as_str()), (2, "{\"next\":1}"));
        let again = MarkFiles::new(folder.path().join("told"));
        assert_eq!(again.get(key).await.unwrap(), Some(mark));
        assert_eq!(again.sweep(Timestamp(20)).unwrap(), 0);
        assert_eq!(again.sweep(Timestamp(21)).unwrap(), 1);
        assert_eq!(again.get(key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let marks = MarkFiles::new(folder.path().join("told"));
        for key in ["", "../x", "a/b", "a.b", &"x".repeat(201)] {
            marks.put(key, 0, "{}", Timestamp(1)).await.unwrap_err();
        }
        assert_eq!(marks.sweep(Timestamp(1)).unwrap(), 0);
    }
}
