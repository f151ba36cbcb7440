//! One process: the real engine and the real handlers over the ports of this world, from its start to its death.

use crate::{
    bus::{self, Nowhere, SimBus, SimMarks},
    log::SimLog,
    plan::Trouble,
    provider::{self, SimActions},
    shared::{Awaited, Die, Life, Shared},
};
use domain::{catalogue::Registry, command::Command, pipeline::secrets::Secret};
use engine::{
    Engine, World,
    log::{Commit, Position},
    memory::{MemoryArtifactAccess, MemoryViews},
    ports::{Clock, Ids, Secrets, SecretsError, Timers},
    views::{Cursor, ViewRow, Views, ViewsError},
};
use events::{ActionExecutionId, PipelineName, Timestamp};
use handlers::{
    Service, project,
    publish::{Courses, Outlets},
    sweep::{self, Bounds},
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::AbortHandle};

/// The operations over the ports of a world.
pub type Home<const P: bool> = Service<SimLog<P>, SimActions, SimViews, NoSecrets, MemoryArtifactAccess>;

/// Commits that the projector reads at a time.
const PROJECT_COMMITS: usize = 16;

/// A process with what it keeps.
pub struct Process<const P: bool> {
    /// Its life.
    pub life: Arc<Life>,
    /// Its operations.
    pub home: Home<P>,
    /// How it tells the world.
    pub outlets: Outlets<SimBus, Nowhere, SimMarks>,
    /// How far it told the world.
    pub courses: Courses,
    log: SimLog<P>,
    projected: Arc<Awaited>,
}

impl<const P: bool> Process<P> {
    /// Starts a process over what earlier ones have left behind.
    pub fn start(shared: &Arc<Shared>, region: &str) -> Self {
        let number = shared.fresh();
        let skew =
            if shared.plan.is_calm() { 0 } else { shared.dice(Die::World).below(4_000) as i64 - 2_000 };
        let life = Life::new(number, skew);
        let log = SimLog::new(shared, &life);
        let (fire, mut fired) = mpsc::unbounded_channel();
        let (shared, region) = (Arc::clone(shared), region.to_owned());
        let engine = Engine::governed(
            World {
                log: log.clone(),
                actions: SimActions { shared: Arc::clone(&shared), life: Arc::clone(&life) },
                clock: Arc::new(SimClock { shared: Arc::clone(&shared), life: Arc::clone(&life) }),
                ids: Arc::new(SimIds(Arc::clone(&shared))),
                timers: Arc::new(SimTimers {
                    shared: Arc::clone(&shared),
                    life: Arc::clone(&life),
                    fire,
                    set: Mutex::new(BTreeMap::new()),
                }),
                region,
                account: "123456789012".into(),
            },
            shared.plan.policies.clone(),
        );
        let home = Service {
            engine: engine.clone(),
            views: Arc::new(SimViews { shared: Arc::clone(&shared), life: Arc::clone(&life) }),
            secrets: Arc::new(NoSecrets),
            access: Arc::default(),
            registry: Arc::new(Registry::builtin()),
            partners: Arc::default(),
            outside: Arc::default(),
        };
        tokio::spawn(async move {
            while let Some(command) = fired.recv().await {
                engine.tell(command);
            }
        });
        let projected = Arc::<Awaited>::default();
        if P {
            let told = Arc::clone(&projected);
            tokio::spawn(keep_views(home.clone(), Arc::clone(&shared), Arc::clone(&life), told));
        }
        let outlets = bus::outlets(&shared, &life);
        Self { life, home, outlets, courses: Courses::default(), log, projected }
    }

    /// Takes up what an earlier process on this machine has left behind.
    pub async fn take_up(&self, shared: &Shared) {
        let head = shared.memory.head();
        tokio::select! {
            biased;
            () = self.life.ended() => {}
            () = self.projected.reaches(head.0) => self.sweep(shared).await,
        }
    }

    /// Takes up whatever is under way, for as long as the process lives.
    pub async fn sweep(&self, shared: &Shared) {
        tokio::select! {
            biased;
            () = self.life.ended() => {}
            () = self.swept(shared) => {}
        }
    }

    async fn swept(&self, shared: &Shared) {
        let number = self.life.number;
        if !P {
            let until = Timestamp(shared.now().0 + 3_600_000);
            match sweep::sweep(&self.home, Bounds { rows: 1_000, until }).await {
                Ok(swept) => shared.note(|| format!("process {number} swept: {swept:?}")),
                Err(error) => shared.note(|| format!("process {number} could not sweep: {error}")),
            }
            return;
        }
        if shared.plan.takes_up() && shared.is_troubled() {
            let taken = sweep::take_up(&self.home).await;
            return shared.note(|| format!("process {number} swept what is due: {taken:?}"));
        }
        match sweep::resume_all(&self.home, None).await {
            Ok(resumed) => shared.note(|| format!("process {number} swept: {} under way", resumed.len())),
            Err(error) => shared.note(|| format!("process {number} could not sweep: {error}")),
        }
    }

    /// Waits until the rows show everything that is written now, where one process keeps them.
    pub async fn catch_up(&self, shared: &Shared) {
        if P {
            let head = shared.memory.head();
            self.projected.reaches(head.0).await;
        }
    }

    /// Ends the process with everything it has under way.
    pub async fn die(&self, shared: &Shared) {
        let number = self.life.number;
        shared.note(|| format!("process {number} dies"));
        self.life.end();
        if P {
            self.log.cut().await;
        }
        shared.provider().forget(number);
    }
}

/// Follows the log and keeps the rows, as on one machine.
async fn keep_views<const P: bool>(home: Home<P>, shared: Arc<Shared>, life: Arc<Life>, told: Arc<Awaited>) {
    let mut head = shared.memory.watch();
    let Ok(mut at) = home.views.cursor(project::READER).await else { return };
    loop {
        told.raise(at.0);
        let commits = shared.memory.follow(at, PROJECT_COMMITS);
        let Some((last, _)) = commits.last() else {
            if head.changed().await.is_err() {
                return;
            }
            continue;
        };
        life.lives().await;
        match project::project(&home, &commits).await {
            Ok(()) => at = *last,
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

struct SimClock {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.life.now(&self.shared)
    }
}

struct SimIds(Arc<Shared>);

impl Ids for SimIds {
    fn uuid(&self) -> String {
        let mut text = String::with_capacity(36);
        text.push_str("00000000-0000-4000-8000-");
        let number = self.0.fresh() as usize;
        text.extend((0..12).rev().map(|place| char::from(b"0123456789abcdef"[number >> (4 * place) & 0xf])));
        text
    }
}

/// On one machine a timer goes off when its time has come; on AWS the minute's sweep sees what is due.
struct SimTimers {
    shared: Arc<Shared>,
    life: Arc<Life>,
    fire: mpsc::UnboundedSender<Command>,
    set: Mutex<BTreeMap<ActionExecutionId, (Timestamp, AbortHandle)>>,
}

impl Timers for SimTimers {
    fn set(&self, attempt: &ActionExecutionId, at: Timestamp, command: Command) {
        let rest = provider::rest(at, self.life.now(&self.shared));
        if !self.shared.plan.pipelined {
            if rest.is_zero() {
                drop(self.fire.send(command));
            }
            return;
        }
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if set.get(attempt).is_some_and(|(known, timer)| *known == at && !timer.is_finished()) {
            return;
        }
        let (fire, life) = (self.fire.clone(), Arc::clone(&self.life));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            life.lives().await;
            drop(fire.send(command));
        });
        if let Some((_, earlier)) = set.insert(attempt.clone(), (at, timer.abort_handle())) {
            earlier.abort();
        }
    }

    fn clear(&self, attempt: &ActionExecutionId) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, timer)) = set.remove(attempt) {
            timer.abort();
        }
    }
}

/// Nothing that is simulated has a secret worth keeping.
pub struct NoSecrets;

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

/// The rows as a process sees them.
pub struct SimViews {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

impl SimViews {
    async fn reach(&self) -> Result<(), ViewsError> {
        self.shared.takes_time().await;
        self.life.lives().await;
        match self.shared.strikes(Trouble::Rows, Die::Log) {
            true => Err(ViewsError { source: "throttled".into() }),
            false => Ok(()),
        }
    }
}

impl Views for SimViews {
    fn put(
        &self,
        rows: Vec<ViewRow>,
        cursor: Option<Cursor>,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let (shared, life) = (Arc::clone(&self.shared), Arc::clone(&self.life));
        async move {
            let views = Self { shared, life };
            views.reach().await?;
            views.shared.views.put(rows, cursor).await
        }
    }

    async fn get(&self, p: &str, q: &str) -> Result<Option<ViewRow>, ViewsError> {
        self.reach().await?;
        self.shared.views.get(p, q).await
    }

    async fn page(
        &self,
        p: &str,
        after_q: Option<&str>,
        limit: usize,
        descending: bool,
    ) -> Result<Vec<ViewRow>, ViewsError> {
        self.reach().await?;
        self.shared.views.page(p, after_q, limit, descending).await
    }

    async fn cursor(&self, reader: &str) -> Result<Position, ViewsError> {
        self.life.lives().await;
        self.shared.views.cursor(reader).await
    }

    fn drop_all(&self, reader: &str) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        self.shared.views.drop_all(reader)
    }
}

/// Makes all rows anew from these commits, in one go, by what a process that has just started would read.
pub async fn project_anew<const P: bool>(
    process: &Process<P>,
    views: &Arc<MemoryViews>,
    commits: &[(Position, Commit)],
) -> Result<(), String> {
    let Service { engine, secrets, access, registry, partners, outside, .. } = process.home.clone();
    let home = Service { engine, views: Arc::clone(views), secrets, access, registry, partners, outside };
    project::project(&home, commits).await.map_err(|error| error.to_string())
}
