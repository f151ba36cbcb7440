//! `towpath audit`: recomputes the hash chain of every stream, and exports it.

use crate::past::{
    Past,
    bundle::{self, Counted},
};
use anyhow::Context;
use clap::{Parser, Subcommand};
use events::{PipelineName, Timestamp};
use std::{
    fs::File,
    io::{BufReader, BufWriter},
    path::{Path, PathBuf},
};

/// Check the history of a state folder, or take it along as a file that betrays every change.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Recompute the hash chain of every stream; changes nothing, and may run beside a running server.
    Verify {
        /// The state folder.
        #[arg(long, value_name = "DIR", default_value = ".towpath")]
        dir: PathBuf,
        /// Check this exported bundle instead; no state folder is needed.
        #[arg(long, value_name = "FILE", conflicts_with = "dir")]
        bundle: Option<PathBuf>,
    },
    /// Write every commit, with its hash, into one file: `towpath audit verify --bundle FILE` checks it anywhere.
    ///
    /// Changes nothing, and may run beside a running server. Secrets are not in the log, so not in the file.
    Export {
        /// The state folder.
        #[arg(long, value_name = "DIR", default_value = ".towpath")]
        dir: PathBuf,
        /// Only this pipeline: its definitions, its lane and all its executions.
        #[arg(long, value_name = "NAME")]
        pipeline: Option<String>,
        /// The file, which must not exist yet.
        #[arg(long, value_name = "FILE", default_value = "towpath-audit.jsonl")]
        out: PathBuf,
    },
}

/// Runs it; 0 when every commit is what was written.
pub fn audit(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Verify { bundle: Some(bundle), .. } => verify_bundle(bundle),
        What::Verify { dir, bundle: None } => verify(dir),
        What::Export { dir, pipeline, out } => export(dir, pipeline.as_deref(), out),
    }
}

fn verify(dir: &Path) -> anyhow::Result<u8> {
    let path = dir.join(local::log::LOG_FILE);
    anyhow::ensure!(
        path.exists(),
        "there is no log at `{}`; name the state folder with `--dir`",
        path.display()
    );
    let verified = local::log::verify_file(&path, |_, _| {})?;
    for damage in &verified.damages {
        anstream::println!("damaged: {damage}");
    }
    anstream::println!(
        "{} streams, {} commits, {} events; {} damaged",
        verified.streams,
        verified.commits,
        verified.events,
        verified.damages.len()
    );
    Ok(u8::from(!verified.damages.is_empty()))
}

fn verify_bundle(path: &Path) -> anyhow::Result<u8> {
    let file = File::open(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    match bundle::verify(BufReader::new(file)) {
        Ok(counted) => {
            print(&counted, "0 damaged");
            Ok(0)
        }
        Err(error) => {
            anstream::println!("damaged: {error:#}");
            Ok(1)
        }
    }
}

fn export(dir: &Path, pipeline: Option<&str>, out: &Path) -> anyhow::Result<u8> {
    let pipeline = pipeline.map(PipelineName::parse).transpose()?;
    let past = Past::open(dir)?;
    let file = File::create_new(out).with_context(|| {
        format!(
            "`{}` cannot be made: an export never writes over a file; name another with `--out`",
            out.display()
        )
    })?;
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    let counted =
        bundle::export(&past, pipeline.as_ref(), now, &mut BufWriter::new(&file)).inspect_err(|_| {
            // Half a bundle is worth nothing, and would stand in the way of the next.
            drop(std::fs::remove_file(out));
        })?;
    file.sync_all()?;
    print(&counted, &format!("written to {}", out.display()));
    Ok(0)
}

fn print(counted: &Counted, what: &str) {
    anstream::println!(
        "{} streams, {} commits, {} events; {what}",
        counted.streams,
        counted.commits,
        counted.events
    );
}
