//! Events of the bus as they are made here: what was put, a schedule's tick, another pipeline's change of state.

use super::Here;
use events::{ExecutionEvent, ExecutionId, PipelineName, PipelineVersion, Timestamp, Trigger};
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

/// An execution, for [`state_change`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Run<'a> {
    pub pipeline: &'a PipelineName,
    pub execution: &'a ExecutionId,
    pub version: PipelineVersion,
    pub trigger: &'a Trigger,
}

/// What an execution's event tells the bus; `None` for what is no change of the whole execution's state.
pub fn state_change(event: &ExecutionEvent) -> Option<&'static str> {
    match event {
        ExecutionEvent::ExecutionStarted(_) => Some("STARTED"),
        ExecutionEvent::StageRetried(_) => Some("RESUMED"),
        ExecutionEvent::StopRequested(_) => Some("STOPPING"),
        ExecutionEvent::ExecutionSucceeded(_) => Some("SUCCEEDED"),
        ExecutionEvent::ExecutionFailed(_) => Some("FAILED"),
        ExecutionEvent::ExecutionStopped(_) => Some("STOPPED"),
        ExecutionEvent::ExecutionCancelled(_) => Some("CANCELED"),
        ExecutionEvent::ExecutionSuperseded(_) => Some("SUPERSEDED"),
        ExecutionEvent::StageStarted(_)
        | ExecutionEvent::ActionStarted(_)
        | ExecutionEvent::ActionSucceeded(_)
        | ExecutionEvent::ActionFailed(_)
        | ExecutionEvent::ActionAbandoned(_)
        | ExecutionEvent::ResultIgnored(_)
        | ExecutionEvent::StageSucceeded(_)
        | ExecutionEvent::StageFailed(_)
        | ExecutionEvent::StageStopped(_)
        | ExecutionEvent::StageCancelled(_)
        | ExecutionEvent::JobQueued(_)
        | ExecutionEvent::JobDispatched(_)
        | ExecutionEvent::JobAcknowledged(_)
        | ExecutionEvent::JobContinued(_)
        | ExecutionEvent::ActionProgressed(_)
        | ExecutionEvent::RuleProgressed(_)
        | ExecutionEvent::ConditionStarted(_)
        | ExecutionEvent::ConditionEnded(_)
        | ExecutionEvent::ConditionOverridden(_)
        | ExecutionEvent::RuleStarted(_)
        | ExecutionEvent::RuleSucceeded(_)
        | ExecutionEvent::RuleFailed(_)
        | ExecutionEvent::RuleAbandoned(_)
        | ExecutionEvent::RuleResultIgnored(_)
        | ExecutionEvent::StageSkipped(_) => None,
    }
}

/// The event of an execution's change of state.
pub fn pipeline_state(run: Run<'_>, state: &str, id: &str, at: Timestamp, here: Here<'_>) -> Value {
    let Run { pipeline, execution, version, trigger } = run;
    let made = Made {
        id: id.to_owned(),
        at,
        source: "aws.codepipeline".to_owned(),
        detail_type: "CodePipeline Pipeline Execution State Change".to_owned(),
        resources: vec![format!("arn:aws:codepipeline:{}:{}:{pipeline}", here.region, here.account)],
        detail: json!({
            "pipeline": pipeline,
            "execution-id": execution,
            "state": state,
            "version": version.0,
            "execution-trigger": {
                "trigger-type": format!("{:?}", trigger.kind),
                "trigger-detail": trigger.detail,
            },
        }),
    };
    made.event(here)
}

/// A moment as text, to the second: `2026-03-01T10:00:00Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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
