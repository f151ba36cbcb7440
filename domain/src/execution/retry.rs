//! Running a failed or stopped stage again. See `spec/execution-semantics.md`, section 7.

use super::{
    ActionStatus, Execution, ExecutionStatus, StageStatus, action, advance,
    condition::{self, Gate},
    gate, start,
};
use crate::{
    draft::Draft,
    lane::admit,
    pipeline::{ActionDeclaration, OnFailure, PipelineDeclaration, RetryMode},
    rejection::Rejection,
};
use events::{ConditionType, ExecutionEvent, ExecutionId, StageName, StageRetried, StageRetryMode};

/// Retries a stage of the run that entered it last.
pub(crate) fn retry(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    stage: &StageName,
    mode: StageRetryMode,
) -> Result<(), Rejection> {
    let definition = draft.judging_definition().ok_or_else(|| draft.no_pipeline())?;
    if definition.stage(stage).is_none() {
        return Err(draft.no_stage(stage));
    }
    check(draft, id, &definition, stage, mode)?;
    let Some(started) = draft.scope.execution.start.clone() else { return Err(draft.no_execution(id)) };
    if draft.scope.execution.status.is_terminal() {
        start::check_room(draft, started.mode)?;
    }
    let run = draft.scope.execution.stage(stage).ok_or_else(|| draft.no_stage(stage))?;
    // While siblings still run the stage is still held, and their results must keep counting: same admission.
    let entry = if run.status == StageStatus::InProgress {
        run.entry
    } else {
        let arrival = gate::arrival(&started, id, &definition, stage, false);
        admit::hold(draft, &arrival, false)
    };
    draft.execution(ExecutionEvent::StageRetried(StageRetried {
        stage: stage.clone(),
        entry,
        mode,
        by: draft.actor.to_owned(),
        automatic: false,
    }));
    restart_beside_running(draft, id, &definition, stage);
    advance::advance(draft, id, &definition);
    Ok(())
}

/// Runs a stage again of its own accord, once, if its definition says so. It never reports a failure in between, and
/// stays held under the same admission: nothing of it runs, so no result can still come in.
pub(crate) fn automatic(draft: &mut Draft<'_>, definition: &PipelineDeclaration, stage: &StageName) -> bool {
    let asked = definition.stage(stage).and_then(|declared| declared.on_failure.as_ref());
    let Some(mode) = asked.and_then(OnFailure::retry_mode) else { return false };
    let execution = &draft.scope.execution;
    let Some(run) = execution
        .stage(stage)
        .filter(|run| run.auto_retries == 0 || fault!(RetriedForEver) && run.auto_retries < 3)
    else {
        return false;
    };
    if execution.is_rollback() || draft.is_outdated() {
        return false;
    }
    let entry = run.entry;
    draft.execution(ExecutionEvent::StageRetried(StageRetried {
        stage: stage.clone(),
        entry,
        mode: match mode {
            RetryMode::FailedActions => StageRetryMode::FailedActions,
            RetryMode::AllActions => StageRetryMode::AllActions,
        },
        by: draft.actor.to_owned(),
        automatic: true,
    }));
    true
}

fn check(
    draft: &Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
    mode: StageRetryMode,
) -> Result<(), Rejection> {
    let execution = &draft.scope.execution;
    let not_retryable =
        |reason| Rejection::StageNotRetryable { execution: id.clone(), stage: stage.clone(), reason };
    let busy = |reason| Rejection::Conflict { execution: id.clone(), stage: stage.clone(), reason };
    let not_latest = || Rejection::NotLatestExecution { execution: id.clone(), stage: stage.clone() };
    let start = execution.start.as_ref().filter(|_| draft.is_own_run()).ok_or_else(not_latest)?;
    if !gate::is_latest(draft, start, id, definition, stage) {
        return Err(not_latest());
    }
    if Some(start.pipeline_version) != draft.scope.pipeline.current && !draft.is_extended() {
        return Err(not_retryable("the pipeline was changed since it started"));
    }
    let run = execution.current_stage().filter(|run| run.stage == *stage);
    let run = run.ok_or_else(|| not_retryable("it is not the stage the execution ended in"))?;
    let is_unstarted = |action: &ActionDeclaration| run.attempt(&action.name).is_none();
    let left_out = run.status == StageStatus::Stopped
        && definition.stage(stage).is_some_and(|declared| declared.actions.iter().any(is_unstarted));
    let unasked = run.status == StageStatus::Stopped
        && condition::gate(draft, definition, stage, ConditionType::OnSuccess) != Gate::Open;
    if run.status == StageStatus::Skipped {
        return Err(not_retryable("its entry condition skipped it"));
    }
    if run.unsuccessful().next().is_none() && !left_out && !unasked && run.failed_by().is_none() {
        return Err(not_retryable("none of its actions failed or was left out"));
    }
    // Its answer decides what becomes of the stage; a retry that set it aside would leave it without one.
    if run.open_condition().is_some() {
        return Err(busy("its failure condition is being evaluated"));
    }
    if run.retry.is_some_and(|retry| retry.under_way) {
        return Err(busy("a retry of it is still under way"));
    }
    if execution.status == ExecutionStatus::Stopping {
        return Err(busy("the execution is stopping"));
    }
    if mode == StageRetryMode::AllActions && run.running().next().is_some() {
        return Err(busy("some of its actions are still running"));
    }
    Ok(())
}

/// Starts again, beside siblings that still run, what failed in their group.
fn restart_beside_running(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
) {
    let is_running = |execution: &Execution| {
        execution
            .stage(stage)
            .is_some_and(|run| run.running().any(|run| run.status == ActionStatus::InProgress))
    };
    if is_running(&draft.scope.execution) {
        action::start_next_group(draft, id, definition, stage);
    }
}
