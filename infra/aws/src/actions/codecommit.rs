//! The CodeCommit source: a commit's files as a ZIP archive, or a reference for builds that clone it themselves.

mod tree;

use super::{
    clone_ref::{self, CloneRef},
    objects::{Properties, UploadError},
    provider::{
        Answer, Provider, SUMMARY_CHARS_MAX, Step, Task, configuration, console, cut, first_line,
        revision_unavailable, unavailable,
    },
};
use crate::client::{CallError, Service};
use api::sigv4::percent_encoded;
use engine::action::{ActionJob, Failure, SourceRevision, Success};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A commit's message as an output variable; the provider's own bound.
const MESSAGE_BYTES_MAX: usize = 100 * 1024;

/// Source actions of the provider `CodeCommit`.
pub struct CodeCommit;

impl Provider for CodeCommit {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }

    fn is_long(&self, job: &ActionJob) -> bool {
        // A file is a call; a repository has thousands.
        job.configuration.get("OutputArtifactFormat").is_none_or(|format| format != "CODEBUILD_CLONE_REF")
    }
}

/// A commit, as far as a source tells of it.
struct Commit {
    id: String,
    message: String,
    author_date: String,
    committer_date: String,
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let (repository, branch) = (task.needs("RepositoryName")?, task.needs("BranchName")?);
    let output = task.output()?;
    let clones = match task.value("OutputArtifactFormat") {
        None | Some("CODE_ZIP") => false,
        Some("CODEBUILD_CLONE_REF") => true,
        Some(other) => {
            return Err(configuration(format!(
                "`OutputArtifactFormat` must be `CODE_ZIP` or `CODEBUILD_CLONE_REF`, not `{other}`."
            )));
        }
    };
    let id = match &task.job.revision {
        Some(revision) => revision.clone(),
        None => head(task, repository, branch).await?,
    };
    let commit = commit(task, repository, &id).await?;
    let mut properties = Properties { key: task.encryption_key.map(str::to_owned), ..Properties::default() };
    let to = (output.location.bucket.as_str(), output.location.key.as_str());
    if clones {
        let reference = CloneRef::new("CODECOMMIT", clone_url(task, repository), &commit.id, branch);
        properties.content_type = Some("application/json".to_owned());
        properties.metadata = Some(("x-amz-meta-towpath-format", clone_ref::METADATA.1.to_owned()));
        let put = task.objects.put(to, reference.bytes(), &properties).await;
        put.map_err(|error| task.failed(error))?;
    } else {
        properties.content_type = Some("application/zip".to_owned());
        let file = tree::pack(task, repository, &commit.id).await?;
        task.objects.upload(to, file.path(), &properties).await.map_err(|error| match error {
            UploadError::Call(error) => task.failed(*error),
            UploadError::File(error) => unavailable(format!("The archive cannot be read again: {error}.")),
        })?;
    }
    Ok(Step::Done(success(task, repository, branch, commit)))
}

async fn head(task: &Task<'_>, repository: &str, branch: &str) -> Result<String, Failure> {
    let input = json!({ "repositoryName": repository, "branchName": branch });
    let answer = task.client.json(Service::CodeCommit, "GetBranch", &input).await;
    let answer = answer.map_err(|error| match error.is(&["BranchDoesNotExistException"]) {
        true => revision_unavailable(format!(
            "The repository `{repository}` has no branch `{branch}`. Push it, or correct `BranchName`."
        )),
        false => refused(task, repository, error),
    })?;
    let id = answer["branch"]["commitId"].as_str().map(str::to_owned);
    id.ok_or_else(|| unavailable(format!("CodeCommit names no commit for the branch `{branch}`.")))
}

async fn commit(task: &Task<'_>, repository: &str, id: &str) -> Result<Commit, Failure> {
    let input = json!({ "repositoryName": repository, "commitId": id });
    let answer = task.client.json(Service::CodeCommit, "GetCommit", &input).await;
    let answer = answer.map_err(|error| {
        match error.is(&[
            "CommitIdDoesNotExistException",
            "CommitDoesNotExistException",
            "InvalidCommitIdException",
        ]) {
            true => revision_unavailable(format!(
                "The repository `{repository}` has no commit `{id}`: it was removed, or never pushed there."
            )),
            false => refused(task, repository, error),
        }
    })?;
    let commit = &answer["commit"];
    let date = |who: &str| commit[who]["date"].as_str().and_then(iso).unwrap_or_default();
    Ok(Commit {
        id: commit["commitId"].as_str().unwrap_or(id).to_owned(),
        message: commit["message"].as_str().unwrap_or_default().to_owned(),
        author_date: date("author"),
        committer_date: date("committer"),
    })
}

/// What Git writes as `1572319941 +0100`, as AWS writes it: `2019-10-29T03:32:21Z`.
fn iso(date: &str) -> Option<String> {
    let seconds: i64 = date.split_whitespace().next()?.parse().ok()?;
    jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

fn success(task: &Task<'_>, repository: &str, branch: &str, commit: Commit) -> Success {
    let Commit { id, message, author_date, committer_date } = commit;
    let url = format!(
        "{}/codecommit/home?region={}#/repository/{}/commit/{id}",
        console(task.region),
        task.region,
        percent_encoded(repository)
    );
    let variables = BTreeMap::from([
        ("CommitId", id.clone()),
        ("CommitMessage", message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)].to_owned()),
        ("RepositoryName", repository.to_owned()),
        ("BranchName", branch.to_owned()),
        ("AuthorDate", author_date),
        ("CommitterDate", committer_date),
    ]);
    let line = cut(first_line(&message), SUMMARY_CHARS_MAX);
    Success {
        output_variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        summary: Some(line).filter(|line| !line.is_empty()),
        external_execution_id: Some(id.clone()),
        external_execution_url: Some(url.clone()),
        revision: Some(SourceRevision {
            action: task.job.action.clone(),
            revision_id: id,
            summary: Some(cut(&message, SUMMARY_CHARS_MAX)).filter(|summary| !summary.is_empty()),
            url: Some(url),
            change_id: None,
            created: None,
        }),
        mocked: false,
    }
}

fn clone_url(task: &Task<'_>, repository: &str) -> String {
    let suffix = if task.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://git-codecommit.{}.{suffix}/v1/repos/{repository}", task.region)
}

fn refused(task: &Task<'_>, repository: &str, error: CallError) -> Failure {
    if error.is(&["RepositoryDoesNotExistException"]) {
        return configuration(format!(
            "There is no CodeCommit repository `{repository}` in {}. Make it, or correct `RepositoryName`.",
            task.region
        ));
    }
    task.failed(error)
}

/// A text of an answer, which must be there.
fn text(value: &Value, key: &str) -> Result<String, Failure> {
    let text = value[key].as_str().map(str::to_owned);
    text.ok_or_else(|| unavailable(format!("CodeCommit left `{key}` out of its answer.")))
}
