//! The gates of a stage: when they are asked, and what their conditions lead to.

use domain::command::{Details, RuleAttempt, RuleResult, Wish};
use domain::execution::{ActionStatus, ConditionStatus, ExecutionStatus, StageStatus};
use domain::{Effect, react, testing::*};
use events::{
    ActionExecutionId,
    ConditionType::{BeforeEntry, OnFailure, OnSuccess},
    Entry, ExecutionEvent, ExecutionMode, FailureCode,
};

/// Source, Build, and Deploy, whose gates the test declares.
fn deploying(gates: impl FnOnce(PipelineBuilder) -> PipelineBuilder) -> PipelineBuilder {
    let bare = pipeline("p").stage("Source", [source("Src").namespace("Src")]);
    let bare = bare.stage("Deploy", [deploy("Push"), deploy("Probe").order(2)]);
    gates(bare).stage("After", [action("Tell").set("Text", "#{Src.Commit}")])
}

fn world(gates: impl FnOnce(PipelineBuilder) -> PipelineBuilder) -> World {
    let mut world = given(deploying(gates));
    world.start("e1");
    world
}

/// At the door of Deploy, which has let the run in.
fn at_the_gate(gates: impl FnOnce(PipelineBuilder) -> PipelineBuilder) -> World {
    let mut world = world(gates);
    world.when_succeeds_with("e1", "Src", &[("Commit", "abc")]).accepted();
    world
}

/// Deploy's actions have succeeded.
fn deployed(gates: impl FnOnce(PipelineBuilder) -> PipelineBuilder) -> World {
    let mut world = at_the_gate(gates);
    world.succeed("e1", "Push");
    world.succeed("e1", "Probe");
    world
}

#[test]
fn an_entry_condition_is_asked_once_the_stage_is_held_and_before_its_actions() {
    let mut world = world(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    world.when_succeeds("e1", "Src").then(&[
        "lane: StageReleased Source e1",
        "lane: StageHeld Deploy e1",
        "e1: ActionSucceeded Source/Src",
        "e1: StageSucceeded Source",
        "e1: StageStarted Deploy",
        "e1: ConditionStarted Deploy beforeEntry",
        "e1: RuleStarted Deploy/A",
        "e1: RuleStarted Deploy/B",
    ]);
    assert_eq!(world.rule_jobs.len(), 2, "all rules run at the same time");
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::InProgress));
    assert_ne!(world.rule("e1", "A").rule_execution, world.rule("e1", "B").rule_execution);
}

#[test]
fn an_entry_condition_is_not_asked_in_front_of_a_closed_door() {
    let mut world = world(|it| it.before_entry("FAIL", [rule("A")]));
    world.when_disabled("Deploy").accepted();
    world.succeed("e1", "Src");
    assert!(world.rules("e1", "A").is_empty());
    world.when_enabled("Deploy").then(&[
        "lane: TransitionEnabled Deploy",
        "lane: StageHeld Deploy e1",
        "e1: StageStarted Deploy",
        "e1: ConditionStarted Deploy beforeEntry",
        "e1: RuleStarted Deploy/A",
    ]);
}

#[test]
fn a_condition_is_met_when_all_of_its_rules_succeeded() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    world.when_rule_succeeds("e1", "B").then(&["e1: RuleSucceeded Deploy/B"]);
    world.when_rule_succeeds("e1", "A").then(&[
        "e1: RuleSucceeded Deploy/A",
        "e1: ConditionEnded Deploy beforeEntry Succeeded",
        "e1: ActionStarted Deploy/Push",
    ]);
}

#[test]
fn a_condition_is_decided_only_when_every_rule_has_ended() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    world.when_rule_fails("e1", "A").then(&["e1: RuleFailed Deploy/A JobFailed"]);
    assert_eq!(world.condition_status("e1", "Deploy", BeforeEntry), Some(ConditionStatus::InProgress));
    world.when_rule_succeeds("e1", "B").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleSucceeded Deploy/B",
        "e1: ConditionEnded Deploy beforeEntry Failed",
        "e1: StageFailed Deploy",
        "e1: ExecutionFailed",
    ]);
    let summary = world.conditions("e1", "Deploy", BeforeEntry)[0].summary.clone();
    assert_eq!(summary.as_deref(), Some("A: no"));
}

#[test]
fn an_entry_condition_without_a_result_fails_the_stage() {
    let mut world = at_the_gate(|it| it.before_entry("", [rule("A")]));
    world.when_rule_fails("e1", "A").accepted();
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::Failed));
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert!(world.attempts("e1", "Push").is_empty());
}

#[test]
fn a_rule_that_could_not_run_makes_its_condition_an_error_that_counts_as_failed() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    world.when_rule_fails("e1", "A").accepted();
    world.when_rule_cannot_run("e1", "B").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleFailed Deploy/B PermissionError",
        "e1: ConditionEnded Deploy beforeEntry Errored",
        "e1: StageFailed Deploy",
        "e1: ExecutionFailed",
    ]);
}

#[test]
fn a_skipped_stage_is_passed_over_and_the_next_one_entered() {
    let mut world = at_the_gate(|it| it.before_entry("SKIP", [rule("A")]));
    world.when_rule_fails("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "lane: StageHeld After e1",
        "e1: RuleFailed Deploy/A JobFailed",
        "e1: ConditionEnded Deploy beforeEntry Failed",
        "e1: StageSkipped Deploy",
        "e1: StageStarted After",
        "e1: ActionStarted After/Tell",
    ]);
    world.succeed("e1", "Tell");
    assert_eq!(world.status("e1"), ExecutionStatus::Succeeded);
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::Skipped));
}

#[test]
fn a_last_stage_that_is_skipped_ends_the_run_as_succeeded() {
    let definition = pipeline("p").stage("Source", [source("Src")]);
    let mut world = given(definition.stage("Deploy", [deploy("Push")]).before_entry("SKIP", [rule("A")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_rule_cannot_run("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleFailed Deploy/A PermissionError",
        "e1: ConditionEnded Deploy beforeEntry Errored",
        "e1: StageSkipped Deploy",
        "e1: ExecutionSucceeded",
    ]);
}

#[test]
fn a_reference_to_a_variable_of_a_skipped_stage_fails_whoever_uses_it() {
    let definition = pipeline("p")
        .stage("Source", [source("Src")])
        .stage("Build", [action("Compile").namespace("Build")])
        .before_entry("SKIP", [rule("A")])
        .stage("Deploy", [deploy("Push").set("Tag", "#{Build.Tag}")]);
    let mut world = given(definition);
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_rule_fails("e1", "A").accepted();
    assert_eq!(world.action_status("e1", "Push"), ActionStatus::Failed);
    let (code, message) = world.attempt("e1", "Push").error.clone().unwrap();
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("#{Build.Tag}"), "{message}");
}

#[test]
fn a_skipped_stage_lets_the_next_execution_in() {
    let mut world = at_the_gate(|it| it.before_entry("SKIP", [rule("A")]));
    world.start("e2");
    world.succeed("e2", "Src");
    assert_eq!(world.waiters("Deploy"), ["e2"]);
    world.when_rule_fails("e1", "A").accepted();
    assert_eq!(world.holders("Deploy"), ["e2"]);
    assert_eq!(world.rules("e2", "A").len(), 1);
}

#[test]
fn a_success_condition_is_asked_when_all_actions_have_succeeded() {
    let mut world = at_the_gate(|it| it.on_success("FAIL", [rule("A")]));
    world
        .when_succeeds("e1", "Push")
        .then(&["e1: ActionSucceeded Deploy/Push", "e1: ActionStarted Deploy/Probe"]);
    world.when_succeeds("e1", "Probe").then(&[
        "e1: ActionSucceeded Deploy/Probe",
        "e1: ConditionStarted Deploy onSuccess",
        "e1: RuleStarted Deploy/A",
    ]);
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::InProgress));
    assert_eq!(world.holders("Deploy"), ["e1"], "the stage is held until the condition is decided");
    world.when_rule_succeeds("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "lane: StageHeld After e1",
        "e1: RuleSucceeded Deploy/A",
        "e1: ConditionEnded Deploy onSuccess Succeeded",
        "e1: StageSucceeded Deploy",
        "e1: StageStarted After",
        "e1: ActionStarted After/Tell",
    ]);
}

#[test]
fn a_success_condition_that_is_not_met_fails_the_stage_and_the_run() {
    for result in ["FAIL", ""] {
        let mut world = deployed(|it| it.on_success(result, [rule("A")]));
        world.when_rule_fails("e1", "A").then(&[
            "lane: StageReleased Deploy e1",
            "e1: RuleFailed Deploy/A JobFailed",
            "e1: ConditionEnded Deploy onSuccess Failed",
            "e1: StageFailed Deploy",
            "e1: ExecutionFailed",
        ]);
    }
}

#[test]
fn a_success_condition_is_not_asked_of_a_stage_that_failed() {
    let mut world = at_the_gate(|it| it.on_success("FAIL", [rule("A")]));
    world.fail("e1", "Push");
    assert!(world.rules("e1", "A").is_empty());
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::Failed));
}

#[test]
fn a_failure_condition_is_asked_when_the_stage_is_about_to_fail() {
    let mut world = at_the_gate(|it| it.on_failure_when("ROLLBACK", [rule("A")]));
    world.when_fails("e1", "Push").then(&[
        "e1: ActionFailed Deploy/Push JobFailed",
        "e1: ConditionStarted Deploy onFailure",
        "e1: RuleStarted Deploy/A",
    ]);
    assert_eq!(world.holders("Deploy"), ["e1"]);
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
}

#[test]
fn a_stage_cannot_be_retried_while_its_failure_condition_is_asked() {
    let mut world = at_the_gate(|it| it.on_failure_when("ROLLBACK", [rule("A")]));
    world.fail("e1", "Push");
    world.when_retried("e1", "Deploy").then_refused("Conflict");
    world.when_retried_all("e1", "Deploy").then_refused("Conflict");
    world.when_rule_fails("e1", "A").accepted();
    world.when_retried("e1", "Deploy").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::InProgress);
}

#[test]
fn a_failure_condition_that_is_not_met_lets_the_stage_fail() {
    let mut world = at_the_gate(|it| it.on_failure_when("ROLLBACK", [rule("A")]));
    world.fail("e1", "Push");
    world.when_rule_fails("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleFailed Deploy/A JobFailed",
        "e1: ConditionEnded Deploy onFailure Failed",
        "e1: StageFailed Deploy",
        "e1: ExecutionFailed",
    ]);
}

#[test]
fn a_failure_condition_that_could_not_be_asked_counts_as_not_met() {
    let mut world = at_the_gate(|it| it.on_failure_when("ROLLBACK", [rule("A")]));
    world.fail("e1", "Push");
    world.when_rule_cannot_run("e1", "A").accepted();
    assert_eq!(world.condition_status("e1", "Deploy", OnFailure), Some(ConditionStatus::Errored));
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
}

#[test]
fn a_failure_condition_is_asked_too_when_the_success_condition_fails_the_stage() {
    let mut world =
        deployed(|it| it.on_success("FAIL", [rule("A")]).on_failure_when("ROLLBACK", [rule("B")]));
    world.when_rule_fails("e1", "A").then(&[
        "e1: RuleFailed Deploy/A JobFailed",
        "e1: ConditionEnded Deploy onSuccess Failed",
        "e1: ConditionStarted Deploy onFailure",
        "e1: RuleStarted Deploy/B",
    ]);
    world.when_rule_fails("e1", "B").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
}

#[test]
fn a_failure_condition_is_not_asked_when_the_way_in_was_shut() {
    let mut world =
        at_the_gate(|it| it.before_entry("FAIL", [rule("A")]).on_failure_when("ROLLBACK", [rule("B")]));
    world.when_rule_fails("e1", "A").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert!(world.rules("e1", "B").is_empty(), "nothing was done that could be undone");
}

#[test]
fn a_source_stage_may_have_a_success_condition() {
    let definition = pipeline("p").stage("Source", [source("Src")]).on_success("FAIL", [rule("A")]);
    let mut world = given(definition.stage("Build", [action("Compile")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_rule_succeeds("e1", "A").accepted();
    assert_eq!(world.holders("Build"), ["e1"]);
}

#[test]
fn rules_get_the_values_of_variables() {
    let mut world = at_the_gate(|it| {
        it.before_entry("FAIL", [rule("A").set("Variable", "#{Src.Commit}").set("Value", "abc")])
    });
    let resolved = world.rule("e1", "A").resolved.clone();
    assert_eq!(resolved.into_iter().collect::<Vec<_>>(), [("Variable".to_owned(), "abc".to_owned())]);
    world.when_rule_succeeds("e1", "A").accepted();
}

#[test]
fn a_rule_with_a_reference_that_has_no_value_fails_without_being_asked() {
    for unresolved in [
        rule("A").set("Variable", "#{Src.Nothing}"),
        rule("A").provider("Commands").command("echo #{Src.Nothing}"),
    ] {
        let mut world = world(|it| it.before_entry("FAIL", [unresolved, rule("B")]));
        world.when_succeeds_with("e1", "Src", &[("Commit", "abc")]).accepted();
        let (code, message) = world.rule("e1", "A").error.clone().unwrap();
        assert_eq!(code, FailureCode::ConfigurationError);
        assert!(message.contains("#{Src.Nothing}"), "{message}");
        assert_eq!(world.rule_jobs.len(), 1, "only B is asked");
        world.when_rule_succeeds("e1", "B").accepted();
        assert_eq!(world.condition_status("e1", "Deploy", BeforeEntry), Some(ConditionStatus::Errored));
        assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    }
}

#[test]
fn a_rule_reads_the_artifacts_of_earlier_actions() {
    let world = at_the_gate(|it| it.before_entry("FAIL", [rule("A").provider("Commands").input("Src")]));
    assert_eq!(world.rule("e1", "A").inputs, world.attempt("e1", "Src").outputs);
}

#[test]
fn a_rule_without_its_artifact_fails_without_being_asked() {
    let world = at_the_gate(|it| it.before_entry("FAIL", [rule("A").input("Nothing")]));
    assert!(world.rule_jobs.is_empty());
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
}

#[test]
fn a_rule_times_out_after_its_own_time_or_that_of_its_type() {
    for (declared, minutes) in [
        (rule("A"), 60),
        (rule("A").provider("DeploymentWindow"), 24 * 60),
        (rule("A").provider("CloudWatchAlarm"), 24 * 60),
        (rule("A").provider("DeploymentWindow").timeout(7), 7),
    ] {
        let mut world = at_the_gate(|it| it.before_entry("FAIL", [declared]));
        world.pass_minutes(minutes - 1).then_nothing();
        world.pass_minutes(1).then(&[
            "lane: StageReleased Deploy e1",
            "e1: RuleFailed Deploy/A JobFailed",
            "e1: ConditionEnded Deploy beforeEntry Failed",
            "e1: StageFailed Deploy",
            "e1: ExecutionFailed",
        ]);
        let message = world.rule("e1", "A").error.clone().map(|(_, message)| message);
        assert_eq!(message, Some(format!("The rule timed out after {minutes} minutes.")));
        assert_eq!(world.cancelled_rules, [world.rule("e1", "A").rule_execution.clone()]);
    }
}

#[test]
fn a_rule_that_has_ended_does_not_expire() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B").timeout(600)]));
    world.when_rule_succeeds("e1", "A").accepted();
    assert_eq!(world.timers.iter().filter(|(_, command)| command.name() == "ExpireRule").count(), 1);
    world.pass_minutes(61).then_nothing();
}

#[test]
fn a_result_reported_twice_is_noted_once() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    world.when_rule_succeeds("e1", "A").accepted();
    world.when_rule_succeeds("e1", "A").then_nothing();
    world.when_rule_fails("e1", "A").then_nothing();
}

#[test]
fn a_result_under_another_entry_is_noted_as_ignored_and_only_once() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A")]));
    let mut stale = world.rule_attempt_of("e1", "A");
    stale.entry = Entry(stale.entry.0 - 1);
    let met = || domain::command::RuleResult::Succeeded { mocked: false, details: Default::default() };
    world.when_rule_reported("e1", stale.clone(), met()).then(&["e1: RuleResultIgnored"]);
    world.when_rule_reported("e1", stale, met()).then_nothing();
    assert_eq!(world.condition_status("e1", "Deploy", BeforeEntry), Some(ConditionStatus::InProgress));
}

#[test]
fn giving_a_run_up_gives_up_its_rules_and_their_condition() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    world.when_rule_succeeds("e1", "B").accepted();
    world.when_abandoned("e1").then(&[
        "lane: StageReleased Deploy e1",
        "e1: StopRequested abandon",
        "e1: RuleAbandoned Deploy/A",
        "e1: ConditionEnded Deploy beforeEntry Abandoned",
        "e1: StageStopped Deploy",
        "e1: ExecutionStopped",
    ]);
    assert_eq!(world.cancelled_rules.len(), 1);
    // It had begun, and nobody knew.
    let details = Details { external_execution_id: Some("b:1".into()), ..Details::default() };
    let begun = Wish::NoteRuleProgress { attempt: world.rule_attempt_of("e1", "A"), details };
    world.send(Some("e1"), begun).then(&["e1: RuleProgressed Deploy/A"]);
    assert_eq!(world.cancelled_rules.len(), 2);
    world.when_rule_succeeds("e1", "A").then(&["e1: RuleResultIgnored"]);
}

#[test]
fn a_rule_that_has_begun_is_let_run() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    let details = Details { external_execution_id: Some("b:1".into()), ..Details::default() };
    let begun = Wish::NoteRuleProgress { attempt: world.rule_attempt_of("e1", "A"), details };
    world.send(Some("e1"), begun).then(&["e1: RuleProgressed Deploy/A"]);
    assert!(world.cancelled_rules.is_empty());
}

#[test]
fn what_is_told_of_a_rule_counts_for_the_one_that_was_asked_whatever_it_is_called() {
    let misnamed = |world: &World| {
        let attempt = world.rule_attempt_of("e1", "A");
        RuleAttempt { stage: stage_name("Source"), rule: world.rule_attempt_of("e1", "B").rule, ..attempt }
    };
    let at_two_rules = || at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    let mut world = at_two_rules();
    let result = RuleResult::Succeeded { mocked: false, details: Details::default() };
    world.when_rule_reported("e1", misnamed(&world), result).then(&["e1: RuleSucceeded Deploy/A"]);

    let mut world = at_two_rules();
    let attempt = misnamed(&world);
    world.now = world.rule("e1", "A").deadline;
    world.send(Some("e1"), Wish::ExpireRule { attempt }).then(&["e1: RuleFailed Deploy/A JobFailed"]);
}

#[test]
fn under_a_newer_admission_neither_number_lets_an_answer_of_before_count() {
    let world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    let attempt = world.rule_attempt_of("e1", "A");
    let newer = Entry(attempt.entry.0 + 1);
    for entry in [attempt.entry, newer] {
        let mut scope = world.scope_of("e1");
        // Under its own number it would be set aside.
        scope.execution.stages.iter_mut().for_each(|run| run.entry = newer);
        let attempt = RuleAttempt { entry, ..attempt.clone() };
        let result = RuleResult::Succeeded { mocked: false, details: Details::default() };
        let decision = world.decide_on(scope, "e1", Wish::RecordRuleResult { attempt, result }).unwrap();
        assert!(matches!(decision.execution[..], [ExecutionEvent::RuleResultIgnored(_)]), "{decision:?}");
    }
}

#[test]
fn a_rule_under_way_is_taken_up_alone() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A"), rule("B")]));
    let owed = |world: &World| {
        let attempt = ActionExecutionId::from(&world.rule_attempt_of("e1", "A").rule_execution);
        react::resume_attempt(&execution_id("e1"), world.run("e1"), &attempt)
    };
    let attempt = world.rule_attempt_of("e1", "A");
    let told = owed(&world);
    let [Effect::RunRule { attempt: run, resumed: true, .. }, Effect::SetRuleTimer { attempt: timed, .. }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((run, timed), (&attempt, &attempt));
    world.when_rule_succeeds("e1", "A").accepted();
    assert_eq!(owed(&world), []);
}

#[test]
fn stopping_a_run_waits_for_its_rules_and_acts_on_none_of_them() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A")]));
    world.when_stopped("e1").then(&["e1: StopRequested"]);
    assert_eq!(world.stage_status("e1", "Deploy"), Some(StageStatus::Stopping));
    world.when_rule_succeeds("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleSucceeded Deploy/A",
        "e1: ConditionEnded Deploy beforeEntry Succeeded",
        "e1: StageStopped Deploy",
        "e1: ExecutionStopped",
    ]);
}

#[test]
fn neither_way_out_is_asked_of_a_stage_that_is_stopped() {
    for end in [World::when_succeeds, World::when_fails] {
        let mut world =
            at_the_gate(|it| it.on_success("FAIL", [rule("A")]).on_failure_when("ROLLBACK", [rule("B")]));
        world.succeed("e1", "Push");
        world.when_stopped("e1").accepted();
        end(&mut world, "e1", "Probe").accepted();
        assert_eq!(world.status("e1"), ExecutionStatus::Stopped);
        assert_eq!(world.run("e1").rules().count(), 0);
    }
}

#[test]
fn deleting_the_pipeline_cancels_a_condition_under_way() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A")]));
    world.when_deleted().accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
    assert_eq!(world.condition_status("e1", "Deploy", BeforeEntry), Some(ConditionStatus::Cancelled));
    assert_eq!(world.rule("e1", "A").status, ActionStatus::Abandoned);
}

#[test]
fn after_an_update_a_condition_under_way_ends_and_none_begins() {
    let gates = |it: PipelineBuilder| it.before_entry("FAIL", [rule("A")]).on_success("FAIL", [rule("B")]);
    let mut world = at_the_gate(gates);
    world.when_updated(deploying(gates)).accepted();
    world.when_rule_succeeds("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleSucceeded Deploy/A",
        "e1: ConditionEnded Deploy beforeEntry Succeeded",
        "e1: StageCancelled Deploy",
        "e1: ExecutionCancelled",
    ]);
    let mut world = at_the_gate(gates);
    world.when_rule_succeeds("e1", "A").accepted();
    world.succeed("e1", "Push");
    world.when_updated(deploying(gates)).accepted();
    world.succeed("e1", "Probe");
    assert_eq!(world.status("e1"), ExecutionStatus::Cancelled);
    assert!(world.rules("e1", "B").is_empty());
}

#[test]
fn parallel_runs_are_asked_each_on_its_own() {
    let gates = |it: PipelineBuilder| it.before_entry("FAIL", [rule("A")]);
    let mut world = given(deploying(gates).mode(ExecutionMode::Parallel));
    for run in ["e1", "e2"] {
        world.start(run);
        world.when_succeeds_with(run, "Src", &[("Commit", "abc")]).accepted();
    }
    world.when_rule_fails("e1", "A").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    world.when_rule_succeeds("e2", "A").accepted();
    assert_eq!(world.action_status("e2", "Push"), ActionStatus::InProgress);
}

#[test]
fn a_run_that_failed_at_the_way_in_is_asked_again_when_it_is_retried() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("A")]));
    world.when_rule_fails("e1", "A").accepted();
    let before = world.rule("e1", "A").clone();
    world.when_retried("e1", "Deploy").then(&[
        "lane: StageHeld Deploy e1",
        "e1: StageRetried Deploy FailedActions",
        "e1: ConditionStarted Deploy beforeEntry",
        "e1: RuleStarted Deploy/A",
    ]);
    let after = world.rule("e1", "A").clone();
    assert!(after.entry > before.entry && after.rule_execution != before.rule_execution);
    world.when_rule_succeeds("e1", "A").accepted();
    assert_eq!(world.action_status("e1", "Push"), ActionStatus::InProgress);
}

#[test]
fn retrying_what_failed_at_the_way_out_asks_only_that_again() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("In")]).on_success("FAIL", [rule("Out")]));
    world.when_rule_succeeds("e1", "In").accepted();
    world.succeed("e1", "Push");
    world.succeed("e1", "Probe");
    world.when_rule_fails("e1", "Out").accepted();
    world.when_retried("e1", "Deploy").then(&[
        "lane: StageHeld Deploy e1",
        "e1: StageRetried Deploy FailedActions",
        "e1: ConditionStarted Deploy onSuccess",
        "e1: RuleStarted Deploy/Out",
    ]);
}

#[test]
fn retrying_a_whole_stage_that_failed_at_the_way_out_begins_at_the_way_in() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("In")]).on_success("FAIL", [rule("Out")]));
    world.when_rule_succeeds("e1", "In").accepted();
    world.succeed("e1", "Push");
    world.succeed("e1", "Probe");
    world.when_rule_fails("e1", "Out").accepted();
    world.when_retried_all("e1", "Deploy").then(&[
        "lane: StageHeld Deploy e1",
        "e1: StageRetried Deploy AllActions",
        "e1: ConditionStarted Deploy beforeEntry",
        "e1: RuleStarted Deploy/In",
    ]);
    world.when_rule_succeeds("e1", "In").accepted();
    assert_eq!(world.attempts("e1", "Push").len(), 2);
}

#[test]
fn retrying_failed_actions_does_not_ask_a_way_in_that_was_passed() {
    let mut world = at_the_gate(|it| it.before_entry("FAIL", [rule("In")]));
    world.when_rule_succeeds("e1", "In").accepted();
    world.fail("e1", "Push");
    world.when_retried("e1", "Deploy").then(&[
        "lane: StageHeld Deploy e1",
        "e1: StageRetried Deploy FailedActions",
        "e1: ActionStarted Deploy/Push",
    ]);
}

#[test]
fn every_failure_of_a_retried_stage_asks_its_failure_condition_anew() {
    let mut world = at_the_gate(|it| it.on_failure_when("ROLLBACK", [rule("A")]));
    world.fail("e1", "Push");
    world.when_rule_fails("e1", "A").accepted();
    world.when_retried("e1", "Deploy").accepted();
    world.fail("e1", "Push");
    assert_eq!(world.rules("e1", "A").len(), 2);
}

#[test]
fn a_stage_is_not_retried_while_a_condition_is_asked() {
    let mut world = at_the_gate(|it| {
        let gates = it.before_entry("FAIL", [rule("In")]).on_success("FAIL", [rule("Out")]);
        gates.on_failure_when("ROLLBACK", [rule("A")])
    });
    world.when_retried("e1", "Deploy").then_refused("StageNotRetryable");
    world.when_rule_succeeds("e1", "In").accepted();
    world.fail("e1", "Push");
    world.when_retried("e1", "Deploy").then_refused("Conflict");
}

#[test]
fn a_skipped_stage_is_not_retryable() {
    let mut world = at_the_gate(|it| it.before_entry("SKIP", [rule("A")]));
    world.when_disabled("After").accepted();
    world.when_rule_fails("e1", "A").accepted();
    world.when_retried("e1", "Deploy").then_refused("StageNotRetryable");
}

#[test]
fn a_stage_given_up_at_a_gate_goes_on_there_when_it_is_retried() {
    let mut world = deployed(|it| it.on_success("FAIL", [rule("A")]));
    world.when_abandoned("e1").accepted();
    assert_eq!(world.condition_status("e1", "Deploy", OnSuccess), Some(ConditionStatus::Abandoned));
    world.when_retried("e1", "Deploy").then(&[
        "lane: StageHeld Deploy e1",
        "e1: StageRetried Deploy FailedActions",
        "e1: ConditionStarted Deploy onSuccess",
        "e1: RuleStarted Deploy/A",
    ]);
}

/// `e1` has passed every stage; `e2` stands inside Deploy.
fn second_run(gates: impl FnOnce(PipelineBuilder) -> PipelineBuilder) -> World {
    let mut world = given(deploying(gates));
    for run in ["e1", "e2"] {
        world.start(run);
        world.when_succeeds_with(run, "Src", &[("Commit", "abc")]).accepted();
        if run == "e1" {
            let open = |world: &mut World| {
                let asked = world.run("e1").running_rules();
                let rules: Vec<String> = asked.map(|(_, _, rule)| rule.rule.to_string()).collect();
                rules.iter().for_each(|rule| world.when_rule_succeeds("e1", rule).accepted());
            };
            open(&mut world);
            world.succeed("e1", "Push");
            world.succeed("e1", "Probe");
            open(&mut world);
            world.succeed("e1", "Tell");
        }
    }
    world
}

/// The run that rolls back: neither `e1` nor `e2`.
fn rollback_run(world: &World) -> String {
    let mut others = world.runs().into_iter().filter(|run| run != "e1" && run != "e2");
    others.next().expect("a rollback was started")
}

#[test]
fn a_success_condition_that_is_not_met_rolls_the_stage_back() {
    let mut world = second_run(|it| it.on_success("ROLLBACK", [rule("A")]));
    world.succeed("e2", "Push");
    world.succeed("e2", "Probe");
    world.when_rule_fails("e2", "A").accepted();
    assert_eq!(world.stage_status("e2", "Deploy"), Some(StageStatus::Failed));
    assert_eq!(world.status("e2"), ExecutionStatus::Failed);
    let back = rollback_run(&world);
    assert_eq!(world.holders("Deploy"), [back.as_str()]);
    assert_eq!(world.action_status(&back, "Push"), ActionStatus::InProgress);
}

#[test]
fn a_failure_condition_that_is_met_rolls_the_stage_back() {
    for result in ["ROLLBACK", ""] {
        let mut world = second_run(|it| it.on_failure_when(result, [rule("A"), rule("B")]));
        world.fail("e2", "Push");
        world.when_rule_succeeds("e2", "A").accepted();
        world.when_rule_succeeds("e2", "B").accepted();
        assert_eq!(world.condition_status("e2", "Deploy", OnFailure), Some(ConditionStatus::Succeeded));
        assert_eq!(world.status("e2"), ExecutionStatus::Failed);
        assert_eq!(world.action_status(&rollback_run(&world), "Push"), ActionStatus::InProgress);
    }
}

#[test]
fn a_failure_condition_that_is_not_met_rolls_nothing_back() {
    let mut world = second_run(|it| it.on_failure_when("ROLLBACK", [rule("A"), rule("B")]));
    world.fail("e2", "Push");
    world.when_rule_succeeds("e2", "A").accepted();
    world.when_rule_fails("e2", "B").accepted();
    assert_eq!((world.status("e2"), world.runs().len()), (ExecutionStatus::Failed, 2));
    assert!(world.holders("Deploy").is_empty());
}

#[test]
fn without_anything_to_go_back_to_the_stage_just_fails() {
    let mut world = at_the_gate(|it| it.on_failure_when("ROLLBACK", [rule("A")]));
    world.fail("e1", "Push");
    world.when_rule_succeeds("e1", "A").then(&[
        "lane: StageReleased Deploy e1",
        "e1: RuleSucceeded Deploy/A",
        "e1: ConditionEnded Deploy onFailure Succeeded",
        "e1: StageFailed Deploy",
        "e1: ExecutionFailed",
    ]);
}

#[test]
fn a_rollback_is_asked_nothing_whatever_becomes_of_it() {
    for end in [World::when_succeeds, World::when_fails] {
        let mut world = second_run(|it| {
            it.before_entry("FAIL", [rule("In")])
                .on_success("ROLLBACK", [rule("Out")])
                .on_failure_when("ROLLBACK", [rule("Undo")])
        });
        world.when_rule_succeeds("e2", "In").accepted();
        world.fail("e2", "Push");
        world.when_rule_succeeds("e2", "Undo").accepted();
        let back = rollback_run(&world);
        world.succeed(&back, "Push");
        end(&mut world, &back, "Probe").accepted();
        assert!(world.status(&back).is_terminal());
        assert_eq!(world.run(&back).rules().count(), 0);
        assert_eq!(world.runs().len(), 3, "a rollback is not rolled back");
    }
}

#[test]
fn a_way_out_that_failed_is_asked_once_more_where_the_stage_is_retried_by_itself() {
    let mut world = deployed(|it| it.on_success("FAIL", [rule("A")]).on_failure("RETRY", None));
    world.when_rule_fails("e1", "A").then(&[
        "e1: RuleFailed Deploy/A JobFailed",
        "e1: ConditionEnded Deploy onSuccess Failed",
        "e1: StageRetried Deploy FailedActions automatically",
        "e1: ConditionStarted Deploy onSuccess",
        "e1: RuleStarted Deploy/A",
    ]);
    world.when_rule_fails("e1", "A").accepted();
    assert_eq!(world.status("e1"), ExecutionStatus::Failed);
    assert_eq!(world.attempts("e1", "Push").len(), 1);
}

#[test]
fn a_failure_condition_is_not_asked_of_a_run_that_an_update_has_overtaken() {
    let gates = |it: PipelineBuilder| it.on_failure_when("ROLLBACK", [rule("Worse")]);
    let mut world = at_the_gate(gates);
    world.when_updated(deploying(gates)).accepted();
    world.when_fails("e1", "Push").then(&[
        "lane: StageReleased Deploy e1",
        "e1: ActionFailed Deploy/Push JobFailed",
        "e1: StageFailed Deploy",
        "e1: ExecutionFailed",
    ]);
}
