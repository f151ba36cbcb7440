//! Stages, their conditions and their rules.

use crate::{BlockerError, MemberError, StageError, expect, gate, rule};
use serde_json::json;

#[test]
fn stages() {
    expect(&[
        (
            "a stage name twice",
            |json| json["stages"][2]["name"] = json!("Build"),
            StageError,
            "stages[2].name",
            "Stage name 'Build' is used more than once",
        ),
        (
            "a stage without actions",
            |json| json["stages"][2]["actions"] = json!([]),
            StageError,
            "stages[2].actions",
            "Stage 'Gate' must contain at least one action",
        ),
        (
            "51 actions",
            |json| {
                let action = json["stages"][2]["actions"][0].clone();
                let named = |number| {
                    let mut action = action.clone();
                    action["name"] = json!(format!("A{number}"));
                    action
                };
                json["stages"][2]["actions"] = (0..51).map(named).collect();
            },
            StageError,
            "stages[2].actions",
            "Stage 'Gate' has too many actions. There can only be up to 50 actions in a stage",
        ),
        (
            "a blocker",
            |json| json["stages"][2]["blockers"] = json!([{"name": "b", "type": "Schedule"}]),
            BlockerError,
            "stages[2].blockers[0]",
            "Blocker 'b' in stage 'Gate' cannot be used: blockers are reserved",
        ),
        (
            "rollback in PARALLEL mode",
            |json| {
                json["executionMode"] = json!("PARALLEL");
                json["stages"][1]["onFailure"] = json!({"result": "ROLLBACK"});
            },
            StageError,
            "stages[1].onFailure",
            "Failure conditions with rollback result type cannot be added to a PARALLEL pipeline.",
        ),
        (
            "result and conditions",
            |json| {
                let rules = json!([rule("LambdaInvoke", json!({"FunctionName": "f"}))]);
                json["stages"][1]["onFailure"] = gate("ROLLBACK", rules);
                json["stages"][1]["onFailure"]["result"] = json!("RETRY");
            },
            StageError,
            "stages[1].onFailure",
            "The following stage cannot have a failure exit gate configured with both top level result and \
             conditions: 'Build'",
        ),
        (
            "a retry configuration without a retry",
            |json| {
                json["stages"][1]["onFailure"] = json!({"retryConfiguration": {"retryMode": "ALL_ACTIONS"}})
            },
            StageError,
            "stages[1].onFailure.retryConfiguration",
            "Stage 'Build' has a retry configuration without the failure result RETRY",
        ),
        (
            "a failure that skips",
            |json| json["stages"][1]["onFailure"] = json!({"result": "SKIP"}),
            StageError,
            "stages[1].onFailure.result",
            "Stage 'Build' cannot have the failure result SKIP: a failed stage can only be rolled back or retried",
        ),
    ]);
}

#[test]
fn conditions_and_rules() {
    expect(&[
        (
            "an entry condition on the source stage",
            |json| {
                let rules = json!([rule("LambdaInvoke", json!({"FunctionName": "f"}))]);
                json["stages"][0]["beforeEntry"] = gate("FAIL", rules);
            },
            StageError,
            "stages[0].beforeEntry",
            "Stage 'Source' is the source stage: it cannot have entry conditions",
        ),
        (
            "an entry condition that rolls back",
            |json| {
                let rules = json!([rule("LambdaInvoke", json!({"FunctionName": "f"}))]);
                json["stages"][1]["beforeEntry"] = gate("ROLLBACK", rules);
            },
            StageError,
            "stages[1].beforeEntry.conditions[0].result",
            "The result ROLLBACK cannot be used in beforeEntry of this stage",
        ),
        (
            "a rule that may not skip",
            |json| {
                let rules = json!([rule("DeploymentWindow", json!({"Cron": "* * 9-17 ? * MON-FRI"}))]);
                json["stages"][1]["beforeEntry"] = gate("SKIP", rules);
            },
            StageError,
            "stages[1].beforeEntry.conditions[0].rules[0].ruleTypeId",
            "Rule 'R' cannot be used in a condition with the result SKIP",
        ),
        (
            "an unknown rule",
            |json| json["stages"][1]["beforeEntry"] = gate("FAIL", json!([rule("LambdaInvok", json!({}))])),
            StageError,
            "stages[1].beforeEntry.conditions[0].rules[0].ruleTypeId",
            "RuleType (Category: 'Rule', Provider: 'LambdaInvok', Owner: 'AWS', Version: '1') in rule 'R' is not \
             available in region 'US_EAST_1'",
        ),
        (
            "a rule without its configuration",
            |json| json["stages"][1]["beforeEntry"] = gate("FAIL", json!([rule("LambdaInvoke", json!({}))])),
            StageError,
            "stages[1].beforeEntry.conditions[0].rules[0].configuration",
            "Rule configuration for rule 'R' is missing required configuration 'FunctionName'",
        ),
        (
            "two rules of one name",
            |json| {
                let one = rule("LambdaInvoke", json!({"FunctionName": "f"}));
                json["stages"][1]["beforeEntry"] = gate("FAIL", json!([one, one]));
            },
            StageError,
            "stages[1].beforeEntry.conditions[0].rules[1].name",
            "Rule name 'R' is used more than once in a condition of stage 'Build'",
        ),
        (
            "no rules",
            |json| json["stages"][1]["beforeEntry"] = gate("FAIL", json!([])),
            MemberError,
            "stages[1].beforeEntry.conditions[0].rules",
            "1 validation error detected: Value at \
             'pipeline.stages.2.member.beforeEntry.conditions.1.member.rules' failed to satisfy constraint: Member \
             must have length greater than or equal to 1",
        ),
    ]);
}
