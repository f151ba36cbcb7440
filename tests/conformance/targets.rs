//! `ListDeployActionExecutionTargets`: what a deployment did on each host.

use crate::steps::create;
use serde_json::{Value, json};
use tests::{
    folder::Folder,
    pipelines::{pipeline, source, stage},
    server::Server,
};

const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

fn shop() -> Value {
    let deploy = json!({
        "name": "Ship",
        "actionTypeId": { "category": "Deploy", "owner": "AWS", "provider": "CodeDeploy", "version": "1" },
        "configuration": { "ApplicationName": "Shop", "DeploymentGroupName": "Live" },
        "inputArtifacts": [{ "name": "Code" }],
    });
    pipeline("shop", vec![source(), stage("Live", vec![deploy])])
}

fn folder() -> Folder {
    let appspec = "version: 0.0\nos: linux\nfiles:\n  - source: page.html\n    destination: /srv\nhooks:\n  \
                   ValidateService:\n    - location: check.sh\n      timeout: 20\n";
    let settings = "[codedeploy.\"Shop/Live\"]\nauto-rollback = false\nhosts = [{ name = \"one\", root = \"hosts/one\" }, \
                    { name = \"two\", root = \"hosts/two\", environment = { BROKEN = \"yes\" } }, \
                    { name = \"three\", root = \"hosts/three\" }]\n";
    let check = "#!/bin/sh\ntest -z \"$BROKEN\"\n";
    let folder = Folder::repository(
        &shop(),
        &[("appspec.yml", appspec), ("page.html", "hello"), ("check.sh", check), ("towpath.toml", settings)],
    );
    folder.script("check.sh", check);
    for host in ["one", "two", "three"] {
        std::fs::create_dir_all(folder.at(&format!("hosts/{host}"))).unwrap();
    }
    folder.commit("The check can be run");
    folder
}

#[test]
fn each_host_is_told_with_its_events_after_a_restart_too() {
    let folder = folder();
    let server = Server::start(&folder);
    create(&server.client, &shop(), "Failed");
    assert!(server.stop().success());
    let server = Server::start(&folder);
    let client = &server.client;
    let actions = client.call("ListActionExecutions", &json!({ "pipelineName": "shop" }));
    let id_of = |name: &str| {
        let all = actions["actionExecutionDetails"].as_array().unwrap();
        all.iter().find(|action| action["actionName"] == name).unwrap()["actionExecutionId"].clone()
    };
    let ship = id_of("Ship");
    let list = |input: Value| client.call("ListDeployActionExecutionTargets", &input)["targets"].clone();
    let all = list(json!({ "actionExecutionId": ship, "pipelineName": "shop" }));
    let told: Vec<(&str, &str)> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|target| (target["targetId"].as_str().unwrap(), target["status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("one", "Succeeded"), ("two", "Failed"), ("three", "Skipped")]);
    assert_eq!(all[0]["targetType"], "InstanceTarget");
    let events: Vec<&Value> =
        all[0]["events"].as_array().unwrap().iter().map(|event| &event["name"]).collect();
    assert!(events.contains(&&json!("Install")) && events.contains(&&json!("ValidateService")), "{events:?}");
    let failed =
        all[1]["events"].as_array().unwrap().iter().find(|event| event["status"] == "Failed").unwrap();
    assert_eq!(failed["name"], "ValidateService");
    assert!(failed["context"]["message"].as_str().unwrap().contains("check.sh"), "{failed:#}");
    let (begun, ended) = (all[0]["startTime"].as_f64().unwrap(), all[0]["endTime"].as_f64().unwrap());
    assert!(1.6e9 < begun && begun <= ended, "{begun} {ended}");
    assert_eq!(all[2].get("startTime"), None);

    let filter = |values: Value| json!({ "actionExecutionId": ship, "filters": [{ "name": "TARGET_STATUS", "values": values }] });
    assert_eq!(list(filter(json!(["Failed", "Skipped"]))), json!([all[1], all[2]]));
    assert_eq!(list(filter(json!(["Pending"]))), json!([]));
    let first = client
        .call("ListDeployActionExecutionTargets", &json!({ "actionExecutionId": ship, "maxResults": 2 }));
    assert_eq!(first["targets"], json!([all[0], all[1]]));
    let mut next = json!({ "actionExecutionId": ship, "maxResults": 2, "nextToken": first["nextToken"] });
    let second = client.call("ListDeployActionExecutionTargets", &next);
    assert_eq!((&second["targets"], second.get("nextToken")), (&json!([all[2]]), None));
    next["filters"] = filter(json!(["Failed"]))["filters"].clone();
    client.refused("ListDeployActionExecutionTargets", &next, "InvalidNextTokenException");

    let refused = |input: Value, code: &str| client.refused("ListDeployActionExecutionTargets", &input, code);
    for id in [json!(NO_ID), json!("../../etc"), id_of("Checkout")] {
        refused(json!({ "actionExecutionId": id }), "ActionExecutionNotFoundException");
    }
    refused(json!({ "actionExecutionId": ship, "pipelineName": "none" }), "PipelineNotFoundException");
    let mut other = shop();
    other["pipeline"]["name"] = json!("other");
    client.call("CreatePipeline", &other);
    refused(
        json!({ "actionExecutionId": ship, "pipelineName": "other" }),
        "ActionExecutionNotFoundException",
    );
    refused(filter(json!([])), "ValidationException");
}
