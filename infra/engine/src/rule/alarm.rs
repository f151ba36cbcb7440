//! CloudWatchAlarm: what is read of its configuration, and what the alarm's state means at a moment.
//!
//! On the way in, and after a failure, the rule is met once the alarm is in none of `AlarmStates`, and waits up to
//! `WaitTime` minutes for that. On the way out it watches for the whole of `WaitTime`, and fails as soon as the
//! alarm enters one of them.

use super::{Look, RuleJob, value};
use events::{ConditionType, Timestamp};

/// The states an alarm can be in.
pub const STATES: [&str; 3] = ["OK", "ALARM", "INSUFFICIENT_DATA"];
/// Longest `WaitTime`, minutes: the longest time a rule may have.
const WAIT_MINUTES_MAX: u32 = 86_400;
/// How often an alarm is looked at while a rule waits, in milliseconds.
const LOOK_EVERY_MS: i64 = 5_000;

/// Which alarm is watched, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// `AlarmName` as it stands there: a name or an ARN.
    pub given: String,
    /// The alarm's name.
    pub name: String,
    /// The states that stand in the way.
    states: Vec<&'static str>,
    wait_minutes: u32,
}

impl Watch {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Why the rule cannot be asked, for people.
    pub fn read(job: &RuleJob) -> Result<Self, String> {
        let given = value(job, "AlarmName")?;
        let name = given.split_once(":alarm:").map_or(given, |(_, name)| name);
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
        Ok(Self { given: given.to_owned(), name: name.to_owned(), states, wait_minutes })
    }

    /// What the alarm's state means now.
    pub fn judge(&self, job: &RuleJob, state: &'static str, now: Timestamp) -> Look {
        let Self { name, states, wait_minutes: minutes, .. } = self;
        let until = job.started.plus_minutes(*minutes);
        let is_over = now >= until;
        match (job.condition, states.contains(&state)) {
            (ConditionType::OnSuccess, true) => Look::NotMet(format!("the alarm `{name}` is in {state}")),
            (ConditionType::OnSuccess, false) if is_over => {
                Look::Met(format!("the alarm `{name}` is in {state} after {minutes} minutes"))
            }
            (ConditionType::BeforeEntry | ConditionType::OnFailure, false) => {
                Look::Met(format!("the alarm `{name}` is in {state}"))
            }
            (ConditionType::BeforeEntry | ConditionType::OnFailure, true) if is_over => {
                Look::NotMet(format!("the alarm `{name}` is still in {state} after {minutes} minutes"))
            }
            (ConditionType::OnSuccess, false)
            | (ConditionType::BeforeEntry | ConditionType::OnFailure, true) => {
                let next = Timestamp(now.0.saturating_add(LOOK_EVERY_MS)).min(until);
                Look::Wait(next, format!("the alarm `{name}` is in {state}"))
            }
        }
    }
}

/// The state of that name.
pub fn state(text: &str) -> Option<&'static str> {
    STATES.into_iter().find(|known| *known == text)
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
