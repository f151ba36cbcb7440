//! A sender whose append came to nothing, and who forgets what the append rested on while somebody else's is on its way.

use crate::{FailWhenTold, envelope, gated::Gated, never_told};
use domain::{command::Wish, testing};
use engine::{
    Engine,
    memory::{Fault, Faults},
    transact::TransactError,
};
use events::{PipelineName, StageName};
use std::{collections::BTreeMap, time::Duration};

type Sent = tokio::task::JoinHandle<Result<engine::transact::Done, TransactError>>;

fn send(engine: &Engine<Gated, FailWhenTold>, pipeline: &PipelineName, wish: Wish) -> Sent {
    let envelope = envelope(engine, pipeline, None, wish);
    let engine = engine.clone();
    tokio::spawn(async move { engine.transact(envelope).await })
}

fn close(stage: &StageName) -> Wish {
    Wish::DisableTransition { stage: stage.clone(), reason: "a freeze".into() }
}

/// A pipeline, and two stages of it with a door.
async fn created(engine: &Engine<Gated, FailWhenTold>) -> (PipelineName, StageName, StageName) {
    let definition = testing::pipeline("shop")
        .stage("Source", [testing::source("Src")])
        .stage("Build", [testing::action("Compile").input("Src")])
        .stage("Live", [testing::deploy("Push").input("Src")])
        .build();
    let name = definition.name.clone();
    let (first, second) = (definition.stages[1].name.clone(), definition.stages[2].name.clone());
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(engine, &name, create).await.expect("nobody panics").expect("the log takes it");
    (name, first, second)
}

#[tokio::test]
async fn who_gives_up_does_not_make_others_forget_what_is_on_its_way() {
    let log = Gated::new();
    let engine = crate::engine(log.clone(), never_told(), 1);
    let (name, first, second) = created(&engine).await;
    let before = log.close();

    // One whose append is not answered, and who looks for it in the log; another, decided on what the first would write.
    log.inner.set_faults(Faults::listed([Some(Fault::Unavailable)]));
    log.be_deaf_once();
    let lost = send(&engine, &name, close(&first));
    log.asked(before + 1).await;
    let other = send(&engine, &name, close(&second));
    log.asked(before + 2).await;
    // The other meets a conflict, decides again, and that append is on its way when the first one gives up.
    log.allow(before + 2);
    log.asked(before + 3).await;
    assert!(matches!(lost.await.unwrap(), Err(TransactError::Log(_))));
    let reader = tokio::spawn({
        let (engine, name) = (engine.clone(), name.clone());
        async move { engine.lane(&name).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    log.open();
    other.await.unwrap().unwrap();
    for lane in [reader.await.unwrap(), engine.lane(&name).await.unwrap()] {
        let is_closed = |stage| {
            let traffic = lane.stages.get(stage);
            traffic.and_then(|traffic| traffic.transition.as_ref()).is_some_and(|door| !door.enabled)
        };
        assert!(is_closed(&second) && !is_closed(&first), "{lane:?}");
    }
}

#[tokio::test]
async fn who_rests_on_what_was_refused_decides_anew_and_gets_through() {
    let log = Gated::new();
    let engine = crate::engine(log.clone(), never_told(), 1);
    let (name, first, second) = created(&engine).await;
    let before = log.close();
    // The second is decided on what the first would write, and the first is refused.
    log.inner.set_faults(Faults::listed([Some(Fault::Conflict)]));
    let one = send(&engine, &name, close(&first));
    log.asked(before + 1).await;
    let other = send(&engine, &name, close(&second));
    log.asked(before + 2).await;
    log.allow(before + 1);
    log.asked(before + 3).await;
    log.allow(before + 2);
    log.asked(before + 4).await;
    log.open();
    one.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(log.close(), before + 4, "each is refused once, and gets through then");
}
