//! A push to a watched repository starts its pipeline, with the pushed commit pinned.

use crate::machine::LocalService;
use domain::{
    command::{Command, Wish},
    pipeline::{ActionDeclaration, GitPatterns, PipelineDeclaration},
    views::PIPELINES,
};
use engine::{log::Once, transact::Envelope, views::Views};
use events::{ActionName, CommandId, PipelineName, Timestamp, Trigger, TriggerType};
use local::{
    log::SqliteLog,
    patterns::Patterns,
    settings::{Settings, Source},
    watch::{Change, Watch},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

/// How often the list of pipelines is compared with what is watched.
const RESCAN: Duration = Duration::from_secs(1);
/// How long a push is remembered as acted on, milliseconds: 1 hour. Later the same step of a branch is a new push.
const PUSH_KEPT_MS: i64 = 60 * 60 * 1000;
/// Changes that may wait to be acted on.
const CHANGES_MAX: usize = 256;

/// What is watched: one branch for one source action. Ordered, so that a list of them can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct Watched {
    pipeline: String,
    action: String,
    place: String,
    branch: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    Poll,
    Connection,
}

/// Watches the sources of every pipeline until the task is dropped.
pub async fn watch(service: LocalService, _log: Arc<SqliteLog>, settings: Settings, state: PathBuf) {
    let (tell, mut changes) = mpsc::channel::<(Watched, Change)>(CHANGES_MAX);
    let mut running: HashMap<Watched, tokio::task::JoinHandle<()>> = HashMap::new();
    let mut seen = Seen::load(state.join("watched.json"));
    let mut rescan = tokio::time::interval(RESCAN);
    loop {
        tokio::select! {
            _ = rescan.tick() => {
                let wanted = wanted(&service, &settings).await;
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
                    match Watch::new(key(&watched), &source, &watched.branch, seen.at(&watched)) {
                        Ok(watch) => {
                            seen.note(&watched, watch.last_seen());
                            let task = tokio::spawn(report(watch, watched.clone(), tell.clone()));
                            running.insert(watched, task);
                        }
                        Err(error) => tracing::debug!(action = watched.action, %error, "not watched"),
                    }
                }
            }
            Some((watched, change)) = changes.recv() => {
                if start(&service, &watched, &change).await {
                    seen.note(&watched, Some(&change.new));
                }
            }
        }
    }
}

async fn report(mut watch: Watch, watched: Watched, tell: mpsc::Sender<(Watched, Change)>) {
    loop {
        let change = watch.changed().await;
        if tell.send((watched.clone(), change)).await.is_err() {
            return;
        }
    }
}

/// Starts the pipeline for a change; true when it started, or never will.
async fn start(service: &LocalService, watched: &Watched, change: &Change) -> bool {
    let (Ok(pipeline), Ok(action)) =
        (PipelineName::parse(&watched.pipeline), ActionName::parse(&watched.action))
    else {
        return true;
    };
    let engine = &service.engine;
    let kind = match watched.kind {
        Kind::Poll => TriggerType::PollForSourceChanges,
        Kind::Connection => TriggerType::WebhookV2,
    };
    let detail = format!("push of {} to {} ({})", change.new, change.branch, watched.action);
    let id = format!("push#{}#{}#{}", watched.pipeline, watched.action, change.new);
    let Ok(id) = CommandId::parse(id.chars().take(128).collect::<String>().replace('@', "_")) else {
        return true;
    };
    let execution = engine.fresh_execution_id();
    let wish = Wish::StartExecution {
        trigger: Trigger { kind, detail },
        variables: BTreeMap::new(),
        revisions: BTreeMap::from([(action, change.new.clone())]),
    };
    let envelope = Envelope {
        id,
        actor: "towpath:watcher".into(),
        command: Command { pipeline, execution: Some(execution.clone()), wish },
        // The same push may be seen twice: by a server that was killed before it had noted the first time.
        once: Some(Once {
            key: format!(
                "push#{}#{}#{}..{}",
                watched.pipeline,
                watched.action,
                change.old.as_deref().unwrap_or_default(),
                change.new
            ),
            outcome: execution.to_string(),
            expires: Timestamp(engine.clock().now().0 + PUSH_KEPT_MS),
        }),
    };
    match engine.transact(envelope).await {
        Ok(_) => {
            tracing::info!(pipeline = watched.pipeline, commit = change.new, "started by a push");
            true
        }
        Err(error) => {
            tracing::warn!(pipeline = watched.pipeline, commit = change.new, %error, "a push started nothing");
            matches!(error, engine::transact::TransactError::Rejected(_))
        }
    }
}

async fn wanted(service: &LocalService, settings: &Settings) -> BTreeMap<Watched, Source> {
    let mut wanted = BTreeMap::new();
    let rows = service.views.page(PIPELINES, None, domain::limits::PIPELINES_MAX, false).await;
    for row in rows.unwrap_or_default() {
        let Ok(name) = PipelineName::parse(row.q) else { continue };
        let Ok(pipeline) = service.engine.pipeline(&name).await else { continue };
        let Some(definition) = pipeline.current_definition() else { continue };
        let Some(stage) = definition.first_stage() else { continue };
        for action in &stage.actions {
            let Some((repository, branch, kind)) = detected(definition, action) else { continue };
            let source = match settings.source_for(action.name.as_str(), &repository) {
                Some(Ok(source)) => source,
                Some(Err(_)) => continue,
                None => Source::Folder(settings.base.clone()),
            };
            let place = format!("{source:?}");
            let (pipeline, action) = (name.to_string(), action.name.to_string());
            wanted.insert(Watched { pipeline, action, place, branch, kind }, source);
        }
    }
    wanted
}

/// The repository and branch whose pushes start the pipeline; `None` where change detection is off.
fn detected(definition: &PipelineDeclaration, action: &ActionDeclaration) -> Option<(String, String, Kind)> {
    let setting = |key: &str| action.configuration.get(key).cloned();
    let off = |key: &str| setting(key).is_some_and(|value| value.eq_ignore_ascii_case("false"));
    let trigger = definition
        .triggers
        .iter()
        .find(|trigger| trigger.git_configuration.source_action_name == action.name);
    match action.action_type_id.provider.as_str() {
        "CodeCommit" if !off("PollForSourceChanges") => {
            Some((setting("RepositoryName")?, setting("BranchName")?, Kind::Poll))
        }
        "GitHub" if !off("PollForSourceChanges") => {
            Some((format!("{}/{}", setting("Owner")?, setting("Repo")?), setting("Branch")?, Kind::Poll))
        }
        "CodeStarSourceConnection" => {
            let branch = setting("BranchName")?;
            let listens = match trigger {
                None => !off("DetectChanges"),
                // Filters by tag, path and pull request are not evaluated on this machine yet: a trigger that has
                // only those does not start anything here.
                Some(trigger) => {
                    let push = &trigger.git_configuration.push;
                    let any = push.is_empty() && trigger.git_configuration.pull_request.is_empty();
                    any || push.iter().any(|filter| {
                        filter.file_paths.is_none()
                            && filter.branches.as_ref().is_some_and(|branches| matches(branches, &branch))
                    })
                }
            };
            listens.then_some((setting("FullRepositoryId")?, branch, Kind::Connection))
        }
        _ => None,
    }
}

fn matches(globs: &GitPatterns, branch: &str) -> bool {
    // A pattern that is none matches nothing; the definition's check has its own rules for them.
    let any = |list: &[String]| Patterns::new(list).is_ok_and(|patterns| patterns.matches(branch));
    (globs.includes.is_empty() || any(&globs.includes)) && !any(&globs.excludes)
}

fn key(watched: &Watched) -> String {
    format!("{}/{}/{}", watched.pipeline, watched.action, watched.branch)
}

/// The commits last acted on, kept so that a push made while the server was down is not missed.
struct Seen {
    path: PathBuf,
    commits: BTreeMap<String, String>,
}

impl Seen {
    fn load(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Self { commits: serde_json::from_str(&text).unwrap_or_default(), path }
    }

    fn at(&self, watched: &Watched) -> Option<String> {
        self.commits.get(&format!("{} {}", key(watched), watched.place)).cloned()
    }

    fn note(&mut self, watched: &Watched, commit: Option<&str>) {
        let Some(commit) = commit else { return };
        let key = format!("{} {}", key(watched), watched.place);
        if self.commits.insert(key, commit.to_owned()).as_deref() == Some(commit) {
            return;
        }
        let written =
            serde_json::to_string_pretty(&self.commits).map_err(std::io::Error::other).and_then(|text| {
                let fresh = self.path.with_extension("json.new");
                std::fs::write(&fresh, text)?;
                std::fs::rename(&fresh, &self.path)
            });
        if let Err(error) = written {
            tracing::warn!(%error, "what was watched last could not be noted");
        }
    }
}
