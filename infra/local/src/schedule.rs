//! When a rule's schedule is due: `rate(5 minutes)` or `cron(0 12 * * ? *)`, in UTC. Pure: the time is given.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use events::Timestamp;

/// Characters of an expression, most.
const EXPRESSION_CHARS_MAX: usize = 256;

/// Why a text is no schedule, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchedule(pub String);

/// A schedule that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// At every multiple of so many milliseconds since 1970, so that a restart changes nothing.
    Rate(i64),
    Cron(Box<Cron>),
}

impl Schedule {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, BadSchedule> {
        let text = text.trim();
        if text.chars().count() > EXPRESSION_CHARS_MAX {
            return Err(BadSchedule(format!("a schedule has at most {EXPRESSION_CHARS_MAX} characters")));
        }
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        match (inside("rate"), inside("cron")) {
            (Some(rate), _) => self::rate(rate).map(|kind| Self { kind }),
            (_, Some(cron)) => self::cron(cron).map(|kind| Self { kind }),
            (None, None) => {
                Err(BadSchedule("a schedule is `rate(5 minutes)` or `cron(0 12 * * ? *)`".to_owned()))
            }
        }
    }

    /// The first time it is due after this moment; `None` when it never is again.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.kind {
            Kind::Rate(every) => Some(Timestamp((moment.0.div_euclid(*every) + 1).checked_mul(*every)?)),
            Kind::Cron(cron) => {
                let from = jiff::Timestamp::from_millisecond(moment.0).ok()?;
                let from = from.to_zoned(jiff::tz::TimeZone::UTC);
                let next = cron.find_next_occurrence(&from, false).ok()?;
                Some(Timestamp(next.timestamp().as_millisecond()))
            }
        }
    }
}

fn rate(text: &str) -> Result<Kind, BadSchedule> {
    let bad = || {
        BadSchedule(format!(
            "`rate({text})`: a whole number, and `minutes`, `hours` or `days`; 1 with the singular"
        ))
    };
    let (count, unit) = text.trim().split_once(' ').ok_or_else(bad)?;
    let count: i64 = count.parse().map_err(|_| bad())?;
    let minutes = match (unit.trim(), count) {
        ("minute", 1) | ("minutes", 2..) => 1,
        ("hour", 1) | ("hours", 2..) => 60,
        ("day", 1) | ("days", 2..) => 24 * 60,
        _ => return Err(bad()),
    };
    let every = count.checked_mul(minutes).and_then(|minutes| minutes.checked_mul(60_000)).ok_or_else(bad)?;
    Ok(Kind::Rate(every))
}

fn cron(text: &str) -> Result<Kind, BadSchedule> {
    let bad = |what: &str| BadSchedule(format!("`cron({text})`: {what}"));
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays, years] = fields[..] else {
        return Err(bad("six fields are needed: minutes, hours, day of month, month, day of week, year"));
    };
    if (days == "?") == (weekdays == "?") {
        return Err(bad("one of day of month and day of week must be `?`, and not both"));
    }
    if [minutes, hours, months, years].contains(&"?") {
        return Err(bad("`?` stands for a day only"));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        // 1 is Sunday.
        .alternative_weekdays(true)
        // `0/15` is how the service writes steps.
        .sloppy_ranges(true)
        .build();
    let read = parser.parse(&format!("0 {minutes} {hours} {days} {months} {weekdays} {years}"));
    read.map(|cron| Kind::Cron(Box::new(cron))).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[track_caller]
    fn next(expression: &str, from: &str, wanted: &str) {
        let found = Schedule::parse(expression).unwrap().after(at(from)).unwrap();
        assert_eq!(jiff::Timestamp::from_millisecond(found.0).unwrap().to_string(), wanted, "{expression}");
    }

    #[test]
    fn a_rate_is_due_at_multiples_of_itself_wherever_one_begins() {
        next("rate(5 minutes)", "2026-03-01T10:02:11Z", "2026-03-01T10:05:00Z");
        next("rate(5 minutes)", "2026-03-01T10:05:00Z", "2026-03-01T10:10:00Z");
        next("rate(1 hour)", "2026-03-01T10:05:00Z", "2026-03-01T11:00:00Z");
        next("rate(1 day)", "2026-03-01T10:05:00Z", "2026-03-02T00:00:00Z");
    }

    #[test]
    fn a_cron_expression_is_read_as_the_service_writes_it() {
        next("cron(0 12 * * ? *)", "2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z");
        next("cron(0/15 * * * ? *)", "2026-03-01T12:16:00Z", "2026-03-01T12:30:00Z");
        next("cron(15 10 ? * 6L 2026-2028)", "2026-03-01T00:00:00Z", "2026-03-27T10:15:00Z");
        next("cron(0 18 ? * MON-FRI *)", "2026-03-06T18:00:00Z", "2026-03-09T18:00:00Z");
        // 1 is Sunday, and 2 is Monday.
        next("cron(0 8 ? * 2 *)", "2026-03-06T18:00:00Z", "2026-03-09T08:00:00Z");
        next("cron(0 8 ? * 2#1 *)", "2026-03-03T18:00:00Z", "2026-04-06T08:00:00Z");
        next("cron(0 8 1 * ? *)", "2026-03-01T08:00:00Z", "2026-04-01T08:00:00Z");
        next("cron(0 10 L * ? *)", "2026-02-01T00:00:00Z", "2026-02-28T10:00:00Z");
        next("cron(0 10 3W * ? *)", "2026-05-01T00:00:00Z", "2026-05-04T10:00:00Z");
    }

    #[test]
    fn a_year_that_is_over_is_never_due_again() {
        assert_eq!(Schedule::parse("cron(0 12 * * ? 2020)").unwrap().after(at("2026-03-01T00:00:00Z")), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused_in_words() {
        for wrong in [
            "",
            "5 minutes",
            "rate(5)",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(-5 minutes)",
            "rate(99999999999999999 days)",
            "cron()",
            "cron(0 12 * * *)",
            "cron(0 12 * * * *)",
            "cron(0 12 ? * ? *)",
            "cron(99 12 * * ? *)",
            "cron(0 12 * * ? * *)",
            "cron(? 12 * * ? *)",
            "cron(@daily)",
            "at(2026-01-01)",
            "cron(0 12 * * ? 999999999999)",
            "cron(0 12 32 * ? *)",
            "cron(* * é * ? *)",
        ] {
            assert!(Schedule::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Schedule::parse(&format!("cron({})", "1".repeat(300))).is_err());
    }
}
