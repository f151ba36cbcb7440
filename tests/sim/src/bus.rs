//! The world that is told of changes of state: a bus that may not answer, or answer after it has taken some of what it
//! was given; and marks of how far it was told. Whatever was written must have arrived at least once when all is over,
//! and for each run the first arrivals come in the order of its events.

use crate::{
    observer::Observer,
    plan::Trouble,
    shared::{Die, Life, Shared},
};
use domain::state_change::{Course, Happened, Surroundings, tell};
use engine::{
    log::Commit,
    memory::outward::MemoryMarks,
    ports::{Bus, BusEvent, Mark, Marks, MarksError, OutwardError, TopicMessage, Topics},
};
use events::{ExecutionEvent, ExecutionId, StreamKind, Timestamp, Version};
use handlers::publish::{Outlets, SOURCE_ON_AWS, Telling};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What has arrived, and how far was told.
#[derive(Default)]
pub struct Heard {
    /// By run, in the order of first arrivals.
    arrived: BTreeMap<String, Vec<String>>,
    known: BTreeSet<String>,
}

impl Heard {
    fn take(&mut self, event: &BusEvent) {
        if !self.known.insert(event.id.clone()) {
            return;
        }
        #[derive(Default, serde::Deserialize)]
        struct Detail {
            #[serde(rename = "execution-id")]
            execution: String,
        }
        let Detail { execution } = serde_json::from_str(&event.detail).unwrap_or_default();
        self.arrived.entry(execution).or_default().push(event.id.clone());
    }
}

/// Everything that tells the world, as one process has it.
pub fn outlets(shared: &Arc<Shared>, life: &Arc<Life>) -> Outlets<SimBus, Nowhere, SimMarks> {
    let (shared, life) = (Arc::clone(shared), Arc::clone(life));
    Outlets {
        bus: Arc::new(SimBus { shared: Arc::clone(&shared), life: Arc::clone(&life) }),
        topics: Arc::new(Nowhere),
        marks: Arc::new(SimMarks { shared, life }),
        telling: Arc::new(Telling { source: SOURCE_ON_AWS.to_owned(), console: None, topic: None }),
    }
}

/// The bus as a process sees it.
pub struct SimBus {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

impl Bus for SimBus {
    async fn put(&self, events: Vec<BusEvent>) -> Result<(), OutwardError> {
        self.shared.takes_time().await;
        self.life.lives().await;
        let fails = self.shared.strikes(Trouble::Delivery, Die::Delivery);
        let taken =
            if fails { self.shared.dice(Die::Delivery).below(events.len() + 1) } else { events.len() };
        {
            let mut heard = self.shared.heard();
            events.iter().take(taken).for_each(|event| heard.take(event));
        }
        if fails {
            self.shared.note(|| format!("  the bus took {taken} of {} and does not answer", events.len()));
            return Err(OutwardError::Unavailable("throttled".to_owned()));
        }
        Ok(())
    }
}

/// Topics that nobody listens to.
pub struct Nowhere;

impl Topics for Nowhere {
    async fn publish(&self, _: TopicMessage) -> Result<(), OutwardError> {
        Ok(())
    }
}

/// Marks as a process sees them.
pub struct SimMarks {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

impl SimMarks {
    async fn reach(&self) -> Result<&MemoryMarks, MarksError> {
        self.shared.takes_time().await;
        self.life.lives().await;
        match self.shared.strikes(Trouble::Rows, Die::Log) {
            true => Err(MarksError("throttled".to_owned())),
            false => Ok(&self.shared.marks),
        }
    }
}

impl Marks for SimMarks {
    async fn get(&self, key: &str) -> Result<Option<Mark>, MarksError> {
        self.reach().await?.get(key).await
    }

    async fn put(&self, key: &str, seen: u64, note: &str, expires: Timestamp) -> Result<bool, MarksError> {
        let written = self.reach().await?.put(key, seen, note, expires).await;
        // Written, and not answered.
        match self.shared.strikes(Trouble::AnswerLost, Die::Log) {
            true => Err(MarksError("no answer".to_owned())),
            false => written,
        }
    }
}

/// Every change of state has arrived, and those of one run in their order.
pub fn check(shared: &Shared, observer: &Observer, commits: &[Commit]) -> Result<(), String> {
    let heard = shared.heard();
    let mut courses: BTreeMap<ExecutionId, (Course, Vec<String>)> = BTreeMap::new();
    for commit in commits {
        let Ok(StreamKind::Execution(execution)) = commit.stream.kind() else { continue };
        let (course, expected) = courses.entry(execution.clone()).or_default();
        for (index, stored) in commit.events.iter().enumerate() {
            let event = stored.read::<ExecutionEvent>().map_err(|error| error.to_string())?;
            let version = Version(commit.first.0 + index as u64);
            let around = Surroundings { execution: &execution, region: "", definition: None };
            let told = tell(course, Happened { event, version, at: commit.time }, around);
            expected.extend(told.into_iter().map(|change| change.id));
        }
    }
    for id in observer.executions.keys() {
        let expected = courses.get(id).map(|(_, expected)| expected.as_slice()).unwrap_or_default();
        let arrived = heard.arrived.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        if expected != arrived {
            let missing = expected.iter().filter(|it| !arrived.contains(it)).count();
            return Err(format!(
                "the world is told of everything, in order: of `{id}` {missing} of {} are missing:\n{expected:#?}\n\
                 {arrived:#?}",
                expected.len()
            ));
        }
    }
    Ok(())
}
