//! Events that reach this machine, each from its own side: repositories and objects that are watched, Git hosts that
//! call, events that are put, and schedules. What an event means `handlers::triggers` decides. Events of other pipelines
//! come from `outward`.

pub mod bus;
pub mod explain;
pub mod hooks;
mod schedules;
mod watcher;

use crate::machine::LocalService;
use domain::trigger::Rule;
use handlers::triggers::{self, Arrived, Host};
use local::settings::{Scheduled, Settings};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// The first pause before an event is tried again; it doubles.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest such pause.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// What may start pipelines here, besides their own sources.
#[derive(Clone)]
pub struct Known {
    /// Rules, those with a schedule too.
    pub rules: Arc<Vec<Scheduled>>,
    /// The same without their schedules.
    pub plain: Arc<Vec<Rule>>,
    /// The secrets of Git hosts that may call.
    pub secrets: Arc<BTreeMap<Host, String>>,
    /// Pull requests of forks may start something.
    pub allow_forks: bool,
}

impl Known {
    /// From the settings; secrets are read once.
    pub fn of(settings: &Settings) -> anyhow::Result<Self> {
        let mut rules = Vec::new();
        for rule in &settings.rules {
            let read = rule.read();
            rules.push(
                read.map_err(|(key, message)| anyhow::anyhow!("rule `{}`: `{key}`: {message}", rule.name))?,
            );
        }
        let mut secrets = BTreeMap::new();
        for (name, hook) in settings.hooks.all() {
            let secret = hook.secret().map_err(|error| anyhow::anyhow!("`[hooks.{name}]`: {error}"))?;
            if let Some(host) = Host::of(name) {
                secrets.insert(host, secret);
            }
        }
        let plain = rules.iter().map(|scheduled| scheduled.rule.clone()).collect();
        Ok(Self {
            rules: Arc::new(rules),
            plain: Arc::new(plain),
            secrets: Arc::new(secrets),
            allow_forks: settings.triggers.allow_forks,
        })
    }
}

/// Everything that waits for events. Ends what it does when it is dropped.
pub struct Listening {
    /// What goes on.
    pub tasks: JoinSet<()>,
}

/// Begins to wait for events.
pub fn listen(service: &LocalService, known: &Known, settings: Settings, state: PathBuf) -> Listening {
    let mut tasks = JoinSet::new();
    tasks.spawn(schedules::run(service.clone(), known.clone()));
    tasks.spawn(watcher::watch(service.clone(), settings, state));
    Listening { tasks }
}

/// Deals with an event, again and again until what it needs answers.
pub async fn deal(service: &LocalService, arrived: &Arrived<'_>) {
    let mut pause = AGAIN;
    loop {
        match triggers::deal(service, arrived).await {
            Ok(dealt) => {
                for one in dealt {
                    tracing::debug!(pipeline = %one.pipeline, verdict = ?one.verdict, "evaluated");
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "an event waits to be dealt with"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_MAX);
    }
}
