//! Payloads in the shapes that the hosts document.

use super::{BEFORE, COMMIT};
use domain::{
    pipeline::PullRequestEvent,
    trigger::{ChangedFiles, GitChange, PullRequest, Push, Reference, hosts},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ZERO: &str = "0000000000000000000000000000000000000000";

#[track_caller]
fn one(told: Result<hosts::Told, hosts::Unreadable>) -> GitChange {
    match told {
        Ok(hosts::Told::Events(mut events)) if events.len() == 1 => {
            let event = events.remove(0);
            assert_eq!(event.repository, "acme/shop");
            event.what
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn push(told: Result<hosts::Told, hosts::Unreadable>) -> Push {
    match one(told) {
        GitChange::Push(push) => push,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn request(told: Result<hosts::Told, hosts::Unreadable>) -> PullRequest {
    match one(told) {
        GitChange::PullRequest(request) => request,
        other => panic!("{other:?}"),
    }
}

fn github_push() -> Value {
    json!({
        "ref": "refs/heads/main", "before": BEFORE, "after": COMMIT, "created": false, "deleted": false, "forced": false,
        "repository": { "id": 1, "full_name": "acme/shop", "default_branch": "main" },
        "sender": { "login": "ada", "id": 7 },
        "head_commit": { "id": COMMIT, "message": "Mend", "timestamp": "2026-03-01T10:00:00+01:00",
                         "author": { "name": "Ada", "email": "ada@example.com" } },
        "commits": [
            { "id": "a", "added": ["src/a.rs"], "removed": [], "modified": ["README.md"] },
            { "id": "b", "added": [], "removed": ["old"], "modified": ["README.md"] },
        ],
    })
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[test]
fn a_push_of_github_is_read() {
    let read = push(hosts::github("push", false, &github_push()));
    assert_eq!(read.reference, Reference::Branch("main".into()));
    assert_eq!((read.before.as_deref(), read.after.as_deref()), (Some(BEFORE), Some(COMMIT)));
    assert_eq!(read.files, ChangedFiles::Known(vec!["README.md".into(), "old".into(), "src/a.rs".into()]));
    assert_eq!(read.head.author_id.as_deref(), Some("7"));
    assert_eq!(read.head.provider.as_deref(), Some("GitHub"));
    let enterprise = push(hosts::github("push", true, &github_push()));
    assert_eq!(enterprise.head.provider.as_deref(), Some("GitHubEnterpriseServer"));
    for forced in [with(github_push(), "/forced", json!(true)), with(github_push(), "/commits", json!([]))] {
        assert_eq!(push(hosts::github("push", false, &forced)).files, ChangedFiles::Incomplete);
    }
    let fresh = with(with(github_push(), "/before", json!(ZERO)), "/created", json!(true));
    assert_eq!(push(hosts::github("push", false, &fresh)).files, ChangedFiles::NothingToCompare);
    let gone = with(with(github_push(), "/after", json!(ZERO)), "/deleted", json!(true));
    assert_eq!(push(hosts::github("push", false, &gone)).after, None);
    let tag = with(with(github_push(), "/ref", json!("refs/tags/v1")), "/after", json!(BEFORE));
    let tag = push(hosts::github("push", false, &tag));
    assert_eq!(
        (tag.reference, tag.after.as_deref()),
        (Reference::Tag("v1".into()), Some(COMMIT)),
        "the commit, not the tag"
    );
}

fn github_request(action: &str) -> Value {
    json!({
        "action": action, "number": 7, "repository": { "full_name": "acme/shop" }, "changes": {},
        "pull_request": { "title": "Mend", "user": { "login": "ada", "id": 7 },
            "head": { "ref": "topic", "sha": COMMIT, "repo": { "full_name": "acme/shop" } },
            "base": { "ref": "main", "sha": BEFORE, "repo": { "full_name": "acme/shop" } } },
    })
}

#[test]
fn a_pull_request_of_github_is_read() {
    for (action, event) in [
        ("opened", PullRequestEvent::Open),
        ("reopened", PullRequestEvent::Open),
        ("synchronize", PullRequestEvent::Updated),
        ("closed", PullRequestEvent::Closed),
    ] {
        let read = request(hosts::github("pull_request", false, &github_request(action)));
        assert_eq!((read.event, read.number, read.commit.as_str()), (event, 7, COMMIT));
        assert_eq!((read.source_branch.as_str(), read.destination_branch.as_str()), ("topic", "main"));
        assert!(!read.is_from_fork);
    }
    for other in ["labeled", "edited", "ready_for_review", "converted_to_draft"] {
        let told = hosts::github("pull_request", false, &github_request(other));
        assert!(matches!(told, Ok(hosts::Told::Nothing(_))), "{other}: {told:?}");
    }
    let moved = with(github_request("edited"), "/changes", json!({ "base": { "ref": { "from": "dev" } } }));
    assert_eq!(request(hosts::github("pull_request", false, &moved)).event, PullRequestEvent::Updated);
    for fork in [json!({ "full_name": "eve/shop" }), Value::Null] {
        let fork = with(github_request("opened"), "/pull_request/head/repo", fork);
        assert!(request(hosts::github("pull_request", false, &fork)).is_from_fork);
    }
}

fn gitlab_push() -> Value {
    json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": BEFORE, "after": COMMIT, "checkout_sha": COMMIT,
        "user_id": 4, "user_name": "Ada", "total_commits_count": 1,
        "project": { "path_with_namespace": "acme/shop", "web_url": "https://gitlab.com/acme/shop" },
        "commits": [{ "id": COMMIT, "message": "Mend", "author": { "name": "Ada", "email": "a@b" },
                      "added": ["src/a.rs"], "modified": [], "removed": [] }],
    })
}

#[test]
fn a_push_and_a_tag_of_gitlab_are_read() {
    let read = push(hosts::gitlab("Push Hook", &gitlab_push()));
    assert_eq!(read.files, ChangedFiles::Known(vec!["src/a.rs".into()]));
    assert_eq!(read.head.provider.as_deref(), Some("GitLab"));
    let cut = with(gitlab_push(), "/total_commits_count", json!(25));
    assert_eq!(push(hosts::gitlab("Push Hook", &cut)).files, ChangedFiles::Incomplete);
    let own = with(gitlab_push(), "/project/web_url", json!("https://git.acme.example/acme/shop"));
    assert_eq!(push(hosts::gitlab("Push Hook", &own)).head.provider.as_deref(), Some("GitLabSelfManaged"));
    let tag = with(with(gitlab_push(), "/ref", json!("refs/tags/v1")), "/after", json!(BEFORE));
    let tag = push(hosts::gitlab("Tag Push Hook", &tag));
    assert_eq!((tag.reference, tag.after.as_deref()), (Reference::Tag("v1".into()), Some(COMMIT)));
    let gone = with(with(gitlab_push(), "/after", json!(ZERO)), "/checkout_sha", Value::Null);
    assert_eq!(push(hosts::gitlab("Push Hook", &gone)).after, None);
}

#[test]
fn a_merge_request_of_gitlab_is_read() {
    let body = |action: &str| {
        json!({ "object_kind": "merge_request", "project": { "path_with_namespace": "acme/shop" },
            "object_attributes": { "iid": 7, "action": action, "source_branch": "topic", "target_branch": "main",
                "source_project_id": 1, "target_project_id": 1, "last_commit": { "id": COMMIT, "message": "Mend" } } })
    };
    for (action, event) in [
        ("open", PullRequestEvent::Open),
        ("reopen", PullRequestEvent::Open),
        ("merge", PullRequestEvent::Closed),
        ("close", PullRequestEvent::Closed),
    ] {
        assert_eq!(request(hosts::gitlab("Merge Request Hook", &body(action))).event, event);
    }
    assert!(matches!(hosts::gitlab("Merge Request Hook", &body("update")), Ok(hosts::Told::Nothing(_))));
    let mut updated = body("update");
    updated["object_attributes"]["oldrev"] = json!(BEFORE);
    assert_eq!(request(hosts::gitlab("Merge Request Hook", &updated)).event, PullRequestEvent::Updated);
    let fork = with(body("open"), "/object_attributes/source_project_id", json!(2));
    assert!(request(hosts::gitlab("Merge Request Hook", &fork)).is_from_fork);
}

#[test]
fn pushes_and_pull_requests_of_bitbucket_are_read() {
    let side = |commit: &str| json!({ "type": "branch", "name": "main", "target": { "hash": commit, "message": "Mend" } });
    let body = json!({ "repository": { "full_name": "acme/shop" },
        "push": { "changes": [{ "old": side(BEFORE), "new": side(COMMIT), "created": false }] } });
    let read = push(hosts::bitbucket("repo:push", &body));
    assert_eq!((read.before.as_deref(), read.after.as_deref()), (Some(BEFORE), Some(COMMIT)));
    assert_eq!(read.files, ChangedFiles::Incomplete, "Bitbucket lists no files");
    let fresh = push(hosts::bitbucket("repo:push", &with(body.clone(), "/push/changes/0/old", Value::Null)));
    assert_eq!((fresh.before, fresh.files), (None, ChangedFiles::NothingToCompare));
    assert_eq!(
        push(hosts::bitbucket("repo:push", &with(body, "/push/changes/0/new", Value::Null))).after,
        None
    );
    let asked = json!({ "repository": { "full_name": "acme/shop" }, "pullrequest": { "id": 7, "title": "Mend",
        "source": { "branch": { "name": "topic" }, "commit": { "hash": &COMMIT[..12] }, "repository": { "full_name": "acme/shop" } },
        "destination": { "branch": { "name": "main" } } } });
    for (key, event) in [
        ("pullrequest:created", PullRequestEvent::Open),
        ("pullrequest:updated", PullRequestEvent::Updated),
        ("pullrequest:fulfilled", PullRequestEvent::Closed),
    ] {
        let read = request(hosts::bitbucket(key, &asked));
        assert_eq!((read.event, read.commit.as_str()), (event, &COMMIT[..12]));
    }
    assert!(matches!(hosts::bitbucket("pullrequest:rejected", &asked), Ok(hosts::Told::Nothing(_))));
}

/// Each member of a payload in turn is missing, or something else.
fn broken(body: &Value) -> Vec<Value> {
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        if let Some(object) = value.as_object() {
            for (key, inner) in object {
                let here = format!("{at}/{key}");
                found.push(here.clone());
                pointers(inner, &here, found);
            }
        }
        for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
            let here = format!("{at}/{index}");
            found.push(here.clone());
            pointers(inner, &here, found);
        }
    }
    let mut places = Vec::new();
    pointers(body, "", &mut places);
    let junk = [Value::Null, json!(7), json!("é"), json!([]), json!({}), json!("x".repeat(5000))];
    places
        .iter()
        .flat_map(|place| junk.iter().map(|value| with(body.clone(), place, value.clone())))
        .collect()
}

#[test]
fn a_payload_that_is_broken_anywhere_is_refused_or_read_and_never_breaks() {
    for body in broken(&github_push()) {
        let _ = hosts::github("push", false, &body);
    }
    for body in broken(&github_request("opened")) {
        let _ = hosts::github("pull_request", false, &body);
    }
    for body in broken(&gitlab_push()) {
        let _ = hosts::gitlab("Push Hook", &body);
    }
    let without = with(github_push(), "/after", json!("not a commit"));
    let refused = hosts::github("push", false, &without).unwrap_err();
    assert_eq!(refused.to_string(), "the payload has no usable `after`");
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_commit(text in "[0-9a-gZ]{0,70}") {
        let read = hosts::github("push", false, &with(github_push(), "/after", json!(text)));
        let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        prop_assert_eq!(read.is_ok(), is_id);
    }
}
