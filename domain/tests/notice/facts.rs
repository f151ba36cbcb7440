//! What a notice says of a run, before it is put into the words of a channel.

use domain::{
    execution::{AttemptRun, Execution, ExecutionStatus, StopRequest},
    notice::facts::{Commit, Facts, Failure, Known, answered, span},
    pipeline::PipelineDeclaration,
    testing::*,
};
use events::{FailureCode, SourceRevision, Timestamp, Trigger, TriggerType};
use std::collections::BTreeMap;

fn shop() -> World {
    let gate = (0..6).map(|number| approval(&format!("Ask{number}")).set("CustomData", "Go?"));
    let builds = (0..6).map(|number| action(&format!("Make{number}")));
    given(pipeline("shop").stage("Source", [source("Fetch")]).stage("Build", builds).stage("Gate", gate))
}

fn of(run: &Execution, definition: Option<&PipelineDeclaration>) -> Facts {
    let id = execution_id("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9");
    let known =
        Known { execution: &id, definition, console: None, account: "111122223333", region: "eu-west-1" };
    let facts = Facts::of(run, None, known).unwrap();
    assert_eq!((facts.execution.as_str(), facts.link.as_deref()), ("0a1b2c3d", None));
    facts
}

/// A run whose source has ended; each test gives it a commit of its own.
fn fetched() -> Execution {
    let mut world = shop();
    world.start("e1");
    world.succeed("e1", "Fetch");
    world.run("e1").clone()
}

/// The commit that is shown of a source that reported this.
fn commit(id: &str, summary: Option<&str>, variables: &[(&str, &str)]) -> Commit {
    let mut run = fetched();
    run.revisions[0].revision_id = id.to_owned();
    run.revisions[0].summary = summary.map(ToOwned::to_owned);
    run.stages[0].attempts[0].output_variables =
        variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    of(&run, None).commits.remove(0)
}

#[test]
fn only_a_commit_of_git_is_shown_by_its_first_seven_digits() {
    let (short, long) = ("0123456789abcdef".repeat(3), "0123456789ABCDEF".repeat(4));
    for (id, shown) in [
        (&short[..39], &short[..39]),
        (&short[..40], "0123456"),
        (&long, "0123456"),
        ("v0123456789abcdef0123456789abcdef01234567", "v0123456789abcdef0123456789abcdef01234567"),
        ("two\nlines", "two"),
    ] {
        assert_eq!(commit(id, None, &[]).id, shown);
    }
}

#[test]
fn a_commits_title_is_the_first_line_of_its_message_wherever_that_stands() {
    for (summary, title) in [
        (None, None),
        (Some(""), None),
        (Some(" \n"), None),
        (Some("\n Fix it \nat last"), Some("Fix it")),
        (Some(r#"{"ProviderType":"GitHub","CommitMessage":"Fix it\n\nat last"}"#), Some("Fix it")),
        (Some(r#"{"CommitMessage":7}"#), Some(r#"{"CommitMessage":7}"#)),
        (Some("{braces}"), Some("{braces}")),
        (Some(r#"["CommitMessage"]"#), Some(r#"["CommitMessage"]"#)),
    ] {
        assert_eq!(commit("r1", summary, &[]).title.as_deref(), title, "{summary:?}");
    }
}

#[test]
fn the_author_is_called_by_the_best_name_there_is_and_so_is_the_branch() {
    let names = [
        ("AuthorDisplayName", "Ada L."),
        ("AuthorName", "Ada"),
        ("AuthorEmail", "ada@example.com"),
        ("AuthorId", "7"),
    ];
    for (at, (_, name)) in names.iter().enumerate() {
        assert_eq!(commit("r1", None, &names[at..]).author.as_deref(), Some(*name));
        let mut without = names;
        without[..at].iter_mut().for_each(|(_, name)| *name = "");
        assert_eq!(commit("r1", None, &without).author.as_deref(), Some(*name), "an empty one is none");
    }
    assert_eq!(commit("r1", None, &[]).author, None);
    let branch = |variables: &[(&str, &str)]| commit("r1", None, variables).branch;
    assert_eq!(branch(&[("BranchName", "main"), ("TagName", "v1")]).as_deref(), Some("main"));
    assert_eq!(branch(&[("BranchName", ""), ("TagName", "v1")]).as_deref(), Some("v1"));
    assert_eq!(branch(&[]), None);
}

#[test]
fn three_commits_are_shown_with_what_the_newest_attempt_at_their_source_said() {
    let mut run = fetched();
    let mut again: AttemptRun = run.stages[0].attempts[0].clone();
    again.output_variables = BTreeMap::from([("AuthorName".to_owned(), "Bob".to_owned())]);
    run.stages[0].attempts[0].output_variables =
        BTreeMap::from([("AuthorName".to_owned(), "Ada".to_owned())]);
    run.stages[0].attempts.push(again);
    let revision =
        SourceRevision { url: Some("https://git.example.com/1".to_owned()), ..run.revisions[0].clone() };
    run.revisions = vec![revision; 4];
    let commits = of(&run, None).commits;
    let shown = Commit {
        id: "rev-e1".to_owned(),
        url: Some("https://git.example.com/1".to_owned()),
        title: None,
        author: Some("Bob".to_owned()),
        branch: None,
    };
    assert_eq!(commits, vec![shown; 3]);
}

#[test]
fn who_started_a_run_is_called_by_the_end_of_an_arn() {
    let mut run = fetched();
    for (detail, shown) in [
        ("arn:aws:iam::111122223333:user/ops/ann", "ann (CloudWatchEvent)"),
        ("arn:aws:codepipeline:eu-west-1:111122223333:shop", "shop (CloudWatchEvent)"),
        ("arn:aws:iam::111122223333:user/", "CloudWatchEvent"),
        ("nightly/all", "nightly/all (CloudWatchEvent)"),
        ("one\ntwo", "one (CloudWatchEvent)"),
        ("", "CloudWatchEvent"),
    ] {
        let start = run.start.as_mut().unwrap();
        start.trigger = Trigger { kind: TriggerType::CloudWatchEvent, detail: detail.to_owned() };
        assert_eq!(of(&run, None).trigger, shown, "{detail:?}");
    }
}

/// A run whose stage `Build` has failed in this many actions.
fn failed(actions: usize) -> Execution {
    let mut world = shop();
    world.start("e1");
    world.succeed("e1", "Fetch");
    for number in 0..6 {
        let action = format!("Make{number}");
        if number < actions { world.fail("e1", &action) } else { world.succeed("e1", &action) }
    }
    world.run("e1").clone()
}

#[test]
fn the_first_line_of_what_a_provider_says_is_the_reason_and_the_last_fifteen_are_shown() {
    let lines =
        |range: std::ops::RangeInclusive<usize>| Vec::from_iter(range.map(|line| format!("line {line}")));
    let mut run = failed(1);
    for (message, reason, shown) in [
        (String::new(), "", Vec::new()),
        ("\n\nno such file \n \n".to_owned(), "no such file", Vec::new()),
        ("no\r\n\tat\u{1b}[31m x \n".to_owned(), "no", vec!["\tat[31m x".to_owned()]),
        (lines(1..=16).join("\n"), "line 1", lines(2..=16)),
        (lines(1..=17).join("\n"), "line 1", lines(3..=17)),
    ] {
        run.stages[1].attempts[0].error = Some((FailureCode::PermissionError, message));
        run.stages[1].attempts[0].external_execution_url = Some("https://ci.example.com/1".to_owned());
        let failure = Failure {
            stage: stage_name("Build"),
            what: "Make0".to_owned(),
            code: Some("PermissionError".to_owned()),
            reason: reason.to_owned(),
            lines: shown,
            url: Some("https://ci.example.com/1".to_owned()),
        };
        assert_eq!(of(&run, None).failures, [failure]);
    }
    run.stages[1].attempts[0].error = None;
    run.stages[1].attempts[0].summary = Some("3 of 12 failed".to_owned());
    let told = of(&run, None).failures.remove(0);
    assert_eq!((told.code, told.reason.as_str()), (None, "3 of 12 failed"));
}

#[test]
fn five_failures_are_shown_of_a_run_that_failed_and_none_of_one_that_goes_on() {
    for (actions, shown) in [(5, 5), (6, 5)] {
        let mut run = failed(actions);
        assert_eq!(of(&run, None).failures.len(), shown);
        run.status = ExecutionStatus::InProgress;
        assert_eq!(of(&run, None).failures, []);
    }
}

#[test]
fn why_a_run_ended_is_told_where_somebody_or_something_ended_it() {
    let mut run = fetched();
    run.cause = Some("0b3d7c4e-5a66-4f0e-9c1d-2f6a7b8c9d0e\nmore".to_owned());
    let stop = |reason: Option<&str>, by: &str| {
        Some(StopRequest { abandon: false, reason: reason.map(ToOwned::to_owned), by: by.to_owned() })
    };
    let ann = "arn:aws:iam::111122223333:user/ann";
    for (status, stop, cause) in [
        (ExecutionStatus::Stopped, stop(Some("\nwrong branch\n"), ann), Some("wrong branch (ann)")),
        (ExecutionStatus::Stopping, stop(Some(" "), ann), Some("ann")),
        (ExecutionStatus::Stopping, stop(None, "towpath:runner"), Some("runner")),
        (ExecutionStatus::Stopped, None, None),
        (ExecutionStatus::Cancelled, None, Some("0b3d7c4e-5a66-4f0e-9c1d-2f6a7b8c9d0e")),
        (ExecutionStatus::Superseded, None, Some("by execution 0b3d7c4e")),
        (ExecutionStatus::InProgress, stop(None, ann), None),
        (ExecutionStatus::Succeeded, stop(None, ann), None),
        (ExecutionStatus::Failed, stop(None, ann), None),
    ] {
        let run = Execution { status, stop, ..run.clone() };
        assert_eq!(of(&run, None).cause.as_deref(), cause, "{status:?}");
    }
}

#[test]
fn five_approvals_are_shown_with_what_they_say_once_references_are_replaced() {
    let mut world = shop();
    world.start("e1");
    world.succeed("e1", "Fetch");
    (0..6).for_each(|number| world.succeed("e1", &format!("Make{number}")));
    let mut run = world.run("e1").clone();
    let link = ("ExternalEntityLink".to_owned(), "https://example.com/r".to_owned());
    run.stages[2].attempts[0].resolved =
        BTreeMap::from([("CustomData".to_owned(), "Ship 7?".to_owned()), link]);
    let definition = world.pipeline().current_definition().unwrap();
    let told = of(&run, Some(definition)).approvals;
    assert_eq!(told.len(), 5);
    let said = |at: usize| (told[at].action.as_str(), told[at].comment.as_deref(), told[at].url.as_deref());
    assert_eq!(said(0), ("Ask0", Some("Ship 7?"), Some("https://example.com/r")));
    assert_eq!(said(1), ("Ask1", Some("Go?"), None));
    assert_eq!(told[0].until, run.stages[2].attempts[0].deadline);
    let unknown = of(&run, None).approvals;
    assert_eq!((unknown[0].comment.as_deref(), unknown[1].comment.as_deref()), (Some("Ship 7?"), None));
}

#[test]
fn an_answer_names_who_gave_it_and_a_build_is_no_approval() {
    let gate = [approval("Yes"), approval("No"), approval("Open")];
    let mut world = given(pipeline("shop").stage("Source", [source("Fetch")]).stage("Gate", gate));
    world.start("e1");
    world.succeed("e1", "Fetch");
    world.when_answered("e1", "Yes", true).accepted();
    world.when_answered("e1", "No", false).accepted();
    let answer = |action: &str| answered(world.attempt("e1", action));
    assert_eq!(answer("Yes"), Some((true, "ann".to_owned(), Some("seen".to_owned()))));
    assert_eq!(answer("No"), Some((false, "ann".to_owned(), Some("seen".to_owned()))));
    assert_eq!(answer("Open"), None);
    let mut fetched = world.attempt("e1", "Fetch").clone();
    fetched.by = Some("ann".to_owned());
    assert_eq!(answered(&fetched), None);
}

#[test]
fn a_run_whose_definition_is_not_known_shows_the_stages_it_has_entered() {
    let run = fetched();
    let names = |facts: &Facts| Vec::from_iter(facts.stages.iter().map(|step| step.stage.to_string()));
    assert_eq!(names(&of(&run, None)), ["Source", "Build"]);
    let world = shop();
    let definition = world.pipeline().current_definition().unwrap();
    assert_eq!(names(&of(&run, Some(definition))), ["Source", "Build", "Gate"]);
    let known = execution_id("e1");
    let known = Known { execution: &known, definition: None, console: None, account: "1", region: "r" };
    assert_eq!(Facts::of(&Execution::default(), None, known), None);
}

#[test]
fn a_span_is_told_in_its_two_greatest_units() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    for (milliseconds, words) in [
        (0, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min 0 s"),
        (63_000, "1 min 3 s"),
        (3_599_999, "59 min 59 s"),
        (3_600_000, "1 h 0 min"),
        (DAY - 1, "23 h 59 min"),
        (DAY, "1 d 0 h"),
        (3 * DAY + 7 * 3_600_000, "3 d 7 h"),
    ] {
        assert_eq!(span(Timestamp(5), Timestamp(5 + milliseconds)), words);
    }
}
