//! The port behind which each provider stands, and what it is handed.
//!
//! A provider begins work, asks how it goes, and asks for it to be stopped. It keeps nothing: whatever it must know
//! later stands in the job, or at the service under the attempt's id. Each of its methods may be called twice, and
//! by another process than before.

use super::{failure, lend::Lend, objects::Objects};
use crate::client::{CallError, Client};
use domain::catalogue;
use engine::action::{ActionJob, Begun, Failure, FailureCode, InputArtifact, OutputArtifact, Success};
use events::Timestamp;
use std::{path::Path, pin::Pin, time::Duration};

/// One provider of action types. Another one is a file beside this one and a line in the table of `mod.rs`.
pub trait Provider: Send + Sync + 'static {
    /// Begins the work. Where the service takes a token, the attempt's id is the token.
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step>;

    /// Asks how work goes that was begun under this id.
    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        let _ = (task, id);
        // Who never says that work has begun is never asked how it goes; should it happen, the work is done again.
        self.start(task)
    }

    /// The id of work that an attempt may have begun before its process died. `None` when there is none, or when
    /// beginning again does no harm.
    fn find<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Option<String>> {
        let _ = task;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// True for work that takes longer than a function should that answers somebody, as far as the job tells.
    fn is_long(&self, job: &ActionJob) -> bool {
        let _ = job;
        false
    }

    /// True when the service takes artifacts of its own Region only, so that those of an action in another Region are
    /// copied there and back. False where they are read and written by this process alone.
    fn wants_artifacts_near(&self) -> bool {
        false
    }

    /// True when two beginnings that follow each other within minutes come to the same as one: the service takes the
    /// attempt's id for a token, or the same thing is brought to the same place. Then nobody has to claim an attempt that
    /// has just begun.
    fn begins_once(&self, job: &ActionJob) -> bool {
        let _ = job;
        false
    }

    /// True when word of the work's end says whose it is ([`engine::action::WORK_VARIABLE`]): then nobody has to note it.
    fn tells_whose(&self, job: &ActionJob) -> bool {
        let _ = job;
        false
    }

    /// Asks for work to be stopped.
    fn stop<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, ()> {
        let _ = (task, id);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A provider's answer, on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// How far the work has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is done.
    Done(Success),
    /// It goes on at the service, under this id.
    Begun(Begun),
    /// It cannot begin yet, because the service is busy with something else: to be tried again.
    NotYet,
    /// It takes longer than the function has that asks: for the function with more time.
    TooLong,
}

impl Step {
    /// Goes on at the service under this id.
    pub fn begun(id: impl Into<String>, url: Option<String>, summary: impl Into<String>) -> Self {
        Self::Begun(Begun {
            external_execution_id: id.into(),
            external_execution_url: url,
            summary: Some(cut(&summary.into(), SUMMARY_CHARS_MAX)),
        })
    }
}

/// Characters of a summary, as the API bounds it.
pub const SUMMARY_CHARS_MAX: usize = 2_048;

/// One attempt, and the means to carry it out.
pub struct Task<'a> {
    /// What is to be done.
    pub job: &'a ActionJob,
    /// Calls services in the action's Region, with the action's role.
    pub client: Client,
    /// The Region in which the action works.
    pub region: &'a str,
    /// The Region of the artifacts.
    pub artifact_region: &'a str,
    /// The account of this installation, 12 digits.
    pub account: &'a str,
    /// In whose name calls are made, for messages: a role's ARN, or words.
    pub who: &'a str,
    /// The artifacts: in the pipeline's Region, or near the provider if it wants them there.
    pub objects: Objects,
    /// The key that artifacts are encrypted with, unless the bucket decides.
    pub encryption_key: Option<&'a str>,
    /// Lends credentials for artifacts.
    pub lend: &'a dyn Lend,
    /// Now.
    pub now: Timestamp,
    /// There is time to do long work here; otherwise it is [`Step::TooLong`].
    pub has_time: bool,
    /// How long may be waited here for what no event tells of.
    pub linger: Duration,
    /// Where files may be put for a while.
    pub scratch: &'a Path,
    /// The project in which commands run that name no project of their own.
    pub compute_project: Option<&'a str>,
}

impl Task<'_> {
    /// The attempt's id, which is the token of calls.
    pub fn token(&self) -> &str {
        self.job.action_execution.as_str()
    }

    /// A configuration value; an empty one counts as none.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.job.configuration.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A configuration value that must be there.
    pub fn needs(&self, key: &str) -> Result<&str, Failure> {
        self.value(key).ok_or_else(|| {
            configuration(format!("The configuration of `{}` has no `{key}`.", self.job.action))
        })
    }

    /// A configuration value that is `true` or `false`, and `false` when it is not there.
    pub fn flag(&self, key: &str) -> Result<bool, Failure> {
        match self.value(key) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(configuration(format!("`{key}` must be `true` or `false`, not `{other}`."))),
        }
    }

    /// The only input artifact, or the first.
    pub fn input(&self) -> Result<&InputArtifact, Failure> {
        let inputs = self.job.inputs.first();
        inputs.ok_or_else(|| configuration("The action has no input artifact."))
    }

    /// The input artifact of that name.
    pub fn input_named(&self, name: &str) -> Result<&InputArtifact, Failure> {
        self.job.inputs.iter().find(|input| input.name.as_str() == name).ok_or_else(|| {
            configuration(format!(
                "`{name}` is not an input artifact of the action `{}`: declare it there.",
                self.job.action
            ))
        })
    }

    /// The only output artifact.
    pub fn output(&self) -> Result<&OutputArtifact, Failure> {
        self.job.outputs.first().ok_or_else(|| {
            configuration(format!("The action `{}` declares no output artifact.", self.job.action))
        })
    }

    /// When the attempt began.
    pub fn began(&self) -> Timestamp {
        began(self.job)
    }

    /// The failure that a call's error is.
    pub fn failed(&self, error: CallError) -> Failure {
        failure::of(&error, self.who)
    }
}

/// When an attempt at an action began: so long before its deadline as actions of its type may take.
pub fn began(job: &ActionJob) -> Timestamp {
    let minutes = i64::from(catalogue::timeout_minutes(&job.action_type));
    Timestamp(job.deadline.0.saturating_sub(minutes * 60_000))
}

/// The fault is in a definition, or in what it names.
pub fn configuration(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::ConfigurationError, message)
}

/// The work was done, and failed.
pub fn job_failed(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::JobFailed, message)
}

/// A revision is not there.
pub fn revision_unavailable(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::RevisionUnavailable, message)
}

/// Something of ours, or of AWS, did not work.
pub fn unavailable(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::SystemUnavailable, message)
}

/// The first so many characters.
pub fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// The first line.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The first part of a console's address; partitions have domains of their own.
pub fn console(region: &str) -> String {
    let domain = match region {
        _ if region.starts_with("cn-") => "console.amazonaws.cn",
        _ if region.starts_with("us-gov-") => "console.amazonaws-us-gov.com",
        _ => "console.aws.amazon.com",
    };
    format!("https://{region}.{domain}")
}
