//! Moving a run on: the gates of a stage, the next group of actions, the end of a stage, the way to the next one.
//! See `spec/execution-semantics.md`, sections 2, 3 and 10.

use super::{
    ExecutionStatus, StageStatus, action,
    condition::{self, Gate},
    failure::{self, Then},
    gate, rollback,
};
use crate::{
    draft::Draft,
    lane::admit::{self, Admission},
    pipeline::{ConditionResult, PipelineDeclaration},
};
use events::{
    ConditionType, Entry, ExecutionCancelled, ExecutionEnded, ExecutionEvent, ExecutionId,
    ExecutionSuperseded, StageEnded, StageName, StageStarted,
};

/// Turns of [`advance`], most: beyond what any legal definition can ask for. States read at versions that do not belong
/// together may ask for more; what is decided on them is never written, but it has to end.
const TURNS_MAX: usize = 2_000;

/// Does everything that can be done now for a run that is inside a stage, and stops where it must wait for an
/// action, a rule, a stage or nothing at all.
pub(crate) fn advance(draft: &mut Draft<'_>, id: &ExecutionId, definition: &PipelineDeclaration) {
    // Each turn starts actions or a condition, ends a condition, or ends a stage and enters the next: at most 500
    // actions, and 50 stages with three conditions; and each stage may once more begin by itself.
    for _ in 0..TURNS_MAX {
        if !step(draft, id, definition) {
            return;
        }
    }
}

/// One thing that can be done now. False when the run must wait, or has ended.
fn step(draft: &mut Draft<'_>, id: &ExecutionId, definition: &PipelineDeclaration) -> bool {
    let Some(stage) = draft.scope.execution.current_stage() else { return false };
    let waits = stage.running().next().is_some() || stage.running_rules().next().is_some();
    let name = stage.stage.clone();
    if !draft.scope.execution.is_inside_a_stage() || gate::give_way(draft, id, definition, &name) || waits {
        return false;
    }
    if condition::close(draft, &name) {
        return true;
    }
    if draft.scope.execution.status == ExecutionStatus::Stopping && !fault!(StopUnheard) {
        end_stage(draft, id, &name, StageStatus::Stopped);
        draft.execution(ExecutionEvent::ExecutionStopped(ExecutionEnded {}));
        return false;
    }
    match condition::gate(draft, definition, &name, ConditionType::BeforeEntry) {
        Gate::Open => inside(draft, id, definition, &name),
        Gate::Unasked => ask(draft, id, definition, &name, ConditionType::BeforeEntry),
        Gate::Engages(ConditionResult::Skip) => {
            end_stage(draft, id, &name, StageStatus::Skipped);
            arrive_at_next(draft, id, definition, Some(&name))
        }
        // Nothing of the stage has been done, so there is nothing for its failure gate to undo.
        Gate::Engages(ConditionResult::Fail | ConditionResult::Rollback | ConditionResult::Retry) => {
            failure::end(draft, id, definition, &name, false);
            false
        }
    }
}

/// The run has passed the way in.
fn inside(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    name: &StageName,
) -> bool {
    let stage = draft.scope.execution.stage(name);
    if stage.is_some_and(|stage| stage.unsuccessful().next().is_some()) {
        return failure::failed(draft, id, definition, name) == Then::GoesOn;
    }
    if draft.is_outdated() && action::has_more(draft, definition, name) {
        return end_outdated(draft, id, name);
    }
    if action::start_next_group(draft, id, definition, name) {
        return true;
    }
    match condition::gate(draft, definition, name, ConditionType::OnSuccess) {
        Gate::Open => {
            end_stage(draft, id, name, StageStatus::Succeeded);
            arrive_at_next(draft, id, definition, Some(name))
        }
        Gate::Unasked => ask(draft, id, definition, name, ConditionType::OnSuccess),
        Gate::Engages(ConditionResult::Rollback) => {
            failure::end(draft, id, definition, name, true);
            false
        }
        Gate::Engages(ConditionResult::Fail | ConditionResult::Skip | ConditionResult::Retry) => {
            failure::failed(draft, id, definition, name) == Then::GoesOn
        }
    }
}

/// Asks a gate, unless an update has ended the run meanwhile.
fn ask(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
    which: ConditionType,
) -> bool {
    if draft.is_outdated() {
        return end_outdated(draft, id, stage);
    }
    condition::ask(draft, id, definition, stage, which);
    true
}

fn end_outdated(draft: &mut Draft<'_>, id: &ExecutionId, stage: &StageName) -> bool {
    end_stage(draft, id, stage, StageStatus::Cancelled);
    cancelled(draft, UPDATED);
    false
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
    let start = start.clone();
    let arrival = gate::arrival(&start, id, definition, &next.name, passed.is_none());
    match admit::arrive(draft, &arrival, definition) {
        Admission::Entered(entry) => {
            enter(draft, &next.name, entry);
            true
        }
        Admission::Waits => false,
        Admission::Superseded { by, rule } => {
            draft.execution(ExecutionEvent::ExecutionSuperseded(ExecutionSuperseded { by, rule }));
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

pub(crate) fn end_stage(draft: &mut Draft<'_>, id: &ExecutionId, stage: &StageName, status: StageStatus) {
    let ended = StageEnded { stage: stage.clone() };
    draft.execution(match status {
        StageStatus::Succeeded => ExecutionEvent::StageSucceeded(ended),
        StageStatus::Stopped => ExecutionEvent::StageStopped(ended),
        StageStatus::Cancelled => ExecutionEvent::StageCancelled(ended),
        StageStatus::Skipped => ExecutionEvent::StageSkipped(ended),
        StageStatus::Failed | StageStatus::InProgress | StageStatus::Stopping => {
            ExecutionEvent::StageFailed(ended)
        }
    });
    match rollback::candidate(draft).filter(|_| status == StageStatus::Succeeded) {
        Some(version) => admit::release_succeeded(draft, stage, id, version),
        None => admit::release(draft, stage, id),
    }
}
