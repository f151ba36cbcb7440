//! Closing and opening the doors between stages.

use domain::execution::ExecutionStatus;
use domain::testing::*;
use events::ExecutionMode;

fn of_mode(mode: ExecutionMode) -> World {
    given(pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Build", [action("Compile")]))
}

#[test]
fn who_arrives_at_a_closed_door_waits_and_enters_when_it_opens() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.when_disabled("Build").then(&["lane: TransitionDisabled Build"]);
    world.when_succeeds("e1", "Src").then(&[
        "lane: StageReleased Source e1",
        "lane: ExecutionWaits Build e1",
        "e1: ActionSucceeded Source/Src",
        "e1: StageSucceeded Source",
    ]);
    world.when_enabled("Build").then(&[
        "lane: TransitionEnabled Build",
        "lane: StageHeld Build e1",
        "e1: StageStarted Build",
        "e1: ActionStarted Build/Compile",
    ]);
}

#[test]
fn who_is_past_a_door_is_not_disturbed_by_its_closing() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_disabled("Build").accepted();
    world.succeed("e1", "Compile");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn closing_and_opening_twice_changes_nothing_more() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_enabled("Build").then_nothing();
    world.when_disabled("Build").accepted();
    world.when_disabled("Build").then_nothing();
    world.when_enabled("Build").accepted();
    world.when_enabled("Build").then_nothing();
}

#[test]
fn a_door_remembers_who_closed_it_when_and_why() {
    let mut world = of_mode(ExecutionMode::Superseded);
    let stage = stage_name("Build");
    assert!(!world.lane().stages.contains_key(&stage), "a door never touched has nothing to tell");
    world.when_disabled("Build").accepted();
    let now = world.now;
    let door = world.lane().stages[&stage].transition.clone().expect("it was touched");
    assert_eq!((door.enabled, door.reason.as_deref(), door.at), (false, Some("freeze"), now));
    assert_eq!(door.by, world.actor);
}

#[test]
fn behind_a_closed_door_newer_runs_supersede_those_that_wait() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Build").accepted();
    for run in ["e1", "e2", "e3"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    assert_eq!(world.waiters("Build"), ["e3"]);
    assert_eq!(world.status("e1"), ExecutionStatus::Superseded);
    assert_eq!(world.status("e2"), ExecutionStatus::Superseded);
    world.when_enabled("Build").accepted();
    assert_eq!(world.holders("Build"), ["e3"]);
}

#[test]
fn behind_a_closed_door_queued_runs_line_up_and_enter_one_by_one() {
    let mut world = of_mode(ExecutionMode::Queued);
    world.when_disabled("Build").accepted();
    for run in ["e1", "e2", "e3"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    world.when_enabled("Build").accepted();
    assert_eq!((world.holders("Build"), world.waiters("Build")), (vec!["e1"], vec!["e2", "e3"]));
}

#[test]
fn behind_a_closed_door_parallel_runs_gather_and_enter_together() {
    let mut world = of_mode(ExecutionMode::Parallel);
    world.when_disabled("Build").accepted();
    for run in ["e1", "e2", "e3"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    assert_eq!(world.waiters("Build"), ["e1", "e2", "e3"]);
    world.when_enabled("Build").accepted();
    assert_eq!(world.holders("Build"), ["e1", "e2", "e3"]);
    assert!(world.waiters("Build").is_empty());
}

#[test]
fn opening_a_door_does_not_let_two_into_a_held_stage() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_disabled("Build").accepted();
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_enabled("Build").then(&["lane: TransitionEnabled Build"]);
    world.succeed("e1", "Compile");
    assert_eq!(world.holders("Build"), ["e2"]);
}

#[test]
fn a_freed_stage_stays_empty_behind_a_closed_door() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.succeed("e1", "Src");
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_disabled("Build").accepted();
    world.succeed("e1", "Compile");
    assert_eq!((world.holders("Build"), world.waiters("Build")), (vec![], vec!["e2"]));
}

#[test]
fn the_first_stage_has_a_door_too() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Source").accepted();
    world.start("e1");
    world.start("e2");
    assert_eq!(world.waiters("Source"), ["e1", "e2"]);
    world.when_enabled("Source").accepted();
    assert_eq!((world.holders("Source"), world.waiters("Source")), (vec!["e1"], vec!["e2"]));
}

#[test]
fn a_door_of_an_unknown_stage_or_pipeline_is_refused() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Nowhere").then_refused("StageNotFound");
    world.when_enabled("Nowhere").then_refused("StageNotFound");
    world.when_deleted().accepted();
    world.when_disabled("Build").then_refused("PipelineNotFound");
}

#[test]
fn a_door_of_a_stage_that_an_update_removed_can_still_be_opened() {
    let mut world = of_mode(ExecutionMode::Parallel);
    world.when_disabled("Build").accepted();
    world.start("e1");
    world.succeed("e1", "Src");
    let without = pipeline("p").mode(ExecutionMode::Parallel);
    world.when_updated(without.stage("Source", [source("Src")]).stage("Ship", [deploy("Push")])).accepted();
    world.when_enabled("Build").accepted();
    assert_eq!(world.holders("Build"), ["e1"]);
}

#[test]
fn a_run_that_waited_thirty_days_at_a_closed_door_is_cancelled_when_it_opens() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Build").accepted();
    world.start("e1");
    world.succeed("e1", "Src");
    world.pass_minutes(30 * 24 * 60 + 1).accepted();
    world.when_enabled("Build").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
    assert!(world.holders("Build").is_empty());
}

#[test]
fn a_closed_door_is_closed_again_only_for_another_reason() {
    let mut world = of_mode(ExecutionMode::Superseded);
    let wish = |reason: &str| domain::command::Wish::DisableTransition {
        stage: stage_name("Build"),
        reason: reason.to_owned(),
    };
    world.send(None, wish("freeze")).then(&["lane: TransitionDisabled Build"]);
    world.send(None, wish("freeze")).then_nothing();
    world.send(None, wish("holidays")).then(&["lane: TransitionDisabled Build"]);
    world.when_enabled("Build").accepted();
    world.send(None, wish("holidays")).then(&["lane: TransitionDisabled Build"]);
}

#[test]
fn who_waited_thirty_days_to_the_millisecond_still_goes_on() {
    for (late, status) in [(0, ExecutionStatus::InProgress), (1, ExecutionStatus::Cancelled)] {
        let mut world = of_mode(ExecutionMode::Superseded);
        world.when_disabled("Build").accepted();
        world.start("e1");
        world.succeed("e1", "Src");
        world.now.0 += 30 * 24 * 60 * 60 * 1000 + late;
        world.when_enabled("Build").accepted();
        assert_eq!(world.status("e1"), status);
    }
}
