//! Runs that keep their own definition, and the order in which they deploy. Off unless asked for: what the service
//! does stands in `modes`, `retry` and `rollback`.

use domain::{
    Rejection, Scope,
    command::Wish,
    execution::{ExecutionStatus, StageStatus},
    pipeline::versions::Pipeline,
    testing::*,
};
use events::{
    Compatibility,
    ExecutionMode::{self, Parallel, Queued, Superseded},
    GatePolicy, GaveWay, Newer, Older, PipelineDeclared, PipelineEvent, PipelineName, PipelineVersion,
    Policy, StageRetryMode,
};
use serde_json::json;
use std::collections::BTreeMap;

fn definition(mode: ExecutionMode, prod: &str) -> PipelineBuilder {
    pipeline("p")
        .mode(mode)
        .stage("Source", [source("Src")])
        .stage("Build", [action("A"), action("B").order(2)])
        .stage(prod, [deploy("Ship")])
}

fn extended() -> Policy {
    Policy { compatibility: Compatibility::Extended, ..Policy::default() }
}

fn given_extended(mode: ExecutionMode) -> World {
    let mut world = given(definition(mode, "Prod"));
    world.policy = extended();
    world
}

fn build(world: &mut World, run: &str) {
    world.start(run);
    ["Src", "A", "B"].iter().for_each(|action| world.succeed(run, action));
}

/// One more stage in front of the end, so that nobody can take the versions for the same.
fn longer(mode: ExecutionMode) -> PipelineBuilder {
    definition(mode, "Prod").stage("Later", [action("More")])
}

#[test]
fn a_run_under_way_goes_on_by_its_own_definition_after_an_update() {
    for mode in [Superseded, Queued, Parallel] {
        let mut world = given_extended(mode);
        build(&mut world, "e1");
        world.when_updated(longer(mode)).accepted();
        world.succeed("e1", "Ship");
        assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
        assert_eq!(world.stage_status("e1", "Later"), None);
    }
}

#[test]
fn who_waits_keeps_its_place_through_an_update() {
    for mode in [Superseded, Queued] {
        let mut world = given_extended(mode);
        build(&mut world, "e1");
        build(&mut world, "e2");
        world.when_updated(longer(mode)).then(&["pipeline: PipelineDeclared 2"]);
        assert_eq!(world.waiters("Prod"), ["e2"]);
        world.succeed("e1", "Ship");
        world.succeed("e2", "Ship");
        assert_eq!(world.status("e2"), ExecutionStatus::Succeeded);
    }
}

#[test]
fn what_governs_a_run_is_what_was_recorded_when_it_started() {
    let mut world = given(definition(Superseded, "Prod"));
    build(&mut world, "e1");
    world.policy = extended();
    world.when_updated(longer(Superseded)).accepted();
    world.succeed("e1", "Ship");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded, "its last action was running");
    world.start("e2");
    world.succeed("e2", "Src");
    world.policy = Policy::default();
    world.when_updated(longer(Superseded)).accepted();
    world.succeed("e2", "A");
    assert_eq!(world.action_status("e2", "B"), domain::execution::ActionStatus::InProgress);
    assert_eq!(world.run("e2").start.as_ref().map(|start| start.policy.clone()), Some(extended()));
}

#[test]
fn a_failed_stage_is_retried_across_updates_by_the_runs_own_definition_in_every_mode() {
    for mode in [Superseded, Queued, Parallel] {
        let mut world = given_extended(mode);
        world.start("e1");
        world.succeed("e1", "Src");
        world.fail("e1", "A");
        for _ in 0..3 {
            world
                .when_updated(
                    pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Build", [action("Z")]),
                )
                .accepted();
        }
        world.when_retried("e1", "Build").accepted();
        world.succeed("e1", "A");
        world.succeed("e1", "B");
        world.succeed("e1", "Ship");
        assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
        assert!(world.attempts("e1", "Z").is_empty());
    }
}

#[test]
fn a_stage_that_only_the_runs_own_definition_has_can_be_retried() {
    let mut world = given_extended(Superseded);
    build(&mut world, "e1");
    world.fail("e1", "Ship");
    world.when_updated(definition(Superseded, "Production")).accepted();
    world.when_retried("e1", "Prod").accepted();
    world.when_retried("e1", "Production").then_refused("StageNotFound");
    world.succeed("e1", "Ship");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn a_condition_is_overridden_across_an_update() {
    let gated = definition(Queued, "Prod").before_entry("FAIL", [rule("Open")]);
    let mut world = given(gated);
    world.policy = extended();
    build(&mut world, "e1");
    world.when_rule_fails("e1", "Open").accepted();
    world.when_updated(definition(Queued, "Prod")).accepted();
    world.when_overridden("e1", "Prod", events::ConditionType::BeforeEntry).accepted();
    world.succeed("e1", "Ship");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn a_stage_goes_back_to_a_run_of_any_version_in_every_mode_by_the_targets_own_definition() {
    for mode in [Superseded, Queued, Parallel] {
        let mut world = given_extended(mode);
        build(&mut world, "e1");
        world.succeed("e1", "Ship");
        for _ in 0..3 {
            world.when_updated(definition(mode, "Prod").stage("Later", [action("More")])).accepted();
        }
        world
            .when_updated(
                pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Prod", [deploy("Other")]),
            )
            .accepted();
        world.when_rolled_back("b1", "Prod", "e1").then(&[
            "lane: StageHeld Prod b1",
            "b1: ExecutionStarted v1 back to e1",
            "b1: StageStarted Prod",
            "b1: ActionStarted Prod/Ship",
        ]);
        world.succeed("b1", "Ship");
        assert_eq!(world.status("b1"), ExecutionStatus::Succeeded);
    }
}

#[test]
fn a_rollback_in_parallel_mode_keeps_others_out_and_does_not_make_them_old() {
    let mut world = given_extended(Parallel);
    build(&mut world, "e1");
    world.succeed("e1", "Ship");
    world.start("e2");
    world.when_rolled_back("b1", "Prod", "e1").accepted();
    ["Src", "A", "B"].iter().for_each(|action| world.succeed("e2", action));
    assert_eq!((world.holders("Prod"), world.waiters("Prod")), (vec!["b1"], vec!["e2"]));
    world.when_rolled_back("b2", "Prod", "e1").then_refused("UnableToRollback");
    world.succeed("b1", "Ship");
    assert_eq!(
        world.holders("Prod"),
        ["e2"],
        "it started before the rollback, and is newer than what that brought"
    );
}

#[test]
fn a_rollback_needs_the_stage_in_the_targets_own_definition() {
    let mut world = given_extended(Superseded);
    build(&mut world, "e1");
    world.succeed("e1", "Ship");
    world.when_updated(definition(Superseded, "Production")).accepted();
    world.when_rolled_back("b1", "Production", "e1").then_refused("UnableToRollback");
    world.when_rolled_back("b1", "Nowhere", "e1").then_refused("StageNotFound");
    world.when_rolled_back("b1", "Prod", "e1").accepted();
}

#[test]
fn a_failed_stage_goes_back_by_itself_to_a_run_of_an_older_version() {
    let back = |later: bool| {
        let definition = definition(Queued, "Prod").on_failure("ROLLBACK", None);
        if later { definition.stage("Later", [action("More")]) } else { definition }
    };
    for extends in [true, false] {
        let mut world = given(back(false));
        if extends {
            world.policy = extended();
        }
        build(&mut world, "e1");
        world.succeed("e1", "Ship");
        world.when_updated(back(true)).accepted();
        build(&mut world, "e2");
        world.fail("e2", "Ship");
        assert_eq!(world.rollback_of("e2").is_some(), extends);
        if let Some(rollback) = world.rollback_of("e2") {
            let start = world.run(&rollback).start.clone().unwrap();
            assert_eq!((start.pipeline_version.0, start.policy.is_extended()), (1, true));
        }
    }
}

#[test]
fn parallel_runs_enter_a_stage_that_deploys_one_by_one() {
    let mut world = given_extended(Parallel);
    for run in ["e1", "e2", "e3"] {
        build(&mut world, run);
    }
    assert_eq!((world.holders("Prod"), world.waiters("Prod")), (vec!["e1"], vec!["e2", "e3"]));
    for run in ["e1", "e2", "e3"] {
        world.succeed(run, "Ship");
        assert_eq!(world.status(run), ExecutionStatus::Succeeded);
    }
}

#[test]
fn parallel_runs_still_build_side_by_side() {
    let mut world = given_extended(Parallel);
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    assert_eq!(world.holders("Build"), ["e1", "e2"]);
}

#[test]
fn an_older_run_that_comes_after_a_newer_one_has_entered_is_superseded() {
    let mut world = given_extended(Parallel);
    world.start("e1");
    build(&mut world, "e2");
    for newer_is_done in [false, true] {
        let mut world = world.clone();
        if newer_is_done {
            world.succeed("e2", "Ship");
        }
        ["Src", "A"].iter().for_each(|action| world.succeed("e1", action));
        world.when_succeeds("e1", "B").then(&[
            "lane: StageReleased Build e1",
            "e1: ActionSucceeded Build/B",
            "e1: StageSucceeded Build",
            "e1: ExecutionSuperseded by e2",
        ]);
        assert_eq!(world.run("e1").gave_way, Some(GaveWay::Order));
        assert!(world.attempts("e1", "Ship").is_empty());
        world.when_retried("e1", "Build").then_refused("StageNotRetryable");
    }
}

#[test]
fn in_exact_mode_parallel_runs_deploy_in_whatever_order_they_come() {
    let mut world = given(definition(Parallel, "Prod"));
    world.start("e1");
    build(&mut world, "e2");
    ["Src", "A", "B"].iter().for_each(|action| world.succeed("e1", action));
    assert_eq!(world.holders("Prod"), ["e2", "e1"]);
}

#[test]
fn a_gate_may_let_older_runs_in_when_they_do_not_deploy_to_the_same_place() {
    let mut world = given_extended(Parallel);
    let gate = GatePolicy { newer: Newer::Hold, older: Some(Older::Allow) };
    world.policy.gates.insert(stage_name("Prod"), gate);
    world.start("e1");
    build(&mut world, "e2");
    ["Src", "A", "B"].iter().for_each(|action| world.succeed("e1", action));
    assert_eq!(world.holders("Prod"), ["e2", "e1"]);
}

#[test]
fn a_gate_may_forbid_older_runs_in_exact_mode_too() {
    let mut world = given(definition(Parallel, "Prod"));
    let gate = GatePolicy { newer: Newer::Hold, older: Some(Older::Refuse) };
    world.policy.gates.insert(stage_name("Prod"), gate);
    world.start("e1");
    build(&mut world, "e2");
    ["Src", "A", "B"].iter().for_each(|action| world.succeed("e1", action));
    assert_eq!(world.status("e1"), ExecutionStatus::Superseded);
}

#[test]
fn a_retry_never_deploys_an_older_run_after_a_newer_one() {
    let mut world = given_extended(Parallel);
    build(&mut world, "e1");
    world.fail("e1", "Ship");
    world.when_retried("e1", "Prod").accepted();
    world.fail("e1", "Ship");
    build(&mut world, "e2");
    world.when_retried("e1", "Prod").then_refused("NotLatestExecution");
    world.succeed("e2", "Ship");
    world.when_retried("e1", "Prod").then_refused("NotLatestExecution");
    world.when_retried("e2", "Prod").then_refused("StageNotRetryable");
}

#[test]
fn a_source_is_not_fetched_again_for_a_run_that_newer_ones_have_passed() {
    let mut world = given_extended(Parallel);
    world.start("e1");
    world.fail("e1", "Src");
    world.start("e2");
    world.when_retried("e1", "Source").then_refused("NotLatestExecution");
    let mut exact = given(definition(Parallel, "Prod"));
    exact.start("e1");
    exact.fail("e1", "Src");
    exact.start("e2");
    exact.when_retried("e1", "Source").accepted();
}

#[test]
fn a_new_name_for_a_stage_does_not_let_older_runs_deploy_after_newer_ones() {
    for mode in [Superseded, Queued, Parallel] {
        let mut world = given_extended(mode);
        world.start("e1");
        world.succeed("e1", "Src");
        // The newer one overtakes: its version has no stage in which it would stand behind the older.
        let shorter =
            pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Production", [deploy("Ship")]);
        world.when_updated(shorter).accepted();
        world.start("e2");
        world.succeed("e2", "Src");
        assert_eq!(world.holders("Production"), ["e2"]);
        world.succeed("e1", "A");
        world.succeed("e1", "B");
        assert_eq!(world.status("e1"), ExecutionStatus::Superseded, "{mode:?}");
    }
}

#[test]
fn a_retry_in_a_stage_of_an_old_name_is_refused_once_a_newer_run_was_in_a_stage_of_a_new_one() {
    let mut world = given_extended(Queued);
    build(&mut world, "e1");
    world.fail("e1", "Ship");
    world.when_updated(definition(Queued, "Production")).accepted();
    build(&mut world, "e2");
    world.when_retried("e1", "Prod").then_refused("NotLatestExecution");
}

#[test]
fn a_stage_that_is_new_does_not_hold_back_older_runs_from_one_that_stayed() {
    let mut world = given_extended(Queued);
    world.start("e1");
    world.succeed("e1", "Src");
    let canary = pipeline("p").mode(Queued).stage("Source", [source("Src")]);
    let canary = canary.stage("Canary", [deploy("Try")]).stage("Prod", [deploy("Ship")]);
    world.when_updated(canary).accepted();
    world.start("e2");
    world.succeed("e2", "Src");
    assert_eq!(world.holders("Canary"), ["e2"]);
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(world.holders("Prod"), ["e1"]);
    assert_eq!(world.stage_status("e1", "Prod"), Some(StageStatus::InProgress));
}

#[test]
fn a_run_whose_own_definition_cannot_be_read_names_it_and_not_the_current_one() {
    let mut world = given_extended(Superseded);
    world.start("e1");
    world.fail("e1", "Src");
    let current = world.pipeline().current_definition().expect("it was declared").clone();
    let mut pipeline = Pipeline::default();
    for (version, definition) in
        [(1, json!("of another time")), (2, serde_json::to_value(&*current).expect("it is JSON"))]
    {
        let declared = PipelineDeclared {
            version: PipelineVersion(version),
            definition: definition.into(),
            tags: BTreeMap::new(),
            by: "ann".into(),
        };
        pipeline.evolve(&PipelineEvent::PipelineDeclared(declared), world.now);
    }
    let wish = Wish::RetryStage { stage: stage_name("Source"), mode: StageRetryMode::FailedActions };
    let scope = Scope { pipeline, ..world.scope_of("e1") };
    let refused = world.decide_on(scope, "e1", wish).expect_err("nobody can read it");
    let name = PipelineName::parse("p").expect("a name");
    assert_eq!(refused, Rejection::DefinitionUnreadable { pipeline: name, version: PipelineVersion(1) });
}
