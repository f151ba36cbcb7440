//! Starting, stopping, retrying and rolling back. See `spec/api.md`, section 2.2.

use super::{existing, pipeline_name, send};
use crate::{Caller, Home, exceptions};
use api::{ApiError, ApiException, model};
use domain::{
    command::{Command, Wish},
    execution::rollback::Past,
};
use engine::{
    log::Once,
    transact::{Done, Envelope},
};
use events::{ActionName, ExecutionId, StageName, StageRetryMode, Timestamp, Trigger, TriggerType};
use std::collections::BTreeMap;

/// How long a `clientRequestToken` is remembered, milliseconds: 24 hours.
const TOKEN_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Starts an execution, once per `clientRequestToken`.
pub(super) async fn start<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::StartPipelineExecutionInput,
) -> Result<model::StartPipelineExecutionOutput, ApiError> {
    let name = pipeline_name(&input.name)?;
    let engine = home.engine();
    let variables = variables(input.variables.unwrap_or_default())?;
    let revisions = revisions(home, &name, input.source_revisions.unwrap_or_default()).await?;
    let execution = engine.fresh_execution_id();
    // What was asked goes into the outcome, so that the same token with another question is a conflict.
    let asked = format!("{variables:?} {revisions:?}");
    let once = input.client_request_token.map(|token| Once {
        key: format!("start#{name}#{token}"),
        outcome: format!("{execution} {asked}"),
        expires: Timestamp(engine.clock().now().0 + TOKEN_KEPT_MS),
    });
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: caller.arn.clone() };
    let envelope = Envelope {
        id: engine.fresh_command_id(),
        actor: caller.arn.clone(),
        command: Command {
            pipeline: name,
            execution: Some(execution.clone()),
            wish: Wish::StartExecution { trigger, variables, revisions },
        },
        once,
    };
    let done =
        engine.transact(envelope).await.map_err(|error| exceptions::not_done(engine.account(), error))?;
    let execution = match done {
        Done::Written | Done::Nothing => execution.to_string(),
        Done::Repeated(outcome) => match outcome.split_once(' ') {
            Some((earlier, before)) if before == asked => earlier.to_owned(),
            _ => {
                let text = "the clientRequestToken was used before with other variables or source revisions";
                return Err(ApiError::new(ApiException::ConflictException, text));
            }
        },
    };
    Ok(model::StartPipelineExecutionOutput { pipeline_execution_id: Some(execution) })
}

/// Asks an execution to stop.
pub(super) async fn stop<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::StopPipelineExecutionInput,
) -> Result<model::StopPipelineExecutionOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    existing(home, &name).await?;
    let execution = execution_id(&input.pipeline_execution_id)?;
    let wish = Wish::StopExecution { abandon: input.abandon.unwrap_or(false), reason: input.reason };
    send(home, caller, &name, Some(execution.clone()), wish).await?;
    Ok(model::StopPipelineExecutionOutput { pipeline_execution_id: Some(execution.to_string()) })
}

/// Runs a failed stage again.
pub(super) async fn retry<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::RetryStageExecutionInput,
) -> Result<model::RetryStageExecutionOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let stage = StageName::parse(input.stage_name).map_err(|error| exceptions::bad_name(&error))?;
    let execution = execution_id(&input.pipeline_execution_id)?;
    let mode = match input.retry_mode {
        model::StageRetryMode::AllActions => StageRetryMode::AllActions,
        model::StageRetryMode::FailedActions => StageRetryMode::FailedActions,
        model::StageRetryMode::Other(other) => {
            return Err(ApiError::validation(format!("`{other}` is not a retry mode")));
        }
    };
    send(home, caller, &name, Some(execution.clone()), Wish::RetryStage { stage, mode }).await?;
    Ok(model::RetryStageExecutionOutput { pipeline_execution_id: Some(execution.to_string()) })
}

/// Goes back, in one stage, to what an earlier execution had; the answer names the new execution.
pub(super) async fn roll_back<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::RollbackStageInput,
) -> Result<model::RollbackStageOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let stage = StageName::parse(input.stage_name).map_err(|error| exceptions::bad_name(&error))?;
    let target = execution_id(&input.target_pipeline_execution_id)?;
    let engine = home.engine();
    let execution = engine.fresh_execution_id();
    let known = engine.execution(&target).await.map_err(exceptions::unavailable)?;
    let past = Past::of(&known, &stage).map(Box::new);
    let wish = Wish::RollbackStage { stage, target, past };
    send(home, caller, &name, Some(execution.clone()), wish).await?;
    Ok(model::RollbackStageOutput { pipeline_execution_id: execution.to_string() })
}

pub(super) fn execution_id(text: &str) -> Result<ExecutionId, ApiError> {
    ExecutionId::parse(text).map_err(|error| exceptions::bad_name(&error))
}

fn variables(given: Vec<model::PipelineVariable>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut variables = BTreeMap::new();
    for variable in given {
        if variables.insert(variable.name.clone(), variable.value).is_some() {
            let text = format!("the variable '{}' is given twice", variable.name);
            return Err(ApiError::validation(text));
        }
    }
    Ok(variables)
}

/// Source revision overrides by action. Only the kinds that the provider knows are taken.
async fn revisions<H: Home>(
    home: &H,
    name: &events::PipelineName,
    given: Vec<model::SourceRevisionOverride>,
) -> Result<BTreeMap<ActionName, String>, ApiError> {
    let mut revisions = BTreeMap::new();
    if given.is_empty() {
        return Ok(revisions);
    }
    let pipeline = existing(home, name).await?;
    for revision in given {
        let action =
            ActionName::parse(&revision.action_name).map_err(|error| exceptions::bad_name(&error))?;
        let declared = pipeline
            .current_definition()
            .and_then(|definition| definition.actions().find(|(_, found)| found.name == action));
        let provider = declared.map_or("", |(_, found)| found.action_type_id.provider.as_str());
        let fits = matches!(
            (revision.revision_type.as_str(), provider),
            ("COMMIT_ID", "CodeCommit" | "GitHub" | "CodeStarSourceConnection")
                | ("IMAGE_DIGEST", "ECR")
                | ("S3_OBJECT_VERSION_ID", "S3")
        );
        if !fits {
            let kind = revision.revision_type.as_str();
            let text = format!(
                "the revision type {kind} does not fit the source action '{}' of provider '{provider}'",
                revision.action_name
            );
            return Err(ApiError::validation(text));
        }
        revisions.insert(action, revision.revision_value);
    }
    Ok(revisions)
}
