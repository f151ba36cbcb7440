//! A crash between the failure of a stage and the start of its rollback.

use domain::{
    command::Wish,
    execution::ExecutionStatus,
    pipeline::secrets::Secret,
    testing::{deploy, pipeline, source},
};
use engine::{
    Engine,
    action::{ActionJob, Failure, FailureCode, Outcome, Run, Success},
    log::{Appended, Batch, Commit, Loaded, Log, LogError, Position},
    memory::{Fault, Faults, MemoryArtifactAccess, MemoryLog, MemoryViews},
    ports::{Actions, Secrets, SecretsError},
};
use events::{ActionExecutionId, ExecutionId, PipelineName, StreamName, Version};
use handlers::{Service, project, sweep};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Runtime;

use crate::start_by_hand;

/// One log for several lives.
#[derive(Clone)]
pub(crate) struct Kept(pub(crate) Arc<MemoryLog>);

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
pub(crate) struct FailOnce(Arc<AtomicBool>);

impl Actions for FailOnce {
    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        if job.action.as_str() == "Push" && self.0.swap(false, Ordering::SeqCst) {
            return Run::Ended(Outcome::Failed(Failure::new(FailureCode::JobFailed, "told to fail")));
        }
        Run::Ended(Outcome::Succeeded(Success::default()))
    }

    async fn run_rule(&self, _: engine::rule::RuleJob) -> Run<engine::rule::RuleOutcome> {
        Run::Ended(engine::rule::RuleOutcome::Succeeded(engine::rule::RuleSuccess::default()))
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    async fn put(&self, _: &PipelineName, _: &[Secret]) -> Result<(), SecretsError> {
        Ok(())
    }

    async fn get(&self, _: &PipelineName) -> Result<Vec<Secret>, SecretsError> {
        Ok(Vec::new())
    }

    async fn keep(&self, _: &str, _: &str) -> Result<(), SecretsError> {
        Ok(())
    }

    async fn recall(&self, _: &str) -> Result<Option<String>, SecretsError> {
        Ok(None)
    }

    async fn forget(&self, _: &str) -> Result<(), SecretsError> {
        Ok(())
    }
}

pub(crate) type Home = Service<Kept, FailOnce, MemoryViews, NoSecrets, MemoryArtifactAccess>;

/// A process over what earlier ones have left behind.
pub(crate) fn life(log: &Kept, views: &Arc<MemoryViews>, fails: &Arc<AtomicBool>, ids_from: u64) -> Home {
    let engine = crate::engine(log.clone(), FailOnce(Arc::clone(fails)), ids_from);
    Service {
        engine,
        views: Arc::clone(views),
        secrets: Arc::new(NoSecrets),
        access: Arc::default(),
        registry: Arc::new(domain::catalogue::Registry::builtin()),
        partners: Arc::default(),
        outside: Arc::default(),
    }
}

pub(crate) async fn send(home: &Home, pipeline: &PipelineName, execution: Option<&ExecutionId>, wish: Wish) {
    crate::send(&home.engine, pipeline, execution, wish).await;
}

async fn ends(home: &Home, id: &ExecutionId, status: ExecutionStatus) {
    for _ in 0..2_000 {
        if home.engine.execution(id).await.expect("the log answers").status == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not {status:?}: {:#?}", home.engine.execution(id).await);
}

/// A pipeline whose stage `Live` goes back when it fails, with one execution that succeeded.
async fn declared(home: &Home) -> (PipelineName, ExecutionId) {
    let name = create(&home.engine).await;
    let good = start(&home.engine, &name).await;
    ends(home, &good, ExecutionStatus::Succeeded).await;
    (name, good)
}

pub(crate) async fn create<A: Actions>(engine: &Engine<Kept, A>) -> PipelineName {
    let declared = pipeline("shop").stage("Source", [source("Src")]).stage("Live", [deploy("Push")]);
    let definition = declared.on_failure("ROLLBACK", None).build();
    let name = definition.name.clone();
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    crate::send(engine, &name, None, create).await;
    name
}

pub(crate) async fn start<A: Actions>(engine: &Engine<Kept, A>, name: &PipelineName) -> ExecutionId {
    let id = engine.fresh_execution_id();
    crate::send(engine, name, Some(&id), start_by_hand()).await;
    id
}

/// The append that notes the debt is written, and its answer is lost; what becomes of the appends after it.
fn at_the_debt(log: &Kept, after: Option<Fault>) {
    let mut met = false;
    log.0.set_faults(Faults::drawn(move |batch| {
        if met {
            return after;
        }
        let mut events = batch.commits.iter().flat_map(|commit| commit.events.iter());
        met = events.any(|event| event.kind == "RollbackOwed");
        met.then_some(Fault::AnswerLost)
    }));
}

#[test]
fn a_rollback_that_was_decided_on_right_before_a_crash_starts_in_the_next_life() {
    let (log, views) = (Kept(Arc::new(MemoryLog::new())), Arc::new(MemoryViews::new()));
    let fails = Arc::new(AtomicBool::new(false));
    let before = Runtime::new().expect("a runtime");
    let (name, good, back) = before.block_on(async {
        let home = life(&log, &views, &fails, 1);
        let (name, good) = declared(&home).await;
        fails.store(true, Ordering::SeqCst);
        at_the_debt(&log, Some(Fault::Unavailable));
        let bad = start(&home.engine, &name).await;
        ends(&home, &bad, ExecutionStatus::Failed).await;
        let lane = home.engine.lane(&name).await.expect("the log answers");
        let (back, _) = lane.rollbacks.first_key_value().expect("the lane owes it");
        (name, good, back.clone())
    });
    // With everything that was about to happen; what was in the middle of an append would find the log well again.
    before.shutdown_timeout(Duration::from_secs(30));
    log.0.set_faults(Faults::default());

    Runtime::new().expect("a runtime").block_on(async {
        let home = life(&log, &views, &fails, 1_000);
        assert!(!home.engine.execution(&back).await.unwrap().exists());
        project::project(&home, &log.0.follow(Position::default(), 1_000)).await.unwrap();
        let elsewhere = PipelineName::parse("site").unwrap();
        assert_eq!(sweep::resume_all(&home, Some(&elsewhere)).await.unwrap(), []);
        assert_eq!(sweep::resume_all(&home, None).await.unwrap(), std::slice::from_ref(&back));
        ends(&home, &back, ExecutionStatus::Succeeded).await;
        let run = home.engine.execution(&back).await.unwrap();
        let target = run.start.as_ref().and_then(|start| start.rollback.as_ref()).map(|it| &it.target);
        assert_eq!(target, Some(&good));
        project::project(&home, &log.0.follow(Position::default(), 1_000)).await.unwrap();
        assert_eq!(sweep::resume_all(&home, None).await.unwrap(), [], "it is owed no more");
        assert!(home.engine.lane(&name).await.unwrap().under_way().is_empty());
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_does_not_answer_for_a_moment_costs_no_rollback() {
    let (log, views) = (Kept(Arc::new(MemoryLog::new())), Arc::new(MemoryViews::new()));
    let fails = Arc::new(AtomicBool::new(false));
    let home = life(&log, &views, &fails, 1);
    let (name, _) = declared(&home).await;
    fails.store(true, Ordering::SeqCst);
    at_the_debt(&log, None);
    let bad = start(&home.engine, &name).await;
    ends(&home, &bad, ExecutionStatus::Failed).await;
    let lane = home.engine.lane(&name).await.unwrap();
    let traffic = &lane.stages[&domain::testing::stage_name("Live")];
    let back = traffic.last_entered.clone().expect("somebody entered").execution;
    assert_ne!(back, bad);
    ends(&home, &back, ExecutionStatus::Succeeded).await;
}
