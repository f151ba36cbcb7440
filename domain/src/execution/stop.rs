//! Stopping a run. See `spec/execution-semantics.md`, section 6.

use super::{ExecutionStatus, action, condition};
use crate::{draft::Draft, lane::admit, rejection::Rejection};
use events::{ConditionVerdict, ExecutionEnded, ExecutionEvent, ExecutionId, StopRequested};

/// Asks a run to stop: at once between stages, after running actions end, or giving them up.
pub(crate) fn stop(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    abandon: bool,
    reason: Option<&String>,
) -> Result<(), Rejection> {
    let execution = &draft.scope.execution;
    let not_stoppable =
        |status: &str| Rejection::NotStoppable { execution: id.clone(), status: status.into() };
    if !execution.exists() {
        return Err(not_stoppable("unknown"));
    }
    if !draft.is_own_run() {
        return Err(not_stoppable("a run of another pipeline, or of one that was deleted"));
    }
    match execution.status {
        ExecutionStatus::InProgress => {}
        ExecutionStatus::Stopping => {
            let waiting = execution.stop.as_ref().is_some_and(|stop| !stop.abandon);
            if !(waiting && abandon) {
                return Err(Rejection::DuplicatedStopRequest { execution: id.clone() });
            }
        }
        ended @ (ExecutionStatus::Stopped
        | ExecutionStatus::Succeeded
        | ExecutionStatus::Superseded
        | ExecutionStatus::Failed
        | ExecutionStatus::Cancelled) => return Err(not_stoppable(ended.as_str())),
    }
    if draft.scope.lane.superseded.contains_key(id) {
        return Err(not_stoppable(ExecutionStatus::Superseded.as_str()));
    }
    draft.execution(ExecutionEvent::StopRequested(StopRequested {
        abandon,
        reason: reason.cloned(),
        by: draft.actor.to_owned(),
    }));
    if abandon {
        action::abandon_running(draft);
        condition::give_up(draft, ConditionVerdict::Abandoned);
    }
    if draft.scope.execution.is_inside_a_stage() {
        return action::move_on(draft, id);
    }
    // Between stages: at a door, or let in by the lane without having heard of it yet.
    if let Some(stage) = draft.scope.lane.wait_of(id).cloned() {
        admit::leave(draft, &stage, id);
    }
    if let Some(stage) = draft.scope.lane.hold_of(id).map(|(stage, _)| stage.clone()) {
        admit::release(draft, &stage, id);
    }
    draft.execution(ExecutionEvent::ExecutionStopped(ExecutionEnded {}));
    Ok(())
}
