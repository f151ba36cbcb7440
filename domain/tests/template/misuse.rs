//! Templates that say something that cannot be meant: each is told what, and where.

use super::{PLACE, and, pipeline, problems, template, unknown, value, with};
use serde_json::{Value, json};

/// A pipeline whose name is chosen by a condition with this rule.
fn ruled(rule: Value) -> Value {
    let sections = json!({ "Conditions": { "Rule": rule, "Yes": { "Fn::Equals": [1, 1] } } });
    and(template(json!({ "Fn::If": ["Rule", "yes", "no"] })), sections)
}

fn with_properties(properties: Value) -> Value {
    let mut whole = template(json!("x"));
    for (name, value) in properties.as_object().unwrap() {
        whole["Resources"]["Pipeline"]["Properties"][name] = value.clone();
    }
    whole
}

#[test]
fn each_function_says_what_it_takes() {
    let (two, three) = ("`[delimiter, text]`", "`[condition, value if true, value if false]`");
    let (block, find) = ("`[block, count, bits]`", "`[map, first key, second key]`");
    for (expression, expected) in [
        (json!({ "Fn::Split": ["a"] }), format!("Fn::Split: a list stands where {two} is expected")),
        (
            json!({ "Fn::Select": "a" }),
            "Fn::Select: a text stands where `[index, [values]]` is expected".into(),
        ),
        (json!({ "Fn::Select": ["a", ["b"]] }), "Fn::Select: there is no entry `a` in a list of 1".into()),
        (json!({ "Fn::If": ["Yes", 1] }), format!("Fn::If: a list stands where {three} is expected")),
        (json!({ "Fn::If": [1, 2, 3] }), "Fn::If[0]: the name of a condition is expected".into()),
        (
            json!({ "Fn::FindInMap": ["a", "b"] }),
            format!("Fn::FindInMap: a list stands where {find} is expected"),
        ),
        (
            json!({ "Fn::FindInMap": ["a", "b", "c", {}, 1] }),
            format!("Fn::FindInMap: a list stands where {find} is expected"),
        ),
        (
            json!({ "Fn::FindInMap": ["a", [], "c"] }),
            "Fn::FindInMap[1]: a list stands where a text is expected".into(),
        ),
        (
            json!({ "Fn::FindInMap": ["a", "b", "c", { "Default": 1 }] }),
            "Fn::FindInMap: `Mappings` has nothing under `a.b.c`".into(),
        ),
        (json!({ "Fn::ImportValue": [] }), "Fn::ImportValue: a list stands where a text is expected".into()),
        (json!({ "Fn::Base64": null }), "Fn::Base64: nothing stands where a text is expected".into()),
        (json!({ "Fn::Length": true }), "Fn::Length: true or false stands where a list is expected".into()),
        (json!({ "Fn::GetAZs": {} }), "Fn::GetAZs: a map stands where a text is expected".into()),
        (json!({ "Fn::Cidr": ["a"] }), format!("Fn::Cidr: a list stands where {block} is expected")),
        (json!({ "Fn::Cidr": ["a", 1, 2, 3] }), format!("Fn::Cidr: a list stands where {block} is expected")),
        (json!({ "Fn::Cidr": ["a", []] }), "Fn::Cidr[1]: a list stands where a text is expected".into()),
        (
            json!({ "Fn::GetAtt": ["A"] }),
            "Fn::GetAtt: a list stands where `[resource, attribute]` is expected".into(),
        ),
        (json!({ "Fn::GetAtt": ["A", []] }), "Fn::GetAtt[1]: a list stands where a text is expected".into()),
        (
            json!({ "Fn::Sub": [1, {}] }),
            "Fn::Sub: a list stands where a text, or `[text, {names}]` is expected".into(),
        ),
        (
            json!({ "Fn::Sub": ["x", []] }),
            "Fn::Sub: a list stands where a text, or `[text, {names}]` is expected".into(),
        ),
        (json!({ "Fn::Sub": ["${A}", { "A": [] }] }), "Fn::Sub[0]: `${A}` is a list, not a text".into()),
        (
            json!({ "Fn::Sub": ["${A}", { "A": { "Ref": "AWS::NoValue" } }] }),
            "Fn::Sub[0]: `${A}` has no value".into(),
        ),
        (json!({ "Fn::Sub": "${Nobody.Arn}" }), "Fn::Sub: the template has no resource `Nobody`".into()),
        (
            json!({ "Fn::Join": [{ "Ref": "AWS::NoValue" }, []] }),
            "Fn::Join[0]: `AWS::NoValue` stands where a text is expected".into(),
        ),
        (json!({ "Fn::And": [] }), "Fn::And: `Fn::And` is a condition, not a value".into()),
        (json!({ "Fn::Or": [] }), "Fn::Or: `Fn::Or` is a condition, not a value".into()),
        (json!({ "Fn::Not": [] }), "Fn::Not: `Fn::Not` is a condition, not a value".into()),
    ] {
        assert_eq!(
            problems(&template(expression.clone()), &[]),
            [format!("{PLACE}.{expected}")],
            "{expression}"
        );
    }
    let open = format!("${{{}", "a".repeat(38));
    let long = problems(&template(json!({ "Fn::Sub": format!("{open}aaa") })), &[]);
    assert_eq!(long, [format!("{PLACE}.Fn::Sub: `{open}` opens a `${{` that is not closed")]);
}

#[test]
fn misused_functions_say_what_to_do() {
    for (expression, hint) in [
        (json!({ "Fn::Equals": [1, 1] }), "put it under `Conditions`, and use `Fn::If` with its name here"),
        (json!({ "Fn::Transform": {} }), "evaluate it first, and run the template that comes out of it"),
        (json!({ "Fn::Select": [1, ["a"]] }), "entries are counted from 0"),
        (json!({ "Ref": "Nobody" }), "a parameter, a resource, or a name such as `AWS::Region`"),
    ] {
        let (_, findings) = pipeline(&template(expression), &[]);
        assert_eq!(findings.problems[0].hint.as_deref(), Some(hint));
    }
}

#[test]
fn nothing_where_a_list_or_a_member_may_stand_is_an_empty_one() {
    let nothing = || json!({ "Ref": "AWS::NoValue" });
    for (expression, expected) in [
        (json!({ "Fn::Join": ["-", nothing()] }), json!("")),
        (json!({ "Fn::Length": nothing() }), json!("0")),
        (json!({ "Fn::ToJsonString": nothing() }), Value::Null),
        (json!({ "Fn::ToJsonString": { "a": nothing(), "b": [nothing(), 1] } }), json!("{\"b\":[1]}")),
        (json!({ "Fn::Join": ["-", { "Fn::Split": [",", "a,b,,c"] }] }), json!("a-b--c")),
    ] {
        assert_eq!(value(&template(expression.clone()), &[]), expected, "{expression}");
    }
    let zones = template(json!({ "Fn::Join": ["+", { "Fn::GetAZs": "us-east-1" }] }));
    assert_eq!(unknown(&zones, &[]), ["GetAZs:us-east-1"]);
    assert_eq!(value(&zones, &[("GetAZs:us-east-1", "a,b,c")]), "a+b+c");
    let blocks = template(json!({ "Fn::Select": [1, { "Fn::Cidr": ["10.0.0.0/16", 2] }] }));
    assert_eq!(value(&blocks, &[("Cidr:10.0.0.0/16,2", "x,y")]), "y");
}

#[test]
fn rules_of_conditions_are_read_or_refused() {
    let nothing = json!({ "Ref": "AWS::NoValue" });
    let yes = json!({ "Condition": "Yes" });
    for (rule, expected) in [
        (json!({ "Fn::Equals": ["1", 1] }), "yes"),
        (json!({ "Fn::Equals": [["a", 1], ["a", 1]] }), "yes"),
        (json!({ "Fn::Equals": [["a"], ["b"]] }), "no"),
        (json!({ "Fn::Equals": [["a"], "a"] }), "no"),
        (json!({ "Fn::Equals": [nothing, nothing] }), "yes"),
        (json!({ "Fn::Equals": [nothing, ""] }), "no"),
        (json!({ "Condition": "Yes" }), "yes"),
        (json!({ "Fn::And": vec![yes.clone(); 10] }), "yes"),
        (json!({ "Fn::Or": [{ "Fn::Equals": [1, 2] }, { "Fn::Equals": [1, 3] }] }), "no"),
    ] {
        assert_eq!(value(&ruled(rule.clone()), &[]), expected, "{rule}");
    }
    let kinds = "one of `Fn::Equals`, `Fn::And`, `Fn::Or`, `Fn::Not`, `Condition` is expected";
    let several = "a list stands where a list of 2 to 10 conditions is expected";
    for (rule, expected) in [
        (json!([]), format!(": {kinds}")),
        (json!({}), format!(": {kinds}")),
        (json!({ "Fn::Not": [yes], "Fn::Or": [] }), format!(": {kinds}")),
        (json!({ "Fn::If": [] }), ".Fn::If: `Fn::If` is not a condition".into()),
        (json!({ "Condition": 1 }), ".Condition: the name of a condition is expected".into()),
        (
            json!({ "Condition": "Never" }),
            ".Condition: there is no condition `Never` under `Conditions`".into(),
        ),
        (
            json!({ "Fn::Not": [] }),
            ".Fn::Not: a list stands where a list of one condition is expected".into(),
        ),
        (
            json!({ "Fn::Not": [yes, yes] }),
            ".Fn::Not: a list stands where a list of one condition is expected".into(),
        ),
        (
            json!({ "Fn::Equals": [1] }),
            ".Fn::Equals: a list stands where a list of two values is expected".into(),
        ),
        (json!({ "Fn::And": [yes] }), format!(".Fn::And: {several}")),
        (json!({ "Fn::Or": vec![yes.clone(); 11] }), format!(".Fn::Or: {several}")),
        (json!({ "Fn::And": [yes, []] }), format!(".Fn::And[1]: {kinds}")),
    ] {
        assert_eq!(problems(&ruled(rule.clone()), &[]), [format!("Conditions.Rule{expected}")], "{rule}");
    }
}

#[test]
fn conditions_side_by_side_are_no_nest() {
    let numbered =
        |number: usize| (format!("C{number}"), json!({ "Fn::Not": [{ "Fn::Equals": [number, 0] }] }));
    let conditions: serde_json::Map<String, Value> = (1..=250).map(numbered).collect();
    let parts: Vec<Value> =
        (1..=250).map(|number| json!({ "Fn::If": [format!("C{number}"), "y", "n"] })).collect();
    let whole = and(template(json!({ "Fn::Join": ["", parts] })), json!({ "Conditions": conditions }));
    assert_eq!(value(&whole, &[]), "y".repeat(250));
}

#[test]
fn a_circle_is_told_from_where_it_closes() {
    let bucket = |name: &str| {
        let name = json!({ "Fn::Sub": format!("x${{{name}}}") });
        json!({ "Type": "AWS::S3::Bucket", "Properties": { "BucketName": name } })
    };
    let resources = json!({ "Resources": { "A": bucket("B"), "B": bucket("C"), "C": bucket("B") } });
    assert_eq!(
        problems(&and(template(json!({ "Ref": "A" })), resources), &[]),
        ["Resources.C.Properties.BucketName.Fn::Sub: this leads back to itself: Ref:B → Ref:C → Ref:B"]
    );
}

#[test]
fn all_that_has_to_be_looked_up_is_told_at_once() {
    let text = "a {{resolve:ssm:/one}} b {{resolve:ssm:/two}} c";
    assert_eq!(unknown(&template(json!(text)), &[]), ["resolve:ssm:/one", "resolve:ssm:/two"]);
    let given = [("resolve:ssm:/one", "1"), ("resolve:ssm:/two", "2")];
    assert_eq!(value(&template(json!(text)), &given), "a 1 b 2 c");
    assert_eq!(unknown(&template(json!(text)), &given[..1]), ["resolve:ssm:/two"]);
    for open in ["{{resolve:ssm:/one", "a {{resolve:ssm:/one", "a {{resolve:ssm:/one}} b {{resolve:ssm:/two"]
    {
        let read = value(&template(json!(open)), &given[..1]);
        assert_eq!(read, open.replace("{{resolve:ssm:/one}}", "1"), "what is not closed stays as it is");
    }
    // What the branches of a choice hold may not matter, the rest does.
    let mut whole =
        template(json!({ "Fn::Join": ["", [{ "Fn::ImportValue": "x" }, "{{resolve:ssm:/inside}}"]] }));
    let action = &mut whole["Resources"]["Pipeline"]["Properties"]["Stages"][1]["Actions"][0];
    action["Commands"] = json!(["{{resolve:ssm:/outside}}", "true"]);
    action["Name"] = json!({ "Ref": "{{resolve:ssm:/name}}" });
    let (_, findings) = pipeline(&whole, &[]);
    let keys: Vec<&str> = findings.unknown.iter().map(|unknown| &*unknown.key).collect();
    assert_eq!(keys, ["ImportValue:x", "resolve:ssm:/outside"]);
}

#[test]
fn what_stands_beside_a_definition_has_its_shape() {
    for (properties, expected) in [
        (json!({ "Tags": {} }), "Tags: a list of `Key` and `Value` is expected"),
        (json!({ "Tags": [{ "Key": "a" }] }), "Tags[0]: `Key` and `Value` are needed here"),
        (json!({ "Tags": [{ "Key": "a", "Value": [] }] }), "Tags[0]: `Key` and `Value` are needed here"),
        (
            json!({ "Tags": [{ "Key": "a", "Value": "b" }, { "Key": "c", "Value": "d", "Color": "e" }] }),
            "Tags[1].Color: there is no property `Color` here",
        ),
        (
            json!({ "DisableInboundStageTransitions": "Approve" }),
            "DisableInboundStageTransitions: a list of `StageName` and `Reason` is expected",
        ),
        (
            json!({ "DisableInboundStageTransitions": [{ "StageName": "Approve" }] }),
            "DisableInboundStageTransitions[0]: `StageName` and `Reason` are needed here",
        ),
    ] {
        let found = problems(&with_properties(properties), &[]);
        assert_eq!(found, [format!("Resources.Pipeline.Properties.{expected}")]);
    }
    let closed = json!({ "DisableInboundStageTransitions": [{ "StageName": "Deploy", "Reason": "r" }] });
    let (_, findings) = pipeline(&with_properties(closed), &[]);
    assert_eq!(findings.problems[0].hint.as_deref(), Some("its stages: Source, Approve"));
}

#[test]
fn properties_that_are_no_map_are_no_pipeline() {
    for properties in [json!("x"), json!([]), json!({ "Ref": "AWS::NoValue" })] {
        let mut whole = template(json!("x"));
        whole["Resources"]["Pipeline"]["Properties"] = properties;
        let (declared, findings) = pipeline(&whole, &[]);
        assert_eq!(declared, None);
        let said = &findings.problems[0];
        assert_eq!(
            (findings.problems.len(), &*said.path, &*said.message),
            (1, "Resources.Pipeline.Properties", "a map with the pipeline's properties is expected")
        );
    }
    let mut other = template(json!("x"));
    other["Resources"]["Pipeline"]["Type"] = json!("AWS::S3::Bucket");
    let (declared, findings) = pipeline(&other, &[]);
    assert!(declared.is_none() && findings.is_clear(), "there is no pipeline of that id");
}

#[test]
fn keys_of_a_configuration_keep_their_letters() {
    let mut whole = template(json!("x"));
    let action = &mut whole["Resources"]["Pipeline"]["Properties"]["Stages"][0]["Actions"][0];
    action["Configuration"]["own"] = json!({ "Fn::If": ["Yes", "a", "b"] });
    let whole = and(whole, json!({ "Conditions": { "Yes": { "Fn::Equals": [1, 2] } } }));
    let declared = pipeline(&whole, &[]).0.unwrap();
    let root = "Resources.Pipeline.Properties.Stages[0].Actions[0]";
    for (path, source) in [
        ("stages[0].actions[0].configuration.own", ".Configuration.own.Fn::If[2]"),
        ("stages[0].actions[0].configuration", ".Configuration"),
        ("stages[0].actions[0].actionTypeId.provider", ".ActionTypeId.Provider"),
    ] {
        assert_eq!(declared.source_of(path), format!("{root}{source}"));
    }
}

#[test]
fn a_template_has_a_mark_of_one() {
    use domain::template::Template;
    for mark in ["AWSTemplateFormatVersion", "Resources", "Transform"] {
        assert!(Template::of(&json!({ mark: null })).is_some(), "{mark}");
    }
    let anything = json!({ "Outputs": {}, "pipeline": {} });
    assert!(Template::of(&anything).is_none());
    let names = with(&json!({ "Transform": "x" }), &[], |evaluator| evaluator.pipelines());
    assert_eq!(names, []);
}
