//! The build cache: files of the source directory kept from one build of a project to the next
//! (`spec/buildspec-and-appspec.md`, A10).
//!
//! Paths in the home folder need no cache here: builds share the real one. A cache that cannot be used is a
//! warning, never a failure.

use super::{
    Voice,
    buildspec::Cache,
    environment::expand,
    workspace::{file_name, remove},
};
use crate::patterns::{Findings, Patterns, Search};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Where one project's cache lies and what for.
pub(super) struct Slots<'a> {
    pub(super) folder: PathBuf,
    pub(super) source: &'a Path,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) files_max: u64,
    pub(super) voice: &'a Voice,
}

impl Slots<'_> {
    /// The folder of a project's cache.
    pub(super) fn folder(state: &Path, project: &str) -> PathBuf {
        state.join("cache").join(file_name(project))
    }

    /// Copies what an earlier build kept into the source directory; files of the source itself stay as they
    /// are.
    pub(super) fn restore(&self, cache: &Cache, key: Option<&str>, fallbacks: &[String]) {
        let Some(slot) = self.slot_to_restore(key, fallbacks) else {
            return self.voice.say("Cache: nothing kept yet");
        };
        let restored = self.patterns(cache).and_then(|patterns| {
            let files = slot.join("files");
            let findings = self.search(&files, &patterns)?;
            copy(&findings, self.source, Existing::Keep).map_err(|error| error.to_string())?;
            Ok(findings.files.len())
        });
        self.voice.say(&match restored {
            Ok(count) => format!("Cache: {count} file(s) restored"),
            Err(message) => format!("Warning: the cache cannot be restored: {message}"),
        });
    }

    /// Keeps files for later builds. A key that is there already is not written again.
    pub(super) fn save(&self, cache: &Cache, key: Option<&str>) {
        let slot = self.slot(key);
        if key.is_some() && slot.is_dir() {
            return self.voice.say("Cache: this key is kept already");
        }
        let saved = self.patterns(cache).and_then(|patterns| {
            let findings = self.search(self.source, &patterns)?;
            self.write(&slot, key, &findings).map_err(|error| error.to_string())?;
            Ok(findings.files.len())
        });
        self.voice.say(&match saved {
            Ok(count) => format!("Cache: {count} file(s) kept"),
            Err(message) => format!("Warning: the cache cannot be kept: {message}"),
        });
    }

    /// Written beside and moved into place, so that a crash leaves no half of a cache.
    fn write(&self, slot: &Path, key: Option<&str>, findings: &Findings) -> io::Result<()> {
        let new = self.folder.join(format!("new-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(new.join("files"))?;
        let written = copy(findings, &new.join("files"), Existing::Replace)
            .and_then(|()| fs::write(new.join("key"), key.unwrap_or_default()))
            .and_then(|()| remove(slot))
            .and_then(|()| fs::rename(&new, slot));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = remove(&new);
        }
        written
    }

    fn slot(&self, key: Option<&str>) -> PathBuf {
        let name = key.map_or("default".to_owned(), |key| {
            Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
        });
        self.folder.join(name)
    }

    /// The key's own slot, else the newest one whose key begins with the first fallback that has any.
    fn slot_to_restore(&self, key: Option<&str>, fallbacks: &[String]) -> Option<PathBuf> {
        let own = self.slot(key);
        if own.is_dir() {
            return Some(own);
        }
        key?;
        let slots: Vec<(String, PathBuf)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|slot| Some((fs::read_to_string(slot.path().join("key")).ok()?, slot.path())))
            .filter(|(key, _)| !key.is_empty())
            .collect();
        fallbacks.iter().find_map(|prefix| {
            let matching = slots.iter().filter(|(key, _)| key.starts_with(prefix.as_str()));
            let newest =
                matching.max_by_key(|(_, path)| fs::metadata(path).and_then(|about| about.modified()).ok());
            newest.map(|(_, path)| path.clone())
        })
    }

    /// The patterns that lie in the source directory.
    fn patterns(&self, cache: &Cache) -> Result<Patterns, String> {
        let mut inside = Vec::new();
        for written in &cache.paths {
            let path = expand(written, self.variables);
            match Path::new(&path).strip_prefix(self.source) {
                Ok(relative) => inside.push(relative.to_string_lossy().into_owned()),
                Err(_) if path.starts_with(['/', '~']) => {
                    self.voice
                        .say(&format!("Cache: `{written}` lies outside the source directory: left alone"));
                }
                Err(_) => inside.push(path),
            }
        }
        Patterns::new(inside).map_err(|error| error.to_string())
    }

    fn search(&self, base: &Path, files: &Patterns) -> Result<Findings, String> {
        let search =
            Search { base, tree: base, files, except: None, keep_links: true, files_max: self.files_max };
        search.run().map_err(|error| error.to_string())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

fn copy(findings: &Findings, into: &Path, existing: Existing) -> io::Result<()> {
    for found in &findings.files {
        let target = into.join(&found.name);
        if existing == Existing::Keep && target.symlink_metadata().is_ok() {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        if found.is_link {
            symlink(fs::read_link(&found.path)?, &target)?;
            continue;
        }
        fs::copy(&found.path, &target)?;
        // Build tools compare times; without its own a file would look newer than what was made from it. A
        // copy that is read-only cannot be given one.
        let modified = fs::metadata(&found.path)?.modified()?;
        if let Ok(file) = fs::File::options().write(true).open(&target) {
            file.set_modified(modified)?;
        }
    }
    Ok(())
}
