//! What became of a build, from the service's description of it.

use super::{super::clone_ref::unreadable, Failure};
use crate::{
    actions::{
        objects::ObjectsError,
        provider::{SUMMARY_CHARS_MAX, Task, configuration, cut, job_failed},
    },
    client::Service,
};
use engine::action::{InputArtifact, Success};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Names and values of one action's output variables together, as the API bounds them.
const VARIABLES_BYTES_MAX: usize = 122_880;
/// Lines of a build's log that are shown when it failed.
const LOG_LINES: usize = 10;
/// Characters of one of them.
const LOG_LINE_CHARS_MAX: usize = 300;

/// The build is not known any more.
pub(super) fn gone(id: &str) -> Failure {
    job_failed(format!("CodeBuild does not know the build `{id}` any more: it was deleted. Retry the stage."))
}

/// A build that went well: its exported variables, and whether it left what the action declares.
pub(super) async fn succeeded(
    task: &Task<'_>,
    build: &Value,
    id: &str,
    url: String,
) -> Result<Success, Failure> {
    for output in &task.job.outputs {
        match task.objects.head(&output.location).await {
            Ok(_) => {}
            Err(ObjectsError::Missing) => {
                let section = match task.job.outputs.len() {
                    1 => "`artifacts`".to_owned(),
                    _ => format!("`{}` under `secondary-artifacts`", super::identifier(output.name.as_str())),
                };
                let message = format!(
                    "The build {id} succeeded and left no output artifact `{}`: its buildspec needs {section}.",
                    output.name
                );
                return Err(of_build(configuration(message), id, url));
            }
            Err(error) => {
                let as_input = InputArtifact {
                    name: output.name.clone(),
                    location: output.location.clone(),
                    revision: None,
                };
                return Err(of_build(unreadable(task.who, &as_input, error), id, url));
            }
        }
    }
    let exported = build["exportedEnvironmentVariables"].as_array().map_or(&[][..], Vec::as_slice);
    let pair = |variable: &Value| {
        Some((
            variable["name"].as_str()?.to_owned(),
            variable["value"].as_str().unwrap_or_default().to_owned(),
        ))
    };
    let output_variables: BTreeMap<String, String> = exported.iter().filter_map(pair).collect();
    let bytes: usize = output_variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > VARIABLES_BYTES_MAX {
        let message = format!(
            "The build's exported variables have {bytes} bytes, more than {VARIABLES_BYTES_MAX}: export fewer."
        );
        return Err(of_build(job_failed(message), id, url));
    }
    Ok(Success {
        output_variables,
        summary: Some(format!("{} succeeded", called(build, id))),
        external_execution_id: Some(id.to_owned()),
        external_execution_url: Some(url),
        ..Success::default()
    })
}

/// A build that did not: which phase broke, why, its last lines, and where to read the rest.
pub(super) async fn failed(task: &Task<'_>, build: &Value, id: &str, status: &str, url: String) -> Failure {
    let mut message = format!("Build terminated with state: {status}.");
    if let Some((phase, code, text)) = broken(build) {
        message = format!("{message} Phase: {phase}, Code: {code}, Message: {}", ended(&text));
    }
    let logs = &build["logs"];
    if let Some(lines) = last_lines(task, logs).await {
        message = format!("{message}\nThe last lines of its log:\n{lines}");
    }
    if let Some(link) = logs["deepLink"].as_str().filter(|link| link.starts_with("https://")) {
        message = format!("{message}\nIts log: {link}");
    }
    let mut failure = of_build(job_failed(message), id, url);
    failure.summary = Some(cut(&format!("{} ended as {status}", called(build, id)), SUMMARY_CHARS_MAX));
    failure
}

fn of_build(mut failure: Failure, id: &str, url: String) -> Failure {
    failure.external_execution_id = Some(id.to_owned());
    failure.external_execution_url = Some(url);
    failure
}

/// `Build 7 of shop`, or by its id.
fn called(build: &Value, id: &str) -> String {
    let number = build["buildNumber"].as_i64().or(build["buildBatchNumber"].as_i64());
    let project = build["projectName"].as_str().or_else(|| id.split(':').next()).unwrap_or(id);
    match number {
        Some(number) => format!("Build {number} of {project}"),
        None => format!("Build {id}"),
    }
}

/// The phase that failed, with the service's code and words.
fn broken(build: &Value) -> Option<(String, String, String)> {
    let phases = build["phases"].as_array()?;
    let is_bad = |phase: &&Value| {
        let status = phase["phaseStatus"].as_str().unwrap_or_default();
        matches!(status, "FAILED" | "FAULT" | "TIMED_OUT" | "CLIENT_ERROR" | "STOPPED")
    };
    let phase = phases.iter().find(is_bad)?;
    let contexts = phase["contexts"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |context: &Value, key: &str| context[key].as_str().unwrap_or_default().to_owned();
    // The first context with words; some have a code alone.
    let context = contexts.iter().find(|context| !text(context, "message").is_empty()).or(contexts.first());
    let status = phase["phaseStatus"].as_str().unwrap_or_default().to_owned();
    let (code, message) = match context {
        Some(context) => (text(context, "statusCode"), text(context, "message")),
        None => (String::new(), String::new()),
    };
    let code = if code.is_empty() { status } else { code };
    Some((phase["phaseType"].as_str().unwrap_or("unknown").to_owned(), code, cut(&message, 2_000)))
}

/// The end of the log. Whoever may not read it gets the link alone.
async fn last_lines(task: &Task<'_>, logs: &Value) -> Option<String> {
    let (group, stream) = (logs["groupName"].as_str()?, logs["streamName"].as_str()?);
    let input = json!({
        "logGroupName": group,
        "logStreamName": stream,
        "limit": LOG_LINES,
        "startFromHead": false,
    });
    let answer = task.client.json(Service::CloudWatchLogs, "GetLogEvents", &input).await;
    let answer = answer.inspect_err(|error| tracing::info!(%error, "a build's log was not read")).ok()?;
    let lines: Vec<String> = answer["events"]
        .as_array()?
        .iter()
        .filter_map(|event| event["message"].as_str())
        .map(|line| cut(line.trim_end(), LOG_LINE_CHARS_MAX))
        .filter(|line| !line.is_empty())
        .collect();
    let skipped = lines.len().saturating_sub(LOG_LINES);
    (!lines.is_empty()).then(|| lines[skipped..].join("\n"))
}

fn ended(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}
