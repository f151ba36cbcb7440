//! What is wrong with a definition.

use std::fmt;

/// The API exception a violation maps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum DefinitionErrorCode {
    SerializationException,
    ValidationException,
    InvalidStructureException,
    InvalidStageDeclarationException,
    InvalidActionDeclarationException,
    InvalidBlockerDeclarationException,
    LimitExceededException,
    TooManyTagsException,
    InvalidTagsException,
}

impl fmt::Display for DefinitionErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One violation: what the API answers, and where and what to do for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DefinitionError {
    /// The exception.
    pub code: DefinitionErrorCode,
    /// The service's wording where it is known, else ours.
    pub message: String,
    /// Where it stands, inside the declaration and counted from 0: `stages[2].actions[0].configuration.ProjectName`.
    /// Empty for the declaration as a whole.
    pub path: String,
    /// What to do about it, in plain words.
    pub hint: Option<String>,
}

impl DefinitionError {
    pub(crate) fn new(
        code: DefinitionErrorCode,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { code, message: message.into(), path: path.into(), hint: None }
    }

    /// A member that breaks its constraint, in the wording of the service's constraint layer.
    pub(crate) fn constraint(path: impl Into<String>, constraint: &str) -> Self {
        let path = path.into();
        let message = format!(
            "1 validation error detected: Value at '{}' failed to satisfy constraint: {constraint}",
            member_path(&path)
        );
        Self::new(DefinitionErrorCode::ValidationException, path, message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The service's own spelling of a path: from the root, lists counted from 1, `.member` after each number.
fn member_path(path: &str) -> String {
    let mut spelled = String::from("pipeline");
    let mut rest = path;
    if !rest.is_empty() && !rest.starts_with('[') {
        spelled.push('.');
    }
    while let Some((before, after)) = rest.split_once('[') {
        spelled.push_str(before);
        let (number, tail) = after.split_once(']').unwrap_or((after, ""));
        match number.parse::<usize>() {
            Ok(index) => spelled.push_str(&format!(".{}.member", index + 1)),
            Err(_) => spelled.push_str(&format!("[{number}]")),
        }
        rest = tail;
    }
    spelled.push_str(rest);
    spelled
}

/// The one of `known` a person most likely meant: at most two slips away, upper and lower case being none.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(slips, _)| *slips <= 2)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements that make one text of the other; long texts count as far apart.
fn distance(one: &str, other: &str) -> usize {
    const COMPARED_BYTES_MAX: usize = 64;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len().max(other.len()) > COMPARED_BYTES_MAX || one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_spelled_as_the_service_spells_them() {
        assert_eq!(
            member_path("stages[1].actions[0].runOrder"),
            "pipeline.stages.2.member.actions.1.member.runOrder"
        );
        assert_eq!(member_path("roleArn"), "pipeline.roleArn");
        assert_eq!(member_path(""), "pipeline");
        assert_eq!(member_path("[3].name"), "pipeline.4.member.name");
        assert_eq!(member_path("a[b].c[0]"), "pipeline.a[b].c.1.member");
    }

    #[test]
    fn slips_are_counted() {
        for (one, other, slips) in [
            ("", "", 0),
            ("a", "a", 0),
            ("a", "b", 1),
            ("ab", "", 2),
            ("abc", "", usize::MAX),
            ("stage", "stages", 1),
            ("stage", "sage", 1),
            ("stage", "satge", 2),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("abcd", "dcba", 4),
            ("abab", "baba", 2),
        ] {
            assert_eq!((distance(one, other), distance(other, one)), (slips, slips), "{one} {other}");
        }
        assert_eq!(nearest("stag", ["stages", "stage"]), Some("stage"), "the nearest one is meant");
        assert_eq!(nearest("STAG", ["stages"]), Some("stages"));
        assert_eq!(nearest("sta", ["stages"]), None);
    }

    #[test]
    fn an_error_shows_what_the_service_would_answer() {
        let error = DefinitionError::constraint("stages", "Member must not be null").hint("add it");
        let words = "1 validation error detected: Value at 'pipeline.stages' failed to satisfy constraint: Member must \
                     not be null";
        assert_eq!(error.to_string(), words);
        assert_eq!(
            (error.code.to_string(), error.hint),
            ("ValidationException".into(), Some("add it".into()))
        );
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let known = ["ProjectName", "PrimarySource"];
        assert_eq!(nearest("Projectname", known), Some("ProjectName"));
        assert_eq!(nearest("ProjectNmae", known), Some("ProjectName"));
        assert_eq!(nearest("Bucket", known), None);
        let long = "x".repeat(64);
        assert_eq!(nearest(&long[1..], [long.as_str()]), Some(long.as_str()));
        let longer = "x".repeat(66);
        assert_eq!(nearest(&longer[1..], [longer.as_str()]), None, "long texts are not compared");
    }
}
