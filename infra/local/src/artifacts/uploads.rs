//! Objects that come in parts. An upload is a folder, a part is a file in it, named by its number and MD5; so an
//! upload outlives a restart, and nothing about it is kept in memory.

use super::{ArtifactStore, INCOMING, Incoming};
use engine::action::ArtifactLocation;
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// Uploads under way, most.
pub const UPLOADS_MAX: usize = 1000;
/// How long an upload, or a file that a crash left, is kept: a day.
pub const UPLOAD_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the folder of an upload begins with.
const PREFIX: &str = "upload-";
/// The file in it that says which object it is to become.
const TARGET: &str = "target";
/// Letters of an upload's id.
const ID_LETTERS: usize = 32;

/// An upload under way.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id.
    pub id: String,
    folder: PathBuf,
}

/// A part that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: u32,
    /// Its MD5 in hexadecimal.
    pub etag: String,
    /// Bytes of it.
    pub length: u64,
    /// When it came.
    pub modified: SystemTime,
}

impl ArtifactStore {
    /// Begins an upload. An error of kind `QuotaExceeded` when there are too many.
    pub fn begin_upload(&self, location: &ArtifactLocation) -> io::Result<Upload> {
        self.path(location)?;
        let incoming = self.root.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        let uploads = fs::read_dir(&incoming)?.filter_map(Result::ok);
        let count = uploads.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).count();
        if count >= UPLOADS_MAX {
            let text = format!("{UPLOADS_MAX} multipart uploads are under way: complete or abort some");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, text));
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let folder = incoming.join(format!("{PREFIX}{id}"));
        fs::create_dir(&folder)?;
        fs::write(folder.join(TARGET), format!("{}\n{}", location.bucket, location.key))?;
        Ok(Upload { id, folder })
    }

    /// An upload under way. An error of kind `NotFound` when there is none of that id for that object.
    pub fn upload(&self, id: &str, location: &ArtifactLocation) -> io::Result<Upload> {
        let none = || io::Error::new(ErrorKind::NotFound, "there is no such upload");
        if id.len() != ID_LETTERS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(none());
        }
        let folder = self.root.join(INCOMING).join(format!("{PREFIX}{id}"));
        let target = fs::read_to_string(folder.join(TARGET)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => none(),
            _ => error,
        })?;
        if target != format!("{}\n{}", location.bucket, location.key) {
            return Err(none());
        }
        Ok(Upload { id: id.to_owned(), folder })
    }

    /// Removes what has come in and was not touched for [`UPLOAD_KEPT`]: nobody will come back for it.
    pub fn sweep_incoming(&self, now: SystemTime) -> io::Result<usize> {
        let entries = match fs::read_dir(self.root.join(INCOMING)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let age = now.duration_since(metadata.modified()?).unwrap_or_default();
            if age < UPLOAD_KEPT {
                continue;
            }
            match metadata.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
            removed += 1;
        }
        Ok(removed)
    }
}

impl Upload {
    /// An empty file for a part.
    pub fn begin_part(&self) -> io::Result<Incoming> {
        Incoming::at(self.folder.join(format!("incoming-{}", uuid::Uuid::new_v4().simple())))
    }

    /// Keeps a part that has come in whole; one of the same number that was there before is gone.
    pub fn keep_part(&self, incoming: &Incoming, number: u32, etag: &str) -> io::Result<()> {
        let name = part_name(number, etag);
        fs::rename(incoming.path(), self.folder.join(&name))?;
        let start = part_name(number, "");
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let other = entry.file_name().to_string_lossy().into_owned();
            if other.starts_with(&start) && other != name {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Parts that are there, by number.
    pub fn parts(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((number, etag)) = name.strip_prefix("part-").and_then(|rest| rest.split_once('-'))
            else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            let metadata = entry.metadata()?;
            let modified = metadata.modified()?;
            parts.push(Part { number, etag: etag.to_owned(), length: metadata.len(), modified });
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// One file of these parts, in this order. They stay, in case the answer is lost.
    pub fn join(&self, parts: &[Part]) -> io::Result<Incoming> {
        let mut whole = self.begin_part()?;
        for part in parts {
            let mut file = File::open(self.folder.join(part_name(part.number, &part.etag)))?;
            // From file to file the kernel copies, or shares, by itself.
            io::copy(&mut file, whole.file())?;
        }
        Ok(whole)
    }

    /// Throws the parts away.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

fn part_name(number: u32, etag: &str) -> String {
    format!("part-{number:05}-{etag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> ArtifactLocation {
        ArtifactLocation { bucket: "bucket".into(), key: key.into() }
    }

    fn send(upload: &Upload, number: u32, text: &str, etag: &str) {
        let mut part = upload.begin_part().unwrap();
        part.write(text.as_bytes()).unwrap();
        upload.keep_part(&part, number, etag).unwrap();
    }

    #[test]
    fn parts_become_one_file_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path());
        let begun = store.begin_upload(&at("k")).unwrap();
        send(&begun, 2, "world", "bb");
        send(&begun, 1, "hallo ", "aa");
        send(&begun, 1, "hello ", "cc");
        drop(begun.begin_part().unwrap());
        let upload = store.upload(&begun.id, &at("k")).unwrap();
        let parts = upload.parts().unwrap();
        let seen: Vec<_> = parts.iter().map(|part| (part.number, part.etag.as_str(), part.length)).collect();
        assert_eq!(seen, [(1, "cc", 6), (2, "bb", 5)]);
        let whole = upload.join(&parts).unwrap();
        assert_eq!(fs::read_to_string(whole.path()).unwrap(), "hello world");
        upload.remove().unwrap();
        assert_eq!(store.upload(&begun.id, &at("k")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_upload_is_found_by_its_id_and_its_object_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path());
        let begun = store.begin_upload(&at("k")).unwrap();
        for (id, key) in [(begun.id.as_str(), "other"), ("../..", "k"), ("", "k"), (&"0".repeat(32), "k")] {
            assert_eq!(store.upload(id, &at(key)).unwrap_err().kind(), ErrorKind::NotFound, "{id} {key}");
        }
        assert!(store.begin_upload(&at("../k")).is_err());
    }

    #[test]
    fn what_nobody_came_back_for_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path());
        assert_eq!(store.sweep_incoming(SystemTime::now()).unwrap(), 0);
        let begun = store.begin_upload(&at("k")).unwrap();
        fs::write(store.scratch().unwrap(), "left").unwrap();
        assert_eq!(store.sweep_incoming(SystemTime::now()).unwrap(), 0);
        assert!(store.upload(&begun.id, &at("k")).is_ok());
        assert_eq!(store.sweep_incoming(SystemTime::now() + 2 * UPLOAD_KEPT).unwrap(), 2);
        assert!(store.upload(&begun.id, &at("k")).is_err());
    }
}
