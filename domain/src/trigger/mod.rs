//! What starts a pipeline: events from outside against definitions. Everything here is a question that is answered
//! with a start, with a sentence that says why not, or with "this has nothing to do with it". See `spec/triggers.md`.

pub mod aws;
mod detail;
pub mod event;
mod filter;
mod git;
mod glob;
pub mod hosts;
mod journal;
pub mod pattern;
pub mod place;
mod rule;
pub mod transformer;

pub use git::{Listening, evaluate_pull_request, evaluate_push, listening};
pub use glob::{BadGlob, Glob};
pub use journal::{EVALUATIONS_KEPT, Evaluation, FOLD, Note, Triggers, remembered_ms};
pub use rule::{Rule, RuleInput, evaluate_object, evaluate_rule, evaluate_sources};

use events::{ActionName, Trigger};
use std::collections::BTreeMap;

/// Characters of an evaluation's sentences, most.
pub const REASON_CHARS_MAX: usize = 500;
/// Changed files that are looked at for one event, most; of a longer list it is taken that some file matches.
pub const CHANGED_FILES_MAX: usize = 20_000;
/// Characters of `triggerDetail`, most.
pub const DETAIL_CHARS_MAX: usize = 1024;

/// What an event means for one pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It starts an execution.
    Start(Box<Start>),
    /// It concerns the pipeline and starts nothing.
    Nothing {
        /// Which rule decided, as a sentence.
        reason: String,
    },
    /// It has nothing to do with the pipeline.
    Elsewhere,
}

/// An execution to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// What started it.
    pub trigger: Trigger,
    /// What the event's own revision is, by source action.
    pub revisions: BTreeMap<ActionName, String>,
    /// Values for pipeline variables.
    pub variables: BTreeMap<String, String>,
    /// Which rule decided, as a sentence.
    pub because: String,
}

/// Where the installation is, for ARNs.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    /// The Region label.
    pub region: &'a str,
    /// The account, 12 digits.
    pub account: &'a str,
}

/// A reference that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Branch or tag.
    pub reference: Reference,
    /// The commit before; `None` for a new reference.
    pub before: Option<String>,
    /// The commit now; `None` for a reference that was deleted. For an annotated tag: the commit it stands on.
    pub after: Option<String>,
    /// Which files changed.
    pub files: ChangedFiles,
    /// Who and what, as far as the sender says.
    pub head: Head,
}

/// A branch or a tag, without `refs/heads/` or `refs/tags/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
}

impl Reference {
    /// From a full name; `None` for what is neither.
    pub fn of(full: &str) -> Option<Self> {
        match (full.strip_prefix("refs/heads/"), full.strip_prefix("refs/tags/")) {
            (Some(branch), _) if !branch.is_empty() => Some(Self::Branch(branch.to_owned())),
            (_, Some(tag)) if !tag.is_empty() => Some(Self::Tag(tag.to_owned())),
            _ => None,
        }
    }

    /// `branch` or `tag`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Branch(_) => "branch",
            Self::Tag(_) => "tag",
        }
    }

    /// The name alone.
    pub fn name(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) => name,
        }
    }
}

/// The files an event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedFiles {
    /// All of them.
    Known(Vec<String>),
    /// Some, or none, of more: a filter on paths counts as met, since starting once too often is mended more easily
    /// than not starting.
    Incomplete,
    /// There is nothing to compare with, as for a new branch: a filter on paths counts as not met.
    NothingToCompare,
}

/// The newest commit, as far as the sender describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Head {
    pub message: Option<String>,
    pub author_name: Option<String>,
    pub author_email: Option<String>,
    pub author_id: Option<String>,
    pub author_date: Option<String>,
    /// Which host it came from: `GitHub`, `GitHubEnterpriseServer`, `GitLab`, `GitLabSelfManaged` or `Bitbucket`.
    pub provider: Option<String>,
}

/// Something happened to a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// What.
    pub event: crate::pipeline::PullRequestEvent,
    /// Its number.
    pub number: u64,
    /// The branch it comes from.
    pub source_branch: String,
    /// The branch it is for.
    pub destination_branch: String,
    /// The newest commit of the branch it comes from.
    pub commit: String,
    /// Which files it changes.
    pub files: ChangedFiles,
    /// It comes from a copy of the repository, which may belong to anybody.
    pub is_from_fork: bool,
    /// Who and what.
    pub head: Head,
}

/// A repository as its host names it, and what happened there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitEvent {
    /// `owner/name`, or deeper.
    pub repository: String,
    /// What happened.
    pub what: GitChange,
}

/// What happened in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitChange {
    /// A branch or tag moved.
    Push(Push),
    /// A pull request.
    PullRequest(PullRequest),
}

impl GitChange {
    /// What happened, for people: `push of 1f2e3d4 to branch main`.
    pub fn words(&self) -> String {
        let short = |commit: &str| commit.chars().take(8).collect::<String>();
        match self {
            Self::Push(push) => {
                let (kind, name) = (push.reference.kind(), push.reference.name());
                match &push.after {
                    Some(after) => format!("push of {} to {kind} `{name}`", short(after)),
                    None => format!("deletion of {kind} `{name}`"),
                }
            }
            Self::PullRequest(request) => format!(
                "pull request {} {}, `{}` into `{}`, at {}",
                request.number,
                event_words(request.event),
                request.source_branch,
                request.destination_branch,
                short(&request.commit)
            ),
        }
    }
}

fn event_words(event: crate::pipeline::PullRequestEvent) -> &'static str {
    use crate::pipeline::PullRequestEvent;
    match event {
        PullRequestEvent::Open => "opened",
        PullRequestEvent::Updated => "updated",
        PullRequestEvent::Closed => "closed",
    }
}

/// A text that fits, without what would move a terminal's cursor.
pub fn fitting(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(chars_max).collect();
    if shown.chars().count() == chars_max {
        shown.pop();
        shown.push('…');
    }
    shown
}
