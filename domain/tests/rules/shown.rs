//! What `GetPipelineState` shows of an action and of a gate, as their rows hold it.

use domain::{
    execution::{ActionStatus, ConditionStatus},
    testing::*,
    views::pipeline_state::{ACTION_PREFIX, ActionRow, ConditionRow, condition_key, rows, stage_key},
};
use events::{ActionCategory, ConditionType, ExecutionEvent, FailureCode, Timestamp, Version, codec::Stored};
use serde_json::json;

/// As rows were written before they held only what is shown.
const EARLIER: &str = r#"{"execution":"e1","attempt":{"action":"A","action_execution":"a1","entry":2,
    "action_type":{"category":"Test","owner":"AWS","provider":"CodeBuild","version":"1"},"status":"Failed",
    "started":1000,"updated":2000,"deadline":9000,"token":"t1","resolved":{"ProjectName":"shop"},
    "inputs":[{"name":"App","bucket":"b","key":"k"}],"outputs":[],"output_variables":{"Tag":"1"},
    "revision":{"action":"A","revision_id":"r1"},"error":["JobFailed","exit status 1"],"summary":"12 tests",
    "external_execution_id":"shop:1","external_execution_url":"https://example.com/1","percent_complete":50,
    "job":null,"mocked":false,"by":"ann","set_aside":false,"result_ignored":false}}"#;

const LEAST: &str = r#"{"execution":"e1","attempt":{"action":"A","action_execution":"a1","entry":2,
    "action_type":{"category":"Test","owner":"AWS","provider":"CodeBuild","version":"1"},"status":"InProgress",
    "started":1000,"updated":1000,"deadline":9000,"token":null,"resolved":{},"inputs":[],"outputs":[],
    "output_variables":{},"revision":null,"error":null,"summary":null,"external_execution_id":null,
    "external_execution_url":null,"percent_complete":null,"job":null,"mocked":false,"by":null,"set_aside":false,
    "result_ignored":false}}"#;

#[test]
fn rows_of_an_earlier_version_are_read() {
    let ActionRow { execution, attempt } = serde_json::from_str(EARLIER).unwrap();
    assert_eq!((execution.as_str(), attempt.action_execution.as_str()), ("e1", "a1"));
    assert_eq!((attempt.action_type.category, attempt.status), (ActionCategory::Test, ActionStatus::Failed));
    assert_eq!((attempt.updated, attempt.token.as_deref()), (Timestamp(2000), Some("t1")));
    assert_eq!(attempt.resolved.get("ProjectName").map(String::as_str), Some("shop"));
    assert_eq!(attempt.revision.as_ref().map(|revision| revision.revision_id.as_str()), Some("r1"));
    assert_eq!(attempt.error.as_deref(), Some(&(FailureCode::JobFailed, "exit status 1".to_owned())));
    assert_eq!(attempt.summary.as_deref(), Some("12 tests"));
    assert_eq!(attempt.external_execution_id.as_deref(), Some("shop:1"));
    assert_eq!(attempt.external_execution_url.as_deref(), Some("https://example.com/1"));
    assert_eq!((attempt.percent_complete, attempt.by.as_deref()), (Some(50), Some("ann")));
    let least: ActionRow<'_> = serde_json::from_str(LEAST).unwrap();
    assert_eq!(least.attempt.status, ActionStatus::InProgress);
    assert!(least.attempt.token.is_none() && least.attempt.error.is_none());
}

#[test]
fn a_row_holds_what_the_attempt_has() {
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Gate", [approval("Ask")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_answered("e1", "Ask", true).accepted();
    let row = |stage: usize, name: &str| {
        let run = world.run("e1");
        let attempt = &run.stages[stage].attempts[0];
        let succeeded = json!({
            "stage": run.stages[stage].stage, "action": name, "action_execution": attempt.action_execution,
            "output_variables": {},
        });
        let succeeded = ExecutionEvent::decode("ActionSucceeded", 1, &succeeded.to_string()).unwrap();
        let made = rows(&execution_id("e1"), run, Version(9), [&succeeded]);
        let key = format!("{ACTION_PREFIX}{}/{name}", run.stages[stage].stage);
        let body = made.into_iter().find(|row| row.q == key).and_then(|row| row.body).unwrap();
        (attempt.clone(), body)
    };
    for (stage, name) in [(0, "Src"), (1, "Ask")] {
        let (attempt, body) = row(stage, name);
        let ActionRow { attempt: shown, .. } = serde_json::from_str(&body).unwrap();
        assert_eq!(shown.token.as_deref(), attempt.token.as_deref());
        assert_eq!(shown.revision.as_deref(), attempt.revision.as_ref());
        assert_eq!(shown.summary.as_deref(), attempt.summary.as_deref());
        assert_eq!(shown.by.as_deref(), attempt.by.as_deref());
        assert_eq!((shown.status, shown.updated), (attempt.status, attempt.updated));
        assert_eq!(*shown.resolved, attempt.resolved);
    }
}

/// As rows of gates were written before they held only what is shown.
const EARLIER_GATE: &str = r#"{"execution":"e1","condition":{"condition":"ON_SUCCESS","entry":2,"status":"Overridden",
    "summary":"Calm stood in the way","rules":[{"rule":"Calm","rule_execution":"0b9f3c4d-5e6f-8a7b-8c9d-0e1f2a3b4c5d","entry":2,
    "provider":"CloudWatchAlarm","version":"1","status":"Failed","started":1000,"updated":2000,"deadline":9000,
    "resolved":{"AlarmName":"a"},"inputs":[],"error":["JobFailed","it rings"],"summary":"since noon",
    "external_execution_id":"x:1","external_execution_url":"https://example.com/x","mocked":false,
    "result_ignored":false}],"started":1000,"updated":3000,"by":"ann","set_aside":false}}"#;

#[test]
fn rows_of_gates_of_an_earlier_version_are_read() {
    let ConditionRow { execution, condition } = serde_json::from_str(EARLIER_GATE).unwrap();
    assert_eq!((execution.as_str(), condition.status), ("e1", ConditionStatus::Overridden));
    assert_eq!((condition.updated, condition.by.as_deref()), (Timestamp(3000), Some("ann")));
    assert_eq!(condition.summary.as_deref(), Some("Calm stood in the way"));
    let [rule] = condition.rules.as_slice() else { panic!("one rule: {condition:?}") };
    assert_eq!(
        (rule.rule.as_str(), rule.rule_execution.as_str()),
        ("Calm", "0b9f3c4d-5e6f-8a7b-8c9d-0e1f2a3b4c5d")
    );
    assert_eq!((rule.status, rule.updated), (ActionStatus::Failed, Timestamp(2000)));
    assert_eq!(rule.error.as_deref(), Some(&(FailureCode::JobFailed, "it rings".to_owned())));
    assert_eq!(rule.summary.as_deref(), Some("since noon"));
    assert_eq!(rule.external_execution_id.as_deref(), Some("x:1"));
    assert_eq!(rule.external_execution_url.as_deref(), Some("https://example.com/x"));
}

#[test]
fn what_happens_at_a_gate_writes_its_row_and_no_other() {
    let bare = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let gated = bare.before_entry("FAIL", [rule("In"), rule("Also")]).on_success("FAIL", [rule("Out")]);
    let mut world = given(gated);
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_rule_succeeds("e1", "In").accepted();
    world.when_rule_succeeds("e1", "Also").accepted();
    world.succeed("e1", "Push");
    let run = world.run("e1");
    let deploy = &run.stages[1];
    let [entered, left] = [&deploy.conditions[0], &deploy.conditions[1]];
    let written = |event: ExecutionEvent| {
        let made = rows(&execution_id("e1"), run, Version(9), [&event]);
        made.into_iter().map(|row| (row.q, row.body.unwrap())).collect::<Vec<_>>()
    };
    let key = |gate| condition_key(&deploy.stage, gate);
    let places = |event| Vec::from_iter(written(event).into_iter().map(|(place, _)| place));
    for (gate, asked, name) in
        [(ConditionType::BeforeEntry, entered, "In"), (ConditionType::OnSuccess, left, "Out")]
    {
        let named = asked.rules.iter().find(|run| run.rule.as_str() == name).unwrap();
        let event = |kind: &str| {
            let body = json!({
                "stage": deploy.stage, "condition": gate, "entry": asked.entry, "verdict": "Succeeded",
                "rule": named.rule, "rule_execution": named.rule_execution, "provider": named.provider,
                "version": named.version, "deadline": named.deadline, "external_execution_id": "x:1",
                "code": "JobFailed", "message": "it rings", "by": "ann",
            });
            ExecutionEvent::decode(kind, 1, &body.to_string()).unwrap()
        };
        let at_the_gate = [
            "ConditionStarted",
            "ConditionEnded",
            "RuleStarted",
            "RuleProgressed",
            "RuleSucceeded",
            "RuleFailed",
            "RuleAbandoned",
        ];
        for kind in at_the_gate {
            assert_eq!(places(event(kind)), [key(gate)], "{kind}");
        }
        assert!(places(event("RuleResultIgnored")).is_empty(), "nothing of it is shown");
        let asked_again = places(event("ConditionOverridden"));
        let all = [stage_key(&deploy.stage), key(ConditionType::BeforeEntry), key(ConditionType::OnSuccess)];
        assert_eq!(asked_again, all, "who is in the stage now, with its gates, and no attempt");
    }
}

#[test]
fn the_work_of_a_rule_is_shown_while_it_goes_on() {
    let gated = pipeline("p").stage("Source", [source("Src")]).stage("Deploy", [deploy("Push")]);
    let mut world = given(gated.before_entry("FAIL", [rule("In"), rule("Also")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_rule_fails("e1", "Also").accepted();
    let mut run = world.run("e1").clone();
    let first = &run.stages[1].conditions[0].rules[0];
    let body = json!({
        "stage": "Deploy", "rule": first.rule, "rule_execution": first.rule_execution,
        "external_execution_id": "shop:1", "external_execution_url": "https://example.com/1",
    });
    let progressed = ExecutionEvent::decode("RuleProgressed", 1, &body.to_string()).unwrap();
    run.evolve(&progressed, world.now);
    let mut made = rows(&execution_id("e1"), &run, Version(9), [&progressed]);
    let body = made.pop().and_then(|row| row.body).unwrap();
    let ConditionRow { condition, .. } = serde_json::from_str(&body).unwrap();
    assert_eq!(condition.status, ConditionStatus::InProgress);
    let [first, second] = condition.rules.as_slice() else { panic!("two rules: {condition:?}") };
    assert_eq!(first.external_execution_id.as_deref(), Some("shop:1"));
    assert_eq!(first.external_execution_url.as_deref(), Some("https://example.com/1"));
    assert_eq!((first.status, second.status), (ActionStatus::InProgress, ActionStatus::Failed));
    assert_eq!(second.error.as_deref().map(|(code, _)| *code), Some(FailureCode::JobFailed));
}
