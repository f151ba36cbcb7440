//! Where symbolic links lead, worked out without touching what they point to.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

/// Links followed in a row; the kernel's own bound.
const HOPS_MAX: u32 = 40;

/// The links of an archive by name. The folder they are made in is empty before, so they and plain folders are
/// all a path can meet there.
#[derive(Default)]
pub(super) struct Links(BTreeMap<String, String>);

impl Links {
    /// Notes a link; false when the name is taken.
    pub(super) fn insert(&mut self, name: String, target: String) -> bool {
        self.0.insert(name, target).is_none()
    }

    /// Names and targets, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, target)| (name.as_str(), target.as_str()))
    }

    /// The first link that leads out of the folder, or so far in circles that nobody should follow it.
    pub(super) fn escaping(&self) -> Option<String> {
        self.0.keys().find(|name| !self.stays(name)).cloned()
    }

    /// Follows a name part by part, as the kernel would: a link's target takes its place, `..` steps back from
    /// where the links before it really led.
    fn stays(&self, name: &str) -> bool {
        let mut todo: Vec<&str> = name.rsplit('/').collect();
        let mut here = String::new();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part {
                "" | "." => {}
                ".." => {
                    if here.is_empty() {
                        return false;
                    }
                    here.truncate(here.rfind('/').unwrap_or(0));
                }
                part => {
                    let parent = here.len();
                    if parent > 0 {
                        here.push('/');
                    }
                    here.push_str(part);
                    let Some(target) = self.0.get(&here) else { continue };
                    hops += 1;
                    if target.starts_with('/') || hops > HOPS_MAX {
                        return false;
                    }
                    here.truncate(parent);
                    todo.extend(target.rsplit('/'));
                }
            }
        }
        true
    }
}

/// Whether a link in a real folder leads to a place inside it, and would still do so if the folder lay
/// elsewhere: a way out and back in does not count. A target that does not exist is judged by its words alone.
pub(super) fn stays_inside(folder: &Path, link: &Path, target: &Path) -> bool {
    let Ok(name) = link.strip_prefix(folder) else { return false };
    let mut depth = name.components().count() - 1;
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    match (folder.canonicalize(), link.canonicalize()) {
        (Ok(folder), Ok(real)) => real.starts_with(folder),
        _ => true,
    }
}
