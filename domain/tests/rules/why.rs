//! Why a run is where it is, in a sentence.

use domain::{
    command::{ActionResult, Details},
    execution::{ActionStatus, Execution, ExecutionStatus},
    story::{Cause, Neighbour, Subject, Why, why, why_pipeline},
    testing::*,
    trigger::{Evaluation, Triggers},
};
use events::{
    Compatibility, ExecutionMode, FailureCode, GatePolicy, Newer, Older, Policy, Timestamp, TriggerEvaluated,
    TriggerSource, TriggerVerdict,
};

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
    of_state(world, execution, world.run(execution))
}

/// What is said of a run that stands as given.
fn of_state(world: &World, run: &str, execution: &Execution) -> Why {
    let id = execution_id(run);
    let (lane, pipeline) = (world.lane(), world.pipeline());
    let subject = Subject { id: &id, execution, lane, pipeline, now: world.now };
    why(&subject, |id| world.exists(id.as_str()).then(|| world.run(id.as_str())))
}

/// What is said of the pipeline, whose newest run is that one.
fn of_pipeline(world: &World, triggers: &Triggers, newest: Option<&str>) -> Why {
    let id = newest.map(execution_id);
    let newest = newest.zip(id.as_ref()).map(|(run, id)| Neighbour { id, execution: world.run(run) });
    why_pipeline(&world.name, world.pipeline(), world.lane(), triggers, newest, world.now, |_| None)
}

/// The last reason of all.
const STARTED: &str = "it was started by StartPipelineExecution (arn:aws:iam::000000000000:user/ann), on version 1 of the definition";

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
    let told = |world: &World, newest: Option<&str>| of_pipeline(world, &Triggers::default(), newest);
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

#[test]
fn spans_are_told_in_the_unit_that_people_would_take() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    let started = world.now.0;
    for (milliseconds, words) in [
        (0, "0 s"),
        (1_999, "1 s"),
        (119_999, "119 s"),
        (120_000, "2 min"),
        (7_199_999, "119 min"),
        (7_200_000, "2 h"),
        (172_799_999, "47 h"),
        (172_800_000, "2 days"),
        (863_999_999, "9 days"),
    ] {
        world.now = Timestamp(started + milliseconds);
        let sentence = format!("stage Source is at work: Src (since {words})");
        assert_eq!(answer(&world, "e1").sentence, sentence);
    }
}

#[test]
fn what_is_not_known_of_a_run_is_left_out() {
    let world = of_mode(ExecutionMode::Superseded);
    for (status, cause, sentence) in [
        (
            ExecutionStatus::InProgress,
            Cause::BetweenSteps,
            "it stands at its first stage and is about to be moved on",
        ),
        (ExecutionStatus::Failed, Cause::Unknown, "it failed before its first stage"),
        (ExecutionStatus::Stopped, Cause::Stopped, "it was stopped before its first stage"),
        (ExecutionStatus::Cancelled, Cause::Cancelled, "it was cancelled: no reason was recorded"),
    ] {
        let told = of_state(&world, "e9", &Execution { status, ..Execution::default() });
        assert_eq!((told.cause, told.sentence.as_str()), (cause, sentence));
        assert_eq!(told.because, Vec::<String>::new());
    }
}

#[test]
fn a_failure_that_left_no_words_is_told_without_any() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.fail("e1", "Src");
    let mut run = world.run("e1").clone();
    for (status, sentence) in
        [(ActionStatus::Failed, "Source/Src failed"), (ActionStatus::Abandoned, "Source/Src was abandoned")]
    {
        run.stages[0].attempts[0].error = None;
        run.stages[0].attempts[0].status = status;
        let told = of_state(&world, "e1", &run);
        assert_eq!((told.cause, told.sentence.as_str()), (Cause::ActionFailed, sentence));
        assert_eq!(told.because, [STARTED]);
    }
    let refused = "it cannot run there again: stage 'Source' of execution 'e1' cannot be retried: none of its actions \
                   failed or was left out";
    run.stages[0].attempts.clear();
    run.stages[0].manual_retries = 2;
    let told = of_state(&world, "e1", &run);
    assert_eq!((told.cause, told.sentence.as_str()), (Cause::StageFailed, "stage Source failed"));
    assert_eq!(told.because, ["the stage was retried 2 times", refused, STARTED]);
}

#[test]
fn of_a_long_line_the_first_ten_are_named() {
    let mut world = of_mode(ExecutionMode::Queued);
    world.when_disabled("Build").accepted();
    let runs = Vec::from_iter((1..=12).map(|number| format!("e{number}")));
    for run in &runs {
        world.start(run);
        world.succeed(run, "Src");
    }
    let line = |count: usize| format!("{count} enter before it: {}", runs[..count.min(10)].join(", "));
    assert_eq!(answer(&world, "e11").because, [line(10), STARTED.to_owned()]);
    assert_eq!(answer(&world, "e12").because, [line(11), STARTED.to_owned()]);
}

#[test]
fn of_a_neighbour_that_is_not_at_work_the_status_is_told() {
    let mut world = of_mode(ExecutionMode::Superseded);
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    world.when_stopped("e1").accepted();
    assert_eq!(answer(&world, "e2").because, ["execution e1: Stopping", STARTED]);
}

#[test]
fn who_was_let_in_and_has_not_heard_of_it_is_about_to_be_moved_on() {
    let mut world = of_mode(ExecutionMode::Superseded);
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
    }
    world.messages_wait = true;
    world.succeed("e1", "Compile");
    world.succeed("e1", "Lint");
    let told = answer(&world, "e2");
    assert_eq!(told.cause, Cause::BetweenSteps);
    assert_eq!(told.sentence, "it stands at stage Source and is about to be moved on");
}

#[test]
fn a_closed_door_is_told_once_and_an_opened_one_not_at_all() {
    let mut world = of_mode(ExecutionMode::Superseded);
    let none = Triggers::default();
    world.start("e1");
    world.when_disabled("Build").accepted();
    let door = format!("the transition into Build was disabled by {}: freeze", world.actor);
    assert_eq!(of_pipeline(&world, &none, Some("e1")).because, [STARTED.to_owned(), door.clone()]);
    world.succeed("e1", "Src");
    let told = of_pipeline(&world, &none, Some("e1"));
    let sentence = format!("the newest execution e1 (InProgress): it waits in front of stage Build: {door}");
    assert_eq!((told.sentence, told.because), (sentence, vec![STARTED.to_owned()]));
    world.when_enabled("Build").accepted();
    assert_eq!(of_pipeline(&world, &none, Some("e1")).because, [STARTED]);
}

#[test]
fn of_what_might_have_started_a_pipeline_the_newest_five_are_told() {
    let mut world = of_mode(ExecutionMode::Superseded);
    let evaluation = |number: i64| Evaluation {
        at: Timestamp(number * 1000),
        evaluated: TriggerEvaluated {
            source: TriggerSource::Watch,
            event: format!("push {number}\nand more"),
            identity: None,
            delivery: None,
            verdict: TriggerVerdict::NotStarted { reason: "no\nreally".to_owned() },
        },
    };
    let triggers = Triggers { recent: (1..=6).map(evaluation).collect() };
    world.now = Timestamp(10_000);
    let told = of_pipeline(&world, &triggers, None);
    let line = |number: i64| format!("the push {number} started nothing {} s ago: no", 10 - number);
    assert_eq!(told.because, Vec::from_iter((2..=6).rev().map(line)));
}

#[test]
fn whoever_keeps_an_ordered_stage_is_named_whatever_the_mode() {
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued, ExecutionMode::Parallel] {
        let gate = [approval("Sign"), deploy("Ship").order(2)];
        let mut world = given(pipeline("p").mode(mode).stage("Source", [source("Src")]).stage("Prod", gate));
        world
            .policy
            .gates
            .insert(stage_name("Prod"), GatePolicy { newer: Newer::Hold, older: Some(Older::Refuse) });
        for run in ["e1", "e2"] {
            world.start(run);
            world.succeed(run, "Src");
        }
        let told = answer(&world, "e2");
        says(&told, Cause::StageOccupied, &["in front of stage Prod, which execution e1 holds"]);
    }
}

#[test]
fn a_failure_without_words_is_told_without_a_colon() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    let attempt = world.attempt_of("e1", "Src");
    let (code, details) = (FailureCode::JobFailed, Details::default());
    let failed = ActionResult::Failed { code, message: " ".into(), details };
    world.when_reported("e1", attempt, failed).accepted();
    let told = answer(&world, "e1");
    assert!(format!("{told:?}").contains("Source/Src failed (JobFailed)\""), "{told:#?}");
}

#[test]
fn a_retry_is_advised_where_the_command_would_take_it_and_nowhere_else() {
    let advised = |world: &World| answer(world, "e1").next.iter().any(|step| step.contains("retry-stage"));
    for mode in [ExecutionMode::Superseded, ExecutionMode::Queued, ExecutionMode::Parallel] {
        for compatibility in [Compatibility::Exact, Compatibility::Extended] {
            let mut world = of_mode(mode);
            world.policy = Policy { compatibility, ..Policy::default() };
            world.start("e1");
            world.fail("e1", "Src");
            assert!(advised(&world));
            world.start("e2");
            let passes = mode == ExecutionMode::Parallel && compatibility == Compatibility::Exact;
            assert_eq!(advised(&world), passes, "{mode:?} {compatibility:?}");
            let follows =
                "execution e2 has entered stage Source since, so that this one cannot run there again";
            assert_eq!(answer(&world, "e1").because.contains(&follows.to_owned()), !passes);
            let retried = world.when_retried("e1", "Source");
            if passes {
                retried.accepted();
            } else {
                retried.then_refused("NotLatestExecution");
            }
        }
    }
}

#[test]
fn where_a_pipeline_has_no_room_a_retry_is_ruled_out_for_now() {
    let mut world = of_mode(ExecutionMode::Parallel);
    world.start("e1");
    world.fail("e1", "Src");
    for run in 0..50 {
        world.start(&format!("a{run:x}"));
    }
    let told = answer(&world, "e1");
    says(&told, Cause::ActionFailed, &["it cannot run there again for now: pipeline 'p' already has 50"]);
    assert_eq!(told.next, Vec::<String>::new());
}

#[test]
fn after_an_update_no_retry_is_advised_and_why_not_is_said() {
    let mut world = of_mode(ExecutionMode::Superseded);
    world.start("e1");
    world.fail("e1", "Src");
    world
        .when_updated(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Compile")]))
        .accepted();
    let told = answer(&world, "e1");
    says(&told, Cause::ActionFailed, &["cannot be retried: the pipeline was changed since it started"]);
    assert_eq!(told.next, Vec::<String>::new());
    world.when_deleted().accepted();
    let deleted = "it cannot run there again: its pipeline was deleted";
    says(&answer(&world, "e1"), Cause::ActionFailed, &[deleted]);
    world
        .when_created(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A")]))
        .accepted();
    world.start("e2");
    says(&answer(&world, "e1"), Cause::ActionFailed, &[deleted]);
}

#[test]
fn whoever_waits_behind_a_rollback_is_newer_only_if_it_started_later() {
    let prod = [approval("Sign"), deploy("Ship").order(2)];
    let definition =
        pipeline("p").mode(ExecutionMode::Queued).stage("Source", [source("Src")]).stage("Prod", prod);
    let mut world = given(definition.on_failure("ROLLBACK", None));
    for run in ["e1", "e2", "e3"] {
        world.start(run);
        world.succeed(run, "Src");
        if run != "e3" {
            world.when_answered(run, "Sign", true).accepted();
        }
        if run == "e1" {
            world.succeed(run, "Ship");
        }
    }
    world.fail("e2", "Ship");
    let rollback = world.holders("Prod")[0].to_owned();
    assert_eq!(world.waiters("Prod"), ["e3"]);
    let behind = |world: &World| answer(world, &rollback).because.iter().any(|line| line.contains("newer"));
    assert!(!behind(&world), "{:#?}", answer(&world, &rollback));
    world.start("e4");
    world.succeed("e4", "Src");
    says(&answer(&world, &rollback), Cause::WaitsForApproval, &["1 newer execution waits behind it"]);
}
