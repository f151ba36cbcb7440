//! Why a run is where it is: one sentence, and the chain of causes behind it.

use super::words::{gave_way, one_line, policy_words, trigger};
use crate::{
    Rejection, Scope,
    command::{Command, Context, Wish},
    decide,
    execution::{
        ActionStatus, AttemptRun, ConditionRun, ConditionStatus, Execution, ExecutionStatus, StageRun,
        StageStatus,
    },
    lane::{Lane, StageTraffic, excludes},
    pipeline::versions::Pipeline,
    trigger::Triggers,
};
use events::{
    ActionCategory, ConditionType, EXACT, ExecutionId, Newer, PipelineName, Sequence, StageName,
    StageRetryMode, Timestamp, TriggerVerdict,
};
use serde::Serialize;

/// Executions named in one answer.
const NAMED_MAX: usize = 10;
/// Evaluated events that an answer about a pipeline tells of.
const EVALUATIONS_TOLD: usize = 5;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// What holds, in one word for machines.
    pub cause: Cause,
    /// What holds, in one sentence.
    pub sentence: String,
    /// What led to it, the nearest cause first.
    pub because: Vec<String>,
    /// What a person can do about it, if anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

/// What holds, for machines. New words may be added; none changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Cause {
    NeverStarted,
    ActionRunning,
    WaitsForApproval,
    TransitionDisabled,
    StageOccupied,
    BetweenSteps,
    Stopping,
    Stopped,
    Succeeded,
    ActionFailed,
    WaitsForCondition,
    ConditionFailed,
    StageFailed,
    Superseded,
    Cancelled,
    Unknown,
}

/// A run with what it stands in.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a ExecutionId,
    /// The run.
    pub execution: &'a Execution,
    /// Its pipeline's traffic now.
    pub lane: &'a Lane,
    /// Its pipeline's definitions now.
    pub pipeline: &'a Pipeline,
    /// The present, or the moment asked about.
    pub now: Timestamp,
}

/// Another run that the answer speaks of.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour<'a> {
    /// Its id.
    pub id: &'a ExecutionId,
    /// The run.
    pub execution: &'a Execution,
}

/// Why a run is where it is. `neighbour` finds other runs: who holds a stage, who came before.
pub fn why<'n>(subject: &Subject<'_>, neighbour: impl Fn(&ExecutionId) -> Option<&'n Execution>) -> Why {
    let execution = subject.execution;
    let mut answer = match execution.status {
        ExecutionStatus::InProgress => under_way(subject, &neighbour),
        ExecutionStatus::Stopping => stopping(subject),
        ExecutionStatus::Stopped => stopped(subject),
        ExecutionStatus::Succeeded => {
            Why::new(Cause::Succeeded, "every stage succeeded; nothing is left to do".to_owned())
        }
        ExecutionStatus::Superseded => superseded(subject, &neighbour),
        ExecutionStatus::Failed => failed(subject),
        ExecutionStatus::Cancelled => {
            let reason = execution.cause.as_deref().unwrap_or("no reason was recorded");
            Why::new(Cause::Cancelled, format!("it was cancelled: {reason}"))
        }
    };
    if let Some(start) = &execution.start {
        answer.because.push(format!(
            "it was started by {}, on version {} of the definition",
            trigger(&start.trigger),
            start.pipeline_version
        ));
        answer.because.extend(
            policy_words(&start.policy)
                .map(|words| format!("it is governed by more than CodePipeline's rules: {words}")),
        );
    }
    answer
}

/// Why a pipeline has no run under way, or what its newest run does.
pub fn why_pipeline<'n>(
    name: &PipelineName,
    pipeline: &Pipeline,
    lane: &Lane,
    triggers: &Triggers,
    newest: Option<Neighbour<'_>>,
    now: Timestamp,
    neighbour: impl Fn(&ExecutionId) -> Option<&'n Execution>,
) -> Why {
    let mut answer = match newest {
        Some(newest) => {
            let subject = Subject { id: newest.id, execution: newest.execution, lane, pipeline, now };
            let inner = why(&subject, neighbour);
            let status = newest.execution.status.as_str();
            let sentence = format!("the newest execution {} ({status}): {}", newest.id, inner.sentence);
            Why { sentence, ..inner }
        }
        None if pipeline.current.is_none() => {
            Why::new(Cause::NeverStarted, format!("the pipeline {name} was deleted"))
        }
        None => Why::new(Cause::NeverStarted, format!("the pipeline {name} was never started")),
    };
    let doors = lane.stages.iter().filter_map(|(stage, traffic)| closed(stage, traffic));
    let unsaid: Vec<String> = doors.filter(|door| !answer.sentence.contains(door.as_str())).collect();
    answer.because.extend(unsaid);
    answer.because.extend(evaluations(triggers, now));
    answer
}

/// The newest things that might have started the pipeline, and what became of them.
fn evaluations(triggers: &Triggers, now: Timestamp) -> impl Iterator<Item = String> + '_ {
    triggers.recent.iter().rev().take(EVALUATIONS_TOLD).map(move |one| {
        let ago = span(now.since(one.at));
        let event = one_line(&one.evaluated.event);
        match &one.evaluated.verdict {
            TriggerVerdict::Started { execution, because, .. } => {
                format!("the {event} started execution {execution} {ago} ago: {}", one_line(because))
            }
            TriggerVerdict::NotStarted { reason } => {
                format!("the {event} started nothing {ago} ago: {}", one_line(reason))
            }
        }
    })
}

impl Why {
    fn new(cause: Cause, sentence: String) -> Self {
        Self { cause, sentence, because: Vec::new(), next: Vec::new() }
    }

    fn because(mut self, reasons: impl IntoIterator<Item = String>) -> Self {
        self.because.extend(reasons);
        self
    }

    fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }
}

fn under_way<'n>(subject: &Subject<'_>, neighbour: &impl Fn(&ExecutionId) -> Option<&'n Execution>) -> Why {
    let running: Vec<(&StageRun, &AttemptRun)> = subject.execution.running().collect();
    let approval = running.iter().find(|(_, run)| run.action_type.category == ActionCategory::Approval);
    if let Some((stage, run)) = approval {
        return waits_for_approval(subject, stage, run);
    }
    if let Some((stage, _)) = running.first() {
        let what: Vec<String> = running
            .iter()
            .map(|(_, run)| format!("{} (since {})", run.action, since(subject, run.started)))
            .collect();
        let failed =
            failures(stage).map(|failure| format!("{failure}; what still runs beside it is waited for"));
        let sentence = format!("stage {} is at work: {}", stage.stage, what.join(", "));
        return Why::new(Cause::ActionRunning, sentence).because(failed);
    }
    if let Some((stage, condition, _)) = subject.execution.running_rules().next() {
        return waits_at_a_gate(subject, stage, condition);
    }
    if let Some(stage) = subject.lane.wait_of(subject.id) {
        return waits_at_a_door(subject, stage, neighbour);
    }
    let place = subject
        .execution
        .current_stage()
        .map_or("its first stage".to_owned(), |run| format!("stage {}", run.stage));
    Why::new(Cause::BetweenSteps, format!("it stands at {place} and is about to be moved on"))
}

fn waits_for_approval(subject: &Subject<'_>, stage: &StageRun, run: &AttemptRun) -> Why {
    let place = format!("{}/{}", stage.stage, run.action);
    let own = subject.execution.start.as_ref().map_or(Sequence(0), |start| start.sequence);
    let waiting = subject.lane.stages.get(&stage.stage).into_iter().flat_map(|traffic| &traffic.waiting);
    let behind = waiting.filter(|waiter| waiter.sequence > own).count();
    let newer = match behind {
        0 => None,
        1 => Some(format!("1 newer execution waits behind it, in front of stage {}", stage.stage)),
        more => Some(format!("{more} newer executions wait behind it, in front of stage {}", stage.stage)),
    };
    let gate = subject.execution.start.as_ref().and_then(|start| start.policy.gates.get(&stage.stage));
    let only_rejected = behind > 0 && gate.is_some_and(|gate| gate.newer == Newer::Newest);
    if only_rejected {
        let rule = "the gate's policy `newest` lets only the newest be approved: this one can be rejected or stopped";
        return Why::new(
            Cause::WaitsForApproval,
            format!("it waits for somebody to reject it at the approval {place}"),
        )
        .because(newer.into_iter().chain([rule.to_owned()]))
        .next(format!(
            "reject it: `aws codepipeline put-approval-result` for stage {} and action {}",
            stage.stage, run.action
        ));
    }
    let asked = format!("the approval was asked for {} ago", since(subject, run.started));
    Why::new(Cause::WaitsForApproval, format!("it waits for somebody to answer the approval {place}"))
        .because([asked].into_iter().chain(newer))
        .next(format!(
            "answer it: `aws codepipeline put-approval-result` for stage {} and action {}",
            stage.stage, run.action
        ))
}

fn waits_at_a_gate(subject: &Subject<'_>, stage: &StageRun, condition: &ConditionRun) -> Why {
    let open: Vec<String> = condition
        .rules
        .iter()
        .filter(|rule| rule.status == ActionStatus::InProgress)
        .map(|rule| format!("{} ({}, since {})", rule.rule, rule.provider, since(subject, rule.started)))
        .collect();
    let gate = condition.condition.member();
    let sentence =
        format!("the {gate} condition of stage {} waits for its rules: {}", stage.stage, open.join(", "));
    let answer = Why::new(Cause::WaitsForCondition, sentence)
        .because(rules_that_failed(stage, condition).chain(failures(stage)));
    match override_step(subject, stage, condition) {
        Some(step) => answer.next(step),
        None => answer,
    }
}

/// How a person lets the run pass, where that may be.
fn override_step(subject: &Subject<'_>, stage: &StageRun, condition: &ConditionRun) -> Option<String> {
    let kind = match condition.condition {
        ConditionType::BeforeEntry => "BEFORE_ENTRY",
        ConditionType::OnSuccess => "ON_SUCCESS",
        ConditionType::OnFailure => return None,
    };
    let wish = Wish::OverrideCondition { stage: stage.stage.clone(), condition: condition.condition };
    refusal(subject, wish).is_none().then(|| format!(
        "let it pass all the same: `aws codepipeline override-stage-condition` for stage {}, condition type {kind}",
        stage.stage
    ))
}

fn rules_that_failed(stage: &StageRun, condition: &ConditionRun) -> impl Iterator<Item = String> {
    condition.rules.iter().filter_map(move |rule| {
        let (code, message) = rule.error.as_ref()?;
        Some(format!("rule {}/{} failed ({code}){}", stage.stage, rule.rule, after_colon(message)))
    })
}

fn waits_at_a_door<'n>(
    subject: &Subject<'_>,
    stage: &StageName,
    neighbour: &impl Fn(&ExecutionId) -> Option<&'n Execution>,
) -> Why {
    let Some(traffic) = subject.lane.stages.get(stage) else {
        return Why::new(Cause::Unknown, format!("it waits in front of stage {stage}"));
    };
    let ahead = ahead(subject, traffic);
    if let Some(closed) = closed(stage, traffic) {
        let step = format!(
            "open it: `aws codepipeline enable-stage-transition` for stage {stage}, transition type Inbound"
        );
        return Why::new(Cause::TransitionDisabled, format!("it waits in front of stage {stage}: {closed}"))
            .because(ahead)
            .next(step);
    }
    let holders: Vec<&ExecutionId> = traffic
        .held
        .iter()
        .filter(|hold| excludes(hold.mode, hold.terms))
        .map(|hold| &hold.execution)
        .collect();
    let named: Vec<&str> = holders.iter().take(NAMED_MAX).map(|id| id.as_str()).collect();
    let sentence = format!("it waits in front of stage {stage}, which execution {} holds", named.join(", "));
    let doing = holders.iter().filter_map(|id| Some((*id, neighbour(id)?))).map(|(id, execution)| {
        let other = Subject { id, execution, ..*subject };
        format!("execution {id}: {}", under_way_briefly(&other))
    });
    Why::new(Cause::StageOccupied, sentence).because(doing.chain(ahead))
}

fn under_way_briefly(subject: &Subject<'_>) -> String {
    match subject.execution.status {
        ExecutionStatus::InProgress => under_way(subject, &|_| None).sentence,
        status => status.as_str().to_owned(),
    }
}

fn ahead(subject: &Subject<'_>, traffic: &StageTraffic) -> Option<String> {
    let first: Vec<&str> = traffic
        .waiting
        .iter()
        .take_while(|waiter| waiter.execution != *subject.id)
        .map(|waiter| waiter.execution.as_str())
        .collect();
    (!first.is_empty()).then(|| {
        let enter = if first.len() == 1 { "enters" } else { "enter" };
        format!("{} {enter} before it: {}", first.len(), first[..first.len().min(NAMED_MAX)].join(", "))
    })
}

fn closed(stage: &StageName, traffic: &StageTraffic) -> Option<String> {
    let transition = traffic.transition.as_ref().filter(|transition| !transition.enabled)?;
    let reason = transition.reason.as_deref().map(one_line).unwrap_or_default();
    Some(format!("the transition into {stage} was disabled by {}: {reason}", transition.by))
}

fn stopping(subject: &Subject<'_>) -> Why {
    let actions = subject.execution.running().map(|(stage, run)| format!("{}/{}", stage.stage, run.action));
    let rules = subject.execution.running_rules();
    let rules = rules.map(|(stage, _, rule)| format!("the rule {}/{}", stage.stage, rule.rule));
    let left: Vec<String> = actions.chain(rules).collect();
    let sentence = format!("it is stopping and waits for what still runs: {}", left.join(", "));
    Why::new(Cause::Stopping, sentence)
        .because(asked_to_stop(subject))
        .next("give up what runs: `aws codepipeline stop-pipeline-execution --abandon`")
}

fn stopped(subject: &Subject<'_>) -> Why {
    let place = subject.execution.current_stage().map_or("before its first stage".to_owned(), place);
    Why::new(Cause::Stopped, format!("it was stopped {place}")).because(asked_to_stop(subject))
}

/// Where a run came to its end, which may be in front of the stage after.
fn place(last: &StageRun) -> String {
    let word = match last.status {
        StageStatus::Succeeded | StageStatus::Skipped => "after",
        StageStatus::InProgress
        | StageStatus::Stopping
        | StageStatus::Stopped
        | StageStatus::Failed
        | StageStatus::Cancelled => "in",
    };
    format!("{word} stage {}", last.stage)
}

fn asked_to_stop(subject: &Subject<'_>) -> Option<String> {
    let stop = subject.execution.stop.as_ref()?;
    let reason = stop.reason.as_deref().map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
    Some(format!("{} asked for it{reason}", stop.by))
}

fn superseded<'n>(subject: &Subject<'_>, neighbour: &impl Fn(&ExecutionId) -> Option<&'n Execution>) -> Why {
    let by = subject.execution.cause.as_deref().unwrap_or("a newer one");
    let passed = subject.execution.current_stage().map(|run| format!(" {}", place(run))).unwrap_or_default();
    let newer =
        ExecutionId::parse(by).ok().and_then(|id| neighbour(&id)).and_then(|newer| newer.start.as_ref());
    let started =
        newer.map(|start| format!("execution {by} was started later, by {}", trigger(&start.trigger)));
    let of_mode = "in SUPERSEDED mode only the newest of those that wait in front of a stage goes on";
    let rule = subject.execution.gave_way.map_or(of_mode, gave_way).to_owned();
    Why::new(Cause::Superseded, format!("the newer execution {by} took its place{passed}"))
        .because(started.into_iter().chain([rule]))
}

fn failed(subject: &Subject<'_>) -> Why {
    let Some(stage) = subject.execution.current_stage() else {
        return Why::new(Cause::Unknown, "it failed before its first stage".to_owned());
    };
    let retries = match stage.manual_retries {
        0 => None,
        1 => Some("the stage was retried once".to_owned()),
        more => Some(format!("the stage was retried {more} times")),
    };
    let (answer, again) = match stage.failed_by() {
        Some(shut) => (failed_at_a_gate(subject, stage, shut), "ask it again"),
        None => (failed_by_actions(stage), "run it again"),
    };
    let answer = answer.because(retries);
    let retry = Wish::RetryStage { stage: stage.stage.clone(), mode: StageRetryMode::FailedActions };
    match refusal(subject, retry) {
        Some(refused) => answer.because([no_retry(subject, &stage.stage, &refused)]),
        None => answer
            .next(format!("{again}: `aws codepipeline retry-stage-execution` for stage {}", stage.stage)),
    }
}

/// How a command about the run would be refused, were it sent now: nobody is advised to do what cannot be done.
fn refusal(subject: &Subject<'_>, wish: Wish) -> Option<Rejection> {
    let start = subject.execution.start.as_ref()?;
    let command = Command { pipeline: start.pipeline.clone(), execution: Some(subject.id.clone()), wish };
    let mut scope = Scope {
        pipeline: subject.pipeline.clone(),
        lane: subject.lane.clone(),
        execution: subject.execution.clone(),
    };
    let context = Context { now: subject.now, actor: "why", command_id: "why", region: "", policy: &EXACT };
    decide(&mut scope, &command, context).err()
}

/// Why a stage cannot run again for this run.
fn no_retry(subject: &Subject<'_>, stage: &StageName, refused: &Rejection) -> String {
    let start = subject.execution.start.as_ref();
    if start.is_some_and(|start| start.incarnation != subject.lane.incarnation) {
        return "it cannot run there again: its pipeline was deleted".to_owned();
    }
    let last = subject.lane.last_entered(stage).filter(|last| last.execution != *subject.id);
    match (refused, last) {
        (Rejection::NotLatestExecution { .. }, Some(newer)) => format!(
            "execution {} has entered stage {stage} since, so that this one cannot run there again",
            newer.execution
        ),
        (Rejection::ConcurrentExecutionsLimit { .. } | Rejection::Conflict { .. }, _) => {
            format!("it cannot run there again for now: {refused}")
        }
        _ => format!("it cannot run there again: {refused}"),
    }
}

fn failed_by_actions(stage: &StageRun) -> Why {
    let failures: Vec<String> = failures(stage).collect();
    let Some((first, rest)) = failures.split_first() else {
        return Why::new(Cause::StageFailed, format!("stage {} failed", stage.stage));
    };
    Why::new(Cause::ActionFailed, first.clone()).because(rest.iter().cloned())
}

fn failed_at_a_gate(subject: &Subject<'_>, stage: &StageRun, shut: &ConditionRun) -> Why {
    let how = if shut.status == ConditionStatus::Errored { "could not be asked" } else { "was not met" };
    let sentence = format!("the {} condition of stage {} {how}", shut.condition.member(), stage.stage);
    let answer = Why::new(Cause::ConditionFailed, sentence).because(rules_that_failed(stage, shut));
    match override_step(subject, stage, shut) {
        Some(step) => answer.next(step),
        None => answer,
    }
}

/// What failed in a stage and still counts.
fn failures(stage: &StageRun) -> impl Iterator<Item = String> {
    stage.unsuccessful().map(move |run| {
        let place = format!("{}/{}", stage.stage, run.action);
        match (&run.error, run.status) {
            (Some((code, message)), _) => format!("{place} failed ({code}){}", after_colon(message)),
            (None, ActionStatus::Abandoned) => format!("{place} was abandoned"),
            (None, ActionStatus::Failed | ActionStatus::InProgress | ActionStatus::Succeeded) => {
                format!("{place} failed")
            }
        }
    })
}

/// What somebody said, if anything.
fn after_colon(message: &str) -> String {
    let line = one_line(message);
    if line.is_empty() { line } else { format!(": {line}") }
}

/// A span for people: `4 s`, `12 min`, `3 h`, `2 days`.
fn since(subject: &Subject<'_>, then: Timestamp) -> String {
    span(subject.now.since(then))
}

fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
