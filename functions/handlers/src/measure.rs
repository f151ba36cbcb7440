//! What events say about how well things go, as numbers. Whoever reads the change stream counts; a record that comes
//! twice is counted twice.

use domain::execution::{Execution, Start};
use engine::log::Commit;
use events::{ExecutionEvent, StageName, Timestamp};

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What it is called.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How much.
    pub value: f64,
    /// The pipeline it is about.
    pub pipeline: Option<String>,
    /// The stage it is about.
    pub stage: Option<String>,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How often; such numbers are added.
    Count,
    /// How long.
    Milliseconds,
}

impl Unit {
    /// CloudWatch's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

impl Measure {
    /// So many.
    pub fn count(name: &'static str, count: usize) -> Self {
        Self { name, unit: Unit::Count, value: count as f64, pipeline: None, stage: None }
    }

    /// So long.
    pub fn lasted(name: &'static str, ms: u64) -> Self {
        Self { unit: Unit::Milliseconds, ..Self::count(name, 0) }.with(ms as f64)
    }

    /// About a pipeline.
    #[must_use]
    pub fn of(self, pipeline: &str) -> Self {
        Self { pipeline: Some(pipeline.to_owned()), ..self }
    }

    fn with(self, value: f64) -> Self {
        Self { value, ..self }
    }

    fn at(self, stage: &StageName) -> Self {
        Self { stage: Some(stage.to_string()), ..self }
    }
}

/// What a commit's events say, given the run as it is now.
pub(crate) fn measures(state: &Execution, commit: &Commit, events: &[&ExecutionEvent]) -> Vec<Measure> {
    let Some(start) = &state.start else { return Vec::new() };
    let mut measures = Vec::new();
    for event in events {
        match event {
            ExecutionEvent::ExecutionStarted(_) => measures.push(Measure::count("ExecutionsStarted", 1)),
            ExecutionEvent::ExecutionSucceeded(_) => {
                measures.extend(end("ExecutionsSucceeded", start, commit))
            }
            ExecutionEvent::ExecutionFailed(_) => measures.extend(end("ExecutionsFailed", start, commit)),
            ExecutionEvent::ExecutionStopped(_) => measures.extend(end("ExecutionsStopped", start, commit)),
            ExecutionEvent::ExecutionSuperseded(_) => {
                measures.extend(end("ExecutionsSuperseded", start, commit))
            }
            ExecutionEvent::ActionFailed(_) => measures.push(Measure::count("ActionsFailed", 1)),
            ExecutionEvent::StageSucceeded(ended) => {
                measures.extend(stage_time(state, &ended.stage, commit.time));
            }
            ExecutionEvent::StageFailed(ended) => {
                measures.extend(stage_time(state, &ended.stage, commit.time));
                measures.push(Measure::count("StagesFailed", 1).at(&ended.stage));
            }
            ExecutionEvent::StageStarted(_)
            | ExecutionEvent::StageRetried(_)
            | ExecutionEvent::ActionStarted(_)
            | ExecutionEvent::ActionSucceeded(_)
            | ExecutionEvent::ActionAbandoned(_)
            | ExecutionEvent::JobQueued(_)
            | ExecutionEvent::JobDispatched(_)
            | ExecutionEvent::JobAcknowledged(_)
            | ExecutionEvent::JobContinued(_)
            | ExecutionEvent::ActionProgressed(_)
            | ExecutionEvent::RuleProgressed(_)
            | ExecutionEvent::ResultIgnored(_)
            | ExecutionEvent::ConditionStarted(_)
            | ExecutionEvent::ConditionEnded(_)
            | ExecutionEvent::ConditionOverridden(_)
            | ExecutionEvent::RuleStarted(_)
            | ExecutionEvent::RuleSucceeded(_)
            | ExecutionEvent::RuleFailed(_)
            | ExecutionEvent::RuleAbandoned(_)
            | ExecutionEvent::RuleResultIgnored(_)
            | ExecutionEvent::StageSkipped(_)
            | ExecutionEvent::StageStopped(_)
            | ExecutionEvent::StageCancelled(_)
            | ExecutionEvent::StopRequested(_)
            | ExecutionEvent::ExecutionCancelled(_) => {}
        }
    }
    let pipeline = start.pipeline.as_str();
    measures.into_iter().map(|measure| measure.of(pipeline)).collect()
}

/// A run that came to an end, and how long it took.
fn end(name: &'static str, start: &Start, commit: &Commit) -> [Measure; 2] {
    [Measure::count(name, 1), Measure::lasted("ExecutionTime", commit.time.since(start.at))]
}

fn stage_time(state: &Execution, stage: &StageName, ended: Timestamp) -> Option<Measure> {
    let run = state.stage(stage)?;
    Some(Measure::lasted("StageTime", ended.since(run.started)).at(stage))
}
