//! Tags of pipelines and webhooks.

use crate::steps::create;
use serde_json::{Value, json};
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    server::Server,
};

const PIPELINE: &str = "arn:aws:codepipeline:us-east-1:123456789012:shop";
const WEBHOOK: &str = "arn:aws:codepipeline:us-east-1:123456789012:webhook:hook";

fn tags(client: &Client, arn: &str) -> Value {
    client.call("ListTagsForResource", &json!({ "resourceArn": arn }))["tags"].clone()
}

fn tag(arn: &str, tags: &[(&str, &str)]) -> Value {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    json!({ "resourceArn": arn, "tags": tags })
}

#[test]
fn every_resource_is_tagged_listed_and_untagged_alike() {
    let mut definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    definition["tags"] = json!([{ "key": "z", "value": "1" }, { "key": "a", "value": "2" }]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition, "Succeeded");
    let hook = json!({ "webhook": { "name": "hook", "targetPipeline": "shop", "targetAction": "Checkout",
        "filters": [], "authentication": "UNAUTHENTICATED", "authenticationConfiguration": {} },
        "tags": definition["tags"] });
    client.call("PutWebhook", &hook);
    for arn in [PIPELINE, WEBHOOK] {
        assert_eq!(tags(client, arn), json!([{ "key": "a", "value": "2" }, { "key": "z", "value": "1" }]));
        let input = tag(arn, &[("m", "3"), ("a", "4")]);
        for _ in 0..2 {
            client.call("TagResource", &input);
        }
        let all =
            json!([{ "key": "a", "value": "4" }, { "key": "m", "value": "3" }, { "key": "z", "value": "1" }]);
        assert_eq!(tags(client, arn), all);
        for _ in 0..2 {
            client.call("UntagResource", &json!({ "resourceArn": arn, "tagKeys": ["a", "m", "z", "never"] }));
        }
        assert_eq!(tags(client, arn), json!([]));

        client.refused("TagResource", &tag(arn, &[("aws:x", "")]), "InvalidTagsException");
        client.refused("TagResource", &tag(arn, &[("x", "<")]), "InvalidTagsException");
        let keys: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
        let fifty: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
        client.call("TagResource", &tag(arn, &[("one", "")]));
        let refusal = client.refused("TagResource", &tag(arn, &fifty), "TooManyTagsException");
        assert_eq!(refusal.message, format!("Tag limit exceeded for resource [{arn}]."));
        client.call("UntagResource", &json!({ "resourceArn": arn, "tagKeys": ["one"] }));
        client.call("TagResource", &tag(arn, &fifty));
        assert_eq!(tags(client, arn).as_array().unwrap().len(), 50);
    }
    // A new version keeps them; the pipeline stays as it is.
    client.call("UpdatePipeline", &json!({ "pipeline": definition["pipeline"] }));
    assert_eq!(tags(client, PIPELINE).as_array().unwrap().len(), 50);
    assert!(server.stop().success());
    let server = Server::start(&folder);
    assert_eq!(tags(&server.client, PIPELINE).as_array().unwrap().len(), 50);
    server.client.call("DeletePipeline", &json!({ "name": "shop" }));
    gone(&server.client, PIPELINE, "a pipeline with the name 'shop'");
    server.client.call("DeleteWebhook", &json!({ "name": "hook" }));
    gone(&server.client, WEBHOOK, "a webhook with the name 'hook'");
}

#[track_caller]
fn gone(client: &Client, arn: &str, what: &str) {
    let calls = [
        ("TagResource", tag(arn, &[("a", "")])),
        ("UntagResource", json!({ "resourceArn": arn, "tagKeys": ["a"] })),
        ("ListTagsForResource", json!({ "resourceArn": arn })),
    ];
    for (operation, input) in calls {
        let refusal = client.refused(operation, &input, "ResourceNotFoundException");
        let words = format!("The account with id '123456789012' does not include {what}");
        assert_eq!(refusal.message, words, "{operation}");
    }
}

#[test]
fn an_arn_must_be_one_of_this_account_and_region() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let list =
        |arn: &str, code: &str| client.refused("ListTagsForResource", &json!({ "resourceArn": arn }), code);
    for arn in ["", "shop", "arn:aws:s3:::bucket", "arn:aws:codepipeline:us-east-1:1:shop"] {
        list(arn, "ValidationException");
    }
    for arn in [
        "arn:aws:codepipeline:eu-west-1:123456789012:shop",
        "arn:aws:codepipeline:us-east-1:210987654321:shop",
        "arn:aws-cn:codepipeline:us-east-1:123456789012:shop",
        "arn:aws:codepipeline:us-east-1:123456789012:shop/Build",
        "arn:aws:codepipeline:us-east-1:123456789012:job:1",
        "arn:aws:codepipeline:us-east-1:123456789012:actiontype:AWS/Build/CodeBuild/1",
    ] {
        list(arn, "InvalidArnException");
    }
    gone(client, PIPELINE, "a pipeline with the name 'shop'");
    let token = json!({ "resourceArn": PIPELINE, "nextToken": "1-00000000-00" });
    client.refused("ListTagsForResource", &token, "InvalidNextTokenException");
}
