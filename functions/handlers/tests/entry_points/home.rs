//! Processes over one log in memory, whose actions do what a test says.

use domain::{
    command::{Attempt, Command, Wish},
    execution::{Execution, ExecutionStatus},
    pipeline::PipelineDeclaration,
};
use engine::{
    Engine, World,
    action::{ActionJob, Begun, Failure, FailureCode, Outcome, Run, Success, Work},
    log::{Appended, Batch, Commit, Loaded, Log, LogError, Position},
    memory::{MemoryArtifactAccess, MemoryLog, MemoryViews},
    ports::{Actions, Clock, Ids, Secrets, SecretsError, Timers},
    rule::{RuleJob, RuleOutcome, RuleSuccess},
    transact::Envelope,
    views::ViewsError,
};
use events::{
    ActionExecutionId, ExecutionId, PipelineName, StreamName, Timestamp, Trigger, TriggerType, Version,
};
use handlers::{Service, changes::Change, completion::Externals};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// One log for all processes. Others write too, so nobody decides on what was not just read.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    log: MemoryLog,
    /// Streams that cannot be read at the moment.
    silent: Mutex<BTreeSet<String>>,
}

impl Log for Shared {
    const PIPELINED: bool = false;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        self.0.log.append(batch)
    }

    async fn barrier(&self) {
        self.0.log.barrier().await;
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        self.answers(stream)?;
        self.0.log.load(stream, fold).await
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        self.answers(stream)?;
        self.0.log.read(stream, after, limit).await
    }
}

impl Shared {
    fn answers(&self, stream: &StreamName) -> Result<(), LogError> {
        match self.0.silent.lock().unwrap().contains(stream.as_str()) {
            true => Err(LogError::Unavailable { subject: stream.to_string(), source: "a fault".into() }),
            false => Ok(()),
        }
    }
}

/// What becomes of work.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Does {
    /// It ends well at once.
    Succeeds,
    /// It fails at once.
    Fails,
    /// A provider begins it, under this id, and is not done whenever it is asked.
    Begins(&'static str),
    /// The process dies before anything is done.
    Nothing,
}

/// By action. All processes share them, as they share the providers.
#[derive(Clone, Default)]
pub(crate) struct Providers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    does: BTreeMap<String, Does>,
    /// Action, and the provider's id where it was asked how it goes.
    calls: Vec<(String, Option<String>)>,
}

impl Providers {
    pub(crate) fn set(&self, action: &str, does: Does) {
        self.0.lock().unwrap().does.insert(action.to_owned(), does);
    }

    /// What was asked of them since the last time.
    pub(crate) fn calls(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn call(&self, name: &str, begun: Option<String>) -> Does {
        let mut state = self.0.lock().unwrap();
        state.calls.push((name.to_owned(), begun));
        state.does.get(name).cloned().unwrap_or(Does::Succeeds)
    }
}

impl Actions for Providers {
    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        match self.call(job.action.as_str(), job.begun.clone()) {
            Does::Succeeds => Run::Ended(Outcome::Succeeded(Success::default())),
            Does::Fails => Run::Ended(Outcome::Failed(Failure::new(FailureCode::JobFailed, "told to fail"))),
            Does::Begins(_) if job.begun.is_some() => Run::Elsewhere,
            Does::Begins(id) => Run::Begun(Begun {
                external_execution_id: id.to_owned(),
                external_execution_url: None,
                summary: None,
            }),
            Does::Nothing => Run::Elsewhere,
        }
    }

    async fn run_rule(&self, job: RuleJob) -> Run<RuleOutcome> {
        match self.call(job.rule.as_str(), job.begun.clone()) {
            Does::Nothing | Does::Begins(_) => Run::Elsewhere,
            Does::Succeeds | Does::Fails => Run::Ended(RuleOutcome::Succeeded(RuleSuccess::default())),
        }
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

#[derive(Default)]
pub(crate) struct KeptSecrets(Mutex<BTreeMap<String, String>>);

impl Secrets for KeptSecrets {
    async fn put(
        &self,
        _: &PipelineName,
        _: &[domain::pipeline::secrets::Secret],
    ) -> Result<(), SecretsError> {
        Ok(())
    }

    async fn get(&self, _: &PipelineName) -> Result<Vec<domain::pipeline::secrets::Secret>, SecretsError> {
        Ok(Vec::new())
    }

    async fn keep(&self, name: &str, value: &str) -> Result<(), SecretsError> {
        self.0.lock().unwrap().insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn recall(&self, name: &str) -> Result<Option<String>, SecretsError> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    async fn forget(&self, name: &str) -> Result<(), SecretsError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

/// A clock that a test moves.
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct Counted(Arc<AtomicU64>);

impl Ids for Counted {
    fn uuid(&self) -> String {
        format!("{:08x}-0000-4000-8000-000000000000", self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct Never;

impl Timers for Never {
    fn set(&self, _: &ActionExecutionId, _: Timestamp, _: Command) {}
    fn clear(&self, _: &ActionExecutionId) {}
}

pub(crate) type Home = Service<Shared, Providers, MemoryViews, KeptSecrets, MemoryArtifactAccess>;

/// An account: what outlives every process.
pub(crate) struct Account {
    log: Shared,
    pub(crate) views: Arc<MemoryViews>,
    pub(crate) providers: Providers,
    pub(crate) externals: KnownWork,
    secrets: Arc<KeptSecrets>,
    now: Arc<AtomicI64>,
    ids: Arc<AtomicU64>,
}

/// When every test begins.
const BEGINNING_MS: i64 = 1_700_000_000_000;

impl Account {
    pub(crate) fn new() -> Self {
        Self {
            log: Shared(Arc::new(Inner { log: MemoryLog::new(), silent: Mutex::default() })),
            views: Arc::new(MemoryViews::new()),
            providers: Providers::default(),
            externals: KnownWork::default(),
            secrets: Arc::default(),
            now: Arc::new(AtomicI64::new(BEGINNING_MS)),
            ids: Arc::new(AtomicU64::new(1)),
        }
    }

    /// A process that has just started.
    pub(crate) fn process(&self) -> Home {
        let engine = Engine::new(World {
            log: self.log.clone(),
            actions: self.providers.clone(),
            clock: Arc::new(Hand(Arc::clone(&self.now))),
            ids: Arc::new(Counted(Arc::clone(&self.ids))),
            timers: Arc::new(Never),
            region: "us-east-1".into(),
            account: "111122223333".into(),
        });
        Service {
            engine,
            views: Arc::clone(&self.views),
            secrets: Arc::clone(&self.secrets),
            access: Arc::default(),
            registry: Arc::new(domain::catalogue::Registry::builtin()),
            partners: Arc::default(),
            outside: Arc::default(),
        }
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Whether a stream can be read.
    pub(crate) fn silence(&self, stream: &StreamName, is_silent: bool) {
        let mut silent = self.log.0.silent.lock().unwrap();
        match is_silent {
            true => silent.insert(stream.as_str().to_owned()),
            false => silent.remove(stream.as_str()),
        };
    }

    /// Every record the change stream would have.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let commits = self.log.0.log.follow(Position::default(), 10_000);
        let change = |(position, commit): (Position, Commit)| Change {
            sequence: format!("{:05}", position.0),
            commit: Ok(commit),
        };
        commits.into_iter().map(change).collect()
    }

    /// Has the views brought up to the log.
    pub(crate) async fn projected(&self) {
        let unmet = handlers::project::project_changes(&self.process(), &self.changes()).await;
        assert_eq!(unmet, []);
    }

    /// Writes down under which name a provider knows an attempt.
    pub(crate) fn external(&self, provider: &str, id: &str, work: &Work) {
        let name = (provider.to_owned(), id.to_owned());
        self.externals.0.lock().unwrap().insert(name, work.clone());
    }
}

#[derive(Default)]
pub(crate) struct KnownWork(Mutex<BTreeMap<(String, String), Work>>);

impl Externals for KnownWork {
    async fn whose(&self, provider: &str, id: &str) -> Result<Option<Work>, ViewsError> {
        Ok(self.0.lock().unwrap().get(&(provider.to_owned(), id.to_owned())).cloned())
    }
}

pub(crate) async fn send(home: &Home, pipeline: &PipelineName, execution: Option<&ExecutionId>, wish: Wish) {
    let command = Command { pipeline: pipeline.clone(), execution: execution.cloned(), wish };
    let id = home.engine.fresh_command_id();
    let envelope = Envelope { id, actor: "ann".into(), command, once: None };
    home.engine.transact(envelope).await.expect("the log takes it");
    home.engine.quiet().await;
}

pub(crate) async fn create(home: &Home, definition: PipelineDeclaration) -> PipelineName {
    let name = definition.name.clone();
    let wish = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(home, &name, None, wish).await;
    name
}

pub(crate) async fn start(home: &Home, name: &PipelineName) -> ExecutionId {
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
    let id = home.engine.fresh_execution_id();
    let wish = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
    send(home, name, Some(&id), wish).await;
    id
}

pub(crate) async fn run(home: &Home, id: &ExecutionId) -> Arc<Execution> {
    home.engine.execution(id).await.expect("the log answers")
}

/// The attempt that is under way.
pub(crate) fn under_way(run: &Execution) -> Attempt {
    let (stage, attempt) = run.running().next().expect("an action is under way");
    Attempt {
        stage: stage.stage.clone(),
        action: attempt.action.clone(),
        action_execution: attempt.action_execution.clone(),
        entry: attempt.entry,
    }
}

#[track_caller]
pub(crate) fn is(run: &Execution, status: ExecutionStatus) {
    assert_eq!(run.status, status, "{run:#?}");
}
