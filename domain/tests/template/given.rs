//! Parameters: what is allowed, what is given, what is missing.

use super::{PLACE, and, pipeline, problems, template, unknown, value};
use serde_json::{Value, json};

fn with_parameter(parameter: Value) -> Value {
    and(template(json!({ "Fn::Sub": "${P}" })), json!({ "Parameters": { "P": parameter } }))
}

#[test]
fn what_is_given_wins_over_the_default() {
    let template = with_parameter(json!({ "Type": "String", "Default": "d" }));
    assert_eq!(value(&template, &[]), "d");
    assert_eq!(value(&template, &[("P", "g")]), "g");
    assert_eq!(value(&template, &[("P", "")]), "");
}

#[test]
fn a_parameter_without_a_value_is_asked_for() {
    assert_eq!(unknown(&with_parameter(json!({ "Type": "String" })), &[]), ["P"]);
    let stored = with_parameter(json!({ "Type": "AWS::SSM::Parameter::Value<String>", "Default": "/a/b" }));
    let (_, findings) = pipeline(&stored, &[]);
    assert_eq!(findings.unknown[0].what, "the value that the Parameter Store holds under `/a/b`");
    assert_eq!(findings.unknown[0].places, [format!("{PLACE}.Fn::Sub")]);
    assert_eq!(value(&stored, &[("P", "told")]), "told");
}

#[test]
fn one_that_nothing_needs_is_not_asked_for() {
    let version = json!({ "Type": "AWS::SSM::Parameter::Value<String>", "Default": "/bootstrap/version" });
    let template = and(template(json!("x")), json!({ "Parameters": { "BootstrapVersion": version } }));
    assert_eq!(value(&template, &[]), "x");
}

#[test]
fn values_are_checked() {
    for (parameter, text, expected) in [
        (json!({ "Type": "String", "AllowedValues": ["a", 1] }), "b", "`b` is not one of `a`, `1`"),
        (json!({ "Type": "String", "MinLength": "3" }), "ab", "`ab` is shorter than 3"),
        (json!({ "Type": "String", "MaxLength": 1 }), "ab", "`ab` is longer than 1"),
        (json!({ "Type": "Number" }), "x", "`x` is not a number"),
        (json!({ "Type": "Number", "MinValue": 5 }), "4.5", "`4.5` is less than 5"),
        (json!({ "Type": "Number", "MaxValue": 5 }), "6", "`6` is more than 5"),
        (json!({ "Type": "List<Number>" }), "1,x", "`1,x` is not a number"),
        (json!({ "Type": "CommaDelimitedList", "AllowedValues": ["a"] }), "a,b", "`a,b` is not one of `a`"),
        (json!({ "Type": "String", "AllowedPattern": "[a-z]+" }), "A", "`A` does not match `[a-z]+`"),
        (json!({ "Type": "String", "NoEcho": true, "MinLength": 9 }), "hush", "the value is shorter than 9"),
        (json!({ "Type": "Strnig" }), "a", "`Strnig` is not a type of parameter"),
        (json!({}), "a", "`` is not a type of parameter"),
    ] {
        let found = problems(&with_parameter(parameter.clone()), &[("P", text)]);
        assert_eq!(found, [format!("Parameters.P: {expected}")], "{parameter}");
    }
    for (parameter, text) in [
        (json!({ "Type": "String", "AllowedValues": ["a", 1] }), "1"),
        (json!({ "Type": "Number", "MinValue": 5, "MaxValue": 6 }), "5.5"),
        (json!({ "Type": "AWS::EC2::VPC::Id" }), "vpc-1"),
        (json!({ "Type": "String", "AllowedPattern": "[a-z]+" }), "abc"),
    ] {
        assert_eq!(value(&with_parameter(parameter.clone()), &[("P", text)]), text, "{parameter}");
    }
}

#[test]
fn a_pattern_that_is_not_understood_is_told_and_not_held_against_the_value() {
    let template = with_parameter(json!({ "Type": "String", "AllowedPattern": "(?!x)" }));
    let (declared, findings) = pipeline(&template, &[("P", "y")]);
    assert!(declared.is_some() && findings.is_clear());
    assert!(findings.notes[0].1.contains("`(?!x)` is not understood"), "{findings:?}");
}

#[test]
fn a_name_that_is_no_parameter_is_an_error_and_one_that_nothing_asks_for_is_told() {
    let template = with_parameter(json!({ "Type": "String", "Default": "d" }));
    assert_eq!(
        problems(&template, &[("Q", "x")]),
        ["Parameters: there is no parameter `Q` to give a value for"]
    );
    let unused = super::with(&template, &[("ImportValue:x", "1"), ("AWS::Region", "r")], |evaluator| {
        evaluator.pipeline("Pipeline");
        evaluator.unused()
    });
    assert_eq!(unused, ["ImportValue:x"]);
}
