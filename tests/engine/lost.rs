//! Answers that get lost, and readers who come while an append is on its way.

use crate::{
    FailWhenTold, definition, envelope,
    gated::Gated,
    never_told,
    owed::{Kept, life, send},
    start_by_hand,
};
use domain::{command::Wish, execution::ExecutionStatus, testing};
use engine::{
    Engine,
    memory::{Fault, Faults, MemoryLog, MemoryViews},
};
use events::{ExecutionId, PipelineName};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

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
    send(&home, &name, Some(&id), start_by_hand()).await;
    for _ in 0..2_000 {
        if home.engine.execution(&id).await.unwrap().status == ExecutionStatus::Succeeded {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nobody took it up: {:#?}", home.engine.execution(&id).await);
}

/// A start that is on its way, and will be refused as often as the log is asked before it calms down.
async fn refused_start(
    log: &Gated,
    engine: &Engine<Gated, FailWhenTold>,
    name: &PipelineName,
    id: &ExecutionId,
) {
    let asked = log.close();
    log.inner.set_faults(Faults::listed([Some(Fault::Unavailable)]));
    let (engine, envelope) = (engine.clone(), envelope(engine, name, Some(id), start_by_hand()));
    tokio::spawn(async move { assert!(engine.transact(envelope).await.is_err()) });
    log.asked(asked + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_a_state_whose_append_is_then_refused() {
    let log = Gated::new();
    let engine = crate::engine(log.clone(), never_told(), 1);
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
    log.open();
    assert!(!reader.await.unwrap());
    assert_eq!(lane.await.unwrap(), 0);
}
