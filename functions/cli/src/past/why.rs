//! `towpath why`: one sentence, and the chain of causes.

use super::{Past, show::Format};
use anyhow::Context;
use clap::Parser;
use domain::{
    execution::Execution,
    story::{self, Neighbour, Subject, Why},
};
use events::{ExecutionId, PipelineName, Timestamp};
use std::{collections::BTreeMap, path::PathBuf};

/// Say why a run or a pipeline is where it is: started, not started, waiting, superseded, failed, stopped.
///
/// Reads the state folder, changes nothing, and may run beside a server.
#[derive(Parser)]
#[command(after_help = "Examples:\n  towpath why shop            the pipeline `shop`\n  \
                        towpath why 5a1c            the execution whose id begins so")]
pub struct Args {
    /// A pipeline's name, or an execution's id or the beginning of one; `NAME~1` is the run before the newest.
    #[arg(value_name = "PIPELINE|EXECUTION")]
    subject: String,
    /// The state folder.
    #[arg(long, value_name = "DIR", default_value = ".towpath")]
    dir: PathBuf,
    /// `text` for people, `json` for programs: `cause`, `sentence`, `because`, `next`.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Says it.
pub fn why(args: &Args) -> anyhow::Result<u8> {
    let past = Past::open(&args.dir)?;
    let answer = answer(&past, &args.subject)?;
    match args.format {
        Format::Json => anstream::println!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Text => {
            anstream::println!("{}", capital(&answer.sentence));
            answer.because.iter().for_each(|cause| anstream::println!("  because {cause}"));
            answer.next.iter().for_each(|step| anstream::println!("  next: {step}"));
        }
    }
    Ok(0)
}

fn answer(past: &Past, subject: &str) -> anyhow::Result<Why> {
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    if let Ok(name) = PipelineName::parse(subject) {
        let pipeline = past.pipeline_at(&name, None)?;
        let known = pipeline.current.is_some() || pipeline.incarnation > 0;
        if known {
            let lane = past.lane_at(&name, None)?;
            let newest = past.runs(&name)?.into_values().next_back();
            let newest = newest.map(|id| past.run_at(&id, None).map(|(run, _)| (id, run))).transpose()?;
            let neighbours = neighbours(past, &lane, newest.as_ref().map(|(_, run)| run))?;
            let find = |id: &ExecutionId| neighbours.get(id);
            let newest = newest.as_ref().map(|(id, execution)| Neighbour { id, execution });
            let triggers = past.triggers(&name)?;
            return Ok(story::why_pipeline(&name, &pipeline, &lane, &triggers, newest, now, find));
        }
    }
    let meant = past.execution(subject)?;
    let (execution, _) = past.run_at(&meant.id, None)?;
    let lane = past.lane_at(&meant.pipeline, None)?;
    let pipeline = past.pipeline_at(&meant.pipeline, None)?;
    let neighbours = neighbours(past, &lane, Some(&execution))?;
    let subject = Subject { id: &meant.id, execution: &execution, lane: &lane, pipeline: &pipeline, now };
    Ok(story::why(&subject, |id| neighbours.get(id)))
}

/// The runs an answer may speak of: those under way, and the one that took this one's place.
fn neighbours(
    past: &Past,
    lane: &domain::lane::Lane,
    run: Option<&Execution>,
) -> anyhow::Result<BTreeMap<ExecutionId, Execution>> {
    let newer = run.and_then(|run| run.cause.as_deref()).and_then(|cause| ExecutionId::parse(cause).ok());
    let ids = lane.under_way().into_iter().cloned().chain(newer);
    let read = |id: ExecutionId| {
        let (run, _) = past.run_at(&id, None).with_context(|| format!("execution {id}"))?;
        Ok((id, run))
    };
    ids.map(read).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
