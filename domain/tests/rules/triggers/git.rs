//! Pushes, tags and pull requests against filters.

use super::{BEFORE, COMMIT, connection, pipeline};
use domain::{
    pipeline::{PipelineDeclaration, PullRequestEvent},
    trigger::{
        ChangedFiles, GitChange, Head, Listening, PullRequest, Push, Reference, Verdict,
        evaluate_pull_request, evaluate_push, listening,
        place::{of_repository, places},
    },
};
use events::TriggerType;
use serde_json::{Value, json};

fn push(reference: &str, files: &[&str]) -> Push {
    Push {
        reference: Reference::of(reference).unwrap(),
        before: Some(BEFORE.into()),
        after: Some(COMMIT.into()),
        files: ChangedFiles::Known(files.iter().map(|file| (*file).to_owned()).collect()),
        head: Head { message: Some("Mend".into()), ..Head::default() }.of("GitHub"),
    }
}

fn pushed(definition: &PipelineDeclaration, push: &Push) -> Verdict {
    evaluate_push(definition, push, |_| true)
}

#[test]
fn the_list_of_pipelines_says_which_repository_a_host_may_tell_of() {
    let hosted = places(&connection(None));
    assert!(hosted.contains(&of_repository("ACME/shop")), "{hosted:?}");
    assert!(!hosted.contains(&of_repository("acme/other")));
    let polled = json!({ "RepositoryName": "acme/shop", "BranchName": "main" });
    assert!(!places(&pipeline("CodeCommit", polled, json!([]))).contains(&of_repository("acme/shop")));
}

#[track_caller]
fn starts(definition: &PipelineDeclaration, push: &Push) -> String {
    match pushed(definition, push) {
        Verdict::Start(start) => {
            assert_eq!(
                start.revisions.values().collect::<Vec<_>>(),
                [COMMIT],
                "the event's commit is pinned"
            );
            start.because
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn nothing(definition: &PipelineDeclaration, push: &Push) -> String {
    match pushed(definition, push) {
        Verdict::Nothing { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn filters(push: Value) -> PipelineDeclaration {
    connection(Some(json!({ "push": push })))
}

#[test]
fn without_filters_a_push_to_the_actions_own_branch_starts() {
    let definition = connection(None);
    assert_eq!(
        starts(&definition, &push("refs/heads/main", &[])),
        "branch `main` is the one that `Fetch` fetches"
    );
    assert_eq!(
        nothing(&definition, &push("refs/heads/dev", &[])),
        "branch `dev` is not `main`, which the source action fetches"
    );
    assert!(
        nothing(&definition, &push("refs/tags/v1", &[])).contains("no trigger of the pipeline asks for tags")
    );
}

#[test]
fn what_decides_is_named() {
    let definition = filters(
        json!([{ "branches": { "includes": ["main", "release/**"], "excludes": ["release/old*"] } }]),
    );
    assert_eq!(
        starts(&definition, &push("refs/heads/release/2/1", &[])),
        "branch `release/2/1` is included by `release/**`"
    );
    assert_eq!(
        nothing(&definition, &push("refs/heads/dev", &[])),
        "branch `dev` is not among includes `main`, `release/**`"
    );
    assert_eq!(
        nothing(&definition, &push("refs/heads/release/old-1", &[])),
        "branch `release/old-1` is excluded by `release/old*`"
    );
}

#[test]
fn the_guides_own_examples_hold() {
    let files = filters(
        json!([{ "branches": { "includes": ["feature/**"] }, "filePaths": { "includes": ["common/**/*.js"] } }]),
    );
    starts(&files, &push("refs/heads/feature/t", &["common/app.js"]));
    assert!(nothing(&files, &push("refs/heads/feature/t", &["src/Main.java"])).contains("`src/Main.java`"));
    let either = filters(json!([
        { "tags": { "includes": ["release-1"] } },
        { "branches": { "includes": ["main*"], "excludes": ["feature*"] } },
    ]));
    starts(&either, &push("refs/tags/release-1", &[]));
    starts(&either, &push("refs/heads/main", &[]));
    let reason = nothing(&either, &push("refs/heads/feature-x", &[]));
    assert!(reason.contains("push[0]: ") && reason.contains("push[1]: "), "{reason}");
    let readme = filters(json!([{ "branches": { "includes": ["**"] },
        "filePaths": { "includes": ["README.md"], "excludes": ["LICENSE.txt"] } }]));
    starts(&readme, &push("refs/heads/main", &["LICENSE.txt", "README.md"]));
    nothing(&readme, &push("refs/heads/main", &["LICENSE.txt"]));
}

#[test]
fn excludes_alone_let_everything_else_through_and_win_over_the_same_include() {
    let definition = filters(json!([{ "branches": { "excludes": ["wip/**"] } }]));
    starts(&definition, &push("refs/heads/anything", &[]));
    nothing(&definition, &push("refs/heads/wip/a", &[]));
    let both = filters(json!([{ "branches": { "includes": ["main"], "excludes": ["main"] } }]));
    nothing(&both, &push("refs/heads/main", &[]));
}

#[test]
fn each_changed_file_is_judged_alone_and_one_is_enough() {
    let definition = filters(json!([{ "branches": { "includes": ["main"] },
        "filePaths": { "includes": ["src/**"], "excludes": ["src/docs/**"] } }]));
    assert!(
        starts(&definition, &push("refs/heads/main", &["src/docs/a", "src/main.rs"]))
            .contains("`src/main.rs` passes")
    );
    let reason = nothing(&definition, &push("refs/heads/main", &["src/docs/a", "top"]));
    assert!(reason.contains("none of the 2 changed files"), "{reason}");
    assert_eq!(nothing(&definition, &push("refs/heads/main", &[])), "no file was changed");
}

#[test]
fn a_new_branch_has_no_changed_files_and_a_cut_list_counts_as_met() {
    let definition =
        filters(json!([{ "branches": { "includes": ["**"] }, "filePaths": { "includes": ["src/**"] } }]));
    let fresh = Push { before: None, files: ChangedFiles::NothingToCompare, ..push("refs/heads/new", &[]) };
    assert!(nothing(&definition, &fresh).contains("no earlier commit"));
    let cut = Push { files: ChangedFiles::Incomplete, ..push("refs/heads/new", &[]) };
    assert!(starts(&definition, &cut).contains("is cut"));
    // Without a filter on paths nobody asks.
    starts(
        &connection(None),
        &Push { before: None, files: ChangedFiles::NothingToCompare, ..push("refs/heads/main", &[]) },
    );
}

#[test]
fn what_was_deleted_starts_nothing() {
    let definition =
        filters(json!([{ "branches": { "includes": ["**"] } }, { "tags": { "includes": ["**"] } }]));
    for reference in ["refs/heads/main", "refs/tags/v1"] {
        let gone = Push { after: None, ..push(reference, &[]) };
        assert!(nothing(&definition, &gone).contains("was deleted"));
    }
}

#[test]
fn detection_that_is_off_says_so() {
    let silent = pipeline(
        "CodeStarSourceConnection",
        json!({ "ConnectionArn": "c", "FullRepositoryId": "acme/shop", "BranchName": "main", "DetectChanges": "false" }),
        json!([]),
    );
    assert!(nothing(&silent, &push("refs/heads/main", &[])).contains("`DetectChanges` of `Fetch` is false"));
    let polled = |poll: &str| {
        pipeline(
            "CodeCommit",
            json!({ "RepositoryName": "shop", "BranchName": "main", "PollForSourceChanges": poll }),
            json!([]),
        )
    };
    assert!(
        nothing(&polled("false"), &push("refs/heads/main", &[]))
            .contains("`PollForSourceChanges` of `Fetch` is false")
    );
    match pushed(&polled("true"), &push("refs/heads/main", &[])) {
        Verdict::Start(start) => assert_eq!(start.trigger.kind, TriggerType::PollForSourceChanges),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trigger_counts_even_where_detection_is_off() {
    let mut definition = filters(json!([{ "branches": { "includes": ["dev"] } }]));
    definition.stages[0].actions[0].configuration.insert("DetectChanges".into(), "false".into());
    starts(&definition, &push("refs/heads/dev", &[]));
    // And the action's own branch is for starts by hand then.
    nothing(&definition, &push("refs/heads/main", &[]));
}

#[test]
fn the_detail_tells_who_and_what_and_always_fits() {
    let definition = connection(None);
    for message in ["Mend the gate", &"ä\"\u{1}".repeat(4000)] {
        let mut event = push("refs/heads/main", &[]);
        event.head = Head {
            message: Some(message.to_owned()),
            author_name: Some("Ada".into()),
            author_email: Some("x".repeat(900)),
            ..Head::default()
        }
        .of("GitHub");
        let Verdict::Start(start) = pushed(&definition, &event) else { panic!() };
        assert_eq!(start.trigger.kind, TriggerType::WebhookV2);
        assert!(start.trigger.detail.chars().count() <= 1024);
        let detail: Value = serde_json::from_str(&start.trigger.detail).unwrap();
        assert_eq!(detail["commit-id"], COMMIT);
        assert_eq!(detail["branch-name"], "main");
        assert_eq!(detail.get("tag-name"), None);
        assert_eq!(detail["full-repository-name"], "acme/shop");
        assert_eq!(detail["provider-type"], "GitHub");
    }
}

fn request(event: PullRequestEvent, files: &[&str]) -> PullRequest {
    PullRequest {
        event,
        number: 7,
        source_branch: "topic".into(),
        destination_branch: "main".into(),
        commit: COMMIT.into(),
        files: ChangedFiles::Known(files.iter().map(|file| (*file).to_owned()).collect()),
        is_from_fork: false,
        head: Head::default(),
    }
}

fn requested(definition: &PipelineDeclaration, request: &PullRequest, forks: bool) -> Verdict {
    evaluate_pull_request(definition, request, forks, |_| true)
}

#[test]
fn a_pull_request_is_judged_by_where_it_goes_and_fetches_where_it_comes_from() {
    let definition = connection(Some(json!({ "pullRequest": [{ "events": ["OPEN", "UPDATED"],
        "branches": { "includes": ["main"] }, "filePaths": { "includes": ["src/**"] } }] })));
    let Verdict::Start(start) = requested(&definition, &request(PullRequestEvent::Open, &["src/a"]), false)
    else {
        panic!()
    };
    assert_eq!(start.revisions.values().next().map(String::as_str), Some(COMMIT));
    let detail: Value = serde_json::from_str(&start.trigger.detail).unwrap();
    assert_eq!(
        (&detail["branch-name"], &detail["destination-branch-name"]),
        (&json!("topic"), &json!("main"))
    );
    assert_eq!(detail["pull-request-id"], "7");
    let reason = |request: &PullRequest| match requested(&definition, request, false) {
        Verdict::Nothing { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(&request(PullRequestEvent::Closed, &["src/a"])),
        "the pull request was closed, and it asks for opened, updated"
    );
    let elsewhere =
        PullRequest { destination_branch: "dev".into(), ..request(PullRequestEvent::Open, &["src/a"]) };
    assert_eq!(reason(&elsewhere), "destination branch `dev` is not among includes `main`");
    assert!(reason(&request(PullRequestEvent::Open, &["docs/a"])).contains("`docs/a`"));
    // And a push is another thing.
    assert!(nothing(&definition, &push("refs/heads/main", &["src/a"])).contains("pull requests only"));
}

#[test]
fn without_events_every_kind_counts_and_a_fork_only_where_it_may() {
    let definition = connection(Some(json!({ "pullRequest": [{ "branches": { "includes": ["**"] } }] })));
    for event in [PullRequestEvent::Open, PullRequestEvent::Updated, PullRequestEvent::Closed] {
        assert!(matches!(requested(&definition, &request(event, &[]), false), Verdict::Start(_)));
    }
    let fork = PullRequest { is_from_fork: true, ..request(PullRequestEvent::Open, &[]) };
    assert!(matches!(requested(&definition, &fork, false), Verdict::Nothing { .. }));
    assert!(matches!(requested(&definition, &fork, true), Verdict::Start(_)));
    assert!(matches!(requested(&connection(None), &fork, true), Verdict::Nothing { .. }));
}

#[test]
fn several_filters_and_several_actions_make_one_execution() {
    let twice =
        filters(json!([{ "branches": { "includes": ["main"] } }, { "branches": { "includes": ["m*"] } }]));
    assert_eq!(starts(&twice, &push("refs/heads/main", &[])), "push[0]: branch `main` is included by `main`");
    let mut two = connection(None);
    let mut second = two.stages[0].actions[0].clone();
    second.name = events::ActionName::parse("Also").unwrap();
    two.stages[0].actions.push(second);
    let Verdict::Start(start) = pushed(&two, &push("refs/heads/main", &[])) else { panic!() };
    assert_eq!(start.revisions.len(), 2);
}

#[test]
fn a_pattern_that_is_none_is_refused_when_the_pipeline_is_declared() {
    use domain::pipeline::{Setting, check_all};
    let definition = filters(json!([{ "branches": { "includes": ["a{b"] } }]));
    let registry = domain::catalogue::Registry::builtin();
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    let problems = check_all(&definition, &setting);
    assert!(
        problems.iter().any(|problem| format!("{problem:?}").contains("The glob pattern 'a{b' is not valid")),
        "{problems:?}"
    );
}

#[test]
fn what_happened_is_told_in_words_with_short_commits() {
    let words = |push| GitChange::Push(push).words();
    let short = &COMMIT[..8];
    assert_eq!(words(push("refs/heads/main", &[])), format!("push of {short} to branch `main`"));
    assert_eq!(words(push("refs/tags/v1", &[])), format!("push of {short} to tag `v1`"));
    let deleted = Push { after: None, ..push("refs/heads/topic", &[]) };
    assert_eq!(words(deleted), "deletion of branch `topic`");
    for (event, happened) in [
        (PullRequestEvent::Open, "opened"),
        (PullRequestEvent::Updated, "updated"),
        (PullRequestEvent::Closed, "closed"),
    ] {
        assert_eq!(
            GitChange::PullRequest(request(event, &[])).words(),
            format!("pull request 7 {happened}, `topic` into `main`, at {short}")
        );
    }
}

/// What filters on file paths say of a push of these files.
fn of_files(patterns: Value, files: &[&str]) -> Result<String, String> {
    let definition = filters(json!([{ "filePaths": patterns }]));
    match pushed(&definition, &push("refs/heads/main", files)) {
        Verdict::Start(start) => Ok(start.because),
        Verdict::Nothing { reason } => Err(reason),
        Verdict::Elsewhere => panic!("it is the pipeline's own repository"),
    }
}

#[test]
fn what_file_paths_decide_is_said_of_one_file_and_of_many() {
    let both = json!({ "includes": ["src/**", "lib/*"], "excludes": ["src/docs/**"] });
    let (includes, excludes) = (json!({ "includes": ["src/**"] }), json!({ "excludes": ["docs/**"] }));
    for (patterns, files, words) in [
        (&both, &["src/docs/a", "lib/b"][..], Ok("branch `main` was pushed, file `lib/b` passes")),
        (&excludes, &["docs/a", "top"], Ok("branch `main` was pushed, file `top` passes")),
        (&includes, &["top"], Err("the changed file `top` is not among includes `src/**`")),
        (&both, &["top"], Err("the changed file `top` is not among includes `src/**`, `lib/*`")),
        (
            &both,
            &["src/docs/a"],
            Err(
                "the changed file `src/docs/a` is not among includes `src/**`, `lib/*`, or is excluded by `src/docs/**`",
            ),
        ),
        (&excludes, &["docs/a"], Err("the changed file `docs/a` is excluded by one of `docs/**`")),
        (&includes, &["a", "b"], Err("none of the 2 changed files (`a`, …) is among includes `src/**`")),
        (
            &excludes,
            &["docs/a", "docs/b", "docs/c"],
            Err("none of the 3 changed files (`docs/a`, …) is outside of excludes `docs/**`"),
        ),
        (
            &both,
            &["a", "b"],
            Err(
                "none of the 2 changed files (`a`, …) is among includes `src/**`, `lib/*` and outside of excludes `src/docs/**`",
            ),
        ),
        (&both, &[], Err("no file was changed")),
    ] {
        assert_eq!(of_files(patterns.clone(), files), words.map(Into::into).map_err(Into::into));
    }
}

#[test]
fn a_list_of_files_that_is_too_long_counts_as_met_and_of_patterns_eight_are_named() {
    let none = json!({ "includes": ["src/**"] });
    assert!(of_files(none.clone(), &["top"; 20_000]).is_err());
    assert_eq!(
        of_files(none, &["top"; 20_001]).unwrap(),
        "branch `main` was pushed, the list of changed files is cut, so the file paths count as met"
    );
    let many = Vec::from_iter((0..9).map(|number| format!("p{number}")));
    let shown = many[..8].iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
    assert_eq!(
        of_files(json!({ "includes": many }), &["top"]).unwrap_err(),
        format!("the changed file `top` is not among includes {shown}")
    );
}

#[test]
fn tags_and_branches_are_asked_for_apart() {
    let tags = filters(json!([{ "tags": { "excludes": ["rc*"] } }]));
    assert_eq!(starts(&tags, &push("refs/tags/v1", &[])), "tag `v1` is not excluded");
    assert_eq!(
        nothing(&tags, &push("refs/heads/main", &[])),
        "branch `main` was pushed, and it asks for tags"
    );
    let branches = filters(json!([{ "branches": { "includes": ["main"] } }]));
    assert_eq!(
        nothing(&branches, &push("refs/tags/v1", &[])),
        "tag `v1` was pushed, and it asks for branches"
    );
    let both = filters(json!([{ "branches": { "includes": ["main"] }, "tags": { "includes": ["v*"] } }]));
    assert_eq!(starts(&both, &push("refs/tags/v1", &[])), "tag `v1` is included by `v*`");
    assert_eq!(starts(&both, &push("refs/heads/main", &[])), "branch `main` is included by `main`");
    let gone = Push { after: None, ..push("refs/tags/v1", &[]) };
    assert_eq!(nothing(&tags, &gone), "tag `v1` was deleted: there is nothing to fetch");
}

#[test]
fn what_a_pull_request_lacks_is_said() {
    let any = connection(Some(json!({ "pullRequest": [{ "filePaths": { "includes": ["src/**"] } }] })));
    let words =
        |definition: &PipelineDeclaration, request: &PullRequest| match requested(definition, request, false)
        {
            Verdict::Start(start) => start.because,
            Verdict::Nothing { reason } => reason,
            Verdict::Elsewhere => "elsewhere".to_owned(),
        };
    let open = request(PullRequestEvent::Open, &["src/a"]);
    assert_eq!(words(&any, &open), "destination branch `main` is any, file `src/a` passes");
    let fork = PullRequest { is_from_fork: true, ..open.clone() };
    assert_eq!(words(&any, &fork), "the pull request comes from a fork, whose author may be anybody");
    let none = "no trigger of the pipeline asks for pull requests";
    assert_eq!(words(&connection(None), &open), none);
    assert_eq!(words(&filters(json!([{ "branches": { "includes": ["main"] } }])), &open), none);
    assert_eq!(evaluate_pull_request(&any, &open, false, |_| false), Verdict::Elsewhere);
}

#[test]
fn of_several_actions_each_says_its_own_and_the_first_that_starts_is_the_trigger() {
    let mut two = connection(None);
    let mut second = two.stages[0].actions[0].clone();
    second.name = events::ActionName::parse("Also").unwrap();
    second.configuration.insert("BranchName".into(), "dev".into());
    two.stages[0].actions.push(second);
    assert_eq!(
        starts(&two, &push("refs/heads/dev", &[])),
        "Also: branch `dev` is the one that `Also` fetches"
    );
    assert_eq!(
        nothing(&two, &push("refs/heads/x", &[])),
        "Fetch: branch `x` is not `main`, which the source action fetches; \
         Also: branch `x` is not `dev`, which the source action fetches"
    );
}

#[test]
fn what_a_source_listens_to_depends_on_its_provider_and_its_settings() {
    let github = |poll: &str| {
        let configuration =
            json!({ "Owner": "acme", "Repo": "shop", "Branch": "main", "PollForSourceChanges": poll });
        pipeline("GitHub", configuration, json!([]))
    };
    let seen = |definition: &PipelineDeclaration| {
        let all = listening(definition);
        let one = |it: &Listening<'_>| {
            (it.repository.clone(), it.branch.clone(), it.is_connection(), it.needs_files())
        };
        all.iter().map(one).collect::<Vec<_>>()
    };
    let shop = |is_connection, needs_files| {
        vec![("acme/shop".to_owned(), "main".to_owned(), is_connection, needs_files)]
    };
    assert_eq!(seen(&github("true")), shop(false, false));
    assert_eq!(seen(&github("False")), shop(false, false));
    assert_eq!(seen(&connection(None)), shop(true, false));
    let paths = json!({ "includes": ["src/**"] });
    for (git, needs_files) in [
        (json!({ "push": [{ "branches": { "includes": ["main"] } }] }), false),
        (json!({ "push": [{ "filePaths": paths }] }), true),
        (json!({ "pullRequest": [{ "events": ["OPEN"] }] }), false),
        (json!({ "pullRequest": [{ "events": ["OPEN"] }, { "filePaths": paths }] }), true),
        (json!({}), false),
    ] {
        assert_eq!(seen(&connection(Some(git))), shop(true, needs_files));
    }
    let s3 = pipeline("S3", json!({ "S3Bucket": "b", "S3ObjectKey": "k" }), json!([]));
    assert_eq!(seen(&s3), []);
    let Verdict::Start(start) = pushed(&github("true"), &push("refs/heads/main", &[])) else { panic!() };
    assert_eq!(start.trigger.detail, format!("push of {COMMIT} to main (Fetch)"));
}

#[test]
fn of_a_trigger_without_filters_the_actions_own_branch_counts() {
    let mut definition = connection(Some(json!({})));
    definition.stages[0].actions[0].configuration.insert("DetectChanges".into(), "false".into());
    assert_eq!(
        starts(&definition, &push("refs/heads/main", &[])),
        "branch `main` is the one that `Fetch` fetches"
    );
}

#[test]
fn only_full_names_of_branches_and_tags_are_references() {
    for (full, reference) in [
        ("refs/heads/a/b", Some(Reference::Branch("a/b".into()))),
        ("refs/tags/v1", Some(Reference::Tag("v1".into()))),
        ("refs/heads/", None),
        ("refs/tags/", None),
        ("refs/notes/x", None),
        ("main", None),
    ] {
        assert_eq!(Reference::of(full), reference);
    }
}

#[test]
fn what_is_least_goes_first_when_the_detail_is_too_long() {
    let detail = |email: usize, message: Option<&str>| {
        let head = Head {
            message: message.map(Into::into),
            author_name: Some("Ada".into()),
            author_email: Some("x".repeat(email)),
            author_id: Some("7".into()),
            author_date: Some("2026-03-01T10:00:00Z".into()),
            provider: None,
        };
        let event = Push { head: head.of("GitHub"), ..push("refs/tags/v1", &[]) };
        let definition = filters(json!([{ "tags": { "includes": ["v*"] } }]));
        let Verdict::Start(start) = pushed(&definition, &event) else { panic!() };
        start.trigger.detail
    };
    let names = |detail: &str| {
        let read: Value = serde_json::from_str(detail).unwrap();
        read.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let all = [
        "author-date",
        "author-display-name",
        "author-email",
        "author-id",
        "commit-id",
        "connection-arn",
        "full-repository-name",
        "provider-type",
        "tag-name",
    ];
    let room = 1024 - detail(0, None).chars().count();
    assert_eq!(names(&detail(room, None)), all);
    assert_eq!(detail(room, None).chars().count(), 1024);
    let beside_words = 1024 - detail(0, Some("Mend it")).chars().count();
    let full = detail(beside_words, Some("Mend it"));
    assert!(full.chars().count() == 1024 && full.contains("\"Mend it\""), "{full}");
    assert!(detail(beside_words + 1, Some("Mend it")).contains("\"Men\""), "half of the words");
    let without = |gone: &[&str]| Vec::from_iter(all.into_iter().filter(|name| !gone.contains(name)));
    assert_eq!(names(&detail(room + 1, None)), without(&["author-display-name"]));
    assert_eq!(names(&detail(room + 1, Some("Mend"))), without(&["author-display-name"]));
    assert_eq!(names(&detail(1024, None)), without(&["author-display-name", "author-email"]));
}
