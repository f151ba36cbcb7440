//! What holds for every definition.

use crate::{StructureError, plain, refusal, refused, registry};
use domain::pipeline::{PipelineType, Setting, check_all, normalize, parse};
use events::PipelineVersion;
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_slip_in_a_key_is_answered_with_the_key_that_was_meant() {
    let error = refused("a slip", |json| {
        json["stages"][1]["actions"][0]["configuration"] =
            json!({"ProjectName": "p", "PrimarySorce": "Code"});
    });
    assert_eq!(error.hint.as_deref(), Some("did you mean `PrimarySource`?"));
}

#[test]
fn all_violations_are_listed_when_asked() {
    let mut json = plain();
    json["stages"][1]["actions"][0]["configuration"] = json!({"Nope": "x"});
    json["stages"][2]["actions"][0]["namespace"] = json!("Src");
    let registry = registry();
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    let found = check_all(&parse(&json).unwrap(), &setting);
    let paths: Vec<&str> = found.iter().map(|error| &*error.path).collect();
    assert_eq!(
        paths,
        [
            "stages[1].actions[0].configuration",
            "stages[1].actions[0].configuration.Nope",
            "stages[2].actions[0].namespace"
        ]
    );
}

#[test]
fn a_type_left_out_is_v2_as_soon_as_it_must_be_and_never_goes_back() {
    let kind = |json: &Value, current| {
        let mut declaration = parse(json).unwrap();
        normalize(&mut declaration, PipelineVersion(7), current, &registry());
        assert_eq!(declaration.version, Some(PipelineVersion(7)));
        declaration.pipeline_type.unwrap()
    };
    let mut json = plain();
    assert_eq!(kind(&json, None), PipelineType::V1);
    assert_eq!(kind(&json, Some(PipelineType::V2)), PipelineType::V2);
    json["executionMode"] = json!("QUEUED");
    assert_eq!(kind(&json, None), PipelineType::V2);
    assert_eq!(kind(&json, Some(PipelineType::V1)), PipelineType::V2);
    let mut back = plain();
    back["pipelineType"] = json!("V1");
    assert_eq!(kind(&back, Some(PipelineType::V2)), PipelineType::V1);
}

#[test]
fn five_hundred_actions_are_enough_for_anyone() {
    let mut json = plain();
    let gate = json["stages"][2].clone();
    let stages = json["stages"].as_array_mut().unwrap();
    stages.truncate(2);
    let named = |number: usize, actions: usize| {
        let mut stage = gate.clone();
        stage["name"] = json!(format!("Gate{number}"));
        let action = |index| {
            let mut action = gate["actions"][0].clone();
            action["name"] = json!(format!("A{index}"));
            action
        };
        stage["actions"] = (0..actions).map(action).collect();
        stage
    };
    stages.extend((0..9).map(|number| named(number, 50)));
    stages.push(named(9, 48));
    assert_eq!(refusal(&json), None);
    json["stages"][11] = named(9, 49);
    let error = refusal(&json).unwrap();
    assert_eq!(
        (error.code, &*error.message),
        (StructureError, "Pipeline has too many actions. There can only be up to 500 actions in a pipeline")
    );
}

/// Any JSON, with the API's own members among the names.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[#{}a.:ä/]{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("name".to_owned()),
        Just("actions".to_owned()),
        Just("configuration".to_owned()),
        "[a-z]{1,3}"
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every place of a JSON value, as pointers.
fn pointers(json: &Value, prefix: &str, found: &mut Vec<String>) {
    found.push(prefix.to_owned());
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                pointers(value, &format!("{prefix}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, &format!("{prefix}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #[test]
    fn no_definition_makes_the_checks_panic(seed in any::<prop::sample::Index>(), replacement in any_json()) {
        let mut json = plain();
        let mut places = Vec::new();
        pointers(&json, "", &mut places);
        *json.pointer_mut(&places[seed.index(places.len())]).unwrap() = replacement;
        // Refused or not is no matter here.
        let _ = refusal(&json);
        if let Ok(declaration) = parse(&json) {
            let again = serde_json::to_value(&declaration).unwrap();
            prop_assert_eq!(parse(&again).unwrap(), declaration);
        }
    }
}
