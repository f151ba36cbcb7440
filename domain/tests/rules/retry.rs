//! Running a failed or stopped stage again.

use domain::execution::{ActionStatus, ExecutionStatus, RetryTrigger, StageStatus};
use domain::testing::*;
use events::{ExecutionMode, StageRetryMode};
use std::collections::BTreeSet;

fn definition(mode: ExecutionMode) -> PipelineBuilder {
    let build = [action("A").output("App"), action("B"), action("C").order(2).input("App")];
    pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Build", build)
}

fn running(mode: ExecutionMode) -> World {
    let mut world = given(definition(mode));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

/// `A` succeeded, `B` failed.
fn failed() -> World {
    let mut world = running(ExecutionMode::Superseded);
    world.succeed("e1", "A");
    world.fail("e1", "B");
    world
}

#[test]
fn retrying_what_failed_keeps_what_succeeded() {
    let mut world = failed();
    world.when_retried("e1", "Build").then(&[
        "lane: StageHeld Build e1",
        "e1: StageRetried Build FailedActions",
        "e1: ActionStarted Build/B",
    ]);
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::InProgress));
    world.when_succeeds("e1", "B").then(&["e1: ActionSucceeded Build/B", "e1: ActionStarted Build/C"]);
    world.succeed("e1", "C");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
    assert_eq!(world.attempts("e1", "A").len(), 1);
    assert_eq!(world.attempts("e1", "B").len(), 2, "the failed attempt stays in the history");
}

#[test]
fn a_retry_makes_new_attempts_under_a_new_entry_and_counts_itself() {
    let mut world = failed();
    let before = world.attempt_of("e1", "B");
    world.when_retried("e1", "Build").accepted();
    let after = world.attempt_of("e1", "B");
    assert_ne!(before.action_execution, after.action_execution);
    assert!(after.entry > before.entry);
    let stage = world.run("e1").stages[1].clone();
    let retry = stage.retry.expect("it was retried");
    assert_eq!((stage.manual_retries, retry.mode), (1, StageRetryMode::FailedActions));
    assert_eq!(retry.trigger, RetryTrigger::ManualStageRetry);
}

#[test]
fn a_retry_that_is_sent_again_later_makes_attempts_of_its_own() {
    let mut world = failed();
    world.command_id = Some("sent twice".to_owned());
    world.when_retried("e1", "Build").accepted();
    world.fail("e1", "B");
    world.when_retried("e1", "Build").accepted();
    let ids: BTreeSet<_> =
        world.attempts("e1", "B").into_iter().map(|attempt| attempt.action_execution.clone()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn retrying_all_starts_from_the_first_group_and_replaces_artifacts() {
    let mut world = failed();
    let old = world.attempt("e1", "A").outputs.clone();
    world.when_retried_all("e1", "Build").then(&[
        "lane: StageHeld Build e1",
        "e1: StageRetried Build AllActions",
        "e1: ActionStarted Build/A",
        "e1: ActionStarted Build/B",
    ]);
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    let new = world.attempt("e1", "A").outputs.clone();
    assert_ne!(old, new);
    assert_eq!(world.attempt("e1", "C").inputs, new);
}

#[test]
fn what_failed_may_be_retried_while_its_siblings_still_run() {
    let mut world = running(ExecutionMode::Superseded);
    world.fail("e1", "A");
    let sibling = world.attempt_of("e1", "B");
    world
        .when_retried("e1", "Build")
        .then(&["e1: StageRetried Build FailedActions", "e1: ActionStarted Build/A"]);
    assert_eq!(world.attempt_of("e1", "A").entry, sibling.entry, "the sibling's result must still count");
    world.succeed("e1", "B");
    world.when_succeeds("e1", "A").then(&["e1: ActionSucceeded Build/A", "e1: ActionStarted Build/C"]);
}

#[test]
fn retrying_all_is_refused_while_siblings_still_run() {
    let mut world = running(ExecutionMode::Superseded);
    world.fail("e1", "A");
    world.when_retried_all("e1", "Build").then_refused("Conflict");
}

#[test]
fn a_retry_of_a_stage_where_nothing_failed_is_refused() {
    let mut world = running(ExecutionMode::Superseded);
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
    world.when_retried("e1", "Source").then_refused("StageNotRetryable");
    for action in ["A", "B", "C"] {
        world.succeed("e1", action);
    }
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
    world.when_retried_all("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn a_second_retry_while_the_first_runs_is_refused() {
    let mut world = failed();
    world.when_retried("e1", "Build").accepted();
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn a_second_retry_waits_for_the_end_of_the_first() {
    let mut world = running(ExecutionMode::Superseded);
    world.fail("e1", "A");
    world.fail("e1", "B");
    world.when_retried("e1", "Build").accepted();
    world.fail("e1", "A");
    world.when_retried("e1", "Build").then_refused("Conflict");
    world.succeed("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    world.when_retried("e1", "Build").then(&[
        "lane: StageHeld Build e1",
        "e1: StageRetried Build FailedActions",
        "e1: ActionStarted Build/A",
    ]);
}

#[test]
fn a_retry_of_a_stopping_run_is_refused() {
    let mut world = running(ExecutionMode::Superseded);
    world.fail("e1", "A");
    world.when_stopped("e1").accepted();
    world.when_retried("e1", "Build").then_refused("Conflict");
}

#[test]
fn a_stopping_run_without_a_failed_action_is_not_retryable_rather_than_busy() {
    let mut world = running(ExecutionMode::Superseded);
    world.when_stopped("e1").accepted();
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn an_unknown_pipeline_stage_or_run_is_refused() {
    let mut world = failed();
    world.when_retried("e1", "Nowhere").then_refused("StageNotFound");
    world.when_retried("ee", "Build").then_refused("NotLatestExecution");
    world.when_deleted().accepted();
    world.when_retried("e1", "Build").then_refused("PipelineNotFound");
}

#[test]
fn once_another_run_has_entered_the_stage_the_older_one_cannot_be_retried() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued] {
        let mut world = running(mode);
        world.fail("e1", "A");
        world.fail("e1", "B");
        world.start("e2");
        world.when_retried("e1", "Build").accepted(); // not yet: e2 is in Source
        world.fail("e1", "A");
        world.fail("e1", "B");
        world.succeed("e2", "Src");
        world.when_retried("e1", "Build").then_refused("NotLatestExecution");
    }
}

#[test]
fn parallel_runs_are_retried_each_on_its_own() {
    let mut world = running(ExecutionMode::Parallel);
    world.fail("e1", "A");
    world.fail("e1", "B");
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_retried("e1", "Build").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
}

#[test]
fn after_an_update_nothing_older_can_be_retried() {
    let mut world = failed();
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn a_stopped_stage_goes_on_where_it_stopped() {
    let mut world = running(ExecutionMode::Superseded);
    world.when_stopped("e1").accepted();
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    world.when_retried("e1", "Build").then(&[
        "lane: StageHeld Build e1",
        "e1: StageRetried Build FailedActions",
        "e1: ActionStarted Build/C",
    ]);
    assert!(world.run("e1").stop.is_none());
}

#[test]
fn an_abandoned_stage_runs_its_abandoned_actions_again() {
    let mut world = running(ExecutionMode::Superseded);
    world.succeed("e1", "A");
    world.when_abandoned("e1").accepted();
    world.when_retried("e1", "Build").then(&[
        "lane: StageHeld Build e1",
        "e1: StageRetried Build FailedActions",
        "e1: ActionStarted Build/B",
    ]);
    assert_eq!(world.attempts("e1", "B")[0].status, ActionStatus::Abandoned);
}

#[test]
fn a_stopped_stage_where_everything_had_succeeded_is_not_retryable() {
    let mut world = running(ExecutionMode::Superseded);
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    world.when_stopped("e1").accepted();
    world.succeed("e1", "C");
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::Stopped));
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn a_run_stopped_between_stages_has_nothing_to_retry() {
    let mut world = running(ExecutionMode::Superseded);
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_stopped("e2").accepted();
    world.when_retried("e2", "Build").then_refused("NotLatestExecution");
    world.when_retried("e2", "Source").then_refused("StageNotRetryable");
}

#[test]
fn whoever_waits_keeps_waiting_while_the_stage_is_retried() {
    let mut world = failed();
    world.when_disabled("Build").accepted();
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_retried("e1", "Build").accepted();
    world.when_enabled("Build").accepted();
    assert_eq!((world.holders("Build"), world.waiters("Build")), (vec!["e1"], vec!["e2"]));
    world.succeed("e1", "B");
    world.succeed("e1", "C");
    assert_eq!(world.holders("Build"), ["e2"]);
}

#[test]
fn the_source_stage_can_be_retried_and_keeps_its_pinned_revisions() {
    let mut world = given(definition(ExecutionMode::Superseded));
    world.when_started_with("e1", &[], &[("Src", "abc")]).accepted();
    world.fail("e1", "Src");
    world.when_retried("e1", "Source").accepted();
    let start = world.run("e1").start.clone().expect("it started");
    assert_eq!(start.revisions.values().collect::<Vec<_>>(), ["abc"]);
    world.succeed("e1", "Src");
    assert_eq!(world.holders("Build"), ["e1"]);
    assert_eq!(world.run("e1").revisions.len(), 1);
}

#[test]
fn a_retry_needs_room_among_the_fifty() {
    let mut world = running(ExecutionMode::Parallel);
    world.fail("e1", "A");
    world.fail("e1", "B");
    for run in 0..50 {
        world.start(&format!("{run:x}"));
    }
    world.when_retried("e1", "Build").then_refused("ConcurrentExecutionsLimit");
}

#[test]
fn a_retry_beside_running_siblings_needs_no_room_of_its_own() {
    let mut world = running(ExecutionMode::Queued);
    world.fail("e1", "A");
    for run in 0..49 {
        world.start(&format!("{run:x}"));
    }
    world.when_started("ff").then_refused("ConcurrentExecutionsLimit");
    world.when_retried("e1", "Build").accepted();
}

#[test]
fn what_cannot_be_retried_is_said_before_what_is_busy_and_that_before_what_is_full() {
    let mut world = running(ExecutionMode::Parallel);
    world.fail("e1", "A");
    world.fail("e1", "B");
    for run in 0..50 {
        world.start(&format!("{run:x}"));
    }
    world.when_retried("e1", "Nowhere").then_refused("StageNotFound");
    world.when_retried("ee", "Build").then_refused("NotLatestExecution");
    world.when_retried("e1", "Source").then_refused("StageNotRetryable");
    world.when_retried("e1", "Build").then_refused("ConcurrentExecutionsLimit");
    world.when_updated(definition(ExecutionMode::Parallel)).accepted();
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn the_source_stage_fetches_the_newest_again_when_nothing_was_pinned() {
    let mut world = given(definition(ExecutionMode::Superseded));
    world.start("e1");
    world.fail("e1", "Src");
    world.when_retried_all("e1", "Source").then(&[
        "lane: StageHeld Source e1",
        "e1: StageRetried Source AllActions",
        "e1: ActionStarted Source/Src",
    ]);
    assert!(world.run("e1").start.as_ref().expect("it started").revisions.is_empty());
}

#[test]
fn a_retried_stage_may_fail_and_be_retried_again() {
    let mut world = failed();
    for attempt in 1..=3 {
        world.when_retried("e1", "Build").accepted();
        world.fail("e1", "B");
        assert_eq!(world.run("e1").stages[1].manual_retries, attempt);
        assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    }
}
