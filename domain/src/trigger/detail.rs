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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: String) -> String {
        let head = Head {
            message: Some(message),
            author_name: Some("Ann".into()),
            author_email: Some("ann@example.com".into()),
            author_id: None,
            author_date: Some("2026-03-01T10:00:00Z".into()),
            provider: Some("GitHub".into()),
        };
        let reference = Reference::Branch("main".into());
        let told = Told { commit: "4f2c1d9e", reference: &reference, head: &head, pull_request: None };
        webhook_v2("acme/shop", "arn:aws:codestar-connections:eu-west-1:111122223333:connection/1", &told)
    }

    #[test]
    fn of_a_long_message_the_beginning_is_told_and_nothing_else_is_left_out() {
        let text = told("\"\n".repeat(2_000));
        assert!(text.chars().count() <= DETAIL_CHARS_MAX, "{}", text.chars().count());
        let read: Value = serde_json::from_str(&text).unwrap();
        let members = Vec::from_iter(read.as_object().unwrap().keys().map(String::as_str));
        let all = [
            "author-date",
            "author-display-name",
            "author-email",
            "branch-name",
            "commit-id",
            "commit-message",
            "connection-arn",
            "full-repository-name",
            "provider-type",
        ];
        assert_eq!(members, all);
        let message = read["commit-message"].as_str().unwrap();
        assert!(message.starts_with("\"\n\"\n") && message.len() > 50, "{message:?}");
    }

    #[test]
    fn a_short_message_is_told_whole() {
        let read: Value = serde_json::from_str(&told("Fix the cart".into())).unwrap();
        assert_eq!(read["commit-message"], "Fix the cart");
        assert_eq!(read["commit-id"], "4f2c1d9e");
    }
}
