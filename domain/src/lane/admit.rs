//! Who may enter a stage, who must wait, who gives way. See `spec/execution-semantics.md`, section 3.

use crate::{
    draft::Draft,
    lane::{Waiter, excludes},
    pipeline::PipelineDeclaration,
};
use events::{
    Entry, ExecutionId, ExecutionLeft, ExecutionMode, ExecutionWaits, GaveWay, LaneEvent,
    LaneExecutionSuperseded, Newer, PipelineVersion, Sequence, StageHeld, StageName, StageReleased, Terms,
};

/// An execution that comes to a door.
pub(crate) struct Arrival<'a> {
    pub(crate) execution: &'a ExecutionId,
    pub(crate) sequence: Sequence,
    pub(crate) mode: ExecutionMode,
    pub(crate) stage: &'a StageName,
    pub(crate) terms: Terms,
    /// Superseding happens only between stages, never in front of the first one.
    pub(crate) first_stage: bool,
}

/// What the lane answered.
pub(crate) enum Admission {
    /// Come in, under this number.
    Entered(Entry),
    /// Wait at the door.
    Waits,
    /// Someone newer waits already, or has entered.
    Superseded { by: ExecutionId, rule: Option<GaveWay> },
}

/// Lets an execution in, makes it wait, or turns it away. The definition is the execution's own.
pub(crate) fn arrive(
    draft: &mut Draft<'_>,
    arrival: &Arrival<'_>,
    definition: &PipelineDeclaration,
) -> Admission {
    if let Some(by) = overtaken(draft, arrival, definition) {
        return Admission::Superseded { by, rule: Some(GaveWay::Order) };
    }
    let stage = draft.scope.lane.stages.get(arrival.stage);
    let occupied = stage.is_some_and(|stage| {
        excludes(arrival.mode, arrival.terms) && (!stage.waiting.is_empty() || stage.is_taken())
    });
    if !occupied && draft.scope.lane.is_open(arrival.stage) {
        return Admission::Entered(hold(draft, arrival, false));
    }
    if arrival.mode == ExecutionMode::Superseded && !arrival.first_stage {
        let ahead = stage.and_then(|stage| {
            let rivals = stage.waiting.iter().filter(|waiter| waiter.mode == ExecutionMode::Superseded);
            rivals.map(|waiter| (waiter.execution.clone(), waiter.sequence)).next_back()
        });
        match ahead {
            Some((by, sequence)) if sequence > arrival.sequence => {
                return Admission::Superseded { by, rule: None };
            }
            Some((older, _)) => draft.lane(LaneEvent::ExecutionSuperseded(LaneExecutionSuperseded {
                stage: arrival.stage.clone(),
                execution: older,
                by: arrival.execution.clone(),
            })),
            None => {}
        }
    }
    let displaces = displaced(draft, arrival.stage);
    draft.lane(LaneEvent::ExecutionWaits(ExecutionWaits {
        stage: arrival.stage.clone(),
        execution: arrival.execution.clone(),
        sequence: arrival.sequence,
        mode: arrival.mode,
        terms: arrival.terms,
        displaces,
    }));
    Admission::Waits
}

/// Who has entered before although it is newer, where that matters: then letting the older one in would take its
/// work back. A stage that an update has removed, or given another name, lives on under names the older one does
/// not know: there whoever is newer counts that entered any of those.
pub(crate) fn overtaken(
    draft: &Draft<'_>,
    arrival: &Arrival<'_>,
    definition: &PipelineDeclaration,
) -> Option<ExecutionId> {
    if !arrival.terms.ordered || arrival.terms.rollback || fault!(OlderPassesNewer) {
        return None;
    }
    let current = draft.scope.pipeline.current_definition();
    let is_gone = current.is_some_and(|current| current.stage(arrival.stage).is_none());
    let counts = |stage: &StageName| stage == arrival.stage || (is_gone && definition.stage(stage).is_none());
    let stages = draft.scope.lane.stages.iter().filter(|(name, _)| counts(name));
    let newest = stages.filter_map(|(_, traffic)| traffic.newest.as_ref());
    let newer = newest.filter(|newest| newest.sequence > arrival.sequence);
    newer.max_by_key(|newest| newest.sequence).map(|newest| newest.execution.clone())
}

/// Who inside must hear of a new arrival at an open door.
fn displaced(draft: &Draft<'_>, stage: &StageName) -> Option<ExecutionId> {
    displaced_behind(draft, stage).filter(|_| draft.scope.lane.is_open(stage))
}

/// The holder whose gate lets newer executions take its place, whatever the door. Whether it waits for an approval
/// now, it knows itself.
pub(crate) fn displaced_behind(draft: &Draft<'_>, stage: &StageName) -> Option<ExecutionId> {
    let traffic = draft.scope.lane.stages.get(stage)?;
    let hold = traffic.held.iter().find(|hold| hold.terms.newer == Newer::Supersede)?;
    Some(hold.execution.clone())
}

/// Who waits at the door of a stage and is newer than this one: the first of them, and how many there are.
pub(crate) fn newer_waiting(
    draft: &Draft<'_>,
    stage: &StageName,
    sequence: Sequence,
) -> Option<(ExecutionId, usize)> {
    let waiting = &draft.scope.lane.stages.get(stage)?.waiting;
    let mut newer = waiting.iter().filter(|waiter| waiter.sequence > sequence);
    let first = newer.next()?.execution.clone();
    Some((first, 1 + newer.count()))
}

/// Takes a stage for an execution whatever the door says: a retry, which was inside before, or a rollback.
pub(crate) fn hold(draft: &mut Draft<'_>, arrival: &Arrival<'_>, waited: bool) -> Entry {
    let newest = draft.scope.lane.entry;
    let entry = if fault!(EntryRepeated) { newest } else { newest.next() };
    draft.lane(LaneEvent::StageHeld(StageHeld {
        stage: arrival.stage.clone(),
        execution: arrival.execution.clone(),
        sequence: arrival.sequence,
        entry,
        mode: arrival.mode,
        waited,
        terms: arrival.terms,
    }));
    entry
}

/// Frees a stage of its holder and lets in who waits.
pub(crate) fn release(draft: &mut Draft<'_>, stage: &StageName, execution: &ExecutionId) {
    free(draft, stage, execution, None);
}

/// Frees a stage of a holder that succeeded in it, under which version.
pub(crate) fn release_succeeded(
    draft: &mut Draft<'_>,
    stage: &StageName,
    execution: &ExecutionId,
    version: PipelineVersion,
) {
    free(draft, stage, execution, Some(version));
}

fn free(
    draft: &mut Draft<'_>,
    stage: &StageName,
    execution: &ExecutionId,
    succeeded: Option<PipelineVersion>,
) {
    if holds(draft, stage, execution) {
        let (stage, execution) = (stage.clone(), execution.clone());
        draft.lane(LaneEvent::StageReleased(StageReleased { stage: stage.clone(), execution, succeeded }));
        if !fault!(NobodyLetIn) {
            let_in(draft, &stage);
        }
    }
}

/// Hands a stage from its holder to another execution, past everyone who waits.
pub(crate) fn hand_over(draft: &mut Draft<'_>, from: &ExecutionId, to: &Arrival<'_>) -> Entry {
    let (stage, execution) = (to.stage.clone(), from.clone());
    draft.lane(LaneEvent::StageReleased(StageReleased { stage, execution, succeeded: None }));
    hold(draft, to, false)
}

/// An execution is admitted to a stage.
pub(crate) fn holds(draft: &Draft<'_>, stage: &StageName, execution: &ExecutionId) -> bool {
    let traffic = draft.scope.lane.stages.get(stage);
    traffic.is_some_and(|traffic| traffic.held.iter().any(|hold| hold.execution == *execution))
}

/// Takes a waiting execution away from a door.
pub(crate) fn leave(draft: &mut Draft<'_>, stage: &StageName, execution: &ExecutionId) {
    draft
        .lane(LaneEvent::ExecutionLeft(ExecutionLeft { stage: stage.clone(), execution: execution.clone() }));
}

/// Lets in everyone who may enter now: the first in line, or every PARALLEL execution.
pub(crate) fn let_in(draft: &mut Draft<'_>, stage: &StageName) {
    // Each turn moves one execution from the line into the stage, so the loop ends.
    while let Some(next) = next_in_line(draft, stage) {
        let Waiter { execution, sequence, mode, terms, .. } = next;
        let arrival = Arrival { execution: &execution, sequence, mode, stage, terms, first_stage: false };
        hold(draft, &arrival, true);
    }
}

fn next_in_line(draft: &Draft<'_>, stage: &StageName) -> Option<Waiter> {
    if !draft.scope.lane.is_open(stage) {
        return None;
    }
    let traffic = draft.scope.lane.stages.get(stage)?;
    let occupied = traffic.is_taken();
    if fault!(QueueJumped) {
        return traffic.waiting.last().filter(|_| !occupied).cloned();
    }
    traffic.waiting.iter().find(|waiter| !occupied || !excludes(waiter.mode, waiter.terms)).cloned()
}
