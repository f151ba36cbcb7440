//! `cargo xtask test`: installs what the tests need, then checks and tests everything.

use crate::{aws, check, clients, tools, venv};
use anyhow::bail;
use std::{fs, path::PathBuf, process::Command, time::Instant};

/// The Python packages of the tests, with every version pinned.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// The emulator of AWS that the adapters are tested on; the same folder as for `cargo xtask aws-test`.
const EMULATOR: &str = include_str!("../requirements-emulator.txt");

/// Another emulator, of the services that carry out actions; the same folder as for `cargo xtask bench moto`.
const MOTO: &str = include_str!("../requirements-bench.txt");

/// Where an example's tests run on a copy of it, so that the clone stays as it is.
const EXAMPLE: &str = "examples/shop-api";

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Skip formatting, lints and generated code
    #[arg(long)]
    no_check: bool,
}

/// Runs everything, even after a failure, and sums up at the end.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let begun = Instant::now();
    tools::need_git_and_node()?;
    tools::need_python()?;
    tools::need_npm()?;
    let cache = tools::cache()?;
    let python = venv::make(&cache.join("venv"), REQUIREMENTS, ("aws", "--version"))?;
    let emulator = venv::make(&cache.join("emulator"), EMULATOR, ("python", "--version"))?;
    let moto = venv::make(&cache.join("bench-venv"), MOTO, ("moto_server", "--help"))?;
    let node_modules = clients::node_modules(&cache.join("javascript-client"))?;

    let mut failed = if options.no_check { Vec::new() } else { check::checks()? };
    let mut passed = Vec::new();
    if !options.no_check && failed.is_empty() {
        passed.push("checks".to_owned());
    }
    let mut installed = aws::installed()?;
    let rust = match clients::rust_client()? {
        Some(client) => {
            installed.extend([
                ("TOWPATH_TEST_PYTHON", python.join("python")),
                ("TOWPATH_TEST_MINISTACK", emulator.join("ministack")),
                ("TOWPATH_TEST_MOTO", moto.join("moto_server")),
                ("TOWPATH_TEST_NODE_MODULES", node_modules),
                ("TOWPATH_TEST_RUST_CLIENT", client),
            ]);
            rust_tests(&installed)?
        }
        None => None,
    };
    let node = node_tests()?;
    for (what, outcome) in [("Rust", rust), ("the example", node)] {
        match outcome {
            Some(count) => passed.push(format!("{count} tests of {what}")),
            None => failed.push(format!("tests of {what}")),
        }
    }
    let took = tools::readable(begun.elapsed());
    if !failed.is_empty() {
        bail!("failed: {} ({took})", failed.join("; "));
    }
    println!("\nall passed: {} ({took})", passed.join(", "));
    Ok(())
}

/// Runs every test of the workspace, with what was installed named in the environment. The number of tests, or
/// nothing when one failed.
fn rust_tests(installed: &[(&str, PathBuf)]) -> anyhow::Result<Option<u64>> {
    // Tests of the command find it beside themselves, but cargo builds only what their own package names.
    tools::step("Building `towpath`");
    if !tools::shown(&mut tools::cargo(&["build", "--locked", "--package", "cli"])?)? {
        return Ok(None);
    }
    let with_nextest = tools::cargo_has("nextest");
    tools::step(if with_nextest { "Tests in Rust (nextest)" } else { "Tests in Rust" });
    let mut tests = match with_nextest {
        true => tools::cargo(&["nextest", "run", "--locked", "--workspace", "--no-fail-fast"])?,
        false => tools::cargo(&["test", "--locked", "--workspace", "--no-fail-fast"])?,
    };
    tests.envs(installed.iter().map(|(name, path)| (*name, path)));
    let (all_good, said) = tools::watched(&mut tests)?;
    Ok(all_good.then(|| rust_count(&said)))
}

/// Tests that passed, as nextest (`Summary [ 1.2s] 34 tests run: 34 passed`) or cargo (`test result: ok. 34 passed`)
/// says it.
fn rust_count(said: &str) -> u64 {
    said.lines()
        .filter(|line| line.contains("test result: ") || line.contains("tests run: "))
        .filter_map(|line| count_before(line, "passed"))
        .sum()
}

/// Runs the example's own tests on a copy of it.
fn node_tests() -> anyhow::Result<Option<u64>> {
    tools::step("Tests of the example (node --test)");
    let copy = tools::cache()?.join(format!("example-tests-{}", std::process::id()));
    tools::copy_folder(&tools::root().join(EXAMPLE), &copy, &[".towpath", "dist", "reports", "data"])?;
    let node = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.args(arguments).current_dir(&copy);
        command
    };
    // The runner calls `node --test` with every file by name: a folder means something else in each Node.
    let (all_good, said) = match tools::shown(&mut node(&["tools/build.js"]))? {
        true => tools::watched(&mut node(&["tools/test.js", "test", "--bundle", "dist"]))?,
        false => (false, String::new()),
    };
    fs::remove_dir_all(&copy)?;
    // `ℹ pass 50`
    let passed = said.lines().find_map(|line| line.split_once("pass ")?.1.trim().parse().ok());
    Ok(all_good.then_some(passed.unwrap_or(0)))
}

fn count_before(line: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> =
        line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|found| *found == word)?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_as_nextest_and_as_cargo_say_it() {
        assert_eq!(rust_count("     Summary [  12.3s] 434 tests run: 434 passed (2 slow), 1 skipped"), 434);
        let cargo =
            "test result: ok. 12 passed; 0 failed; 1 ignored\n\ntest result: ok. 30 passed; 0 failed\n";
        assert_eq!(rust_count(cargo), 42);
    }
}
