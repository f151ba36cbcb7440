//! What was found, for people and for programs.

use super::Linted;
use super::reading::Problem;
use domain::pipeline::lint::Severity;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

/// Columns that explanations fill, most.
const WIDTH: usize = 100;

/// How many of each kind.
#[derive(Default)]
struct Counts {
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Counts {
    fn of<'a>(problems: impl Iterator<Item = &'a Problem>) -> Self {
        let mut counts = Self::default();
        for problem in problems {
            match problem.severity {
                Severity::Error => counts.errors += 1,
                Severity::Warning => counts.warnings += 1,
                Severity::Note => counts.notes += 1,
            }
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
            .collect();
        f.write_str(if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }.as_str())
    }
}

/// Findings by file; each rule is explained once, at the end.
pub fn text(linted: &[Linted]) -> String {
    let mut text = String::new();
    for file in linted {
        write_file(&mut text, file);
    }
    let mut explained: BTreeSet<&str> = BTreeSet::new();
    for problem in linted.iter().flat_map(|file| &file.problems) {
        if let (Some(why), Some(mend), true) = (problem.why, &problem.mend, explained.insert(&problem.rule)) {
            let _ = writeln!(text, "{}", problem.rule);
            write_wrapped(&mut text, "  why:  ", why);
            write_wrapped(&mut text, "  mend: ", mend);
            text.push('\n');
        }
    }
    let counts = Counts::of(linted.iter().flat_map(|file| &file.problems));
    let files = if linted.len() == 1 { "1 file".to_owned() } else { format!("{} files", linted.len()) };
    let _ = writeln!(text, "{files}: {counts}");
    text
}

fn write_file(text: &mut String, file: &Linted) {
    if file.problems.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", file.path.display());
    for problem in &file.problems {
        let place = format!("{}:{}", problem.position.line, problem.position.column);
        let colour = match problem.severity {
            Severity::Error => "\u{1b}[31m",
            Severity::Warning => "\u{1b}[33m",
            Severity::Note => "\u{1b}[36m",
        };
        let _ = writeln!(text, "  {place:>7}  {colour}{:<7}\u{1b}[0m  {}", problem.severity, problem.rule);
        for line in problem.message.lines() {
            write_wrapped(text, "           ", line);
        }
        if !problem.path.is_empty() {
            let _ = writeln!(text, "           at {}", printable(&problem.path));
        }
        if let (None, Some(hint)) = (problem.why, &problem.mend) {
            write_wrapped(text, "           mend: ", hint);
        }
    }
    text.push('\n');
}

/// A sentence after a heading, in lines of [`WIDTH`], the later ones indented as far.
fn write_wrapped(text: &mut String, heading: &str, sentence: &str) {
    let mut line = heading.to_owned();
    let mut fresh = true;
    let sentence = printable(sentence);
    for word in sentence.split_whitespace() {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(heading.len());
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    let _ = writeln!(text, "{line}");
}

/// What a file holds must not steer the terminal it is shown on.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The format that `docs/lint.md` promises.
pub fn json(linted: &[Linted]) -> Value {
    let files: Vec<Value> = linted
        .iter()
        .map(|file| {
            json!({
                "path": file.path.display().to_string(),
                "pipeline": file.pipeline,
                "legal": file.legal,
                "findings": file.problems.iter().map(finding).collect::<Vec<_>>(),
            })
        })
        .collect();
    let counts = Counts::of(linted.iter().flat_map(|file| &file.problems));
    json!({
        "version": 1,
        "files": files,
        "errors": counts.errors,
        "warnings": counts.warnings,
        "notes": counts.notes,
    })
}

fn finding(problem: &Problem) -> Value {
    json!({
        "rule": problem.rule,
        "severity": problem.severity.to_string(),
        "path": problem.path,
        "line": problem.position.line,
        "column": problem.position.column,
        "message": problem.message,
        "why": problem.why,
        "mend": problem.mend,
    })
}
