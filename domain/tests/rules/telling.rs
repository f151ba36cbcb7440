//! What the world is told when a run's state changes: in which order, at which level, with which words. That what was
//! told last is what a run, a stage and an attempt are holds in every other test here as well: see
//! `domain::testing::laws::of_telling`.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::{
    command::{ActionResult, Details, Wish},
    state_change::StateChange,
    testing::*,
};
use events::{FailureCode, outbound::ChangeDetail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
fn what_a_provider_says_of_success_is_told() {
    let mut world = running();
    let attempt = world.attempt_of("e1", "A");
    let details = Details {
        summary: Some("12 tests".into()),
        external_execution_id: Some("shop:1".into()),
        external_execution_url: Some("https://example.com/1".into()),
        percent_complete: None,
    };
    let result =
        ActionResult::Succeeded { output_variables: BTreeMap::new(), revision: None, mocked: false, details };
    world.when_reported("e1", attempt, result).accepted();
    let told = &last(&world, "e1", "Build/A SUCCEEDED")["execution-result"];
    assert_eq!(told["external-execution-summary"], "12 tests");
    assert_eq!(told["external-execution-id"], "shop:1");
    assert_eq!(told["external-execution-url"], "https://example.com/1");
    assert!(told.get("error-code").is_none());
}

#[test]
fn what_goes_in_is_told_at_the_start_and_what_a_provider_began_at_the_end() {
    let build = [action("A").input("Src"), action("B").input("Src")];
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    assert_eq!(last(&world, "e1", "Build/A STARTED")["input-artifacts"][0]["name"], "Src");
    let ids = |id: &str| Details {
        external_execution_id: Some(id.to_owned()),
        external_execution_url: Some(format!("https://example.com/{id}")),
        ..Details::default()
    };
    for (action, at_the_end, id) in [("A", Details::default(), "begun"), ("B", ids("ended"), "ended")] {
        let attempt = world.attempt_of("e1", action);
        let wish = Wish::NoteActionProgress { attempt: attempt.clone(), details: ids("begun") };
        world.send(Some("e1"), wish).accepted();
        let (code, message) = (FailureCode::JobFailed, "no".to_owned());
        let failed = ActionResult::Failed { code, message, details: at_the_end };
        world.when_reported("e1", attempt, failed).accepted();
        let told = last(&world, "e1", &format!("Build/{action} FAILED"));
        assert_eq!(told["execution-result"]["external-execution-id"], id);
        assert_eq!(told["execution-result"]["external-execution-url"], format!("https://example.com/{id}"));
        assert!(told.get("input-artifacts").is_none());
    }
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
    assert_eq!(world.course("e1").pipeline(), Some((&world.name, events::PipelineVersion(1))));
    assert_eq!(started["towpath-event-id"], world.told("e1")[0].id.as_str());
    let action = last(&world, "e1", "Build/A STARTED");
    assert_eq!(action["action-execution-id"], world.attempt("e1", "A").action_execution.as_str());
    assert!(action["type"]["category"].is_string() && action["type"]["version"] == "1", "{action}");
    assert!(last(&world, "e1", "Source/Src STARTED").get("input-artifacts").is_none());
    let fetched = last(&world, "e1", "Source/Src SUCCEEDED");
    assert!(fetched["output-artifacts"][0]["s3location"]["key"].is_string(), "{fetched}");
}

#[test]
fn an_update_is_told_at_the_step_that_ends_the_run() {
    let mut world = running();
    world
        .when_updated(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A")]))
        .accepted();
    let from = world.told("e1").len();
    world.succeed("e1", "A");
    world.succeed("e1", "B");
    assert_eq!(
        since(&world, "e1", from),
        ["Build/A SUCCEEDED #1", "Build/B SUCCEEDED #1", "Build CANCELED #1", "p CANCELED #1"]
    );
}

#[test]
fn a_stage_that_its_condition_skips_is_told_in_words_of_our_own() {
    let gated = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let mut world = given(gated.before_entry("SKIP", [rule("In")]).stage("After", [action("Tell")]));
    world.start("e1");
    world.succeed("e1", "Src");
    let from = world.told("e1").len();
    world.when_rule_fails("e1", "In").accepted();
    assert_eq!(since(&world, "e1", from), ["Deploy SKIPPED #1", "After STARTED #1", "After/Tell STARTED #1"]);
    assert_eq!(world.told("e1")[from].detail_type(), "Towpath Stage Skipped");
}

#[test]
fn a_failed_run_that_is_let_pass_is_resumed_and_one_that_is_asked_goes_on_untold() {
    let gated = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let mut world = given(gated.before_entry("FAIL", [rule("In")]));
    for run in ["e1", "e2"] {
        world.start(run);
        world.succeed(run, "Src");
        let from = world.told(run).len();
        if run == "e1" {
            world.when_rule_fails(run, "In").accepted();
            assert_eq!(since(&world, run, from), ["Deploy FAILED #1", "p FAILED #1"]);
            world.when_overridden(run, "Deploy", events::ConditionType::BeforeEntry).accepted();
            assert_eq!(
                since(&world, run, from + 2),
                ["p RESUMED #1", "Deploy RESUMED #1", "Deploy/Push STARTED #1"]
            );
            world.succeed(run, "Push");
        } else {
            world.when_overridden(run, "Deploy", events::ConditionType::BeforeEntry).accepted();
            assert_eq!(since(&world, run, from), ["Deploy/Push STARTED #1"]);
        }
    }
}

#[test]
fn a_run_that_gives_its_gate_away_tells_of_its_approval_and_stage_too() {
    let definition = pipeline("p").stage("Source", [source("Src")]).stage("Prod", [approval("Ask")]);
    let mut world = given(definition.mode(events::ExecutionMode::Queued));
    let gate = events::GatePolicy { newer: events::Newer::Supersede, older: None };
    world.policy.gates.insert(stage_name("Prod"), gate);
    world.start("e1");
    world.succeed("e1", "Src");
    let from = world.told("e1").len();
    world.start("e2");
    world.succeed("e2", "Src");
    assert_eq!(since(&world, "e1", from), ["Prod/Ask CANCELED #1", "Prod CANCELED #1", "p SUPERSEDED #1"]);
}

mod of_connections {
    use domain::{
        state_change::{Course, Happened, Surroundings, tell},
        testing::*,
    };
    use events::{
        ActionCategory, ActionExecutionId, ActionFailed, ActionName, ActionOwner, ActionStarted,
        ActionSucceeded, ActionTypeId, Entry, ExecutionEnded, ExecutionEvent, ExecutionMode,
        ExecutionStarted, FailureCode, PipelineName, PipelineVersion, Policy, Sequence, StageStarted,
        Timestamp, Trigger, TriggerType, Version,
    };
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn started(kind: TriggerType) -> Vec<ExecutionEvent> {
        started_of(kind, "CodeStarSourceConnection")
    }

    fn started_of(kind: TriggerType, provider: &str) -> Vec<ExecutionEvent> {
        let start = ExecutionStarted {
            pipeline: PipelineName::parse("p").unwrap(),
            pipeline_version: PipelineVersion(3),
            incarnation: 0,
            mode: ExecutionMode::Superseded,
            sequence: Sequence(1),
            trigger: Trigger { kind, detail: "arn:aws:codestar-connections:eu-west-1:1:connection/c".into() },
            variables: BTreeMap::new(),
            revisions: BTreeMap::new(),
            rollback: None,
            policy: Policy::default(),
        };
        let action = ActionStarted {
            stage: stage_name("Source"),
            action: ActionName::parse("Fetch").unwrap(),
            action_execution: ActionExecutionId::parse("a1").unwrap(),
            entry: Entry(1),
            action_type: ActionTypeId {
                category: ActionCategory::Source,
                owner: ActionOwner::AWS,
                provider: provider.into(),
                version: "1".into(),
            },
            resolved: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            deadline: Timestamp(10),
            token: None,
        };
        vec![
            ExecutionEvent::ExecutionStarted(start),
            ExecutionEvent::StageStarted(StageStarted { stage: stage_name("Source"), entry: Entry(1) }),
            ExecutionEvent::ActionStarted(action),
        ]
    }

    fn fetched() -> ExecutionEvent {
        let variables = [
            ("AuthorDisplayName", "Ana"),
            ("FullRepositoryName", "acme/shop"),
            ("ProviderType", "GitHub"),
            ("CommitMessage", "Fix cart"),
            ("BranchName", "main"),
            ("CommitId", "1a2b"),
        ];
        ExecutionEvent::ActionSucceeded(ActionSucceeded {
            stage: stage_name("Source"),
            action: ActionName::parse("Fetch").unwrap(),
            action_execution: ActionExecutionId::parse("a1").unwrap(),
            output_variables: variables.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            summary: None,
            external_execution_id: None,
            external_execution_url: None,
            revision: None,
            mocked: false,
            by: None,
            percent_complete: None,
        })
    }

    fn failed() -> ExecutionEvent {
        ExecutionEvent::ActionFailed(ActionFailed {
            stage: stage_name("Source"),
            action: ActionName::parse("Fetch").unwrap(),
            action_execution: ActionExecutionId::parse("a1").unwrap(),
            code: FailureCode::JobFailed,
            message: "no such branch".into(),
            summary: None,
            external_execution_id: None,
            external_execution_url: None,
            timed_out: false,
            by: None,
        })
    }

    /// `execution-trigger` of each change of the whole run.
    fn triggers(events: Vec<ExecutionEvent>) -> Vec<Value> {
        let id = execution_id("e1");
        let mut course = Course::default();
        let around = Surroundings { execution: &id, region: "eu-west-1", definition: None };
        let changes = events.iter().enumerate().flat_map(|(index, event)| {
            let version = Version(index as u64 + 1);
            tell(&mut course, Happened { event, version, at: Timestamp(1) }, around)
        });
        let whole = changes.filter(|change| change.stage().is_none());
        whole
            .map(|change| serde_json::from_str::<Value>(&change.body()).unwrap()["execution-trigger"].clone())
            .collect()
    }

    #[test]
    fn the_commit_is_told_with_every_change_of_the_run_once_it_was_fetched() {
        let ends = [fetched(), ExecutionEvent::ExecutionFailed(ExecutionEnded {})];
        let told = triggers(started(TriggerType::WebhookV2).into_iter().chain(ends).collect());
        assert_eq!(told[0]["trigger-type"], "WebhookV2");
        let commit = json!({
            "author-display-name": "Ana", "full-repository-name": "acme/shop", "provider-type": "GitHub",
            "commit-message": "Fix cart", "branch-name": "main", "commit-id": "1a2b",
        });
        assert_eq!(told[1], commit);
    }

    #[test]
    fn a_run_that_failed_in_its_source_and_one_that_no_connection_started_tell_no_commit() {
        let ends = [failed(), ExecutionEvent::ExecutionFailed(ExecutionEnded {})];
        let told = triggers(started(TriggerType::WebhookV2).into_iter().chain(ends).collect());
        assert_eq!(told[1], Value::Null);
        let ends = [fetched(), ExecutionEvent::ExecutionSucceeded(ExecutionEnded {})];
        let told = triggers(started(TriggerType::StartPipelineExecution).into_iter().chain(ends).collect());
        assert_eq!(told[1], Value::Null);
    }

    #[test]
    fn only_what_a_connection_fetched_is_told() {
        let ends = [fetched(), ExecutionEvent::ExecutionSucceeded(ExecutionEnded {})];
        let told = triggers(started_of(TriggerType::WebhookV2, "GitHub").into_iter().chain(ends).collect());
        assert_eq!(told[1], Value::Null);
    }

    fn with(mut event: ExecutionEvent, variables: &[(&str, &str)]) -> ExecutionEvent {
        if let ExecutionEvent::ActionSucceeded(succeeded) = &mut event {
            let more = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            succeeded.output_variables.extend(more);
        }
        event
    }

    #[test]
    fn all_that_is_known_of_a_commit_is_told_and_a_long_message_is_cut() {
        let long = "ü".repeat(2049);
        let more = [
            ("AuthorDisplayName", ""),
            ("AuthorEmail", "a@b"),
            ("AuthorId", "7"),
            ("AuthorDate", "2026-03-01"),
            ("CommitMessage", &long),
            ("ConnectionArn", "arn:c"),
            ("TagName", "v1"),
        ];
        let ends = [with(fetched(), &more), ExecutionEvent::ExecutionSucceeded(ExecutionEnded {})];
        let told = triggers(started(TriggerType::WebhookV2).into_iter().chain(ends).collect());
        let commit = json!({
            "full-repository-name": "acme/shop", "provider-type": "GitHub", "author-email": "a@b", "author-id": "7",
            "author-date": "2026-03-01", "commit-message": "ü".repeat(2048), "connection-arn": "arn:c",
            "tag-name": "v1", "branch-name": "main", "commit-id": "1a2b",
        });
        assert_eq!(told[1], commit);
    }

    #[test]
    fn where_other_sources_failed_the_commit_is_told_of_every_end_but_that() {
        let mut events = started(TriggerType::WebhookV2);
        let others = ["a2", "a3"].map(|id| ActionExecutionId::parse(id).unwrap());
        for id in &others {
            let mut other = events[2].clone();
            if let ExecutionEvent::ActionStarted(action) = &mut other {
                action.action_execution = id.clone();
            }
            events.push(other);
        }
        events.push(fetched());
        for id in others {
            let mut lost = failed();
            if let ExecutionEvent::ActionFailed(failed) = &mut lost {
                failed.action_execution = id;
            }
            events.push(lost);
        }
        let told = |end: ExecutionEvent| triggers(events.iter().cloned().chain([end]).collect());
        assert_eq!(told(ExecutionEvent::ExecutionFailed(ExecutionEnded {}))[1], Value::Null);
        assert_eq!(told(ExecutionEvent::ExecutionStopped(ExecutionEnded {}))[1]["commit-id"], "1a2b");
    }

    #[test]
    fn an_action_is_told_of_in_the_region_it_declares() {
        let mut definition = pipeline("p").stage("Source", [source("Fetch"), source("Also")]).build();
        definition.stages[0].actions[0].region = serde_json::from_value(json!("eu-north-1")).unwrap();
        let id = execution_id("e1");
        let mut course = Course::default();
        let around = Surroundings { execution: &id, region: "eu-west-1", definition: Some(&definition) };
        let mut told = Vec::new();
        for (index, event) in started(TriggerType::Webhook).iter().enumerate() {
            let version = Version(index as u64 + 1);
            told.extend(tell(&mut course, Happened { event, version, at: Timestamp(1) }, around));
        }
        let action: Value = serde_json::from_str(&told.pop().unwrap().body()).unwrap();
        assert_eq!(action["region"], "eu-north-1");
    }
}

#[test]
fn moments_are_told_to_the_millisecond_and_to_the_minute() {
    use domain::state_change::{millis, minutes};
    use events::Timestamp;
    for (at, to_the_millisecond, to_the_minute) in [
        (0, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00Z"),
        (61_007, "1970-01-01T00:01:01.007Z", "1970-01-01T00:01Z"),
        (3_599_999, "1970-01-01T00:59:59.999Z", "1970-01-01T00:59Z"),
        (-1, "1969-12-31T23:59:59.999Z", "1969-12-31T23:59Z"),
    ] {
        let at = Timestamp(at);
        assert_eq!((millis(at).as_str(), minutes(at).as_str()), (to_the_millisecond, to_the_minute));
    }
}
