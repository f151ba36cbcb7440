//! After a crash: what an interrupted deployment left behind.

use super::{
    lifecycle::Event,
    record::{ErrorInformation, FAILED_AFTER_RESTART, Record, Standing, Status},
    store::Store,
};
use crate::output::ActionLog;
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, io, time::Duration};

/// How long a leftover script has between TERM and KILL.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Marks the deployments that a crash interrupted as failed, and stops the scripts they were at. Services that
/// finished events started are left alone. Called with the group's lock held: whatever is not over is dead.
/// Returns true when traffic may stand between the two sets of a blue/green group.
pub(super) async fn recover(store: &Store, log: &ActionLog) -> io::Result<bool> {
    let mut traffic_moved = false;
    for mut record in store.records()?.into_iter().filter(|record| !record.ended()) {
        let id = record.deployment_id.clone();
        log.line(&format!(
            "deployment {id} was interrupted; it is recorded as failed and what it left is cleared"
        ));
        stop_scripts(&record).await;
        traffic_moved |= record.blue_green && moved_traffic(&record);
        let error = ErrorInformation {
            code: FAILED_AFTER_RESTART.to_owned(),
            message: "the program ended while this deployment was in progress".to_owned(),
        };
        record.end(Status::Failed, Some(error));
        store.save(&record)?;
    }
    Ok(traffic_moved)
}

fn moved_traffic(record: &Record) -> bool {
    let events = record.hosts.iter().flat_map(|host| &host.lifecycle_events);
    events
        .map(|event| event.lifecycle_event_name)
        .any(|event| matches!(event, Event::AllowTraffic | Event::BeforeAllowTraffic | Event::BlockTraffic))
}

/// Processes whose environment names this deployment, and a host and event that had not ended.
async fn stop_scripts(record: &Record) {
    let open: Vec<[String; 3]> = record
        .hosts
        .iter()
        .flat_map(|host| host.lifecycle_events.iter().map(move |event| (host, event)))
        .filter(|(_, event)| event.status == Standing::InProgress)
        .map(|(host, event)| {
            [
                format!("DEPLOYMENT_ID={}", record.deployment_id),
                format!("TOWPATH_HOST={}", host.host),
                format!("LIFECYCLE_EVENT={}", event.lifecycle_event_name),
            ]
        })
        .collect();
    if open.is_empty() {
        return;
    }
    let told = signal_all(&open, Signal::TERM);
    if told == 0 {
        return;
    }
    let patience = tokio::time::Instant::now() + LEFTOVER_GRACE;
    while !marked(&open).is_empty() && tokio::time::Instant::now() < patience {
        tokio::time::sleep(POLL).await;
    }
    signal_all(&open, Signal::KILL);
}

fn signal_all(open: &[[String; 3]], signal: Signal) -> usize {
    let found = marked(open);
    for process in &found {
        // A process that ended meanwhile is what was wanted.
        let _ = kill_process(*process, signal);
    }
    found.len()
}

/// Looks through `/proc`; where there is none, nothing is found and the script runs out by itself.
fn marked(open: &[[String; 3]]) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|id| {
            let Ok(bytes) = fs::read(format!("/proc/{id}/environ")) else { return false };
            let has = |wanted: &String| bytes.split(|byte| *byte == 0).any(|is| is == wanted.as_bytes());
            open.iter().any(|marks| marks.iter().all(has))
        })
        .filter_map(Pid::from_raw)
        .collect()
}
