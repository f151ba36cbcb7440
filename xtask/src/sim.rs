//! `cargo xtask sim`: whole worlds made of a seed each, lived through by the real engine and the real handlers.

use crate::tools;
use clap::Parser;
use std::process::Command;

/// Live through simulated worlds, and hold every step against the laws
///
/// Each seed makes a world: a clock, a log and messages that misbehave, people, providers, processes that die. The same
/// seed always lives through the same story. Ends with a line `N seeds, M violations`.
#[derive(Parser)]
pub(crate) struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,

    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,

    /// One seed, with its story; of one that breaks a law, the smallest that was found
    #[arg(long, conflicts_with_all = ["seeds", "from", "faults"])]
    seed: Option<u64>,

    /// Seeds lived through at the same time; as many as there are processors unless given
    #[arg(long)]
    threads: Option<u64>,

    /// Break the house on purpose, one fault after the other, and say which seed notices each
    #[arg(long)]
    faults: bool,

    /// Measure what one decision costs instead
    #[arg(long, conflicts_with_all = ["seeds", "from", "seed", "faults"])]
    decision: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let arguments = ["build", "--quiet", "--profile", "sim", "--package", "sim", "--bin", "sim"];
    anyhow::ensure!(tools::shown(&mut tools::cargo(&arguments)?)?, "the simulation does not build");
    let mut simulation = Command::new(tools::target()?.join("sim/sim"));
    match options.seed {
        _ if options.decision => drop(simulation.arg("--decision")),
        Some(seed) => drop(simulation.args(["--seed", &seed.to_string()])),
        None => {
            let (seeds, from) = (options.seeds.to_string(), options.from.to_string());
            simulation.args([if options.faults { "--faults" } else { "--seeds" }, &seeds, "--from", &from]);
        }
    }
    if let Some(threads) = options.threads {
        simulation.args(["--threads", &threads.to_string()]);
    }
    anyhow::ensure!(tools::shown(&mut simulation)?, "a law was broken; see above");
    Ok(())
}
