//! Any history of appends leads to what a plain model says, answer by answer and commit by commit.

use crate::fixtures::*;
use engine::{
    log::{Appended, Batch, Commit, Log, Once},
    memory::MemoryLog,
};
use events::{StreamName, Timestamp, Version};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// One append, in terms of what stands at that moment.
#[derive(Debug, Clone)]
enum Step {
    /// Continues these streams, each from this many commits before its end.
    Append { streams: Vec<(usize, usize)>, events: usize, check: Option<(usize, u64)>, once: Option<u8> },
    /// The last batch once more.
    Again,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let behind = prop_oneof![8 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    let streams = vec((0..NAMES.len(), behind), 1..=NAMES.len());
    let check = prop::option::weighted(0.3, (0..NAMES.len(), 0..6_u64));
    let append = (streams, 1..4_usize, check, prop::option::weighted(0.3, 0..4_u8)).prop_map(
        |(mut streams, events, check, once)| {
            streams.sort_unstable();
            streams.dedup_by_key(|(stream, _)| *stream);
            Step::Append { streams, events, check, once }
        },
    );
    vec(prop_oneof![9 => append, 1 => Just(Step::Again)], 1..40)
}

#[derive(Default)]
struct Model {
    streams: BTreeMap<StreamName, Vec<Commit>>,
    once: BTreeMap<String, String>,
}

impl Model {
    fn version(&self, stream: &StreamName) -> Version {
        self.streams.get(stream).and_then(|commits| commits.last()).map_or(Version(0), Commit::last)
    }

    fn append(&mut self, batch: &Batch) -> Appended {
        let stands = |commit: &Commit| {
            self.streams.get(&commit.stream).is_some_and(|commits| commits.contains(commit))
        };
        if batch.commits.iter().all(stands) {
            return Appended::Written;
        }
        if let Some(outcome) = batch.once.as_ref().and_then(|once| self.once.get(&once.key)) {
            return Appended::Repeated { outcome: outcome.clone() };
        }
        let stale = |commit: &&Commit| self.version(&commit.stream).next() != commit.first;
        let stale = batch.commits.iter().find(stale).map(|commit| &commit.stream);
        let moved = |(stream, version): &&(StreamName, Version)| self.version(stream) != *version;
        if let Some(stream) = stale.or(batch.checks.iter().find(moved).map(|(stream, _)| stream)) {
            return Appended::Conflict { stream: stream.clone() };
        }
        for commit in &batch.commits {
            self.streams.entry(commit.stream.clone()).or_default().push(commit.clone());
        }
        self.once.extend(batch.once.iter().map(|once| (once.key.clone(), once.outcome.clone())));
        Appended::Written
    }

    fn batch(&self, step: &Step, number: usize, last: &Batch) -> Batch {
        let Step::Append { streams, events, check, once } = step else { return last.clone() };
        let command = format!("step-{number}");
        let commit = |(name, behind): &(usize, usize)| {
            let start = Tip::start(NAMES[*name]);
            let stood = self.streams.get(&start.stream).map_or(&[][..], Vec::as_slice);
            let tip = stood.iter().rev().nth(*behind).map_or(start, Tip::after);
            tip.commit(&command, vec![event("{}"); *events])
        };
        let commits = streams.iter().map(commit).collect();
        let checks = check.iter().map(|(name, version)| (stream(NAMES[*name]), Version(*version)));
        let once = once.map(|key| Once {
            key: format!("key#{key}"),
            outcome: command.clone(),
            expires: Timestamp(i64::MAX),
        });
        Batch { commits, checks: checks.collect(), once }
    }
}

/// Plays the steps, `waves` at a time without waiting in between, and compares every answer.
async fn plays_like_the_model(log: &impl Log, steps: &[Step], wave: usize) {
    let mut model = Model::default();
    let mut last = batch([]);
    for (number, wave) in steps.chunks(wave).enumerate() {
        let mut answers = Vec::new();
        for (index, step) in wave.iter().enumerate() {
            last = model.batch(step, number * 100 + index, &last);
            answers.push((model.append(&last), log.append(last.clone())));
        }
        for (expected, answer) in answers {
            assert_eq!(answer.await.unwrap(), expected);
        }
    }
    for name in NAMES {
        let expected = model.streams.remove(&stream(name)).unwrap_or_default();
        let stored = all(log, &stream(name)).await;
        engine::log::verify(&stored).unwrap();
        assert_eq!(stored, expected);
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_memory_any_history_plays_like_the_model(steps in steps(), wave in 1..8_usize) {
        block_on(async { plays_like_the_model(&MemoryLog::new(), &steps, wave).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_sqlite_any_history_plays_like_the_model(steps in steps(), wave in 1..8_usize) {
        let folder = Folder::new();
        block_on(async { plays_like_the_model(&folder.open(), &steps, wave).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_dynamo_any_history_plays_like_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            if let Some(home) = crate::dynamo::home().await {
                plays_like_the_model(&home.log(), &steps, 1).await;
            }
        });
    }
}
