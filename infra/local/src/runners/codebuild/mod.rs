//! CodeBuild and compute actions on this machine: a buildspec's phases as processes.
//!
//! One build is: a fresh workspace, the inputs unpacked into it, an environment, the phases, reports,
//! artifacts. Builds run with the rights of whoever started Towpath; this is no boundary against hostile
//! code. What a build leaves running is ended with it.

mod build;
mod buildspec;
mod cache;
mod environment;
mod order;
mod outputs;
mod phases;
mod reports;
mod secrets;
mod shell;
mod workspace;

pub use buildspec::{Buildspec, BuildspecError};

use super::Site;
use crate::output::ActionLog;
use buildspec::PhaseName;
use engine::action::{ActionJob, Failure, FailureCode, Outcome};
use std::fmt;

/// Commands in messages are cut to this.
const COMMAND_CHARS_MAX: usize = 1_000;
/// The contract's bound on a failure's message.
const MESSAGE_CHARS_MAX: usize = 5_000;

/// Carries out a CodeBuild action: the project's buildspec, with the project's settings from `towpath.toml`.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    match order::of_project(job, site) {
        Ok(order) => build::build(&order).await,
        Err(message) => misconfigured(site, message),
    }
}

/// Carries out a Commands action: its commands as the build phase of a buildspec made for them.
pub async fn run_commands(job: &ActionJob, site: &Site) -> Outcome {
    match order::of_commands(job, site) {
        Ok(order) => build::build(&order).await,
        Err(message) => misconfigured(site, message),
    }
}

fn misconfigured(site: &Site, message: String) -> Outcome {
    site.log.line(&message);
    Outcome::Failed(Failure::new(FailureCode::ConfigurationError, message))
}

/// The phases a build can break in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    DownloadSource,
    Commands(PhaseName),
    UploadArtifacts,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DownloadSource => f.write_str("DOWNLOAD_SOURCE"),
            Self::Commands(name) => name.fmt(f),
            Self::UploadArtifacts => f.write_str("UPLOAD_ARTIFACTS"),
        }
    }
}

/// How a build that did not succeed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Failed,
    TimedOut,
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "STOPPED",
        })
    }
}

/// Why and where a build broke.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    phase: Phase,
    state: State,
    /// The service's word: `COMMAND_EXECUTION_ERROR`, `YAML_FILE_ERROR`, …
    code: &'static str,
    class: FailureCode,
    message: String,
}

impl Broken {
    fn new(phase: Phase, code: &'static str, class: FailureCode, message: impl Into<String>) -> Self {
        Self { phase, state: State::Failed, code, class, message: message.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, state, code, message, .. } = self;
        write!(f, "Build terminated with state: {state}. Phase: {phase}, Code: {code}, Message: {message}")
    }
}

/// The runner's own lines in the log, in the service's form.
#[derive(Clone)]
struct Voice {
    log: ActionLog,
}

impl Voice {
    fn say(&self, text: &str) {
        let now = jiff::Timestamp::now().strftime("%Y/%m/%d %H:%M:%S%.6f");
        self.log.line(&format!("[Container] {now} {text}"));
    }

    fn phase_complete(&self, phase: Phase, broken: Option<&Broken>) {
        let (state, code, message) = match broken {
            None => ("SUCCEEDED".to_owned(), "", ""),
            Some(broken) => (broken.state.to_string(), broken.code, broken.message.as_str()),
        };
        self.say(&format!("Phase complete: {phase} State: {state}"));
        self.say(&format!("Phase context status code: {code} Message: {message}"));
    }
}

/// A command for a message: whole unless it is very long.
fn short(text: &str) -> String {
    match text.char_indices().nth(COMMAND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
