//! What a newer arrival does to a run that waits for its approval: the policy of each gate.

use domain::execution::{ActionStatus, ExecutionStatus, StageStatus};
use domain::testing::*;
use events::{
    ExecutionMode::{self, Parallel, Queued, Superseded},
    GatePolicy, GaveWay, Newer,
};

fn gated(mode: ExecutionMode, newer: Newer) -> World {
    let gate = [action("Test"), approval("Ask").order(2), deploy("Ship").order(3)];
    let definition = pipeline("p")
        .mode(mode)
        .stage("Source", [source("Src")])
        .stage("Prod", gate)
        .stage("After", [action("Z")]);
    let mut world = given(definition);
    for stage in ["Prod", "Unknown"] {
        world.policy.gates.insert(stage_name(stage), GatePolicy { newer, older: None });
    }
    world
}

fn arrive(world: &mut World, run: &str) {
    world.start(run);
    world.succeed(run, "Src");
}

/// `e1` waits for its approval.
fn asking(mode: ExecutionMode, newer: Newer) -> World {
    let mut world = gated(mode, newer);
    arrive(&mut world, "e1");
    world.succeed("e1", "Test");
    world
}

#[test]
fn only_gates_that_the_definition_has_are_recorded() {
    let world = asking(Superseded, Newer::Newest);
    let policy = &world.run("e1").start.as_ref().unwrap().policy;
    assert_eq!(policy.gates.keys().map(|stage| stage.as_str()).collect::<Vec<_>>(), ["Prod"]);
}

#[test]
fn where_newer_runs_are_held_they_wait_until_the_older_is_answered() {
    let mut world = asking(Queued, Newer::Hold);
    arrive(&mut world, "e2");
    assert_eq!((world.holders("Prod"), world.waiters("Prod")), (vec!["e1"], vec!["e2"]));
    world.when_answered("e1", "Ask", true).accepted();
    assert_eq!(world.action_status("e1", "Ship"), ActionStatus::InProgress);
}

#[test]
fn only_where_a_newer_run_may_take_its_place_does_each_step_of_a_run_rely_on_the_lane() {
    for (newer, relies) in [(Newer::Hold, false), (Newer::Newest, false), (Newer::Supersede, true)] {
        let mut world = gated(Queued, newer);
        arrive(&mut world, "e1");
        world.succeed("e1", "Test");
        assert_eq!(world.relied.lane, relies, "{newer:?}");
    }
}

#[test]
fn where_newer_runs_supersede_the_older_gives_its_place_away_and_its_token_is_void() {
    for mode in [Superseded, Queued, Parallel] {
        let mut world = asking(mode, Newer::Supersede);
        world.start("e2");
        world.when_succeeds("e2", "Src").then(&[
            "lane: StageReleased Source e2",
            "lane: ExecutionWaits Prod e2",
            "e2: ActionSucceeded Source/Src",
            "e2: StageSucceeded Source",
            "lane: StageReleased Prod e1",
            "lane: StageHeld Prod e2",
            "e1: ActionAbandoned Prod/Ask",
            "e1: StageCancelled Prod",
            "e1: ExecutionSuperseded by e2",
            "e2: StageStarted Prod",
            "e2: ActionStarted Prod/Test",
        ]);
        assert_eq!(world.status("e1"), ExecutionStatus::Superseded);
        assert_eq!(world.run("e1").gave_way, Some(GaveWay::Gate));
        assert_eq!(world.stage_status("e1", "Prod"), Some(StageStatus::Cancelled));
        world.when_answered("e1", "Ask", true).then_refused("InvalidApprovalToken");
        world.when_retried("e1", "Prod").then_refused("NotLatestExecution");
    }
}

#[test]
fn a_run_that_is_at_work_is_not_superseded_before_it_would_ask() {
    let mut world = gated(Queued, Newer::Supersede);
    arrive(&mut world, "e1");
    arrive(&mut world, "e2");
    assert_eq!(world.holders("Prod"), ["e1"]);
    world.succeed("e1", "Test");
    assert!(world.attempts("e1", "Ask").is_empty(), "nobody is asked about what is over");
    assert_eq!((world.status("e1"), world.holders("Prod")), (ExecutionStatus::Superseded, vec!["e2"]));
}

#[test]
fn a_run_that_was_approved_is_not_superseded_any_more() {
    let mut world = asking(Queued, Newer::Supersede);
    world.when_answered("e1", "Ask", true).accepted();
    arrive(&mut world, "e2");
    assert_eq!(world.holders("Prod"), ["e1"]);
    world.succeed("e1", "Ship");
    assert_eq!(world.holders("Prod"), ["e2"]);
}

#[test]
fn an_answer_that_comes_before_word_of_the_newer_one_counts() {
    let mut world = asking(Queued, Newer::Supersede);
    world.messages_wait = true;
    arrive(&mut world, "e2");
    world.when_answered("e1", "Ask", true).accepted();
    world.messages_wait = false;
    world.deliver();
    assert_eq!(world.action_status("e1", "Ship"), ActionStatus::InProgress);
}

#[test]
fn several_that_wait_go_through_one_after_another_to_the_newest() {
    let mut world = gated(Queued, Newer::Supersede);
    for run in ["e1", "e2", "e3"] {
        arrive(&mut world, run);
    }
    for run in ["e1", "e2", "e3"] {
        world.succeed(run, "Test");
    }
    let status = |run| world.status(run);
    assert_eq!([status("e1"), status("e2")], [ExecutionStatus::Superseded; 2]);
    assert_eq!(world.action_status("e3", "Ask"), ActionStatus::InProgress);
}

#[test]
fn nobody_gives_way_to_who_cannot_come_in_and_does_once_the_door_opens() {
    let mut world = asking(Queued, Newer::Supersede);
    world.when_disabled("Prod").accepted();
    arrive(&mut world, "e2");
    world.when_settled("e1").then_nothing();
    world.when_enabled("Prod").accepted();
    assert_eq!((world.status("e1"), world.holders("Prod")), (ExecutionStatus::Superseded, vec!["e2"]));
}

#[test]
fn a_stopping_run_is_stopped_and_not_superseded() {
    let mut world = asking(Queued, Newer::Supersede);
    world.when_stopped("e1").accepted();
    arrive(&mut world, "e2");
    assert_eq!(world.status("e1"), ExecutionStatus::Stopping);
    world.when_answered("e1", "Ask", true).accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
}

#[test]
fn the_policy_that_counts_is_that_of_the_run_that_waits_for_its_approval() {
    let mut world = asking(Queued, Newer::Hold);
    world.policy.gates.insert(stage_name("Prod"), GatePolicy { newer: Newer::Supersede, older: None });
    arrive(&mut world, "e2");
    assert_eq!(world.holders("Prod"), ["e1"]);
}

#[test]
fn where_only_the_newest_may_pass_an_older_one_can_be_rejected_and_not_approved() {
    for mode in [Superseded, Queued, Parallel] {
        let mut world = asking(mode, Newer::Newest);
        arrive(&mut world, "e2");
        world.when_answered("e1", "Ask", true).then_refused("NewerWaits");
        world.when_answered("e1", "Ask", false).accepted();
        world.succeed("e2", "Test");
        world.when_answered("e2", "Ask", true).accepted();
        assert_eq!(world.action_status("e2", "Ship"), ActionStatus::InProgress);
    }
}

#[test]
fn the_refusal_says_who_is_newer_and_what_to_do() {
    let mut world = asking(Queued, Newer::Newest);
    arrive(&mut world, "e2");
    arrive(&mut world, "e3");
    let message = world.when_answered("e1", "Ask", true).result.unwrap_err().to_string();
    assert!(message.contains("2 newer wait for the stage, first 'e2'"), "{message}");
    assert!(message.contains("reject or stop this one"), "{message}");
}

#[test]
fn an_approval_stays_bound_to_the_revisions_it_was_asked_for() {
    let mut world = asking(Queued, Newer::Hold);
    let asked = world.run("e1").revisions.clone();
    world.when_retried_all("e1", "Source").then_refused("StageNotRetryable");
    arrive(&mut world, "e2");
    let token = world.attempt("e1", "Ask").token.clone().unwrap();
    world.when_answered_with("e2", "Prod", "Ask", &token, true).then_refused("InvalidApprovalToken");
    world.when_answered("e1", "Ask", true).accepted();
    assert_eq!(world.run("e1").revisions, asked);
}

#[test]
fn a_rollback_takes_nobodys_turn_in_the_order_of_a_gate() {
    let definition =
        pipeline("p").mode(Queued).stage("Source", [source("Src")]).stage("Prod", [deploy("Ship")]);
    let mut world = given(definition);
    world.policy.gates.insert(stage_name("Prod"), GatePolicy { newer: Newer::Newest, older: None });
    for run in ["e1", "e2"] {
        arrive(&mut world, run);
        world.succeed(run, "Ship");
    }
    world.start("e3");
    world.when_rolled_back("e4", "Prod", "e1").accepted();
    world.succeed("e4", "Ship");
    world.succeed("e3", "Src");
    assert_eq!(world.holders("Prod"), ["e3"], "though the rollback was started after it");
}

#[test]
fn nobody_gives_way_to_who_stands_at_a_closed_door_until_it_is_opened() {
    let mut world = gated(Queued, Newer::Supersede);
    arrive(&mut world, "e1");
    world.when_disabled("Prod").accepted();
    arrive(&mut world, "e2");
    world.when_succeeds("e1", "Test").then(&["e1: ActionSucceeded Prod/Test", "e1: ActionStarted Prod/Ask"]);
    world.when_enabled("Prod").accepted();
    assert_eq!((world.status("e1"), world.holders("Prod")), (ExecutionStatus::Superseded, vec!["e2"]));
}

/// PARALLEL runs come to a deployment in an order of their own.
fn deploying() -> World {
    given(pipeline("p").mode(Parallel).stage("Source", [source("Src")]).stage("Prod", [deploy("Ship")]))
}

#[test]
fn of_all_that_entered_the_newest_is_remembered() {
    let mut world = deploying();
    let refuse = GatePolicy { newer: Newer::Hold, older: Some(events::Older::Refuse) };
    world.policy.gates.insert(stage_name("Prod"), refuse);
    ["e1", "e2", "e3"].iter().for_each(|run| world.start(run));
    for run in ["e1", "e3"] {
        world.succeed(run, "Src");
        world.succeed(run, "Ship");
    }
    world.succeed("e2", "Src");
    assert_eq!(world.status("e2"), ExecutionStatus::Superseded);
    assert_eq!(world.run("e2").cause.as_deref(), Some("e3"));
}

#[test]
fn a_run_that_started_before_there_was_an_order_may_follow_newer_ones() {
    let mut world = deploying();
    world.start("e1");
    let refuse = GatePolicy { newer: Newer::Hold, older: Some(events::Older::Refuse) };
    world.policy.gates.insert(stage_name("Prod"), refuse);
    world.start("e2");
    world.succeed("e2", "Src");
    world.succeed("e2", "Ship");
    world.succeed("e1", "Src");
    assert_eq!(world.holders("Prod"), ["e1"]);
}
