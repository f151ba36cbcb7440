//! The two ways to deploy: in place, and blue/green.

use super::{
    fleet::{self, Leg},
    lifecycle::{ALLOW, BLOCK, REPLACE, in_place as in_place_events},
    policy::Config,
    record::{Record, Standing},
    run::{HostFailure, Run},
};
use crate::settings::Host;
use std::sync::Arc;

/// How a deployment went.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) succeeded: bool,
    pub(super) cancelled: bool,
    pub(super) failures: Vec<HostFailure>,
    /// Hosts that were begun with.
    pub(super) touched: Vec<String>,
    /// Hosts the new revision is on and runs, out of so many.
    pub(super) good: usize,
    pub(super) total: usize,
    /// Blue/green: traffic had begun to move when it failed.
    pub(super) traffic_moved: bool,
}

/// Deploys to hosts as they stand, behind the load balancer if there is one.
pub(super) async fn in_place(run: &Arc<Run>, hosts: &[Host], records: &[Record]) -> Verdict {
    let hosts = fleet::order(run, hosts, records);
    let total = hosts.len();
    let leg = Leg {
        hosts,
        events: in_place_events(run.group.load_balancer.is_some()),
        config: run.group.config,
        last: true,
    };
    let rolled = fleet::roll(run, leg).await;
    Verdict {
        succeeded: rolled.enough,
        cancelled: rolled.cancelled,
        failures: rolled.failures,
        touched: rolled.touched,
        good: rolled.succeeded.len(),
        total,
        traffic_moved: false,
    }
}

/// The hosts in traffic and those to replace them.
pub(super) fn roles(run: &Run) -> (&[Host], &[Host]) {
    let (hosts, replacement) = (run.group.hosts.as_slice(), run.group.replacement_hosts.as_slice());
    if run.store.replacement_is_live() { (replacement, hosts) } else { (hosts, replacement) }
}

/// Deploys to the replacement hosts, moves traffic to them, then lets the original hosts go. The traffic events
/// run even without load balancer commands: hook scripts may be what moves traffic.
pub(super) async fn blue_green(run: &Arc<Run>, records: &[Record]) -> Verdict {
    let (originals, replacements) = roles(run);
    let (originals, hosts) = (originals.to_vec(), fleet::order(run, replacements, records));
    let total = hosts.len();
    let config = run.group.config;

    let leg = Leg { hosts, events: REPLACE.to_vec(), config, last: false };
    let replaced = fleet::roll(run, leg).await;
    let mut verdict = Verdict {
        cancelled: replaced.cancelled,
        failures: replaced.failures,
        touched: replaced.touched,
        total,
        ..Verdict::default()
    };
    if !replaced.enough || replaced.cancelled {
        return verdict;
    }

    verdict.traffic_moved = true;
    let leg = Leg { hosts: replaced.succeeded, events: ALLOW.to_vec(), config, last: true };
    let allowed = fleet::roll(run, leg).await;
    verdict.good = allowed.succeeded.len();
    verdict.failures.extend(allowed.failures);
    verdict.cancelled = allowed.cancelled;
    if !allowed.enough || allowed.cancelled {
        return verdict;
    }

    let leg = Leg { hosts: originals, events: BLOCK.to_vec(), config: Config::AllAtOnce, last: false };
    let blocked = fleet::roll(run, leg).await;
    for host in &blocked.succeeded {
        run.update(|record| record.set_host(&host.name, Standing::Succeeded));
    }
    verdict.touched.extend(blocked.touched);
    verdict.cancelled = blocked.cancelled;
    // An original host that stays in traffic would go on serving the old revision.
    verdict.succeeded = blocked.failures.is_empty() && !blocked.cancelled;
    verdict.failures.extend(blocked.failures);
    if verdict.succeeded
        && let Err(error) = run.store.set_live(!run.store.replacement_is_live())
    {
        run.log().line(&format!("warning: the change of roles could not be recorded: {error}"));
    }
    verdict
}

/// Blue/green: puts the original hosts back into traffic and takes the replacement hosts out of it.
pub(super) async fn traffic_back(run: &Arc<Run>) -> Verdict {
    let (originals, replacements) = roles(run);
    let legs = [(originals.to_vec(), ALLOW.to_vec()), (replacements.to_vec(), BLOCK.to_vec())];
    let mut verdict = Verdict { total: originals.len(), ..Verdict::default() };
    for (number, (hosts, events)) in legs.into_iter().enumerate() {
        let rolled = fleet::roll(run, Leg { hosts, events, config: Config::AllAtOnce, last: false }).await;
        for host in &rolled.succeeded {
            run.update(|record| record.set_host(&host.name, Standing::Succeeded));
        }
        if number == 0 {
            verdict.good = rolled.succeeded.len();
        }
        verdict.cancelled |= rolled.cancelled;
        verdict.touched.extend(rolled.touched);
        verdict.failures.extend(rolled.failures);
    }
    verdict.succeeded = verdict.failures.is_empty() && !verdict.cancelled;
    verdict
}
