//! What Git hosts send, read into one form. A payload is a stranger's: whatever is missing or has another type makes
//! it unreadable, never a guess.

mod bitbucket;
mod github;
mod gitlab;

pub use bitbucket::read as bitbucket;
pub use github::read as github;
pub use gitlab::read as gitlab;

use super::{ChangedFiles, GitEvent, Reference};
use serde_json::Value;
use std::collections::BTreeSet;

/// Characters of a name from outside that are kept, most.
const TEXT_CHARS_MAX: usize = 2000;

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something that pipelines may listen to. One delivery may tell of several references.
    Events(Vec<GitEvent>),
    /// Something else, in words.
    Nothing(String),
}

/// Why a payload cannot be read, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payload has no usable `{0}`")]
pub struct Unreadable(pub String);

fn text(body: &Value, path: &str) -> Result<String, Unreadable> {
    optional(body, path).ok_or_else(|| Unreadable(path.to_owned()))
}

fn optional(body: &Value, path: &str) -> Option<String> {
    at(body, path).as_str().filter(|text| !text.is_empty() && text.len() <= TEXT_CHARS_MAX).map(str::to_owned)
}

fn at<'a>(body: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(body, |value, key| &value[key])
}

/// A commit's id; `None` where the text is all zeros, which stands for "none".
fn commit(body: &Value, path: &str) -> Result<Option<String>, Unreadable> {
    let text = text(body, path)?;
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(Unreadable(path.to_owned()));
    }
    Ok((!text.bytes().all(|byte| byte == b'0')).then(|| text.to_ascii_lowercase()))
}

fn reference(body: &Value, path: &str) -> Result<Reference, Unreadable> {
    Reference::of(&text(body, path)?).ok_or_else(|| Unreadable(path.to_owned()))
}

/// All files that the listed commits touched; `commits_max` is how many a host lists at most.
fn listed_files(commits: &Value, commits_max: usize, is_new: bool, is_forced: bool) -> ChangedFiles {
    if is_new {
        return ChangedFiles::NothingToCompare;
    }
    let Some(list) = commits.as_array() else { return ChangedFiles::Incomplete };
    if is_forced || list.is_empty() || list.len() >= commits_max {
        return ChangedFiles::Incomplete;
    }
    let mut files = BTreeSet::new();
    for commit in list {
        let parts = ["added", "removed", "modified"].map(|part| commit[part].as_array());
        if parts.iter().all(Option::is_none) {
            return ChangedFiles::Incomplete;
        }
        let names = parts.into_iter().flatten().flatten().filter_map(Value::as_str);
        files.extend(names.map(str::to_owned));
    }
    ChangedFiles::Known(files.into_iter().collect())
}
