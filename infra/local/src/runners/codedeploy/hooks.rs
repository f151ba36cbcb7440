//! What one event does on one host.

use super::{
    appspec::{EVENT_SECONDS_MAX, Script},
    bundle,
    install::{self, Target},
    lifecycle::Event,
    permissions::account,
    record::{Diagnostics, ErrorCode},
    root::HostRoot,
    run::{HostFailure, Run, Scripts},
    script::{self, End, Stream, Task},
    store::HostStore,
};
use crate::{archive::Caps, settings::Host};
use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Bytes of output kept for diagnostics.
const TAIL_BYTES_MAX: usize = 2048;
/// Seconds a load balancer's command may take.
const TRAFFIC_SECONDS_MAX: u64 = 600;

/// How an event ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    /// Something was done; words about it, if there is something to say.
    Did(Option<String>),
    /// There was nothing to do.
    Nothing,
    /// It does not apply, and why.
    Skipped(&'static str),
}

/// Why an event failed.
#[derive(Debug)]
pub(super) struct EventFailure {
    pub(super) diagnostics: Diagnostics,
    pub(super) cancelled: bool,
}

impl EventFailure {
    fn new(error_code: ErrorCode, script: &str, message: impl Into<String>) -> Self {
        let diagnostics = Diagnostics {
            error_code,
            script_name: script.to_owned(),
            message: message.into(),
            log_tail: String::new(),
        };
        Self { diagnostics, cancelled: false }
    }

    fn other(message: impl ToString) -> Self {
        Self::new(ErrorCode::UnknownError, "", message.to_string())
    }

    /// The failure as the deployment's report shows it.
    pub(super) fn of(&self, host: &str, event: Event) -> HostFailure {
        HostFailure {
            host: host.to_owned(),
            event,
            message: self.diagnostics.message.clone(),
            tail: self.diagnostics.log_tail.lines().map(str::to_owned).collect(),
            cancelled: self.cancelled,
        }
    }
}

/// One event of one host.
pub(super) struct Step<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) host: &'a Host,
    pub(super) event: Event,
}

impl Step<'_> {
    /// Carries the event out.
    pub(super) async fn perform(&self) -> Result<Done, EventFailure> {
        let store = self.run.store.host(&self.host.name);
        store.prepare(&self.run.id).map_err(EventFailure::other)?;
        match self.event {
            Event::BlockTraffic => self.traffic(|balancer| balancer.block.as_deref()).await,
            Event::AllowTraffic => self.traffic(|balancer| balancer.allow.as_deref()).await,
            Event::DownloadBundle => self.download(store).await,
            Event::Install => self.install(store).await,
            Event::BeforeBlockTraffic
            | Event::AfterBlockTraffic
            | Event::ApplicationStop
            | Event::BeforeInstall
            | Event::AfterInstall
            | Event::ApplicationStart
            | Event::ValidateService
            | Event::BeforeAllowTraffic
            | Event::AfterAllowTraffic => self.hook(&store).await,
        }
    }

    async fn download(&self, store: HostStore) -> Result<Done, EventFailure> {
        let limits = &self.run.site.settings.limits;
        let caps = Caps { bytes: limits.artifact_bytes, files: limits.artifact_files };
        let (bundle, id) = (self.run.store.bundle(&self.run.id), self.run.id.clone());
        blocking(move || {
            bundle::unpack(&bundle, &store.archive(&id), caps).map_err(EventFailure::other)?;
            store.set_most_recent(&id).map_err(EventFailure::other)
        })
        .await?;
        Ok(Done::Did(None))
    }

    async fn install(&self, store: HostStore) -> Result<Done, EventFailure> {
        let (run, folder) = (Arc::clone(self.run), self.host.root.clone());
        let installed = blocking(move || {
            let root = HostRoot::open(&folder).map_err(EventFailure::other)?;
            let target = Target {
                root: &root,
                archive: &store.archive(&run.id),
                cleanup: &store.instructions("-cleanup"),
                instructions: &store.instructions("-install.json"),
                file_exists: run.file_exists,
                ignore_ownership: run.group.settings.ignore_ownership,
            };
            install::install(&run.spec, &target).map_err(EventFailure::other)
        })
        .await?;
        for warning in &installed.warnings {
            self.say(&format!("warning: {warning}"));
        }
        let mut words = format!("{} files copied, {} old ones removed", installed.files, installed.removed);
        if installed.retained > 0 {
            words.push_str(&format!(", {} kept as they were", installed.retained));
        }
        Ok(Done::Did(Some(words)))
    }

    async fn traffic(
        &self,
        choose: impl Fn(&crate::settings::LoadBalancer) -> Option<&str>,
    ) -> Result<Done, EventFailure> {
        let Some(command) = self.run.group.load_balancer.as_ref().and_then(choose) else {
            return Ok(Done::Nothing);
        };
        let root = HostRoot::open(&self.host.root).map_err(EventFailure::other)?;
        let args = [OsString::from("-c"), OsString::from(command)];
        let base = &self.run.site.settings.base;
        let job = Job {
            name: "load balancer command",
            program: Path::new("/bin/sh"),
            args: &args,
            // The command stands in the settings, so its relative paths are meant from there.
            cwd: if base.is_dir() { base } else { root.path() },
            root: root.path(),
            runas: None,
            timeout: Duration::from_secs(TRAFFIC_SECONDS_MAX),
        };
        self.execute(&job).await?;
        Ok(Done::Did(None))
    }

    async fn hook(&self, store: &HostStore) -> Result<Done, EventFailure> {
        let from = match (self.run.scripts, self.event.uses_last_successful()) {
            (Scripts::Forward, false) => Some(self.run.id.clone()),
            (Scripts::Forward, true) | (Scripts::TrafficBack, false) => store.last_successful(),
            (Scripts::TrafficBack, true) => store.most_recent(),
        };
        let Some(from) = from else {
            return Ok(Done::Skipped("no earlier deployment succeeded on this host"));
        };
        let archive = store.archive(&from);
        let earlier;
        let spec = if from == self.run.id {
            &self.run.spec
        } else {
            earlier = bundle::unpacked_appspec(&archive).map_err(|error| {
                EventFailure::other(format!("the scripts of deployment {from} cannot be used: {error}"))
            })?;
            &earlier
        };
        let scripts = spec.hooks.get(&self.event).map_or(&[][..], Vec::as_slice);
        if scripts.is_empty() {
            return Ok(Done::Nothing);
        }
        let root = HostRoot::open(&self.host.root).map_err(EventFailure::other)?;
        let over = Instant::now() + Duration::from_secs(EVENT_SECONDS_MAX);
        for script in scripts {
            self.script(script, &archive, root.path(), over).await?;
        }
        Ok(Done::Did(None))
    }

    async fn script(
        &self,
        script: &Script,
        archive: &Path,
        root: &Path,
        over: Instant,
    ) -> Result<(), EventFailure> {
        let program = archive.join(&script.location);
        make_executable(&program, &script.location, archive)?;
        let own = Duration::from_secs(script.timeout.unwrap_or(EVENT_SECONDS_MAX));
        let job = Job {
            name: &script.location,
            program: &program,
            args: &[],
            cwd: archive,
            root,
            runas: script.runas.as_deref(),
            timeout: own.min(over.saturating_duration_since(Instant::now())),
        };
        self.execute(&job).await
    }

    async fn execute(&self, job: &Job<'_>) -> Result<(), EventFailure> {
        let env = self.run.environment(self.host, &job.root.to_string_lossy(), self.event);
        let (program, args) = self.as_user(job)?;
        let task = Task { program: &program, args: &args, cwd: job.cwd, env: &env, timeout: job.timeout };
        let store = self.run.store.host(&self.host.name);
        let mut logs = ScriptLogs::open(&store, &self.run.id).map_err(EventFailure::other)?;
        logs.header(&format!("LifecycleEvent - {}", self.event));
        logs.header(&format!("Script - {}", job.name));
        let end = script::run(&task, self.run.site.cancelled.clone(), |stream, text| {
            logs.output(stream, text);
            self.say(text);
        })
        .await;
        let failure = match &end {
            Ok(end) => job.failure(*end),
            Err(error) => Some((ErrorCode::ScriptFailed, job.not_started(error))),
        };
        let Some((error_code, message)) = failure else { return Ok(()) };
        logs.header(&message);
        let diagnostics =
            Diagnostics { error_code, script_name: job.name.to_owned(), message, log_tail: logs.tail() };
        Err(EventFailure { diagnostics, cancelled: matches!(end, Ok(End::Cancelled)) })
    }

    /// The program and arguments that run a script as its `runas` user.
    fn as_user(&self, job: &Job<'_>) -> Result<(PathBuf, Vec<OsString>), EventFailure> {
        let direct = || (job.program.to_owned(), job.args.to_vec());
        let Some(user) = job.runas else { return Ok(direct()) };
        let me = rustix::process::geteuid();
        let wanted = account("/etc/passwd", "user", user);
        if wanted.as_ref().is_ok_and(|uid| *uid == me.as_raw()) {
            return Ok(direct());
        }
        if me.is_root() && wanted.is_ok() {
            let su = ["/bin/su", "/usr/bin/su"].into_iter().map(PathBuf::from).find(|path| path.exists());
            let su =
                su.ok_or_else(|| EventFailure::other("`runas` needs the program `su`, which is not here"))?;
            let quoted = format!("'{}'", job.program.to_string_lossy().replace('\'', "'\\''"));
            // A service account's own shell is often one that refuses to run anything.
            let args = [user, "-s", "/bin/sh", "-c", &quoted];
            return Ok((su, args.into_iter().map(OsString::from).collect()));
        }
        if self.run.group.settings.ignore_ownership {
            self.say(&format!("warning: {} runs as the current user, not as `{user}`", job.name));
            return Ok(direct());
        }
        let message = format!(
            "{} asks to run as `{user}`, which only root can do for a user that exists: run as root, or set \
             `ignore-ownership = true` for the deployment group",
            job.name
        );
        Err(EventFailure::new(ErrorCode::UnknownError, job.name, message))
    }

    fn say(&self, text: &str) {
        self.run.log().line(&format!("host {} | {text}", self.host.name));
    }
}

/// A program to run for an event.
struct Job<'a> {
    name: &'a str,
    program: &'a Path,
    args: &'a [OsString],
    cwd: &'a Path,
    root: &'a Path,
    runas: Option<&'a str>,
    timeout: Duration,
}

impl Job<'_> {
    fn failure(&self, end: End) -> Option<(ErrorCode, String)> {
        let user = self.runas.map(|user| format!(" run as user {user}")).unwrap_or_default();
        let script = format!("Script at specified location: {}{user}", self.name);
        let seconds = self.timeout.as_secs();
        match end {
            End::Exited(0) => None,
            End::Exited(code) => {
                Some((ErrorCode::ScriptFailed, format!("{script} failed with exit code {code}")))
            }
            End::TimedOut => {
                Some((ErrorCode::ScriptTimedOut, format!("{script} failed to complete in {seconds} seconds")))
            }
            End::OutputHeld => Some((
                ErrorCode::UnknownError,
                format!(
                    "{script} failed to close STDOUT: it exited, but a process it left running still holds its \
                     output after {seconds} seconds. Redirect the output of background processes, for example \
                     `>/dev/null 2>&1`"
                ),
            )),
            End::Cancelled => Some((ErrorCode::UnknownError, format!("{script} was stopped"))),
        }
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        // Without a first line that names an interpreter the system refuses with ENOEXEC (8), with one that
        // names a missing program it says that the script is not found.
        let hint = match (error.raw_os_error(), error.kind()) {
            (Some(8), _) => "; its first line must name its interpreter, for example `#!/bin/sh`",
            (_, std::io::ErrorKind::NotFound) => {
                "; the interpreter its first line names is not on this machine"
            }
            _ => "",
        };
        format!("Script at specified location: {} could not be started: {error}{hint}", self.name)
    }
}

fn make_executable(program: &Path, location: &str, archive: &Path) -> Result<(), EventFailure> {
    let inside = fs::canonicalize(program)
        .and_then(|real| Ok(real.starts_with(fs::canonicalize(archive)?)))
        .unwrap_or(false);
    let about = fs::metadata(program).ok().filter(|about| about.is_file() && inside);
    let Some(about) = about else {
        let message = format!("Script does not exist at specified location: {location}");
        return Err(EventFailure::new(ErrorCode::ScriptMissing, location, message));
    };
    let mode = about.permissions().mode();
    if mode & 0o111 != 0 {
        return Ok(());
    }
    fs::set_permissions(program, fs::Permissions::from_mode(mode | 0o755)).map_err(|error| {
        let message =
            format!("Unable to set script at specified location: {location} as executable: {error}");
        EventFailure::new(ErrorCode::ScriptNotExecutable, location, message)
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EventFailure> + Send + 'static,
) -> Result<T, EventFailure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(EventFailure::other(format!("the work on files broke off: {error}"))),
    }
}

/// The two logs the agent keeps, and the end of the output.
struct ScriptLogs {
    files: Vec<File>,
    tail: VecDeque<String>,
    tail_bytes: usize,
}

impl ScriptLogs {
    fn open(store: &HostStore, id: &str) -> std::io::Result<Self> {
        let open = |path: PathBuf| OpenOptions::new().create(true).append(true).open(path);
        let files = vec![open(store.scripts_log(id))?, open(store.agent_log())?];
        Ok(Self { files, tail: VecDeque::new(), tail_bytes: 0 })
    }

    fn header(&mut self, text: &str) {
        self.write(text);
    }

    fn output(&mut self, stream: Stream, text: &str) {
        let prefix = match stream {
            Stream::Stdout => "[stdout]",
            Stream::Stderr => "[stderr]",
        };
        self.write(&format!("{prefix}{text}"));
        let kept: String = text.chars().take(TAIL_BYTES_MAX / 4).collect();
        self.tail_bytes += kept.len() + 1;
        self.tail.push_back(kept);
        while self.tail_bytes > TAIL_BYTES_MAX {
            let Some(gone) = self.tail.pop_front() else { break };
            self.tail_bytes -= gone.len() + 1;
        }
    }

    fn write(&mut self, text: &str) {
        let line = format!("{} {text}\n", super::record::now());
        for file in &mut self.files {
            // These are copies for those who look for them; the action's log has every line.
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn tail(&self) -> String {
        self.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
