//! Templates: what a pipeline in one comes to, and what is said of one that cannot be evaluated.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod definitions;
mod functions;
mod given;
mod local;
mod misuse;
mod resources;
mod shape;

use domain::template::{Declared, Evaluator, Findings, Setting, Template};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Patterns of these tests: the world's engine is not here.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    match pattern {
        "[a-z]+" => Some(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase())),
        _ => None,
    }
}

/// Runs `work` on an evaluator of the template.
fn with<T>(template: &Value, given: &[(&str, &str)], work: impl FnOnce(&mut Evaluator<'_>) -> T) -> T {
    let given: BTreeMap<String, String> =
        given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let setting = Setting {
        region: "eu-west-1",
        account: "012345678901",
        stack: "Shop",
        given: &given,
        matches: &matches,
    };
    work(&mut Evaluator::new(Template::of(template).unwrap(), setting))
}

/// Reads the pipeline `Pipeline`.
fn pipeline(template: &Value, given: &[(&str, &str)]) -> (Option<Declared>, Findings) {
    with(template, given, |evaluator| (evaluator.pipeline("Pipeline"), evaluator.take_findings()))
}

/// A template with a pipeline of two stages, and this expression in a configuration.
fn template(expression: Value) -> Value {
    json!({
        "Resources": {
            "Pipeline": { "Type": "AWS::CodePipeline::Pipeline", "Properties": {
                "Name": "shop",
                "RoleArn": "arn:aws:iam::012345678901:role/r",
                "ArtifactStore": { "Type": "S3", "Location": "artifacts" },
                "Stages": [
                    { "Name": "Source", "Actions": [{
                        "Name": "Get",
                        "ActionTypeId": { "Category": "Source", "Owner": "AWS", "Provider": "S3", "Version": 1 },
                        "Configuration": { "S3Bucket": "bucket", "S3ObjectKey": expression },
                        "OutputArtifacts": [{ "Name": "Code" }],
                    }] },
                    { "Name": "Approve", "Actions": [{
                        "Name": "Ask",
                        "ActionTypeId":
                            { "Category": "Approval", "Owner": "AWS", "Provider": "Manual", "Version": "1" },
                    }] },
                ],
            } },
        },
    })
}

/// Where `template` puts the expression.
const PLACE: &str = "Resources.Pipeline.Properties.Stages[0].Actions[0].Configuration.S3ObjectKey";

/// The same with further sections; sections that are there already grow.
fn and(mut template: Value, sections: Value) -> Value {
    for (name, section) in sections.as_object().unwrap() {
        for (key, value) in section.as_object().unwrap() {
            template[name][key] = value.clone();
        }
    }
    template
}

/// What the expression comes to.
#[track_caller]
fn value(template: &Value, given: &[(&str, &str)]) -> Value {
    let (declared, findings) = pipeline(template, given);
    assert!(findings.is_clear(), "{findings:#?}");
    declared.unwrap().declaration["stages"][0]["actions"][0]["configuration"]["S3ObjectKey"].clone()
}

/// What is wrong, a line each.
fn problems(template: &Value, given: &[(&str, &str)]) -> Vec<String> {
    let (_, findings) = pipeline(template, given);
    findings.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

/// The keys of what is not known.
fn unknown(template: &Value, given: &[(&str, &str)]) -> Vec<String> {
    let (declared, findings) = pipeline(template, given);
    assert_eq!(declared.is_none(), !findings.unknown.is_empty(), "{findings:#?}");
    findings.unknown.into_iter().map(|unknown| unknown.key).collect()
}
