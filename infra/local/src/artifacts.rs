//! The artifact store: buckets as folders, objects as files.
//!
//! An object is written once and never changed. It is on disk, under its name, before anybody hears that it
//! exists: an event that names an artifact must stay true after a power cut.

mod incoming;
mod listing;
mod notes;
mod uploads;

pub use incoming::{Incoming, Put};
pub use listing::{Entry, Page, Wanted};
pub use notes::Notes;
pub use uploads::{Part, UPLOAD_KEPT, UPLOADS_MAX, Upload};

use engine::action::ArtifactLocation;
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A bucket's name or a key; S3's own bound for keys.
const KEY_BYTES_MAX: usize = 1024;

/// Where what is not an object yet lies, below the store's folder.
const INCOMING: &str = ".incoming";

/// An object, open for reading.
#[derive(Debug)]
pub struct Stored {
    /// Its content.
    pub file: File,
    /// Bytes of it.
    pub length: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// What is known of its content.
    pub notes: Notes,
}

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

    /// The store's folder. A file made below it can be moved into the store without copying.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of an object. Bucket and key are checked: neither may leave the store's folder.
    pub fn path(&self, location: &ArtifactLocation) -> io::Result<PathBuf> {
        let ArtifactLocation { bucket, key } = location;
        if bucket.contains('/') || !is_inside(bucket) {
            return Err(refused(format!("`{bucket}` cannot be the name of a bucket")));
        }
        if !is_inside(key) {
            return Err(refused(format!("`{key}` cannot be the key of an artifact")));
        }
        Ok(self.root.join(bucket).join(key))
    }

    /// The file of an object that is there.
    pub fn get(&self, location: &ArtifactLocation) -> io::Result<PathBuf> {
        let path = self.path(location)?;
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(path),
            Ok(_) => Err(missing(location)),
            // Below another object there is none.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(missing(location))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens an object that is there.
    pub fn open(&self, location: &ArtifactLocation) -> io::Result<Stored> {
        let file = File::open(self.get(location)?)?;
        let metadata = file.metadata()?;
        Ok(Stored {
            length: metadata.len(),
            modified: metadata.modified()?,
            notes: Notes::of(&file, &metadata),
            file,
        })
    }

    /// Whether a bucket has ever had an object.
    pub fn has_bucket(&self, bucket: &str) -> bool {
        !bucket.contains('/') && is_inside(bucket) && self.root.join(bucket).is_dir()
    }

    /// Whether an object is there.
    pub fn exists(&self, location: &ArtifactLocation) -> bool {
        self.get(location).is_ok()
    }

    /// A name for a file that will be [`put`](Self::put): on the same disk as the store, in a folder that is
    /// there, never given out twice.
    pub fn scratch(&self) -> io::Result<PathBuf> {
        let folder = self.root.join(INCOMING);
        fs::create_dir_all(&folder)?;
        Ok(folder.join(uuid::Uuid::new_v4().to_string()))
    }

    /// Moves a finished file into the store: whole and on disk, or not at all. A file on another disk is copied.
    pub fn put(&self, location: &ArtifactLocation, file: &Path) -> io::Result<()> {
        let path = self.path(location)?;
        let folder = path.parent().unwrap_or(&self.root);
        let made = make_folders(folder)?;
        File::open(file)?.sync_all()?;
        if let Err(error) = fs::rename(file, &path) {
            if error.kind() != ErrorKind::CrossesDevices {
                return Err(error);
            }
            let near = self.scratch()?;
            fs::copy(file, &near)?;
            File::open(&near)?.sync_all()?;
            fs::rename(&near, &path)?;
            fs::remove_file(file)?;
        }
        sync_folders(folder, &made)
    }
}

/// A rename, like a new folder, is on disk once the folder that holds the name is.
fn sync_folders(folder: &Path, made: &[PathBuf]) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    made.iter().filter_map(|folder| folder.parent()).try_for_each(|parent| File::open(parent)?.sync_all())
}

/// Makes a folder and those above it; says which ones are new, outermost first.
fn make_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing: Vec<PathBuf> =
        folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    fs::create_dir_all(folder)?;
    Ok(missing
        .into_iter()
        .filter(|folder| folder.parent().is_some_and(|p| p != Path::new("")))
        .rev()
        .collect())
}

fn is_inside(name: &str) -> bool {
    let parts_ok = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    parts_ok && !name.contains('\0') && !name.starts_with(INCOMING) && name.len() <= KEY_BYTES_MAX
}

fn refused(message: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}

fn missing(location: &ArtifactLocation) -> io::Error {
    let ArtifactLocation { bucket, key } = location;
    io::Error::new(ErrorKind::NotFound, format!("there is no artifact `{key}` in the store `{bucket}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bucket: &str, key: &str) -> ArtifactLocation {
        ArtifactLocation { bucket: bucket.into(), key: key.into() }
    }

    #[test]
    fn an_object_is_found_where_it_was_put_and_its_file_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path().join("store"));
        let place = at("bucket", "pipe/Source/abc");
        assert!(!store.exists(&place));
        assert_eq!(store.get(&place).unwrap_err().kind(), ErrorKind::NotFound);
        let file = store.scratch().unwrap();
        fs::write(&file, "content").unwrap();
        store.put(&place, &file).unwrap();
        assert_eq!(fs::read(store.get(&place).unwrap()).unwrap(), b"content");
        assert!(!file.exists());
    }

    #[test]
    fn names_that_leave_the_store_are_refused() {
        let store = ArtifactStore::new("/nowhere");
        for (bucket, key) in [
            ("..", "k"),
            (".", "k"),
            ("", "k"),
            ("a/b", "k"),
            ("b", ""),
            ("b", "/etc/passwd"),
            ("b", "a/../../c"),
            ("b", "a//c"),
            ("b", "a/."),
            ("b", "a\0c"),
            (".incoming", "k"),
        ] {
            let refused = store.path(&at(bucket, key)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{bucket:?} {key:?}");
        }
        assert_eq!(store.path(&at("b", "p/k..zip")).unwrap(), Path::new("/nowhere/b/p/k..zip"));
    }

    #[test]
    fn a_put_without_a_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path());
        assert!(store.put(&at("b", "k"), &dir.path().join("none")).is_err());
        assert!(!store.exists(&at("b", "k")));
    }
}
