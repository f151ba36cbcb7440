//! Payloads in the shapes that the hosts document.

use super::{BEFORE, COMMIT};
use domain::{
    pipeline::PullRequestEvent,
    trigger::{ChangedFiles, GitChange, Head, PullRequest, Push, Reference, hosts},
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

/// What is known of a commit or a request, in the order of the members.
fn head(said: [Option<&str>; 5], provider: &str) -> Head {
    let [message, author_name, author_email, author_id, author_date] = said.map(|text| text.map(Into::into));
    Head { message, author_name, author_email, author_id, author_date, provider: Some(provider.into()) }
}

#[test]
fn all_that_a_host_says_of_a_push_is_kept() {
    let files = ["README.md", "old", "src/a.rs"].map(Into::into).to_vec();
    let expected = Push {
        reference: Reference::Branch("main".into()),
        before: Some(BEFORE.into()),
        after: Some(COMMIT.into()),
        files: ChangedFiles::Known(files),
        head: head(
            [
                Some("Mend"),
                Some("Ada"),
                Some("ada@example.com"),
                Some("7"),
                Some("2026-03-01T10:00:00+01:00"),
            ],
            "GitHub",
        ),
    };
    assert_eq!(push(hosts::github("push", false, &github_push())), expected);
    let mut body = gitlab_push();
    body["commits"][0]["timestamp"] = json!("2026-03-01T10:00:00Z");
    let expected = Push {
        files: ChangedFiles::Known(vec!["src/a.rs".into()]),
        head: head(
            [Some("Mend"), Some("Ada"), Some("a@b"), Some("4"), Some("2026-03-01T10:00:00Z")],
            "GitLab",
        ),
        ..expected
    };
    assert_eq!(push(hosts::gitlab("Push Hook", &body)), expected);
    let target = json!({ "hash": COMMIT.to_uppercase(), "message": "Mend", "date": "2026-03-01T10:00:00Z",
        "author": { "raw": "Ada <a@b>", "user": { "display_name": "Ada", "account_id": "5b" } } });
    let old = json!({ "type": "tag", "name": "v1", "target": { "hash": BEFORE } });
    let body = json!({ "repository": { "full_name": "acme/shop" },
        "push": { "changes": [{ "old": old, "new": { "type": "tag", "name": "v1", "target": target } }] } });
    let expected = Push {
        reference: Reference::Tag("v1".into()),
        files: ChangedFiles::Incomplete,
        head: head(
            [Some("Mend"), Some("Ada"), Some("Ada <a@b>"), Some("5b"), Some("2026-03-01T10:00:00Z")],
            "Bitbucket",
        ),
        ..expected
    };
    assert_eq!(push(hosts::bitbucket("repo:push", &body)), expected);
}

fn gitlab_request() -> Value {
    json!({ "object_kind": "merge_request",
        "project": { "path_with_namespace": "acme/shop", "web_url": "https://git.acme.example/acme/shop" },
        "object_attributes": { "iid": 7, "action": "open", "source_branch": "topic", "target_branch": "main",
            "source_project_id": 1, "target_project_id": 1,
            "last_commit": { "id": COMMIT, "message": "Mend", "timestamp": "2026-03-01T10:00:00Z",
                             "author": { "name": "Ada", "email": "a@b" } } } })
}

fn bitbucket_request() -> Value {
    json!({ "repository": { "full_name": "acme/shop" }, "pullrequest": { "id": 7, "title": "Mend",
        "author": { "display_name": "Ada", "account_id": "5b" },
        "source": { "branch": { "name": "topic" }, "commit": { "hash": COMMIT.to_uppercase() },
                    "repository": { "full_name": "acme/shop" } },
        "destination": { "branch": { "name": "main" } } } })
}

#[test]
fn all_that_a_host_says_of_a_pull_request_is_kept() {
    let expected = PullRequest {
        event: PullRequestEvent::Open,
        number: 7,
        source_branch: "topic".into(),
        destination_branch: "main".into(),
        commit: COMMIT.into(),
        files: ChangedFiles::Incomplete,
        is_from_fork: false,
        head: head([Some("Mend"), Some("ada"), None, Some("7"), None], "GitHubEnterpriseServer"),
    };
    assert_eq!(request(hosts::github("pull_request", true, &github_request("opened"))), expected);
    let said = [Some("Mend"), Some("Ada"), Some("a@b"), None, Some("2026-03-01T10:00:00Z")];
    let expected = PullRequest { head: head(said, "GitLabSelfManaged"), ..expected };
    assert_eq!(request(hosts::gitlab("Merge Request Hook", &gitlab_request())), expected);
    let said = [Some("Mend"), Some("Ada"), None, Some("5b"), None];
    let expected = PullRequest { head: head(said, "Bitbucket"), ..expected };
    assert_eq!(request(hosts::bitbucket("pullrequest:created", &bitbucket_request())), expected);
    let fork = with(bitbucket_request(), "/pullrequest/source/repository/full_name", json!("eve/shop"));
    let fork = request(hosts::bitbucket("pullrequest:created", &fork));
    assert_eq!(fork, PullRequest { is_from_fork: true, ..expected });
}

#[test]
fn what_starts_nothing_is_said_in_words() {
    let nothing = |told: Result<hosts::Told, hosts::Unreadable>| match told {
        Ok(hosts::Told::Nothing(words)) => words,
        other => panic!("{other:?}"),
    };
    let notes = with(github_push(), "/ref", json!("refs/notes/commits"));
    let approved = with(gitlab_request(), "/object_attributes/action", json!("approved"));
    for (told, words) in [
        (hosts::github("push", false, &notes), "what was pushed is neither a branch nor a tag"),
        (hosts::github("star", false, &notes), "`star` is neither a push nor a pull request"),
        (
            hosts::github("pull_request", false, &github_request("labeled")),
            "a pull request being `labeled` starts nothing",
        ),
        (hosts::gitlab("Note Hook", &notes), "`Note Hook` is neither a push nor a merge request"),
        (hosts::gitlab("Merge Request Hook", &approved), "a merge request with `approved` starts nothing"),
        (hosts::bitbucket("repo:fork", &notes), "`repo:fork` is neither a push nor a pull request"),
        (hosts::bitbucket("pullrequest:rejected", &notes), "a pull request that was rejected starts nothing"),
    ] {
        assert_eq!(nothing(told), words);
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    type Read = fn(&Value) -> Result<hosts::Told, hosts::Unreadable>;
    let github: (Read, Value) = (|body| hosts::github("push", false, body), github_push());
    let asked: (Read, Value) = (|body| hosts::github("pull_request", false, body), github_request("opened"));
    let gitlab: (Read, Value) = (|body| hosts::gitlab("Push Hook", body), gitlab_push());
    let merge: (Read, Value) = (|body| hosts::gitlab("Merge Request Hook", body), gitlab_request());
    let side = |commit: &str| json!({ "type": "branch", "name": "main", "target": { "hash": commit } });
    let change = json!({ "old": side(BEFORE), "new": side(COMMIT) });
    let body = json!({ "repository": { "full_name": "acme/shop" }, "push": { "changes": [change.clone()] } });
    let bitbucket: (Read, Value) = (|body| hosts::bitbucket("repo:push", body), body);
    let pull: (Read, Value) = (|body| hosts::bitbucket("pullrequest:created", body), bitbucket_request());
    let hash = "/pullrequest/source/commit/hash";
    for ((read, body), pointer, value, place) in [
        (&github, "/ref", json!("refs/heads/"), "ref"),
        (&github, "/ref", json!(7), "ref"),
        (&github, "/before", json!(&BEFORE[1..]), "before"),
        (&github, "/after", json!(COMMIT.replace('a', "g")), "after"),
        (&github, "/repository/full_name", json!(""), "repository.full_name"),
        (&github, "/repository/full_name", json!("x".repeat(2001)), "repository.full_name"),
        (&asked, "/number", json!("7"), "number"),
        (&asked, "/pull_request/head/sha", json!(ZERO), "pull_request.head.sha"),
        (&asked, "/pull_request/base/ref", Value::Null, "pull_request.base.ref"),
        (&gitlab, "/ref", json!("refs/notes/x"), "ref"),
        (&gitlab, "/project/path_with_namespace", Value::Null, "project.path_with_namespace"),
        (&merge, "/object_attributes/iid", json!(-1), "object_attributes.iid"),
        (&merge, "/object_attributes/last_commit/id", json!(ZERO), "object_attributes.last_commit.id"),
        (&bitbucket, "/push/changes", json!({}), "push.changes"),
        (
            &bitbucket,
            "/push/changes",
            json!(vec![change; 101]),
            "push.changes`, of which there are at most `100",
        ),
        (&bitbucket, "/push/changes/0/new/target/hash", json!("abc"), "push.changes.new.target.hash"),
        (&bitbucket, "/push/changes/0/new/target/hash", Value::Null, "push.changes.new.target.hash"),
        (&bitbucket, "/push/changes/0/new/name", Value::Null, "name"),
        (&pull, "/pullrequest/id", Value::Null, "pullrequest.id"),
        (&pull, hash, json!(&COMMIT[..11]), "pullrequest.source.commit.hash"),
        (&pull, hash, json!("a".repeat(65)), "pullrequest.source.commit.hash"),
        (&pull, hash, json!("g".repeat(40)), "pullrequest.source.commit.hash"),
    ] {
        let refused = read(&with(body.clone(), pointer, value)).unwrap_err();
        assert_eq!(refused.to_string(), format!("the payload has no usable `{place}`"));
    }
    for (read, pointer, value) in [
        (&github, "/after", json!(COMMIT.to_uppercase())),
        (&github, "/after", json!("a".repeat(64))),
        (&pull, hash, json!(&COMMIT[..12])),
        (&pull, hash, json!("a".repeat(64))),
    ] {
        let told = read.0(&with(read.1.clone(), pointer, value.clone()));
        let commit = match one(told) {
            GitChange::Push(push) => push.after.unwrap(),
            GitChange::PullRequest(request) => request.commit,
        };
        assert_eq!(json!(commit), json!(value.as_str().unwrap().to_lowercase()));
    }
}

#[test]
fn a_host_lists_so_many_commits_and_a_list_that_may_be_cut_is_taken_as_one_that_is() {
    let one = json!({ "id": "a", "added": ["b"], "removed": [], "modified": ["a"] });
    let files = |push: Push| match push.files {
        ChangedFiles::Known(files) => Some(files),
        ChangedFiles::Incomplete | ChangedFiles::NothingToCompare => None,
    };
    let known = Some(vec!["a".to_owned(), "b".to_owned()]);
    let github =
        |commits: Value| files(push(hosts::github("push", false, &with(github_push(), "/commits", commits))));
    let gitlab = |count: usize, total: usize| {
        let body = with(gitlab_push(), "/commits", json!(vec![one.clone(); count]));
        files(push(hosts::gitlab("Push Hook", &with(body, "/total_commits_count", json!(total)))))
    };
    assert_eq!(github(json!(vec![one.clone(); 2047])), known);
    assert_eq!(github(json!(vec![one.clone(); 2048])), None);
    assert_eq!(github(json!([one.clone(), { "id": "b" }])), None, "one of them lists no files");
    assert_eq!(github(json!([{ "id": "b", "removed": ["a", "b"] }])), known);
    assert_eq!(github(json!({})), None);
    assert_eq!((gitlab(19, 19), gitlab(20, 20), gitlab(19, 20)), (known, None, None));
}

#[test]
fn of_a_github_push_the_flags_count_as_well_as_the_commits() {
    let read = |pointer: &str, value: Value| {
        push(hosts::github("push", false, &with(github_push(), pointer, value)))
    };
    assert_eq!(read("/deleted", json!(true)).after, None);
    assert_eq!(read("/after", json!(ZERO)).after, None);
    assert_eq!(read("/created", json!(true)).files, ChangedFiles::NothingToCompare);
    let fresh = read("/before", json!(ZERO));
    assert_eq!((fresh.before, fresh.files), (None, ChangedFiles::NothingToCompare));
    let long = read("/head_commit/message", json!("ü".repeat(1001)));
    assert_eq!(long.head.message, Some("ü".repeat(1000)));
    let name = |chars: usize| read("/head_commit/author/name", json!("x".repeat(chars))).head.author_name;
    assert_eq!((name(2000).map(|name| name.len()), name(2001), name(0)), (Some(2000), None, None));
    let tag = with(github_push(), "/ref", json!("refs/tags/v1"));
    let bare = push(hosts::github("push", false, &with(tag, "/head_commit", Value::Null)));
    assert_eq!(bare.after.as_deref(), Some(COMMIT), "the tag itself, where nothing else is known");
}

#[test]
fn of_a_gitlab_push_the_newest_commit_tells_who_and_what() {
    let of =
        |commits: Value| push(hosts::gitlab("Push Hook", &with(gitlab_push(), "/commits", commits))).head;
    let commit = |id: &str, name: &str| json!({ "id": id, "message": name, "author": { "name": name } });
    let named = of(json!([commit(COMMIT, "new"), commit("b", "last")]));
    assert_eq!((named.message.as_deref(), named.author_name.as_deref()), (Some("new"), Some("new")));
    assert_eq!(of(json!([commit("a", "first"), commit("b", "last")])).message.as_deref(), Some("last"));
    let unnamed = of(json!([]));
    assert_eq!((unnamed.message, unnamed.author_name.as_deref()), (None, Some("Ada")));
    let mut body = gitlab_push();
    body["project"] = json!({ "path_with_namespace": "acme/shop" });
    assert_eq!(push(hosts::gitlab("Push Hook", &body)).head.provider.as_deref(), Some("GitLab"));
    let gone = with(with(gitlab_push(), "/ref", json!("refs/tags/v1")), "/after", json!(ZERO));
    assert_eq!(push(hosts::gitlab("Tag Push Hook", &gone)).after, None, "whatever was checked out");
}

#[test]
fn each_reference_of_a_bitbucket_push_is_told_of_and_what_is_none_is_passed_over() {
    let side = |kind: &str, name: &str| json!({ "type": kind, "name": name, "target": { "hash": COMMIT } });
    let change = |kind: &str, name: &str| json!({ "old": null, "new": side(kind, name) });
    let changes = [change("branch", "main"), change("named_branch", "hg"), change("tag", "v1")];
    let mut all = changes.to_vec();
    all.resize(100, change("bookmark", "b"));
    let body = json!({ "repository": { "full_name": "acme/shop" }, "push": { "changes": all } });
    let Ok(hosts::Told::Events(events)) = hosts::bitbucket("repo:push", &body) else { panic!() };
    let references = events.into_iter().map(|event| match event.what {
        GitChange::Push(push) => push.reference,
        other => panic!("{other:?}"),
    });
    let expected = [Reference::Branch("main".into()), Reference::Tag("v1".into())];
    assert_eq!(Vec::from_iter(references), expected);
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_commit(text in "[0-9a-gZ]{0,70}") {
        let read = hosts::github("push", false, &with(github_push(), "/after", json!(text)));
        let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        prop_assert_eq!(read.is_ok(), is_id);
    }
}
