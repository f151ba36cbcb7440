//! Which changes a rule is for.

use domain::{
    notice::{Outcome, Past, Rule},
    state_change::{Course, Happened, Surroundings, tell},
    testing::*,
};
use events::Version;

/// Every change of a run that a rule wants, as words.
fn heard(world: &World, rule: &Rule, past: &Past) -> Vec<&'static str> {
    let told = world.told("e1");
    let mut heard = Vec::new();
    // The course is not kept by the harness; where a change is about a stage, this is the stage it is in.
    let mut course = Course::default();
    for change in told {
        if let Some(stage) = change.stage() {
            let started = events::ExecutionEvent::StageStarted(events::StageStarted {
                stage: stage.clone(),
                entry: events::Entry(1),
            });
            let id = execution_id("e1");
            let around = Surroundings { execution: &id, region: "", definition: None };
            tell(&mut course, Happened { event: &started, version: Version(1), at: change.at }, around);
        }
        heard.extend(rule.wants(change, &course, past).map(Outcome::as_str));
    }
    heard
}

fn world() -> World {
    let stages = pipeline("shop").stage("Source", [source("Fetch")]).stage("Build", [action("Compile")]);
    let mut world = given(stages.stage("Gate", [approval("Approve")]));
    world.start("e1");
    world.succeed("e1", "Fetch");
    world
}

fn rule(pipelines: &[&str], stages: &[&str], outcomes: &[&str]) -> Rule {
    Rule::parse(pipelines, stages, outcomes).unwrap()
}

const ALL: [&str; 9] =
    ["started", "succeeded", "failed", "fixed", "stopped", "canceled", "superseded", "resumed", "approval"];

#[test]
fn a_rule_about_runs_hears_of_runs_and_approvals() {
    let mut world = world();
    world.fail("e1", "Compile");
    world.when_retried("e1", "Build").accepted();
    world.succeed("e1", "Compile");
    world.when_answered("e1", "Approve", true).accepted();
    let past = Past { failed_before: true, ..Past::default() };
    let all = rule(&[], &[], &ALL);
    assert_eq!(heard(&world, &all, &past), ["started", "failed", "resumed", "approval", "fixed"]);
    assert_eq!(heard(&world, &Rule::failures(), &past), ["failed", "fixed"]);
    assert_eq!(heard(&world, &Rule::failures(), &Past::default()), ["failed"]);
}

#[test]
fn a_rule_about_stages_hears_of_those() {
    let mut world = world();
    world.succeed("e1", "Compile");
    world.when_answered("e1", "Approve", false).accepted();
    let past = Past::default();
    assert_eq!(heard(&world, &rule(&[], &["Build"], &ALL), &past), ["started", "succeeded"]);
    assert_eq!(heard(&world, &rule(&[], &["G*"], &ALL), &past), ["started", "approval", "failed"]);
    assert_eq!(heard(&world, &rule(&[], &["Deploy"], &ALL), &past), Vec::<&str>::new());
}

#[test]
fn a_rule_about_pipelines_hears_of_no_others() {
    let mut world = world();
    world.fail("e1", "Compile");
    for (patterns, hears) in [(["shop"], true), (["sh*"], true), (["{a,shop}"], true), (["other"], false)] {
        let heard = heard(&world, &rule(&patterns, &[], &[]), &Past::default());
        assert_eq!(!heard.is_empty(), hears, "{patterns:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_could() {
    let refused = Rule::parse(&[], &[], &["failure"]).unwrap_err();
    assert_eq!(refused.key, "outcomes");
    assert!(refused.message.contains("there is no outcome `failure`; known are: `started`"), "{refused}");
    assert_eq!(Rule::parse(&["[a"], &[], &[]).unwrap_err().key, "pipelines");
    assert_eq!(Rule::parse(&[], &vec!["a"; 51], &[]).unwrap_err().key, "stages");
    assert!(Rule::parse(&[], &vec!["a"; 50], &[]).is_ok());
}
