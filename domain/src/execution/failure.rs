//! What becomes of a stage that has failed: another attempt, a rollback, or nothing more. See
//! `spec/execution-semantics.md`, sections 2, 8 and 9.

use super::{retry, rollback};
use crate::{
    draft::Draft,
    lane::admit,
    pipeline::{ConditionResult, PipelineDeclaration},
};
use events::{ExecutionEnded, ExecutionEvent, ExecutionId, StageEnded, StageName};

/// Whether there is more to do in the stage now.
pub(crate) enum Then {
    /// Actions of it may be started again.
    GoesOn,
    /// The stage and the run have ended.
    IsOver,
}

/// Decides about a stage of which nothing runs any more, and something failed.
pub(crate) fn failed(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
) -> Then {
    if retry::automatic(draft, definition, stage) {
        return Then::GoesOn;
    }
    let asked = definition.stage(stage).and_then(|declared| declared.on_failure.as_ref());
    let rolls_back = asked.is_some_and(|asked| asked.result == Some(ConditionResult::Rollback));
    end(draft, id, definition, stage, rolls_back);
    Then::IsOver
}

/// Ends the stage, and the run with it, as failed; the stage is freed, or handed to a rollback if there is
/// something to go back to.
pub(crate) fn end(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
    rolls_back: bool,
) {
    draft.execution(ExecutionEvent::StageFailed(StageEnded { stage: stage.clone() }));
    if !(rolls_back && rollback::automatic(draft, id, definition, stage)) {
        admit::release(draft, stage, id);
    }
    draft.execution(ExecutionEvent::ExecutionFailed(ExecutionEnded {}));
}
