//! Whole definitions, good and bad: what is accepted comes back as it was sent, what is refused is refused with
//! the right exception.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::catalogue::Registry;
use domain::pipeline::{
    DefinitionError, PipelineType, Setting, Tag, check, check_all, check_tags, normalize, parse,
};
use events::PipelineVersion;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Fixtures whose violation is none of `domain`'s: the wire's constraint layer refuses them before anything
/// reaches this crate. There are none at present, and there should be as few as possible.
const LEFT_TO_THE_WIRE: &[&str] = &[];

#[derive(Deserialize)]
struct Fixture {
    file: String,
    valid: bool,
    #[serde(default)]
    accepted: Vec<String>,
    #[serde(default)]
    rule: String,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipelines")
}

#[allow(clippy::disallowed_methods, reason = "the test reads its fixtures; the crate reads nothing")]
fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn fixtures(valid: bool) -> Vec<(Fixture, Value)> {
    let all: Vec<Fixture> = serde_json::from_value(read(&directory().join("index.json"))).unwrap();
    let chosen: Vec<(Fixture, Value)> = all
        .into_iter()
        .filter(|fixture| fixture.valid == valid)
        .map(|fixture| {
            let json = read(&directory().join(&fixture.file));
            (fixture, json)
        })
        .collect();
    assert!(!chosen.is_empty());
    chosen
}

/// A whole request: the definition, then the tags beside it.
fn refusal(json: &Value) -> Result<(), DefinitionError> {
    let registry = Registry::builtin();
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    check(&parse(json)?, &setting)?;
    let tags: Vec<Tag> =
        json.get("tags").map(|tags| serde_json::from_value(tags.clone()).unwrap()).unwrap_or_default();
    check_tags(&tags, "arn:aws:codepipeline:us-east-1:123456789012:x")
}

#[test]
fn every_valid_definition_is_accepted() {
    for (fixture, json) in fixtures(true) {
        assert_eq!(refusal(&json), Ok(()), "{}", fixture.file);
    }
}

#[test]
fn every_valid_definition_comes_back_as_it_was_sent() {
    for (fixture, json) in fixtures(true) {
        let mut declaration = parse(&json).unwrap();
        normalize(&mut declaration, PipelineVersion(1), None, &Registry::builtin());
        let mut expected = json["pipeline"].clone();
        fill_in(&mut expected, declaration.pipeline_type.unwrap());
        assert_eq!(serde_json::to_value(&declaration).unwrap(), expected, "{}", fixture.file);
        // And what was stored reads back the same, by either way in.
        assert_eq!(parse(&expected).unwrap(), declaration, "{}", fixture.file);
        let stored: domain::pipeline::PipelineDeclaration = serde_json::from_value(expected).unwrap();
        assert_eq!(stored, declaration, "{}", fixture.file);
    }
}

/// What the service adds to a definition.
fn fill_in(pipeline: &mut Value, kind: PipelineType) {
    let set = |object: &mut Value, member: &str, value: Value| {
        object.as_object_mut().unwrap().entry(member).or_insert(value);
    };
    pipeline["version"] = json!(1);
    set(pipeline, "executionMode", json!("SUPERSEDED"));
    set(pipeline, "pipelineType", serde_json::to_value(kind).unwrap());
    for stage in pipeline["stages"].as_array_mut().unwrap() {
        for action in stage["actions"].as_array_mut().unwrap() {
            set(action, "runOrder", json!(1));
            set(action, "configuration", json!({}));
            set(action, "inputArtifacts", json!([]));
            set(action, "outputArtifacts", json!([]));
        }
    }
}

#[test]
fn every_invalid_definition_is_refused_with_an_accepted_exception() {
    for (fixture, json) in fixtures(false) {
        let Err(error) = refusal(&json) else {
            let left = LEFT_TO_THE_WIRE.contains(&&*fixture.file);
            assert!(left, "{} was accepted, but: {}", fixture.file, fixture.rule);
            continue;
        };
        let code = error.code.to_string();
        assert!(fixture.accepted.contains(&code), "{}: {code}: {error}", fixture.file);
        assert!(!error.message.is_empty() && !error.path.is_empty(), "{}: {error:?}", fixture.file);
    }
}

#[test]
fn the_first_violation_is_the_first_of_all() {
    let registry = Registry::builtin();
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    for (fixture, json) in fixtures(false) {
        let Ok(declaration) = parse(&json) else { continue };
        let all = check_all(&declaration, &setting);
        assert_eq!(check(&declaration, &setting).err().as_ref(), all.first(), "{}", fixture.file);
    }
}
