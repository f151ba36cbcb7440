//! What each kind of action may and must declare: Region, counts, configuration, commands, topics.

use crate::{ActionError, accept, commands, compile, expect, plain, refusal, turn, violations};
use serde_json::{Value, json};

/// A store in each of two Regions.
fn two_regions(json: &mut Value) {
    let store = json["artifactStore"].take();
    json["artifactStores"] = json!({"us-east-1": store, "eu-west-1": store});
}

fn forge(json: &mut Value, queue: &str) {
    turn(json, "Build", "Forge", json!({"Queue": queue}));
    compile(json)["actionTypeId"]["owner"] = json!("Custom");
}

fn to_bucket(json: &mut Value, configuration: Value) {
    turn(json, "Deploy", "S3", configuration);
}

fn to_stack(json: &mut Value, template: &str) {
    let configuration = json!({"ActionMode": "CREATE_UPDATE", "StackName": "s", "TemplatePath": template});
    turn(json, "Deploy", "CloudFormation", configuration);
}

#[test]
fn only_actions_of_aws_run_in_other_regions() {
    accept(&[
        ("a build elsewhere", |json| {
            two_regions(json);
            compile(json)["region"] = json!("eu-west-1");
        }),
        ("a source at home", |json| json["stages"][0]["actions"][0]["region"] = json!("us-east-1")),
        ("a custom action at home", |json| {
            forge(json, "q");
            compile(json)["region"] = json!("us-east-1");
        }),
    ]);
    expect(&[(
        "a custom action elsewhere",
        |json| {
            two_regions(json);
            forge(json, "q");
            compile(json)["region"] = json!("eu-west-1");
        },
        ActionError,
        "stages[1].actions[0].region",
        "Action Compile cannot run in region eu-west-1: Custom actions must be in the same region as the pipeline",
    )]);
}

#[test]
fn artifacts_are_counted_with_both_bounds_included() {
    let of = |member: &str, count: usize| {
        let found = violations(|json| {
            let named = |number| json!({"name": format!("A{number}")});
            compile(json)[member] = (0..count).map(named).collect();
        });
        let at = format!("stages[1].actions[0].{member}");
        found.into_iter().find(|error| error.path == at).map(|error| error.message)
    };
    let most = "which is more than the maximum count (5)";
    assert_eq!((of("inputArtifacts", 1), of("inputArtifacts", 5)), (None, None));
    assert_eq!(of("inputArtifacts", 6).unwrap(), format!("Action Compile declares 6 input artifacts {most}"));
    assert_eq!((of("outputArtifacts", 0), of("outputArtifacts", 5)), (None, None));
    assert_eq!(
        of("outputArtifacts", 6).unwrap(),
        format!("Action Compile declares 6 output artifacts {most}")
    );
}

#[test]
fn configurations_hold_what_their_kind_asks_for() {
    accept(&[
        ("a queryable value at its longest", |json| forge(json, "abcdefghij-KLMNOP_89")),
        ("a space where nothing is queried by it", |json| {
            compile(json)["configuration"]["ProjectName"] = json!("a b");
        }),
        ("an object without a name that is unpacked", |json| {
            to_bucket(json, json!({"BucketName": "b", "Extract": "true"}));
        }),
        ("an object with a name that is not unpacked", |json| {
            to_bucket(json, json!({"BucketName": "b", "Extract": "false", "ObjectKey": "k"}));
        }),
        ("any key where the keys are not public", |json| {
            turn(json, "Invoke", "Snyk", json!({"Anything": "x", "NotificationArn": "no topic"}));
            compile(json)["actionTypeId"]["owner"] = json!("ThirdParty");
        }),
        ("a template in an input", |json| to_stack(json, "Code::t.yml")),
        ("a template that names no artifact", |json| to_stack(json, "t.yml")),
        ("a text with colons that no artifact is called by", |json| to_stack(json, "{\"a b\"::x")),
        ("a time limit on an approval", |json| {
            json["stages"][2]["actions"][0]["timeoutInMinutes"] = json!(5)
        }),
        ("one action name in two stages", |json| {
            let action = &mut json["stages"][2]["actions"][0];
            action["name"] = json!("Compile");
        }),
    ]);
    let invalid = "Action configuration for action 'Compile' has an invalid value for the queryable configuration \
                   'Queue': it must have at most 20 characters and satisfy the pattern [a-zA-Z0-9_-]+";
    let queue = "stages[1].actions[0].configuration.Queue";
    expect(&[
        (
            "a queryable value that is too long",
            |json| forge(json, "abcdefghij-KLMNOP_890"),
            ActionError,
            queue,
            invalid,
        ),
        ("a queryable value with a dot", |json| forge(json, "a.b"), ActionError, queue, invalid),
        (
            "a word is read in upper and lower case",
            |json| to_bucket(json, json!({"BucketName": "b", "Extract": "FALSE"})),
            ActionError,
            "stages[1].actions[0].configuration",
            "Action configuration for action 'Compile' is missing required configuration 'ObjectKey'",
        ),
        (
            "only the key that is missing is named",
            |json| to_bucket(json, json!({"BucketName": "b"})),
            ActionError,
            "stages[1].actions[0].configuration",
            "Action configuration for action 'Compile' is missing required configuration 'Extract'",
        ),
    ]);
}

#[test]
fn only_compute_actions_have_what_commands_need() {
    accept(&[
        ("commands with files, variables and secrets", |json| {
            commands(json, &["true", "false"]);
            let action = compile(json);
            action["outputArtifacts"] = json!([{"name": "Built", "files": ["**/*"]}]);
            action["outputVariables"] = json!(["N"]);
            action["environmentVariables"] = json!([{"name": "S", "value": "id", "type": "SECRETS_MANAGER"}]);
        }),
        ("plain variables elsewhere", |json| {
            compile(json)["environmentVariables"] =
                json!([{"name": "A", "value": "1", "type": "PLAINTEXT"}, {"name": "B", "value": "2"}]);
        }),
    ]);
    let several = "Action Compile has a command with more than one line";
    expect(&[
        (
            "a line feed",
            |json| commands(json, &["true", "a\nb"]),
            ActionError,
            "stages[1].actions[0].commands[1]",
            several,
        ),
        (
            "a carriage return",
            |json| commands(json, &["a\rb", "true"]),
            ActionError,
            "stages[1].actions[0].commands[0]",
            several,
        ),
        (
            "output variables elsewhere",
            |json| compile(json)["outputVariables"] = json!(["N"]),
            ActionError,
            "stages[1].actions[0].outputVariables",
            "The following action cannot contain an outputVariables field: Compile. To use the outputVariables field, \
             use a compute action.",
        ),
        (
            "a secret elsewhere",
            |json| {
                compile(json)["environmentVariables"] = json!([
                    {"name": "A", "value": "1", "type": "PLAINTEXT"},
                    {"name": "B", "value": "id", "type": "SECRETS_MANAGER"},
                ]);
            },
            ActionError,
            "stages[1].actions[0].environmentVariables[1].type",
            "Action Compile cannot use environment variables of type SECRETS_MANAGER",
        ),
        (
            "files of the second artifact elsewhere",
            |json| compile(json)["outputArtifacts"] = json!([{"name": "A"}, {"name": "B", "files": ["x"]}]),
            ActionError,
            "stages[1].actions[0].outputArtifacts[1].files",
            "The following action cannot contain a commands field: Compile. To use the commands field, use a compute \
             action.",
        ),
    ]);
}

#[test]
fn an_approval_tells_a_topic_of_the_pipelines_region() {
    let of = |arn: &str| {
        let mut json = plain();
        json["stages"][2]["actions"][0]["configuration"] = json!({"NotificationArn": arn});
        refusal(&json)
    };
    for legal in [
        "arn:aws:sns:us-east-1:123456789012:t",
        "arn:aws-cn:sns:us-east-1:210987654321:t",
        "#{Src.Topic}",
        "arn:aws:sqs:#{Src.Region}:1:q",
    ] {
        assert_eq!(of(legal), None, "{legal}");
    }
    for (arn, problem) in [
        ("arn:aws:sns:us-east-1:123456789012", Format),
        ("arx:aws:sns:us-east-1:123456789012:t", Format),
        ("arn:ews:sns:us-east-1:123456789012:t", Format),
        ("arn:aws::us-east-1:123456789012:t", Format),
        ("arn:aws:sns:us-east-1:123456789012:", Format),
        ("arn:aws:sns::123456789012:t", Format),
        ("arn:aws:sns:us-east-1:12345678901:t", Format),
        ("arn:aws:sns:us-east-1:1234567890123:t", Format),
        ("arn:aws:sns:us-east-1:12345678901x:t", Format),
        ("arn:aws:sns:us-east-1:123456789012:t:s", Format),
        ("arn:aws:sqs:us-east-1:1:q", Service),
        ("arn:aws:sns:eu-west-1:123456789012:t", Region),
    ] {
        let error = of(arn).unwrap();
        let specified = "specified for sending notifications for the approval action Approve";
        let words = match problem {
            Format => format!("The ARN {arn} you {specified} contains a format error."),
            Service => format!(
                "The ARN {arn} has been {specified}, but the AWS service for this ARN cannot be used to send approval \
                 requests."
            ),
            Region => {
                format!(
                    "The ARN {arn} has been {specified}, but the ARN is not in the same region as the pipeline."
                )
            }
        };
        assert_eq!((error.code, error.message), (ActionError, words), "{arn}");
        assert_eq!(error.path, "stages[2].actions[0].configuration.NotificationArn");
        let hint = "name an SNS topic: `arn:aws:sns:us-east-1:123456789012:<topic>`";
        assert_eq!(error.hint.as_deref(), Some(hint));
    }
}

/// What may be wrong with a topic.
enum Problem {
    Format,
    Service,
    Region,
}
use Problem::{Format, Region, Service};
