//! Who may enter a stage, who waits, who gives way.

use domain::execution::ExecutionStatus;
use domain::testing::*;
use events::{ExecutionMode, ExecutionWaits, LaneEvent, Sequence, StageReleased, Terms};

fn of_mode(mode: ExecutionMode) -> World {
    given(
        pipeline("p")
            .mode(mode)
            .stage("Source", [source("Src")])
            .stage("Build", [action("Compile")])
            .stage("Deploy", [deploy("Push")]),
    )
}

/// `e1` is inside Deploy, `e2` waits at its door.
fn one_inside_one_waiting(mode: ExecutionMode) -> World {
    let mut world = of_mode(mode);
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
        world.succeed(run, "Compile");
    }
    assert_eq!((world.holders("Deploy"), world.waiters("Deploy")), (vec!["e1"], vec!["e2"]));
    world
}

#[test]
fn a_stage_holds_one_run_at_a_time() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued] {
        let mut world = of_mode(mode);
        world.start("e1");
        world.when_started("e2").then(&["lane: ExecutionWaits Source e2", "e2: ExecutionStarted v1"]);
        assert_eq!(world.holders("Source"), ["e1"]);
    }
}

#[test]
fn a_stage_that_its_lane_has_taken_back_is_not_released_once_more() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    ["Src", "Compile"].iter().for_each(|action| world.succeed("e1", action));
    let (stage, execution) = (stage_name("Deploy"), execution_id("e1"));
    world.happened_in_lane(&LaneEvent::StageReleased(StageReleased { stage, execution, succeeded: None }));
    world.when_fails("e1", "Push").then(&[
        "e1: ActionFailed Deploy/Push JobFailed",
        "e1: StageFailed Deploy",
        "e1: ExecutionFailed",
    ]);
}

#[test]
fn who_waits_enters_when_the_stage_becomes_free() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued] {
        let mut world = one_inside_one_waiting(mode);
        world.when_fails("e1", "Push").then(&[
            "lane: StageReleased Deploy e1",
            "lane: StageHeld Deploy e2",
            "e1: ActionFailed Deploy/Push JobFailed",
            "e1: StageFailed Deploy",
            "e1: ExecutionFailed",
            "e2: StageStarted Deploy",
            "e2: ActionStarted Deploy/Push",
        ]);
    }
}

#[test]
fn a_newer_run_supersedes_the_one_that_waits() {
    let mut world = one_inside_one_waiting(ExecutionMode::Superseded);
    world.start("e3");
    world.succeed("e3", "Src");
    world.when_succeeds("e3", "Compile").then(&[
        "lane: StageReleased Build e3",
        "lane: ExecutionSuperseded Deploy e2 by e3",
        "lane: ExecutionWaits Deploy e3",
        "e3: ActionSucceeded Build/Compile",
        "e3: StageSucceeded Build",
        "lane: SupersessionSettled e2",
        "e2: ExecutionSuperseded by e3",
    ]);
    assert_eq!(world.status("e2"), ExecutionStatus::Superseded);
    assert_eq!(world.waiters("Deploy"), ["e3"]);
}

#[test]
fn an_older_run_that_arrives_where_a_newer_one_waits_is_superseded() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_disabled("Deploy").accepted();
    // Runs of one definition pass its stages in the order of their starts, so that the newer one has to be put there.
    world.happened_in_lane(&LaneEvent::ExecutionWaits(ExecutionWaits {
        stage: stage_name("Deploy"),
        execution: execution_id("e2"),
        sequence: Sequence(9),
        mode: ExecutionMode::Superseded,
        terms: Terms::default(),
        displaces: None,
    }));
    world.when_succeeds("e1", "Compile").then(&[
        "lane: StageReleased Build e1",
        "e1: ActionSucceeded Build/Compile",
        "e1: StageSucceeded Build",
        "e1: ExecutionSuperseded by e2",
    ]);
    assert_eq!(world.waiters("Deploy"), ["e2"]);
}

#[test]
fn a_retried_run_stays_ahead_of_the_newer_one_that_waits_at_its_stage() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.succeed("e1", "Src");
    world.fail("e1", "Compile");
    world.when_disabled("Build").accepted();
    world.start("e2");
    world.succeed("e2", "Src");
    assert_eq!(world.waiters("Build"), ["e2"]);
    world.when_retried("e1", "Build").accepted();
    assert_eq!(world.holders("Build"), ["e1"]);
    world.when_enabled("Build").then(&["lane: TransitionEnabled Build"]);
    world.succeed("e1", "Compile");
    assert_eq!((world.holders("Build"), world.holders("Deploy")), (vec!["e2"], vec!["e1"]));
}

#[test]
fn nobody_is_superseded_in_front_of_the_first_stage() {
    let mut world = of_mode(ExecutionMode::Superseded);
    for run in ["e1", "e2", "e3", "e4"] {
        world.start(run);
    }
    assert_eq!(world.waiters("Source"), ["e2", "e3", "e4"]);
    world.succeed("e1", "Src");
    assert_eq!(world.holders("Source"), ["e2"]);
}

#[test]
fn nobody_is_superseded_inside_a_stage() {
    let mut world = one_inside_one_waiting(ExecutionMode::Superseded);
    world.start("e3");
    world.succeed("e3", "Src");
    world.succeed("e3", "Compile");
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
    assert_eq!(world.holders("Deploy"), ["e1"]);
}

#[test]
fn queued_runs_enter_in_the_order_of_their_starts_and_nobody_is_superseded() {
    let mut world = one_inside_one_waiting(ExecutionMode::Queued);
    for run in ["e3", "e4"] {
        world.start(run);
        world.succeed(run, "Src");
        world.succeed(run, "Compile");
    }
    assert_eq!(world.waiters("Deploy"), ["e2", "e3", "e4"]);
    for (leaving, entering) in [("e1", "e2"), ("e2", "e3"), ("e3", "e4")] {
        world.succeed(leaving, "Push");
        assert_eq!(world.holders("Deploy"), [entering]);
        assert_eq!(world.status(leaving), ExecutionStatus::Succeeded);
    }
}

#[test]
fn an_older_queued_run_that_comes_late_stands_before_the_newer_ones() {
    let mut world = of_mode(ExecutionMode::Queued);
    world.start("e1");
    world.succeed("e1", "Src");
    world.fail("e1", "Compile");
    world.when_disabled("Deploy").accepted();
    world.when_disabled("Build").accepted();
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_retried("e1", "Build").accepted();
    world.when_enabled("Build").accepted();
    world.succeed("e1", "Compile");
    world.succeed("e2", "Compile");
    assert_eq!(world.waiters("Deploy"), ["e1", "e2"]);
}

#[test]
fn several_queued_runs_are_in_several_stages_at_once() {
    let mut world = of_mode(ExecutionMode::Queued);
    world.start("e1");
    world.succeed("e1", "Src");
    world.start("e2");
    assert_eq!((world.holders("Source"), world.holders("Build")), (vec!["e2"], vec!["e1"]));
}

#[test]
fn parallel_runs_do_not_see_each_other() {
    let mut world = of_mode(ExecutionMode::Parallel);
    for run in ["e1", "e2", "e3"] {
        world.start(run);
    }
    assert_eq!(world.holders("Source"), ["e1", "e2", "e3"]);
    world.succeed("e3", "Src");
    world.succeed("e3", "Compile");
    world.succeed("e3", "Push");
    assert_eq!(world.status("e3"), ExecutionStatus::Succeeded);
    assert_eq!(world.holders("Source"), ["e1", "e2"]);
}

#[test]
fn an_admission_that_nobody_told_the_run_about_is_settled_later() {
    let mut world = one_inside_one_waiting(ExecutionMode::Superseded);
    world.messages_wait = true;
    world.succeed("e1", "Push");
    world.messages.clear();
    assert_eq!(world.holders("Deploy"), ["e2"]);
    assert_eq!(world.stage_status("e2", "Deploy"), None);
    world.when_settled("e2").then(&["e2: StageStarted Deploy", "e2: ActionStarted Deploy/Push"]);
    world.when_settled("e2").then_nothing();
}

#[test]
fn a_supersession_that_nobody_told_the_run_about_is_settled_later() {
    let mut world = one_inside_one_waiting(ExecutionMode::Superseded);
    world.start("e3");
    world.succeed("e3", "Src");
    world.messages_wait = true;
    world.succeed("e3", "Compile");
    world.messages.clear();
    assert_eq!(world.status("e2"), ExecutionStatus::InProgress);
    world.when_stopped("e2").then_refused("NotStoppable");
    world.when_settled("e2").then(&["lane: SupersessionSettled e2", "e2: ExecutionSuperseded by e3"]);
    world.when_settled("e2").then_nothing();
}

#[test]
fn settling_changes_nothing_for_a_run_that_is_in_line() {
    let mut world = one_inside_one_waiting(ExecutionMode::Superseded);
    world.when_settled("e1").then_nothing();
    world.when_settled("e2").then_nothing();
    world.when_settled("ee").then_nothing();
    world.fail("e1", "Push");
    world.when_settled("e1").then_nothing();
}
