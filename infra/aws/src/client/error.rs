//! Why a call came to nothing, and from what an answer says whether it is worth another try.

use super::{Service, xml::Xml};
use http::HeaderMap;
use serde_json::Value;

/// Characters of a message that are kept.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Why a call came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The service understood, and said no. Again would be the same.
    #[error("{service} refused {operation}: {code}: {message}")]
    Refused {
        /// Which service.
        service: Service,
        /// What was asked of it.
        operation: String,
        /// The error's code, for example `ResourceNotFoundException`.
        code: String,
        /// Its own words.
        message: String,
        /// The HTTP status.
        status: u16,
        /// The whole answer where it was JSON; null elsewhere.
        details: Box<Value>,
    },
    /// The service did not answer, was busy or had an error of its own, however often it was asked. What was asked may
    /// have been done.
    #[error("{service} did not answer to {operation}, {attempts} times within {took_ms} ms: {reason}")]
    Unavailable {
        /// Which service.
        service: Service,
        /// What was asked of it.
        operation: String,
        /// How often.
        attempts: u32,
        /// Milliseconds from the first attempt to the end of the last.
        took_ms: u64,
        /// What came of the last attempt.
        reason: String,
        /// True when every attempt was turned away because there were too many: then nothing was done.
        throttled: bool,
    },
    /// The request cannot be sent, or its answer not be taken, as it is. Again would be the same.
    #[error("{service}, {operation}: {reason}")]
    Unusable {
        /// Which service.
        service: Service,
        /// What was asked of it.
        operation: String,
        /// What is wrong.
        reason: String,
    },
}

impl CallError {
    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unavailable { .. } | Self::Unusable { .. } => None,
        }
    }

    /// True for a refusal with one of these codes.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// True when the caller lacks a permission, whatever the service calls that.
    pub fn is_denied(&self) -> bool {
        self.code().is_some_and(|code| {
            code.starts_with("AccessDenied")
                || matches!(code, "UnauthorizedOperation" | "AuthorizationError" | "NotAuthorized")
        })
    }

    /// True when it may go well later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// What the service said, or what went wrong on the way to it.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. } => message,
            Self::Unavailable { reason, .. } | Self::Unusable { reason, .. } => reason,
        }
    }
}

/// An answer that is not the one hoped for, taken apart.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) status: u16,
    pub(super) details: Value,
}

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Too many requests: wait longer.
    Throttled,
    /// The service had an error of its own, or no time.
    Passing,
    /// The credentials ran out, earlier than they said.
    Expired,
    /// It is the caller's turn.
    Final,
}

/// What services call "too many". `LimitExceededException` is not among them: a quota does not pass by itself.
const THROTTLES: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// What passes, although its status may say that the caller is at fault.
const PASSING: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerErrorException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

impl Refusal {
    /// Reads an answer of any of the protocols.
    pub(super) fn of(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let said = |value: &Value, names: &[&str]| {
            names.iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned)
        };
        let (mut code, mut message) = (said(&json, &["__type", "code", "Code"]), None);
        if json.is_object() {
            message = said(&json, &["message", "Message", "errorMessage"]);
        } else if let Ok(xml) = Xml::parse(&text) {
            // Query: `ErrorResponse/Error`; S3: `Error` alone.
            let error = xml.child("Error").unwrap_or(&xml);
            code = error.text_of("Code");
            message = error.text_of("Message");
        }
        let code = header.map(str::to_owned).or(code).map(|code| bare(&code));
        Self {
            code: code.unwrap_or_else(|| code_of(status).to_owned()),
            message: clipped(&message.unwrap_or_else(|| format!("HTTP status {status}"))),
            status,
            details: json,
        }
    }

    pub(super) fn turn(&self) -> Turn {
        let code = self.code.as_str();
        if THROTTLES.contains(&code) || self.status == 429 {
            return Turn::Throttled;
        }
        if self.status >= 500 || PASSING.contains(&code) {
            return Turn::Passing;
        }
        match code {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Turn::Expired,
            _ => Turn::Final,
        }
    }
}

/// `com.amazonaws.dynamodb.v20120810#Name:http://…` is `Name`.
fn bare(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or(code);
    code.split(':').next().unwrap_or(code).trim().to_owned()
}

/// A name for an answer without one: the answer to HEAD has no body.
fn code_of(status: u16) -> &'static str {
    match status {
        301 | 307 => "PermanentRedirect",
        304 => "NotModified",
        403 => "AccessDenied",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        412 => "PreconditionFailed",
        413 => "RequestTooLarge",
        503 => "ServiceUnavailable",
        _ => "UnknownError",
    }
}

fn clipped(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> (String, String, Turn) {
        let refusal = Refusal::of(status, &HeaderMap::new(), body.as_bytes());
        let turn = refusal.turn();
        (refusal.code, refusal.message, turn)
    }

    #[test]
    fn refusals_of_every_protocol_are_read() {
        let owned = |(code, message, turn): (&str, &str, Turn)| (code.to_owned(), message.to_owned(), turn);
        for (status, body, expected) in [
            (
                400,
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no table"}"#,
                ("ResourceNotFoundException", "no table", Turn::Final),
            ),
            (
                400,
                r#"{"__type":"x#ThrottlingException","Message":"slow"}"#,
                ("ThrottlingException", "slow", Turn::Throttled),
            ),
            (
                403,
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>AccessDenied</Code><Message>no &amp; no</Message></Error></ErrorResponse>",
                ("AccessDenied", "no & no", Turn::Final),
            ),
            (
                503,
                "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>less</Message></Error>",
                ("SlowDown", "less", Turn::Throttled),
            ),
            (404, "", ("NotFound", "HTTP status 404", Turn::Final)),
            (502, "<html>", ("UnknownError", "HTTP status 502", Turn::Passing)),
            (400, "{\"__type\":\"InternalFailure\"}", ("InternalFailure", "HTTP status 400", Turn::Passing)),
            (
                400,
                r#"{"__type":"LimitExceededException","message":"quota"}"#,
                ("LimitExceededException", "quota", Turn::Final),
            ),
            (
                400,
                r#"{"__type":"ExpiredTokenException"}"#,
                ("ExpiredTokenException", "HTTP status 400", Turn::Expired),
            ),
        ] {
            assert_eq!(refusal(status, body), owned(expected), "{body}");
        }
    }

    #[test]
    fn a_header_names_the_error_of_rest_services() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", "ResourceConflictException:http://internal/".parse().unwrap());
        let refusal = Refusal::of(409, &headers, br#"{"Type":"User","Message":"busy"}"#);
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("ResourceConflictException", "busy"));
    }
}
