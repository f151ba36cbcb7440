//! `towpath diff`: what differs between two runs.

use super::{Past, show::Format};
use clap::Parser;
use domain::{execution::Execution, pipeline::PipelineDeclaration, story};
use events::{ExecutionEvent, ExecutionId, Timestamp};
use std::{path::PathBuf, sync::Arc};

/// Say what differs between two runs: revisions, variables, definition, outputs, durations, first differing event.
///
/// Reads the state folder, changes nothing, and may run beside a server.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  towpath diff shop~1 shop        the newest run of `shop` against the one before it"
)]
pub struct Args {
    /// An execution's id or the beginning of one; or a pipeline's name for its newest run, `NAME~1` for the one before.
    #[arg(value_name = "A")]
    a: String,
    /// The other run, named in the same way.
    #[arg(value_name = "B")]
    b: String,
    /// The state folder.
    #[arg(long, value_name = "DIR", default_value = ".towpath")]
    dir: PathBuf,
    /// `text` for people, `json` for programs.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// A run as it was read.
struct Read {
    id: ExecutionId,
    execution: Execution,
    definition: Option<Arc<PipelineDeclaration>>,
    events: Vec<(Timestamp, ExecutionEvent)>,
}

/// Says it; 0 when nothing but durations differs, 1 otherwise.
pub fn diff(args: &Args) -> anyhow::Result<u8> {
    let past = Past::open(&args.dir)?;
    let (a, b) = (read(&past, &args.a)?, read(&past, &args.b)?);
    let found = story::diff(&a.run(), &b.run());
    let same = found.iter().all(|difference| difference.kind == "duration");
    if args.format == Format::Json {
        anstream::println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(u8::from(!same));
    }
    anstream::println!("a: {}\nb: {}", a.id, b.id);
    let mut kind = "";
    for difference in &found {
        if difference.kind != kind {
            kind = difference.kind;
            anstream::println!("{kind}");
        }
        let side = |text: &Option<String>| text.as_deref().map_or("(none)".to_owned(), shown);
        let of = if difference.of.is_empty() { String::new() } else { format!("{}: ", difference.of) };
        anstream::println!("  {of}{} → {}", side(&difference.a), side(&difference.b));
    }
    if same {
        anstream::println!("nothing but durations differs");
    }
    Ok(u8::from(!same))
}

fn read(past: &Past, text: &str) -> anyhow::Result<Read> {
    let meant = past.execution(text)?;
    let (execution, events) = past.run_at(&meant.id, None)?;
    let definition = past.definition_of(&execution)?;
    let events = events.into_iter().map(|told| (told.at, told.event)).collect();
    Ok(Read { id: meant.id, execution, definition, events })
}

impl Read {
    fn run(&self) -> story::Run<'_> {
        story::Run {
            id: &self.id,
            execution: &self.execution,
            definition: self.definition.as_deref(),
            events: &self.events,
        }
    }
}

/// One line of a value, cut; control characters must not reach the terminal.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    if text.chars().count() > CHARS_MAX { format!("{plain}…") } else { plain }
}
