//! GetPipelineState. See `spec/execution-semantics.md`, section 13.

use super::{action_types, at, execution_type, existing, pipeline_name};
use crate::{Home, exceptions};
use api::{ApiError, model};
use domain::{
    catalogue::{
        Registry,
        custom::{ActionTypes, link},
    },
    execution::{ActionStatus, AttemptRun, RetryTrigger},
    lane::Lane,
    pipeline::{ActionDeclaration, StageDeclaration},
    views::{
        listing::pipeline_partition,
        pipeline_state::{ACTION_PREFIX, ActionRow, STAGE_PREFIX, StageRow},
    },
};
use engine::views::Views;
use events::ActionCategory;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Where every stage and action of a pipeline stands.
pub(super) async fn get<H: Home>(
    home: &H,
    input: model::GetPipelineStateInput,
) -> Result<model::GetPipelineStateOutput, ApiError> {
    let name = pipeline_name(&input.name)?;
    let pipeline = existing(home, &name).await?;
    let lane = home.engine().lane(&name).await.map_err(exceptions::unavailable)?;
    let types = home.engine().action_types().await.map_err(exceptions::unavailable)?;
    let types = Types { registry: types.registry(home.registry()), types };
    let partition = pipeline_partition(&name, pipeline.incarnation);
    let mut stage_states = Vec::new();
    for stage in pipeline.current_definition().into_iter().flat_map(|definition| &definition.stages) {
        stage_states.push(stage_state(home, &partition, stage, &lane, &types).await?);
    }
    Ok(model::GetPipelineStateOutput {
        pipeline_name: Some(name.to_string()),
        pipeline_version: pipeline.current.map(|version| i64::from(version.0)),
        stage_states: Some(stage_states),
        created: at(pipeline.created),
        updated: at(pipeline.updated),
    })
}

async fn stage_state<H: Home>(
    home: &H,
    partition: &str,
    stage: &StageDeclaration,
    lane: &Lane,
    types: &Types,
) -> Result<model::StageState, ApiError> {
    let row: Option<StageRow> = read(home, partition, &format!("{STAGE_PREFIX}{}", stage.name)).await?;
    let mut action_states = Vec::new();
    for action in &stage.actions {
        let key = format!("{ACTION_PREFIX}{}/{}", stage.name, action.name);
        let row: Option<ActionRow> = read(home, partition, &key).await?;
        action_states.push(action_state(action, row.as_ref().map(|row| &row.attempt), types));
    }
    let traffic = lane.stages.get(&stage.name);
    let inbound: Vec<model::StageExecution> = traffic
        .into_iter()
        .flat_map(|traffic| &traffic.waiting)
        .map(|waiter| model::StageExecution {
            pipeline_execution_id: waiter.execution.to_string(),
            status: model::StageExecutionStatus::InProgress,
            r#type: Some(model::ExecutionType::Standard),
        })
        .collect();
    let transition = traffic.and_then(|traffic| traffic.transition.as_ref());
    Ok(model::StageState {
        stage_name: Some(stage.name.to_string()),
        inbound_execution: inbound.first().cloned(),
        inbound_executions: super::some(inbound),
        inbound_transition_state: Some(model::TransitionState {
            enabled: Some(transition.is_none_or(|transition| transition.enabled)),
            last_changed_by: transition.map(|transition| transition.by.clone()),
            last_changed_at: transition.and_then(|transition| at(transition.at)),
            disabled_reason: transition.and_then(|transition| transition.reason.clone()),
        }),
        action_states: Some(action_states),
        latest_execution: row.as_ref().map(|row| model::StageExecution {
            pipeline_execution_id: row.execution.to_string(),
            status: model::StageExecutionStatus::from(row.status.as_str()),
            r#type: Some(execution_type(row.execution_type)),
        }),
        retry_stage_metadata: row.as_ref().and_then(retry_metadata),
        ..model::StageState::default()
    })
}

/// Present once the stage was retried in this execution; each count only once there is something to count.
fn retry_metadata(row: &StageRow) -> Option<model::RetryStageMetadata> {
    let count = |retries: u32| (retries > 0).then(|| i64::from(retries));
    let latest = match row.latest_retry? {
        RetryTrigger::AutomatedStageRetry => model::RetryTrigger::AutomatedStageRetry,
        RetryTrigger::ManualStageRetry => model::RetryTrigger::ManualStageRetry,
    };
    Some(model::RetryStageMetadata {
        auto_stage_retry_attempt: count(row.auto_retries),
        manual_stage_retry_attempt: count(row.manual_retries),
        latest_retry_trigger: Some(latest),
    })
}

/// The action types as they stand now.
struct Types {
    types: Arc<ActionTypes>,
    registry: Registry,
}

/// Where a person can look at what the action works on.
fn entity_url(action: &ActionDeclaration, attempt: Option<&AttemptRun>, types: &Types) -> Option<String> {
    let resolved = attempt.map(|attempt| &attempt.resolved);
    let said = resolved.and_then(|resolved| resolved.get("ExternalEntityLink"));
    if let Some(said) = said.or_else(|| action.configuration.get("ExternalEntityLink")) {
        return Some(said.clone());
    }
    let links = action_types::links(&types.types, &types.registry, &action.action_type_id);
    let mut configuration = action.configuration.clone();
    configuration.extend(resolved.cloned().unwrap_or_default());
    let id = attempt.and_then(|attempt| attempt.external_execution_id.as_deref());
    link(links.entity_url_template.as_ref()?, &configuration, id)
}

fn action_state(
    action: &ActionDeclaration,
    attempt: Option<&AttemptRun>,
    types: &Types,
) -> model::ActionState {
    let revision = attempt.and_then(|attempt| attempt.revision.as_ref());
    model::ActionState {
        action_name: Some(action.name.to_string()),
        current_revision: revision.map(|revision| model::ActionRevision {
            revision_id: revision.revision_id.clone(),
            revision_change_id: revision.change_id.as_ref().unwrap_or(&revision.revision_id).clone(),
            created: api::Timestamp::from_millis(
                revision.created.map_or(attempt.map_or(0, |attempt| attempt.updated.0), |created| created.0),
            ),
        }),
        latest_execution: attempt.map(|attempt| action_execution(action, attempt)),
        entity_url: entity_url(action, attempt, types),
        revision_url: revision.and_then(|revision| revision.url.clone()),
    }
}

fn action_execution(action: &ActionDeclaration, attempt: &AttemptRun) -> model::ActionExecution {
    let is_open = attempt.status == ActionStatus::InProgress;
    // While it is open an approval shows what it asks; afterwards, what was answered.
    let question = (attempt.action_type.category == ActionCategory::Approval && is_open)
        .then(|| {
            attempt.resolved.get("CustomData").or_else(|| action.configuration.get("CustomData")).cloned()
        })
        .flatten();
    model::ActionExecution {
        action_execution_id: Some(attempt.action_execution.to_string()),
        status: Some(model::ActionExecutionStatus::from(attempt.status.as_str())),
        summary: question.or_else(|| attempt.summary.clone()),
        last_status_change: at(attempt.updated),
        token: attempt.token.clone().filter(|_| is_open),
        last_updated_by: attempt.by.clone(),
        external_execution_id: attempt.external_execution_id.clone(),
        external_execution_url: attempt.external_execution_url.clone(),
        percent_complete: attempt.percent_complete.map(i64::from),
        error_details: attempt.error.as_ref().map(|(code, message)| model::ErrorDetails {
            code: Some(code.to_string()),
            message: Some(message.clone()),
        }),
        ..model::ActionExecution::default()
    }
}

async fn read<H: Home, T: DeserializeOwned>(home: &H, p: &str, q: &str) -> Result<Option<T>, ApiError> {
    let row = home.views().get(p, q).await.map_err(|error| exceptions::no_views(&error))?;
    Ok(row.and_then(|row| row.body).and_then(|body| serde_json::from_str(&body).ok()))
}
