//! `towpath`: real pipelines on one machine.
//!
//! Wiring only: commands are parsed here, adapters are put together in `machine`, and what happens is decided by
//! `handlers` and below.

#![allow(unreachable_pub, reason = "a binary has no public items; `pub` marks what a module offers")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people talks to them")]

mod audit;
mod credentials;
mod damage;
mod definition_file;
mod import;
mod inbound;
mod lint;
mod machine;
mod memory;
mod objects;
mod outward;
mod past;
mod progress;
mod run;
mod server;
mod signals;
mod trigger;
mod up;

use clap::{Parser, Subcommand};
use std::{io::IsTerminal, process::ExitCode};

/// Runs CodePipeline pipelines on this machine, for real.
#[derive(Parser)]
#[command(
    name = "towpath",
    version,
    after_help = "Start here:\n  towpath run pipeline.json           run a pipeline in the repository you stand in\n  \
                  towpath up                          serve the CodePipeline API on this machine\n  \
                  towpath why NAME                    say why a pipeline or an execution is where it is\n  \
                  towpath lint pipeline.json          say what a definition will suffer from\n\n\
                  What each resource of a pipeline is on this machine stands in `towpath.toml` beside it; without \
                  the file, sensible defaults hold."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// No words here: those of a variant would hide the longer ones that each command has of its own.
#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Up(up::Args),
    Import(import::Args),
    Why(past::why::Args),
    Log(past::log::Args),
    Show(past::show::Args),
    Diff(past::diff::Args),
    Audit(audit::Args),
    Lint(lint::Args),
    ExplainTrigger(inbound::explain::Args),
}

fn main() -> ExitCode {
    memory::save();
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("TOWPATH_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("towpath: the system gives no threads to work with: {error}");
            return ExitCode::from(2);
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(args).await,
            Command::Up(args) => up::up(args).await,
            Command::Import(args) => import::import(args).await,
            Command::Why(args) => past::why::why(&args),
            Command::Log(args) => past::log::log(&args),
            Command::Show(args) => past::show::show(&args),
            Command::Diff(args) => past::diff::diff(&args),
            Command::Audit(args) => audit::audit(&args),
            Command::Lint(args) => lint::lint(&args),
            Command::ExplainTrigger(args) => inbound::explain::explain(&args).await,
        }
    });
    // A question that was interrupted still waits for its line: the process does not.
    runtime.shutdown_background();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            anstream::eprintln!("towpath: {}", in_words(&error));
            ExitCode::from(2)
        }
    }
}

/// An error with its causes, up to the first that was told already, and what to do about a damaged history.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let told = cause.to_string();
        if words.contains(&told) {
            break;
        }
        words = if words.is_empty() { told } else { format!("{words}: {told}") };
    }
    if damage::is_damage(error) {
        words.push_str(
            "\n  nothing was changed; `towpath audit verify` lists all damage: restore the log from a backup, or \
             use another state folder",
        );
    }
    words
}

/// The command line as typed, for whoever finds a folder locked by it. `--credentials` is a secret, and the value of
/// a `--param` may be one.
fn command_line() -> String {
    let mut before = String::new();
    let shown = std::env::args().map(|argument| {
        let before = std::mem::replace(&mut before, argument.clone());
        match (before.as_str(), argument.split_once('=')) {
            ("--credentials", _) => "***".to_owned(),
            (_, Some(("--credentials", _))) => "--credentials=***".to_owned(),
            ("--param", Some((key, _))) => format!("{key}=***"),
            (_, Some(("--param", pair))) => {
                format!("--param={}=***", pair.split_once('=').map_or(pair, |(key, _)| key))
            }
            _ => argument,
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}
