//! Schedules of rules. What was due while nobody was here is not made up for.

use super::{Known, deal};
use crate::machine::LocalService;
use domain::trigger::{Here, event};
use events::{Timestamp, TriggerSource};
use handlers::triggers::{Arrived, What};
use local::schedule::Schedule;
use std::time::Duration;

/// The longest sleep: a machine that slept, or whose clock was set, is up to date that soon.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How late a tick may come, milliseconds: after a longer sleep of the machine it is passed over.
const LATE_MS_MAX: u64 = 60_000;

/// Which schedules are due, given the time.
struct Clockwork<'a> {
    schedules: Vec<(usize, &'a Schedule, Option<Timestamp>)>,
}

impl<'a> Clockwork<'a> {
    fn new(schedules: impl Iterator<Item = (usize, &'a Schedule)>, now: Timestamp) -> Self {
        Self { schedules: schedules.map(|(rule, one)| (rule, one, one.after(now))).collect() }
    }

    /// Rules that are due, with the time they were due at; each once, however late it is.
    fn due(&mut self, now: Timestamp) -> Vec<(usize, Timestamp)> {
        let mut due = Vec::new();
        for (rule, schedule, next) in &mut self.schedules {
            let Some(tick) = next.filter(|tick| *tick <= now) else { continue };
            *next = schedule.after(now);
            if now.since(tick) <= LATE_MS_MAX {
                due.push((*rule, tick));
            }
        }
        due
    }

    /// How long nothing is due.
    fn pause(&self, now: Timestamp) -> Duration {
        let next = self.schedules.iter().filter_map(|(_, _, next)| *next).min();
        next.map_or(SLEEP_MAX, |next| Duration::from_millis(next.since(now)).min(SLEEP_MAX))
    }
}

/// Waits for schedules until the task is dropped.
pub async fn run(service: LocalService, known: Known) {
    let rules = &known.rules;
    let schedules =
        rules.iter().enumerate().filter_map(|(index, rule)| Some((index, rule.schedule.as_ref()?)));
    let now = || service.engine.clock().now();
    let mut clockwork = Clockwork::new(schedules, now());
    if clockwork.schedules.is_empty() {
        return;
    }
    loop {
        tokio::time::sleep(clockwork.pause(now())).await;
        for (index, tick) in clockwork.due(now()) {
            let rule = &rules[index].rule;
            let here = Here { region: service.engine.region(), account: service.engine.account() };
            let id = format!("{}@{}", rule.name, tick.0);
            let event = event::tick(&rule.arn(here), &id, tick, here);
            let what = What::Tick { event, rule };
            deal(&service, &Arrived { source: TriggerSource::Schedule, delivery: id, what }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tick_comes_once_and_none_is_made_up_for() {
        let minute = 60_000;
        let schedule = Schedule::parse("rate(5 minutes)").unwrap();
        let mut clockwork = Clockwork::new([(3, &schedule)].into_iter(), Timestamp(minute));
        assert_eq!(clockwork.pause(Timestamp(5 * minute - 1500)), Duration::from_millis(1500));
        assert_eq!(clockwork.pause(Timestamp(minute)), SLEEP_MAX);
        assert_eq!(clockwork.due(Timestamp(5 * minute - 1)), []);
        assert_eq!(clockwork.due(Timestamp(5 * minute + 40)), [(3, Timestamp(5 * minute))]);
        assert_eq!(clockwork.due(Timestamp(5 * minute + 50)), []);
        // The machine slept over three of them.
        assert_eq!(clockwork.due(Timestamp(23 * minute)), []);
        assert_eq!(clockwork.due(Timestamp(25 * minute)), [(3, Timestamp(25 * minute))]);
    }

    #[test]
    fn a_schedule_that_is_over_is_never_due() {
        let schedule = Schedule::parse("cron(0 12 * * ? 2020)").unwrap();
        let now = Timestamp(1_800_000_000_000);
        let mut clockwork = Clockwork::new([(0, &schedule)].into_iter(), now);
        assert_eq!(clockwork.due(Timestamp(now.0 * 2)), []);
        assert_eq!(clockwork.pause(now), SLEEP_MAX);
    }
}
