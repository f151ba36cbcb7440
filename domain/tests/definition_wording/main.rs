//! The service's words for each violation, where they are known, and ours where they are not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod actions;
mod bounds;
mod flow;
mod gates;
mod hints;
mod kinds;
mod laws;
mod sources;
mod stages;

use domain::catalogue::{ActionType, ArtifactCount, Property, Registry};
use domain::pipeline::{DefinitionError, DefinitionErrorCode, Setting, check, check_all, parse};
use events::ActionCategory;
use serde_json::{Value, json};

use DefinitionErrorCode::{
    InvalidActionDeclarationException as ActionError, InvalidBlockerDeclarationException as BlockerError,
    InvalidStageDeclarationException as StageError, InvalidStructureException as StructureError,
    ValidationException as MemberError,
};

/// Nothing special: source, build, approval.
fn plain() -> Value {
    json!({
        "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/pipeline",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "stages": [
            {"name": "Source", "actions": [{
                "name": "Fetch", "namespace": "Src",
                "actionTypeId":
                    {"category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection", "version": "1"},
                "configuration": {"ConnectionArn": "arn", "FullRepositoryId": "o/r", "BranchName": "main"},
                "outputArtifacts": [{"name": "Code"}]
            }]},
            {"name": "Build", "actions": [{
                "name": "Compile", "namespace": "Bld",
                "actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
                "configuration": {"ProjectName": "p"},
                "inputArtifacts": [{"name": "Code"}], "outputArtifacts": [{"name": "Built"}]
            }]},
            {"name": "Gate", "actions": [{
                "name": "Approve",
                "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}
            }]}
        ]
    })
}

fn registry() -> Registry {
    let mut registry = Registry::builtin();
    let one = ArtifactCount { min: 0, max: 1 };
    let mut custom = ActionType::custom(ActionCategory::Build, "Forge", "1", one, one);
    let mut queue = Property::required("Queue");
    queue.queryable = true;
    custom.properties = vec![queue].into();
    registry.register(custom);
    registry
}

fn refusal(json: &Value) -> Option<DefinitionError> {
    let registry = registry();
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    parse(json).and_then(|declaration| check(&declaration, &setting)).err()
}

fn refused(what: &str, change: impl FnOnce(&mut Value)) -> DefinitionError {
    let mut json = plain();
    change(&mut json);
    refusal(&json).unwrap_or_else(|| panic!("accepted: {what}"))
}

type Row = (&'static str, fn(&mut Value), DefinitionErrorCode, &'static str, &'static str);

fn expect(rows: &[Row]) {
    assert_eq!(refusal(&plain()), None);
    for (what, change, code, path, message) in rows {
        let error = refused(what, change);
        assert_eq!((error.code, &*error.path, &*error.message), (*code, *path, *message), "{what}");
    }
}

type Change = (&'static str, fn(&mut Value));

/// Changes that leave the definition legal.
fn accept(rows: &[Change]) {
    for (what, change) in rows {
        let mut json = plain();
        change(&mut json);
        assert_eq!(refusal(&json), None, "{what}");
    }
}

/// Every violation of the definition after a change, not only the first.
fn violations(change: impl FnOnce(&mut Value)) -> Vec<DefinitionError> {
    let mut json = plain();
    change(&mut json);
    let registry = registry();
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    check_all(&parse(&json).unwrap(), &setting)
}

/// The action of the second stage.
fn compile(json: &mut Value) -> &mut Value {
    &mut json["stages"][1]["actions"][0]
}

/// Makes another action of that of the second stage.
fn turn(json: &mut Value, category: &str, provider: &str, configuration: Value) {
    let action = compile(json);
    action["actionTypeId"]["category"] = json!(category);
    action["actionTypeId"]["provider"] = json!(provider);
    action["configuration"] = configuration;
    action["outputArtifacts"] = json!([]);
}

/// Makes a compute action of it.
fn commands(json: &mut Value, lines: &[&str]) {
    turn(json, "Compute", "Commands", json!({}));
    compile(json)["commands"] = json!(lines);
}

fn rule(provider: &str, configuration: Value) -> Value {
    json!({"name": "R", "configuration": configuration,
        "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": provider, "version": "1"}})
}

fn gate(result: &str, rules: Value) -> Value {
    json!({"conditions": [{"result": result, "rules": rules}]})
}

#[test]
fn stores() {
    expect(&[
        (
            "an action elsewhere with a single store",
            |json| json["stages"][1]["actions"][0]["region"] = json!("eu-west-1"),
            MemberError,
            "stages[1].actions[0].region",
            "Your pipeline contains actions in more than one region. Use 'pipeline.artifactStores' instead of \
             'pipeline.artifactStore' to declare an artifact store, such as an artifact bucket, for each region \
             where you have an action.",
        ),
        (
            "no store for the pipeline's own Region",
            |json| {
                json["artifactStores"] = json!({"eu-west-1": json["artifactStore"].take()});
            },
            MemberError,
            "artifactStores",
            "Your pipeline must have an artifact store, such as an artifact bucket, for each region where you have \
             an action. The following region is missing in 'pipeline.artifactStores': us-east-1.",
        ),
        (
            "both kinds of store",
            |json| json["artifactStores"] = json!({"us-east-1": json["artifactStore"]}),
            MemberError,
            "artifactStores",
            "A pipeline can have either 'pipeline.artifactStore' or 'pipeline.artifactStores', not both.",
        ),
        (
            "no store",
            |json| json["artifactStore"] = Value::Null,
            MemberError,
            "artifactStore",
            "A pipeline must have either 'pipeline.artifactStore' or 'pipeline.artifactStores'.",
        ),
    ]);
}

#[test]
fn structure() {
    expect(&[
        (
            "one stage",
            |json| json["stages"].as_array_mut().unwrap().truncate(1),
            StructureError,
            "stages",
            "Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline",
        ),
        (
            "51 stages",
            |json| {
                let stages = json["stages"].as_array_mut().unwrap();
                for number in stages.len()..51 {
                    let mut stage = stages[2].clone();
                    stage["name"] = json!(format!("S{number}"));
                    stages.push(stage);
                }
            },
            StructureError,
            "stages",
            "Pipeline has too many stages. There can only be up to 50 stages in a pipeline",
        ),
        (
            "no source at the start",
            |json| {
                json["stages"].as_array_mut().unwrap().remove(0);
            },
            StructureError,
            "stages[0].actions[0]",
            "Pipeline should start with a stage that only contains source actions",
        ),
        (
            "a source later",
            |json| json["stages"][2]["actions"][0] = json["stages"][0]["actions"][0].clone(),
            StructureError,
            "stages[2].actions[0]",
            "Source actions can only be included in the first stage of the pipeline",
        ),
        (
            "a second stage without actions after the sources",
            |json| {
                json["stages"].as_array_mut().unwrap().truncate(2);
                json["stages"][1]["actions"] = json!([]);
            },
            StructureError,
            "stages",
            "Pipeline should contain at least 1 action whose category is not Source",
        ),
    ]);
}

#[test]
fn what_only_v2_pipelines_have() {
    expect(&[
        (
            "V1 and QUEUED",
            |json| {
                json["pipelineType"] = json!("V1");
                json["executionMode"] = json!("QUEUED");
            },
            StructureError,
            "executionMode",
            "QUEUED or PARALLEL mode can only be used with V2 pipelines",
        ),
        (
            "V1 and variables",
            |json| {
                json["pipelineType"] = json!("V1");
                json["variables"] = json!([{"name": "x"}]);
            },
            StructureError,
            "variables",
            "Pipeline variable can only be used with V2 pipelines",
        ),
        (
            "V1 and triggers",
            |json| {
                json["pipelineType"] = json!("V1");
                json["triggers"] = json!([{"providerType": "CodeStarSourceConnection",
                    "gitConfiguration": {"sourceActionName": "Fetch"}}]);
            },
            StructureError,
            "triggers",
            "Triggers on tag can only be used with V2 pipelines",
        ),
        (
            "V1 and a condition",
            |json| {
                json["pipelineType"] = json!("V1");
                json["stages"][1]["onFailure"] = json!({"result": "RETRY"});
            },
            StageError,
            "stages[1].onFailure",
            "Stage level conditions can only be used with V2 pipelines.",
        ),
        (
            "V1 and Commands",
            |json| {
                json["pipelineType"] = json!("V1");
                let action = &mut json["stages"][1]["actions"][0];
                action["actionTypeId"]["category"] = json!("Compute");
                action["actionTypeId"]["provider"] = json!("Commands");
                action["configuration"] = json!({});
                action["commands"] = json!(["true"]);
            },
            ActionError,
            "stages[1].actions[0].actionTypeId",
            "Commands Action can only be used with V2 pipelines.",
        ),
    ]);
}
