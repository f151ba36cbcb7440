//! A state folder as it is after years: a thousand pipelines, a hundred thousand executions that are over. Made
//! through the engine, with actions that end at once.

use crate::definitions;
use anyhow::Context;
use domain::{
    catalogue::Registry,
    command::{Command, Wish},
    execution::Execution,
};
use engine::{
    Engine, World,
    action::{ActionJob, Outcome, Run, SourceRevision, Success},
    log::Position,
    memory::MemoryArtifactAccess,
    ports::{Actions, Timers},
    rule::{RuleJob, RuleOutcome, RuleSuccess},
    transact::Envelope,
};
use events::{ActionExecutionId, ExecutionId, PipelineName, Timestamp, Trigger, TriggerType};
use handlers::{Caller, Service, operations, project};
use local::{
    lock::FolderLock,
    log::SqliteLog,
    views::SqliteViews,
    world::{RandomIds, SecretFiles, SystemClock},
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// Pipelines in the folder: as many as an account may have.
pub(crate) const PIPELINES: usize = 1_000;
/// Executions in the folder, all over.
pub(crate) const EXECUTIONS: usize = 100_000;
/// Executions of the pipeline with the longest history.
pub(crate) const LONGEST: usize = 20_000;
/// Executions of one pipeline under way at a time; the mode allows 50.
const WAVE: usize = 40;
/// Pipelines that are worked on at a time.
const WORKERS: usize = 16;
const FOLLOW_COMMITS: usize = 512;
const POLL: Duration = Duration::from_millis(1);

type Home = Service<Arc<SqliteLog>, AtOnce, SqliteViews, SecretFiles, MemoryArtifactAccess>;

/// The name of a pipeline; number 0 has the longest history.
pub(crate) fn name(number: usize) -> String {
    format!("pipeline-{number:04}")
}

/// The definition of each of them.
pub(crate) fn definition(number: usize) -> serde_json::Value {
    definitions::pipeline(&name(number), "PARALLEL", &[vec![definitions::no_op(1, 1)]])
}

/// Makes the folder. Returns ids of executions by pipeline, some of each.
pub(crate) async fn make(state: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let lock = FolderLock::acquire(state, "bench")?;
    let log = Arc::new(SqliteLog::open(&lock)?);
    let engine = Engine::new(World {
        log: Arc::clone(&log),
        actions: AtOnce,
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        timers: Arc::new(Never),
        region: "us-east-1".into(),
        account: "123456789012".into(),
    });
    let home = Service {
        engine,
        views: Arc::new(log.views()),
        secrets: Arc::new(SecretFiles::new(state.join("secrets"))),
        access: Arc::default(),
        registry: Arc::new(Registry::builtin()),
        partners: Arc::default(),
        outside: Arc::default(),
    };
    let keeping = tokio::spawn(keep_views(home.clone(), Arc::clone(&log)));
    let caller = Caller { arn: "arn:aws:iam::123456789012:user/bench".into() };
    for number in 0..PIPELINES {
        let create = api::Operation::CreatePipeline;
        let created = operations::dispatch(&home, &caller, create, definition(number)).await;
        created.map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let some = fill(&home).await?;
    let head = log.flush().await?;
    while keeping_at(&home).await? < head {
        tokio::time::sleep(POLL).await;
    }
    keeping.abort();
    drop(keeping.await);
    log.close().await;
    Ok(some)
}

async fn fill(home: &Home) -> anyhow::Result<Vec<Vec<String>>> {
    let places = Arc::new(Semaphore::new(WORKERS));
    let mut work = JoinSet::new();
    for number in 0..PIPELINES {
        // Creating started one already. The longest first: it takes as long as all others together.
        let count = match number {
            0 => LONGEST - 1,
            _ => (EXECUTIONS - LONGEST) / (PIPELINES - 1),
        };
        let (home, places) = (home.clone(), Arc::clone(&places));
        work.spawn(async move {
            let _place = places.acquire_owned().await.context("nobody closes it")?;
            anyhow::Ok((number, executions(&home, &PipelineName::parse(name(number))?, count).await?))
        });
    }
    let mut some = vec![Vec::new(); PIPELINES];
    while let Some(done) = work.join_next().await {
        let (number, ids) = done??;
        some[number] = ids;
    }
    Ok(some)
}

async fn executions(home: &Home, pipeline: &PipelineName, count: usize) -> anyhow::Result<Vec<String>> {
    let engine = &home.engine;
    let (mut some, mut left) = (Vec::new(), count);
    while left > 0 {
        let wave: Vec<ExecutionId> = (0..WAVE.min(left)).map(|_| engine.fresh_execution_id()).collect();
        left -= wave.len();
        for id in &wave {
            let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "bench".into() };
            let wish =
                Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
            let command = Command { pipeline: pipeline.clone(), execution: Some(id.clone()), wish };
            let envelope =
                Envelope { id: engine.fresh_command_id(), actor: "bench".into(), command, once: None };
            engine.transact(envelope).await?;
        }
        for id in &wave {
            let over = |execution: &Execution| execution.exists() && execution.status.is_terminal();
            while !over(&*engine.execution(id).await?) {
                tokio::time::sleep(POLL).await;
            }
        }
        some.push(wave[0].to_string());
    }
    Ok(some)
}

async fn keep_views(home: Home, log: Arc<SqliteLog>) -> anyhow::Result<()> {
    let mut at = Position::default();
    loop {
        let commits = log.follow(at, FOLLOW_COMMITS).await?;
        match commits.last() {
            Some((last, _)) => at = *last,
            None => tokio::time::sleep(POLL).await,
        }
        project::project(&home, &commits).await?;
    }
}

async fn keeping_at(home: &Home) -> anyhow::Result<Position> {
    use engine::views::Views;
    Ok(home.views.cursor(project::READER).await?)
}

struct AtOnce;

impl Actions for AtOnce {
    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        let revision = job.inputs.is_empty().then(|| SourceRevision {
            action: job.action.clone(),
            revision_id: "4f3b8c4d5e6f70812a3b0d9b6c1e7a524f3b8c4d".into(),
            summary: Some("Say what happened".into()),
            change_id: None,
            created: None,
            url: None,
        });
        Run::Ended(Outcome::Succeeded(Success { revision, ..Success::default() }))
    }

    async fn run_rule(&self, _: RuleJob) -> Run<RuleOutcome> {
        Run::Ended(RuleOutcome::Succeeded(RuleSuccess::default()))
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

struct Never;

impl Timers for Never {
    fn set(&self, _: &ActionExecutionId, _: Timestamp, _: Command) {}
    fn clear(&self, _: &ActionExecutionId) {}
}
