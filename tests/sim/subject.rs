//! What is simulated: something that answers orders, loses some, and says what the world must do. Today the core
//! over a log of its own; an engine over its own ports can stand here later.

use crate::{
    log::{Read, SimLog, Stream},
    prng::Prng,
    users,
};
use domain::{
    Decision, Effect, Rejection, Scope,
    command::{Command, Context},
    decide,
    execution::Execution,
    lane::Lane,
    pipeline::versions::Pipeline,
    react,
    testing::{decision_lines, laws},
};
use events::{ExecutionId, PipelineName, Timestamp};

/// A command on its way, with the id it keeps however often it is sent.
#[derive(Debug, Clone)]
pub struct Order {
    pub command: Command,
    pub id: String,
    pub actor: String,
}

/// What became of an order.
#[derive(Debug)]
pub enum Answer {
    /// Decided, and appended unless there was nothing to append. What it asks for, and what happened.
    Done(Vec<Effect>, Vec<String>),
    /// Refused.
    Refused(Rejection),
    /// The sender knows nothing: it may or may not have been appended, and nobody acts on it.
    Lost(&'static str, Vec<String>),
}

/// How often things go wrong, of 100.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// A read is older than the log.
    pub stale: usize,
    /// The order is lost before the append.
    pub before: usize,
    /// The append succeeds and the process dies, or its answer is lost.
    pub after: usize,
}

impl Faults {
    /// All is well.
    pub const NONE: Self = Self { stale: 0, before: 0, after: 0 };
}

/// Whatever can be driven by the simulation.
pub trait Subject {
    /// Carries out one order. An error is a broken law.
    fn send(
        &mut self,
        order: &Order,
        clock: Timestamp,
        faults: Faults,
        prng: &mut Prng,
    ) -> Result<Answer, String>;

    /// What is owed to every run that has not ended, and to every run that has not begun.
    fn resume(&self) -> Vec<Effect>;

    /// The log, for the checkers.
    fn log(&self) -> &SimLog;
}

/// The core over [`SimLog`].
#[derive(Debug, Default)]
pub struct Core {
    log: SimLog,
}

/// How often a decision that lost a race is made again.
const ATTEMPTS_MAX: usize = 8;

/// How many of 100 decisions are held against the laws of a single decision.
const LAWS_PERCENT: usize = 20;

impl Subject for Core {
    fn send(
        &mut self,
        order: &Order,
        clock: Timestamp,
        faults: Faults,
        prng: &mut Prng,
    ) -> Result<Answer, String> {
        let command = &order.command;
        let execution = command.execution.as_ref();
        if prng.chance(faults.before) {
            return Ok(Answer::Lost("before the append", Vec::new()));
        }
        let newest = self.log.newest(&command.pipeline, execution);
        let checked = command.relies_on_current_definition();
        let mut read = newest;
        // A process that kept states it folded earlier: all of them may be old.
        if prng.chance(faults.stale) {
            read.pipeline -= prng.below(read.pipeline + 1);
            read.lane -= prng.below(read.lane.min(4) + 1);
            read.execution -= prng.below(read.execution.min(4) + 1);
        }
        for _ in 0..ATTEMPTS_MAX {
            let before = self.scope(command, read);
            let now = clock.max(self.last_time(&command.pipeline, execution, read));
            let policy = users::policy(&order.id);
            let context = Context {
                now,
                actor: &order.actor,
                command_id: &order.id,
                region: "us-east-1",
                policy: &policy,
            };
            let mut after = before.clone();
            let decided = decide(&mut after, command, context);
            // Whatever was decided counts only if every stream that was read still is what it was; the pipeline's
            // may have moved on for commands that say so.
            let fits = read.lane == newest.lane
                && read.execution == newest.execution
                && (!checked || read.pipeline == newest.pipeline);
            if !fits {
                let pipeline = if checked { newest.pipeline } else { read.pipeline };
                // States that never stood beside each other need not keep the laws; deciding on them must do no
                // harm, and is forgotten.
                read = Read { pipeline, ..newest };
                continue;
            }
            // Most of a seed's time would go here; over all seeds every kind of decision is met often enough.
            if prng.chance(LAWS_PERCENT) {
                laws::of_decision(&before, &after, command, context, &decided)?;
            }
            return match decided {
                Err(rejection) => Ok(Answer::Refused(rejection)),
                Ok(decision) => self.finish(order, &before, &after, &decision, now, faults, prng),
            };
        }
        Err("an order lost every race though nobody else was running".to_owned())
    }

    fn resume(&self) -> Vec<Effect> {
        let runs = self.log.executions.iter();
        let of_runs = runs.flat_map(|(id, stream)| react::resume(id, stream.now()));
        let lanes = self.log.lanes.iter();
        of_runs.chain(lanes.flat_map(|(name, stream)| react::resume_lane(name, stream.now()))).collect()
    }

    fn log(&self) -> &SimLog {
        &self.log
    }
}

impl Core {
    #[allow(clippy::too_many_arguments, reason = "everything about one decision, used once")]
    fn finish(
        &mut self,
        order: &Order,
        before: &Scope,
        after: &Scope,
        decision: &Decision,
        now: Timestamp,
        faults: Faults,
        prng: &mut Prng,
    ) -> Result<Answer, String> {
        let command = &order.command;
        let execution = command.execution.as_ref();
        self.log.append(&command.pipeline, execution, decision, now)?;
        let lines = decision_lines(execution, decision);
        self.same_as_folded(command, before, after, decision)?;
        if !decision.is_empty() && prng.chance(faults.after) {
            return Ok(Answer::Lost("after the append", lines));
        }
        let mut effects: Vec<Effect> =
            decision.lane.iter().flat_map(|event| react::react_to_lane(&command.pipeline, event)).collect();
        if let Some(id) = execution {
            let of_run = |event| react::react_to_execution(&command.pipeline, id, &after.execution, event);
            effects.extend(decision.execution.iter().flat_map(of_run));
        }
        Ok(Answer::Done(effects, lines))
    }

    /// The state that the decision left behind is the one that the stored bytes fold to.
    fn same_as_folded(
        &self,
        command: &Command,
        before: &Scope,
        after: &Scope,
        decision: &Decision,
    ) -> Result<(), String> {
        let newest = self.scope(command, self.log.newest(&command.pipeline, command.execution.as_ref()));
        // The pipeline may have been read at an older version: only what was written can be compared.
        let pipeline = if decision.pipeline.is_empty() { &before.pipeline } else { &newest.pipeline };
        if after.lane == newest.lane && after.execution == newest.execution && after.pipeline == *pipeline {
            Ok(())
        } else {
            Err(format!("what is stored folds to another state\n{after:#?}\n{newest:#?}"))
        }
    }

    fn scope(&self, command: &Command, read: Read) -> Scope {
        let log = &self.log;
        let run = command.execution.as_ref().and_then(|id| log.executions.get(id));
        Scope {
            pipeline: state::<Pipeline>(log.pipelines.get(&command.pipeline), read.pipeline),
            lane: state::<Lane>(log.lanes.get(&command.pipeline), read.lane),
            execution: state::<Execution>(run, read.execution),
        }
    }

    fn last_time(&self, pipeline: &PipelineName, execution: Option<&ExecutionId>, read: Read) -> Timestamp {
        let log = &self.log;
        // Only streams that can be written matter, and those are read at their newest in the end.
        let lane = log.lanes.get(pipeline).map_or(Timestamp(0), Stream::last_time);
        let run = execution.and_then(|id| log.executions.get(id)).map_or(Timestamp(0), Stream::last_time);
        let definition = match log.pipelines.get(pipeline) {
            Some(stream) if stream.commits() == read.pipeline => stream.last_time(),
            Some(_) | None => Timestamp(0),
        };
        lane.max(run).max(definition)
    }
}

fn state<S: crate::log::Fold>(stream: Option<&Stream<S>>, commits: usize) -> S {
    stream.map(|stream| stream.after(commits).clone()).unwrap_or_default()
}
