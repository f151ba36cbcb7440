//! The engine over a log that takes its time: what it keeps warm must never be older than what it has written.

mod behind;
mod called_off;
mod jobs;
mod lost;
mod owed;
mod single;

use domain::{
    command::{Command, Wish},
    execution::ExecutionStatus,
    pipeline::PipelineDeclaration,
};
use engine::{
    Engine, World,
    action::{ActionJob, Failure, FailureCode, Outcome, Run},
    log::{Appended, Batch, Commit, Loaded, Log, LogError},
    memory::MemoryLog,
    ports::{Actions, Clock, Ids, Timers},
    rule::{RuleJob, RuleOutcome},
    transact::Envelope,
};
use events::{
    ActionExecutionId, CommandId, ExecutionId, PipelineName, StreamName, Timestamp, Trigger, TriggerType,
    Version,
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// A log whose appends become durable, and readable, only while its gate is open. They keep their order.
#[derive(Clone)]
struct SlowLog {
    inner: Arc<MemoryLog>,
    gate: watch::Sender<bool>,
    asked: Arc<AtomicU64>,
    done: watch::Sender<u64>,
}

impl SlowLog {
    fn new() -> Self {
        Self {
            inner: Arc::new(MemoryLog::new()),
            gate: watch::Sender::new(true),
            asked: Arc::default(),
            done: watch::Sender::new(0),
        }
    }
}

impl Log for SlowLog {
    const PIPELINED: bool = true;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let log = self.clone();
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        // Spawned: an append goes on when nobody waits for it.
        let work = tokio::spawn(async move {
            log.done.subscribe().wait_for(|done| *done == turn).await.expect("the log is alive");
            log.gate.subscribe().wait_for(|open| *open).await.expect("the log is alive");
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
        self.inner.read(stream, after, limit).await
    }
}

/// Every action fails once it is told to.
struct FailWhenTold(watch::Receiver<bool>);

impl Actions for FailWhenTold {
    async fn run(&self, _: ActionJob) -> Run<Outcome> {
        if self.0.clone().wait_for(|told| *told).await.is_err() {
            return Run::Elsewhere;
        }
        Run::Ended(Outcome::Failed(Failure::new(FailureCode::JobFailed, "told to fail")))
    }

    async fn run_rule(&self, _: RuleJob) -> Run<RuleOutcome> {
        if self.0.clone().wait_for(|told| *told).await.is_err() {
            return Run::Elsewhere;
        }
        Run::Ended(RuleOutcome::Failed(Failure::new(FailureCode::JobFailed, "told to fail")))
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

struct Counted(AtomicU64);

impl Ids for Counted {
    fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct Never;

impl Timers for Never {
    fn set(&self, _: &ActionExecutionId, _: Timestamp, _: Command) {}
    fn clear(&self, _: &ActionExecutionId) {}
}

fn definition() -> PipelineDeclaration {
    let json = include_str!("../../domain/tests/fixtures/pipelines/valid/own.v2-commands.json");
    let value = serde_json::from_str(json).expect("the fixture is JSON");
    domain::pipeline::parse(&value).expect("the fixture is a legal definition")
}

async fn send(
    engine: &Engine<SlowLog, FailWhenTold>,
    pipeline: &PipelineName,
    execution: Option<&ExecutionId>,
    wish: Wish,
) {
    let command = Command { pipeline: pipeline.clone(), execution: execution.cloned(), wish };
    let id: CommandId = engine.fresh_command_id();
    engine
        .transact(Envelope { id, actor: "ann".into(), command, once: None })
        .await
        .expect("the log takes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_read_while_its_last_event_is_on_its_way_is_not_kept() {
    let log = SlowLog::new();
    let (tell, told) = watch::channel(false);
    let engine = Engine::new(World {
        log: log.clone(),
        actions: FailWhenTold(told),
        clock: Arc::new(Still),
        ids: Arc::new(Counted(AtomicU64::new(1))),
        timers: Arc::new(Never),
        region: "us-east-1".into(),
        account: "123456789012".into(),
    });
    let definition = definition();
    let pipeline = definition.name.clone();
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(&engine, &pipeline, None, create).await;
    let execution = engine.fresh_execution_id();
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
    let start = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
    send(&engine, &pipeline, Some(&execution), start).await;

    // The run's end is decided, and stays on its way.
    log.gate.send_replace(false);
    let asked = log.asked.load(Ordering::SeqCst);
    tell.send_replace(true);
    while log.asked.load(Ordering::SeqCst) == asked {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The first reader sees the end, and lets go of a run that is over; the second finds it cold.
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (engine, execution) = (engine.clone(), execution.clone());
            tokio::spawn(async move { engine.execution(&execution).await.unwrap().status })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    log.gate.send_replace(true);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), ExecutionStatus::Failed);
    }
    assert_eq!(engine.execution(&execution).await.unwrap().status, ExecutionStatus::Failed);
}
