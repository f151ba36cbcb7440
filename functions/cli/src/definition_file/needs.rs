//! What a run of a definition on this machine rests on: one line for each resource, as `towpath.toml` would have it.

use super::resources::repository;
use domain::pipeline::{ActionDeclaration, PipelineDeclaration};
use events::ActionCategory;
use local::{runners::has_runner, settings::Settings};
use std::collections::BTreeSet;

/// The lines, each once, in the order of the pipeline.
pub fn needs(definition: &PipelineDeclaration, settings: &Settings) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let lines = definition.actions().filter_map(|(_, action)| need(action, settings));
    lines.filter(|line| seen.insert(line.clone())).collect()
}

fn need(action: &ActionDeclaration, settings: &Settings) -> Option<String> {
    let kind = &action.action_type_id;
    let mocked = format!("{:?}/{}", kind.category, kind.provider);
    if settings.mock.contains_key(&mocked) || kind.category == ActionCategory::Approval {
        return None;
    }
    if !has_runner(kind, settings) {
        return Some(format!("[mock] \"{mocked}\" = \"succeed\"    needed: this machine cannot do it"));
    }
    let value = |key: &str| action.configuration.get(key).map(String::as_str).unwrap_or_default();
    if let Some(repository) = repository(action) {
        return match settings.source_for(action.name.as_str(), &repository) {
            Some(_) => None,
            None => Some(format!(
                "[sources] \"{repository}\" = \"<folder or URL>\"    else the git repository that holds the file"
            )),
        };
    }
    match kind.provider.as_str() {
        "S3" => {
            let bucket =
                if kind.category == ActionCategory::Source { value("S3Bucket") } else { value("BucketName") };
            let own = settings.s3.contains_key(bucket);
            (!own).then(|| {
                format!("[s3] \"{bucket}\" = \"<folder>\"    else `s3/{bucket}` in the state folder")
            })
        }
        "CodeBuild" => {
            let project = value("ProjectName");
            let own = settings.codebuild.contains_key(project);
            let what = "its buildspec and variables; else `buildspec.yml` of the source";
            (!own).then(|| format!("[codebuild.\"{project}\"]    {what}"))
        }
        "CodeDeploy" => {
            let key = format!("{}/{}", value("ApplicationName"), value("DeploymentGroupName"));
            let own = settings.codedeploy.contains_key(&key);
            (!own).then(|| format!("[codedeploy.\"{key}\"]    its hosts; else one in the state folder"))
        }
        "Lambda" => {
            let function = value("FunctionName");
            let own = settings.lambda.contains_key(function);
            (!own).then(|| {
                format!("[lambda.\"{function}\"] command = [\"<program>\"]    needed: what stands for the function")
            })
        }
        _ => None,
    }
}
