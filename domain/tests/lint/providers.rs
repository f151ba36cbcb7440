//! What providers refuse when it is too late: settings of builds, functions and stacks.

use crate::parts::*;
use crate::{said, said_of_any};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];

fn one(action: Value) -> Value {
    pipeline(vec![stage("Work", vec![action])])
}

fn set(mut action: Value, key: &str, value: &str) -> Value {
    action["configuration"][key] = json!(value);
    action
}

#[test]
fn the_primary_source_is_one_of_several_inputs() {
    let rule = "primary-source";
    let of = |inputs: Value, primary: Option<&str>| {
        let mut make = build("Make");
        make["outputArtifacts"] = json!([{"name": "Made"}]);
        let mut action = build("Do");
        action["inputArtifacts"] = inputs;
        if let Some(primary) = primary {
            action = set(action, "PrimarySource", primary);
        }
        said(rule, &pipeline(vec![stage("Make", vec![make]), stage("Work", vec![action])]))
    };
    let (one, two) = (json!([{"name": "Code"}]), json!([{"name": "Code"}, {"name": "Made"}]));
    let absent = "stages[2].actions[0].inputArtifacts: `Do` has 2 inputs and no `PrimarySource`.";
    let foreign =
        "stages[2].actions[0].configuration.PrimarySource: `PrimarySource` of `Do` is not among its inputs.";
    assert_eq!(of(one.clone(), None), NONE);
    assert_eq!(of(one.clone(), Some("Code")), NONE);
    assert_eq!(of(one, Some("Made")), [foreign]);
    assert_eq!(of(two.clone(), None), [absent]);
    assert_eq!(of(two.clone(), Some("Made")), NONE);
    assert_eq!(of(two.clone(), Some("#{Src.CommitId}")), NONE, "what it becomes is not known");
    assert_eq!(of(two, Some("Other")), [foreign]);
}

#[test]
fn json_settings_have_the_shape_their_provider_reads() {
    let rule = "malformed-json-setting";
    let start = || action("Do", "Invoke", "CodePipeline", json!({"PipelineName": "other"}));
    let machine = || action("Do", "Invoke", "StepFunctions", json!({"StateMachineArn": "arn"}));
    let pairs = "is not a list of `name` and `value`.";
    for (action, key, text, problem) in [
        (build("Do"), "EnvironmentVariables", r#"[{"name":"A","value":"1"},{"value":"1"}]"#, Some(pairs)),
        (build("Do"), "EnvironmentVariables", r#"[{"name":1,"value":"1"}]"#, Some(pairs)),
        (build("Do"), "EnvironmentVariables", r##"[{"name":"A","value":"#{Src.CommitId}"}]"##, None),
        (build("Do"), "EnvironmentVariables", "#{Src.A}#{Src.B}", None),
        (build("Do"), "EnvironmentVariables", " #{Src.A} ", None),
        (
            build("Do"),
            "EnvironmentVariables",
            "x #{Src.A}",
            Some("is not JSON: it breaks off or goes wrong at line 1, column 1 of the text."),
        ),
        (
            build("Do"),
            "EnvironmentVariables",
            "#{Src.A} x",
            Some("is not JSON: it breaks off or goes wrong at line 1, column 3 of the text."),
        ),
        (start(), "Variables", r#"[{"name":"A","value":"1"}]"#, None),
        (start(), "Variables", r#"{"A":"1"}"#, Some(pairs)),
        (start(), "SourceRevisions", "[1]", None),
        (start(), "SourceRevisions", "{}", Some("is not a list.")),
        (machine(), "Input", "7", None),
        (
            machine(),
            "Input",
            "{",
            Some("is not JSON: it breaks off or goes wrong at line 1, column 1 of the text."),
        ),
        (
            set(machine(), "InputType", "Literal"),
            "Input",
            "{",
            Some("is not JSON: it breaks off or goes wrong at line 1, column 1 of the text."),
        ),
        (set(machine(), "InputType", "FilePath"), "Input", "input.json", None),
        (stack("Do", "DELETE_ONLY"), "ParameterOverrides", r#"{"A":"1"}"#, None),
        (stack("Do", "DELETE_ONLY"), "ParameterOverrides", "[]", Some("is not an object.")),
        (commands("Do", &["true"]), "EnvironmentVariables", "no JSON", None),
    ] {
        let definition = one(set(action, key, text));
        let expected: Vec<String> = problem
            .map(|problem| format!("stages[1].actions[0].configuration.{key}: `{key}` of `Do` {problem}"))
            .into_iter()
            .collect();
        assert_eq!(said_of_any(rule, &definition), expected, "{key}: {text}");
    }
}

#[test]
fn overrides_of_1024_bytes_are_let_through() {
    let of = |size: usize| {
        let text = json!({"Text": "x".repeat(size - r#"{"Text":""}"#.len())}).to_string();
        assert_eq!(text.len(), size);
        said("parameter-overrides-size", &one(set(stack("Do", "DELETE_ONLY"), "ParameterOverrides", &text)))
    };
    assert_eq!(of(1024), NONE);
    let words =
        "stages[1].actions[0].configuration.ParameterOverrides: the overrides of `Do` have 1025 bytes.";
    assert_eq!(of(1025), [words]);
}

#[test]
fn every_setting_that_is_a_yes_or_no_is_read() {
    let rule = "not-a-boolean";
    for key in ["PollForSourceChanges", "DetectChanges", "Extract", "BatchEnabled", "CombineArtifacts"] {
        let words = format!(
            "stages[1].actions[0].configuration.{key}: `{key}` of `Do` is neither `true` nor `false`."
        );
        assert_eq!(said_of_any(rule, &one(set(build("Do"), key, "1"))), [words]);
        for fits in ["true", "FALSE", "#{Src.Flag}"] {
            assert_eq!(said_of_any(rule, &one(set(build("Do"), key, fits))), NONE, "{key}: {fits}");
        }
    }
}

#[test]
fn each_mode_of_a_stack_action_has_its_needs() {
    let rule = "incomplete-stack-action";
    for (mode, needed) in [
        ("CREATE_UPDATE", &["TemplatePath", "RoleArn"][..]),
        ("REPLACE_ON_FAILURE", &["TemplatePath", "RoleArn"]),
        ("CHANGE_SET_REPLACE", &["ChangeSetName", "TemplatePath", "RoleArn"]),
        ("CHANGE_SET_EXECUTE", &["ChangeSetName"]),
        ("DELETE_ONLY", &["RoleArn"]),
        ("#{Src.Mode}", &[]),
    ] {
        let mut bare = stack("Do", mode);
        bare["configuration"] = json!({"ActionMode": mode, "StackName": "shop"});
        let of = |key: &&str| {
            format!("stages[1].actions[0].configuration: `Do` has the mode `{mode}`, which needs `{key}`.")
        };
        assert_eq!(said(rule, &one(bare)), needed.iter().map(of).collect::<Vec<_>>());
        assert_eq!(said(rule, &one(stack("Do", mode))), NONE);
    }
    assert_eq!(
        said(rule, &one(stack("Do", "UPDATE"))),
        [
            "stages[1].actions[0].configuration.ActionMode: `Do` has an `ActionMode` that does not exist; there are \
          `CREATE_UPDATE`, `REPLACE_ON_FAILURE`, `CHANGE_SET_REPLACE`, `CHANGE_SET_EXECUTE`, `DELETE_ONLY`."
        ]
    );
}

#[test]
fn a_change_set_that_is_not_there_yet_is_told_by_why() {
    let rule = "change-set-not-prepared";
    let of = |make: Value, execute: Value| {
        said_of_any(rule, &pipeline(vec![stage("Stack", vec![make, execute])]))
            .into_iter()
            .map(|line| line.replace("stages[1].actions[1].configuration.ChangeSetName: ", ""))
            .collect::<Vec<_>>()
    };
    let make = |order| at(order, stack("Make", "CHANGE_SET_REPLACE"));
    let execute = |order| at(order, stack("Execute", "CHANGE_SET_EXECUTE"));
    assert_eq!(of(make(1), execute(2)), NONE);
    assert_eq!(
        of(make(2), execute(2)),
        ["`Execute` starts together with `Make`, which makes its change set."]
    );
    assert_eq!(of(make(3), execute(2)), ["`Execute` runs before `Make`, which makes its change set."]);
    assert_eq!(
        of(set(make(1), "ChangeSetName", "other"), execute(2)),
        ["`Execute` executes another change set than `Make` makes for the same stack."]
    );
    assert_eq!(of(set(make(1), "StackName", "other"), execute(2)), NONE, "it is made for another stack");
    assert_eq!(of(at(1, stack("Make", "CREATE_UPDATE")), execute(2)), NONE, "it is made elsewhere");
    let mut nameless = execute(1);
    nameless["configuration"].as_object_mut().unwrap().remove("ChangeSetName");
    assert_eq!(of(make(1), nameless), NONE, "that it lacks a name is told already");
    let mut elsewhere = make(2);
    elsewhere["region"] = json!("eu-west-1");
    assert_eq!(of(elsewhere, execute(1)), NONE, "a stack of another Region is another stack");
    let mut foreign = make(2);
    foreign["actionTypeId"]["provider"] = json!("CloudFormationStackSet");
    assert_eq!(of(foreign, execute(1)), NONE);
    let over_stages =
        |first: Value, second: Value| pipeline(vec![stage("One", vec![first]), stage("Two", vec![second])]);
    assert_eq!(said(rule, &over_stages(make(9), execute(1))), NONE);
    assert_eq!(said(rule, &over_stages(execute(1), make(1))).len(), 1);
}

#[test]
fn a_retry_of_failed_actions_uses_a_change_set_twice_only_where_one_is_executed() {
    let of = |action: Value, retry: Value| {
        let mut stage = stage("Stack", vec![build("Check"), action]);
        stage["onFailure"] = retry;
        said_of_any("retry-of-used-change-set", &pipeline(vec![stage]))
    };
    let words = "stages[1].onFailure: when `Do` fails, its change set is executed a second time.";
    let retry = || json!({"result": "RETRY"});
    let execute = || stack("Do", "CHANGE_SET_EXECUTE");
    assert_eq!(of(execute(), retry()), [words], "failed actions are the default");
    assert_eq!(
        of(execute(), json!({"result": "RETRY", "retryConfiguration": {"retryMode": "FAILED_ACTIONS"}})),
        [words]
    );
    assert_eq!(of(execute(), json!({"result": "ROLLBACK"})), NONE);
    assert_eq!(of(stack("Do", "CHANGE_SET_REPLACE"), retry()), NONE);
    let mut foreign = execute();
    foreign["actionTypeId"]["provider"] = json!("CloudFormationStackSet");
    assert_eq!(of(foreign, retry()), NONE);
}
