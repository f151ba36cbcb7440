//! Requests that nobody would send, by the thousand or by the million: made from the service model, mangled at every
//! level, and answered by the same code that serves the socket, over a world in memory.
//!
//! Of each answer is demanded: no panic; no status from 500 up; a shape and an exception that the operation declares;
//! and after an error a world in which nothing was written.

mod bodies;
mod inputs;
mod requests;
mod world;

use crate::{client::Answer, conforming, random::Random};
use bytes::Bytes;
use http::Request;
use std::{
    collections::BTreeMap,
    panic,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use world::World;

/// Cases after which a world is thrown away: its log grows with each case that succeeds.
const WORLD_CASES: usize = 2_000;
/// Findings that are told; the rest are counted.
const FOUND_MAX: usize = 20;
/// Findings of one kind that are told, so that a frequent one does not hide the others.
const FOUND_OF_A_KIND_MAX: usize = 2;
/// Characters by which kinds are told apart, together with the operation.
const KIND_CHARS: usize = 40;
/// Characters of a request that a finding shows.
const SHOWN_CHARS: usize = 1_000;

/// What a run of the fuzzer saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests that were answered.
    pub cases: usize,
    /// How they were answered: `200`, or the exception's name.
    pub outcomes: BTreeMap<String, usize>,
    /// Operations that succeeded at least once, with how often.
    pub succeeded: BTreeMap<String, usize>,
    /// What must not be: the case's number, what is wrong, the request.
    pub found: Vec<String>,
    /// How many such cases there are.
    pub found_count: usize,
    kinds: BTreeMap<String, usize>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.found_count += other.found_count;
        self.found.extend(other.found);
        self.took = self.took.max(other.took);
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for (operation, count) in other.succeeded {
            *self.succeeded.entry(operation).or_default() += count;
        }
    }

    fn find(&mut self, case: usize, what: &str, request: &Request<Bytes>) {
        self.found_count += 1;
        let target = request.headers().get("x-amz-target");
        let kind: String = what.chars().take(KIND_CHARS).collect();
        let of_this_kind = self.kinds.entry(format!("{target:?} {kind}")).or_default();
        *of_this_kind += 1;
        if self.found.len() < FOUND_MAX && *of_this_kind <= FOUND_OF_A_KIND_MAX {
            let body: String = String::from_utf8_lossy(request.body()).chars().take(SHOWN_CHARS).collect();
            self.found.push(format!("case {case}: {what}\n  {target:?}\n  {body}"));
        }
    }
}

/// Panics anywhere in the process: those of spawned work reach nobody else.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Sends so many requests. The same seed makes the same requests.
pub fn run(seed: u64, cases: usize) -> Report {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
    let begun = Instant::now();
    let mut report = Report::default();
    let mut random = Random::new(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    while report.cases < cases {
        let part = WORLD_CASES.min(cases - report.cases);
        runtime.block_on(in_one_world(&mut report, &mut random, part));
    }
    report.took = begun.elapsed();
    report
}

async fn in_one_world(report: &mut Report, random: &mut Random, cases: usize) {
    let mut world = World::new(random.next()).await;
    for _ in 0..cases {
        let case = report.cases;
        report.cases += 1;
        let input = inputs::any(random, world.pool());
        let request = requests::any(random, input, world.now());
        let before = world.written();
        let panics = PANICS.load(Ordering::SeqCst);
        let (sent, request) = request;
        let response = world.answer(&request).await;
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())
                })
                .collect(),
            body: response.into_body().to_vec(),
        };
        let outcome = if answer.status == 200 { "200".to_owned() } else { answer.refusal().code };
        if answer.status >= 500 {
            report.find(case, &format!("status {}: {:?}", answer.status, answer.refusal()), &request);
        }
        if answer.status != 200 && world.written() != before {
            report.find(case, &format!("{outcome}, yet something was written"), &request);
        }
        if answer.status == 200 && !sent.is_authentic {
            report.find(case, "answered, although its signature is not good", &request);
        }
        for problem in conforming::problems(&sent.operation, &answer) {
            let body: String = String::from_utf8_lossy(&answer.body).chars().take(SHOWN_CHARS).collect();
            report.find(case, &format!("{problem}: {body}"), &request);
        }
        world.settle().await;
        if PANICS.load(Ordering::SeqCst) != panics {
            report.find(case, "a panic", &request);
        }
        if answer.status == 200 {
            *report.succeeded.entry(sent.operation).or_default() += 1;
            world.learn(&answer);
        }
        *report.outcomes.entry(outcome).or_default() += 1;
    }
}
