//! The whole way: a push, a build, an approval, a deployment, and people who hear of it.

use super::given::{Home, stage};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    emulated::{slack::Slack, stack::SOON},
    processes::eventually,
};

pub(crate) fn a_push(home: &mut Home) {
    let (stack, name) = (&home.stack, "whole");
    listen(home);

    // Created before there is anything to fetch: the first execution fails, and people hear of that.
    home.create(
        name,
        &[
            stage("Build", &[home.build("Compile")]),
            stage("Approve", &[home.approval("Release")]),
            stage("Deploy", &[home.deployment("Site", "whole.html")]),
        ],
    );
    let failure = message(home, |message| event(message)["detail"]["state"] == "FAILED");
    let failure = event(&failure);
    assert_eq!(failure["source"], "codepipeline.selfhosted", "{failure}");
    assert_eq!(failure["detail-type"], "CodePipeline Pipeline Execution State Change", "{failure}");
    assert_eq!(failure["detail"]["pipeline"], name, "{failure}");

    home.push(name, "one");
    let execution = started(home, name, 2);
    let build = stack.wait_for_action(name, "Build", "Compile", "Succeeded");
    let id = build["latestExecution"]["externalExecutionId"].as_str().unwrap_or_default();
    assert!(id.starts_with("shop:"), "{build:#}");

    stack.wait_for_action(name, "Approve", "Release", "InProgress");
    let asked = message(home, |message| !event(message)["approval"].is_null());
    let approval = &event(&asked)["approval"];
    assert_eq!(approval["pipelineName"], name, "{asked}");
    let result = json!({"summary": "looks good", "status": "Approved"});
    let input = json!({"pipelineName": name, "stageName": "Approve", "actionName": "Release",
        "token": approval["token"], "result": result});
    stack.call("PutApprovalResult", &input);

    stack.wait_for(name, &execution, "Succeeded");
    let deployed = stack.aws.object(stack.output("SiteName"), "whole.html");
    assert!(
        deployed.is_some_and(|body| body.windows(3).any(|bytes| bytes == b"one")),
        "the site was not deployed"
    );
    // Rows follow the log.
    let by = || stack.action(name, "Approve", "Release")["latestExecution"]["lastUpdatedBy"].clone();
    assert!(eventually(SOON, || by() == "arn:aws:iam::111122223333:user/test"), "it was decided by {}", by());
}

/// A failure and the recovery from it, in Slack, which is too busy for the first post.
pub(crate) fn slack(home: &mut Home) {
    let (stack, name) = (&home.stack, "slack");
    let slack = Slack::start(1);
    let secret = json!({"Name": "/towpath/towpath/notices/webhook", "Type": "SecureString", "Value": slack.url(),
        "Overwrite": true});
    stack.aws.json(aws::client::Service::Ssm, "PutParameter", &secret);
    // What the function read of its settings before holds for a minute.
    std::thread::sleep(Duration::from_secs(61));
    home.create(name, &[stage("Deploy", &[home.deployment("Site", "slack.html")])]);
    home.push(name, "slack");
    let execution = started(home, name, 2);
    stack.wait_for(name, &execution, "Succeeded");
    let told = || slack.posts().iter().map(|(_, post)| post.to_string()).collect::<Vec<_>>();
    let heard = eventually(SOON, || {
        std::thread::sleep(Duration::from_millis(100));
        slack.turned_away() == 1 && told().iter().filter(|post| post.contains(name)).count() >= 2
    });
    assert!(heard, "Slack heard {:#?}", told());
}

/// Has the fixtures' queue hear what the topic says.
fn listen(home: &Home) {
    let stack = &home.stack;
    let subscription = [
        ("TopicArn", stack.output("NoticesTopicArn")),
        ("Protocol", "sqs"),
        ("Endpoint", stack.output("InboxArn")),
    ];
    stack.aws.query(aws::client::Service::Sns, "Subscribe", &subscription);
}

/// Waits for a message in the fixtures' queue.
#[track_caller]
fn message(home: &Home, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut seen = Vec::new();
    let came = eventually(SOON, || {
        seen.extend(home.stack.aws.messages(home.stack.output("InboxUrl")));
        std::thread::sleep(Duration::from_millis(100));
        seen.iter().any(&wanted)
    });
    assert!(came, "the message did not come: {seen:#?}");
    seen.into_iter().find(wanted).unwrap()
}

/// What a message of SNS says.
fn event(message: &Value) -> Value {
    serde_json::from_str(message["Message"].as_str().unwrap_or_default()).unwrap_or(Value::Null)
}

/// Waits until a pipeline has so many executions; the newest.
#[track_caller]
pub(crate) fn started(home: &Home, pipeline: &str, count: usize) -> String {
    let mut all = Vec::new();
    let so = eventually(SOON, || {
        std::thread::sleep(Duration::from_millis(100));
        all = home.stack.executions(pipeline);
        all.len() >= count
    });
    assert!(so && all.len() == count, "{pipeline} has {} executions, not {count}: {all:#?}", all.len());
    all[0]["pipelineExecutionId"].as_str().unwrap().to_owned()
}
