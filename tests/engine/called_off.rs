//! Attempts that are called off while whoever carries them out is still about to begin.

use crate::{
    engine,
    owed::{Kept, create, start},
    send,
};
use ::engine::{
    Engine,
    action::{ActionJob, Begun, Outcome, Run},
    memory::MemoryLog,
    ports::Actions,
    rule::{RuleJob, RuleOutcome},
};
use domain::command::Wish;
use events::ActionExecutionId;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// It takes its time before it knows of an attempt, and works at it until it is told to stop.
#[derive(Clone, Default)]
struct LateToKnow(Arc<Known>);

#[derive(Default)]
struct Known {
    asked: AtomicBool,
    attempt: Mutex<Option<ActionExecutionId>>,
    told: Notify,
}

impl Actions for LateToKnow {
    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        self.0.asked.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        *self.0.attempt.lock().expect("nobody panicked") = Some(job.action_execution);
        self.0.told.notified().await;
        Run::Elsewhere
    }

    async fn run_rule(&self, _: RuleJob) -> Run<RuleOutcome> {
        Run::Elsewhere
    }

    fn cancel(&self, attempt: &ActionExecutionId) {
        if self.0.attempt.lock().expect("nobody panicked").as_ref() == Some(attempt) {
            self.0.told.notify_one();
        }
    }
}

/// It begins everything at once and goes on with it, and keeps what it is asked to stop.
#[derive(Clone, Default)]
struct GoesOn(Arc<Mutex<Vec<Option<String>>>>);

impl Actions for GoesOn {
    async fn run(&self, _: ActionJob) -> Run<Outcome> {
        let external_execution_id = "b:1".to_owned();
        Run::Begun(Begun { external_execution_id, external_execution_url: None, summary: None })
    }

    async fn run_rule(&self, _: RuleJob) -> Run<RuleOutcome> {
        Run::Elsewhere
    }

    fn cancel(&self, _: &ActionExecutionId) {}

    async fn stop(&self, job: ActionJob) {
        self.0.lock().expect("nobody panicked").push(job.begun);
    }
}

fn working<A: Actions>(actions: A) -> Engine<Kept, A> {
    engine(Kept(Arc::new(MemoryLog::new())), actions, 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_begins_after_the_attempt_was_called_off_is_told_then() {
    let actions = LateToKnow::default();
    let engine = working(actions.clone());
    let pipeline = create(&engine).await;
    let execution = start(&engine, &pipeline).await;
    while !actions.0.asked.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let wish = Wish::StopExecution { abandon: true, reason: None };
    send(&engine, &pipeline, Some(&execution), wish).await;
    let over = tokio::time::timeout(Duration::from_secs(60), engine.quiet()).await;
    assert!(over.is_ok(), "somebody still works at what was called off");
}

#[tokio::test]
async fn what_a_deleted_pipeline_had_begun_is_stopped_also_when_its_name_is_used_again() {
    let actions = GoesOn::default();
    let engine = working(actions.clone());
    let pipeline = create(&engine).await;
    start(&engine, &pipeline).await;
    engine.quiet().await;
    send(&engine, &pipeline, None, Wish::DeletePipeline).await;
    create(&engine).await;
    engine.quiet().await;
    assert_eq!(*actions.0.lock().unwrap(), [Some("b:1".to_owned())]);
}
