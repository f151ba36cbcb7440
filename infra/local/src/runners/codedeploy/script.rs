//! One hook script as a process: its lines as they come, its end, and no more hanging than its timeout allows.
//!
//! Unlike a build's commands, a hook may leave services behind on purpose. So it carries no marker, its group is
//! left alone once it succeeded, and its two streams stay apart, because `scripts.log` tells them apart.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process, test_kill_process_group};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::watch,
    time::{Instant, sleep_until},
};

/// How long a script has between TERM and KILL.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long the output of a script that failed is read on while something holds it open.
const DRAIN_GRACE: Duration = Duration::from_millis(300);
/// Bytes of one line before it is broken in two.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How often, and after what pause each, a script that is busy is tried again.
const BUSY_TRIES_MAX: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(10);
const CHUNK_BYTES: usize = 16 * 1024;

/// What to run, and how.
pub(super) struct Task<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [OsString],
    pub(super) cwd: &'a Path,
    /// The whole environment: nothing else is inherited.
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) timeout: Duration,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself: its exit status, or 128 and the signal's number.
    Exited(i32),
    /// Stopped at its timeout.
    TimedOut,
    /// It exited, but a process it left behind held its output open until the timeout.
    OutputHeld,
    /// Stopped because the action was cancelled.
    Cancelled,
}

/// Runs a script to its end, handing over each line of output. Whatever it left running stays if it exited
/// with 0, and is killed otherwise.
pub(super) async fn run(
    task: &Task<'_>,
    mut cancelled: watch::Receiver<bool>,
    mut line: impl FnMut(Stream, &str),
) -> io::Result<End> {
    let mut group = Group::spawn_patiently(task).await?;
    let (mut out, mut err) = (group.child.stdout.take(), group.child.stderr.take());
    let (mut out_lines, mut err_lines) = (Lines::default(), Lines::default());
    let (mut out_chunk, mut err_chunk) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut exit = None;
    let mut stopped = None;
    let mut killed = false;
    let mut patience = Instant::now() + task.timeout;
    while exit.is_none() || out.is_some() || err.is_some() {
        tokio::select! {
            // Output first: what was written before an exit comes before it in the log.
            biased;
            read = chunk(&mut out, &mut out_chunk) => match read {
                Ok(count @ 1..) => out_lines.push(&out_chunk[..count], |text| line(Stream::Stdout, text)),
                Ok(0) | Err(_) => out = None,
            },
            read = chunk(&mut err, &mut err_chunk) => match read {
                Ok(count @ 1..) => err_lines.push(&err_chunk[..count], |text| line(Stream::Stderr, text)),
                Ok(0) | Err(_) => err = None,
            },
            status = group.child.wait(), if exit.is_none() => {
                let code = group.reaped(status?);
                exit = Some(code);
                if code != 0 {
                    // It has failed already; what it left behind gets no time to say more.
                    patience = patience.min(Instant::now() + DRAIN_GRACE);
                }
            }
            () = sleep_until(patience) => {
                let failed = exit.is_some_and(|code| code != 0);
                if killed || failed || (exit.is_some() && stopped.is_some()) {
                    break;
                }
                killed = stopped.is_some();
                stopped.get_or_insert(if exit.is_some() { End::OutputHeld } else { End::TimedOut });
                if exit.is_some() {
                    break;
                }
                group.signal(if killed { Signal::KILL } else { Signal::TERM });
                patience = Instant::now() + STOP_GRACE;
            }
            () = turned_true(&mut cancelled), if stopped.is_none() => {
                stopped = Some(End::Cancelled);
                if exit.is_some() {
                    break;
                }
                group.signal(Signal::TERM);
                patience = Instant::now() + STOP_GRACE;
            }
        }
    }
    out_lines.finish(|text| line(Stream::Stdout, text));
    err_lines.finish(|text| line(Stream::Stderr, text));
    let end = stopped.or(exit.map(End::Exited)).unwrap_or(End::TimedOut);
    if end == End::Exited(0) {
        group.leave();
    }
    Ok(end)
}

async fn chunk<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn turned_true(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // Whoever could have cancelled is gone.
        std::future::pending().await
    }
}

/// A script and its process group. Dropped, it takes the group with it, unless told to leave it.
struct Group {
    child: Child,
    id: Pid,
    reaped: bool,
    left: bool,
}

impl Group {
    /// A script just unpacked may still be open for writing in a process that another host's deployment is
    /// starting at this moment: the system then refuses to run it, for some microseconds.
    async fn spawn_patiently(task: &Task<'_>) -> io::Result<Self> {
        for _ in 0..BUSY_TRIES_MAX {
            match Self::spawn(task) {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                spawned => return spawned,
            }
        }
        Self::spawn(task)
    }

    /// A group of its own, so that an interrupt typed at the terminal reaches neither the script nor the
    /// services it starts, and a stop reaches all of it.
    fn spawn(task: &Task<'_>) -> io::Result<Self> {
        let child = Command::new(task.program)
            .args(task.args.iter().map(OsStr::new))
            .current_dir(task.cwd)
            .env_clear()
            .envs(task.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the new process has no id"))?;
        Ok(Self { child, id, reaped: false, left: false })
    }

    fn reaped(&mut self, status: std::process::ExitStatus) -> i32 {
        self.reaped = true;
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    fn signal(&self, signal: Signal) {
        // While a group has members its number is not given away; once its leader is reaped, a process by that
        // number is a stranger's.
        if !self.reaped || (test_kill_process(self.id).is_err() && test_kill_process_group(self.id).is_ok()) {
            let _ = kill_process_group(self.id, signal);
        }
    }

    fn leave(&mut self) {
        self.left = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.left {
            self.signal(Signal::KILL);
        }
    }
}

/// Bytes as they come, cut into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.0.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.emit(&mut line);
        }
        self.0.extend_from_slice(bytes);
        if self.0.len() >= LINE_BYTES_MAX {
            self.emit(&mut line);
        }
    }

    fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.0.is_empty() {
            self.emit(&mut line);
        }
    }

    fn emit(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.0);
        line(text.trim_end_matches('\r'));
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, millis: u64, cancel: bool) -> (End, Vec<String>) {
        let env = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]);
        let args = ["-c".into(), script.into()];
        let task = Task {
            program: Path::new("/bin/sh"),
            args: &args,
            cwd: Path::new("/"),
            env: &env,
            timeout: Duration::from_millis(millis),
        };
        let mut lines = Vec::new();
        let (_sender, receiver) = watch::channel(cancel);
        let end =
            run(&task, receiver, |stream, text| lines.push(format!("{stream:?} {text}"))).await.unwrap();
        (end, lines)
    }

    #[tokio::test]
    async fn lines_of_both_streams_and_the_exit_status_are_told() {
        let (end, mut lines) = sh("echo a; echo b >&2; printf c; exit 3", 5000, false).await;
        lines.sort();
        assert_eq!(
            (end, lines),
            (End::Exited(3), vec!["Stderr b".into(), "Stdout a".into(), "Stdout c".into()])
        );
    }

    #[tokio::test]
    async fn a_script_that_takes_too_long_is_stopped_with_its_children() {
        let begun = Instant::now();
        let (end, _) = sh("sleep 60 & sleep 60", 200, false).await;
        assert_eq!(end, End::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_child_that_holds_the_output_open_fails_the_script_at_its_timeout() {
        let begun = Instant::now();
        let (end, lines) = sh("sleep 60 & echo started", 300, false).await;
        assert_eq!((end, lines), (End::OutputHeld, vec!["Stdout started".to_owned()]));
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_script_that_failed_is_not_waited_for() {
        let (end, _) = sh("sleep 60 & exit 2", 60_000, false).await;
        assert_eq!(end, End::Exited(2));
    }

    #[tokio::test]
    async fn a_child_that_redirects_its_output_survives_a_script_that_succeeded() {
        let (end, lines) = sh("sleep 60 >/dev/null 2>&1 & echo $!", 5000, false).await;
        assert_eq!(end, End::Exited(0));
        let id = lines[0].trim_start_matches("Stdout ").parse().ok().and_then(Pid::from_raw).unwrap();
        assert!(test_kill_process(id).is_ok());
        rustix::process::kill_process(id, Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_script_is_stopped_at_once() {
        assert_eq!(sh("sleep 60", 60_000, true).await.0, End::Cancelled);
    }
}
