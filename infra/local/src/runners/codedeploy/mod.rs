//! CodeDeploy for servers, on this machine: an appspec, hosts as folders, hook scripts as processes.
//!
//! One action makes one deployment of its group. The order of events, the rules of the appspec and the layout on
//! disk are the CodeDeploy agent's (`spec/buildspec-and-appspec.md`, part B). Two things differ, and are meant to:
//! the appspec is checked before any host is touched, and destinations are resolved under each host's folder,
//! which nothing in a bundle can leave.

mod appspec;
mod bundle;
mod cleanup;
mod deploy;
mod fleet;
mod group;
mod hooks;
mod install;
mod lifecycle;
mod permissions;
mod policy;
mod record;
mod recover;
mod report;
mod rollback;
mod root;
mod run;
mod script;
mod store;
mod targets;

pub use self::targets::targets;
use self::{
    appspec::AppSpec,
    bundle::BadBundle,
    deploy::Verdict,
    group::Group,
    record::{Creator, ErrorInformation, Record, Revision, RollbackInfo, Standing, Status, new_id, now},
    run::{Run, Scripts},
    store::Store,
};
use super::Site;
use engine::action::{ActionJob, Failure, FailureCode, InputArtifact, Outcome, Success};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// Deploys the action's one input artifact to the hosts of its deployment group.
///
/// On success the output variable `DeploymentId` and the external execution id name the deployment. A failed
/// deployment is rolled back as the group's settings say, and stays failed. A cancelled one is stopped: its
/// scripts get TERM, then KILL after 5 seconds.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    match within_deadline(job, site).await {
        Ok(success) => Outcome::Succeeded(success),
        Err(failure) => {
            site.log.line(&failure.message);
            Outcome::Failed(*failure)
        }
    }
}

/// A deployment stops when the job is cancelled, and in the same way at its deadline.
async fn within_deadline(job: &ActionJob, site: &Site) -> Result<Success, Failed> {
    let left = job.deadline.0.saturating_sub(jiff::Timestamp::now().as_millisecond());
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(DEADLINE_MAX);
    let (stop, stopping) = watch::channel(*site.cancelled.borrow());
    let inner = Site { cancelled: stopping, ..site.clone() };
    let mut cancelled = site.cancelled.clone();
    let mut work = std::pin::pin!(carry_out(job, &inner));
    let mut told = false;
    let mut deadline = std::pin::pin!(tokio::time::sleep(left));
    let mut timed_out = false;
    loop {
        tokio::select! {
            result = &mut work => {
                return result.map_err(|mut failure| {
                    if timed_out {
                        let minutes = left.as_millis().div_ceil(60_000);
                        failure.message =
                            format!("The action timed out after {minutes} minutes. {}", failure.message);
                    }
                    failure
                });
            }
            // An error means that whoever could cancel is gone.
            Ok(_) = cancelled.wait_for(|cancelled| *cancelled), if !told => told = true,
            () = &mut deadline, if !told => {
                told = true;
                timed_out = true;
            }
        }
        stop.send_replace(told);
    }
}

/// Further off than any deadline an action can have; keeps the timer's arithmetic in bounds.
const DEADLINE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

type Failed = Box<Failure>;

fn configuration(message: impl Into<String>) -> Failed {
    Box::new(Failure::new(FailureCode::ConfigurationError, message))
}

fn disk(what: &str) -> impl FnOnce(io::Error) -> Failed + '_ {
    move |error| Box::new(Failure::new(FailureCode::SystemUnavailable, format!("{what}: {error}")))
}

async fn carry_out(job: &ActionJob, site: &Site) -> Result<Success, Failed> {
    let key = |name: &str| {
        job.configuration.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            configuration(format!("the action's configuration has no `{name}`: add it to the pipeline"))
        })
    };
    let (application, name) = (key("ApplicationName")?, key("DeploymentGroupName")?);
    let [input] = job.inputs.as_slice() else {
        let message =
            format!("a CodeDeploy action takes exactly one input artifact; it has {}", job.inputs.len());
        return Err(configuration(message));
    };
    let group = Group::resolve(&site.settings, &site.state, application, name).map_err(configuration)?;
    let group = Arc::new(group);
    let about = serde_json::json!({ "applicationName": application, "deploymentGroupName": name, "deploymentGroupId": group.id });
    let store = Store::open(&site.state, &group.id, &about).map_err(disk("the deployment group's folder"))?;

    let waiting = || site.log.line(&format!("waiting for another deployment of {} …", group.key()));
    let lock = store.lock(&site.cancelled, waiting).await.map_err(disk("the deployment group's lock"))?;
    let Some(_lock) = lock else { return Err(stopped(None)) };
    let traffic_moved =
        recover::recover(&store, &site.log).await.map_err(disk("the deployment group's records"))?;
    let records = store.records().map_err(disk("the deployment group's records"))?;
    if job.resumed
        && let Some(done) = newest_of(job, &records)
        && done.succeeded()
    {
        // The attempt had finished; only its result was lost.
        site.log.line(&format!("deployment {} had succeeded before the restart", done.deployment_id));
        let good = done.hosts.iter().filter(|host| host.status == Standing::Succeeded).count();
        return Ok(success(&done.deployment_id, good, done.hosts.len()));
    }
    let run = prepare(job, site, &group, &store, input).await?;
    let verdict = deploy(&run, &records, traffic_moved).await;
    let result = conclude(&run, &verdict, &records).await;
    let hosts: Vec<&str> = group.all_hosts().map(|host| host.name.as_str()).collect();
    if let Err(error) = store.prune(&hosts) {
        site.log.line(&format!("warning: old archives could not be removed: {error}"));
    }
    result
}

async fn deploy(run: &Arc<Run>, records: &[Record], traffic_moved: bool) -> Verdict {
    if !run.group.blue_green() {
        return deploy::in_place(run, &run.group.hosts, records).await;
    }
    if traffic_moved {
        // Half of it may have moved when the earlier attempt died; hosts in traffic are never deployed to.
        rollback::settle_traffic(run).await;
    }
    deploy::blue_green(run, records).await
}

/// Ends the record, rolls back if that is due, and words the result.
async fn conclude(run: &Arc<Run>, verdict: &Verdict, records: &[Record]) -> Result<Success, Failed> {
    if verdict.cancelled {
        run.end(Status::Stopped, None);
        report::table(run);
        return Err(stopped(Some(&run.id)));
    }
    if verdict.succeeded {
        run.end(Status::Succeeded, None);
        report::table(run);
        return Ok(success(&run.id, verdict.good, verdict.total));
    }
    let message = report::failures(&verdict.failures);
    run.end(Status::Failed, Some(ErrorInformation { code: "HEALTH_CONSTRAINTS".to_owned(), message }));
    report::table(run);
    let rollback = rollback::roll_back(run, verdict, records).await;
    Err(Box::new(Failure {
        summary: Some(format!("Deployment {} failed", run.id)),
        external_execution_id: Some(run.id.clone()),
        ..Failure::new(FailureCode::JobFailed, report::message(run, verdict, &rollback))
    }))
}

/// The deployment an earlier start of the same action made.
fn newest_of<'a>(job: &ActionJob, records: &'a [Record]) -> Option<&'a Record> {
    let mine = |record: &&Record| {
        record.creator == Creator::User && record.action_execution == job.action_execution.as_str()
    };
    records.iter().rev().find(mine)
}

fn success(id: &str, good: usize, total: usize) -> Success {
    Success {
        output_variables: BTreeMap::from([("DeploymentId".to_owned(), id.to_owned())]),
        summary: Some(format!("Deployment {id} succeeded on {good} of {total} hosts")),
        external_execution_id: Some(id.to_owned()),
        ..Success::default()
    }
}

fn stopped(id: Option<&str>) -> Failed {
    let what = id.map_or_else(|| "The deployment".to_owned(), |id| format!("Deployment {id}"));
    Box::new(Failure {
        external_execution_id: id.map(str::to_owned),
        ..Failure::new(FailureCode::JobFailed, format!("{what} was stopped"))
    })
}

/// Checks the bundle, keeps it, and begins the deployment's record.
async fn prepare(
    job: &ActionJob,
    site: &Site,
    group: &Arc<Group>,
    store: &Store,
    input: &InputArtifact,
) -> Result<Arc<Run>, Failed> {
    let artifact = site.artifacts.path(&input.location).map_err(disk("the input artifact"))?;
    if !artifact.is_file() {
        let message =
            format!("the input artifact `{}` is not in the artifact store any more", input.name.as_str());
        return Err(Box::new(Failure::new(FailureCode::RevisionUnavailable, message)));
    }
    let id = new_id();
    let (spec, digest) = check_in(store.clone(), id.clone(), artifact).await?;
    let hosts: Vec<String> = group.all_hosts().map(|host| host.name.clone()).collect();
    let record = Record {
        deployment_id: id.clone(),
        number: store.next_number(),
        application_name: group.application.clone(),
        deployment_group_name: group.name.clone(),
        creator: Creator::User,
        action_execution: job.action_execution.as_str().to_owned(),
        pipeline: Some(job.pipeline.to_string()),
        revision: Revision {
            bucket: input.location.bucket.clone(),
            key: input.location.key.clone(),
            e_tag: digest,
            commit: input.revision.clone(),
        },
        deployment_config_name: group.config.name().to_owned(),
        file_exists_behavior: spec.file_exists.unwrap_or(group.file_exists),
        blue_green: group.blue_green(),
        create_time: now(),
        hosts: rollback::pending(&hosts),
        rollback_info: RollbackInfo::default(),
        ..Record::default()
    };
    announce(site, group, store, &record, &spec);
    Ok(Run::begin(site, group, store, spec, Scripts::Forward, record))
}

/// Reads the appspec first: a bundle that cannot be deployed must leave no trace.
async fn check_in(store: Store, id: String, artifact: PathBuf) -> Result<(AppSpec, String), Failed> {
    let work = move || {
        let spec = bundle::read_appspec(&artifact)?;
        let io = |source| BadBundle::Io { path: artifact.clone(), source };
        let digest = bundle::digest(&artifact).map_err(io)?;
        store.keep_bundle(&id, &artifact).map_err(io)?;
        Ok((spec, digest))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(BadBundle::Io { path, source })) => Err(disk(&shown(&path))(source)),
        Ok(Err(error)) => Err(configuration(error.to_string())),
        Err(error) => Err(configuration(format!("the bundle could not be read: {error}"))),
    }
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

fn announce(site: &Site, group: &Group, store: &Store, record: &Record, spec: &AppSpec) {
    let style = if group.blue_green() { "blue/green" } else { "in place" };
    site.log.line(&format!(
        "deployment {} of {}: revision {}, {style}, {}, {} hosts",
        record.deployment_id,
        group.key(),
        record.revision.short(),
        group.config.name(),
        group.all_hosts().count()
    ));
    for host in group.all_hosts() {
        site.log.line(&format!("host {}: {}", host.name, host.root.display()));
    }
    site.log.line(&format!("records and archives: {}", store.folder().display()));
    for warning in &spec.warnings {
        site.log.line(&format!("warning: {warning}"));
    }
}

#[cfg(test)]
mod tests;
