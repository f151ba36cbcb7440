//! `towpath audit verify`: recomputes the hash chain of every stream.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Check the history of a state folder.
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
    },
}

/// Runs it; 0 when every commit is what was written.
pub fn audit(args: &Args) -> anyhow::Result<u8> {
    let What::Verify { dir } = &args.what;
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
