//! The home on AWS, end to end: the real template and the real functions, on an emulator on loopback.
//!
//! `cargo xtask test` runs what fits into a few minutes, `cargo xtask aws-test` everything. The tests share one
//! installation and follow each other, each with pipelines of its own; so they have a `main` of their own, which takes
//! the installation down at the end. It speaks the arguments of the usual one.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]
#![allow(clippy::print_stdout, reason = "a test harness reports to a terminal")]

mod cost;
mod deliveries;
mod faults;
mod given;
mod operators;
mod reaching;
mod whole;

use given::{Home, Need};
use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

/// A test.
struct Test {
    name: &'static str,
    run: fn(&mut Home),
    /// When it runs.
    when: When,
    needs: &'static [Need],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// With every `cargo xtask test`.
    Always,
    /// With `cargo xtask aws-test`: for the usual harness, it is ignored otherwise.
    Asked,
}

const fn test(name: &'static str, when: When, needs: &'static [Need], run: fn(&mut Home)) -> Test {
    Test { name, run, when, needs }
}

const OWN: &[Need] = &[Need::OwnEmulator];
const CALLERS: &[Need] = &[Need::Callers];
const BUILDS: &[Need] = &[Need::Builds];

const TESTS: &[Test] = &[
    test("a_push_goes_all_the_way_to_production_and_people_hear_of_it", When::Always, BUILDS, whole::a_push),
    test("a_pipeline_of_ten_actions_costs_no_more_than_it_did", When::Asked, OWN, cost::ten_actions),
    test("a_failure_and_the_recovery_are_told_in_slack", When::Asked, OWN, whole::slack),
    test("people_and_programs_reach_the_api", When::Asked, CALLERS, reaching::clients),
    test("a_pipeline_moves_in_and_back", When::Asked, CALLERS, reaching::moving),
    test("callers_may_do_what_the_table_says", When::Asked, CALLERS, operators::permissions),
    test("an_event_that_comes_twice_starts_once", When::Asked, &[], deliveries::twice),
    test("news_of_a_build_may_come_late_early_and_often", When::Asked, BUILDS, deliveries::disorder),
    test("strange_events_are_refused_and_harm_nobody", When::Asked, &[], deliveries::strange),
    test("git_hosts_are_heard_and_nobody_else", When::Asked, CALLERS, deliveries::git_hosts),
    test("a_function_dies_after_it_appended", When::Asked, OWN, faults::dies_after_append),
    test("a_function_dies_after_it_started_a_build", When::Asked, OWN, faults::dies_after_start),
    test("the_answer_to_an_append_is_lost", When::Asked, OWN, faults::lost_answer),
    test("the_tables_are_throttled", When::Asked, OWN, faults::throttled),
    test("a_provider_does_not_answer_in_time", When::Asked, OWN, faults::times_out),
    test("a_function_runs_out_of_its_time", When::Asked, OWN, faults::runs_out_of_time),
    test("a_poison_record_lands_where_an_operator_finds_it", When::Asked, &[], operators::poison),
    test("everything_goes_on_after_a_restart", When::Asked, OWN, faults::restart),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let takes_value = ["--format", "--test-threads", "--color", "--logfile", "--skip"];
    let is_value = |at: usize| at > 0 && takes_value.contains(&arguments[at - 1].as_str());
    let filters: Vec<&str> = (0..arguments.len())
        .filter(|at| !arguments[*at].starts_with('-') && !is_value(*at))
        .map(|at| arguments[at].as_str())
        .collect();
    let is_meant = |test: &&Test| {
        let fits =
            |filter: &&str| if has("--exact") { test.name == *filter } else { test.name.contains(filter) };
        filters.is_empty() || filters.iter().any(fits)
    };
    let runs = |test: &&Test| match test.when {
        When::Always => !has("--ignored"),
        When::Asked => has("--ignored") || has("--include-ignored"),
    };
    let meant: Vec<&Test> = TESTS.iter().filter(is_meant).collect();
    if has("--list") {
        // The usual harness lists ignored tests with the others, unless it is asked for those alone.
        for test in meant.iter().filter(|test| !has("--ignored") || test.when == When::Asked) {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    let (running, ignored): (Vec<&Test>, Vec<&Test>) = meant.into_iter().partition(runs);
    let failed = run(&running, ignored.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs tests one after the other, and sums up in the words of the usual harness. How many failed.
fn run(tests: &[&Test], ignored: usize) -> usize {
    println!("\nrunning {} tests", tests.len());
    let (mut passed, mut failed) = (0, 0);
    let begun = Instant::now();
    if !tests.is_empty() {
        let mut home = Home::new();
        println!("deployed ({:.1} s)", begun.elapsed().as_secs_f64());
        for test in tests {
            if let Some(why) = test.needs.iter().find_map(|need| home.lacks(*need)) {
                println!("skipped: {}: {why}", test.name);
                continue;
            }
            let begun = Instant::now();
            home.heal();
            // A test that failed leaves an installation behind that the next one can use.
            let result = catch_unwind(AssertUnwindSafe(|| (test.run)(&mut home)));
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            println!("test {} ... {word} ({:.1} s)", test.name, begun.elapsed().as_secs_f64());
            if result.is_ok() { passed += 1 } else { failed += 1 }
        }
        if failed > 0 {
            home.keep();
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out; \
         finished in {:.2}s\n",
        begun.elapsed().as_secs_f64()
    );
    failed
}
