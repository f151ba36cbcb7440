//! DeploymentWindow: met once a schedule says that now is the time.
//!
//! The schedule is Quartz's: seconds, minutes, hours, day of month, month, day of week (1 is Sunday), and the year
//! if one is meant. The window is open during every second that it names, so most schedules have `*` for seconds
//! and minutes.

use super::{Look, RuleJob, value};
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds},
};
use events::Timestamp;
use jiff::{Zoned, tz::TimeZone};

/// Whether the window is open, or when it opens.
///
/// # Errors
/// Why it cannot be asked, for people.
pub fn look(job: &RuleJob, now: Timestamp) -> Result<Look, String> {
    let (cron, zone) = read(job)?;
    let here =
        jiff::Timestamp::from_millisecond(now.0).map_err(|error| format!("The clock is off: {error}."))?;
    let here = here.to_zoned(zone);
    match opens(&cron, &here) {
        Ok(Opens::Now) => Ok(Look::Met(format!("the deployment window is open: {}", minute(&here)))),
        Ok(Opens::At(opens)) => {
            let words = format!("The deployment window is closed; it opens {}.", minute(&opens));
            Ok(Look::Wait(Timestamp(opens.timestamp().as_millisecond()), words))
        }
        Err(error) => Err(format!("The window `{}` never opens: {error}.", cron.as_str())),
    }
}

#[derive(Debug, PartialEq)]
enum Opens {
    Now,
    At(Zoned),
}

/// When a window opens next, looking from this moment.
fn opens(cron: &Cron, from: &Zoned) -> Result<Opens, CronError> {
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
            format!(
                "`TimeZone` is `{name}`, which is not the name of a time zone; for example `Europe/Berlin`."
            )
        })?,
    };
    Ok((cron, zone))
}

fn schedule(text: &str) -> Result<Cron, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn a_schedule_is_quartzs_and_counts_days_from_sunday() {
        let friday = at("2026-11-20T18:30:00[Europe/Berlin]");
        for (cron, expected) in [
            // Monday to Friday, nine to five: the next is Monday morning.
            ("* * 9-16 ? * MON-FRI", "2026-11-23T09:00:00[Europe/Berlin]"),
            ("* * 9-16 ? * 2-6", "2026-11-23T09:00:00[Europe/Berlin]"),
            ("* 0/15 19 * * ?", "2026-11-20T19:00:00[Europe/Berlin]"),
            // The last Friday, the third Tuesday, the last day, the weekday nearest to the 15th.
            ("* * 2 ? * 6L", "2026-11-27T02:00:00[Europe/Berlin]"),
            ("* * 2 ? * 3#3", "2026-12-15T02:00:00[Europe/Berlin]"),
            ("* * 2 L * ?", "2026-11-30T02:00:00[Europe/Berlin]"),
            ("* * 2 15W * ?", "2026-12-15T02:00:00[Europe/Berlin]"),
            ("* * 2 ? * L", "2026-11-21T02:00:00[Europe/Berlin]"),
            ("* * * 1 1 ? 2030", "2030-01-01T00:00:00[Europe/Berlin]"),
        ] {
            let schedule = schedule(cron).unwrap();
            assert_eq!(opens(&schedule, &friday).unwrap(), Opens::At(at(expected)), "{cron}");
        }
        let open = schedule("* * 18 ? * FRI").unwrap();
        assert_eq!(opens(&open, &friday).unwrap(), Opens::Now);
        // Half past six in Berlin is half past twelve in New York.
        let there = friday.with_time_zone(jiff::tz::TimeZone::get("America/New_York").unwrap());
        assert_eq!(opens(&schedule("* * 12 ? * FRI").unwrap(), &there).unwrap(), Opens::Now);
    }
}
