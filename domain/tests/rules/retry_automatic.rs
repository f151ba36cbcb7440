//! A stage whose definition asks for another attempt when it fails.

use domain::execution::{ExecutionStatus, RetryTrigger, StageStatus};
use domain::testing::*;
use events::ExecutionMode;

fn definition(mode: ExecutionMode, retry: Option<&str>) -> PipelineBuilder {
    let build = [action("A").output("App"), action("B"), action("C").order(2).input("App")];
    pipeline("p")
        .mode(mode)
        .stage("Source", [source("Src")])
        .stage("Build", build)
        .on_failure("RETRY", retry)
        .stage("Deploy", [deploy("Push")])
}

/// `e1` is inside Build, `e2` waits at its door.
fn running(retry: Option<&str>) -> World {
    let mut world = given(definition(ExecutionMode::Queued, retry));
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    world
}

#[test]
fn the_stage_is_tried_once_more_without_reporting_a_failure_or_letting_anybody_in() {
    let mut world = running(None);
    world.succeed("e1", "A");
    world.when_fails("e1", "B").then(&[
        "e1: ActionFailed Build/B JobFailed",
        "e1: StageRetried Build FailedActions automatically",
        "e1: ActionStarted Build/B",
    ]);
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::InProgress));
    assert_eq!((world.holders("Build"), world.waiters("Build")), (vec!["e1"], vec!["e2"]));
    world.succeed("e1", "B");
    world.succeed("e1", "C");
    assert_eq!(world.holders("Deploy"), ["e1"]);
    assert_eq!(world.attempts("e1", "A").len(), 1, "what succeeded is kept");
}

#[test]
fn it_waits_until_no_action_runs() {
    let mut world = running(None);
    world.when_fails("e1", "A").then(&["e1: ActionFailed Build/A JobFailed"]);
    assert!(!world.relied.lane, "a result among others moves nothing but its stage");
    world.when_succeeds("e1", "B").then(&[
        "e1: ActionSucceeded Build/B",
        "e1: StageRetried Build FailedActions automatically",
        "e1: ActionStarted Build/A",
    ]);
    assert!(world.relied.lane, "whether the stage may begin again, its lane says");
}

#[test]
fn it_runs_every_action_again_if_the_definition_says_so() {
    let mut world = running(Some("ALL_ACTIONS"));
    world.succeed("e1", "A");
    world.when_fails("e1", "B").then(&[
        "e1: ActionFailed Build/B JobFailed",
        "e1: StageRetried Build AllActions automatically",
        "e1: ActionStarted Build/A",
        "e1: ActionStarted Build/B",
    ]);
}

#[test]
fn a_second_failure_is_for_good() {
    let mut world = running(Some("FAILED_ACTIONS"));
    world.succeed("e1", "A");
    world.fail("e1", "B");
    world.when_fails("e1", "B").then(&[
        "lane: StageReleased Build e1",
        "lane: StageHeld Build e2",
        "e1: ActionFailed Build/B JobFailed",
        "e1: StageFailed Build",
        "e1: ExecutionFailed",
        "e2: StageStarted Build",
        "e2: ActionStarted Build/A",
        "e2: ActionStarted Build/B",
    ]);
}

#[test]
fn the_retry_is_counted_apart_from_those_by_hand_which_do_not_arm_it_again() {
    let mut world = given(definition(ExecutionMode::Superseded, None));
    world.start("e1");
    world.succeed("e1", "Src");
    world.succeed("e1", "A");
    world.fail("e1", "B");
    let counted = |world: &World| {
        let run = &world.run("e1").stages[1];
        (run.auto_retries, run.manual_retries, run.retry.map(|retry| retry.trigger))
    };
    assert_eq!(counted(&world), (1, 0, Some(RetryTrigger::AutomatedStageRetry)));
    world.fail("e1", "B");
    world.when_retried("e1", "Build").accepted();
    assert_eq!(counted(&world), (1, 1, Some(RetryTrigger::ManualStageRetry)));
    world.fail("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert_eq!(counted(&world), (1, 1, Some(RetryTrigger::ManualStageRetry)));
}

#[test]
fn a_retry_by_hand_beside_running_siblings_leaves_it_its_one_attempt() {
    let mut world = running(None);
    world.fail("e1", "A");
    world.when_retried("e1", "Build").accepted();
    world.fail("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
    assert_eq!(world.attempts("e1", "A").len(), 3);
}

#[test]
fn a_retry_by_hand_is_refused_while_the_automatic_one_is_under_way() {
    let mut world = running(None);
    world.fail("e1", "A");
    world.fail("e1", "B");
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
    world.fail("e1", "A");
    world.when_retried("e1", "Build").then_refused("Conflict");
}

#[test]
fn a_rejected_approval_and_an_expired_action_are_tried_again_too() {
    let gate = [approval("Ask").timeout(60)];
    let mut world =
        given(pipeline("p").stage("Source", [source("Src")]).stage("Gate", gate).on_failure("RETRY", None));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_answered("e1", "Ask", false).accepted();
    assert_eq!(world.attempts("e1", "Ask").len(), 2);
    assert_ne!(world.attempts("e1", "Ask")[0].token, world.attempts("e1", "Ask")[1].token);
    world.when_answered("e1", "Ask", true).accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
    world.start("e2");
    world.succeed("e2", "Src");
    world.pass_minutes(60).then(&[
        "e2: ActionFailed Gate/Ask JobFailed",
        "e2: StageRetried Gate FailedActions automatically",
        "e2: ActionStarted Gate/Ask",
    ]);
}

#[test]
fn an_action_that_cannot_start_is_tried_again_once_and_the_stage_then_fails() {
    let build = [action("A").set("Key", "#{Src.Nothing}")];
    let mut world = given(
        pipeline("p")
            .stage("Source", [source("Src").namespace("Src")])
            .stage("Build", build)
            .on_failure("RETRY", Some("ALL_ACTIONS")),
    );
    world.start("e1");
    world.succeed("e1", "Src");
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert_eq!(world.attempts("e1", "A").len(), 2);
}

#[test]
fn the_source_stage_may_be_tried_again_too() {
    let mut world = given(
        pipeline("p")
            .stage("Source", [source("Src")])
            .on_failure("RETRY", None)
            .stage("Build", [action("A")]),
    );
    world.start("e1");
    world.fail("e1", "Src");
    world.when_succeeds("e1", "Src").accepted();
    assert_eq!(world.holders("Build"), ["e1"]);
}

#[test]
fn a_stopped_stage_is_not_tried_again() {
    let mut world = running(None);
    world.when_stopped("e1").accepted();
    world.fail("e1", "A");
    world.fail("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
    let mut world = running(None);
    world.fail("e1", "A");
    world.when_abandoned("e1").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
    assert_eq!(world.attempts("e1", "A").len(), 1);
}

#[test]
fn a_run_that_an_update_has_overtaken_is_not_tried_again() {
    let mut world = running(None);
    world.when_updated(definition(ExecutionMode::Queued, None)).accepted();
    world.fail("e1", "A");
    world.fail("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert_eq!(world.attempts("e1", "A").len(), 1);
}

#[test]
fn parallel_runs_are_tried_again_each_on_its_own_even_under_an_older_version() {
    let mut world = given(definition(ExecutionMode::Parallel, None));
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    world.when_updated(definition(ExecutionMode::Parallel, None)).accepted();
    for run in ["e1", "e2"] {
        world.fail(run, "A");
        world.succeed(run, "B");
        assert_eq!(world.attempts(run, "A").len(), 2);
    }
}
