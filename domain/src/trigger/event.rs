//! Events of the bus as they are made here: what was put, a schedule's tick, changes of state.

use super::Here;
use events::Timestamp;
use serde_json::{Value, json};

/// What an event is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who says so, such as `aws.codepipeline`.
    pub source: String,
    /// What kind of thing happened.
    pub detail_type: String,
    /// ARNs of what it happened to.
    pub resources: Vec<String>,
    /// What happened: an object.
    pub detail: Value,
}

impl Made {
    /// The whole event.
    pub fn event(self, here: Here<'_>) -> Value {
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": here.account,
            "time": rfc3339(self.at),
            "region": here.region,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

/// The event of a rule's schedule.
pub fn tick(rule_arn: &str, id: &str, at: Timestamp, here: Here<'_>) -> Value {
    let made = Made {
        id: id.to_owned(),
        at,
        source: "aws.events".to_owned(),
        detail_type: "Scheduled Event".to_owned(),
        resources: vec![rule_arn.to_owned()],
        detail: json!({}),
    };
    made.event(here)
}

/// Bytes of a moment, to the millisecond.
const MOMENT_BYTES: usize = 24;

/// A moment as text, to the second: `2026-03-01T10:00:00Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = String::with_capacity(MOMENT_BYTES);
    match year {
        0..=9999 => digits(&mut text, year, 4),
        _ => text.push_str(&format!("{year:04}")),
    }
    for (before, number) in [('-', month), ('-', day), ('T', hour), (':', minute), (':', second)] {
        text.push(before);
        digits(&mut text, number, 2);
    }
    text.push('Z');
    text
}

/// Writes so many digits of a number, at most four. Not by `format!`: several moments are written for every change of state.
pub(crate) fn digits(text: &mut String, number: i64, count: usize) {
    let mut room = [b'0'; 4];
    let mut rest = number.unsigned_abs();
    for place in room.iter_mut().rev() {
        *place += (rest % 10) as u8;
        rest /= 10;
    }
    text.extend(room.into_iter().skip(room.len().saturating_sub(count)).map(char::from));
}

/// The date of a day counted from 1970-01-01: years begin in March, so that a leap day is the last of one.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * part + 2) / 5 + 1, if part < 10 { part + 3 } else { part - 9 });
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
