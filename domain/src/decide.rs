//! From a command to events. Dispatch only: each rule lives with what it is about.

use crate::{
    command::{Command, Context, Wish},
    draft::{Decision, Draft, Scope},
    execution::{action, approval, job, overriding, retry, rollback, rule, settle, start, stop},
    lane::transitions,
    pipeline::versions,
    rejection::Rejection,
};
use events::ExecutionId;

/// Decides a command on the states it reads, and writes the decision down in them. A refusal leaves the states
/// as they were. A command that is satisfied already yields no events.
pub fn decide(scope: &mut Scope, command: &Command, context: Context<'_>) -> Result<Decision, Rejection> {
    let mut draft = Draft::new(scope, &command.pipeline, context);
    let decided = dispatch(&mut draft, command);
    debug_assert!(decided.is_ok() || draft.decision.is_empty(), "a refusal after the first event");
    decided.map(|()| draft.decision)
}

fn dispatch(draft: &mut Draft<'_>, command: &Command) -> Result<(), Rejection> {
    match &command.wish {
        Wish::CreatePipeline { definition, tags } => versions::create(draft, definition, tags),
        Wish::UpdatePipeline { definition } => versions::update(draft, definition),
        Wish::DeletePipeline => {
            versions::delete(draft);
            Ok(())
        }
        Wish::TagPipeline { tags } => versions::tag(draft, tags),
        Wish::UntagPipeline { keys } => versions::untag(draft, keys),
        Wish::StartExecution { trigger, variables, revisions } => {
            with_own_execution(draft, command, |draft, id| {
                start::start(draft, id, trigger, variables, revisions)
            })
        }
        Wish::StopExecution { abandon, reason } => {
            with_execution(command, |id| stop::stop(draft, id, *abandon, reason.as_ref()))
        }
        Wish::RetryStage { stage, mode } => {
            with_execution(command, |id| retry::retry(draft, id, stage, *mode))
        }
        Wish::RollbackStage { stage, target, past } => with_own_execution(draft, command, |draft, id| {
            rollback::by_hand(draft, id, stage, target, past.as_deref())
        }),
        Wish::StartRollback { past } => with_own_execution(draft, command, |draft, id| {
            rollback::start_owed(draft, id, past.as_deref());
            Ok(())
        }),
        Wish::RecordActionResult { attempt, result } => {
            with_own_execution(draft, command, |draft, id| action::record_result(draft, id, attempt, result))
        }
        Wish::NoteActionProgress { attempt, details } => {
            with_own_execution(draft, command, |draft, id| action::note_progress(draft, id, attempt, details))
        }
        Wish::OnJob { attempt, wish } => {
            with_own_execution(draft, command, |draft, id| job::decide(draft, id, attempt, wish))
        }
        Wish::ExpireAction { attempt } => {
            with_own_execution(draft, command, |draft, id| action::expire(draft, id, attempt))
        }
        Wish::RecordRuleResult { attempt, result } => {
            with_own_execution(draft, command, |draft, id| rule::record_result(draft, id, attempt, result))
        }
        Wish::NoteRuleProgress { attempt, details } => {
            with_own_execution(draft, command, |draft, id| rule::note_progress(draft, id, attempt, details))
        }
        Wish::ExpireRule { attempt } => {
            with_own_execution(draft, command, |draft, id| rule::expire(draft, id, attempt))
        }
        Wish::OverrideCondition { stage, condition } => {
            with_execution(command, |id| overriding::override_condition(draft, id, stage, *condition))
        }
        Wish::RecordApproval { stage, action, token, approved, summary } => {
            let answer = approval::Answer { stage, action, token, approved: *approved, summary };
            with_execution(command, |id| approval::record(draft, id, &answer))
        }
        Wish::DisableTransition { stage, reason } => transitions::disable(draft, stage, reason),
        Wish::EnableTransition { stage } => transitions::enable(draft, stage),
        Wish::Settle => with_own_execution(draft, command, |draft, id| {
            settle::settle(draft, id);
            Ok(())
        }),
    }
}

/// For a run that is new, or one of the pipeline the command names.
fn with_own_execution(
    draft: &mut Draft<'_>,
    command: &Command,
    rule: impl FnOnce(&mut Draft<'_>, &ExecutionId) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    with_execution(command, |id| match &draft.scope.execution.start {
        Some(start) if start.pipeline != command.pipeline => Err(draft.no_execution(id)),
        Some(_) | None => rule(draft, id),
    })
}

fn with_execution(
    command: &Command,
    rule: impl FnOnce(&ExecutionId) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    match &command.execution {
        Some(id) => rule(id),
        None => Err(Rejection::PipelineNotFound { pipeline: command.pipeline.clone() }),
    }
}
