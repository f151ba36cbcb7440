//! The operations of the API, by family.

mod action_types;
mod approvals;
mod definition;
mod executions;
mod history;
mod job_data;
mod jobs;
mod partner_jobs;
mod pipelines;
mod revisions;
mod rules;
mod state;
mod tags;
mod targets;
mod transitions;
mod webhooks;

pub use pipelines::declare;

use crate::{Caller, Home, exceptions};
use api::{ApiError, Operation, decode_input, model};
use domain::{
    command::{Command, Wish},
    execution::ExecutionType,
    pipeline::versions::Pipeline,
    webhook::{Webhook, WebhookWish},
};
use engine::{
    single::Order,
    transact::{Done, Envelope},
};
use events::{ExecutionId, PipelineName, Timestamp, WebhookName};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Carries out one operation for a caller whose signature was checked. The input is checked here.
pub async fn dispatch<H: Home>(
    home: &H,
    caller: &Caller,
    operation: Operation,
    input: Value,
) -> Result<Value, ApiError> {
    match operation {
        // The first three are JSON already, with a whole definition in it.
        Operation::CreatePipeline => pipelines::create(home, caller, input).await,
        Operation::UpdatePipeline => pipelines::update(home, caller, input).await,
        Operation::GetPipeline => pipelines::get(home, decode_input(input)?).await,
        Operation::DeletePipeline => answer(pipelines::delete(home, caller, decode_input(input)?).await),
        Operation::ListPipelines => answer(pipelines::list(home, decode_input(input)?).await),
        Operation::GetPipelineState => answer(state::get(home, decode_input(input)?).await),
        Operation::StartPipelineExecution => {
            answer(executions::start(home, caller, decode_input(input)?).await)
        }
        Operation::StopPipelineExecution => {
            answer(executions::stop(home, caller, decode_input(input)?).await)
        }
        Operation::RetryStageExecution => answer(executions::retry(home, caller, decode_input(input)?).await),
        Operation::RollbackStage => answer(executions::roll_back(home, caller, decode_input(input)?).await),
        Operation::GetPipelineExecution => answer(history::get(home, decode_input(input)?).await),
        Operation::ListPipelineExecutions => {
            answer(history::list_executions(home, decode_input(input)?).await)
        }
        Operation::ListActionExecutions => answer(history::list_actions(home, decode_input(input)?).await),
        Operation::OverrideStageCondition => {
            answer(rules::override_condition(home, caller, decode_input(input)?).await)
        }
        Operation::ListRuleExecutions => answer(rules::list(home, decode_input(input)?).await),
        Operation::ListRuleTypes => answer(rules::list_types(decode_input(input)?)),
        Operation::PutApprovalResult => answer(approvals::put(home, caller, decode_input(input)?).await),
        Operation::DisableStageTransition => {
            answer(transitions::disable(home, caller, decode_input(input)?).await)
        }
        Operation::EnableStageTransition => {
            answer(transitions::enable(home, caller, decode_input(input)?).await)
        }
        Operation::CreateCustomActionType => answer(action_types::create(home, caller, input).await),
        Operation::DeleteCustomActionType => {
            answer(action_types::delete(home, caller, decode_input(input)?).await)
        }
        Operation::ListActionTypes => answer(action_types::list(home, decode_input(input)?).await),
        Operation::GetActionType => answer(action_types::get(home, decode_input(input)?).await),
        Operation::UpdateActionType => answer(action_types::update(home, caller, decode_input(input)?).await),
        Operation::PollForJobs => answer(jobs::poll(home, caller, decode_input(input)?).await),
        Operation::AcknowledgeJob => answer(jobs::acknowledge(home, caller, decode_input(input)?).await),
        Operation::GetJobDetails => answer(jobs::details(home, decode_input(input)?).await),
        Operation::PutJobSuccessResult => answer(jobs::succeed(home, caller, decode_input(input)?).await),
        Operation::PutJobFailureResult => answer(jobs::fail(home, caller, decode_input(input)?).await),
        Operation::PollForThirdPartyJobs => {
            answer(partner_jobs::poll(home, caller, decode_input(input)?).await)
        }
        Operation::GetThirdPartyJobDetails => answer(partner_jobs::details(home, decode_input(input)?).await),
        Operation::AcknowledgeThirdPartyJob => {
            answer(partner_jobs::acknowledge(home, caller, decode_input(input)?).await)
        }
        Operation::PutThirdPartyJobSuccessResult => {
            answer(partner_jobs::succeed(home, caller, decode_input(input)?).await)
        }
        Operation::PutThirdPartyJobFailureResult => {
            answer(partner_jobs::fail(home, caller, decode_input(input)?).await)
        }
        Operation::PutWebhook => answer(webhooks::put(home, caller, decode_input(input)?).await),
        Operation::DeleteWebhook => answer(webhooks::delete(home, caller, decode_input(input)?).await),
        Operation::ListWebhooks => answer(webhooks::list(home, decode_input(input)?).await),
        Operation::RegisterWebhookWithThirdParty => {
            answer(webhooks::register(home, caller, decode_input(input)?).await)
        }
        Operation::DeregisterWebhookWithThirdParty => {
            answer(webhooks::deregister(home, caller, decode_input(input)?).await)
        }
        Operation::PutActionRevision => answer(revisions::put(home, caller, decode_input(input)?).await),
        Operation::ListDeployActionExecutionTargets => {
            answer(targets::list(home, decode_input(input)?).await)
        }
        Operation::TagResource => answer(tags::tag(home, caller, decode_input(input)?).await),
        Operation::UntagResource => answer(tags::untag(home, caller, decode_input(input)?).await),
        Operation::ListTagsForResource => answer(tags::list(home, decode_input(input)?).await),
    }
}

fn answer<T: Serialize>(output: Result<T, ApiError>) -> Result<Value, ApiError> {
    serde_json::to_value(output?).map_err(|error| {
        ApiError::new(api::Code::InternalFailure, format!("the answer could not be written: {error}"))
    })
}

/// Sends a caller's command.
async fn send<H: Home>(
    home: &H,
    caller: &Caller,
    pipeline: &PipelineName,
    execution: Option<ExecutionId>,
    wish: Wish,
) -> Result<Done, ApiError> {
    let engine = home.engine();
    let envelope = Envelope {
        id: engine.fresh_command_id(),
        actor: caller.arn.clone(),
        command: Command { pipeline: pipeline.clone(), execution, wish },
        once: None,
    };
    engine.transact(envelope).await.map_err(|error| exceptions::not_done(engine.account(), error))
}

/// Sends a caller's wish about a webhook.
async fn order_webhook<H: Home>(
    home: &H,
    caller: &Caller,
    key: &WebhookName,
    wish: WebhookWish,
) -> Result<Done, ApiError> {
    let engine = home.engine();
    let id = engine.fresh_command_id();
    let order = Order::<Webhook> { id, actor: caller.arn.clone(), key: key.clone(), wish };
    engine.record(order).await.map_err(|error| exceptions::not_done(engine.account(), error))
}

fn pipeline_name(text: &str) -> Result<PipelineName, ApiError> {
    PipelineName::parse(text).map_err(|error| exceptions::bad_name(&error))
}

/// A pipeline that exists.
async fn existing<H: Home>(home: &H, name: &PipelineName) -> Result<Arc<Pipeline>, ApiError> {
    let pipeline = home.engine().pipeline(name).await.map_err(exceptions::unavailable)?;
    if pipeline.current.is_none() {
        return Err(exceptions::pipeline_not_found(home.engine().account(), name));
    }
    Ok(pipeline)
}

fn execution_type(kind: ExecutionType) -> model::ExecutionType {
    match kind {
        ExecutionType::Standard => model::ExecutionType::Standard,
        ExecutionType::Rollback => model::ExecutionType::Rollback,
    }
}

fn at(timestamp: Timestamp) -> Option<api::Timestamp> {
    Some(api::Timestamp::from_millis(timestamp.0))
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
