//! A log in memory with typed streams. What is stored are bytes; the states beside them are folded from what those
//! bytes read back as.

use domain::{execution::Execution, lane::Lane, pipeline::versions::Pipeline};
use events::{ExecutionEvent, ExecutionId, LaneEvent, PipelineEvent, PipelineName, Timestamp, codec::Stored};
use std::{collections::BTreeMap, fmt::Debug};

/// A state that is folded from events.
pub trait Fold: Clone + Default + PartialEq + Debug {
    /// Its events.
    type Event: Stored + Debug;
    /// Writes one event down.
    fn apply(&mut self, event: &Self::Event, at: Timestamp);
}

macro_rules! fold {
    ($state:ty, $event:ty) => {
        impl Fold for $state {
            type Event = $event;
            fn apply(&mut self, event: &Self::Event, at: Timestamp) {
                self.evolve(event, at);
            }
        }
    };
}

fold!(Pipeline, PipelineEvent);
fold!(Lane, LaneEvent);
fold!(Execution, ExecutionEvent);

/// An event as bytes.
#[derive(Debug, Clone)]
pub struct Row {
    pub kind: String,
    pub schema: u16,
    pub body: String,
    pub at: Timestamp,
}

/// One stream: its events, and the state after each commit.
#[derive(Debug, Clone)]
pub struct Stream<S> {
    pub rows: Vec<Row>,
    states: Vec<S>,
}

impl<S: Default> Default for Stream<S> {
    fn default() -> Self {
        Self { rows: Vec::new(), states: vec![S::default()] }
    }
}

impl<S: Fold> Stream<S> {
    /// How many commits it holds.
    pub fn commits(&self) -> usize {
        self.states.len() - 1
    }

    /// The state after so many commits.
    pub fn after(&self, commits: usize) -> &S {
        &self.states[commits.min(self.commits())]
    }

    /// The state now.
    pub fn now(&self) -> &S {
        self.after(self.commits())
    }

    /// The time of the last event.
    pub fn last_time(&self) -> Timestamp {
        self.rows.last().map_or(Timestamp(0), |row| row.at)
    }

    fn append(&mut self, events: &[S::Event], at: Timestamp) -> Result<(), String> {
        if events.is_empty() {
            return Ok(());
        }
        if at < self.last_time() {
            return Err(format!("recorded time runs backwards: {:?} after {:?}", at, self.last_time()));
        }
        let mut state = self.now().clone();
        for event in events {
            let row = Row { kind: event.kind().to_owned(), schema: event.schema(), body: event.body(), at };
            let read =
                S::Event::decode(&row.kind, row.schema, &row.body).map_err(|error| error.to_string())?;
            state.apply(&read, at);
            self.rows.push(row);
        }
        self.states.push(state);
        Ok(())
    }

    /// Folds everything again from the bytes.
    pub fn folded_from_zero(&self) -> Result<S, String> {
        let mut state = S::default();
        for row in &self.rows {
            let event =
                S::Event::decode(&row.kind, row.schema, &row.body).map_err(|error| error.to_string())?;
            state.apply(&event, row.at);
        }
        Ok(state)
    }
}

/// Every stream.
#[derive(Debug, Clone, Default)]
pub struct SimLog {
    pub pipelines: BTreeMap<PipelineName, Stream<Pipeline>>,
    pub lanes: BTreeMap<PipelineName, Stream<Lane>>,
    pub executions: BTreeMap<ExecutionId, Stream<Execution>>,
}

/// Numbers of commits: of the pipeline, the lane and the run that a decision was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub pipeline: usize,
    pub lane: usize,
    pub execution: usize,
}

impl SimLog {
    /// What there is to read now.
    pub fn newest(&self, pipeline: &PipelineName, execution: Option<&ExecutionId>) -> Read {
        Read {
            pipeline: self.pipelines.get(pipeline).map_or(0, Stream::commits),
            lane: self.lanes.get(pipeline).map_or(0, Stream::commits),
            execution: execution.and_then(|id| self.executions.get(id)).map_or(0, Stream::commits),
        }
    }

    /// Appends a decision to its streams; they must be at the versions that were read.
    pub fn append(
        &mut self,
        pipeline: &PipelineName,
        execution: Option<&ExecutionId>,
        decision: &domain::Decision,
        at: Timestamp,
    ) -> Result<(), String> {
        if !decision.pipeline.is_empty() {
            self.pipelines.entry(pipeline.clone()).or_default().append(&decision.pipeline, at)?;
        }
        if !decision.lane.is_empty() {
            self.lanes.entry(pipeline.clone()).or_default().append(&decision.lane, at)?;
        }
        match execution {
            Some(id) if !decision.execution.is_empty() => {
                self.executions.entry(id.clone()).or_default().append(&decision.execution, at)
            }
            Some(_) | None => Ok(()),
        }
    }
}
