//! Values of a template's parameters: plain ones, and those that come out of artifacts.

use super::order;
use crate::actions::{
    archive,
    provider::{Task, configuration},
};
use engine::action::{Failure, InputArtifact};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Bytes of a file from which a value is taken.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// `Artifact::path` as the artifact and the path.
pub(super) fn place<'a>(
    task: &'a Task<'_>,
    key: &str,
    text: &'a str,
) -> Result<(&'a InputArtifact, &'a str), Failure> {
    let (artifact, path) = text
        .split_once("::")
        .filter(|(artifact, path)| !artifact.is_empty() && !path.is_empty())
        .ok_or_else(|| configuration(format!("`{key}` must be `Artifact::path`, not `{text}`.")))?;
    Ok((task.input_named(artifact)?, path))
}

/// The parameters of an object, with every function replaced by what it gives.
pub(super) async fn read(
    task: &Task<'_>,
    from: &str,
    given: Map<String, Value>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut parameters = BTreeMap::new();
    for (name, value) in given {
        let value = match &value {
            Value::Object(function) => called(task, from, &name, function).await?,
            value => plain(&format!("a parameter in `{from}`"), &name, value)?,
        };
        parameters.insert(name, value);
    }
    Ok(parameters)
}

/// A value that is written as it is: numbers and truth values as texts, lists separated by commas.
pub(super) fn plain(what: &str, name: &str, value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Array(items)
            if items.iter().all(|item| !item.is_array() && !item.is_object() && !item.is_null()) =>
        {
            let items: Result<Vec<String>, Failure> =
                items.iter().map(|item| plain(what, name, item)).collect();
            Ok(items?.join(","))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(configuration(format!(
            "`{name}`, {what}, must be a text, a number, `true`, `false` or a list of those."
        ))),
    }
}

async fn called(
    task: &Task<'_>,
    from: &str,
    name: &str,
    function: &Map<String, Value>,
) -> Result<String, Failure> {
    let one = function.iter().next().filter(|_| function.len() == 1);
    let arguments = one.and_then(|(called, arguments)| {
        let texts: Option<Vec<&str>> = arguments.as_array()?.iter().map(Value::as_str).collect();
        Some((called.as_str(), texts?))
    });
    match arguments.as_ref().map(|(called, arguments)| (*called, arguments.as_slice())) {
        Some(("Fn::GetArtifactAtt", [artifact, attribute])) => attribute_of(task, artifact, attribute),
        Some(("Fn::GetParam", [artifact, path, key])) => {
            let input = task.input_named(artifact)?;
            let bytes = archive::read(task, input, path, FILE_BYTES_MAX).await?;
            let file: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
                configuration(format!("`{path}` in the artifact `{artifact}` is not a JSON object: {error}."))
            })?;
            let value = file.get(*key).ok_or_else(|| {
                configuration(format!("`{path}` in the artifact `{artifact}` has no `{key}`."))
            })?;
            plain(&format!("taken from `{path}`"), key, value)
        }
        Some(_) | None => Err(configuration(format!(
            "`{name}` in `{from}` must be a value, `{{\"Fn::GetArtifactAtt\": [artifact, attribute]}}` or \
             `{{\"Fn::GetParam\": [artifact, file, key]}}`."
        ))),
    }
}

fn attribute_of(task: &Task<'_>, artifact: &str, attribute: &str) -> Result<String, Failure> {
    let location = &task.input_named(artifact)?.location;
    match attribute {
        "BucketName" => Ok(location.bucket.clone()),
        "ObjectKey" => Ok(location.key.clone()),
        "URL" => Ok(order::object_url(task, &location.bucket, &location.key)),
        other => Err(configuration(format!(
            "`Fn::GetArtifactAtt` knows `BucketName`, `ObjectKey` and `URL`, and not `{other}`."
        ))),
    }
}
