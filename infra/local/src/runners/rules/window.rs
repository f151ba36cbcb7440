//! DeploymentWindow: waits until a schedule says that now is the time.
//!
//! The schedule is Quartz's: seconds, minutes, hours, day of month, month, day of week (1 is Sunday), and the year
//! if one is meant. The window is open during every second that it names, so most schedules have `*` for seconds
//! and minutes.

use super::{Site, cancelled, met, not_asked, now, pause, value};
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds},
};
use engine::rule::{RuleJob, RuleOutcome};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::time::Duration;

/// How long is slept at a time: the clock may be put forward meanwhile, and a machine may sleep.
const SLEEP_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(job: &RuleJob, site: &Site) -> RuleOutcome {
    let (cron, zone) = match read(job) {
        Ok(read) => read,
        Err(message) => return not_asked(site, message),
    };
    let mut announced = None;
    // Ends when the window opens, or when the rule's deadline passes and the job is cancelled.
    loop {
        let here = match Timestamp::from_millisecond(now()) {
            Ok(at) => at.to_zoned(zone.clone()),
            Err(error) => return not_asked(site, format!("The clock of this machine is off: {error}.")),
        };
        let opens = match opens(&cron, &here) {
            Ok(Opens::Now) => return met(site, format!("the deployment window is open: {}", minute(&here))),
            Ok(Opens::At(opens)) => opens,
            Err(error) => {
                return not_asked(site, format!("The window `{}` never opens: {error}.", cron.as_str()));
            }
        };
        if announced.as_ref() != Some(&opens) {
            site.log.line(&format!("The deployment window is closed; it opens {}.", minute(&opens)));
            announced = Some(opens.clone());
        }
        let left = opens.timestamp().as_millisecond().saturating_sub(now());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1));
        if !pause(site, left.min(SLEEP_MAX)).await {
            return cancelled();
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Opens {
    Now,
    At(Zoned),
}

/// When a window opens next, looking from this moment.
pub(super) fn opens(cron: &Cron, from: &Zoned) -> Result<Opens, CronError> {
    if cron.is_time_matching(from)? {
        return Ok(Opens::Now);
    }
    cron.find_next_occurrence(from, false).map(Opens::At)
}

fn read(job: &RuleJob) -> Result<(Cron, TimeZone), String> {
    let cron = schedule(value(job, "Cron")?)?;
    let zone = match job.configuration.get("TimeZone").map(String::as_str).filter(|name| !name.is_empty()) {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| {
            format!("`TimeZone` is `{name}`, which this machine does not know; for example `Europe/Berlin`.")
        })?,
    };
    Ok((cron, zone))
}

pub(super) fn schedule(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .alternative_weekdays(true)
        // `0/15`, which Quartz knows.
        .sloppy_ranges(true)
        .build();
    let mut fields: Vec<&str> = text.split_whitespace().collect();
    // Alone, the last day of the week is Saturday; after a number, `L` is the last such day of the month.
    if let Some(weekday) = fields.get_mut(5).filter(|field| field.eq_ignore_ascii_case("L")) {
        *weekday = "7";
    }
    parser.parse(&fields.join(" ")).map_err(|error| {
        format!(
            "`Cron` is `{text}`, which is not a schedule of 6 or 7 fields (seconds, minutes, hours, day of month, \
             month, day of week, year): {error}"
        )
    })
}

fn minute(at: &Zoned) -> String {
    at.strftime("%Y-%m-%d %H:%M %Z").to_string()
}
