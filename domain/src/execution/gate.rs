//! What the policy recorded with a run says about its stages: on which terms it comes to one, when it gives way to a
//! newer run there, and who may be approved. See `docs/compatibility.md`.
//!
//! Everything is read from the run's own start and its lane, never from settings: those are asked once, when a run
//! starts.

use super::{Execution, ExecutionStatus, Start, action, advance};
use crate::{
    draft::Draft,
    lane::admit::{self, Arrival},
    pipeline::{ActionDeclaration, PipelineDeclaration, StageDeclaration},
    rejection::Rejection,
};
use events::{
    ActionCategory, Compatibility, ExecutionEvent, ExecutionId, ExecutionMode, ExecutionSuperseded,
    GatePolicy, GaveWay, Newer, Older, Policy, StageName, Terms,
};

/// What is recorded with a run: of the gates, those its definition has.
pub(crate) fn policy_at_start(policy: &Policy, definition: &PipelineDeclaration) -> Policy {
    let known = policy.gates.iter().filter(|(stage, _)| definition.stage(stage).is_some());
    Policy {
        compatibility: policy.compatibility,
        gates: known.map(|(stage, gate)| (stage.clone(), *gate)).collect(),
    }
}

/// What is recorded with a run that rolls a stage back: the terms it holds the stage on, so that a retry of it holds
/// the stage on the same.
pub(crate) fn policy_of_rollback(terms: Terms, stage: &StageName) -> Policy {
    let gate = GatePolicy { newer: Newer::Hold, older: Some(Older::Refuse) };
    let compatibility = if terms.extended { Compatibility::Extended } else { Compatibility::Exact };
    let gates = terms.ordered.then(|| (stage.clone(), gate)).into_iter().collect();
    Policy { compatibility, gates }
}

/// A run coming to one of its stages, on the terms its policy gives it there.
pub(crate) fn arrival<'a>(
    start: &Start,
    id: &'a ExecutionId,
    definition: &PipelineDeclaration,
    stage: &'a StageName,
    first_stage: bool,
) -> Arrival<'a> {
    let terms = terms(&start.policy, definition.stage(stage), start.rollback.is_some());
    Arrival { execution: id, sequence: start.sequence, mode: start.mode, stage, terms, first_stage }
}

/// The terms on which a run of this policy holds a stage.
pub(crate) fn terms(policy: &Policy, stage: Option<&StageDeclaration>, rollback: bool) -> Terms {
    let gate = stage.and_then(|stage| policy.gates.get(&stage.name)).copied().unwrap_or_default();
    let GatePolicy { newer, older } = gate;
    let ordered = match older {
        Some(Older::Refuse) => true,
        Some(Older::Allow) => false,
        // A gate that speaks of newer arrivals needs a door in front of which they wait.
        None => newer != Newer::Hold || (policy.is_extended() && stage.is_some_and(deploys)),
    };
    Terms {
        extended: policy.is_extended(),
        ordered,
        // On plain terms nothing more is recorded than before there were any.
        rollback: rollback && (ordered || policy.is_extended()),
        newer: if rollback { Newer::Hold } else { newer },
    }
}

fn deploys(stage: &StageDeclaration) -> bool {
    stage.actions.iter().any(|action| action.action_type_id.category == ActionCategory::Deploy)
}

/// Nobody has entered the stage after this run in a way that forbids it to run there again. A PARALLEL run asks that
/// only where order matters: in an ordered stage, and in the source stage of a run that keeps its place, since what
/// is fetched again may be newer than what newer runs have.
pub(crate) fn is_latest(
    draft: &Draft<'_>,
    start: &Start,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
) -> bool {
    let arrival = arrival(start, id, definition, stage, false);
    let is_source = definition.first_stage().is_some_and(|first| first.name == *stage);
    let matters = start.mode != ExecutionMode::Parallel
        || arrival.terms.ordered
        || (is_source && start.policy.is_extended());
    let latest = draft.scope.lane.last_entered(stage).is_some_and(|hold| hold.execution == *id);
    (latest || !matters) && admit::overtaken(draft, &arrival, definition).is_none()
}

/// A newer run may take the place of this one in the stage it is in.
pub(crate) fn may_give_way(run: &Execution) -> bool {
    let gate = |start: &Start| {
        let gate = start.policy.gates.get(&run.current_stage()?.stage)?;
        Some(gate.newer == Newer::Supersede && start.rollback.is_none())
    };
    run.start.as_ref().and_then(gate).unwrap_or(false)
}

/// Lets a newer run take the place of one that waits for nothing but approvals, or would ask for one now, where its
/// gate says so. True when the run has ended by that. The tokens are void from here on.
pub(crate) fn give_way(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
) -> bool {
    let Some(by) = taker(draft, definition, stage) else { return false };
    action::abandon_running(draft);
    advance::end_stage(draft, id, stage, super::StageStatus::Cancelled);
    let rule = Some(GaveWay::Gate);
    draft.execution(ExecutionEvent::ExecutionSuperseded(ExecutionSuperseded { by, rule }));
    true
}

/// The newer run that takes the place of the scope's run.
fn taker(draft: &Draft<'_>, definition: &PipelineDeclaration, stage: &StageName) -> Option<ExecutionId> {
    let execution = &draft.scope.execution;
    let start = execution.start.as_ref()?;
    let gate = start.policy.gates.get(stage)?;
    let supersedes = gate.newer == Newer::Supersede && start.rollback.is_none();
    let under_way = execution.status == ExecutionStatus::InProgress && draft.scope.lane.is_open(stage);
    if !supersedes || !under_way {
        return None;
    }
    let run = execution.stage(stage)?;
    // What fails, or is asked by a condition, comes to its own end first.
    if run.unsuccessful().next().is_some() || run.open_condition().is_some() {
        return None;
    }
    let mut running = run.running().peekable();
    let asks = if running.peek().is_some() {
        running.all(|attempt| attempt.action_type.category == ActionCategory::Approval)
    } else {
        action::next_group(draft, definition, stage).into_iter().any(is_approval)
    };
    admit::newer_waiting(draft, stage, start.sequence).filter(|_| asks).map(|(by, _)| by)
}

fn is_approval(action: &ActionDeclaration) -> bool {
    action.action_type_id.category == ActionCategory::Approval
}

/// Refuses an approval that only the newest run may have, while newer ones wait at the door. Whether the door is open
/// makes no difference: what waits there is newer all the same.
pub(crate) fn check_newest(draft: &Draft<'_>, id: &ExecutionId, stage: &StageName) -> Result<(), Rejection> {
    let Some(start) = &draft.scope.execution.start else { return Ok(()) };
    let asks = start.policy.gates.get(stage).is_some_and(|gate| gate.newer == Newer::Newest);
    if !asks || start.rollback.is_some() {
        return Ok(());
    }
    match admit::newer_waiting(draft, stage, start.sequence) {
        None => Ok(()),
        Some((newer, waiting)) => {
            Err(Rejection::NewerWaits { execution: id.clone(), stage: stage.clone(), newer, waiting })
        }
    }
}
