//! Answers that get lost, and readers who come while an append is on its way.

use crate::{
    Counted, FailWhenTold, Never, SlowLog, Still, definition,
    owed::{Kept, life, send},
};
use domain::{command::Wish, execution::ExecutionStatus, testing};
use engine::{
    Engine, World,
    memory::{Fault, Faults, MemoryLog, MemoryViews},
};
use events::{ExecutionId, PipelineName, Trigger, TriggerType};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

fn start() -> Wish {
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
    Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_append_asks_for_is_done_although_its_answer_was_lost() {
    let (log, views) = (Kept(Arc::new(MemoryLog::new())), Arc::new(MemoryViews::new()));
    let home = life(&log, &views, &Arc::new(AtomicBool::new(false)), 1);
    let definition = testing::pipeline("shop")
        .stage("Source", [testing::source("Src")])
        .stage("Live", [testing::deploy("Push")])
        .build();
    let name = definition.name.clone();
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(&home, &name, None, create).await;
    // Of every second append from now on, beginning with the one that starts the execution.
    let mut count = 0;
    log.0.set_faults(Faults::drawn(move |_| {
        count += 1;
        (count % 2 == 1).then_some(Fault::AnswerLost)
    }));
    let id = home.engine.fresh_execution_id();
    send(&home, &name, Some(&id), start()).await;
    for _ in 0..2_000 {
        if home.engine.execution(&id).await.unwrap().status == ExecutionStatus::Succeeded {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nobody took it up: {:#?}", home.engine.execution(&id).await);
}

fn slow(log: &SlowLog) -> Engine<SlowLog, FailWhenTold> {
    Engine::new(World {
        log: log.clone(),
        actions: FailWhenTold(watch::channel(false).1),
        clock: Arc::new(Still),
        ids: Arc::new(Counted(AtomicU64::new(1))),
        timers: Arc::new(Never),
        region: "us-east-1".into(),
        account: "123456789012".into(),
    })
}

/// A start that is on its way, and will be refused as often as the log is asked before it calms down.
async fn refused_start(
    log: &SlowLog,
    engine: &Engine<SlowLog, FailWhenTold>,
    name: &PipelineName,
    id: &ExecutionId,
) {
    log.gate.send_replace(false);
    log.inner.set_faults(Faults::listed([Some(Fault::Unavailable)]));
    let asked = log.asked.load(Ordering::SeqCst);
    tokio::spawn({
        let (engine, name, id) = (engine.clone(), name.clone(), id.clone());
        async move {
            let command = domain::command::Command { pipeline: name, execution: Some(id), wish: start() };
            let envelope = engine::transact::Envelope {
                id: engine.fresh_command_id(),
                actor: "ann".into(),
                command,
                once: None,
            };
            assert!(engine.transact(envelope).await.is_err());
        }
    });
    while log.asked.load(Ordering::SeqCst) == asked {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_a_state_whose_append_is_then_refused() {
    let log = SlowLog::new();
    let engine = slow(&log);
    let definition = definition();
    let name = definition.name.clone();
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    crate::send(&engine, &name, None, create).await;
    let id = engine.fresh_execution_id();
    refused_start(&log, &engine, &name, &id).await;
    // Comes while the append is on its way, and is answered when it is known what became of it.
    let reader = tokio::spawn({
        let (engine, id) = (engine.clone(), id.clone());
        async move { engine.execution(&id).await.unwrap().exists() }
    });
    let lane = tokio::spawn({
        let engine = engine.clone();
        async move { engine.lane(&name).await.unwrap().under_way().len() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    log.gate.send_replace(true);
    assert!(!reader.await.unwrap());
    assert_eq!(lane.await.unwrap(), 0);
}
