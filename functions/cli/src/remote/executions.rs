//! `towpath executions`.

use super::{Common, executions_of, table, words};
use api::model::{ListPipelineExecutionsOutput, PipelineExecutionSummary};
use clap::Parser;

/// Executions that can be asked for.
const LIMIT_MAX: u16 = 1_000;

/// List the executions of a pipeline of a Towpath elsewhere, newest first.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// How many, 1000 at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=i64::from(LIMIT_MAX)))]
    limit: u16,
    #[command(flatten)]
    pub common: Common,
}

/// Lists them.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let found = executions_of(&client, &args.name, usize::from(args.limit)).await?;
    let answer = ListPipelineExecutionsOutput {
        pipeline_execution_summaries: Some(found.clone()),
        ..ListPipelineExecutionsOutput::default()
    };
    if args.common.printed(&answer)? {
        return Ok(0);
    }
    if found.is_empty() {
        anstream::println!("`{}` has not run: `towpath start {}` starts it", args.name, args.name);
        return Ok(0);
    }
    let now = jiff::Timestamp::now();
    let rows: Vec<Vec<String>> = found.iter().map(|one| row(one, now)).collect();
    table::print(&["EXECUTION", "STATUS", "STARTED", "TOOK", "BY", "REVISION"], &rows);
    Ok(0)
}

fn row(one: &PipelineExecutionSummary, now: jiff::Timestamp) -> Vec<String> {
    let status = one.status.as_ref().map_or("-", |status| status.as_str());
    let goes_on = matches!(status, "InProgress" | "Stopping");
    let end =
        if goes_on { Some(now.as_millisecond()) } else { one.last_update_time.map(|at| at.as_millis()) };
    let took = match (one.start_time, end) {
        (Some(start), Some(end)) => words::span(end - start.as_millis()),
        _ => "-".to_owned(),
    };
    vec![
        words::short(one.pipeline_execution_id.as_deref().unwrap_or("-")).to_owned(),
        words::status(status),
        words::ago(one.start_time, now),
        took,
        words::trigger(one.trigger.as_ref()),
        words::revisions(one.source_revisions.as_deref().unwrap_or_default()),
    ]
}
