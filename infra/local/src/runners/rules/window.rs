//! DeploymentWindow: sleeps until the window is open.

use super::{Site, cancelled, met, not_asked, not_met, now, pause};
use engine::rule::{Look, RuleJob, RuleOutcome, window};
use events::Timestamp;
use std::time::Duration;

/// How long is slept at a time: the clock may be put forward meanwhile, and a machine may sleep.
const SLEEP_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(job: &RuleJob, site: &Site) -> RuleOutcome {
    let mut announced = None;
    // Ends when the window opens, or when the rule's deadline passes and the job is cancelled.
    loop {
        let (opens, words) = match window::look(job, Timestamp(now())) {
            Ok(Look::Met(words)) => return met(site, words),
            Ok(Look::NotMet(words)) => return not_met(site, words),
            Ok(Look::Wait(opens, words)) => (opens, words),
            Err(message) => return not_asked(site, message),
        };
        if announced != Some(opens) {
            site.log.line(&words);
            announced = Some(opens);
        }
        let left = opens.0.saturating_sub(now());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1));
        if !pause(site, left.min(SLEEP_MAX)).await {
            return cancelled();
        }
    }
}
