//! `cargo xtask bench`: builds the release binary and what measures it, and prints the table of
//! `docs/benchmarks.md`.

use crate::tools;
use clap::Parser;
use std::process::Command;

/// Measure speed, memory and size, and print a table
///
/// Takes some two minutes once everything is built. Close what else keeps the machine busy: the numbers are of this
/// machine, now.
#[derive(Parser)]
pub(crate) struct Options {
    /// Parts to measure; all of them without
    #[arg(value_name = "PART", value_parser = ["actions", "server", "history"])]
    parts: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // Two calls: together, features that only the measuring needs would get into the binary.
    for what in [["--package", "cli", "--bin", "towpath"], ["--package", "tests", "--bin", "bench"]] {
        let arguments = [&["build", "--quiet", "--release"], what.as_slice()].concat();
        anyhow::ensure!(tools::shown(&mut tools::cargo(&arguments)?)?, "`{}` does not build", what[3]);
    }
    let release = tools::target()?.join("release");
    println!("Measuring; this takes some two minutes …");
    let mut bench = Command::new(release.join("bench"));
    bench.arg(release.join("towpath")).args(&options.parts);
    anyhow::ensure!(tools::shown(&mut bench)?, "the measuring broke off; see above");
    Ok(())
}
