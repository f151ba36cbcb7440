//! Inside a stage: groups, siblings, and the way from stage to stage.

use domain::execution::{ActionStatus, ExecutionStatus, StageStatus};
use domain::testing::*;

fn two_stages() -> World {
    given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Compile").input("Src")]))
}

#[test]
fn a_start_enters_the_first_stage_and_starts_its_first_group() {
    let mut world = two_stages();
    world.when_started("e1").then(&[
        "lane: StageHeld Source e1",
        "e1: ExecutionStarted v1",
        "e1: StageStarted Source",
        "e1: ActionStarted Source/Src",
    ]);
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn stages_are_passed_in_declared_order() {
    let mut world = two_stages();
    world.start("e1");
    world.when_succeeds("e1", "Src").then(&[
        "lane: StageReleased Source e1",
        "lane: StageHeld Build e1",
        "e1: ActionSucceeded Source/Src",
        "e1: StageSucceeded Source",
        "e1: StageStarted Build",
        "e1: ActionStarted Build/Compile",
    ]);
}

#[test]
fn the_last_stage_ends_the_run() {
    let mut world = two_stages();
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_succeeds("e1", "Compile").then(&[
        "lane: StageReleased Build e1",
        "e1: ActionSucceeded Build/Compile",
        "e1: StageSucceeded Build",
        "e1: ExecutionSucceeded",
    ]);
    assert!(world.run("e1").ended.is_some());
}

fn three_orders() -> World {
    let build = [action("A").order(1), action("B").order(1), action("C").order(5), action("D").order(9)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

#[test]
fn actions_of_one_order_start_together_and_the_next_order_waits_for_all_of_them() {
    let mut world = three_orders();
    assert_eq!(world.attempts("e1", "A").len() + world.attempts("e1", "B").len(), 2);
    assert!(world.attempts("e1", "C").is_empty());
    world.when_succeeds("e1", "B").then(&["e1: ActionSucceeded Build/B"]);
    world.when_succeeds("e1", "A").then(&["e1: ActionSucceeded Build/A", "e1: ActionStarted Build/C"]);
    world.when_succeeds("e1", "C").then(&["e1: ActionSucceeded Build/C", "e1: ActionStarted Build/D"]);
}

#[test]
fn siblings_of_a_failed_action_run_to_their_end_before_the_stage_fails() {
    let mut world = three_orders();
    world.when_fails("e1", "A").then(&["e1: ActionFailed Build/A JobFailed"]);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::InProgress));
    assert_eq!(world.action_status("e1", "B"), ActionStatus::InProgress);
    world.when_succeeds("e1", "B").then(&[
        "lane: StageReleased Build e1",
        "e1: ActionSucceeded Build/B",
        "e1: StageFailed Build",
        "e1: ExecutionFailed",
    ]);
    assert!(world.attempts("e1", "C").is_empty(), "no later group starts");
}

#[test]
fn a_failed_stage_fails_the_run_and_frees_the_stage() {
    let mut world = two_stages();
    world.start("e1");
    world.when_fails("e1", "Src").then(&[
        "lane: StageReleased Source e1",
        "e1: ActionFailed Source/Src JobFailed",
        "e1: StageFailed Source",
        "e1: ExecutionFailed",
    ]);
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert!(world.holders("Source").is_empty());
}
