//! Hints about valid definitions: each rule with a definition that has its problem and one that has it not; real
//! definitions; and what holds for any definition.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod corpus;
mod deliveries;
mod laws;
mod pace;
mod parts;
mod providers;
mod reach;
mod references;
mod settings;
mod triggers;

use domain::catalogue::Registry;
use domain::pipeline::{Setting, check_all, lint, normalize, parse};
use events::PipelineVersion;
use serde_json::Value;

/// The paths at which a rule finds something in a definition that is legal.
#[track_caller]
fn found(rule: &str, declaration: &Value) -> Vec<String> {
    legal(declaration);
    assert!(lint::rule(rule).is_some(), "there is no rule `{rule}`");
    let findings = lint::lint(&parse(declaration).unwrap());
    findings.into_iter().filter(|finding| finding.rule.id == rule).map(|finding| finding.path).collect()
}

#[track_caller]
fn legal(declaration: &Value) {
    let mut definition = parse(declaration).unwrap();
    let registry = Registry::builtin();
    normalize(&mut definition, PipelineVersion(1), None, &registry);
    let setting = Setting { registry: &registry, region: "us-east-1", account: "123456789012" };
    assert_eq!(check_all(&definition, &setting), [], "the definition is not legal");
}

/// What a rule says about a definition that is legal: places and sentences, a line each.
#[track_caller]
fn said(rule: &str, declaration: &Value) -> Vec<String> {
    legal(declaration);
    said_of_any(rule, declaration)
}

/// The same of a definition that the service would refuse.
#[track_caller]
fn said_of_any(rule: &str, declaration: &Value) -> Vec<String> {
    assert!(lint::rule(rule).is_some(), "there is no rule `{rule}`");
    let findings = lint::lint(&parse(declaration).unwrap()).into_iter();
    let of_rule = findings.filter(|finding| finding.rule.id == rule);
    of_rule.map(|finding| format!("{}: {}", finding.path, finding.message)).collect()
}

/// What is said there.
fn message(rule: &str, declaration: &Value) -> String {
    let findings = lint::lint(&parse(declaration).unwrap());
    findings.into_iter().find(|finding| finding.rule.id == rule).unwrap().message
}
