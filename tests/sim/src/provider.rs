//! Whoever does the work: it succeeds, fails, hangs, comes late, and keeps what it has begun when the process that
//! asked for it dies. Asked twice for one attempt it works once.

use crate::{
    definitions::known,
    plan::Trouble,
    shared::{Die, Life, Shared},
};
use engine::{
    action::{ActionJob, Failure, FailureCode, Outcome, SourceRevision, Success},
    ports::Actions,
    rule::{RuleJob, RuleOutcome, RuleSuccess},
};
use events::{ActionCategory, ActionExecutionId, ActionOwner, ActionTypeId, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// What is known of the work at every attempt.
#[derive(Default)]
pub struct Provider {
    works: BTreeMap<ActionExecutionId, Work>,
}

/// The work at one attempt.
struct Work {
    /// How it ends; `None` never does.
    ends: Option<End>,
    /// When, in milliseconds since the beginning.
    done: i64,
    /// Somebody said that it no longer counts.
    called_off: bool,
    told: Arc<Notify>,
    /// Processes that wait for it now.
    waiting: BTreeSet<u64>,
    /// Processes that were asked to begin it.
    begun_by: BTreeSet<u64>,
    /// The process that holds the claim, until when.
    claim: Option<(u64, i64)>,
}

/// How work ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Well { without_variables: bool },
    Badly(FailureCode),
}

/// How long a claim holds when its holder does not come back, in milliseconds.
const CLAIM_MS: i64 = 15 * 60_000;

impl Provider {
    /// Attempts that were called off in the log, were begun, and of which nobody told the provider.
    pub fn not_told<'p>(
        &'p self,
        called_off: impl Iterator<Item = &'p ActionExecutionId>,
    ) -> Vec<&'p ActionExecutionId> {
        called_off
            .filter(|id| self.works.get(id).is_some_and(|work| !work.called_off && !work.waiting.is_empty()))
            .collect()
    }

    /// A process is gone, and waits for nothing any more.
    pub fn forget(&mut self, life: u64) {
        for work in self.works.values_mut() {
            work.waiting.remove(&life);
        }
    }

    /// The work at an attempt, begun if it was not.
    fn work(&mut self, shared: &Shared, id: &ActionExecutionId, is_rule: bool) -> &mut Work {
        self.works.entry(id.clone()).or_insert_with(|| {
            let hangs = shared.strikes(Trouble::Work, Die::Work);
            let late = shared.strikes(Trouble::Work, Die::Work);
            let mut dice = shared.dice(Die::Work);
            let well = if shared.is_troubled() { 82 } else { 97 };
            let ends = if dice.chance(well) {
                End::Well { without_variables: dice.chance(6) }
            } else if is_rule && dice.chance(30) {
                End::Badly(FailureCode::PermissionError)
            } else {
                End::Badly(FailureCode::JobFailed)
            };
            let takes = match dice.below(10) {
                _ if late => 60_000 * (1 + dice.below(600)),
                0..=3 => 0,
                4..=8 => dice.below(4_000),
                _ => dice.below(300_000),
            };
            Work {
                ends: (!hangs).then_some(ends),
                done: shared.elapsed() + takes as i64,
                called_off: false,
                told: Arc::default(),
                waiting: BTreeSet::new(),
                begun_by: BTreeSet::new(),
                claim: None,
            }
        })
    }
}

/// What a process has for its work.
pub struct SimActions {
    /// Everything around.
    pub shared: Arc<Shared>,
    /// The process.
    pub life: Arc<Life>,
}

impl SimActions {
    /// Waits for the work at an attempt. `None`: somebody else does, or it was called off.
    async fn wait(&self, id: &ActionExecutionId, is_rule: bool, resumed: bool) -> Option<End> {
        self.shared.takes_time().await;
        self.life.lives().await;
        let me = self.life.number;
        let (told, done) = {
            if !self.shared.observer().knows(id) {
                let id = id.clone();
                self.shared
                    .observer()
                    .blame(|| format!("nothing is begun that might still vanish: {id:?} is not in the log"));
            }
            let mut provider = self.shared.provider();
            let now = self.shared.elapsed();
            let pipelined = self.shared.plan.pipelined;
            let work = provider.work(&self.shared, id, is_rule);
            if pipelined && work.waiting.contains(&me) {
                self.shared.observer().blame(|| format!("a process does the same work once: {id:?}"));
            }
            let begins_again = !work.begun_by.insert(me) && !resumed;
            if pipelined && begins_again {
                self.shared.observer().blame(|| format!("a process begins the same work once: {id:?}"));
            }
            if !pipelined {
                if work.claim.is_some_and(|(holder, until)| holder != me && now < until) {
                    return None;
                }
                if work.waiting.contains(&me) {
                    return None;
                }
                work.claim = Some((me, now + CLAIM_MS));
            }
            work.waiting.insert(me);
            let short = id.as_str();
            self.shared.note(|| format!("  process {me} works on {short}: {:?} at {}", work.ends, work.done));
            (Arc::clone(&work.told), work.ends.as_ref().map(|_| work.done))
        };
        self.until(&told, done).await;
        self.life.lives().await;
        let mut provider = self.shared.provider();
        let work = provider.work(&self.shared, id, is_rule);
        work.waiting.remove(&me);
        if work.called_off { None } else { work.ends.clone() }
    }

    async fn until(&self, told: &Notify, done: Option<i64>) {
        let Some(done) = done else { return told.notified().await };
        let rest = done - self.shared.elapsed();
        if rest > 0 {
            let rest = Duration::from_millis(rest.unsigned_abs());
            drop(tokio::time::timeout(rest, told.notified()).await);
        }
    }
}

impl Actions for SimActions {
    async fn run(&self, job: ActionJob) -> Option<Outcome> {
        let end = self.wait(&job.action_execution, false, job.resumed).await?;
        Some(match end {
            End::Badly(code) => Outcome::Failed(Failure::new(code, "exit status 1")),
            End::Well { without_variables } => Outcome::Succeeded(Success {
                output_variables: variables(without_variables),
                revision: (job.action_type.category == ActionCategory::Source).then(|| SourceRevision {
                    action: job.action.clone(),
                    revision_id: job.revision.clone().unwrap_or_else(|| "abc".to_owned()),
                    summary: None,
                    url: None,
                    change_id: None,
                    created: None,
                }),
                ..Success::default()
            }),
        })
    }

    async fn run_rule(&self, job: RuleJob) -> Option<RuleOutcome> {
        let end = self.wait(&(&job.rule_execution).into(), true, job.resumed).await?;
        Some(match end {
            End::Badly(code) => RuleOutcome::Failed(Failure::new(code, "no")),
            End::Well { .. } => RuleOutcome::Succeeded(RuleSuccess::default()),
        })
    }

    fn leaves_to_workers(&self, action_type: &ActionTypeId) -> bool {
        action_type.owner == ActionOwner::Custom
    }

    fn cancel(&self, attempt: &ActionExecutionId) {
        if self.life.is_over() {
            return;
        }
        if let Some(work) = self.shared.provider().works.get_mut(attempt) {
            work.called_off = true;
            work.told.notify_waiters();
        }
    }
}

/// Values for whatever any definition mentions.
fn variables(without: bool) -> BTreeMap<String, String> {
    if without {
        return BTreeMap::new();
    }
    known().variables.iter().map(|name| (name.clone(), "1".to_owned())).collect()
}

/// When timers go off, in the words of the clock.
pub fn rest(at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0))
}
