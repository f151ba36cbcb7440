//! Jobs through the handlers over a log in memory: many workers at once, and a crash before the job was queued.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use crate::{
    owed::{Home, Kept, life, send},
    start_by_hand,
};
use api::Operation;
use domain::{
    catalogue::custom::{ActionTypeWish, ActionTypes, CustomDefinition},
    command::Wish,
    testing::{custom, pipeline, source},
};
use engine::{
    log::{Appended, Batch, Log as _, Position},
    memory::{MemoryLog, MemoryViews},
    single::Order,
};
use events::{
    AccountId, ActionCategory, ActionOwner, ActionTypeId, ActionTypeSettings, ExecutionId, PipelineName,
    StreamName, Version,
};
use handlers::{Caller, operations, project};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

fn jenkins() -> CustomDefinition {
    let id = ActionTypeId {
        category: ActionCategory::Build,
        owner: ActionOwner::Custom,
        provider: "Jenkins".into(),
        version: "1".into(),
    };
    let settings = ActionTypeSettings::default();
    CustomDefinition { id, settings, properties: Vec::new(), inputs: (0, 5), outputs: (0, 5) }
}

/// A run whose build waits for a worker, or soon will.
async fn started(home: &Home) -> ExecutionId {
    let wish = ActionTypeWish::Create { definition: Box::new(jenkins()), tags: BTreeMap::new() };
    let order = Order::<ActionTypes> {
        id: home.engine.fresh_command_id(),
        actor: "ann".into(),
        key: home.engine.account_id().unwrap(),
        wish,
    };
    home.engine.record(order).await.unwrap();
    let stages = pipeline("p").stage("Source", [source("Src")]).stage("Build", [custom("A").input("Src")]);
    let definition = Box::new(stages.build());
    let name = definition.name.clone();
    send(home, &name, None, Wish::CreatePipeline { definition, tags: BTreeMap::new() }).await;
    let id = home.engine.fresh_execution_id();
    send(home, &name, Some(&id), start_by_hand()).await;
    id
}

/// Writes the rows of everything that is in the log of this run.
async fn listed(home: &Home, id: &ExecutionId) {
    let stream = StreamName::execution(id);
    let commits = home.engine.log().read(&stream, Version(0), 100).await.unwrap();
    let placed: Vec<_> = (1..).map(Position).zip(commits).collect();
    project::project(home, &placed).await.unwrap();
}

async fn call(home: &Home, operation: Operation, input: Value) -> Result<Value, api::ApiError> {
    let caller = Caller { arn: "arn:aws:iam::123456789012:user/worker".into() };
    operations::dispatch(home, &caller, operation, input).await
}

async fn poll(home: &Home, id: &ExecutionId) -> Vec<Value> {
    listed(home, id).await;
    let asked = json!({ "actionTypeId": jenkins().id });
    call(home, Operation::PollForJobs, asked).await.unwrap()["jobs"].as_array().unwrap().clone()
}

async fn job(home: &Home, id: &ExecutionId) -> Value {
    for _ in 0..2_000 {
        if let Some(job) = poll(home, id).await.pop() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no job: {:#?}", home.engine.execution(id).await);
}

fn fresh() -> (Kept, Arc<MemoryViews>) {
    (Kept(Arc::new(MemoryLog::new())), Arc::new(MemoryViews::new()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_workers_that_take_a_job_at_once_one_gets_it() {
    let (log, views) = fresh();
    let home = life(&log, &views, &Arc::new(AtomicBool::new(false)), 1);
    let id = started(&home).await;
    let job = job(&home, &id).await;
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let home = home.clone();
            let input = json!({ "jobId": job["id"], "nonce": job["nonce"] });
            tokio::spawn(async move { call(&home, Operation::AcknowledgeJob, input).await })
        })
        .collect();
    let mut taken = 0;
    for worker in workers {
        match worker.await.unwrap() {
            Ok(answer) => {
                assert_eq!(answer["status"], "InProgress");
                taken += 1;
            }
            Err(error) => assert_eq!(error.code.as_str(), "InvalidNonceException"),
        }
    }
    assert_eq!(taken, 1);
    assert_eq!(poll(&home, &id).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_workers_that_poll_at_once_one_is_handed_the_job() {
    let (log, views) = fresh();
    let home = life(&log, &views, &Arc::new(AtomicBool::new(false)), 1);
    let id = started(&home).await;
    for _ in 0..2_000 {
        let state = home.engine.execution(&id).await.unwrap();
        if state.running().any(|(_, run)| run.job.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    listed(&home, &id).await;
    let asked = json!({ "actionTypeId": jenkins().id });
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (home, asked) = (home.clone(), asked.clone());
            tokio::spawn(async move { call(&home, Operation::PollForJobs, asked).await.unwrap() })
        })
        .collect();
    let mut handed = 0;
    for worker in workers {
        handed += worker.await.unwrap()["jobs"].as_array().unwrap().len();
    }
    assert_eq!(handed, 1);
}

/// What had been written when the process ended right before it queued the job.
async fn cut_before_the_job(log: &Kept, id: &ExecutionId) -> Kept {
    let cut = Kept(Arc::new(MemoryLog::new()));
    let name = PipelineName::parse("p").unwrap();
    let account = AccountId::parse("123456789012").unwrap();
    let streams = [
        StreamName::pipeline(&name),
        StreamName::lane(&name),
        StreamName::execution(id),
        StreamName::action_types(&account),
    ];
    for stream in streams {
        for commit in log.read(&stream, Version(0), 100).await.unwrap() {
            if commit.events.iter().any(|event| event.kind == "JobQueued") {
                break;
            }
            let batch = Batch { commits: vec![commit], checks: Vec::new(), once: None };
            assert_eq!(cut.append(batch).await.unwrap(), Appended::Written);
        }
    }
    cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_not_queued_before_a_crash_is_queued_in_the_next_life_and_only_once() {
    let (log, views) = fresh();
    let fails = Arc::new(AtomicBool::new(false));
    let first = life(&log, &views, &fails, 1);
    let id = started(&first).await;
    job(&first, &id).await;
    drop(first);
    let cut = cut_before_the_job(&log, &id).await;
    let second = life(&cut, &Arc::new(MemoryViews::new()), &fails, 1_000);
    let state = second.engine.execution(&id).await.unwrap();
    assert!(state.running().all(|(_, run)| run.job.is_none()), "{state:#?}");
    second.engine.resume(&id).await.unwrap();
    let known = job(&second, &id).await["id"].clone();
    // Resuming asks for the same work again; the job stays the one there is.
    second.engine.resume(&id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let state = second.engine.execution(&id).await.unwrap();
    let jobs: Vec<_> = state.running().filter_map(|(_, run)| run.job.clone()).collect();
    assert_eq!(jobs.len(), 1);
    assert_eq!(json!(jobs[0].job), known);
}
