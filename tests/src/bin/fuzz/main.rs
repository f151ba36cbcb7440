//! `cargo xtask fuzz`: mangled requests by the million, on every processor.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports to a terminal")]

use std::{process::ExitCode, thread};
use tests::fuzz::{self, Report};

const USAGE: &str = "usage: fuzz CASES SEED";

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let (Some(Ok(cases)), Some(Ok(seed)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let each = usize::try_from(cases).unwrap_or(usize::MAX).div_ceil(workers);
    let runs: Vec<_> = (0..workers as u64)
        .map(|worker| thread::spawn(move || fuzz::run(seed.wrapping_add(worker), each)))
        .collect();
    let mut report = Report::default();
    for run in runs {
        match run.join() {
            Ok(part) => report.add(part),
            Err(_) => {
                eprintln!("a panic ended a worker; its message stands above");
                return ExitCode::FAILURE;
            }
        }
    }
    for (outcome, count) in &report.outcomes {
        println!("{count:>10}  {outcome}");
    }
    let operations: Vec<String> =
        report.succeeded.iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("succeeded: {}", operations.join(", "));
    let seconds = report.took.as_secs_f64();
    let rate = report.cases as f64 / seconds;
    println!("{} cases in {seconds:.1} s, {rate:.0} a second; seed {seed}", report.cases);
    if report.found_count == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} wrong:\n{}", report.found_count, report.found.join("\n"));
    ExitCode::FAILURE
}
