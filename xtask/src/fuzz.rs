//! `cargo xtask fuzz`: mangled requests by the million, through the code that serves them.

use crate::tools;
use clap::Parser;
use std::process::Command;

/// Send mangled requests through the code that serves them, and look for what must not be
///
/// No panic, no status from 500 up, no answer that the service model does not allow, and after an error nothing
/// written. The same seed and processors make the same requests.
#[derive(Parser)]
pub(crate) struct Options {
    /// How many
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,

    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let arguments = ["build", "--quiet", "--release", "--package", "tests", "--bin", "fuzz"];
    anyhow::ensure!(tools::shown(&mut tools::cargo(&arguments)?)?, "`fuzz` does not build");
    let mut fuzz = Command::new(tools::target()?.join("release/fuzz"));
    fuzz.args([options.cases.to_string(), options.seed.to_string()]);
    anyhow::ensure!(tools::shown(&mut fuzz)?, "something is wrong; see above");
    Ok(())
}
