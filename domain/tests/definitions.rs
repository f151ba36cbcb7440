//! Whole definitions, good and bad: what is accepted comes back as it was sent, what is refused is refused with
//! the right exception.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::catalogue::Registry;
use domain::pipeline::{
    ConditionResult, DefinitionError, PipelineDeclaration, PipelineType, RetryMode, RunOrder, Setting, Tag,
    check, check_all, check_tags, normalize, parse,
};
use events::{ActionName, ConditionType, PipelineVersion, StageName};
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

/// Three stages; the second has three groups.
fn plain() -> Value {
    let action = |name: &str, order: u16| {
        json!({"name": name, "runOrder": order, "namespace": format!("Of{name}"),
            "actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"}})
    };
    json!({
        "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/r",
        "stages": [
            {"name": "Source", "actions": [action("Fetch", 1)]},
            {"name": "Build", "actions": [action("D", 9), action("A", 2), action("B", 5), action("C", 2)]},
            {"name": "Live", "actions": []},
        ],
    })
}

fn stage(name: &str) -> StageName {
    StageName::parse(name).unwrap()
}

#[test]
fn stages_and_actions_are_found_by_their_names() {
    let declared = parse(&plain()).unwrap();
    let index = |name: &str| declared.stage_index(&stage(name));
    assert_eq!(["Source", "Build", "Live", "Other"].map(index), [Some(0), Some(1), Some(2), None]);
    let next = |name: &str| declared.next_stage(&stage(name)).map(|next| next.name.as_str());
    assert_eq!(["Source", "Build", "Live", "Other"].map(next), [Some("Build"), Some("Live"), None, None]);
    assert_eq!(declared.first_stage().map(|first| first.name.as_str()), Some("Source"));
    assert_eq!(declared.stage(&stage("Live")).map(|found| found.actions.len()), Some(0));
    let found =
        |of: &str, name: &str| declared.action(&stage(of), &ActionName::parse(name).unwrap()).is_some();
    assert_eq!([found("Build", "B"), found("Source", "B"), found("Other", "B")], [true, false, false]);
    let all: Vec<_> = declared.actions().map(|(of, action)| format!("{}/{}", of.name, action.name)).collect();
    assert_eq!(all, ["Source/Fetch", "Build/D", "Build/A", "Build/B", "Build/C"]);
    let holder = |namespace: &str| declared.namespace(namespace).map(|(_, action)| action.name.as_str());
    assert_eq!([holder("OfB"), holder("OfFetch"), holder("Of")], [Some("B"), Some("Fetch"), None]);
}

#[test]
fn groups_come_by_run_order_and_keep_the_order_they_are_declared_in() {
    let declared = parse(&plain()).unwrap();
    let build = declared.stage(&stage("Build")).unwrap();
    let groups = build.groups();
    let all: Vec<(u16, Vec<&str>)> = groups
        .iter()
        .map(|group| {
            (group.run_order.get(), group.actions.iter().map(|action| action.name.as_str()).collect())
        })
        .collect();
    assert_eq!(all, [(2, vec!["A", "C"]), (5, vec!["B"]), (9, vec!["D"])]);
    for (after, group) in
        [(None, Some(0)), (Some(1), Some(0)), (Some(2), Some(1)), (Some(5), Some(2)), (Some(9), None)]
    {
        let next = build.next_group(after.map(|order| RunOrder::parse(order).unwrap()));
        assert_eq!(next, group.map(|index: usize| groups[index].clone()), "{after:?}");
    }
    assert_eq!(declared.stage(&stage("Live")).unwrap().next_group(None), None);
}

#[test]
fn a_store_is_that_of_the_region_or_the_only_one() {
    let with = |stores: &[&str]| -> PipelineDeclaration {
        let mut json = plain();
        let store = |region: &str| json!({"type": "S3", "location": format!("artifacts-{region}")});
        let by_region = stores.iter().map(|region| ((*region).to_owned(), store(region)));
        match stores {
            [] => json["artifactStore"] = store("own"),
            _ => json["artifactStores"] = by_region.collect(),
        }
        parse(&json).unwrap()
    };
    let at = |declared: &PipelineDeclaration, region: &str| {
        declared.store(region).map(|store| store.location.as_str().to_owned())
    };
    let (own, one, two) = (with(&[]), with(&["eu-west-1"]), with(&["eu-west-1", "us-east-1"]));
    assert_eq!(at(&own, "us-east-1").as_deref(), Some("artifacts-own"));
    assert_eq!(at(&one, "eu-west-1").as_deref(), Some("artifacts-eu-west-1"));
    assert_eq!(at(&one, "us-east-1"), None);
    assert_eq!(at(&two, "us-east-1").as_deref(), Some("artifacts-us-east-1"));
    assert_eq!([&own, &one, &two].map(PipelineDeclaration::only_region), [None, Some("eu-west-1"), None]);
}

#[test]
fn a_gate_leads_to_what_it_says_or_to_what_is_usual_for_it() {
    let gates = ["beforeEntry", "onSuccess", "onFailure"];
    let kinds = [ConditionType::BeforeEntry, ConditionType::OnSuccess, ConditionType::OnFailure];
    let usual = [ConditionResult::Fail, ConditionResult::Fail, ConditionResult::Rollback];
    for ((gate, kind), usual) in gates.into_iter().zip(kinds).zip(usual) {
        let mut json = plain();
        json["stages"][1][gate] = json!({"conditions": [{"rules": []}]});
        let declared = parse(&json).unwrap();
        let build = declared.stage(&stage("Build")).unwrap();
        for other in kinds {
            assert_eq!(build.condition(other).is_some(), other == kind, "{gate}");
        }
        assert_eq!(build.condition(kind).unwrap().result_in(kind), usual);
        json["stages"][1][gate]["conditions"][0]["result"] = json!("SKIP");
        let declared = parse(&json).unwrap();
        let condition = declared.stage(&stage("Build")).unwrap().condition(kind).unwrap();
        assert_eq!(condition.result_in(kind), ConditionResult::Skip);
    }
}

#[test]
fn a_retry_runs_what_failed_unless_it_says_otherwise() {
    for (gate, expected) in [
        (json!({"result": "RETRY"}), Some(RetryMode::FailedActions)),
        (json!({"result": "RETRY", "retryConfiguration": {}}), Some(RetryMode::FailedActions)),
        (
            json!({"result": "RETRY", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}}),
            Some(RetryMode::AllActions),
        ),
        (json!({"result": "ROLLBACK", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}}), None),
        (json!({}), None),
    ] {
        let mut json = plain();
        json["stages"][1]["onFailure"] = gate.clone();
        let declared = parse(&json).unwrap();
        assert_eq!(declared.stages[1].on_failure.as_ref().unwrap().retry_mode(), expected, "{gate}");
    }
}

#[test]
fn an_empty_list_comes_back_if_it_was_sent() {
    for (lists, sent) in
        [(json!({}), 0), (json!({"variables": [], "triggers": null}), 1), (json!({"triggers": []}), 1)]
    {
        let mut json = plain();
        json.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
        json["stages"][2]["blockers"] = json!([]);
        let declared = parse(&json).unwrap();
        assert!(declared.variables.is_empty() && declared.triggers.is_empty());
        let back = serde_json::to_value(&declared).unwrap();
        let there = ["variables", "triggers"].iter().filter(|list| back.get(**list).is_some()).count();
        assert_eq!(there, sent, "{lists}");
        assert_eq!(back["stages"][2]["blockers"], json!([]));
        assert!(back["stages"][1].get("blockers").is_none());
    }
}
