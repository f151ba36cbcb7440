//! What a valid definition may still suffer from: problems found by reading it, each with a reason and a remedy.
//!
//! The rules are hints, not laws: nothing here refuses a definition. Each family is a file; what a rule says about
//! itself (its id, how serious it is, why, and how to mend it) stands beside the code that finds it, and is all that
//! the documentation and the command line know of it.
//!
//! A finding never repeats a value that may be a secret.

mod accounts;
mod approvals;
mod artifacts;
mod credentials;
mod modes;
mod names;
mod order;
mod production;
mod providers;
mod roles;
mod sources;
mod stacks;
mod texts;
mod triggers;
mod variables;

use super::PipelineDeclaration;
use super::error::nearest;
use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Could be better; nothing breaks.
    Note,
    /// Likely to hurt one day.
    Warning,
    /// A run will fail on it, or a secret lies open.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What one rule says about itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Words in lower case with `-` between them; never changes, since settings name it.
    pub id: &'static str,
    /// Of all its findings.
    pub severity: Severity,
    /// What it looks for, as half a sentence.
    pub what: &'static str,
    /// Why that is a problem.
    pub why: &'static str,
    /// How to mend it.
    pub mend: &'static str,
}

/// A problem at a place of the definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// Where it stands, inside the declaration and counted from 0; always a member that is there.
    pub path: String,
    /// What is the matter here, one sentence.
    pub message: String,
}

/// Every problem that is found in a definition, by rule, then by place. Asked of a definition that breaks the rules
/// of the service it still answers, but then some findings only follow from what is broken.
pub fn lint(declaration: &PipelineDeclaration) -> Vec<Finding> {
    let mut findings = Findings::default();
    for family in FAMILIES {
        (family.check)(declaration, &mut findings);
    }
    findings.found
}

/// All rules in the order they are asked.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().flat_map(|family| family.rules.iter().copied())
}

/// The rule of that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

/// The id a person most likely meant by one that does not exist.
pub fn nearest_rule(id: &str) -> Option<&'static str> {
    nearest(id, rules().map(|rule| rule.id))
}

/// Rules that look at the same things.
struct Family {
    rules: &'static [&'static Rule],
    check: fn(&PipelineDeclaration, &mut Findings),
}

const FAMILIES: &[Family] = &[
    credentials::FAMILY,
    variables::FAMILY,
    providers::FAMILY,
    stacks::FAMILY,
    artifacts::FAMILY,
    sources::FAMILY,
    triggers::FAMILY,
    order::FAMILY,
    approvals::FAMILY,
    production::FAMILY,
    modes::FAMILY,
    accounts::FAMILY,
    roles::FAMILY,
    names::FAMILY,
];

/// What was found so far.
#[derive(Default)]
struct Findings {
    found: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, rule: &'static Rule, path: impl Into<String>, message: impl Into<String>) {
        self.found.push(Finding { rule, path: path.into(), message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_their_order_and_their_words() {
        let all = [Severity::Note, Severity::Warning, Severity::Error];
        assert!(all.is_sorted());
        assert_eq!(all.map(|severity| format!("{severity:>8}")), ["    note", " warning", "   error"]);
        assert_eq!(rule("nothing"), None);
    }
}
