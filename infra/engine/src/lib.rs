//! Ports, and the loop that drives the pure core over them. No vendor SDK, no adapter.

pub mod action;
mod busy;
mod cache;
mod call_off;
pub mod job;
pub mod judge;
pub mod log;
mod lost;
pub mod memory;
pub mod outward;
pub mod perform;
pub mod ports;
pub mod rule;
pub mod single;
pub mod streams;
pub mod transact;
pub mod views;
pub mod workers;

use busy::{Busy, InHand};
use cache::Cache;
use domain::{execution::Execution, lane::Lane, pipeline::versions::Pipeline, policy::Policies, react};
use events::{ActionExecutionId, CommandId, ExecutionId, PipelineName, StreamName};
use log::{Log, LogError};
use ports::{Actions, Clock, Ids, Timers};
use single::Singles;
use std::sync::Arc;
use tokio::sync::watch;

/// The core over its ports. Clones share everything.
pub struct Engine<L, A>(Arc<Shared<L, A>>);

struct Shared<L, A> {
    world: World<L, A>,
    pipelines: Cache<Pipeline>,
    lanes: Cache<Lane>,
    executions: Cache<Execution>,
    singles: Singles,
    policies: Policies,
    trouble: watch::Sender<Option<String>>,
    busy: Busy,
    in_hand: InHand,
}

/// What an engine is made of.
pub struct World<L, A> {
    /// The log.
    pub log: L,
    /// Who acts.
    pub actions: A,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Later commands.
    pub timers: Arc<dyn Timers>,
    /// The Region label.
    pub region: String,
    /// The account, 12 digits.
    pub account: String,
}

impl<L, A> Clone for Engine<L, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: Log, A: Actions> Engine<L, A> {
    /// An engine over this world, with CodePipeline's own rules and no others.
    pub fn new(world: World<L, A>) -> Self {
        Self::governed(world, Policies::default())
    }

    /// An engine over this world; runs that start record what is laid down for their pipeline.
    pub fn governed(world: World<L, A>, policies: Policies) -> Self {
        Self(Arc::new(Shared {
            world,
            pipelines: Cache::default(),
            lanes: Cache::default(),
            executions: Cache::default(),
            singles: Singles::default(),
            policies,
            trouble: watch::Sender::new(None),
            busy: Busy::default(),
            in_hand: InHand::default(),
        }))
    }

    /// The definitions of a pipeline, as durable. Default when there never was one.
    pub async fn pipeline(&self, name: &PipelineName) -> Result<Arc<Pipeline>, LogError> {
        self.pipeline_at(name).await.map(|(state, _)| state)
    }

    /// The definitions of a pipeline with their stream's version, as durable.
    pub async fn pipeline_at(
        &self,
        name: &PipelineName,
    ) -> Result<(Arc<Pipeline>, events::Version), LogError> {
        self.durable(self.pipelines(), &StreamName::pipeline(name)).await
    }

    /// The traffic of a pipeline, as durable.
    pub async fn lane(&self, name: &PipelineName) -> Result<Arc<Lane>, LogError> {
        self.lane_at(name).await.map(|(state, _)| state)
    }

    /// The traffic of a pipeline with its stream's version, as durable.
    pub async fn lane_at(&self, name: &PipelineName) -> Result<(Arc<Lane>, events::Version), LogError> {
        self.durable(self.lanes(), &StreamName::lane(name)).await
    }

    /// One run, as durable. Default when there is none of that id.
    pub async fn execution(&self, id: &ExecutionId) -> Result<Arc<Execution>, LogError> {
        self.execution_at(id).await.map(|(state, _)| state)
    }

    /// One run with its stream's version, as durable.
    pub async fn execution_at(
        &self,
        id: &ExecutionId,
    ) -> Result<(Arc<Execution>, events::Version), LogError> {
        let stream = StreamName::execution(id);
        let (state, version) = self.durable(self.executions(), &stream).await?;
        // Not before it is durable: see `Locked::pin`.
        if !state.exists() || state.status.is_terminal() {
            self.executions().forget(&stream);
        }
        Ok((state, version))
    }

    /// One run with its stream's version, which has these commits in it and may be newer: for readers of the log, who
    /// have its newest commits in hand.
    pub async fn execution_with(
        &self,
        id: &ExecutionId,
        commits: &[&log::Commit],
    ) -> Result<(Arc<Execution>, events::Version), LogError> {
        let stream = StreamName::execution(id);
        let (state, version) = self.including(self.executions(), &stream, commits).await?;
        if !state.exists() || state.status.is_terminal() {
            self.executions().forget(&stream);
        }
        Ok((state, version))
    }

    /// Takes up what a run is still owed: after a restart, or when it has not moved for long.
    pub async fn resume(&self, id: &ExecutionId) -> Result<(), LogError> {
        let state = self.execution(id).await?;
        self.carry_out(react::resume(id, &state));
        Ok(())
    }

    /// Takes up one attempt at an action or a rule: word came that it may have ended, or it has not moved for long.
    /// False when it is not under way.
    pub async fn resume_attempt(
        &self,
        id: &ExecutionId,
        attempt: &ActionExecutionId,
    ) -> Result<bool, LogError> {
        let state = self.execution(id).await?;
        let owed = react::resume_attempt(id, &state, attempt);
        let is_under_way = !owed.is_empty();
        self.carry_out(owed);
        Ok(is_under_way)
    }

    /// A pipeline's definitions and one run, as this process knows them: read just now, or written by it.
    pub(crate) async fn as_known(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
    ) -> Result<(Arc<Pipeline>, Arc<Execution>), LogError> {
        let (definitions, run) = (StreamName::pipeline(pipeline), StreamName::execution(execution));
        if L::PIPELINED {
            let (definitions, _) = self.durable(self.pipelines(), &definitions).await?;
            return Ok((definitions, self.durable(self.executions(), &run).await?.0));
        }
        fn state<S: streams::Folded>(slot: &cache::Slot<S>) -> Arc<S> {
            slot.as_ref().map(|warm| Arc::clone(&warm.state)).unwrap_or_default()
        }
        let (mut definitions_known, _) = self.warm(self.pipelines(), &definitions).await?;
        let (run_known, _) = self.warm(self.executions(), &run).await?;
        self.reach(&mut definitions_known, &run_known, &definitions).await?;
        let (definitions, run) = (state(&definitions_known), state(&run_known));
        Ok((definitions, run))
    }

    /// Takes up what a lane still owes: runs that were decided on and have not started. Returns them.
    pub async fn resume_lane(&self, name: &PipelineName) -> Result<Vec<ExecutionId>, LogError> {
        let state = self.lane(name).await?;
        self.carry_out(react::resume_lane(name, &state));
        Ok(state.rollbacks.keys().cloned().collect())
    }

    /// Tells when the engine gave something up that only a new start will mend: the log could not be read or
    /// written for so long that a result was dropped.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.0.trouble.subscribe()
    }

    pub(crate) fn give_up(&self, what: &str, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "{what}");
        self.0.trouble.send_replace(Some(format!("{what}: {error}")));
    }

    /// A command id nobody used before.
    pub fn fresh_command_id(&self) -> CommandId {
        CommandId::parse(self.0.world.ids.uuid()).expect("a UUID is within a command id's letters and length")
    }

    /// A run id nobody used before.
    pub fn fresh_execution_id(&self) -> ExecutionId {
        ExecutionId::parse(self.0.world.ids.uuid())
            .expect("a UUID in lower case is within an execution id's letters and length")
    }

    /// The log.
    pub fn log(&self) -> &L {
        &self.0.world.log
    }

    /// Who acts.
    pub fn actions(&self) -> &A {
        &self.0.world.actions
    }

    /// The Region label.
    pub fn region(&self) -> &str {
        &self.0.world.region
    }

    /// The account, 12 digits.
    pub fn account(&self) -> &str {
        &self.0.world.account
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.world.clock
    }

    pub(crate) fn timers(&self) -> &dyn Timers {
        &*self.0.world.timers
    }

    pub(crate) fn pipelines(&self) -> &Cache<Pipeline> {
        &self.0.pipelines
    }

    pub(crate) fn lanes(&self) -> &Cache<Lane> {
        &self.0.lanes
    }

    pub(crate) fn in_hand(&self) -> &InHand {
        &self.0.in_hand
    }

    pub(crate) fn singles(&self) -> &Singles {
        &self.0.singles
    }

    pub(crate) fn executions(&self) -> &Cache<Execution> {
        &self.0.executions
    }
}
