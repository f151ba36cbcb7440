//! When somebody has to look after a run who was not told to.

use domain::{testing::*, views::listing::Open};
use events::Timestamp;

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
