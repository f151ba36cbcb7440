//! What is known of resources and parameters without asking AWS, and what is not.

use super::{PLACE, and, pipeline, problems, template, unknown, value, with};
use domain::template::{Variable, VariableKind};
use serde_json::{Value, json};

fn with_resources(expression: Value, resources: Value) -> Value {
    and(template(expression), json!({ "Resources": resources }))
}

fn with_parameter(parameter: Value) -> Value {
    and(template(json!({ "Fn::Sub": "${P}" })), json!({ "Parameters": { "P": parameter } }))
}

#[test]
fn names_that_are_always_there_may_be_given() {
    for (name, given) in [
        ("AWS::Partition", "aws-iso"),
        ("AWS::URLSuffix", "example.com"),
        ("AWS::StackId", "stack-id"),
        ("AWS::StackName", "Other"),
        ("AWS::AccountId", "999999999999"),
        ("AWS::NotificationARNs", "topic"),
    ] {
        assert_eq!(value(&template(json!({ "Ref": name })), &[(name, given)]), given);
    }
    let topics = template(json!({ "Ref": "AWS::NotificationARNs" }));
    assert_eq!(unknown(&topics, &[]), ["AWS::NotificationARNs"]);
    let names = template(json!({ "Fn::Sub": "${AWS::Partition} ${AWS::URLSuffix}" }));
    for (region, expected) in [
        ("us-east-1", "aws amazonaws.com"),
        ("us-gov-east-1", "aws-us-gov amazonaws.com"),
        ("cn-northwest-1", "aws-cn amazonaws.com.cn"),
        ("cnorth", "aws amazonaws.com"),
    ] {
        assert_eq!(value(&names, &[("AWS::Region", region)]), expected, "{region}");
    }
}

#[test]
fn a_resource_is_named_by_its_property_or_else_by_its_id() {
    let nothing = json!({ "Ref": "AWS::NoValue" });
    let bucket =
        |name: Value| json!({ "B": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": name } } });
    let of = |name: Value| with_resources(json!({ "Ref": "B" }), bucket(name));
    assert_eq!(value(&of(json!("own")), &[]), "own");
    assert_eq!(value(&of(nothing), &[]), "B");
    assert_eq!(value(&of(Value::Null), &[]), "B");
    assert_eq!(unknown(&of(json!({ "Fn::ImportValue": "x" })), &[]), ["ImportValue:x"]);
    assert_eq!(
        problems(&of(json!([])), &[]),
        ["Resources.B.Properties.BucketName: a list stands where a text is expected"]
    );
    let ids = [("x".repeat(63), 63), ("x".repeat(64), 63), ("x".repeat(62), 62)];
    for (id, characters) in ids {
        let whole =
            with_resources(json!({ "Ref": id.clone() }), json!({ id: { "Type": "AWS::S3::Bucket" } }));
        assert_eq!(value(&whole, &[]), "x".repeat(characters));
    }
}

#[test]
fn only_what_a_name_needs_has_to_be_known() {
    let role = |path: Value| {
        let properties = json!({ "RoleName": "runner", "Path": path });
        json!({ "R": { "Type": "AWS::IAM::Role", "Properties": properties } })
    };
    let imported = || json!({ "Fn::ImportValue": "path" });
    assert_eq!(value(&with_resources(json!({ "Ref": "R" }), role(imported())), &[]), "runner");
    let arn = with_resources(json!({ "Fn::GetAtt": ["R", "Arn"] }), role(imported()));
    assert_eq!(unknown(&arn, &[]), ["ImportValue:path"]);
    assert_eq!(value(&arn, &[("ImportValue:path", "/x/")]), "arn:aws:iam::012345678901:role/x/runner");
    let parameter = json!({ "P": { "Type": "AWS::SSM::Parameter", "Properties": { "Value": "v" } } });
    let attribute = |name: &str| with_resources(json!({ "Fn::GetAtt": ["P", name] }), parameter.clone());
    assert_eq!(value(&attribute("Value"), &[]), "v");
    assert_eq!(problems(&attribute("Type"), &[]), [format!("{PLACE}.Fn::GetAtt: `P` has no `Type`")]);
}

#[test]
fn what_only_aws_can_say_is_asked_for_in_words() {
    let resources = json!({ "Vpc": { "Type": "AWS::EC2::VPC" }, "B": { "Type": "AWS::S3::Bucket" } });
    for (expression, what) in [
        (json!({ "Ref": "Vpc" }), "what AWS calls `Vpc` (AWS::EC2::VPC)"),
        (json!({ "Fn::GetAtt": "Vpc.CidrBlock" }), "what AWS gives as `CidrBlock` of `Vpc` (AWS::EC2::VPC)"),
        (json!({ "Fn::GetAtt": "B.Odd" }), "what AWS gives as `Odd` of `B` (AWS::S3::Bucket)"),
        (json!({ "Fn::ImportValue": "x" }), "a value that another stack exports"),
        (json!("{{resolve:ssm:x}}"), "a value that AWS looks up when it deploys the template"),
    ] {
        let (declared, findings) = pipeline(&with_resources(expression, resources.clone()), &[]);
        assert!(declared.is_none());
        let told: Vec<&str> = findings.unknown.iter().map(|unknown| &*unknown.what).collect();
        assert_eq!(told, [what]);
    }
}

#[test]
fn the_condition_of_a_resource_is_a_name() {
    let of = |condition: Value| {
        let bucket = json!({ "B": { "Type": "AWS::S3::Bucket", "Condition": condition } });
        let yes = json!({ "Conditions": { "Yes": { "Fn::Equals": [1, 1] } } });
        and(with_resources(json!({ "Ref": "B" }), bucket), yes)
    };
    assert_eq!(value(&of(json!("Yes")), &[]), "B");
    assert_eq!(value(&of(Value::Null), &[]), "B");
    assert_eq!(problems(&of(json!([])), &[]), ["Resources.B.Condition: the name of a condition is expected"]);
    assert_eq!(
        problems(&of(json!("Never")), &[]),
        ["Resources.B.Condition: there is no condition `Never` under `Conditions`"]
    );
}

#[test]
fn values_on_a_bound_are_allowed() {
    for (parameter, fits, spills, problem) in [
        (json!({ "Type": "String", "MinLength": 3 }), "abc", "ab", "`ab` is shorter than 3"),
        (json!({ "Type": "String", "MaxLength": 3 }), "äöü", "abcd", "`abcd` is longer than 3"),
        (json!({ "Type": "Number", "MinValue": 5 }), "5", "4", "`4` is less than 5"),
        (json!({ "Type": "Number", "MaxValue": "5" }), "5.0", "5.1", "`5.1` is more than 5"),
        (json!({ "Type": "Number", "MaxLength": 1 }), "500", "x", "`x` is not a number"),
    ] {
        let template = with_parameter(parameter);
        assert_eq!(value(&template, &[("P", fits)]), fits);
        assert_eq!(problems(&template, &[("P", spills)]), [format!("Parameters.P: {problem}")]);
    }
}

#[test]
fn lists_of_every_kind_are_lists() {
    for (kind, text, expected) in [
        ("CommaDelimitedList", "a, b ,c", "a+b+c"),
        ("List<Number>", "1, 2", "1+2"),
        ("List<AWS::EC2::Subnet::Id>", "s-1,s-2", "s-1+s-2"),
        ("AWS::SSM::Parameter::Value<List<String>>", "a,b", "a+b"),
    ] {
        let parameters = json!({ "Parameters": { "P": { "Type": kind } } });
        let whole = and(template(json!({ "Fn::Join": ["+", { "Ref": "P" }] })), parameters);
        assert_eq!(value(&whole, &[("P", text)]), expected, "{kind}");
    }
    let stored = with_parameter(json!({ "Type": "AWS::SSM::Parameter::Value<String>" }));
    assert_eq!(unknown(&stored, &[]), ["P"], "without a default there is nothing to look up");
}

#[test]
fn a_value_that_is_not_allowed_is_answered_in_the_templates_own_words() {
    let parameter = json!({ "Type": "Number", "ConstraintDescription": "a number, please" });
    let (_, findings) = pipeline(&with_parameter(parameter), &[("P", "x")]);
    assert_eq!(findings.problems[0].hint.as_deref(), Some("a number, please"));
    assert_eq!(
        problems(&and(template(json!({ "Ref": "P" })), json!({ "Parameters": { "P": 1 } })), &[]),
        ["Parameters.P: a map with the parameter's `Type` is expected"]
    );
    for (whole, hint) in [
        (with_parameter(json!({ "Type": "String", "Default": "d" })), "its parameters: P"),
        (template(json!("x")), "the template has no parameters"),
    ] {
        let (_, findings) = pipeline(&whole, &[("Q", "x")]);
        assert_eq!(findings.problems[0].hint.as_deref(), Some(hint));
    }
}

#[test]
fn what_was_given_and_never_asked_for_is_listed() {
    let whole = and(
        template(json!({ "Fn::ImportValue": "used" })),
        json!({ "Parameters": { "P": { "Type": "String" }, "Odd": 1 } }),
    );
    let given =
        [("ImportValue:used", "1"), ("ImportValue:other", "2"), ("AWS::Odd", "3"), ("P", "4"), ("Odd", "5")];
    let unused = with(&whole, &given, |evaluator| {
        evaluator.pipeline("Pipeline");
        evaluator.unused()
    });
    assert_eq!(unused, ["ImportValue:other"]);
}

fn project(properties: Value) -> Value {
    let resources = json!({ "Build": { "Type": "AWS::CodeBuild::Project", "Properties": properties } });
    with_resources(json!("x"), resources)
}

#[test]
fn settings_of_a_build_project_are_read_or_refused() {
    let root = "Resources.Build.Properties";
    let variables = |list: Value| json!({ "Environment": { "EnvironmentVariables": list } });
    let minutes = |minutes: Value| json!({ "TimeoutInMinutes": minutes });
    for (properties, expected) in [
        (minutes(json!("soon")), "TimeoutInMinutes: `soon` is not a number of minutes"),
        (minutes(json!(0)), "TimeoutInMinutes: `0` is not a number of minutes"),
        (minutes(json!(-1)), "TimeoutInMinutes: `-1` is not a number of minutes"),
        (minutes(json!([])), "TimeoutInMinutes: a list stands where a text is expected"),
        (variables(json!("x")), "Environment.EnvironmentVariables: a list of variables is expected"),
        (
            variables(json!([{ "Name": "A" }])),
            "Environment.EnvironmentVariables[0]: `Name` and `Value` are needed here",
        ),
        (
            variables(json!([{ "Value": "A" }])),
            "Environment.EnvironmentVariables[0]: `Name` and `Value` are needed here",
        ),
        (
            variables(json!([{ "Name": "A", "Value": "v", "Type": "SECRET" }])),
            "Environment.EnvironmentVariables[0].Type: `SECRET` is not one of PLAINTEXT, PARAMETER_STORE or \
             SECRETS_MANAGER",
        ),
        (json!({ "Source": { "BuildSpec": {} } }), "Source.BuildSpec: a map stands where a text is expected"),
    ] {
        with(&project(properties), &[], |evaluator| {
            assert!(evaluator.project("Build", &|_| false).is_some(), "the rest can be used");
            let problems = evaluator.take_findings().problems;
            let said: Vec<String> =
                problems.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
            assert_eq!(said, [format!("{root}.{expected}")]);
        });
    }
    let nothing = json!({ "Ref": "AWS::NoValue" });
    let image = json!({ "Image": "img", "EnvironmentVariables": nothing });
    let properties =
        json!({ "TimeoutInMinutes": 1, "Environment": image, "Source": { "BuildSpec": nothing } });
    with(&project(properties), &[], |evaluator| {
        let project = evaluator.project("Build", &|_| false).unwrap();
        assert_eq!((project.timeout_minutes, project.buildspec, project.variables), (Some(1), None, vec![]));
        assert_eq!(project.image.as_deref(), Some("img"));
        assert!(evaluator.take_findings().is_clear());
    });
}

#[test]
fn what_is_settled_elsewhere_is_not_read_here() {
    let imported = || json!({ "Fn::ImportValue": "x" });
    let named = json!({ "Fn::Sub": "LA${Rest}" });
    let whole = and(
        project(json!({
            "TimeoutInMinutes": imported(),
            "Source": { "BuildSpec": imported() },
            "Environment": { "EnvironmentVariables": { "Fn::If": ["Yes", [
                { "Name": "A", "Value": "a" }, { "Name": named, "Value": "l" },
            ], []] } },
        })),
        json!({
            "Conditions": { "Yes": { "Fn::Equals": [1, 1] } },
            "Parameters": { "Rest": { "Type": "String", "Default": "TE" } },
        }),
    );
    let settled = |all: &'static [&'static str]| move |name: &str| all.contains(&name);
    let variable = |name: &str, value: &str| Variable {
        name: name.into(),
        value: value.into(),
        kind: VariableKind::Plaintext,
    };
    for (all, expected, is_clear) in [
        (&["BuildSpec", "TimeoutInMinutes"][..], vec![variable("A", "a"), variable("LATE", "l")], true),
        (&["BuildSpec", "TimeoutInMinutes", "LATE"], vec![variable("A", "a")], true),
        (&["BuildSpec", "TimeoutInMinutes", "A"], vec![variable("LATE", "l")], true),
        (&["BuildSpec"], vec![variable("A", "a"), variable("LATE", "l")], false),
        (&["TimeoutInMinutes"], vec![variable("A", "a"), variable("LATE", "l")], false),
    ] {
        with(&whole, &[], |evaluator| {
            let project = evaluator.project("Build", &settled(all)).unwrap();
            assert_eq!(project.variables, expected);
            assert_eq!((project.buildspec, project.timeout_minutes), (None, None));
            assert_eq!(evaluator.take_findings().is_clear(), is_clear, "{all:?}");
        });
    }
}

#[test]
fn a_deployment_group_is_found_by_both_of_its_names() {
    let group = |application: &str, properties: Value| {
        let mut all = properties;
        all["ApplicationName"] = json!(application);
        json!({ "Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": all })
    };
    let in_place = json!({
        "DeploymentStyle": { "DeploymentType": "IN_PLACE" }, "AutoRollbackConfiguration": { "Enabled": false },
    });
    let whole = with_resources(
        json!("x"),
        json!({
            "One": group("App", json!({ "DeploymentGroupName": "live" })),
            "Other": group("Else", json!({ "DeploymentGroupName": { "Fn::ImportValue": "x" } })),
            "Two": group("App", in_place),
        }),
    );
    with(&whole, &[], |evaluator| {
        for (application, name, expected) in [
            ("App", "live", Some("One")),
            ("App", "Two", Some("Two")),
            ("Else", "live", None),
            ("Other", "Two", None),
        ] {
            let found = evaluator.deployment_group(application, name);
            assert_eq!(found.as_ref().map(|group| &*group.id), expected, "{application} {name}");
            if let Some(group) = found {
                assert_eq!((group.blue_green, group.auto_rollback, group.config), (false, false, None));
                assert_eq!((&*group.application, &*group.name), (application, name));
            }
        }
        assert!(evaluator.take_findings().is_clear(), "names of others are no matter");
    });
}
