//! Updates that change the execution mode, and updates in the middle of things.

use domain::execution::{ExecutionStatus, StageStatus};
use domain::testing::*;
use events::ExecutionMode::{self, Parallel, Queued, Superseded};

fn definition(mode: ExecutionMode) -> PipelineBuilder {
    pipeline("p")
        .mode(mode)
        .stage("Source", [source("Src")])
        .stage("Build", [action("A"), action("B").order(2)])
        .stage("Gate", [approval("Ask"), action("Sign").order(2)])
}

fn in_build(world: &mut World, run: &str) {
    world.start(run);
    world.succeed(run, "Src");
}

fn mode_of(world: &World, run: &str) -> ExecutionMode {
    world.run(run).start.as_ref().expect("it started").mode
}

#[test]
fn parallel_runs_go_on_under_their_own_mode_and_definition_when_the_mode_changes() {
    for mode in [Queued, Superseded] {
        let mut world = given(definition(Parallel));
        for run in ["e1", "e2"] {
            in_build(&mut world, run);
        }
        world.when_updated(definition(mode).stage("New", [action("More")])).accepted();
        for run in ["e1", "e2"] {
            for action in ["A", "B"] {
                world.succeed(run, action);
            }
            world.when_answered(run, "Ask", true).accepted();
            world.succeed(run, "Sign");
            assert_eq!(world.status(run), ExecutionStatus::Succeeded);
            assert_eq!(mode_of(&world, run), Parallel);
            assert_eq!(world.stage_status(run, "New"), None);
        }
    }
}

#[test]
fn parallel_runs_of_an_older_version_neither_hold_back_newer_ones_nor_wait_for_them() {
    let mut world = given(definition(Parallel));
    in_build(&mut world, "e1");
    world.when_updated(definition(Queued)).accepted();
    for run in ["e2", "e3"] {
        in_build(&mut world, run);
    }
    assert_eq!(mode_of(&world, "e2"), Queued);
    assert_eq!((world.holders("Build"), world.waiters("Build")), (vec!["e1", "e2"], vec!["e3"]));
    world.succeed("e2", "A");
    world.succeed("e2", "B");
    for action in ["A", "B"] {
        world.succeed("e1", action);
    }
    assert_eq!(world.holders("Gate"), ["e2", "e1"]);
}

#[test]
fn between_superseded_and_queued_an_update_ends_what_is_under_way_as_any_other_does() {
    for (from, to) in [(Superseded, Queued), (Queued, Superseded), (Queued, Parallel)] {
        let mut world = given(definition(from));
        for run in ["e1", "e2"] {
            in_build(&mut world, run);
        }
        world.when_updated(definition(to)).accepted();
        assert_eq!(world.status("e2"), ExecutionStatus::Cancelled, "it waited");
        assert_eq!(world.status("e1"), ExecutionStatus::InProgress, "an action of it runs");
        world.succeed("e1", "A");
        assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
        assert_eq!(mode_of(&world, "e1"), from);
        in_build(&mut world, "e3");
        assert_eq!((mode_of(&world, "e3"), world.holders("Build")), (to, vec!["e3"]));
    }
}

#[test]
fn newer_parallel_runs_enter_beside_an_older_one_that_still_ends_its_action() {
    let mut world = given(definition(Queued));
    in_build(&mut world, "e1");
    world.when_updated(definition(Parallel)).accepted();
    in_build(&mut world, "e2");
    assert_eq!(world.holders("Build"), ["e1", "e2"]);
}

#[test]
fn the_limit_counts_runs_of_every_mode() {
    let mut world = given(definition(Parallel));
    for run in 0..30 {
        world.start(&format!("{run:x}"));
    }
    world.when_updated(definition(Queued)).accepted();
    for run in 30..50 {
        world.start(&format!("{run:x}"));
    }
    world.when_started("ff").then_refused("ConcurrentExecutionsLimit");
    world.when_stopped("0").accepted();
    world.succeed("0", "Src");
    world.when_started("ff").accepted();
}

#[test]
fn an_open_approval_is_still_answered_after_an_update_and_the_run_ends_then() {
    for approved in [true, false] {
        let mut world = given(definition(Superseded));
        in_build(&mut world, "e1");
        world.succeed("e1", "A");
        world.succeed("e1", "B");
        world.when_updated(definition(Superseded)).accepted();
        assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
        world.when_answered("e1", "Ask", approved).accepted();
        let end = if approved { ExecutionStatus::Cancelled } else { ExecutionStatus::Failed };
        assert_eq!(world.status("e1"), end);
        assert!(world.holders("Gate").is_empty());
    }
}

#[test]
fn a_run_that_stops_when_an_update_comes_is_stopped() {
    let mut world = given(definition(Superseded));
    in_build(&mut world, "e1");
    world.when_stopped("e1").accepted();
    world.when_updated(definition(Superseded)).accepted();
    world.succeed("e1", "A");
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
    assert_eq!(world.stage_status("e1", "Build"), Some(StageStatus::Stopped));
    world.when_retried("e1", "Build").then_refused("StageNotRetryable");
}

#[test]
fn a_stage_under_retry_ends_with_its_running_actions_when_an_update_comes() {
    let mut world = given(definition(Superseded));
    in_build(&mut world, "e1");
    world.fail("e1", "A");
    world.when_retried("e1", "Build").accepted();
    world.when_updated(definition(Superseded)).accepted();
    world.succeed("e1", "A");
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
    assert!(world.attempts("e1", "B").is_empty());
}
