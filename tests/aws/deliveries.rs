//! Events that come twice, late, too early, in the wrong order, or from nobody.

use super::{
    given::{Home, stage},
    whole::started,
};
use aws::client::Service;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    client::Client,
    deliveries::{Delivery, push},
};

pub(crate) fn twice(home: &mut Home) {
    let name = "twice";
    home.create(name, &[stage("Approve", &[home.approval("Wait")])]);
    // EventBridge promises to deliver an event at least once: the same id, to the same function.
    let event = event(
        "11111111-2222-4333-8444-000000000001",
        "aws.s3",
        "Object Created",
        json!({
        "version": "0", "bucket": {"name": home.stack.output("SourcesName")}, "reason": "PutObject",
        "object": {"key": "twice.zip", "size": 9, "etag": "e", "sequencer": "01"}}),
    );
    for _ in 0..3 {
        home.stack.aws.invoke(home.stack.output("TriggerArn"), &event);
    }
    started(home, name, 2);
    std::thread::sleep(Duration::from_secs(3));
    started(home, name, 2);
}

pub(crate) fn disorder(home: &mut Home) {
    let name = "disorder";
    home.create(
        name,
        &[
            stage("Build", &[home.build("One"), home.build("Two")]),
            stage("Deploy", &[home.deployment("Site", "disorder.html")]),
        ],
    );
    // News of builds that nobody here has begun, before and in between.
    home.tell_build_ended("shop:00000000-0000-4000-8000-000000000000", "FAILED");
    home.push(name, "disorder");
    let execution = started(home, name, 2);
    let ids: Vec<String> = ["One", "Two"]
        .iter()
        .map(|action| {
            let state = home.stack.wait_for_action(name, "Build", action, "Succeeded");
            state["latestExecution"]["externalExecutionId"].as_str().unwrap().to_owned()
        })
        .collect();
    // What is told is a hint. The builds have succeeded, whatever is told of them, in whichever order.
    for id in ids.iter().rev().chain(&ids) {
        home.tell_build_ended(id, "FAILED");
        home.tell_build_ended(id, "SUCCEEDED");
    }
    home.stack.wait_for(name, &execution, "Succeeded");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(home.stack.status(name, &execution), "Succeeded");
    started(home, name, 2);
}

pub(crate) fn strange(home: &mut Home) {
    let trigger = home.stack.output("TriggerArn").to_owned();
    for strange in [
        json!({}),
        json!([1, 2]),
        json!("text"),
        event("1", "aws.s3", "Object Created", json!({"bucket": 7})),
        event("2", "aws.codebuild", "CodeBuild Build State Change", json!({"build-id": "not an ARN"})),
        event("3", "aws.unheard-of", "Nobody Knows", json!({})),
        json!({"towpath": "start", "pipeline": "../../etc/passwd"}),
        json!({"version": "99", "detail-type": "Object Created", "source": "aws.s3", "detail": null}),
    ] {
        home.stack.aws.invoke(&trigger, &strange);
    }
    // It still does what it is for.
    let name = "strange";
    home.create(name, &[stage("Deploy", &[home.deployment("Site", "strange.html")])]);
    home.push(name, "strange");
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
}

/// The one public address: whoever signs with the host's secret is heard, nobody else, and nothing else is there.
pub(crate) fn git_hosts(home: &mut Home) {
    let (stack, secret) = (&home.stack, "whispered");
    let parameter = format!("{}hooks/github", stack.output("SecretsPrefix"));
    let kept = json!({"Name": parameter, "Type": "SecureString", "Value": secret});
    stack.aws.json(Service::Ssm, "PutParameter", &kept);
    let (url, client) = (stack.url("WebhookUrl"), Client::new(stack.address));
    let pushed = |host: &str, minutes: i64| {
        let mut body = push("main", "8f3c1de0000000000000000000000000000000aa");
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        body["repository"]["pushed_at"] = json!(at.as_second());
        Delivery::new(&format!("{url}hooks/{host}"), &body)
            .with("x-github-event", "push")
            .with("x-github-delivery", "11111111-2222-4333-8444-000000000002")
    };
    let heard = pushed("github", 0).signed(secret).send(&client);
    assert_eq!((heard.status, &heard.json()["pipelines"]), (200, &json!([])), "{heard:?}");
    for (strange, status) in [
        (pushed("github", 0), 403),
        (pushed("github", 0).signed("guessed"), 403),
        // Signed by the host, and kept by somebody for later.
        (pushed("github", 6).signed(secret), 403),
        (pushed("gitlab", 0).signed(secret), 404),
        (Delivery::new(&format!("{url}elsewhere"), &json!({})).signed(secret), 404),
    ] {
        let answer = strange.send(&client);
        assert_eq!(answer.status, status, "{strange:?}: {answer:?}");
    }
}

fn event(id: &str, source: &str, detail_type: &str, detail: Value) -> Value {
    json!({"version": "0", "id": id, "source": source, "detail-type": detail_type, "account": "111122223333",
        "time": "2026-11-29T10:00:00Z", "region": "us-east-1", "resources": [], "detail": detail})
}
