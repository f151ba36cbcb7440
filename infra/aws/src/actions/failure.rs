//! From a call's error to a failure that tells people what to do: which permission, which role, which resource.

use crate::client::CallError;
use engine::action::{Failure, FailureCode};

/// Characters of a failure's message, of the 5,000 that the API allows.
const MESSAGE_CHARS_MAX: usize = 4_500;

/// The failure that an error is, for calls made in the name of `who`.
pub fn of(error: &CallError, who: &str) -> Failure {
    match error {
        CallError::Refused { service, operation, code, message, status, .. } => {
            let service = service.signing_name();
            if is_denied(code, message, *status) {
                return Failure::new(FailureCode::PermissionError, denied(service, operation, message, who));
            }
            let text = format!("AWS refused `{service}:{operation}`: {code}: {message}");
            let hint = match refusal(code, *status) {
                FailureCode::ConfigurationError => {
                    " Look at the action's configuration, and whether what it names exists in this Region."
                }
                _ => " Retry the stage.",
            };
            Failure::new(refusal(code, *status), ended(&text) + hint)
        }
        CallError::Unavailable { service, operation, attempts, throttled, reason, .. } => {
            let what = match throttled {
                true => "turned away as one too many",
                false => "not answered",
            };
            let text =
                format!("`{}:{operation}` was {what}, {attempts} times: {reason}", service.signing_name());
            Failure::new(FailureCode::SystemUnavailable, ended(&text) + " Retry the stage.")
        }
        CallError::Unusable { service, operation, reason } => {
            let text = format!("`{}:{operation}` cannot be called: {reason}", service.signing_name());
            Failure::new(FailureCode::ConfigurationError, ended(&text))
        }
    }
}

/// The role itself cannot be taken on.
pub fn of_role(error: &CallError, role: &str, by: &str) -> Failure {
    let CallError::Refused { code, message, status, .. } = error else { return of(error, by) };
    if !is_denied(code, message, *status) && code != "ValidationError" {
        return of(error, by);
    }
    let text = format!(
        "The role `{role}` cannot be assumed by {by}. It needs a trust policy that lets that principal call \
         `sts:AssumeRole`, and the principal needs the permission `sts:AssumeRole` on it. AWS said: {message}"
    );
    Failure::new(FailureCode::PermissionError, ended(&text))
}

/// A text with a full stop, not too long.
fn ended(text: &str) -> String {
    let mut text: String = text.trim().chars().take(MESSAGE_CHARS_MAX).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// True when a refusal is about permissions, whatever the service calls that.
fn is_denied(code: &str, message: &str, status: u16) -> bool {
    const CODES: &[&str] = &[
        "AccessDenied",
        "AccessDeniedException",
        "AccessDeniedForDependencyException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "KMSAccessDeniedException",
        "InvalidClientTokenId",
        "NotAuthorized",
        "OperationNotPermittedException",
        "UnauthorizedOperation",
        "UnauthorizedOperationException",
        "UnrecognizedClientException",
    ];
    // Services that act with the caller's rights pass the refusal on in their own code.
    CODES.contains(&code) || status == 403 || message.contains("is not authorized to perform")
}

fn denied(service: &str, operation: &str, message: &str, who: &str) -> String {
    let said = Said::of(message);
    let permission = said.permission.map_or_else(|| permission(service, operation), str::to_owned);
    let resource = said.resource.map(|resource| format!(" on `{resource}`")).unwrap_or_default();
    let who = said.role.map_or_else(|| who.to_owned(), |role| format!("the role `{role}`"));
    // A policy that forbids is found elsewhere than one that is missing.
    let do_what = match message.contains("explicit deny") {
        true => "A policy denies it expressly: take that statement out, or make an exception in it.",
        false => "Allow it in a policy of that role.",
    };
    let doubt = match (service, operation) {
        ("s3", "HeadObject" | "GetObject") => {
            " Without `s3:ListBucket`, S3 says the same of an object that is not there."
        }
        _ => "",
    };
    ended(&format!(
        "Permission `{permission}`{resource} is missing for {who}. {do_what}{doubt} AWS said: {message}"
    ))
}

/// What AWS says of a call that it refuses: `User: arn:aws:sts::1:assumed-role/NAME/SESSION is not authorized to
/// perform: SERVICE:ACTION on resource: ARN because …`.
#[derive(Debug, Default, PartialEq)]
struct Said<'a> {
    role: Option<&'a str>,
    permission: Option<&'a str>,
    resource: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn of(message: &'a str) -> Self {
        let word_after = |mark: &str| {
            let (_, rest) = message.split_once(mark)?;
            let word = rest.split_whitespace().next()?;
            let word = word.trim_matches(['"', '\'', ',']).trim_end_matches('.');
            Some(word).filter(|word| !word.is_empty())
        };
        let role = word_after(":assumed-role/").and_then(|rest| rest.split('/').next());
        let permission = word_after("to perform: ").filter(|word| word.contains(':'));
        Self { role, permission, resource: word_after("on resource: ") }
    }
}

/// The permission that a call needs, where it is not called like the operation.
fn permission(service: &str, operation: &str) -> String {
    let name = match (service, operation) {
        ("s3", "HeadObject" | "CopySource") => "GetObject",
        (
            "s3",
            "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "UploadPartCopy"
            | "CompleteMultipartUpload",
        ) => "PutObject",
        ("lambda", "Invoke") => "InvokeFunction",
        (_, operation) => operation,
    };
    let prefix = match service {
        "monitoring" => "cloudwatch",
        service => service,
    };
    format!("{prefix}:{name}")
}

/// Whose turn it is after a refusal that is not about permissions.
fn refusal(code: &str, status: u16) -> FailureCode {
    match code {
        // They pass by themselves: another attempt may fit in.
        "LimitExceededException"
        | "AccountLimitExceededException"
        | "LimitExceeded"
        | "ConflictException" => FailureCode::SystemUnavailable,
        _ if status >= 500 => FailureCode::SystemUnavailable,
        _ => FailureCode::ConfigurationError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Service;

    fn refused(code: &str, message: &str, status: u16) -> Failure {
        let error = CallError::Refused {
            service: Service::CodeBuild,
            operation: "StartBuild".into(),
            code: code.into(),
            message: message.into(),
            status,
            details: Box::default(),
        };
        of(&error, "the function's own role")
    }

    #[test]
    fn a_refused_permission_is_named_with_its_role_and_resource() {
        let said = "User: arn:aws:sts::111122223333:assumed-role/deployer/session is not authorized to perform: \
                    codebuild:StartBuild on resource: arn:aws:codebuild:us-east-1:111122223333:project/shop because \
                    no identity-based policy allows the codebuild:StartBuild action";
        let failure = refused("AccessDeniedException", said, 400);
        assert_eq!(failure.code, FailureCode::PermissionError);
        let start = "Permission `codebuild:StartBuild` on `arn:aws:codebuild:us-east-1:111122223333:project/shop` is \
                     missing for the role `deployer`. Allow it in a policy of that role.";
        assert!(failure.message.starts_with(start), "{}", failure.message);
        let denied = refused("AccessDeniedException", &format!("{said} with an explicit deny"), 400);
        assert!(denied.message.contains("take that statement out"), "{}", denied.message);
    }

    #[test]
    fn a_refusal_without_words_still_names_the_permission() {
        let failure = refused("AccessDenied", "HTTP status 403", 403);
        let start = "Permission `codebuild:StartBuild` is missing for the function's own role.";
        assert!(failure.message.starts_with(start), "{}", failure.message);
        assert_eq!(permission("s3", "HeadObject"), "s3:GetObject");
        assert_eq!(permission("monitoring", "DescribeAlarms"), "cloudwatch:DescribeAlarms");
    }

    #[test]
    fn whose_turn_it_is_depends_on_the_code() {
        let missing = refused("ResourceNotFoundException", "Project cannot be found", 400);
        assert_eq!(missing.code, FailureCode::ConfigurationError);
        assert!(missing.message.contains("Project cannot be found."), "{}", missing.message);
        assert_eq!(refused("AccountLimitExceededException", "", 400).code, FailureCode::SystemUnavailable);
        assert_eq!(refused("Odd", "", 500).code, FailureCode::SystemUnavailable);
        let busy = CallError::Unavailable {
            service: Service::S3,
            operation: "GetObject".into(),
            attempts: 5,
            took_ms: 9_000,
            reason: "SlowDown".into(),
            throttled: true,
        };
        assert_eq!(
            of(&busy, "").message,
            "`s3:GetObject` was turned away as one too many, 5 times: SlowDown. Retry the stage."
        );
    }
}
