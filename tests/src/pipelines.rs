//! Pipelines to run, put together from parts.

use serde_json::{Value, json};

/// A definition as `create-pipeline --cli-input-json` takes it.
pub fn pipeline(name: &str, stages: Vec<Value>) -> Value {
    json!({ "pipeline": {
        "name": name,
        "roleArn": "arn:aws:iam::123456789012:role/pipeline-role",
        "artifactStore": { "type": "S3", "location": "release-artifacts-123456789012" },
        "stages": stages,
        "pipelineType": "V2",
        "executionMode": "SUPERSEDED",
    } })
}

/// A stage.
pub fn stage(name: &str, actions: Vec<Value>) -> Value {
    json!({ "name": name, "actions": actions })
}

/// The first stage: branch `main` of the repository `shop` becomes the artifact `Code`. Pushes start nothing.
pub fn source() -> Value {
    stage("Source", vec![source_action("main", false)])
}

/// The source action of `source`, for any branch.
pub fn source_action(branch: &str, watched: bool) -> Value {
    json!({
        "name": "Checkout",
        "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "CodeCommit", "version": "1" },
        "configuration": {
            "RepositoryName": "shop", "BranchName": branch, "PollForSourceChanges": watched.to_string(),
        },
        "outputArtifacts": [{ "name": "Code" }],
    })
}

/// A source action that fetches branch `main` of `acme/shop` at GitHub. Pushes start nothing by themselves.
pub fn github() -> Value {
    json!({
        "name": "Checkout",
        "actionTypeId": { "category": "Source", "owner": "ThirdParty", "provider": "GitHub", "version": "1" },
        "configuration": {
            "Owner": "acme", "Repo": "shop", "Branch": "main", "OAuthToken": "ghp_hidden",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{ "name": "Code" }],
    })
}

/// A Commands action on `Code`.
pub fn commands(name: &str, lines: &[&str]) -> Value {
    json!({
        "name": name,
        "actionTypeId": { "category": "Compute", "owner": "AWS", "provider": "Commands", "version": "1" },
        "inputArtifacts": [{ "name": "Code" }],
        "commands": lines,
    })
}

/// A CodeBuild action on `Code`, of the project of the same name.
pub fn build(name: &str) -> Value {
    json!({
        "name": name,
        "actionTypeId": { "category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1" },
        "configuration": { "ProjectName": name },
        "inputArtifacts": [{ "name": "Code" }],
        "outputArtifacts": [{ "name": "Built" }],
    })
}

/// A manual approval that asks a question.
pub fn approval(name: &str) -> Value {
    json!({
        "name": name,
        "actionTypeId": { "category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1" },
        "configuration": { "CustomData": "Is it good?" },
    })
}

/// An action that nothing on this machine can do.
pub fn foreign(name: &str) -> Value {
    json!({
        "name": name,
        "actionTypeId": { "category": "Deploy", "owner": "AWS", "provider": "ECS", "version": "1" },
        "configuration": { "ClusterName": "shop", "ServiceName": "api" },
        "inputArtifacts": [{ "name": "Code" }],
    })
}
