//! Closing and opening the door of a stage. See `spec/execution-semantics.md`, section 3.5.

use super::admit;
use crate::{draft::Draft, limits, rejection::Rejection};
use events::{ExecutionId, LaneEvent, StageName, Timestamp, TransitionDisabled, TransitionEnabled};

/// Closes a stage's inbound transition. Closing a closed one with the same reason changes nothing.
pub(crate) fn disable(draft: &mut Draft<'_>, stage: &StageName, reason: &str) -> Result<(), Rejection> {
    known_stage(draft, stage)?;
    let transition = draft.scope.lane.stages.get(stage).and_then(|traffic| traffic.transition.as_ref());
    if transition.is_some_and(|now| !now.enabled && now.reason.as_deref() == Some(reason)) {
        return Ok(());
    }
    let event =
        TransitionDisabled { stage: stage.clone(), reason: reason.to_owned(), by: draft.actor.to_owned() };
    draft.lane(LaneEvent::TransitionDisabled(event));
    Ok(())
}

/// Opens it, and lets in who waited. Opening an open one changes nothing.
pub(crate) fn enable(draft: &mut Draft<'_>, stage: &StageName) -> Result<(), Rejection> {
    let transition = draft.scope.lane.stages.get(stage).and_then(|traffic| traffic.transition.as_ref());
    let Some(transition) = transition else { return known_stage(draft, stage) };
    // A door that was ever closed is opened even if an update has removed its stage: runs of older versions may
    // wait there.
    if transition.enabled {
        return Ok(());
    }
    let closed = transition.at;
    let waits = draft.scope.lane.stages.get(stage).is_some_and(|traffic| !traffic.waiting.is_empty());
    let displaces = if waits { admit::displaced_behind(draft, stage) } else { None };
    draft.lane(LaneEvent::TransitionEnabled(TransitionEnabled {
        stage: stage.clone(),
        by: draft.actor.to_owned(),
        displaces,
    }));
    turn_away(draft, stage, closed);
    admit::let_in(draft, stage);
    Ok(())
}

/// Sends away who has waited too long at a door that was closed at this time; `Settle` then cancels them.
fn turn_away(draft: &mut Draft<'_>, stage: &StageName, closed: Timestamp) {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let now = draft.now;
    let Some(traffic) = draft.scope.lane.stages.get(stage) else { return };
    let too_late: Vec<ExecutionId> = traffic
        .waiting
        .iter()
        .filter(|waiter| now.since(waiter.since.max(closed)) > limits::DISABLED_TRANSITION_DAYS_MAX * DAY)
        .map(|waiter| waiter.execution.clone())
        .collect();
    for execution in too_late {
        admit::leave(draft, stage, &execution);
    }
}

fn known_stage(draft: &Draft<'_>, stage: &StageName) -> Result<(), Rejection> {
    let definition = draft.scope.pipeline.current_definition().ok_or_else(|| draft.no_pipeline())?;
    match definition.stage(stage) {
        Some(_) => Ok(()),
        None => Err(draft.no_stage(stage)),
    }
}
