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

#[test]
fn every_outcome_is_called_by_the_word_that_asks_for_it() {
    assert_eq!(domain::notice::OUTCOMES.map(|(_, outcome)| outcome.as_str()), ALL);
}

#[test]
fn only_what_happened_in_a_stage_that_is_named_is_heard_of_there() {
    let asked = [rule(&[], &["Build"], &ALL), rule(&[], &["Gate"], &ALL)];
    let told = |world: &World| asked.each_ref().map(|rule| heard_at_the_end(world, rule, &Past::default()));
    let mut stopped = world();
    stopped.when_abandoned("e1").accepted();
    assert_eq!(told(&stopped), [Some("stopped"), None]);
    let mut gone = world();
    gone.when_deleted().accepted();
    assert_eq!(told(&gone), [Some("canceled"), None]);
    let mut late = world();
    late.start("e2");
    late.succeed("e2", "Fetch");
    late.start("e3");
    late.succeed("e3", "Fetch");
    let superseded = late.told("e2").pop().unwrap();
    for (stage, heard) in [("Source", Some("superseded")), ("Build", None)] {
        let wants = rule(&[], &[stage], &ALL).wants(superseded, late.course("e2"), &Past::default());
        assert_eq!(wants.map(Outcome::as_str), heard);
    }
    let mut over = world();
    over.fail("e1", "Compile");
    assert_eq!(told(&over), [Some("failed"), None]);
    over.when_retried("e1", "Build").accepted();
    let resumed = over.told("e1").into_iter().rev().find(|change| change.stage().is_none()).unwrap();
    let wants = asked.each_ref().map(|rule| rule.wants(resumed, over.course("e1"), &Past::default()));
    assert_eq!(wants, [Some(Outcome::Resumed), None]);
}

/// What the last change of the whole run is to a rule.
fn heard_at_the_end(world: &World, rule: &Rule, past: &Past) -> Option<&'static str> {
    let last = world.told("e1").into_iter().rev().find(|change| change.stage().is_none());
    last.and_then(|change| rule.wants(change, world.course("e1"), past)).map(Outcome::as_str)
}

#[test]
fn a_success_is_a_recovery_where_the_failure_was() {
    let mut world = world();
    world.succeed("e1", "Compile");
    world.when_answered("e1", "Approve", true).accepted();
    let (build, gate) = (Some(stage_name("Build")), Some(stage_name("Gate")));
    let before = Some(execution_id("e0"));
    for (failed_before, previous_failed, failed_in, of_all, of_build) in [
        (false, None, None, "succeeded", None),
        (false, None, build.clone(), "succeeded", None),
        (true, None, build.clone(), "fixed", Some("fixed")),
        (false, before.clone(), build, "fixed", Some("fixed")),
        (true, before.clone(), gate, "fixed", None),
        (false, before, None, "fixed", None),
    ] {
        let past = Past { failed_before, previous_failed, failed_in };
        assert_eq!(past.is_fixed(), of_all == "fixed");
        assert_eq!(heard_at_the_end(&world, &rule(&[], &[], &ALL), &past), Some(of_all));
        assert_eq!(heard_at_the_end(&world, &rule(&[], &["Build"], &ALL), &past), of_build);
    }
}

#[test]
fn a_refusal_names_the_place_and_what_is_wrong() {
    let refused =
        |pipelines: &[&str], stages: &[&str]| Rule::parse(pipelines, stages, &[]).unwrap_err().to_string();
    assert_eq!(refused(&["ok", "[a"], &[]), "`pipelines`: `[a`: a `[` is not closed");
    assert_eq!(refused(&[], &["a"; 51]), "`stages`: must have at most 50 patterns");
    assert_eq!(refused(&["a"; 51], &[]), "`pipelines`: must have at most 50 patterns");
}
