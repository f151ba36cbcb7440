//! `sim --seeds N [--from SEED] [--threads T]`, `sim --seed S`, `sim --faults N`, `sim --decision`: see
//! the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the simulation reports to a terminal")]

use anyhow::{Context, bail};
use domain::testing::faults::FAULTS;
use sim::{campaign, noticed, shrunk};
use std::{process::ExitCode, time::Instant};

/// Violations that are told at the end of a campaign.
const VIOLATIONS_TOLD_MAX: usize = 10;
/// Lines of a failing seed's trace that are worth reading first.
const TRACE_LINES: usize = 1_000;

#[derive(Default)]
struct Arguments {
    seeds: Option<u64>,
    from: u64,
    seed: Option<u64>,
    faults: Option<u64>,
    decision: bool,
    threads: Option<usize>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut arguments = Arguments { from: 1, ..Arguments::default() };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        if flag == "--decision" {
            arguments.decision = true;
            continue;
        }
        let value = given.next().with_context(|| format!("`{flag}` needs a number"))?;
        let number: u64 =
            value.parse().with_context(|| format!("`{flag}` needs a number, found: {value}"))?;
        match flag.as_str() {
            "--seeds" => arguments.seeds = Some(number),
            "--from" => arguments.from = number,
            "--faults" => arguments.faults = Some(number),
            "--seed" => arguments.seed = Some(number),
            "--threads" => arguments.threads = Some(usize::try_from(number)?),
            _ => bail!(
                "unknown flag `{flag}`: use --seeds N or --faults N [--from SEED] [--threads T], or --seed S"
            ),
        }
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    if arguments.decision {
        return decision();
    }
    match (arguments.seed, arguments.seeds, arguments.faults) {
        (Some(seed), None, None) => Ok(replay(seed)),
        (None, Some(seeds), None) => Ok(many(arguments, seeds)),
        (None, None, Some(seeds)) => Ok(each_fault(arguments, seeds)),
        _ => bail!("say one of --seeds N, --faults N and --seed S"),
    }
}

/// What one decision costs.
fn decision() -> anyhow::Result<bool> {
    let measured = sim::decision::measure().map_err(anyhow::Error::msg)?;
    let micros = |time: std::time::Duration| time.as_nanos() as f64 / 1000.0;
    println!(
        "a decision on a lane with 50 executions, 50 stages: median {:.1} µs, nine of ten within {:.1} µs; after {} \
         events of the lane: {:.1} µs",
        micros(measured.median),
        micros(measured.ninth_tenth),
        measured.history,
        micros(measured.after_long_history),
    );
    Ok(true)
}

/// Each fault, with the first seed that notices it.
fn each_fault(arguments: &Arguments, seeds: u64) -> bool {
    println!("| fault | seed | noticed as |\n|---|---|---|");
    let mut missed = 0;
    for fault in FAULTS {
        match noticed(*fault, arguments.from, seeds, threads(arguments)) {
            Some((seed, law)) => {
                println!("| {} | {seed} | {} |", fault.story(), law.split(':').next().unwrap_or_default());
            }
            None => {
                missed += 1;
                println!("| {} | – | not within {seeds} seeds |", fault.story());
            }
        }
    }
    println!("{} faults, {missed} not noticed", FAULTS.len());
    missed == 0
}

/// What this program has used of its processors, where the system tells: on a busy machine it says more than the clock.
fn processor_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn threads(arguments: &Arguments) -> usize {
    arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// One seed with its story; a failing one made small.
fn replay(seed: u64) -> bool {
    let (trimmed, lived) = shrunk(seed);
    let left_out = lived.trace.len().saturating_sub(TRACE_LINES);
    if left_out > 0 {
        println!("… {left_out} lines before");
    }
    lived.trace[left_out..].iter().for_each(|line| println!("{line}"));
    match lived.outcome {
        Ok(tally) => {
            println!("seed {seed} is fine: {tally:?}");
            true
        }
        Err(broken) => {
            println!("\n{broken}\n\nseed {seed} breaks a law; made small: {trimmed:?}");
            false
        }
    }
}

fn many(arguments: &Arguments, seeds: u64) -> bool {
    let threads = threads(arguments);
    let begun = Instant::now();
    let done = campaign(arguments.from, seeds, threads, usize::MAX);
    let seconds = begun.elapsed().as_secs_f64();
    for (seed, broken) in done.violations.iter().take(VIOLATIONS_TOLD_MAX) {
        let line = broken.lines().next().unwrap_or_default();
        let short: String = line.chars().take(300).collect();
        println!("seed {seed}: {short}");
    }
    let tally = done.tally;
    let each_second = |seconds: f64| tally.executions as f64 / seconds;
    let of_processor = processor_seconds()
        .map_or_else(String::new, |busy| format!(", {:.0} a second of processor time", each_second(busy)));
    println!(
        "{} executions, {} events, {} requests in {seconds:.1} s: {:.0} executions a second and thread{of_processor}; \
         story {:016x}",
        tally.executions,
        tally.events,
        tally.requests,
        each_second(seconds) / threads as f64,
        tally.story
    );
    println!("{} seeds, {} violations", done.seeds, done.violations.len());
    done.violations.is_empty()
}
