//! What becomes of a stage that has failed: another attempt, a condition to ask, a rollback, or nothing more. See
//! `spec/execution-semantics.md`, sections 2, 8 and 9.

use super::{
    condition::{self, Gate},
    retry, rollback,
};
use crate::{
    draft::Draft,
    lane::admit,
    pipeline::{ConditionResult, PipelineDeclaration},
};
use events::{ConditionType, ExecutionEnded, ExecutionEvent, ExecutionId, StageEnded, StageName};

/// Whether there is more to do in the stage now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Its actions may be started again, or its failure condition is being asked.
    GoesOn,
    /// The stage and the run have ended.
    IsOver,
}

/// Decides about a stage of which nothing runs any more, and an action or the way out failed.
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
    let rolls_back = asked.is_some_and(|asked| asked.result == Some(ConditionResult::Rollback))
        || match condition::gate(draft, definition, stage, ConditionType::OnFailure) {
            Gate::Unasked if !draft.is_outdated() => {
                condition::ask(draft, id, definition, stage, ConditionType::OnFailure);
                return Then::GoesOn;
            }
            // The only result there is.
            Gate::Engages(_) => true,
            Gate::Open | Gate::Unasked => false,
        };
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
