//! What `GetPipelineState` shows of an action, as its row holds it.

use domain::{
    execution::ActionStatus,
    testing::*,
    views::pipeline_state::{ACTION_PREFIX, ActionRow, rows},
};
use events::{ActionCategory, ExecutionEvent, FailureCode, Timestamp, Version, codec::Stored};
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
