//! Whoever looks at every commit the moment it is written, folds it, and holds it against the laws. It sees what is
//! durable and nothing else; processes may know less, never more.

use crate::{
    laws::{must_be_a_rollback, of_lane_event, of_run_event},
    plan::Plan,
};
use domain::{
    Effect,
    execution::Execution,
    lane::{Lane, StageTraffic},
    pipeline::versions::Pipeline,
    react,
    testing::{
        execution_line, lane_line,
        laws::{self, Heard},
        pipeline_line,
    },
};
use engine::{
    log::{Commit, Hash, Position},
    streams::Folded,
};
use events::{
    ActionExecutionId, ActionTypesEvent, ArtifactLocation, ExecutionEvent, ExecutionId, ExecutionMode, JobId,
    LaneEvent, PipelineName, StageName, StreamKind, StreamName, Timestamp, TriggerEvent, Version,
    WebhookEvent, codec::Stored,
};
use foldhash::fast::RandomState;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Debug,
};

/// A stream as far as it is durable.
#[derive(Debug, Default)]
pub struct Stream<S> {
    /// Its state.
    pub state: S,
    /// The version of its last event.
    pub last: Version,
    /// It has one, so that whoever reads it need not begin at its first event.
    pub has_snapshot: bool,
    hash: Hash,
    time: Timestamp,
}

/// What commits that were written together touched.
#[derive(Debug, Default)]
pub struct Touched {
    lanes: BTreeSet<PipelineName>,
    runs: BTreeSet<ExecutionId>,
}

/// Everything that is durable, and what it asked for.
#[derive(Default)]
pub struct Observer {
    /// What costs much and others look at too is looked at as well.
    is_thorough: bool,
    /// How far it has looked.
    pub at: Position,
    /// Definitions.
    pub pipelines: BTreeMap<PipelineName, Stream<Pipeline>>,
    /// Traffic.
    pub lanes: BTreeMap<PipelineName, Stream<Lane>>,
    /// Runs.
    pub executions: BTreeMap<ExecutionId, Stream<Execution>>,
    /// Runs in the order of their starts.
    pub started: Vec<ExecutionId>,
    /// Events seen.
    pub events: u64,
    others: BTreeMap<StreamName, (Version, Hash)>,
    /// Runs of each pipeline that have not ended.
    under_way: BTreeMap<PipelineName, BTreeSet<ExecutionId>>,
    asked: HashMap<ExecutionId, Vec<Effect>, RandomState>,
    attempts: HashSet<ActionExecutionId, RandomState>,
    ended: BTreeMap<ActionExecutionId, (&'static str, Timestamp)>,
    taken: HashSet<JobId, RandomState>,
    places: BTreeSet<ArtifactLocation>,
    /// Came in through a closed door before they have started.
    rollbacks: BTreeSet<ExecutionId>,
    violation: Option<String>,
}

impl Observer {
    /// Whoever looks at the world of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self { is_thorough: plan.is_thorough(), ..Self::default() }
    }

    /// What was written last to each stream, mixed.
    pub fn story(&self) -> u64 {
        let pipelines = self.pipelines.values().map(|stream| stream.hash);
        let lanes = self.lanes.values().map(|stream| stream.hash);
        let executions = self.executions.values().map(|stream| stream.hash);
        let others = self.others.values().map(|(_, hash)| *hash);
        let all = pipelines.chain(lanes).chain(executions).chain(others);
        let first = |hash: Hash| hash.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        all.fold(0, |story: u64, hash| story.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(first(hash)))
    }

    /// The first law that was broken.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Notes that a law was broken.
    pub fn blame(&mut self, words: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(words());
        }
    }

    /// An attempt was started, durably.
    pub fn knows(&self, attempt: &ActionExecutionId) -> bool {
        self.attempts.contains(attempt)
    }

    /// An attempt has ended, durably.
    pub fn has_ended(&self, attempt: &ActionExecutionId) -> bool {
        self.ended.contains_key(attempt)
    }

    /// The attempt that asked with this token, if it is still waiting for an answer.
    pub fn is_asked(&self, token: &str) -> bool {
        let runs = self.executions.values().map(|stream| &stream.state);
        runs.flat_map(|run| run.running()).any(|(_, attempt)| attempt.token.as_deref() == Some(token))
    }

    /// Attempts that were given up or timed out, of which providers should have heard.
    pub fn called_off(&self) -> impl Iterator<Item = (&ActionExecutionId, Timestamp)> {
        self.ended.iter().filter(|(_, (how, _))| *how == CALLED_OFF).map(|(id, (_, at))| (id, *at))
    }

    /// Looks at one of several commits that were written together.
    pub fn see(
        &mut self,
        position: Position,
        commit: &Commit,
        touched: &mut Touched,
        note: &mut dyn FnMut(&dyn Fn() -> String),
    ) {
        self.at = position;
        self.events += commit.events.len() as u64;
        let Touched { lanes, runs } = touched;
        if let Err(broken) = self.take_in(commit, lanes, runs, note) {
            self.blame(|| broken);
        }
    }

    /// What must hold of everything that several commits touched together.
    pub fn judge(&mut self, touched: &Touched) {
        if self.violation.is_some() {
            return;
        }
        let checked = touched.lanes.iter().try_for_each(|name| self.check_lane(name));
        let checked = checked.and_then(|()| touched.runs.iter().try_for_each(|id| self.check_run(id)));
        if let Err(broken) = checked {
            self.blame(|| broken);
        }
    }

    fn take_in(
        &mut self,
        commit: &Commit,
        touched: &mut BTreeSet<PipelineName>,
        runs: &mut BTreeSet<ExecutionId>,
        note: &mut dyn FnMut(&dyn Fn() -> String),
    ) -> Result<(), String> {
        match commit.stream.kind().map_err(|error| error.to_string())? {
            StreamKind::Pipeline(name) => {
                let stream = self.pipelines.entry(name.clone()).or_default();
                for event in follow::<Pipeline>(stream, commit, self.is_thorough, &mut |_, _| Ok(()))? {
                    note(&|| format!("    {} {name}", pipeline_line(event)));
                }
                touched.insert(name);
            }
            StreamKind::Lane(name) => {
                let stream = self.lanes.entry(name.clone()).or_default();
                let executions = &self.executions;
                let comes_back = |id: &ExecutionId, stage: &StageName| {
                    let run = &executions.get(id)?.state;
                    let stands_in = run.current_stage().filter(|_| run.is_inside_a_stage());
                    let is_there = stands_in.is_some_and(|current| current.stage == *stage);
                    Some(is_there || run.status.is_terminal())
                };
                let rollbacks = &mut self.rollbacks;
                let events = follow::<Lane>(stream, commit, self.is_thorough, &mut |before, event| {
                    note(&|| format!("    {} of {name}", lane_line(event)));
                    if let LaneEvent::StageHeld(held) = event
                        && must_be_a_rollback(before, event, executions.contains_key(&held.execution))
                    {
                        rollbacks.insert(held.execution.clone());
                    }
                    of_lane_event(before, event, comes_back)
                })?;
                let effects: Vec<Effect> =
                    events.iter().flat_map(|event| react::react_to_lane(&name, event)).collect();
                self.remember(effects);
                touched.insert(name);
            }
            StreamKind::Execution(id) => {
                let is_new = !self.executions.contains_key(&id);
                let stream = self.executions.entry(id.clone()).or_default();
                let events = follow::<Execution>(stream, commit, self.is_thorough, &mut |before, event| {
                    note(&|| format!("    {id}: {}", execution_line(event)));
                    of_run_event(before, event)
                })?;
                let state = &stream.state;
                let Some(start) = &state.start else { return Err(format!("`{id}` did not start")) };
                if self.rollbacks.remove(&id) && start.rollback.is_none() {
                    return Err(format!("nobody comes in through a closed door: {id}"));
                }
                touched.insert(start.pipeline.clone());
                let under_way = self.under_way.entry(start.pipeline.clone()).or_default();
                match state.status.is_terminal() {
                    true => under_way.remove(&id),
                    false => under_way.insert(id.clone()),
                };
                let effects: Vec<Effect> = events
                    .iter()
                    .flat_map(|event| react::react_to_execution(&start.pipeline, &id, state, event))
                    .collect();
                self.remember(effects);
                if is_new {
                    self.started.push(id.clone());
                }
                for event in &events {
                    self.count(event, commit.time)?;
                }
                runs.insert(id);
            }
            StreamKind::Webhook(_) => self.other::<WebhookEvent>(commit)?,
            StreamKind::ActionTypes(_) => self.other::<ActionTypesEvent>(commit)?,
            StreamKind::Triggers(_) => self.other::<TriggerEvent>(commit)?,
        }
        Ok(())
    }

    /// Of streams that are about neither pipelines nor runs: whether they go on, and read.
    fn other<E: Stored + PartialEq + Debug>(&mut self, commit: &Commit) -> Result<(), String> {
        let (last, hash) = self.others.get(&commit.stream).copied().unwrap_or_default();
        continues(commit, last, Some(hash))?;
        self.others.insert(commit.stream.clone(), (commit.last(), commit.hash));
        if self.is_thorough { reads_as_written::<E>(commit) } else { Ok(()) }
    }

    /// What is asked for has to be asked for again for as long as it is owed.
    fn remember(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let execution = match &effect {
                Effect::RunAction { execution, .. }
                | Effect::SetTimer { execution, .. }
                | Effect::RunRule { execution, .. }
                | Effect::SetRuleTimer { execution, .. } => Some(execution.clone()),
                Effect::CancelAction { .. }
                | Effect::ClearTimer { .. }
                | Effect::CancelRule { .. }
                | Effect::ClearRuleTimer { .. }
                | Effect::StartRollback { .. } => None,
                Effect::Tell(command) => command.execution.clone(),
            };
            if let Some(execution) = execution {
                let asked = self.asked.entry(execution).or_default();
                if !asked.contains(&effect) {
                    asked.push(effect);
                }
            }
        }
    }

    fn check_lane(&self, name: &PipelineName) -> Result<(), String> {
        let Some(lane) = self.lanes.get(name).map(|stream| &stream.state) else { return Ok(()) };
        laws::of_lane(lane)?;
        laws::of_owed(lane, |id| self.executions.contains_key(id))?;
        self.one_waits(name, lane)?;
        // Whoever has ended can only be wrong by being somewhere in the lane.
        let nobody = BTreeSet::new();
        let under_way = self.under_way.get(name).unwrap_or(&nobody);
        let named = lane.under_way().into_iter().chain(lane.superseded.keys());
        let others = named.filter(|id| !under_way.contains(*id));
        for id in under_way.iter().chain(others) {
            let Some(run) = self.executions.get(id).map(|stream| &stream.state) else { continue };
            let Some(start) = &run.start else { continue };
            if start.pipeline != *name {
                return Err(format!(
                    "a lane knows its own runs: `{name}` knows `{id}` of `{}`",
                    start.pipeline
                ));
            }
            let heard = Heard { lost: start.incarnation != lane.incarnation, pending: true };
            laws::of_agreement(lane, id, run, heard)?;
        }
        Ok(())
    }

    /// At a door that is not the first, whoever comes later takes the place of whoever waits, where runs supersede
    /// each other.
    fn one_waits(&self, name: &PipelineName, lane: &Lane) -> Result<(), String> {
        let line_of = |traffic: &StageTraffic| {
            traffic.waiting.iter().filter(|waiter| waiter.mode == ExecutionMode::Superseded).count()
        };
        let Some((stage, traffic)) =
            lane.stages.iter().find(|(stage, traffic)| line_of(traffic) > 1 && !self.is_first(name, stage))
        else {
            return Ok(());
        };
        Err(format!("one waits where runs supersede each other: `{stage}`: {:?}", traffic.waiting))
    }

    /// The stage comes first in some version of the pipeline.
    fn is_first(&self, name: &PipelineName, stage: &StageName) -> bool {
        let versions = self.pipelines.get(name).into_iter().flat_map(|stream| stream.state.versions.values());
        versions.filter_map(|definition| definition.first_stage()).any(|first| first.name == *stage)
    }

    fn check_run(&mut self, id: &ExecutionId) -> Result<(), String> {
        let Some(run) = self.executions.get(id).map(|stream| &stream.state) else { return Ok(()) };
        laws::of_conditions(id, run)?;
        if let Some(asked) = self.asked.get_mut(id) {
            asked.retain(|effect| laws::is_still_owed(id, run, effect));
            laws::of_resume(id, run, asked)?;
        }
        Ok(())
    }

    /// An attempt starts once and ends at most once; nothing of it comes before its start; its places are its own.
    fn count(&mut self, event: &ExecutionEvent, at: Timestamp) -> Result<(), String> {
        let (ended, how): (ActionExecutionId, _) = match event {
            ExecutionEvent::ActionStarted(event) => {
                if let Some(twice) = event.outputs.iter().find(|it| !self.places.insert(it.location.clone()))
                {
                    return Err(format!("a place is never used twice: {twice:?}"));
                }
                if !self.attempts.insert(event.action_execution.clone()) {
                    return Err(format!("an attempt starts once: {:?}", event.action_execution));
                }
                return Ok(());
            }
            ExecutionEvent::RuleStarted(event) => {
                if !self.attempts.insert((&event.rule_execution).into()) {
                    return Err(format!("an attempt at a rule starts once: {:?}", event.rule_execution));
                }
                return Ok(());
            }
            ExecutionEvent::ActionSucceeded(event) => (event.action_execution.clone(), RESULT),
            ExecutionEvent::ActionFailed(event) => {
                (event.action_execution.clone(), if event.timed_out { CALLED_OFF } else { RESULT })
            }
            ExecutionEvent::ActionAbandoned(event) => (event.action_execution.clone(), CALLED_OFF),
            ExecutionEvent::RuleSucceeded(event) => ((&event.rule_execution).into(), RESULT),
            ExecutionEvent::RuleFailed(event) => {
                ((&event.rule_execution).into(), if event.timed_out { CALLED_OFF } else { RESULT })
            }
            ExecutionEvent::RuleAbandoned(event) => ((&event.rule_execution).into(), CALLED_OFF),
            ExecutionEvent::JobAcknowledged(event) => {
                return match self.taken.insert(event.job.clone()) {
                    true => Ok(()),
                    false => Err(format!("a job is taken on once: {:?}", event.job)),
                };
            }
            _ => return Ok(()),
        };
        if !self.attempts.contains(&ended) {
            return Err(format!("an attempt starts before it ends: {ended:?}"));
        }
        match self.ended.insert(ended.clone(), (how, at)) {
            None => Ok(()),
            Some((before, _)) => {
                Err(format!("an attempt ends at most once: {ended:?}: {before}, then {how}"))
            }
        }
    }
}

const RESULT: &str = "a result";
const CALLED_OFF: &str = "called off";

fn continues(commit: &Commit, last: Version, hash: Option<Hash>) -> Result<(), String> {
    if commit.first != last.next() {
        return Err(format!("versions have no gaps: {} {} after {last}", commit.stream, commit.first));
    }
    if hash.is_some_and(|hash| commit.chained(hash) != commit.hash) {
        return Err(format!("each commit continues the one before: {} {}", commit.stream, commit.first));
    }
    Ok(())
}

/// Whoever has an event in hand need not parse it, and nobody may ever see the difference.
fn reads_as_written<E: Stored + PartialEq + Debug>(commit: &Commit) -> Result<(), String> {
    for stored in commit.events.iter() {
        let event: &E =
            stored.read().map_err(|error| format!("{} {}: {error}", commit.stream, commit.first))?;
        if event.body() != stored.body || stored.parse().as_ref() != Ok(event) {
            return Err(format!("an event is written as it reads: {}: {event:?}", stored.body));
        }
    }
    Ok(())
}

/// What an event must be, for the state it came upon.
type Check<'a, S> = dyn FnMut(&S, &<S as Folded>::Event) -> Result<(), String> + 'a;

/// Folds a commit into a stream, each event checked against the state it came upon. Its events.
fn follow<'c, S: Folded + PartialEq + Debug>(
    stream: &mut Stream<S>,
    commit: &'c Commit,
    is_thorough: bool,
    check: &mut Check<'_, S>,
) -> Result<Vec<&'c S::Event>, String>
where
    S::Event: PartialEq + Debug,
{
    continues(commit, stream.last, is_thorough.then_some(stream.hash))?;
    if commit.time < stream.time {
        return Err(format!("recorded time never runs backwards: {} {}", commit.stream, commit.first));
    }
    let mut events = Vec::with_capacity(commit.events.len());
    let unreadable = |error| format!("{} {}: {error}", commit.stream, commit.first);
    if is_thorough {
        reads_as_written::<S::Event>(commit)?;
    }
    for stored in commit.events.iter() {
        let event: &S::Event = stored.read().map_err(unreadable)?;
        check(&stream.state, event)?;
        stream.state.fold(event, commit.time);
        events.push(event);
    }
    (stream.last, stream.hash, stream.time) = (commit.last(), commit.hash, commit.time);
    if let Some(snapshot) = &commit.snapshot {
        stream.has_snapshot = true;
        let read: S = serde_json::from_str(&snapshot.state).map_err(|error| error.to_string())?;
        if read != stream.state {
            return Err(format!(
                "a snapshot is the state that its events fold to: {}\n{read:#?}\n{:#?}",
                commit.stream, stream.state
            ));
        }
    }
    Ok(events)
}
