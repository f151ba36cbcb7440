//! From the properties of a pipeline to a definition.

use super::{PLACE, and, pipeline, problems, template, with};
use domain::template::{ClosedTransition, Kind, PIPELINE, PipelineResource};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A definition as CloudFormation spells it.
fn spelled(value: &Value, kind: &Kind) -> Value {
    match (kind, value) {
        (Kind::Structure(members), Value::Object(object)) => {
            let mut found = Map::new();
            for (name, kind) in *members {
                if let Some(value) = object.get(*name) {
                    let (first, rest) = name.split_at(1);
                    found.insert(format!("{}{rest}", first.to_uppercase()), spelled(value, kind));
                }
            }
            Value::Object(found)
        }
        (Kind::List(kind), Value::Array(items)) => items.iter().map(|item| spelled(item, kind)).collect(),
        (Kind::ByRegion(kind), Value::Object(stores)) => stores
            .iter()
            .map(|(region, store)| json!({ "Region": region, "ArtifactStore": spelled(store, kind) }))
            .collect(),
        _ => value.clone(),
    }
}

#[allow(clippy::disallowed_methods, reason = "the test reads its fixtures; the crate reads nothing")]
fn fixtures() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipelines/valid");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let declaration = whole.get("pipeline").cloned().unwrap_or(whole);
            (path, declaration)
        })
        .collect()
}

#[test]
fn every_definition_survives_the_way_through_a_template() {
    let all = fixtures();
    assert!(all.len() >= 10);
    for (path, mut definition) in all {
        definition.as_object_mut().unwrap().remove("version");
        let properties = spelled(&definition, &PIPELINE);
        let template = json!({
            "Resources": { "Pipeline": { "Type": "AWS::CodePipeline::Pipeline", "Properties": properties } },
        });
        let (declared, findings) = pipeline(&template, &[]);
        assert!(findings.is_clear(), "{path:?}: {findings:#?}");
        assert_eq!(declared.unwrap().declaration, definition, "{path:?}");
    }
}

#[test]
fn a_pipeline_without_a_name_goes_by_its_logical_id() {
    let mut unnamed = template(json!("x"));
    unnamed["Resources"]["Pipeline"]["Properties"].as_object_mut().unwrap().remove("Name");
    assert_eq!(pipeline(&unnamed, &[]).0.unwrap().declaration["name"], "Pipeline");
}

#[test]
fn properties_that_do_not_exist_are_named() {
    let mut wrong = template(json!("x"));
    let properties = &mut wrong["Resources"]["Pipeline"]["Properties"];
    properties["roleArn"] = json!("x");
    properties["Version"] = json!(3);
    properties["Stages"][0]["Actions"][0]["Runorder"] = json!(1);
    properties["Stages"][1]["Actions"][0]["RunOrder"] = json!("first");
    properties["Stages"][1]["Actions"][0]["InputArtifacts"] = json!({ "Name": "Code" });
    let root = "Resources.Pipeline.Properties";
    assert_eq!(
        problems(&wrong, &[]),
        [
            format!("{root}.Version: there is no property `Version` here"),
            format!("{root}.Stages[0].Actions[0].Runorder: there is no property `Runorder` here"),
            format!("{root}.Stages[1].Actions[0].InputArtifacts: a map stands where a list is expected"),
            format!("{root}.Stages[1].Actions[0].RunOrder: `first` is not a whole number"),
            format!("{root}.roleArn: there is no property `roleArn` here"),
        ]
    );
}

#[test]
fn what_stands_beside_the_definition_is_read_too() {
    let mut whole = template(json!("x"));
    let properties = &mut whole["Resources"]["Pipeline"]["Properties"];
    properties["RestartExecutionOnUpdate"] = json!(true);
    properties["Tags"] = json!([{ "Key": "team", "Value": { "Ref": "AWS::Region" } }]);
    properties["DisableInboundStageTransitions"] = json!([{ "StageName": "Approve", "Reason": "not yet" }]);
    let (declared, findings) = pipeline(&whole, &[]);
    assert!(findings.is_clear(), "{findings:?}");
    let declared = declared.unwrap();
    assert_eq!(declared.tags, [("team".to_owned(), "eu-west-1".to_owned())].into());
    assert_eq!(declared.closed, [ClosedTransition { stage: "Approve".into(), reason: "not yet".into() }]);
    assert!(!declared.declaration.to_string().contains("not yet"));
    whole["Resources"]["Pipeline"]["Properties"]["DisableInboundStageTransitions"][0]["StageName"] =
        json!("Deploy");
    let root = "Resources.Pipeline.Properties.DisableInboundStageTransitions";
    assert_eq!(problems(&whole, &[]), [format!("{root}[0].StageName: the pipeline has no stage `Deploy`")]);
}

#[test]
fn a_place_in_the_definition_leads_back_to_the_template() {
    let mut whole = template(json!({ "Fn::If": ["Yes", "a", "b"] }));
    let stages = &mut whole["Resources"]["Pipeline"]["Properties"]["Stages"];
    let left_out = json!({ "Fn::If": ["Yes", { "Ref": "AWS::NoValue" }, {}] });
    stages.as_array_mut().unwrap().insert(0, left_out);
    let whole = and(whole, json!({ "Conditions": { "Yes": { "Fn::Equals": [1, 1] } } }));
    let declared = pipeline(&whole, &[]).0.unwrap();
    assert_eq!(declared.declaration["stages"].as_array().unwrap().len(), 2);
    let source = declared.source_of("stages[0].actions[0].configuration.S3ObjectKey");
    assert_eq!(source, format!("{}.Fn::If[1]", PLACE.replace("Stages[0]", "Stages[1]")));
    assert_eq!(declared.source_of("stages[1].name"), "Resources.Pipeline.Properties.Stages[2].Name");
    assert_eq!(declared.source_of(""), "Resources.Pipeline.Properties");
}

#[test]
fn only_pipelines_that_are_made_are_listed() {
    let other = |condition: &str, name: Value| json!({ "Type": "AWS::CodePipeline::Pipeline", "Condition": condition, "Properties": { "Name": name } });
    let sections = json!({
        "Conditions": { "Yes": { "Fn::Equals": [1, 1] }, "No": { "Fn::Equals": [1, 2] } },
        "Resources": {
            "Another": other("Yes", json!({ "Fn::ImportValue": "name" })),
            "Never": other("No", json!("never")),
        },
    });
    let found = with(&and(template(json!("x")), sections), &[], |evaluator| {
        let found = evaluator.pipelines();
        assert!(evaluator.take_findings().is_clear(), "the name of one is no matter to another");
        found
    });
    let resource =
        |id: &str, name: Option<&str>| PipelineResource { id: id.into(), name: name.map(str::to_owned) };
    assert_eq!(found, [resource("Another", None), resource("Pipeline", Some("shop"))]);
}
