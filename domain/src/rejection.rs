//! Typed refusals. Each maps to one API exception; none is a failure of the system.

use crate::execution::job::JobStatus;
use events::{
    ActionName, ActionTypeId, ConditionType, ExecutionId, JobId, PipelineName, PipelineVersion, StageName,
    WebhookName,
};

/// Why a command cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are what the message names")]
pub enum Rejection {
    /// The name is taken.
    #[error("a pipeline with the name '{pipeline}' already exists")]
    PipelineNameInUse { pipeline: PipelineName },
    /// No such pipeline.
    #[error("there is no pipeline with the name '{pipeline}'")]
    PipelineNotFound { pipeline: PipelineName },
    /// Another program wrote its definition, and this one cannot read it.
    #[error(
        "the definition of pipeline '{pipeline}', version {version}, was written by another version of Towpath, and this \
         one cannot read it: update the pipeline"
    )]
    DefinitionUnreadable { pipeline: PipelineName, version: PipelineVersion },
    /// No such stage.
    #[error("Pipeline '{pipeline}' does not have a stage with name '{stage}'")]
    StageNotFound { pipeline: PipelineName, stage: StageName },
    /// No such action.
    #[error("Stage '{stage}' of pipeline '{pipeline}' does not have an action with name '{action}'")]
    ActionNotFound { pipeline: PipelineName, stage: StageName, action: ActionName },
    /// A start gives a variable the pipeline does not declare.
    #[error("pipeline '{pipeline}' does not declare the variable '{variable}'")]
    UnknownVariable { pipeline: PipelineName, variable: String },
    /// A start lacks a variable without default.
    #[error("pipeline '{pipeline}' needs a value for the variable '{variable}', which has no default")]
    MissingVariable { pipeline: PipelineName, variable: String },
    /// A value is empty or over 1,000 characters.
    #[error("the value of the variable '{variable}' must have 1 to 1000 characters")]
    BadVariableValue { variable: String },
    /// A start names a revision for something that is no source action.
    #[error(
        "source revision override names '{action}', which is not a source action of pipeline '{pipeline}'"
    )]
    NotASourceAction { pipeline: PipelineName, action: ActionName },
    /// QUEUED and PARALLEL pipelines run at most so many executions at once.
    #[error("pipeline '{pipeline}' already has {limit} executions in progress")]
    ConcurrentExecutionsLimit { pipeline: PipelineName, limit: usize },
    /// No such run in this pipeline.
    #[error("Pipeline '{pipeline}' does not have an execution with id '{execution}'")]
    ExecutionNotFound { pipeline: PipelineName, execution: ExecutionId },
    /// The run has ended, or there is none.
    #[error("execution '{execution}' cannot be stopped: it is {status}")]
    NotStoppable { execution: ExecutionId, status: String },
    /// The run is stopping already.
    #[error("execution '{execution}' is already being stopped")]
    DuplicatedStopRequest { execution: ExecutionId },
    /// Another run has entered the stage since.
    #[error("execution '{execution}' is not the latest in stage '{stage}'")]
    NotLatestExecution { execution: ExecutionId, stage: StageName },
    /// The stage has nothing to retry, or the definition changed.
    #[error("stage '{stage}' of execution '{execution}' cannot be retried: {reason}")]
    StageNotRetryable { execution: ExecutionId, stage: StageName, reason: &'static str },
    /// The condition was met, never asked, or is one that nobody may pass over.
    #[error(
        "the {} condition of stage '{stage}' of execution '{execution}' cannot be overridden: {reason}",
        condition.member()
    )]
    ConditionNotOverridable {
        execution: ExecutionId,
        stage: StageName,
        condition: ConditionType,
        reason: String,
    },
    /// Something else is going on that must end first.
    #[error("stage '{stage}' of execution '{execution}' is busy: {reason}")]
    Conflict { execution: ExecutionId, stage: StageName, reason: &'static str },
    /// The stage cannot go back to that run.
    #[error("stage '{stage}' cannot be rolled back to execution '{target}': {reason}")]
    UnableToRollback { stage: StageName, target: ExecutionId, reason: &'static str },
    /// The run is too long ago to be rolled back to.
    #[error("execution '{execution}' is outdated: it is no longer kept in the history")]
    ExecutionOutdated { execution: ExecutionId },
    /// The token is unknown, or its time is up.
    #[error(
        "Approval token '{token}' either does not exist or is not the correct token for the action or {stage} stage."
    )]
    InvalidApprovalToken { token: String, stage: StageName },
    /// No such job.
    #[error("there is no job with the id '{job}'")]
    JobNotFound { job: JobId },
    /// The nonce is not the newest, or the job was taken already.
    #[error(
        "the nonce is not the one job '{job}' was last handed out with, or the job has been acknowledged"
    )]
    InvalidNonce { job: JobId },
    /// A job that was not taken, or has ended, has no result to record.
    #[error("job '{job}' is {}, not InProgress", .status.as_str())]
    InvalidJobState { job: JobId, status: JobStatus },
    /// A function has one job only.
    #[error("job '{job}' is a function's: towpath cannot invoke it again with a continuation token yet")]
    FunctionCannotContinue { job: JobId },
    /// The gate lets only the newest execution through.
    #[error(
        "execution '{execution}' cannot be approved in stage '{stage}': {waiting} newer wait for the stage, first \
         '{newer}', and only the newest may pass (gate policy `newest`); reject or stop this one, and the approval is \
         asked for the next"
    )]
    NewerWaits { execution: ExecutionId, stage: StageName, newer: ExecutionId, waiting: usize },
    /// Someone answered before.
    #[error("the approval '{action}' in stage '{stage}' has already been answered")]
    ApprovalAlreadyCompleted { stage: StageName, action: ActionName },
    /// A custom action type that breaks a rule.
    #[error("{message}")]
    InvalidActionType { message: String },
    /// The same 4-tuple has another definition.
    #[error("the action type {id} already exists with another definition; create a new version of it")]
    ActionTypeAlreadyExists { id: ActionTypeId },
    /// No such type, or none any more.
    #[error("there is no action type {id}")]
    ActionTypeNotFound { id: ActionTypeId },
    /// As many types as an account may have.
    #[error("the account has {limit} custom action types already, the most it may have")]
    TooManyActionTypes { limit: usize },
    /// A declaration that may not follow the one before.
    #[error("{message}")]
    ActionTypeUpdateRefused { message: String },
    /// No such webhook.
    #[error("there is no webhook with the name '{webhook}'")]
    WebhookNotFound { webhook: WebhookName },
    /// A resource would have more than 50 tags.
    #[error("Tag limit exceeded for resource [{resource}].")]
    TooManyTags { resource: String },
}
