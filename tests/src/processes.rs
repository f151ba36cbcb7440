//! The machine's processes: who is still there.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

/// Processes whose environment holds this text, as id and command line. Whatever a runner starts inherits or is
/// given paths below the test's own folder, so that its name finds exactly the test's own.
pub fn with(text: &str) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let own = std::process::id();
    ids.filter(|id| *id != own)
        .filter_map(|id| {
            let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            let plain = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', " ");
            let command = plain(read("cmdline"));
            let found = command.contains(text) || plain(read("environ")).contains(text);
            // A zombie has neither, and holds nothing.
            found.then_some((id, command))
        })
        .collect()
}

/// Waits until no process is left whose environment holds this text; fails with the list of them.
#[track_caller]
pub fn none_left(text: &str) {
    let mut left = Vec::new();
    let gone = eventually(Duration::from_secs(5), || {
        left = with(text);
        left.is_empty()
    });
    assert!(gone, "still running: {left:?}");
}

/// Stops a process where it stands: it answers nothing any more, and can only be killed.
pub fn freeze(id: u32) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        kill_process(id, Signal::STOP).ok();
    }
}

/// Sends a signal.
pub fn signal(child: &Child, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // One that ended already needs none.
    kill_process(id, signal).ok();
}

/// Waits for a child's end.
pub fn wait(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let mut status = None;
    eventually(at_most, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status
}

/// Waits until something is so, looking often; false when it was not in time.
pub fn eventually(at_most: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if start.elapsed() > at_most {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends a process that the test started, directly or not. One that is gone already needs nothing.
pub fn kill(id: u32) {
    if let Some(id) = Pid::from_raw(i32::try_from(id).unwrap()) {
        kill_process(id, Signal::KILL).ok();
    }
}
