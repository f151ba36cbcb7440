//! Starting rules and noting how they end. See `spec/execution-semantics.md`, sections 10, 11 and 15.

use super::{ActionStatus, action};
use crate::{
    catalogue,
    command::{Details, RuleAttempt, RuleResult},
    draft::Draft,
    limits,
    pipeline::{PipelineDeclaration, RuleDeclaration},
    rejection::Rejection,
};
use events::{
    ConditionType, Entry, ExecutionEvent, ExecutionId, FailureCode, RuleExecutionId, RuleFailed,
    RuleProgressed, RuleResultIgnored, RuleStarted, RuleSucceeded, StageName,
};

/// The gate a rule belongs to.
pub(crate) struct Place<'a> {
    pub(crate) stage: &'a StageName,
    pub(crate) condition: ConditionType,
    pub(crate) entry: Entry,
}

/// Starts one attempt at a rule. One that cannot start is recorded as started and failed.
pub(crate) fn start(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    place: &Place<'_>,
    rule: &RuleDeclaration,
) {
    // The count makes the id new even when a command that was carried out long ago is sent again.
    let count = draft.scope.execution.rules().count().to_string();
    let purpose =
        [id.as_str(), place.stage.as_str(), place.condition.member(), rule.name.as_str(), count.as_str()];
    let rule_execution = RuleExecutionId::parse(draft.derive_uuid(&purpose))
        .expect("a derived UUID has 36 characters, all hexadecimal or dashes");
    let resolved = action::resolved(draft, id, definition, &rule.configuration, rule.commands.iter());
    let inputs = action::inputs(draft, &rule.input_artifacts);
    let problem = resolved.as_ref().err().or(inputs.as_ref().err()).cloned();
    draft.execution(ExecutionEvent::RuleStarted(RuleStarted {
        stage: place.stage.clone(),
        condition: place.condition,
        rule: rule.name.clone(),
        rule_execution: rule_execution.clone(),
        entry: place.entry,
        provider: rule.rule_type_id.provider.clone(),
        version: rule.rule_type_id.version().to_owned(),
        resolved: resolved.unwrap_or_default(),
        inputs: inputs.unwrap_or_default(),
        deadline: draft.now.plus_minutes(timeout_minutes(rule)),
    }));
    if let Some(message) = problem {
        let attempt = RuleAttempt {
            stage: place.stage.clone(),
            rule: rule.name.clone(),
            rule_execution,
            entry: place.entry,
        };
        let code = FailureCode::ConfigurationError;
        draft.execution(ExecutionEvent::RuleFailed(failed(&attempt, code, message, Details::default())));
    }
}

/// Notes what a provider calls the work it has begun, as of an action.
pub(crate) fn note_progress(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &RuleAttempt,
    details: &Details,
) -> Result<(), Rejection> {
    let Some((stage, _, known)) = draft.scope.execution.rule(&attempt.rule_execution) else {
        return Err(draft.no_execution(id));
    };
    let Some(external_execution_id) = details.external_execution_id.clone() else { return Ok(()) };
    let counts = known.status == ActionStatus::InProgress && stage.entry == attempt.entry;
    let is_news = known.entry == attempt.entry && known.external_execution_id.is_none();
    if !is_news || !(counts || known.is_called_off()) {
        return Ok(());
    }
    let event = RuleProgressed {
        stage: stage.stage.clone(),
        rule: known.rule.clone(),
        rule_execution: attempt.rule_execution.clone(),
        external_execution_id,
        external_execution_url: details.external_execution_url.clone(),
        summary: details.summary.clone(),
    };
    draft.execution(ExecutionEvent::RuleProgressed(event));
    Ok(())
}

/// Notes how an attempt ended, and moves the run on once all of its condition have. A result that no longer counts
/// is recorded as ignored; one that was noted before changes nothing.
pub(crate) fn record_result(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &RuleAttempt,
    result: &RuleResult,
) -> Result<(), Rejection> {
    let Some((stage, _, known)) = draft.scope.execution.rule(&attempt.rule_execution) else {
        return Err(draft.no_execution(id));
    };
    match known.status {
        ActionStatus::Succeeded | ActionStatus::Failed => return Ok(()),
        ActionStatus::InProgress if stage.entry == attempt.entry && known.entry == attempt.entry => {}
        // Once is enough: a message that keeps coming back must not make the stream grow.
        ActionStatus::InProgress | ActionStatus::Abandoned if known.result_ignored => return Ok(()),
        ActionStatus::InProgress | ActionStatus::Abandoned => {
            draft.execution(ExecutionEvent::RuleResultIgnored(RuleResultIgnored {
                rule_execution: attempt.rule_execution.clone(),
                entry: attempt.entry,
            }));
            return Ok(());
        }
    }
    // What the report calls the attempt does not matter: its id says which one it is.
    let attempt = &RuleAttempt { stage: stage.stage.clone(), rule: known.rule.clone(), ..attempt.clone() };
    draft.execution(match result {
        RuleResult::Succeeded { mocked, details } => ExecutionEvent::RuleSucceeded(RuleSucceeded {
            stage: attempt.stage.clone(),
            rule: attempt.rule.clone(),
            rule_execution: attempt.rule_execution.clone(),
            summary: details.summary.clone(),
            external_execution_id: details.external_execution_id.clone(),
            external_execution_url: details.external_execution_url.clone(),
            mocked: *mocked,
        }),
        RuleResult::Failed { code, message, details } => {
            ExecutionEvent::RuleFailed(failed(attempt, *code, message.clone(), details.clone()))
        }
    });
    action::move_on(draft, id)
}

/// Fails an attempt whose time is up. An attempt that has ended, or has time left, is let be.
pub(crate) fn expire(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &RuleAttempt,
) -> Result<(), Rejection> {
    let Some((stage, _, known)) = draft.scope.execution.rule(&attempt.rule_execution) else {
        return Err(draft.no_execution(id));
    };
    if known.status != ActionStatus::InProgress || draft.now < known.deadline {
        return Ok(());
    }
    let minutes = known.deadline.since(known.started) / 60_000;
    let message = format!("The rule timed out after {minutes} minutes.");
    let attempt = RuleAttempt { stage: stage.stage.clone(), rule: known.rule.clone(), ..attempt.clone() };
    let event = failed(&attempt, FailureCode::JobFailed, message, Details::default());
    draft.execution(ExecutionEvent::RuleFailed(RuleFailed { timed_out: true, ..event }));
    action::move_on(draft, id)
}

fn failed(attempt: &RuleAttempt, code: FailureCode, message: String, details: Details) -> RuleFailed {
    RuleFailed {
        stage: attempt.stage.clone(),
        rule: attempt.rule.clone(),
        rule_execution: attempt.rule_execution.clone(),
        code,
        message: action::cut(message, limits::FAILURE_MESSAGE_CHARS_MAX),
        summary: details.summary,
        external_execution_id: details.external_execution_id,
        external_execution_url: details.external_execution_url,
        timed_out: false,
    }
}

fn timeout_minutes(rule: &RuleDeclaration) -> u32 {
    match &rule.timeout_in_minutes {
        Some(minutes) => minutes.get(),
        None => catalogue::rule_timeout_minutes(&rule.rule_type_id),
    }
}
