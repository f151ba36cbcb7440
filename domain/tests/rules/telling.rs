//! What the world is told when a run's state changes: in which order, at which level, with which words. That what was
//! told last is what a run, a stage and an attempt are holds in every other test here as well: see
//! `domain::testing::laws::of_telling`.

use domain::{state_change::StateChange, testing::*};
use events::outbound::ChangeDetail;
use serde_json::Value;
use std::collections::BTreeSet;

fn running() -> World {
    let build = [action("A"), action("B"), action("C").order(2)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

fn line(change: &StateChange) -> String {
    let state = change.state().as_str();
    match &change.detail {
        ChangeDetail::Pipeline(of) => format!("p {state} #{}", of.pipeline_execution_attempt),
        ChangeDetail::Stage(of) => format!("{} {state} #{}", of.stage, of.pipeline_execution_attempt),
        ChangeDetail::Action(of) => {
            format!("{}/{} {state} #{}", of.stage, of.action, of.pipeline_execution_attempt)
        }
    }
}

/// What was told of a run since there were so many.
fn since(world: &World, run: &str, from: usize) -> Vec<String> {
    world.told(run).into_iter().skip(from).map(line).collect()
}

fn detail(change: &StateChange) -> Value {
    serde_json::from_str(&change.body()).unwrap()
}

fn last(world: &World, run: &str, what: &str) -> Value {
    let told = world.told(run);
    let found = told.into_iter().rev().find(|change| line(change).starts_with(what));
    detail(found.unwrap_or_else(|| panic!("no `{what}` was told")))
}

#[test]
fn a_run_that_succeeds_tells_of_its_stages_and_actions_from_outside_in_and_back() {
    let mut world = running();
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    world.succeed("e1", "C");
    assert_eq!(
        since(&world, "e1", 0),
        [
            "p STARTED #1",
            "Source STARTED #1",
            "Source/Src STARTED #1",
            "Source/Src SUCCEEDED #1",
            "Source SUCCEEDED #1",
            "Build STARTED #1",
            "Build/A STARTED #1",
            "Build/B STARTED #1",
            "Build/A SUCCEEDED #1",
            "Build/B SUCCEEDED #1",
            "Build/C STARTED #1",
            "Build/C SUCCEEDED #1",
            "Build SUCCEEDED #1",
            "p SUCCEEDED #1",
        ]
    );
}

#[test]
fn a_failure_is_told_of_the_action_then_the_stage_then_the_run() {
    let mut world = running();
    let from = world.told("e1").len();
    world.fail("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(
        since(&world, "e1", from),
        ["Build/A FAILED #1", "Build/B SUCCEEDED #1", "Build FAILED #1", "p FAILED #1"]
    );
    let failed = last(&world, "e1", "Build/A FAILED");
    assert_eq!(failed["execution-result"]["error-code"], "JobFailed");
    assert_eq!(failed["execution-result"]["external-execution-summary"], "exit status 1");
    assert_eq!(failed["region"], "us-east-1");
    assert!(failed.get("output-artifacts").is_none() && failed.get("input-artifacts").is_none(), "{failed}");
}

#[test]
fn a_retry_resumes_run_and_stage_and_counts_as_another_attempt() {
    let mut world = running();
    world.fail("e1", "A");
    world.succeed("e1", "B");
    let from = world.told("e1").len();
    world.pass_minutes(3).accepted();
    world.when_retried("e1", "Build").accepted();
    assert_eq!(since(&world, "e1", from), ["p RESUMED #2", "Build RESUMED #2", "Build/A STARTED #2"]);
    let resumed = last(&world, "e1", "Build RESUMED");
    assert_eq!(resumed["start-time"], "1970-01-01T00:16:40.000Z");
    assert_eq!(resumed["stage-last-retry-attempt-time"], "1970-01-01T00:19:40.000Z");
    world.succeed("e1", "A");
    world.succeed("e1", "C");
    let succeeded = last(&world, "e1", "Build SUCCEEDED #2");
    assert_eq!(succeeded["stage-last-retry-attempt-time"], "1970-01-01T00:19:40.000Z");
    assert_eq!(last(&world, "e1", "p SUCCEEDED #2")["start-time"], "1970-01-01T00:16:40.000Z");
    assert!(last(&world, "e1", "Source SUCCEEDED").get("stage-last-retry-attempt-time").is_none());
}

#[test]
fn a_retry_by_the_definition_itself_is_told_like_one_by_hand() {
    let stages = pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A")]);
    let mut world = given(stages.on_failure("RETRY", None));
    world.start("e1");
    world.succeed("e1", "Src");
    let from = world.told("e1").len();
    world.fail("e1", "A");
    assert_eq!(
        since(&world, "e1", from),
        ["Build/A FAILED #1", "p RESUMED #2", "Build RESUMED #2", "Build/A STARTED #2"]
    );
}

#[test]
fn a_stop_that_waits_tells_of_stopping_and_of_the_end() {
    let mut world = running();
    let from = world.told("e1").len();
    world.when_stopped("e1").accepted();
    assert_eq!(since(&world, "e1", from), ["p STOPPING #1", "Build STOPPING #1"]);
    assert_eq!(last(&world, "e1", "p STOPPING")["stop-execution-comments"], "enough");
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(
        since(&world, "e1", from + 2),
        ["Build/A SUCCEEDED #1", "Build/B SUCCEEDED #1", "Build STOPPED #1", "p STOPPED #1"]
    );
    assert_eq!(last(&world, "e1", "p STOPPED")["stop-execution-comments"], "enough");
}

#[test]
fn a_stop_that_gives_up_tells_of_every_action_it_gave_up() {
    let mut world = running();
    let from = world.told("e1").len();
    world.when_abandoned("e1").accepted();
    assert_eq!(
        since(&world, "e1", from),
        [
            "p STOPPING #1",
            "Build STOPPING #1",
            "Build/A ABANDONED #1",
            "Build/B ABANDONED #1",
            "Build STOPPED #1",
            "p STOPPED #1"
        ]
    );
    assert!(last(&world, "e1", "Build/A ABANDONED").get("execution-result").is_none());
}

#[test]
fn a_waiting_stop_that_becomes_an_abandoning_one_is_told_once() {
    let mut world = running();
    let from = world.told("e1").len();
    world.when_stopped("e1").accepted();
    world.when_abandoned("e1").accepted();
    let told = since(&world, "e1", from);
    assert_eq!(told[..3], ["p STOPPING #1", "Build STOPPING #1", "Build/A ABANDONED #1"]);
    // The reason of the first request stays when the second gives none.
    assert_eq!(last(&world, "e1", "p STOPPED")["stop-execution-comments"], "enough");
}

#[test]
fn a_run_that_is_stopped_between_stages_tells_of_no_stage() {
    let mut world = running();
    world.start("e2");
    world.succeed("e2", "Src");
    let from = world.told("e2").len();
    world.when_stopped("e2").accepted();
    assert_eq!(since(&world, "e2", from), ["p STOPPING #1", "p STOPPED #1"]);
}

#[test]
fn a_superseded_run_tells_of_nothing_else() {
    let mut world = running();
    world.start("e2");
    world.succeed("e2", "Src");
    let from = world.told("e2").len();
    world.start("e3");
    world.succeed("e3", "Src");
    assert_eq!(since(&world, "e2", from), ["p SUPERSEDED #1"]);
}

#[test]
fn a_run_whose_pipeline_goes_away_tells_of_action_stage_and_run() {
    let mut world = running();
    let from = world.told("e1").len();
    world.when_deleted().accepted();
    assert_eq!(
        since(&world, "e1", from),
        ["Build/A CANCELED #1", "Build/B CANCELED #1", "Build CANCELED #1", "p CANCELED #1"]
    );
}

#[test]
fn ids_tell_changes_apart_and_come_again_with_the_same_history() {
    let ids = || {
        let mut world = running();
        world.fail("e1", "A");
        world.succeed("e1", "B");
        world.when_retried("e1", "Build").accepted();
        world.told("e1").into_iter().map(|change| change.id.clone()).collect::<Vec<_>>()
    };
    let (first, again) = (ids(), ids());
    assert_eq!(first, again);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
    assert!(first.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'8'), "{first:?}");
}

#[test]
fn the_detail_says_what_it_is_about() {
    let mut world = running();
    world.succeed("e1", "A");
    let started = last(&world, "e1", "p STARTED");
    assert_eq!(started["execution-trigger"]["trigger-type"], "StartPipelineExecution");
    assert_eq!(started["version"], 1);
    assert_eq!(started["towpath-event-id"], world.told("e1")[0].id.as_str());
    let action = last(&world, "e1", "Build/A STARTED");
    assert_eq!(action["action-execution-id"], world.attempt("e1", "A").action_execution.as_str());
    assert!(action["type"]["category"].is_string() && action["type"]["version"] == "1", "{action}");
    assert!(last(&world, "e1", "Source/Src STARTED").get("input-artifacts").is_none());
    let fetched = last(&world, "e1", "Source/Src SUCCEEDED");
    assert!(fetched["output-artifacts"][0]["s3location"]["key"].is_string(), "{fetched}");
}
