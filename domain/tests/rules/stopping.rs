//! The stop table.

use domain::execution::{ActionStatus, ExecutionStatus, StageStatus};
use domain::testing::*;

fn running() -> World {
    let build = [action("A"), action("B"), action("C").order(2)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

fn waiting() -> World {
    let mut world = running();
    world.start("e2");
    world.succeed("e2", "Src");
    assert_eq!(world.waiters("Build"), ["e2"]);
    world
}

#[test]
fn a_stop_lets_running_actions_end_and_starts_no_more() {
    let mut world = running();
    world.when_stopped("e1").then(&["e1: StopRequested"]);
    assert_eq!(world.status("e1"), ExecutionStatus::Stopping);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::Stopping));
    world.when_succeeds("e1", "A").then(&["e1: ActionSucceeded Build/A"]);
    world.when_succeeds("e1", "B").then(&[
        "lane: StageReleased Build e1",
        "e1: ActionSucceeded Build/B",
        "e1: StageStopped Build",
        "e1: ExecutionStopped",
    ]);
    assert!(world.attempts("e1", "C").is_empty());
    assert_eq!(world.run("e1").stop.as_ref().and_then(|stop| stop.reason.as_deref()), Some("enough"));
}

#[test]
fn an_abandoning_stop_gives_up_running_actions_at_once() {
    let mut world = running();
    world.when_abandoned("e1").then(&[
        "lane: StageReleased Build e1",
        "e1: StopRequested abandon",
        "e1: ActionAbandoned Build/A",
        "e1: ActionAbandoned Build/B",
        "e1: StageStopped Build",
        "e1: ExecutionStopped",
    ]);
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Abandoned);
}

#[test]
fn a_waiting_run_stops_at_once_and_gives_up_its_place() {
    for abandon in [false, true] {
        let mut world = waiting();
        let outcome = if abandon { world.when_abandoned("e2") } else { world.when_stopped("e2") };
        let asked = if abandon { "e2: StopRequested abandon" } else { "e2: StopRequested" };
        outcome.then(&["lane: ExecutionLeft Build e2", asked, "e2: ExecutionStopped"]);
        assert!(world.waiters("Build").is_empty());
        world.succeed("e1", "A");
        assert_eq!(world.status("e2"), ExecutionStatus::Stopped);
    }
}

#[test]
fn a_run_that_was_admitted_unheard_stops_at_once_and_frees_the_stage() {
    let mut world = waiting();
    world.start("e3");
    world.when_disabled("Source").accepted();
    world.messages_wait = true;
    world.fail("e1", "A");
    world.fail("e1", "B");
    assert_eq!(world.holders("Build"), ["e2"]);
    world.when_stopped("e2").then(&[
        "lane: StageReleased Build e2",
        "e2: StopRequested",
        "e2: ExecutionStopped",
    ]);
    assert_eq!(world.deliver(), Vec::<String>::new(), "the message that comes late changes nothing");
}

#[test]
fn a_second_stop_is_refused() {
    let mut world = running();
    world.when_stopped("e1").accepted();
    world.when_stopped("e1").then_refused("DuplicatedStopRequest");
}

#[test]
fn a_waiting_stop_may_become_an_abandoning_one() {
    let mut world = running();
    world.when_stopped("e1").accepted();
    world.when_abandoned("e1").then(&[
        "lane: StageReleased Build e1",
        "e1: StopRequested abandon",
        "e1: ActionAbandoned Build/A",
        "e1: ActionAbandoned Build/B",
        "e1: StageStopped Build",
        "e1: ExecutionStopped",
    ]);
}

#[test]
fn what_has_ended_cannot_be_stopped() {
    let mut world = waiting();
    world.when_abandoned("e1").accepted();
    for run in ["e1", "ee"] {
        world.when_stopped(run).then_refused("NotStoppable");
        world.when_abandoned(run).then_refused("NotStoppable");
    }
    world.fail("e2", "A");
    world.fail("e2", "B");
    world.when_stopped("e2").then_refused("NotStoppable");
    world.start("e3");
    for action in ["Src", "A", "B", "C"] {
        world.succeed("e3", action);
    }
    world.when_stopped("e3").then_refused("NotStoppable");
}

#[test]
fn a_run_of_another_pipeline_cannot_be_stopped() {
    let mut world = running();
    let other = pipeline("q").stage("Source", [source("Src")]).stage("Build", [action("Compile")]);
    world.when_created(other).accepted();
    world.when_stopped("e1").then_refused("NotStoppable");
}

#[test]
fn an_action_that_fails_while_its_run_is_stopping_stays_failed_and_the_run_ends_stopped() {
    let mut world = running();
    world.when_stopped("e1").accepted();
    world.fail("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Failed);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::Stopped));
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
}

#[test]
fn the_last_action_of_all_that_ends_while_stopping_leaves_the_run_stopped() {
    let mut world = running();
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    world.when_stopped("e1").accepted();
    world.succeed("e1", "C");
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
}

#[test]
fn a_stopped_run_lets_the_next_one_in() {
    let mut world = waiting();
    world.when_abandoned("e1").accepted();
    assert_eq!(world.holders("Build"), ["e2"]);
    assert_eq!(world.action_status("e2", "A"), ActionStatus::InProgress);
}

#[test]
fn a_timed_out_action_of_a_stopping_run_ends_it() {
    let mut world = running();
    world.when_stopped("e1").accepted();
    world.pass_minutes(36 * 60).accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
}
