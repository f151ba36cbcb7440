//! Stage conditions as clients see them: states, histories, overrides.

use crate::steps::{create, reaches, stage, start};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, gated, pipeline, rule, rule_of_commands, source},
    processes::eventually,
    server::Server,
};

const SOON: Duration = Duration::from_secs(30);

fn check(name: &str, value: &str) -> Value {
    let variable = "#{variables.Where}";
    rule(name, "VariableCheck", json!({ "Variable": variable, "Operator": "EQ", "Value": value }))
}

/// A stage whose way in needs `Where` to be `main`, and which has a way out.
fn definition() -> Value {
    let ship = tests::pipelines::stage("Ship", vec![commands("Say", &["true"])]);
    let ship = gated(ship, "beforeEntry", "FAIL", vec![check("OnMain", "main"), check("Other", "here")]);
    let ship = gated(ship, "onSuccess", "FAIL", vec![rule_of_commands("Ready", &["test -f ready.txt"])]);
    let mut definition = pipeline("shop", vec![source(), ship]);
    definition["pipeline"]["variables"] = json!([{ "name": "Where", "defaultValue": "here" }]);
    definition
}

fn override_condition(run: &str, kind: &str) -> Value {
    json!({
        "pipelineName": "shop", "stageName": "Ship", "pipelineExecutionId": run, "conditionType": kind,
    })
}

fn rules(client: &Client, filter: &Value) -> Vec<Value> {
    let listed = client.call("ListRuleExecutions", &json!({ "pipelineName": "shop", "filter": filter }));
    listed["ruleExecutionDetails"].as_array().unwrap().clone()
}

#[test]
fn a_shut_gate_is_seen_in_state_and_history_and_opened_by_an_override() {
    let folder = Folder::repository(&definition(), &[("ready.txt", "")]);
    let server = Server::start(&folder);
    let client = &server.client;
    let run = create(client, &definition(), "Failed");
    let ship = stage(client, "shop", "Ship");
    assert_eq!(ship["latestExecution"]["status"], "Failed");
    let entry = &ship["beforeEntryConditionState"];
    assert_eq!(entry["latestExecution"]["status"], "Failed");
    assert_eq!(entry["latestExecution"]["summary"], "OnMain: `here` does not equal `main`");
    let condition = &entry["conditionStates"][0];
    assert_eq!(condition["latestExecution"]["status"], "Failed");
    let told: Vec<(&Value, &Value)> = condition["ruleStates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (&rule["ruleName"], &rule["latestExecution"]["status"]))
        .collect();
    assert_eq!(told, [(&json!("OnMain"), &json!("Failed")), (&json!("Other"), &json!("Succeeded"))]);
    let error = &condition["ruleStates"][0]["latestExecution"]["errorDetails"];
    assert_eq!(error["code"], "JobFailed");
    assert!(ship.get("onSuccessConditionState").is_none(), "it was never asked: {ship:#}");

    let not_overridable = "ConditionNotOverridableException";
    client.refused("OverrideStageCondition", &override_condition(&run, "ON_SUCCESS"), not_overridable);
    let stranger = "00000000-0000-4000-8000-000000000000";
    let strange = override_condition(stranger, "BEFORE_ENTRY");
    client.refused("OverrideStageCondition", &strange, "NotLatestPipelineExecutionException");
    let mut nowhere = override_condition(&run, "BEFORE_ENTRY");
    nowhere["stageName"] = json!("Nowhere");
    client.refused("OverrideStageCondition", &nowhere, "StageNotFoundException");
    nowhere["pipelineName"] = json!("nothing");
    client.refused("OverrideStageCondition", &nowhere, "PipelineNotFoundException");

    client.call("OverrideStageCondition", &override_condition(&run, "BEFORE_ENTRY"));
    reaches(client, "shop", &run, "Succeeded");
    let ship = stage(client, "shop", "Ship");
    let entry = &ship["beforeEntryConditionState"]["latestExecution"];
    assert_eq!(entry["status"], "Overridden");
    assert!(entry["summary"].as_str().unwrap().starts_with("Overridden by arn:aws:iam::"), "{entry}");
    assert_eq!(ship["onSuccessConditionState"]["latestExecution"]["status"], "Succeeded");
    client.refused("OverrideStageCondition", &override_condition(&run, "BEFORE_ENTRY"), not_overridable);
}

#[test]
fn rule_executions_are_listed_newest_first_in_pages_and_by_filter() {
    let folder = Folder::repository(&definition(), &[("ready.txt", "")]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition(), "Failed");
    client.call(
        "RetryStageExecution",
        &json!({
            "pipelineName": "shop", "stageName": "Ship", "pipelineExecutionId": first,
            "retryMode": "FAILED_ACTIONS",
        }),
    );
    reaches(client, "shop", &first, "Failed");
    let variables = json!([{ "name": "Where", "value": "main" }]);
    let started = client.call("StartPipelineExecution", &json!({ "name": "shop", "variables": variables }));
    let second = started["pipelineExecutionId"].as_str().unwrap().to_owned();
    reaches(client, "shop", &second, "Failed");

    let all = rules(client, &json!({}));
    let told: Vec<(&str, &str)> = all
        .iter()
        .map(|one| (one["pipelineExecutionId"].as_str().unwrap(), one["ruleName"].as_str().unwrap()))
        .collect();
    let (one, two) = (second.as_str(), first.as_str());
    let expected =
        [(one, "Other"), (one, "OnMain"), (two, "Other"), (two, "OnMain"), (two, "Other"), (two, "OnMain")];
    assert_eq!(told, expected);
    let failed = &all[0];
    assert_eq!(failed["status"], "Failed");
    assert_eq!(failed["stageName"], "Ship");
    assert_eq!(failed["input"]["ruleTypeId"]["provider"], "VariableCheck");
    assert_eq!(failed["input"]["configuration"]["Variable"], "#{variables.Where}");
    assert_eq!(failed["input"]["resolvedConfiguration"]["Variable"], "main");
    let error = &failed["output"]["executionResult"]["errorDetails"];
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("JobFailed"), &json!("`main` does not equal `here`"))
    );

    for size in 1..=7 {
        let mut paged = Vec::new();
        let mut input = json!({ "pipelineName": "shop", "maxResults": size });
        loop {
            let page = client.call("ListRuleExecutions", &input);
            paged.extend(page["ruleExecutionDetails"].as_array().unwrap().iter().cloned());
            let Some(token) = page.get("nextToken") else { break };
            input["nextToken"] = token.clone();
        }
        assert_eq!(paged, all, "pages of {size}");
    }
    let latest = |range: &str| {
        let of = json!({ "pipelineExecutionId": first, "startTimeRange": range });
        rules(client, &json!({ "latestInPipelineExecution": of }))
    };
    assert_eq!(latest("All"), all[2..]);
    assert_eq!(latest("Latest"), all[2..4]);
    assert_eq!(rules(client, &json!({ "pipelineExecutionId": second })), all[..2]);
    let page = client.call("ListRuleExecutions", &json!({ "pipelineName": "shop", "maxResults": 1 }));
    let token = json!({ "pipelineName": "shop", "nextToken": page["nextToken"] });
    client.refused("ListActionExecutions", &token, "InvalidNextTokenException");
    client.refused("ListRuleExecutions", &json!({ "pipelineName": "none" }), "PipelineNotFoundException");
}

#[test]
fn every_rule_type_is_listed_with_what_it_must_be_told() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let client = &server.client;
    for input in [json!({}), json!({ "ruleOwnerFilter": "AWS", "regionFilter": "eu-west-1" })] {
        let listed = client.call("ListRuleTypes", &input);
        let types = listed["ruleTypes"].as_array().unwrap();
        let providers: Vec<&str> = types.iter().map(|one| one["id"]["provider"].as_str().unwrap()).collect();
        let expected =
            ["CloudWatchAlarm", "CodeBuild", "Commands", "DeploymentWindow", "LambdaInvoke", "VariableCheck"];
        assert_eq!(providers, expected);
        let window = &types[3];
        assert_eq!(
            window["id"],
            json!({
                "category": "Rule", "owner": "AWS", "provider": "DeploymentWindow", "version": "1",
            })
        );
        assert_eq!(window["inputArtifactDetails"], json!({ "minimumCount": 0, "maximumCount": 0 }));
        let cron = &window["ruleConfigurationProperties"][0];
        assert_eq!((&cron["name"], &cron["required"]), (&json!("Cron"), &json!(true)));
    }
}

#[test]
fn a_run_waits_at_its_gate_through_a_restart_and_an_override_lets_it_go_on() {
    let alarm = rule("Calm", "CloudWatchAlarm", json!({ "AlarmName": "errors", "WaitTime": "60" }));
    let ship = tests::pipelines::stage("Ship", vec![commands("Say", &["true"])]);
    let definition = pipeline("shop", vec![source(), gated(ship, "beforeEntry", "FAIL", vec![alarm])]);
    let folder = Folder::repository(&definition, &[]);
    folder.write("towpath.toml", "[alarms.errors]\nfile = \"alarm.txt\"\n");
    folder.write("alarm.txt", "ALARM\n");
    let server = Server::start(&folder);
    server.client.call("CreatePipeline", &definition);
    let asked = |client: &Client| {
        let state = stage(client, "shop", "Ship");
        state["beforeEntryConditionState"]["latestExecution"]["status"] == "InProgress"
    };
    assert!(eventually(SOON, || asked(&server.client)), "{:#}", stage(&server.client, "shop", "Ship"));
    let run = stage(&server.client, "shop", "Ship")["latestExecution"]["pipelineExecutionId"].clone();
    let run = run.as_str().unwrap().to_owned();
    server.kill();
    let server = Server::start(&folder);
    let client = &server.client;
    assert!(asked(client), "it still waits");
    assert_eq!(rules(client, &json!({})).len(), 1, "it is the same attempt");
    client.call("OverrideStageCondition", &override_condition(&run, "BEFORE_ENTRY"));
    reaches(client, "shop", &run, "Succeeded");
    assert_eq!(rules(client, &json!({}))[0]["status"], "Abandoned");
    // The next run waits too, and goes on by itself when the alarm is quiet.
    let next = start(client, "shop");
    assert!(eventually(SOON, || asked(client)));
    folder.write("alarm.txt", "OK\n");
    reaches(client, "shop", &next, "Succeeded");
}
