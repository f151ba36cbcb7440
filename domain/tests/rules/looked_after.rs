//! When somebody has to look after a run who was not told to.

use domain::{
    lane::{Lane, OwedRollback},
    testing::*,
    views::{
        OPEN, OWING, Row,
        listing::{self, Open},
    },
};
use events::{
    ActionSucceeded, ConditionOverridden, ConditionType, ExecutionEvent, PipelineName, Sequence, Timestamp,
    Version,
};
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
    let looks = Vec::from_iter((0..600).filter(|minutes| row.is_due(later(&world, *minutes))));
    let hourly = (1..10).flat_map(|hour| [60 * hour, 60 * hour + 1]);
    assert_eq!(looks, Vec::from_iter([1, 2, 3].into_iter().chain(hourly)));
    assert!((600..700).all(|minutes| row.is_due(later(&world, minutes))));
    let round = later(&world, 2 * 60);
    let looks = [0, 119_999, 120_000].map(|after| row.is_due(Timestamp(round.0 + after)));
    assert_eq!(looks, [true, true, false], "two minutes of each hour");
}

#[test]
fn a_deadline_counts_from_its_very_moment() {
    let gate = [approval("Ask").timeout(605)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Gate", gate));
    world.start("e1");
    world.succeed("e1", "Src");
    let row = open(&world);
    let deadline = later(&world, 605);
    assert!(!row.is_due(Timestamp(deadline.0 - 1)) && row.is_due(deadline));
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
fn a_lane_that_owes_a_rollback_is_listed_until_it_has_started() {
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Make")]));
    let row = |lane: &Lane| {
        let mut rows = listing::lane_rows(&PipelineName::parse("p").unwrap(), lane, Version(7));
        let Row { p, q, v, body } = rows.pop().unwrap();
        assert_eq!((p.as_str(), q.as_str(), v, rows.len()), (OWING, "p", Version(7), 0));
        body
    };
    world.start("e1");
    ["Src", "Make"].iter().for_each(|action| world.succeed("e1", action));
    assert_eq!(row(world.lane()), None);
    let mut lane = world.lane().clone();
    let owed = OwedRollback {
        stage: stage_name("Build"),
        sequence: Sequence(3),
        target: execution_id("e1"),
        failed: execution_id("e0"),
    };
    lane.rollbacks.insert(execution_id("e2"), owed);
    assert_eq!(row(&lane).as_deref(), Some(r#"["e2"]"#));
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
fn what_began_is_looked_after_whatever_ended_with_it_and_what_only_ended_is_not() {
    let gate = [action("Make"), approval("Ask")];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Gate", gate));
    world.when_disabled("Gate").accepted();
    world.start("e1");
    world.succeed("e1", "Src");
    assert_eq!(touched(&world, &ended(&world, "Src")), Vec::<String>::new(), "nothing is under way");
    world.when_enabled("Gate").accepted();
    world.succeed("e1", "Make");
    let began = world.events("e1").iter().rev().map(|(_, event)| event);
    let began = began.clone().find(|event| matches!(event, ExecutionEvent::ActionStarted(_))).unwrap();
    let both = [began.clone(), ended(&world, "Make")];
    let rows = listing::execution_rows(&execution_id("e1"), world.run("e1"), Version(9), &both);
    assert_eq!(rows.into_iter().map(|row| row.p).collect::<Vec<_>>(), [OPEN]);
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
