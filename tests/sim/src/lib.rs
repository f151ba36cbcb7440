//! Seeded simulation of the house: real handlers and the real engine, on one thread, over a log and a clock that are
//! made up; people, workers, providers and messages that do as they like; and laws that hold all the same.
//!
//! `cargo xtask sim --seeds 10000` lives through many seeds, `cargo xtask sim --seed 17` through one and tells its
//! story. Nothing here depends on anything but the seed, so the same seed lives through the same story every time.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

mod bus;
pub mod decision;
pub mod definitions;
mod ending;
mod home;
mod laws;
mod log;
mod observer;
mod panics;
mod people;
pub mod plan;
mod prng;
mod provider;
mod shared;
mod shrink;
mod world;

pub use shrink::shrunk;
pub use world::Tally;

use domain::testing::faults::{self, Fault};
use mimalloc::MiMalloc;
use plan::{Plan, Trimmed};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// A third of the time went into an allocator that shares and gives back. Worlds live on one thread and are short.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How a seed went.
pub struct Lived {
    /// The seed.
    pub seed: u64,
    /// How much it exercised, or which law was broken.
    pub outcome: Result<Tally, String>,
    /// What happened, a line each; empty unless it was asked for.
    pub trace: Vec<String>,
}

/// Lives through one seed, on this thread.
pub fn live(seed: u64, trimmed: &Trimmed, tracing: bool) -> Lived {
    let plan = Plan::new(seed, trimmed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Lived { seed, outcome: Err(error.to_string()), trace: Vec::new() },
    };
    drop(panics::take());
    let (outcome, trace) = runtime.block_on(world::live(plan, tracing));
    Lived { seed, outcome, trace }
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Campaign {
    /// Seeds lived through.
    pub seeds: u64,
    /// What they exercised.
    pub tally: Tally,
    /// Seeds that broke a law, each with it, in their order.
    pub violations: Vec<(u64, String)>,
}

/// Lives through seeds `from..from + seeds` on so many threads; ends early after `most` violations.
pub fn campaign(from: u64, seeds: u64, threads: usize, most: usize) -> Campaign {
    campaign_with(from, seeds, threads, most, &|| ())
}

/// The same, where each thread first prepares itself.
pub fn campaign_with(
    from: u64,
    seeds: u64,
    threads: usize,
    most: usize,
    prepare: &(dyn Fn() + Sync),
) -> Campaign {
    panics::keep();
    let total = Mutex::new(Campaign::default());
    let next = AtomicU64::new(from);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..threads.max(1) {
            let share = || {
                prepare();
                while !enough.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(seeds) {
                        return;
                    }
                    let lived = live(seed, &Trimmed::default(), false);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.add(lived);
                    enough.fetch_or(total.violations.len() >= most, Ordering::Relaxed);
                }
            };
            let named = thread::Builder::new().name(format!("{}{number}", panics::THREAD));
            if let Err(error) = named.spawn_scoped(scope, share) {
                panic!("a thread cannot be started: {error}");
            }
        }
    });
    let mut total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.violations.sort();
    total
}

impl Campaign {
    fn add(&mut self, lived: Lived) {
        self.seeds += 1;
        match lived.outcome {
            Ok(tally) => {
                self.tally.executions += tally.executions;
                self.tally.events += tally.events;
                self.tally.requests += tally.requests;
                // In whatever order they end.
                self.tally.story =
                    self.tally.story.wrapping_add(tally.story.wrapping_mul(2 * lived.seed + 1));
            }
            Err(broken) => self.violations.push((lived.seed, broken)),
        }
    }
}

/// The first seed, of so many, that breaks a law when the house has this fault, with the law. Several threads look;
/// the answer is the same however many they are.
pub fn noticed(fault: Fault, from: u64, seeds: u64, threads: usize) -> Option<(u64, String)> {
    let done = campaign_with(from, seeds, threads, 1, &|| faults::set(Some(fault)));
    done.violations.into_iter().next()
}

/// The story of a seed, told on a thread of its own so that its panics are kept.
pub fn told(seed: u64, trimmed: &Trimmed) -> Lived {
    panics::keep();
    let trimmed = trimmed.clone();
    let fault = faults::active();
    let named = thread::Builder::new().name(format!("{}told", panics::THREAD));
    let lived = move || {
        faults::set(fault);
        live(seed, &trimmed, true)
    };
    let thread = match named.spawn(lived) {
        Ok(thread) => thread,
        Err(error) => panic!("a thread cannot be started: {error}"),
    };
    match thread.join() {
        Ok(lived) => lived,
        Err(_) => {
            Lived { seed, outcome: Err("it panicked outside of its tasks".to_owned()), trace: Vec::new() }
        }
    }
}
