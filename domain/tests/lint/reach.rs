//! Who may reach what: accounts, roles, artifacts and their keys.

use crate::parts::*;
use crate::{said, said_of_any};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];
const OTHER: &str = "arn:aws:iam::210987654321:role/other";

fn with_commands(line: &str) -> Value {
    pipeline(vec![stage("Check", vec![commands("Say", &[line])])])
}

fn with(mut action: Value, member: &str, value: Value) -> Value {
    action[member] = value;
    action
}

fn github() -> Value {
    let configuration = json!({"Owner": "o", "Repo": "r", "Branch": "main", "OAuthToken": "****"});
    let mut source = action("Fetch", "Source", "GitHub", configuration);
    source["actionTypeId"]["owner"] = json!("ThirdParty");
    with(source, "outputArtifacts", json!([{"name": "Code"}]))
}

fn lambda(name: &str) -> Value {
    action(name, "Invoke", "Lambda", json!({"FunctionName": "f"}))
}

/// A rule of the second stage, asked before its actions.
fn entry(rule: Value) -> Value {
    let mut definition = pipeline(vec![stage("Check", vec![build("Compile")])]);
    definition["stages"][1]["beforeEntry"] = json!({"conditions": [{"result": "FAIL", "rules": [rule]}]});
    definition
}

fn rule_of(provider: &str, configuration: Value) -> Value {
    json!({"name": "R", "configuration": configuration,
        "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": provider, "version": "1"}})
}

#[test]
fn a_resource_is_foreign_if_its_account_is_neither_the_pipelines_nor_the_roles() {
    let rule = "hardcoded-arn";
    let words =
        "this names a resource of account 210987654321; the pipeline belongs to account 123456789012.";
    for (line, is_told) in [
        ("echo arn:aws:sns:us-east-1:210987654321:t", true),
        ("echo arn:aws-cn:sns:us-east-1:210987654321:t", true),
        ("echo 'arn:aws:sns:us-east-1:123456789012:t','arn:aws:sns:us-east-1:210987654321:t'", true),
        ("echo arn:aws:sns:us-east-1:123456789012:t", false),
        ("echo arn:aws:iam::aws:policy/ReadOnly", false),
        ("echo arn:aws:sns:us-east-1:21098765432x:t", false),
        ("echo arn:aws:sns:us-east-1:2109876543210:t", false),
        ("echo urn:aws:sns:us-east-1:210987654321:t", false),
    ] {
        let expected =
            if is_told { vec![format!("stages[1].actions[0].commands[0]: {words}")] } else { vec![] };
        assert_eq!(said(rule, &with_commands(line)), expected, "{line}");
    }
    let lambda =
        rule_of("LambdaInvoke", json!({"FunctionName": "arn:aws:lambda:us-east-1:210987654321:function:f"}));
    assert_eq!(
        said(rule, &entry(lambda)),
        [format!("stages[1].beforeEntry.conditions[0].rules[0].configuration.FunctionName: {words}")]
    );
}

#[test]
fn a_number_is_an_account_if_it_is_known_to_be_one() {
    let rule = "hardcoded-account-id";
    let place = "stages[1].actions[0].commands[0]";
    for (line, number) in [
        ("echo 123456789012", Some("123456789012")),
        ("echo 123456789012a", None),
        ("echo a123456789012", None),
        ("echo 123456789012-x", Some("123456789012")),
        ("echo 210987654321", None),
        ("pull 210987654321.dkr.ecr.us-east-1.amazonaws.com/x", Some("210987654321")),
        ("pull 210987654321.dkr.example.com/x", None),
        ("echo ä123456789012", None),
        ("echo arn:aws:s3:::b 123456789012", Some("123456789012")),
        ("echo arn:aws:s3:::b,123456789012", Some("123456789012")),
        ("echo \"arn:aws:s3:::b\"123456789012", Some("123456789012")),
        ("echo arn:aws:s3:::b-123456789012", None),
        ("echo x-arn:aws:sns:us-east-1:123456789012:t 123456789012", Some("123456789012")),
    ] {
        let expected: Vec<String> = number
            .map(|number| format!("{place}: the account {number} is written into this text."))
            .into_iter()
            .collect();
        assert_eq!(said(rule, &with_commands(line)), expected, "{line}");
    }
    let mut lent = with_commands("echo 210987654321");
    lent["stages"][1]["actions"][0]["roleArn"] = json!(OTHER);
    assert_eq!(said(rule, &lent).len(), 1, "the account of a role is one");
}

#[test]
fn a_number_is_told_where_a_variable_could_stand() {
    let rule = "hardcoded-account-id";
    let mut definition = with_commands("true");
    definition["variables"] = json!([{"name": "A", "defaultValue": "123456789012"}]);
    definition["stages"][0]["actions"][0]["configuration"]["BranchName"] = json!("123456789012");
    assert_eq!(said(rule, &definition), NONE);
    definition["stages"][1]["actions"][0]["environmentVariables"] =
        json!([{"name": "A", "value": "123456789012"}]);
    let words = "the account 123456789012 is written into this text.";
    assert_eq!(
        said(rule, &definition),
        [format!("stages[1].actions[0].environmentVariables[0].value: {words}")]
    );
    let mut commands = rule_of("Commands", json!({}));
    commands["commands"] = json!(["true", "echo 123456789012"]);
    commands["inputArtifacts"] = json!([{"name": "Code"}]);
    assert_eq!(
        said(rule, &entry(commands)),
        [format!("stages[1].beforeEntry.conditions[0].rules[0].commands[1]: {words}")]
    );
}

#[test]
fn a_role_is_of_use_only_where_something_is_done_in_its_name() {
    let own = json!(ROLE);
    let role = json!("arn:aws:iam::123456789012:role/x");
    let of = |rule: &str, action: Value| said_of_any(rule, &pipeline(vec![stage("Work", vec![action])]));
    let unused = "stages[1].actions[0].roleArn: `Do` has a role, but";
    assert_eq!(
        of("unused-role", with(approval("Do"), "roleArn", role.clone())),
        [format!("{unused} an approval that notifies nobody uses none.")]
    );
    for owner in ["ThirdParty", "Custom"] {
        let mut foreign = with(build("Do"), "roleArn", own.clone());
        foreign["actionTypeId"]["owner"] = json!(owner);
        assert_eq!(of("unused-role", foreign.clone()), [format!("{unused} only actions of AWS use one.")]);
        assert_eq!(of("redundant-role", foreign), NONE, "one finding is enough");
    }
    assert_eq!(of("unused-role", with(build("Do"), "roleArn", role)), NONE);
    assert_eq!(
        of("redundant-role", with(build("Do"), "roleArn", own)),
        ["stages[1].actions[0].roleArn: `Do` names the pipeline's own role."]
    );
}

#[test]
fn one_role_is_shared_by_three_actions_or_more() {
    let of = |role: &str, builds: usize, ask: bool| {
        let mut definition =
            pipeline(vec![stage("Work", (0..builds).map(|n| build(&format!("B{n}"))).collect())]);
        for stage in definition["stages"].as_array_mut().unwrap() {
            for action in stage["actions"].as_array_mut().unwrap() {
                action["roleArn"] = json!(role);
            }
        }
        if ask {
            definition["stages"][1]["actions"].as_array_mut().unwrap().push(approval("Ask"));
        }
        said("one-role-for-all", &definition)
    };
    let shared = "arn:aws:iam::123456789012:role/x";
    let words = |count: usize| {
        format!("stages[0].actions[0].roleArn: all {count} actions that use a role use this one.")
    };
    assert_eq!(of(shared, 1, false), NONE);
    assert_eq!(of(shared, 2, false), [words(3)]);
    assert_eq!(of(shared, 2, true), [words(3)], "an approval uses none");
    assert_eq!(of(shared, 1, true), NONE);
    assert_eq!(of(ROLE, 2, false), NONE, "that is told as redundant");
}

#[test]
fn only_actions_that_handle_artifacts_need_their_key() {
    let (crossing, default) = ("cross-account-without-key", "default-artifact-key");
    let of = |rule: &str, action: Value| {
        let mut definition = pipeline(vec![stage("Work", vec![with(action, "roleArn", json!(OTHER))])]);
        definition["artifactStore"] = json!({"type": "S3", "location": "artifacts"});
        said(rule, &definition)
    };
    let words = "stages[1].actions[0].roleArn: `Do` works in account 210987654321 on artifacts in the bucket \
                 `artifacts`, which has no `encryptionKey`.";
    let bare = "artifactStore: artifacts in the bucket `artifacts` are encrypted with a default key.";
    assert_eq!(of(crossing, build("Do")), [words]);
    assert_eq!(of(crossing, with(lambda("Do"), "outputArtifacts", json!([{"name": "Made"}]))), [words]);
    assert_eq!(of(default, build("Do")), NONE);
    assert_eq!(of(crossing, lambda("Do")), NONE);
    assert_eq!(of(default, lambda("Do")), [bare]);
    let mut own = pipeline(vec![stage("Work", vec![with(build("Do"), "roleArn", json!(ROLE))])]);
    own["artifactStore"] = json!({"type": "S3", "location": "artifacts"});
    assert_eq!(said(crossing, &own), NONE);
}

#[test]
fn an_action_works_on_the_store_of_its_region() {
    let of = |region: Value, keyed: &str| {
        let action = with(with(build("Do"), "roleArn", json!(OTHER)), "region", region);
        let mut definition = pipeline(vec![stage("Work", vec![action])]);
        let store = definition["artifactStore"].take();
        definition["artifactStores"] = json!({"us-east-1": store, "eu-west-1": store});
        let stores = definition["artifactStores"].as_object_mut().unwrap();
        for (region, store) in stores.iter_mut().filter(|(region, _)| *region != keyed) {
            *store = json!({"type": "S3", "location": format!("artifacts-{region}")});
        }
        [
            said("cross-account-without-key", &definition).len(),
            said("default-artifact-key", &definition).len(),
        ]
    };
    assert_eq!(of(json!("eu-west-1"), "eu-west-1"), [0, 1]);
    assert_eq!(of(json!("eu-west-1"), "us-east-1"), [1, 0]);
    assert_eq!(of(json!("eu-west-1"), ""), [1, 0]);
}

#[test]
fn an_output_is_read_by_actions_or_by_conditions() {
    let rule = "unread-output";
    let words = "outputArtifacts[0]: nothing reads `Code`, which `Fetch` makes.";
    let show = commands("Show", &["true"]);
    let of = |source: Value, line: &str| {
        let mut other = source.clone();
        other["name"] = json!("Main");
        other["outputArtifacts"] = json!([{"name": "MainCode"}]);
        other["namespace"] = Value::Null;
        let show = with(
            with(show.clone(), "commands", json!([line])),
            "inputArtifacts",
            json!([{"name": "MainCode"}]),
        );
        let mut definition = pipeline(vec![stage("Work", vec![show])]);
        definition["stages"][0]["actions"] = json!([source, other]);
        said(rule, &definition)
    };
    let told = [format!("stages[0].actions[0].{words}")];
    assert_eq!(of(source(), "true"), told);
    assert_eq!(of(github(), "true"), told);
    assert_eq!(of(source(), "echo #{codepipeline.PipelineExecutionId}"), told);
    assert_eq!(of(source(), "echo #{Src.CommitId}"), NONE, "it is there to tell the commit");
    let mut bucket = action("Fetch", "Source", "S3", json!({"S3Bucket": "b", "S3ObjectKey": "k"}));
    bucket["outputArtifacts"] = json!([{"name": "Code"}]);
    assert_eq!(of(bucket, "true"), NONE, "it may be there to start the pipeline");
    let mut check = rule_of("Commands", json!({}));
    check["commands"] = json!(["true"]);
    check["inputArtifacts"] = json!([{"name": "Made"}]);
    let mut definition =
        pipeline(vec![stage("Work", vec![with(build("Do"), "outputArtifacts", json!([{"name": "Made"}]))])]);
    definition["stages"][1]["actions"][0]["namespace"] = json!("Did");
    definition["stages"][1]["actions"][0]["configuration"]["BuildspecOverride"] = json!("#{Src.CommitId}");
    let made = "stages[1].actions[0].outputArtifacts[0]: nothing reads `Made`, which `Do` makes.";
    assert_eq!(said(rule, &definition), [made]);
    definition["stages"]
        .as_array_mut()
        .unwrap()
        .push(stage("Tell", vec![commands("Say", &["echo #{Did.X}"])]));
    assert_eq!(said(rule, &definition), [made], "a build is there for what it makes");
    definition["stages"][1]["onSuccess"] = json!({"conditions": [{"result": "FAIL", "rules": [check]}]});
    assert_eq!(said(rule, &definition), NONE);
}
