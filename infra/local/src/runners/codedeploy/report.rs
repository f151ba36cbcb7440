//! What people read about a deployment.

use super::{
    deploy::Verdict,
    record::{HostRecord, Standing},
    run::{HostFailure, Run},
};

/// Lines of output quoted in a failure's message, per host.
const TAIL_LINES_MAX: usize = 10;
/// Hosts described in a failure's message.
const HOSTS_MAX: usize = 5;
/// Characters of a failure's message, the engine's own limit.
const MESSAGE_CHARS_MAX: usize = 5000;

/// Every failed host with its event, on one line.
pub(super) fn failures(failures: &[HostFailure]) -> String {
    let told: Vec<String> = failures
        .iter()
        .take(HOSTS_MAX)
        .map(|failure| format!("host {}: {}: {}", failure.host, failure.event, failure.message))
        .collect();
    told.join("; ")
}

/// The message of a deployment that failed.
pub(super) fn message(run: &Run, verdict: &Verdict, rollback: &str) -> String {
    let Verdict { failures, touched, good, total, .. } = verdict;
    let mut text =
        format!("Deployment {} failed: HEALTH_CONSTRAINTS: {good} of {total} hosts succeeded", run.id);
    let begun = touched.len().min(*total);
    if begun < *total {
        text.push_str(&format!(", {} were not begun", total - begun));
    }
    text.push('.');
    for failure in failures.iter().take(HOSTS_MAX) {
        text.push_str(&format!("\nhost {}: {}: {}", failure.host, failure.event, failure.message));
        let skip = failure.tail.len().saturating_sub(TAIL_LINES_MAX);
        for line in &failure.tail[skip..] {
            text.push_str(&format!("\n    {line}"));
        }
    }
    let mut rollback: Vec<char> = rollback.chars().collect();
    if let Some(first) = rollback.first_mut() {
        first.make_ascii_uppercase();
    }
    let rollback: String = rollback.into_iter().collect();
    // What the rollback did must survive the cut.
    let room = MESSAGE_CHARS_MAX.saturating_sub(rollback.chars().count() + 2);
    let text: String = text.chars().take(room).collect();
    let rollback: String = rollback.chars().take(MESSAGE_CHARS_MAX / 2).collect();
    format!("{text}\n{rollback}.").chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Writes one line per host to the log.
pub(super) fn table(run: &Run) {
    let record = run.record();
    let revision = record.revision.short();
    run.log().line(&format!(
        "deployment {} of {} (revision {revision}): {:?}",
        run.id,
        run.group.key(),
        record.status
    ));
    let width = record.hosts.iter().map(|host| host.host.len()).max().unwrap_or(0);
    for host in &record.hosts {
        let line =
            format!("  {:width$}  {:9}  {}", host.host, format!("{:?}", host.status), last_event(host));
        run.log().line(line.trim_end());
    }
}

fn last_event(host: &HostRecord) -> String {
    let failed = host.lifecycle_events.iter().find(|event| event.status == Standing::Failed);
    match (host.status, failed) {
        (Standing::Failed, Some(event)) => match &event.diagnostics {
            Some(diagnostics) => format!("{}: {}", event.lifecycle_event_name, diagnostics.message),
            None => event.lifecycle_event_name.to_string(),
        },
        (Standing::Failed, None)
        | (Standing::Pending | Standing::InProgress | Standing::Succeeded | Standing::Skipped, _) => {
            String::new()
        }
    }
}
