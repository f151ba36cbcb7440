//! The engine over a log that takes its time: what it keeps warm must never be older than what it has written.

mod behind;
mod called_off;
mod gated;
mod jobs;
mod lost;
mod owed;
mod single;

use ::engine::{
    Engine, World,
    action::{ActionJob, Failure, FailureCode, Outcome, Run},
    log::Log,
    ports::{Actions, Clock, Ids, Timers},
    rule::{RuleJob, RuleOutcome},
    transact::Envelope,
};
use domain::{
    command::{Command, Wish},
    execution::ExecutionStatus,
    pipeline::PipelineDeclaration,
};
use events::{ActionExecutionId, ExecutionId, PipelineName, Timestamp, Trigger, TriggerType};
use gated::Gated;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

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

/// An engine at a time that stands still, whose ids are counted from a number.
fn engine<L: Log, A: Actions>(log: L, actions: A, ids_from: u64) -> Engine<L, A> {
    Engine::new(World {
        log,
        actions,
        clock: Arc::new(Still),
        ids: Arc::new(Counted(AtomicU64::new(ids_from))),
        timers: Arc::new(Never),
        region: "us-east-1".into(),
        account: "123456789012".into(),
    })
}

/// Actions that are under way for ever.
fn never_told() -> FailWhenTold {
    FailWhenTold(watch::channel(false).1)
}

fn envelope<L: Log, A: Actions>(
    engine: &Engine<L, A>,
    pipeline: &PipelineName,
    execution: Option<&ExecutionId>,
    wish: Wish,
) -> Envelope {
    let command = Command { pipeline: pipeline.clone(), execution: execution.cloned(), wish };
    Envelope { id: engine.fresh_command_id(), actor: "ann".into(), command, once: None }
}

async fn send<L: Log, A: Actions>(
    engine: &Engine<L, A>,
    pipeline: &PipelineName,
    execution: Option<&ExecutionId>,
    wish: Wish,
) {
    engine.transact(envelope(engine, pipeline, execution, wish)).await.expect("the log takes it");
}

fn start_by_hand() -> Wish {
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
    Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_read_while_its_last_event_is_on_its_way_is_not_kept() {
    let log = Gated::new();
    let (tell, told) = watch::channel(false);
    let engine = engine(log.clone(), FailWhenTold(told), 1);
    let definition = definition();
    let pipeline = definition.name.clone();
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(&engine, &pipeline, None, create).await;
    let execution = engine.fresh_execution_id();
    send(&engine, &pipeline, Some(&execution), start_by_hand()).await;

    // The run's end is decided, and stays on its way.
    let asked = log.close();
    tell.send_replace(true);
    log.asked(asked + 1).await;
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
    log.open();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), ExecutionStatus::Failed);
    }
    assert_eq!(engine.execution(&execution).await.unwrap().status, ExecutionStatus::Failed);
}
