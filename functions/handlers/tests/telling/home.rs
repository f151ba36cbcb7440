//! A home in memory, whose actions end when a test says so.

use domain::{
    command::{ActionResult, Attempt, Command, Details, Wish},
    execution::Execution,
    pipeline::PipelineDeclaration,
};
use engine::{
    Engine, World,
    action::{ActionJob, Outcome, Run},
    log::Position,
    memory::{
        MemoryArtifactAccess, MemoryLog, MemoryViews,
        outward::{MemoryBus, MemoryMarks, MemoryTopics},
    },
    ports::{Actions, Clock, Ids, Secrets, SecretsError, Timers},
    rule::{RuleJob, RuleOutcome},
    transact::Envelope,
};
use events::{
    ActionExecutionId, ExecutionId, FailureCode, PipelineName, SourceRevision, StageName, StageRetryMode,
    Timestamp, Trigger, TriggerType,
};
use handlers::{
    Outside, Service,
    publish::{Outlets, SOURCE_AT_HOME, Telling},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

pub(crate) type Home = Service<Arc<MemoryLog>, Elsewhere, MemoryViews, NoSecrets, MemoryArtifactAccess>;

/// Everything is done by somebody else.
pub(crate) struct Elsewhere;

impl Actions for Elsewhere {
    async fn run(&self, _: ActionJob) -> Run<Outcome> {
        Run::Elsewhere
    }

    async fn run_rule(&self, _: RuleJob) -> Run<RuleOutcome> {
        Run::Elsewhere
    }

    fn cancel(&self, _: &ActionExecutionId) {}
}

pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
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

/// A clock that a test moves.
pub(crate) struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct Counted(AtomicU64);

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

/// The home, with a pipeline `shop`: Source (`Fetch`), Build (`Compile`), Gate (`Approve`), Deploy (`Web`).
pub(crate) struct House {
    pub(crate) home: Home,
    pub(crate) outlets: Outlets<MemoryBus, MemoryTopics, MemoryMarks>,
    pub(crate) log: Arc<MemoryLog>,
    clock: Arc<Hand>,
    projected: Mutex<Position>,
}

pub(crate) fn shop() -> Value {
    let action = |name: &str,
                  category: &str,
                  provider: &str,
                  configuration: Value,
                  inputs: &[&str],
                  outputs: &[&str]| {
        let named = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>();
        json!({
            "name": name,
            "actionTypeId": { "category": category, "owner": "AWS", "provider": provider, "version": "1" },
            "configuration": configuration,
            "inputArtifacts": named(inputs),
            "outputArtifacts": named(outputs),
        })
    };
    let arn = "arn:aws:sns:eu-west-1:111122223333:approvals";
    let source = json!({ "RepositoryName": "shop", "BranchName": "main" });
    let asks = json!({ "NotificationArn": arn, "CustomData": "Check the notes", "ExternalEntityLink": "https://staging.example.org" });
    let deploys = json!({ "ApplicationName": "Shop", "DeploymentGroupName": "Prod" });
    json!({
        "name": "shop",
        "roleArn": "arn:aws:iam::111122223333:role/pipeline",
        "artifactStore": { "type": "S3", "location": "artifacts" },
        "pipelineType": "V2",
        "stages": [
            { "name": "Source", "actions": [action("Fetch", "Source", "CodeCommit", source, &[], &["Code"])] },
            { "name": "Build", "actions": [
                action("Compile", "Build", "CodeBuild", json!({ "ProjectName": "shop" }), &["Code"], &["App"]),
            ] },
            { "name": "Gate", "actions": [action("Approve", "Approval", "Manual", asks, &[], &[])] },
            { "name": "Deploy", "actions": [action("Web", "Deploy", "CodeDeploy", deploys, &["App"], &[])] },
        ],
    })
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Telling { source: SOURCE_AT_HOME.into(), console: None, topic: None }).await
    }

    pub(crate) async fn with(telling: Telling) -> Self {
        let log = Arc::new(MemoryLog::new());
        // 2024-05-01T10:00:00Z
        let clock = Arc::new(Hand(AtomicI64::new(1_714_557_600_000)));
        let world = World {
            log: Arc::clone(&log),
            actions: Elsewhere,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids: Arc::new(Counted(AtomicU64::new(1))),
            timers: Arc::new(Never),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
        };
        let home = Service {
            engine: Engine::new(world),
            views: Arc::new(MemoryViews::new()),
            secrets: Arc::new(NoSecrets),
            access: Arc::new(MemoryArtifactAccess::default()),
            registry: Arc::new(domain::catalogue::Registry::builtin()),
            partners: Arc::new(BTreeMap::new()),
            outside: Arc::new(Outside::default()),
        };
        let outlets = Outlets {
            bus: Arc::new(MemoryBus::default()),
            topics: Arc::new(MemoryTopics::default()),
            marks: Arc::new(MemoryMarks::default()),
            telling: Arc::new(telling),
        };
        let house = Self { home, outlets, log, clock, projected: Mutex::default() };
        let definition: PipelineDeclaration = domain::pipeline::parse(&shop()).expect("a legal definition");
        let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
        house.send(None, create).await;
        house
    }

    pub(crate) fn name() -> PipelineName {
        PipelineName::parse("shop").expect("a name")
    }

    /// Sends a command, a second later than the one before, and brings the listings up to it.
    pub(crate) async fn send(&self, execution: Option<&ExecutionId>, wish: Wish) {
        self.pass(1_000);
        let engine = &self.home.engine;
        let command = Command { pipeline: Self::name(), execution: execution.cloned(), wish };
        let actor = "arn:aws:sts::111122223333:assumed-role/Dev/ana".to_owned();
        let envelope = Envelope { id: engine.fresh_command_id(), actor, command, once: None };
        engine.transact(envelope).await.expect("the command is accepted");
        let at = *self.projected.lock().expect("no test panicked");
        let commits = self.log.follow(at, usize::MAX);
        handlers::project::project(&self.home, &commits).await.expect("memory answers");
        *self.projected.lock().expect("no test panicked") = self.log.head();
    }

    pub(crate) fn pass(&self, milliseconds: i64) {
        self.clock.0.fetch_add(milliseconds, Ordering::SeqCst);
    }

    pub(crate) async fn start(&self) -> ExecutionId {
        let execution = self.home.engine.fresh_execution_id();
        let detail = "arn:aws:sts::111122223333:assumed-role/Dev/ana".to_owned();
        let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail };
        let start = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
        self.send(Some(&execution), start).await;
        execution
    }

    pub(crate) async fn run(&self, execution: &ExecutionId) -> Arc<Execution> {
        self.home.engine.execution(execution).await.expect("memory answers")
    }

    async fn attempt(&self, execution: &ExecutionId, action: &str) -> (Attempt, Option<String>) {
        let run = self.run(execution).await;
        let found = run.stages.iter().rev().find_map(|stage| {
            let attempt = stage.attempts.iter().rev().find(|attempt| attempt.action.as_str() == action)?;
            let of = Attempt {
                stage: stage.stage.clone(),
                action: attempt.action.clone(),
                action_execution: attempt.action_execution.clone(),
                entry: attempt.entry,
            };
            Some((of, attempt.token.clone()))
        });
        found.unwrap_or_else(|| panic!("`{action}` was not started"))
    }

    pub(crate) async fn succeed(&self, execution: &ExecutionId, action: &str) {
        let (attempt, _) = self.attempt(execution, action).await;
        let is_source = action == "Fetch";
        let revision = is_source.then(|| SourceRevision {
            action: attempt.action.clone(),
            revision_id: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into(),
            summary: Some("Fix cart <!channel> & checkout\n\nLonger words".into()),
            url: Some("https://git.example.org/shop/commit/1a2b3c4d".into()),
            change_id: None,
            created: None,
        });
        let variables =
            [("CommitId", "1a2b3c4d"), ("AuthorDisplayName", "Ana <Example>"), ("BranchName", "main")];
        let variables = variables.into_iter().filter(|_| is_source);
        let result = ActionResult::Succeeded {
            output_variables: variables.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            revision,
            mocked: false,
            details: Details::default(),
        };
        self.send(Some(execution), Wish::RecordActionResult { attempt, result }).await;
    }

    pub(crate) async fn fail(&self, execution: &ExecutionId, action: &str, message: &str) {
        let (attempt, _) = self.attempt(execution, action).await;
        let details = Details {
            external_execution_id: Some("d-ABC".into()),
            external_execution_url: Some("https://console.example.org/d-ABC".into()),
            ..Details::default()
        };
        let result =
            ActionResult::Failed { code: FailureCode::JobFailed, message: message.to_owned(), details };
        self.send(Some(execution), Wish::RecordActionResult { attempt, result }).await;
    }

    pub(crate) async fn answer(&self, execution: &ExecutionId, approved: bool) {
        let (attempt, token) = self.attempt(execution, "Approve").await;
        let (stage, action) = (attempt.stage, attempt.action);
        let token = token.expect("an approval has a token");
        let summary = "looks good".to_owned();
        let wish = Wish::RecordApproval { stage, action, token, approved, summary };
        self.send(Some(execution), wish).await;
    }

    pub(crate) async fn retry(&self, execution: &ExecutionId, stage: &str) {
        let stage = StageName::parse(stage).expect("a name");
        self.send(Some(execution), Wish::RetryStage { stage, mode: StageRetryMode::FailedActions }).await;
    }

    /// As far as the approval.
    pub(crate) async fn to_the_gate(&self, execution: &ExecutionId) {
        self.succeed(execution, "Fetch").await;
        self.succeed(execution, "Compile").await;
    }

    /// All the way.
    pub(crate) async fn to_the_end(&self, execution: &ExecutionId) {
        self.to_the_gate(execution).await;
        self.answer(execution, true).await;
        self.succeed(execution, "Web").await;
    }
}
