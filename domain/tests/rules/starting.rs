//! Starting runs: variables, revisions, room, and starting twice.

use domain::{
    Rejection, Scope,
    command::{Command, Context, Wish},
    testing::*,
};
use events::{
    ExecutionMode, PipelineDeclared, PipelineEvent, PipelineName, PipelineVersion, Policy, Timestamp,
    Trigger, TriggerType,
};
use serde_json::json;
use std::collections::BTreeMap;

fn with_variables() -> World {
    given(
        pipeline("p")
            .variable("Needed", None)
            .variable("Optional", Some("default"))
            .stage("Source", [source("Src")])
            .stage("Build", [action("Compile")]),
    )
}

fn of_mode(mode: ExecutionMode) -> World {
    given(pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Build", [action("Compile")]))
}

#[test]
fn given_values_win_over_defaults_and_defaults_fill_in() {
    let mut world = with_variables();
    world.when_started_with("e1", &[("Needed", "x")], &[]).accepted();
    world.when_started_with("e2", &[("Needed", "x"), ("Optional", "y")], &[]).accepted();
    let value = |run: &str, name: &str| {
        world.run(run).start.as_ref().expect("it started").variables.get(name).cloned()
    };
    assert_eq!(value("e1", "Needed").as_deref(), Some("x"));
    assert_eq!(value("e1", "Optional").as_deref(), Some("default"));
    assert_eq!(value("e2", "Optional").as_deref(), Some("y"));
}

#[test]
fn a_variable_without_a_value_refuses_the_start() {
    with_variables().when_started("e1").then_refused("MissingVariable");
}

#[test]
fn an_undeclared_variable_refuses_the_start() {
    let given = [("Needed", "x"), ("Other", "y")];
    with_variables().when_started_with("e1", &given, &[]).then_refused("UnknownVariable");
}

#[test]
fn an_empty_or_overlong_value_refuses_the_start() {
    let long = "é".repeat(1001);
    for value in ["", long.as_str()] {
        let given = [("Needed", value)];
        with_variables().when_started_with("e1", &given, &[]).then_refused("BadVariableValue");
    }
    with_variables().when_started_with("e1", &[("Needed", &"é".repeat(1000))], &[]).accepted();
}

#[test]
fn a_revision_may_be_given_for_source_actions_only() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_started_with("e1", &[], &[("Src", "abc")]).accepted();
    world.when_started_with("e2", &[], &[("Compile", "abc")]).then_refused("NotASourceAction");
}

#[test]
fn starting_twice_starts_once() {
    let mut world = with_variables();
    world.when_started_with("e1", &[("Needed", "x")], &[]).accepted();
    world.when_started_with("e1", &[("Needed", "other")], &[]).then_nothing();
}

#[test]
fn a_pipeline_that_does_not_exist_starts_nothing() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_deleted().accepted();
    world.when_started("e1").then_refused("PipelineNotFound");
}

#[test]
fn the_id_of_another_pipelines_run_is_not_free() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    let other = pipeline("q").stage("Source", [source("Src")]).stage("Build", [action("Compile")]);
    world.when_created(other).accepted();
    world.when_started("e1").then_refused("ExecutionNotFound");
}

#[test]
fn a_run_keeps_the_version_it_started_with() {
    let mut world = of_mode(ExecutionMode::Parallel);
    world.start("e1");
    let next = pipeline("p").mode(ExecutionMode::Parallel);
    let next = next.stage("Source", [source("Src")]).stage("Other", [action("Else")]);
    world.when_updated(next).then(&["pipeline: PipelineDeclared 2"]);
    world.start("e2");
    let version = |run: &str| world.run(run).start.as_ref().map(|start| start.pipeline_version);
    assert_eq!((version("e1"), version("e2")), (Some(PipelineVersion(1)), Some(PipelineVersion(2))));
    world.succeed("e1", "Src");
    assert!(world.stage_status("e1", "Build").is_some());
}

#[test]
fn at_most_fifty_runs_of_a_queued_or_parallel_pipeline_are_under_way() {
    for mode in [ExecutionMode::Queued, ExecutionMode::Parallel] {
        let mut world = of_mode(mode);
        for run in 0..50 {
            world.start(&format!("{run:x}"));
        }
        world.when_started("e1").then_refused("ConcurrentExecutionsLimit");
        world.when_stopped("1").accepted();
        world.when_abandoned("2").accepted();
        world.when_started("e1").accepted();
    }
}

#[test]
fn a_stopping_run_still_counts_against_the_fifty() {
    let mut world = of_mode(ExecutionMode::Parallel);
    for run in 0..50 {
        world.start(&format!("{run:x}"));
    }
    world.when_stopped("1").accepted();
    world.when_started("e1").then_refused("ConcurrentExecutionsLimit");
    world.succeed("1", "Src");
    world.when_started("e1").accepted();
}

#[test]
fn a_superseded_pipeline_has_no_such_limit() {
    let mut world = of_mode(ExecutionMode::Superseded);
    for run in 0..60 {
        world.start(&format!("{run:x}"));
    }
    assert_eq!(world.waiters("Source").len(), 59);
}

#[test]
fn a_definition_that_this_version_of_towpath_cannot_read_is_named_and_starts_nothing() {
    let declared = PipelineDeclared {
        version: PipelineVersion(3),
        definition: json!({ "stages": "of another time" }).into(),
        tags: BTreeMap::new(),
        by: "ann".into(),
    };
    let mut scope = Scope::default();
    scope.pipeline.evolve(&PipelineEvent::PipelineDeclared(declared), Timestamp(0));
    let pipeline = PipelineName::parse("p").unwrap();
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
    let wish = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
    let command = Command { pipeline: pipeline.clone(), execution: Some(execution_id("e1")), wish };
    let context = Context {
        now: Timestamp(1),
        actor: "ann",
        command_id: "c",
        region: "us-east-1",
        policy: &Policy::default(),
    };
    let refused = domain::decide(&mut scope, &command, context).unwrap_err();
    assert_eq!(refused, Rejection::DefinitionUnreadable { pipeline, version: PipelineVersion(3) });
}
