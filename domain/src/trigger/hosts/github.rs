//! GitHub's pushes and pull requests.

use super::{Told, Unreadable, at, commit, listed_files, optional, reference, text};
use crate::{
    pipeline::PullRequestEvent,
    trigger::{ChangedFiles, GitChange, GitEvent, Head, PullRequest, Push, Reference},
};
use serde_json::Value;

/// Commits that one push lists, most.
const COMMITS_LISTED_MAX: usize = 2048;

/// Reads a delivery. `kind` is `X-GitHub-Event`; `is_enterprise` says that the host is somebody's own.
pub fn read(kind: &str, is_enterprise: bool, body: &Value) -> Result<Told, Unreadable> {
    let provider = if is_enterprise { "GitHubEnterpriseServer" } else { "GitHub" };
    match kind {
        "push" => push(body, provider),
        "pull_request" => pull_request(body, provider),
        other => Ok(Told::Nothing(format!("`{other}` is neither a push nor a pull request"))),
    }
}

fn push(body: &Value, provider: &str) -> Result<Told, Unreadable> {
    if !text(body, "ref")?.starts_with("refs/heads/") && !text(body, "ref")?.starts_with("refs/tags/") {
        return Ok(Told::Nothing("what was pushed is neither a branch nor a tag".to_owned()));
    }
    let reference = reference(body, "ref")?;
    let (before, after) = (commit(body, "before")?, commit(body, "after")?);
    let is_deleted = body["deleted"] == true || after.is_none();
    // An annotated tag's own id is none that can be fetched as a commit.
    let tagged = match reference {
        Reference::Tag(_) => optional(body, "head_commit.id"),
        Reference::Branch(_) => None,
    };
    let is_new = body["created"] == true || before.is_none();
    let is_forced = body["forced"] == true;
    let head = Head {
        message: optional_long(body, "head_commit.message"),
        author_name: optional(body, "head_commit.author.name"),
        author_email: optional(body, "head_commit.author.email"),
        author_id: at(body, "sender.id").as_u64().map(|id| id.to_string()),
        author_date: optional(body, "head_commit.timestamp"),
        provider: None,
    };
    let push = Push {
        reference,
        before,
        after: if is_deleted { None } else { tagged.or(after) },
        files: listed_files(&body["commits"], COMMITS_LISTED_MAX, is_new, is_forced),
        head: head.of(provider),
    };
    let repository = text(body, "repository.full_name")?;
    Ok(Told::Events(vec![GitEvent { repository, what: GitChange::Push(push) }]))
}

fn pull_request(body: &Value, provider: &str) -> Result<Told, Unreadable> {
    let action = text(body, "action")?;
    let event = match action.as_str() {
        "opened" | "reopened" => PullRequestEvent::Open,
        "synchronize" => PullRequestEvent::Updated,
        // Another destination branch.
        "edited" if at(body, "changes.base").is_object() => PullRequestEvent::Updated,
        "closed" => PullRequestEvent::Closed,
        other => return Ok(Told::Nothing(format!("a pull request being `{other}` starts nothing"))),
    };
    let request = PullRequest {
        event,
        number: body["number"].as_u64().ok_or_else(|| Unreadable("number".to_owned()))?,
        source_branch: text(body, "pull_request.head.ref")?,
        destination_branch: text(body, "pull_request.base.ref")?,
        commit: commit(body, "pull_request.head.sha")?
            .ok_or_else(|| Unreadable("pull_request.head.sha".to_owned()))?,
        files: ChangedFiles::Incomplete,
        // A fork that is gone is one all the same.
        is_from_fork: at(body, "pull_request.head.repo").is_null()
            || at(body, "pull_request.head.repo.full_name") != at(body, "repository.full_name"),
        head: Head {
            message: optional_long(body, "pull_request.title"),
            author_name: optional(body, "pull_request.user.login"),
            author_id: at(body, "pull_request.user.id").as_u64().map(|id| id.to_string()),
            ..Head::default()
        }
        .of(provider),
    };
    let repository = text(body, "repository.full_name")?;
    Ok(Told::Events(vec![GitEvent { repository, what: GitChange::PullRequest(request) }]))
}

/// A text that may be long, of which the beginning is kept.
fn optional_long(body: &Value, path: &str) -> Option<String> {
    at(body, path).as_str().map(|text| text.chars().take(1000).collect())
}
