//! Keys of a bucket, page by page, in the order of their bytes.

use super::{ArtifactStore, INCOMING, Notes, is_inside};
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
    time::SystemTime,
};

/// Which keys.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// What each begins with.
    pub prefix: &'a str,
    /// Only what comes behind this.
    pub after: &'a str,
    /// Whether keys become one entry by what stands before their next `/`.
    pub grouped: bool,
    /// Entries, most.
    pub max: usize,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object {
        /// Its key.
        key: String,
        /// Bytes of it.
        length: u64,
        /// When it was written.
        modified: SystemTime,
        /// Its ETag.
        etag: String,
    },
    /// Keys that begin with this; it ends in `/`.
    Group(String),
}

/// A page of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub entries: Vec<Entry>,
    /// Whether more follow.
    pub more: bool,
}

impl Entry {
    /// The key, or what the keys begin with.
    pub fn name(&self) -> &str {
        match self {
            Self::Object { key, .. } | Self::Group(key) => key,
        }
    }
}

impl ArtifactStore {
    /// Names of the buckets that have an object, in order.
    pub fn buckets(&self) -> io::Result<Vec<(String, SystemTime)>> {
        let names = sorted_names(&self.root)?
            .into_iter()
            .filter(|(name, is_folder)| *is_folder && !name.starts_with(INCOMING));
        names
            .map(|(name, _)| {
                let name = name.trim_end_matches('/').to_owned();
                let made = fs::metadata(self.root.join(&name))?.modified()?;
                Ok((name, made))
            })
            .collect()
    }

    /// A page of a bucket's keys.
    pub fn list(&self, bucket: &str, wanted: &Wanted<'_>) -> io::Result<Page> {
        let mut page = Page::default();
        if wanted.max == 0 || bucket.contains('/') || !is_inside(bucket) {
            return Ok(page);
        }
        // Nothing outside of the prefix's own folder can match.
        let folder = wanted.prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() && !is_inside(folder) {
            return Ok(page);
        }
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        walk(&self.root.join(bucket), &start, wanted, &mut page)?;
        Ok(page)
    }
}

/// Goes through the folder that `start` names. A key has at most 1024 bytes, so this is never deeper than 512.
fn walk(bucket: &Path, start: &str, wanted: &Wanted<'_>, page: &mut Page) -> io::Result<()> {
    for (name, is_folder) in sorted_names(&bucket.join(start))? {
        let full = format!("{start}{name}");
        let fits = full.starts_with(wanted.prefix) || (is_folder && wanted.prefix.starts_with(&full));
        // Everything below a folder begins with its name, so it may still hold what comes behind.
        let behind = full.as_str() > wanted.after
            || (is_folder && wanted.after.starts_with(&full) && !(wanted.grouped && wanted.after == full));
        if !fits || !behind || page.more {
            continue;
        }
        let is_group =
            is_folder && wanted.grouped && full.starts_with(wanted.prefix) && full != wanted.prefix;
        if is_folder && !is_group {
            walk(bucket, &full, wanted, page)?;
            continue;
        }
        if is_group && full.as_str() <= wanted.after {
            continue;
        }
        if page.entries.len() >= wanted.max {
            page.more = true;
            return Ok(());
        }
        if is_group {
            page.entries.push(Entry::Group(full));
            continue;
        }
        let file = match File::open(bucket.join(&full)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let etag = Notes::of(&file, &metadata).etag;
        let modified = metadata.modified()?;
        page.entries.push(Entry::Object { key: full, length: metadata.len(), modified, etag });
    }
    Ok(())
}

/// What lies in a folder: folders with a `/` behind their names, so that the order is that of whole keys.
fn sorted_names(folder: &Path) -> io::Result<Vec<(String, bool)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A name that is not UTF-8 is nobody's key.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            names.push((format!("{name}/"), true));
        } else if kind.is_file() {
            names.push((name, false));
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::action::ArtifactLocation;

    const KEYS: [&str; 6] = ["a", "a.txt", "p/In/1", "p/Out/1", "p/Out/2", "q/x"];

    fn store() -> (tempfile::TempDir, ArtifactStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(dir.path());
        for key in KEYS {
            let file = store.scratch().unwrap();
            fs::write(&file, key).unwrap();
            store.put(&ArtifactLocation { bucket: "b".into(), key: key.into() }, &file).unwrap();
        }
        (dir, store)
    }

    fn names(page: &Page) -> Vec<&str> {
        page.entries.iter().map(Entry::name).collect()
    }

    #[test]
    fn keys_come_in_order_of_their_bytes_whatever_the_page_s_size() {
        let (_dir, store) = store();
        for max in 1..=KEYS.len() {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = store.list("b", &Wanted { max, after: &after, ..Wanted::default() }).unwrap();
                seen.extend(names(&page).into_iter().map(str::to_owned));
                after = seen.last().unwrap().clone();
                if !page.more {
                    break;
                }
            }
            assert_eq!(seen, KEYS, "{max} to a page");
        }
    }

    #[test]
    fn keys_are_found_by_prefix_and_grouped() {
        let (_dir, store) = store();
        let list = |prefix: &str, grouped: bool, after: &str| {
            let page = store.list("b", &Wanted { prefix, grouped, after, max: 10 }).unwrap();
            names(&page).join(" ")
        };
        assert_eq!(list("p/", false, ""), "p/In/1 p/Out/1 p/Out/2");
        assert_eq!(list("p/O", false, ""), "p/Out/1 p/Out/2");
        assert_eq!(list("a", false, ""), "a a.txt");
        assert_eq!(list("p/Out/1", false, ""), "p/Out/1");
        assert_eq!(list("", true, ""), "a a.txt p/ q/");
        assert_eq!(list("", true, "p/"), "q/");
        assert_eq!(list("p/", true, ""), "p/In/ p/Out/");
        assert_eq!(list("p", true, ""), "p/");
        assert_eq!(list("", false, "p/Out/1"), "p/Out/2 q/x");
        for none in ["x", "../", "p//", "a/", "p/In/1/", ".incoming", &format!("{}/", "x".repeat(300))] {
            assert_eq!(list(none, false, ""), "", "{none}");
        }
        assert_eq!(store.list("..", &Wanted { max: 10, ..Wanted::default() }).unwrap(), Page::default());
        assert_eq!(store.buckets().unwrap().len(), 1);
    }
}
