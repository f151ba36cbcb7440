//! What resources of the template are called here, and what it says of those a pipeline uses.

use super::{and, pipeline, problems, template, unknown, value, with};
use domain::template::{DeploymentGroup, Project, Variable, VariableKind};
use serde_json::{Value, json};

fn with_resources(expression: Value, resources: Value) -> Value {
    and(template(expression), json!({ "Resources": resources }))
}

#[test]
fn resources_have_stable_local_names() {
    let long = format!("{}Artifacts1234ABCD", "x".repeat(70));
    let resources = json!({
        "Store": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": { "Fn::Sub": "s-${AWS::Region}" } } },
        "Bare": { "Type": "AWS::S3::Bucket" },
        long.clone(): { "Type": "AWS::S3::Bucket" },
        "Role": { "Type": "AWS::IAM::Role", "Properties": { "Path": "/ci/", "RoleName": "runner" } },
        "Role7AB3": { "Type": "AWS::IAM::Role" },
        "Build": { "Type": "AWS::CodeBuild::Project", "Properties": { "Name": "shop-build" } },
        "App": { "Type": "AWS::CodeDeploy::Application" },
        "Group": { "Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": { "DeploymentGroupName": "live" } },
        "Topic": { "Type": "AWS::SNS::Topic", "Properties": { "TopicName": "news" } },
        "Repo": { "Type": "AWS::CodeCommit::Repository", "Properties": { "RepositoryName": "shop" } },
        "Value": { "Type": "AWS::SSM::Parameter", "Properties": { "Value": { "Ref": "AWS::AccountId" } } },
        "Fn": { "Type": "AWS::Serverless::Function" },
    });
    for (expression, expected) in [
        (json!({ "Ref": "Store" }), "s-eu-west-1"),
        (json!({ "Ref": "Bare" }), "Bare"),
        (json!({ "Ref": long }), &long[long.len() - 63..]),
        (json!({ "Fn::GetAtt": ["Store", "Arn"] }), "arn:aws:s3:::s-eu-west-1"),
        (json!({ "Fn::GetAtt": ["Role", "Arn"] }), "arn:aws:iam::012345678901:role/ci/runner"),
        (json!({ "Fn::GetAtt": ["Role7AB3", "Arn"] }), "arn:aws:iam::012345678901:role/Role7AB3"),
        (json!({ "Ref": "Build" }), "shop-build"),
        (json!({ "Ref": "App" }), "App"),
        (json!({ "Ref": "Group" }), "live"),
        (json!({ "Ref": "Topic" }), "arn:aws:sns:eu-west-1:012345678901:news"),
        (json!({ "Fn::GetAtt": ["Topic", "TopicName"] }), "news"),
        (json!({ "Fn::GetAtt": ["Repo", "Name"] }), "shop"),
        (json!({ "Fn::GetAtt": ["Value", "Value"] }), "012345678901"),
        (json!({ "Fn::Sub": "${Fn.Arn}" }), "arn:aws:lambda:eu-west-1:012345678901:function:Fn"),
    ] {
        assert_eq!(
            value(&with_resources(expression.clone(), resources.clone()), &[]),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn a_resource_that_only_aws_can_name_is_asked_for() {
    let resources =
        json!({ "Vpc": { "Type": "AWS::EC2::VPC" }, "Nested": { "Type": "AWS::CloudFormation::Stack" } });
    let of = |expression| with_resources(expression, resources.clone());
    assert_eq!(unknown(&of(json!({ "Ref": "Vpc" })), &[]), ["Ref:Vpc"]);
    let output = of(json!({ "Fn::GetAtt": ["Nested", "Outputs.Name"] }));
    assert_eq!(unknown(&output, &[]), ["GetAtt:Nested.Outputs.Name"]);
    assert_eq!(value(&output, &[("GetAtt:Nested.Outputs.Name", "n")]), "n");
    // The real name may be given too where there is a local one.
    let bucket = with_resources(json!({ "Ref": "B" }), json!({ "B": { "Type": "AWS::S3::Bucket" } }));
    assert_eq!(value(&bucket, &[("Ref:B", "real")]), "real");
}

#[test]
fn a_resource_whose_condition_is_false_cannot_be_used() {
    let sections = json!({
        "Conditions": { "No": { "Fn::Equals": [1, 2] } },
        "Resources": { "B": { "Type": "AWS::S3::Bucket", "Condition": "No" } },
    });
    let found = problems(&and(template(json!({ "Ref": "B" })), sections), &[]);
    assert!(found[0].ends_with("`B` does not exist: its condition is false"), "{found:?}");
}

fn project() -> Value {
    json!({ "Project1A2B": { "Type": "AWS::CodeBuild::Project", "Properties": {
        "Source": { "Type": "CODEPIPELINE", "BuildSpec": { "Fn::Sub": "version: 0.2 # ${AWS::Region}\n" } },
        "TimeoutInMinutes": "25",
        "Environment": { "Image": { "Fn::ImportValue": "image" }, "EnvironmentVariables": [
            { "Name": "PLAIN", "Type": "PLAINTEXT", "Value": 7 },
            { "Name": "STORED", "Type": "PARAMETER_STORE", "Value": "/a" },
            { "Name": "SECRET", "Type": "SECRETS_MANAGER", "Value": "b:c" },
            { "Name": "FOREIGN", "Value": { "Fn::ImportValue": "table" } },
            { "Fn::If": ["Yes", { "Name": "LATE", "Value": "x" }, { "Ref": "AWS::NoValue" }] },
        ] },
    } } })
}

#[test]
fn a_build_project_is_found_by_the_name_the_pipeline_uses() {
    let sections = json!({ "Resources": project(), "Conditions": { "Yes": { "Fn::Equals": [1, 1] } } });
    let template = and(template(json!("x")), sections);
    let variable = |name: &str, value: &str, kind| Variable { name: name.into(), value: value.into(), kind };
    let expected = Project {
        id: "Project1A2B".into(),
        name: "Project1A2B".into(),
        buildspec: Some("version: 0.2 # eu-west-1\n".into()),
        variables: vec![
            variable("PLAIN", "7", VariableKind::Plaintext),
            variable("STORED", "/a", VariableKind::ParameterStore),
            variable("SECRET", "b:c", VariableKind::SecretsManager),
            variable("LATE", "x", VariableKind::Plaintext),
        ],
        timeout_minutes: Some(25),
        image: None,
    };
    with(&template, &[], |evaluator| {
        assert_eq!(evaluator.project("Other", &|_| false), None);
        assert_eq!(evaluator.project("Project1A2B", &|_| false), Some(expected.clone()));
        let unknown: Vec<String> =
            evaluator.take_findings().unknown.into_iter().map(|unknown| unknown.key).collect();
        assert_eq!(unknown, ["ImportValue:table"], "an image is not used here");
        // What is decided elsewhere need not be known.
        assert_eq!(evaluator.project("Project1A2B", &|name| name == "FOREIGN"), Some(expected));
        assert!(evaluator.take_findings().is_clear());
    });
}

#[test]
fn a_deployment_group_says_what_has_no_meaning_here() {
    let template = with_resources(
        json!("x"),
        json!({
            "App": { "Type": "AWS::CodeDeploy::Application" },
            "Group": { "Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": {
                "ApplicationName": { "Ref": "App" },
                "DeploymentGroupName": "live",
                "DeploymentConfigName": "CodeDeployDefault.AllAtOnce",
                "DeploymentStyle": { "DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL" },
                "AutoRollbackConfiguration": { "Enabled": true, "Events": ["DEPLOYMENT_FAILURE"] },
                "Ec2TagFilters": [{ "Key": "Name", "Value": { "Fn::ImportValue": "tag" }, "Type": "KEY_AND_VALUE" }],
                "LoadBalancerInfo": { "TargetGroupInfoList": [] },
            } },
        }),
    );
    let expected = DeploymentGroup {
        id: "Group".into(),
        application: "App".into(),
        name: "live".into(),
        config: Some("CodeDeployDefault.AllAtOnce".into()),
        blue_green: true,
        auto_rollback: true,
        ignored: vec!["Ec2TagFilters".into(), "LoadBalancerInfo".into()],
    };
    with(&template, &[], |evaluator| {
        assert_eq!(evaluator.deployment_group("App", "live"), Some(expected));
        assert_eq!(evaluator.deployment_group("App", "test"), None);
        assert!(evaluator.take_findings().is_clear());
    });
    assert!(pipeline(&template, &[]).0.is_some());
}
