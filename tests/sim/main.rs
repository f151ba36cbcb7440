//! Seeded simulation of the core: several pipelines, people who do as they like, providers and messages that do not
//! behave, and laws that hold all the same.
//!
//! `cargo test -p tests --test sim` lives through [`SEEDS`] seeds; `SEEDS=20000` through more; `SEED=17` through one
//! and prints what happened (`-- --nocapture` shows it even when all is well).

#![allow(unreachable_pub, reason = "a test has no public face")]
#![allow(clippy::print_stdout, reason = "a replayed seed tells its story")]

mod check;
mod log;
mod prng;
mod subject;
mod users;
mod world;

use std::{
    panic::{self, AssertUnwindSafe},
    thread,
};
use subject::Core;
use world::{Tally, World};

/// Seeds of an ordinary run.
const SEEDS: u64 = 500;
/// Lines of a failing seed's trace that are worth reading first.
const TRACE_LINES: usize = 80;

/// Lives through one seed. The error says which law was broken, and what had happened.
fn live(seed: u64, tracing: bool) -> Result<(Tally, Vec<String>), String> {
    let mut world = World::new(seed, Core::default(), tracing);
    let lived = panic::catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("it panicked: {}", text.unwrap_or_default()))
    });
    let trace = world.trace();
    match lived {
        Ok(tally) => Ok((tally, trace.to_vec())),
        Err(broken) => {
            let last = trace[trace.len().saturating_sub(TRACE_LINES)..].join("\n");
            Err(format!("{last}\n\n{broken}"))
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_the_laws_and_comes_to_rest() {
    if let Some(seed) = number("SEED") {
        match live(seed, true) {
            Ok((tally, trace)) => println!("{}\nseed {seed} is fine: {tally:?}", trace.join("\n")),
            Err(broken) => panic!("seed {seed}:\n{broken}"),
        }
        return;
    }
    let total = number("SEEDS").unwrap_or(SEEDS);
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    thread::scope(|scope| {
        let shares: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || live_all((worker..total).step_by(workers as usize))))
            .collect();
        for share in shares {
            if let Err(seed) = share.join().expect("a share catches what panics in it") {
                let story = live(seed, true).err().unwrap_or_else(|| "it did not fail again".to_owned());
                panic!("{story}\n\nseed {seed} fails; again: SEED={seed} cargo test -p tests --test sim");
            }
        }
    });
}

/// Lives through some seeds; the error is the first that fails.
fn live_all(seeds: impl Iterator<Item = u64>) -> Result<(), u64> {
    let mut total = Tally::default();
    for seed in seeds {
        let (tally, _) = live(seed, false).map_err(|_| seed)?;
        total.runs += tally.runs;
        total.events += tally.events;
    }
    println!("{} runs, {} events", total.runs, total.events);
    Ok(())
}

#[test]
fn a_seed_lives_through_the_same_story_every_time() {
    for seed in [1, 2, 3] {
        let stories = [live(seed, true), live(seed, true)].map(|lived| lived.map(|(_, trace)| trace));
        assert_eq!(stories[0], stories[1], "seed {seed}");
    }
}
