//! Tells when an object of a bucket that is a folder here has another content.

use super::{FOLDER_INTERVAL, Stamp, stamp};
use crate::runners::{object_file, object_version};
use crate::settings::Settings;
use std::path::{Path, PathBuf};
use tokio::time::sleep;

/// A watcher of one object.
pub struct ObjectWatch {
    file: PathBuf,
    last: Option<String>,
    /// The file as it was when its version was last taken.
    taken: Option<Stamp>,
    /// The file as the last look found it: it is read when two looks find the same, since it may be being written.
    found: Option<Stamp>,
    is_first: bool,
}

impl ObjectWatch {
    /// A watcher; `None` when the bucket or the key cannot be that of a file here. The version `last_seen`, or
    /// without it the one that the first look finds, is not reported.
    pub fn new(
        settings: &Settings,
        state: &Path,
        bucket: &str,
        key: &str,
        last_seen: Option<String>,
    ) -> Option<Self> {
        let file = object_file(settings, state, bucket, key)?;
        let is_first = last_seen.is_none();
        Some(Self { file, last: last_seen, taken: None, found: None, is_first })
    }

    /// Waits for another version. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> String {
        loop {
            if let Some(version) = self.look().await {
                return version;
            }
            sleep(FOLDER_INTERVAL).await;
        }
    }

    /// The version last seen.
    pub fn last_seen(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// One look: the version, if it is another one than before.
    pub async fn look(&mut self) -> Option<String> {
        let now = stamp(&self.file);
        let is_still = self.found == now;
        self.found = now;
        if !is_still || now.is_none() || self.taken == now {
            // Not there at the first look: whatever comes is new.
            self.is_first &= now.is_some();
            return None;
        }
        let file = self.file.clone();
        let version = tokio::task::spawn_blocking(move || object_version(&file)).await.ok()?.ok()?;
        if stamp(&self.file) != now {
            return None;
        }
        self.taken = now;
        let is_first = std::mem::replace(&mut self.is_first, false);
        if self.last.as_ref() == Some(&version) {
            return None;
        }
        self.last = Some(version.clone());
        (!is_first).then_some(version)
    }
}
