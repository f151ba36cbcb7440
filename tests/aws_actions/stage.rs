//! What every test here starts from: a stand-in for AWS, the actions over it, a ledger in memory and a clock that stands.

use super::service::Service;
use aws::{
    actions::{
        AwsActions, Handover, Settings,
        ledger::{Entry, Ledger},
    },
    client::{self, Client, Credentials, Limits},
    world::SystemClock,
};
use engine::{
    action::{
        ActionJob, ActionTypeId, ArtifactLocation, Begun, Failure, InputArtifact, Outcome, OutputArtifact,
        Run, Success, Work,
    },
    ports::{Actions as _, ArtifactAccess, ArtifactAccessError, ArtifactCredentials, ArtifactLoan, Clock},
    rule::{RuleJob, RuleOutcome},
};
use events::{
    ActionCategory, ActionExecutionId, ActionName, ActionOwner, ArtifactName, ConditionType,
    Entry as Admission, ExecutionId, PipelineName, RuleExecutionId, RuleName, StageName, Timestamp,
};
use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// The attempt's id.
pub(crate) const ATTEMPT: &str = "11111111-1111-4111-8111-111111111111";
/// Noon of a day.
pub(crate) const NOON: i64 = 1_800_000_000_000;
/// The pipeline's role.
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/pipeline";

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) service: Service,
    pub(crate) actions: AwsActions,
    pub(crate) ledger: Memory,
    clock: Arc<Still>,
    _folder: Arc<tempfile::TempDir>,
}

struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A ledger in memory.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    claims: Arc<Mutex<BTreeMap<String, (String, Timestamp)>>>,
    /// Provider and id of noted work, with the attempt.
    pub(crate) noted: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl Ledger for Memory {
    fn take<'a>(
        &'a self,
        attempt: &'a ActionExecutionId,
        holder: &'a str,
        now: Timestamp,
        until: Timestamp,
    ) -> Entry<'a, bool> {
        let mut claims = self.claims.lock().unwrap();
        let is_free = claims.get(attempt.as_str()).is_none_or(|(by, end)| by == holder || *end <= now);
        if is_free {
            claims.insert(attempt.to_string(), (holder.to_owned(), until));
        }
        Box::pin(std::future::ready(Ok(is_free)))
    }

    fn release<'a>(&'a self, attempt: &'a ActionExecutionId, holder: &'a str) -> Entry<'a, ()> {
        self.claims.lock().unwrap().retain(|key, (by, _)| key != attempt.as_str() || by != holder);
        Box::pin(std::future::ready(Ok(())))
    }

    fn note<'a>(&'a self, provider: &'a str, id: &'a str, work: &'a Work) -> Entry<'a, ()> {
        let noted = (provider.to_owned(), id.to_owned(), work.attempt.to_string());
        self.noted.lock().unwrap().push(noted);
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Lender;

impl ArtifactAccess for Lender {
    async fn lend(
        &self,
        _: &ArtifactLoan,
        now: Timestamp,
    ) -> Result<ArtifactCredentials, ArtifactAccessError> {
        Ok(ArtifactCredentials {
            access_key_id: "ASIALENT".into(),
            secret_access_key: "lent-secret".into(),
            session_token: "lent-token".into(),
            expires: Timestamp(now.0 + 3_600_000),
        })
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Over somebody else's service; the stand-in is there, and nobody calls it.
    pub(crate) fn over(url: &str) -> Self {
        let stage = Self::at(Some(url), |settings| settings.linger = Duration::from_secs(10));
        stage.clock.0.store(now(), Ordering::SeqCst);
        stage
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(None, change)
    }

    fn at(url: Option<&str>, change: impl FnOnce(&mut Settings)) -> Self {
        let service = Service::start();
        let folder = tempfile::tempdir().unwrap();
        let client = url.map_or_else(|| client_of(&service.url), patient_client_of);
        let mut settings = Settings {
            handover: Handover::Here,
            scratch: folder.path().to_owned(),
            linger: Duration::ZERO,
            ..Settings::default()
        };
        change(&mut settings);
        let clock = Arc::new(Still(AtomicI64::new(NOON)));
        let ledger = Memory::default();
        let actions = AwsActions::new(client, ledger.clone(), Lender, clock.clone(), settings);
        Self { service, actions, ledger, clock, _folder: Arc::new(folder) }
    }

    /// Lets time pass.
    pub(crate) fn later(&self, minutes: i64) {
        self.clock.0.fetch_add(minutes * 60_000, Ordering::SeqCst);
    }

    pub(crate) async fn actions_run(&self, job: &ActionJob) -> Run<Outcome> {
        self.actions.run(job.clone()).await
    }

    pub(crate) async fn ended(&self, job: &ActionJob) -> Outcome {
        match self.actions.run(job.clone()).await {
            Run::Ended(outcome) => outcome,
            other => panic!("{other:?}: {:?}", self.service.operations()),
        }
    }

    pub(crate) async fn succeeded(&self, job: &ActionJob) -> Success {
        match self.ended(job).await {
            Outcome::Succeeded(success) => success,
            Outcome::Failed(failure) => panic!("{failure:?}: {:?}", self.service.operations()),
        }
    }

    pub(crate) async fn failed(&self, job: &ActionJob) -> Failure {
        match self.ended(job).await {
            Outcome::Succeeded(success) => panic!("{success:?}"),
            Outcome::Failed(failure) => failure,
        }
    }

    pub(crate) async fn begun(&self, job: &ActionJob) -> Begun {
        match self.actions.run(job.clone()).await {
            Run::Begun(begun) => begun,
            other => panic!("{other:?}: {:?}", self.service.operations()),
        }
    }

    pub(crate) async fn elsewhere(&self, job: &ActionJob) {
        let run = self.actions.run(job.clone()).await;
        assert!(matches!(run, Run::Elsewhere), "{run:?}: {:?}", self.service.operations());
    }

    pub(crate) async fn rule(&self, job: &RuleJob) -> Run<RuleOutcome> {
        self.actions.run_rule(job.clone()).await
    }
}

/// The machine's time.
pub(crate) fn now() -> i64 {
    SystemClock.now().0
}

/// For a service that answers at once.
fn client_of(url: &str) -> Client {
    client_with(url, Duration::from_secs(3))
}

/// For an emulator that loads what it needs when it is asked for the first time.
pub(crate) fn patient_client_of(url: &str) -> Client {
    client_with(url, Duration::from_secs(60))
}

fn client_with(url: &str, attempt: Duration) -> Client {
    Client::new(client::Settings {
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        endpoint: Some(url.to_owned()),
        endpoints: BTreeMap::new(),
        credentials: Credentials {
            access_key: "own".into(),
            secret_key: "secret".into(),
            session_token: None,
            expires: None,
        },
        limits: Limits { attempt, total: attempt * 2, attempts: 3, ..Limits::default() },
        meter: None,
    })
}

/// A job of an action that began at noon: `Category/Provider`, and its configuration.
pub(crate) fn job(kind: &str, configuration: &[(&str, &str)]) -> ActionJob {
    let (category, provider) = kind.split_once('/').unwrap();
    let category: ActionCategory = serde_json::from_value(category.into()).unwrap();
    let action_type =
        ActionTypeId { category, owner: ActionOwner::AWS, provider: provider.into(), version: "1".into() };
    let minutes = i64::from(domain::catalogue::timeout_minutes(&action_type));
    ActionJob {
        action_execution: ActionExecutionId::parse(ATTEMPT).unwrap(),
        execution: ExecutionId::parse("22222222-2222-4222-8222-222222222222").unwrap(),
        pipeline: PipelineName::parse("shop").unwrap(),
        stage: StageName::parse("Stage").unwrap(),
        action: ActionName::parse("Action").unwrap(),
        begun: None,
        entry: Admission::default(),
        action_type,
        roles: vec![ROLE.into()],
        region: None,
        encryption_key: None,
        configuration: configuration.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        commands: vec![],
        output_variables: vec![],
        environment_variables: vec![],
        inputs: vec![],
        outputs: vec![],
        revision: None,
        resumed: false,
        deadline: Timestamp(NOON + minutes * 60_000),
    }
}

pub(crate) fn rule(provider: &str, configuration: &[(&str, &str)]) -> RuleJob {
    RuleJob {
        rule_execution: RuleExecutionId::parse(ATTEMPT).unwrap(),
        execution: ExecutionId::parse("22222222-2222-4222-8222-222222222222").unwrap(),
        pipeline: PipelineName::parse("shop").unwrap(),
        stage: StageName::parse("Stage").unwrap(),
        condition: ConditionType::BeforeEntry,
        rule: RuleName::parse("Rule").unwrap(),
        begun: None,
        entry: Admission::default(),
        provider: provider.into(),
        version: "1".into(),
        roles: vec![ROLE.into()],
        region: None,
        encryption_key: None,
        configuration: configuration.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        commands: vec![],
        inputs: vec![],
        resumed: false,
        started: Timestamp(NOON),
        deadline: Timestamp(NOON + 3_600_000),
    }
}

pub(crate) fn input(name: &str) -> InputArtifact {
    InputArtifact {
        name: ArtifactName::parse(name).unwrap(),
        location: ArtifactLocation { bucket: "store".into(), key: format!("shop/{name}/k1") },
        revision: Some("abc123".into()),
    }
}

pub(crate) fn output(name: &str) -> OutputArtifact {
    OutputArtifact {
        name: ArtifactName::parse(name).unwrap(),
        location: ArtifactLocation { bucket: "store".into(), key: format!("shop/{name}/k2") },
        files: vec![],
    }
}

/// The same job, taken up by somebody else after it is known to have begun.
pub(crate) fn asked(job: &ActionJob, begun: &Begun) -> ActionJob {
    ActionJob { begun: Some(begun.external_execution_id.clone()), resumed: true, ..job.clone() }
}

/// The same job, taken up after its holder died.
pub(crate) fn resumed(job: &ActionJob) -> ActionJob {
    ActionJob { resumed: true, ..job.clone() }
}

/// A ZIP archive of these files.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The files of a ZIP archive.
pub(crate) fn files(archive: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    (0..zip.len())
        .map(|index| {
            let mut file = zip.by_index(index).unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
            let name = file.name().unwrap().into_owned();
            (name, text)
        })
        .collect()
}
