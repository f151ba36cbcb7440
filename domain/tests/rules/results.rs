//! Results that come twice, late, or not at all.

use domain::command::{ActionResult, Attempt, Details, Wish};
use domain::execution::{ActionStatus, ExecutionStatus};
use domain::testing::*;
use events::{Entry, ExecutionEvent, FailureCode, StageRetried, StageRetryMode};

/// A stage is entered anew while something of it still runs, which no rule leads to.
pub(super) fn readmitted(stage: &str, entry: Entry) -> ExecutionEvent {
    ExecutionEvent::StageRetried(StageRetried {
        stage: stage_name(stage),
        entry,
        mode: StageRetryMode::FailedActions,
        by: "ann".to_owned(),
        automatic: false,
    })
}

fn running() -> World {
    let mut world =
        given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A"), action("B")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

#[test]
fn a_result_reported_twice_is_noted_once() {
    let mut world = running();
    world.succeed("e1", "A");
    world.when_succeeds("e1", "A").then_nothing();
    world.when_fails("e1", "A").then_nothing();
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Succeeded);
}

#[test]
fn a_result_of_an_abandoned_attempt_is_noted_as_ignored_and_only_once() {
    let mut world = running();
    world.when_abandoned("e1").accepted();
    world.when_succeeds("e1", "A").then(&["e1: ResultIgnored"]);
    world.when_succeeds("e1", "A").then_nothing();
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Abandoned);
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
}

#[test]
fn a_result_that_carries_another_entry_is_ignored() {
    let mut world = running();
    let mut attempt = world.attempt_of("e1", "A");
    attempt.entry = Entry(attempt.entry.0 - 1);
    let result = ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "late".to_owned(),
        details: Details::default(),
    };
    world.when_reported("e1", attempt, result).then(&["e1: ResultIgnored"]);
    assert_eq!(world.action_status("e1", "A"), ActionStatus::InProgress);
    world.when_succeeds("e1", "A").then(&["e1: ActionSucceeded Build/A"]);
}

#[test]
fn under_a_newer_admission_neither_number_lets_a_result_of_before_count() {
    let world = running();
    let attempt = world.attempt_of("e1", "A");
    let newer = Entry(attempt.entry.0 + 1);
    for entry in [attempt.entry, newer] {
        let mut scope = world.scope_of("e1");
        scope.execution.evolve(&readmitted("Build", newer), world.now);
        let attempt = Attempt { entry, ..attempt.clone() };
        let result = ActionResult::Failed {
            code: FailureCode::JobFailed,
            message: "late".to_owned(),
            details: Details::default(),
        };
        let decision = world.decide_on(scope, "e1", Wish::RecordActionResult { attempt, result }).unwrap();
        assert!(matches!(decision.execution[..], [ExecutionEvent::ResultIgnored(_)]), "{decision:?}");
    }
}

#[test]
fn a_result_of_an_attempt_that_a_retry_replaced_does_not_touch_the_new_one() {
    let mut world = running();
    let old = world.attempt_of("e1", "A");
    world.when_abandoned("e1").accepted();
    world.when_retried("e1", "Build").accepted();
    assert_ne!(world.attempt_of("e1", "A").entry, old.entry);
    let result = ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "late".to_owned(),
        details: Details::default(),
    };
    world.when_reported("e1", old, result).then(&["e1: ResultIgnored"]);
    assert_eq!(world.action_status("e1", "A"), ActionStatus::InProgress);
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
}

#[test]
fn a_result_is_filed_under_the_action_that_was_started_whatever_the_report_calls_it() {
    let mut world = running();
    let mut attempt = world.attempt_of("e1", "A");
    attempt.action = world.attempt_of("e1", "B").action;
    attempt.stage = stage_name("Source");
    let result = ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "no".to_owned(),
        details: Details::default(),
    };
    world.when_reported("e1", attempt, result).then(&["e1: ActionFailed Build/A JobFailed"]);
}

#[test]
fn a_result_of_an_attempt_nobody_knows_is_refused() {
    let mut world = running();
    let attempt = world.attempt_of("e1", "A");
    world.start("e2");
    let result = ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "whose?".to_owned(),
        details: Details::default(),
    };
    world.when_reported("e2", attempt, result).then_refused("ExecutionNotFound");
}

#[test]
fn a_message_under_another_pipelines_name_is_refused_and_touches_neither() {
    let mut world = running();
    let attempt = world.attempt_of("e1", "A");
    let other = pipeline("q").stage("Source", [source("Src")]).stage("Build", [action("A")]);
    world.when_created(other).accepted();
    let result = ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "whose?".to_owned(),
        details: Details::default(),
    };
    world.when_reported("e1", attempt, result).then_refused("ExecutionNotFound");
    world.when_retried("e1", "Build").then_refused("NotLatestExecution");
}

#[test]
fn an_action_whose_time_is_up_fails_and_its_provider_is_asked_to_stop() {
    let mut world = running();
    world.succeed("e1", "A");
    world.pass_minutes(36 * 60 - 1).then_nothing();
    world.pass_minutes(1).then(&[
        "lane: StageReleased Build e1",
        "e1: ActionFailed Build/B JobFailed",
        "e1: StageFailed Build",
        "e1: ExecutionFailed",
    ]);
    assert_eq!(world.cancelled.len(), 1);
    assert_eq!(world.cancelled[0].action.as_str(), "B");
    world.when_succeeds("e1", "B").then_nothing();
}

#[test]
fn a_timer_counts_for_the_action_that_was_started_whatever_it_calls_it() {
    let mut world = running();
    let mut attempt = world.attempt_of("e1", "A");
    attempt.action = world.attempt_of("e1", "B").action;
    attempt.stage = stage_name("Source");
    world.now = world.attempt("e1", "A").deadline;
    let expire = Wish::ExpireAction { attempt };
    world.send(Some("e1"), expire).then(&["e1: ActionFailed Build/A JobFailed"]);
}

#[test]
fn a_timer_of_an_attempt_that_a_retry_replaced_changes_nothing() {
    let mut world = running();
    world.fail("e1", "A");
    world.succeed("e1", "B");
    world.pass_minutes(18 * 60).accepted();
    world.when_retried("e1", "Build").accepted();
    world.pass_minutes(18 * 60).then_nothing();
    assert_eq!(world.action_status("e1", "A"), ActionStatus::InProgress, "a retry has a fresh clock");
    world.pass_minutes(18 * 60).accepted();
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Failed);
}

#[test]
fn recorded_times_follow_the_commands() {
    let mut world = running();
    let started = world.attempt("e1", "A").started;
    world.pass_minutes(5).accepted();
    world.succeed("e1", "A");
    let attempt = world.attempt("e1", "A").clone();
    assert_eq!((attempt.started, attempt.updated.since(started)), (started, 300_000));
    world.succeed("e1", "B");
    let run = world.run("e1");
    assert!(run.ended.is_some_and(|ended| ended >= attempt.updated));
    assert_eq!(run.stages[1].ended, run.ended);
}

#[test]
fn of_each_source_the_newest_revision_is_kept() {
    let sources = [source("Src"), source("Also")];
    let mut world = given(pipeline("p").stage("Source", sources).stage("Build", [action("A")]));
    let fetched = |world: &mut World, action: &str, revision: &str| {
        let attempt = world.attempt_of("e1", action);
        let revision = events::SourceRevision {
            action: attempt.action.clone(),
            revision_id: revision.to_owned(),
            summary: None,
            url: None,
            change_id: None,
            created: None,
        };
        let result = ActionResult::Succeeded {
            output_variables: Default::default(),
            revision: Some(revision),
            mocked: false,
            details: Default::default(),
        };
        world.when_reported("e1", attempt, result).accepted();
        let kept = world.run("e1").revisions.iter();
        kept.map(|kept| format!("{} {}", kept.action, kept.revision_id)).collect::<Vec<_>>()
    };
    world.start("e1");
    assert_eq!(fetched(&mut world, "Src", "r1"), ["Src r1"]);
    world.fail("e1", "Also");
    world.when_retried_all("e1", "Source").accepted();
    assert_eq!(fetched(&mut world, "Also", "a1"), ["Src r1", "Also a1"]);
    assert_eq!(fetched(&mut world, "Src", "r2"), ["Also a1", "Src r2"]);
}
