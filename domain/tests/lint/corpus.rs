//! What the rules find in real definitions, against a file: a rule that changes its mind shows it here.

use domain::pipeline::{lint, parse};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test reads its fixtures; the crate reads nothing")]
fn real_definitions_are_told_what_they_were_told_before() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(tests().join("fixtures/pipelines/valid"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut told = String::new();
    let mut counts: BTreeMap<&str, usize> = lint::rules().map(|rule| (rule.id, 0)).collect();
    for file in &files {
        let json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        writeln!(told, "{}", file.file_name().unwrap().to_str().unwrap()).unwrap();
        for finding in lint::lint(&parse(&json).unwrap()) {
            *counts.entry(finding.rule.id).or_default() += 1;
            writeln!(told, "  {} {}: {}", finding.rule.id, finding.path, finding.message).unwrap();
        }
    }
    writeln!(told, "\nof {} definitions:", files.len()).unwrap();
    for (rule, count) in counts {
        writeln!(told, "  {rule}: {count}").unwrap();
    }
    let golden = tests().join("lint/corpus.txt");
    let before = std::fs::read_to_string(&golden).unwrap_or_default();
    if before != told {
        let now = std::env::temp_dir().join("towpath-lint-corpus.txt");
        std::fs::write(&now, &told).unwrap();
        panic!(
            "other findings than in `{}`: if they are right, copy `{}` there",
            golden.display(),
            now.display()
        );
    }
}
