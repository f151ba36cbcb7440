//! Rolling a stage back by hand.

use domain::execution::{ExecutionStatus, ExecutionType, StageStatus};
use domain::testing::*;
use events::{ExecutionMode, TriggerType};

fn definition(mode: ExecutionMode) -> PipelineBuilder {
    pipeline("p")
        .mode(mode)
        .variable("Size", Some("small"))
        .stage("Source", [source("Src").namespace("Src")])
        .stage("Build", [action("A").input("Src").output("App").namespace("A")])
        .stage(
            "Deploy",
            [
                deploy("Push").input("App").set("Tag", "#{A.Tag} #{Src.Commit} #{variables.Size}"),
                action("Check").order(2).output("Report").namespace("Check"),
                deploy("Tell").order(3).input("Report").set("Result", "#{Check.Result}"),
            ],
        )
        .stage("After", [deploy("Last")])
}

/// Takes a run through every stage.
fn pass(world: &mut World, run: &str, size: &str) {
    world.when_started_with(run, &[("Size", size)], &[]).accepted();
    world.when_succeeds_with(run, "Src", &[("Commit", run)]).accepted();
    world.when_succeeds_with(run, "A", &[("Tag", &format!("tag-{run}")), ("Other", "x")]).accepted();
    finish(world, run);
    world.succeed(run, "Last");
    assert_eq!(world.status(run), ExecutionStatus::Succeeded);
}

/// The actions of Deploy.
fn finish(world: &mut World, run: &str) {
    world.succeed(run, "Push");
    world.when_succeeds_with(run, "Check", &[("Result", run)]).accepted();
    world.succeed(run, "Tell");
}

/// `e1` and `e2` went all the way.
fn two_passed(mode: ExecutionMode) -> World {
    let mut world = given(definition(mode));
    pass(&mut world, "e1", "small");
    pass(&mut world, "e2", "large");
    world
}

#[test]
fn a_new_run_enters_the_stage_directly_runs_it_alone_and_succeeds() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued] {
        let mut world = two_passed(mode);
        world.when_rolled_back("a", "Deploy", "e1").then(&[
            "lane: StageHeld Deploy a",
            "a: ExecutionStarted v1 back to e1",
            "a: StageStarted Deploy",
            "a: ActionStarted Deploy/Push",
        ]);
        world.succeed("a", "Push");
        world.when_succeeds_with("a", "Check", &[("Result", "fine")]).accepted();
        world.when_succeeds("a", "Tell").then(&[
            "lane: StageReleased Deploy a",
            "a: ActionSucceeded Deploy/Tell",
            "a: StageSucceeded Deploy",
            "a: ExecutionSucceeded",
        ]);
        assert_eq!(world.run("a").stages.len(), 1, "neither the stages before nor those after run");
    }
}

#[test]
fn it_is_of_type_rollback_and_names_target_and_caller() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.actor = "arn:aws:iam::000000000000:user/bob".to_owned();
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    let start = world.run("a").start.clone().expect("it started");
    assert_eq!(start.execution_type(), ExecutionType::Rollback);
    assert_eq!(start.rollback.map(|rollback| rollback.target), Some(execution_id("e1")));
    assert_eq!(start.trigger.kind, TriggerType::ManualRollback);
    assert_eq!(start.trigger.detail, "arn:aws:iam::000000000000:user/bob");
    assert_eq!(start.mode, ExecutionMode::Superseded);
}

#[test]
fn it_carries_what_its_stage_reads_and_what_sources_fetched_and_nothing_else() {
    let build = [action("A").input("Src").output("App"), action("B").output("Unread")];
    let live = [deploy("Push").input("App"), action("Check").order(2).output("Report")];
    let tell = deploy("Tell").order(3).input("Report");
    let bare = pipeline("p").stage("Source", [source("Src")]).stage("Build", build);
    let mut world = given(bare.stage("Deploy", live.into_iter().chain([tell])));
    world.start("e1");
    ["Src", "A", "B", "Push", "Check", "Tell"].iter().for_each(|action| world.succeed("e1", action));
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    let rollback = world.run("a").start.clone().and_then(|start| start.rollback).expect("it is one");
    let kept = Vec::from_iter(rollback.artifacts.iter().map(|kept| kept.name.to_string()));
    assert_eq!(kept, ["App", "Src"], "what it makes itself it makes again");
}

#[test]
fn it_uses_the_targets_artifacts_revisions_and_variables() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    let (run, target) = (world.run("a"), world.run("e1"));
    assert_eq!(world.attempt("a", "Push").inputs, world.attempt("e1", "A").outputs);
    assert_eq!(world.attempt("a", "Push").resolved["Tag"], "tag-e1 e1 small");
    assert_eq!(run.revisions, target.revisions);
    let source = events::ArtifactName::parse("Src").expect("a name");
    assert_eq!(run.artifacts.get(&source), target.artifacts.get(&source), "what the histories show");
    let started = |id: &str| world.run(id).start.clone().expect("it started");
    assert_eq!(started("a").variables, started("e1").variables);
    let outputs = started("a").rollback.expect("it is one").outputs;
    assert!(!outputs["A"].contains_key("Other"), "what nobody refers to is not carried along");
}

#[test]
fn what_the_stage_makes_itself_it_makes_again() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.succeed("a", "Push");
    world.when_succeeds_with("a", "Check", &[("Result", "again")]).accepted();
    let tell = world.attempt("a", "Tell");
    assert_eq!(tell.inputs, world.attempt("a", "Check").outputs);
    assert_ne!(tell.inputs, world.attempt("e1", "Check").outputs);
    assert_eq!(tell.resolved["Result"], "again");
}

#[test]
fn the_newest_run_may_be_deployed_again() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e2").accepted();
    assert_eq!(world.attempt("a", "Push").resolved["Tag"], "tag-e2 e2 large");
}

#[test]
fn a_target_that_failed_in_a_later_stage_is_one_all_the_same() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.start("e3");
    for action in ["Src", "A"] {
        world.when_succeeds_with("e3", action, &[("Commit", "1"), ("Tag", "2")]).accepted();
    }
    finish(&mut world, "e3");
    world.when_rolled_back("a", "Deploy", "e3").accepted();
    world.fail("e3", "Last");
    world.fail("a", "Push");
    world.when_rolled_back("b", "Deploy", "e3").accepted();
}

#[test]
fn a_rollback_does_not_wait_for_who_waits_nor_for_the_door() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_disabled("Deploy").accepted();
    world.start("e3");
    world.when_succeeds_with("e3", "Src", &[("Commit", "1")]).accepted();
    world.when_succeeds_with("e3", "A", &[("Tag", "2")]).accepted();
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    assert_eq!((world.holders("Deploy"), world.waiters("Deploy")), (vec!["a"], vec!["e3"]));
    world.when_enabled("Deploy").accepted();
    assert_eq!(world.holders("Deploy"), ["a"]);
    finish(&mut world, "a");
    assert_eq!(world.holders("Deploy"), ["e3"]);
}

#[test]
fn what_cannot_be_gone_back_to_is_refused() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Nowhere", "e1").then_refused("StageNotFound");
    world.when_rolled_back("a", "Deploy", "ee").then_refused("ExecutionNotFound");
    let refused = |world: &mut World, stage: &str, target: &str, reason: &str| {
        let outcome = world.when_rolled_back("a", stage, target);
        let message = outcome.result.expect_err("it must be refused").to_string();
        assert!(message.ends_with(reason), "{message}");
    };
    refused(&mut world, "Source", "e1", "it is the source stage");
    world.start("e3");
    refused(&mut world, "Deploy", "e3", "that execution did not succeed in the stage");
    world.fail("e3", "Src");
    world.when_rolled_back("b", "Deploy", "e1").accepted();
    refused(&mut world, "Deploy", "e1", "the stage is running");
    finish(&mut world, "b");
    refused(&mut world, "Deploy", "b", "that execution is a rollback itself");
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    refused(&mut world, "Deploy", "e1", "the pipeline was changed since that execution started");
    world.when_deleted().accepted();
    world.when_rolled_back("a", "Deploy", "e1").then_refused("PipelineNotFound");
    world.when_created(definition(ExecutionMode::Superseded)).accepted();
    world.when_rolled_back("a", "Deploy", "e1").then_refused("ExecutionNotFound");
}

#[test]
fn a_run_of_another_pipeline_is_no_target() {
    let mut world = two_passed(ExecutionMode::Superseded);
    let other = pipeline("q").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    world.when_created(other).accepted();
    world.when_rolled_back("a", "Deploy", "e1").then_refused("ExecutionNotFound");
}

#[test]
fn parallel_pipelines_know_no_rollback() {
    let mut world = two_passed(ExecutionMode::Parallel);
    world.when_rolled_back("a", "Deploy", "e1").then_refused("UnableToRollback");
}

#[test]
fn a_target_that_is_no_longer_in_the_history_is_outdated() {
    let mut world = two_passed(ExecutionMode::Superseded);
    for _ in 0..365 {
        world.pass_minutes(24 * 60).accepted();
    }
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    finish(&mut world, "a");
    world.pass_minutes(1).accepted();
    world.when_rolled_back("b", "Deploy", "e1").then_refused("ExecutionOutdated");
}

#[test]
fn the_limit_on_runs_under_way_does_not_hold_a_rollback_back() {
    let mut world = two_passed(ExecutionMode::Queued);
    for run in 0..50 {
        world.start(&format!("{run:x}0"));
    }
    world.when_started("ff").then_refused("ConcurrentExecutionsLimit");
    world.when_rolled_back("a", "Deploy", "e1").accepted();
}

#[test]
fn once_a_rollback_has_entered_the_stage_the_run_that_failed_cannot_be_retried() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.start("e3");
    world.when_succeeds_with("e3", "Src", &[("Commit", "1")]).accepted();
    world.when_succeeds_with("e3", "A", &[("Tag", "2")]).accepted();
    world.fail("e3", "Push");
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.when_retried("e3", "Deploy").then_refused("NotLatestExecution");
}

#[test]
fn a_rollback_that_failed_may_be_retried_by_hand_and_still_ends_with_its_stage() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.when_fails("a", "Push").then(&[
        "lane: StageReleased Deploy a",
        "a: ActionFailed Deploy/Push JobFailed",
        "a: StageFailed Deploy",
        "a: ExecutionFailed",
    ]);
    world.when_retried("a", "Deploy").accepted();
    assert_eq!(world.attempt("a", "Push").resolved["Tag"], "tag-e1 e1 small");
    finish(&mut world, "a");
    assert_eq!(world.status("a"), ExecutionStatus::Succeeded);
}

#[test]
fn a_rollback_may_be_stopped() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.when_abandoned("a").accepted();
    assert_eq!(world.status("a"), ExecutionStatus::Stopped);
    assert!(world.holders("Deploy").is_empty());
}

#[test]
fn an_update_ends_a_rollback_after_its_running_actions() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.succeed("a", "Push");
    assert_eq!(world.status("a"), ExecutionStatus::Cancelled);
    assert_eq!(world.stage_status("a", "Deploy"), Some(StageStatus::Cancelled));
    assert!(world.holders("Deploy").is_empty());
}

#[test]
fn a_rollback_asked_for_twice_is_one() {
    let mut world = two_passed(ExecutionMode::Superseded);
    world.when_rolled_back("a", "Deploy", "e1").accepted();
    world.when_rolled_back("a", "Deploy", "e1").then_nothing();
    finish(&mut world, "a");
    world.when_rolled_back("a", "Deploy", "e1").then_nothing();
}
