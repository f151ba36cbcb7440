//! CloudWatchAlarm: there is no CloudWatch on this machine, so `towpath.toml` says what stands for an alarm: a
//! program that prints its state, or a file that holds it.
//!
//! On the way in, and after a failure, the rule is met once the alarm is in none of `AlarmStates`, and waits up to
//! `WaitTime` minutes for that. On the way out it watches for the whole of `WaitTime`, and fails as soon as the
//! alarm enters one of them.

use super::{Site, cancelled, met, not_asked, not_met, now, pause, value};
use crate::{
    process::{Children, Command, Drain, End},
    settings::Alarm,
};
use engine::rule::{RuleJob, RuleOutcome};
use events::ConditionType;
use std::{collections::BTreeMap, env, ffi::OsStr, fs, io::Read, path::Path, time::Duration};
use tokio::time::Instant;

const STATES: [&str; 3] = ["OK", "ALARM", "INSUFFICIENT_DATA"];
/// How often an alarm is looked at while a rule waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the program that stands for an alarm may take.
const PROGRAM_MAX: Duration = Duration::from_secs(60);
/// How long output is read after the program's exit.
const DRAIN: Duration = Duration::from_millis(100);
/// Bytes of a file that are read for a state.
const FILE_BYTES_MAX: u64 = 4 * 1024;
/// Longest `WaitTime`, minutes: the longest time a rule may have.
const WAIT_MINUTES_MAX: u32 = 86_400;
/// Variables of this process a program may see, besides those whose names start with `LC_`.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "TMPDIR"];

pub(super) async fn run(job: &RuleJob, site: &Site) -> RuleOutcome {
    let order = match Order::read(job, site) {
        Ok(order) => order,
        Err(message) => return not_asked(site, message),
    };
    let until = job.started.plus_minutes(order.wait_minutes).0;
    // Ends with `WaitTime`, or with the rule's deadline, when the job is cancelled.
    loop {
        let state = match state(job, site, &order).await {
            Ok(Some(state)) => state,
            Ok(None) => return cancelled(),
            Err(message) => return not_asked(site, message),
        };
        let is_over = now() >= until;
        let name = &order.name;
        let entered = order.states.contains(&state);
        match (job.condition, entered) {
            (ConditionType::OnSuccess, true) => {
                return not_met(site, format!("the alarm `{name}` is in {state}"));
            }
            (ConditionType::OnSuccess, false) if is_over => {
                let minutes = order.wait_minutes;
                return met(site, format!("the alarm `{name}` is in {state} after {minutes} minutes"));
            }
            (ConditionType::BeforeEntry | ConditionType::OnFailure, false) => {
                return met(site, format!("the alarm `{name}` is in {state}"));
            }
            (ConditionType::BeforeEntry | ConditionType::OnFailure, true) if is_over => {
                let minutes = order.wait_minutes;
                return not_met(
                    site,
                    format!("the alarm `{name}` is still in {state} after {minutes} minutes"),
                );
            }
            (ConditionType::OnSuccess, false)
            | (ConditionType::BeforeEntry | ConditionType::OnFailure, true) => {}
        }
        let left = Duration::from_millis(u64::try_from(until.saturating_sub(now())).unwrap_or(0).max(1));
        if !pause(site, left.min(LOOK_EVERY)).await {
            return cancelled();
        }
    }
}

struct Order<'a> {
    name: String,
    alarm: &'a Alarm,
    /// The states that stand in the way.
    states: Vec<&'static str>,
    wait_minutes: u32,
}

impl<'a> Order<'a> {
    fn read(job: &RuleJob, site: &'a Site) -> Result<Self, String> {
        let name = value(job, "AlarmName")?;
        let bare = name.split_once(":alarm:").map_or(name, |(_, bare)| bare);
        let alarms = &site.settings.alarms;
        let alarm = alarms.get(name).or_else(|| alarms.get(bare)).ok_or_else(|| {
            format!(
                "Nothing on this machine stands for the alarm `{bare}`. Name a program that prints its state, or \
                 a file that holds it, in towpath.toml: `[alarms.\"{bare}\"]` `command = [\"./state.sh\"]`."
            )
        })?;
        let states = match job.configuration.get("AlarmStates").filter(|text| !text.trim().is_empty()) {
            None => vec!["ALARM"],
            Some(text) => states(text)?,
        };
        let wait_minutes = match job.configuration.get("WaitTime").filter(|text| !text.is_empty()) {
            None => 0,
            Some(text) => {
                text.trim().parse().ok().filter(|minutes| *minutes <= WAIT_MINUTES_MAX).ok_or_else(|| {
                    format!("`WaitTime` is `{text}`, and not a number of minutes up to {WAIT_MINUTES_MAX}.")
                })?
            }
        };
        Ok(Self { name: bare.to_owned(), alarm, states, wait_minutes })
    }
}

/// A list as JSON, or separated by commas.
fn states(text: &str) -> Result<Vec<&'static str>, String> {
    let words: Vec<String> = serde_json::from_str(text)
        .unwrap_or_else(|_| text.split(',').map(|word| word.trim().to_owned()).collect());
    words
        .iter()
        .map(|word| {
            STATES.into_iter().find(|known| known == word).ok_or_else(|| {
                format!("`AlarmStates` holds `{word}`, and not one of `{}`.", STATES.join("`, `"))
            })
        })
        .collect()
}

/// The alarm's state now; `None` when the job was cancelled.
async fn state(job: &RuleJob, site: &Site, order: &Order<'_>) -> Result<Option<&'static str>, String> {
    let Order { name, alarm, .. } = order;
    let (text, from) = match &alarm.file {
        Some(path) => (first_line(path)?, format!("`{}`", path.display())),
        None => match ask(job, site, name, alarm).await? {
            Some(line) => (line, format!("`{}`", alarm.command.join(" "))),
            None => return Ok(None),
        },
    };
    let known = STATES.into_iter().find(|known| *known == text.trim());
    known.map(Some).ok_or_else(|| {
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
