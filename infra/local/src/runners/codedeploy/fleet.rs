//! Many hosts at once: each goes through the events in order, and the deployment configuration says how many do
//! so at the same time.

use super::{
    hooks::{Done, Step},
    lifecycle::Event,
    policy::{self, Config, Tally},
    record::{Record, Standing},
    run::{HostFailure, Run, spent},
};
use crate::settings::Host;
use std::{sync::Arc, time::Instant};
use tokio::task::JoinSet;

/// Some events, for some hosts.
pub(super) struct Leg {
    pub(super) hosts: Vec<Host>,
    pub(super) events: Vec<Event>,
    pub(super) config: Config,
    /// True when a host is done with the deployment after these events.
    pub(super) last: bool,
}

/// How a leg went.
#[derive(Debug, Default)]
pub(super) struct Rolled {
    pub(super) enough: bool,
    pub(super) succeeded: Vec<Host>,
    pub(super) failures: Vec<HostFailure>,
    /// Hosts that were begun with, whatever came of it.
    pub(super) touched: Vec<String>,
    pub(super) cancelled: bool,
}

/// Takes the hosts of a leg through its events.
pub(super) async fn roll(run: &Arc<Run>, leg: Leg) -> Rolled {
    let mut waiting = leg.hosts.into_iter();
    let mut tally = Tally { waiting: waiting.len(), ..Tally::default() };
    let mut rolled = Rolled::default();
    let mut running: JoinSet<(Host, Result<(), HostFailure>)> = JoinSet::new();
    loop {
        rolled.cancelled = rolled.cancelled || run.cancelled();
        let step = match (rolled.cancelled, tally.running) {
            (true, 0) => return rolled,
            (true, 1..) => policy::Step::Wait,
            (false, _) => leg.config.next(tally),
        };
        match step {
            policy::Step::Start(count) => {
                for host in waiting.by_ref().take(count) {
                    tally.waiting -= 1;
                    tally.running += 1;
                    rolled.touched.push(host.name.clone());
                    let (run, events, last) = (Arc::clone(run), leg.events.clone(), leg.last);
                    running.spawn(async move {
                        let result = take_through(&run, &host, &events, last).await;
                        (host, result)
                    });
                }
            }
            policy::Step::Wait => {
                let Some(joined) = running.join_next().await else { return rolled };
                tally.running -= 1;
                match joined {
                    Ok((host, Ok(()))) => {
                        tally.succeeded += 1;
                        rolled.succeeded.push(host);
                    }
                    Ok((_, Err(failure))) => {
                        tally.failed += 1;
                        rolled.failures.push(failure);
                    }
                    // The task's own panic: the record names the host as failed when it ends.
                    Err(error) => {
                        tally.failed += 1;
                        run.log().line(&format!("a host's deployment broke off: {error}"));
                    }
                }
            }
            policy::Step::Succeeded => {
                rolled.enough = true;
                return rolled;
            }
            policy::Step::Failed => return rolled,
        }
    }
}

async fn take_through(run: &Arc<Run>, host: &Host, events: &[Event], last: bool) -> Result<(), HostFailure> {
    for &event in events {
        if run.cancelled() {
            let message = "the deployment was stopped".to_owned();
            return Err(HostFailure {
                host: host.name.clone(),
                event,
                message,
                tail: Vec::new(),
                cancelled: true,
            });
        }
        if let Err(failure) = perform(run, host, event).await {
            run.update(|record| {
                record.set_host(&host.name, Standing::Failed);
            });
            return Err(failure);
        }
    }
    if last {
        if let Err(error) = run.store.host(&host.name).set_last_successful(&run.id) {
            run.log()
                .line(&format!("warning: host {}: the success could not be recorded: {error}", host.name));
        }
        run.update(|record| record.set_host(&host.name, Standing::Succeeded));
    }
    Ok(())
}

async fn perform(run: &Arc<Run>, host: &Host, event: Event) -> Result<(), HostFailure> {
    run.update(|record| record.begin(&host.name, event));
    let begun = Instant::now();
    let result = Step { run, host, event }.perform().await;
    let time = spent(begun.elapsed());
    let say = |text: &str| run.log().line(&format!("host {}: {event} … {text}", host.name));
    match result {
        Ok(done) => {
            let status = match done {
                Done::Did(words) => {
                    say(&format!("Succeeded {time}{}", words.map(|w| format!(" ({w})")).unwrap_or_default()));
                    Standing::Succeeded
                }
                Done::Nothing => Standing::Succeeded,
                Done::Skipped(why) => {
                    say(&format!("Skipped ({why})"));
                    Standing::Skipped
                }
            };
            run.update(|record| record.finish(&host.name, status, None));
            Ok(())
        }
        Err(failure) => {
            let forgiven = run.forgives(&host.name, event).filter(|_| !failure.cancelled);
            let note = forgiven.as_ref().map(|why| format!(" (ignored: {why})")).unwrap_or_default();
            say(&format!("Failed {time}: {}{note}", failure.diagnostics.message));
            let told = failure.of(&host.name, event);
            let diagnostics = failure.diagnostics;
            run.update(|record| record.finish(&host.name, Standing::Failed, Some(diagnostics)));
            if forgiven.is_some() { Ok(()) } else { Err(told) }
        }
    }
}

/// The order hosts are begun with: those whose last deployment failed, those never deployed to, those with
/// another revision, those that have this one already.
pub(super) fn order(run: &Run, hosts: &[Host], records: &[Record]) -> Vec<Host> {
    let revision = run.record().revision.e_tag;
    let rank = |host: &Host| {
        let store = run.store.host(&host.name);
        match (store.last_successful(), store.most_recent()) {
            (good, Some(recent)) if good.as_ref() != Some(&recent) => 0,
            (None, _) => 1,
            (Some(good), _) => {
                let same = records.iter().any(|is| is.deployment_id == good && is.revision.e_tag == revision);
                if same { 3 } else { 2 }
            }
        }
    };
    let mut ordered = hosts.to_vec();
    ordered.sort_by_key(rank);
    ordered
}
