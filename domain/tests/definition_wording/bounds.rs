//! Lengths, counts and characters: what lies on a bound is accepted, one step beyond is refused.

use crate::{MemberError, commands, compile, expect, gate, plain, refusal, rule};
use serde_json::{Value, json};

/// Where a member stands, what gives it a size, the least and the greatest size.
type Bound = (&'static str, fn(&mut Value, usize), usize, usize);

fn text(size: usize) -> Value {
    json!("x".repeat(size))
}

fn list(size: usize, item: Value) -> Value {
    json!(vec![item; size])
}

fn lambda() -> Value {
    rule("LambdaInvoke", json!({"FunctionName": "f"}))
}

/// Gives the second stage an entry condition with one rule, and returns the rule.
fn entry(json: &mut Value) -> &mut Value {
    json["stages"][1]["beforeEntry"] = gate("FAIL", json!([lambda()]));
    &mut json["stages"][1]["beforeEntry"]["conditions"][0]["rules"][0]
}

fn git(json: &mut Value) -> &mut Value {
    json["triggers"] = json!([{"providerType": "CodeStarSourceConnection",
        "gitConfiguration": {"sourceActionName": "Fetch"}}]);
    &mut json["triggers"][0]["gitConfiguration"]
}

/// The words of the constraint layer about a definition, if that is what refuses it.
fn constraint(json: &Value) -> Option<(String, String)> {
    let error = refusal(json).filter(|error| error.message.starts_with("1 validation error detected"))?;
    assert_eq!(error.code, MemberError, "{}", error.path);
    let (_, words) = error.message.split_once("failed to satisfy constraint: ").unwrap();
    Some((error.path.clone(), words.to_owned()))
}

fn stays_within(bounds: &[Bound]) {
    for (path, give, min, max) in bounds {
        let of = |size: usize| {
            let mut json = plain();
            give(&mut json, size);
            constraint(&json)
        };
        for size in [*min, *max] {
            assert_eq!(of(size), None, "{path} of {size}");
        }
        let beyond = format!("Member must have length less than or equal to {max}");
        assert_eq!(of(max + 1), Some(((*path).to_owned(), beyond)), "{path}");
        if let Some(less) = min.checked_sub(1) {
            let below = format!("Member must have length greater than or equal to {min}");
            assert_eq!(of(less), Some(((*path).to_owned(), below)), "{path}");
        }
    }
}

#[test]
fn members_of_an_action_stay_within_their_bounds() {
    stays_within(&[
        (
            "stages[1].actions[0].actionTypeId.provider",
            |json, n| compile(json)["actionTypeId"]["provider"] = text(n),
            1,
            35,
        ),
        (
            "stages[1].actions[0].actionTypeId.version",
            |json, n| compile(json)["actionTypeId"]["version"] = text(n),
            1,
            9,
        ),
        ("stages[1].actions[0].region", |json, n| compile(json)["region"] = text(n), 4, 30),
        (
            "stages[1].actions[0].commands",
            |json, n| compile(json)["commands"] = list(n, json!("true")),
            0,
            50,
        ),
        ("stages[1].actions[0].commands[0]", |json, n| compile(json)["commands"] = json!([text(n)]), 1, 1000),
        (
            "stages[1].actions[0].outputVariables",
            |json, n| compile(json)["outputVariables"] = list(n, json!("N")),
            0,
            15,
        ),
        (
            "stages[1].actions[0].outputVariables[0]",
            |json, n| compile(json)["outputVariables"] = json!([text(n)]),
            1,
            128,
        ),
        (
            "stages[1].actions[0].outputArtifacts[0].files",
            |json, n| compile(json)["outputArtifacts"][0]["files"] = list(n, json!("a")),
            0,
            10,
        ),
        (
            "stages[1].actions[0].outputArtifacts[0].files[0]",
            |json, n| compile(json)["outputArtifacts"][0]["files"] = json!([text(n)]),
            1,
            128,
        ),
        (
            "stages[1].actions[0].environmentVariables",
            |json, n| compile(json)["environmentVariables"] = list(n, json!({"name": "N", "value": "v"})),
            0,
            10,
        ),
        (
            "stages[1].actions[0].environmentVariables[0].name",
            |json, n| compile(json)["environmentVariables"] = json!([{"name": text(n), "value": "v"}]),
            1,
            128,
        ),
        (
            "stages[1].actions[0].environmentVariables[0].value",
            |json, n| compile(json)["environmentVariables"] = json!([{"name": "N", "value": text(n)}]),
            1,
            2000,
        ),
    ]);
}

#[test]
fn members_of_conditions_and_rules_stay_within_their_bounds() {
    stays_within(&[
        (
            "stages[1].beforeEntry.conditions",
            |json, n| {
                json["stages"][1]["beforeEntry"] =
                    json!({"conditions": list(n, json!({"result": "FAIL", "rules": [lambda()]}))})
            },
            1,
            1,
        ),
        (
            "stages[1].onSuccess.conditions",
            |json, n| {
                json["stages"][1]["onSuccess"] =
                    json!({"conditions": list(n, json!({"result": "FAIL", "rules": [lambda()]}))})
            },
            1,
            1,
        ),
        (
            "stages[1].onFailure.conditions",
            |json, n| {
                json["stages"][1]["onFailure"] =
                    json!({"conditions": list(n, json!({"result": "ROLLBACK", "rules": [lambda()]}))})
            },
            0,
            1,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules",
            |json, n| json["stages"][1]["beforeEntry"] = gate("FAIL", list(n, lambda())),
            1,
            5,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].ruleTypeId.provider",
            |json, n| entry(json)["ruleTypeId"]["provider"] = text(n),
            1,
            35,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].ruleTypeId.version",
            |json, n| entry(json)["ruleTypeId"]["version"] = text(n),
            1,
            9,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].configuration",
            |json, n| {
                entry(json)["configuration"] = (0..n).map(|key| (format!("k{key}"), json!("v"))).collect()
            },
            0,
            200,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].commands",
            |json, n| entry(json)["commands"] = list(n, json!("true")),
            0,
            50,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].commands[0]",
            |json, n| entry(json)["commands"] = json!([text(n)]),
            1,
            1000,
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].region",
            |json, n| entry(json)["region"] = text(n),
            4,
            30,
        ),
    ]);
}

#[test]
fn members_of_the_whole_and_of_triggers_stay_within_their_bounds() {
    stays_within(&[
        (
            "artifactStore.encryptionKey.id",
            |json, n| json["artifactStore"]["encryptionKey"] = json!({"id": text(n), "type": "KMS"}),
            1,
            400,
        ),
        ("variables", |json, n| json["variables"] = list(n, json!({"name": "x"})), 0, 50),
        (
            "variables[0].defaultValue",
            |json, n| json["variables"] = json!([{"name": "x", "defaultValue": text(n)}]),
            1,
            1000,
        ),
        (
            "variables[0].description",
            |json, n| json["variables"] = json!([{"name": "x", "description": text(n)}]),
            0,
            200,
        ),
        (
            "triggers",
            |json, n| {
                let one = git(json).clone();
                json["triggers"] =
                    list(n, json!({"providerType": "CodeStarSourceConnection", "gitConfiguration": one}));
            },
            0,
            50,
        ),
        (
            "triggers[0].gitConfiguration.push",
            |json, n| git(json)["push"] = list(n, json!({"branches": {"includes": ["a"]}})),
            0,
            3,
        ),
        (
            "triggers[0].gitConfiguration.push[0].tags.includes",
            |json, n| git(json)["push"] = json!([{"tags": {"includes": list(n, json!("a"))}}]),
            0,
            8,
        ),
        (
            "triggers[0].gitConfiguration.push[0].branches.excludes",
            |json, n| git(json)["push"] = json!([{"branches": {"excludes": list(n, json!("a"))}}]),
            0,
            8,
        ),
        (
            "triggers[0].gitConfiguration.push[0].filePaths.excludes[0]",
            |json, n| {
                git(json)["push"] =
                    json!([{"branches": {"includes": ["a"]}, "filePaths": {"excludes": [text(n)]}}])
            },
            1,
            255,
        ),
        (
            "triggers[0].gitConfiguration.pullRequest",
            |json, n| git(json)["pullRequest"] = list(n, json!({"branches": {"includes": ["a"]}})),
            0,
            3,
        ),
        (
            "triggers[0].gitConfiguration.pullRequest[0].events",
            |json, n| {
                git(json)["pullRequest"] =
                    json!([{"events": list(n, json!("OPEN")), "branches": {"includes": ["a"]}}])
            },
            0,
            3,
        ),
        (
            "triggers[0].gitConfiguration.pullRequest[0].branches.includes",
            |json, n| git(json)["pullRequest"] = json!([{"branches": {"includes": list(n, json!("a"))}}]),
            0,
            8,
        ),
        (
            "triggers[0].gitConfiguration.pullRequest[0].filePaths.includes[0]",
            |json, n| {
                git(json)["pullRequest"] =
                    json!([{"branches": {"includes": ["a"]}, "filePaths": {"includes": [text(n)]}}])
            },
            1,
            255,
        ),
    ]);
}

#[test]
fn a_region_of_a_store_has_four_to_thirty_characters() {
    let of = |size: usize| {
        let mut json = plain();
        let store = json["artifactStore"].take();
        json["artifactStores"] = json!({"us-east-1": store, "x".repeat(size): store});
        constraint(&json)
    };
    for (size, words) in [(3, "greater than or equal to 4"), (31, "less than or equal to 30")] {
        let path = format!("artifactStores.{}", "x".repeat(size));
        assert_eq!(of(size), Some((path, format!("Member must have length {words}"))));
    }
    assert_eq!((of(4), of(30)), (None, None));
    let mut json = plain();
    let store = json["artifactStore"].take();
    json["artifactStores"] = json!({"us-east-1": store, "ää": store});
    let (path, words) = constraint(&json).unwrap();
    assert!(path == "artifactStores.ää" && words.ends_with("or equal to 4"), "letters are counted: {words}");
    let mut json = plain();
    let mut store = json["artifactStore"].take();
    store["encryptionKey"] = json!({"id": "", "type": "KMS"});
    json["artifactStores"] = json!({"us-east-1": store});
    assert_eq!(constraint(&json).unwrap().0, "artifactStores.us-east-1.encryptionKey.id");
}

#[test]
fn what_is_bounded_are_characters_and_not_bytes() {
    let of = |size: usize| {
        let mut json = plain();
        json["variables"] = json!([{"name": "x", "defaultValue": "ä".repeat(size)}]);
        constraint(&json)
    };
    assert_eq!(of(1000), None);
    let words = "Member must have length less than or equal to 1000".to_owned();
    assert_eq!(of(1001), Some(("variables[0].defaultValue".to_owned(), words)));
}

#[test]
fn keys_and_values_of_configurations_stay_within_their_bounds() {
    let keys = "Map keys must satisfy constraint: [Member must have length less than or equal to 50, Member must \
                have length greater than or equal to 1]";
    let values = |max: usize| {
        format!(
            "Map value must satisfy constraint: [Member must have length less than or equal to {max}, Member must \
             have length greater than or equal to 1]"
        )
    };
    for (is_rule, root, value_max) in [
        (false, "stages[1].actions[0].configuration.", 50_000),
        (true, "stages[1].beforeEntry.conditions[0].rules[0].configuration.", 10_000),
    ] {
        let of = |key: &str, value: &str| {
            let mut json = plain();
            let holder = if is_rule { entry(&mut json) } else { compile(&mut json) };
            holder["configuration"] = json!({key: value});
            constraint(&json)
        };
        assert_eq!(of(&"k".repeat(50), "v"), None);
        let long = "k".repeat(51);
        assert_eq!(of(&long, "v"), Some((format!("{root}{long}"), keys.to_owned())));
        assert_eq!(of("", "v"), Some((root.to_owned(), keys.to_owned())));
        assert_eq!(of("k", &"v".repeat(value_max)), None);
        for value in [String::new(), "v".repeat(value_max + 1)] {
            assert_eq!(of("k", &value), Some((format!("{root}k"), values(value_max))));
        }
    }
}

#[test]
fn words_that_name_types_and_variables_have_their_characters() {
    let type_word = "[0-9A-Za-z_-]+";
    let variable = "[A-Za-z0-9_]+";
    type Row = (&'static str, fn(&mut Value, &str), &'static str, [&'static str; 2], [&'static str; 3]);
    let rows: [Row; 5] = [
        (
            "stages[1].actions[0].actionTypeId.provider",
            |json, word| compile(json)["actionTypeId"]["provider"] = json!(word),
            type_word,
            ["a_B-9", "x"],
            ["a b", "a.b", "ä"],
        ),
        (
            "stages[1].actions[0].actionTypeId.version",
            |json, word| compile(json)["actionTypeId"]["version"] = json!(word),
            type_word,
            ["a_B-9", "2"],
            ["1.0", "1 ", "ä"],
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].ruleTypeId.provider",
            |json, word| entry(json)["ruleTypeId"]["provider"] = json!(word),
            type_word,
            ["a_B-9", "x"],
            ["a b", "a.b", "ä"],
        ),
        (
            "stages[1].beforeEntry.conditions[0].rules[0].ruleTypeId.version",
            |json, word| entry(json)["ruleTypeId"]["version"] = json!(word),
            type_word,
            ["a_B-9", "2"],
            ["1.0", "1 ", "ä"],
        ),
        (
            "stages[1].actions[0].environmentVariables[0].name",
            |json, word| compile(json)["environmentVariables"] = json!([{"name": word, "value": "v"}]),
            variable,
            ["a_B9", "_"],
            ["a-b", "a b", "ä"],
        ),
    ];
    for (path, give, pattern, good, bad) in rows {
        let of = |word: &str| {
            let mut json = plain();
            give(&mut json, word);
            constraint(&json)
        };
        for word in good {
            assert_eq!(of(word), None, "{path}: {word}");
        }
        let words = format!("Member must satisfy regular expression pattern: {pattern}");
        for word in bad {
            assert_eq!(of(word), Some((path.to_owned(), words.clone())), "{word}");
        }
    }
}

#[test]
fn where_a_member_stands_is_spelled_as_the_service_spells_it() {
    expect(&[
        (
            "an empty command of the second action",
            |json| {
                commands(json, &["true"]);
                let mut second = compile(json).clone();
                second["name"] = json!("Again");
                second["commands"] = json!(["true", ""]);
                second["namespace"] = Value::Null;
                json["stages"][1]["actions"].as_array_mut().unwrap().push(second);
            },
            MemberError,
            "stages[1].actions[1].commands[1]",
            "1 validation error detected: Value at 'pipeline.stages.2.member.actions.2.member.commands.2.member' \
             failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            "a long description",
            |json| json["variables"] = json!([{"name": "x"}, {"name": "y", "description": "d".repeat(201)}]),
            MemberError,
            "variables[1].description",
            "1 validation error detected: Value at 'pipeline.variables.2.member.description' failed to satisfy \
             constraint: Member must have length less than or equal to 200",
        ),
    ]);
}
