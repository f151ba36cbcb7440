//! Manual approvals.

use domain::execution::{ActionStatus, ExecutionStatus, StageStatus};
use domain::{notice::facts::answered, testing::*};
use events::FailureCode;

fn asking() -> World {
    let gate = [approval("Ask").timeout(60)];
    let mut world = given(
        pipeline("p").stage("Source", [source("Src")]).stage("Gate", gate).stage("Deploy", [deploy("Push")]),
    );
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

#[test]
fn an_approval_asks_people_and_no_provider() {
    let world = asking();
    let asked = world.attempt("e1", "Ask");
    assert_eq!(asked.token.as_ref().map(String::len), Some(36));
    assert_ne!(asked.token.as_deref(), Some(asked.action_execution.as_str()));
    assert!(world.jobs.iter().all(|job| job.action.as_str() != "Ask"));
    assert_eq!(world.holders("Gate"), ["e1"], "it keeps the stage until it is answered");
}

#[test]
fn an_approved_run_goes_on_and_remembers_who_said_so() {
    let mut world = asking();
    world.when_answered("e1", "Ask", true).then(&[
        "lane: StageReleased Gate e1",
        "lane: StageHeld Deploy e1",
        "e1: ActionSucceeded Gate/Ask",
        "e1: StageSucceeded Gate",
        "e1: StageStarted Deploy",
        "e1: ActionStarted Deploy/Push",
    ]);
    assert_eq!(world.attempt("e1", "Ask").by.as_deref(), Some(world.actor.as_str()));
    assert_eq!(world.attempt("e1", "Ask").summary.as_deref(), Some("seen"));
    let by = world.actor.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    assert_eq!(answered(world.attempt("e1", "Ask")), Some((true, by, Some("seen".to_owned()))));
    assert_eq!(answered(world.attempt("e1", "Src")), None, "that is no approval");
}

#[test]
fn a_rejected_run_fails_and_remembers_who_said_so() {
    let mut world = asking();
    world.when_answered("e1", "Ask", false).then(&[
        "lane: StageReleased Gate e1",
        "e1: ActionFailed Gate/Ask JobFailed",
        "e1: StageFailed Gate",
        "e1: ExecutionFailed",
    ]);
    let asked = world.attempt("e1", "Ask");
    let words = "Rejected by arn:aws:iam::000000000000:user/ann: seen".to_owned();
    assert_eq!(asked.error, Some((FailureCode::JobFailed, words)));
    assert_eq!(asked.summary.as_deref(), Some("seen"));
}

#[test]
fn a_wrong_token_is_refused() {
    let mut world = asking();
    world.when_answered_with("e1", "Gate", "Ask", "no-token", true).then_refused("InvalidApprovalToken");
    let token = world.attempt("e1", "Ask").token.clone().unwrap_or_default();
    world.when_answered_with("ee", "Gate", "Ask", &token, true).then_refused("InvalidApprovalToken");
}

#[test]
fn an_unknown_stage_action_or_pipeline_is_told_from_a_wrong_token() {
    let mut world = asking();
    world.when_answered_with("e1", "Nowhere", "Ask", "t", true).then_refused("StageNotFound");
    world.when_answered_with("e1", "Gate", "Nobody", "t", true).then_refused("ActionNotFound");
    world.when_deleted().accepted();
    world.when_answered_with("e1", "Gate", "Ask", "t", true).then_refused("PipelineNotFound");
}

#[test]
fn the_second_answer_is_refused_whatever_it_says() {
    for (first, second) in [(true, true), (true, false), (false, true)] {
        let mut world = asking();
        world.when_answered("e1", "Ask", first).accepted();
        world.when_answered("e1", "Ask", second).then_refused("ApprovalAlreadyCompleted");
    }
}

#[test]
fn an_approval_nobody_answers_in_time_fails() {
    let mut world = asking();
    world.pass_minutes(59).then_nothing();
    world.pass_minutes(1).then(&[
        "lane: StageReleased Gate e1",
        "e1: ActionFailed Gate/Ask JobFailed",
        "e1: StageFailed Gate",
        "e1: ExecutionFailed",
    ]);
    let (_, message) = world.attempt("e1", "Ask").error.clone().expect("it failed");
    assert_eq!(message, "The action timed out after 60 minutes.");
    world.when_answered("e1", "Ask", true).then_refused("InvalidApprovalToken");
}

#[test]
fn an_answer_that_comes_after_the_deadline_but_before_the_timer_is_too_late() {
    let mut world = asking();
    world.timers.clear();
    world.pass_minutes(60).then_nothing();
    world.when_answered("e1", "Ask", true).then_refused("InvalidApprovalToken");
}

#[test]
fn a_timer_that_comes_after_the_answer_changes_nothing() {
    let mut world = asking();
    world.when_answered("e1", "Ask", true).accepted();
    world.succeed("e1", "Push");
    world.pass_minutes(60).then_nothing();
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn an_open_approval_keeps_a_stopping_run_stopping() {
    let mut world = asking();
    world.when_stopped("e1").then(&["e1: StopRequested"]);
    assert_eq!(world.status("e1"), ExecutionStatus::Stopping);
    world.when_answered("e1", "Ask", true).accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
    assert_eq!(world.stage_status("e1", "Gate"), Some(StageStatus::Stopped));
    assert_eq!(world.action_status("e1", "Ask"), ActionStatus::Succeeded);
}

#[test]
fn abandoning_closes_the_token() {
    let mut world = asking();
    world.when_abandoned("e1").accepted();
    assert_eq!(world.action_status("e1", "Ask"), ActionStatus::Abandoned);
    world.when_answered("e1", "Ask", true).then_refused("InvalidApprovalToken");
}

#[test]
fn a_retried_approval_asks_with_a_new_token_and_the_old_one_is_spent() {
    let mut world = asking();
    let old = world.attempt("e1", "Ask").token.clone().unwrap_or_default();
    world.when_answered("e1", "Ask", false).accepted();
    world.when_retried("e1", "Gate").accepted();
    assert_ne!(world.attempt("e1", "Ask").token.as_deref(), Some(old.as_str()));
    world.when_answered_with("e1", "Gate", "Ask", &old, true).then_refused("ApprovalAlreadyCompleted");
    world.when_answered("e1", "Ask", true).accepted();
    assert_eq!(world.holders("Deploy"), ["e1"]);
}
