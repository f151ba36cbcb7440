//! Everything in memory: a log, listings, secrets, and actions that end at once, some well and some badly.

use crate::{
    client::Answer,
    pipelines::{approval, commands, foreign, pipeline, source, stage},
    random::Random,
};
use api::sigv4::Moment;
use bytes::Bytes;
use domain::{catalogue::Registry, command::Command, pipeline::secrets::Secret};
use engine::{
    Engine, World as Parts,
    action::{ActionJob, Failure, FailureCode, Outcome, Run, Success},
    log::Position,
    memory::{MemoryArtifactAccess, MemoryLog, MemoryViews},
    ports::{Actions, Clock, Ids, Secrets, SecretsError, Timers},
    rule::{RuleJob, RuleOutcome, RuleSuccess},
};
use events::{ActionExecutionId, PipelineName, Timestamp};
use handlers::{Service, project, wire};
use http::{Request, Response};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// The key pair that is known.
pub(super) const KEY: &str = "FUZZKEY";
/// Its secret half.
pub(super) const SECRET: &str = "fuzz-secret-that-opens-nothing";

/// 2026-01-01, milliseconds.
const BEGIN: i64 = 1_767_225_600_000;
/// From one request to the next, milliseconds.
const STEP: i64 = 7;
/// Turns of the executor without anything new, after which spawned work is done: an effect of an effect of an effect.
const QUIET_TURNS: usize = 6;
/// Values that are remembered of each kind.
const POOL_MAX: usize = 32;

type Home = Service<Arc<MemoryLog>, AtOnce, MemoryViews, InMemory, MemoryArtifactAccess>;

/// A world with some pipelines in it.
pub(super) struct World {
    home: Home,
    log: Arc<MemoryLog>,
    now: Arc<At>,
    projected: Position,
    pool: Pool,
}

/// Values that mean something in this world, by the member they belong to.
#[derive(Default)]
pub(super) struct Pool {
    known: BTreeMap<String, Vec<String>>,
    /// Definitions that were accepted, as inputs of CreatePipeline.
    pub(super) definitions: Vec<Value>,
}

impl Pool {
    /// Values seen under a member of this name.
    pub(super) fn of(&self, member: &str) -> &[String] {
        self.known.get(member).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, member: &str, value: &str) {
        let values = self.known.entry(member.to_owned()).or_default();
        if !values.iter().any(|known| known == value) {
            if values.len() == POOL_MAX {
                values.remove(0);
            }
            values.push(value.to_owned());
        }
    }
}

impl World {
    pub(super) async fn new(seed: u64) -> Self {
        let log = Arc::new(MemoryLog::new());
        let now = Arc::new(At(AtomicI64::new(BEGIN)));
        let engine = Engine::new(Parts {
            log: Arc::clone(&log),
            actions: AtOnce(Mutex::new(Random::new(seed))),
            clock: Arc::clone(&now) as Arc<dyn Clock>,
            ids: Arc::new(Counted(AtomicU64::new(1))),
            timers: Arc::new(Never),
            region: "us-east-1".into(),
            account: "123456789012".into(),
        });
        let home = Service {
            engine,
            views: Arc::new(MemoryViews::new()),
            secrets: Arc::new(InMemory::default()),
            access: Arc::default(),
            registry: Arc::new(Registry::builtin()),
            partners: Arc::default(),
            outside: Arc::default(),
        };
        let mut world = Self { home, log, now, projected: Position::default(), pool: Pool::default() };
        world.populate().await;
        world
    }

    /// Pipelines of every mode, with something to wait for and something that fails.
    async fn populate(&mut self) {
        let caller = handlers::Caller { arn: "arn:aws:iam::123456789012:user/fuzz".into() };
        for (name, mode) in [("shop", "SUPERSEDED"), ("queue", "QUEUED"), ("burst", "PARALLEL")] {
            let stages = vec![
                source(),
                stage("Gate", vec![approval("Sign")]),
                stage("Live", vec![commands("Say", &["true"]), foreign("Ship")]),
            ];
            let mut input = pipeline(name, stages);
            input["pipeline"]["executionMode"] = json!(mode);
            input["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
            let create = api::Operation::CreatePipeline;
            handlers::operations::dispatch(&self.home, &caller, create, input.clone()).await.unwrap();
            self.pool.definitions.push(input);
        }
        for (member, values) in [
            ("name", &["shop", "queue", "burst", "new", "COLOUR"][..]),
            ("pipelineName", &["shop", "queue", "burst", "none"]),
            ("stageName", &["Source", "Gate", "Live", "None"]),
            ("actionName", &["Checkout", "Sign", "Say", "Ship", "None"]),
            ("clientRequestToken", &["once", "twice"]),
            ("nextToken", &["1-00000000-00"]),
            ("resourceArn", &["arn:aws:codepipeline:us-east-1:123456789012:shop"]),
        ] {
            values.iter().for_each(|value| self.pool.add(member, value));
        }
        self.settle().await;
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The time as a signature writes it.
    pub(super) fn now(&self) -> Moment {
        Moment::from_millisecond(self.now.0.load(Ordering::SeqCst)).unwrap()
    }

    /// What was ever written: the log's length, and how often secrets were put away.
    pub(super) fn written(&self) -> (u64, usize) {
        (self.log.head().0, self.home.secrets.lock().writes)
    }

    pub(super) async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        self.now.0.fetch_add(STEP, Ordering::SeqCst);
        let arrival = wire::Arrival { now: self.now(), request_id: "00000000-0000-4000-8000-00000000fade" };
        let secret_of = |key: &str| (key == KEY).then(|| SECRET.to_owned());
        wire::answer(&self.home, secret_of, request, arrival).await
    }

    /// Lets spawned work finish, and brings the listings up to the log.
    pub(super) async fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET_TURNS {
            let before = self.log.head();
            tokio::task::yield_now().await;
            quiet = if self.log.head() == before { quiet + 1 } else { 0 };
        }
        let commits = self.log.follow(self.projected, usize::MAX);
        if let Some((last, _)) = commits.last() {
            project::project(&self.home, &commits).await.unwrap();
            self.projected = *last;
        }
    }

    /// Remembers ids, tokens and definitions of an answer, to ask for them later.
    pub(super) fn learn(&mut self, answer: &Answer) {
        if let Ok(body) = serde_json::from_slice::<Value>(&answer.body) {
            self.learn_from(&body);
            if body.get("pipeline").is_some_and(Value::is_object) && self.pool.definitions.len() < POOL_MAX {
                self.pool.definitions.push(json!({ "pipeline": body["pipeline"] }));
            }
        }
    }

    fn learn_from(&mut self, value: &Value) {
        const KEPT: &[&str] = &[
            "pipelineExecutionId",
            "actionExecutionId",
            "token",
            "nextToken",
            "NextToken",
            "id",
            "jobId",
            "nonce",
            "clientId",
            "arn",
            "revisionId",
        ];
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_str() {
                        Some(text) if KEPT.contains(&name.as_str()) => self.pool.add(name, text),
                        _ => self.learn_from(member),
                    }
                }
            }
            Value::Array(entries) => entries.iter().for_each(|entry| self.learn_from(entry)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

struct At(AtomicI64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct Counted(AtomicU64);

impl Ids for Counted {
    fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct Never;

impl Timers for Never {
    fn set(&self, _: &ActionExecutionId, _: Timestamp, _: Command) {}
    fn clear(&self, _: &ActionExecutionId) {}
}

/// Most actions succeed, some fail, some never end.
struct AtOnce(Mutex<Random>);

impl Actions for AtOnce {
    async fn run(&self, _: ActionJob) -> Run<Outcome> {
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).below(8);
        match turn {
            0 => Run::Ended(Outcome::Failed(Failure::new(FailureCode::JobFailed, "drawn to fail"))),
            1 => Run::Elsewhere,
            _ => Run::Ended(Outcome::Succeeded(Success::default())),
        }
    }

    async fn run_rule(&self, _: RuleJob) -> Run<RuleOutcome> {
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).below(8);
        match turn {
            0 => Run::Ended(RuleOutcome::Failed(Failure::new(FailureCode::JobFailed, "drawn to fail"))),
            1 => Run::Elsewhere,
            _ => Run::Ended(RuleOutcome::Succeeded(RuleSuccess::default())),
        }
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

/// What is kept: of pipelines, under a name, and how often anything was written.
#[derive(Default)]
struct Stored {
    pipelines: BTreeMap<PipelineName, Vec<Secret>>,
    named: BTreeMap<String, String>,
    writes: usize,
}

#[derive(Default)]
struct InMemory(Mutex<Stored>);

impl InMemory {
    fn lock(&self) -> std::sync::MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets for InMemory {
    async fn put(&self, pipeline: &PipelineName, secrets: &[Secret]) -> Result<(), SecretsError> {
        let mut stored = self.lock();
        stored.pipelines.insert(pipeline.clone(), secrets.to_vec());
        stored.writes += 1;
        Ok(())
    }

    async fn get(&self, pipeline: &PipelineName) -> Result<Vec<Secret>, SecretsError> {
        Ok(self.lock().pipelines.get(pipeline).cloned().unwrap_or_default())
    }

    async fn keep(&self, name: &str, value: &str) -> Result<(), SecretsError> {
        let mut stored = self.lock();
        stored.named.insert(name.to_owned(), value.to_owned());
        stored.writes += 1;
        Ok(())
    }

    async fn recall(&self, name: &str) -> Result<Option<String>, SecretsError> {
        Ok(self.lock().named.get(name).cloned())
    }

    async fn forget(&self, name: &str) -> Result<(), SecretsError> {
        self.lock().named.remove(name);
        Ok(())
    }
}
