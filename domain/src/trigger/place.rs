//! Where sources lie: what a list of pipelines says of each, so that an event is held against those alone that fetch from
//! where it happened, and not against every definition there is.

use super::{aws, aws::SourceChange, listening};
use crate::pipeline::PipelineDeclaration;
use std::collections::BTreeSet;

/// The places that a definition's sources fetch from and that events tell of.
pub fn places(definition: &PipelineDeclaration) -> BTreeSet<String> {
    let hosted = listening(definition);
    let hosted = hosted.iter().filter(|listening| listening.is_connection());
    let hosted = hosted.map(|listening| of_repository(&listening.repository));
    let services = aws::sources(definition).filter_map(|action| {
        let setting = |key: &str| action.configuration.get(key);
        match action.action_type_id.provider.as_str() {
            "CodeCommit" => Some(named("codecommit", setting("RepositoryName")?)),
            "S3" => Some(named("s3", setting("S3Bucket")?)),
            "ECR" => Some(named("ecr", setting("RepositoryName")?)),
            _ => None,
        }
    });
    hosted.chain(services).collect()
}

/// The place that something happened at.
pub fn of_change(change: &SourceChange) -> String {
    match change {
        SourceChange::Reference { repository, .. } => named("codecommit", repository),
        SourceChange::Object { bucket, .. } => named("s3", bucket),
        SourceChange::Image { repository, .. } => named("ecr", repository),
    }
}

/// The place that a repository of a Git host is, however its letters are written.
pub fn of_repository(repository: &str) -> String {
    named("git", &repository.to_ascii_lowercase())
}

fn named(kind: &str, name: &str) -> String {
    format!("{kind}:{name}")
}
