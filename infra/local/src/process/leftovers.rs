//! Finding processes that fled their group, by the marker in their environment.

use super::{LEFTOVER_GRACE, MARKER, POLL};
use events::ActionExecutionId;
use rustix::process::{Pid, Signal};
use tokio::time::Instant;

/// Ends every process that carries this action's marker, wherever it fled to: TERM, [`LEFTOVER_GRACE`], KILL.
/// Returns how many there were. Processes of other users, and any where there is no `/proc`, are not seen.
pub async fn clear_leftovers(action: &ActionExecutionId) -> usize {
    let marker = format!("{MARKER}={action}").into_bytes();
    let begun = Instant::now();
    let mut told: Vec<Pid> = Vec::new();
    loop {
        let elapsed = begun.elapsed();
        let (wanted, searched) = (marker.clone(), told.clone());
        let search = tokio::task::spawn_blocking(move || {
            proc::tell(&wanted, |pid| match (elapsed > LEFTOVER_GRACE, searched.contains(&pid)) {
                (true, _) => Some(Signal::KILL),
                (false, false) => Some(Signal::TERM),
                (false, true) => None,
            })
        });
        let found = search.await.unwrap_or_default();
        let done = found.is_empty() || elapsed > LEFTOVER_GRACE * 2;
        for pid in found {
            if !told.contains(&pid) {
                told.push(pid);
            }
        }
        if done {
            return told.len();
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether a group has a member that is more than an entry its parent has not read yet: in a container whose
/// first process is no init, those stay for ever.
pub(super) fn lives(group: Pid) -> bool {
    proc::lives(group)
}

#[cfg(target_os = "linux")]
mod proc {
    use super::{Pid, Signal};
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    use std::{fs, path::Path};

    /// Sends each process whose environment holds `marker` the signal chosen for it. Returns all of them.
    pub(super) fn tell(marker: &[u8], choose: impl Fn(Pid) -> Option<Signal>) -> Vec<Pid> {
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let me = std::process::id();
        processes
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let number: i32 = name.to_str()?.parse().ok()?;
                let pid = Pid::from_raw(number).filter(|_| u32::try_from(number) != Ok(me))?;
                // Opened before the look, so that the signal cannot reach whoever inherits the number.
                let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
                let environment = fs::read(Path::new("/proc").join(&name).join("environ")).ok()?;
                if !environment.split(|byte| *byte == 0).any(|variable| variable == marker) {
                    return None;
                }
                if let Some(signal) = choose(pid) {
                    // It may have ended meanwhile, which is what was wanted.
                    let _ = pidfd_send_signal(&handle, signal);
                }
                Some(pid)
            })
            .collect()
    }

    pub(super) fn lives(group: Pid) -> bool {
        let Ok(processes) = fs::read_dir("/proc") else { return true };
        let group = group.as_raw_nonzero().to_string();
        processes.flatten().any(|entry| {
            let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
            // The name in brackets may hold anything; state, parent and group follow the last bracket.
            let stat = if is_process { fs::read_to_string(entry.path().join("stat")).ok() } else { None };
            let mut fields =
                stat.as_deref().and_then(|stat| stat.rsplit(')').next()).unwrap_or("").split(' ');
            let (state, its_group) = (fields.nth(1).unwrap_or("Z"), fields.nth(1));
            its_group == Some(group.as_str()) && !matches!(state, "Z" | "X")
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod proc {
    use super::{Pid, Signal};

    /// Other systems do not show a process's environment as a file.
    pub(super) fn tell(_marker: &[u8], _choose: impl Fn(Pid) -> Option<Signal>) -> Vec<Pid> {
        Vec::new()
    }

    pub(super) fn lives(_group: Pid) -> bool {
        true
    }
}
