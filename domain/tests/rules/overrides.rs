//! Letting a run pass in spite of a condition.

use domain::execution::{ActionStatus, ConditionStatus, ExecutionStatus, StageStatus};
use domain::testing::*;
use events::{
    ConditionType::{BeforeEntry, OnFailure, OnSuccess},
    ExecutionMode,
};

fn definition(mode: ExecutionMode, entry: &str) -> PipelineBuilder {
    let bare = pipeline("p").mode(mode).stage("Source", [source("Src")]);
    let gated = bare.stage("Deploy", [deploy("Push")]).before_entry(entry, [rule("In"), rule("Other")]);
    gated.on_success("FAIL", [rule("Out")]).stage("After", [action("Tell")])
}

fn asked_in(mode: ExecutionMode) -> World {
    let mut world = given(definition(mode, "FAIL"));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

/// The way in is being asked.
fn asked() -> World {
    asked_in(ExecutionMode::Superseded)
}

/// The run failed at the way in.
fn shut() -> World {
    let mut world = asked();
    world.when_rule_fails("e1", "In").accepted();
    world.when_rule_succeeds("e1", "Other").accepted();
    world
}

/// The run failed at the way out.
fn shut_out() -> World {
    let mut world = asked();
    world.when_rule_succeeds("e1", "In").accepted();
    world.when_rule_succeeds("e1", "Other").accepted();
    world.succeed("e1", "Push");
    world.when_rule_fails("e1", "Out").accepted();
    world
}

#[test]
fn overriding_a_way_in_that_is_being_asked_gives_its_rules_up_and_starts_the_actions() {
    let mut world = asked();
    world.when_rule_fails("e1", "Other").accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then(&[
        "e1: RuleAbandoned Deploy/In",
        "e1: ConditionOverridden Deploy beforeEntry",
        "e1: ActionStarted Deploy/Push",
    ]);
    assert_eq!(world.cancelled_rules, [world.rule("e1", "In").rule_execution.clone()]);
    let condition = world.conditions("e1", "Deploy", BeforeEntry)[0].clone();
    assert_eq!(condition.status, ConditionStatus::Overridden);
    assert_eq!(condition.by.as_deref(), Some(world.actor.as_str()));
    world.when_rule_succeeds("e1", "In").then(&["e1: RuleResultIgnored"]);
}

#[test]
fn overriding_a_way_in_that_failed_brings_the_run_back_to_life() {
    let mut world = shut();
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    let before = world.conditions("e1", "Deploy", BeforeEntry)[0].entry;
    world.when_overridden("e1", "Deploy", BeforeEntry).then(&[
        "lane: StageHeld Deploy e1",
        "e1: ConditionOverridden Deploy beforeEntry",
        "e1: ActionStarted Deploy/Push",
    ]);
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::InProgress));
    assert!(world.attempt_of("e1", "Push").entry > before);
    world.succeed("e1", "Push");
    world.when_rule_succeeds("e1", "Out").accepted();
    world.succeed("e1", "Tell");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn a_way_in_that_could_not_be_asked_may_be_overridden() {
    let mut world = asked();
    world.when_rule_cannot_run("e1", "In").accepted();
    world.when_rule_succeeds("e1", "Other").accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).accepted();
    assert_eq!(world.action_status("e1", "Push"), ActionStatus::InProgress);
}

#[test]
fn overriding_a_way_out_that_failed_lets_the_stage_succeed_and_the_run_go_on() {
    let mut world = shut_out();
    world.when_overridden("e1", "Deploy", OnSuccess).then(&[
        "lane: StageHeld Deploy e1",
        "lane: StageReleased Deploy e1",
        "lane: StageHeld After e1",
        "e1: ConditionOverridden Deploy onSuccess",
        "e1: StageSucceeded Deploy",
        "e1: StageStarted After",
        "e1: ActionStarted After/Tell",
    ]);
    assert_eq!(world.attempts("e1", "Push").len(), 1, "nothing is done again");
}

#[test]
fn overriding_a_way_out_ends_the_failure_condition_it_led_to() {
    let bare = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let gated = bare.on_success("FAIL", [rule("Out")]).on_failure_when("ROLLBACK", [rule("Undo")]);
    let mut world = given(gated);
    world.start("e1");
    world.succeed("e1", "Src");
    world.succeed("e1", "Push");
    world.when_rule_fails("e1", "Out").accepted();
    world.when_overridden("e1", "Deploy", OnSuccess).then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleAbandoned Deploy/Undo",
        "e1: ConditionEnded Deploy onFailure Cancelled",
        "e1: ConditionOverridden Deploy onSuccess",
        "e1: StageSucceeded Deploy",
        "e1: ExecutionSucceeded",
    ]);
}

#[test]
fn what_is_met_or_was_never_asked_cannot_be_overridden() {
    let mut world = asked();
    world.when_overridden("e1", "Deploy", OnSuccess).then_refused("ConditionNotOverridable");
    world.when_rule_succeeds("e1", "In").accepted();
    world.when_rule_succeeds("e1", "Other").accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConditionNotOverridable");
    world.when_overridden("e1", "Source", OnSuccess).then_refused("ConditionNotOverridable");
}

#[test]
fn what_is_overridden_cannot_be_overridden_again() {
    let mut world = asked();
    world.when_overridden("e1", "Deploy", BeforeEntry).accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConditionNotOverridable");
}

#[test]
fn a_failure_condition_cannot_be_overridden() {
    let bare = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let mut world = given(bare.on_failure_when("ROLLBACK", [rule("Undo")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.fail("e1", "Push");
    world.when_overridden("e1", "Deploy", OnFailure).then_refused("ConditionNotOverridable");
}

#[test]
fn a_condition_that_skips_cannot_be_overridden() {
    let mut world = given(definition(ExecutionMode::Superseded, "SKIP"));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConditionNotOverridable");
    world.when_rule_fails("e1", "In").accepted();
    world.when_rule_fails("e1", "Other").accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConditionNotOverridable");
}

#[test]
fn an_unknown_pipeline_stage_or_run_is_refused() {
    let mut world = shut();
    world.when_overridden("e1", "Nowhere", BeforeEntry).then_refused("StageNotFound");
    world.when_overridden("ee", "Deploy", BeforeEntry).then_refused("NotLatestExecution");
    world.when_deleted().accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("PipelineNotFound");
}

#[test]
fn once_another_run_has_entered_the_stage_the_older_one_stays_where_it_is() {
    let mut world = shut();
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("NotLatestExecution");
}

#[test]
fn parallel_runs_are_overridden_each_on_its_own() {
    let mut world = asked_in(ExecutionMode::Parallel);
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_overridden("e1", "Deploy", BeforeEntry).accepted();
    assert_eq!(world.action_status("e1", "Push"), ActionStatus::InProgress);
}

#[test]
fn a_run_that_comes_back_to_life_needs_room_among_the_fifty() {
    let mut world = asked_in(ExecutionMode::Parallel);
    world.when_rule_fails("e1", "In").accepted();
    world.when_rule_fails("e1", "Other").accepted();
    for run in 0..50 {
        world.start(&format!("{run:x}"));
    }
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConcurrentExecutionsLimit");
}

#[test]
fn a_condition_of_a_run_that_is_stopping_or_stopped_is_not_overridden() {
    let mut world = asked();
    world.when_stopped("e1").accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("Conflict");
    world.when_rule_fails("e1", "In").accepted();
    world.when_rule_fails("e1", "Other").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConditionNotOverridable");
}

#[test]
fn after_an_update_nothing_older_is_overridden() {
    let mut world = shut();
    world.when_updated(definition(ExecutionMode::Superseded, "FAIL")).accepted();
    world.when_overridden("e1", "Deploy", BeforeEntry).then_refused("ConditionNotOverridable");
}

#[test]
fn whoever_waits_keeps_waiting_while_an_overridden_run_is_inside() {
    let mut world = shut();
    world.when_disabled("Deploy").accepted();
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_overridden("e1", "Deploy", BeforeEntry).accepted();
    world.when_enabled("Deploy").accepted();
    assert_eq!((world.holders("Deploy"), world.waiters("Deploy")), (vec!["e1"], vec!["e2"]));
}

#[test]
fn a_way_in_that_was_overridden_stays_open_for_a_retry_of_what_failed() {
    let mut world = shut();
    world.when_overridden("e1", "Deploy", BeforeEntry).accepted();
    world.fail("e1", "Push");
    world.when_retried("e1", "Deploy").accepted();
    assert_eq!(world.attempts("e1", "Push").len(), 2);
    world.fail("e1", "Push");
    world.when_retried_all("e1", "Deploy").accepted();
    assert_eq!(world.condition_status("e1", "Deploy", BeforeEntry), Some(ConditionStatus::InProgress));
}

#[test]
fn a_rollback_that_has_started_is_not_undone() {
    let bare = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let mut world = given(bare.on_success("ROLLBACK", [rule("Out")]));
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
        world.succeed(run, "Push");
        let _ = if run == "e1" {
            world.when_rule_succeeds(run, "Out")
        } else {
            world.when_rule_fails(run, "Out")
        };
    }
    assert_eq!(world.status("e2"), ExecutionStatus::Failed);
    assert_eq!(world.runs().len(), 3, "the rollback is a run of its own");
    world.when_overridden("e2", "Deploy", OnSuccess).then_refused("ConditionNotOverridable");
}

#[test]
fn a_way_out_that_asked_for_a_rollback_may_be_overridden_when_there_was_nothing_to_go_back_to() {
    let bare = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let mut world = given(bare.on_success("ROLLBACK", [rule("Out")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.succeed("e1", "Push");
    world.when_rule_fails("e1", "Out").accepted();
    assert_eq!((world.status("e1"), world.runs().len()), (ExecutionStatus::Failed, 1));
    world.when_overridden("e1", "Deploy", OnSuccess).accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn a_way_out_that_another_run_has_been_through_since_is_not_overridden() {
    let mut world = shut_out();
    world.start("e2");
    world.succeed("e2", "Src");
    world.when_overridden("e1", "Deploy", OnSuccess).then_refused("NotLatestExecution");
}
