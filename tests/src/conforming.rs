//! Whether an answer is one that the service model allows: members, types, enumerations, constraints, errors.

use crate::client::Answer;
use api::{
    Invalid, Operation, Violation,
    constraint::{Kind, Shape},
};
use serde_json::Value;

/// Errors that any operation may answer though its model does not name them.
const COMMON: &[&str] = &[
    "ValidationException",
    "SerializationException",
    "UnknownOperationException",
    "MissingAuthenticationTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "ThrottlingException",
    "RequestTooLarge",
];

/// Errors that the service sends without declaring them: `spec/api.md`, 2.1, 2.4 and 4.
const UNDECLARED: &[(Operation, &str)] = &[
    (Operation::UpdatePipeline, "PipelineNotFoundException"),
    (Operation::CreateCustomActionType, "InvalidActionTypeException"),
    (Operation::CreateCustomActionType, "ActionTypeAlreadyExistsException"),
];

/// Fails unless the answer to an operation is as the model declares it.
#[track_caller]
pub fn check(operation: &str, answer: &Answer) {
    let problems = problems(operation, answer);
    let body = String::from_utf8_lossy(&answer.body);
    assert!(problems.is_empty(), "{operation}: {problems:#?}\n{} {body}", answer.status);
}

/// Everything about an answer that the model does not allow.
pub fn problems(operation: &str, answer: &Answer) -> Vec<String> {
    let mut problems = Vec::new();
    if answer.header("x-amzn-requestid").unwrap_or_default().len() != 36 {
        problems.push(format!("no request id in {:?}", answer.headers));
    }
    if answer.header("content-type") != Some("application/x-amz-json-1.1") {
        problems.push(format!("not the media type of the protocol: {:?}", answer.header("content-type")));
    }
    match (answer.status, Operation::parse(operation)) {
        (200, Some(known)) => output(known, answer, &mut problems),
        (200, None) => problems.push(format!("{operation} is no operation, yet it succeeded")),
        (_, known) => error(known, answer, &mut problems),
    }
    problems
}

fn output(operation: Operation, answer: &Answer, problems: &mut Vec<String>) {
    let Some(shape) = operation.model().output else {
        if !answer.body.is_empty() {
            problems.push("the operation has no output, but the body is not empty".to_owned());
        }
        return;
    };
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        problems.push("the body is not JSON".to_owned());
        return;
    };
    walk(shape, &body, "", problems);
    match api::validate_shape(shape.name, &body, "") {
        Ok(()) => {}
        Err(Invalid::Type(mismatch)) => problems.push(mismatch.to_string()),
        Err(Invalid::Constraints(violations)) => {
            let strict = violations.listed.iter().filter(|violation| !is_let_pass(violation));
            problems.extend(strict.map(ToString::to_string));
        }
    }
}

/// The service's own action types have more properties than its model lets anybody else's have.
fn is_let_pass(violation: &Violation) -> bool {
    violation.path.ends_with(".member.actionConfigurationProperties")
        && violation.constraint == "Member must have length less than or equal to 10"
}

fn error(known: Option<Operation>, answer: &Answer, problems: &mut Vec<String>) {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        problems.push("the error's body is not JSON".to_owned());
        return;
    };
    let code = body["__type"].as_str().unwrap_or_default();
    if body["message"].as_str().unwrap_or_default().is_empty() {
        problems.push(format!("{code} without words"));
    }
    if answer.header("x-amzn-errortype") != Some(code) {
        problems.push(format!("{code} in the body, {:?} in the header", answer.header("x-amzn-errortype")));
    }
    let declared = known.is_some_and(|known| {
        known.model().errors.iter().any(|error| error.as_str() == code)
            || UNDECLARED.iter().any(|(operation, error)| *operation == known && *error == code)
    });
    if !declared && !COMMON.contains(&code) {
        problems.push(format!("the operation does not declare `{code}`"));
    }
}

/// What `validate_shape` lets pass because requests may have it: unknown members, `null` for absent.
fn walk(shape: &'static Shape, value: &Value, path: &str, problems: &mut Vec<String>) {
    match (&shape.kind, value) {
        (_, Value::Null) => problems.push(format!("{path}: null")),
        (Kind::Structure(members), Value::Object(object)) => {
            for (name, value) in object {
                match members.iter().find(|member| member.name == name) {
                    Some(member) => walk(member.shape, value, &format!("{path}.{name}"), problems),
                    None => problems.push(format!("{path}.{name}: not in {}", shape.name)),
                }
            }
        }
        (Kind::List(entry), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                walk(entry, value, &format!("{path}.{index}"), problems);
            }
        }
        (Kind::Map { value: entry, .. }, Value::Object(object)) => {
            for (name, value) in object {
                walk(entry, value, &format!("{path}.{name}"), problems);
            }
        }
        (Kind::Enum(values), Value::String(text)) => {
            if !values.contains(&text.as_str()) {
                problems.push(format!("{path}: `{text}` is not one of {values:?}"));
            }
        }
        // Types are the other check's.
        (
            Kind::Structure(_)
            | Kind::List(_)
            | Kind::Map { .. }
            | Kind::Text(_)
            | Kind::Enum(_)
            | Kind::Integer
            | Kind::Boolean
            | Kind::Timestamp,
            _,
        ) => {}
    }
}
