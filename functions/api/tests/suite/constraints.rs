//! The constraint check and its wording.

use api::{ApiError, Invalid, MESSAGE_BYTES_MAX, Operation, VIOLATIONS_LISTED_MAX, validate, validate_shape};
use serde_json::{Value, json};

fn action() -> Value {
    json!({"name": "A", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}})
}

fn pipeline() -> Value {
    json!({
        "name": "shop",
        "roleArn": "arn:aws:iam::123456789012:role/R",
        "artifactStore": {"type": "S3", "location": "bucket"},
        "stages": [
            {"name": "Source", "actions": [action()]},
            {"name": "Build", "actions": [action()]},
        ],
    })
}

/// The message for a pipeline in which the value at `pointer` was replaced.
fn message(pointer: &str, value: Value) -> String {
    let mut declaration = pipeline();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match declaration.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(entries) => entries[name.parse::<usize>().unwrap()] = value,
        _ => unreachable!("the pointers of these tests lead into containers"),
    }
    match validate(Operation::CreatePipeline, &json!({"pipeline": declaration})) {
        Ok(()) => "fits".to_owned(),
        Err(invalid) => invalid.to_string(),
    }
}

fn one(path: &str, constraint: &str) -> String {
    format!("1 validation error detected: Value at '{path}' failed to satisfy constraint: {constraint}")
}

#[test]
fn a_plain_pipeline_fits() {
    assert_eq!(validate(Operation::CreatePipeline, &json!({"pipeline": pipeline()})), Ok(()));
    assert_eq!(validate_shape("PipelineDeclaration", &pipeline(), "pipeline"), Ok(()));
}

#[test]
fn values_are_told_by_path_with_entries_counted_from_one() {
    assert_eq!(
        message("/stages/1/actions/0/runOrder", json!(1000)),
        one(
            "pipeline.stages.2.member.actions.1.member.runOrder",
            "Member must have value less than or equal to 999"
        )
    );
    assert_eq!(
        message("/stages/1/actions/0/runOrder", json!(0)),
        one(
            "pipeline.stages.2.member.actions.1.member.runOrder",
            "Member must have value greater than or equal to 1"
        )
    );
}

#[test]
fn lengths_patterns_sets_and_absences_have_the_services_words() {
    assert_eq!(
        message("/name", json!("a b")),
        one("pipeline.name", r"Member must satisfy regular expression pattern: [A-Za-z0-9.@\-_]+")
    );
    assert_eq!(
        message("/name", json!("x".repeat(101))),
        one("pipeline.name", "Member must have length less than or equal to 100")
    );
    assert_eq!(
        message("/pipelineType", json!("v2")),
        one("pipeline.pipelineType", "Member must satisfy enum value set: [V1, V2]")
    );
    assert_eq!(message("/roleArn", Value::Null), one("pipeline.roleArn", "Member must not be null"));
    assert_eq!(
        message("/variables", json!(vec![json!({"name": "x"}); 51])),
        one("pipeline.variables", "Member must have length less than or equal to 50")
    );
    assert_eq!(
        validate(Operation::CreatePipeline, &json!({})).unwrap_err().to_string(),
        one("pipeline", "Member must not be null")
    );
}

#[test]
fn several_violations_make_one_message() {
    assert_eq!(
        message("/artifactStore", json!({"type": "S4", "location": "b"})),
        "2 validation errors detected: Value at 'pipeline.artifactStore.type' failed to satisfy constraint: \
         Member must satisfy enum value set: [S3]; Value at 'pipeline.artifactStore.location' failed to satisfy \
         constraint: Member must have length greater than or equal to 3"
    );
}

#[test]
fn map_entries_are_told_at_the_map_and_structures_in_it_at_their_own_path() {
    let path = "/stages/0/actions/0/configuration";
    let at_map = "pipeline.stages.1.member.actions.1.member.configuration";
    let value_rule = "Map value must satisfy constraint: [Member must have length less than or equal to 50000, \
                      Member must have length greater than or equal to 1]";
    assert_eq!(message(path, json!({"K": "x".repeat(50_000)})), "fits");
    assert_eq!(message(path, json!({"K": "x".repeat(50_001)})), one(at_map, value_rule));
    assert_eq!(message(path, json!({"K": ""})), one(at_map, value_rule));
    assert_eq!(
        message(path, json!({"": "x"})),
        one(
            at_map,
            "Map keys must satisfy constraint: [Member must have length less than or equal to 50, Member must \
             have length greater than or equal to 1]"
        )
    );
    assert_eq!(
        message(path, json!({"K": null})),
        one(at_map, "Map value must satisfy constraint: [Member must not be null]")
    );
    assert_eq!(
        message("/artifactStores", json!({"eu-west-1": {"type": "S3"}})),
        one("pipeline.artifactStores.eu-west-1.member.location", "Member must not be null")
    );
}

#[test]
fn the_key_of_a_bad_map_entry_is_known_to_callers() {
    let mut pipeline = pipeline();
    pipeline["stages"][0]["actions"][0]["configuration"] = json!({"Good": "x", "Empty": ""});
    let Err(Invalid::Constraints(violations)) = validate_shape("PipelineDeclaration", &pipeline, "pipeline")
    else {
        unreachable!("an empty value is refused");
    };
    assert_eq!(violations.listed[0].key.as_deref(), Some("Empty"));
}

#[test]
fn length_counts_characters_not_bytes() {
    let tags = |value: String| json!({"pipeline": pipeline(), "tags": [{"key": "k", "value": value}]});
    assert_eq!(validate(Operation::CreatePipeline, &tags("🚢".repeat(256))), Ok(()));
    assert!(validate(Operation::CreatePipeline, &tags("🚢".repeat(257))).is_err());
}

#[test]
fn null_is_absent_and_unknown_members_are_ignored() {
    assert_eq!(message("/variables", Value::Null), "fits");
    assert_eq!(message("/unheardOf", json!([{"a": 1}])), "fits");
    assert_eq!(message("/stages/1", Value::Null), one("pipeline.stages.2.member", "Member must not be null"));
}

#[test]
fn a_wrong_type_is_a_serialization_error_and_comes_before_constraints() {
    for (pointer, value, told) in [
        (
            "/name",
            json!(1),
            "NUMBER_VALUE can not be converted to a String: Value at 'pipeline.name' must be a string, found a number",
        ),
        (
            "/version",
            json!("1"),
            "STRING_VALUE can not be converted to an Integer: Value at 'pipeline.version' must be a whole number of at most 64 bits, found a string",
        ),
        (
            "/version",
            json!(1.5),
            "NUMBER_VALUE can not be converted to an Integer: Value at 'pipeline.version' must be a whole number of at most 64 bits, found a number with a fraction or exponent",
        ),
        (
            "/version",
            json!(u64::MAX),
            "NUMBER_VALUE can not be converted to an Integer: Value at 'pipeline.version' must be a whole number of at most 64 bits, found a number",
        ),
        (
            "/stages",
            json!({}),
            "Start of structure or map found where not expected: Value at 'pipeline.stages' must be a list, found an object",
        ),
        (
            "/stages",
            json!("x"),
            "Unexpected field type: Value at 'pipeline.stages' must be a list, found a string",
        ),
        (
            "/name",
            json!(true),
            "TRUE_VALUE can not be converted to a String: Value at 'pipeline.name' must be a string, found a boolean",
        ),
        (
            "/stages/1/actions/0/configuration",
            json!({"K": 1}),
            "NUMBER_VALUE can not be converted to a String: Value at 'pipeline.stages.2.member.actions.1.member.configuration.K.member' must be a string, found a number",
        ),
    ] {
        assert_eq!(message(pointer, value), told);
    }
    let both = json!({"name": "", "version": true});
    let error = ApiError::from(validate(Operation::GetPipeline, &both).unwrap_err());
    assert_eq!(error.code.as_str(), "SerializationException");
    let all = validate(Operation::GetPipeline, &json!([])).unwrap_err();
    assert_eq!(
        all.to_string(),
        "Start of list found where not expected: The input must be an object, found a list"
    );
}

#[test]
fn an_unknown_shape_or_an_absent_value_is_told_at_the_root() {
    assert_eq!(
        validate_shape("PipelineDeclaration", &Value::Null, "pipeline").unwrap_err().to_string(),
        one("pipeline", "Member must not be null")
    );
    assert!(validate_shape("Nonsense", &json!({}), "x").is_err());
}

#[test]
fn a_flood_of_violations_is_counted_but_not_repeated() {
    let stages = vec![json!({"name": "", "actions": []}); 3000];
    let error = validate(Operation::CreatePipeline, &json!({"pipeline": {"name": "", "stages": stages}}));
    let Err(Invalid::Constraints(violations)) = error else { unreachable!("none of it fits") };
    assert_eq!(violations.listed.len(), VIOLATIONS_LISTED_MAX);
    assert_eq!(violations.count, 6003);
    let told = violations.to_string();
    assert!(told.starts_with("6003 validation errors detected: Value at 'pipeline.name'"), "{told}");
    assert!(told.ends_with(" more") && told.len() < MESSAGE_BYTES_MAX + 200, "{} bytes", told.len());
}

#[test]
fn long_keys_do_not_make_long_messages() {
    let told = message("/artifactStores", json!({"k".repeat(1_000_000): {"type": "S3"}}));
    assert!(told.len() < 1000, "{} bytes", told.len());
}

#[test]
fn depth_that_the_model_does_not_know_is_not_followed() {
    let deep = (0..1_000).fold(json!("x"), |inner, _| json!([inner]));
    assert_eq!(message("/unheardOf", deep.clone()), "fits");
    assert!(message("/stages/0/actions/0/configuration", json!({"K": deep})).ends_with("found a list"));
}
