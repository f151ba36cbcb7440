//! What became of each host of a deployment, read back from its record. The record is written at every event, so it
//! is as durable as the deployment itself: nothing else is kept.

use super::record::{Creator, EventRecord, HostRecord, Record, Standing};
use super::store;
use engine::action::{DeployTarget, DeployTargets, TargetEvent};
use events::{ActionExecutionId, PipelineName, Timestamp};
use std::{io, path::Path};

/// What CodeDeploy calls a target that is a server.
const TARGET_TYPE: &str = "InstanceTarget";
/// Characters of an event's message, most.
const MESSAGE_CHARS_MAX: usize = 2048;

/// The hosts that an attempt deployed to; `None` when no deployment was made for it. An attempt that a crash
/// interrupted has made several: the newest counts. A rollback is not what was asked for, and is not shown.
pub fn targets(state: &Path, attempt: &ActionExecutionId) -> io::Result<Option<DeployTargets>> {
    let records = store::all_records(state)?;
    let own =
        |record: &Record| record.action_execution == attempt.as_str() && record.creator == Creator::User;
    Ok(records.into_iter().filter(own).max_by_key(|record| record.number).map(shown))
}

fn shown(record: Record) -> DeployTargets {
    let pipeline = record.pipeline.and_then(|name| PipelineName::parse(name).ok());
    DeployTargets { pipeline, targets: record.hosts.iter().map(target).collect() }
}

fn target(host: &HostRecord) -> DeployTarget {
    let events: Vec<TargetEvent> = host.lifecycle_events.iter().map(event).collect();
    let is_over = match host.status {
        Standing::Pending | Standing::InProgress => false,
        Standing::Succeeded | Standing::Failed | Standing::Skipped => true,
    };
    DeployTarget {
        id: host.host.clone(),
        kind: TARGET_TYPE.to_owned(),
        status: format!("{:?}", host.status),
        started: events.iter().find_map(|event| event.started),
        ended: events.iter().rev().find_map(|event| event.ended).filter(|_| is_over),
        events,
    }
}

fn event(event: &EventRecord) -> TargetEvent {
    let message = event.diagnostics.as_ref().map(|diagnostics| {
        let script = &diagnostics.script_name;
        let told = if script.is_empty() {
            diagnostics.message.clone()
        } else {
            format!("{script}: {}", diagnostics.message)
        };
        told.chars().take(MESSAGE_CHARS_MAX).collect()
    });
    TargetEvent {
        name: event.lifecycle_event_name.to_string(),
        status: format!("{:?}", event.status),
        started: event.start_time.as_deref().and_then(moment),
        ended: event.end_time.as_deref().and_then(moment),
        message,
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|moment| Timestamp(moment.as_millisecond()))
}
