//! How an action starts: artifacts, keys, variables, and what keeps it from starting.

use domain::execution::{ActionStatus, ExecutionStatus};
use domain::limits::FAILURE_MESSAGE_CHARS_MAX;
use domain::testing::*;
use events::FailureCode;
use std::collections::BTreeSet;

fn message(world: &World, execution: &str, action: &str) -> String {
    let (code, message) = world.attempt(execution, action).error.clone().expect("it failed");
    assert_eq!(code, FailureCode::ConfigurationError);
    message
}

fn built(compile: ActionBuilder) -> World {
    let mut world = given(
        pipeline("p")
            .variable("Target", Some("staging"))
            .stage("Source", [source("Src").namespace("Src")])
            .stage("Build", [compile]),
    );
    world.start("e1");
    world
}

#[test]
fn an_action_reads_its_inputs_where_their_producer_was_told_to_write_them() {
    let mut world = built(action("Compile").input("Src").output("App"));
    let written = world.attempt("e1", "Src").outputs.clone();
    world.succeed("e1", "Src");
    assert_eq!(world.attempt("e1", "Compile").inputs, written);
    assert_eq!(written[0].location.bucket, "artifacts");
}

#[test]
fn a_source_revision_travels_with_the_sources_artifacts_only() {
    let mut world = built(action("Compile").input("Src").output("App"));
    world.succeed("e1", "Src");
    world.succeed("e1", "Compile");
    let artifacts = &world.run("e1").artifacts;
    let revision = |name: &str| {
        let found = artifacts.iter().find(|(artifact, _)| artifact.as_str() == name);
        found.expect("it was made").1.revision.clone()
    };
    assert_eq!(revision("Src").as_deref(), Some("rev-e1"));
    assert_eq!(revision("App"), None);
    assert_eq!(world.run("e1").revisions.len(), 1);
}

#[test]
fn a_missing_input_artifact_fails_the_action_before_its_provider_is_asked() {
    let mut world = built(action("Compile").input("Nowhere"));
    world.when_succeeds("e1", "Src").then(&[
        "lane: StageReleased Source e1",
        "lane: StageHeld Build e1",
        "lane: StageReleased Build e1",
        "e1: ActionSucceeded Source/Src",
        "e1: StageSucceeded Source",
        "e1: StageStarted Build",
        "e1: ActionStarted Build/Compile",
        "e1: ActionFailed Build/Compile ConfigurationError",
        "e1: StageFailed Build",
        "e1: ExecutionFailed",
    ]);
    assert!(message(&world, "e1", "Compile").contains("`Nowhere`"));
    assert!(world.jobs.iter().all(|job| job.action.as_str() != "Compile"), "nobody is asked to run it");
}

#[test]
fn an_action_that_cannot_start_does_not_disturb_its_siblings() {
    let build = [action("Bad").input("Nowhere"), action("Good").input("Src")];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    assert_eq!(world.action_status("e1", "Bad"), ActionStatus::Failed);
    assert_eq!(world.action_status("e1", "Good"), ActionStatus::InProgress);
    world.succeed("e1", "Good");
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
}

#[test]
fn a_pipeline_without_a_store_in_this_region_cannot_make_artifacts() {
    let mut world = given(
        pipeline("p")
            .store_only_in("eu-central-1")
            .stage("Source", [source("Src")])
            .stage("Build", [action("Compile")]),
    );
    world.start("e1");
    assert!(message(&world, "e1", "Src").contains("`us-east-1`"));
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
}

#[test]
fn object_keys_are_short_and_never_used_twice() {
    let name = "a-pipeline-name-of-one-hundred-characters".repeat(3)[..100].to_owned();
    let long = ["An-artifact-of-a-long-name-1", "An-artifact-of-a-long-name-2"];
    let many = action("Compile").input("Src").output(long[0]).output(long[1]);
    let mut world = given(pipeline(&name).stage("Source", [source("Src")]).stage("Build", [many]));
    let mut keys = BTreeSet::new();
    let mut made = 0;
    for run in ["e1", "e2", "e3"] {
        world.start(run);
        world.succeed(run, "Src");
        world.fail(run, "Compile");
        world.when_retried_all(run, "Build").accepted();
        for attempt in [world.attempts(run, "Src"), world.attempts(run, "Compile")].concat() {
            for artifact in &attempt.outputs {
                let key = &artifact.location.key;
                assert!(key.len() <= 100, "{key}");
                assert!(key.starts_with("a-pipeline-name-of-o/"), "{key}");
                keys.insert(key.clone());
                made += 1;
            }
        }
        world.succeed(run, "Compile");
    }
    assert_eq!((keys.len(), made), (15, 15));
}

#[test]
fn references_are_replaced_right_before_the_action_starts() {
    let compile = action("Compile")
        .set("Plain", "as it is")
        .set("Mixed", "#{Src.CommitId} to #{variables.Target} by #{codepipeline.PipelineExecutionId}");
    let mut world = built(compile);
    world.when_succeeds_with("e1", "Src", &[("CommitId", "abc")]).accepted();
    let resolved = &world.attempt("e1", "Compile").resolved;
    assert_eq!(resolved.get("Mixed").map(String::as_str), Some("abc to staging by e1"));
    assert_eq!(resolved.get("Plain"), None, "what holds no reference is in the definition already");
}

#[test]
fn a_reference_without_a_value_fails_the_action_before_its_provider_is_asked() {
    let mut world = built(action("Compile").set("Key", "#{Src.Nothing}"));
    world.when_succeeds_with("e1", "Src", &[("CommitId", "abc")]).accepted();
    assert_eq!(world.action_status("e1", "Compile"), ActionStatus::Failed);
    let message = message(&world, "e1", "Compile");
    assert!(message.contains("`Key`") && message.contains("`#{Src.Nothing}`"), "{message}");
    assert!(world.jobs.iter().all(|job| job.action.as_str() != "Compile"));
}

#[test]
fn only_the_execution_id_can_be_asked_of_the_pipelines_own_namespace() {
    let mut world = built(action("Compile").set("Key", "#{codepipeline.Other}"));
    world.succeed("e1", "Src");
    assert!(message(&world, "e1", "Compile").contains("codepipeline.Other"));
}

#[test]
fn variables_of_a_kept_action_remain_through_a_retry_and_those_of_a_retried_one_are_replaced() {
    let build = [
        action("Kept").namespace("Kept").order(1),
        action("Redone").namespace("Redone").order(1),
        action("Use").order(2).set("Key", "#{Kept.V}/#{Redone.V}"),
    ];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_succeeds_with("e1", "Kept", &[("V", "1")]).accepted();
    world.fail("e1", "Redone");
    world.when_retried("e1", "Build").accepted();
    world.when_succeeds_with("e1", "Redone", &[("V", "2")]).accepted();
    assert_eq!(world.attempt("e1", "Use").resolved["Key"], "1/2");
}

#[test]
fn output_variables_that_no_reference_could_name_fail_the_action() {
    let mut world = built(action("Compile"));
    world.when_succeeds_with("e1", "Src", &[("not.a.name", "x")]).accepted();
    assert!(message(&world, "e1", "Src").contains("not.a.name"));
}

#[test]
fn too_many_bytes_of_output_variables_fail_the_action() {
    let mut world = built(action("Compile"));
    let spills = "x".repeat(122_880);
    world.when_succeeds_with("e1", "Src", &[("V", &spills)]).accepted();
    assert!(message(&world, "e1", "Src").contains("122880"));
}

#[test]
fn a_resolved_configuration_above_its_limit_fails_the_action() {
    let mut world = built(action("Compile").set("A", "#{Src.V}").set("B", "#{Src.V}"));
    world.when_succeeds_with("e1", "Src", &[("V", &"x".repeat(60 * 1024))]).accepted();
    assert!(message(&world, "e1", "Compile").contains("102400"));
}

#[test]
fn a_failure_message_is_cut_to_its_limit() {
    let mut world = built(action("Compile"));
    let attempt = world.attempt_of("e1", "Src");
    let result = domain::command::ActionResult::Failed {
        code: FailureCode::PermissionError,
        message: "é".repeat(6000),
        details: domain::command::Details::default(),
    };
    world.when_reported("e1", attempt, result).accepted();
    let (_, message) = world.attempt("e1", "Src").error.clone().expect("it failed");
    assert_eq!(message.chars().count(), FAILURE_MESSAGE_CHARS_MAX);
}
