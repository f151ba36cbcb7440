//! Definitions by the wire: every good one is accepted and comes back as it was sent; every bad one is refused with
//! an exception that clients expect.

use serde_json::{Value, json};
use std::{env, fs, path::PathBuf};
use tests::{folder::Folder, server::Server};

/// Names a further folder of definitions with an `index.json` of the same form.
const MORE: &str = "TOWPATH_PIPELINES";

/// What the index says of a definition, and the definition.
fn fixtures(valid: bool) -> Vec<(Value, Value)> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/fixtures/pipelines"));
    let mut chosen = Vec::new();
    for folder in [Some(own), env::var_os(MORE).map(PathBuf::from)].into_iter().flatten() {
        let read = |file: &str| -> Value {
            let path = folder.join(file);
            let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            serde_json::from_slice(&text).unwrap()
        };
        for fixture in read("index.json").as_array().unwrap() {
            if fixture["valid"] == valid {
                chosen.push((fixture.clone(), read(fixture["file"].as_str().unwrap())));
            }
        }
    }
    chosen
}

#[test]
fn good_definitions_are_accepted_come_back_as_they_were_sent_and_can_be_updated() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    for (fixture, input) in fixtures(true) {
        let name = input["pipeline"]["name"].as_str().unwrap();
        let created = client.call("CreatePipeline", &input);
        let mut expected = with_defaults(&input["pipeline"]);
        assert_eq!(created["pipeline"], expected, "{}", fixture["file"]);
        let known = client.call("GetPipeline", &json!({ "name": name }));
        assert_eq!(known["pipeline"], expected, "{}", fixture["file"]);
        let arn = format!("arn:aws:codepipeline:us-east-1:123456789012:{name}");
        assert_eq!(known["metadata"]["pipelineArn"], arn);
        assert_eq!(created["tags"], input["tags"], "{}", fixture["file"]);
        // What GetPipeline answers is what UpdatePipeline takes.
        let updated = client.call("UpdatePipeline", &json!({ "pipeline": known["pipeline"] }));
        expected["version"] = json!(2);
        assert_eq!(updated["pipeline"], expected, "{}", fixture["file"]);
        let first = client.call("GetPipeline", &json!({ "name": name, "version": 1 }));
        assert_eq!(first["pipeline"], known["pipeline"], "{}", fixture["file"]);
        client.call("DeletePipeline", &json!({ "name": name }));
        client.refused("GetPipeline", &json!({ "name": name }), "PipelineNotFoundException");
    }
}

#[test]
fn lists_that_were_sent_empty_come_back_empty_and_others_not_at_all() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let (_, mut input) = fixtures(true)
        .into_iter()
        .find(|(fixture, _)| fixture["file"] == "valid/own.v2-before-entry-window.json")
        .unwrap();
    let with = |input: &mut Value, empty: bool| {
        let rule = input.pointer_mut("/pipeline/stages/1/beforeEntry/conditions/0/rules/0").unwrap();
        if empty {
            rule["inputArtifacts"] = json!([]);
        } else {
            rule.as_object_mut().unwrap().remove("inputArtifacts");
        }
        for (pointer, member) in
            [("/pipeline", "variables"), ("/pipeline", "triggers"), ("/pipeline/stages/1", "blockers")]
        {
            let object = input.pointer_mut(pointer).unwrap();
            if empty {
                object[member] = json!([]);
            } else {
                object.as_object_mut().unwrap().remove(member);
            }
        }
    };
    for empty in [true, false] {
        with(&mut input, empty);
        input["pipeline"]["name"] = json!(format!("empty-{empty}"));
        server.client.call("CreatePipeline", &input);
        let known = server.client.call("GetPipeline", &json!({ "name": input["pipeline"]["name"] }));
        assert_eq!(known["pipeline"], with_defaults(&input["pipeline"]));
    }
}

/// What the service adds to a definition.
fn with_defaults(pipeline: &Value) -> Value {
    let mut pipeline = pipeline.clone();
    let set = |object: &mut Value, member: &str, value: Value| {
        object.as_object_mut().unwrap().entry(member).or_insert(value);
    };
    pipeline["version"] = json!(1);
    set(&mut pipeline, "executionMode", json!("SUPERSEDED"));
    let needs_v2 = pipeline.get("triggers").is_some() || pipeline.get("variables").is_some();
    set(&mut pipeline, "pipelineType", json!(if needs_v2 { "V2" } else { "V1" }));
    for stage in pipeline["stages"].as_array_mut().unwrap() {
        for action in stage["actions"].as_array_mut().unwrap() {
            set(action, "runOrder", json!(1));
            set(action, "configuration", json!({}));
            set(action, "inputArtifacts", json!([]));
            set(action, "outputArtifacts", json!([]));
        }
    }
    pipeline
}

#[test]
fn bad_definitions_are_refused_with_an_exception_that_clients_expect_and_leave_nothing() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let mut wrong = Vec::new();
    for (fixture, input) in fixtures(false) {
        let accepted = fixture["accepted"].as_array().unwrap();
        match server.client.try_call("CreatePipeline", &input) {
            Ok(_) => wrong.push(format!("{} was accepted", fixture["file"])),
            Err(refusal) => {
                if !accepted.iter().any(|code| *code == refusal.code) {
                    wrong.push(format!("{}: {refusal:?}", fixture["file"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(server.client.call("ListPipelines", &json!({}))["pipelines"], json!([]));
}

#[test]
fn an_update_that_is_refused_leaves_the_pipeline_as_it_was() {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    let (_, mut good) = fixtures(true).remove(0);
    good["pipeline"]["name"] = json!("kept");
    server.client.call("CreatePipeline", &good);
    let before = server.client.call("GetPipeline", &json!({ "name": "kept" }));
    for (fixture, mut input) in fixtures(false) {
        if input.get("tags").is_some() || fixture["rule"].as_str().unwrap().contains("pipeline name") {
            continue;
        }
        let is_of_the_name = fixture["file"].as_str().unwrap().contains("/name-");
        if is_of_the_name {
            continue;
        }
        input["pipeline"]["name"] = json!("kept");
        let refused = server.client.try_call("UpdatePipeline", &input);
        assert!(refused.is_err(), "{}: {refused:?}", fixture["file"]);
    }
    assert_eq!(server.client.call("GetPipeline", &json!({ "name": "kept" })), before);
}
