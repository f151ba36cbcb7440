//! What `template.yaml` promises and nobody but a reader of it could check: one function to each binary, rights no wider
//! than they must be, and no event that is lost without a trace.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::trigger::pattern::Pattern;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fs, path::Path};

/// What may be done to a row of the log: it is put under the condition that there is none, and read.
const LOG_ACTIONS: &[&str] =
    &["dynamodb:PutItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"];

#[test]
fn every_binary_is_a_function_and_every_function_a_binary() {
    let folder = root().join("functions/lambda/src/bin");
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let binaries: BTreeSet<String> =
        entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let functions: BTreeSet<String> = of_type("AWS::Serverless::Function")
        .iter()
        .map(|(name, function)| {
            assert_eq!(function["Metadata"]["BuildMethod"], "rust-cargolambda", "{name}");
            function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(functions, binaries);
}

/// SAM builds with the profile `release`, in the functions' folder.
#[test]
fn sam_builds_what_is_packaged() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap().parse::<toml::Table>().unwrap();
    let packaged = read("Cargo.toml")["profile"]["lambda"].clone();
    let by_sam = read("functions/lambda/.cargo/config.toml")["profile"]["release"].clone();
    for setting in ["opt-level", "lto", "codegen-units"] {
        assert_eq!(by_sam[setting], packaged[setting], "{setting}");
    }
    // cargo-lambda has settings of its own for releases, which go before these.
    let manifest = read("functions/lambda/Cargo.toml");
    let told = &manifest["package"]["metadata"]["lambda"]["build"]["disable_optimizations"];
    assert_eq!(told.as_bool(), Some(true));
}

#[test]
fn every_function_has_a_role_of_its_own() {
    let roles: BTreeSet<String> = of_type("AWS::Serverless::Function")
        .iter()
        .map(|(name, function)| {
            assert!(function["Properties"]["Policies"].is_null(), "{name}: rights belong into its role");
            function["Properties"]["Role"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(roles.len(), of_type("AWS::Serverless::Function").len());
}

#[test]
fn no_right_is_given_by_a_wildcard() {
    for (name, statement) in statements().iter().filter(|(_, statement)| statement["Effect"] == "Allow") {
        for action in texts(&statement["Action"]) {
            assert!(!action.contains('*'), "{name}: `{action}`");
        }
        // Of everything that is called here, X-Ray alone has no resources.
        if texts(&statement["Resource"]).contains(&"*".to_owned()) {
            assert!(texts(&statement["Action"]).iter().all(|action| action.starts_with("xray:")), "{name}");
        }
    }
}

#[test]
fn nobody_may_change_or_delete_what_lies_in_the_log() {
    let mut granted = 0;
    for (name, statement) in statements() {
        let resource = statement["Resource"].to_string();
        let is_log = resource.contains("LogTable.Arn") || resource.contains("${RestoredLogTable}");
        if statement["Effect"] != "Allow" || !is_log {
            continue;
        }
        granted += 1;
        for action in texts(&statement["Action"]) {
            assert!(LOG_ACTIONS.contains(&action.as_str()), "{name}: `{action}` on the log");
        }
    }
    assert!(granted > 0, "the statements about the log were not found");
    // Rights on tables are only ever given by naming one.
    for (name, statement) in statements() {
        let about_tables = texts(&statement["Action"]).iter().any(|action| action.starts_with("dynamodb:"));
        let resource = statement["Resource"].to_string();
        assert!(!about_tables || !resource.contains("table/*"), "{name}: every table");
    }
}

#[test]
fn roles_that_pipelines_name_are_limited_to_the_parameter() {
    let assume = statements().into_iter().filter(|(name, statement)| {
        // Who may take on a role is another question, and has a principal.
        texts(&statement["Action"]).contains(&"sts:AssumeRole".to_owned())
            && statement["Principal"].is_null()
            && !name.is_empty()
    });
    let resources: BTreeSet<String> =
        assume.map(|(_, statement)| statement["Resource"].to_string()).collect();
    assert_eq!(resources, BTreeSet::from(["\"ActionRoleArns\"", "\"ArtifactRole.Arn\""].map(str::to_owned)));
}

#[test]
fn whoever_asks_for_approvals_may_write_to_the_accounts_topics_and_nobody_else_may() {
    let publishers: Vec<(String, String)> = statements()
        .into_iter()
        .filter(|(_, statement)| texts(&statement["Action"]).contains(&"sns:Publish".to_owned()))
        .filter(|(_, statement)| statement["Principal"].is_null())
        .map(|(name, statement)| (name, statement["Resource"].to_string()))
        .collect();
    let [(name, resource)] = publishers.as_slice() else { panic!("{publishers:?}") };
    assert_eq!(name, "RelayRole");
    assert!(resource.contains(":sns:*:") && resource.contains("AccountId"), "{resource}");
}

#[test]
fn every_target_of_a_rule_tries_again_and_has_a_queue_for_what_failed() {
    let mut targets = Vec::new();
    for (name, rule) in of_type("AWS::Events::Rule") {
        let of_rule = rule["Properties"]["Targets"].as_array().unwrap();
        targets.extend(of_rule.iter().map(|target| (name.clone(), target.clone())));
    }
    for (name, event) in events(&["EventBridgeRule", "Schedule", "ScheduleV2"]) {
        targets.push((name, event["Properties"].clone()));
    }
    assert!(targets.len() > 8, "the rules were not found");
    for (name, target) in targets {
        assert!(target["RetryPolicy"]["MaximumRetryAttempts"].is_u64(), "{name} lacks a retry policy");
        assert!(target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_u64(), "{name} lacks an end of retries");
        assert_eq!(target["DeadLetterConfig"]["Arn"], "DeadLetters.Arn", "{name} lacks a dead-letter queue");
    }
}

#[test]
fn functions_that_are_called_without_an_answer_have_a_queue_for_what_failed() {
    for binary in ["trigger", "work", "notify", "sweep"] {
        let of = of_type("AWS::Serverless::Function");
        let (name, function) =
            of.iter().find(|(_, f)| f["Metadata"]["BuildProperties"]["Binary"] == binary).unwrap();
        let asynchronous = &function["Properties"]["EventInvokeConfig"];
        assert!(asynchronous["MaximumRetryAttempts"].is_u64(), "{name}");
        assert!(asynchronous["MaximumEventAgeInSeconds"].is_u64(), "{name}");
        assert_eq!(
            asynchronous["DestinationConfig"]["OnFailure"]["Destination"], "DeadLetters.Arn",
            "{name}"
        );
    }
}

#[test]
fn two_functions_follow_the_log_and_neither_is_held_up_by_a_bad_record() {
    let mappings = events(&["DynamoDB"]);
    assert_eq!(mappings.len(), 2, "a shard serves two readers");
    for (name, mapping) in mappings {
        let of = &mapping["Properties"];
        for (key, value) in [
            ("StartingPosition", json!("TRIM_HORIZON")),
            ("ParallelizationFactor", json!(1)),
            ("BisectBatchOnFunctionError", json!(true)),
            ("FunctionResponseTypes", json!(["ReportBatchItemFailures"])),
            ("FilterCriteria", json!({"Filters": [{"Pattern": "{\"eventName\":[\"INSERT\"]}"}]})),
            ("DestinationConfig", json!({"OnFailure": {"Type": "SQS", "Destination": "DeadLetters.Arn"}})),
        ] {
            assert_eq!(of[key], value, "{name}: {key}");
        }
        assert!((1..=10).contains(&of["MaximumRetryAttempts"].as_u64().unwrap()), "{name}");
        assert!((60..=86_400).contains(&of["MaximumRecordAgeInSeconds"].as_u64().unwrap()), "{name}");
    }
}

#[test]
fn what_cannot_be_made_again_outlives_the_stack() {
    for name in ["LogTable", "ArtifactBucket", "DeadLetters"] {
        let resource = &template()["Resources"][name];
        assert_eq!(resource["DeletionPolicy"], "Retain", "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
    let log = &template()["Resources"]["LogTable"]["Properties"];
    assert_eq!(log["DeletionProtectionEnabled"], true);
    assert_eq!(log["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(log["StreamSpecification"]["StreamViewType"], "NEW_IMAGE");
    assert_eq!(log["BillingMode"], "PAY_PER_REQUEST");
}

#[test]
fn every_parameter_has_a_default() {
    for (name, parameter) in template()["Parameters"].as_object().unwrap() {
        assert!(!parameter["Default"].is_null(), "`{name}` would have to be given");
    }
}

#[test]
fn no_secret_is_handed_to_a_function_in_its_environment() {
    for (name, function) in of_type("AWS::Serverless::Function") {
        let none = Map::new();
        let variables = function["Properties"]["Environment"]["Variables"].as_object().unwrap_or(&none);
        for (variable, value) in variables {
            let secret =
                ["TOKEN", "WEBHOOK_URL", "PASSWORD", "SECRET="].iter().any(|word| variable.contains(word));
            assert!(!secret, "{name}: `{variable}` should be the name of a parameter: {value}");
        }
    }
    for (name, parameter) in template()["Parameters"].as_object().unwrap() {
        assert!(
            parameter["NoEcho"].is_null(),
            "`{name}`: secrets are put into Parameter Store, not into a stack"
        );
    }
}

#[test]
fn events_of_each_service_reach_the_function_they_are_for() {
    let events = [
        (
            "CodeCommit",
            json!({"source": "aws.codecommit", "detail-type": "CodeCommit Repository State Change",
            "detail": {"event": "referenceUpdated", "repositoryName": "shop", "referenceName": "main"}}),
        ),
        (
            "ObjectCreated",
            json!({"source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "sources"}, "object": {"key": "shop.zip"}}}),
        ),
        (
            "ObjectWritten",
            json!({"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail",
            "detail": {"eventSource": "s3.amazonaws.com", "eventName": "PutObject",
                "requestParameters": {"bucketName": "sources", "key": "shop.zip"}}}),
        ),
        (
            "ImagePushed",
            json!({"source": "aws.ecr", "detail-type": "ECR Image Action",
            "detail": {"action-type": "PUSH", "result": "SUCCESS", "repository-name": "shop"}}),
        ),
        (
            "BuildEnded",
            json!({"source": "aws.codebuild", "detail-type": "CodeBuild Build State Change",
            "detail": {"build-status": "TIMED_OUT", "project-name": "shop"}}),
        ),
        (
            "DeploymentEnded",
            json!({"source": "aws.codedeploy",
            "detail-type": "CodeDeploy Deployment State-change Notification",
            "detail": {"state": "FAILURE", "deploymentId": "d-1"}}),
        ),
        (
            "StackChanged",
            json!({"source": "aws.cloudformation",
            "detail-type": "CloudFormation Stack Status Change", "detail": {"stack-id": "arn"}}),
        ),
        (
            "ServiceDeployed",
            json!({"source": "aws.ecs", "detail-type": "ECS Deployment State Change",
            "detail": {"eventName": "SERVICE_DEPLOYMENT_COMPLETED"}}),
        ),
        (
            "StateMachineEnded",
            json!({"source": "aws.states",
            "detail-type": "Step Functions Execution Status Change", "detail": {"status": "SUCCEEDED"}}),
        ),
    ];
    let rules = self::events(&["EventBridgeRule"]);
    for (rule, event) in &events {
        let matching: Vec<&str> = rules
            .iter()
            .filter(|(_, of)| {
                Pattern::parse(&of["Properties"]["Pattern"].to_string()).unwrap().matches(event)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(matching, [format!("TriggerFunction.{rule}")], "{event}");
    }
    assert_eq!(rules.len(), events.len(), "a rule without an event here");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The template, with `!Ref X` read as `X` and `!GetAtt X.Y` as `X.Y`.
fn template() -> Value {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn of_type(wanted: &str) -> Vec<(String, Value)> {
    let template = template();
    let resources = template["Resources"].as_object().unwrap().clone();
    resources.into_iter().filter(|(_, resource)| resource["Type"] == wanted).collect()
}

/// Events of functions, of these types, as `Function.Event`.
fn events(wanted: &[&str]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (function, resource) in of_type("AWS::Serverless::Function") {
        for (name, event) in resource["Properties"]["Events"].as_object().into_iter().flatten() {
            if wanted.contains(&event["Type"].as_str().unwrap()) {
                found.push((format!("{function}.{name}"), event.clone()));
            }
        }
    }
    found
}

/// Every statement of every policy, with the resource it stands in; those under a condition too.
fn statements() -> Vec<(String, Value)> {
    let template = template();
    let mut found = Vec::new();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        collect(name, resource, &mut found);
    }
    assert!(found.len() > 20, "the statements were not found");
    found
}

fn collect(name: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) if object.contains_key("Effect") => {
            found.push((name.to_owned(), value.clone()))
        }
        Value::Object(object) => object.values().for_each(|value| collect(name, value, found)),
        Value::Array(values) => values.iter().for_each(|value| collect(name, value, found)),
        _ => {}
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
