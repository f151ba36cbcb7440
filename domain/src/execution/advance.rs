//! Moving a run on: the next group of actions, the end of a stage, the way to the next one.
//! See `spec/execution-semantics.md`, sections 2 and 3.

use super::{ExecutionStatus, StageStatus, action, failure, rollback};
use crate::{
    draft::Draft,
    lane::admit::{self, Admission, Arrival},
    pipeline::PipelineDeclaration,
};
use events::{
    Entry, ExecutionCancelled, ExecutionEnded, ExecutionEvent, ExecutionId, ExecutionSuperseded, StageEnded,
    StageName, StageStarted,
};

/// Does everything that can be done now for a run that is inside a stage, and stops where it must wait for an
/// action, a stage or nothing at all.
pub(crate) fn advance(draft: &mut Draft<'_>, id: &ExecutionId, definition: &PipelineDeclaration) {
    // Each turn starts an action, or ends a stage and enters the next: at most 500 actions and 50 stages, and each
    // stage may once more begin by itself.
    loop {
        let Some(stage) = draft.scope.execution.current_stage() else { return };
        if !draft.scope.execution.is_inside_a_stage() || stage.running().next().is_some() {
            return;
        }
        let name = stage.stage.clone();
        if draft.scope.execution.status == ExecutionStatus::Stopping {
            end_stage(draft, id, &name, StageStatus::Stopped);
            draft.execution(ExecutionEvent::ExecutionStopped(ExecutionEnded {}));
            return;
        }
        if stage.unsuccessful().next().is_some() {
            match failure::failed(draft, id, definition, &name) {
                failure::Then::GoesOn => continue,
                failure::Then::IsOver => return,
            }
        }
        if draft.is_outdated() && action::has_more(draft, definition, &name) {
            end_stage(draft, id, &name, StageStatus::Cancelled);
            cancelled(draft, UPDATED);
            return;
        }
        if action::start_next_group(draft, id, definition, &name) {
            continue;
        }
        end_stage(draft, id, &name, StageStatus::Succeeded);
        if !arrive_at_next(draft, id, definition, Some(&name)) {
            return;
        }
    }
}

/// Brings a run to the door of the stage after `passed`, or of the first, and in if the lane lets it. True when
/// it has entered.
pub(crate) fn arrive_at_next(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    passed: Option<&StageName>,
) -> bool {
    let next = match passed {
        None => definition.first_stage(),
        Some(passed) => definition.next_stage(passed),
    };
    // A rollback is about the one stage it was started for.
    let next = next.filter(|_| !draft.scope.execution.is_rollback());
    let Some(next) = next else {
        draft.execution(ExecutionEvent::ExecutionSucceeded(ExecutionEnded {}));
        return false;
    };
    if draft.is_outdated() {
        cancelled(draft, UPDATED);
        return false;
    }
    let Some(start) = &draft.scope.execution.start else { return false };
    let arrival = Arrival {
        execution: id,
        sequence: start.sequence,
        mode: start.mode,
        stage: &next.name,
        first_stage: passed.is_none(),
    };
    match admit::arrive(draft, &arrival) {
        Admission::Entered(entry) => {
            enter(draft, &next.name, entry);
            true
        }
        Admission::Waits => false,
        Admission::Superseded { by } => {
            draft.execution(ExecutionEvent::ExecutionSuperseded(ExecutionSuperseded { by }));
            false
        }
    }
}

/// Why a run ended that its pipeline's update has overtaken.
pub(crate) const UPDATED: &str = "its pipeline was updated";

/// Notes that the run was cancelled.
pub(crate) fn cancelled(draft: &mut Draft<'_>, reason: &str) {
    draft.execution(ExecutionEvent::ExecutionCancelled(ExecutionCancelled { reason: reason.to_owned() }));
}

/// Notes that the lane has admitted the run to a stage; [`advance`] then starts its first actions.
pub(crate) fn enter(draft: &mut Draft<'_>, stage: &StageName, entry: Entry) {
    draft.execution(ExecutionEvent::StageStarted(StageStarted { stage: stage.clone(), entry }));
}

fn end_stage(draft: &mut Draft<'_>, id: &ExecutionId, stage: &StageName, status: StageStatus) {
    let ended = StageEnded { stage: stage.clone() };
    draft.execution(match status {
        StageStatus::Succeeded => ExecutionEvent::StageSucceeded(ended),
        StageStatus::Stopped => ExecutionEvent::StageStopped(ended),
        StageStatus::Cancelled => ExecutionEvent::StageCancelled(ended),
        StageStatus::Failed | StageStatus::InProgress | StageStatus::Stopping => {
            ExecutionEvent::StageFailed(ended)
        }
    });
    match rollback::candidate(draft).filter(|_| status == StageStatus::Succeeded) {
        Some(version) => admit::release_succeeded(draft, stage, id, version),
        None => admit::release(draft, stage, id),
    }
}
