//! Letting a run pass in spite of a condition. See `spec/execution-semantics.md`, section 10.

use super::{
    ConditionStatus, ExecutionStatus, StageRun, StageStatus, advance, condition, gate as gates, start,
};
use crate::{
    draft::Draft,
    lane::admit,
    pipeline::{ConditionResult, PipelineDeclaration, StageDeclaration},
    rejection::Rejection,
};
use events::{
    ConditionEnded, ConditionOverridden, ConditionType, ConditionVerdict, ExecutionEvent, ExecutionId,
    StageName,
};

/// Overrides a condition of the run that entered the stage last: its rules are given up, and the run goes on as if
/// it were met. A run that had failed by it takes its stage again.
pub(crate) fn override_condition(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    stage: &StageName,
    gate: ConditionType,
) -> Result<(), Rejection> {
    let definition = draft.judging_definition().ok_or_else(|| draft.no_pipeline())?;
    let declared = definition.stage(stage).ok_or_else(|| draft.no_stage(stage))?;
    check(draft, id, &definition, declared, gate)?;
    let Some(started) = draft.scope.execution.start.clone() else { return Err(draft.no_execution(id)) };
    if draft.scope.execution.status.is_terminal() {
        start::check_room(draft, started.mode)?;
    }
    condition::abandon_rules(draft);
    end_what_followed(draft, stage, gate);
    let run = draft.scope.execution.stage(stage).ok_or_else(|| draft.no_stage(stage))?;
    let entry = if run.status == StageStatus::InProgress {
        run.entry
    } else {
        let arrival = gates::arrival(&started, id, &definition, stage, false);
        admit::hold(draft, &arrival, false)
    };
    draft.execution(ExecutionEvent::ConditionOverridden(ConditionOverridden {
        stage: stage.clone(),
        condition: gate,
        entry,
        by: draft.actor.to_owned(),
    }));
    advance::advance(draft, id, &definition);
    Ok(())
}

fn check(
    draft: &Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    declared: &StageDeclaration,
    gate: ConditionType,
) -> Result<(), Rejection> {
    let execution = &draft.scope.execution;
    let stage = &declared.name;
    let refused = |reason: &str| {
        let reason = reason.to_owned();
        Err(Rejection::ConditionNotOverridable {
            execution: id.clone(),
            stage: stage.clone(),
            condition: gate,
            reason,
        })
    };
    let result = declared.condition(gate).map(|condition| condition.result_in(gate));
    let not_latest = || Rejection::NotLatestExecution { execution: id.clone(), stage: stage.clone() };
    let start = execution.start.as_ref().filter(|_| draft.is_own_run()).ok_or_else(not_latest)?;
    if !gates::is_latest(draft, start, id, definition, stage) {
        // Whoever else holds the stage: a rollback that was to follow is not undone.
        let shut = execution.stage(stage).and_then(StageRun::failed_by).is_some();
        if gate == ConditionType::OnSuccess && result == Some(ConditionResult::Rollback) && shut {
            return refused("the stage is rolled back already, or was entered by a newer execution");
        }
        return Err(not_latest());
    }
    if gate == ConditionType::OnFailure {
        return refused("a failure condition has nothing to let pass");
    }
    let known = execution.stage(stage).and_then(|run| Some((run, run.condition(gate)?)));
    let Some((run, known)) = known else { return refused("it was not evaluated") };
    match known.status {
        ConditionStatus::InProgress | ConditionStatus::Failed | ConditionStatus::Errored => {}
        other @ (ConditionStatus::Succeeded
        | ConditionStatus::Cancelled
        | ConditionStatus::Abandoned
        | ConditionStatus::Overridden) => return refused(&format!("it is {}", other.as_str())),
    }
    if result == Some(ConditionResult::Skip) {
        return refused("its result is SKIP, which takes the execution past the stage");
    }
    if execution.status == ExecutionStatus::Stopping {
        let reason = "the execution is stopping";
        return Err(Rejection::Conflict { execution: id.clone(), stage: stage.clone(), reason });
    }
    match run.status {
        StageStatus::InProgress | StageStatus::Failed => {}
        other @ (StageStatus::Stopping
        | StageStatus::Stopped
        | StageStatus::Succeeded
        | StageStatus::Cancelled
        | StageStatus::Skipped) => return refused(&format!("its stage is {}", other.as_str())),
    }
    if Some(start.pipeline_version) != draft.scope.pipeline.current && !draft.is_extended() {
        return refused("the pipeline was changed since the execution started");
    }
    Ok(())
}

/// A success condition that failed may have led to the failure condition: that one no longer matters.
fn end_what_followed(draft: &mut Draft<'_>, stage: &StageName, gate: ConditionType) {
    let open = draft.scope.execution.stage(stage).and_then(|run| run.open_condition());
    if let Some(other) = open.map(|open| open.condition).filter(|open| *open != gate) {
        draft.execution(ExecutionEvent::ConditionEnded(ConditionEnded {
            stage: stage.clone(),
            condition: other,
            verdict: ConditionVerdict::Cancelled,
            summary: None,
        }));
    }
}
