//! What goes wrong at the API, by the names clients know.

use crate::model::ApiException;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ApiError {
    /// Which error; decides the HTTP status.
    pub code: Code,
    /// Plain words for people. Clients show it; no client should parse it.
    pub message: String,
}

/// The errors of the service model, and those every AWS service shares without modelling them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// One of the service model's own.
    Exception(ApiException),
    /// The caller is known but may not do this.
    AccessDenied,
    /// A temporary credential is past its end.
    ExpiredToken,
    /// The `Authorization` header lacks a part, or has one too many.
    IncompleteSignature,
    /// A defect of ours, or a store that does not answer.
    InternalFailure,
    /// Unmodelled, yet observed from `CreateCustomActionType`.
    InvalidActionType,
    /// The signature does not belong to this request, key or time.
    InvalidSignature,
    /// There is no signature at all.
    MissingAuthenticationToken,
    /// The body is over [`crate::codec::BODY_BYTES_MAX`].
    RequestTooLarge,
    /// The body is not JSON, or a value in it has the wrong type.
    Serialization,
    /// Temporarily unable; clients retry.
    ServiceUnavailable,
    /// Too many calls; clients retry more slowly.
    Throttling,
    /// No operation of that name, or none that this build serves.
    UnknownOperation,
    /// No such access key.
    UnrecognizedClient,
}

impl Code {
    /// The value of `__type` and `x-amzn-ErrorType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exception(exception) => exception.as_str(),
            Self::AccessDenied => "AccessDeniedException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidActionType => "InvalidActionTypeException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::RequestTooLarge => "RequestTooLarge",
            Self::Serialization => "SerializationException",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Throttling => "ThrottlingException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
        }
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::Exception(_)
            | Self::AccessDenied
            | Self::InvalidActionType
            | Self::Serialization
            | Self::Throttling
            | Self::UnknownOperation => http::StatusCode::BAD_REQUEST,
            Self::ExpiredToken
            | Self::IncompleteSignature
            | Self::InvalidSignature
            | Self::MissingAuthenticationToken
            | Self::UnrecognizedClient => http::StatusCode::FORBIDDEN,
            Self::RequestTooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::InternalFailure => http::StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => http::StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<ApiException> for Code {
    fn from(exception: ApiException) -> Self {
        Self::Exception(exception)
    }
}

impl ApiError {
    /// An error with its words.
    pub fn new(code: impl Into<Code>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// A `ValidationException`: the request is well formed but asks for something it may not.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ApiException::ValidationException, message)
    }

    /// The answer to an operation of the service model that this build does not serve.
    ///
    /// `UnknownOperationException`, since clients neither retry it nor take it for a wrong argument.
    pub fn not_served(operation: crate::Operation) -> Self {
        Self::new(Code::UnknownOperation, format!("Towpath does not answer `{}` yet", operation.name()))
    }

    /// The HTTP status that goes with the code.
    pub fn status(&self) -> http::StatusCode {
        self.code.status()
    }
}
