//! What starts a pipeline over the wire: repositories that are watched, Git hosts that call, events that are put,
//! other pipelines; and that everything which started nothing says why.

use crate::steps::{create, executions, reaches};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    client::{Answer, Client},
    deliveries::Delivery,
    events::{put, put_body},
    folder::Folder,
    pipelines::{commands, pipeline, source, source_action, stage},
    processes::eventually,
    random::Random,
    server::Server,
};

const SECRET: &str = "a-secret-of-the-hook";
const SOON: Duration = Duration::from_secs(30);
const CONNECTION: &str =
    "arn:aws:codestar-connections:us-east-1:123456789012:connection/0d9b6c1e-7a52-4f3b-8c4d-5e6f70812a3b";

/// A pipeline on the connection to `acme/shop`, with these filters.
fn filtered(name: &str, git: &Value) -> Value {
    let action = json!({
        "name": "Checkout",
        "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection", "version": "1" },
        "configuration": { "ConnectionArn": CONNECTION, "FullRepositoryId": "acme/shop", "BranchName": "main" },
        "outputArtifacts": [{ "name": "Code" }],
    });
    let build = stage("Build", vec![commands("Say", &["true"])]);
    let mut whole = pipeline(name, vec![stage("Source", vec![action]), build]);
    let mut git = git.clone();
    git["sourceActionName"] = json!("Checkout");
    whole["pipeline"]["pipelineType"] = json!("V2");
    whole["pipeline"]["triggers"] =
        json!([{ "providerType": "CodeStarSourceConnection", "gitConfiguration": git }]);
    whole
}

/// Waits for this many executions; returns the newest.
#[track_caller]
fn started(client: &Client, pipeline: &str, count: usize) -> Value {
    let mut listed = Vec::new();
    let there = eventually(SOON, || {
        listed = executions(client, pipeline);
        listed.len() >= count
    });
    assert!(there && listed.len() == count, "{pipeline}: {listed:#?}");
    listed[0].clone()
}

/// Waits until `towpath why` says this.
#[track_caller]
fn says(folder: &Folder, pipeline: &str, text: &str) {
    let mut said = String::new();
    let there = eventually(SOON, || {
        said = folder.towpath(&["why", pipeline]).out;
        said.contains(text)
    });
    assert!(there, "`{text}` is not in\n{said}");
}

#[track_caller]
fn fetched(client: &Client, pipeline: &str, run: &Value, commit: &str) {
    let id = run["pipelineExecutionId"].as_str().unwrap();
    reaches(client, pipeline, id, "Succeeded");
    let told = crate::steps::execution(client, pipeline, id);
    assert_eq!(told["artifactRevisions"][0]["revisionId"], commit);
}

/// Waits until the server has noted the head it watches from.
#[track_caller]
fn watched_now(folder: &Folder, pipeline: &str) {
    let head = folder.git(&["rev-parse", "main"]);
    let is_noted = || {
        let noted: Value = serde_json::from_str(&folder.read(".towpath/watched.json")).unwrap_or_default();
        let places = noted["repositories"].as_object().cloned().unwrap_or_default();
        places.iter().any(|(key, seen)| {
            key.starts_with(&format!("{pipeline} ")) && seen["refs/heads/main"] == head.as_str()
        })
    };
    assert!(eventually(SOON, is_noted), "{}", folder.read(".towpath/watched.json"));
}

#[test]
fn tags_and_changed_files_decide_over_what_is_watched() {
    let tags =
        filtered("tags", &json!({ "push": [{ "tags": { "includes": ["v*"], "excludes": ["v*-rc*"] } }] }));
    let paths = filtered(
        "paths",
        &json!({ "push": [{ "branches": { "includes": ["main"] }, "filePaths": { "includes": ["services/a/**"] } }] }),
    );
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &tags, "Succeeded");
    create(client, &paths, "Succeeded");
    watched_now(&folder, "tags");
    watched_now(&folder, "paths");

    folder.write("services/b/main.rs", "b");
    folder.commit("Another service");
    says(&folder, "paths", "started nothing");
    says(&folder, "paths", "none of the 2 changed files");
    says(&folder, "tags", "branch `main` was pushed, and it asks for tags");
    folder.write("services/a/main.rs", "a");
    folder.write("services/b/main.rs", "bb");
    let commit = folder.commit("Both services");
    let run = started(client, "paths", 2);
    fetched(client, "paths", &run, &commit);
    let detail: Value = serde_json::from_str(run["trigger"]["triggerDetail"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&detail["commit-message"], &detail["author-display-name"]),
        (&json!("Both services"), &json!("Ada"))
    );

    folder.git(&["tag", "v1.0-rc1"]);
    says(&folder, "tags", "tag `v1.0-rc1` is excluded by `v*-rc*`");
    // An annotated tag is an object of its own: the commit is what is fetched.
    folder.git(&["tag", "-a", "v1.0", "-m", "The first"]);
    let run = started(client, "tags", 2);
    fetched(client, "tags", &run, &commit);
    let detail: Value = serde_json::from_str(run["trigger"]["triggerDetail"].as_str().unwrap()).unwrap();
    assert_eq!((&detail["tag-name"], &detail["branch-name"]), (&json!("v1.0"), &Value::Null));
    assert_eq!(executions(client, "paths").len(), 2, "a tag is not for those who ask for branches");
    folder.git(&["tag", "-d", "v1.0"]);
    says(&folder, "tags", "tag `v1.0` was deleted");
}

#[test]
fn what_was_pushed_while_nobody_watched_starts_once_and_a_killed_server_starts_nothing_twice() {
    let tags = filtered("tags", &json!({ "push": [{ "tags": { "includes": ["v*"] } }] }));
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    create(&server.client, &tags, "Succeeded");
    watched_now(&folder, "tags");
    let before = folder.read(".towpath/watched.json");
    server.kill();
    folder.git(&["tag", "v1"]);
    let server = Server::start(&folder);
    started(&server.client, "tags", 2);
    assert!(eventually(SOON, || folder.read(".towpath/watched.json").contains("refs/tags/v1")));
    server.kill();
    // As if it had been killed before it noted that it had dealt with it.
    folder.write(".towpath/watched.json", &before);
    let server = Server::start(&folder);
    assert!(eventually(SOON, || folder.read(".towpath/watched.json").contains("refs/tags/v1")));
    assert_eq!(executions(&server.client, "tags").len(), 2);
}

fn hooked() -> Folder {
    let folder = Folder::repository(&json!({}), &[]);
    folder.write("hook.secret", &format!("{SECRET}\n"));
    folder.write(
        "towpath.toml",
        "[hooks.github]\nsecret-file = \"hook.secret\"\n\n[hooks.gitlab]\nsecret-file = \"hook.secret\"\n\n\
         [hooks.bitbucket]\nsecret-file = \"hook.secret\"\n",
    );
    folder
}

fn pull_request(action: &str, branch: &str, commit: &str, full_name: &str) -> Value {
    json!({ "action": action, "number": 7, "repository": { "full_name": "acme/shop" },
        "pull_request": { "title": "Mend", "user": { "login": "ada", "id": 7 },
            "head": { "ref": "topic", "sha": commit, "repo": { "full_name": full_name } },
            "base": { "ref": branch, "sha": commit, "repo": { "full_name": "acme/shop" } } } })
}

fn github(body: &Value, event: &str, id: &str) -> Delivery {
    Delivery::new("http://localhost/hooks/github", body)
        .with("x-github-event", event)
        .with("x-github-delivery", id)
}

#[track_caller]
fn outcome(answer: &Answer, is_started: bool) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.json());
    let told = answer.json()["pipelines"][0].clone();
    assert_eq!(told["started"], is_started, "{}", answer.json());
    told
}

#[test]
fn a_pull_request_starts_by_delivery_once_and_only_as_the_filter_says() {
    let filter =
        json!({ "pullRequest": [{ "events": ["OPEN", "UPDATED"], "branches": { "includes": ["main"] } }] });
    let folder = hooked();
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &filtered("review", &filter), "Succeeded");
    folder.git(&["checkout", "--quiet", "-b", "topic"]);
    let commit = folder.commit("On the topic");
    folder.git(&["checkout", "--quiet", "main"]);

    let opened =
        github(&pull_request("opened", "main", &commit, "acme/shop"), "pull_request", "d-1").signed(SECRET);
    let first = outcome(&opened.send(client), true);
    let run = started(client, "review", 2);
    assert_eq!(run["pipelineExecutionId"], first["pipelineExecutionId"]);
    assert_eq!(run["trigger"]["triggerType"], "WebhookV2");
    fetched(client, "review", &run, &commit);
    assert_eq!(outcome(&opened.send(client), true), first, "a delivery that comes again is told the same");
    assert_eq!(executions(client, "review").len(), 2);

    let ask = |body: &Value, id: &str| {
        outcome(&github(body, "pull_request", id).signed(SECRET).send(client), false)
    };
    let closed = ask(&pull_request("closed", "main", &commit, "acme/shop"), "d-2");
    assert!(closed["message"].as_str().unwrap().contains("was closed"), "{closed}");
    let elsewhere = ask(&pull_request("opened", "dev", &commit, "acme/shop"), "d-3");
    assert_eq!(elsewhere["message"], "destination branch `dev` is not among includes `main`");
    let fork = ask(&pull_request("opened", "main", &commit, "eve/shop"), "d-4");
    assert!(fork["message"].as_str().unwrap().contains("fork"));
    says(&folder, "review", "destination branch `dev` is not among includes `main`");
    assert_eq!(executions(client, "review").len(), 2);
    assert_eq!(outcome(&opened.send(client), true), first);
}

#[test]
fn only_who_knows_the_secret_is_believed() {
    let folder = hooked();
    let server = Server::start(&folder);
    let client = &server.client;
    let body = pull_request("opened", "main", &"ab".repeat(20), "acme/shop");
    let sent = |delivery: &Delivery| delivery.send(client).status;
    assert_eq!(sent(&github(&body, "pull_request", "d")), 403);
    assert_eq!(sent(&github(&body, "pull_request", "d").signed("another-secret")), 403);
    assert_eq!(
        sent(&github(&body, "pull_request", "d").signed_with_sha1(SECRET)),
        403,
        "the older one counts for nothing"
    );
    assert_eq!(sent(&github(&body, "pull_request", "d").signed(SECRET)), 200);
    assert_eq!(sent(&github(&json!({}), "ping", "d").signed(SECRET)), 200);
    assert_eq!(sent(&github(&json!({ "ref": 7 }), "push", "d").signed(SECRET)), 400);
    let gitlab = |token: Option<&str>| {
        let body = json!({ "object_kind": "push" });
        let plain =
            Delivery::new("http://localhost/hooks/gitlab", &body).with("x-gitlab-event", "Issue Hook");
        token.into_iter().fold(plain, |delivery, token| delivery.with("x-gitlab-token", token))
    };
    assert_eq!(sent(&gitlab(None)), 403);
    assert_eq!(sent(&gitlab(Some("another-secret"))), 403);
    assert_eq!(sent(&gitlab(Some(SECRET))), 200);
    let unknown = Delivery::new("http://localhost/hooks/sourceforge", &body).signed(SECRET);
    assert_eq!(sent(&unknown), 404);
    let read = folder.read("server.err");
    assert!(!read.contains(SECRET), "a secret is never logged");
}

#[test]
fn a_push_that_is_seen_and_told_starts_once() {
    let folder = hooked();
    let server = Server::start(&folder);
    let client = &server.client;
    let filter = json!({ "push": [{ "branches": { "includes": ["main"] } }] });
    create(client, &filtered("shop", &filter), "Succeeded");
    watched_now(&folder, "shop");
    let before = folder.git(&["rev-parse", "main"]);
    let commit = folder.commit("Second commit");
    let run = started(client, "shop", 2);
    let body = json!({ "ref": "refs/heads/main", "before": before, "after": commit, "created": false, "deleted": false,
        "repository": { "full_name": "Acme/Shop" }, "commits": [{ "added": ["x"], "removed": [], "modified": [] }] });
    let told = outcome(&github(&body, "push", "d-9").signed(SECRET).send(client), false);
    assert!(
        told["message"].as_str().unwrap().contains(run["pipelineExecutionId"].as_str().unwrap()),
        "{told}"
    );
    assert_eq!(executions(client, "shop").len(), 2);
}

#[test]
fn events_start_by_rules_and_by_sources_and_pipelines_start_pipelines() {
    let folder = Folder::repository(&json!({}), &[]);
    folder.write(
        "towpath.toml",
        r#"
        [[rules]]
        name = "after-shop"
        pipeline = "after"
        event-pattern = '''{
            "source": ["aws.codepipeline"], "detail-type": ["CodePipeline Pipeline Execution State Change"],
            "detail": {"pipeline": ["shop"], "state": ["SUCCEEDED"]}
        }'''

        [[rules]]
        name = "orders"
        pipeline = "named"
        event-pattern = '{"source": [{"prefix": "shop."}], "detail": {"total": [{"numeric": [">", 100]}]}}'
        [rules.input-transformer]
        input-paths-map = { who = "$.detail.who" }
        input-template = '{"variables": [{"name": "WHO", "value": "<who>"}]}'
        "#,
    );
    let server = Server::start(&folder);
    let client = &server.client;
    let named = {
        let mut named = pipeline("named", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
        named["pipeline"]["pipelineType"] = json!("V2");
        named["pipeline"]["variables"] = json!([{ "name": "WHO", "defaultValue": "nobody" }]);
        named
    };
    let simple =
        |name: &str| pipeline(name, vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    create(client, &named, "Succeeded");
    create(client, &simple("after"), "Succeeded");
    create(client, &simple("shop"), "Succeeded");
    // The success of `shop` is what `after` waits for.
    let run = started(client, "after", 2);
    assert_eq!(run["trigger"]["triggerType"], "CloudWatchEvent");
    assert_eq!(run["trigger"]["triggerDetail"], "arn:aws:events:us-east-1:123456789012:rule/after-shop");

    let told = put(
        client,
        &[
            ("shop.orders", "Order", json!({ "total": 120, "who": "Ada" })),
            ("shop.orders", "Order", json!({ "total": 7 })),
        ],
    );
    assert_eq!((told.status, &told.json()["FailedEntryCount"]), (200, &json!(0)));
    let run = started(client, "named", 2);
    let id = run["pipelineExecutionId"].as_str().unwrap();
    let told = crate::steps::execution(client, "named", id);
    assert_eq!(told["variables"], json!([{ "name": "WHO", "resolvedValue": "Ada" }]));
    says(&folder, "named", "`detail.total` is `7`");
}

#[test]
fn events_of_codecommit_pin_their_commit_and_come_once_by_their_id() {
    let folder = Folder::repository(&json!({}), &[]);
    let first = folder.git(&["rev-parse", "main"]);
    let server = Server::start(&folder);
    let client = &server.client;
    let events = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let polled = stage("Source", vec![source_action("main", true)]);
    let polled = pipeline("polled", vec![polled, stage("Build", vec![commands("Say", &["true"])])]);
    create(client, &events, "Succeeded");
    create(client, &polled, "Succeeded");
    watched_now(&folder, "polled");
    folder.commit("The newest");
    started(client, "polled", 2);
    says(&folder, "shop", "`PollForSourceChanges` of `Checkout` is false");
    let event = |branch: &str| {
        json!({ "id": "3f1c", "source": "aws.codecommit", "detail-type": "CodeCommit Repository State Change",
            "detail": { "event": "referenceUpdated", "repositoryName": "shop", "referenceType": "branch",
                        "referenceName": branch, "commitId": first } })
    };
    for _ in 0..2 {
        let answer = put_body(client, "/events", event("main").to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    let run = started(client, "shop", 2);
    fetched(client, "shop", &run, &first);
    assert_eq!(executions(client, "polled").len(), 2);
    says(&folder, "polled", "`Checkout` is polled");
    let mut other = event("dev");
    other["id"] = json!("3f1d");
    assert_eq!(put_body(client, "/events", other.to_string().as_bytes()).status, 200);
    says(&folder, "shop", "branch `dev` is not `main`, which the source action fetches");
}

#[test]
fn events_need_the_key_and_a_good_shape() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let status = |answer: &Answer| answer.status;
    let stranger = client.with_key("AKIASOMEBODYELSE", "guess");
    assert_eq!(status(&put(&stranger, &[("a", "b", json!({}))])), 403);
    let wrong = client.signed_for("codepipeline", "/", "AWSEvents.PutEvents", b"{}");
    assert_eq!(status(&client.send(&wrong).unwrap()), 403, "signed for another service");
    let unknown = client.signed_for("events", "/", "AWSEvents.PutRule", b"{}");
    assert_eq!(status(&client.send(&unknown).unwrap()), 400);
    for body in ["", "7", "{}", r#"{"Entries": []}"#, r#"{"Entries": 7}"#] {
        assert_eq!(status(&put_body(client, "/", body.as_bytes())), 400, "{body}");
    }
    let entries = json!({ "Entries": [
        { "Source": "a", "DetailType": "b", "Detail": "{}" }, { "Source": "a", "DetailType": "b", "Detail": "[]" },
        { "DetailType": "b", "Detail": "{}" }, { "Source": "a", "DetailType": "b", "Detail": "{}", "EventBusName": "x" },
        7,
    ] });
    let answer = put_body(client, "/", entries.to_string().as_bytes());
    let told = answer.json();
    assert_eq!((answer.status, &told["FailedEntryCount"]), (200, &json!(4)));
    assert!(told["Entries"][0]["EventId"].is_string());
    assert_eq!(told["Entries"][1]["ErrorCode"], "MalformedDetail");
    assert_eq!(told["Entries"][3]["ErrorCode"], "ResourceNotFoundException");
}

#[test]
fn no_delivery_and_no_event_is_an_internal_failure() {
    const SEED: u64 = 77;
    let folder = hooked();
    let server = Server::start(&folder);
    let client = &server.client;
    create(
        client,
        &filtered("shop", &json!({ "push": [{ "branches": { "includes": ["main"] } }] })),
        "Succeeded",
    );
    let mut random = Random::new(SEED);
    let commit = "ab".repeat(20);
    let push = json!({ "ref": "refs/heads/dev", "before": commit, "after": commit, "deleted": false, "created": false,
        "repository": { "full_name": "acme/shop" }, "head_commit": { "id": commit, "author": { "name": "A" } },
        "push": { "changes": [{ "old": null, "new": { "type": "branch", "name": "x", "target": { "hash": commit } } }] },
        "project": { "path_with_namespace": "acme/shop" }, "object_kind": "push",
        "commits": [{ "added": ["a"], "removed": [], "modified": [] }] });
    let events =
        ["push", "pull_request", "Push Hook", "Merge Request Hook", "repo:push", "pullrequest:created"];
    for turn in 0..600 {
        let mut body = push.to_string().into_bytes();
        for _ in 0..random.below(6) {
            if body.is_empty() {
                break;
            }
            let at = random.below(body.len());
            match random.below(3) {
                0 => body[at] = u8::try_from(random.below(256)).unwrap(),
                1 => drop(body.remove(at)),
                _ => body.truncate(at.max(1)),
            }
        }
        let host = ["github", "gitlab", "bitbucket"][random.below(3)];
        let event = events[random.below(events.len())];
        let mut delivery = Delivery::new(&format!("http://localhost/hooks/{host}"), &json!({}));
        delivery.body = body.clone();
        let delivery = match host {
            "github" => delivery.with("x-github-event", event).signed(SECRET),
            "gitlab" => delivery.with("x-gitlab-event", event).with("x-gitlab-token", SECRET),
            _ => delivery.with("x-event-key", event).signed(SECRET),
        };
        let status = delivery.send(client).status;
        assert!(matches!(status, 200 | 400), "seed {SEED}, turn {turn}: {status}");
        let status = put_body(client, "/", &body).status;
        assert!(matches!(status, 200 | 400), "seed {SEED}, turn {turn}: {status}");
    }
    assert_eq!(executions(client, "shop").len(), 1);
    assert!(!folder.read("server.err").contains("panicked"), "{}", folder.read("server.err"));
}
