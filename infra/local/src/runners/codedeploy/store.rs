//! What deployments leave on disk: records, bundles, each host's archives and lists.
//!
//! ```text
//! <state>/codedeploy/<group id>/
//!   group.json                                   which application and group this is
//!   lock                                         held while a deployment runs
//!   live                                         blue/green: the set of hosts that is in traffic
//!   deployments/<deployment id>/deployment.json  the record, rewritten at every event: the journal
//!   deployments/<deployment id>/bundle.zip
//!   hosts/<host>/                                what `deployment-root` is to the CodeDeploy agent
//!     <deployment id>/deployment-archive/        the unpacked bundle
//!     <deployment id>/logs/scripts.log
//!     deployment-instructions/<group id>-install.json, -cleanup, _last_successful_install, _most_recent_install
//!     deployment-logs/codedeploy-agent-deployments.log
//! ```

use super::record::Record;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::watch;

/// Archives and bundles kept, besides those of the last successful deployment.
pub(super) const ARCHIVES_KEPT: usize = 5;
/// Records kept.
const RECORDS_KEPT: usize = 200;
/// How often a waiting deployment looks whether the group is free.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// One deployment group's folder.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
    group: String,
}

/// Held while a deployment of the group runs. The system lets go of it when the process ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Store {
    /// Opens a group's folder, making it on first use. `about` is written to `group.json`.
    pub(super) fn open(state: &Path, group: &str, about: &serde_json::Value) -> io::Result<Self> {
        // Scripts get these paths and run elsewhere, so they must not be relative.
        let folder = std::path::absolute(state.join("codedeploy").join(group))?;
        fs::create_dir_all(folder.join("deployments"))?;
        write_whole(&folder.join("group.json"), format!("{about:#}\n").as_bytes())?;
        Ok(Self { folder, group: group.to_owned() })
    }

    /// Where it all lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until no other deployment of the group runs. `None` when cancelled meanwhile.
    pub(super) async fn lock(
        &self,
        cancelled: &watch::Receiver<bool>,
        waiting: impl FnOnce(),
    ) -> io::Result<Option<Lock>> {
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join("lock"))?;
        let mut waiting = Some(waiting);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if *cancelled.borrow() {
                return Ok(None);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    /// Every record, oldest first. Records that cannot be read are passed over.
    pub(super) fn records(&self) -> io::Result<Vec<Record>> {
        let mut records = read_records(&self.folder)?;
        records.sort_by_key(|record| record.number);
        Ok(records)
    }

    /// The number of the next deployment.
    pub(super) fn next_number(&self) -> u64 {
        self.records().ok().and_then(|records| records.last().map(|record| record.number)).unwrap_or(0) + 1
    }

    /// Writes a record, whole or not at all.
    pub(super) fn save(&self, record: &Record) -> io::Result<()> {
        let folder = self.deployment(&record.deployment_id);
        fs::create_dir_all(&folder)?;
        let bytes = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        write_whole(&folder.join("deployment.json"), &bytes)
    }

    fn deployment(&self, id: &str) -> PathBuf {
        self.folder.join("deployments").join(id)
    }

    /// Where a deployment's bundle is kept.
    pub(super) fn bundle(&self, id: &str) -> PathBuf {
        self.deployment(id).join("bundle.zip")
    }

    /// Keeps a bundle for later rollbacks. The file is shared with its first place where the disk allows it.
    pub(super) fn keep_bundle(&self, id: &str, file: &Path) -> io::Result<()> {
        fs::create_dir_all(self.deployment(id))?;
        let to = self.bundle(id);
        fs::hard_link(file, &to).or_else(|_| fs::copy(file, &to).map(|_| ()))
    }

    /// Blue/green: whether the replacement set is the one in traffic.
    pub(super) fn replacement_is_live(&self) -> bool {
        fs::read_to_string(self.folder.join("live")).is_ok_and(|text| text.trim() == "replacement-hosts")
    }

    /// Blue/green: records which set is in traffic.
    pub(super) fn set_live(&self, replacement: bool) -> io::Result<()> {
        let word = if replacement { "replacement-hosts\n" } else { "hosts\n" };
        write_whole(&self.folder.join("live"), word.as_bytes())
    }

    /// A host's folder.
    pub(super) fn host(&self, name: &str) -> HostStore {
        HostStore { folder: self.folder.join("hosts").join(name), group: self.group.clone() }
    }

    /// Removes what is older than the newest few and is not the last that succeeded.
    pub(super) fn prune(&self, hosts: &[&str]) -> io::Result<()> {
        let records = self.records()?;
        let newest: Vec<&str> =
            records.iter().rev().take(ARCHIVES_KEPT).map(|record| record.deployment_id.as_str()).collect();
        let good = records.iter().rev().find(|record| record.deployed()).map(|record| &record.deployment_id);
        for (age, record) in records.iter().rev().enumerate() {
            let id = &record.deployment_id;
            if newest.contains(&id.as_str()) || Some(id) == good {
                continue;
            }
            if age >= RECORDS_KEPT {
                fs::remove_dir_all(self.deployment(id))?;
            } else {
                remove_if_there(&self.bundle(id))?;
            }
        }
        for host in hosts {
            self.host(host).prune(&newest)?;
        }
        Ok(())
    }
}

/// The records of every group, in no order.
pub(super) fn all_records(state: &Path) -> io::Result<Vec<Record>> {
    let groups = match fs::read_dir(state.join("codedeploy")) {
        Ok(groups) => groups,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut records = Vec::new();
    for group in groups {
        match read_records(&group?.path()) {
            Ok(found) => records.extend(found),
            // A group whose folder is being made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn read_records(group: &Path) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(group.join("deployments"))? {
        let path = entry?.path().join("deployment.json");
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Record>(&bytes) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!(path = %path.display(), %error, "record passed over"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// One host's folder.
#[derive(Debug, Clone)]
pub(super) struct HostStore {
    folder: PathBuf,
    group: String,
}

impl HostStore {
    /// The folder of one deployment's archive and logs.
    pub(super) fn deployment(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// The unpacked bundle of a deployment.
    pub(super) fn archive(&self, id: &str) -> PathBuf {
        self.deployment(id).join("deployment-archive")
    }

    /// The log of a deployment's scripts.
    pub(super) fn scripts_log(&self, id: &str) -> PathBuf {
        self.deployment(id).join("logs").join("scripts.log")
    }

    /// The log of all deployments' scripts.
    pub(super) fn agent_log(&self) -> PathBuf {
        self.folder.join("deployment-logs").join("codedeploy-agent-deployments.log")
    }

    /// Makes the folders of a deployment.
    pub(super) fn prepare(&self, id: &str) -> io::Result<()> {
        for folder in [
            self.deployment(id).join("logs"),
            self.folder.join("deployment-instructions"),
            self.folder.join("deployment-logs"),
        ] {
            fs::create_dir_all(folder)?;
        }
        Ok(())
    }

    /// A file of `deployment-instructions`; `suffix` is for example `-cleanup`.
    pub(super) fn instructions(&self, suffix: &str) -> PathBuf {
        self.folder.join("deployment-instructions").join(format!("{}{suffix}", self.group))
    }

    /// The last deployment that succeeded on this host.
    pub(super) fn last_successful(&self) -> Option<String> {
        read_id(&self.instructions("_last_successful_install"))
    }

    /// The last deployment whose bundle reached this host.
    pub(super) fn most_recent(&self) -> Option<String> {
        read_id(&self.instructions("_most_recent_install"))
    }

    /// Records that a deployment succeeded on this host.
    pub(super) fn set_last_successful(&self, id: &str) -> io::Result<()> {
        write_whole(&self.instructions("_last_successful_install"), format!("{id}\n").as_bytes())
    }

    /// Records that a deployment's bundle has reached this host.
    pub(super) fn set_most_recent(&self, id: &str) -> io::Result<()> {
        write_whole(&self.instructions("_most_recent_install"), format!("{id}\n").as_bytes())
    }

    fn prune(&self, newest: &[&str]) -> io::Result<()> {
        let (good, recent) = (self.last_successful(), self.most_recent());
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kept = newest.contains(&name.as_str())
                || good.as_ref() == Some(&name)
                || recent.as_ref() == Some(&name);
            if name.starts_with("d-") && !kept {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

fn read_id(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|id| id.starts_with("d-") && !id.contains(['/', '.']))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes beside, then renames: a reader sees the old text or the new, never a part.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(beside, path)
}
