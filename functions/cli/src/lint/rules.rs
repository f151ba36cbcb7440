//! The rules themselves, listed: for people, for programs, and for `docs/lint.md`.

use super::Format;
use domain::pipeline::lint::rules;
use serde_json::{Value, json};
use std::fmt::Write;

/// All rules in a format.
pub fn list(format: Format) -> anyhow::Result<String> {
    match format {
        Format::Text => Ok(text()),
        Format::Json => Ok(format!("{}\n", json())),
        Format::Md => Ok(markdown()),
        Format::Sarif => anyhow::bail!("`--list-rules` has no SARIF: use text, json or md"),
    }
}

fn text() -> String {
    let mut text = String::new();
    for rule in rules() {
        let _ = writeln!(
            text,
            "{} ({})\n  {}\n  why:  {}\n  mend: {}\n",
            rule.id, rule.severity, rule.what, rule.why, rule.mend
        );
    }
    text
}

fn json() -> Value {
    let listed: Vec<Value> = rules()
        .map(|rule| {
            json!({
                "rule": rule.id,
                "severity": rule.severity.to_string(),
                "what": rule.what,
                "why": rule.why,
                "mend": rule.mend,
            })
        })
        .collect();
    json!({ "version": 1, "rules": listed })
}

fn markdown() -> String {
    let mut text = String::from("| rule | severity | finds |\n|---|---|---|\n");
    for rule in rules() {
        let _ = writeln!(text, "| [`{0}`](#{0}) | {1} | {2} |", rule.id, rule.severity, rule.what);
    }
    for rule in rules() {
        let _ = write!(text, "\n### {}\n\n{} *Mend:* {}\n", rule.id, rule.why, rule.mend);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_the_rules_holds_them_as_they_are() {
        let page = include_str!("../../../../docs/lint.md");
        let (_, rest) = page.split_once("<!-- rules -->\n\n").expect("the page marks where the rules begin");
        let (listed, _) = rest.split_once("\n<!-- end of rules -->").expect("and where they end");
        assert!(
            listed == markdown(),
            "put what `towpath lint --list-rules --format md` prints between the marks of docs/lint.md"
        );
    }
}
