//! One build from start to end, and what is told of it.

use super::{
    Broken, MESSAGE_CHARS_MAX, Phase, State, Voice,
    buildspec::{Buildspec, Cache},
    cache::Slots,
    environment::{BuiltIn, Environment, Layers},
    order::{Order, Spec},
    outputs::{self, Packing},
    phases::{self, Course, Frame},
    reports::Reporting,
    shell::{Session, Step},
    workspace::{self, Workspace},
};
use crate::{
    archive::Caps,
    process::{self, Children, End},
    runners::codebuild::buildspec::ArtifactFiles,
    yaml::TEXT_BYTES_MAX,
};
use engine::action::{Failure, FailureCode, InputArtifact, Outcome, Success};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    time::Instant,
};

/// Names and values of all output variables of one action.
const VARIABLES_BYTES_MAX: usize = 122_880;
/// Archives of this size together are unpacked within a millisecond.
const SMALL_BYTES_MAX: u64 = 4 * 1024;
/// Commands up to this size never need a file.
const SHORT_BYTES_MAX: usize = 64 * 1024;
const BUILDSPEC_FILE: &str = "buildspec.yml";
const BUILDSPEC_FILE_OTHER: &str = "buildspec.yaml";

/// What stays the same over all runs of one build.
struct Build<'a> {
    order: &'a Order<'a>,
    voice: Voice,
    /// The second part of its id.
    id: String,
    number: u64,
    begun_ms: i64,
    deadline: Instant,
    allowed: Duration,
    state: PathBuf,
    root: PathBuf,
    caps: Caps,
}

/// What one run left to do.
enum Ran {
    /// Done: output variables, or why not.
    Done(Result<BTreeMap<String, String>, Broken>),
    /// `on-failure` asks for another run.
    Again,
}

/// Runs a build and tells how it ended.
pub(super) async fn build(order: &Order<'_>) -> Outcome {
    let job = order.job;
    let voice = Voice { log: order.site.log.clone() };
    if job.resumed {
        let found = process::clear_leftovers(&job.action_execution).await;
        voice.say(&format!(
            "An earlier attempt was interrupted: {found} process(es) of it ended, starting afresh"
        ));
    }
    let build = match Build::new(order, voice.clone()) {
        Ok(build) => build,
        Err(error) => {
            let message = format!("`{}` cannot be used: {error}", order.site.state.display());
            voice.say(&message);
            return Outcome::Failed(Failure::new(FailureCode::SystemUnavailable, message));
        }
    };
    let mut attempt = 0;
    let result = loop {
        match build.run_once(attempt).await {
            Ran::Done(result) => break result,
            Ran::Again => {
                attempt += 1;
                voice.say(&format!("Retrying the build from a fresh checkout: run {}", attempt + 1));
            }
        }
    };
    build.outcome(result)
}

/// Runs work that blocks without stalling other builds, where the runtime allows it.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // One thread is all there is; the enum may grow.
        _ => work(),
    }
}

/// Runs work that blocks and that nobody waits for, where the runtime allows it. What has begun when the process is
/// told to stop is still done.
fn aside(work: impl FnOnce() + Send + 'static) {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => drop(tokio::task::spawn_blocking(work)),
        _ => work(),
    }
}

impl<'a> Build<'a> {
    fn new(order: &'a Order<'a>, voice: Voice) -> std::io::Result<Self> {
        let state = std::path::absolute(&order.site.state)?;
        let begun_ms = jiff::Timestamp::now().as_millisecond();
        let until_deadline = u64::try_from(order.job.deadline.0 - begun_ms).unwrap_or(0);
        let allowed =
            Duration::from_secs(u64::from(order.minutes_max) * 60).min(Duration::from_millis(until_deadline));
        let limits = &order.site.settings.limits;
        Ok(Self {
            order,
            voice,
            id: uuid::Uuid::new_v4().to_string(),
            number: workspace::next_number(&state, &order.project)?,
            begun_ms,
            deadline: Instant::now() + allowed,
            allowed,
            root: state.join("builds").join(order.job.action_execution.as_str()),
            state,
            caps: Caps { bytes: limits.artifact_bytes, files: limits.artifact_files },
        })
    }

    async fn run_once(&self, attempt: u32) -> Ran {
        let prepared = if self.is_small() { self.download() } else { blocking(|| self.download()) };
        let (workspace, spec, environment) = match prepared {
            Ok(prepared) => prepared,
            Err(broken) => {
                self.voice.phase_complete(Phase::DownloadSource, Some(&broken));
                return Ran::Done(Err(broken));
            }
        };
        self.voice.phase_complete(Phase::DownloadSource, None);
        let site = self.order.site;
        let children = Children::new(&site.log, &site.cancelled).marked(&self.order.job.action_execution);
        let how = (spec.env.shell, spec.forgets_state);
        let source = &workspace.sources[self.order.primary];
        let mut session = Session::new(children, how, environment, source, &workspace.tmp);
        let cache = self.restore_cache(&spec, &workspace, &mut session).await;
        let frame = Frame {
            spec: &spec,
            voice: &self.voice,
            workspace: &workspace,
            deadline: self.deadline,
            attempt,
            needs_state: self.needs_state(&spec),
            ignore_run_as: self.order.settings.ignore_run_as,
        };
        let course = phases::run(&frame, &mut session).await;
        let again = course.again;
        let result = match spec.reports.is_empty() && self.order.job.outputs.is_empty() {
            true => self.finish(&spec, &workspace, &session, course),
            false => blocking(|| self.finish(&spec, &workspace, &session, course)),
        };
        if result.is_ok()
            && let Some((cache, key)) = cache
            && cache.saves
        {
            blocking(|| self.slots(&workspace, &session.variables()).save(cache, key.as_deref()));
        }
        let stopped = session.end().await;
        if stopped > 0 {
            self.voice.say(&format!("Stopped {stopped} process(es) the build left running"));
        }
        if again {
            return Ran::Again;
        }
        if result.is_ok() {
            let (voice, root) = (self.voice.clone(), workspace.root);
            // The result need not wait for it.
            aside(move || {
                if let Err(error) = workspace::remove(&root) {
                    voice.say(&format!("Warning: the workspace cannot be removed: {error}"));
                }
            });
        }
        Ran::Done(result)
    }

    /// Whether unpacking the inputs takes less time than telling the runtime that something takes time.
    fn is_small(&self) -> bool {
        let bytes = |input: &InputArtifact| {
            let file = self.order.site.artifacts.path(&input.location).and_then(fs::metadata);
            file.map_or(0, |about| about.len())
        };
        self.order.job.inputs.iter().map(bytes).sum::<u64>() <= SMALL_BYTES_MAX
    }

    /// The DOWNLOAD_SOURCE phase: workspace, buildspec, environment.
    fn download(&self) -> Result<(Workspace, Buildspec, BTreeMap<String, String>), Broken> {
        let Order { job, site, primary, .. } = self.order;
        self.voice.say("Phase is DOWNLOAD_SOURCE");
        let workspace = Workspace::prepare(&self.root, &job.inputs, *primary, &site.artifacts, self.caps)?;
        let source = &workspace.sources[*primary];
        self.voice.say(&format!("CODEBUILD_SRC_DIR={}", source.display()));
        let spec = self.buildspec(source)?;
        for warning in &spec.warnings {
            self.voice.say(&format!("Warning: {warning}"));
        }
        if let Some(line) = spec.batch_line {
            self.voice.say(&format!(
                "Warning: `batch` on line {line} has no effect: the action is not a batch build"
            ));
        }
        if self.needs_tmp(&spec) {
            workspace.make_tmp().map_err(|error| {
                let message = format!("`{}` cannot be made: {error}", workspace.tmp.display());
                Broken::new(
                    Phase::DownloadSource,
                    "INTERNAL_SERVICE_ERROR",
                    FailureCode::SystemUnavailable,
                    message,
                )
            })?;
        }
        // Looked at before an hour of building, not after it.
        outputs::assign(&job.outputs, spec.artifacts.as_ref())?;
        let sources: Vec<String> =
            workspace.sources.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let built_in = BuiltIn {
            job,
            site,
            project: &self.order.project,
            build: &self.id,
            number: self.number,
            begun_ms: self.begun_ms,
            primary: *primary,
            sources: &sources,
        };
        let refused = |code: &'static str, message: String| {
            Broken::new(Phase::DownloadSource, code, FailureCode::ConfigurationError, message)
        };
        let environment = Environment::build(
            site,
            Layers {
                buildspec: &spec.env,
                project: &self.order.settings,
                action: &self.order.variables,
                inherit: &self.order.settings.inherit,
                built_in: built_in.variables(),
            },
        )
        .map_err(|message| refused("CLIENT_ERROR", message))?;
        match spec.env.exported.iter().find(|name| environment.secret_names.contains(*name)) {
            Some(name) => Err(refused(
                "YAML_FILE_ERROR",
                format!("`{name}` cannot be an output variable: its value is a secret"),
            )),
            None => Ok((workspace, spec, environment.variables)),
        }
    }

    fn buildspec(&self, source: &Path) -> Result<Buildspec, Broken> {
        let refused = |message: String| {
            Broken::new(Phase::DownloadSource, "YAML_FILE_ERROR", FailureCode::ConfigurationError, message)
        };
        let input = &self.order.job.inputs[self.order.primary].name;
        let (name, text) = match &self.order.buildspec {
            Spec::Made(spec) => return Ok((**spec).clone()),
            Spec::Inline(text, name) => (name.clone(), (*text).to_owned()),
            Spec::Path(path, from) => match read_inside(source, path) {
                Ok(text) => ((*path).to_owned(), text),
                Err(why) => {
                    return Err(refused(format!(
                        "the buildspec `{path}`, from {from}, {why} in the artifact `{input}`"
                    )));
                }
            },
            Spec::Default => {
                match (read_inside(source, BUILDSPEC_FILE), read_inside(source, BUILDSPEC_FILE_OTHER)) {
                    (Ok(text), _) => (BUILDSPEC_FILE.to_owned(), text),
                    (Err(_), Ok(text)) => {
                        self.voice.say(&format!(
                            "Warning: {BUILDSPEC_FILE_OTHER} is used; the service itself reads only \
                         {BUILDSPEC_FILE}"
                        ));
                        (BUILDSPEC_FILE_OTHER.to_owned(), text)
                    }
                    (Err(why), Err(_)) => {
                        return Err(refused(format!(
                            "`{BUILDSPEC_FILE}` {why} in the artifact `{input}`: add it, or say where it is \
                         with `BuildspecOverride` of the action or with `buildspec` of `[codebuild.{}]` in towpath.toml",
                            self.order.project
                        )));
                    }
                }
            }
        };
        self.voice.say(&format!("YAML location is {name}"));
        Buildspec::parse(&name, &text).map_err(|error| refused(error.to_string()))
    }

    /// Whether anything will be written beside the sources: all but a single short command whose state nobody asks
    /// for.
    fn needs_tmp(&self, spec: &Buildspec) -> bool {
        let lists = spec.phases.iter().flatten().flat_map(|phase| [&phase.commands, &phase.finally]);
        let mut commands = lists.flatten();
        let single =
            commands.next().is_none_or(|text| text.len() < SHORT_BYTES_MAX) && commands.next().is_none();
        !single || spec.cache.is_some() || self.needs_state(spec)
    }

    /// Whether variables as the last command leaves them decide about anything.
    fn needs_state(&self, spec: &Buildspec) -> bool {
        let in_files = |files: &ArtifactFiles| {
            files
                .files
                .iter()
                .chain(&files.exclude)
                .chain(&files.base_directory)
                .any(|text| text.contains('$'))
        };
        let outputs = &self.order.job.outputs;
        !spec.env.exported.is_empty()
            || outputs.iter().flat_map(|output| &output.files).any(|text| text.contains('$'))
            || spec.artifacts.as_ref().is_some_and(|artifacts| {
                in_files(&artifacts.primary) || artifacts.secondary.iter().any(|(_, files)| in_files(files))
            })
            || spec.reports.iter().any(|report| {
                report.files.iter().chain(&report.base_directory).any(|text| text.contains('$'))
            })
    }

    /// What follows the phases: reports, artifacts, output variables.
    fn finish(
        &self,
        spec: &Buildspec,
        workspace: &Workspace,
        session: &Session,
        course: Course,
    ) -> Result<BTreeMap<String, String>, Broken> {
        let variables = session.variables();
        let source = &workspace.sources[self.order.primary];
        if course.reached_post_build && !spec.reports.is_empty() {
            let reporting = Reporting {
                root: &workspace.root,
                source,
                variables: &variables,
                state: &self.state,
                project: &self.order.project,
                build: &self.id,
                voice: &self.voice,
            };
            reporting.run(&spec.reports);
        }
        let uploaded = match course.uploads && !self.order.job.outputs.is_empty() {
            true => self.upload(spec, workspace, &variables),
            false => Ok(()),
        };
        match course.failure {
            Some(broken) => Err(broken),
            None => uploaded.and_then(|()| exported(&spec.env.exported, &variables)),
        }
    }

    fn upload(
        &self,
        spec: &Buildspec,
        workspace: &Workspace,
        variables: &BTreeMap<String, String>,
    ) -> Result<(), Broken> {
        let packing = Packing {
            workspace,
            source: &workspace.sources[self.order.primary],
            variables,
            store: &self.order.site.artifacts,
            caps: self.caps,
            voice: &self.voice,
        };
        self.voice.say(&format!("Entering phase {}", Phase::UploadArtifacts));
        let outputs = &self.order.job.outputs;
        let uploaded = outputs::assign(outputs, spec.artifacts.as_ref()).and_then(|files| {
            outputs.iter().zip(&files).try_for_each(|(output, files)| packing.upload(output, files))
        });
        self.voice.phase_complete(Phase::UploadArtifacts, uploaded.as_ref().err());
        uploaded
    }

    fn slots<'s>(&'s self, workspace: &'s Workspace, variables: &'s BTreeMap<String, String>) -> Slots<'s> {
        Slots {
            folder: Slots::folder(&self.state, &self.order.project),
            source: &workspace.sources[self.order.primary],
            variables,
            files_max: self.caps.files,
            voice: &self.voice,
        }
    }

    /// Restores the cache. Returns it with its key, computed once, unless it cannot be used.
    async fn restore_cache<'s>(
        &self,
        spec: &'s Buildspec,
        workspace: &Workspace,
        session: &mut Session,
    ) -> Option<(&'s Cache, Option<String>)> {
        let cache = spec.cache.as_ref()?;
        let mut keys = Vec::new();
        for key in cache.key.iter().chain(&cache.fallback_keys) {
            match self.expand_key(key, workspace, session).await {
                Ok(key) => keys.push(key),
                Err(why) => {
                    self.voice.say(&format!("Warning: the cache is not used: its key `{key}` {why}"));
                    return None;
                }
            }
        }
        let has_key = cache.key.is_some();
        let (key, fallbacks) = match keys.split_first() {
            Some((key, fallbacks)) if has_key => (Some(key.clone()), fallbacks),
            Some(_) | None => (None, [].as_slice()),
        };
        if cache.restores {
            let variables = session.variables();
            blocking(|| self.slots(workspace, &variables).restore(cache, key.as_deref(), fallbacks));
        }
        Some((cache, key))
    }

    async fn expand_key(
        &self,
        key: &str,
        workspace: &Workspace,
        session: &mut Session,
    ) -> Result<String, String> {
        if key.contains("codebuild-hash-files") {
            return Err(
                "uses `codebuild-hash-files`, which is not on this machine: use `sha256sum`".to_owned()
            );
        }
        if !key.contains(['$', '`']) {
            return Ok(key.to_owned());
        }
        // Written next to the session's own files; the name needs no quotes after a `cd`.
        let file = workspace.tmp.join("cache-key");
        let target = "../tmp/cache-key";
        let text = format!("printf %s \"{key}\" > {target}");
        let step = Step { text: &text, save: false, user: None, deadline: self.deadline };
        match session.run(&step).await {
            Ok(ended) if ended.end == End::Exited(0) => {
                fs::read_to_string(&file).map_err(|error| format!("cannot be read: {error}"))
            }
            Ok(_) => Err("is no text the shell can expand".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn outcome(&self, result: Result<BTreeMap<String, String>, Broken>) -> Outcome {
        let external = format!("{}:{}", self.order.project, self.id);
        match result {
            Ok(output_variables) => Outcome::Succeeded(Success {
                output_variables,
                summary: Some(format!("Build {} of {} succeeded", self.number, self.order.project)),
                external_execution_id: Some(external),
                ..Success::default()
            }),
            Err(broken) => {
                if self.root.is_dir() {
                    self.voice
                        .say(&format!("The workspace is kept for you to look at: {}", self.root.display()));
                    blocking(|| workspace::remove_old(&self.state.join("builds")));
                }
                let text = match broken.state {
                    State::TimedOut => {
                        format!("The action timed out after {}. {broken}", spelled(self.allowed))
                    }
                    State::Failed | State::Stopped => broken.to_string(),
                };
                Outcome::Failed(Failure {
                    summary: Some(format!("Build {} of {} failed", self.number, self.order.project)),
                    external_execution_id: Some(external),
                    ..Failure::new(broken.class, text.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
                })
            }
        }
    }
}

/// A file of the source, which no link may lead out of. The error says what is wrong with it, as part of a
/// sentence.
fn read_inside(source: &Path, path: &str) -> Result<String, String> {
    let Ok(file) = fs::canonicalize(source.join(path)) else { return Err("was not found".to_owned()) };
    if !file.starts_with(source) {
        return Err("does not lie".to_owned());
    }
    let about = fs::metadata(&file).map_err(|error| format!("cannot be read ({error})"))?;
    if !about.is_file() || about.len() > TEXT_BYTES_MAX as u64 {
        return Err(format!("is not a file of at most {TEXT_BYTES_MAX} bytes"));
    }
    fs::read_to_string(&file).map_err(|error| format!("cannot be read ({error})"))
}

/// The output variables: those that are set, at the end of POST_BUILD.
fn exported(
    names: &[String],
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Broken> {
    let set = names.iter().filter_map(|name| Some((name.clone(), variables.get(name)?.clone())));
    let exported: BTreeMap<String, String> = set.collect();
    let bytes: usize = exported.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > VARIABLES_BYTES_MAX {
        let message =
            format!("the output variables take {bytes} bytes: at most {VARIABLES_BYTES_MAX} are allowed");
        return Err(Broken::new(Phase::UploadArtifacts, "CLIENT_ERROR", FailureCode::JobFailed, message));
    }
    Ok(exported)
}

fn spelled(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
