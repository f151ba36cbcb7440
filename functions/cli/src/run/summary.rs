//! How a run ended, for a person: one line, and for each failure the reason, the last lines and the log's path.

use super::shell_word;
use domain::{
    execution::{ActionStatus, ConditionStatus, Execution, ExecutionStatus, StageRun, StageStatus},
    pipeline::PipelineDeclaration,
};
use events::{ConditionType, ExecutionId, FailureCode, PipelineName, Timestamp};
use local::actions::{log_path, rule_log_path};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Lines of a failed action's log that are shown.
const LAST_LINES: usize = 15;
/// Bytes from the end of a log that are looked at for them.
const LAST_BYTES: u64 = 16 * 1024;

/// Prints it.
pub(super) fn print(definition: &PipelineDeclaration, id: &ExecutionId, execution: &Execution, state: &Path) {
    let took = execution
        .start
        .as_ref()
        .zip(execution.ended)
        .map(|(start, ended)| format!(" in {}", duration(start.at, ended)))
        .unwrap_or_default();
    let name = &definition.name;
    match execution.status {
        ExecutionStatus::Succeeded => anstream::println!("\n{name} succeeded{took} (execution {id})"),
        other => anstream::println!("\n{name}: {}{took} (execution {id})", other.as_str()),
    }
    let mocked: Vec<String> = attempts(execution)
        .filter(|(_, attempt)| attempt.mocked)
        .map(|(stage, attempt)| format!("{stage}/{}", attempt.action))
        .chain(execution.rules().filter(|(_, _, rule)| rule.mocked).map(|(stage, condition, rule)| {
            format!("{}/{} ({})", stage.stage, rule.rule, condition.condition.member())
        }))
        .collect();
    if !mocked.is_empty() {
        anstream::println!("  mocked, nothing was really done: {}", mocked.join(", "));
    }
    if let Some(cause) = &execution.cause {
        anstream::println!("  because: {cause}");
    }
    for stage in execution.stages.iter().filter(|stage| stage.status == StageStatus::Skipped) {
        let why = stage.condition(ConditionType::BeforeEntry).and_then(|gate| gate.summary.as_deref());
        anstream::println!(
            "  skipped: {} ({})",
            stage.stage,
            first_line(why.unwrap_or("its condition said so"))
        );
    }
    for (stage, attempt) in attempts(execution).filter(|(_, attempt)| attempt.status == ActionStatus::Failed)
    {
        if attempt.set_aside {
            continue;
        }
        failure(&format!("{stage}/{}", attempt.action), attempt.error.as_ref());
        let stage = &attempt_stage(execution, attempt);
        let Some(stage) = stage else { continue };
        log(&log_path(state, id, stage, &attempt.action, &attempt.action_execution));
    }
    for stage in execution.stages.iter().filter(|stage| stage.status == StageStatus::Failed) {
        conditions(&definition.name, id, stage, state);
    }
}

/// The gates that a failed stage did not pass, and how to pass them all the same.
fn conditions(pipeline: &PipelineName, id: &ExecutionId, stage: &StageRun, state: &Path) {
    for gate in [ConditionType::BeforeEntry, ConditionType::OnSuccess] {
        let shut = stage
            .condition(gate)
            .filter(|run| matches!(run.status, ConditionStatus::Failed | ConditionStatus::Errored));
        let Some(shut) = shut else { continue };
        for rule in shut.rules.iter().filter(|rule| rule.status == ActionStatus::Failed) {
            let name = format!("{}/{} ({})", stage.stage, rule.rule, gate.member());
            failure(&name, rule.error.as_ref());
            log(&rule_log_path(state, id, &stage.stage, gate, &rule.rule, &rule.rule_execution));
        }
        let kind = match gate {
            ConditionType::BeforeEntry => "BEFORE_ENTRY",
            ConditionType::OnSuccess | ConditionType::OnFailure => "ON_SUCCESS",
        };
        anstream::println!(
            "\n  To let it pass all the same, while `towpath up --dir {}` runs:\n    aws codepipeline \
             override-stage-condition --endpoint-url http://127.0.0.1:4500 --pipeline-name {pipeline} \
             --stage-name {} --pipeline-execution-id {id} --condition-type {kind}",
            shell_word(&state.display().to_string()),
            stage.stage
        );
    }
}

fn failure(name: &str, error: Option<&(FailureCode, String)>) {
    let (code, message) = match error {
        Some((code, message)) => (code.to_string(), message.as_str()),
        None => ("JobFailed".into(), "no reason was given"),
    };
    anstream::println!("\n  {name} failed ({code}):");
    message.lines().for_each(|line| anstream::println!("    {line}"));
}

fn log(path: &Path) {
    let last = last_lines(path);
    if !last.is_empty() {
        anstream::println!("  last lines of its log:");
        last.iter().for_each(|line| anstream::println!("    | {line}"));
    }
    if path.exists() {
        anstream::println!("  whole log: {}", path.display());
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(160).collect()
}

fn attempts(execution: &Execution) -> impl Iterator<Item = (String, &domain::execution::AttemptRun)> {
    execution
        .stages
        .iter()
        .flat_map(|stage| stage.attempts.iter().map(move |attempt| (stage.stage.to_string(), attempt)))
}

fn attempt_stage(
    execution: &Execution,
    attempt: &domain::execution::AttemptRun,
) -> Option<events::StageName> {
    execution.attempt(&attempt.action_execution).map(|(stage, _)| stage.stage.clone())
}

/// The time between two moments, for people.
pub(crate) fn duration(from: Timestamp, to: Timestamp) -> String {
    let millis = to.since(from);
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", millis as f64 / 1000.0),
        _ => format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

fn last_lines(path: &Path) -> Vec<String> {
    let Ok(mut file) = File::open(path) else { return Vec::new() };
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(length.saturating_sub(LAST_BYTES)))
        .and_then(|_| file.take(LAST_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    // Control characters of a program's output must not reach the terminal.
    let plain = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>();
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
}
