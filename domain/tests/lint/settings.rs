//! What stands in settings: secrets, variables, accounts, what providers need.

use crate::parts::*;
use crate::{found, message};
use domain::pipeline::{lint, parse};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];
const SECRET: &str = "hardcoded-secret";

fn with_commands(line: &str) -> Value {
    pipeline(vec![stage("Check", vec![commands("Say", &[line])])])
}

fn with_environment(name: &str, value: &str, kind: &str) -> Value {
    let mut pipeline = with_commands("true");
    pipeline["stages"][1]["actions"][0]["environmentVariables"] =
        json!([{"name": name, "value": value, "type": kind}]);
    pipeline
}

fn with_setting(key: &str, value: &str) -> Value {
    let mut pipeline = clean();
    pipeline["stages"][1]["actions"][0]["configuration"][key] = json!(value);
    pipeline
}

#[test]
fn keys_and_tokens_are_told_wherever_they_stand_and_never_repeated() {
    let tokens = [
        ["AKIA", "IOSFODNN7EXAMPLE"].concat(),
        ["ghp_", &"Zz9".repeat(12)].concat(),
        ["-----BEGIN RSA PRIVATE", " KEY-----\\nMIIabc"].concat(),
        ["https://bot:", "S3cretWord@git.example.com/shop.git"].concat(),
        ["xoxb-", "1234567890-abcdef"].concat(),
    ];
    for token in &tokens {
        let definition = with_commands(&format!("export X={token}"));
        assert_eq!(found(SECRET, &definition), ["stages[1].actions[0].commands[0]"], "{token}");
        for finding in lint::lint(&parse(&definition).unwrap()) {
            assert!(!format!("{finding:?}").contains(&token[4..12]), "{finding:?}");
        }
    }
    assert_eq!(found(SECRET, &with_commands("git clone https://git.example.com/AKIA/shop.git")), NONE);
}

#[test]
fn passwords_are_told_by_the_names_of_their_variables() {
    let value = "stages[1].actions[0].environmentVariables[0].value";
    assert_eq!(found(SECRET, &with_environment("DB_PASSWORD", "correct-horse", "PLAINTEXT")), [value]);
    assert!(
        !message(SECRET, &with_environment("DB_PASSWORD", "correct-horse", "PLAINTEXT")).contains("horse")
    );
    for (name, text, kind) in [
        ("DB_PASSWORD", "prod/db:password", "SECRETS_MANAGER"),
        ("DB_PASSWORD", "#{Src.CommitId}", "PLAINTEXT"),
        ("DB_PASSWORD_PATH", "some-parameter", "PLAINTEXT"),
        ("GREETING", "correct-horse", "PLAINTEXT"),
    ] {
        assert_eq!(found(SECRET, &with_environment(name, text, kind)), NONE, "{name}");
    }
    let variables = r#"[{"name":"API_TOKEN","value":"correct-horse","type":"KIND"}]"#;
    let setting = "stages[1].actions[0].configuration.EnvironmentVariables";
    for (kind, places) in
        [("PLAINTEXT", vec![setting]), ("PARAMETER_STORE", vec![]), ("SECRETS_MANAGER", vec![])]
    {
        let text = variables.replace("KIND", kind);
        assert_eq!(found(SECRET, &with_setting("EnvironmentVariables", &text)), places, "{kind}");
    }
}

#[test]
fn passwords_are_told_in_overrides_variables_and_secret_settings() {
    let mut pipeline = pipeline(vec![stage("Stack", vec![stack("Make", "CREATE_UPDATE")])]);
    pipeline["stages"][1]["actions"][0]["configuration"]["ParameterOverrides"] =
        json!(r#"{"DBPassword": "correct-horse", "Size": "2"}"#);
    assert_eq!(found(SECRET, &pipeline), ["stages[1].actions[0].configuration.ParameterOverrides"]);
    pipeline["stages"][1]["actions"][0]["configuration"]["ParameterOverrides"] =
        json!(r#"{"DBPassword": {"Fn::GetParam": ["Code", "a.json", "p"]}, "Size": "2"}"#);
    assert_eq!(found(SECRET, &pipeline), NONE);
    for (overrides, places) in [
        (r##"{"Owner": "correct-horse"}"##, vec![]),
        (r##"{"DBPassword": "#{Src.Password}"}"##, vec![]),
        (
            r##"{"Owner": "correct-horse", "DBPassword": "correct-horse"}"##,
            vec!["stages[1].actions[0].configuration.ParameterOverrides"],
        ),
    ] {
        pipeline["stages"][1]["actions"][0]["configuration"]["ParameterOverrides"] = json!(overrides);
        assert_eq!(found(SECRET, &pipeline), places, "{overrides}");
    }
    assert!(message(SECRET, &pipeline).contains("`DBPassword`"));
    let mut variables = with_commands("echo #{variables.ADMIN_PASSWORD}");
    variables["variables"] = json!([{"name": "ADMIN_PASSWORD", "defaultValue": "correct-horse"}]);
    assert_eq!(found(SECRET, &variables), ["variables[0].defaultValue"]);
    let mut clean = clean();
    let configuration = json!({"Owner": "o", "Repo": "r", "Branch": "main", "OAuthToken": "correct-horse"});
    let mut source = action("Fetch", "Source", "GitHub", configuration);
    source["actionTypeId"]["owner"] = json!("ThirdParty");
    source["outputArtifacts"] = json!([{"name": "Code"}]);
    clean["stages"][0]["actions"] = json!([source]);
    assert_eq!(found(SECRET, &clean), ["stages[0].actions[0].configuration.OAuthToken"]);
    clean["stages"][0]["actions"][0]["configuration"]["OAuthToken"] = json!("****");
    assert_eq!(found(SECRET, &clean), NONE);
}

#[test]
fn variables_that_their_action_never_publishes_are_told() {
    let rule = "unknown-output-variable";
    let place = ["stages[1].actions[0].commands[0]"];
    assert_eq!(found(rule, &with_commands("echo #{Src.CommitId} #{codepipeline.PipelineExecutionId}")), NONE);
    assert_eq!(found(rule, &with_commands("echo #{Src.CommitHash}")), place);
    assert_eq!(found(rule, &with_commands("echo #{codepipeline.ExecutionId}")), place);
    assert!(message(rule, &with_commands("echo #{Src.CommitID}")).contains("did you mean `#{Src.CommitId}`"));
    let mut published = pipeline(vec![
        stage("One", vec![commands("Count", &["true"])]),
        stage("Two", vec![commands("Show", &["echo #{Counted.N}"])]),
    ]);
    published["stages"][1]["actions"][0]["namespace"] = json!("Counted");
    assert_eq!(found(rule, &published), ["stages[2].actions[0].commands[0]"]);
    published["stages"][1]["actions"][0]["outputVariables"] = json!(["N"]);
    assert_eq!(found(rule, &published), NONE);
    let mut connected = triggered(json!([]));
    connected["stages"][1]["actions"][0]["configuration"]["BuildspecOverride"] =
        json!("#{Src.PullRequestId}");
    assert_eq!(found(rule, &connected), NONE, "what a connection publishes depends on what started the run");
    connected["stages"][1]["actions"][0]["configuration"]["BuildspecOverride"] = json!("#{Src.BranchNam}");
    assert_eq!(found(rule, &connected), ["stages[1].actions[0].configuration.BuildspecOverride"]);
}

#[test]
fn a_reference_that_is_never_closed_is_told() {
    let rule = "unclosed-reference";
    assert_eq!(
        found(rule, &with_setting("BuildspecOverride", "a-#{Src.CommitId")),
        ["stages[1].actions[0].configuration.BuildspecOverride"]
    );
    assert_eq!(found(rule, &with_setting("BuildspecOverride", "a-#{Src.CommitId}")), NONE);
    assert_eq!(found(rule, &with_commands("echo '#{'")), NONE, "a shell may mean it");
}

#[test]
fn variables_that_do_nothing_or_that_a_push_cannot_give_are_told() {
    let mut pipeline = with_commands("echo #{variables.ENV}");
    pipeline["variables"] = json!([{"name": "ENV"}, {"name": "OTHER", "defaultValue": "x"}]);
    assert_eq!(found("unused-variable", &pipeline), ["variables[1].name"]);
    assert_eq!(found("variable-without-default", &pipeline), NONE, "only people start it");
    pipeline["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = json!("true");
    assert_eq!(found("variable-without-default", &pipeline), ["variables[0]"]);
}

#[test]
fn variables_exported_for_nobody_are_told() {
    let rule = "unread-output-variable";
    let mut pipeline = pipeline(vec![
        stage("One", vec![commands("Count", &["true"])]),
        stage("Two", vec![commands("Show", &["echo #{Counted.N}"])]),
    ]);
    pipeline["stages"][1]["actions"][0]["namespace"] = json!("Counted");
    pipeline["stages"][1]["actions"][0]["outputVariables"] = json!(["N", "M"]);
    assert_eq!(found(rule, &pipeline), ["stages[1].actions[0].outputVariables[1]"]);
    pipeline["stages"][1]["actions"][0].as_object_mut().unwrap().remove("namespace");
    pipeline["stages"][2]["actions"][0]["commands"] = json!(["true"]);
    assert_eq!(found(rule, &pipeline).len(), 2);
}

#[test]
fn several_inputs_need_a_primary_one() {
    let rule = "primary-source";
    let mut pipeline = clean();
    pipeline["stages"][1]["actions"][0]["outputArtifacts"] = json!([{"name": "Built"}]);
    let mut second = build("Check");
    second["inputArtifacts"] = json!([{"name": "Code"}, {"name": "Built"}]);
    pipeline["stages"].as_array_mut().unwrap().insert(2, stage("Check", vec![second]));
    assert_eq!(found(rule, &pipeline), ["stages[2].actions[0].inputArtifacts"]);
    pipeline["stages"][2]["actions"][0]["configuration"]["PrimarySource"] = json!("Code");
    assert_eq!(found(rule, &pipeline), NONE);
    pipeline["stages"][2]["actions"][0]["configuration"]["PrimarySource"] = json!("Source");
    assert_eq!(found(rule, &pipeline), ["stages[2].actions[0].configuration.PrimarySource"]);
}

#[test]
fn json_in_settings_is_read_before_the_provider_does() {
    let rule = "malformed-json-setting";
    let place = ["stages[1].actions[0].configuration.EnvironmentVariables"];
    for good in [
        r#"[{"name":"A","value":"1"}]"#,
        "[]",
        r##"[{"name":"A","value":"#{Src.CommitId}"}]"##,
        r##"[{"name":"A","value":#{Src.CommitId}}]"##,
        "#{Src.CommitMessage}",
    ] {
        assert_eq!(found(rule, &with_setting("EnvironmentVariables", good)), NONE, "{good}");
    }
    for bad in [r#"{"A":"1"}"#, r#"[{"name":"A"}]"#, r#"[{"name":"A","value":"1"}"#, "A=1"] {
        assert_eq!(found(rule, &with_setting("EnvironmentVariables", bad)), place, "{bad}");
    }
    assert!(!message(rule, &with_setting("EnvironmentVariables", "hunter2")).contains("hunter2"));
}

#[test]
fn overrides_have_a_kilobyte() {
    let of = |length: usize| {
        let mut pipeline = pipeline(vec![stage("Stack", vec![stack("Make", "CREATE_UPDATE")])]);
        let text = json!({"Text": "x".repeat(length)}).to_string();
        pipeline["stages"][1]["actions"][0]["configuration"]["ParameterOverrides"] = json!(text);
        found("parameter-overrides-size", &pipeline)
    };
    assert_eq!(of(900), NONE);
    assert_eq!(of(1100), ["stages[1].actions[0].configuration.ParameterOverrides"]);
}

#[test]
fn a_yes_or_no_is_one_of_both() {
    let rule = "not-a-boolean";
    assert_eq!(found(rule, &with_setting("BatchEnabled", "True")), NONE);
    assert_eq!(
        found(rule, &with_setting("BatchEnabled", "yes")),
        ["stages[1].actions[0].configuration.BatchEnabled"]
    );
}

#[test]
fn stack_actions_need_what_their_mode_needs() {
    let rule = "incomplete-stack-action";
    let of = |mode: &str, without: &[&str]| {
        let mut action = stack("Make", mode);
        for key in without {
            action["configuration"].as_object_mut().unwrap().remove(*key);
        }
        found(rule, &pipeline(vec![stage("Stack", vec![action])]))
    };
    let configuration = "stages[1].actions[0].configuration";
    assert_eq!(of("CREATE_UPDATE", &["ChangeSetName"]), NONE);
    assert_eq!(of("CREATE_UPDATE", &["TemplatePath", "RoleArn"]), [configuration; 2]);
    assert_eq!(of("CHANGE_SET_EXECUTE", &["TemplatePath", "RoleArn"]), NONE);
    assert_eq!(of("CHANGE_SET_EXECUTE", &["ChangeSetName"]), [configuration]);
    assert_eq!(of("DELETE_ONLY", &["TemplatePath", "ChangeSetName"]), NONE);
    assert_eq!(of("UPDATE", &[]), [format!("{configuration}.ActionMode")]);
}

#[test]
fn a_change_set_is_made_before_it_is_executed() {
    let rule = "change-set-not-prepared";
    let place = ["stages[1].actions[1].configuration.ChangeSetName"];
    let of = |make: Value, execute: Value| found(rule, &pipeline(vec![stage("Stack", vec![make, execute])]));
    let make = || stack("Make", "CHANGE_SET_REPLACE");
    let execute = || stack("Execute", "CHANGE_SET_EXECUTE");
    assert_eq!(of(make(), at(2, execute())), NONE);
    assert_eq!(of(make(), execute()), place);
    assert_eq!(of(at(2, make()), execute()), place);
    let mut other = execute();
    other["configuration"]["ChangeSetName"] = json!("nxet");
    assert_eq!(of(make(), at(2, other)), place);
    assert_eq!(of(build("Make"), at(2, execute())), NONE, "a build may have made it");
}

#[test]
fn retrying_only_what_failed_executes_a_change_set_twice() {
    let of = |mode: &str| {
        let actions =
            vec![stack("Make", "CHANGE_SET_REPLACE"), at(2, stack("Execute", "CHANGE_SET_EXECUTE"))];
        let mut stage = stage("Stack", actions);
        stage["onFailure"] = json!({"result": "RETRY", "retryConfiguration": {"retryMode": mode}});
        found("retry-of-used-change-set", &pipeline(vec![stage]))
    };
    assert_eq!(of("FAILED_ACTIONS"), ["stages[1].onFailure"]);
    assert_eq!(of("ALL_ACTIONS"), NONE);
}

#[test]
fn resources_of_accounts_without_a_role_there_are_told() {
    let rule = "hardcoded-arn";
    let mut pipeline = with_setting("ServiceRoleArnOverride", "arn:aws:iam::210987654321:role/build");
    assert_eq!(found(rule, &pipeline), ["stages[1].actions[0].configuration.ServiceRoleArnOverride"]);
    pipeline["stages"][1]["actions"][0]["roleArn"] = json!("arn:aws:iam::210987654321:role/other");
    assert_eq!(found(rule, &pipeline), NONE);
    let own = "arn:aws:iam::123456789012:role/build";
    assert_eq!(found(rule, &with_setting("ServiceRoleArnOverride", own)), NONE);
    assert_eq!(found(rule, &with_commands("aws s3 cp arn:aws:s3:::bucket x")), NONE);
}

#[test]
fn numbers_of_accounts_are_told_outside_of_arns() {
    let rule = "hardcoded-account-id";
    let place = ["stages[1].actions[0].commands[0]"];
    assert_eq!(
        found(rule, &with_commands("docker pull 210987654321.dkr.ecr.eu-west-1.amazonaws.com/x")),
        place
    );
    assert_eq!(found(rule, &with_commands("aws s3 sync . s3://shop-123456789012")), place);
    for other in [
        "echo 202401011200",
        "echo 1234567890123",
        "echo a123456789012",
        "aws sns publish --topic-arn arn:aws:sns:us-east-1:123456789012:x",
        "aws s3 sync . s3://shop-#{variables.ACCOUNT}",
    ] {
        let mut pipeline = with_commands(other);
        pipeline["variables"] = json!([{"name": "ACCOUNT", "defaultValue": "123456789012"}]);
        assert_eq!(found(rule, &pipeline), NONE, "{other}");
    }
}
