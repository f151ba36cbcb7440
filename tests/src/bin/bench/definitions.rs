//! The pipelines that are measured.

use serde_json::{Value, json};

/// Name of the source action, for `--source` and `[sources]`.
pub(crate) const CHECKOUT: &str = "Checkout";

/// A pipeline of a source stage and more stages, each a list of actions.
pub(crate) fn pipeline(name: &str, mode: &str, stages: &[Vec<Value>]) -> Value {
    let source = json!({
        "name": CHECKOUT,
        "actionTypeId": type_id("Source", "CodeStarSourceConnection"),
        "configuration": {
            "ConnectionArn": "arn:aws:codestar-connections:us-east-1:123456789012:connection/\
                              0d9b6c1e-7a52-4f3b-8c4d-5e6f70812a3b",
            "FullRepositoryId": "acme/bench",
            "BranchName": "main",
        },
        "outputArtifacts": [{ "name": "Code" }],
    });
    let mut all = vec![json!({ "name": "Source", "actions": [source] })];
    for (index, actions) in stages.iter().enumerate() {
        all.push(json!({ "name": format!("Stage{}", index + 1), "actions": actions }));
    }
    json!({
        "pipeline": {
            "name": name,
            "roleArn": "arn:aws:iam::123456789012:role/bench",
            "pipelineType": "V2",
            "executionMode": mode,
            "artifactStore": { "type": "S3", "location": "bench-artifacts" },
            "stages": all,
        }
    })
}

/// A no-op action: `/bin/true` on the source artifact.
pub(crate) fn no_op(number: usize, run_order: usize) -> Value {
    json!({
        "name": format!("NoOp{number}"),
        "actionTypeId": type_id("Compute", "Commands"),
        "commands": ["/bin/true"],
        "inputArtifacts": [{ "name": "Code" }],
        "runOrder": run_order,
    })
}

/// A build that copies the files of `files/`, and a deployment of what it made.
pub(crate) fn build_and_deploy() -> [Vec<Value>; 2] {
    let build = json!({
        "name": "Build",
        "actionTypeId": type_id("Compute", "Commands"),
        "commands": ["cp -R files dist"],
        "inputArtifacts": [{ "name": "Code" }],
        "outputArtifacts": [{ "name": "Built", "files": ["dist/**/*"] }],
    });
    let deploy = json!({
        "name": "Deploy",
        "actionTypeId": type_id("Deploy", "S3"),
        "configuration": { "BucketName": "bench-site", "Extract": "true" },
        "inputArtifacts": [{ "name": "Built" }],
    });
    [vec![build], vec![deploy]]
}

fn type_id(category: &str, provider: &str) -> Value {
    json!({ "category": category, "owner": "AWS", "provider": provider, "version": "1" })
}
