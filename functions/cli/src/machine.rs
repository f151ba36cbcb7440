//! This machine as a home: the adapters, wired together.

use crate::damage::is_damage;
use anyhow::Context;
use domain::{catalogue::Registry, command::Command};
use engine::{Engine, World, log::Position, ports::GitHosts, views::Views};
use events::{ActionTypeId, Compatibility, ExecutionId, PipelineName};
use handlers::{Outside, Partner, Service, project, sweep};
use local::{
    actions::LocalActions,
    artifact_access::LocalArtifactAccess,
    artifacts::ArtifactStore,
    git_host::CurlGitHost,
    lock::FolderLock,
    log::SqliteLog,
    settings::{RegisteredType, Settings},
    settled_views::SettledViews,
    world::{ProcessTimers, RandomIds, SecretFiles, SystemClock},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// The operations over this machine's adapters.
pub type LocalService = Service<Arc<SqliteLog>, LocalActions, SettledViews, SecretFiles, LocalArtifactAccess>;

/// Commits that the projector reads at a time.
const PROJECT_COMMITS: usize = 512;
/// How often what was left alone is taken up.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Timers that may have fired and wait to be sent.
const FIRED_TIMERS_MAX: usize = 1024;

/// Reads `--compatibility`.
pub fn compatibility(text: &str) -> Result<Compatibility, String> {
    match text {
        "exact" => Ok(Compatibility::Exact),
        "extended" => Ok(Compatibility::Extended),
        _ => Err("it is `exact` or `extended`".to_owned()),
    }
}

/// An open state folder with everything that works on it.
pub struct Machine {
    /// The operations.
    pub service: LocalService,
    /// The log, for following it.
    pub log: Arc<SqliteLog>,
    /// Who lends the artifacts of a job, and knows what was lent.
    pub access: Arc<LocalArtifactAccess>,
    actions: LocalActions,
    /// How far the listings reflect the log.
    projected: watch::Receiver<Position>,
    projector: JoinHandle<()>,
    /// Why the listings are not kept any more.
    damage: Damage,
    _lock: FolderLock,
}

/// A history that cannot be believed, once one was met.
type Damage = Arc<Mutex<Option<anyhow::Error>>>;

/// What a machine is opened with.
pub struct Opening<'a> {
    /// The state folder.
    pub state: &'a Path,
    /// `towpath.toml` and the flags laid over it.
    pub settings: Settings,
    /// How closely CodePipeline's own limits are kept where the settings say nothing.
    pub compatibility: Compatibility,
    /// The Region label.
    pub region: &'a str,
    /// The account, 12 digits.
    pub account: &'a str,
    /// The command line, for whoever finds the folder locked.
    pub command: &'a str,
    /// The address that others reach the API at; empty when it is not served.
    pub public_url: &'a str,
}

impl Machine {
    /// Opens a state folder, making it when there is none. Nothing that was under way is taken up yet.
    pub async fn open(opening: Opening<'_>) -> anyhow::Result<Self> {
        let lock = FolderLock::acquire(opening.state, opening.command)?;
        keep_out_of_git(opening.state);
        let log = Arc::new(SqliteLog::open(&lock)?);
        let settings = Arc::new(opening.settings);
        let actions = LocalActions::new(
            Arc::clone(&settings),
            opening.state,
            opening.region,
            opening.account,
            !opening.public_url.is_empty(),
        );
        let access = LocalArtifactAccess::of(opening.state).context("the key for artifacts cannot be had")?;
        let access = Arc::new(access);
        let timers = Arc::new(ProcessTimers::default());
        let world = World {
            log: Arc::clone(&log),
            actions: actions.clone(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            timers: Arc::clone(&timers) as Arc<dyn engine::ports::Timers>,
            region: opening.region.to_owned(),
            account: opening.account.to_owned(),
        };
        let engine = Engine::governed(world, settings.policies(opening.compatibility));
        let (told, projected) = watch::channel(Position::default());
        let views = SettledViews::new(log.views(), Arc::clone(&log), projected.clone());
        let start = views.cursor(project::READER).await.context("the listings cannot be read")?;
        if start == Position::default() {
            // Listings of an earlier version may lie here, whose rows have another shape: they are made anew.
            let cleared = views.drop_all(project::READER).await;
            cleared.context("the listings of an earlier version cannot be cleared away")?;
        }
        told.send_replace(start);
        let service = Service {
            engine: engine.clone(),
            views: Arc::new(views),
            secrets: Arc::new(SecretFiles::new(opening.state.join("secrets"))),
            access: Arc::clone(&access),
            registry: Arc::new(registry(&settings, opening.account)),
            partners: Arc::new(partners(&settings)),
            outside: Arc::new(Outside {
                public_url: opening.public_url.trim_end_matches('/').to_owned(),
                git_hosts: settings
                    .git_host
                    .clone()
                    .map(|host| Box::new(CurlGitHost::new(host)) as Box<dyn GitHosts>),
            }),
        };
        let damage = Damage::default();
        let keeping = keep_views(service.clone(), Arc::clone(&log), start, told, Arc::clone(&damage));
        let projector = tokio::spawn(keeping);
        let (fire, mut fired) = mpsc::channel::<Command>(FIRED_TIMERS_MAX);
        tokio::spawn(timers.run(SystemClock, fire));
        tokio::spawn(async move {
            while let Some(command) = fired.recv().await {
                engine.tell(command);
            }
        });
        Ok(Self { service, log, access, actions, projected, projector, damage, _lock: lock })
    }

    /// Takes up everything that was under way when the folder was last closed; with `only`, what belongs to that
    /// pipeline. Returns the executions.
    pub async fn resume(&self, only: Option<&PipelineName>) -> anyhow::Result<Vec<ExecutionId>> {
        // What is under way stands in the listings: none is missed only once they show the whole log.
        let head = self.log.head();
        if self.projected.clone().wait_for(|at| *at >= head).await.is_err() {
            let met = self.damage.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(met.unwrap_or_else(|| anyhow::anyhow!("the listings are not kept any more")));
        }
        Ok(sweep::resume_all(&self.service, only).await?)
    }

    /// Once a minute takes up what was left alone: by an append whose answer was lost, or a log that could not be
    /// read for long. Never ends.
    pub async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            match sweep::take_up(&self.service).await {
                Ok(0) => {}
                Ok(taken) => tracing::debug!(taken, "swept"),
                Err(error) => tracing::warn!(%error, "what was left alone could not be taken up"),
            }
        }
    }

    /// The artifact store.
    pub fn artifacts(&self) -> &ArtifactStore {
        self.actions.artifacts()
    }

    /// Stops what runs, without ending it: the next start takes it up again. Writes what waits.
    pub async fn close(self) {
        self.actions.shut_down().await;
        // The listings may stay behind: the next start brings them up to the log.
        self.projector.abort();
        // Aborted, so this is the end of it: it must not read from a log that is closed.
        drop(self.projector.await);
        self.log.close().await;
    }
}

/// The built-in action types, and those the settings register.
fn registry(settings: &Settings, account: &str) -> Registry {
    let mut registry = Registry::builtin();
    for registered in &settings.action_types {
        registry.register_integration(registered.declaration(account));
    }
    registry
}

fn partners(settings: &Settings) -> BTreeMap<ActionTypeId, Partner> {
    let partner = |registered: &RegisteredType| {
        let RegisteredType { client_id, client_token, .. } = registered.clone();
        (registered.id(), Partner { client_id, client_token })
    };
    settings.action_types.iter().map(partner).collect()
}

/// The state folder usually lies in somebody's repository; nothing in it belongs there.
fn keep_out_of_git(state: &Path) {
    let ignore = state.join(".gitignore");
    // Without it everything works; only `git status` would be longer.
    if !ignore.exists() && std::fs::write(&ignore, "*\n").is_err() {
        tracing::debug!("`{}` could not be written", ignore.display());
    }
}

/// Follows the log and keeps the listings, in order. Falls behind rather than over: a failure is tried again. A
/// damaged history ends it.
async fn keep_views(
    service: LocalService,
    log: Arc<SqliteLog>,
    start: Position,
    told: watch::Sender<Position>,
    damage: Damage,
) {
    let mut at = start;
    let mut head = log.watch();
    loop {
        let read = log.follow(at, PROJECT_COMMITS).await;
        let done = match read {
            Ok(commits) if commits.is_empty() => {
                if head.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Ok(commits) => {
                let last = commits.last().map_or(at, |(position, _)| *position);
                project::project(&service, &commits).await.map(|()| last).map_err(anyhow::Error::from)
            }
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(last) => {
                at = last;
                told.send_replace(at);
            }
            Err(error) => {
                if head.has_changed().is_err() {
                    return;
                }
                if is_damage(&error) {
                    tracing::warn!(%error, "the listings are not kept any more");
                    // Noted before `told` is dropped, which is what others hear of it by.
                    *damage.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
                tracing::warn!(%error, "the listings fell behind the log");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}
