//! What happens after a failure: a deployment of the last good revision, or traffic back to the original hosts.

use super::{
    bundle, deploy,
    record::{Creator, ErrorInformation, HostRecord, Record, RollbackInfo, Standing, Status, new_id, now},
    report,
    run::{Run, Scripts},
};
use std::sync::Arc;

/// Rolls a failed deployment back as its group asks for. Returns what was done, as a sentence without its full
/// stop.
pub(super) async fn roll_back(failed: &Arc<Run>, verdict: &deploy::Verdict, records: &[Record]) -> String {
    let message = if !failed.group.auto_rollback {
        "not rolled back: `auto-rollback` is off".to_owned()
    } else if failed.group.blue_green() {
        if verdict.traffic_moved {
            move_traffic_back(failed).await
        } else {
            "traffic stayed on the original hosts; the replacement hosts were not put into traffic".to_owned()
        }
    } else {
        match redeploy(failed, verdict, records).await {
            Ok(message) | Err(message) => message,
        }
    };
    failed.update(|record| record.rollback_info.rollback_message = Some(message.clone()));
    message
}

/// Deploys the last revision that succeeded to the hosts the failed deployment touched.
async fn redeploy(
    failed: &Arc<Run>,
    verdict: &deploy::Verdict,
    records: &[Record],
) -> Result<String, String> {
    let good = records
        .iter()
        .rev()
        .find(|record| record.deployed())
        .ok_or("not rolled back: the group has no earlier deployment that succeeded")?;
    let words = |reason: &dyn std::fmt::Display| {
        format!("not rolled back: the bundle of deployment {} cannot be used: {reason}", good.deployment_id)
    };
    let bundle = failed.store.bundle(&good.deployment_id);
    let spec = bundle::read_appspec(&bundle).map_err(|error| words(&error))?;
    let record = record_of(failed, good, &verdict.touched);
    let id = record.deployment_id.clone();
    failed.store.keep_bundle(&id, &bundle).map_err(|error| words(&error))?;
    failed.update(|record| record.rollback_info.rollback_deployment_id = Some(id.clone()));
    let revision = record.revision.short();
    failed.log().line(&format!("rolling back to revision {revision} of deployment {} …", good.deployment_id));
    let run = Run::begin(&failed.site, &failed.group, &failed.store, spec, Scripts::Forward, record);
    let hosts: Vec<_> =
        failed.group.all_hosts().filter(|host| verdict.touched.contains(&host.name)).cloned().collect();
    let rolled = deploy::in_place(&run, &hosts, records).await;
    let status = end(&run, &rolled);
    Ok(format!("rolled back to revision {revision} (deployment {id}): {status}"))
}

async fn move_traffic_back(failed: &Arc<Run>) -> String {
    let names: Vec<String> = failed.group.all_hosts().map(|host| host.name.clone()).collect();
    let record = record_of(failed, &failed.record(), &names);
    let id = record.deployment_id.clone();
    failed.update(|record| record.rollback_info.rollback_deployment_id = Some(id.clone()));
    failed.log().line("moving traffic back to the original hosts …");
    let spec = failed.spec.clone();
    let run = Run::begin(&failed.site, &failed.group, &failed.store, spec, Scripts::TrafficBack, record);
    let back = deploy::traffic_back(&run).await;
    format!("traffic moved back to the original hosts (deployment {id}): {}", end(&run, &back))
}

/// Before a deployment that follows one that died while traffic moved: original hosts in, replacement hosts
/// out. What fails here is told and shows again in the deployment itself.
pub(super) async fn settle_traffic(run: &Arc<Run>) {
    run.log().line("an interrupted deployment may have moved traffic: the original hosts get it back first");
    let legs = Run::begin(
        &run.site,
        &run.group,
        &run.store,
        run.spec.clone(),
        Scripts::TrafficBack,
        record_of(
            run,
            &run.record(),
            &run.group.all_hosts().map(|host| host.name.clone()).collect::<Vec<_>>(),
        ),
    );
    let verdict = deploy::traffic_back(&legs).await;
    end(&legs, &verdict);
}

fn record_of(failed: &Run, source: &Record, hosts: &[String]) -> Record {
    let trigger = failed.record();
    Record {
        deployment_id: new_id(),
        number: failed.store.next_number(),
        creator: Creator::CodeDeployRollback,
        status: Status::Created,
        create_time: now(),
        complete_time: None,
        error_information: None,
        revision: source.revision.clone(),
        file_exists_behavior: source.file_exists_behavior,
        rollback_info: RollbackInfo {
            rollback_triggering_deployment_id: Some(trigger.deployment_id.clone()),
            ..RollbackInfo::default()
        },
        hosts: pending(hosts),
        ..trigger
    }
}

/// Hosts that have not begun.
pub(super) fn pending(hosts: &[String]) -> Vec<HostRecord> {
    hosts
        .iter()
        .map(|host| HostRecord {
            host: host.clone(),
            status: Standing::Pending,
            lifecycle_events: Vec::new(),
        })
        .collect()
}

/// Ends a rollback's record and says how it went.
fn end(run: &Run, verdict: &deploy::Verdict) -> String {
    if verdict.cancelled {
        run.end(Status::Stopped, None);
    } else if verdict.succeeded {
        run.end(Status::Succeeded, None);
    } else {
        let message = report::failures(&verdict.failures);
        run.end(Status::Failed, Some(ErrorInformation { code: "HEALTH_CONSTRAINTS".to_owned(), message }));
    }
    report::table(run);
    if verdict.cancelled {
        "Stopped".to_owned()
    } else if verdict.succeeded {
        "Succeeded".to_owned()
    } else {
        format!("Failed ({})", report::failures(&verdict.failures))
    }
}
