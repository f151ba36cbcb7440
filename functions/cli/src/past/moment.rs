//! Moments as people write them, and as they read them.

use anyhow::bail;
use events::Timestamp;
use jiff::{Zoned, civil, tz::TimeZone};

/// Reads a moment: `2026-11-21T10:15:00Z`, `2026-11-21 10:15` or `10:15:30` (local time, today), or `+12.5s` after
/// `start`.
pub fn parse(text: &str, start: Option<Timestamp>, now: &Zoned) -> anyhow::Result<Timestamp> {
    if let Some(span) = text.strip_prefix('+') {
        let Some(start) = start else { bail!("`{text}` counts from the start of a run, and there is none") };
        let seconds =
            span.strip_suffix('s').unwrap_or(span).parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        let Some(seconds) = seconds else { bail!("`{text}` is not a number of seconds, as in `+12.5s`") };
        return Ok(Timestamp(start.0.saturating_add((seconds * 1000.0) as i64)));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(moment.as_millisecond()));
    }
    let local = text
        .parse::<civil::DateTime>()
        .or_else(|_| text.parse::<civil::Time>().map(|time| now.date().to_datetime(time)));
    match local.and_then(|local| local.to_zoned(now.time_zone().clone())) {
        Ok(moment) => Ok(Timestamp(moment.timestamp().as_millisecond())),
        Err(_) => bail!(
            "`{text}` is not a moment: write `2026-11-21T10:15:00Z`, `10:15:30` for today, or `+12.5s` after the start"
        ),
    }
}

/// A moment with its day, in local time: `2026-11-21 10:15:03.250`.
pub fn full(at: Timestamp) -> String {
    shown(at, "%Y-%m-%d %H:%M:%S%.3f")
}

/// A moment within its day, in local time: `10:15:03.250`.
pub fn clock(at: Timestamp) -> String {
    shown(at, "%H:%M:%S%.3f")
}

fn shown(at: Timestamp, form: &str) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.to_zoned(TimeZone::system()).strftime(form).to_string())
        .unwrap_or_else(|_| format!("{} ms", at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now: Zoned = "2026-11-21T12:00:00+01:00[+01:00]".parse().unwrap();
        let read = |text: &str| parse(text, Some(Timestamp(1_000)), &now).map(|at| at.0);
        assert_eq!(read("+12.5s").unwrap(), 13_500);
        assert_eq!(read("+3").unwrap(), 4_000);
        assert_eq!(read("1970-01-01T00:00:02Z").unwrap(), 2_000);
        let today = read("10:15").unwrap();
        assert_eq!(read("2026-11-21T10:15").unwrap(), today);
        assert_eq!(read("2026-11-21 10:15:00").unwrap(), today);
        assert_eq!(read("2026-11-21T09:15:00Z").unwrap(), today);
        for wrong in ["yesterday", "+x", "+-3s", "25:00", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(parse("+1s", None, &now).is_err());
    }
}
