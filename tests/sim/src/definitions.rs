//! Pipelines to live with: made from parts, and those of a folder.

use crate::prng::Prng;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The names of pipelines that are made here.
pub const NAMES: [&str; 2] = ["shop", "site"];

/// Where definitions lie, unless `TOWPATH_PIPELINES` names another folder that has a folder `valid`.
fn folder() -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../domain/tests/fixtures/pipelines");
    std::env::var_os("TOWPATH_PIPELINES").map_or(fixtures, PathBuf::from).join("valid")
}

/// The folder's definitions, as `create-pipeline` takes them: read once, in the order of their files.
pub fn known() -> &'static [Value] {
    static KNOWN: OnceLock<Vec<Value>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        files.sort();
        let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        let values = texts.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
        values.map(|mut value| value.get_mut("pipeline").map(Value::take).unwrap_or(value)).collect()
    })
}

/// Every `key` of a `#{namespace.key}` in a definition.
pub fn variables(pipeline: &Value) -> Vec<String> {
    match pipeline {
        Value::String(text) => {
            let references = text.split("#{").skip(1).filter_map(|rest| rest.split('}').next());
            references.filter_map(|reference| Some(reference.split_once('.')?.1.to_owned())).collect()
        }
        Value::Array(members) => members.iter().flat_map(variables).collect(),
        Value::Object(members) => members.values().flat_map(variables).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The Region whose stores a definition has, where it names Regions.
pub fn region(pipeline: &Value) -> Option<&str> {
    pipeline["artifactStores"].as_object()?.keys().next().map(String::as_str)
}

/// The custom type of the definitions made here.
pub fn jenkins_type() -> Value {
    json!({
        "category": "Build", "provider": "Jenkins", "version": "1",
        "configurationProperties": [
            { "name": "ProjectName", "required": true, "key": true, "secret": false, "queryable": true },
        ],
        "inputArtifactDetails": { "minimumCount": 0, "maximumCount": 5 },
        "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 5 },
    })
}

/// The custom types that a definition needs, as `create-custom-action-type` takes them.
pub fn custom_types(pipeline: &Value) -> Vec<Value> {
    let stages = pipeline["stages"].as_array().into_iter().flatten();
    let actions = stages.flat_map(|stage| stage["actions"].as_array().into_iter().flatten());
    let custom = actions.filter(|action| action["actionTypeId"]["owner"] == "Custom");
    let mut types: Vec<Value> = Vec::new();
    for action in custom {
        let id = &action["actionTypeId"];
        if id["provider"] == "Jenkins" {
            types.push(jenkins_type());
            continue;
        }
        let property =
            |name: &String| json!({ "name": name, "required": false, "key": false, "secret": false });
        let names = action["configuration"].as_object().into_iter().flat_map(|map| map.keys());
        types.push(json!({
            "category": id["category"], "provider": id["provider"], "version": id["version"],
            "configurationProperties": names.map(property).collect::<Vec<_>>(),
            "inputArtifactDetails": { "minimumCount": 0, "maximumCount": 5 },
            "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 5 },
        }));
    }
    types.dedup();
    types
}

const MODES: [&str; 3] = ["SUPERSEDED", "QUEUED", "PARALLEL"];

/// One of several shapes that share the names of some stages.
pub fn made(name: &str, prng: &mut Prng) -> Value {
    let usual = *prng.pick(&[0, 0, 1, 2]);
    let mode = if prng.chance(80) { MODES[usual] } else { *prng.pick(&MODES) };
    let mut stages = vec![stage("Source", vec![source()])];
    let mut build = vec![build("Compile", 1, Some("App"), Some("Build"))];
    if prng.chance(50) {
        build.push(self::build("Check", 1, None, None));
    }
    if prng.chance(30) {
        build.push(jenkins(if prng.chance(50) { 1 } else { 2 }));
    }
    if prng.chance(30) {
        build.push(self::build("Pack", 2, Some("Image"), None));
    }
    stages.push(gated(stage("Build", build), mode, prng));
    match prng.below(5) {
        0 => {}
        1 => stages.push(gated(stage("Deploy", vec![deploy("Push", 1, "#{Build.Tag}")]), mode, prng)),
        2 => {
            let calls = vec![function("Warm"), deploy("Push", 2, "app.zip")];
            stages.push(gated(stage("Deploy", calls), mode, prng));
        }
        _ => {
            stages.push(gated(stage("Gate", vec![approval("Ask")]), mode, prng));
            let deploys =
                vec![deploy("Push", 1, "app.zip"), deploy("Copy", 1, "copy.zip"), function("Probe")];
            stages.push(gated(stage("Deploy", deploys), mode, prng));
        }
    }
    let pipeline = json!({
        "name": name,
        "roleArn": "arn:aws:iam::123456789012:role/pipeline-role",
        "artifactStore": { "type": "S3", "location": "release-artifacts-123456789012" },
        "pipelineType": "V2",
        "executionMode": mode,
    });
    with(pipeline, "stages", stages)
}

/// An object with one member more. `json!` would copy what goes into it, at every level once more.
pub fn with(mut object: Value, member: &str, value: impl Into<Value>) -> Value {
    object[member] = value.into();
    object
}

fn stage(name: &str, actions: Vec<Value>) -> Value {
    with(json!({ "name": name }), "actions", actions)
}

fn typed(name: &str, kind: [&str; 3], configuration: Value) -> Value {
    let [category, owner, provider] = kind;
    let action = json!({
        "name": name,
        "actionTypeId": { "category": category, "owner": owner, "provider": provider, "version": "1" },
    });
    with(action, "configuration", configuration)
}

fn source() -> Value {
    let configuration =
        json!({ "RepositoryName": "shop", "BranchName": "main", "PollForSourceChanges": "false" });
    let mut action = typed("Src", ["Source", "AWS", "CodeCommit"], configuration);
    action["namespace"] = json!("Src");
    action["outputArtifacts"] = json!([{ "name": "Code" }]);
    action
}

fn build(name: &str, order: u32, output: Option<&str>, namespace: Option<&str>) -> Value {
    let mut action = typed(name, ["Build", "AWS", "CodeBuild"], json!({ "ProjectName": "shop" }));
    action["inputArtifacts"] = json!([{ "name": "Code" }]);
    action["runOrder"] = json!(order);
    if let Some(output) = output {
        action["outputArtifacts"] = json!([{ "name": output }]);
    }
    if let Some(namespace) = namespace {
        action["namespace"] = json!(namespace);
    }
    action
}

fn jenkins(order: u32) -> Value {
    let mut action = typed("Jenkins", ["Build", "Custom", "Jenkins"], json!({ "ProjectName": "shop" }));
    action["inputArtifacts"] = json!([{ "name": "Code" }]);
    action["runOrder"] = json!(order);
    action
}

fn deploy(name: &str, order: u32, key: &str) -> Value {
    let configuration = json!({ "BucketName": "www.example.com", "Extract": "false", "ObjectKey": key });
    let mut action = typed(name, ["Deploy", "AWS", "S3"], configuration);
    action["inputArtifacts"] = json!([{ "name": "App" }]);
    action["runOrder"] = json!(order);
    action
}

fn function(name: &str) -> Value {
    typed(name, ["Invoke", "AWS", "Lambda"], json!({ "FunctionName": "probe" }))
}

fn approval(name: &str) -> Value {
    let mut action = typed(name, ["Approval", "AWS", "Manual"], json!({}));
    action["timeoutInMinutes"] = json!(60);
    action
}

fn rule(name: &str) -> Value {
    json!({
        "name": name,
        "ruleTypeId": { "category": "Rule", "owner": "AWS", "provider": "VariableCheck", "version": "1" },
        "configuration": { "Variable": "#{Src.CommitId}", "Value": "1", "Operator": "EQ" },
    })
}

/// Conditions on about half of the stages. PARALLEL pipelines may not ask for a rollback.
fn gated(mut stage: Value, mode: &str, prng: &mut Prng) -> Value {
    let rolls_back = mode != "PARALLEL";
    let asks = |result: &str, rules: &[&str]| {
        let rules: Vec<Value> = rules.iter().map(|name| rule(name)).collect();
        with(json!({}), "conditions", vec![with(json!({ "result": result }), "rules", rules)])
    };
    match prng.below(5) {
        0 => stage["beforeEntry"] = asks("FAIL", &["In", "Also"]),
        1 => stage["beforeEntry"] = asks("SKIP", &["In"]),
        _ => {}
    }
    match prng.below(5) {
        0 => stage["onSuccess"] = asks("FAIL", &["Out", "Calm"]),
        1 if rolls_back => stage["onSuccess"] = asks("ROLLBACK", &["Out"]),
        _ => {}
    }
    match prng.below(6) {
        0 => {
            let mode = *prng.pick(&["FAILED_ACTIONS", "ALL_ACTIONS"]);
            stage["onFailure"] = json!({ "result": "RETRY", "retryConfiguration": { "retryMode": mode } });
        }
        1 | 2 if rolls_back => stage["onFailure"] = json!({ "result": "ROLLBACK" }),
        3 if rolls_back => stage["onFailure"] = asks("ROLLBACK", &["Undo"]),
        _ => {}
    }
    stage
}

/// One of the folder's definitions, under its own name.
pub fn of_folder(prng: &mut Prng) -> Option<Value> {
    let known = known();
    if known.is_empty() { None } else { Some(prng.pick(known).clone()) }
}
