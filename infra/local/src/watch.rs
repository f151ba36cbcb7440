//! Tells when references of a repository moved, so that a push starts a pipeline: local mode's change detection
//! (`spec/triggers.md`, section 8).
//!
//! A repository on this machine is watched by reading the files its references lie in: some small reads a second,
//! and no process while nothing changes. Behind a clone URL, `git ls-remote` is asked every ten seconds. What
//! moved twice between two looks is reported once, with its newest commit.

mod describe;
pub mod object;

pub use describe::{NewBranchFiles, commit_of, current_branch, push};

use crate::{
    runners::source::{Git, Place, locate, shown_url},
    settings::Source,
};
use events::Timestamp;
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::sleep};
use walkdir::WalkDir;

/// How often a repository on this machine is looked at.
pub const FOLDER_INTERVAL: Duration = Duration::from_secs(1);
/// How often a clone URL is asked.
pub const URL_INTERVAL: Duration = Duration::from_secs(10);
/// The longest pause after a clone URL did not answer; the pause doubles until then.
pub const URL_INTERVAL_MAX: Duration = Duration::from_secs(300);
/// How long one question to git may take.
const GIT_SECONDS_MAX: i64 = 60;
/// References that lead to references; git's own bound.
const SYMBOLIC_DEPTH_MAX: usize = 5;
/// A file that holds one reference.
const REFERENCE_BYTES_MAX: u64 = 4096;
/// The file of all packed references; a larger one is left to git.
const PACKED_BYTES_MAX: u64 = 64 << 20;
/// References of one repository that are watched, most.
const REFERENCES_MAX: usize = 50_000;
/// Folders within folders that a reference's name may have, most.
const NAME_DEPTH_MAX: usize = 40;

/// Branches (`refs/heads/…`) and tags (`refs/tags/…`) with what they stand at.
pub type Seen = BTreeMap<String, String>;

/// A reference that moved, came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its full name.
    pub name: String,
    /// What it stood at before; `None` for a new one.
    pub old: Option<String>,
    /// What it stands at now; `None` for one that is gone.
    pub new: Option<String>,
}

/// Why a source cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Neither a git repository nor in one.
    #[error("`{0}` is not in a git repository, so there are no pushes to watch for")]
    NotARepository(PathBuf),
    /// The repository's own files do not say where its branches are.
    #[error("`{path}`: {source}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A watcher of one repository.
pub struct Watch {
    key: String,
    target: Target,
    last: Option<Seen>,
    problem: Option<String>,
    pause: Duration,
}

enum Target {
    Folder(References),
    Url(String),
}

impl Watch {
    /// A watcher. What `last_seen` names is remembered and not reported; without it, what the first look finds.
    pub fn new(key: impl Into<String>, source: &Source, last_seen: Option<Seen>) -> Result<Self, WatchError> {
        let (target, pause) = match source {
            Source::Url(url) => (Target::Url(url.clone()), URL_INTERVAL),
            Source::Folder(folder) => {
                let place = locate(folder).ok_or_else(|| WatchError::NotARepository(folder.clone()))?;
                (Target::Folder(References::of(&place)?), FOLDER_INTERVAL)
            }
        };
        Ok(Self { key: key.into(), target, last: last_seen, problem: None, pause })
    }

    /// What was last seen; `None` before the first look.
    pub fn last_seen(&self) -> Option<&Seen> {
        self.last.as_ref()
    }

    /// Why the last look told nothing, for a person; `None` when it did.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The repository, where it lies on this machine.
    pub fn folder(&self) -> Option<&Path> {
        match &self.target {
            Target::Folder(references) => Some(&references.root),
            Target::Url(_) => None,
        }
    }

    /// Waits until something moves, or until the first look is done, which reports nothing. Dropping the future loses
    /// nothing.
    pub async fn changed(&mut self) -> Vec<Change> {
        loop {
            let is_first = self.last.is_none();
            let changes = self.look().await;
            if !changes.is_empty() || (is_first && self.last.is_some()) {
                return changes;
            }
            sleep(self.pause).await;
        }
    }

    /// One look: what moved since the last.
    pub async fn look(&mut self) -> Vec<Change> {
        let seen = match &mut self.target {
            Target::Folder(references) => match references.all() {
                Err(Unknown::AskGit(tables)) => {
                    let answer = ask_git(&references.root).await;
                    if answer.is_ok() {
                        references.tables = Some(tables);
                    }
                    answer.map(Some)
                }
                Err(Unknown::Broken(message)) => Err(message),
                Ok(found) => Ok(found),
            },
            Target::Url(url) => ask_remote(url).await.map(Some),
        };
        let Some(now) = self.note(seen) else { return Vec::new() };
        let Some(before) = self.last.replace(now) else { return Vec::new() };
        let now = self.last.as_ref().unwrap_or(&before);
        let gone = before.keys().filter(|name| !now.contains_key(*name));
        let names = now.keys().filter(|name| before.get(*name) != now.get(*name)).chain(gone);
        names
            .map(|name| Change {
                name: name.clone(),
                old: before.get(name).cloned(),
                new: now.get(name).cloned(),
            })
            .collect()
    }

    /// Keeps the problem, if there is one, says a new one once, and sets the next pause.
    fn note(&mut self, seen: Result<Option<Seen>, String>) -> Option<Seen> {
        let usual = match &self.target {
            Target::Folder(_) => FOLDER_INTERVAL,
            Target::Url(_) => URL_INTERVAL,
        };
        match seen {
            Ok(found) => {
                self.problem = None;
                self.pause = usual;
                found
            }
            Err(message) => {
                self.pause = (self.pause * 2).min(URL_INTERVAL_MAX);
                if self.problem.as_ref() != Some(&message) {
                    tracing::warn!(source = %self.key, problem = %message, "cannot watch");
                }
                self.problem = Some(message);
                None
            }
        }
    }
}

pub(crate) fn git() -> Git {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let deadline = Timestamp(i64::try_from(now).unwrap_or(i64::MAX).saturating_add(GIT_SECONDS_MAX * 1000));
    // Whoever waits for a change stops by dropping the future, so nothing is ever sent here.
    Git::new(deadline, watch::channel(false).1)
}

async fn ask_git(root: &Path) -> Result<Seen, String> {
    let format = "--format=%(objectname) %(refname)";
    let answer =
        git().run(root, ["for-each-ref", format, "refs/heads", "refs/tags", "refs/remotes/origin"]).await;
    let answer = answer.map_err(|failure| failure.message)?;
    if !answer.succeeded {
        return Err(format!("git could not list the branches: {}", answer.stderr));
    }
    let text = String::from_utf8_lossy(&answer.stdout);
    let pairs = text.lines().filter_map(|line| {
        let (id, name) = line.split_once(' ')?;
        Some((name.to_owned(), commit_id(id)?))
    });
    bounded(pairs.collect())
}

async fn ask_remote(url: &str) -> Result<Seen, String> {
    let answer = git().run(Path::new("/"), ["ls-remote", "--heads", "--tags", "--", url]).await;
    let answer = answer.map_err(|failure| failure.message)?;
    if !answer.succeeded {
        let shown = shown_url(url);
        return Err(format!("git could not ask `{shown}`: {}", answer.stderr.replace(url, &shown)));
    }
    let text = String::from_utf8_lossy(&answer.stdout);
    let pairs = text.lines().filter_map(|line| {
        let (commit, name) = line.split_once('\t')?;
        Some((name.to_owned(), commit_id(commit)?))
    });
    let mut seen: Seen = pairs.collect();
    // An annotated tag is followed by a line with the commit that it stands on.
    let peeled: Vec<(String, String)> = seen
        .iter()
        .filter_map(|(name, commit)| Some((name.strip_suffix("^{}")?.to_owned(), commit.clone())))
        .collect();
    seen.retain(|name, _| !name.ends_with("^{}"));
    seen.extend(peeled);
    bounded(seen)
}

/// Branches and tags under their own names: a branch that only the remote `origin` has counts as one, as for the
/// source action.
fn bounded(found: Seen) -> Result<Seen, String> {
    let mut seen = Seen::new();
    for (name, commit) in &found {
        if let Some(branch) = name.strip_prefix("refs/remotes/origin/").filter(|branch| *branch != "HEAD") {
            seen.insert(format!("refs/heads/{branch}"), commit.clone());
        }
    }
    seen.extend(found.into_iter().filter(|(name, _)| !name.starts_with("refs/remotes/")));
    match seen.len() > REFERENCES_MAX {
        true => Err(format!("the repository has more than {REFERENCES_MAX} branches and tags")),
        false => Ok(seen),
    }
}

fn commit_id(text: &str) -> Option<String> {
    let text = text.trim();
    let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| text.to_owned())
}

/// The files a repository keeps its references in.
struct References {
    root: PathBuf,
    common: PathBuf,
    packed: Option<(Stamp, Seen)>,
    tables: Option<Stamp>,
}

/// Changes whenever a file is replaced or written.
type Stamp = (u64, u64, i64, i64);

enum Unknown {
    /// Only git can read this repository's references, whose store is in this state.
    AskGit(Stamp),
    Broken(String),
}

impl References {
    fn of(place: &Place) -> Result<Self, WatchError> {
        let common = common_folder(place)?;
        Ok(Self { root: place.root.clone(), common, packed: None, tables: None })
    }

    /// All branches and tags. With the newer kind of store (`reftable`) git must be asked, but only when the store
    /// changed; until then the answer is "no news".
    fn all(&mut self) -> Result<Option<Seen>, Unknown> {
        let tables = self.common.join("reftable/tables.list");
        if let Some(now) = stamp(&tables) {
            if self.tables == Some(now) {
                return Ok(None);
            }
            return Err(Unknown::AskGit(now));
        }
        // In this order: packing writes the one before it takes away the others.
        let mut loose = BTreeMap::new();
        for part in ["refs/heads", "refs/tags", "refs/remotes/origin"] {
            self.loose(part, &mut loose)?;
        }
        let mut all = self.packed()?.clone();
        for (name, text) in &loose {
            if let Some(commit) = resolve(text, &loose, &all)
                .map_err(|()| Unknown::Broken(format!("`{name}` does not hold a commit")))?
            {
                all.insert(name.clone(), commit);
            }
        }
        bounded(all).map(Some).map_err(Unknown::Broken)
    }

    fn loose(&self, part: &str, into: &mut BTreeMap<String, String>) -> Result<(), Unknown> {
        let broken = |path: &Path, error: &dyn std::fmt::Display| {
            Unknown::Broken(format!("`{}`: {error}", path.display()))
        };
        let folder = self.common.join(part);
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in WalkDir::new(&folder).max_depth(NAME_DEPTH_MAX) {
            let entry = match entry {
                Ok(entry) => entry,
                // Gone while we looked.
                Err(error) if error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) => {
                    continue;
                }
                Err(error) => return Err(broken(&folder, &error)),
            };
            let Some(name) = entry.path().strip_prefix(&self.common).ok().and_then(Path::to_str) else {
                continue;
            };
            if !entry.file_type().is_file() || name.ends_with(".lock") {
                continue;
            }
            match read_bounded(entry.path(), REFERENCE_BYTES_MAX) {
                Ok(text) => drop(into.insert(name.to_owned(), text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(broken(entry.path(), &error)),
            }
            if into.len() > REFERENCES_MAX {
                let text = format!("the repository has more than {REFERENCES_MAX} branches and tags");
                return Err(Unknown::Broken(text));
            }
        }
        Ok(())
    }

    /// The packed references, which are read again only when their file changed.
    fn packed(&mut self) -> Result<&Seen, Unknown> {
        let path = self.common.join("packed-refs");
        let now = stamp(&path);
        if self.packed.as_ref().map(|(seen, _)| *seen) != now {
            self.packed = None;
            if let Some(now) = now {
                let text = read_bounded(&path, PACKED_BYTES_MAX);
                let text = text.map_err(|error| Unknown::Broken(format!("`{}`: {error}", path.display())))?;
                self.packed = Some((now, packed(&text)));
            }
        }
        static NONE: Seen = Seen::new();
        Ok(self.packed.as_ref().map_or(&NONE, |(_, entries)| entries))
    }
}

/// The references of a packed file. An annotated tag stands at its own object here as it does in a file of its own, so
/// that packing moves nothing; the commit below it is looked up when the tag is reported.
fn packed(text: &str) -> Seen {
    let parts = ["refs/heads/", "refs/tags/", "refs/remotes/origin/"];
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let wanted = pairs.filter(|(_, name)| parts.iter().any(|part| name.starts_with(part)));
    wanted.filter_map(|(id, name)| Some((name.to_owned(), commit_id(id)?))).collect()
}

/// What a reference's text leads to; `None` when it leads to one that is not there.
fn resolve(text: &str, loose: &BTreeMap<String, String>, packed: &Seen) -> Result<Option<String>, ()> {
    let mut text = text;
    for _ in 0..SYMBOLIC_DEPTH_MAX {
        let Some(other) = text.strip_prefix("ref:") else { return commit_id(text).map(Some).ok_or(()) };
        match (loose.get(other.trim()), packed.get(other.trim())) {
            (Some(next), _) => text = next,
            (None, Some(commit)) => return Ok(Some(commit.clone())),
            (None, None) => return Ok(None),
        }
    }
    Ok(None)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, bytes_max), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The folder that holds a repository's references, shared by all its working trees: `.git` itself, or where the
/// file `.git` and the file `commondir` beside a further tree's own state lead.
fn common_folder(place: &Place) -> Result<PathBuf, WatchError> {
    if place.bare {
        return Ok(place.root.clone());
    }
    let dot_git = place.root.join(".git");
    if dot_git.is_dir() {
        return Ok(dot_git);
    }
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| WatchError::Unreadable { path, source }
    };
    let text = read_bounded(&dot_git, REFERENCE_BYTES_MAX).map_err(unreadable(&dot_git))?;
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "does not say where the repository is");
    let own = text.trim().strip_prefix("gitdir:").ok_or_else(wrong).map_err(unreadable(&dot_git))?;
    let own = place.root.join(own.trim());
    match read_bounded(&own.join("commondir"), REFERENCE_BYTES_MAX) {
        Ok(common) => Ok(own.join(common.trim())),
        // A submodule has a folder of its own elsewhere, and shares it with nobody.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(own),
        Err(error) => Err(unreadable(&own)(error)),
    }
}

#[cfg(test)]
mod tests;
