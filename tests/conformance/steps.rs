//! Steps that many scenarios take.

use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tests::{client::Client, processes::eventually};

/// How long a pipeline of quick actions may take, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A command that goes on once the file is there.
pub(crate) fn wait_for(file: &Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.02; done", file.display())
}

/// A command that succeeds if the file is there.
pub(crate) fn needs(file: &Path) -> String {
    format!("test -e {}", file.display())
}

/// Starts an execution and returns its id.
pub(crate) fn start(client: &Client, pipeline: &str) -> String {
    let started = client.call("StartPipelineExecution", &json!({ "name": pipeline }));
    started["pipelineExecutionId"].as_str().unwrap().to_owned()
}

/// One execution.
pub(crate) fn execution(client: &Client, pipeline: &str, id: &str) -> Value {
    let input = json!({ "pipelineName": pipeline, "pipelineExecutionId": id });
    client.call("GetPipelineExecution", &input)["pipelineExecution"].clone()
}

/// Waits until an execution has this status.
#[track_caller]
pub(crate) fn reaches(client: &Client, pipeline: &str, id: &str, status: &str) {
    let mut seen = Value::Null;
    let reached = eventually(SOON, || {
        seen = execution(client, pipeline, id);
        seen["status"] == status
    });
    assert!(reached, "not {status}: {seen:#}\n{:#}", state(client, pipeline));
}

/// The state of a pipeline.
pub(crate) fn state(client: &Client, pipeline: &str) -> Value {
    client.call("GetPipelineState", &json!({ "name": pipeline }))
}

/// One stage of it.
pub(crate) fn stage(client: &Client, pipeline: &str, stage: &str) -> Value {
    let state = state(client, pipeline);
    let stages = state["stageStates"].as_array().unwrap();
    stages.iter().find(|known| known["stageName"] == stage).unwrap().clone()
}

/// One action of it.
pub(crate) fn action(client: &Client, pipeline: &str, place: (&str, &str)) -> Value {
    let stage = stage(client, pipeline, place.0);
    let actions = stage["actionStates"].as_array().unwrap();
    actions.iter().find(|known| known["actionName"] == place.1).unwrap().clone()
}

/// Waits until an action's newest attempt has this status; returns it.
#[track_caller]
pub(crate) fn action_reaches(client: &Client, pipeline: &str, place: (&str, &str), status: &str) -> Value {
    let mut seen = Value::Null;
    let reached = eventually(SOON, || {
        seen = action(client, pipeline, place)["latestExecution"].clone();
        seen["status"] == status
    });
    assert!(reached, "{place:?} is not {status}: {seen:#}");
    seen
}

/// The ids of a pipeline's executions, newest first.
pub(crate) fn executions(client: &Client, pipeline: &str) -> Vec<Value> {
    let listed = client.call("ListPipelineExecutions", &json!({ "pipelineName": pipeline }));
    listed["pipelineExecutionSummaries"].as_array().unwrap().clone()
}

/// Creates a pipeline and waits for the end of the execution that this starts; returns its id.
#[track_caller]
pub(crate) fn create(client: &Client, definition: &Value, first_ends: &str) -> String {
    client.call("CreatePipeline", definition);
    let name = definition["pipeline"]["name"].as_str().unwrap();
    let first = executions(client, name)[0]["pipelineExecutionId"].as_str().unwrap().to_owned();
    reaches(client, name, &first, first_ends);
    first
}
