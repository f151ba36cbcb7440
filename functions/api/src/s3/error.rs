//! What goes wrong at the S3 endpoint, by the names its clients know.

use super::xml::escaped;
use crate::{ApiError, Code};
use http::StatusCode;

/// An error as an S3 client sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct S3Error {
    /// Which error; decides the HTTP status.
    pub code: S3Code,
    /// Plain words for people.
    pub message: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $status:ident),+ $(,)?) => {
        /// The errors this endpoint answers with; each bears S3's own name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum S3Code {
            $($(#[$doc])* $name,)+
        }

        impl S3Code {
            /// The text of `Code`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    /// The caller is known, or unknown, and may not do this.
    AccessDenied FORBIDDEN,
    /// The signature's own form is wrong.
    AuthorizationHeaderMalformed BAD_REQUEST,
    /// The content is not what its checksum says.
    BadDigest BAD_REQUEST,
    /// An object over [`super::OBJECT_BYTES_MAX`].
    EntityTooLarge BAD_REQUEST,
    /// A part, not the last, that is smaller than S3 allows.
    EntityTooSmall BAD_REQUEST,
    /// Short-lived credentials past their end.
    ExpiredToken BAD_REQUEST,
    /// The body ended before its announced length, or is no aws-chunked body.
    IncompleteBody BAD_REQUEST,
    /// The disk is full.
    InsufficientStorage INSUFFICIENT_STORAGE,
    /// A defect of ours, or a disk that does not answer.
    InternalError INTERNAL_SERVER_ERROR,
    /// No such access key.
    InvalidAccessKeyId FORBIDDEN,
    /// A value that cannot be: a key, a part's number, a parameter.
    InvalidArgument BAD_REQUEST,
    /// A checksum that is not one.
    InvalidDigest BAD_REQUEST,
    /// A part that was not uploaded, or is another one by now.
    InvalidPart BAD_REQUEST,
    /// Parts that are not in ascending order.
    InvalidPartOrder BAD_REQUEST,
    /// A range outside of the object.
    InvalidRange RANGE_NOT_SATISFIABLE,
    /// Something else about the request that cannot be.
    InvalidRequest BAD_REQUEST,
    /// A session token that this installation did not give.
    InvalidToken BAD_REQUEST,
    /// A path that is not UTF-8.
    InvalidURI BAD_REQUEST,
    /// A key, or a part of it between slashes, that no file can bear.
    KeyTooLongError BAD_REQUEST,
    /// A document that is not the one it should be.
    MalformedXML BAD_REQUEST,
    /// No such method here, on purpose: nothing is ever deleted.
    MethodNotAllowed METHOD_NOT_ALLOWED,
    /// A body of unknown length.
    MissingContentLength LENGTH_REQUIRED,
    /// No such bucket.
    NoSuchBucket NOT_FOUND,
    /// No such object.
    NoSuchKey NOT_FOUND,
    /// No such multipart upload.
    NoSuchUpload NOT_FOUND,
    /// S3 has it, this endpoint does not.
    NotImplemented NOT_IMPLEMENTED,
    /// The reader has it already.
    NotModified NOT_MODIFIED,
    /// A condition does not hold; also: the key is written already.
    PreconditionFailed PRECONDITION_FAILED,
    /// The clocks are too far apart.
    RequestTimeTooSkewed FORBIDDEN,
    /// The body stopped coming.
    RequestTimeout BAD_REQUEST,
    /// The signature does not belong to this request and key.
    SignatureDoesNotMatch FORBIDDEN,
    /// Too much at once; clients try again.
    SlowDown SERVICE_UNAVAILABLE,
    /// The content is not what was signed.
    XAmzContentSHA256Mismatch BAD_REQUEST,
}

impl S3Error {
    /// An error with its words.
    pub fn new(code: S3Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The document that a client reads.
    pub fn document(&self, resource: &str, request_id: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
             <Resource>{}</Resource><RequestId>{}</RequestId></Error>",
            self.code.as_str(),
            escaped(&self.message),
            escaped(resource),
            escaped(request_id)
        )
    }
}

/// What the checks that both protocols share found.
impl From<ApiError> for S3Error {
    fn from(error: ApiError) -> Self {
        let code = match error.code {
            Code::IncompleteSignature => S3Code::AuthorizationHeaderMalformed,
            Code::InvalidSignature => S3Code::SignatureDoesNotMatch,
            Code::UnrecognizedClient => S3Code::InvalidAccessKeyId,
            Code::ExpiredToken => S3Code::ExpiredToken,
            Code::MissingAuthenticationToken | Code::AccessDenied => S3Code::AccessDenied,
            Code::RequestTooLarge => S3Code::EntityTooLarge,
            Code::Throttling | Code::ServiceUnavailable => S3Code::SlowDown,
            Code::InternalFailure => S3Code::InternalError,
            Code::Exception(_) | Code::InvalidActionType | Code::Serialization | Code::UnknownOperation => {
                S3Code::InvalidRequest
            }
        };
        Self::new(code, error.message)
    }
}
