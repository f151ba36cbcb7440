//! Content on its way into the store, and the one moment at which it becomes an object.

use super::{ArtifactStore, Notes, make_folders, sync_folders};
use engine::action::ArtifactLocation;
use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A file that is gone with this value, unless it was [`create`](ArtifactStore::create)d as an object.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    file: File,
}

/// What became of content that was to be a new object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is one now.
    New,
    /// The object was there, with this very content: somebody tried again.
    Same,
    /// The key is taken by other content, which stays.
    Taken,
}

impl Incoming {
    /// An empty file beside the objects.
    pub fn begin(store: &ArtifactStore) -> io::Result<Self> {
        Self::at(store.scratch()?)
    }

    pub(super) fn at(path: PathBuf) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// Adds to it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Hands on all of its content, piece by piece.
    pub fn read_through(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut bytes = vec![0; PIECE_BYTES];
        loop {
            match self.file.read(&mut bytes)? {
                0 => return Ok(()),
                count => take(&bytes[..count]),
            }
        }
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It may have been moved. What cannot be removed now is swept later.
        let _ = fs::remove_file(&self.path);
    }
}

impl ArtifactStore {
    /// Makes a new object of what came in: whole and on disk, or not at all. Unlike [`put`](Self::put), which trusts
    /// the core that no key is used twice, it never replaces one, whoever else is writing.
    pub fn create(&self, location: &ArtifactLocation, incoming: &Incoming, notes: &Notes) -> io::Result<Put> {
        let path = self.path(location)?;
        let folder = path.parent().unwrap_or(self.root());
        let made = match make_folders(folder) {
            Ok(made) => made,
            // Part of the key is another object.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) => {
                return Ok(Put::Taken);
            }
            Err(error) => return Err(error),
        };
        notes.keep(&incoming.file);
        incoming.file.sync_all()?;
        match fs::hard_link(&incoming.path, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let same = path.is_file() && is_same(&incoming.path, &path)?;
                return Ok(if same { Put::Same } else { Put::Taken });
            }
            Err(error) => return Err(error),
        }
        sync_folders(folder, &made)?;
        Ok(Put::New)
    }
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut one = BufReader::with_capacity(PIECE_BYTES, one);
    let mut other = BufReader::with_capacity(PIECE_BYTES, other);
    let (mut here, mut there) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let count = one.read(&mut here)?;
        if count == 0 {
            return Ok(true);
        }
        other.read_exact(&mut there[..count])?;
        if here[..count] != there[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> ArtifactLocation {
        ArtifactLocation { bucket: "bucket".into(), key: key.into() }
    }

    fn incoming(store: &ArtifactStore, text: &str) -> Incoming {
        let mut incoming = Incoming::begin(store).unwrap();
        incoming.write(text.as_bytes()).unwrap();
        incoming
    }

    fn notes(etag: &str) -> Notes {
        Notes { etag: etag.into(), checksum: Some(("crc32".into(), "AAAAAA==".into())) }
    }

    #[test]
    fn a_key_is_written_once_and_again_only_with_the_same_content() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path().join("artifacts"));
        let create = |key: &str, text: &str| store.create(&at(key), &incoming(&store, text), &notes("abc"));
        assert_eq!(create("p/a/1", "one").unwrap(), Put::New);
        assert_eq!(create("p/a/1", "one").unwrap(), Put::Same);
        assert_eq!(create("p/a/1", "two").unwrap(), Put::Taken);
        assert_eq!(create("p/a/1", "three").unwrap(), Put::Taken);
        assert_eq!(create("p/a", "a folder is in the way").unwrap(), Put::Taken);
        assert_eq!(create("p/a/1/2", "a file is in the way").unwrap(), Put::Taken);
        assert_eq!(create("p/a/1/2/3", "a file is in the way").unwrap(), Put::Taken);
        assert_eq!(fs::read(store.get(&at("p/a/1")).unwrap()).unwrap(), b"one");
        assert_eq!(
            fs::read_dir(store.root().join(".incoming")).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }

    #[test]
    fn an_etag_stays_the_same_and_says_whether_it_is_an_md5() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path());
        let file = store.scratch().unwrap();
        fs::write(&file, "made here").unwrap();
        store.put(&at("here"), &file).unwrap();
        let first = store.open(&at("here")).unwrap();
        assert!(first.notes.etag.contains('-') && first.notes.checksum.is_none(), "{:?}", first.notes);
        assert_eq!(store.open(&at("here")).unwrap().notes, first.notes);
        store.create(&at("sent"), &incoming(&store, "sent"), &notes("abc")).unwrap();
        let sent = store.open(&at("sent")).unwrap();
        assert_eq!(sent.length, 4);
        // A file system without attributes knows no MD5 any more.
        assert!(sent.notes == notes("abc") || sent.notes.etag.contains('-'), "{:?}", sent.notes);
    }
}
