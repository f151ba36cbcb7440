//! The artifact of a source action with `OutputArtifactFormat` = `CODEBUILD_CLONE_REF`: not the files of a commit, but
//! where to clone it from. Only builds can use it. AWS's own format is not public; this one is ours.

use super::{
    failure,
    objects::{Head, ObjectsError},
    provider::{Task, configuration},
};
use engine::action::{ArtifactLocation, Failure, InputArtifact};
use serde::{Deserialize, Serialize};

/// What tells such an artifact from others, in the object's metadata (`x-amz-meta-…`) and its value.
pub const METADATA: (&str, &str) = ("towpath-format", "clone-ref");
/// Bytes of such an artifact, most.
const BYTES_MAX: u64 = 16 << 10;
const SCHEMA: u32 = 1;

/// Where to clone a commit from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloneRef {
    schema: u32,
    /// As CodeBuild calls kinds of sources: `CODECOMMIT`, `GITHUB`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the repository is.
    pub clone_url: String,
    /// The commit.
    pub commit_id: String,
    /// The branch it was taken from.
    pub branch: String,
}

impl CloneRef {
    /// A commit of a repository.
    pub fn new(kind: &str, clone_url: String, commit: &str, branch: &str) -> Self {
        let (commit_id, branch) = (commit.to_owned(), branch.to_owned());
        Self { schema: SCHEMA, kind: kind.to_owned(), clone_url, commit_id, branch }
    }

    /// The artifact's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts and a number are always JSON")
    }
}

/// An input of a build: its files, or where to clone them from.
pub enum Source {
    /// A ZIP archive.
    Files(Head),
    /// A commit.
    Clone(CloneRef),
}

/// What an input of a build is.
pub async fn source(task: &Task<'_>, input: &InputArtifact) -> Result<Source, Failure> {
    let head = head(task, input).await?;
    if !is_clone_ref(&head) {
        return Ok(Source::Files(head));
    }
    let bytes = task.objects.get(&input.location, BYTES_MAX).await;
    let bytes = bytes.map_err(|error| unreadable(task.who, input, error))?;
    let read: Result<CloneRef, _> = serde_json::from_slice(&bytes);
    match read {
        Ok(reference) if reference.schema == SCHEMA => Ok(Source::Clone(reference)),
        Ok(newer) => Err(configuration(format!(
            "The input artifact `{}` is a clone reference of schema {}, and this version reads schema {SCHEMA}.",
            input.name, newer.schema
        ))),
        Err(error) => Err(configuration(format!(
            "The input artifact `{}` is marked as a clone reference and is none: {error}.",
            input.name
        ))),
    }
}

/// What an input is, for whoever needs its files.
pub async fn files(task: &Task<'_>, input: &InputArtifact) -> Result<Head, Failure> {
    let head = head(task, input).await?;
    match is_clone_ref(&head) {
        false => Ok(head),
        true => Err(configuration(format!(
            "The input artifact `{}` holds no files: its source action has `OutputArtifactFormat` = \
             `CODEBUILD_CLONE_REF`, which only CodeBuild actions can use. Set `CODE_ZIP` there.",
            input.name
        ))),
    }
}

async fn head(task: &Task<'_>, input: &InputArtifact) -> Result<Head, Failure> {
    task.objects.head(&input.location).await.map_err(|error| unreadable(task.who, input, error))
}

fn is_clone_ref(head: &Head) -> bool {
    head.metadata.get(METADATA.0).is_some_and(|value| value == METADATA.1)
}

/// Why an input artifact cannot be read.
pub fn unreadable(who: &str, input: &InputArtifact, error: ObjectsError) -> Failure {
    let ArtifactLocation { bucket, key } = &input.location;
    match error {
        ObjectsError::Missing => configuration(format!(
            "The input artifact `{}` is not there: no object `{key}` in the bucket `{bucket}`. A lifecycle rule may \
             have removed it; start the pipeline anew.",
            input.name
        )),
        ObjectsError::TooLarge { bytes_max } => configuration(format!(
            "The input artifact `{}` has more than {bytes_max} bytes, which is more than this action can use.",
            input.name
        )),
        ObjectsError::Call(error) => failure::of(&error, who),
    }
}
