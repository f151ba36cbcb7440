//! The record of one deployment. It is also the journal: written at every event, so that after a crash it says
//! what was going on.

use super::{appspec::FileExists, lifecycle::Event};
use serde::{Deserialize, Serialize};

/// Letters and digits of a deployment id after `d-`.
const ID_CHARS: usize = 9;

/// The error code of a deployment that a crash interrupted.
pub(super) const FAILED_AFTER_RESTART: &str = "FAILED_AFTER_RESTART";

/// How a deployment stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    #[default]
    Created,
    InProgress,
    Succeeded,
    Failed,
    Stopped,
}

/// How a host or an event stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    #[default]
    Pending,
    InProgress,
    Succeeded,
    Failed,
    Skipped,
}

/// Who asked for a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Creator {
    #[default]
    User,
    CodeDeployRollback,
}

/// What is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revision {
    pub(super) bucket: String,
    pub(super) key: String,
    /// SHA-256 of the bundle in hexadecimal.
    pub(super) e_tag: String,
    /// The source revision the bundle was made from, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
}

impl Revision {
    /// A short name for people: the commit, else the bundle's hash.
    pub(super) fn short(&self) -> String {
        self.commit.as_deref().unwrap_or(&self.e_tag).chars().take(12).collect()
    }
}

/// Why a deployment failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorInformation {
    pub(super) code: String,
    pub(super) message: String,
}

/// How a deployment and its rollback belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RollbackInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rollback_deployment_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rollback_triggering_deployment_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rollback_message: Option<String>,
}

/// One event of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventRecord {
    pub(super) lifecycle_event_name: Event,
    pub(super) status: Standing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) start_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) diagnostics: Option<Diagnostics>,
}

/// What is known of an event that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Diagnostics {
    pub(super) error_code: ErrorCode,
    pub(super) script_name: String,
    pub(super) message: String,
    pub(super) log_tail: String,
}

/// The class of an event's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ErrorCode {
    ScriptMissing,
    ScriptNotExecutable,
    ScriptTimedOut,
    ScriptFailed,
    UnknownError,
}

/// One host's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostRecord {
    pub(super) host: String,
    pub(super) status: Standing,
    pub(super) lifecycle_events: Vec<EventRecord>,
}

/// One deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) deployment_id: String,
    /// Counts the group's deployments, from 1.
    pub(super) number: u64,
    pub(super) application_name: String,
    pub(super) deployment_group_name: String,
    pub(super) creator: Creator,
    /// The action this deployment was made for.
    pub(super) action_execution: String,
    /// The pipeline it belongs to; older records do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pipeline: Option<String>,
    pub(super) status: Status,
    pub(super) revision: Revision,
    pub(super) deployment_config_name: String,
    pub(super) file_exists_behavior: FileExists,
    pub(super) blue_green: bool,
    pub(super) create_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) complete_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error_information: Option<ErrorInformation>,
    #[serde(default)]
    pub(super) rollback_info: RollbackInfo,
    pub(super) hosts: Vec<HostRecord>,
}

impl Record {
    /// Whether the deployment is over.
    pub(super) fn ended(&self) -> bool {
        match self.status {
            Status::Created | Status::InProgress => false,
            Status::Succeeded | Status::Failed | Status::Stopped => true,
        }
    }

    /// Whether it ended well.
    pub(super) fn succeeded(&self) -> bool {
        self.status == Status::Succeeded
    }

    /// Whether it brought its revision to the group's hosts: moving traffic back brings none.
    pub(super) fn deployed(&self) -> bool {
        self.succeeded() && !(self.blue_green && self.creator == Creator::CodeDeployRollback)
    }

    /// Ends the record: what never began is skipped, what was going on has failed.
    pub(super) fn end(&mut self, status: Status, error: Option<ErrorInformation>) {
        self.status = status;
        self.error_information = error;
        self.complete_time = Some(now());
        for host in &mut self.hosts {
            for event in &mut host.lifecycle_events {
                event.status = ended(event.status);
            }
            // Blue/green: a host that did its first part well and never came to the second.
            let well = host.lifecycle_events.iter().all(|event| event.status != Standing::Failed);
            host.status = match host.status {
                Standing::InProgress if self.blue_green && well => Standing::Skipped,
                status => ended(status),
            };
        }
    }

    /// Whether this deployment left a host with its application stopped, as far as the record tells: it came
    /// past ApplicationStop, or died in it, and no ApplicationStart succeeded. `None` if it never began there.
    pub(super) fn left_stopped(&self, host: &str) -> Option<bool> {
        let host = self.hosts.iter().find(|is| is.host == host)?;
        let has = |event: Event| host.lifecycle_events.iter().find(|is| is.lifecycle_event_name == event);
        has(Event::ApplicationStop)?;
        let died = self.error_information.as_ref().is_some_and(|error| error.code == FAILED_AFTER_RESTART);
        let started = has(Event::ApplicationStart).is_some_and(|is| is.status == Standing::Succeeded);
        Some((died || has(Event::DownloadBundle).is_some()) && !started)
    }

    /// Adds an event to a host as begun.
    pub(super) fn begin(&mut self, host: &str, event: Event) {
        let Some(host) = self.hosts.iter_mut().find(|is| is.host == host) else { return };
        host.status = Standing::InProgress;
        host.lifecycle_events.push(EventRecord {
            lifecycle_event_name: event,
            status: Standing::InProgress,
            start_time: Some(now()),
            end_time: None,
            diagnostics: None,
        });
    }

    /// Ends the event a host is at.
    pub(super) fn finish(&mut self, host: &str, status: Standing, diagnostics: Option<Diagnostics>) {
        let host = self.hosts.iter_mut().find(|is| is.host == host);
        if let Some(event) = host.and_then(|host| host.lifecycle_events.last_mut()) {
            event.status = status;
            event.end_time = Some(now());
            event.diagnostics = diagnostics;
        }
    }

    /// Sets how a host stands.
    pub(super) fn set_host(&mut self, host: &str, status: Standing) {
        if let Some(host) = self.hosts.iter_mut().find(|is| is.host == host) {
            host.status = status;
        }
    }
}

fn ended(progress: Standing) -> Standing {
    match progress {
        Standing::Pending => Standing::Skipped,
        Standing::InProgress => Standing::Failed,
        Standing::Succeeded | Standing::Failed | Standing::Skipped => progress,
    }
}

/// A new deployment id: `d-` and nine upper-case letters or digits.
pub(super) fn new_id() -> String {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut bits = uuid::Uuid::new_v4().as_u128() >> 64 ^ uuid::Uuid::new_v4().as_u128();
    let mut id = String::from("d-");
    for _ in 0..ID_CHARS {
        id.push(char::from(ALPHABET[usize::try_from(bits % 36).unwrap_or(0)]));
        bits /= 36;
    }
    id
}

/// The present moment, RFC 3339.
pub(super) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
