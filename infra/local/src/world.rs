//! The engine's small ports on this machine: the time, ids, timers, secrets.

use domain::{command::Command, pipeline::secrets::Secret};
use engine::ports::{Clock, Ids, Secrets, SecretsError, Timers};
use events::{ActionExecutionId, ActionName, PipelineName, StageName, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, mpsc};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Random UUIDs.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn uuid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

/// Timers of this process: in memory, since `resume` sets them again after a restart. At most one for each action
/// under way.
#[derive(Debug, Default)]
pub struct ProcessTimers {
    due: Mutex<Due>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Due {
    by_time: BTreeMap<(Timestamp, ActionExecutionId), Command>,
    times: HashMap<ActionExecutionId, Timestamp>,
}

impl ProcessTimers {
    /// Hands commands out when their time has come, until nobody takes them any more.
    pub async fn run(self: Arc<Self>, clock: impl Clock, commands: mpsc::Sender<Command>) {
        loop {
            let now = clock.now();
            let (ready, next) = self.take_due(now);
            for command in ready {
                if commands.send(command).await.is_err() {
                    return;
                }
            }
            let pause = next.map_or(Duration::MAX, |next| Duration::from_millis(next.since(now).max(1)));
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = commands.closed() => return,
            }
        }
    }

    fn take_due(&self, now: Timestamp) -> (Vec<Command>, Option<Timestamp>) {
        let mut due = self.lock();
        let mut ready = Vec::new();
        while let Some(((at, _), _)) = due.by_time.first_key_value() {
            if *at > now {
                return (ready, Some(*at));
            }
            if let Some(((_, attempt), command)) = due.by_time.pop_first() {
                due.times.remove(&attempt);
                ready.push(command);
            }
        }
        (ready, None)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timers for ProcessTimers {
    fn set(&self, attempt: &ActionExecutionId, at: Timestamp, command: Command) {
        let is_next = {
            let mut due = self.lock();
            if let Some(before) = due.times.insert(attempt.clone(), at) {
                due.by_time.remove(&(before, attempt.clone()));
            }
            due.by_time.insert((at, attempt.clone()), command);
            due.by_time.first_key_value().is_some_and(|((first, _), _)| *first == at)
        };
        if is_next {
            self.changed.notify_one();
        }
    }

    fn clear(&self, attempt: &ActionExecutionId) {
        let mut due = self.lock();
        if let Some(at) = due.times.remove(attempt) {
            due.by_time.remove(&(at, attempt.clone()));
        }
    }
}

/// Secrets as one file for each pipeline, readable by the user alone.
#[derive(Debug, Clone)]
pub struct SecretFiles {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct StoredSecret {
    stage: StageName,
    action: ActionName,
    key: String,
    value: String,
}

impl SecretFiles {
    /// Secrets in this folder, made on first use.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, pipeline: &PipelineName) -> PathBuf {
        // No pipeline's name holds a `/`, and with an ending none is `.` or `..`.
        self.folder.join(format!("{pipeline}.json"))
    }

    /// Where a single value lies: apart from the pipelines' files, and never outside of the folder.
    fn value_path(&self, name: &str) -> Result<PathBuf, SecretsError> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_legal) {
            return Err(SecretsError(format!("`{name}` is no name of a secret")));
        }
        Ok(self.folder.join("values").join(name))
    }

    fn write(&self, pipeline: &PipelineName, secrets: &[StoredSecret]) -> std::io::Result<()> {
        self.write_file(&self.path(pipeline), &serde_json::to_vec(secrets)?)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(folder)?.sync_all()
    }
}

impl Secrets for SecretFiles {
    async fn put(&self, pipeline: &PipelineName, secrets: &[Secret]) -> Result<(), SecretsError> {
        let stored: Vec<StoredSecret> = secrets
            .iter()
            .map(|secret| StoredSecret {
                stage: secret.stage.clone(),
                action: secret.action.clone(),
                key: secret.key.clone(),
                value: secret.value.clone(),
            })
            .collect();
        self.write(pipeline, &stored).map_err(|error| SecretsError(error.to_string()))
    }

    async fn get(&self, pipeline: &PipelineName) -> Result<Vec<Secret>, SecretsError> {
        let bytes = match fs::read(self.path(pipeline)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(SecretsError(error.to_string())),
        };
        let stored: Vec<StoredSecret> =
            serde_json::from_slice(&bytes).map_err(|error| SecretsError(error.to_string()))?;
        let secret = |stored: StoredSecret| Secret {
            stage: stored.stage,
            action: stored.action,
            key: stored.key,
            value: stored.value,
        };
        Ok(stored.into_iter().map(secret).collect())
    }

    async fn keep(&self, name: &str, value: &str) -> Result<(), SecretsError> {
        self.write_file(&self.value_path(name)?, value.as_bytes())
            .map_err(|error| SecretsError(error.to_string()))
    }

    async fn recall(&self, name: &str) -> Result<Option<String>, SecretsError> {
        match fs::read_to_string(self.value_path(name)?) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SecretsError(error.to_string())),
        }
    }

    async fn forget(&self, name: &str) -> Result<(), SecretsError> {
        match fs::remove_file(self.value_path(name)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(SecretsError(error.to_string()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
