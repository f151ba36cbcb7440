//! Commands about runs under way do not wait for the newest read of the pipeline. Whatever they read of it, they
//! must not end a run that should live, nor lose one.

use domain::execution::{ActionStatus, ExecutionStatus};
use domain::testing::*;
use events::ExecutionMode;

fn definition() -> PipelineBuilder {
    pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A"), action("B").order(2)])
}

#[test]
fn a_read_from_before_the_runs_own_version_neither_ends_nor_loses_it() {
    let mut world = given(definition());
    let old = world.pipeline().clone();
    world.when_updated(definition()).accepted();
    world.start("e1");
    world.stale_pipeline = Some(old);
    world.when_settled("e1").then_nothing();
    world.when_succeeds("e1", "Src").then(&["e1: ActionSucceeded Source/Src"]);
    world.stale_pipeline = None;
    world.when_settled("e1").accepted();
    assert_eq!(world.action_status("e1", "A"), ActionStatus::InProgress);
}

#[test]
fn a_read_from_before_a_deletion_does_not_end_runs_of_the_successor() {
    let mut world = given(definition());
    let old = world.pipeline().clone();
    world.when_deleted().accepted();
    world.when_created(definition()).accepted();
    world.start("e1");
    world.stale_pipeline = Some(old);
    world.when_settled("e1").then_nothing();
    world.succeed("e1", "Src");
    world.stale_pipeline = None;
    world.when_settled("e1").accepted();
    assert_eq!(world.holders("Build"), ["e1"]);
}

#[test]
fn a_read_from_before_a_deletion_does_not_let_its_runs_live_on() {
    let mut world = given(definition());
    world.start("e1");
    let old = world.pipeline().clone();
    world.messages_wait = true;
    world.when_deleted().accepted();
    world.stale_pipeline = Some(old);
    world.when_succeeds("e1", "Src").then(&["e1: ActionSucceeded Source/Src"]);
    assert!(world.lane().under_way().is_empty());
    world.deliver();
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
}

#[test]
fn a_read_from_before_an_update_lets_a_run_take_one_step_more() {
    let mut world = given(definition());
    world.start("e1");
    let old = world.pipeline().clone();
    world.when_updated(definition().mode(ExecutionMode::Superseded)).accepted();
    world.stale_pipeline = Some(old);
    world.succeed("e1", "Src");
    world.stale_pipeline = None;
    world.succeed("e1", "A");
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
}
