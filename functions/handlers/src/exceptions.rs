//! From what went wrong inside to what a client sees.

use api::{ApiError, ApiException, Code};
use domain::{
    Rejection,
    pipeline::{DefinitionError, DefinitionErrorCode},
    webhook::BadWebhook,
};
use engine::{log::LogError, ports::SecretsError, transact::TransactError, views::ViewsError};
use events::{BadName, PipelineName};

/// The account with id … does not include a pipeline: see `spec/api.md`, section 1.3.
pub fn pipeline_not_found(account: &str, pipeline: &PipelineName) -> ApiError {
    ApiError::new(
        ApiException::PipelineNotFoundException,
        format!("The account with id '{account}' does not include a pipeline with the name '{pipeline}'"),
    )
}

/// One API exception for each refusal.
pub fn rejected(account: &str, rejection: &Rejection) -> ApiError {
    let exception = match rejection {
        Rejection::PipelineNotFound { pipeline } => return pipeline_not_found(account, pipeline),
        Rejection::PipelineNameInUse { pipeline } => {
            let text = format!("A pipeline with the name '{pipeline}' already exists in account '{account}'");
            return ApiError::new(ApiException::PipelineNameInUseException, text);
        }
        Rejection::StageNotFound { .. } => ApiException::StageNotFoundException,
        Rejection::ActionNotFound { .. } => ApiException::ActionNotFoundException,
        Rejection::UnknownVariable { .. }
        | Rejection::MissingVariable { .. }
        // No operation has an exception for it.
        | Rejection::DefinitionUnreadable { .. }
        | Rejection::BadVariableValue { .. }
        | Rejection::NotASourceAction { .. } => ApiException::ValidationException,
        Rejection::ConcurrentExecutionsLimit { .. } => {
            ApiException::ConcurrentPipelineExecutionsLimitExceededException
        }
        Rejection::ExecutionNotFound { .. } => ApiException::PipelineExecutionNotFoundException,
        Rejection::NotStoppable { .. } => ApiException::PipelineExecutionNotStoppableException,
        Rejection::DuplicatedStopRequest { .. } => ApiException::DuplicatedStopRequestException,
        Rejection::NotLatestExecution { .. } => ApiException::NotLatestPipelineExecutionException,
        Rejection::StageNotRetryable { .. } => ApiException::StageNotRetryableException,
        Rejection::ConditionNotOverridable { .. } => ApiException::ConditionNotOverridableException,
        Rejection::Conflict { .. } => ApiException::ConflictException,
        Rejection::UnableToRollback { .. } => ApiException::UnableToRollbackStageException,
        Rejection::ExecutionOutdated { .. } => ApiException::PipelineExecutionOutdatedException,
        Rejection::InvalidApprovalToken { .. } => ApiException::InvalidApprovalTokenException,
        // The operation has no exception for a gate of ours, and this one carries its sentence.
        Rejection::NewerWaits { .. } => ApiException::ValidationException,
        Rejection::JobNotFound { .. } => ApiException::JobNotFoundException,
        Rejection::InvalidNonce { .. } => ApiException::InvalidNonceException,
        Rejection::InvalidJobState { .. } => ApiException::InvalidJobStateException,
        Rejection::FunctionCannotContinue { .. } => ApiException::ValidationException,
        Rejection::InvalidActionType { message } => {
            return ApiError::new(Code::InvalidActionType, message.clone());
        }
        Rejection::ActionTypeAlreadyExists { .. } => ApiException::ActionTypeAlreadyExistsException,
        Rejection::ActionTypeNotFound { .. } => ApiException::ActionTypeNotFoundException,
        Rejection::TooManyActionTypes { .. } => ApiException::LimitExceededException,
        Rejection::ActionTypeUpdateRefused { .. } => ApiException::RequestFailedException,
        Rejection::WebhookNotFound { .. } => ApiException::WebhookNotFoundException,
        Rejection::TooManyTags { .. } => ApiException::TooManyTagsException,
        Rejection::ApprovalAlreadyCompleted { .. } => ApiException::ApprovalAlreadyCompletedException,
    };
    ApiError::new(exception, rejection.to_string())
}

/// A command that came to nothing.
pub fn not_done(account: &str, error: TransactError) -> ApiError {
    match error {
        TransactError::Rejected(rejection) => rejected(account, &rejection),
        TransactError::Log(error) => unavailable(error),
        busy @ TransactError::Busy { .. } => ApiError::new(Code::Throttling, busy.to_string()),
    }
}

/// A log that did not answer.
pub fn unavailable(error: LogError) -> ApiError {
    match error {
        LogError::Unavailable { .. } => ApiError::new(Code::ServiceUnavailable, error.to_string()),
        LogError::TooLarge { .. } => ApiError::validation(error.to_string()),
        LogError::Broken(_) | LogError::Unreadable { .. } => {
            ApiError::new(Code::InternalFailure, error.to_string())
        }
    }
}

/// Views that did not answer.
pub fn no_views(error: &ViewsError) -> ApiError {
    ApiError::new(Code::ServiceUnavailable, error.to_string())
}

/// A name the wire's constraints let through and the core does not.
pub fn bad_name(error: &BadName) -> ApiError {
    ApiError::validation(error.to_string())
}

/// A webhook that is refused.
pub fn bad_webhook(error: &BadWebhook) -> ApiError {
    let exception = match error {
        BadWebhook::Invalid(_) => ApiException::ValidationException,
        BadWebhook::FilterPattern(_) => ApiException::InvalidWebhookFilterPatternException,
        BadWebhook::Authentication(_) => ApiException::InvalidWebhookAuthenticationParametersException,
    };
    ApiError::new(exception, error.to_string())
}

/// A store of secrets that did not answer.
pub fn no_secrets(error: &SecretsError) -> ApiError {
    ApiError::new(Code::ServiceUnavailable, error.to_string())
}

/// A definition that is refused.
pub fn bad_definition(error: &DefinitionError) -> ApiError {
    let code = match error.code {
        DefinitionErrorCode::SerializationException => Code::Serialization,
        DefinitionErrorCode::ValidationException => ApiException::ValidationException.into(),
        DefinitionErrorCode::InvalidStructureException => ApiException::InvalidStructureException.into(),
        DefinitionErrorCode::InvalidStageDeclarationException => {
            ApiException::InvalidStageDeclarationException.into()
        }
        DefinitionErrorCode::InvalidActionDeclarationException => {
            ApiException::InvalidActionDeclarationException.into()
        }
        DefinitionErrorCode::InvalidBlockerDeclarationException => {
            ApiException::InvalidBlockerDeclarationException.into()
        }
        DefinitionErrorCode::LimitExceededException => ApiException::LimitExceededException.into(),
        DefinitionErrorCode::TooManyTagsException => ApiException::TooManyTagsException.into(),
        DefinitionErrorCode::InvalidTagsException => ApiException::InvalidTagsException.into(),
    };
    ApiError::new(code, error.message.clone())
}
