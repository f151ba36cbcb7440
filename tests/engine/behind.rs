//! A sender whose append came to nothing, and who forgets what the append rested on while somebody else's is on its way.

use crate::{Counted, FailWhenTold, Never, Still};
use domain::{
    command::{Command, Wish},
    testing,
};
use engine::{
    Engine, World,
    log::{Appended, Batch, Commit, Loaded, Log, LogError},
    memory::{Fault, Faults, MemoryLog},
    transact::{Envelope, TransactError},
};
use events::{PipelineName, StageName, StreamName, Version};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// A log whose appends are dealt with in their order, as many as it is allowed.
#[derive(Clone)]
struct Allowed {
    inner: Arc<MemoryLog>,
    asked: Arc<AtomicU64>,
    allowed: watch::Sender<u64>,
    done: watch::Sender<u64>,
    /// The next look at a stream is not answered.
    is_deaf: Arc<AtomicBool>,
}

impl Log for Allowed {
    const PIPELINED: bool = true;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let log = self.clone();
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let work = tokio::spawn(async move {
            log.done.subscribe().wait_for(|done| *done == turn).await.expect("the log is alive");
            log.allowed.subscribe().wait_for(|allowed| *allowed > turn).await.expect("the log is alive");
            let answer = log.inner.append(batch).await;
            log.done.send_modify(|done| *done += 1);
            answer
        });
        async move { work.await.expect("an append does not panic") }
    }

    async fn barrier(&self) {
        let asked = self.asked.load(Ordering::SeqCst);
        self.done.subscribe().wait_for(|done| *done >= asked).await.expect("the log is alive");
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        self.inner.load(stream, fold).await
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        if self.is_deaf.swap(false, Ordering::SeqCst) {
            return Err(LogError::Unavailable { subject: stream.to_string(), source: "throttled".into() });
        }
        self.inner.read(stream, after, limit).await
    }
}

type Sent = tokio::task::JoinHandle<Result<engine::transact::Done, TransactError>>;

fn send(engine: &Engine<Allowed, FailWhenTold>, pipeline: &PipelineName, wish: Wish) -> Sent {
    let command = Command { pipeline: pipeline.clone(), execution: None, wish };
    let envelope = Envelope { id: engine.fresh_command_id(), actor: "ann".into(), command, once: None };
    let engine = engine.clone();
    tokio::spawn(async move { engine.transact(envelope).await })
}

fn close(stage: &StageName) -> Wish {
    Wish::DisableTransition { stage: stage.clone(), reason: "a freeze".into() }
}

/// Waits until so many appends were asked for.
async fn asked(log: &Allowed, count: u64) {
    for _ in 0..2_000 {
        if log.asked.load(Ordering::SeqCst) >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{count} appends were not asked for");
}

#[tokio::test]
async fn who_gives_up_does_not_make_others_forget_what_is_on_its_way() {
    let log = Allowed {
        inner: Arc::new(MemoryLog::new()),
        asked: Arc::default(),
        allowed: watch::Sender::new(u64::MAX),
        done: watch::Sender::new(0),
        is_deaf: Arc::default(),
    };
    let engine = Engine::new(World {
        log: log.clone(),
        actions: FailWhenTold(watch::channel(false).1),
        clock: Arc::new(Still),
        ids: Arc::new(Counted(AtomicU64::new(1))),
        timers: Arc::new(Never),
        region: "us-east-1".into(),
        account: "123456789012".into(),
    });
    let definition = testing::pipeline("shop")
        .stage("Source", [testing::source("Src")])
        .stage("Build", [testing::action("Compile").input("Src")])
        .stage("Live", [testing::deploy("Push").input("Src")])
        .build();
    let name = definition.name.clone();
    let (first, second) = (definition.stages[1].name.clone(), definition.stages[2].name.clone());
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(&engine, &name, create).await.unwrap().unwrap();
    let before = log.asked.load(Ordering::SeqCst);

    // One whose append is not answered, and who looks for it in the log; another, decided on what the first would write.
    log.allowed.send_replace(before);
    log.inner.set_faults(Faults::listed([Some(Fault::Unavailable)]));
    log.is_deaf.store(true, Ordering::SeqCst);
    let lost = send(&engine, &name, close(&first));
    asked(&log, before + 1).await;
    let other = send(&engine, &name, close(&second));
    asked(&log, before + 2).await;
    // The other meets a conflict, decides again, and that append is on its way when the first one gives up.
    log.allowed.send_replace(before + 2);
    asked(&log, before + 3).await;
    assert!(matches!(lost.await.unwrap(), Err(TransactError::Log(_))));
    let reader = tokio::spawn({
        let (engine, name) = (engine.clone(), name.clone());
        async move { engine.lane(&name).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    log.allowed.send_replace(u64::MAX);
    other.await.unwrap().unwrap();
    for lane in [reader.await.unwrap(), engine.lane(&name).await.unwrap()] {
        let is_closed = |stage| {
            let traffic = lane.stages.get(stage);
            traffic.and_then(|traffic| traffic.transition.as_ref()).is_some_and(|door| !door.enabled)
        };
        assert!(is_closed(&second) && !is_closed(&first), "{lane:?}");
    }
}
