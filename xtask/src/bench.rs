//! `cargo xtask bench`: builds the release binary and what measures it, and prints the table of
//! `docs/benchmarks.md`.

use crate::{tools, venv};
use clap::Parser;
use std::{path::PathBuf, process::Command};

/// The Python packages of the part `moto`, with every version pinned.
const REQUIREMENTS: &str = include_str!("../requirements-bench.txt");

/// Measure speed, memory and size, and print a table
///
/// Takes some five minutes once everything is built. Close what else keeps the machine busy: the numbers are of this
/// machine, now.
#[derive(Parser)]
pub(crate) struct Options {
    /// Parts to measure; all of them without
    #[arg(value_name = "PART", value_parser = ["actions", "server", "history", "requests", "moto"])]
    parts: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // Two calls: together, features that only the measuring needs would get into the binary.
    for what in [["--package", "cli", "--bin", "towpath"], ["--package", "tests", "--bin", "bench"]] {
        let arguments = [&["build", "--quiet", "--release"], what.as_slice()].concat();
        anyhow::ensure!(tools::shown(&mut tools::cargo(&arguments)?)?, "`{}` does not build", what[3]);
    }
    let release = tools::target()?.join("release");
    println!("Measuring; this takes some five minutes …");
    let mut bench = Command::new(release.join("bench"));
    bench.arg(release.join("towpath")).args(&options.parts);
    if options.parts.is_empty() || options.parts.iter().any(|part| part == "moto") {
        bench.env("TOWPATH_BENCH_MOTO", moto()?);
    }
    anyhow::ensure!(tools::shown(&mut bench)?, "the measuring broke off; see above");
    Ok(())
}

/// moto's server, installed for this alone.
fn moto() -> anyhow::Result<PathBuf> {
    tools::need_python()?;
    let programs = venv::make(&tools::cache()?.join("bench-venv"), REQUIREMENTS, ("moto_server", "--help"))?;
    Ok(programs.join("moto_server"))
}
