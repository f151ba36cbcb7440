//! Load, decide, append; on conflict decide again. The only place where anything is written to the log.

use crate::{
    Engine,
    cache::{Cache, OnItsWay, Outcome, Slot, Warm},
    log::{Appended, Batch, Commit, Log, LogError, Once},
    lost::Probe,
    ports::Actions,
    streams::{self, Folded, Head, Written},
};
use domain::{
    Decision, Effect, Rejection, Scope,
    command::{Command, Context},
    execution::Execution,
    fault,
    lane::Lane,
    pipeline::versions::Pipeline,
    react,
};
use events::{CommandId, StreamName, Timestamp, Version};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How often a decision is made again when somebody else was faster.
pub const APPEND_ATTEMPTS_MAX: usize = 8;

/// Commits read at a time to bring a warm state up to date.
const READ_COMMITS: usize = 64;

/// A command with its sender.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The command's id; the same when it is sent again.
    pub id: CommandId,
    /// A principal's ARN, or a part of the system such as `towpath:timer`.
    pub actor: String,
    /// The wish.
    pub command: Command,
    /// An idempotency key that goes with it.
    pub once: Option<Once>,
}

/// What became of a command that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Its events are durable.
    Written,
    /// It was satisfied already.
    Nothing,
    /// The same start was made before, and led to this.
    Repeated(String),
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// The caller asked for the impossible.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The log did not take or give.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Others were faster every time.
    #[error("`{subject}` is too busy: gave up after {APPEND_ATTEMPTS_MAX} attempts")]
    Busy {
        /// The pipeline, or what else was to be written.
        subject: String,
    },
}

/// What an attempt to decide starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// States as this process knows them.
    Known,
    /// What others have appended since is read too.
    Newest,
}

/// What became of an attempt.
enum Attempted {
    Done(Done),
    /// Somebody else was faster, or may have been.
    Again(Reading),
}

/// There is nothing to append: the command is refused, or was satisfied already. So it looks from states that rest on
/// these appends.
struct Nothing {
    refused: Option<Rejection>,
    rests: Rests,
}

/// A decision that is to be appended.
struct Decided {
    batch: Batch,
    probe: Probe,
    effects: Vec<Effect>,
    outcome: Outcome,
    /// Where its streams stand with it.
    heads: Heads,
}

/// The slots of a command's scope, locked in one order: pipeline, lane, execution.
struct Locked {
    pipeline: OwnedMutexGuard<Slot<Pipeline>>,
    lane: OwnedMutexGuard<Slot<Lane>>,
    execution: Option<OwnedMutexGuard<Slot<Execution>>>,
}

struct Names {
    pipeline: StreamName,
    lane: StreamName,
    execution: Option<StreamName>,
}

struct Heads {
    pipeline: Head,
    lane: Head,
    execution: Head,
}

/// The appends that the states of a scope rest on.
#[derive(Clone, Default)]
struct Rests {
    pipeline: Option<OnItsWay>,
    lane: Option<OnItsWay>,
    execution: Option<OnItsWay>,
}

impl<L: Log, A: Actions> Engine<L, A> {
    /// Carries a command through to the log, and starts what follows from it. Goes on to its end even if the
    /// caller goes away.
    pub async fn transact(&self, envelope: Envelope) -> Result<Done, TransactError> {
        let engine = self.clone();
        // On the heap at once: until it runs, a task is moved ten times.
        let work = tokio::spawn(Box::pin(async move { engine.attempts(&envelope).await }));
        match work.await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// The same, for whoever is not dropped before its end.
    pub(crate) async fn attempts(&self, envelope: &Envelope) -> Result<Done, TransactError> {
        let mut reading = Reading::Known;
        for _ in 0..APPEND_ATTEMPTS_MAX {
            match self.attempt(envelope, reading).await? {
                Attempted::Done(done) => return Ok(done),
                Attempted::Again(next) => reading = next,
            }
        }
        Err(TransactError::Busy { subject: envelope.command.pipeline.to_string() })
    }

    /// One attempt, on states as they are known or as they stand now.
    async fn attempt(&self, envelope: &Envelope, reading: Reading) -> Result<Attempted, TransactError> {
        let names = Names::of(&envelope.command);
        let (mut locked, is_as_known) = self.lock(&names, reading).await?;
        let Decided { batch, probe, effects, outcome, heads } =
            match self.decide(&names, envelope, &mut locked) {
                Ok(decided) => decided,
                Err(Nothing { refused, rests }) => {
                    drop(locked);
                    if !L::PIPELINED && is_as_known {
                        // Another writer may have moved the streams since they were folded: only states just read
                        // may refuse a command, or call it satisfied. What was folded before stays true as far as it
                        // goes, and only what follows is read.
                        return Ok(Attempted::Again(Reading::Newest));
                    }
                    // The states may rest on appends that are still on their way: answer only when they are durable, and
                    // not at all when they never will be.
                    self.log().barrier().await;
                    if !rests.are_durable().await {
                        return Ok(Attempted::Again(Reading::Known));
                    }
                    return refused
                        .map_or(Ok(Attempted::Done(Done::Nothing)), |rejection| Err(rejection.into()));
                }
            };
        if fault!(EffectsTooEarly) {
            self.carry_out(effects.clone());
        }
        let answer = self.log().append(batch);
        // Dropped by name: left to the end of this function, the locks would be held through the append, and
        // `invalidate` below would wait for them for ever.
        let (held, pinned) = if L::PIPELINED {
            let pinned = locked.pin();
            drop(locked);
            (None, Some(pinned))
        } else {
            (Some(locked), None)
        };
        let answer = self.answered(&probe, answer.await, &effects).await;
        let is_written = matches!(answer, Ok(Appended::Written));
        outcome.tell(is_written);
        if let Some(mut locked) = held.filter(|_| !is_written) {
            // Before the locks go: nobody may see what was not written.
            if !fault!(StaleStateKept) {
                locked.forget();
            }
        }
        drop(pinned);
        match answer {
            Ok(Appended::Written) => {
                tracing::debug!(
                    pipeline = %envelope.command.pipeline,
                    execution = names.execution.as_ref().map(tracing::field::display),
                    command = envelope.command.name(),
                    lane_version = heads.lane.version.0,
                    execution_version = heads.execution.version.0,
                    "appended"
                );
                self.carry_out(effects);
                Ok(Attempted::Done(Done::Written))
            }
            Ok(Appended::Conflict { .. }) if fault!(ConflictTakenForSuccess) => {
                self.carry_out(effects);
                Ok(Attempted::Done(Done::Written))
            }
            Ok(Appended::Conflict { stream }) => {
                tracing::debug!(%stream, command = envelope.command.name(), "conflict");
                if !fault!(StaleStateKept) {
                    self.invalidate(&names).await;
                }
                Ok(Attempted::Again(Reading::Known))
            }
            Ok(Appended::Repeated { outcome }) => {
                self.invalidate(&names).await;
                Ok(Attempted::Done(Done::Repeated(outcome)))
            }
            Err(error) => {
                self.invalidate(&names).await;
                Err(error.into())
            }
        }
    }

    /// Decides on the states of a scope, and leaves there what follows from it. Not part of the attempt itself, whose
    /// task would hold the states for as long as it waits for the log.
    fn decide(&self, names: &Names, envelope: &Envelope, locked: &mut Locked) -> Result<Decided, Nothing> {
        let (mut scope, before, mut rests) = locked.take();
        let now = [before.pipeline.time, before.lane.time, before.execution.time]
            .into_iter()
            .fold(self.clock().now(), Timestamp::max);
        let now = if fault!(TimeRunsBack) { self.clock().now() } else { now };
        let policy = self.0.policies.of(&envelope.command.pipeline);
        let context = Context {
            now,
            actor: &envelope.actor,
            command_id: envelope.id.as_str(),
            region: self.region(),
            policy: &policy,
        };
        let decision = match domain::decide(&mut scope, &envelope.command, context) {
            Ok(decision) if !decision.is_empty() => decision,
            other => {
                locked.put(scope, &before, rests.clone());
                return Err(Nothing { refused: other.err(), rests });
            }
        };
        let effects = effects(names, &envelope.command, &scope, &decision);
        let written = Written { now, command: &envelope.id, actor: &envelope.actor };
        let (batch, heads) = batch(names, envelope, &scope, decision, &before, &written);
        let probe = Probe::of(&batch);
        let (outcome, on_its_way) = Outcome::open(rests.under(names, &batch));
        if L::PIPELINED {
            rests.take_over(&before, &heads, &on_its_way);
        }
        locked.put(scope, &heads, rests);
        Ok(Decided { batch, probe, effects, outcome, heads })
    }

    /// Locks the slots of a scope; true when any of them may be behind the log.
    async fn lock(&self, names: &Names, reading: Reading) -> Result<(Locked, bool), LogError> {
        let (mut pipeline, pipeline_warm) = self.read(self.pipelines(), &names.pipeline, reading).await?;
        let (lane, lane_warm) = self.read(self.lanes(), &names.lane, reading).await?;
        let (execution, execution_warm) = match &names.execution {
            Some(stream) => {
                let (slot, was_warm) = self.read(self.executions(), stream, reading).await?;
                (Some(slot), was_warm)
            }
            None => (None, false),
        };
        if let Some(run) = &execution {
            self.reach(&mut pipeline, run, &names.pipeline).await?;
        }
        Ok((Locked { pipeline, lane, execution }, pipeline_warm || lane_warm || execution_warm))
    }

    /// Locks a stream's slot; true when what it holds may be behind the log.
    async fn read<S: Folded>(
        &self,
        cache: &Cache<S>,
        stream: &StreamName,
        reading: Reading,
    ) -> Result<(OwnedMutexGuard<Slot<S>>, bool), LogError> {
        let (mut slot, was_warm) = self.warm(cache, stream).await?;
        let catches_up = !L::PIPELINED && was_warm && reading == Reading::Newest;
        if catches_up {
            self.catch_up(&mut slot, stream).await?;
        }
        Ok((slot, was_warm && !catches_up))
    }

    /// Locks a stream's slot and loads it if it is cold; true when it was not.
    pub(crate) async fn warm<S: Folded>(
        &self,
        cache: &Cache<S>,
        stream: &StreamName,
    ) -> Result<(OwnedMutexGuard<Slot<S>>, bool), LogError> {
        let mut slot = cache.lock(stream).await;
        if slot.as_ref().is_some_and(|warm| !warm.is_refused()) {
            return Ok((slot, true));
        }
        let loaded = self.log().load(stream, S::FOLD).await?;
        let (state, head) = streams::fold::<S>(stream, &loaded)?;
        *slot = Some(Warm { state: Arc::new(state), head, rests_on: None });
        Ok((slot, false))
    }

    /// Locks a stream's slot for a reader. Where other processes write too, a state that was folded before is brought
    /// up to what they have appended since.
    pub(crate) async fn current<S: Folded>(
        &self,
        cache: &Cache<S>,
        stream: &StreamName,
    ) -> Result<OwnedMutexGuard<Slot<S>>, LogError> {
        let (mut slot, was_warm) = self.warm(cache, stream).await?;
        if !L::PIPELINED && was_warm && !fault!(StaleReader) {
            self.catch_up(&mut slot, stream).await?;
        }
        Ok(slot)
    }

    /// Brings a pipeline's warm definitions up to the one that a run follows: another process may have declared it, and
    /// started the run with it, since they were folded.
    pub(crate) async fn reach(
        &self,
        pipeline: &mut Slot<Pipeline>,
        run: &Slot<Execution>,
        stream: &StreamName,
    ) -> Result<(), LogError> {
        let (Some(known), Some(run)) = (&*pipeline, run) else { return Ok(()) };
        let is_behind = run.state.start.as_ref().is_some_and(|start| {
            start.incarnation > known.state.incarnation
                || known.state.definition(start.pipeline_version).is_none()
        });
        if L::PIPELINED || !is_behind {
            return Ok(());
        }
        self.catch_up(pipeline, stream).await
    }

    /// A state that has these commits in it, which are durable and follow each other; it may be newer. Spares reading
    /// what the caller has in hand.
    pub(crate) async fn including<S: Folded>(
        &self,
        cache: &Cache<S>,
        stream: &StreamName,
        commits: &[&Commit],
    ) -> Result<(Arc<S>, Version), LogError> {
        if L::PIPELINED {
            return self.durable(cache, stream).await;
        }
        let (mut slot, was_warm) = self.warm(cache, stream).await?;
        let known = slot.as_ref().map(|warm| warm.head).unwrap_or_default();
        let new: Vec<&Commit> =
            commits.iter().copied().filter(|commit| commit.last() > known.version).collect();
        if was_warm && !new.is_empty() {
            if continue_it(known, &new) {
                if let Some(Warm { state, mut head, .. }) = slot.take() {
                    let mut state = Arc::unwrap_or_clone(state);
                    streams::fold_on(stream, &mut state, &mut head, new)?;
                    *slot = Some(Warm { state: Arc::new(state), head, rests_on: None });
                }
            } else {
                self.catch_up(&mut slot, stream).await?;
            }
        }
        let warm = slot.as_ref();
        Ok(warm.map(|warm| (Arc::clone(&warm.state), warm.head.version)).unwrap_or_default())
    }

    async fn catch_up<S: Folded>(&self, slot: &mut Slot<S>, stream: &StreamName) -> Result<(), LogError> {
        let Some(Warm { state, mut head, .. }) = slot.take() else { return Ok(()) };
        let mut state = Arc::unwrap_or_clone(state);
        loop {
            let commits = self.log().read(stream, head.version, READ_COMMITS).await?;
            let is_last = commits.len() < READ_COMMITS;
            streams::fold_on(stream, &mut state, &mut head, &commits)?;
            if is_last {
                break;
            }
        }
        *slot = Some(Warm { state: Arc::new(state), head, rests_on: None });
        Ok(())
    }

    /// A state with its stream's version, as durable. One that rests on an append which is then refused never was:
    /// it is read again.
    pub(crate) async fn durable<S: Folded>(
        &self,
        cache: &Cache<S>,
        stream: &StreamName,
    ) -> Result<(Arc<S>, Version), LogError> {
        for _ in 0..APPEND_ATTEMPTS_MAX {
            let (state, version, rests_on) = {
                let slot = self.current(cache, stream).await?;
                let Some(warm) = slot.as_ref() else { continue };
                (Arc::clone(&warm.state), warm.head.version, warm.rests_on.clone())
            };
            if fault!(AnswerTooEarly) {
                return Ok((state, version));
            }
            self.log().barrier().await;
            let is_durable = match rests_on {
                Some(append) => append.lasts().await,
                None => true,
            };
            if is_durable {
                return Ok((state, version));
            }
        }
        // Refused every time: what is written cannot be.
        let loaded = self.log().load(stream, S::FOLD).await?;
        let (state, head) = streams::fold::<S>(stream, &loaded)?;
        Ok((Arc::new(state), head.version))
    }

    /// Forgets states that may rest on an append that failed, or on one that continues it and will fail too. What somebody
    /// else has appended since, and what is not durable yet, stays: whoever read the log now would find the state before
    /// it, and nothing would tell readers that it is old.
    async fn invalidate(&self, names: &Names) {
        self.pipelines().lock(&names.pipeline).await.take_if(|warm| !warm.is_pending());
        self.lanes().lock(&names.lane).await.take_if(|warm| !warm.is_pending());
        if let Some(stream) = &names.execution {
            self.executions().lock(stream).await.take_if(|warm| !warm.is_pending());
        }
    }
}

/// Whether commits go on, without a gap, from where a stream is known to stand.
fn continue_it(known: Head, commits: &[&Commit]) -> bool {
    let (mut version, mut hash) = (known.version, known.hash);
    commits.iter().all(|commit| {
        let continues = commit.first == version.next() && commit.chained(hash) == commit.hash;
        (version, hash) = (commit.last(), commit.hash);
        continues
    })
}

impl Names {
    fn of(command: &Command) -> Self {
        Self {
            pipeline: StreamName::pipeline(&command.pipeline),
            lane: StreamName::lane(&command.pipeline),
            execution: command.execution.as_ref().map(StreamName::execution),
        }
    }
}

/// Keeps slots in their caches without locking them.
type Pinned = (Arc<Mutex<Slot<Pipeline>>>, Arc<Mutex<Slot<Lane>>>, Option<Arc<Mutex<Slot<Execution>>>>);

impl Locked {
    /// A state that rests on an append under way is not in the log yet: were its slot forgotten, whoever needs the
    /// stream next would load the state before, and nothing would ever tell a mere reader that it is old.
    fn pin(&self) -> Pinned {
        (
            Arc::clone(OwnedMutexGuard::mutex(&self.pipeline)),
            Arc::clone(OwnedMutexGuard::mutex(&self.lane)),
            self.execution.as_ref().map(|execution| Arc::clone(OwnedMutexGuard::mutex(execution))),
        )
    }

    /// Takes the states out to be decided on; [`Locked::put`] brings them back before the locks are released.
    fn take(&mut self) -> (Scope, Heads, Rests) {
        fn out<S: Folded>(slot: &mut Slot<S>) -> (S, Head, Option<OnItsWay>) {
            match slot.take() {
                Some(warm) => (Arc::unwrap_or_clone(warm.state), warm.head, warm.rests_on),
                None => (S::default(), Head::default(), None),
            }
        }
        let (pipeline, pipeline_head, pipeline_rests) = out(&mut self.pipeline);
        let (lane, lane_head, lane_rests) = out(&mut self.lane);
        let of_run = self.execution.as_mut().map(|slot| out(slot));
        let (execution, execution_head, execution_rests) = of_run.unwrap_or_default();
        let heads = Heads { pipeline: pipeline_head, lane: lane_head, execution: execution_head };
        let rests = Rests { pipeline: pipeline_rests, lane: lane_rests, execution: execution_rests };
        (Scope { pipeline, lane, execution }, heads, rests)
    }

    fn put(&mut self, scope: Scope, heads: &Heads, rests: Rests) {
        let Rests { pipeline, lane, execution } = rests;
        let state = Arc::new(scope.pipeline);
        *self.pipeline = Some(Warm { state, head: heads.pipeline, rests_on: pipeline });
        *self.lane = Some(Warm { state: Arc::new(scope.lane), head: heads.lane, rests_on: lane });
        if let Some(slot) = &mut self.execution {
            let state = Arc::new(scope.execution);
            **slot = Some(Warm { state, head: heads.execution, rests_on: execution });
        }
    }

    fn forget(&mut self) {
        *self.pipeline = None;
        *self.lane = None;
        if let Some(slot) = &mut self.execution {
            **slot = None;
        }
    }
}

impl Rests {
    /// From now on the streams that a decision moved rest on its append.
    fn take_over(&mut self, before: &Heads, after: &Heads, append: &OnItsWay) {
        let moved = |before: Head, after: Head, rests_on: &mut Option<OnItsWay>| {
            if before != after {
                *rests_on = Some(append.clone());
            }
        };
        moved(before.pipeline, after.pipeline, &mut self.pipeline);
        moved(before.lane, after.lane, &mut self.lane);
        moved(before.execution, after.execution, &mut self.execution);
    }

    /// Those that a batch cannot do without: it continues what they write, or relies on it.
    fn under(&self, names: &Names, batch: &Batch) -> Vec<OnItsWay> {
        let is_in = |stream: &StreamName| {
            let mut written = batch.commits.iter().map(|commit| &commit.stream);
            written.any(|one| one == stream) || batch.checks.iter().any(|(one, _)| one == stream)
        };
        let streams = [
            (Some(&names.pipeline), &self.pipeline),
            (Some(&names.lane), &self.lane),
            (names.execution.as_ref(), &self.execution),
        ];
        let under = streams.into_iter().filter(|(stream, _)| stream.is_some_and(is_in));
        under.filter_map(|(_, append)| append.clone()).collect()
    }

    /// Waits for all of them; false when one was refused.
    async fn are_durable(self) -> bool {
        for append in [self.pipeline, self.lane, self.execution].into_iter().flatten() {
            if !append.lasts().await {
                return false;
            }
        }
        true
    }
}

/// The batch of a decision, and the heads after it.
fn batch(
    names: &Names,
    envelope: &Envelope,
    scope: &Scope,
    decision: Decision,
    heads: &Heads,
    written: &Written<'_>,
) -> (Batch, Heads) {
    let relied = envelope.command.relies_on(&decision, &scope.execution);
    let Decision { pipeline, lane, execution } = decision;
    let pipeline = streams::commit(&names.pipeline, &heads.pipeline, pipeline, &scope.pipeline, written);
    let lane = streams::commit(&names.lane, &heads.lane, lane, &scope.lane, written);
    let execution = names
        .execution
        .as_ref()
        .and_then(|stream| streams::commit(stream, &heads.execution, execution, &scope.execution, written));
    let mut checks: Vec<(StreamName, Version)> = Vec::new();
    if relied.pipeline {
        checks.push((names.pipeline.clone(), heads.pipeline.version));
    }
    if relied.lane {
        checks.push((names.lane.clone(), heads.lane.version));
    }
    if let (Some(stream), None) = (&names.execution, &execution) {
        checks.push((stream.clone(), heads.execution.version));
    }
    if fault!(ReadsUnchecked) {
        checks.clear();
    }
    fn head(made: Option<&(Commit, Head)>, before: &Head) -> Head {
        made.map_or(*before, |(_, head)| *head)
    }
    let after = Heads {
        pipeline: head(pipeline.as_ref(), &heads.pipeline),
        lane: head(lane.as_ref(), &heads.lane),
        execution: head(execution.as_ref(), &heads.execution),
    };
    let commits = [pipeline, lane, execution].into_iter().flatten().map(|(commit, _)| commit).collect();
    let once = envelope.once.clone().filter(|_| !fault!(TokenForgotten));
    (Batch { commits, checks, once }, after)
}

fn effects(names: &Names, command: &Command, scope: &Scope, decision: &Decision) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let (Some(execution), Some(_)) = (&command.execution, &names.execution) {
        for event in &decision.execution {
            effects.extend(react::react_to_execution(&command.pipeline, execution, &scope.execution, event));
        }
    }
    for event in &decision.lane {
        effects.extend(react::react_to_lane(&command.pipeline, event));
    }
    effects
}
