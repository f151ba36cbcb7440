//! Closing and opening the door of a stage. See `spec/execution-semantics.md`, section 3.5.

use super::admit;
use crate::{draft::Draft, rejection::Rejection};
use events::{LaneEvent, StageName, TransitionDisabled, TransitionEnabled};

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
    draft.lane(LaneEvent::TransitionEnabled(TransitionEnabled {
        stage: stage.clone(),
        by: draft.actor.to_owned(),
    }));
    admit::let_in(draft, stage);
    Ok(())
}

fn known_stage(draft: &Draft<'_>, stage: &StageName) -> Result<(), Rejection> {
    let definition = draft.scope.pipeline.current_definition().ok_or_else(|| draft.no_pipeline())?;
    match definition.stage(stage) {
        Some(_) => Ok(()),
        None => Err(draft.no_stage(stage)),
    }
}
