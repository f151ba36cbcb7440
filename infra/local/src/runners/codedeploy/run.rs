//! One deployment in progress: what its hosts share.

use super::{
    appspec::{AppSpec, FileExists},
    group::Group,
    lifecycle::Event,
    record::{ErrorInformation, Record, Status},
    store::Store,
};
use crate::{output::ActionLog, runners::Site, settings::Host};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Variables a script may see of this process's own; the rest comes from the settings.
const INHERITED: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "TERM",
    "TMPDIR",
    "DOCKER_HOST",
    "XDG_RUNTIME_DIR",
    "LC_ALL",
    "LC_CTYPE",
];

/// Which deployment's scripts an event runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    /// Stopping and blocking: what the host runs now; the rest: the new bundle.
    Forward,
    /// Moving traffic back: blocking takes the newest bundle, allowing the last that succeeded.
    TrafficBack,
}

/// One deployment in progress.
pub(super) struct Run {
    pub(super) site: Site,
    pub(super) group: Arc<Group>,
    pub(super) store: Store,
    pub(super) id: String,
    /// The appspec of the bundle being deployed.
    pub(super) spec: AppSpec,
    pub(super) file_exists: FileExists,
    pub(super) scripts: Scripts,
    /// Hosts whose application an earlier deployment stopped and did not start again, with that deployment.
    stopped_already: BTreeMap<String, String>,
    record: Mutex<Record>,
}

/// Why a host's part of a deployment failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostFailure {
    pub(super) host: String,
    pub(super) event: Event,
    /// What went wrong, with the script and its exit code.
    pub(super) message: String,
    /// The last lines of output.
    pub(super) tail: Vec<String>,
    pub(super) cancelled: bool,
}

impl Run {
    /// Begins a deployment and writes its first record.
    pub(super) fn begin(
        site: &Site,
        group: &Arc<Group>,
        store: &Store,
        spec: AppSpec,
        scripts: Scripts,
        record: Record,
    ) -> Arc<Self> {
        let stopped_already = stopped_already(store, &record);
        let run = Self {
            stopped_already,
            site: site.clone(),
            group: Arc::clone(group),
            store: store.clone(),
            id: record.deployment_id.clone(),
            file_exists: record.file_exists_behavior,
            spec,
            scripts,
            record: Mutex::new(record),
        };
        run.update(|record| record.status = Status::InProgress);
        Arc::new(run)
    }

    pub(super) fn log(&self) -> &ActionLog {
        &self.site.log
    }

    pub(super) fn cancelled(&self) -> bool {
        *self.site.cancelled.borrow()
    }

    /// Why a failure of an event is no reason to stop, if it is none. A stop script may well fail on what is
    /// stopped already: that must break neither a rollback nor a deployment begun again after a crash.
    pub(super) fn forgives(&self, host: &str, event: Event) -> Option<String> {
        if event.uses_last_successful() && self.group.settings.ignore_application_stop_failures {
            return Some("`ignore-application-stop-failures`".to_owned());
        }
        let stopped = self.stopped_already.get(host).filter(|_| event == Event::ApplicationStop)?;
        Some(format!("deployment {stopped} had stopped it already"))
    }

    /// Changes the record and writes it down. A journal that cannot be written is told and does not stop the
    /// deployment: half a fleet on the new revision would be worse.
    pub(super) fn update(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.lock();
        change(&mut record);
        if let Err(error) = self.store.save(&record) {
            self.log().line(&format!(
                "warning: the record of deployment {} could not be written: {error}",
                self.id
            ));
        }
    }

    /// Ends the record.
    pub(super) fn end(&self, status: Status, error: Option<ErrorInformation>) {
        self.update(|record| record.end(status, error));
    }

    /// The record as it stands.
    pub(super) fn record(&self) -> Record {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // A panic elsewhere cannot leave a record half changed: changes are plain assignments.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole environment of a script of one event on one host.
    pub(super) fn environment(&self, host: &Host, root: &str, event: Event) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        env.extend(self.group.settings.environment.clone());
        env.extend(host.environment.clone());
        let revision = self.lock().revision.clone();
        let own = [
            ("LIFECYCLE_EVENT", event.name()),
            ("DEPLOYMENT_ID", &self.id),
            ("APPLICATION_NAME", &self.group.application),
            ("DEPLOYMENT_GROUP_NAME", &self.group.name),
            ("DEPLOYMENT_GROUP_ID", &self.group.id),
            ("BUNDLE_BUCKET", &revision.bucket),
            ("BUNDLE_KEY", &revision.key),
            ("BUNDLE_ETAG", &revision.e_tag),
            ("CODEDEPLOY_TARGET_ROOT", root),
            ("TOWPATH_HOST", &host.name),
            ("TOWPATH_HOST_ROOT", root),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        env
    }
}

fn stopped_already(store: &Store, record: &Record) -> BTreeMap<String, String> {
    // Records that cannot be read only make the deployment stricter.
    let records = store.records().unwrap_or_default();
    let newest = |host: &str| {
        let earlier = records.iter().rev().filter(|is| is.deployment_id != record.deployment_id);
        earlier.filter_map(|is| Some((is.left_stopped(host)?, &is.deployment_id))).next()
    };
    record
        .hosts
        .iter()
        .filter_map(|is| match newest(&is.host)? {
            (true, id) => Some((is.host.clone(), id.clone())),
            (false, _) => None,
        })
        .collect()
}

/// A duration for people: `0.3s`, `12.0s`, `3m05s`.
pub(super) fn spent(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        return format!("{:.1}s", time.as_secs_f64());
    }
    format!("{}m{:02}s", time.as_secs() / 60, time.as_secs() % 60)
}
