//! Repositories and objects that are watched for the pipelines whose sources they are.

use super::deal;
use crate::machine::LocalService;
use domain::{
    pipeline::PipelineDeclaration,
    trigger::{self, GitChange, GitEvent},
    views::PIPELINES,
};
use engine::views::Views;
use events::{ActionName, PipelineName, TriggerSource};
use handlers::triggers::{Arrived, What};
use local::{
    settings::{Settings, Source},
    watch::{self, NewBranchFiles, Seen, Watch, object::ObjectWatch},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

/// How often the list of pipelines is compared with what is watched.
const RESCAN: Duration = Duration::from_secs(1);

/// What is watched for a pipeline. Ordered, so that a list of them can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Repository {
        pipeline: PipelineName,
        /// As its first source action names it.
        repository: String,
        place: String,
        actions: Vec<ActionName>,
        needs_files: bool,
    },
    Object {
        pipeline: PipelineName,
        action: ActionName,
        bucket: String,
        key: String,
    },
}

/// Watches the sources of every pipeline until the task is dropped.
pub async fn watch(service: LocalService, settings: Settings, state: PathBuf) {
    let site = Site {
        memory: Arc::new(Mutex::new(Memory::load(state.join("watched.json")))),
        service,
        new_branch: settings.triggers.new_branch_file_paths.into(),
        settings: Arc::new(settings),
        state,
    };
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<Watched, AbortHandle> = BTreeMap::new();
    let mut rescan = tokio::time::interval(RESCAN);
    loop {
        rescan.tick().await;
        // What ended, ended because it could not begin: it is tried again.
        while tasks.try_join_next().is_some() {}
        running.retain(|_, task| !task.is_finished());
        let wanted = wanted(&site).await;
        running.retain(|watched, task| {
            let keep = wanted.contains_key(watched);
            if !keep {
                task.abort();
            }
            keep
        });
        for (watched, source) in wanted {
            if running.contains_key(&watched) {
                continue;
            }
            let task = tasks.spawn(site.clone().follow(watched.clone(), source));
            running.insert(watched, task);
        }
    }
}

/// What a watcher works with.
#[derive(Clone)]
struct Site {
    service: LocalService,
    settings: Arc<Settings>,
    state: PathBuf,
    memory: Arc<Mutex<Memory>>,
    new_branch: NewBranchFiles,
}

impl Site {
    async fn follow(self, watched: Watched, source: Option<Source>) {
        match (&watched, source) {
            (Watched::Repository { .. }, Some(source)) => self.follow_repository(&watched, &source).await,
            (Watched::Object { .. }, _) => self.follow_object(&watched).await,
            (Watched::Repository { .. }, None) => {}
        }
    }

    async fn follow_repository(&self, watched: &Watched, source: &Source) {
        let Watched::Repository { pipeline, repository, place, actions, needs_files } = watched else {
            return;
        };
        let key = format!("{pipeline} {place}");
        let known = self.remembered().repositories.get(&key).cloned();
        let mut watch = match Watch::new(&key, source, known) {
            Ok(watch) => watch,
            Err(error) => {
                tracing::debug!(%pipeline, %error, "not watched");
                return;
            }
        };
        loop {
            let changes = watch.changed().await;
            for change in &changes {
                let folder = watch.folder();
                let Some(push) = watch::push(folder, change, *needs_files, self.new_branch).await else {
                    continue;
                };
                let side = |commit: &Option<String>| commit.clone().unwrap_or_default();
                let delivery =
                    format!("{repository}#{}#{}..{}", change.name, side(&change.old), side(&change.new));
                let event = GitEvent { repository: repository.clone(), what: GitChange::Push(push) };
                let (pipeline, actions) = (pipeline.clone(), actions.clone());
                let what = What::Seen { event, pipeline, actions };
                deal(&self.service, &Arrived { source: TriggerSource::Watch, delivery, what }).await;
            }
            // Only what was dealt with is not looked at again after a restart.
            if let Some(seen) = watch.last_seen() {
                self.remembered().note(|memory| {
                    memory.repositories.insert(key.clone(), seen.clone()).as_ref() != Some(seen)
                });
            }
        }
    }

    async fn follow_object(&self, watched: &Watched) {
        let Watched::Object { pipeline, action, bucket, key } = watched else { return };
        let place = format!("{pipeline} {action} {bucket}/{key}");
        let known = self.remembered().objects.get(&place).cloned();
        let Some(mut watch) = ObjectWatch::new(&self.settings, &self.state, bucket, key, known) else {
            // No file can ever be meant: there is nothing to try again.
            return std::future::pending().await;
        };
        loop {
            let found = tokio::select! {
                found = watch.changed() => Some(found),
                () = tokio::time::sleep(RESCAN * 4) => None,
            };
            if let Some(version) = found {
                let what = What::Object {
                    pipeline: pipeline.clone(),
                    action: action.clone(),
                    version: version.clone(),
                };
                let delivery = format!("{place}#{version}");
                deal(&self.service, &Arrived { source: TriggerSource::Watch, delivery, what }).await;
            }
            if let Some(seen) = watch.last_seen().map(str::to_owned) {
                self.remembered().note(|memory| {
                    memory.objects.insert(place.clone(), seen.clone()).as_ref() != Some(&seen)
                });
            }
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wanted(site: &Site) -> BTreeMap<Watched, Option<Source>> {
    let mut wanted = BTreeMap::new();
    let rows = site.service.views.page(PIPELINES, None, domain::limits::PIPELINES_MAX, false).await;
    for row in rows.unwrap_or_default() {
        let Ok(name) = PipelineName::parse(row.q) else { continue };
        let Ok(pipeline) = site.service.engine.pipeline(&name).await else { continue };
        let Some(definition) = pipeline.current_definition() else { continue };
        wanted.extend(repositories(site, &name, definition));
        wanted.extend(objects(&name, definition).into_iter().map(|watched| (watched, None)));
    }
    wanted
}

/// Each place that source actions fetch from, once.
fn repositories(
    site: &Site,
    pipeline: &PipelineName,
    definition: &PipelineDeclaration,
) -> Vec<(Watched, Option<Source>)> {
    let mut found: BTreeMap<String, (Watched, Option<Source>)> = BTreeMap::new();
    for listening in trigger::listening(definition) {
        let name = &listening.action.name;
        let source = match site.settings.source_for(name.as_str(), &listening.repository) {
            Some(Ok(source)) => source,
            Some(Err(_)) => continue,
            None => Source::Folder(site.settings.base.clone()),
        };
        let own = format!("{source:?}");
        let (watched, _) = found.entry(own.clone()).or_insert_with(|| {
            let watched = Watched::Repository {
                pipeline: pipeline.clone(),
                repository: listening.repository.clone(),
                place: own,
                actions: Vec::new(),
                needs_files: false,
            };
            (watched, Some(source))
        });
        if let Watched::Repository { actions, needs_files, .. } = watched {
            actions.push(name.clone());
            *needs_files |= listening.needs_files();
        }
    }
    found.into_values().collect()
}

fn objects(pipeline: &PipelineName, definition: &PipelineDeclaration) -> Vec<Watched> {
    let polled = trigger::aws::polled_objects(definition);
    let watched = polled.into_iter().map(|(action, bucket, key)| Watched::Object {
        pipeline: pipeline.clone(),
        action,
        bucket,
        key,
    });
    watched.collect()
}

/// What was last seen, kept so that what moves while the server is down is not missed.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    #[serde(skip)]
    path: PathBuf,
    #[serde(default)]
    repositories: BTreeMap<String, Seen>,
    #[serde(default)]
    objects: BTreeMap<String, String>,
}

impl Memory {
    fn load(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let read: Self = serde_json::from_str(&text).unwrap_or_default();
        Self { path, ..read }
    }

    /// Changes something, and writes it down if that made a difference.
    fn note(&mut self, change: impl FnOnce(&mut Self) -> bool) {
        if !change(self) {
            return;
        }
        let written = serde_json::to_string_pretty(&self).map_err(std::io::Error::other).and_then(|text| {
            let fresh = self.path.with_extension("json.new");
            std::fs::write(&fresh, text)?;
            std::fs::rename(&fresh, &self.path)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "what was watched last could not be noted");
        }
    }
}
