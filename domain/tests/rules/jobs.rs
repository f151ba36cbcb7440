//! Jobs: the work of an attempt, offered to workers.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use crate::results::readmitted;
use domain::{
    Rejection,
    command::{ActionResult, Details, JobWish, Wish},
    execution::{
        ActionStatus, ExecutionStatus,
        job::{JobRun, JobStatus, is_function},
    },
    testing::*,
    views::jobs::{JOBS, rows, waiting_partition},
};
use events::{
    ActionExecutionId, ActionStarted, Entry, ExecutionEvent, FailureCode, JobAcknowledged, JobDispatched,
    JobId, JobQueued, SourceRevision, Version,
};
use std::collections::BTreeMap;

fn queued() -> World {
    let mut world = given(
        pipeline("p")
            .stage("Source", [source("Src")])
            .stage("Build", [custom("A").input("Src").output("Out").namespace("Ns")])
            .stage("Deploy", [deploy("D").input("Out").set("ObjectKey", "#{Ns.Tag}")]),
    );
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_job("e1", "A", JobWish::Queue { query: Some("shop".into()) }).then(&["e1: JobQueued Build/A"]);
    world
}

fn job(world: &World) -> JobRun {
    world.attempt("e1", "A").job.clone().unwrap()
}

fn dispatch(world: &mut World, nonce: &str) {
    let job = job(world).job;
    let wish = JobWish::Dispatch { job, nonce: nonce.into() };
    world.when_job("e1", "A", wish).then(&[&format!("e1: JobDispatched Build {nonce}")]);
}

fn acknowledged() -> World {
    let mut world = queued();
    dispatch(&mut world, "n1");
    let wish = JobWish::Acknowledge { job: job(&world).job, nonce: "n1".into() };
    world.when_job("e1", "A", wish).then(&["e1: JobAcknowledged Build"]);
    world
}

fn success(job: JobId, variables: &[(&str, &str)]) -> JobWish {
    let output_variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let details = Details { summary: Some("done".into()), ..Details::default() };
    JobWish::End {
        job,
        result: ActionResult::Succeeded { output_variables, revision: None, mocked: false, details },
    }
}

fn failure(job: JobId) -> JobWish {
    let result = ActionResult::Failed {
        code: FailureCode::PermissionError,
        message: "no".into(),
        details: Details::default(),
    };
    JobWish::End { job, result }
}

fn proceed(job: JobId, token: &str, percent_complete: u8) -> JobWish {
    let details = Details {
        external_execution_id: Some("17".into()),
        percent_complete: Some(percent_complete),
        ..Details::default()
    };
    JobWish::Continue { job, continuation_token: token.into(), details }
}

fn state(status: JobStatus, job: JobId) -> Rejection {
    Rejection::InvalidJobState { job, status }
}

#[test]
fn an_attempt_is_offered_once() {
    let mut world = queued();
    world.when_job("e1", "A", JobWish::Queue { query: Some("shop".into()) }).then_nothing();
    assert_eq!(job(&world).status, JobStatus::Queued);
    assert_eq!(job(&world).query.as_deref(), Some("shop"));
}

#[test]
fn a_job_that_was_handed_out_is_kept_for_a_minute_and_then_offered_again() {
    let mut world = queued();
    dispatch(&mut world, "n1");
    let wish = |world: &World| JobWish::Dispatch { job: job(world).job, nonce: "n2".into() };
    let again = wish(&world);
    world.when_job("e1", "A", again).then_refused_with(&state(JobStatus::Dispatched, job(&world).job));
    world.pass_minutes(1).then_nothing();
    dispatch(&mut world, "n2");
}

#[test]
fn the_newest_nonce_takes_the_job_and_only_once() {
    let mut world = queued();
    dispatch(&mut world, "n1");
    world.pass_minutes(1).then_nothing();
    dispatch(&mut world, "n2");
    let take = |world: &World, nonce: &str| JobWish::Acknowledge { job: job(world).job, nonce: nonce.into() };
    let invalid = Rejection::InvalidNonce { job: job(&world).job };
    let old = take(&world, "n1");
    world.when_job("e1", "A", old).then_refused_with(&invalid);
    let new = take(&world, "n2");
    world.when_job("e1", "A", new.clone()).then(&["e1: JobAcknowledged Build"]);
    world.when_job("e1", "A", new).then_refused_with(&invalid);
    assert_eq!(job(&world).status, JobStatus::InProgress);
}

#[test]
fn the_nonce_of_a_hand_out_that_ran_out_is_good_while_nobody_else_was_handed_the_job() {
    let mut world = queued();
    dispatch(&mut world, "n1");
    world.pass_minutes(30).then_nothing();
    let wish = JobWish::Acknowledge { job: job(&world).job, nonce: "n1".into() };
    world.when_job("e1", "A", wish).then(&["e1: JobAcknowledged Build"]);
}

#[test]
fn a_job_nobody_was_handed_cannot_be_taken_and_one_nobody_took_has_no_result() {
    let mut world = queued();
    let id = job(&world).job;
    let wish = JobWish::Acknowledge { job: id.clone(), nonce: "guess".into() };
    world.when_job("e1", "A", wish).then_refused_with(&Rejection::InvalidNonce { job: id.clone() });
    world
        .when_job("e1", "A", success(id.clone(), &[]))
        .then_refused_with(&state(JobStatus::Queued, id.clone()));
    dispatch(&mut world, "n1");
    world.when_job("e1", "A", failure(id.clone())).then_refused_with(&state(JobStatus::Dispatched, id));
}

#[test]
fn success_publishes_variables_and_moves_the_run_on() {
    let mut world = acknowledged();
    let id = job(&world).job;
    world.when_job("e1", "A", success(id, &[("Tag", "v7")])).accepted();
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Succeeded);
    assert_eq!(world.attempt("e1", "A").summary.as_deref(), Some("done"));
    assert_eq!(world.attempt("e1", "D").resolved["ObjectKey"], "v7");
    assert_eq!(world.attempt("e1", "D").inputs[0].name.as_str(), "Out");
    assert_eq!(job(&world).status, JobStatus::Succeeded);
}

#[test]
fn failure_fails_the_action_with_the_workers_own_code() {
    let mut world = acknowledged();
    let id = job(&world).job;
    world.when_job("e1", "A", failure(id)).accepted();
    assert_eq!(world.attempt("e1", "A").error, Some((FailureCode::PermissionError, "no".into())));
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert_eq!(job(&world).status, JobStatus::Failed);
}

#[test]
fn a_second_result_is_refused_whatever_it_says() {
    let mut world = acknowledged();
    let id = job(&world).job;
    world.when_job("e1", "A", success(id.clone(), &[])).accepted();
    for again in [success(id.clone(), &[]), failure(id.clone()), proceed(id.clone(), "t", 1)] {
        world.when_job("e1", "A", again).then_refused_with(&state(JobStatus::Succeeded, id.clone()));
    }
}

#[test]
fn a_continuation_ends_the_job_and_queues_the_next_with_the_token_while_the_action_goes_on() {
    let mut world = acknowledged();
    let first = job(&world).job;
    let asked = proceed(first.clone(), "phase-2", 40);
    world.when_job("e1", "A", asked).then(&["e1: JobContinued Build", "e1: JobQueued Build/A"]);
    let attempt = world.attempt("e1", "A").clone();
    assert_eq!(attempt.status, ActionStatus::InProgress);
    assert_eq!((attempt.percent_complete, attempt.external_execution_id.as_deref()), (Some(40), Some("17")));
    let next = job(&world);
    assert_ne!(next.job, first);
    assert_eq!((next.status, next.query.as_deref()), (JobStatus::Queued, Some("shop")));
    assert_eq!(next.continuation_token.as_deref(), Some("phase-2"));
    // The old job has ended; nothing it says counts any more.
    world
        .when_job("e1", "A", success(first.clone(), &[]))
        .then_refused_with(&state(JobStatus::Succeeded, first));
    dispatch(&mut world, "n2");
    let wish = JobWish::Acknowledge { job: next.job.clone(), nonce: "n2".into() };
    world.when_job("e1", "A", wish).accepted();
    world.when_job("e1", "A", success(next.job, &[])).accepted();
    // What the last result did not say again stays as it was said.
    assert_eq!(world.attempt("e1", "A").external_execution_id.as_deref(), Some("17"));
    assert_eq!(world.attempt("e1", "A").percent_complete, Some(40));
}

#[test]
fn continuations_do_not_move_the_deadline_and_at_the_deadline_the_job_times_out() {
    let mut world = acknowledged();
    world.pass_minutes(23 * 60).then_nothing();
    let id = job(&world).job;
    world.when_job("e1", "A", proceed(id, "t", 10)).accepted();
    world.pass_minutes(60).accepted();
    let (code, message) = world.attempt("e1", "A").error.clone().unwrap();
    assert_eq!((code, &*message), (FailureCode::JobFailed, "The action timed out after 1440 minutes."));
    let late = job(&world);
    assert_eq!(late.status, JobStatus::TimedOut);
    world
        .when_job("e1", "A", success(late.job.clone(), &[]))
        .then_refused_with(&state(JobStatus::TimedOut, late.job));
}

#[test]
fn a_result_after_abandoning_is_refused_and_nothing_is_written() {
    let mut world = acknowledged();
    let id = job(&world).job;
    world.when_abandoned("e1").accepted();
    world.when_job("e1", "A", success(id.clone(), &[])).then_refused_with(&state(JobStatus::Failed, id));
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Abandoned);
}

#[test]
fn a_result_while_the_run_is_stopping_still_counts() {
    let mut world = acknowledged();
    let id = job(&world).job;
    world.when_stopped("e1").accepted();
    world.when_job("e1", "A", success(id, &[])).accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
}

#[test]
fn a_retry_makes_a_new_job_and_the_old_one_is_void() {
    let mut world = acknowledged();
    let old = world.attempt("e1", "A").clone();
    let id = job(&world).job;
    world.when_job("e1", "A", failure(id.clone())).accepted();
    world.when_retried("e1", "Build").accepted();
    world.when_job("e1", "A", JobWish::Queue { query: None }).then(&["e1: JobQueued Build/A"]);
    assert_ne!(job(&world).job, id);
    let wish = Wish::OnJob { attempt: old.action_execution, wish: success(id.clone(), &[]) };
    world.send(Some("e1"), wish).then_refused_with(&state(JobStatus::Failed, id));
    assert_eq!(world.action_status("e1", "A"), ActionStatus::InProgress);
}

#[test]
fn jobs_of_a_deleted_pipeline_take_no_result_even_before_the_run_has_heard_of_it() {
    let mut world = acknowledged();
    let id = job(&world).job;
    world.messages_wait = true;
    world.when_deleted().accepted();
    world.when_job("e1", "A", success(id.clone(), &[])).then_refused_with(&state(JobStatus::Failed, id));
}

#[test]
fn under_a_newer_admission_no_job_of_before_takes_a_result() {
    let world = acknowledged();
    let mut scope = world.scope_of("e1");
    let entry = scope.execution.current_stage().expect("it is in a stage").entry;
    let stage = world.attempt_of("e1", "A").stage;
    scope.execution.evolve(&readmitted(stage.as_str(), Entry(entry.0 + 1)), world.now);
    let job = job(&world).job;
    let attempt = world.attempt_of("e1", "A").action_execution;
    let wish = Wish::OnJob { attempt, wish: success(job.clone(), &[]) };
    assert_eq!(world.decide_on(scope, "e1", wish).unwrap_err(), state(JobStatus::Failed, job));
}

#[test]
fn a_job_of_no_attempt_is_not_found() {
    let mut world = queued();
    let (job, attempt) = (JobId::parse("00").unwrap(), ActionExecutionId::parse("0f").unwrap());
    let wish = Wish::OnJob { attempt, wish: success(job.clone(), &[]) };
    world.send(Some("e1"), wish).then_refused_with(&Rejection::JobNotFound { job });
}

#[test]
fn a_source_worker_names_the_revision_its_artifact_carries() {
    let mut world =
        given(pipeline("p").stage("Source", [custom_source("A")]).stage("Build", [action("B").input("A")]));
    world.start("e1");
    world.when_job("e1", "A", JobWish::Queue { query: None }).accepted();
    dispatch_any(&mut world);
    let revision = SourceRevision {
        action: world.attempt("e1", "A").action.clone(),
        revision_id: "r9".into(),
        summary: None,
        url: None,
        change_id: Some("c9".into()),
        created: None,
    };
    let id = job(&world).job;
    let result = ActionResult::Succeeded {
        output_variables: BTreeMap::new(),
        revision: Some(revision),
        mocked: false,
        details: Details::default(),
    };
    world.when_job("e1", "A", JobWish::End { job: id, result }).accepted();
    let artifact = world.run("e1").artifacts.values().next().unwrap();
    assert_eq!(artifact.revision.as_deref(), Some("r9"));
    assert_eq!(world.run("e1").revisions[0].change_id.as_deref(), Some("c9"));
}

fn dispatch_any(world: &mut World) {
    let id = job(world).job;
    world.when_job("e1", "A", JobWish::Dispatch { job: id.clone(), nonce: "n".into() }).accepted();
    world.when_job("e1", "A", JobWish::Acknowledge { job: id, nonce: "n".into() }).accepted();
}

#[test]
fn a_function_answers_under_its_attempts_id_without_asking_for_a_job() {
    let mut world =
        given(pipeline("p").stage("Source", [source("Src")]).stage("Call", [function("A"), function("B")]));
    world.start("e1");
    world.succeed("e1", "Src");
    let own = JobId::parse(world.attempt("e1", "A").action_execution.as_str()).unwrap();
    let other = JobId::parse(world.attempt("e1", "B").action_execution.as_str()).unwrap();
    world
        .when_job("e1", "A", failure(other.clone()))
        .then_refused_with(&Rejection::JobNotFound { job: other });
    let later = proceed(own.clone(), "t", 1);
    world
        .when_job("e1", "A", later)
        .then_refused_with(&Rejection::FunctionCannotContinue { job: own.clone() });
    world.when_job("e1", "A", success(own.clone(), &[])).accepted();
    world.when_job("e1", "A", success(own.clone(), &[])).then_refused_with(&state(JobStatus::Succeeded, own));
    assert_eq!(world.action_status("e1", "A"), ActionStatus::Succeeded);
}

#[test]
fn the_row_of_a_waiting_job_is_there_while_it_may_be_handed_out() {
    let mut world = queued();
    let attempt = world.attempt("e1", "A").clone();
    let first = job(&world).job;
    let partition = waiting_partition(&attempt.action_type, Some("shop"));
    let waiting = |world: &World, event: &ExecutionEvent| {
        let made = rows(&execution_id("e1"), world.run("e1"), Version(9), [event]);
        let place = made.iter().find(|row| row.p == JOBS).expect("every job is found by its id");
        assert!(place.body.is_some());
        let row = made.into_iter().find(|row| row.p == partition).expect("it waits or is taken away");
        row.body
    };
    let (stage, action_execution) = (stage_name("Build"), attempt.action_execution.clone());
    let was_queued = ExecutionEvent::JobQueued(JobQueued {
        stage: stage.clone(),
        action: attempt.action.clone(),
        action_execution: action_execution.clone(),
        job: first.clone(),
        query: None,
        continuation_token: None,
    });
    let (by, nonce) = ("ann".to_owned(), "n1".to_owned());
    let taken = ExecutionEvent::JobAcknowledged(JobAcknowledged {
        stage: stage.clone(),
        action_execution: action_execution.clone(),
        job: first.clone(),
        by,
    });
    let handed = JobDispatched { stage, action_execution, job: first, nonce };
    assert!(waiting(&world, &was_queued).unwrap().contains("\"offered_from\":0"));
    dispatch(&mut world, "n1");
    let kept = waiting(&world, &ExecutionEvent::JobDispatched(handed)).unwrap();
    assert!(kept.contains(&format!("\"offered_from\":{}", world.now.0 + 60_000)), "{kept}");
    let wish = JobWish::Acknowledge { job: job(&world).job, nonce: "n1".into() };
    world.when_job("e1", "A", wish).accepted();
    assert_eq!(waiting(&world, &taken), None);
    // Seen late, when the state has gone on: an event of long ago does not bring the row back.
    assert_eq!(waiting(&world, &was_queued), None);
}

#[test]
fn a_function_is_found_by_its_attempts_id_and_never_handed_out() {
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Call", [function("A")]));
    world.start("e1");
    world.succeed("e1", "Src");
    let run = world.attempt("e1", "A").clone();
    let started = ExecutionEvent::ActionStarted(ActionStarted {
        stage: stage_name("Call"),
        action: run.action.clone(),
        action_execution: run.action_execution.clone(),
        entry: run.entry,
        action_type: run.action_type.clone(),
        resolved: BTreeMap::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadline: run.deadline,
        token: None,
    });
    let made = rows(&execution_id("e1"), world.run("e1"), Version(3), [&started]);
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].p.as_str(), made[0].q.as_str()), (JOBS, run.action_execution.as_str()));
}

#[test]
fn only_a_function_of_lambda_is_one() {
    use events::{ActionCategory, ActionOwner, ActionTypeId};
    let of = |category, owner, provider: &str| {
        let (provider, version) = (provider.to_owned(), "1".to_owned());
        is_function(&ActionTypeId { category, owner, provider, version })
    };
    assert!(of(ActionCategory::Invoke, ActionOwner::AWS, "Lambda"));
    assert!(!of(ActionCategory::Invoke, ActionOwner::AWS, "StepFunctions"));
    assert!(!of(ActionCategory::Invoke, ActionOwner::Custom, "Lambda"));
    assert!(!of(ActionCategory::Build, ActionOwner::AWS, "Lambda"));
}

#[test]
fn an_attempt_knows_its_newest_job_and_what_became_of_those_before() {
    let world = acknowledged();
    let (run, strange) = (world.attempt("e1", "A"), JobId::parse("00").unwrap());
    assert_eq!(run.job_status(&job(&world).job, false), Some(JobStatus::InProgress));
    assert_eq!(run.job_status(&strange, true), Some(JobStatus::Succeeded));
    assert_eq!(run.job_status(&strange, false), None);
    let fetched = world.attempt("e1", "Src");
    assert_eq!(fetched.job_status(&strange, true), None);
}

#[test]
fn a_functions_job_stands_as_its_attempt_does() {
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Call", [function("A")]));
    world.start("e1");
    world.succeed("e1", "Src");
    let mut run = world.attempt("e1", "A").clone();
    let own = JobId::parse(run.action_execution.as_str()).unwrap();
    for (status, of_job) in [
        (ActionStatus::InProgress, JobStatus::InProgress),
        (ActionStatus::Succeeded, JobStatus::Succeeded),
        (ActionStatus::Failed, JobStatus::Failed),
        (ActionStatus::Abandoned, JobStatus::Failed),
    ] {
        run.status = status;
        assert_eq!(run.job_status(&own, false), Some(of_job));
    }
    assert_eq!(run.job_status(&JobId::parse("00").unwrap(), false), None);
}
