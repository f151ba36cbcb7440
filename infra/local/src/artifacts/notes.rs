//! What is known of an object's content, kept with its file as extended attributes: it moves and goes with the file.

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt as _,
};

const ETAG: &str = "user.towpath.etag";
const CHECKSUM: &str = "user.towpath.checksum";
/// Bytes of a note, most.
const NOTE_BYTES_MAX: usize = 256;

/// An object's ETag and checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// As on S3 the MD5 of the content, or for one that came in parts something with a `-`.
    pub etag: String,
    /// Algorithm and value of a checksum over all of the content, if its writer sent one.
    pub checksum: Option<(String, String)>,
}

impl Notes {
    /// Reads them. An object that a runner on this machine wrote has none, nor has any where the file system keeps
    /// none: then the ETag follows from the file itself, and its `-` keeps clients from taking it for an MD5.
    pub(super) fn of(file: &File, metadata: &Metadata) -> Self {
        let etag = read(file, ETAG).unwrap_or_else(|| {
            let facts = [metadata.len(), metadata.ino(), metadata.dev()].map(u64::to_be_bytes).concat();
            let time = [metadata.mtime(), metadata.mtime_nsec()].map(i64::to_be_bytes).concat();
            let hash = Sha256::digest([facts, time].concat());
            hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>() + "-1"
        });
        let checksum = read(file, CHECKSUM);
        let checksum = checksum.and_then(|text| {
            let (algorithm, value) = text.split_once(':')?;
            Some((algorithm.to_owned(), value.to_owned()))
        });
        Self { etag, checksum }
    }

    /// Keeps them. A file system without attributes is no reason to refuse an artifact.
    pub(super) fn keep(&self, file: &File) {
        let checksum = self.checksum.as_ref().map(|(algorithm, value)| format!("{algorithm}:{value}"));
        let checksum = checksum.as_deref().map(|text| (CHECKSUM, text));
        for (name, text) in [Some((ETAG, self.etag.as_str())), checksum].into_iter().flatten() {
            if let Err(error) = fsetxattr(file, name, text.as_bytes(), XattrFlags::empty()) {
                tracing::debug!(%error, name, "the file system keeps no attributes");
            }
        }
    }
}

fn read(file: &File, name: &str) -> Option<String> {
    let mut bytes = [0; NOTE_BYTES_MAX];
    let length = fgetxattr(file, name, &mut bytes[..]).ok()?;
    let text = String::from_utf8(bytes.get(..length)?.to_vec()).ok()?;
    // Whoever may write the file may write this too; into a header goes only what can stand there.
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}
