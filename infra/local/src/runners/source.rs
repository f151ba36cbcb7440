//! Source actions on this machine: a git repository, a plain folder, or an object in a folder that stands for
//! a bucket. Fetches one revision, writes it as the output artifact, and says which revision it was.

mod batch;
mod folder;
mod git;
mod mirror;
mod object;

pub(crate) use git::{Git, Place, locate, shown_url};

use super::{Site, caps};
use crate::settings::Source;
use batch::{Commit, Taken};
use engine::action::{ActionJob, Failure, FailureCode, Outcome, OutputArtifact, SourceRevision, Success};
use events::ActionOwner;
use git::Wanted;
use jiff::Timestamp;
use std::{collections::BTreeMap, path::Path};

/// A commit's message as an output variable; the provider's own bound.
const MESSAGE_BYTES_MAX: usize = 100 * 1024;
/// A revision's summary, as the API bounds it.
const SUMMARY_CHARS_MAX: usize = 2048;

/// Carries out a source action.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    let done = match job.action_type.provider.as_str() {
        "S3" => object::run(job, site).await,
        _ => run_repository(job, site).await,
    };
    match done {
        Ok(success) => Outcome::Succeeded(success),
        Err(failure) => Outcome::Failed(failure),
    }
}

/// What the configuration says about a repository, whichever the provider.
struct Asked<'a> {
    /// As the provider identifies it: a name, or `owner/name`.
    repository: String,
    branch: &'a str,
}

async fn run_repository(job: &ActionJob, site: &Site) -> Result<Success, Failure> {
    let asked = asked(job)?;
    if job.configuration.get("OutputArtifactFormat").is_some_and(|format| format == "CODEBUILD_CLONE_REF") {
        return Err(configuration(
            "The output format `CODEBUILD_CLONE_REF` is not offered on this machine: a build here gets the files \
             of the commit, without the history. Use `CODE_ZIP`.",
        ));
    }
    let output = output(job)?;
    let source = match site.settings.source_for(job.action.as_str(), &asked.repository) {
        Some(source) => Some(source.map_err(configuration)?),
        None => None,
    };
    let revision = job.revision.as_deref().or(site.settings.from_commit.as_deref());
    let wanted = match revision {
        Some(revision) => Wanted::Revision(revision.to_owned()),
        None => Wanted::Branch(asked.branch.to_owned()),
    };
    wanted.check()?;
    let git = Git::new(job.deadline, site.cancelled.clone());
    let (taken, remote) = match source {
        Some(Source::Url(url)) => {
            site.log.line(&format!("Fetching {} from {}", wanted.described(), shown_url(&url)));
            let place = mirror::fetch(&git, &site.state, &url, &wanted).await?;
            (git::take(&git, site, &place, &wanted, output).await?, Some(url))
        }
        Some(Source::Folder(folder)) => match locate(&folder) {
            Some(place) => (take_local(&git, site, &place, &wanted, output).await?, None),
            None => return folder::take(job, site, &folder, output).await,
        },
        None => (take_local(&git, site, &default_place(job, site, &asked)?, &wanted, output).await?, None),
    };
    site.log.line(&format!("Commit {} of {}", taken.commit.id, wanted.described()));
    site.log.line(&format!("    {}", first_line(&taken.commit.message)));
    Ok(success(job, &asked, taken, remote.as_deref()))
}

fn asked(job: &ActionJob) -> Result<Asked<'_>, Failure> {
    let (repository, branch) = match job.action_type.provider.as_str() {
        "CodeCommit" => (key(job, "RepositoryName")?.to_owned(), "BranchName"),
        "CodeStarSourceConnection" => (key(job, "FullRepositoryId")?.to_owned(), "BranchName"),
        "GitHub" if job.action_type.owner == ActionOwner::ThirdParty => {
            (format!("{}/{}", key(job, "Owner")?, key(job, "Repo")?), "Branch")
        }
        _ => return Err(super::no_runner(&job.action_type)),
    };
    Ok(Asked { repository, branch: key(job, branch)? })
}

/// Without an entry in the settings: the repository that holds the pipeline's file, whole.
fn default_place(job: &ActionJob, site: &Site, asked: &Asked<'_>) -> Result<Place, Failure> {
    let base = &site.settings.base;
    let Some(place) = locate(base) else {
        return Err(configuration(format!(
            "`{}` is not in a git repository, and nothing says where `{}` lies. Name a folder or a clone URL with \
             `--source {}=<path or URL>`, or in `towpath.toml`: `[sources]` `\"{}\" = \"<path or URL>\"`.",
            base.display(),
            asked.repository,
            job.action,
            asked.repository,
        )));
    };
    if !place.subfolder.is_empty() {
        site.log.line(&format!(
            "Taking the whole repository `{}`. For `{}` alone, write `\"{}\" = \".\"` under `[sources]` in \
             towpath.toml.",
            place.root.display(),
            place.subfolder,
            asked.repository,
        ));
    }
    Ok(Place { subfolder: String::new(), ..place })
}

/// Takes a commit from a repository on this machine, and says what of the working tree it leaves behind.
async fn take_local(
    git: &Git,
    site: &Site,
    place: &Place,
    wanted: &Wanted,
    output: &OutputArtifact,
) -> Result<Taken, Failure> {
    site.log.line(&format!("Taking {} from {}", wanted.described(), place.described()));
    let status = tokio::spawn({
        let (git, place) = (git.clone(), place.clone());
        async move { git::status(&git, &place).await }
    });
    let stop_status = status.abort_handle();
    let taken = git::take(git, site, place, wanted, output).await;
    // The status is a courtesy: a huge tree must not hold up the run for it.
    if let Ok(Ok(Some(status))) = tokio::time::timeout(git::STATUS_PATIENCE, status).await {
        status.lines(place, wanted).iter().for_each(|line| site.log.line(line));
    }
    stop_status.abort();
    taken
}

fn success(job: &ActionJob, asked: &Asked<'_>, taken: Taken, remote: Option<&str>) -> Success {
    let Commit { id, message, author, author_seconds, committer_seconds } = taken.commit;
    let name = asked.repository.rsplit('/').next().unwrap_or(&asked.repository).to_owned();
    let mut variables = BTreeMap::from([
        ("CommitId", id.clone()),
        ("CommitMessage", cut_bytes(&message, MESSAGE_BYTES_MAX).to_owned()),
        ("BranchName", asked.branch.to_owned()),
        ("AuthorDate", iso(author_seconds)),
    ]);
    let mut url = remote.and_then(|remote| commit_page(remote, &id));
    let mut summary = cut_chars(&message, SUMMARY_CHARS_MAX);
    match job.action_type.provider.as_str() {
        "CodeStarSourceConnection" => {
            variables.insert("FullRepositoryName", asked.repository.clone());
            let arn = job.configuration.get("ConnectionArn").cloned().unwrap_or_default();
            variables.insert("ConnectionArn", arn);
            variables.insert("AuthorDisplayName", author.0);
            variables.insert("AuthorEmail", author.1);
            summary = connection_summary(remote, &message);
        }
        "GitHub" => {
            let page = format!("https://github.com/{}/commit/{id}", asked.repository);
            url = url.or(Some(page.clone()));
            variables.insert("CommitUrl", page);
            variables.insert("RepositoryName", name);
            variables.insert("CommitterDate", iso(committer_seconds));
        }
        _ => {
            variables.insert("RepositoryName", name);
            variables.insert("CommitterDate", iso(committer_seconds));
        }
    }
    Success {
        output_variables: variables.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        summary: Some(cut_chars(first_line(&message), SUMMARY_CHARS_MAX)).filter(|line| !line.is_empty()),
        external_execution_id: Some(id.clone()),
        external_execution_url: url.clone(),
        revision: Some(SourceRevision {
            action: job.action.clone(),
            revision_id: id,
            summary: Some(summary).filter(|summary| !summary.is_empty()),
            url,
            change_id: None,
            created: None,
        }),
        mocked: false,
    }
}

/// The summary a connection reports: JSON as text, still JSON after it is cut to the API's bound.
fn connection_summary(remote: Option<&str>, message: &str) -> String {
    let provider = remote.map_or("GitHub", provider_type);
    let mut kept = SUMMARY_CHARS_MAX;
    loop {
        let message = cut_chars(message, kept);
        let summary = serde_json::json!({ "ProviderType": provider, "CommitMessage": message }).to_string();
        let excess = summary.chars().count().saturating_sub(SUMMARY_CHARS_MAX);
        if excess == 0 {
            return summary;
        }
        // Escapes count too, so what is too long is taken off and counted again.
        kept = message.chars().count().saturating_sub(excess);
    }
}

fn provider_type(remote: &str) -> &'static str {
    match host_and_path(remote) {
        Some(("gitlab.com", _)) => "GitLab",
        Some((host, _)) if host.starts_with("gitlab.") => "GitLabSelfManaged",
        Some(("bitbucket.org", _)) => "Bitbucket",
        Some(("github.com", _)) | None => "GitHub",
        Some(_) => "GitHubEnterpriseServer",
    }
}

fn commit_page(remote: &str, commit: &str) -> Option<String> {
    let (host, path) = host_and_path(remote)?;
    match host {
        "github.com" => Some(format!("https://github.com/{path}/commit/{commit}")),
        "gitlab.com" => Some(format!("https://gitlab.com/{path}/-/commit/{commit}")),
        "bitbucket.org" => Some(format!("https://bitbucket.org/{path}/commits/{commit}")),
        _ => None,
    }
}

/// `github.com` and `owner/name` of a clone URL; `None` for a URL without a host.
fn host_and_path(remote: &str) -> Option<(&str, &str)> {
    let (authority, path) = match remote.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => remote.split_once(':')?,
    };
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| (host, path.trim_matches('/').trim_end_matches(".git")))
}

/// Seconds since 1970 as AWS writes them: `2019-10-29T03:32:21Z`.
fn iso(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn cut_chars(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

fn cut_bytes(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn key<'a>(job: &'a ActionJob, name: &str) -> Result<&'a str, Failure> {
    match job.configuration.get(name).map(String::as_str) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) | None => {
            Err(configuration(format!("The configuration of `{}` has no `{name}`.", job.action)))
        }
    }
}

fn output(job: &ActionJob) -> Result<&OutputArtifact, Failure> {
    job.outputs.first().ok_or_else(|| {
        configuration(format!("The source action `{}` declares no output artifact.", job.action))
    })
}

fn configuration(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::ConfigurationError, message)
}

fn unavailable(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::RevisionUnavailable, message)
}

fn system(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::SystemUnavailable, message)
}

/// A failure of this machine's disk.
fn disk(path: &Path, error: impl std::fmt::Display) -> Failure {
    system(format!("`{}`: {error}", path.display()))
}

/// The version of an object that lies in a file.
pub(super) fn object_version(file: &std::path::Path) -> std::io::Result<String> {
    object::version(file)
}

#[cfg(test)]
mod tests;
