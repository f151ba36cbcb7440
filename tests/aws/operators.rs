//! What concerns whoever operates an installation: who may do what, and where trouble shows.

use super::{
    given::{Home, stage},
    whole::started,
};
use aws::client::Service;
use serde_json::json;
use std::time::Duration;
use tests::{emulated::stack::SOON, processes::eventually};

pub(crate) fn permissions(home: &mut Home) {
    let (stack, name) = (&home.stack, "permissions");
    home.create(name, &[stage("Approve", &[home.approval("Wait")])]);
    // Whom IAM does not let in gets no answer of ours.
    let (id, secret) = stack.user("stranger", None);
    let knocks = stack.post_as((&id, &secret), "GetPipelineState", &json!({"name": name}));
    assert_eq!(knocks.status, 403, "{:?}", knocks.refusal());
    // Somebody who is not in the table may look.
    let (id, secret) = stack.user("reader", Some(stack.output("CallerPolicyArn")));
    let looks = stack.post_as((&id, &secret), "GetPipelineState", &json!({"name": name}));
    assert_eq!(looks.status, 200, "{:?}", looks.refusal());
    let starts = stack.post_as((&id, &secret), "StartPipelineExecution", &json!({"name": name}));
    let refusal = starts.refusal();
    assert!(refusal.code.contains("AccessDenied") || refusal.code.contains("NotAuthorized"), "{refusal:?}");
    assert!(refusal.message.contains("StartPipelineExecution"), "{refusal:?}");
    // Who is nobody is not even asked what they want.
    let client = tests::client::Client::new(stack.address);
    let path = home.stack.url_path("ApiUrl");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-amz-target: CodePipeline_20150709.ListPipelines"
    );
    let anonymous =
        client.raw(format!("{head}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}").as_bytes());
    assert_eq!(anonymous.unwrap().status, 403);
}

pub(crate) fn poison(home: &mut Home) {
    let stack = &home.stack;
    let item =
        json!({"s": {"S": "execution#poison"}, "n": {"N": "1"}, "v": {"N": "1"}, "e": {"S": "not events"}});
    stack.aws.json(
        Service::DynamoDb,
        "PutItem",
        &json!({"TableName": stack.output("LogTableName"), "Item": item}),
    );
    let mut letters = Vec::new();
    let came = eventually(SOON, || {
        letters.extend(stack.aws.messages(stack.output("DeadLettersUrl")));
        std::thread::sleep(Duration::from_millis(200));
        letters.iter().any(|letter| letter.to_string().contains("poison"))
    });
    assert!(came, "the record is nowhere: {letters:#?}");
    // Those behind it are not held up.
    let name = "after-poison";
    home.create(name, &[stage("Deploy", &[home.deployment("Site", "poison.html")])]);
    home.push(name, "poison");
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
}
