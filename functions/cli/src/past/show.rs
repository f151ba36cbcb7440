//! `towpath show`: a run as it stood at any moment.

use super::{Past, moment};
use crate::run::duration;
use clap::{Parser, ValueEnum};
use domain::{
    execution::{ActionStatus, AttemptRun, ConditionRun, Execution, StageRun},
    pipeline::PipelineDeclaration,
    story::{self, Subject},
};
use events::Timestamp;
use std::path::PathBuf;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Show one run as it stood at any moment.
///
/// Folded from the log's events up to then, so that every moment of the past can be looked at. Reads the state
/// folder, changes nothing, and may run beside a server.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  towpath show shop                       the newest run of `shop`, as it stands\n  \
                        towpath show shop --at +2.5s            as it stood 2.5 seconds after its start\n  \
                        towpath show 5a1c --at 10:15:30         at a time of today\n  \
                        towpath show 5a1c --at 2026-11-20T17:00:00Z"
)]
pub struct Args {
    /// An execution's id or the beginning of one; or a pipeline's name for its newest run, `NAME~1` for the one before.
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// The moment; now, without it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// The state folder.
    #[arg(long, value_name = "DIR", default_value = ".towpath")]
    dir: PathBuf,
    /// `text` for people, `json` for programs.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Shows it.
pub fn show(args: &Args) -> anyhow::Result<u8> {
    let past = Past::open(&args.dir)?;
    let meant = past.execution(&args.execution)?;
    let (whole, _) = past.run_at(&meant.id, None)?;
    let start = whole.start.as_ref().map(|start| start.at);
    let now = jiff::Zoned::now();
    let asked = args.at.as_deref().map(|text| moment::parse(text, start, &now)).transpose()?;
    let (execution, _) = past.run_at(&meant.id, asked)?;
    let at = asked.unwrap_or(Timestamp(now.timestamp().as_millisecond()));
    if !execution.exists() {
        let began = start.map(moment::full).unwrap_or_default();
        anyhow::bail!(
            "execution {} had not started at {}: it started at {began}",
            meant.id,
            moment::full(at)
        );
    }
    if args.format == Format::Json {
        anstream::println!("{}", serde_json::to_string_pretty(&execution)?);
        return Ok(0);
    }
    let after = start.map(|start| format!(", {} after its start", duration(start, at))).unwrap_or_default();
    let when = asked.map(|at| format!(" at {}{after}", moment::full(at))).unwrap_or_default();
    anstream::println!("execution {} of {}{when}: {}", meant.id, meant.pipeline, execution.status.as_str());
    if let Some(words) = execution.start.as_ref().and_then(|start| story::policy_words(&start.policy)) {
        anstream::println!("policy: {words}");
    }
    let definition = past.definition_of(&execution)?;
    tree(&execution, definition.as_deref(), at);
    let lane = past.lane_at(&meant.pipeline, asked)?;
    let pipeline = past.pipeline_at(&meant.pipeline, asked)?;
    let subject = Subject { id: &meant.id, execution: &execution, lane: &lane, pipeline: &pipeline, now: at };
    anstream::println!("why: {}", story::why(&subject, |_| None).sentence);
    Ok(0)
}

fn tree(execution: &Execution, definition: Option<&PipelineDeclaration>, at: Timestamp) {
    for stage in &execution.stages {
        let took = duration(stage.started, stage.ended.unwrap_or(at));
        anstream::println!("  {:<11} {}  {took}", stage.status.as_str(), stage.stage);
        stage.conditions.iter().for_each(|condition| gate(condition, at));
        stage.attempts.iter().for_each(|attempt| line(stage, attempt, at));
    }
    let entered = |name: &events::StageName| execution.stage(name).is_some();
    let left = definition.into_iter().flat_map(|definition| &definition.stages);
    for stage in left.filter(|stage| !entered(&stage.name)) {
        anstream::println!("  {:<11} {}", "-", stage.name);
    }
}

fn gate(condition: &ConditionRun, at: Timestamp) {
    let aside = if condition.set_aside { " (asked earlier)" } else { "" };
    anstream::println!("    {:<11} {}{aside}", condition.status.as_str(), condition.condition.member());
    for rule in &condition.rules {
        let end = if rule.status == ActionStatus::InProgress { at } else { rule.updated };
        let note = match (&rule.error, &rule.summary) {
            (Some((code, message)), _) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
            (None, summary) => {
                summary.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().into()
            }
        };
        let took = duration(rule.started, end);
        anstream::println!("      {:<11} {}  {took}  {note}", rule.status.as_str(), rule.rule);
    }
}

fn line(stage: &StageRun, attempt: &AttemptRun, at: Timestamp) {
    let end = if attempt.status == ActionStatus::InProgress { at } else { attempt.updated };
    let note = match (&attempt.error, &attempt.summary) {
        (Some((code, message)), _) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
        (None, Some(summary)) => summary.lines().next().unwrap_or_default().to_owned(),
        (None, None) => String::new(),
    };
    let again = stage.attempts.iter().filter(|other| other.action == attempt.action).count() > 1;
    let aside = if again && attempt.set_aside { " (an earlier attempt)" } else { "" };
    let took = duration(attempt.started, end);
    anstream::println!("    {:<11} {}{aside}  {took}  {note}", attempt.status.as_str(), attempt.action);
}
