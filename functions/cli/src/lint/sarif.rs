//! SARIF 2.1.0, which code scanning reads (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).

use super::Linted;
use super::reading::Problem;
use domain::pipeline::lint::{Severity, rules};
use serde_json::{Value, json};
use std::{fmt::Write, path::Path};

/// One run over all files.
pub fn sarif(linted: &[Linted]) -> Value {
    let mut ids: Vec<&str> = rules().map(|rule| rule.id).collect();
    let mut descriptions: Vec<Value> = rules()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.what },
                "fullDescription": { "text": rule.why },
                "help": { "text": rule.mend },
                "defaultConfiguration": { "level": rule.severity.to_string() },
            })
        })
        .collect();
    let problems = || linted.iter().flat_map(|file| file.problems.iter().map(move |problem| (file, problem)));
    // Exceptions of the API are rules too, those that were met.
    for (_, problem) in problems() {
        if !ids.contains(&problem.rule.as_str()) {
            ids.push(&problem.rule);
            descriptions.push(json!({
                "id": problem.rule,
                "shortDescription": { "text": "what makes a definition illegal" },
                "defaultConfiguration": { "level": Severity::Error.to_string() },
            }));
        }
    }
    let results: Vec<Value> = problems().map(|(file, problem)| result(file, problem, &ids)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "towpath",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": descriptions,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(file: &Linted, problem: &Problem, ids: &[&str]) -> Value {
    let mend = problem.mend.as_ref().map(|mend| format!("\n{mend}")).unwrap_or_default();
    json!({
        "ruleId": problem.rule,
        "ruleIndex": ids.iter().position(|id| *id == problem.rule),
        "level": problem.severity.to_string(),
        "message": { "text": format!("{}{mend}", problem.message) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&file.path) },
                "region": { "startLine": problem.position.line, "startColumn": problem.position.column },
            },
            "logicalLocations": [{ "fullyQualifiedName": format!("pipeline.{}", problem.path).trim_end_matches('.') }],
        }],
    })
}

/// A path as a URI: relative as it was given, else `file:`.
fn uri(path: &Path) -> String {
    let shown = path.to_string_lossy();
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "" });
    for byte in shown.strip_prefix("./").unwrap_or(&shown).bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri(Path::new("./a b/ü#1.json")), "a%20b/%C3%BC%231.json");
        assert_eq!(uri(Path::new("/etc/p.json")), "file:///etc/p.json");
    }
}
