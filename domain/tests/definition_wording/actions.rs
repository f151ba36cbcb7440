//! Single actions.

use crate::{ActionError, expect, plain, refusal, refused};
use serde_json::{Value, json};

#[test]
fn actions() {
    expect(&[
        (
            "an unknown type",
            |json| json["stages"][1]["actions"][0]["actionTypeId"]["provider"] = json!("X"),
            ActionError,
            "stages[1].actions[0].actionTypeId",
            "ActionType (Category: 'Build', Provider: 'X', Owner: 'AWS', Version: '1') in action 'Compile' is not \
             available in region 'US_EAST_1'",
        ),
        (
            "too few inputs",
            |json| json["stages"][1]["actions"][0]["inputArtifacts"] = json!([]),
            ActionError,
            "stages[1].actions[0].inputArtifacts",
            "Action Compile declares 0 input artifacts which is less than the minimum count (1)",
        ),
        (
            "too many outputs",
            |json| json["stages"][2]["actions"][0]["outputArtifacts"] = json!([{"name": "X"}]),
            ActionError,
            "stages[2].actions[0].outputArtifacts",
            "Action Approve declares 1 output artifacts which is more than the maximum count (0)",
        ),
        (
            "an input twice",
            |json| {
                json["stages"][1]["actions"][0]["inputArtifacts"] =
                    json!([{"name": "Code"}, {"name": "Code"}]);
            },
            ActionError,
            "stages[1].actions[0].inputArtifacts[1]",
            "Action Compile lists the input artifact Code more than once",
        ),
        (
            "an action name twice",
            |json| {
                let action = json["stages"][2]["actions"][0].clone();
                json["stages"][2]["actions"] = json!([action, action]);
            },
            ActionError,
            "stages[2].actions[1].name",
            "Action name 'Approve' is used more than once in stage 'Gate'",
        ),
        (
            "a missing key",
            |json| json["stages"][1]["actions"][0]["configuration"] = json!({}),
            ActionError,
            "stages[1].actions[0].configuration",
            "Action configuration for action 'Compile' is missing required configuration 'ProjectName'",
        ),
        (
            "an unknown key",
            |json| json["stages"][1]["actions"][0]["configuration"]["Projectname"] = json!("x"),
            ActionError,
            "stages[1].actions[0].configuration.Projectname",
            "Action configuration for action 'Compile' contains unknown configuration 'Projectname'",
        ),
        (
            "an S3 deployment that neither unpacks nor names an object",
            |json| {
                let action = &mut json["stages"][1]["actions"][0];
                action["actionTypeId"]["category"] = json!("Deploy");
                action["actionTypeId"]["provider"] = json!("S3");
                action["configuration"] = json!({"BucketName": "b", "Extract": "false"});
                action["outputArtifacts"] = json!([]);
            },
            ActionError,
            "stages[1].actions[0].configuration",
            "Action configuration for action 'Compile' is missing required configuration 'ObjectKey'",
        ),
        (
            "a queryable value with a space",
            |json| {
                let action = &mut json["stages"][1]["actions"][0];
                action["actionTypeId"]["owner"] = json!("Custom");
                action["actionTypeId"]["provider"] = json!("Forge");
                action["configuration"] = json!({"Queue": "a b"});
            },
            ActionError,
            "stages[1].actions[0].configuration.Queue",
            "Action configuration for action 'Compile' has an invalid value for the queryable configuration \
             'Queue': it must have at most 20 characters and satisfy the pattern [a-zA-Z0-9_-]+",
        ),
        (
            "a time limit on a build",
            |json| json["stages"][1]["actions"][0]["timeoutInMinutes"] = json!(10),
            ActionError,
            "stages[1].actions[0].timeoutInMinutes",
            "Action Compile cannot have a timeoutInMinutes field: only manual approval actions can",
        ),
        (
            "a template in an artifact that is no input",
            |json| {
                let action = &mut json["stages"][1]["actions"][0];
                action["actionTypeId"]["category"] = json!("Deploy");
                action["actionTypeId"]["provider"] = json!("CloudFormation");
                action["configuration"] = json!({"ActionMode": "CREATE_UPDATE", "StackName": "s",
                    "TemplatePath": "Other::t.yaml"});
            },
            ActionError,
            "stages[1].actions[0].configuration.TemplatePath",
            "Action configuration for action 'Compile' refers to the artifact 'Other' in 'TemplatePath', which is \
             not an input artifact of the action",
        ),
    ]);
}

#[test]
fn compute_actions() {
    expect(&[
        (
            "Commands without commands",
            |json| {
                let action = &mut json["stages"][1]["actions"][0];
                action["actionTypeId"]["category"] = json!("Compute");
                action["actionTypeId"]["provider"] = json!("Commands");
                action["configuration"] = json!({});
            },
            ActionError,
            "stages[1].actions[0].commands",
            "Action Compile must have a non-empty commands field",
        ),
        (
            "commands elsewhere",
            |json| json["stages"][1]["actions"][0]["commands"] = json!(["true"]),
            ActionError,
            "stages[1].actions[0].commands",
            "The following action cannot contain a commands field: Compile. To use the commands field, use a \
             compute action.",
        ),
        (
            "files elsewhere",
            |json| json["stages"][1]["actions"][0]["outputArtifacts"][0]["files"] = json!(["**/*"]),
            ActionError,
            "stages[1].actions[0].outputArtifacts[0].files",
            "The following action cannot contain a commands field: Compile. To use the commands field, use a \
             compute action.",
        ),
    ]);
}

#[test]
fn approval_notifications() {
    fn topic(json: &mut Value, arn: &str) {
        json["stages"][2]["actions"][0]["configuration"] = json!({"NotificationArn": arn});
    }
    let path = "stages[2].actions[0].configuration.NotificationArn";
    expect(&[
        (
            "no ARN",
            |json| topic(json, "topic"),
            ActionError,
            path,
            "The ARN topic you specified for sending notifications for the approval action Approve contains a \
             format error.",
        ),
        (
            "a queue",
            |json| topic(json, "arn:aws:sqs:us-east-1:123456789012:q"),
            ActionError,
            path,
            "The ARN arn:aws:sqs:us-east-1:123456789012:q has been specified for sending notifications for the \
             approval action Approve, but the AWS service for this ARN cannot be used to send approval requests.",
        ),
        (
            "a topic elsewhere",
            |json| topic(json, "arn:aws:sns:eu-west-1:123456789012:t"),
            ActionError,
            path,
            "The ARN arn:aws:sns:eu-west-1:123456789012:t has been specified for sending notifications for the \
             approval action Approve, but the ARN is not in the same region as the pipeline.",
        ),
    ]);
    let mut json = plain();
    topic(&mut json, "arn:aws:sns:us-east-1:123456789012:t");
    assert_eq!(refusal(&json), None);
}

#[test]
fn cross_region_sources_are_refused() {
    let error = refused("a source elsewhere", |json| {
        let store = json["artifactStore"].take();
        json["artifactStores"] = json!({"us-east-1": store, "eu-west-1": store});
        json["stages"][0]["actions"][0]["region"] = json!("eu-west-1");
    });
    assert_eq!(
        (error.code, &*error.message),
        (
            ActionError,
            "Action Fetch cannot run in region eu-west-1: Source actions must be in the same region as the pipeline"
        )
    );
}
