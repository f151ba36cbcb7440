//! What to do about a violation, in plain words.

use crate::{commands, compile, gate, refused, rule, turn};
use serde_json::{Value, json};

type Row = (&'static str, fn(&mut Value), Option<&'static str>);

fn hint(rows: &[Row]) {
    for (what, change, hint) in rows {
        let error = refused(what, change);
        assert_eq!(error.hint.as_deref(), *hint, "{what}: {}", error.message);
    }
}

fn entry(json: &mut Value, rule: Value) {
    json["stages"][1]["beforeEntry"] = gate("FAIL", json!([rule]));
}

#[test]
fn a_type_that_is_not_there_is_answered_with_one_that_is() {
    hint(&[
        (
            "a provider of another category",
            |json| turn(json, "Build", "S3", json!({})),
            Some("there is `Source/AWS/S3/1`"),
        ),
        (
            "another version",
            |json| compile(json)["actionTypeId"]["version"] = json!("2"),
            Some("there is `Build/AWS/CodeBuild/1`"),
        ),
        ("a slip", |json| turn(json, "Build", "CodeBiuld", json!({})), Some("did you mean `CodeBuild`?")),
        ("a slip in another category", |json| turn(json, "Deploy", "CodeBiuld", json!({})), None),
        ("nothing like it", |json| turn(json, "Build", "Nothing", json!({})), None),
        (
            "a custom one",
            |json| {
                turn(json, "Build", "Nothing", json!({}));
                compile(json)["actionTypeId"]["owner"] = json!("Custom");
            },
            Some("create the custom action type first"),
        ),
        (
            "a slip in a rule",
            |json| entry(json, rule("LambdaInvok", json!({}))),
            Some("did you mean `LambdaInvoke`?"),
        ),
        ("no rule at all", |json| entry(json, rule("Nothing", json!({}))), None),
        (
            "a rule of another version",
            |json| {
                let mut lambda = rule("LambdaInvoke", json!({"FunctionName": "f"}));
                lambda["ruleTypeId"]["version"] = json!("2");
                entry(json, lambda);
            },
            Some("use version `1`"),
        ),
    ]);
}

#[test]
fn a_key_that_is_unknown_or_missing_is_answered_with_what_to_write() {
    hint(&[
        (
            "nothing like it",
            |json| compile(json)["configuration"]["Nothing"] = json!("x"),
            Some("`CodeBuild` does not know this key: remove it"),
        ),
        (
            "a missing key",
            |json| compile(json)["configuration"] = json!({}),
            Some("add `ProjectName` to `configuration`"),
        ),
        (
            "an empty value",
            |json| compile(json)["configuration"]["ProjectName"] = json!(""),
            Some("leave `ProjectName` out, or give it a value"),
        ),
        (
            "a long value",
            |json| compile(json)["configuration"]["ProjectName"] = json!("x".repeat(50_001)),
            None,
        ),
        (
            "a slip in a rule",
            |json| entry(json, rule("LambdaInvoke", json!({"FunctionName": "f", "UserParameter": "x"}))),
            Some("did you mean `UserParameters`?"),
        ),
        (
            "nothing like it in a rule",
            |json| entry(json, rule("LambdaInvoke", json!({"FunctionName": "f", "X": "x"}))),
            None,
        ),
        (
            "a rule that may not skip",
            |json| {
                json["stages"][1]["beforeEntry"] =
                    gate("SKIP", json!([rule("CloudWatchAlarm", json!({"AlarmName": "a"}))]));
            },
            Some("only `LambdaInvoke` and `VariableCheck` may skip a stage"),
        ),
        (
            "a template in no input",
            |json| {
                let configuration =
                    json!({"ActionMode": "CREATE_UPDATE", "StackName": "s", "TemplatePath": "Other::t.yml"});
                turn(json, "Deploy", "CloudFormation", configuration);
            },
            Some("add `Other` to `inputArtifacts`"),
        ),
        ("several lines", |json| commands(json, &["a\nb"]), Some("write each line as a command of its own")),
        (
            "a time limit",
            |json| compile(json)["timeoutInMinutes"] = json!(9),
            Some("leave `timeoutInMinutes` out"),
        ),
    ]);
}

#[test]
fn a_reference_to_nothing_is_answered_with_what_may_be_meant() {
    fn ask(json: &mut Value, reference: &str) {
        json["variables"] = json!([{"name": "Environment"}]);
        compile(json)["configuration"]["ProjectName"] = json!(reference);
    }
    hint(&[
        (
            "a slip in a variable",
            |json| ask(json, "#{variables.Enviroment}"),
            Some("did you mean `#{variables.Environment}`?"),
        ),
        (
            "no such variable",
            |json| ask(json, "#{variables.Size}"),
            Some("add `Size` to the pipeline's `variables`"),
        ),
        (
            "a slip in a namespace",
            |json| ask(json, "#{src.CommitId}"),
            Some("did you mean `#{Src.CommitId}`?"),
        ),
        (
            "no such namespace",
            |json| ask(json, "#{Measure.Size}"),
            Some("add `namespace` `Measure` to the action that publishes it"),
        ),
        (
            "a namespace that comes later",
            |json| {
                json["stages"][2]["actions"][0]["namespace"] = json!("Later");
                ask(json, "#{Later.Size}");
            },
            Some("let the action with the namespace `Later` run in an earlier stage or group"),
        ),
        ("no reference at all", |json| ask(json, "#{Size}"), None),
        (
            "a variable in a source",
            |json| {
                json["variables"] = json!([{"name": "x"}]);
                json["stages"][0]["actions"][0]["configuration"]["BranchName"] = json!("#{variables.x}");
            },
            Some("write the value itself, or override the source revision when starting an execution"),
        ),
    ]);
}

#[test]
fn what_stands_in_the_wrong_place_is_answered_with_the_right_one() {
    hint(&[
        (
            "an action elsewhere with a single store",
            |json| compile(json)["region"] = json!("eu-west-1"),
            Some("this pipeline's own Region is `us-east-1`"),
        ),
        (
            "no store in a Region",
            |json| {
                json["artifactStores"] = json!({"us-east-1": json["artifactStore"].take()});
                compile(json)["region"] = json!("eu-west-1");
            },
            Some("add a store for `eu-west-1`"),
        ),
        (
            "a source later",
            |json| json["stages"][2]["actions"][0] = json["stages"][0]["actions"][0].clone(),
            Some("move `Fetch` into the first stage"),
        ),
        (
            "no source at the start",
            |json| drop(json["stages"].as_array_mut().unwrap().remove(0)),
            Some("move every action that is no source into a later stage"),
        ),
        (
            "an input nobody makes",
            |json| compile(json)["inputArtifacts"] = json!([{"name": "X"}]),
            Some("no action has `X` among its `outputArtifacts`"),
        ),
        (
            "a namespace of three",
            |json| {
                compile(json)["namespace"] = json!("Src");
                json["stages"][2]["actions"][0]["namespace"] = json!("Src");
            },
            Some("give each action its own namespace"),
        ),
        (
            "a reserved namespace",
            |json| compile(json)["namespace"] = json!("codepipeline"),
            Some("choose another namespace"),
        ),
        (
            "result and conditions",
            |json| {
                let rules = json!([rule("LambdaInvoke", json!({"FunctionName": "f"}))]);
                json["stages"][1]["onFailure"] = gate("ROLLBACK", rules);
                json["stages"][1]["onFailure"]["result"] = json!("RETRY");
            },
            Some("keep `result` or `conditions`"),
        ),
        ("a run order that is none", |json| compile(json)["runOrder"] = json!("1"), None),
    ]);
}
