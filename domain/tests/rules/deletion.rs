//! Definitions that change or go away while runs are under way.

use domain::execution::{ActionStatus, ExecutionStatus, StageStatus};
use domain::testing::*;
use events::{ExecutionMode, PipelineVersion};

fn definition(mode: ExecutionMode) -> PipelineBuilder {
    pipeline("p")
        .mode(mode)
        .stage("Source", [source("Src")])
        .stage("Build", [action("A"), action("B").order(2)])
}

/// `e1` is inside Build, `e2` waits at its door.
fn busy() -> World {
    let mut world = given(definition(ExecutionMode::Superseded));
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    world
}

#[test]
fn a_name_in_use_cannot_be_created_again() {
    busy().when_created(definition(ExecutionMode::Queued)).then_refused("PipelineNameInUse");
}

#[test]
fn an_update_of_nothing_is_refused() {
    let mut world = busy();
    world.when_deleted().accepted();
    world.when_updated(definition(ExecutionMode::Superseded)).then_refused("PipelineNotFound");
}

#[test]
fn versions_are_counted_by_the_service_and_old_ones_are_kept() {
    let mut world = busy();
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    let pipeline = world.pipeline();
    assert_eq!(pipeline.current, Some(PipelineVersion(3)));
    assert_eq!(pipeline.versions.len(), 3);
    assert_eq!(pipeline.current_definition().and_then(|it| it.version), Some(PipelineVersion(3)));
}

#[test]
fn a_run_follows_the_version_it_started_with_until_its_pipeline_is_gone() {
    let mut world = busy();
    let started = world.run("e1").start.clone().expect("it has started");
    world.when_updated(definition(ExecutionMode::Queued)).accepted();
    let followed = |world: &World| world.pipeline().followed_by(&started).and_then(|it| it.version);
    assert_eq!(followed(&world), Some(PipelineVersion(1)));
    world.when_deleted().accepted();
    assert_eq!(followed(&world), None);
    world.when_created(definition(ExecutionMode::Superseded)).accepted();
    assert_eq!(followed(&world), None, "a namesake is another pipeline");
}

#[test]
fn deleting_abandons_and_cancels_everything_under_way() {
    let mut world = busy();
    world.when_deleted().then(&[
        "pipeline: PipelineDeleted",
        "lane: LaneCleared [e1 e2]",
        "e1: ActionAbandoned Build/A",
        "e1: StageCancelled Build",
        "e1: ExecutionCancelled",
        "e2: ExecutionCancelled",
    ]);
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::Cancelled));
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Abandoned);
    assert!(world.lane().under_way().is_empty());
}

#[test]
fn deleting_twice_changes_nothing_more() {
    let mut world = busy();
    world.when_deleted().accepted();
    world.when_deleted().then_nothing();
}

#[test]
fn a_name_created_again_starts_at_version_one_with_open_doors_and_empty_stages() {
    let mut world = busy();
    world.when_disabled("Build").accepted();
    world.when_deleted().accepted();
    world.when_created(definition(ExecutionMode::Superseded)).then(&["pipeline: PipelineDeclared 1"]);
    assert_eq!(world.pipeline().versions.len(), 1);
    world.start("e3");
    world.succeed("e3", "Src");
    assert_eq!(world.holders("Build"), ["e3"]);
}

/// The messages of the deletion have not been delivered when the name is created again.
fn created_again_unheard() -> World {
    let mut world = busy();
    world.messages_wait = true;
    world.when_deleted().accepted();
    world.when_created(definition(ExecutionMode::Superseded)).accepted();
    world
}

#[test]
fn a_run_of_a_deleted_pipeline_cannot_touch_the_new_lane() {
    let mut world = created_again_unheard();
    world.when_succeeds("e1", "A").accepted();
    assert!(world.lane().under_way().is_empty());
    assert!(world.attempts("e1", "B").is_empty());
    world.start("e3");
    assert_eq!(world.holders("Source"), ["e3"]);
    world.deliver();
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
    assert_eq!(world.status("e2"), ExecutionStatus::Cancelled);
    assert_eq!(world.holders("Source"), ["e3"]);
}

#[test]
fn a_run_of_a_deleted_pipeline_cannot_be_stopped_or_retried_under_its_successor() {
    let mut world = created_again_unheard();
    world.when_stopped("e1").then_refused("NotStoppable");
    world.deliver();
    world.when_retried("e1", "Build").then_refused("NotLatestExecution");
}

#[test]
fn a_parallel_run_of_a_deleted_pipeline_cannot_be_retried_under_its_successor() {
    let mut world = given(definition(ExecutionMode::Parallel));
    world.start("e1");
    world.fail("e1", "Src");
    world.when_deleted().accepted();
    world.when_created(definition(ExecutionMode::Parallel)).accepted();
    world.when_retried("e1", "Source").then_refused("NotLatestExecution");
}

#[test]
fn a_result_that_comes_after_the_deletion_is_ignored() {
    let mut world = busy();
    world.when_deleted().accepted();
    world.when_succeeds("e1", "A").then(&["e1: ResultIgnored"]);
}

#[test]
fn an_update_cancels_who_waits_at_once_and_who_is_inside_after_its_running_actions() {
    let mut world = busy();
    world.when_updated(definition(ExecutionMode::Superseded)).then(&[
        "pipeline: PipelineDeclared 2",
        "lane: ExecutionLeft Build e2",
        "e2: ExecutionCancelled",
    ]);
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
    world.when_succeeds("e1", "A").then(&[
        "lane: StageReleased Build e1",
        "e1: ActionSucceeded Build/A",
        "e1: StageCancelled Build",
        "e1: ExecutionCancelled",
    ]);
}

#[test]
fn an_update_lets_parallel_runs_go_on_under_their_own_version() {
    let mut world = given(definition(ExecutionMode::Parallel));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_updated(definition(ExecutionMode::Parallel)).then(&["pipeline: PipelineDeclared 2"]);
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
}

#[test]
fn an_update_does_not_undo_what_is_done() {
    let mut world = busy();
    world.succeed("e1", "A");
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.succeed("e1", "B");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded, "nothing of the last stage was left to do");
    let mut world = busy();
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.fail("e1", "A");
    assert_eq!(world.status("e1"), ExecutionStatus::Failed, "a failure is told as one");
}

#[test]
fn a_run_overtaken_by_an_update_passes_no_more_doors() {
    let mut world = busy();
    world.start("e3");
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.when_succeeds("e3", "Src").then(&[
        "lane: StageReleased Source e3",
        "e3: ActionSucceeded Source/Src",
        "e3: StageSucceeded Source",
        "e3: ExecutionCancelled",
    ]);
    assert_eq!(world.run("e3").cause.as_deref(), Some("its pipeline was updated"));
}

#[test]
fn a_run_admitted_unheard_before_an_update_leaves_the_stage_without_entering_it() {
    let mut world = busy();
    world.messages_wait = true;
    world.fail("e1", "A");
    assert_eq!(world.holders("Build"), ["e2"]);
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    assert_eq!(world.deliver(), ["lane: StageReleased Build e2", "e2: ExecutionCancelled"]);
}

#[test]
fn new_runs_follow_the_new_version_at_once() {
    let mut world = busy();
    world.when_updated(definition(ExecutionMode::Superseded)).accepted();
    world.start("e4");
    world.succeed("e4", "Src");
    assert_eq!(world.waiters("Build"), ["e4"], "the older one still finishes its running action");
    world.succeed("e1", "A");
    assert_eq!(world.holders("Build"), ["e4"]);
}
