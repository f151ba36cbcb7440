//! Pushes and pull requests against the source actions of a definition.

use super::{ChangedFiles, Head, PullRequest, Push, Reference, Start, Verdict, detail, filter};
use crate::pipeline::{
    ActionDeclaration, GitConfiguration, GitPullRequestFilter, GitPushFilter, PipelineDeclaration,
};
use events::{ActionCategory, ActionName, Trigger, TriggerType};
use std::collections::BTreeMap;

/// What a source action listens to.
#[derive(Debug, Clone, PartialEq)]
pub struct Listening<'a> {
    /// The action.
    pub action: &'a ActionDeclaration,
    /// The repository, as the configuration names it.
    pub repository: String,
    /// The branch it fetches.
    pub branch: String,
    kind: Kind<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    /// Polled: `PollForSourceChanges` is true or absent.
    Polled,
    /// Its changes come as events, which a push to a repository on this machine is not.
    ByEvent,
    /// A connection that starts on every push to its branch.
    Connection,
    /// A connection that starts nothing.
    Silent,
    /// A connection with filters.
    Filtered(&'a GitConfiguration),
}

impl Listening<'_> {
    /// Whether a Git host tells of it, and not a poll.
    pub fn is_connection(&self) -> bool {
        match self.kind {
            Kind::Connection | Kind::Silent | Kind::Filtered(_) => true,
            Kind::Polled | Kind::ByEvent => false,
        }
    }

    /// Whether some filter looks at file paths, so that the changed files are needed.
    pub fn needs_files(&self) -> bool {
        match self.kind {
            Kind::Filtered(git) => {
                git.push.iter().any(|filter| filter.file_paths.is_some())
                    || git.pull_request.iter().any(|filter| filter.file_paths.is_some())
            }
            Kind::Polled | Kind::ByEvent | Kind::Connection | Kind::Silent => false,
        }
    }
}

/// The source actions of a definition that fetch from git, with what they listen to.
pub fn listening(definition: &PipelineDeclaration) -> Vec<Listening<'_>> {
    let first = definition.first_stage().map_or(&[][..], |stage| &stage.actions[..]);
    let sources = first.iter().filter(|action| action.action_type_id.category == ActionCategory::Source);
    sources.filter_map(|action| listens(definition, action)).collect()
}

fn listens<'a>(definition: &'a PipelineDeclaration, action: &'a ActionDeclaration) -> Option<Listening<'a>> {
    let setting = |key: &str| action.configuration.get(key).cloned();
    let off = |key: &str| setting(key).is_some_and(|value| value.eq_ignore_ascii_case("false"));
    let polled = || if off("PollForSourceChanges") { Kind::ByEvent } else { Kind::Polled };
    let (repository, branch, kind) = match action.action_type_id.provider.as_str() {
        "CodeCommit" => (setting("RepositoryName")?, setting("BranchName")?, polled()),
        "GitHub" => (format!("{}/{}", setting("Owner")?, setting("Repo")?), setting("Branch")?, polled()),
        "CodeStarSourceConnection" => {
            let mut triggers = definition.triggers.iter().map(|trigger| &trigger.git_configuration);
            let kind = match triggers.find(|git| git.source_action_name == action.name) {
                Some(git) if !git.push.is_empty() || !git.pull_request.is_empty() => Kind::Filtered(git),
                // A trigger without filters listens to the action's branch, whatever `DetectChanges` says.
                Some(_) => Kind::Connection,
                None if off("DetectChanges") => Kind::Silent,
                None => Kind::Connection,
            };
            (setting("FullRepositoryId")?, setting("BranchName")?, kind)
        }
        _ => return None,
    };
    Some(Listening { action, repository, branch, kind })
}

/// A push against those of a definition's actions that listen to its repository. `is_meant` says which: it knows
/// what repository the push was to.
pub fn evaluate_push(
    definition: &PipelineDeclaration,
    push: &Push,
    is_meant: impl Fn(&Listening<'_>) -> bool,
) -> Verdict {
    let all = listening(definition);
    let judged = all.iter().filter(|listening| is_meant(listening)).map(|listening| {
        let words = match (&push.after, &push.reference) {
            (None, reference) => {
                let (kind, name) = (reference.kind(), reference.name());
                Err(format!("{kind} `{name}` was deleted: there is nothing to fetch"))
            }
            (Some(after), _) => push_words(listening, push).map(|words| (words, after.clone())),
        };
        (listening, words)
    });
    gathered(judged.collect(), |listening, commit| {
        let told = detail::Told { commit, reference: &push.reference, head: &push.head, pull_request: None };
        trigger(listening, &told)
    })
}

/// A pull request against those of a definition's actions that listen to its repository.
pub fn evaluate_pull_request(
    definition: &PipelineDeclaration,
    request: &PullRequest,
    allow_forks: bool,
    is_meant: impl Fn(&Listening<'_>) -> bool,
) -> Verdict {
    let all = listening(definition);
    let judged = all.iter().filter(|listening| is_meant(listening)).map(|listening| {
        let words = request_words(listening, request, allow_forks);
        (listening, words.map(|words| (words, request.commit.clone())))
    });
    gathered(judged.collect(), |listening, commit| {
        let reference = Reference::Branch(request.source_branch.clone());
        let told =
            detail::Told { commit, reference: &reference, head: &request.head, pull_request: Some(request) };
        trigger(listening, &told)
    })
}

/// One start for all actions that an event starts, or the reasons of all that it does not.
type Judged<'a, 'b> = (&'b Listening<'a>, Result<(String, String), String>);

fn gathered(judged: Vec<Judged<'_, '_>>, trigger: impl Fn(&Listening<'_>, &str) -> Trigger) -> Verdict {
    let many = judged.len() > 1;
    let mut revisions: BTreeMap<ActionName, String> = BTreeMap::new();
    let (mut because, mut reasons, mut first) = (Vec::new(), Vec::new(), None);
    for (listening, words) in judged {
        let name = &listening.action.name;
        let shown = |words: String| if many { format!("{name}: {words}") } else { words };
        match words {
            Ok((words, commit)) => {
                first.get_or_insert_with(|| trigger(listening, &commit));
                revisions.insert(name.clone(), commit);
                because.push(shown(words));
            }
            Err(reason) => reasons.push(shown(reason)),
        }
    }
    let fitting = |texts: Vec<String>| super::fitting(&texts.join("; "), super::REASON_CHARS_MAX);
    match first {
        Some(trigger) => Verdict::Start(Box::new(Start {
            trigger,
            revisions,
            variables: BTreeMap::new(),
            because: fitting(because),
        })),
        None if reasons.is_empty() => Verdict::Elsewhere,
        None => Verdict::Nothing { reason: fitting(reasons) },
    }
}

fn trigger(listening: &Listening<'_>, told: &detail::Told<'_>) -> Trigger {
    let connection = listening.action.configuration.get("ConnectionArn");
    match listening.kind {
        Kind::Polled | Kind::ByEvent => Trigger {
            kind: TriggerType::PollForSourceChanges,
            detail: super::fitting(
                &format!("push of {} to {} ({})", told.commit, told.reference.name(), listening.action.name),
                super::DETAIL_CHARS_MAX,
            ),
        },
        Kind::Connection | Kind::Silent | Kind::Filtered(_) => Trigger {
            kind: TriggerType::WebhookV2,
            detail: detail::webhook_v2(
                &listening.repository,
                connection.map(String::as_str).unwrap_or_default(),
                told,
            ),
        },
    }
}

fn push_words(listening: &Listening<'_>, push: &Push) -> Result<String, String> {
    match listening.kind {
        Kind::ByEvent => Err(format!(
            "`PollForSourceChanges` of `{}` is false, so that only an event starts it, not a push that is seen",
            listening.action.name
        )),
        Kind::Silent => Err(format!(
            "`DetectChanges` of `{}` is false, and the pipeline has no trigger for it",
            listening.action.name
        )),
        Kind::Polled | Kind::Connection => match &push.reference {
            Reference::Branch(branch) if *branch == listening.branch => {
                Ok(format!("branch `{branch}` is the one that `{}` fetches", listening.action.name))
            }
            Reference::Branch(branch) => Err(format!(
                "branch `{branch}` is not `{}`, which the source action fetches",
                listening.branch
            )),
            Reference::Tag(tag) => {
                Err(format!("tag `{tag}` is no branch, and no trigger of the pipeline asks for tags"))
            }
        },
        Kind::Filtered(git) if git.push.is_empty() => {
            Err("the trigger has filters for pull requests only, and this is a push".to_owned())
        }
        Kind::Filtered(git) => any(&git.push, "push", |filter| push_filter(filter, push)),
    }
}

fn push_filter(wanted: &GitPushFilter, push: &Push) -> Result<String, String> {
    let met = match (&push.reference, &wanted.tags, &wanted.branches) {
        (Reference::Tag(tag), Some(tags), _) => filter::name("tag", tags, tag)?,
        (Reference::Tag(tag), None, _) => {
            return Err(format!("tag `{tag}` was pushed, and it asks for branches"));
        }
        (Reference::Branch(branch), _, Some(branches)) => filter::name("branch", branches, branch)?,
        (Reference::Branch(branch), Some(_), None) => {
            return Err(format!("branch `{branch}` was pushed, and it asks for tags"));
        }
        // File paths alone: any branch.
        (Reference::Branch(branch), None, None) => format!("branch `{branch}` was pushed"),
    };
    with_files(met, wanted.file_paths.as_ref(), &push.files)
}

fn request_words(
    listening: &Listening<'_>,
    request: &PullRequest,
    allow_forks: bool,
) -> Result<String, String> {
    let no_filter = || Err("no trigger of the pipeline asks for pull requests".to_owned());
    let git = match listening.kind {
        Kind::Filtered(git) if !git.pull_request.is_empty() => git,
        Kind::Filtered(_) | Kind::Polled | Kind::ByEvent | Kind::Connection | Kind::Silent => {
            return no_filter();
        }
    };
    let words = any(&git.pull_request, "pullRequest", |filter| request_filter(filter, request))?;
    if request.is_from_fork && !allow_forks {
        return Err("the pull request comes from a fork, whose author may be anybody".to_owned());
    }
    Ok(words)
}

fn request_filter(wanted: &GitPullRequestFilter, request: &PullRequest) -> Result<String, String> {
    if !wanted.events.is_empty() && !wanted.events.contains(&request.event) {
        let asked: Vec<&str> = wanted.events.iter().map(|event| super::event_words(*event)).collect();
        let was = super::event_words(request.event);
        return Err(format!("the pull request was {was}, and it asks for {}", asked.join(", ")));
    }
    let destination = &request.destination_branch;
    let met = match &wanted.branches {
        Some(branches) => filter::name("destination branch", branches, destination)?,
        None => format!("destination branch `{destination}` is any"),
    };
    with_files(met, wanted.file_paths.as_ref(), &request.files)
}

fn with_files(
    met: String,
    wanted: Option<&crate::pipeline::GitPatterns>,
    files: &ChangedFiles,
) -> Result<String, String> {
    match wanted {
        None => Ok(met),
        Some(patterns) => filter::files(patterns, files).map(|words| format!("{met}, {words}")),
    }
}

/// The first filter that is met, or why none is.
fn any<T>(filters: &[T], kind: &str, judge: impl Fn(&T) -> Result<String, String>) -> Result<String, String> {
    let mut reasons = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        let named = |words: String| match filters.len() {
            1 => words,
            _ => format!("{kind}[{index}]: {words}"),
        };
        match judge(filter) {
            Ok(words) => return Ok(named(words)),
            Err(reason) => reasons.push(named(reason)),
        }
    }
    Err(reasons.join("; "))
}

impl Head {
    /// The same, with the host it came from.
    #[must_use]
    pub fn of(self, provider: &str) -> Self {
        Self { provider: Some(provider.to_owned()), ..self }
    }
}
