//! Notices as Slack gets them: whole messages against files, and every message against Slack's limits. A message that
//! was changed on purpose is written anew with `UPDATE_GOLDEN=1`; look at it before you keep it, in Slack's Block Kit
//! Builder for example.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]
#![allow(clippy::disallowed_methods, reason = "the messages are files; the rules themselves read none")]

mod facts;
mod limits;
mod rules;
mod shapes;

use domain::{
    command::{ActionResult, Details},
    execution::StageStatus,
    notice::{
        Outcome,
        facts::{Facts, Known},
        slack::{Detail, detail, message},
    },
    testing::*,
};
use events::{FailureCode, SourceRevision};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

fn shop() -> World {
    let build = [action("Compile"), action("Lint")];
    let stages = pipeline("shop").stage("Source", [source("Fetch")]).stage("Build", build);
    given(
        stages
            .stage("Gate", [approval("Approve").set("CustomData", "Check <the notes> & go")])
            .stage("Deploy", [deploy("Web")]),
    )
}

/// A run whose commit has everything that could do harm.
fn fetched(world: &mut World) {
    world.start("e1");
    let attempt = world.attempt_of("e1", "Fetch");
    let revision = SourceRevision {
        action: attempt.action.clone(),
        revision_id: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into(),
        summary: Some("Fix cart <!channel> & <https://evil.example|click>\n\nLonger words".into()),
        url: Some("https://git.example.org/shop/commit/1a2b3c4d?a=1&b=<2>".into()),
        change_id: None,
        created: None,
    };
    let variables = [("AuthorDisplayName", "Ana <@U1>"), ("BranchName", "main")];
    let output_variables: BTreeMap<_, _> =
        variables.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let details = Details::default();
    let result =
        ActionResult::Succeeded { output_variables, revision: Some(revision), mocked: false, details };
    world.when_reported("e1", attempt, result).accepted();
}

fn fail(world: &mut World, action: &str, message: &str) {
    let attempt = world.attempt_of("e1", action);
    let details = Details {
        external_execution_id: Some("shop:1".into()),
        external_execution_url: Some("https://console.example.org/builds/shop:1".into()),
        ..Details::default()
    };
    let result = ActionResult::Failed { code: FailureCode::JobFailed, message: message.to_owned(), details };
    world.when_reported("e1", attempt, result).accepted();
}

fn facts(world: &World, outcome: Option<Outcome>) -> Facts {
    let id = execution_id("e1");
    let known = Known {
        execution: &id,
        definition: world.pipeline().current_definition().map(|definition| &**definition),
        console: Some("https://towpath.example.org"),
        account: "111122223333",
        region: "eu-west-1",
    };
    Facts::of(world.run("e1"), outcome, known).unwrap()
}

#[track_caller]
fn check(name: &str, told: &Value) {
    limits::fits(told);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notice/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(told).unwrap())).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let golden: Value = serde_json::from_str(&golden).unwrap();
    assert_eq!(*told, golden, "{name}");
}

#[test]
fn a_failure_names_what_failed_and_why_and_shows_its_last_lines() {
    let mut world = shop();
    fetched(&mut world);
    world.pass_minutes(3).accepted();
    let lines: Vec<String> = (1..=20).map(|line| format!("line {line}")).collect();
    fail(
        &mut world,
        "Compile",
        &format!("Build failed: `cargo test` ended with 101\n{}\n```done <b>```", lines.join("\n")),
    );
    world.succeed("e1", "Lint");
    let facts = facts(&world, Some(Outcome::Failed));
    check("failed.json", &message(&facts));
    check("failed.thread.json", &detail(&Detail::Failed(&facts.failures)));
}

#[test]
fn a_run_at_work_shows_how_far_it_is() {
    let mut world = shop();
    fetched(&mut world);
    check("in-progress.json", &message(&facts(&world, None)));
}

#[test]
fn an_approval_says_until_when_and_what_is_asked() {
    let mut world = shop();
    fetched(&mut world);
    world.succeed("e1", "Compile");
    world.succeed("e1", "Lint");
    let facts = facts(&world, Some(Outcome::Approval));
    check("approval.json", &message(&facts));
    check("approval.thread.json", &detail(&Detail::Asked(&facts.approvals[0])));
    let token = world.attempt("e1", "Approve").token.clone().unwrap();
    assert!(!message(&facts).to_string().contains(&token));
}

#[test]
fn a_recovery_says_so_and_how_long_it_took() {
    let mut world = shop();
    fetched(&mut world);
    world.succeed("e1", "Compile");
    world.succeed("e1", "Lint");
    world.pass_minutes(125).accepted();
    world.when_answered("e1", "Approve", true).accepted();
    world.succeed("e1", "Web");
    check("fixed.json", &message(&facts(&world, Some(Outcome::Fixed))));
}

#[test]
fn a_stop_says_who_and_why() {
    let mut world = shop();
    fetched(&mut world);
    world.when_stopped("e1").accepted();
    world.succeed("e1", "Compile");
    world.succeed("e1", "Lint");
    check("stopped.json", &message(&facts(&world, Some(Outcome::Stopped))));
}

#[test]
fn details_of_a_thread_are_one_line_each() {
    let stage = Detail::Stage { stage: "Build", status: StageStatus::Succeeded, took: "1 min 3 s".into() };
    check("stage.thread.json", &detail(&stage));
    let place = "Gate/Approve".to_owned();
    let answered = Detail::Answered { place, approved: false, by: "ana", comment: Some("not <yet>") };
    check("answered.thread.json", &detail(&answered));
}
