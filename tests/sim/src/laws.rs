//! Laws about one event, given the state it came upon.

use domain::{
    execution::{Execution, ExecutionStatus},
    lane::Lane,
};
use events::{ExecutionEvent, ExecutionId, ExecutionMode, LaneEvent, StageHeld, StageName};

/// Nobody comes in twice under one number, through a closed door, or past somebody who has waited for longer. A run that
/// exists comes back to a stage when it has ended, or stands in it.
pub fn of_lane_event(
    before: &Lane,
    event: &LaneEvent,
    comes_back: impl Fn(&ExecutionId, &StageName) -> Option<bool>,
) -> Result<(), String> {
    match event {
        LaneEvent::StageHeld(held) => {
            if held.entry <= before.entry {
                return Err(format!("entries only grow: {} is followed by {held:?}", before.entry));
            }
            through_the_door(before, held, &comes_back)?;
            in_turn(before, held)
        }
        LaneEvent::ExecutionSuperseded(superseded) => {
            let waiting = before.stages.get(&superseded.stage).map(|traffic| &traffic.waiting);
            match waiting.is_some_and(|them| them.iter().any(|it| it.execution == superseded.execution)) {
                true => Ok(()),
                false => Err(format!("who is superseded waits: {superseded:?}")),
            }
        }
        LaneEvent::StageReleased(_)
        | LaneEvent::ExecutionWaits(_)
        | LaneEvent::ExecutionLeft(_)
        | LaneEvent::SupersessionSettled(_)
        | LaneEvent::RollbackOwed(_)
        | LaneEvent::RollbackSettled(_)
        | LaneEvent::TransitionDisabled(_)
        | LaneEvent::TransitionEnabled(_)
        | LaneEvent::LaneCleared(_) => Ok(()),
    }
}

/// Whether somebody who has not started yet comes in through a closed door. Only a rollback may, and what it is its own
/// start says, which is written with this.
pub fn must_be_a_rollback(before: &Lane, event: &LaneEvent, is_known: bool) -> bool {
    match event {
        LaneEvent::StageHeld(held) => !is_known && !held.terms.rollback && is_closed(before, held),
        LaneEvent::ExecutionSuperseded(_)
        | LaneEvent::StageReleased(_)
        | LaneEvent::ExecutionWaits(_)
        | LaneEvent::ExecutionLeft(_)
        | LaneEvent::SupersessionSettled(_)
        | LaneEvent::RollbackOwed(_)
        | LaneEvent::RollbackSettled(_)
        | LaneEvent::TransitionDisabled(_)
        | LaneEvent::TransitionEnabled(_)
        | LaneEvent::LaneCleared(_) => false,
    }
}

fn is_closed(before: &Lane, held: &StageHeld) -> bool {
    // Read here, lest the rule that is watched over be asked about itself.
    let traffic = before.stages.get(&held.stage);
    traffic.and_then(|traffic| traffic.transition.as_ref()).is_some_and(|it| !it.enabled)
}

/// A closed door stops everyone but those who come back, and rollbacks.
fn through_the_door(
    before: &Lane,
    held: &StageHeld,
    comes_back: &impl Fn(&ExecutionId, &StageName) -> Option<bool>,
) -> Result<(), String> {
    // Of a run that does not exist yet, see `must_be_a_rollback`.
    let retries_or_is_new = comes_back(&held.execution, &held.stage).unwrap_or(true);
    if !is_closed(before, held) || held.terms.rollback || retries_or_is_new {
        return Ok(());
    }
    Err(format!("nobody comes in through a closed door: {held:?}"))
}

/// Whoever is let in after waiting is the first in line, and so is whoever comes new where order matters.
fn in_turn(before: &Lane, held: &StageHeld) -> Result<(), String> {
    let line = before.stages.get(&held.stage).map(|traffic| traffic.waiting.as_slice()).unwrap_or_default();
    let earlier = line.iter().find(|waiter| {
        waiter.sequence < held.sequence && waiter.mode != ExecutionMode::Parallel && !waiter.terms.rollback
    });
    match earlier {
        Some(earlier) if held.waited && held.mode != ExecutionMode::Parallel => {
            Err(format!("who waits comes in by turns: {held:?} past {earlier:?}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Who was asked to stop begins nothing; who has ended ends no more; a job is taken on once.
pub fn of_run_event(before: &Execution, event: &ExecutionEvent) -> Result<(), String> {
    match event {
        ExecutionEvent::ActionStarted(started) if before.status == ExecutionStatus::Stopping => {
            Err(format!("who was asked to stop begins nothing: {started:?}"))
        }
        ExecutionEvent::StageStarted(started) if before.status == ExecutionStatus::Stopping => {
            Err(format!("who was asked to stop enters nothing: {started:?}"))
        }
        ExecutionEvent::ActionStarted(_) | ExecutionEvent::StageStarted(_) if before.status.is_terminal() => {
            Err(format!("who has ended begins nothing: {event:?}"))
        }
        ExecutionEvent::ExecutionSucceeded(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_)
            if before.status.is_terminal() =>
        {
            Err(format!("who has ended ends no more: {event:?}"))
        }
        _ => Ok(()),
    }
}
