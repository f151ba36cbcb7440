//! States that are decided alone, over logs that take their time and logs that others write to as well.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use super::{FailWhenTold, gated::Gated, never_told};
use domain::webhook::{Webhook, WebhookDefinition, WebhookWish};
use engine::{
    Engine,
    log::{Appended, Batch, Commit, Loaded, Log, LogError},
    memory::MemoryLog,
    single::Order,
    transact::{Done, TransactError},
};
use events::{ActionName, PipelineName, StreamName, Version, WebhookAuthentication, WebhookName};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

/// A log that several processes write to: nobody may believe what it has kept warm.
#[derive(Clone)]
struct SharedLog(Arc<MemoryLog>);

impl Log for SharedLog {
    const PIPELINED: bool = false;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        self.0.append(batch)
    }

    async fn barrier(&self) {}

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        self.0.load(stream, fold).await
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        self.0.read(stream, after, limit).await
    }
}

fn engine<L: Log>(log: L, first_id: u64) -> Engine<L, FailWhenTold> {
    crate::engine(log, never_told(), first_id)
}

fn hook() -> WebhookName {
    WebhookName::parse("hook").unwrap()
}

fn put(action: &str) -> WebhookWish {
    WebhookWish::Put {
        definition: WebhookDefinition {
            target_pipeline: PipelineName::parse("shop").unwrap(),
            target_action: ActionName::parse(action).unwrap(),
            filters: Vec::new(),
            authentication: WebhookAuthentication::Unauthenticated,
            allowed_ip_range: None,
            secret: None,
        },
        tags: BTreeMap::new(),
        fresh_token: "token".into(),
    }
}

fn tag(key: &str) -> WebhookWish {
    WebhookWish::Tag { tags: BTreeMap::from([(key.into(), "x".into())]) }
}

async fn record<L: Log>(engine: &Engine<L, FailWhenTold>, wish: WebhookWish) -> Result<Done, TransactError> {
    let id = engine.fresh_command_id();
    engine.record(Order::<Webhook> { id, actor: "ann".into(), key: hook(), wish }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_record_at_once_is_all_recorded() {
    let log = Gated::new();
    let engine = engine(log.clone(), 1);
    record(&engine, put("Fetch")).await.unwrap();
    log.close();
    let work: Vec<_> = (0..40)
        .map(|number| {
            let engine = engine.clone();
            tokio::spawn(async move { record(&engine, tag(&format!("key{number}"))).await.unwrap() })
        })
        .collect();
    log.asked(41).await;
    log.open();
    for work in work {
        assert_eq!(work.await.unwrap(), Done::Written);
    }
    let (state, version) = engine.webhook_at(&hook()).await.unwrap();
    assert_eq!((state.tags.len(), version), (40, Version(41)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_that_a_wish_is_met_before_that_is_durable() {
    let log = Gated::new();
    let engine = engine(log.clone(), 1);
    log.close();
    let first = {
        let engine = engine.clone();
        tokio::spawn(async move { record(&engine, put("Fetch")).await })
    };
    log.asked(1).await;
    let second = {
        let engine = engine.clone();
        tokio::spawn(async move { record(&engine, put("Fetch")).await })
    };
    let reader = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.webhook_at(&hook()).await.unwrap().1 })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!first.is_finished() && !second.is_finished() && !reader.is_finished());
    log.open();
    assert_eq!(first.await.unwrap().unwrap(), Done::Written);
    assert_eq!(second.await.unwrap().unwrap(), Done::Nothing);
    assert_eq!(reader.await.unwrap(), Version(1));
}

#[tokio::test]
async fn who_is_overtaken_by_another_process_decides_again() {
    let log = SharedLog(Arc::new(MemoryLog::new()));
    let (left, right) = (engine(log.clone(), 1), engine(log, 1_000_000));
    record(&left, put("Fetch")).await.unwrap();
    assert_eq!(record(&right, tag("team")).await.unwrap(), Done::Written);
    // Warm and old on the left: it conflicts, and is decided anew.
    assert_eq!(record(&left, tag("stage")).await.unwrap(), Done::Written);
    // Met already, as the right cannot know from what it kept.
    assert_eq!(record(&right, tag("stage")).await.unwrap(), Done::Nothing);
    record(&left, WebhookWish::Delete).await.unwrap();
    let refused = record(&right, tag("late")).await;
    assert!(matches!(refused, Err(TransactError::Rejected(_))), "{refused:?}");
    record(&right, put("Fetch")).await.unwrap();
    // The left keeps the deletion warm, and must not refuse by it.
    assert_eq!(record(&left, tag("team")).await.unwrap(), Done::Written);
}
