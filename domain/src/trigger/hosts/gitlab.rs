//! GitLab's pushes, tag pushes and merge requests.

use super::{Told, Unreadable, at, commit, listed_files, optional, reference, text};
use crate::{
    pipeline::PullRequestEvent,
    trigger::{ChangedFiles, GitChange, GitEvent, Head, PullRequest, Push, Reference},
};
use serde_json::Value;

/// Commits that one push lists, most.
const COMMITS_LISTED_MAX: usize = 20;

/// Reads a delivery. `kind` is `X-Gitlab-Event`.
pub fn read(kind: &str, body: &Value) -> Result<Told, Unreadable> {
    match kind {
        "Push Hook" | "Tag Push Hook" => push(body),
        "Merge Request Hook" => merge_request(body),
        other => Ok(Told::Nothing(format!("`{other}` is neither a push nor a merge request"))),
    }
}

fn provider(body: &Value) -> &'static str {
    match optional(body, "project.web_url") {
        Some(url) if !url.starts_with("https://gitlab.com/") => "GitLabSelfManaged",
        Some(_) | None => "GitLab",
    }
}

fn push(body: &Value) -> Result<Told, Unreadable> {
    let reference = reference(body, "ref")?;
    let (before, after) = (commit(body, "before")?, commit(body, "after")?);
    // An annotated tag's own id is none that can be fetched as a commit; `checkout_sha` is the commit.
    let tagged = match (&reference, &after) {
        (Reference::Tag(_), Some(_)) => optional(body, "checkout_sha"),
        (Reference::Tag(_), None) | (Reference::Branch(_), _) => None,
    };
    let is_new = before.is_none();
    let commits = &body["commits"];
    let total = body["total_commits_count"].as_u64().unwrap_or(0);
    let is_cut = commits.as_array().is_some_and(|list| (list.len() as u64) < total);
    let newest = commits
        .as_array()
        .and_then(|list| list.iter().find(|one| one["id"].as_str() == after.as_deref()).or(list.last()))
        .unwrap_or(&Value::Null);
    let head = Head {
        message: newest["message"].as_str().map(|text| text.chars().take(1000).collect()),
        author_name: optional(newest, "author.name").or_else(|| optional(body, "user_name")),
        author_email: optional(newest, "author.email"),
        author_id: body["user_id"].as_u64().map(|id| id.to_string()),
        author_date: optional(newest, "timestamp"),
        provider: None,
    };
    let push = Push {
        reference,
        before,
        after: tagged.or(after),
        files: listed_files(commits, COMMITS_LISTED_MAX, is_new, is_cut),
        head: head.of(provider(body)),
    };
    let repository = text(body, "project.path_with_namespace")?;
    Ok(Told::Events(vec![GitEvent { repository, what: GitChange::Push(push) }]))
}

fn merge_request(body: &Value) -> Result<Told, Unreadable> {
    let attributes = &body["object_attributes"];
    let action = text(attributes, "action")?;
    let event = match action.as_str() {
        "open" | "reopen" => PullRequestEvent::Open,
        // Without `oldrev` only its words changed.
        "update" if attributes["oldrev"].is_string() => PullRequestEvent::Updated,
        "merge" | "close" => PullRequestEvent::Closed,
        other => return Ok(Told::Nothing(format!("a merge request with `{other}` starts nothing"))),
    };
    let request = PullRequest {
        event,
        number: attributes["iid"].as_u64().ok_or_else(|| Unreadable("object_attributes.iid".to_owned()))?,
        source_branch: text(attributes, "source_branch")?,
        destination_branch: text(attributes, "target_branch")?,
        commit: commit(attributes, "last_commit.id")?
            .ok_or_else(|| Unreadable("object_attributes.last_commit.id".to_owned()))?,
        files: ChangedFiles::Incomplete,
        is_from_fork: attributes["source_project_id"] != attributes["target_project_id"],
        head: Head {
            message: at(attributes, "last_commit.message")
                .as_str()
                .map(|text| text.chars().take(1000).collect()),
            author_name: optional(attributes, "last_commit.author.name"),
            author_email: optional(attributes, "last_commit.author.email"),
            author_date: optional(attributes, "last_commit.timestamp"),
            ..Head::default()
        }
        .of(provider(body)),
    };
    let repository = text(body, "project.path_with_namespace")?;
    Ok(Told::Events(vec![GitEvent { repository, what: GitChange::PullRequest(request) }]))
}
