//! Bringing a run in line with its lane. Whoever was admitted, superseded or left without a pipeline by somebody
//! else's decision hears of it here. Idempotent: a message that was lost is simply sent again.

use super::{
    action,
    advance::{self, UPDATED, cancelled},
    condition,
};
use crate::{draft::Draft, lane::admit};
use events::{
    ConditionVerdict, ExecutionEvent, ExecutionId, ExecutionSuperseded, LaneEvent, StageEnded,
    SupersessionSettled,
};

/// Settles one run.
pub(crate) fn settle(draft: &mut Draft<'_>, id: &ExecutionId) {
    if !draft.scope.execution.exists() {
        return;
    }
    if let Some(by) = draft.scope.lane.superseded.get(id).cloned() {
        if !draft.scope.execution.status.is_terminal() {
            draft.execution(ExecutionEvent::ExecutionSuperseded(ExecutionSuperseded { by, rule: None }));
        }
        draft.lane(LaneEvent::SupersessionSettled(SupersessionSettled { execution: id.clone() }));
        return;
    }
    if draft.scope.execution.status.is_terminal() {
        return;
    }
    if !draft.is_own_run() {
        cancel(draft, "its pipeline was deleted");
        return;
    }
    let Some((stage, hold)) = draft.scope.lane.hold_of(id) else {
        // A run that goes on stands somewhere in its lane. This rests on reading both streams at versions that
        // belong together: a stream that is only read is checked like one that is written.
        if draft.scope.lane.wait_of(id).is_none() {
            let updated = draft.is_outdated();
            cancel(draft, if updated { UPDATED } else { "it waited too long at a disabled transition" });
        }
        return;
    };
    // A pipeline read too early, or a definition that only a later program can read: the run waits for them.
    let Some(definition) = draft.own_definition() else { return };
    let (stage, entry) = (stage.clone(), hold.entry);
    let knows = draft.scope.execution.stage(&stage).is_some_and(|run| run.entry >= entry);
    if !knows && draft.is_outdated() {
        admit::release(draft, &stage, id);
        cancel(draft, UPDATED);
        return;
    }
    if !knows {
        advance::enter(draft, &stage, entry);
    }
    // Also for a run that knows: its last result may have been noted by someone who could not read on.
    advance::advance(draft, id, &definition);
}

fn cancel(draft: &mut Draft<'_>, reason: &str) {
    action::abandon_running(draft);
    condition::give_up(draft, ConditionVerdict::Cancelled);
    if draft.scope.execution.is_inside_a_stage()
        && let Some(stage) = draft.scope.execution.current_stage().map(|run| run.stage.clone())
    {
        draft.execution(ExecutionEvent::StageCancelled(StageEnded { stage }));
    }
    cancelled(draft, reason);
}
