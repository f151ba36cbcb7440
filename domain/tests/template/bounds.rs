//! Templates that ask for too much, lead in circles, or mean nothing: an answer always, and soon.

use super::{and, pipeline, problems, template, with};
use domain::template::Template;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[test]
fn circles_are_named() {
    let bucket = |name: &str| json!({ "Type": "AWS::S3::Bucket", "Properties": { "BucketName": { "Fn::Sub": format!("x${{{name}}}") } } });
    let resources = json!({ "Resources": { "A": bucket("B"), "B": bucket("C"), "C": bucket("A") } });
    let found = problems(&and(template(json!({ "Ref": "A" })), resources), &[]);
    assert_eq!(
        found,
        [
            "Resources.C.Properties.BucketName.Fn::Sub: this leads back to itself: Ref:A → Ref:B → Ref:C → Ref:A"
        ]
    );
    let conditions = json!({ "Conditions": {
        "One": { "Fn::Not": [{ "Condition": "Two" }] }, "Two": { "Fn::Not": [{ "Condition": "One" }] },
    } });
    let found = problems(&and(template(json!({ "Fn::If": ["One", 1, 2] })), conditions), &[]);
    let circle = "this leads back to itself: condition One → condition Two → condition One";
    assert_eq!(found, [format!("Conditions.Two.Fn::Not[0].Condition: {circle}")]);
}

#[test]
fn names_that_double_each_time_are_cut_off() {
    let mut resources = Map::new();
    for level in 0..60 {
        let below = format!("B{}", level + 1);
        let twice = json!({ "Fn::Sub": format!("${{{below}}}${{{below}}}") });
        resources.insert(
            format!("B{level}"),
            json!({ "Type": "AWS::S3::Bucket", "Properties": { "BucketName": twice } }),
        );
    }
    resources.insert("B60".into(), json!({ "Type": "AWS::S3::Bucket" }));
    let found = problems(&and(template(json!({ "Ref": "B0" })), json!({ "Resources": resources })), &[]);
    assert!(found.iter().any(|problem| problem.contains("more than 16 MiB of text")), "{found:?}");
}

#[test]
fn long_chains_and_deep_nests_are_cut_off() {
    let chain: Map<String, Value> = (0..500)
        .map(|level| {
            let name = json!({ "Ref": format!("B{}", level + 1) });
            let bucket = json!({ "Type": "AWS::S3::Bucket", "Properties": { "BucketName": name } });
            (format!("B{level}"), bucket)
        })
        .collect();
    let found = problems(&and(template(json!({ "Ref": "B0" })), json!({ "Resources": chain })), &[]);
    assert!(found[0].ends_with("more than 200 expressions lie within each other"), "{found:?}");
    let nest = (0..400).fold(json!("x"), |inner, _| json!({ "Fn::Join": ["", [inner]] }));
    let found = problems(&template(nest), &[]);
    assert!(found[0].ends_with("more than 200 expressions lie within each other"), "{found:?}");
}

#[test]
fn what_is_no_template_is_none() {
    for value in [json!([]), json!("Resources"), json!({ "pipeline": {} }), json!(null)] {
        assert!(Template::of(&value).is_none(), "{value}");
    }
    for value in [
        json!({ "Resources": null }),
        json!({ "Resources": { "P": null } }),
        json!({ "Resources": [] }),
        json!({ "Resources": { "Pipeline": { "Type": "AWS::CodePipeline::Pipeline" } } }),
        json!({ "Resources": { "Pipeline": { "Type": "AWS::CodePipeline::Pipeline", "Properties": [] } } }),
        json!({ "Resources": {}, "Parameters": 1, "Conditions": "x", "Mappings": [] }),
    ] {
        with(&value, &[("X", "y")], |evaluator| {
            evaluator.pipelines();
            evaluator.pipeline("Pipeline");
            evaluator.project("P", &|_| false);
            evaluator.deployment_group("A", "B");
        });
    }
}

/// Any value at all, with the words of templates in likely and unlikely places.
fn anything() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "A",
        "B",
        "P",
        "Yes",
        "No",
        "AWS::Region",
        "AWS::NoValue",
        "${A}",
        "${A.Arn}-${P}",
        "${",
        "${!x}",
        "A.Arn",
        "0",
        "",
        "{{resolve:ssm:x}}",
        "{{resolve:",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "Ref",
        "Fn::GetAtt",
        "Fn::Sub",
        "Fn::Join",
        "Fn::Select",
        "Fn::Split",
        "Fn::If",
        "Fn::FindInMap",
        "Fn::ImportValue",
        "Fn::Base64",
        "Fn::Cidr",
        "Fn::GetAZs",
        "Fn::Length",
        "Fn::ToJsonString",
        "Fn::Equals",
        "Fn::And",
        "Fn::Or",
        "Fn::Not",
        "Condition",
        "Fn::Nothing",
        "Name",
        "Stages",
    ]);
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            (names.clone(), inner.clone()).prop_map(|(name, inner)| json!({ name: inner })),
            (names.clone(), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(name, inner)| json!({ name: inner })),
            prop::collection::btree_map("[A-Z][a-z]{0,3}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Either there is a definition, or something says why not; never a panic, never both silent.
    #[test]
    fn any_expression_has_an_answer(
        expression in anything(), name in anything(), rule in anything(), parameter in anything(), stages in anything(),
    ) {
        let sections = json!({
            "Conditions": { "Yes": { "Fn::Equals": [1, 1] }, "No": rule },
            "Parameters": { "P": parameter, "Q": { "Type": "String", "Default": name } },
            "Mappings": { "A": { "B": { "P": expression } } },
            "Resources": {
                "A": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": name } },
                "B": { "Type": "AWS::CodeBuild::Project", "Properties": {
                    "Source": { "BuildSpec": expression },
                    "Environment": { "EnvironmentVariables": [expression, { "Name": "N", "Value": name }] },
                } },
            },
        });
        let whole = and(template(expression), sections);
        let (declared, findings) = pipeline(&whole, &[]);
        prop_assert!(declared.is_some() || !findings.is_clear());
        let mut other = whole.clone();
        other["Resources"]["Pipeline"]["Properties"]["Stages"] = stages;
        let (declared, findings) = pipeline(&other, &[("P", "x"), ("ImportValue:A", "y")]);
        prop_assert!(declared.is_some() || !findings.is_clear());
        if let Some(declared) = declared {
            declared.source_of("stages[0].actions[1].configuration.Ä.x");
        }
        with(&other, &[], |evaluator| {
            evaluator.pipelines();
            evaluator.project("B", &|_| false);
        });
    }

    #[test]
    fn any_value_at_all_may_be_a_template(mut whole in anything()) {
        if let Some(members) = whole.as_object_mut() {
            members.entry("Resources").or_insert_with(|| json!({}));
            with(&whole, &[], |evaluator| drop((evaluator.pipelines(), evaluator.pipeline("A"))));
        }
    }
}
