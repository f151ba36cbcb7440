//! Why a run is where it is, in a sentence.

use domain::{
    story::{Cause, Neighbour, Subject, Why, why, why_pipeline},
    testing::*,
};
use events::ExecutionMode;

fn of_mode(mode: ExecutionMode) -> World {
    given(
        pipeline("p")
            .mode(mode)
            .stage("Source", [source("Src")])
            .stage("Build", [action("Compile"), action("Lint")])
            .stage("Prod", [approval("Sign"), deploy("Ship").order(2)]),
    )
}

fn answer(world: &World, execution: &str) -> Why {
    let id = execution_id(execution);
    let subject = Subject {
        id: &id,
        execution: world.run(execution),
        lane: world.lane(),
        pipeline: world.pipeline(),
        now: world.now,
    };
    why(&subject, |id| world.exists(id.as_str()).then(|| world.run(id.as_str())))
}

#[track_caller]
fn says(answer: &Why, cause: Cause, texts: &[&str]) {
    assert_eq!(answer.cause, cause, "{answer:#?}");
    let all = format!("{}\n{}\n{}", answer.sentence, answer.because.join("\n"), answer.next.join("\n"));
    for text in texts {
        assert!(all.contains(text), "{text:?} is not in {answer:#?}");
    }
}

#[test]
fn a_run_at_work_names_what_runs_and_what_started_it() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    says(
        &answer(&world, "e1"),
        Cause::ActionRunning,
        &["stage Source", "Src", "StartPipelineExecution", "version 1"],
    );
    world.succeed("e1", "Src");
    world.fail("e1", "Compile");
    says(&answer(&world, "e1"), Cause::ActionRunning, &["Lint", "Build/Compile failed", "is waited for"]);
}

#[test]
fn a_failed_run_names_what_failed_and_how_to_run_it_again() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.fail("e1", "Src");
    let told = answer(&world, "e1");
    says(&told, Cause::ActionFailed, &["Source/Src failed (JobFailed)", "retry-stage-execution"]);
}

#[test]
fn who_waits_for_an_approval_says_since_when_and_who_waits_behind_it() {
    let mut world = of_mode(ExecutionMode::Queued);
    for run in ["e1", "e2"] {
        world.start(run);
        ["Src", "Compile", "Lint"].iter().for_each(|action| world.succeed(run, action));
    }
    world.pass_minutes(90).accepted();
    says(
        &answer(&world, "e1"),
        Cause::WaitsForApproval,
        &["Prod/Sign", "90 min ago", "1 newer", "put-approval-result"],
    );
    let second = answer(&world, "e2");
    says(
        &second,
        Cause::StageOccupied,
        &["in front of stage Prod, which execution e1 holds", "the approval Prod/Sign"],
    );
}

#[test]
fn who_stands_at_a_closed_door_says_who_closed_it_and_why() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Build").accepted();
    world.start("e1");
    world.succeed("e1", "Src");
    let actor = world.actor.clone();
    says(
        &answer(&world, "e1"),
        Cause::TransitionDisabled,
        &["stage Build", &actor, "freeze", "enable-stage-transition"],
    );
}

#[test]
fn a_superseded_run_names_the_newer_one_and_what_started_it() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Build").accepted();
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    let told = answer(&world, "e1");
    says(
        &told,
        Cause::Superseded,
        &[
            "the newer execution e2",
            "after stage Source",
            "e2 was started later, by Start",
            "SUPERSEDED mode",
        ],
    );
}

#[test]
fn a_stopped_run_names_who_asked_for_it() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.when_stopped("e1").accepted();
    says(&answer(&world, "e1"), Cause::Stopping, &["Source/Src", "--abandon"]);
    world.succeed("e1", "Src");
    let asked = format!("{} asked for it", world.actor);
    says(&answer(&world, "e1"), Cause::Stopped, &["in stage Source", &asked]);
}

#[test]
fn a_cancelled_run_says_that_its_pipeline_was_updated() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.when_disabled("Build").accepted();
    world.start("e1");
    world.succeed("e1", "Src");
    world
        .when_updated(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Compile")]))
        .accepted();
    says(&answer(&world, "e1"), Cause::Cancelled, &["its pipeline was updated"]);
}

#[test]
fn a_pipeline_without_runs_and_one_with_a_closed_door_say_so() {
    let mut world = of_mode(ExecutionMode::Superseded);
    let told = |world: &World, newest: Option<&str>| {
        let id = newest.map(execution_id);
        let newest = newest.zip(id.as_ref()).map(|(run, id)| Neighbour { id, execution: world.run(run) });
        why_pipeline(
            &world.name,
            world.pipeline(),
            world.lane(),
            &domain::trigger::Triggers::default(),
            newest,
            world.now,
            |_| None,
        )
    };
    says(&told(&world, None), Cause::NeverStarted, &["was never started"]);
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_disabled("Prod").accepted();
    says(
        &told(&world, Some("e1")),
        Cause::ActionRunning,
        &["the newest execution e1 (InProgress)", "into Prod was disabled"],
    );
    world.when_deleted().accepted();
    says(&told(&world, None), Cause::NeverStarted, &["was deleted"]);
}

#[test]
fn what_decided_beyond_the_modes_is_said() {
    use events::{Compatibility, GatePolicy, Newer};
    let gated = |newer| {
        let mut world = of_mode(ExecutionMode::Queued);
        world.policy.compatibility = Compatibility::Extended;
        world.policy.gates.insert(stage_name("Prod"), GatePolicy { newer, older: None });
        for run in ["e1", "e2"] {
            world.start(run);
            ["Src", "Compile", "Lint"].iter().for_each(|action| world.succeed(run, action));
        }
        world
    };
    let texts = ["policy `newest`", "1 newer", "reject it", "extended: it keeps its own definition"];
    says(&answer(&gated(Newer::Newest), "e1"), Cause::WaitsForApproval, &texts);
    let texts = ["the gate's policy `supersede`", "gate Prod: newer supersede"];
    says(&answer(&gated(Newer::Supersede), "e1"), Cause::Superseded, &texts);
    let mut world = of_mode(ExecutionMode::Parallel);
    world.policy.compatibility = Compatibility::Extended;
    world.start("e1");
    world.start("e2");
    for run in ["e2", "e1"] {
        ["Src", "Compile", "Lint"].iter().for_each(|action| world.succeed(run, action));
    }
    says(&answer(&world, "e1"), Cause::Superseded, &["e2", "has entered the stage before it"]);
}
