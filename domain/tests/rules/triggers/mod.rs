//! What starts a pipeline, and what does not, and which rule decided.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod bus;
mod git;
mod globs;
mod hosts;
mod journal;
mod patterns;

use domain::pipeline::PipelineDeclaration;
use serde_json::{Value, json};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const BEFORE: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// A pipeline with one source action and triggers.
pub(crate) fn pipeline(provider: &str, configuration: Value, triggers: Value) -> PipelineDeclaration {
    let owner = if provider == "GitHub" { "ThirdParty" } else { "AWS" };
    domain::pipeline::parse(&json!({
        "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/r", "pipelineType": "V2", "triggers": triggers,
        "stages": [
            { "name": "Source", "actions": [{
                "name": "Fetch",
                "actionTypeId": { "category": "Source", "owner": owner, "provider": provider, "version": "1" },
                "configuration": configuration,
            }] },
            { "name": "Gate", "actions": [{
                "name": "Sign",
                "actionTypeId": { "category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1" },
            }] },
        ],
    }))
    .unwrap()
}

/// A connection to `acme/shop` whose action fetches `main`.
pub(crate) fn connection(git: Option<Value>) -> PipelineDeclaration {
    let triggers = git.map(|mut git| {
        git["sourceActionName"] = json!("Fetch");
        json!([{ "providerType": "CodeStarSourceConnection", "gitConfiguration": git }])
    });
    let configuration = json!({
        "ConnectionArn": "arn:aws:codestar-connections:us-east-1:123456789012:connection/c",
        "FullRepositoryId": "acme/shop", "BranchName": "main",
    });
    pipeline("CodeStarSourceConnection", configuration, triggers.unwrap_or(json!([])))
}
