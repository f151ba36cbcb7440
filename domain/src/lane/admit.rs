//! Who may enter a stage, who must wait, who gives way. See `spec/execution-semantics.md`, section 3.

use crate::draft::Draft;
use events::{
    Entry, ExecutionId, ExecutionLeft, ExecutionMode, ExecutionWaits, LaneEvent, LaneExecutionSuperseded,
    PipelineVersion, Sequence, StageHeld, StageName, StageReleased,
};

/// An execution that comes to a door.
pub(crate) struct Arrival<'a> {
    pub(crate) execution: &'a ExecutionId,
    pub(crate) sequence: Sequence,
    pub(crate) mode: ExecutionMode,
    pub(crate) stage: &'a StageName,
    /// Superseding happens only between stages, never in front of the first one.
    pub(crate) first_stage: bool,
}

/// What the lane answered.
pub(crate) enum Admission {
    /// Come in, under this number.
    Entered(Entry),
    /// Wait at the door.
    Waits,
    /// Someone newer waits already.
    Superseded { by: ExecutionId },
}

/// Lets an execution in, makes it wait, or turns it away.
pub(crate) fn arrive(draft: &mut Draft<'_>, arrival: &Arrival<'_>) -> Admission {
    let stage = draft.scope.lane.stages.get(arrival.stage);
    let occupied = stage.is_some_and(|stage| {
        arrival.mode != ExecutionMode::Parallel
            && (!stage.waiting.is_empty()
                || stage.held.iter().any(|hold| hold.mode != ExecutionMode::Parallel))
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
            Some((by, sequence)) if sequence > arrival.sequence => return Admission::Superseded { by },
            Some((older, _)) => draft.lane(LaneEvent::ExecutionSuperseded(LaneExecutionSuperseded {
                stage: arrival.stage.clone(),
                execution: older,
                by: arrival.execution.clone(),
            })),
            None => {}
        }
    }
    draft.lane(LaneEvent::ExecutionWaits(ExecutionWaits {
        stage: arrival.stage.clone(),
        execution: arrival.execution.clone(),
        sequence: arrival.sequence,
        mode: arrival.mode,
    }));
    Admission::Waits
}

/// Takes a stage for an execution whatever the door says: a retry, which was inside before, or a rollback.
pub(crate) fn hold(draft: &mut Draft<'_>, arrival: &Arrival<'_>, waited: bool) -> Entry {
    let entry = draft.scope.lane.entry.next();
    draft.lane(LaneEvent::StageHeld(StageHeld {
        stage: arrival.stage.clone(),
        execution: arrival.execution.clone(),
        sequence: arrival.sequence,
        entry,
        mode: arrival.mode,
        waited,
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
        let_in(draft, &stage);
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
    while let Some((execution, sequence, mode)) = next_in_line(draft, stage) {
        let arrival = Arrival { execution: &execution, sequence, mode, stage, first_stage: false };
        hold(draft, &arrival, true);
    }
}

fn next_in_line(draft: &Draft<'_>, stage: &StageName) -> Option<(ExecutionId, Sequence, ExecutionMode)> {
    if !draft.scope.lane.is_open(stage) {
        return None;
    }
    let traffic = draft.scope.lane.stages.get(stage)?;
    let occupied = traffic.held.iter().any(|hold| hold.mode != ExecutionMode::Parallel);
    traffic
        .waiting
        .iter()
        .find(|waiter| waiter.mode == ExecutionMode::Parallel || !occupied)
        .map(|waiter| (waiter.execution.clone(), waiter.sequence, waiter.mode))
}
