//! Artifacts, namespaces, references, variables and triggers.

use crate::{ActionError, MemberError, StructureError, expect};
use serde_json::json;

#[test]
fn artifacts_and_namespaces() {
    expect(&[
        (
            "an input nobody makes",
            |json| json["stages"][1]["actions"][0]["inputArtifacts"] = json!([{"name": "X"}]),
            ActionError,
            "stages[1].actions[0].inputArtifacts[0]",
            "Input Artifact Bundle X in action Compile is not declared as Output Artifact Bundle in any of the \
             preceding actions",
        ),
        (
            "an output made twice",
            |json| json["stages"][1]["actions"][0]["outputArtifacts"] = json!([{"name": "Code"}]),
            ActionError,
            "stages[1].actions[0].outputArtifacts[0]",
            "Output Artifact Bundle name must be unique within the pipeline. Code has been used more than once.",
        ),
        (
            "a namespace twice",
            |json| json["stages"][1]["actions"][0]["namespace"] = json!("Src"),
            ActionError,
            "stages[1].actions[0].namespace",
            "Namespaces must be unique across the pipeline definition. The following occur more than once in the \
             pipeline.\nStageName=[Source], ActionName=[Fetch], Namespace=[Src]\nStageName=[Build], \
             ActionName=[Compile], Namespace=[Src]",
        ),
        (
            "a reserved namespace",
            |json| json["stages"][1]["actions"][0]["namespace"] = json!("variables"),
            ActionError,
            "stages[1].actions[0].namespace",
            "The namespace 'variables' of action 'Compile' in stage 'Build' is reserved",
        ),
        (
            "a namespace like an artifact",
            |json| json["stages"][1]["actions"][0]["namespace"] = json!("Code"),
            ActionError,
            "stages[0].actions[0].outputArtifacts[0]",
            "The name 'Code' is used both as a namespace and as an artifact name",
        ),
    ]);
}

#[test]
fn references() {
    let path = "stages[1].actions[0].configuration.ProjectName";
    expect(&[
        (
            "an unknown namespace",
            |json| json["stages"][1]["actions"][0]["configuration"]["ProjectName"] = json!("#{ns.key}"),
            ActionError,
            path,
            "Valid format for a pipeline execution variable reference is a namespace and a key separated by a \
             period (.). The following pipeline execution variables are referencing a namespace that does not \
             exist.\nStageName=[Build], ActionName=[Compile], ActionConfigurationKey=[ProjectName], \
             VariableReferenceText=[ns.key]",
        ),
        (
            "one's own namespace",
            |json| json["stages"][1]["actions"][0]["configuration"]["ProjectName"] = json!("#{Bld.key}"),
            ActionError,
            path,
            "Valid format for a pipeline execution variable reference is a namespace and a key separated by a \
             period (.). The following pipeline execution variables are referencing a namespace of an action that \
             does not run earlier.\nStageName=[Build], ActionName=[Compile], \
             ActionConfigurationKey=[ProjectName], VariableReferenceText=[Bld.key]",
        ),
        (
            "no dot",
            |json| json["stages"][1]["actions"][0]["configuration"]["ProjectName"] = json!("#{key}"),
            ActionError,
            path,
            "Valid format for a pipeline execution variable reference is a namespace and a key separated by a \
             period (.). The following pipeline execution variables are not in this format.\nStageName=[Build], \
             ActionName=[Compile], ActionConfigurationKey=[ProjectName], VariableReferenceText=[key]",
        ),
        (
            "an undeclared variable",
            |json| {
                json["variables"] = json!([{"name": "x"}]);
                json["stages"][1]["actions"][0]["configuration"]["ProjectName"] = json!("#{variables.y}");
            },
            StructureError,
            path,
            "The referenced variables haven't been declared.\nStageName=[Build], ActionName=[Compile], \
             ActionConfigurationKey=[ProjectName], VariableReferenceText=[variables.y]",
        ),
        (
            "a pipeline variable in a source",
            |json| {
                json["variables"] = json!([{"name": "x"}]);
                json["stages"][0]["actions"][0]["configuration"]["BranchName"] = json!("#{variables.x}");
            },
            StructureError,
            "stages[0].actions[0].configuration.BranchName",
            "Variables at the pipeline level cannot be used in source actions.\nStageName=[Source], \
             ActionName=[Fetch], ActionConfigurationKey=[BranchName], VariableReferenceText=[variables.x]",
        ),
    ]);
}

#[test]
fn variables_and_triggers() {
    expect(&[
        (
            "a variable twice",
            |json| json["variables"] = json!([{"name": "X"}, {"name": "X"}]),
            StructureError,
            "variables[1].name",
            "Variable names must be unique. The following variable name is already in use: X",
        ),
        (
            "a trigger for no connection",
            |json| {
                json["triggers"] = json!([{"providerType": "CodeStarSourceConnection",
                    "gitConfiguration": {"sourceActionName": "Compile"}}]);
            },
            StructureError,
            "triggers[0].gitConfiguration.sourceActionName",
            "Triggers for connections must reference a CodeStarSourceConnection action.",
        ),
        (
            "two triggers for one source",
            |json| {
                let one = json!({"providerType": "CodeStarSourceConnection",
                    "gitConfiguration": {"sourceActionName": "Fetch"}});
                json["triggers"] = json!([one, one]);
            },
            StructureError,
            "triggers[1].gitConfiguration.sourceActionName",
            "Only one trigger can be used for a source action. Fetch has more than one.",
        ),
        (
            "file paths alone",
            |json| {
                json["triggers"] = json!([{"providerType": "CodeStarSourceConnection", "gitConfiguration":
                    {"sourceActionName": "Fetch", "push": [{"filePaths": {"includes": ["a"]}}]}}]);
            },
            MemberError,
            "triggers[0].gitConfiguration.push[0]",
            "A push filter with file paths must have branches.",
        ),
        (
            "four filters",
            |json| {
                let one = json!({"branches": {"includes": ["a"]}});
                json["triggers"] = json!([{"providerType": "CodeStarSourceConnection", "gitConfiguration":
                    {"sourceActionName": "Fetch", "push": [one, one, one, one]}}]);
            },
            MemberError,
            "triggers[0].gitConfiguration.push",
            "1 validation error detected: Value at 'pipeline.triggers.1.member.gitConfiguration.push' failed to \
             satisfy constraint: Member must have length less than or equal to 3",
        ),
        (
            "an empty value",
            |json| json["stages"][1]["actions"][0]["configuration"]["ProjectName"] = json!(""),
            MemberError,
            "stages[1].actions[0].configuration.ProjectName",
            "1 validation error detected: Value at \
             'pipeline.stages.2.member.actions.1.member.configuration.ProjectName' failed to satisfy constraint: \
             Map value must satisfy constraint: [Member must have length less than or equal to 50000, Member must \
             have length greater than or equal to 1]",
        ),
    ]);
}
