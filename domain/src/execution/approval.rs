//! Answering a manual approval. See `spec/execution-semantics.md`, section 5.

use super::{ActionStatus, action, gate};
use crate::{
    command::{Attempt, Details},
    draft::Draft,
    rejection::Rejection,
};
use events::{
    ActionFailed, ActionName, ActionSucceeded, ExecutionEvent, ExecutionId, FailureCode, StageName,
};
use std::collections::BTreeMap;

/// An answer to an approval.
pub(crate) struct Answer<'a> {
    pub(crate) stage: &'a StageName,
    pub(crate) action: &'a ActionName,
    pub(crate) token: &'a str,
    pub(crate) approved: bool,
    pub(crate) summary: &'a str,
}

/// Records who decided what, and moves the run on.
pub(crate) fn record(draft: &mut Draft<'_>, id: &ExecutionId, answer: &Answer<'_>) -> Result<(), Rejection> {
    check_place(draft, answer)?;
    let own = Some(&draft.scope.execution).filter(|_| draft.is_own_run());
    let attempt = own.and_then(|execution| execution.stage(answer.stage)).and_then(|stage| {
        let fits = |token: Option<&str>| token == Some(answer.token) || fault!(TokenUnchecked);
        stage
            .attempts
            .iter()
            .rfind(|attempt| attempt.action == *answer.action && fits(attempt.token.as_deref()))
    });
    let invalid =
        || Rejection::InvalidApprovalToken { token: answer.token.to_owned(), stage: answer.stage.clone() };
    let attempt = attempt.ok_or_else(invalid)?;
    match attempt.status {
        ActionStatus::InProgress => {}
        // An approval that ran out of time was answered by nobody.
        ActionStatus::Failed if attempt.by.is_none() => return Err(invalid()),
        ActionStatus::Abandoned => return Err(invalid()),
        ActionStatus::Succeeded | ActionStatus::Failed => {
            return Err(Rejection::ApprovalAlreadyCompleted {
                stage: answer.stage.clone(),
                action: answer.action.clone(),
            });
        }
    }
    if draft.now >= attempt.deadline {
        return Err(invalid());
    }
    if answer.approved {
        gate::check_newest(draft, id, answer.stage)?;
    }
    let action_execution = attempt.action_execution.clone();
    let by = Some(draft.actor.to_owned());
    let summary = Some(answer.summary.to_owned()).filter(|text| !text.is_empty());
    if answer.approved {
        draft.execution(ExecutionEvent::ActionSucceeded(ActionSucceeded {
            stage: answer.stage.clone(),
            action: answer.action.clone(),
            action_execution,
            output_variables: BTreeMap::new(),
            summary,
            external_execution_id: None,
            external_execution_url: None,
            revision: None,
            mocked: false,
            by,
            percent_complete: None,
        }));
    } else {
        let attempt = Attempt {
            stage: answer.stage.clone(),
            action: answer.action.clone(),
            entry: attempt.entry,
            action_execution,
        };
        let message = format!("Rejected by {}: {}", draft.actor, answer.summary);
        let details = Details { summary, ..Details::default() };
        let event = action::failed(&attempt, FailureCode::JobFailed, message, details);
        draft.execution(ExecutionEvent::ActionFailed(ActionFailed { by, ..event }));
    }
    action::move_on(draft, id)
}

/// A place that does not exist is told from a token that is wrong: by the run's own definition, or else by the
/// current one.
fn check_place(draft: &Draft<'_>, answer: &Answer<'_>) -> Result<(), Rejection> {
    let current = draft.scope.pipeline.current_definition().cloned();
    let definition = draft.own_definition().or(current).ok_or_else(|| draft.no_pipeline())?;
    let stage = definition.stage(answer.stage).ok_or_else(|| draft.no_stage(answer.stage))?;
    match stage.action(answer.action) {
        Some(_) => Ok(()),
        None => Err(Rejection::ActionNotFound {
            pipeline: draft.name.clone(),
            stage: answer.stage.clone(),
            action: answer.action.clone(),
        }),
    }
}
