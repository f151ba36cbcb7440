//! Whether an answer is one that the service model allows: members, types, enumerations, constraints, errors.

use crate::client::Answer;
use api::{
    Operation,
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
    let id = answer.header("x-amzn-requestid").unwrap_or_default();
    assert_eq!(id.len(), 36, "{operation}: no request id in {:?}", answer.headers);
    assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"), "{operation}");
    let known = Operation::parse(operation);
    match (answer.status, known) {
        (200, Some(known)) => check_output(known, answer),
        (200, None) => panic!("{operation} is no operation, yet it succeeded"),
        (_, known) => check_error(operation, known, answer),
    }
}

#[track_caller]
fn check_output(operation: Operation, answer: &Answer) {
    let Some(shape) = operation.model().output else {
        assert!(answer.body.is_empty(), "{operation:?} has no output, but {:?}", answer.json());
        return;
    };
    let body = answer.json();
    let mut problems = Vec::new();
    walk(shape, &body, "", &mut problems);
    if let Err(invalid) = api::validate_shape(shape.name, &body, "") {
        problems.push(format!("{invalid:?}"));
    }
    assert!(problems.is_empty(), "{operation:?}: {problems:#?}\n{body:#}");
}

#[track_caller]
fn check_error(operation: &str, known: Option<Operation>, answer: &Answer) {
    let refusal = answer.refusal();
    let code = refusal.code.as_str();
    assert!(!refusal.message.is_empty(), "{operation}: {code} without words");
    assert_eq!(answer.header("x-amzn-errortype"), Some(code), "{operation}");
    let declared = known.is_some_and(|known| {
        known.model().errors.iter().any(|error| error.as_str() == code)
            || UNDECLARED.iter().any(|(operation, error)| *operation == known && *error == code)
    });
    assert!(declared || COMMON.contains(&code), "{operation} may not answer {refusal:?}");
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
