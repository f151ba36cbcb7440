//! Tells when a branch moved, so that a push starts a pipeline: local mode's change detection
//! (`spec/triggers.md`, section 8).
//!
//! A repository on this machine is watched by reading the files its branches lie in: one small read a second,
//! and no process while nothing changes. Behind a clone URL, `git ls-remote` is asked every ten seconds. What
//! moved twice between two looks is reported once, with its newest commit. A branch that is deleted is no
//! change; one that comes back at another commit is.

use crate::{
    runners::source::{Git, Place, locate, shown_url},
    settings::Source,
};
use events::Timestamp;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::sleep};

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

/// A branch that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the watcher was made for, as the caller named it.
    pub key: String,
    /// The branch.
    pub branch: String,
    /// The commit it was at before; `None` for a branch that was not there when watching began.
    pub old: Option<String>,
    /// The commit it is at now.
    pub new: String,
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

/// A watcher of one branch of one repository.
pub struct Watch {
    key: String,
    branch: String,
    target: Target,
    last: Option<String>,
    /// Nobody said where to start from, and nothing was seen yet: the first answer is the start.
    unanswered: bool,
    problem: Option<String>,
    pause: Duration,
}

enum Target {
    Folder(References),
    Url(String),
}

impl Watch {
    /// A watcher. What `last_seen` names, or without it the commit the branch is at now, is remembered and not
    /// reported. Where git must be asked, it is not asked yet: its first answer counts as "now".
    pub fn new(
        key: impl Into<String>,
        source: &Source,
        branch: impl Into<String>,
        last_seen: Option<String>,
    ) -> Result<Self, WatchError> {
        let (target, pause) = match source {
            Source::Url(url) => (Target::Url(url.clone()), URL_INTERVAL),
            Source::Folder(folder) => {
                let place = locate(folder).ok_or_else(|| WatchError::NotARepository(folder.clone()))?;
                (Target::Folder(References::of(&place)?), FOLDER_INTERVAL)
            }
        };
        let (key, branch) = (key.into(), branch.into());
        let mut watch = Self {
            key,
            branch,
            target,
            unanswered: last_seen.is_none(),
            last: last_seen,
            problem: None,
            pause,
        };
        if watch.unanswered
            && let Target::Folder(references) = &mut watch.target
            && let Ok(found) = references.read(&watch.branch)
        {
            (watch.last, watch.unanswered) = (found, false);
        }
        Ok(watch)
    }

    /// The commit the branch was last seen at.
    pub fn last_seen(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Why the last look told nothing, for a person; `None` when it did.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Waits until the branch moves. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Change {
        loop {
            if let Some(change) = self.look().await {
                return change;
            }
            sleep(self.pause).await;
        }
    }

    /// One look: the branch's move since the last, if it moved.
    pub async fn look(&mut self) -> Option<Change> {
        let seen = match &mut self.target {
            Target::Folder(references) => match references.read(&self.branch) {
                Err(Unknown::AskGit(tables)) => {
                    let answer = ask_git(&references.root, &self.branch).await;
                    if answer.is_ok() {
                        references.tables = Some(tables);
                    }
                    answer
                }
                Err(Unknown::Broken(message)) => Err(message),
                Ok(found) => Ok(found),
            },
            Target::Url(url) => ask_remote(url, &self.branch).await,
        };
        let starts_now = self.unanswered;
        self.unanswered &= seen.is_err();
        let found = self.note(seen)?;
        if self.last.as_ref() == Some(&found) {
            return None;
        }
        let old = self.last.replace(found.clone());
        (!starts_now).then(|| Change { key: self.key.clone(), branch: self.branch.clone(), old, new: found })
    }

    /// Keeps the problem, if there is one, says a new one once, and sets the next pause.
    fn note(&mut self, seen: Result<Option<String>, String>) -> Option<String> {
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
                    tracing::warn!(source = %self.key, branch = %self.branch, problem = %message, "cannot watch");
                }
                self.problem = Some(message);
                None
            }
        }
    }
}

fn git() -> Git {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let deadline = Timestamp(i64::try_from(now).unwrap_or(i64::MAX).saturating_add(GIT_SECONDS_MAX * 1000));
    // Whoever waits for a change stops by dropping the future, so nothing is ever sent here.
    Git::new(deadline, watch::channel(false).1)
}

async fn ask_git(root: &Path, branch: &str) -> Result<Option<String>, String> {
    for name in names(branch) {
        let answer = git().run(root, ["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).await;
        let answer = answer.map_err(|failure| failure.message)?;
        if let Some(commit) = Some(String::from_utf8_lossy(&answer.stdout)).as_deref().and_then(commit_id) {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

async fn ask_remote(url: &str, branch: &str) -> Result<Option<String>, String> {
    let name = format!("refs/heads/{branch}");
    let answer = git().run(Path::new("/"), ["ls-remote", "--heads", "--", url, &name]).await;
    let answer = answer.map_err(|failure| failure.message)?;
    if !answer.succeeded {
        let shown = shown_url(url);
        return Err(format!("git could not ask `{shown}`: {}", answer.stderr.replace(url, &shown)));
    }
    let text = String::from_utf8_lossy(&answer.stdout);
    // A pattern also matches longer names that end the same way.
    let line = text.lines().filter_map(|line| line.split_once('\t')).find(|(_, found)| *found == name);
    Ok(line.and_then(|(commit, _)| commit_id(commit)))
}

/// Where a source action looks, in its order.
fn names(branch: &str) -> [String; 2] {
    [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")]
}

fn commit_id(text: &str) -> Option<String> {
    let text = text.trim();
    let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| text.to_owned())
}

/// The files a repository keeps its branches in.
struct References {
    root: PathBuf,
    common: PathBuf,
    packed: Option<(Stamp, Vec<(String, String)>)>,
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

    /// The commit a branch is at. With the newer kind of store (`reftable`) git must be asked, but only when the
    /// store changed; until then the answer is "no news".
    fn read(&mut self, branch: &str) -> Result<Option<String>, Unknown> {
        let tables = self.common.join("reftable/tables.list");
        if let Some(now) = stamp(&tables) {
            if self.tables == Some(now) {
                return Ok(None);
            }
            return Err(Unknown::AskGit(now));
        }
        for name in names(branch) {
            if let Some(commit) = self.resolve(name)? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    fn resolve(&mut self, mut name: String) -> Result<Option<String>, Unknown> {
        for _ in 0..SYMBOLIC_DEPTH_MAX {
            let Some(text) = self.loose(&name)? else { return self.packed(&name) };
            match text.strip_prefix("ref:") {
                Some(other) if plain(other.trim()) => name = other.trim().to_owned(),
                Some(_) => return Ok(None),
                None => return Ok(commit_id(&text)),
            }
        }
        Ok(None)
    }

    fn loose(&self, name: &str) -> Result<Option<String>, Unknown> {
        if !plain(name) {
            return Err(Unknown::Broken(format!("`{name}` cannot be the name of a branch")));
        }
        let path = self.common.join(name);
        match read_bounded(&path, REFERENCE_BYTES_MAX) {
            Ok(text) => Ok(Some(text)),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                    Ok(None)
                }
                _ => Err(Unknown::Broken(format!("`{}`: {error}", path.display()))),
            },
        }
    }

    /// Looks a name up among the packed references, which are read again only when their file changed.
    fn packed(&mut self, name: &str) -> Result<Option<String>, Unknown> {
        let path = self.common.join("packed-refs");
        let Some(now) = stamp(&path) else { return Ok(None) };
        if self.packed.as_ref().is_none_or(|(seen, _)| *seen != now) {
            let text = read_bounded(&path, PACKED_BYTES_MAX);
            let text = text.map_err(|error| Unknown::Broken(format!("`{}`: {error}", path.display())))?;
            let pairs = text.lines().filter_map(|line| line.split_once(' '));
            let kept = pairs.filter_map(|(id, name)| Some((name.to_owned(), commit_id(id)?)));
            self.packed = Some((now, kept.collect()));
        }
        let entries = self.packed.as_ref().map_or(&[][..], |(_, entries)| entries);
        Ok(entries.iter().find(|(packed, _)| packed == name).map(|(_, commit)| commit.clone()))
    }
}

/// Whether a reference's name stays below the repository's folder.
fn plain(name: &str) -> bool {
    name.starts_with("refs/") && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
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
