//! Work that goes on at a provider: what is noted of it while it runs.

use domain::{
    Effect,
    command::{Details, Wish},
    execution::ActionStatus,
    react,
    testing::*,
};
use events::{ActionExecutionId, Entry};

fn building() -> World {
    let mut world =
        given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A").input("Src")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

fn begun(world: &World, id: &str) -> Wish {
    let details = Details {
        external_execution_id: Some(id.into()),
        external_execution_url: Some(format!("https://ci.example/{id}")),
        summary: Some("under way".into()),
        percent_complete: None,
    };
    Wish::NoteActionProgress { attempt: world.attempt_of("e1", "A"), details }
}

#[test]
fn the_first_id_that_a_provider_gave_is_kept() {
    let mut world = building();
    let (first, second) = (begun(&world, "b:1"), begun(&world, "b:2"));
    world.send(Some("e1"), first.clone()).then(&["e1: ActionProgressed Build/A"]);
    world.send(Some("e1"), first).then(&[]);
    world.send(Some("e1"), second).then(&[]);
    let run = world.attempt("e1", "A");
    assert_eq!(run.external_execution_id.as_deref(), Some("b:1"));
    assert_eq!(run.external_execution_url.as_deref(), Some("https://ci.example/b:1"));
    assert_eq!(run.status, ActionStatus::InProgress);
}

#[test]
fn nothing_is_noted_without_an_id_for_another_admission_or_after_the_end() {
    let mut world = building();
    let attempt = world.attempt_of("e1", "A");
    let silent = Wish::NoteActionProgress { attempt: attempt.clone(), details: Details::default() };
    world.send(Some("e1"), silent).then(&[]);
    let late = domain::command::Attempt { entry: Entry(attempt.entry.0 + 1), ..attempt };
    let details = Details { external_execution_id: Some("b:9".into()), ..Details::default() };
    world.send(Some("e1"), Wish::NoteActionProgress { attempt: late, details }).then(&[]);
    let wish = begun(&world, "b:1");
    world.succeed("e1", "A");
    world.send(Some("e1"), wish).then(&[]);
}

#[test]
fn an_attempt_that_ends_without_naming_its_work_keeps_the_id_it_had() {
    let mut world = building();
    let wish = begun(&world, "b:1");
    world.send(Some("e1"), wish).then(&["e1: ActionProgressed Build/A"]);
    world.pass_minutes(60 * 24 * 7).then(&[
        "lane: StageReleased Build e1",
        "e1: ActionFailed Build/A JobFailed",
        "e1: StageFailed Build",
        "e1: ExecutionFailed",
    ]);
    assert_eq!(world.attempt("e1", "A").external_execution_id.as_deref(), Some("b:1"));
}

#[test]
fn an_attempt_under_way_is_taken_up_alone() {
    let world = building();
    let id = execution_id("e1");
    let attempt = world.attempt_of("e1", "A").action_execution;
    let owed = react::resume_attempt(&id, world.run("e1"), &attempt);
    let resumed = owed.iter().any(|effect| matches!(effect, Effect::RunAction { resumed: true, .. }));
    assert!(resumed, "{owed:?}");
    let stranger = ActionExecutionId::parse("00000000-0000-8000-8000-000000000001").unwrap();
    assert_eq!(react::resume_attempt(&id, world.run("e1"), &stranger), []);
}

#[test]
fn work_that_began_unheard_is_called_off_once_it_is_known_how_its_provider_calls_it() {
    let mut world = building();
    let (wish, again) = (begun(&world, "b:1"), begun(&world, "b:2"));
    world.when_abandoned("e1").accepted();
    assert_eq!(world.cancelled.len(), 1, "nobody knew of anything to stop");
    world.send(Some("e1"), wish).then(&["e1: ActionProgressed Build/A"]);
    assert_eq!(world.cancelled.len(), 2);
    let run = world.attempt("e1", "A");
    assert_eq!((run.status, run.external_execution_id.as_deref()), (ActionStatus::Abandoned, Some("b:1")));
    world.send(Some("e1"), again).then(&[]);
}

#[test]
fn work_that_began_unheard_is_called_off_after_its_time_too_and_not_after_its_own_end() {
    let mut world = building();
    let wish = begun(&world, "b:1");
    world.pass_minutes(60 * 24 * 7).accepted();
    world.send(Some("e1"), wish).then(&["e1: ActionProgressed Build/A"]);
    assert_eq!(world.cancelled.len(), 2);

    let mut world = building();
    let wish = begun(&world, "b:1");
    world.fail("e1", "A");
    world.send(Some("e1"), wish).then(&[]);
    assert_eq!(world.cancelled.len(), 0);
}

#[test]
fn what_ended_at_the_very_moment_of_its_deadline_is_called_off() {
    let build = [action("A").timeout(30)];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    let wish = begun(&world, "b:1");
    world.pass_minutes(30).accepted();
    let run = world.attempt("e1", "A");
    assert_eq!((run.updated, run.is_called_off()), (run.deadline, true));
    world.send(Some("e1"), wish).then(&["e1: ActionProgressed Build/A"]);
}
