//! A crash between the failure of a stage and the start of its rollback.

use domain::{
    command::{Command, Wish},
    execution::ExecutionStatus,
    pipeline::secrets::Secret,
    testing::{deploy, pipeline, source},
};
use engine::{
    Engine, World,
    action::{ActionJob, Failure, FailureCode, Outcome, Success},
    log::{Appended, Batch, Commit, Loaded, Log, LogError, Position},
    memory::{Fault, Faults, MemoryLog, MemoryViews},
    ports::{Actions, Secrets, SecretsError},
    transact::Envelope,
};
use events::{ActionExecutionId, ExecutionId, PipelineName, StreamName, Trigger, TriggerType, Version};
use handlers::{Service, project, sweep};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{Counted, Never, Still};

/// One log for several lives.
#[derive(Clone)]
struct Kept(Arc<MemoryLog>);

impl Log for Kept {
    const PIPELINED: bool = true;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        self.0.append(batch)
    }

    async fn barrier(&self) {
        self.0.barrier().await;
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        self.0.load(stream, fold).await
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        self.0.read(stream, after, limit).await
    }
}

/// Succeeds, but for one deployment once it was told so.
struct FailOnce(Arc<AtomicBool>);

impl Actions for FailOnce {
    async fn run(&self, job: ActionJob) -> Option<Outcome> {
        if job.action.as_str() == "Push" && self.0.swap(false, Ordering::SeqCst) {
            return Some(Outcome::Failed(Failure::new(FailureCode::JobFailed, "told to fail")));
        }
        Some(Outcome::Succeeded(Success::default()))
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

struct NoSecrets;

impl Secrets for NoSecrets {
    async fn put(&self, _: &PipelineName, _: &[Secret]) -> Result<(), SecretsError> {
        Ok(())
    }

    async fn get(&self, _: &PipelineName) -> Result<Vec<Secret>, SecretsError> {
        Ok(Vec::new())
    }
}

type Home = Service<Kept, FailOnce, MemoryViews, NoSecrets>;

/// A process over what earlier ones have left behind.
fn life(log: &Kept, views: &Arc<MemoryViews>, fails: &Arc<AtomicBool>, ids_from: u64) -> Home {
    let engine = Engine::new(World {
        log: log.clone(),
        actions: FailOnce(Arc::clone(fails)),
        clock: Arc::new(Still),
        ids: Arc::new(Counted(AtomicU64::new(ids_from))),
        timers: Arc::new(Never),
        region: "us-east-1".into(),
        account: "123456789012".into(),
    });
    Service {
        engine,
        views: Arc::clone(views),
        secrets: Arc::new(NoSecrets),
        registry: Arc::new(domain::catalogue::Registry::builtin()),
    }
}

async fn send(home: &Home, pipeline: &PipelineName, execution: Option<&ExecutionId>, wish: Wish) {
    let command = Command { pipeline: pipeline.clone(), execution: execution.cloned(), wish };
    let id = home.engine.fresh_command_id();
    let envelope = Envelope { id, actor: "ann".into(), command, once: None };
    home.engine.transact(envelope).await.expect("the log takes it");
}

async fn ends(home: &Home, id: &ExecutionId, status: ExecutionStatus) {
    for _ in 0..2_000 {
        if home.engine.execution(id).await.unwrap().status == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not {status:?}: {:#?}", home.engine.execution(id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_was_decided_on_right_before_a_crash_starts_in_the_next_life() {
    let (log, views) = (Kept(Arc::new(MemoryLog::new())), Arc::new(MemoryViews::new()));
    let fails = Arc::new(AtomicBool::new(false));
    let first = life(&log, &views, &fails, 1);
    let declared = pipeline("shop").stage("Source", [source("Src")]).stage("Live", [deploy("Push")]);
    let definition = declared.on_failure("ROLLBACK", None).build();
    let name = definition.name.clone();
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(&first, &name, None, create).await;
    let start = || {
        let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
        Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() }
    };
    let good = first.engine.fresh_execution_id();
    send(&first, &name, Some(&good), start()).await;
    ends(&first, &good, ExecutionStatus::Succeeded).await;

    // The failure and the debt are written, and nobody learns of it: a process that dies then leaves the same.
    fails.store(true, Ordering::SeqCst);
    log.0.set_faults(Faults::drawn(|batch| {
        let mut events = batch.commits.iter().flat_map(|commit| &commit.events);
        events.any(|event| event.kind == "RollbackOwed").then_some(Fault::AnswerLost)
    }));
    let bad = first.engine.fresh_execution_id();
    send(&first, &name, Some(&bad), start()).await;
    ends(&first, &bad, ExecutionStatus::Failed).await;
    let lane = first.engine.lane(&name).await.unwrap();
    let (back, _) = lane.rollbacks.first_key_value().expect("the lane owes it");
    assert!(!first.engine.execution(back).await.unwrap().exists());

    let second = life(&log, &views, &fails, 1_000);
    project::project(&second, &log.0.follow(Position::default(), 1_000)).await.unwrap();
    let elsewhere = PipelineName::parse("site").unwrap();
    assert_eq!(sweep::resume_all(&second, Some(&elsewhere)).await.unwrap(), []);
    assert_eq!(sweep::resume_all(&second, None).await.unwrap(), [back.clone()]);
    ends(&second, back, ExecutionStatus::Succeeded).await;
    let run = second.engine.execution(back).await.unwrap();
    let target = run.start.as_ref().and_then(|start| start.rollback.as_ref()).map(|it| &it.target);
    assert_eq!(target, Some(&good));
    project::project(&second, &log.0.follow(Position::default(), 1_000)).await.unwrap();
    assert_eq!(sweep::resume_all(&second, None).await.unwrap(), [], "it is owed no more");
    assert!(second.engine.lane(&name).await.unwrap().under_way().is_empty());
}
