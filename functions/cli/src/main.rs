//! `towpath`: real pipelines on one machine.
//!
//! Wiring only: commands are parsed here, adapters are put together in `machine`, and what happens is decided by
//! `handlers` and below.

#![allow(unreachable_pub, reason = "a binary has no public items; `pub` marks what a module offers")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people talks to them")]

mod audit;
mod client;
mod credentials;
mod damage;
mod definition_file;
mod import;
mod inbound;
mod lint;
mod machine;
mod memory;
mod moving;
mod objects;
mod outward;
mod past;
mod progress;
mod proxy;
mod remote;
mod run;
mod server;
mod setup;
mod signals;
mod trigger;
mod up;

use clap::{Parser, Subcommand};
use client::endpoint::Reach;
use std::{io::IsTerminal, process::ExitCode};

/// The commands by where they work, as `--help` has them.
const COMMANDS: &str = "\
On this machine:
  run             run a pipeline in the repository you stand in
  up              serve the CodePipeline API on this machine
  why             say why a pipeline or an execution is where it is
  log, show       the events of a run; a run as it stood at any moment
  diff            how two runs differ
  lint            say what a definition will suffer from
  explain-trigger say which pipelines an event would start
  audit           export and verify the log

On a Towpath elsewhere, or on CodePipeline (`--url`, TOWPATH_URL, `--profile`):
  pipelines       list pipelines
  state           where a pipeline stands
  executions      what ran
  put             create a pipeline out of a file, or update it
  start, stop     start and stop an execution
  approve         answer an approval; `--reject` says no
  retry, rollback try a failed stage again; take a stage back to an earlier execution
  disable, enable close and open the transition into a stage

Getting there:
  import          write a live pipeline into a file, or all of them into a folder
  move            have a Towpath run pipelines of CodePipeline, step by step and back
  aws-setup       teach `aws` and boto3 to reach a function URL, by a profile
  proxy           let any AWS client reach a function URL, at an address on this machine
  credentials     print the keys of a profile, as `credential_process` wants them";

/// Runs CodePipeline pipelines, on this machine and elsewhere.
#[derive(Parser)]
#[command(
    name = "towpath",
    version,
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}",
    before_help = COMMANDS,
    after_help = "What each resource of a pipeline is on this machine stands in `towpath.toml` beside it; without \
                  the file, sensible defaults hold. `towpath COMMAND --help` says more."
)]
struct Cli {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: Command,
}

// No words here: those of a variant would hide the longer ones that each command has of its own.
#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Remote(remote::Command),
    Proxy(proxy::Args),
    AwsSetup(setup::Args),
    Credentials(setup::credentials::Args),
    Run(run::Args),
    Up(up::Args),
    Import(import::Args),
    Move(moving::Args),
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
        let reach = cli.reach;
        match cli.command {
            Command::Remote(command) => remote::run(command, reach).await,
            Command::Proxy(args) => proxy::proxy(args, reach).await,
            Command::AwsSetup(args) => setup::setup(args, reach),
            Command::Credentials(args) => setup::credentials::credentials(args, reach).await,
            Command::Import(args) => import::import(args, reach).await,
            Command::Move(args) => moving::run(args, reach).await,
            _ if !reach.is_empty() => anyhow::bail!(
                "this command works on this machine: `--url`, `--codepipeline`, `--profile`, `--region` and `--sign-for` \
                 before it are for those that speak to a Towpath elsewhere"
            ),
            Command::Run(args) => run::run(args).await,
            Command::Up(args) => up::up(args).await,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_help_names_every_command() {
        let words: Vec<&str> = COMMANDS.split(|c: char| c.is_whitespace() || c == ',').collect();
        for command in Cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(words.contains(&command.get_name()), "{}", command.get_name());
        }
        Cli::command().debug_assert();
    }
}
