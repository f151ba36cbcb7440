//! CloudWatchAlarm: there is no CloudWatch on this machine, so `towpath.toml` says what stands for an alarm: a
//! program that prints its state, or a file that holds it.

use super::{Site, cancelled, met, not_asked, not_met, now, pause};
use crate::{
    process::{Children, Command, Drain, End},
    settings::Alarm,
};
use engine::rule::{
    Look, RuleJob, RuleOutcome,
    alarm::{self, STATES, Watch},
};
use events::Timestamp;
use std::{collections::BTreeMap, env, ffi::OsStr, fs, io::Read, path::Path, time::Duration};
use tokio::time::Instant;

/// How long the program that stands for an alarm may take.
const PROGRAM_MAX: Duration = Duration::from_secs(60);
/// How long output is read after the program's exit.
const DRAIN: Duration = Duration::from_millis(100);
/// Bytes of a file that are read for a state.
const FILE_BYTES_MAX: u64 = 4 * 1024;
/// Variables of this process a program may see, besides those whose names start with `LC_`.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "TMPDIR"];

pub(super) async fn run(job: &RuleJob, site: &Site) -> RuleOutcome {
    let order = match Order::read(job, site) {
        Ok(order) => order,
        Err(message) => return not_asked(site, message),
    };
    loop {
        let state = match state(job, site, &order).await {
            Ok(Some(state)) => state,
            Ok(None) => return cancelled(),
            Err(message) => return not_asked(site, message),
        };
        let next = match order.watch.judge(job, state, Timestamp(now())) {
            Look::Met(words) => return met(site, words),
            Look::NotMet(words) => return not_met(site, words),
            Look::Wait(next, _) => next,
        };
        let left = Duration::from_millis(u64::try_from(next.0.saturating_sub(now())).unwrap_or(0).max(1));
        if !pause(site, left).await {
            return cancelled();
        }
    }
}

struct Order<'a> {
    watch: Watch,
    alarm: &'a Alarm,
}

impl<'a> Order<'a> {
    fn read(job: &RuleJob, site: &'a Site) -> Result<Self, String> {
        let watch = Watch::read(job)?;
        let Watch { given, name, .. } = &watch;
        let alarms = &site.settings.alarms;
        let alarm = alarms.get(given).or_else(|| alarms.get(name)).ok_or_else(|| {
            format!(
                "Nothing on this machine stands for the alarm `{name}`. Name a program that prints its state, or \
                 a file that holds it, in towpath.toml: `[alarms.\"{name}\"]` `command = [\"./state.sh\"]`."
            )
        })?;
        Ok(Self { watch, alarm })
    }
}

/// The alarm's state now; `None` when the job was cancelled.
async fn state(job: &RuleJob, site: &Site, order: &Order<'_>) -> Result<Option<&'static str>, String> {
    let Order { watch: Watch { name, .. }, alarm } = order;
    let (text, from) = match &alarm.file {
        Some(path) => (first_line(path)?, format!("`{}`", path.display())),
        None => match ask(job, site, name, alarm).await? {
            Some(line) => (line, format!("`{}`", alarm.command.join(" "))),
            None => return Ok(None),
        },
    };
    alarm::state(text.trim()).map(Some).ok_or_else(|| {
        let text: String = text.trim().chars().take(80).collect();
        format!(
            "The state of the alarm `{name}` is one of `{}`, and not what {from} says: `{text}`.",
            STATES.join("`, `")
        )
    })
}

fn first_line(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| format!("The alarm's file `{}` cannot be read: {error}.", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned())
}

/// The last line the program prints; `None` when the job was cancelled.
async fn ask(job: &RuleJob, site: &Site, name: &str, alarm: &Alarm) -> Result<Option<String>, String> {
    let [program, args @ ..] = &alarm.command[..] else {
        return Err(format!("`[alarms.\"{name}\"]` in towpath.toml names neither a program nor a file."));
    };
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    let mut environment: BTreeMap<String, String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| INHERITED.contains(&name.as_str()) || name.starts_with("LC_"))
        .collect();
    environment.extend([
        ("TOWPATH_ALARM".to_owned(), name.to_owned()),
        ("CODEPIPELINE_NAME".to_owned(), job.pipeline.to_string()),
        ("CODEPIPELINE_EXECUTION_ID".to_owned(), job.execution.to_string()),
    ]);
    let id = (&job.rule_execution).into();
    // Also so that the last line is never one of an earlier look.
    site.log.line(&format!("Asking `{}` for the state of the alarm `{name}`.", alarm.command.join(" ")));
    let mut children = Children::new(&site.log, &site.cancelled).marked(&id);
    let ended = children
        .run(&Command {
            program: Path::new(program),
            args: &args,
            cwd: &site.settings.base,
            env: &environment,
            stdin: None,
            user: None,
            deadline: Some(Instant::now() + PROGRAM_MAX),
            drain: Drain::Grace(DRAIN),
        })
        .await;
    children.end().await;
    match ended.map_err(|error| format!("The alarm `{name}`: {error}."))?.end {
        End::Exited(0) => Ok(Some(site.log.tail(1).pop().unwrap_or_default())),
        End::Exited(status) => Err(format!("The program for the alarm `{name}` ended with status {status}.")),
        End::TimedOut => Err(format!(
            "The program for the alarm `{name}` took longer than {} seconds.",
            PROGRAM_MAX.as_secs()
        )),
        End::Cancelled => Ok(None),
    }
}
