//! What may be asked before and after a stage: results, rules, their inputs, and what they refer to.

use crate::{StageError, accept, expect, gate, plain, refusal, rule, violations};
use serde_json::{Value, json};

fn lambda() -> Value {
    rule("LambdaInvoke", json!({"FunctionName": "f"}))
}

/// Gives a stage a gate with one condition of one rule.
fn ask(json: &mut Value, stage: usize, member: &str, result: &str, rule: Value) {
    json["stages"][stage][member] = gate(result, json!([rule]));
}

fn with(mut rule: Value, member: &str, value: Value) -> Value {
    rule[member] = value;
    rule
}

fn inputs(count: usize) -> Value {
    json!(vec![json!({"name": "Code"}); count])
}

#[test]
fn each_gate_has_its_results() {
    let of = |stage: usize, member: &str, result: &str| {
        let mut json = plain();
        ask(&mut json, stage, member, result, lambda());
        refusal(&json)
    };
    for (stage, member, legal, hint) in [
        (1, "beforeEntry", &["FAIL", "SKIP"][..], "use one of: FAIL, SKIP"),
        (0, "onSuccess", &["FAIL"], "use one of: FAIL"),
        (1, "onSuccess", &["ROLLBACK", "FAIL"], "use one of: ROLLBACK, FAIL"),
        (1, "onFailure", &["ROLLBACK"], "use one of: ROLLBACK"),
    ] {
        for result in ["ROLLBACK", "FAIL", "RETRY", "SKIP"] {
            let found = of(stage, member, result);
            if legal.contains(&result) {
                assert_eq!(found, None, "{member} {result}");
                continue;
            }
            let error = found.unwrap();
            assert_eq!(error.path, format!("stages[{stage}].{member}.conditions[0].result"));
            let words = format!("The result {result} cannot be used in {member} of this stage");
            assert_eq!((error.code, error.message), (StageError, words));
            assert_eq!(error.hint.as_deref(), Some(hint));
        }
    }
}

#[test]
fn a_failed_stage_is_rolled_back_or_tried_again() {
    expect(&[
        (
            "a failure that fails",
            |json| json["stages"][1]["onFailure"] = json!({"result": "FAIL"}),
            StageError,
            "stages[1].onFailure.result",
            "Stage 'Build' cannot have the failure result FAIL: a failed stage can only be rolled back or retried",
        ),
        (
            "the source stage rolled back",
            |json| json["stages"][0]["onFailure"] = json!({"result": "ROLLBACK"}),
            StageError,
            "stages[0].onFailure.result",
            "Stage 'Source' is the source stage: it cannot be rolled back",
        ),
        (
            "a retry configuration beside a rollback",
            |json| {
                json["stages"][1]["onFailure"] =
                    json!({"result": "ROLLBACK", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}});
            },
            StageError,
            "stages[1].onFailure.retryConfiguration",
            "Stage 'Build' has a retry configuration without the failure result RETRY",
        ),
    ]);
    accept(&[
        ("the source stage tried again", |json| json["stages"][0]["onFailure"] = json!({"result": "RETRY"})),
        ("a rollback", |json| json["stages"][1]["onFailure"] = json!({"result": "ROLLBACK"})),
        ("a retry with its configuration", |json| {
            json["stages"][1]["onFailure"] =
                json!({"result": "RETRY", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}});
        }),
        ("conditions alone", |json| ask(json, 1, "onFailure", "ROLLBACK", lambda())),
    ]);
}

#[test]
fn a_parallel_pipeline_has_nothing_to_go_back_to() {
    fn parallel(json: &mut Value) {
        json["executionMode"] = json!("PARALLEL");
    }
    let words = "Failure conditions with rollback result type cannot be added to a PARALLEL pipeline.";
    expect(&[
        (
            "a success that rolls back",
            |json| {
                parallel(json);
                ask(json, 1, "onSuccess", "ROLLBACK", lambda());
            },
            StageError,
            "stages[1].onSuccess",
            words,
        ),
        (
            "a failure condition that rolls back",
            |json| {
                parallel(json);
                ask(json, 1, "onFailure", "ROLLBACK", lambda());
            },
            StageError,
            "stages[1].onFailure",
            words,
        ),
        (
            "a failure condition that rolls back because it says nothing else",
            |json| {
                parallel(json);
                json["stages"][1]["onFailure"] = json!({"conditions": [{"rules": [lambda()]}]});
            },
            StageError,
            "stages[1].onFailure",
            words,
        ),
    ]);
    accept(&[
        ("a success that fails", |json| {
            parallel(json);
            ask(json, 1, "onSuccess", "FAIL", lambda());
        }),
        ("a success that says nothing", |json| {
            parallel(json);
            json["stages"][1]["onSuccess"] = json!({"conditions": [{"rules": [lambda()]}]});
        }),
        ("a retry", |json| {
            parallel(json);
            json["stages"][1]["onFailure"] = json!({"result": "RETRY"});
        }),
        ("a rollback in turn", |json| {
            json["executionMode"] = json!("QUEUED");
            ask(json, 1, "onSuccess", "ROLLBACK", lambda());
            json["stages"][2]["onFailure"] = json!({"result": "ROLLBACK"});
        }),
    ]);
}

#[test]
fn rules_take_what_their_type_takes() {
    let rule_path = "stages[1].beforeEntry.conditions[0].rules[0]";
    for (rule, member, words) in [
        (
            rule("LambdaInvoke", json!({"FunctionName": "f", "Payload": "x"})),
            ".configuration.Payload",
            "Rule configuration for rule 'R' contains unknown configuration 'Payload'",
        ),
        (
            rule("VariableCheck", json!({"Variable": "x", "Value": "y"})),
            ".configuration",
            "Rule configuration for rule 'R' is missing required configuration 'Operator'",
        ),
        (
            with(rule("Commands", json!({})), "inputArtifacts", inputs(1)),
            ".commands",
            "Rule R must have a non-empty commands field",
        ),
        (
            with(lambda(), "commands", json!(["true"])),
            ".commands",
            "The following rule cannot contain a commands field: R. To use the commands field, use the Commands rule.",
        ),
        (
            with(rule("Commands", json!({})), "commands", json!(["true"])),
            ".inputArtifacts",
            "Rule R declares 0 input artifacts which is less than the minimum count (1)",
        ),
        (
            with(lambda(), "inputArtifacts", inputs(6)),
            ".inputArtifacts",
            "Rule R declares 6 input artifacts which is more than the maximum count (5)",
        ),
        (
            with(rule("DeploymentWindow", json!({"Cron": "x"})), "inputArtifacts", inputs(1)),
            ".inputArtifacts",
            "Rule R declares 1 input artifacts which is more than the maximum count (0)",
        ),
        (
            with(
                lambda(),
                "ruleTypeId",
                json!({"category": "Rule", "provider": "LambdaInvoke", "version": "2"}),
            ),
            ".ruleTypeId",
            "RuleType (Category: 'Rule', Provider: 'LambdaInvoke', Owner: 'AWS', Version: '2') in rule 'R' is not \
             available in region 'US_EAST_1'",
        ),
        (
            with(rule("Nothing", json!({})), "region", json!("eu-west-1")),
            ".ruleTypeId",
            "RuleType (Category: 'Rule', Provider: 'Nothing', Owner: 'AWS', Version: '1') in rule 'R' is not \
             available in region 'EU_WEST_1'",
        ),
    ] {
        let found = violations(|json| ask(json, 1, "beforeEntry", "FAIL", rule));
        let said: Vec<_> = found.iter().map(|error| (error.code, &*error.path, &*error.message)).collect();
        assert_eq!(said, [(StageError, &*format!("{rule_path}{member}"), words)]);
    }
    accept(&[
        ("most inputs of a function", |json| {
            ask(json, 1, "beforeEntry", "SKIP", with(lambda(), "inputArtifacts", inputs(5)));
        }),
        ("fewest inputs of commands", |json| {
            let commands = with(rule("Commands", json!({})), "commands", json!(["true"]));
            ask(json, 1, "beforeEntry", "FAIL", with(commands, "inputArtifacts", inputs(1)));
        }),
        ("most inputs of commands", |json| {
            let commands = with(rule("Commands", json!({})), "commands", json!(["true"]));
            ask(json, 1, "beforeEntry", "FAIL", with(commands, "inputArtifacts", inputs(10)));
        }),
        ("a check of a variable that skips", |json| {
            let check = rule("VariableCheck", json!({"Variable": "x", "Value": "y", "Operator": "EQ"}));
            ask(json, 1, "beforeEntry", "SKIP", check);
        }),
        ("a rule of version 1 without saying so", |json| {
            let id = json!({"category": "Rule", "provider": "LambdaInvoke"});
            ask(json, 1, "beforeEntry", "FAIL", with(lambda(), "ruleTypeId", id));
        }),
        ("the same name in another stage", |json| {
            ask(json, 1, "beforeEntry", "FAIL", lambda());
            ask(json, 2, "beforeEntry", "FAIL", lambda());
        }),
    ]);
}

#[test]
fn the_artifacts_of_a_rule_are_made_before_it_is_asked() {
    for (stage, member, artifact, is_there) in [
        (1, "beforeEntry", "Code", true),
        (1, "beforeEntry", "Built", false),
        (2, "beforeEntry", "Built", true),
        (0, "onSuccess", "Code", true),
        (0, "onSuccess", "Built", false),
        (1, "onSuccess", "Built", true),
        (2, "onSuccess", "Built", true),
        (1, "onFailure", "Built", true),
        (0, "onFailure", "Built", false),
        (2, "onFailure", "Nothing", false),
    ] {
        let result = if member == "onFailure" { "ROLLBACK" } else { "FAIL" };
        let read = with(lambda(), "inputArtifacts", json!([{"name": "Code"}, {"name": artifact}]));
        let found = violations(|json| ask(json, stage, member, result, read));
        let said: Vec<_> = found.into_iter().map(|error| (error.code, error.path, error.message)).collect();
        let path = format!("stages[{stage}].{member}.conditions[0].rules[0].inputArtifacts[1]");
        let words = format!(
            "Input Artifact Bundle {artifact} in rule R is not declared as Output Artifact Bundle in any of the \
             preceding actions"
        );
        let expected = if is_there { vec![] } else { vec![(StageError, path, words)] };
        assert_eq!(said, expected, "{member} of stage {stage}");
    }
}

#[test]
fn what_a_rule_refers_to_was_published_before_it_is_asked() {
    const FORMAT: &str = "Valid format for a pipeline execution variable reference is a namespace and a key separated \
                          by a period (.). The following pipeline execution variables are";
    for (stage, member, namespace, problem) in [
        (1, "beforeEntry", "Src", None),
        (1, "beforeEntry", "Bld", Some("referencing a namespace of an action that does not run earlier.")),
        (2, "beforeEntry", "Bld", None),
        (0, "onSuccess", "Src", None),
        (0, "onSuccess", "Bld", Some("referencing a namespace of an action that does not run earlier.")),
        (1, "onSuccess", "Bld", None),
        (1, "onFailure", "Bld", None),
        (2, "onFailure", "Nobody", Some("referencing a namespace that does not exist.")),
        (2, "onFailure", "codepipeline", None),
    ] {
        let result = if member == "onFailure" { "ROLLBACK" } else { "FAIL" };
        let check = rule(
            "VariableCheck",
            json!({"Variable": format!("#{{{namespace}.key}}"), "Value": "y", "Operator": "EQ"}),
        );
        let found = violations(|json| ask(json, stage, member, result, check));
        let said: Vec<_> = found.into_iter().map(|error| (error.code, error.path, error.message)).collect();
        let name = ["Source", "Build", "Gate"][stage];
        let expected = problem.map(|problem| {
            let path = format!("stages[{stage}].{member}.conditions[0].rules[0].configuration.Variable");
            let words = format!(
                "{FORMAT} {problem}\nStageName=[{name}], RuleName=[R], RuleConfigurationKey=[Variable], \
                 VariableReferenceText=[{namespace}.key]"
            );
            (StageError, path, words)
        });
        assert_eq!(said, Vec::from_iter(expected), "{member} of stage {stage}");
    }
    let commands =
        with(rule("Commands", json!({})), "commands", json!(["true", "echo #{Src} #{Src.CommitId}"]));
    let found = violations(|json| {
        ask(json, 1, "beforeEntry", "FAIL", with(commands, "inputArtifacts", inputs(1)));
    });
    let said: Vec<_> = found.iter().map(|error| (error.code, &*error.path, &*error.message)).collect();
    assert_eq!(
        said,
        [(
            StageError,
            "stages[1].beforeEntry.conditions[0].rules[0].commands",
            &*format!(
                "{FORMAT} not in this format.\nStageName=[Build], RuleName=[R], RuleConfigurationKey=[commands], \
                 VariableReferenceText=[Src]"
            )
        )]
    );
}

#[test]
fn a_stage_that_is_full_is_legal() {
    accept(&[("50 actions", |json| {
        let action = json["stages"][2]["actions"][0].clone();
        let named = |number| with(action.clone(), "name", json!(format!("A{number}")));
        json["stages"][2]["actions"] = (0..50).map(named).collect();
    })]);
}
