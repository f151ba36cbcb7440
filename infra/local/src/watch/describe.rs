//! From a reference that moved to a push with everything that filters and people want to know of it.

use super::{Change, commit_id, git};
use domain::trigger::{CHANGED_FILES_MAX, ChangedFiles, Head, Push, Reference};
use std::path::Path;

/// Characters of a commit's message that are kept, most.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Which files count as changed by the first push of a new branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewBranchFiles {
    /// None are known, as on AWS.
    #[default]
    Unknown,
    /// Those that differ from where it left the branch that is checked out, or is the default.
    CompareDefaultBranch,
}

/// The push that a change stands for; `None` when it is neither of a branch nor of a tag. `folder` is the repository;
/// without it only what the change says is known. `with_files` says that some filter asks for them.
pub async fn push(
    folder: Option<&Path>,
    change: &Change,
    with_files: bool,
    new_branch: NewBranchFiles,
) -> Option<Push> {
    let reference = Reference::of(&change.name)?;
    let after = match (&change.new, folder, &reference) {
        (Some(new), Some(folder), Reference::Tag(_)) => {
            Some(peeled(folder, new).await.unwrap_or_else(|| new.clone()))
        }
        (new, _, _) => new.clone(),
    };
    let files = match (&after, folder, &reference) {
        (Some(after), Some(folder), Reference::Branch(_)) if with_files => {
            files(folder, change.old.as_deref(), after, new_branch).await
        }
        _ if change.old.is_none() => ChangedFiles::NothingToCompare,
        _ => ChangedFiles::Incomplete,
    };
    let head = match (&after, folder) {
        (Some(after), Some(folder)) => head(folder, after).await.unwrap_or_default(),
        _ => Head::default(),
    };
    Some(Push { reference, before: change.old.clone(), after, files, head })
}

/// The commit that a tag's object stands on.
async fn peeled(folder: &Path, id: &str) -> Option<String> {
    let name = format!("{id}^{{commit}}");
    let answer =
        git().run(folder, ["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).await.ok()?;
    commit_id(&String::from_utf8_lossy(&answer.stdout))
}

async fn files(folder: &Path, before: Option<&str>, after: &str, new_branch: NewBranchFiles) -> ChangedFiles {
    let range = match (before, new_branch) {
        (Some(before), _) => format!("{before}..{after}"),
        (None, NewBranchFiles::Unknown) => return ChangedFiles::NothingToCompare,
        (None, NewBranchFiles::CompareDefaultBranch) => format!("HEAD...{after}"),
    };
    let args = ["diff", "--name-only", "--no-renames", "-z", "--end-of-options", &range];
    match git().run(folder, args).await {
        Ok(answer) if answer.succeeded => {
            let text = String::from_utf8_lossy(&answer.stdout).into_owned();
            // Ends with a zero, unless the output was cut.
            let is_whole = text.is_empty() || text.ends_with('\0');
            let list: Vec<String> =
                text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            match is_whole && list.len() <= CHANGED_FILES_MAX {
                true => ChangedFiles::Known(list),
                false => ChangedFiles::Incomplete,
            }
        }
        // The commit before may be gone for good.
        Ok(_) | Err(_) => {
            tracing::warn!(range, "the changed files are not known: file paths count as met");
            ChangedFiles::Incomplete
        }
    }
}

async fn head(folder: &Path, commit: &str) -> Option<Head> {
    let args = ["log", "-1", "--format=%an%x00%ae%x00%aI%x00%B", "--end-of-options", commit];
    let answer = git().run(folder, args).await.ok().filter(|answer| answer.succeeded)?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let mut parts = text.splitn(4, '\0').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
    Some(Head {
        author_name: parts.next(),
        author_email: parts.next(),
        author_date: parts.next(),
        message: parts.next().map(|message| message.chars().take(MESSAGE_CHARS_MAX).collect()),
        ..Head::default()
    })
}

/// A revision could not be found.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfound(String);

/// The commit that a revision means.
pub async fn commit_of(folder: &Path, revision: &str) -> Result<String, Unfound> {
    peeled(folder, revision)
        .await
        .ok_or_else(|| Unfound(format!("`{revision}` is no commit of the repository")))
}

/// The branch that is checked out.
pub async fn current_branch(folder: &Path) -> Result<String, Unfound> {
    let none = || Unfound("no branch is checked out: name one".to_owned());
    let answer =
        git().run(folder, ["symbolic-ref", "--quiet", "--short", "HEAD"]).await.map_err(|_| none())?;
    let name = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if name.is_empty() { Err(none()) } else { Ok(name) }
}
