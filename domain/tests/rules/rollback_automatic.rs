//! A stage whose definition asks to be rolled back when it fails.

use domain::execution::{ExecutionStatus, StageStatus};
use domain::testing::*;
use events::{ExecutionMode, LaneEvent, StageReleased, TriggerType};

fn definition(mode: ExecutionMode) -> PipelineBuilder {
    pipeline("p")
        .mode(mode)
        .stage("Source", [source("Src").namespace("Src")])
        .stage("Deploy", [deploy("Push").input("Src").set("Commit", "#{Src.Commit}")])
        .on_failure("ROLLBACK", None)
        .stage("After", [deploy("Last")])
}

fn deploys(world: &mut World, run: &str) {
    world.start(run);
    world.when_succeeds_with(run, "Src", &[("Commit", run)]).accepted();
}

fn passes(world: &mut World, run: &str) {
    deploys(world, run);
    world.succeed(run, "Push");
    world.succeed(run, "Last");
}

/// `e1` and `e2` passed, `e3` is inside Deploy.
fn third_inside(mode: ExecutionMode) -> World {
    let mut world = given(definition(mode));
    passes(&mut world, "e1");
    passes(&mut world, "e2");
    deploys(&mut world, "e3");
    world
}

/// `e3` has failed; its rollback is owed, and nobody was told to start it.
fn owed(mode: ExecutionMode) -> (World, String) {
    let mut world = third_inside(mode);
    world.messages_wait = true;
    world.fail("e3", "Push");
    world.messages.clear();
    world.messages_wait = false;
    let rollback = world.rollback_of("e3").expect("it is owed");
    (world, rollback)
}

#[test]
fn nothing_is_rolled_back_in_a_stage_that_its_lane_has_taken_back() {
    let mut world = third_inside(ExecutionMode::Superseded);
    let (stage, execution) = (stage_name("Deploy"), execution_id("e3"));
    world.happened_in_lane(&LaneEvent::StageReleased(StageReleased { stage, execution, succeeded: None }));
    world.when_fails("e3", "Push").then(&[
        "e3: ActionFailed Deploy/Push JobFailed",
        "e3: StageFailed Deploy",
        "e3: ExecutionFailed",
    ]);
}

#[test]
fn a_failed_stage_goes_back_to_the_newest_run_that_succeeded_in_it() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued] {
        let mut world = third_inside(mode);
        let outcome = world.when_fails("e3", "Push");
        let back = world.rollback_of("e3").expect("it has started");
        outcome.then(&[
            "lane: StageReleased Deploy e3",
            &format!("lane: StageHeld Deploy {back}"),
            &format!("lane: RollbackOwed Deploy {back} to e2"),
            "e3: ActionFailed Deploy/Push JobFailed",
            "e3: StageFailed Deploy",
            "e3: ExecutionFailed",
            &format!("lane: RollbackSettled {back}"),
            &format!("{back}: ExecutionStarted v1 back to e2"),
            &format!("{back}: StageStarted Deploy"),
            &format!("{back}: ActionStarted Deploy/Push"),
        ]);
        assert_eq!(world.attempt(&back, "Push").inputs, world.attempt("e2", "Src").outputs);
        assert_eq!(world.attempt(&back, "Push").resolved["Commit"], "e2");
        world.succeed(&back, "Push");
        assert_eq!(world.status(&back), ExecutionStatus::Succeeded);
        assert_eq!(world.status("e3"), ExecutionStatus::Failed, "what failed stays failed");
    }
}

#[test]
fn it_names_the_run_that_failed() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.fail("e3", "Push");
    let back = world.rollback_of("e3").expect("it has started");
    let trigger = world.run(&back).start.clone().expect("it started").trigger;
    assert_eq!((trigger.kind, trigger.detail.as_str()), (TriggerType::AutomatedRollback, "e3"));
}

#[test]
fn without_anything_to_go_back_to_the_stage_just_fails() {
    let mut world = given(definition(ExecutionMode::Superseded));
    deploys(&mut world, "e1");
    just_fails(&mut world, "e1");
}

#[test]
fn only_runs_of_the_current_version_are_gone_back_to() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.succeed("e3", "Push");
    world.succeed("e3", "Last");
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    deploys(&mut world, "e4");
    just_fails(&mut world, "e4");
    assert_eq!(world.rollback_of("e4"), None);
    assert!(world.holders("Deploy").is_empty());
}

/// The run's deployment fails, and nothing goes back.
#[track_caller]
fn just_fails(world: &mut World, run: &str) {
    world.when_fails(run, "Push").then(&[
        &format!("lane: StageReleased Deploy {run}"),
        &format!("{run}: ActionFailed Deploy/Push JobFailed"),
        &format!("{run}: StageFailed Deploy"),
        &format!("{run}: ExecutionFailed"),
    ]);
}

#[test]
fn a_run_that_an_update_has_overtaken_just_fails() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    just_fails(&mut world, "e3");
    assert_eq!(world.rollback_of("e3"), None);
}

#[test]
fn a_source_is_fetched_anew_and_goes_back_to_nothing() {
    let bare = pipeline("p").stage("Source", [source("Src")]).on_failure("ROLLBACK", None);
    let mut world = given(bare.stage("Deploy", [deploy("Push")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.succeed("e1", "Push");
    world.start("e2");
    world.when_fails("e2", "Src").then(&[
        "lane: StageReleased Source e2",
        "e2: ActionFailed Source/Src JobFailed",
        "e2: StageFailed Source",
        "e2: ExecutionFailed",
    ]);
}

#[test]
fn a_rollback_that_fails_leads_to_no_other_of_runs_that_keep_their_own_definition() {
    let mut world = given(definition(ExecutionMode::Superseded));
    world.policy.compatibility = events::Compatibility::Extended;
    passes(&mut world, "e1");
    deploys(&mut world, "e2");
    world.fail("e2", "Push");
    let back = world.rollback_of("e2").expect("it has started");
    just_fails(&mut world, &back);
}

#[test]
fn a_rollback_is_never_gone_back_to() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.fail("e3", "Push");
    let back = world.rollback_of("e3").expect("it has started");
    world.succeed(&back, "Push");
    deploys(&mut world, "e4");
    world.fail("e4", "Push");
    let again = world.rollback_of("e4").expect("it has started");
    let target = world.run(&again).start.clone().and_then(|start| start.rollback).map(|it| it.target);
    assert_eq!(target, Some(execution_id("e2")));
}

#[test]
fn a_rollback_that_fails_leads_to_no_other() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.fail("e3", "Push");
    let back = world.rollback_of("e3").expect("it has started");
    world.when_fails(&back, "Push").then(&[
        &format!("lane: StageReleased Deploy {back}"),
        &format!("{back}: ActionFailed Deploy/Push JobFailed"),
        &format!("{back}: StageFailed Deploy"),
        &format!("{back}: ExecutionFailed"),
    ]);
    assert_eq!(world.rollback_of(&back), None);
}

#[test]
fn a_rollback_that_fails_is_not_tried_again_either() {
    let retried = |result| {
        pipeline("p")
            .stage("Source", [source("Src")])
            .stage("Deploy", [deploy("Push")])
            .on_failure(result, None)
    };
    let mut world = given(retried("RETRY"));
    world.start("e1");
    world.succeed("e1", "Src");
    world.succeed("e1", "Push");
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.fail("a", "Push");
    assert_eq!(world.status("a"), ExecutionStatus::Failed);
    assert_eq!(world.attempts("a", "Push").len(), 1);
}

#[test]
fn it_takes_the_stage_ahead_of_who_waits_whatever_the_door_says() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued] {
        let mut world = third_inside(mode);
        deploys(&mut world, "e4");
        assert_eq!(world.waiters("Deploy"), ["e4"]);
        world.when_disabled("Deploy").accepted();
        world.fail("e3", "Push");
        let back = world.rollback_of("e3").expect("it has started");
        assert_eq!((world.holders("Deploy"), world.waiters("Deploy")), (vec![back.as_str()], vec!["e4"]));
        world.succeed(&back, "Push");
        assert_eq!(world.waiters("Deploy"), ["e4"]);
        world.when_enabled("Deploy").accepted();
        assert_eq!(world.holders("Deploy"), ["e4"]);
    }
}

#[test]
fn a_stopped_stage_is_not_rolled_back() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.when_stopped("e3").accepted();
    world.fail("e3", "Push");
    assert_eq!(world.status("e3"), ExecutionStatus::Stopped);
    assert_eq!(world.rollback_of("e3"), None);
}

#[test]
fn a_retried_stage_that_fails_again_is_rolled_back_then() {
    let mut world = given(definition(ExecutionMode::Superseded));
    deploys(&mut world, "e1");
    world.fail("e1", "Push");
    world.when_retried("e1", "Deploy").accepted();
    world.succeed("e1", "Push");
    world.succeed("e1", "Last");
    deploys(&mut world, "e2");
    world.fail("e2", "Push");
    assert!(world.rollback_of("e2").is_some());
}

#[test]
fn a_rollback_that_nobody_was_told_of_is_started_by_whoever_looks() {
    let (mut world, back) = owed(ExecutionMode::Superseded);
    assert!(!world.exists(&back));
    assert_eq!(world.holders("Deploy"), [back.as_str()]);
    world.when_lane_resumed().then(&[
        &format!("lane: RollbackSettled {back}"),
        &format!("{back}: ExecutionStarted v1 back to e2"),
        &format!("{back}: StageStarted Deploy"),
        &format!("{back}: ActionStarted Deploy/Push"),
    ]);
    world.when_lane_resumed().then_nothing();
    world.succeed(&back, "Push");
    assert!(world.lane().rollbacks.is_empty());
}

#[test]
fn while_a_rollback_is_owed_nothing_else_may_have_the_stage() {
    let (mut world, back) = owed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").then_refused("Conflict");
    world.when_retried("e3", "Deploy").then_refused("NotLatestExecution");
    deploys(&mut world, "e4");
    assert_eq!((world.holders("Deploy"), world.waiters("Deploy")), (vec![back.as_str()], vec!["e4"]));
    world.when_stopped(&back).then_refused("NotStoppable");
}

#[test]
fn an_owed_rollback_that_an_update_has_made_impossible_frees_the_stage() {
    let (mut world, back) = owed(ExecutionMode::Superseded);
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    deploys(&mut world, "e4");
    assert_eq!(world.waiters("Deploy"), ["e4"]);
    world.when_lane_resumed().then(&[
        &format!("lane: RollbackSettled {back}"),
        &format!("lane: StageReleased Deploy {back}"),
        "lane: StageHeld Deploy e4",
        "e4: StageStarted Deploy",
        "e4: ActionStarted Deploy/Push",
    ]);
    assert!(!world.exists(&back));
}

#[test]
fn an_owed_rollback_of_a_deleted_pipeline_never_starts() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.messages_wait = true;
    world.fail("e3", "Push");
    let back = world.rollback_of("e3").expect("it is owed");
    world.when_deleted().accepted();
    assert!(world.lane().rollbacks.is_empty());
    world.when_created(definition(ExecutionMode::Superseded)).accepted();
    world.deliver();
    assert!(!world.exists(&back));
    assert!(world.lane().under_way().is_empty());
}

#[test]
fn parallel_runs_have_nothing_to_go_back_to() {
    // Such a definition is refused; one that came in by another way must do no harm.
    let mut world = third_inside(ExecutionMode::Parallel);
    world.fail("e3", "Push");
    assert_eq!(world.rollback_of("e3"), None);
    assert_eq!(world.stage_status("e3", "Deploy"), Some(StageStatus::Failed));
}

#[test]
fn every_failed_run_gets_a_rollback_of_its_own_whatever_the_command_is_called() {
    let mut world = third_inside(ExecutionMode::Superseded);
    world.command_id = Some("sent twice".to_owned());
    world.fail("e3", "Push");
    let third = world.rollback_of("e3").expect("it has started");
    world.succeed(&third, "Push");
    deploys(&mut world, "e4");
    world.fail("e4", "Push");
    assert_ne!(world.rollback_of("e4"), Some(third));
}

#[test]
fn an_action_that_cannot_even_start_leads_to_a_rollback_too() {
    let mut world = given(definition(ExecutionMode::Superseded));
    passes(&mut world, "e1");
    world.start("e2");
    // The reference has no value, so that the stage fails within the decision that entered it.
    world.succeed("e2", "Src");
    assert_eq!(world.status("e2"), ExecutionStatus::Failed);
    let back = world.rollback_of("e2").expect("it has started");
    assert_eq!(world.attempt(&back, "Push").resolved["Commit"], "e1");
}
