//! Bitbucket Cloud's pushes and pull requests. A push may move several references, and lists no files.

use super::{Told, Unreadable, at, optional, text};
use crate::{
    pipeline::PullRequestEvent,
    trigger::{ChangedFiles, GitChange, GitEvent, Head, PullRequest, Push, Reference},
};
use serde_json::Value;

/// References of one push that are read, most.
const CHANGES_MAX: usize = 100;

/// Reads a delivery. `kind` is `X-Event-Key`.
pub fn read(kind: &str, body: &Value) -> Result<Told, Unreadable> {
    let event = match kind {
        "repo:push" => return push(body),
        "pullrequest:created" => PullRequestEvent::Open,
        // Sent for words too: the commit decides, which a caller who has seen it before drops as known.
        "pullrequest:updated" => PullRequestEvent::Updated,
        "pullrequest:fulfilled" => PullRequestEvent::Closed,
        "pullrequest:rejected" => {
            return Ok(Told::Nothing("a pull request that was rejected starts nothing".to_owned()));
        }
        other => return Ok(Told::Nothing(format!("`{other}` is neither a push nor a pull request"))),
    };
    pull_request(event, body)
}

fn push(body: &Value) -> Result<Told, Unreadable> {
    let repository = text(body, "repository.full_name")?;
    let changes = at(body, "push.changes").as_array();
    let changes = changes.ok_or_else(|| Unreadable("push.changes".to_owned()))?;
    if changes.len() > CHANGES_MAX {
        return Err(Unreadable(format!("push.changes`, of which there are at most `{CHANGES_MAX}")));
    }
    let mut events = Vec::new();
    for change in changes {
        let present = if change["new"].is_object() { &change["new"] } else { &change["old"] };
        let name = text(present, "name")?;
        let reference = match text(present, "type")?.as_str() {
            "branch" => Reference::Branch(name),
            "tag" => Reference::Tag(name),
            _ => continue,
        };
        let hash = |side: &Value| side["target"]["hash"].as_str().map(str::to_ascii_lowercase);
        let (before, after) = (hash(&change["old"]), hash(&change["new"]));
        if change["new"].is_object() && !after.as_deref().is_some_and(is_commit) {
            return Err(Unreadable("push.changes.new.target.hash".to_owned()));
        }
        let target = &change["new"]["target"];
        let head = Head {
            message: target["message"].as_str().map(|text| text.chars().take(1000).collect()),
            author_name: optional(target, "author.user.display_name"),
            author_email: optional(target, "author.raw"),
            author_id: optional(target, "author.user.account_id"),
            author_date: optional(target, "date"),
            provider: None,
        };
        let files = match before {
            Some(_) => ChangedFiles::Incomplete,
            None => ChangedFiles::NothingToCompare,
        };
        let push = Push { reference, before, after, files, head: head.of("Bitbucket") };
        events.push(GitEvent { repository: repository.clone(), what: GitChange::Push(push) });
    }
    Ok(Told::Events(events))
}

fn pull_request(event: PullRequestEvent, body: &Value) -> Result<Told, Unreadable> {
    let request = &body["pullrequest"];
    let commit = text(request, "source.commit.hash")?.to_ascii_lowercase();
    // A pull request names its commits by their first twelve digits.
    if !(12..=64).contains(&commit.len()) || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Unreadable("pullrequest.source.commit.hash".to_owned()));
    }
    let read = PullRequest {
        event,
        number: request["id"].as_u64().ok_or_else(|| Unreadable("pullrequest.id".to_owned()))?,
        source_branch: text(request, "source.branch.name")?,
        destination_branch: text(request, "destination.branch.name")?,
        commit,
        files: ChangedFiles::Incomplete,
        is_from_fork: at(request, "source.repository.full_name") != at(body, "repository.full_name"),
        head: Head {
            message: request["title"].as_str().map(|text| text.chars().take(1000).collect()),
            author_name: optional(request, "author.display_name"),
            author_id: optional(request, "author.account_id"),
            ..Head::default()
        }
        .of("Bitbucket"),
    };
    let repository = text(body, "repository.full_name")?;
    Ok(Told::Events(vec![GitEvent { repository, what: GitChange::PullRequest(read) }]))
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
