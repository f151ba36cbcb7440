//! Parts that definitions are put together from. Nothing is to be said about [`clean`].

use serde_json::{Value, json};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/pipeline";

pub(crate) fn action(name: &str, category: &str, provider: &str, configuration: Value) -> Value {
    json!({
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": configuration,
    })
}

pub(crate) fn source() -> Value {
    let configuration =
        json!({"RepositoryName": "shop", "BranchName": "main", "PollForSourceChanges": "false"});
    let mut source = action("Fetch", "Source", "CodeCommit", configuration);
    source["namespace"] = json!("Src");
    source["outputArtifacts"] = json!([{"name": "Code"}]);
    source
}

pub(crate) fn build(name: &str) -> Value {
    let mut build = action(name, "Build", "CodeBuild", json!({"ProjectName": "shop"}));
    build["inputArtifacts"] = json!([{"name": "Code"}]);
    build
}

pub(crate) fn commands(name: &str, lines: &[&str]) -> Value {
    let mut commands = action(name, "Compute", "Commands", json!({}));
    commands["inputArtifacts"] = json!([{"name": "Code"}]);
    commands["commands"] = json!(lines);
    commands
}

pub(crate) fn approval(name: &str) -> Value {
    let mut approval = action(name, "Approval", "Manual", json!({"CustomData": "Is it good?"}));
    approval["timeoutInMinutes"] = json!(60);
    approval
}

pub(crate) fn deploy(name: &str) -> Value {
    let configuration = json!({"ClusterName": "shop", "ServiceName": name});
    let mut deploy = action(name, "Deploy", "ECS", configuration);
    deploy["inputArtifacts"] = json!([{"name": "Code"}]);
    deploy
}

pub(crate) fn stack(name: &str, mode: &str) -> Value {
    let mut stack = action(
        name,
        "Deploy",
        "CloudFormation",
        json!({
            "ActionMode": mode, "StackName": "shop", "ChangeSetName": "next", "TemplatePath": "Code::shop.yml",
            "RoleArn": "arn:aws:iam::123456789012:role/stacks",
        }),
    );
    stack["inputArtifacts"] = json!([{"name": "Code"}]);
    stack
}

/// An action with another run order.
pub(crate) fn at(order: u16, mut action: Value) -> Value {
    action["runOrder"] = json!(order);
    action
}

pub(crate) fn stage(name: &str, actions: Vec<Value>) -> Value {
    json!({"name": name, "actions": actions})
}

/// A definition with these stages after its source.
pub(crate) fn pipeline(stages: Vec<Value>) -> Value {
    let mut all = vec![stage("Source", vec![source()])];
    all.extend(stages);
    json!({
        "name": "shop", "roleArn": ROLE, "pipelineType": "V2", "stages": all,
        "artifactStore": {
            "type": "S3", "location": "artifacts",
            "encryptionKey": {"id": "alias/artifacts", "type": "KMS"},
        },
    })
}

/// From a commit to production, as it should be.
pub(crate) fn clean() -> Value {
    let mut production = stage("Production", vec![approval("Release"), at(2, deploy("Web"))]);
    production["onFailure"] = json!({"result": "ROLLBACK"});
    pipeline(vec![stage("Build", vec![build("Compile")]), production])
}

/// A definition whose only source is a connection, with triggers.
pub(crate) fn triggered(push: Value) -> Value {
    let mut pipeline = clean();
    let connection = "arn:aws:codestar-connections:us-east-1:123456789012:connection/1";
    let configuration =
        json!({"ConnectionArn": connection, "FullRepositoryId": "acme/shop", "BranchName": "main"});
    let mut source = action("Fetch", "Source", "CodeStarSourceConnection", configuration);
    source["outputArtifacts"] = json!([{"name": "Code"}]);
    source["namespace"] = json!("Src");
    pipeline["stages"][0]["actions"] = json!([source]);
    pipeline["triggers"] = json!([{
        "providerType": "CodeStarSourceConnection",
        "gitConfiguration": {"sourceActionName": "Fetch", "push": push},
    }]);
    pipeline
}
