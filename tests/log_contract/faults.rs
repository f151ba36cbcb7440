//! What can be made to go wrong with the log in memory.

use crate::fixtures::*;
use engine::{
    log::{Appended, Log, LogError, Position},
    memory::{Fault, Faults, MemoryLog},
};

#[tokio::test]
async fn faults_come_in_the_order_listed() {
    let log = MemoryLog::new();
    let tip = Tip::start("shop");
    let first = batch([tip.one("first")]);
    log.set_faults(Faults::listed([Some(Fault::Conflict), Some(Fault::Unavailable), None]));
    conflict(log.append(first.clone()).await, &tip.stream);
    assert!(matches!(log.append(first.clone()).await, Err(LogError::Unavailable { .. })));
    assert_eq!(log.head(), Position(0));
    written(log.append(first).await);
    assert_eq!(log.head(), Position(1));
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_was_written() {
    let log = MemoryLog::new();
    let tip = Tip::start("shop");
    let first = batch([tip.one("first")]);
    log.set_faults(Faults::listed([Some(Fault::AnswerLost)]));
    assert!(matches!(log.append(first.clone()).await, Err(LogError::Unavailable { .. })));
    written(log.append(first.clone()).await);
    assert_eq!(log.follow(Position(0), 9), [(Position(1), first.commits[0].clone())]);
}

#[tokio::test]
async fn what_builds_on_a_batch_that_met_a_fault_conflicts() {
    let log = MemoryLog::new();
    let tip = Tip::start("shop");
    let (lost, instead) = (tip.one("lost"), tip.one("instead"));
    let upon = Tip::after(&lost).one("upon");
    log.set_faults(Faults::drawn(|batch| {
        (batch.commits[0].command.as_str() == "lost").then_some(Fault::Unavailable)
    }));
    assert!(log.append(batch([lost])).await.is_err());
    conflict(log.append(batch([upon.clone()])).await, &tip.stream);
    assert_eq!(log.append(batch([instead])).await.unwrap(), Appended::Written);
    conflict(log.append(batch([upon])).await, &tip.stream);
}
