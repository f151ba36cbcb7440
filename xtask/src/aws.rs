//! `cargo xtask aws-up` and `aws-test`: the home on AWS without AWS. The real template is deployed to an emulator on
//! loopback, with the real functions, which really run.

use crate::{functions, tools, venv};
use anyhow::{bail, ensure};
use std::{path::PathBuf, process::Command, time::Instant};

/// The emulator's Python packages, with every version pinned.
const REQUIREMENTS: &str = include_str!("../requirements-emulator.txt");
/// Those of the `aws` command, which deploys: the same as for the other tests.
const TOOLS: &str = include_str!("../requirements.txt");
/// LocalStack's. They are too many for whoever did not ask for them.
const LOCALSTACK: &str = include_str!("../requirements-localstack.txt");

/// Where to leave the emulator running.
#[derive(clap::Args)]
pub(crate) struct UpOptions {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 4570)]
    port: u16,
}

/// What to test on.
#[derive(clap::Args)]
pub(crate) struct TestOptions {
    /// Test on what answers at this address (LocalStack, say) in place of an emulator of our own; once: pipelines stay
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Test the adapters for S3, EventBridge, SNS and secrets on LocalStack without Docker, installed for it (500 MB)
    #[arg(long, conflicts_with = "endpoint")]
    localstack: bool,
    /// Only tests whose name contains this; with `--localstack`, begins with this
    #[arg(value_name = "NAME")]
    filter: Option<String>,
}

/// What the tests on the emulator need, named as they look for it.
pub(crate) fn installed() -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    tools::need_python()?;
    let cache = tools::cache()?;
    let emulator = venv::make(&cache.join("emulator"), REQUIREMENTS, ("python", "--version"))?;
    let aws = venv::make(&cache.join("venv"), TOOLS, ("aws", "--version"))?;
    Ok(vec![
        ("TOWPATH_TEST_EMULATOR", emulator.join("python")),
        ("TOWPATH_TEST_AWS", aws.join("aws")),
        ("TOWPATH_TEST_FUNCTIONS", functions::for_emulator()?),
    ])
}

/// Starts the emulator, deploys, says where everything is, and leaves it running.
pub(crate) fn up(options: &UpOptions) -> anyhow::Result<()> {
    let installed = installed()?;
    let port = options.port.to_string();
    let mut up =
        tools::cargo(&["run", "--locked", "--quiet", "--package", "tests", "--bin", "aws-up", "--", &port])?;
    if !tools::shown(up.envs(installed))? {
        bail!("the emulator is not up");
    }
    Ok(())
}

/// Runs every test of `tests/aws`, also those that `cargo xtask test` leaves out; or those of the adapters on LocalStack.
pub(crate) fn test(options: &TestOptions) -> anyhow::Result<()> {
    match options.localstack {
        true => adapters(options),
        false => whole(options),
    }
}

fn whole(options: &TestOptions) -> anyhow::Result<()> {
    let begun = Instant::now();
    let installed = installed()?;
    // Tests call it beside themselves, but cargo builds only what their own package names.
    tools::step("Building `towpath`");
    if !tools::shown(&mut tools::cargo(&["build", "--locked", "--package", "cli"])?)? {
        bail!("`towpath` does not build");
    }
    tools::step("Tests of the home on AWS");
    let mut test = tools::cargo(&["test", "--locked", "--package", "tests", "--test", "aws", "--"])?;
    // One after the other: they share an emulator, and some take it down.
    test.args(["--include-ignored", "--nocapture", "--test-threads", "1"])
        .args(&options.filter)
        .envs(installed);
    if let Some(endpoint) = &options.endpoint {
        test.env("TOWPATH_TEST_ENDPOINT", endpoint);
    }
    let (_, said) = tools::watched(&mut test)?;
    sum_up(&said, "home on AWS", begun)
}

/// The tests start LocalStack themselves, in host mode on a free port of 127.0.0.1; it ends with their process.
fn adapters(options: &TestOptions) -> anyhow::Result<()> {
    let begun = Instant::now();
    tools::need_python()?;
    let version =
        tools::quiet(Command::new("python3").args(["-c", "import sys; print(sys.version_info >= (3, 11))"]))?;
    ensure!(version == "True", "LocalStack needs Python 3.11 or newer, and `python3` is older");
    let localstack = venv::make(&tools::cache()?.join("localstack"), LOCALSTACK, ("python", "--version"))?;
    tools::step("Tests of the adapters on LocalStack");
    let mut test = tools::cargo(&["test", "--locked", "--package", "tests", "--test", "adapters", "--"])?;
    test.arg(format!("on_localstack::{}", options.filter.as_deref().unwrap_or_default()));
    test.env("TOWPATH_TEST_LOCALSTACK", localstack.join("python"));
    let (_, said) = tools::watched(&mut test)?;
    sum_up(&said, "adapters on LocalStack", begun)
}

/// Says how many tests passed and failed, last of all.
fn sum_up(said: &str, of: &str, begun: Instant) -> anyhow::Result<()> {
    let Some(Counts { passed, failed, skipped }) = counts(said) else {
        bail!("the tests did not come to their end");
    };
    println!("({})", tools::readable(begun.elapsed()));
    match skipped {
        0 => println!("{passed} passed, {failed} failed"),
        _ => println!("{passed} passed, {failed} failed, {skipped} skipped"),
    }
    ensure!(failed == 0, "{failed} tests of the {of} failed");
    ensure!(passed + skipped > 0, "no test of the {of} has such a name");
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Reads `test result: ok. 5 passed; 0 failed; …`. A test that finds its endpoint unable says `skipped: <name>: <why>` and
/// returns, which cargo takes for a pass.
fn counts(said: &str) -> Option<Counts> {
    let result = said.lines().find(|line| line.contains("test result: "))?;
    let number = |word: &str| {
        let (before, _) = result.split_once(&format!(" {word};"))?;
        before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let skipped = u64::try_from(said.matches("skipped: ").count()).unwrap_or(u64::MAX);
    Some(Counts { passed: number("passed")?.saturating_sub(skipped), failed: number("failed")?, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_has_not_passed() {
        let said = "skipped: meter: not on this endpoint\n\ntest result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(counts(said), Some(Counts { passed: 4, failed: 2, skipped: 1 }));
        assert_eq!(counts("error: could not compile"), None);
    }
}
