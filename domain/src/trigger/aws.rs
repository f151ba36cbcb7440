//! Events of the services that sources lie in: CodeCommit, S3 and ECR, against the source actions of a definition.

use crate::pipeline::{ActionDeclaration, PipelineDeclaration};
use events::ActionCategory;
use serde_json::Value;

/// What a service says happened to something that may be a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceChange {
    /// A branch or tag of a CodeCommit repository.
    Reference {
        /// The repository.
        repository: String,
        /// `branch` or `tag`.
        kind: String,
        /// Its name.
        name: String,
        /// The commit; `None` for one that was deleted.
        commit: Option<String>,
    },
    /// An object was written.
    Object {
        /// The bucket.
        bucket: String,
        /// The key, not encoded.
        key: String,
        /// Its version, in a bucket that keeps them.
        version: Option<String>,
    },
    /// An image was pushed, or something else happened to it.
    Image {
        /// The repository.
        repository: String,
        /// Its tag; empty for an image without.
        tag: String,
        /// Its digest.
        digest: Option<String>,
        /// A push that succeeded.
        is_pushed: bool,
    },
}

impl SourceChange {
    /// Reads an event of the bus; `None` when it is of another kind.
    pub fn of(event: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let detail = &event["detail"];
        match (event["source"].as_str()?, event["detail-type"].as_str()?) {
            ("aws.codecommit", "CodeCommit Repository State Change") => Some(Self::Reference {
                repository: text(&detail["repositoryName"])?,
                kind: text(&detail["referenceType"])?,
                name: text(&detail["referenceName"])?,
                commit: match detail["event"].as_str() {
                    None | Some("referenceCreated" | "referenceUpdated") => text(&detail["commitId"]),
                    Some(_) => None,
                },
            }),
            ("aws.s3", "Object Created") => Some(Self::Object {
                bucket: text(&detail["bucket"]["name"])?,
                key: text(&detail["object"]["key"])?,
                version: text(&detail["object"]["version-id"]),
            }),
            ("aws.s3", "AWS API Call via CloudTrail") => {
                let name = detail["eventName"].as_str()?;
                let is_write = matches!(name, "CopyObject" | "PutObject" | "CompleteMultipartUpload");
                let parameters = &detail["requestParameters"];
                is_write.then_some(())?;
                Some(Self::Object {
                    bucket: text(&parameters["bucketName"])?,
                    key: text(&parameters["key"])?,
                    version: text(&detail["responseElements"]["x-amz-version-id"]),
                })
            }
            ("aws.ecr", "ECR Image Action") => Some(Self::Image {
                repository: text(&detail["repository-name"])?,
                tag: text(&detail["image-tag"]).unwrap_or_default(),
                digest: text(&detail["image-digest"]),
                is_pushed: detail["action-type"] == "PUSH" && detail["result"] == "SUCCESS",
            }),
            _ => None,
        }
    }

    /// Whether this concerns a source action: `None` when it is about something else, the revision when the action
    /// fetches what changed, and the reason when it is about the same repository and starts nothing.
    pub fn concerns(&self, action: &ActionDeclaration) -> Option<Result<Option<String>, String>> {
        let setting = |key: &str| action.configuration.get(key).map(String::as_str);
        match (self, action.action_type_id.provider.as_str()) {
            (Self::Reference { repository, kind, name, commit }, "CodeCommit") => {
                (setting("RepositoryName")? == repository).then(|| {
                    let branch = setting("BranchName").unwrap_or_default();
                    match commit {
                        _ if kind != "branch" => Err(format!("{kind} `{name}` is no branch")),
                        _ if name != branch => {
                            Err(format!("branch `{name}` is not `{branch}`, which the source action fetches"))
                        }
                        None => Err(format!("branch `{name}` got no new commit by it")),
                        Some(commit) => Ok(Some(commit.clone())),
                    }
                })
            }
            (Self::Object { bucket, key, version }, "S3") => (setting("S3Bucket")? == bucket).then(|| {
                let own = setting("S3ObjectKey").unwrap_or_default();
                if key == own {
                    Ok(version.clone())
                } else {
                    Err(format!("object `{key}` is not `{own}`, which the source action fetches"))
                }
            }),
            (Self::Image { repository, tag, digest, is_pushed }, "ECR") => {
                (setting("RepositoryName")? == repository).then(|| {
                    let own = setting("ImageTag").unwrap_or("latest");
                    match () {
                        () if !is_pushed => Err("the image was not pushed, or not with success".to_owned()),
                        () if tag.is_empty() => Err("the image was pushed without a tag".to_owned()),
                        () if tag != own => {
                            Err(format!("image tag `{tag}` is not `{own}`, which the source action fetches"))
                        }
                        () => Ok(digest.clone()),
                    }
                })
            }
            _ => None,
        }
    }

    /// What happened, for people.
    pub fn words(&self) -> String {
        match self {
            Self::Reference { repository, kind, name, commit } => match commit {
                Some(commit) => {
                    let commit: String = commit.chars().take(8).collect();
                    format!("CodeCommit: {commit} on {kind} `{name}` of `{repository}`")
                }
                None => format!("CodeCommit: {kind} `{name}` of `{repository}`"),
            },
            Self::Object { bucket, key, .. } => format!("S3: object `{key}` in `{bucket}`"),
            Self::Image { repository, tag, .. } => format!("ECR: image `{repository}:{tag}`"),
        }
    }
}

/// The source actions of a definition.
pub(super) fn sources(definition: &PipelineDeclaration) -> impl Iterator<Item = &ActionDeclaration> {
    let first = definition.first_stage().map_or(&[][..], |stage| &stage.actions[..]);
    first.iter().filter(|action| action.action_type_id.category == ActionCategory::Source)
}

/// Whether the action's changes are found by polling, so that an event of the same change would start it twice.
pub(super) fn is_polled(action: &ActionDeclaration) -> bool {
    let polls = matches!(action.action_type_id.provider.as_str(), "CodeCommit" | "S3");
    let off =
        action.configuration.get("PollForSourceChanges").is_some_and(|v| v.eq_ignore_ascii_case("false"));
    polls && !off
}

/// Objects that are polled: source action, bucket and key.
pub fn polled_objects(definition: &PipelineDeclaration) -> Vec<(events::ActionName, String, String)> {
    let of = |action: &ActionDeclaration, key: &str| action.configuration.get(key).cloned();
    sources(definition)
        .filter(|action| action.action_type_id.provider == "S3" && is_polled(action))
        .filter_map(|action| Some((action.name.clone(), of(action, "S3Bucket")?, of(action, "S3ObjectKey")?)))
        .collect()
}
