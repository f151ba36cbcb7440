//! One filter's criteria on one name, or on a list of files: excludes win, and nothing among the includes means
//! everything.

use super::{ChangedFiles, Glob};
use crate::pipeline::GitPatterns;

/// Patterns named in one sentence.
const NAMED_MAX: usize = 8;

/// Whether a name passes; what decided, in words, either way.
pub(super) fn name(kind: &str, patterns: &GitPatterns, name: &str) -> Result<String, String> {
    if let Some(by) = first(&patterns.excludes, name) {
        return Err(format!("{kind} `{name}` is excluded by `{by}`"));
    }
    if patterns.includes.is_empty() {
        return Ok(format!("{kind} `{name}` is not excluded"));
    }
    match first(&patterns.includes, name) {
        Some(by) => Ok(format!("{kind} `{name}` is included by `{by}`")),
        None => Err(format!("{kind} `{name}` is not among includes {}", listed(&patterns.includes))),
    }
}

/// Whether one of the files passes.
pub(super) fn files(patterns: &GitPatterns, changed: &ChangedFiles) -> Result<String, String> {
    let list = match changed {
        ChangedFiles::Known(list) if list.len() <= super::CHANGED_FILES_MAX => list,
        ChangedFiles::Known(_) | ChangedFiles::Incomplete => {
            return Ok("the list of changed files is cut, so the file paths count as met".to_owned());
        }
        ChangedFiles::NothingToCompare => {
            return Err("there is no earlier commit to compare with, so it has no changed files".to_owned());
        }
    };
    let parse =
        |texts: &[String]| -> Vec<Glob> { texts.iter().filter_map(|text| Glob::parse(text).ok()).collect() };
    let (includes, excludes) = (parse(&patterns.includes), parse(&patterns.excludes));
    let is_excluded = |file: &str| excludes.iter().any(|glob| glob.matches(file));
    let is_included =
        |file: &str| patterns.includes.is_empty() || includes.iter().any(|glob| glob.matches(file));
    if let Some(file) = list.iter().find(|file| is_included(file) && !is_excluded(file)) {
        return Ok(format!("file `{file}` passes"));
    }
    let includes = match patterns.includes.is_empty() {
        true => String::new(),
        false => format!(" is among includes {}", listed(&patterns.includes)),
    };
    let excludes = match (patterns.excludes.is_empty(), patterns.includes.is_empty()) {
        (true, _) => String::new(),
        (false, true) => format!(" is outside of excludes {}", listed(&patterns.excludes)),
        (false, false) => format!(" and outside of excludes {}", listed(&patterns.excludes)),
    };
    Err(match list.as_slice() {
        [] => "no file was changed".to_owned(),
        [one] => format!("the changed file `{one}`{}{}", includes.replacen(" is", " is not", 1), {
            if patterns.includes.is_empty() {
                format!(" is excluded by one of {}", listed(&patterns.excludes))
            } else {
                match first(&patterns.excludes, one) {
                    Some(by) => format!(", or is excluded by `{by}`"),
                    None => String::new(),
                }
            }
        }),
        [one, ..] => format!("none of the {} changed files (`{one}`, …){includes}{excludes}", list.len()),
    })
}

fn first<'a>(patterns: &'a [String], text: &str) -> Option<&'a str> {
    // A pattern that is none matches nothing; declaring a pipeline refuses it.
    let is_met = |pattern: &&String| Glob::parse(pattern).is_ok_and(|glob| glob.matches(text));
    patterns.iter().find(is_met).map(String::as_str)
}

fn listed(patterns: &[String]) -> String {
    let shown: Vec<String> = patterns.iter().take(NAMED_MAX).map(|pattern| format!("`{pattern}`")).collect();
    shown.join(", ")
}
