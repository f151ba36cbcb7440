//! Each intrinsic function: its value, and what is said when it is misused.

use super::{PLACE, and, problems, template, unknown, value};
use serde_json::{Value, json};

/// Things that expressions may name.
fn full(expression: Value) -> Value {
    let sections = json!({
        "Parameters": {
            "Branch": { "Type": "String", "Default": "main" },
            "Zones": { "Type": "CommaDelimitedList", "Default": "a, b,c" },
            "Count": { "Type": "Number", "Default": 3 },
        },
        "Mappings": { "Sizes": { "eu-west-1": { "small": "s", "list": ["x", "y"] } } },
        "Conditions": {
            "Yes": { "Fn::Equals": [{ "Ref": "Branch" }, "main"] },
            "No": { "Fn::Not": [{ "Condition": "Yes" }] },
            "Both": { "Fn::And": [{ "Condition": "Yes" }, { "Condition": "No" }] },
            "Either": { "Fn::Or": [{ "Condition": "No" }, { "Condition": "Yes" }] },
            "Three": { "Fn::Equals": [{ "Ref": "Count" }, 3] },
        },
        "Resources": { "Bucket": { "Type": "AWS::S3::Bucket" } },
    });
    and(template(expression), sections)
}

#[test]
fn every_function_has_its_value() {
    for (expression, expected) in [
        (json!("plain #{SourceVariables.CommitId}"), "plain #{SourceVariables.CommitId}"),
        (json!(true), "true"),
        (json!(7), "7"),
        (json!({ "Ref": "Branch" }), "main"),
        (json!({ "Ref": "Count" }), "3"),
        (json!({ "Ref": "AWS::Region" }), "eu-west-1"),
        (json!({ "Ref": "AWS::AccountId" }), "012345678901"),
        (json!({ "Ref": "AWS::Partition" }), "aws"),
        (json!({ "Ref": "AWS::URLSuffix" }), "amazonaws.com"),
        (json!({ "Ref": "AWS::StackName" }), "Shop"),
        (
            json!({ "Ref": "AWS::StackId" }),
            "arn:aws:cloudformation:eu-west-1:012345678901:stack/Shop/00000000-0000-0000-0000-000000000000",
        ),
        (
            json!({ "Fn::Sub": "${Branch}-${!Branch}-${AWS::Region}-$x-${Bucket.Arn}" }),
            "main-${Branch}-eu-west-1-$x-arn:aws:s3:::Bucket",
        ),
        (
            json!({ "Fn::Sub": ["${Branch}/${Own}", { "Own": { "Fn::Select": ["1", { "Ref": "Zones" }] } }] }),
            "main/b",
        ),
        (json!({ "Fn::Join": [":", ["a", { "Ref": "Branch" }, 1, true]] }), "a:main:1:true"),
        (json!({ "Fn::Join": ["+", { "Ref": "Zones" }] }), "a+b+c"),
        (json!({ "Fn::Join": ["+", ["a", { "Ref": "AWS::NoValue" }, "c"]] }), "a+c"),
        (json!({ "Fn::Select": [1, { "Fn::Split": ["/", "acme/shop"] }] }), "shop"),
        (json!({ "Fn::If": ["Yes", "y", "n"] }), "y"),
        (json!({ "Fn::If": ["No", "y", { "Fn::If": ["Either", "e", "f"] }] }), "e"),
        (json!({ "Fn::If": ["Both", "y", "n"] }), "n"),
        (json!({ "Fn::If": ["Three", "y", "n"] }), "y"),
        (json!({ "Fn::FindInMap": ["Sizes", { "Ref": "AWS::Region" }, "small"] }), "s"),
        (json!({ "Fn::FindInMap": ["Sizes", "x", "y", { "DefaultValue": "d" }] }), "d"),
        (json!({ "Fn::Join": ["", { "Fn::FindInMap": ["Sizes", "eu-west-1", "list"] }] }), "xy"),
        (json!({ "Fn::Base64": { "Ref": "Branch" } }), "bWFpbg=="),
        (json!({ "Fn::Length": { "Ref": "Zones" } }), "3"),
        (json!({ "Fn::ToJsonString": { "a": [{ "Ref": "Branch" }] } }), "{\"a\":[\"main\"]}"),
        (json!({ "Fn::GetAtt": ["Bucket", "Arn"] }), "arn:aws:s3:::Bucket"),
        (json!({ "Fn::GetAtt": "Bucket.Arn" }), "arn:aws:s3:::Bucket"),
    ] {
        assert_eq!(value(&full(expression.clone()), &[]), expected, "{expression}");
    }
}

#[test]
fn no_value_leaves_a_member_out() {
    assert_eq!(value(&full(json!({ "Ref": "AWS::NoValue" })), &[]), Value::Null);
}

#[test]
fn a_region_of_another_partition_has_its_names() {
    let names = json!({ "Fn::Sub": "${AWS::Partition} ${AWS::URLSuffix}" });
    let given = |region| value(&full(names.clone()), &[("AWS::Region", region)]);
    assert_eq!(given("cn-north-1"), "aws-cn amazonaws.com.cn");
    assert_eq!(given("us-gov-west-1"), "aws-us-gov amazonaws.com");
}

#[test]
fn what_is_misused_is_named_with_its_place() {
    for (expression, expected) in [
        (json!({ "Ref": "Nobody" }), "Ref: nothing in the template is named `Nobody`"),
        (json!({ "Ref": ["x"] }), "Ref: a list stands where a name is expected"),
        (json!({ "Ref": "AWS::Nobody" }), "Ref: there is no pseudo parameter `AWS::Nobody`"),
        (json!({ "Fn::GetAtt": ["Nobody", "Arn"] }), "Fn::GetAtt: the template has no resource `Nobody`"),
        (json!({ "Fn::GetAtt": "Bucket" }), "Fn::GetAtt: `Bucket` must be `Resource.Attribute`"),
        (json!({ "Fn::Sub": "${Branch" }), "Fn::Sub: `${Branch` opens a `${` that is not closed"),
        (json!({ "Fn::Sub": "${}" }), "Fn::Sub: `${}` names nothing"),
        (json!({ "Fn::Sub": "${Zones}" }), "Fn::Sub: `${Zones}` is a list, not a text"),
        (json!({ "Fn::Sub": [1] }), "Fn::Sub: a list stands where a text, or `[text, {names}]` is expected"),
        (json!({ "Fn::Join": ["x"] }), "Fn::Join: a list stands where `[delimiter, [parts]]` is expected"),
        (json!({ "Fn::Join": ["", [[]]] }), "Fn::Join[1][0]: a list cannot be joined: texts can"),
        (json!({ "Fn::Join": ["", "x"] }), "Fn::Join[1]: a text stands where a list is expected"),
        (json!({ "Fn::Select": [9, ["a"]] }), "Fn::Select: there is no entry `9` in a list of 1"),
        (json!({ "Fn::Split": ["", "a"] }), "Fn::Split[0]: the delimiter must not be empty"),
        (json!({ "Fn::If": ["Never", 1, 2] }), "Fn::If[0]: there is no condition `Never` under `Conditions`"),
        (json!({ "Fn::FindInMap": ["A", "b", "c"] }), "Fn::FindInMap: `Mappings` has nothing under `A.b.c`"),
        (json!({ "Fn::Equals": [1, 1] }), "Fn::Equals: `Fn::Equals` is a condition, not a value"),
        (json!({ "Fn::Sup": "x" }), "Fn::Sup: there is no function `Fn::Sup` here"),
        (json!({ "Fn::Transform": {} }), "Fn::Transform: `Fn::Transform` runs a macro that only AWS has"),
    ] {
        assert_eq!(problems(&full(expression.clone()), &[]), [format!("{PLACE}.{expected}")], "{expression}");
    }
    let two = problems(&full(json!({ "Fn::Sub": "x", "More": 1 })), &[]);
    assert_eq!(two, [format!("{PLACE}: `Fn::Sub` must be the only key of its map")]);
    let map = problems(&full(json!({ "a": 1 })), &[]);
    assert_eq!(map, [format!("{PLACE}: a map stands where a text is expected")]);
}

#[test]
fn what_only_aws_knows_is_asked_for_by_name() {
    for (expression, key) in [
        (json!({ "Fn::ImportValue": { "Fn::Sub": "${Branch}-id" } }), "ImportValue:main-id"),
        (json!({ "Fn::GetAtt": ["Bucket", "DualStackDomainName"] }), "GetAtt:Bucket.DualStackDomainName"),
        (json!("{{resolve:ssm:/shop/key:1}}"), "resolve:ssm:/shop/key:1"),
        (
            json!({ "Fn::Join": ["", ["{{resolve:secretsmanager:", { "Ref": "Branch" }, "}}"]] }),
            "resolve:secretsmanager:main",
        ),
        (json!({ "Fn::Select": [0, { "Fn::GetAZs": "" }] }), "GetAZs:eu-west-1"),
        (json!({ "Fn::Select": [0, { "Fn::Cidr": ["10.0.0.0/16", 2, 8] }] }), "Cidr:10.0.0.0/16,2,8"),
    ] {
        let template = full(expression.clone());
        assert_eq!(unknown(&template, &[]), [key], "{expression}");
        assert_eq!(value(&template, &[(key, "told")]), "told", "{expression}");
    }
}

#[test]
fn a_reference_that_only_aws_reads_stays_as_it_is() {
    let mut template = full(json!("x"));
    let action = &mut template["Resources"]["Pipeline"]["Properties"]["Stages"][0]["Actions"][0];
    let token = "{{resolve:secretsmanager:github:SecretString:token}}";
    action["Configuration"]["OAuthToken"] = json!(token);
    let (declared, findings) = super::pipeline(&template, &[]);
    assert!(findings.is_clear(), "{findings:?}");
    let declaration = declared.unwrap().declaration;
    assert_eq!(declaration["stages"][0]["actions"][0]["configuration"]["OAuthToken"], token);
}

#[test]
fn an_unknown_that_does_not_decide_a_condition_does_not_matter() {
    let shared = json!({ "Fn::Equals": [{ "Fn::ImportValue": "shared" }, "x"] });
    let conditions = |name: &str, other: &str| {
        let rules = json!([shared, { "Condition": other }]);
        and(
            full(json!({ "Fn::If": ["Mixed", "yes", "no"] })),
            json!({ "Conditions": { "Mixed": { name: rules } } }),
        )
    };
    assert_eq!(value(&conditions("Fn::Or", "Yes"), &[]), "yes");
    assert_eq!(value(&conditions("Fn::And", "No"), &[]), "no");
    assert_eq!(unknown(&conditions("Fn::Or", "No"), &[]), ["ImportValue:shared"]);
    assert_eq!(value(&conditions("Fn::And", "Yes"), &[("ImportValue:shared", "x")]), "yes");
}
