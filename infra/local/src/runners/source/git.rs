//! The `git` program: found repositories, one commit's files, and what a working tree holds besides.
//!
//! Git runs without a terminal and with few of this process's variables: a variable such as `GIT_DIR`, set while
//! a hook runs, would send it to another repository.

use super::{
    Site,
    batch::{Batch, Fault, Taken},
    caps, configuration, disk, system, unavailable,
};
use engine::action::{Failure, OutputArtifact};
use events::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{io::AsyncReadExt, sync::watch};

/// How long a run waits for the answer to "what is not committed" once all else is done.
pub(super) const STATUS_PATIENCE: Duration = Duration::from_secs(1);
/// What is kept of each stream of a git command.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;
/// Branches named in a message.
const BRANCHES_SHOWN_MAX: usize = 20;
/// A branch's or revision's name.
const REVISION_BYTES_MAX: usize = 1500;

/// Variables git may see, besides those whose names start with `LC_`: where programs, keys, certificates,
/// proxies and the user's own configuration are.
const PASSED_ON: [&str; 32] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_NO_VERIFY",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The newest commit of a branch.
    Branch(String),
    /// A commit id, or whatever else git takes for a commit: a tag, `HEAD~1`.
    Revision(String),
}

impl Wanted {
    /// Refuses what could be taken for an option, or for two lines.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let (Self::Branch(name) | Self::Revision(name)) = self;
        let plain = !name.starts_with('-') && !name.contains(|c: char| c.is_control() || c == ' ');
        match plain && !name.is_empty() && name.len() <= REVISION_BYTES_MAX {
            true => Ok(()),
            false => Err(configuration(format!(
                "`{}` cannot be the name of a branch or commit.",
                name.escape_debug()
            ))),
        }
    }

    pub(super) fn described(&self) -> String {
        match self {
            Self::Branch(name) => format!("branch `{name}`"),
            Self::Revision(name) => format!("revision `{name}`"),
        }
    }

    /// Names to try, in order.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Branch(name) => vec![format!("refs/heads/{name}"), format!("refs/remotes/origin/{name}")],
            Self::Revision(name) => vec![name.clone()],
        }
    }
}

/// A repository on this machine, and the folder of it that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The working tree's top, or the bare repository.
    pub(crate) root: PathBuf,
    /// Below the top, forward slashes; empty for all of it.
    pub(crate) subfolder: String,
    /// Without a working tree.
    pub(crate) bare: bool,
}

impl Place {
    pub(super) fn described(&self) -> String {
        match self.subfolder.as_str() {
            "" => format!("`{}`", self.root.display()),
            folder => format!("folder `{folder}` of `{}`", self.root.display()),
        }
    }
}

/// The repository a folder lies in, found as git finds it; `None` outside of any. Starts no process.
pub(crate) fn locate(folder: &Path) -> Option<Place> {
    let folder = folder.canonicalize().ok()?;
    let is_bare = |path: &Path| {
        path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
    };
    if is_bare(&folder) {
        return Some(Place { root: folder, subfolder: String::new(), bare: true });
    }
    let root = folder.ancestors().find(|above| above.join(".git").exists())?;
    let subfolder = folder.strip_prefix(root).ok()?.to_str()?.to_owned();
    Some(Place { root: root.to_owned(), subfolder, bare: false })
}

/// A clone URL without the password it may carry.
pub(crate) fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}"),
        None => url.to_owned(),
    }
}

/// The git program, bounded by one job's deadline and cancellation.
#[derive(Clone)]
pub(crate) struct Git {
    deadline: Timestamp,
    cancelled: watch::Receiver<bool>,
}

/// What a git command left.
pub(crate) struct Output {
    pub(crate) succeeded: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Git {
    /// A program that is stopped at the deadline, and when `cancelled` turns true.
    pub(crate) fn new(deadline: Timestamp, cancelled: watch::Receiver<bool>) -> Self {
        Self { deadline, cancelled }
    }

    fn command<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(env::vars_os().filter(|(name, _)| {
            name.to_str().is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with("LC_"))
        }));
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        // Without a terminal to ask on, ssh would wait for ever; told to use a program, it fails at once.
        command.env("SSH_ASKPASS_REQUIRE", "force");
        if env::var_os("SSH_ASKPASS").is_none() {
            command.env("SSH_ASKPASS", "false");
        }
        command.args(["-c", "protocol.ext.allow=never", "-C"]).arg(folder).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    /// Runs a command to its end; its output is kept up to a bound. Fails when git is missing, at the deadline
    /// and when cancelled; an unsuccessful command is no failure.
    pub(crate) async fn run<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Output, Failure> {
        let mut command = tokio::process::Command::from(Self::command(folder, args));
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| not_started(folder, &error))?;
        let group = Group::of(child.id());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let read = async {
            let (stdout, stderr) = tokio::join!(kept(out), kept(err));
            child.wait().await.map(|status| (status, stdout, stderr))
        };
        let (status, stdout, stderr) =
            self.bounded(read).await?.map_err(|error| system(format!("git: {error}")))?;
        group.ended();
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        Ok(Output { succeeded: status.success(), stdout, stderr })
    }

    /// Waits for something, but not beyond the deadline or a cancellation.
    pub(super) async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut cancelled = self.cancelled.clone();
        let stop = async {
            // A sender that is gone can no longer cancel anything.
            if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            done = work => Ok(done),
            () = stop => Err(system("The job was cancelled.")),
            () = tokio::time::sleep(until(self.deadline)) => {
                Err(Failure::new(engine::action::FailureCode::JobFailed, "The action timed out while git was working."))
            }
        }
    }
}

fn until(deadline: Timestamp) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let deadline = Duration::from_millis(u64::try_from(deadline.0).unwrap_or(0));
    // Timers of years are as good as none, and an overflow is not.
    deadline.saturating_sub(now).min(Duration::from_secs(365 * 24 * 3600))
}

/// A stream to its end; what is beyond the bound is read and dropped.
async fn kept(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut content = Vec::new();
    if let Some(stream) = stream {
        let mut bounded = stream.take(OUTPUT_BYTES_MAX);
        // A stream that breaks ends: the exit status tells what happened.
        let _ = bounded.read_to_end(&mut content).await;
        let _ = tokio::io::copy(&mut bounded.into_inner(), &mut tokio::io::sink()).await;
    }
    content
}

/// A process group that is killed when it is dropped before it ended: git starts helpers of its own.
struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    fn of(process: Option<u32>) -> Self {
        let pid = process.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self(Arc::new(Mutex::new(pid)))
    }

    fn shared(&self) -> Self {
        Self(self.0.clone())
    }

    fn kill(&self) {
        if let Some(pid) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Already gone is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Its number may belong to another process from now on.
    fn ended(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Takes one commit's files as the output artifact.
pub(super) async fn take(
    git: &Git,
    site: &Site,
    place: &Place,
    wanted: &Wanted,
    output: &OutputArtifact,
) -> Result<Taken, Failure> {
    let mut command = Git::command(&place.root, ["cat-file", "--batch"]);
    let mut child =
        command.stdin(Stdio::piped()).spawn().map_err(|error| not_started(&place.root, &error))?;
    let group = Group::of(Some(child.id()));
    let watched = group.shared();
    let (names, folder, caps) = (wanted.names(), place.subfolder.clone(), caps(site));
    let (store, location) = (site.artifacts.clone(), output.location.clone());
    let work = tokio::task::spawn_blocking(move || -> Result<Taken, Stop> {
        let file = store.scratch().map_err(|error| Stop::Disk(store.root().to_owned(), error))?;
        let taken = match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Batch::new(input, output).take(&names, &folder, &file, caps),
            _ => Err(Fault::Garbled("it has no streams".into())),
        };
        let stderr = match taken {
            // The conversation is over and git's input closed, so it ends by itself.
            Ok(_) => String::new(),
            Err(_) => {
                watched.kill();
                child.stderr.take().map(last_words).unwrap_or_default()
            }
        };
        watched.ended();
        let _ = child.wait();
        let taken = taken.map_err(|fault| Stop::Fault(fault, stderr))?;
        store.put(&location, &file).map_err(|error| Stop::Disk(file, error))?;
        Ok(taken)
    });
    let taken = git.bounded(work).await?;
    group.ended();
    match taken {
        Ok(Ok(taken)) => {
            note(site, place, wanted, &taken);
            Ok(taken)
        }
        Ok(Err(Stop::Disk(path, error))) => Err(disk(&path, error)),
        Ok(Err(Stop::Fault(fault, stderr))) => Err(explain(git, place, wanted, fault, &stderr).await),
        Err(panicked) => Err(system(format!("taking the commit broke off: {panicked}"))),
    }
}

enum Stop {
    Fault(Fault, String),
    Disk(PathBuf, io::Error),
}

fn last_words(stderr: impl io::Read) -> String {
    let mut text = Vec::new();
    let _ = io::Read::read_to_end(&mut io::Read::take(stderr, 16 << 10), &mut text);
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn note(site: &Site, place: &Place, wanted: &Wanted, taken: &Taken) {
    if let (Wanted::Branch(branch), true) = (wanted, taken.name > 0) {
        site.log.line(&format!(
            "There is no branch `{branch}` in {} itself; taking `origin/{branch}` as it was last fetched.",
            place.described()
        ));
    }
    for path in &taken.submodules {
        site.log.line(&format!("The submodule `{path}` is an empty folder in the artifact."));
    }
}

async fn explain(git: &Git, place: &Place, wanted: &Wanted, fault: Fault, stderr: &str) -> Failure {
    let here = place.described();
    match fault {
        Fault::NoCommit => match wanted {
            Wanted::Branch(branch) => {
                let there = match branches(git, &place.root).await {
                    Ok(branches) if branches.is_empty() => "It has no commits on any branch yet.".to_owned(),
                    Ok(branches) => format!("There are: {}.", listed(&branches)),
                    Err(failure) => failure.message,
                };
                unavailable(format!(
                    "There is no branch `{branch}` in {here}. {there} Name one of them as `BranchName`, or run a \
                     certain commit with `--from-commit <commit>`."
                ))
            }
            Wanted::Revision(revision) => unavailable(format!("There is no commit `{revision}` in {here}.")),
        },
        Fault::NoFolder { commit, folder } => unavailable(format!(
            "Commit {commit} has no folder `{folder}` in `{}`. Commit it first, or name another folder under \
             `[sources]`.",
            place.root.display()
        )),
        Fault::Archive(crate::archive::ArchiveError::Io { path, source }) => disk(&path, source),
        Fault::Archive(error) => {
            configuration(format!("The files in {here} cannot be an artifact: {error}."))
        }
        Fault::Garbled(_) | Fault::Broken(_) if !stderr.is_empty() => {
            configuration(format!("git cannot read {here}: {stderr}"))
        }
        Fault::Garbled(_) | Fault::Broken(_) => system(format!("Reading {here}: {fault}.")),
    }
}

/// Names in a sentence: backticks, commas, and how many are not shown.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(BRANCHES_SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(BRANCHES_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

async fn branches(git: &Git, root: &Path) -> Result<Vec<String>, Failure> {
    let output = git.run(root, ["for-each-ref", "--format=%(refname:short)", "refs/heads"]).await?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn not_started(folder: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound if fs::exists(folder).unwrap_or(false) => configuration(
            "The `git` program was not found. Install git 2.25 or later, or put its folder into `PATH`.",
        ),
        _ => configuration(format!("`git` could not be started in `{}`: {error}", folder.display())),
    }
}

/// What a working tree holds besides its last commit.
pub(super) struct Status {
    checked_out: Option<String>,
    changes: usize,
}

impl Status {
    /// What a person should know before they wonder where their change is.
    pub(super) fn lines(&self, place: &Place, wanted: &Wanted) -> Vec<String> {
        let mut lines = Vec::new();
        if let (Some(out), Wanted::Branch(branch)) = (&self.checked_out, wanted)
            && out != branch
        {
            lines.push(format!("Note: `{out}` is checked out, but this action takes `{branch}`."));
        }
        if self.changes > 0 {
            let (files, are) = if self.changes == 1 { ("file", "is") } else { ("files", "are") };
            lines.push(format!(
                "Note: {} {files} in {} {are} not committed and {are} not part of this run.",
                self.changes,
                place.described()
            ));
        }
        lines
    }
}

/// What is not committed; `None` when git cannot tell.
pub(super) async fn status(git: &Git, place: &Place) -> Option<Status> {
    if place.bare {
        return None;
    }
    let folder = place.root.join(&place.subfolder);
    let output = git.run(&folder, ["status", "--porcelain=v2", "--branch", "-z", "--", "."]).await.ok()?;
    output.succeeded.then(|| parse_status(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_status(text: &str) -> Status {
    let mut status = Status { checked_out: None, changes: 0 };
    let mut fields = text.split('\0').filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        if let Some(branch) = field.strip_prefix("# branch.head ") {
            status.checked_out = (branch != "(detached)").then(|| branch.to_owned());
        } else if !field.starts_with('#') {
            if field.starts_with("2 ") {
                // A renamed file's former path stands in a field of its own.
                fields.next();
            }
            let path = field.rsplit(' ').next().unwrap_or_default();
            status.changes += usize::from(!path.split('/').any(|part| part == ".towpath"));
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_counts_changes_but_not_our_own_folder() {
        let text = [
            "# branch.oid ab",
            "# branch.head topic",
            "1 .M N... 100644 100644 100644 a b src/a.rs",
            "2 R. N... 100644 100644 100644 a b R100 new name",
            "old name",
            "? .towpath/",
            "? x/.towpath/log",
            "? n",
            "",
        ];
        let status = parse_status(&text.join("\0"));
        assert_eq!((status.checked_out.as_deref(), status.changes), (Some("topic"), 3));
    }

    #[test]
    fn passwords_in_urls_are_not_shown() {
        assert_eq!(shown_url("https://me:secret@h.example/a@b/c.git"), "https://***@h.example/a@b/c.git");
        assert_eq!(shown_url("https://h.example/c.git"), "https://h.example/c.git");
        assert_eq!(shown_url("git@h.example:c.git"), "git@h.example:c.git");
    }
}
