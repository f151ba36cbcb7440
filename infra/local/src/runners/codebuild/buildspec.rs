//! The buildspec: what a build does, read from YAML (`spec/buildspec-and-appspec.md`, A2).
//!
//! Reading is strict where a mistake would silently change a build (unknown phases, duplicate keys, commands
//! that are no text) and lenient where the service is: a key nobody knows is a warning.

mod read;

use crate::yaml::{self, Flaw};
use regex_automata::meta::Regex;
use std::fmt;

/// A buildspec that cannot be used: where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: {message}")]
pub struct BuildspecError {
    /// The file's path in the source, or words for an inline buildspec.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong and what is expected.
    pub message: String,
}

/// A whole buildspec.
#[derive(Debug, Clone, Default)]
pub struct Buildspec {
    /// Version 0.1: each command starts afresh, with the first environment and directory.
    pub forgets_state: bool,
    /// The user all phases run as.
    pub run_as: Option<String>,
    /// `env`.
    pub env: Env,
    /// The phases in their fixed order; absent ones succeed without doing anything.
    pub phases: [Option<Phase>; 4],
    /// `reports`.
    pub reports: Vec<Report>,
    /// `artifacts`.
    pub artifacts: Option<Artifacts>,
    /// `cache`.
    pub cache: Option<Cache>,
    /// The line of a `batch` section, if there is one.
    pub batch_line: Option<usize>,
    /// What was ignored, for the log.
    pub warnings: Vec<String>,
}

/// `env`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    /// The shell for commands.
    pub shell: Shell,
    /// Plain variables, spelled as in the file.
    pub variables: Vec<(String, String)>,
    /// Variables to parameter names.
    pub parameter_store: Vec<(String, String)>,
    /// Variables to secret references.
    pub secrets_manager: Vec<(String, String)>,
    /// Names to publish after POST_BUILD.
    pub exported: Vec<String>,
}

/// `env.shell`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shell {
    /// `/bin/sh`.
    #[default]
    Sh,
    /// `bash`, wherever `PATH` has it.
    Bash,
}

/// The phases commands run in, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the service's own words")]
pub(super) enum PhaseName {
    Install,
    PreBuild,
    Build,
    PostBuild,
}

impl PhaseName {
    /// In their order, which no file can change.
    pub(super) const ALL: [Self; 4] = [Self::Install, Self::PreBuild, Self::Build, Self::PostBuild];

    fn key(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::PreBuild => "pre_build",
            Self::Build => "build",
            Self::PostBuild => "post_build",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
        })
    }
}

/// One phase.
#[derive(Debug, Clone, Default)]
pub struct Phase {
    /// The user this phase runs as.
    pub run_as: Option<String>,
    /// What its failure leads to.
    pub on_failure: OnFailure,
    /// Run in order until one fails.
    pub commands: Vec<String>,
    /// Run afterwards in any case.
    pub finally: Vec<String>,
    /// Toolchains asked for: name and version.
    pub runtimes: Vec<(String, String)>,
}

/// `on-failure`.
#[derive(Debug, Clone, Default)]
pub enum OnFailure {
    /// What the phase itself stands for: see `spec/buildspec-and-appspec.md`, A3.
    #[default]
    Unset,
    /// The build ends.
    Abort,
    /// The next phase runs.
    Continue,
    /// The whole build runs again, from a fresh checkout.
    Retry {
        /// 0 to 100 further runs.
        times: u32,
        /// Only when the error's text matches; boxed for its size.
        matching: Option<Box<Regex>>,
    },
}

/// One group of `reports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name or ARN.
    pub group: String,
    /// Patterns.
    pub files: Vec<String>,
    /// Relative to the source directory.
    pub base_directory: Option<String>,
    /// Upper case; `JUNITXML` unless given.
    pub format: String,
}

/// `artifacts`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// What the only output artifact holds.
    pub primary: ArtifactFiles,
    /// Output artifacts by identifier, when an action has several.
    pub secondary: Vec<(String, ArtifactFiles)>,
}

/// What one artifact holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactFiles {
    /// Patterns.
    pub files: Vec<String>,
    /// Relative to the source directory; may have wildcards.
    pub base_directory: Option<String>,
    /// Patterns of what to leave out.
    pub exclude: Vec<String>,
    /// Keep file names, forget folders.
    pub discard_paths: bool,
    /// Keep links that stay inside.
    pub enable_symlinks: bool,
}

/// `cache`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// Names one state of the cache; may hold shell substitutions.
    pub key: Option<String>,
    /// Prefixes of keys to fall back to.
    pub fallback_keys: Vec<String>,
    /// `restore`.
    pub restores: bool,
    /// `save`.
    pub saves: bool,
    /// Patterns.
    pub paths: Vec<String>,
}

impl Buildspec {
    /// Reads a buildspec; `name` is how errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, BuildspecError> {
        let at = |flaw: Flaw| BuildspecError {
            name: name.to_owned(),
            line: flaw.place.line,
            column: flaw.place.column,
            message: flaw.message,
        };
        let root = yaml::parse(text).map_err(at)?;
        read::buildspec(name, root.as_ref()).map_err(at)
    }
}

#[cfg(test)]
mod tests;
