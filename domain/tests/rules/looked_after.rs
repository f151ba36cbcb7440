//! When somebody has to look after a run who was not told to.

use domain::{
    testing::*,
    views::{
        OPEN,
        listing::{self, Open},
    },
};
use events::{ActionSucceeded, ConditionOverridden, ConditionType, ExecutionEvent, Timestamp, Version};
use std::collections::BTreeMap;

fn open(world: &World) -> Open {
    Open::of(world.run("e1")).expect("it is under way")
}

fn later(world: &World, minutes: i64) -> Timestamp {
    Timestamp(world.now.0 + minutes * 60_000)
}

#[test]
fn work_of_a_provider_is_due_a_minute_after_it_began_and_from_then_on() {
    let mut world =
        given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Make").timeout(60)]));
    world.start("e1");
    world.succeed("e1", "Src");
    let row = open(&world);
    assert!(!row.is_due(world.now));
    assert!((1..100).all(|minutes| row.is_due(later(&world, minutes))));
}

#[test]
fn what_is_waited_for_is_due_at_its_deadline_and_looked_at_once_an_hour_before() {
    let gate = [approval("Ask").timeout(600)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Gate", gate));
    world.start("e1");
    world.succeed("e1", "Src");
    let row = open(&world);
    let looks = (1..600).filter(|minutes| row.is_due(later(&world, *minutes))).count();
    assert!((9..25).contains(&looks), "{looks}");
    assert!((600..700).all(|minutes| row.is_due(later(&world, minutes))));
}

#[test]
fn work_of_workers_is_theirs_until_its_deadline() {
    let mut world =
        given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [custom("Make").timeout(600)]));
    world.start("e1");
    world.succeed("e1", "Src");
    let unqueued = open(&world);
    assert!(unqueued.is_due(later(&world, 5)), "nobody has offered it yet");
}

#[test]
fn a_run_that_has_ended_is_looked_after_by_nobody() {
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Make")]));
    world.start("e1");
    world.fail("e1", "Src");
    assert_eq!(Open::of(world.run("e1")), None);
    assert_eq!(Open::of(&domain::execution::Execution::default()), None);
}

/// The rows that an event brings, as listings that it touches.
fn touched(world: &World, event: &ExecutionEvent) -> Vec<String> {
    let rows = listing::execution_rows(&execution_id("e1"), world.run("e1"), Version(9), [event]);
    rows.into_iter().map(|row| row.p).collect()
}

fn ended(world: &World, action: &str) -> ExecutionEvent {
    let attempt = world.attempt_of("e1", action);
    ExecutionEvent::ActionSucceeded(ActionSucceeded {
        stage: attempt.stage,
        action: attempt.action,
        action_execution: attempt.action_execution,
        output_variables: BTreeMap::new(),
        summary: None,
        external_execution_id: None,
        external_execution_url: None,
        revision: None,
        mocked: false,
        by: None,
        percent_complete: None,
    })
}

#[test]
fn once_only_people_are_waited_for_nobody_looks_at_what_ended_before() {
    let both = [action("Make"), action("Scan"), approval("Ask").timeout(600)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Gate", both));
    world.start("e1");
    world.succeed("e1", "Src");
    world.succeed("e1", "Make");
    assert_eq!(touched(&world, &ended(&world, "Make")), Vec::<String>::new(), "Scan is due anyway");
    world.succeed("e1", "Scan");
    assert_eq!(touched(&world, &ended(&world, "Scan")), [OPEN]);
    assert!(!open(&world).is_due(later(&world, 5)));
}

#[test]
fn a_run_that_comes_back_to_life_is_listed_so() {
    let gate = |it: PipelineBuilder| it.before_entry("FAIL", [rule("In")]);
    let mut world =
        given(gate(pipeline("p").stage("Source", [source("Src")]).stage("Live", [deploy("Push")])));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_rule_fails("e1", "In").accepted();
    world.when_overridden("e1", "Live", ConditionType::BeforeEntry).accepted();
    let run = world.attempt_of("e1", "Push");
    let event = ExecutionEvent::ConditionOverridden(ConditionOverridden {
        stage: run.stage,
        condition: ConditionType::BeforeEntry,
        entry: run.entry,
        by: "ann".into(),
    });
    assert_eq!(touched(&world, &event).len(), 2);
}
