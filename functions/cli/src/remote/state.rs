//! `towpath state`.

use super::{Common, state_of, words};
use api::model::{ActionExecution, ActionState, GetPipelineStateOutput, StageExecution, StageState};
use clap::Parser;

/// Show where a pipeline of a Towpath elsewhere stands: its stages, actions, closed transitions, and who waits.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    pub common: Common,
}

/// Shows it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let state = state_of(&client, &args.name).await?;
    if !args.common.printed(&state)? {
        anstream::println!("{}", lines(&state, jiff::Timestamp::now()).join("\n"));
    }
    Ok(0)
}

fn lines(state: &GetPipelineStateOutput, now: jiff::Timestamp) -> Vec<String> {
    let name = state.pipeline_name.as_deref().unwrap_or("-");
    let version = state.pipeline_version.map(|version| format!(", version {version}")).unwrap_or_default();
    let mut lines = vec![format!("{name}{version}")];
    for stage in state.stage_states.iter().flatten() {
        stage_lines(name, stage, now, &mut lines);
    }
    lines
}

fn stage_lines(pipeline: &str, stage: &StageState, now: jiff::Timestamp, lines: &mut Vec<String>) {
    let name = stage.stage_name.as_deref().unwrap_or("-");
    if let Some(door) = stage.inbound_transition_state.as_ref().filter(|door| door.enabled == Some(false)) {
        let by = door.last_changed_by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        let why =
            door.disabled_reason.as_deref().map(|why| format!(": {}", words::line(why))).unwrap_or_default();
        lines.push(format!("  ── closed{by}, {}{why}", words::ago(door.last_changed_at, now)));
        lines.push(format!("     `towpath enable {pipeline} {name}` opens it"));
    }
    for waits in inbound(stage) {
        lines.push(format!("  {} waits here", words::short(&waits.pipeline_execution_id)));
    }
    lines.push(match &stage.latest_execution {
        Some(latest) => {
            let (status, id) = (latest.status.as_str(), words::short(&latest.pipeline_execution_id));
            format!("  {}  {name}  {id}", padded(status))
        }
        None => format!("  {}  {name}", padded("-")),
    });
    for action in stage.action_states.iter().flatten() {
        lines.push(action_line(pipeline, name, action, now));
    }
}

/// Those in front of a stage, each once: the service names the first of them twice.
fn inbound(stage: &StageState) -> Vec<&StageExecution> {
    let mut seen: Vec<&StageExecution> = Vec::new();
    for one in stage.inbound_executions.iter().flatten().chain(&stage.inbound_execution) {
        if !seen.iter().any(|known| known.pipeline_execution_id == one.pipeline_execution_id) {
            seen.push(one);
        }
    }
    seen
}

fn action_line(pipeline: &str, stage: &str, action: &ActionState, now: jiff::Timestamp) -> String {
    let name = action.action_name.as_deref().unwrap_or("-");
    let Some(latest) = &action.latest_execution else {
        return format!("    {}  {name}", padded("-"));
    };
    let status = latest.status.as_ref().map_or("-", |status| status.as_str());
    let note = note(pipeline, stage, name, latest).map(|note| format!("  {note}")).unwrap_or_default();
    format!("    {}  {name}  {}{note}", padded(status), words::ago(latest.last_status_change, now))
}

fn note(pipeline: &str, stage: &str, action: &str, latest: &ActionExecution) -> Option<String> {
    let is_going_on = latest.status.as_ref().is_some_and(|status| status.as_str() == "InProgress");
    if is_going_on && latest.token.is_some() {
        return Some(format!("waits for an answer: `towpath approve {pipeline} {stage}/{action}`"));
    }
    if let Some(error) = &latest.error_details {
        let code = error.code.as_deref().unwrap_or("failed");
        return Some(format!("{code}: {}", words::line(error.message.as_deref().unwrap_or_default())));
    }
    let summary = latest.summary.as_deref().map(words::summary_of).filter(|text| !text.is_empty());
    summary.or_else(|| latest.external_execution_id.clone()).map(|text| words::line(&text))
}

/// A status, as wide as the longest.
fn padded(status: &str) -> String {
    const WIDE: usize = "Superseded".len();
    format!("{}{}", words::status(status), " ".repeat(WIDE.saturating_sub(status.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn doors_queues_approvals_and_errors_are_told_with_the_next_step() {
        let state = serde_json::from_value(json!({
            "pipelineName": "shop", "pipelineVersion": 3,
            "stageStates": [
                { "stageName": "Gate",
                  "latestExecution": { "pipelineExecutionId": "11111111-x", "status": "InProgress" },
                  "actionStates": [{ "actionName": "Sign", "latestExecution": {
                      "status": "InProgress", "token": "t", "lastStatusChange": 0 } }] },
                { "stageName": "Live",
                  "inboundExecution": { "pipelineExecutionId": "22222222-x", "status": "InProgress" },
                  "inboundExecutions": [{ "pipelineExecutionId": "22222222-x", "status": "InProgress" }],
                  "inboundTransitionState": { "enabled": false, "disabledReason": "freeze", "lastChangedBy": "ada" },
                  "actionStates": [{ "actionName": "Ship", "latestExecution": {
                      "status": "Failed", "errorDetails": { "code": "JobFailed", "message": "no room\nmore" } } },
                      { "actionName": "Tell" }] },
            ],
        }))
        .unwrap();
        let now = jiff::Timestamp::from_second(120).unwrap();
        let text: Vec<String> = lines(&state, now)
            .iter()
            .map(|line| line.replace("\u{1b}[33m", "").replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""))
            .collect();
        assert_eq!(
            text,
            [
                "shop, version 3",
                "  InProgress  Gate  11111111",
                "    InProgress  Sign  2 min ago  waits for an answer: `towpath approve shop Gate/Sign`",
                "  ── closed by ada, -: freeze",
                "     `towpath enable shop Live` opens it",
                "  22222222 waits here",
                "  -           Live",
                "    Failed      Ship  -  JobFailed: no room",
                "    -           Tell",
            ]
        );
    }
}
