//! `cargo xtask check`: what a machine can check without running the product.

use crate::{codegen, tools, venv};
use anyhow::bail;
use std::process::Command;

/// What reads the template, with every version pinned.
const LINT: &str = include_str!("../requirements-lint.txt");

/// Runs all checks, house rules included.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut failed = checks()?;
    tools::step("House rules (tests/tidy.rs)");
    if !tools::shown(&mut tools::cargo(&[
        "test",
        "--locked",
        "--quiet",
        "--package",
        "tests",
        "--test",
        "tidy",
    ])?)? {
        failed.push("house rules".to_owned());
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join("; "));
    }
    println!("\nall checks passed");
    Ok(())
}

/// Everything but the house rules, which are tests and run with them. Returns what failed, with what to do.
pub(crate) fn checks() -> anyhow::Result<Vec<String>> {
    let mut failed = Vec::new();

    tools::step("Formatting");
    if !tools::shown(&mut tools::cargo(&["fmt", "--all", "--check"])?)? {
        failed.push("formatting (run `cargo fmt --all`)".to_owned());
    }

    tools::step("Generated code");
    if let Err(error) = codegen::run(&codegen::Options { check: true }) {
        failed.push(format!("generated code ({error:#})"));
    }

    tools::step("Lints");
    let lints = ["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    if !tools::shown(&mut tools::cargo(&lints)?)? {
        failed.push("lints".to_owned());
    }

    tools::step("Template (cfn-lint)");
    tools::need_python()?;
    let programs = venv::make(&tools::cache()?.join("lint"), LINT, ("cfn-lint", "--version"))?;
    let mut lint = Command::new(programs.join("cfn-lint"));
    if !tools::shown(lint.arg("template.yaml").current_dir(tools::root()))? {
        failed.push("template.yaml".to_owned());
    }

    // Advisories are left out: they need the network and change without the code.
    if tools::cargo_has("deny") {
        tools::step("Dependency policy (deny.toml)");
        let policy = ["deny", "--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
        if !tools::shown(&mut tools::cargo(&policy)?)? {
            failed.push("dependency policy".to_owned());
        }
    }
    Ok(failed)
}
