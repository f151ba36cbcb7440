//! What can happen in a lane: who holds each stage, who waits at its door, which doors are closed.

use crate::{Entry, ExecutionId, ExecutionMode, PipelineVersion, Sequence, StageName, Terms};
use serde::{Deserialize, Serialize};

/// Facts of a `lane#<pipeline>` stream.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its shape")]
pub enum LaneEvent {
    StageHeld(StageHeld),
    StageReleased(StageReleased),
    ExecutionWaits(ExecutionWaits),
    ExecutionLeft(ExecutionLeft),
    ExecutionSuperseded(LaneExecutionSuperseded),
    SupersessionSettled(SupersessionSettled),
    RollbackOwed(RollbackOwed),
    RollbackSettled(RollbackSettled),
    TransitionDisabled(TransitionDisabled),
    TransitionEnabled(TransitionEnabled),
    LaneCleared(LaneCleared),
}

/// An execution was admitted to a stage. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageHeld {
    /// The stage.
    pub stage: StageName,
    /// Who holds it now.
    pub execution: ExecutionId,
    /// The holder's place in the order of starts.
    pub sequence: Sequence,
    /// The admission's number; results that carry another one are ignored.
    pub entry: Entry,
    /// The holder's mode: PARALLEL holders exclude nobody.
    pub mode: ExecutionMode,
    /// True when the holder was waiting and must be told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waited: bool,
    /// On which terms.
    #[serde(default, skip_serializing_if = "Terms::is_plain")]
    pub terms: Terms,
}

/// A stage became free of an execution. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReleased {
    /// The stage.
    pub stage: StageName,
    /// Who held it.
    pub execution: ExecutionId,
    /// The definition's version, when the holder succeeded in the stage and may be rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<PipelineVersion>,
}

/// An execution arrived at a stage it cannot enter yet. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionWaits {
    /// The stage it waits for.
    pub stage: StageName,
    /// Who waits.
    pub execution: ExecutionId,
    /// Its place in the order of starts.
    pub sequence: Sequence,
    /// Its mode.
    pub mode: ExecutionMode,
    /// On which terms.
    #[serde(default, skip_serializing_if = "Terms::is_plain")]
    pub terms: Terms,
    /// The holder that must be told, since its gate lets newer executions take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaces: Option<ExecutionId>,
}

/// An execution gave up its place in front of a stage: it was stopped or cancelled. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionLeft {
    /// The stage it waited for.
    pub stage: StageName,
    /// Who left.
    pub execution: ExecutionId,
}

/// A waiting execution lost its place to a newer one and must be told. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneExecutionSuperseded {
    /// The stage both wanted.
    pub stage: StageName,
    /// The older execution.
    pub execution: ExecutionId,
    /// The newer one.
    pub by: ExecutionId,
}

/// A superseded execution has recorded its end; the lane need not remember it. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersessionSettled {
    /// The execution that ended.
    pub execution: ExecutionId,
}

/// A failed stage is held for a run that rolls it back and must still be started. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackOwed {
    /// The stage.
    pub stage: StageName,
    /// The run to start.
    pub execution: ExecutionId,
    /// Its place in the order of starts.
    pub sequence: Sequence,
    /// The earlier run whose inputs it uses.
    pub target: ExecutionId,
    /// The run that failed in the stage.
    pub failed: ExecutionId,
}

/// A rollback is owed no more: its run has started, or cannot. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackSettled {
    /// The run that was owed.
    pub execution: ExecutionId,
}

/// The door of a stage was closed. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionDisabled {
    /// The stage whose inbound transition it is.
    pub stage: StageName,
    /// 1 to 300 characters.
    pub reason: String,
    /// Principal that closed it.
    pub by: String,
}

/// The door of a stage was opened. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionEnabled {
    /// The stage whose inbound transition it is.
    pub stage: StageName,
    /// Principal that opened it.
    pub by: String,
    /// The holder that must be told, since its gate lets newer executions take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaces: Option<ExecutionId>,
}

/// The pipeline was deleted: nobody holds or waits any more. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneCleared {
    /// Who was under way and must be told.
    pub executions: Vec<ExecutionId>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
