//! Child processes: own group, output streamed, deadline, nothing left behind.
//!
//! [`Children`] stands for everything one action starts. Each command gets a process group and a pipe of its
//! own (stdout and stderr together, so that their order is the order of writing). What a command leaves in
//! the background lives on, its output still read, until [`Children::end`]; a process that fled its group is
//! found by the marker every child carries in its environment. Nothing here may hang because a background
//! process holds an end of a pipe.

mod leftovers;

pub use leftovers::clear_leftovers;

use crate::output::ActionLog;
use events::ActionExecutionId;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process, test_kill_process_group};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    process::{Child, ChildStdin},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

/// The variable that says which action a process belongs to.
pub const MARKER: &str = "TOWPATH_ACTION";
/// How long a process has between TERM and KILL when its command is stopped.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long leftovers have between TERM and KILL once the action is over.
pub const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
/// How long to read on after a command's exit while a background process holds its output.
pub const DRAIN_GRACE: Duration = Duration::from_millis(100);
/// Jobs that lasted longer than this are searched for processes that fled.
const SEARCH_AFTER: Duration = Duration::from_secs(1);
/// How often to look whether leftovers are gone.
const POLL: Duration = Duration::from_millis(10);
/// What is read at once of a command's output: most commands say little, and a pipe holds 64 KiB.
const CHUNK_BYTES_MIN: usize = 4 * 1024;
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// One command to run.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// An absolute path, or a name looked up in the `PATH` of `env`.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [&'a OsStr],
    /// The working directory; must exist.
    pub cwd: &'a Path,
    /// The whole environment: nothing is inherited.
    pub env: &'a BTreeMap<String, String>,
    /// Bytes for stdin, which is `/dev/null` without.
    pub stdin: Option<&'a [u8]>,
    /// User and group id to run as; needs root.
    pub user: Option<(u32, u32)>,
    /// When to stop the command.
    pub deadline: Option<Instant>,
    /// What to do when the command has exited and a background process still holds its output.
    pub drain: Drain,
}

/// How long a command's output is read after its exit, while something else still holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// So long; then the output is read on in the background and the command counts as done.
    Grace(Duration),
    /// Until the deadline; then [`Ended::output_open`] says that it never closed.
    UntilDeadline,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself: its exit status, or 128 and the signal's number when a signal ended it.
    Exited(i32),
    /// Stopped at its deadline.
    TimedOut,
    /// Stopped because the action was cancelled.
    Cancelled,
}

/// What is known of a command that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// A background process still holds its output.
    pub output_open: bool,
}

/// A command that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such program.
    #[error("`{program}` was not found: install it, or put its folder into `PATH`")]
    NotFound {
        /// The program's path or name.
        program: PathBuf,
    },
    /// No such folder.
    #[error("`{folder}` is not a folder a command can run in")]
    NoFolder {
        /// The working directory asked for.
        folder: PathBuf,
    },
    /// The system's own refusal.
    #[error("`{program}` could not be started: {source}")]
    Refused {
        /// The program's path or name.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Everything one action starts. Dropping it kills what still runs in its commands' groups; [`Children::end`]
/// does so in order, and finds more.
pub struct Children {
    log: ActionLog,
    cancelled: watch::Receiver<bool>,
    marker: Option<ActionExecutionId>,
    stop_grace: Duration,
    begun: Instant,
    buffer: Vec<u8>,
    /// Groups that outlived their leader.
    groups: Vec<Pid>,
    readers: Vec<JoinHandle<()>>,
    output_left_open: bool,
}

impl Children {
    /// No children yet. Their output goes to `log`; when `cancelled` turns true, what runs is stopped.
    pub fn new(log: &ActionLog, cancelled: &watch::Receiver<bool>) -> Self {
        Self {
            log: log.clone(),
            cancelled: cancelled.clone(),
            marker: None,
            stop_grace: STOP_GRACE,
            begun: Instant::now(),
            buffer: Vec::new(),
            groups: Vec::new(),
            readers: Vec::new(),
            output_left_open: false,
        }
    }

    /// Marks each child as this action's, so that those that flee their group are found too. Services that
    /// are meant to stay must not be marked.
    #[must_use]
    pub fn marked(mut self, action: &ActionExecutionId) -> Self {
        self.marker = Some(action.clone());
        self
    }

    /// Runs one command to its end. Its output is in the log when this returns.
    pub async fn run(&mut self, command: &Command<'_>) -> Result<Ended, StartError> {
        if *self.cancelled.borrow() {
            return Ok(Ended { end: End::Cancelled, output_open: false });
        }
        let (mut leader, output) = self.start(command)?;
        let feeder = leader.feed(command.stdin);
        let mut output = Some(output);
        let ended = self.follow(command, &mut leader, &mut output).await;
        if let Some(feeder) = feeder {
            feeder.abort();
        }
        self.log.flush();
        if test_kill_process_group(leader.group).is_ok() {
            self.groups.push(leader.group);
        }
        let output_open = output.is_some();
        if let Some(output) = output {
            self.output_left_open = true;
            self.readers.push(tokio::spawn(read_on(output, self.log.clone())));
        }
        match ended {
            Ok(end) => Ok(Ended { end, output_open }),
            Err(source) => Err(StartError::Refused { program: command.program.to_owned(), source }),
        }
    }

    /// Stops everything that still runs. Returns how many processes had to be told.
    pub async fn end(mut self) -> usize {
        let mut told = 0;
        let groups = std::mem::take(&mut self.groups);
        let alive = || groups.iter().copied().filter(|group| is_ours(*group));
        for group in alive() {
            told += 1;
            signal(group, Signal::TERM);
        }
        let searched = self.output_left_open || told > 0 || self.begun.elapsed() > SEARCH_AFTER;
        if told > 0 {
            let patience = Instant::now() + LEFTOVER_GRACE;
            while alive().next().is_some() && Instant::now() < patience {
                tokio::time::sleep(POLL).await;
            }
            alive().for_each(|group| signal(group, Signal::KILL));
        }
        if searched && let Some(action) = &self.marker {
            told += clear_leftovers(action).await;
        }
        let readers = std::mem::take(&mut self.readers);
        let patience = Instant::now() + DRAIN_GRACE;
        for mut reader in readers {
            if timeout_at(patience, &mut reader).await.is_err() {
                reader.abort();
            }
        }
        self.log.flush();
        told
    }

    /// Lets everything that still runs stay: services a deployment started. Their output is no longer read.
    pub fn release(mut self) {
        self.groups.clear();
    }

    fn start(&self, command: &Command<'_>) -> Result<(Leader, pipe::Receiver), StartError> {
        let refused = |source: io::Error| {
            let program = command.program.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if !command.cwd.is_dir() => {
                    StartError::NoFolder { folder: command.cwd.to_owned() }
                }
                io::ErrorKind::NotFound => StartError::NotFound { program },
                _ => StartError::Refused { program, source },
            }
        };
        let (read, write) = io::pipe().map_err(refused)?;
        let mut child = tokio::process::Command::new(resolve(command).as_deref().unwrap_or(command.program));
        child
            .args(command.args)
            .current_dir(command.cwd)
            .env_clear()
            .envs(command.env)
            .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(write.try_clone().map_err(refused)?)
            .stderr(write)
            .process_group(0);
        if let Some(action) = &self.marker {
            child.env(MARKER, action.as_str());
        }
        if let Some((user, group)) = command.user {
            child.uid(user).gid(group);
        }
        let spawned = child.spawn().map_err(refused)?;
        // Our copies of the writing end must be gone, or the output would never end.
        drop(child);
        let leader = Leader::new(spawned).map_err(refused)?;
        let output = pipe::Receiver::from_owned_fd(read.into()).map_err(refused)?;
        Ok((leader, output))
    }

    /// Reads output and waits, until the command is over by itself or is made to be.
    async fn follow(
        &mut self,
        command: &Command<'_>,
        leader: &mut Leader,
        output: &mut Option<pipe::Receiver>,
    ) -> io::Result<End> {
        self.buffer.resize(self.buffer.len().max(CHUNK_BYTES_MIN), 0);
        let mut exit: Option<ExitStatus> = None;
        let mut stopped: Option<End> = None;
        let mut killed = false;
        // When the present state of things has lasted long enough.
        let mut patience = command.deadline;
        while exit.is_none() || output.is_some() {
            tokio::select! {
                // Output first: what was written before an exit comes before it in the log.
                biased;
                read = read_chunk(output, &mut self.buffer) => match read {
                    Ok(0) | Err(_) => *output = None,
                    Ok(count) => {
                        self.log.bytes(&self.buffer[..count]);
                        if count == self.buffer.len() && count < CHUNK_BYTES_MAX {
                            self.buffer.resize(CHUNK_BYTES_MAX, 0);
                        }
                    }
                },
                status = leader.child.wait(), if exit.is_none() => {
                    exit = Some(status?);
                    leader.reaped = true;
                    if let (None, Drain::Grace(grace)) = (stopped, command.drain) {
                        let drained = Instant::now() + grace;
                        patience = Some(patience.map_or(drained, |deadline| deadline.min(drained)));
                    }
                }
                () = sleep_or_never(patience) => {
                    if exit.is_some() || killed {
                        break;
                    }
                    killed = stopped.is_some();
                    stopped = stopped.or(Some(End::TimedOut));
                    signal(leader.group, if killed { Signal::KILL } else { Signal::TERM });
                    patience = Some(Instant::now() + self.stop_grace);
                }
                () = turned_true(&mut self.cancelled), if stopped.is_none() => {
                    stopped = Some(End::Cancelled);
                    signal(leader.group, Signal::TERM);
                    patience = Some(Instant::now() + self.stop_grace);
                }
            }
        }
        if stopped.is_some() {
            // Whoever is still there had its time.
            signal(leader.group, Signal::KILL);
        }
        let exited = exit.map(|status| End::Exited(code(status)));
        Ok(stopped.or(exited).unwrap_or(End::TimedOut))
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for group in self.groups.iter().copied().filter(|group| is_ours(*group)) {
            signal(group, Signal::KILL);
        }
        for reader in &self.readers {
            reader.abort();
        }
    }
}

/// The first process of a group. Dropped before its end was seen, it takes the group with it.
struct Leader {
    child: Child,
    group: Pid,
    reaped: bool,
}

impl Leader {
    fn new(child: Child) -> io::Result<Self> {
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("the new process has no id"))?;
        Ok(Self { child, group, reaped: false })
    }

    /// Writes stdin beside everything else: a command may talk before it has listened to the end.
    fn feed(&mut self, stdin: Option<&[u8]>) -> Option<JoinHandle<()>> {
        let (mut pipe, bytes): (ChildStdin, Vec<u8>) = (self.child.stdin.take()?, stdin?.to_vec());
        Some(tokio::spawn(async move {
            // A command need not read its stdin.
            let _ = pipe.write_all(&bytes).await;
        }))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.reaped {
            signal(self.group, Signal::KILL);
        }
    }
}

async fn read_chunk(output: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match output {
        Some(output) => output.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// Reads what a background process prints, so that it neither blocks nor breaks on a full or closed pipe.
async fn read_on(mut output: pipe::Receiver, log: ActionLog) {
    let mut buffer = vec![0; CHUNK_BYTES_MIN];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        log.bytes(&buffer[..count]);
    }
}

async fn sleep_or_never(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn turned_true(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // Whoever could have cancelled is gone.
        std::future::pending().await
    }
}

/// A program without a slash is looked up here: the standard library would look in our own `PATH`, and leave
/// its fast way of starting processes to do so.
fn resolve(command: &Command<'_>) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    if command.program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return None;
    }
    let folders = command.env.get("PATH")?;
    std::env::split_paths(folders).map(|folder| folder.join(command.program)).find(|path| {
        path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    })
}

/// A group keeps its number from being given away while it has members; a process by that number is thus a
/// stranger's.
fn is_ours(group: Pid) -> bool {
    test_kill_process(group).is_err() && test_kill_process_group(group).is_ok() && leftovers::lives(group)
}

fn signal(group: Pid, signal: Signal) {
    // A group that ended meanwhile is what was wanted.
    let _ = kill_process_group(group, signal);
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests;
