//! Actions and rules on this machine: each job runs in a task of its own, with its own log file.

use crate::{
    artifacts::ArtifactStore,
    output::ActionLog,
    runners::{self, Site, rules},
    settings::Settings,
};
use engine::{
    action::{ActionJob, ActionTypeId, DeployTargets, Failure, FailureCode, Outcome, Run},
    ports::{Actions, TargetsError},
    rule::{RuleJob, RuleOutcome},
};
use events::{
    ActionExecutionId, ActionName, ConditionType, ExecutionId, RuleExecutionId, RuleName, StageName,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Actions carried out at the same time; more wait their turn.
pub const ACTIONS_AT_ONCE_MAX: usize = 64;

/// What carries out actions here.
#[derive(Clone)]
pub struct LocalActions {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    artifacts: Arc<ArtifactStore>,
    state: PathBuf,
    region: String,
    account: String,
    serves_workers: bool,
    turns: Semaphore,
    running: Mutex<HashMap<ActionExecutionId, watch::Sender<bool>>>,
    stopping: watch::Sender<bool>,
}

impl LocalActions {
    /// Runs actions with these settings, in this state folder. Workers can ask for jobs where an endpoint is served.
    pub fn new(
        settings: Arc<Settings>,
        state: &Path,
        region: &str,
        account: &str,
        serves_workers: bool,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                artifacts: Arc::new(ArtifactStore::new(state.join("artifacts"))),
                state: state.to_owned(),
                region: region.to_owned(),
                account: account.to_owned(),
                serves_workers,
                turns: Semaphore::new(ACTIONS_AT_ONCE_MAX),
                running: Mutex::new(HashMap::new()),
                stopping: watch::Sender::new(false),
            }),
        }
    }

    /// Where artifacts lie.
    pub fn artifacts(&self) -> &ArtifactStore {
        &self.shared.artifacts
    }

    /// Stops everything that runs, without recording a result: the next start takes it up again.
    pub async fn shut_down(&self) {
        self.shared.stopping.send_replace(true);
        for cancel in self.lock().values() {
            cancel.send_replace(true);
        }
        // Runners answer within their grace period; whoever comes in meanwhile is turned away at the door.
        while !self.lock().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ActionExecutionId, watch::Sender<bool>>> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one attempt's work, when it is its turn, unless it is being done already, or the process is about to end.
    /// It is known from here on, so that it can be called off while it waits.
    async fn attempt<T, W: Future<Output = T>>(
        &self,
        id: ActionExecutionId,
        log: PathBuf,
        takes_turn: bool,
        work: impl FnOnce(Site) -> W,
        broken: impl FnOnce(Failure) -> T,
    ) -> Run<T> {
        let (cancel, cancelled) = watch::channel(false);
        {
            let mut running = self.lock();
            if *self.shared.stopping.borrow() || running.contains_key(&id) {
                return Run::Elsewhere;
            }
            running.insert(id.clone(), cancel);
        }
        let turn = if takes_turn { self.turn(cancelled.clone()).await } else { None };
        if takes_turn && turn.is_none() {
            self.lock().remove(&id);
            return Run::Elsewhere;
        }
        let outcome = match ActionLog::open(&log, self.shared.settings.limits.log_bytes) {
            Ok(log) => work(self.site(log, cancelled.clone())).await,
            Err(error) => {
                let text = format!("the log file `{}` cannot be written: {error}", log.display());
                broken(Failure::new(FailureCode::SystemUnavailable, text))
            }
        };
        self.lock().remove(&id);
        // The outcome of a cancelled job is no result; when the process stops, the next start runs it again.
        match *cancelled.borrow() {
            true => Run::Elsewhere,
            false => Run::Ended(outcome),
        }
    }

    /// Waits for a turn; `None` when the attempt was called off before.
    async fn turn(&self, mut cancelled: watch::Receiver<bool>) -> Option<SemaphorePermit<'_>> {
        tokio::select! {
            biased;
            _ = cancelled.wait_for(|cancelled| *cancelled) => None,
            turn = self.shared.turns.acquire() => turn.ok(),
        }
    }

    fn site(&self, log: ActionLog, cancelled: watch::Receiver<bool>) -> Site {
        Site {
            settings: Arc::clone(&self.shared.settings),
            artifacts: Arc::clone(&self.shared.artifacts),
            log,
            cancelled,
            state: self.shared.state.clone(),
            region: self.shared.region.clone(),
            account: self.shared.account.clone(),
        }
    }
}

/// The log file of one attempt.
pub fn log_path(
    state: &Path,
    execution: &ExecutionId,
    stage: &StageName,
    action: &ActionName,
    attempt: &ActionExecutionId,
) -> PathBuf {
    // Names may be `.` or `..` as far as the API cares; a prefix makes them plain names of files.
    let short: String = attempt.as_str().chars().take(8).collect();
    state.join("logs").join(execution.as_str()).join(format!("{stage}.{action}.{short}.log"))
}

/// The log file of one attempt at a rule.
pub fn rule_log_path(
    state: &Path,
    execution: &ExecutionId,
    stage: &StageName,
    condition: ConditionType,
    rule: &RuleName,
    attempt: &RuleExecutionId,
) -> PathBuf {
    let short: String = attempt.as_str().chars().take(8).collect();
    let name = format!("{stage}.{}.{rule}.{short}.log", condition.member());
    state.join("logs").join(execution.as_str()).join(name)
}

impl Actions for LocalActions {
    async fn targets(&self, attempt: &ActionExecutionId) -> Result<Option<DeployTargets>, TargetsError> {
        let (state, attempt) = (self.shared.state.clone(), attempt.clone());
        let read = tokio::task::spawn_blocking(move || runners::codedeploy::targets(&state, &attempt)).await;
        let read = read.map_err(|error| TargetsError(error.to_string()))?;
        read.map_err(|error| TargetsError(error.to_string()))
    }

    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        let id = job.action_execution.clone();
        let log = log_path(&self.shared.state, &job.execution, &job.stage, &job.action, &id);
        let work = |site: Site| async move { runners::run(&job, &site).await };
        self.attempt(id, log, true, work, Outcome::Failed).await
    }

    async fn run_rule(&self, job: RuleJob) -> Run<RuleOutcome> {
        let takes_turn = rules::works(&job.provider);
        let RuleJob { execution, stage, condition, rule, rule_execution, .. } = &job;
        let id = ActionExecutionId::from(rule_execution);
        let log = rule_log_path(&self.shared.state, execution, stage, *condition, rule, rule_execution);
        let work = |site: Site| async move { rules::run(&job, &site).await };
        self.attempt(id, log, takes_turn, work, RuleOutcome::Failed).await
    }

    fn leaves_to_workers(&self, action_type: &ActionTypeId) -> bool {
        self.shared.serves_workers && runners::is_for_workers(action_type, &self.shared.settings)
    }

    fn can_carry_out(&self, action_type: &ActionTypeId) -> bool {
        runners::has_runner(action_type, &self.shared.settings) || self.leaves_to_workers(action_type)
    }

    fn cancel(&self, attempt: &ActionExecutionId) {
        if let Some(cancel) = self.lock().get(attempt) {
            cancel.send_replace(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_that_waits_for_its_turn_can_be_called_off() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Arc::new(Settings::default());
        let actions = LocalActions::new(settings, folder.path(), "us-east-1", "123456789012", false);
        let turns = u32::try_from(ACTIONS_AT_ONCE_MAX).unwrap();
        let all = actions.shared.turns.acquire_many(turns).await.unwrap();
        let id = ActionExecutionId::parse("a1").unwrap();
        let waiting = tokio::spawn({
            let (actions, id) = (actions.clone(), id.clone());
            async move {
                let log = actions.shared.state.join("log");
                actions.attempt(id, log, true, async |_| "worked", |_| "broken").await
            }
        });
        while actions.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        actions.cancel(&id);
        assert_eq!(waiting.await.unwrap(), Run::Elsewhere);
        assert!(actions.lock().is_empty());
        drop(all);
    }
}
