//! Three thousand requests that nobody would send: never an internal failure, and the server stays up.

use crate::steps::create;
use serde_json::{Value, json};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    random::Random,
    server::Server,
};

const SEED: u64 = 20_150_709;
const REQUESTS: usize = 3_000;
const ARN: &str = "arn:aws:codepipeline:us-east-1:123456789012:shop";

/// Inputs that are good, to begin with.
fn inputs(definition: &Value, execution: &str) -> Vec<(&'static str, Value)> {
    let run = json!({ "pipelineName": "shop", "pipelineExecutionId": execution });
    let door =
        json!({ "pipelineName": "shop", "stageName": "Build", "transitionType": "Inbound", "reason": "r" });
    let of_shop = json!({ "pipelineName": "shop", "maxResults": 3, "filter": {} });
    vec![
        ("CreatePipeline", definition.clone()),
        ("UpdatePipeline", definition.clone()),
        ("GetPipeline", json!({ "name": "shop", "version": 1 })),
        ("GetPipelineState", json!({ "name": "shop" })),
        ("ListPipelines", json!({ "maxResults": 2, "nextToken": "1-00000000-00" })),
        ("StartPipelineExecution", json!({ "name": "shop", "clientRequestToken": "a", "variables": [] })),
        ("StopPipelineExecution", run.clone()),
        (
            "RetryStageExecution",
            json!({ "pipelineName": "shop", "stageName": "Build",
            "pipelineExecutionId": execution, "retryMode": "FAILED_ACTIONS" }),
        ),
        ("GetPipelineExecution", run),
        ("ListPipelineExecutions", of_shop.clone()),
        ("ListActionExecutions", of_shop),
        (
            "PutApprovalResult",
            json!({ "pipelineName": "shop", "stageName": "Build", "actionName": "Say",
            "token": execution, "result": { "summary": "", "status": "Approved" } }),
        ),
        (
            "PutWebhook",
            json!({ "webhook": { "name": "hook", "targetPipeline": "shop", "targetAction": "Checkout",
            "filters": [{ "jsonPath": "$.ref", "matchEquals": "refs/heads/{BranchName}" }],
            "authentication": "GITHUB_HMAC", "authenticationConfiguration": { "SecretToken": "s" } },
            "tags": [{ "key": "a", "value": "b" }] }),
        ),
        ("ListWebhooks", json!({ "MaxResults": 3, "NextToken": "1-00000000-00" })),
        ("DeleteWebhook", json!({ "name": "hook" })),
        ("RegisterWebhookWithThirdParty", json!({ "webhookName": "hook" })),
        ("DeregisterWebhookWithThirdParty", json!({ "webhookName": "hook" })),
        ("TagResource", json!({ "resourceArn": ARN, "tags": [{ "key": "a", "value": "b" }] })),
        ("UntagResource", json!({ "resourceArn": ARN, "tagKeys": ["a"] })),
        ("ListTagsForResource", json!({ "resourceArn": ARN, "maxResults": 3 })),
        (
            "PutActionRevision",
            json!({ "pipelineName": "shop", "stageName": "Source", "actionName": "Checkout",
            "actionRevision": { "revisionId": "r", "revisionChangeId": "c", "created": 1.5 } }),
        ),
        (
            "ListDeployActionExecutionTargets",
            json!({ "actionExecutionId": execution, "maxResults": 3,
            "filters": [{ "name": "TARGET_STATUS", "values": ["Failed"] }] }),
        ),
        ("DisableStageTransition", door.clone()),
        ("EnableStageTransition", door),
    ]
}

#[test]
fn no_request_however_mangled_brings_an_internal_failure() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let execution = create(&server.client, &definition, "Succeeded");
    let inputs = inputs(&definition, &execution);
    let mut random = Random::new(SEED);
    let mut answers = std::collections::BTreeMap::<String, usize>::new();
    for round in 0..REQUESTS {
        let (operation, good) = random.pick(&inputs).clone();
        let mut input = good;
        for _ in 0..=random.below(3) {
            mangle(&mut input, &mut random);
        }
        let mut body = input.to_string().into_bytes();
        if random.below(4) == 0 {
            damage(&mut body, &mut random);
        }
        let answer = server.client.post(operation, &body).unwrap();
        let shown = String::from_utf8_lossy(&body);
        assert!(answer.status < 500, "round {round}: {operation} {shown}: {:?}", answer.refusal());
        tests::conforming::check(operation, &answer);
        let code = if answer.status == 200 { "200".to_owned() } else { answer.refusal().code };
        *answers.entry(code).or_default() += 1;
    }
    assert!(answers["200"] > 20 && answers.len() > 5, "the mangling is too strong or too weak: {answers:?}");
    assert_eq!(server.client.get("/healthz").unwrap().status, 200);
    server.client.call("GetPipelineState", &json!({ "name": "shop" }));
}

/// Changes one value somewhere in the input.
fn mangle(value: &mut Value, random: &mut Random) {
    let inside = random.below(5) > 0;
    match value {
        Value::Object(members) if inside && !members.is_empty() => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = random.pick(&names).clone();
            if random.below(8) == 0 {
                members.remove(&name);
            } else if let Some(member) = members.get_mut(&name) {
                mangle(member, random);
            }
        }
        Value::Array(entries) if inside && !entries.is_empty() => {
            let index = random.below(entries.len());
            if random.below(8) == 0 {
                let again = entries[index].clone();
                entries.push(again);
            } else {
                mangle(&mut entries[index], random);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => *value = strange(random),
    }
}

fn strange(random: &mut Random) -> Value {
    let long = "x".repeat(random.below(3_000));
    let choices = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!(1.5),
        json!(""),
        json!("."),
        json!(".."),
        json!("../../etc"),
        json!("a/b"),
        json!("ü€😀\u{0}\u{7}\u{202e}"),
        json!("#{variables.X}"),
        json!("#{codepipeline.PipelineExecutionId}#{"),
        json!("other"),
        json!("Build"),
        json!(long),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!({ "name": { "name": {} } }),
    ];
    random.pick(&choices).clone()
}

/// Changes bytes, so that what is sent may be no JSON at all.
fn damage(body: &mut Vec<u8>, random: &mut Random) {
    match random.below(3) {
        0 => body.truncate(random.below(body.len().max(1))),
        1 => {
            for _ in 0..=random.below(4) {
                let at = random.below(body.len().max(1));
                let byte = u8::try_from(random.below(256)).unwrap();
                if let Some(place) = body.get_mut(at) {
                    *place = byte;
                }
            }
        }
        _ => {
            let copy = body.clone();
            body.extend(copy);
        }
    }
}
