//! Values brought into the API's spelling, whichever spelling they come in.

use domain::template::{PIPELINE, Problem, Spelling, convert};
use serde_json::{Value, json};

fn read(spelling: Spelling, value: &Value) -> (Value, Vec<Problem>) {
    let mut problems = Vec::new();
    let read = convert(value, &PIPELINE, spelling, "", &mut problems);
    (read, problems)
}

fn problem(path: &str, message: &str, hint: Option<&str>) -> Problem {
    Problem { path: path.into(), message: message.into(), hint: hint.map(str::to_owned) }
}

#[test]
fn numbers_and_texts_become_what_the_api_has() {
    let api = json!({
        "name": 7, "version": "3", "executionMode": null, "unheard": { "of": [1] },
        "artifactStores": { "eu-west-1": { "type": "S3", "location": 5, "own": true } },
        "stages": [{
            "name": true,
            "actions": [{ "runOrder": " 2 ", "configuration": { "a": 1.5, "b": false, "c": null, "d": "x" } }],
        }],
    });
    let read_api = read(Spelling::Api, &api);
    let expected = json!({
        "name": "7", "version": 3, "executionMode": null, "unheard": { "of": [1] },
        "artifactStores": { "eu-west-1": { "type": "S3", "location": "5", "own": true } },
        "stages": [{
            "name": "true",
            "actions": [{ "runOrder": 2, "configuration": { "a": "1.5", "b": "false", "d": "x" } }],
        }],
    });
    assert_eq!(read_api, (expected, vec![]));
    let cloud = json!({
        "Name": 7, "Version": 3, "ExecutionMode": null,
        "ArtifactStores": [
            { "Region": "eu-west-1", "ArtifactStore": { "Type": "S3", "Location": 5 } },
            { "Region": "us-east-1", "ArtifactStore": { "Type": "S3", "Location": "b" } },
        ],
        "Stages": [{ "Name": true, "Actions": [{ "RunOrder": "-2", "OutputArtifacts": [{ "Files": ["a", 1] }] }] }],
    });
    let expected = json!({
        "name": "7", "version": 3,
        "artifactStores": {
            "eu-west-1": { "type": "S3", "location": "5" }, "us-east-1": { "type": "S3", "location": "b" },
        },
        "stages": [{ "name": "true", "actions": [{ "runOrder": -2, "outputArtifacts": [{ "files": ["a", "1"] }] }] }],
    });
    assert_eq!(read(Spelling::CloudFormation, &cloud), (expected, vec![]));
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_its_place() {
    for (value, path, message) in [
        (json!([]), "", "a list stands where a map is expected"),
        (json!({ "name": [] }), "name", "a list stands where a text is expected"),
        (json!({ "name": {} }), "name", "a map stands where a text is expected"),
        (json!({ "version": "x" }), "version", "`x` is not a whole number"),
        (json!({ "version": true }), "version", "true or false stands where a whole number is expected"),
        (json!({ "stages": {} }), "stages", "a map stands where a list is expected"),
        (json!({ "stages": [1] }), "stages[0]", "a number stands where a map is expected"),
        (
            json!({ "stages": [{}, { "actions": "x" }] }),
            "stages[1].actions",
            "a text stands where a list is expected",
        ),
        (
            json!({ "stages": [{ "actions": [{ "configuration": "x" }] }] }),
            "stages[0].actions[0].configuration",
            "a text stands where a map is expected",
        ),
        (
            json!({ "artifactStores": [] }),
            "artifactStores",
            "a list stands where a map by Region is expected",
        ),
        (
            json!({ "artifactStores": { "eu-west-1": { "location": [] } } }),
            "artifactStores.eu-west-1.location",
            "a list stands where a text is expected",
        ),
    ] {
        let (kept, problems) = read(Spelling::Api, &value);
        assert_eq!(problems, [problem(path, message, None)], "{value}");
        assert_eq!(kept, value, "what cannot be read stays as it is");
    }
}

#[test]
fn stores_of_a_template_are_a_list_of_regions() {
    let store = || json!({ "Type": "S3", "Location": "b" });
    let needed = "`Region` and `ArtifactStore` are needed here";
    for (stores, path, message) in [
        (
            json!({ "eu-west-1": store() }),
            "ArtifactStores",
            "a map stands where a list of `Region` and `ArtifactStore` is expected",
        ),
        (json!([{ "Region": "r" }]), "ArtifactStores[0]", needed),
        (json!([{ "ArtifactStore": store() }]), "ArtifactStores[0]", needed),
        (json!([{ "Region": [], "ArtifactStore": store() }]), "ArtifactStores[0]", needed),
        (json!([{ "Region": "r", "ArtifactStore": store() }, "x"]), "ArtifactStores[1]", needed),
        (
            json!([{ "Region": "r", "ArtifactStore": store(), "Store": 1 }]),
            "ArtifactStores[0].Store",
            "there is no property `Store` here",
        ),
        (
            json!([{ "Region": "r", "ArtifactStore": store() }, { "Region": "r", "ArtifactStore": store() }]),
            "ArtifactStores[1].Region",
            "the Region `r` is given twice",
        ),
        (
            json!([{ "Region": "r", "ArtifactStore": { "Location": [] } }]),
            "ArtifactStores[0].ArtifactStore.Location",
            "a list stands where a text is expected",
        ),
    ] {
        let (_, problems) = read(Spelling::CloudFormation, &json!({ "ArtifactStores": stores }));
        assert_eq!(problems, [problem(path, message, None)]);
    }
}

#[test]
fn a_property_that_is_not_known_is_answered_with_those_that_are() {
    for (value, path, message, hint) in [
        (
            json!({ "roleArn": "x" }),
            "roleArn",
            "there is no property `roleArn` here",
            "write `RoleArn`: upper and lower case matter",
        ),
        (
            json!({ "ArtifactStore": { "Bucket": "x" } }),
            "ArtifactStore.Bucket",
            "there is no property `Bucket` here",
            "known here: Type, Location, EncryptionKey",
        ),
        (
            json!({ "Stages": [{ "Actions": [{ "Configuration": { "Tags": ["x"], "Name": "n" } }] }] }),
            "Stages[0].Actions[0].Configuration.Tags",
            "a list stands where a text is expected",
            "write it as a JSON text, in quotes",
        ),
    ] {
        let (_, problems) = read(Spelling::CloudFormation, &value);
        assert_eq!(problems, [problem(path, message, Some(hint))]);
    }
}

#[test]
fn a_place_begins_where_the_value_stands() {
    let mut problems = Vec::new();
    convert(&json!({ "name": [] }), &PIPELINE, Spelling::Api, "pipeline", &mut problems);
    assert_eq!(problems, [problem("pipeline.name", "a list stands where a text is expected", None)]);
}
