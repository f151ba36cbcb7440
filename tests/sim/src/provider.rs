//! Whoever does the work: it succeeds, fails, hangs, comes late, and keeps what it has begun when the process that
//! asked for it dies. Asked twice for one attempt it works once.

use crate::{
    plan::Trouble,
    shared::{BEGINNING, Die, Life, Shared},
};
use engine::{
    action::{ActionJob, Begun, Failure, FailureCode, Outcome, Run, SourceRevision, Success},
    ports::Actions,
    rule::{RuleJob, RuleOutcome, RuleSuccess},
};
use events::{ActionCategory, ActionExecutionId, ActionOwner, ActionTypeId, ExecutionId, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// What is known of the work at every attempt.
#[derive(Default)]
pub struct Provider {
    /// Names of output variables.
    variables: BTreeSet<String>,
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
    /// It goes on by itself once it has begun: whoever began it has to ask how it went.
    goes_on: bool,
    /// When it was answered for the first time that it has begun, in milliseconds since the beginning.
    answered: Option<i64>,
}

/// Word that work may have ended.
#[derive(Debug, Clone)]
pub struct Hint {
    /// The run.
    pub execution: ExecutionId,
    /// The attempt.
    pub attempt: ActionExecutionId,
    /// When it ends, in milliseconds since the beginning.
    pub at: i64,
}

/// What the process that asked is told.
enum Answer {
    Ended(End),
    Begun,
    Elsewhere,
}

/// How work ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Well { without_variables: bool },
    Badly(FailureCode),
}

/// Where all is well, it is noted within this time that a provider has begun, in milliseconds.
const NOTED_WITHIN_MS: i64 = 30_000;
/// Where all is well, whoever works in vain hears of it within this time, in milliseconds.
const TOLD_WITHIN_MS: i64 = 30_000;
/// How long a claim holds when its holder does not come back, in milliseconds.
const CLAIM_MS: i64 = 15 * 60_000;

impl Provider {
    /// From now on whoever succeeds gives values for these variables.
    pub fn give(&mut self, mut variables: BTreeSet<String>) {
        // Whatever definitions made later on may mention.
        variables.extend(["CommitId", "Tag"].map(str::to_owned));
        self.variables = variables;
    }

    /// Attempts that were called off in the log, each then, of which nobody told the provider: it works at them still, or
    /// did so long after.
    pub fn not_told<'p>(
        &'p self,
        called_off: impl Iterator<Item = (&'p ActionExecutionId, Timestamp)>,
    ) -> Vec<&'p ActionExecutionId> {
        let went_on = |work: &Work, at: Timestamp| {
            work.answered.is_some() && (work.ends.is_none() || work.done > at.0 - BEGINNING + TOLD_WITHIN_MS)
        };
        let is_missed = |work: &Work, at| !work.called_off && (!work.waiting.is_empty() || went_on(work, at));
        let missed =
            called_off.filter(|(id, at)| self.works.get(id).is_some_and(|work| is_missed(work, *at)));
        missed.map(|(id, _)| id).collect()
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
            let goes_on = dice.chance(if shared.plan.pipelined { 15 } else { 70 });
            // Processes that come and go wait for nothing that takes long.
            let in_passing = !shared.plan.pipelined && !goes_on;
            Work {
                ends: (!hangs || in_passing).then_some(ends),
                done: shared.elapsed() + if in_passing { takes.min(5_000) } else { takes } as i64,
                called_off: false,
                told: Arc::default(),
                waiting: BTreeSet::new(),
                begun_by: BTreeSet::new(),
                claim: None,
                answered: None,
                goes_on,
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
    /// Has the work at an attempt begun, asks how it goes, or waits for its end.
    async fn work(&self, asked: Asked<'_>) -> Answer {
        self.shared.takes_time().await;
        self.life.lives().await;
        let answer = self.asked(asked).await;
        if matches!(answer, Answer::Begun) {
            self.answers_late().await;
            self.life.lives().await;
        }
        answer
    }

    /// Some providers take their time to say that they have begun; meanwhile the attempt may be given up.
    async fn answers_late(&self) {
        let wait = {
            let mut dice = self.shared.dice(Die::Latency);
            if dice.chance(20) { dice.below(20_000) } else { 0 }
        };
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        }
    }

    async fn asked(&self, asked: Asked<'_>) -> Answer {
        let Asked { execution, attempt: id, begun, is_rule, resumed } = asked;
        let me = self.life.number;
        let (told, done) = {
            if !self.shared.observer().knows(id) {
                self.shared
                    .blame(|| format!("nothing is begun that might still vanish: {id:?} is not in the log"));
            }
            let mut provider = self.shared.provider();
            let now = self.shared.elapsed();
            let pipelined = self.shared.plan.pipelined;
            let work = provider.work(&self.shared, id, is_rule);
            if begun.is_some_and(|begun| begun != external_id(id)) {
                self.shared.blame(|| format!("a provider is asked for what it has begun: {id:?}: {begun:?}"));
            }
            if work.goes_on {
                return self.ask_how_it_goes(work, execution, id, begun.is_some());
            }
            if pipelined && work.waiting.contains(&me) {
                self.shared.blame(|| format!("a process does the same work once: {id:?}"));
            }
            let begins_again = !work.begun_by.insert(me) && !resumed;
            if pipelined && begins_again {
                self.shared.blame(|| format!("a process begins the same work once: {id:?}"));
            }
            if !pipelined {
                if work.claim.is_some_and(|(holder, until)| holder != me && now < until) {
                    return Answer::Elsewhere;
                }
                if work.waiting.contains(&me) {
                    self.shared.blame(|| format!("a process does the same work once: {id:?}"));
                }
                work.claim = Some((me, now + CLAIM_MS));
            }
            work.waiting.insert(me);
            self.shared.note(|| format!("  process {me} works on {id}: {:?} at {}", work.ends, work.done));
            (Arc::clone(&work.told), work.ends.as_ref().map(|_| work.done))
        };
        self.until(&told, done).await;
        self.life.lives().await;
        let mut provider = self.shared.provider();
        let work = provider.work(&self.shared, id, is_rule);
        work.waiting.remove(&me);
        work.claim = None;
        match work.ends.clone().filter(|_| !work.called_off) {
            Some(end) => Answer::Ended(end),
            None => Answer::Elsewhere,
        }
    }

    fn ask_how_it_goes(
        &self,
        work: &mut Work,
        execution: &ExecutionId,
        id: &ActionExecutionId,
        is_noted: bool,
    ) -> Answer {
        let is_new = work.begun_by.is_empty();
        work.begun_by.insert(self.life.number);
        let ended = work.ends.clone().filter(|_| work.done <= self.shared.elapsed());
        self.shared.note(|| format!("  process {} asks for {id}: {ended:?}", self.life.number));
        if is_new && work.ends.is_some() {
            let hint = Hint { execution: execution.clone(), attempt: id.clone(), at: work.done };
            let _ = self.shared.hints.send(hint);
        }
        let now = self.shared.elapsed();
        let overdue = work.answered.is_some_and(|answered| now - answered > NOTED_WITHIN_MS);
        if overdue && !is_noted && self.shared.plan.is_calm() {
            self.shared.blame(|| format!("it is noted that a provider has begun: {id:?}"));
        }
        match ended {
            Some(end) => Answer::Ended(end),
            None => {
                work.answered.get_or_insert(now);
                if is_noted { Answer::Elsewhere } else { Answer::Begun }
            }
        }
    }

    /// Values for whatever any definition mentions.
    fn variables(&self, without: bool) -> BTreeMap<String, String> {
        if without {
            return BTreeMap::new();
        }
        self.shared.provider().variables.iter().map(|name| (name.clone(), "1".to_owned())).collect()
    }

    fn call_off(&self, id: &ActionExecutionId, goes_on: bool) {
        if let Some(work) = self.shared.provider().works.get_mut(id).filter(|work| work.goes_on == goes_on) {
            work.called_off = true;
            work.told.notify_waiters();
        }
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

/// A question about the work at an attempt.
struct Asked<'a> {
    execution: &'a ExecutionId,
    attempt: &'a ActionExecutionId,
    begun: Option<&'a str>,
    is_rule: bool,
    resumed: bool,
}

/// What a provider calls the work at an attempt.
fn external_id(attempt: &ActionExecutionId) -> String {
    format!("work-{attempt}")
}

fn begun(attempt: &ActionExecutionId) -> Begun {
    let external_execution_id = external_id(attempt);
    Begun { external_execution_id, external_execution_url: None, summary: None }
}

impl Actions for SimActions {
    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        let asked = Asked {
            execution: &job.execution,
            attempt: &job.action_execution,
            begun: job.begun.as_deref(),
            is_rule: false,
            resumed: job.resumed,
        };
        Run::Ended(match self.work(asked).await {
            Answer::Elsewhere => return Run::Elsewhere,
            Answer::Begun => return Run::Begun(begun(&job.action_execution)),
            Answer::Ended(End::Badly(code)) => Outcome::Failed(Failure::new(code, "exit status 1")),
            Answer::Ended(End::Well { without_variables }) => Outcome::Succeeded(Success {
                output_variables: self.variables(without_variables),
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

    async fn run_rule(&self, job: RuleJob) -> Run<RuleOutcome> {
        let id = ActionExecutionId::from(&job.rule_execution);
        let asked = Asked {
            execution: &job.execution,
            attempt: &id,
            begun: job.begun.as_deref(),
            is_rule: true,
            resumed: job.resumed,
        };
        Run::Ended(match self.work(asked).await {
            Answer::Elsewhere => return Run::Elsewhere,
            Answer::Begun => return Run::Begun(begun(&id)),
            Answer::Ended(End::Badly(code)) => RuleOutcome::Failed(Failure::new(code, "no")),
            Answer::Ended(End::Well { .. }) => RuleOutcome::Succeeded(RuleSuccess::default()),
        })
    }

    fn leaves_to_workers(&self, action_type: &ActionTypeId) -> bool {
        action_type.owner == ActionOwner::Custom
    }

    fn cancel(&self, attempt: &ActionExecutionId) {
        if !self.life.is_over() {
            if !self.shared.observer().has_ended(attempt) {
                self.shared.blame(|| format!("no work is called off that still counts: {attempt:?}"));
            }
            // What goes on by itself is stopped by whoever knows how it is called.
            self.call_off(attempt, false);
        }
    }

    async fn stop(&self, job: ActionJob) {
        self.life.lives().await;
        self.call_off(&job.action_execution, true);
    }

    async fn stop_rule(&self, job: RuleJob) {
        self.life.lives().await;
        self.call_off(&(&job.rule_execution).into(), true);
    }
}

/// When timers go off, in the words of the clock.
pub fn rest(at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0))
}
