//! `towpath log`: everything that happened to one run, in order.

use super::{Past, Told, moment};
use clap::Parser;
use domain::story::{execution_words, lane_words};
use events::{ExecutionEvent, Timestamp, codec::Stored};
use serde_json::json;
use std::path::PathBuf;

/// Tell everything that happened to one run, in order.
///
/// The log is the truth: each line is an event of it. Reads the state folder, changes nothing, and may run beside a
/// server.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  towpath log shop              the newest run of the pipeline `shop`\n  \
                        towpath log shop~1            the one before it\n  \
                        towpath log 5a1c --format json | jq ."
)]
pub struct Args {
    /// An execution's id or the beginning of one; or a pipeline's name for its newest run, `NAME~1` for the one before.
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// The state folder.
    #[arg(long, value_name = "DIR", default_value = ".towpath")]
    dir: PathBuf,
    /// `text` for people, `json` for programs: one event a line, as stored.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: super::show::Format,
}

/// A line of the story.
struct Line {
    at: Timestamp,
    actor: String,
    words: String,
}

/// Tells it.
pub fn log(args: &Args) -> anyhow::Result<u8> {
    let past = Past::open(&args.dir)?;
    let meant = past.execution(&args.execution)?;
    let events = past.execution_events(&meant.id)?;
    match args.format {
        super::show::Format::Json => events.iter().for_each(print_json),
        super::show::Format::Text => {
            let of_lane = past.lane_events(&meant.pipeline)?;
            let lane = of_lane.into_iter().filter_map(|told| {
                let words = lane_words(&told.event, &meant.id)?;
                Some(Line { at: told.at, actor: told.actor, words })
            });
            let run = events.iter().map(|told| Line {
                at: told.at,
                actor: told.actor.clone(),
                words: execution_words(&told.event),
            });
            let mut lines: Vec<Line> = run.chain(lane).collect();
            // Stable: of one moment, what happened to the run comes before what its lane made of it.
            lines.sort_by_key(|line| line.at);
            anstream::println!("execution {} of {}", meant.id, meant.pipeline);
            print(&lines);
        }
    }
    Ok(0)
}

fn print(lines: &[Line]) {
    let Some(first) = lines.first() else { return };
    anstream::println!("{}", moment::full(first.at));
    let mut actor = String::new();
    for line in lines {
        // Said when it changes: most of a run is told by the system itself.
        let by = if line.actor == actor { String::new() } else { format!("   [{}]", line.actor) };
        actor.clone_from(&line.actor);
        let after = line.at.since(first.at) as f64 / 1000.0;
        anstream::println!("{} {after:>+9.3} s  {}{by}", moment::clock(line.at), line.words);
    }
}

fn print_json(told: &Told<ExecutionEvent>) {
    let body: serde_json::Value = serde_json::from_str(&told.event.body()).unwrap_or_default();
    let line = json!({
        "at": told.at.epoch_seconds(),
        "actor": told.actor,
        "type": told.event.kind(),
        "schema": told.event.schema(),
        "body": body,
    });
    anstream::println!("{line}");
}
