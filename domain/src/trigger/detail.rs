//! `triggerDetail` of what a connection started: a JSON text of at most 1,024 characters.

use super::{DETAIL_CHARS_MAX, Head, PullRequest, Reference};
use serde_json::{Map, Value, json};

/// What is told.
pub(super) struct Told<'a> {
    /// The commit that is fetched.
    pub(super) commit: &'a str,
    /// What was pushed, or the branch a pull request comes from.
    pub(super) reference: &'a Reference,
    /// Who and what.
    pub(super) head: &'a Head,
    /// The pull request, if it was one.
    pub(super) pull_request: Option<&'a PullRequest>,
}

/// Members that are left out, the last first, until the text fits.
const LEAST: [&str; 9] = [
    "commit-id",
    "branch-name",
    "tag-name",
    "connection-arn",
    "destination-branch-name",
    "author-date",
    "author-email",
    "author-display-name",
    "commit-message",
];

/// Writes the text.
pub(super) fn webhook_v2(repository: &str, connection: &str, told: &Told<'_>) -> String {
    let mut members = Map::new();
    let mut put = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            members.insert(key.to_owned(), json!(value));
        }
    };
    let head = told.head;
    put("author-display-name", head.author_name.as_deref());
    put("author-email", head.author_email.as_deref());
    put("author-id", head.author_id.as_deref());
    put("author-date", head.author_date.as_deref());
    put("full-repository-name", Some(repository));
    put("provider-type", head.provider.as_deref());
    put("commit-id", Some(told.commit));
    put("commit-message", head.message.as_deref());
    put("connection-arn", Some(connection));
    match told.reference {
        Reference::Branch(branch) => put("branch-name", Some(branch)),
        Reference::Tag(tag) => put("tag-name", Some(tag)),
    }
    if let Some(request) = told.pull_request {
        put("pull-request-id", Some(&request.number.to_string()));
        put("destination-branch-name", Some(&request.destination_branch));
    }
    fitted(members)
}

fn fitted(mut members: Map<String, Value>) -> String {
    let length = |members: &Map<String, Value>| Value::Object(members.clone()).to_string().chars().count();
    if let Some(message) = members.get("commit-message").and_then(Value::as_str).map(str::to_owned) {
        let mut keep = message.chars().count().min(DETAIL_CHARS_MAX);
        // Written as JSON a character may take six: halved rather than counted.
        while length(&members) > DETAIL_CHARS_MAX && keep > 0 {
            keep /= 2;
            members.insert("commit-message".into(), json!(message.chars().take(keep).collect::<String>()));
        }
    }
    for key in LEAST.iter().rev() {
        if length(&members) <= DETAIL_CHARS_MAX {
            break;
        }
        members.remove(*key);
    }
    Value::Object(members).to_string().chars().take(DETAIL_CHARS_MAX).collect()
}
