//! Starting actions and noting how they end. See `spec/execution-semantics.md`, sections 2, 11 and 15.

use super::{ActionStatus, advance};
use crate::{
    catalogue,
    command::{ActionResult, Attempt, Details},
    draft::Draft,
    limits,
    pipeline::{ActionDeclaration, InputArtifact, PipelineDeclaration, variables},
    rejection::Rejection,
};
use events::{
    ActionAbandoned, ActionCategory, ActionExecutionId, ActionFailed, ActionProgressed, ActionStarted,
    ActionSucceeded, Artifact, ArtifactLocation, ArtifactName, Entry, ExecutionEvent, ExecutionId,
    FailureCode, ResultIgnored, StageName,
};
use std::collections::BTreeMap;

/// Starts what comes next in a stage where nothing runs and nothing failed. False when all is done.
pub(crate) fn start_next_group(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
) -> bool {
    let Some(run) = draft.scope.execution.stage(stage) else { return false };
    let entry = run.entry;
    let due = next_group(draft, definition, stage);
    for action in &due {
        start(draft, id, definition, stage, action, entry);
    }
    !due.is_empty()
}

/// Actions of the stage have not been started.
pub(crate) fn has_more(draft: &Draft<'_>, definition: &PipelineDeclaration, stage: &StageName) -> bool {
    !next_group(draft, definition, stage).is_empty()
}

/// The first group with actions that were not started, or that a retry set aside; only those of it.
pub(crate) fn next_group<'d>(
    draft: &Draft<'_>,
    definition: &'d PipelineDeclaration,
    stage: &StageName,
) -> Vec<&'d ActionDeclaration> {
    let Some(declared) = definition.stage(stage) else { return Vec::new() };
    let Some(run) = draft.scope.execution.stage(stage) else { return Vec::new() };
    let unstarted = |action: &&ActionDeclaration| run.attempt(&action.name).is_none();
    declared
        .groups()
        .into_iter()
        .map(|group| group.actions.into_iter().filter(unstarted).collect::<Vec<_>>())
        .find(|due| !due.is_empty())
        .unwrap_or_default()
}

/// Starts one attempt at an action. One that cannot start is recorded as started and failed.
pub(crate) fn start(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
    action: &ActionDeclaration,
    entry: Entry,
) {
    // The count makes the id new even when a command that was carried out long ago is sent again.
    let count = draft.scope.execution.stage(stage).map_or(0, |run| run.attempts.len()).to_string();
    let place = [id.as_str(), stage.as_str(), action.name.as_str(), count.as_str()];
    let action_execution = ActionExecutionId::parse(draft.derive_uuid(&place))
        .expect("a derived UUID has 36 characters, all hexadecimal or dashes");
    let is_approval = action.action_type_id.category == ActionCategory::Approval;
    let token = is_approval.then(|| draft.derive_uuid(&[action_execution.as_str(), "token"]));
    let resolved = resolve_configuration(draft, id, definition, action);
    let inputs = inputs(draft, &action.input_artifacts);
    let outputs = outputs(draft, definition, action, &action_execution);
    let problem = [resolved.as_ref().err(), inputs.as_ref().err(), outputs.as_ref().err()]
        .into_iter()
        .flatten()
        .next()
        .cloned();
    draft.execution(ExecutionEvent::ActionStarted(ActionStarted {
        stage: stage.clone(),
        action: action.name.clone(),
        action_execution: action_execution.clone(),
        entry,
        action_type: action.action_type_id.clone(),
        resolved: resolved.unwrap_or_default(),
        inputs: inputs.unwrap_or_default(),
        outputs: outputs.unwrap_or_default(),
        deadline: draft.now.plus_minutes(timeout_minutes(action)),
        token,
    }));
    if let Some(message) = problem {
        let attempt = Attempt { stage: stage.clone(), action: action.name.clone(), action_execution, entry };
        let code = FailureCode::ConfigurationError;
        draft.execution(ExecutionEvent::ActionFailed(failed(&attempt, code, message, Details::default())));
    }
}

/// Notes what a provider calls the work it has begun. The first to say so is believed: whoever comes later asks that one.
/// It is noted also of an attempt that was called off before anybody knew: only then can the provider be told.
pub(crate) fn note_progress(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &Attempt,
    details: &Details,
) -> Result<(), Rejection> {
    let Some((stage, known)) = draft.scope.execution.attempt(&attempt.action_execution) else {
        return Err(draft.no_execution(id));
    };
    let Some(external_execution_id) = details.external_execution_id.clone() else { return Ok(()) };
    let counts = known.status == ActionStatus::InProgress && stage.entry == attempt.entry;
    let is_news = known.entry == attempt.entry && known.external_execution_id.is_none();
    if !is_news || !(counts || known.is_called_off()) {
        return Ok(());
    }
    let event = ActionProgressed {
        stage: stage.stage.clone(),
        action: known.action.clone(),
        action_execution: attempt.action_execution.clone(),
        external_execution_id,
        external_execution_url: details.external_execution_url.clone(),
        summary: details.summary.clone(),
    };
    draft.execution(ExecutionEvent::ActionProgressed(event));
    Ok(())
}

/// Notes how an attempt ended, and moves the run on. A result that no longer counts is recorded as ignored; one
/// that was noted before changes nothing.
pub(crate) fn record_result(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    attempt: &Attempt,
    result: &ActionResult,
) -> Result<(), Rejection> {
    let Some((stage, known)) = draft.scope.execution.attempt(&attempt.action_execution) else {
        return Err(draft.no_execution(id));
    };
    match known.status {
        ActionStatus::Succeeded | ActionStatus::Failed if fault!(ResultTwice) => {}
        ActionStatus::Succeeded | ActionStatus::Failed => return Ok(()),
        ActionStatus::Abandoned if fault!(FenceIgnored) => {}
        ActionStatus::InProgress if stage.entry == attempt.entry && known.entry == attempt.entry => {}
        // Once is enough: a message that keeps coming back must not make the stream grow.
        ActionStatus::InProgress | ActionStatus::Abandoned if known.result_ignored => return Ok(()),
        ActionStatus::InProgress | ActionStatus::Abandoned => {
            draft.execution(ExecutionEvent::ResultIgnored(ResultIgnored {
                action_execution: attempt.action_execution.clone(),
                entry: attempt.entry,
            }));
            return Ok(());
        }
    }
    // What the report calls the attempt does not matter: its id says which one it is.
    let attempt = &Attempt { stage: stage.stage.clone(), action: known.action.clone(), ..attempt.clone() };
    let ended = match result {
        ActionResult::Succeeded { output_variables, revision, mocked, details } => {
            if let Err(problem) = variables::check_output_variables(output_variables) {
                let code = FailureCode::ConfigurationError;
                ExecutionEvent::ActionFailed(failed(attempt, code, problem.to_string(), details.clone()))
            } else {
                ExecutionEvent::ActionSucceeded(ActionSucceeded {
                    stage: attempt.stage.clone(),
                    action: attempt.action.clone(),
                    action_execution: attempt.action_execution.clone(),
                    output_variables: output_variables.clone(),
                    summary: details.summary.clone(),
                    external_execution_id: details.external_execution_id.clone(),
                    external_execution_url: details.external_execution_url.clone(),
                    revision: revision.clone(),
                    mocked: *mocked,
                    by: None,
                    percent_complete: details.percent_complete,
                })
            }
        }
        ActionResult::Failed { code, message, details } => {
            ExecutionEvent::ActionFailed(failed(attempt, *code, message.clone(), details.clone()))
        }
    };
    draft.execution(ended);
    move_on(draft, id)
}

/// Fails an attempt whose time is up. An attempt that has ended, or has time left, is let be.
pub(crate) fn expire(draft: &mut Draft<'_>, id: &ExecutionId, attempt: &Attempt) -> Result<(), Rejection> {
    let Some((stage, known)) = draft.scope.execution.attempt(&attempt.action_execution) else {
        return Err(draft.no_execution(id));
    };
    if known.status != ActionStatus::InProgress || draft.now < known.deadline || fault!(ExpiryIgnored) {
        return Ok(());
    }
    let minutes = known.deadline.since(known.started) / 60_000;
    let message = format!("The action timed out after {minutes} minutes.");
    let attempt = Attempt { stage: stage.stage.clone(), action: known.action.clone(), ..attempt.clone() };
    let event = failed(&attempt, FailureCode::JobFailed, message, Details::default());
    draft.execution(ExecutionEvent::ActionFailed(ActionFailed { timed_out: true, ..event }));
    move_on(draft, id)
}

/// Gives up every attempt under way.
pub(crate) fn abandon_running(draft: &mut Draft<'_>) {
    let running: Vec<_> = draft
        .scope
        .execution
        .running()
        .map(|(stage, attempt)| ActionAbandoned {
            stage: stage.stage.clone(),
            action: attempt.action.clone(),
            action_execution: attempt.action_execution.clone(),
        })
        .collect();
    for abandoned in running {
        draft.execution(ExecutionEvent::ActionAbandoned(abandoned));
    }
}

/// Goes on after an attempt ended, by the definition the run started with.
pub(crate) fn move_on(draft: &mut Draft<'_>, id: &ExecutionId) -> Result<(), Rejection> {
    // Without its definition (the pipeline was deleted, or read too early) the run waits for `Settle`.
    if let Some(definition) = draft.own_definition() {
        advance::advance(draft, id, &definition);
    }
    Ok(())
}

pub(crate) fn failed(
    attempt: &Attempt,
    code: FailureCode,
    message: String,
    details: Details,
) -> ActionFailed {
    ActionFailed {
        stage: attempt.stage.clone(),
        action: attempt.action.clone(),
        action_execution: attempt.action_execution.clone(),
        code,
        message: cut(message, limits::FAILURE_MESSAGE_CHARS_MAX),
        summary: details.summary,
        external_execution_id: details.external_execution_id,
        external_execution_url: details.external_execution_url,
        timed_out: false,
        by: None,
    }
}

pub(crate) fn cut(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text,
        Some((end, _)) => text[..end].to_owned(),
    }
}

fn timeout_minutes(action: &ActionDeclaration) -> u32 {
    match &action.timeout_in_minutes {
        Some(minutes) => minutes.get(),
        None => catalogue::timeout_minutes(&action.action_type_id),
    }
}

fn resolve_configuration(
    draft: &Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    action: &ActionDeclaration,
) -> Result<BTreeMap<String, String>, String> {
    let others = action.commands.iter().chain(action.environment_variables.iter().map(|entry| &entry.value));
    resolved(draft, id, definition, &action.configuration, others)
}

/// Configuration values that hold references, with every reference replaced. Commands and environment variables
/// are resolved again when the job is made; here only to fail in time.
pub(crate) fn resolved<'a>(
    draft: &Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    configuration: &BTreeMap<String, String>,
    others: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, String>, String> {
    let execution = &draft.scope.execution;
    let lookup = |reference: variables::Reference<'_>| execution.variable(id, definition, reference);
    let mut resolved = variables::resolve_configuration(configuration, lookup)
        .map_err(|(key, reason)| format!("the configuration value `{key}` cannot be resolved: {reason}"))?;
    resolved.retain(|key, value| configuration.get(key) != Some(value));
    for template in others {
        variables::resolve(template, lookup)
            .map_err(|reason| format!("a command or environment variable cannot be resolved: {reason}"))?;
    }
    Ok(resolved)
}

/// Where input artifacts lie.
pub(crate) fn inputs(draft: &Draft<'_>, declared: &[InputArtifact]) -> Result<Vec<Artifact>, String> {
    let find = |name: &ArtifactName| match draft.scope.execution.artifacts.get(name) {
        Some(state) => Ok(Artifact { name: name.clone(), location: state.location.clone() }),
        None => Err(format!("the input artifact `{name}` was not produced by any earlier action")),
    };
    declared.iter().map(|input| find(&input.name)).collect()
}

fn outputs(
    draft: &Draft<'_>,
    definition: &PipelineDeclaration,
    action: &ActionDeclaration,
    attempt: &ActionExecutionId,
) -> Result<Vec<Artifact>, String> {
    if action.output_artifacts.is_empty() {
        return Ok(Vec::new());
    }
    let store = definition
        .store(draft.region)
        .ok_or_else(|| format!("the pipeline has no artifact store for the region `{}`", draft.region))?;
    let place = |name: &ArtifactName| ArtifactLocation {
        bucket: store.location.to_string(),
        key: object_key(draft, attempt, name),
    };
    Ok(action
        .output_artifacts
        .iter()
        .map(|output| Artifact { name: output.name.clone(), location: place(&output.name) })
        .collect())
}

/// `PIPELINE[:20]/ARTIFACT[:10]/RANDOM`, never used twice. See `spec/execution-semantics.md`, section 16; the
/// random part is longer than there, so that two artifacts whose names share ten letters stay apart.
fn object_key(draft: &Draft<'_>, attempt: &ActionExecutionId, artifact: &ArtifactName) -> String {
    let short = |text: &str, max: usize| text.chars().take(max).collect::<String>();
    let attempt = if fault!(PlaceReused) { "" } else { attempt.as_str() };
    let bits = if fault!(PlaceReused) { 0 } else { draft.derive(&[attempt, artifact.as_str(), "key"]) };
    let random = format!("{:016x}", bits >> 64);
    [&short(draft.name.as_str(), 20), "/", &short(artifact.as_str(), 10), "/", &random].concat()
}
