//! The engine's small ports: the time, fresh ids, and no timers.

use domain::command::Command;
use engine::ports::{Clock, Ids, Timers};
use events::{ActionExecutionId, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Random UUIDs.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn uuid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

/// No timers: a function may be gone by the time one is due. What is due stands in the row of the run, and `sweep`
/// reads those rows once a minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTimers;

impl Timers for NoTimers {
    fn set(&self, _: &ActionExecutionId, _: Timestamp, _: Command) {}

    fn clear(&self, _: &ActionExecutionId) {}
}
