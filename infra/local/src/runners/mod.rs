//! What an AWS service does, done on this machine: one file or folder per provider.
//!
//! A runner is handed one [`ActionJob`] and a [`Site`], works until it is done or cancelled, and returns an
//! [`Outcome`]. It never touches the log of events. It must leave nothing running behind, except services a
//! deployment hook started on purpose.

pub mod codebuild;
pub mod codedeploy;
pub mod lambda;
mod mock;
pub mod rules;
pub mod s3;
pub mod source;

use crate::{archive::Caps, artifacts::ArtifactStore, output::ActionLog, settings::Settings};
use engine::action::{ActionJob, ActionTypeId, Failure, FailureCode, Outcome};
use events::{ActionCategory, ActionOwner};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{sync::watch, task::JoinSet};

/// What this machine lends to a runner for one job.
#[derive(Clone)]
pub struct Site {
    /// `towpath.toml` and the flags laid over it.
    pub settings: Arc<Settings>,
    /// Where artifacts lie.
    pub artifacts: Arc<ArtifactStore>,
    /// The action's own log file; everything a person may want to read goes here.
    pub log: ActionLog,
    /// Turns true when the job must stop: TERM to what runs, then KILL, then return. The outcome of a cancelled
    /// job is dropped.
    pub cancelled: watch::Receiver<bool>,
    /// The state folder (`.towpath`): runners keep workspaces under `builds/`, deployments under `codedeploy/`.
    pub state: PathBuf,
    /// The Region label, for built-in variables and ARNs.
    pub region: String,
    /// The account id, 12 digits, for ARNs.
    pub account: String,
}

/// Carries out one job with the runner its action type names, or as a mock where the settings say so. A runner
/// that panics fails its action; dropping the future stops the runner.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    let (own_job, own_site) = (job.clone(), site.clone());
    guarded(job, async move { dispatch(&own_job, &own_site).await }).await
}

async fn guarded(job: &ActionJob, work: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    match apart(job.action_execution.as_str(), work).await {
        Ok(outcome) => outcome,
        Err(broke_off) => {
            let message = format!(
                "The runner for {} broke off: {broke_off}. This is a fault in Towpath.",
                job.action_type
            );
            Outcome::Failed(Failure::new(FailureCode::SystemUnavailable, message))
        }
    }
}

/// Has work done in a task of its own; the error says how it broke off.
async fn apart<T: Send + 'static>(
    attempt: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let mut running = JoinSet::new();
    running.spawn(work);
    let broke_off = match running.join_next().await {
        Some(Ok(done)) => return Ok(done),
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
            }
            Err(error) => error.to_string(),
        },
        None => "it was not started".to_owned(),
    };
    tracing::error!(attempt, error = %broke_off, "a runner broke off");
    Err(broke_off)
}

async fn dispatch(job: &ActionJob, site: &Site) -> Outcome {
    let ActionTypeId { category, owner, provider, .. } = &job.action_type;
    if let Some(mock) = site.settings.mock.get(&format!("{category:?}/{provider}")) {
        return mock::run(job, site, *mock).await;
    }
    match (category, owner, provider.as_str()) {
        (ActionCategory::Source, ActionOwner::AWS, "S3" | "CodeCommit" | "CodeStarSourceConnection")
        | (ActionCategory::Source, ActionOwner::ThirdParty, "GitHub") => source::run(job, site).await,
        (ActionCategory::Deploy, ActionOwner::AWS, "CodeDeploy") => codedeploy::run(job, site).await,
        (ActionCategory::Build | ActionCategory::Test, ActionOwner::AWS, "CodeBuild") => {
            codebuild::run(job, site).await
        }
        (ActionCategory::Compute, ActionOwner::AWS, "Commands") => codebuild::run_commands(job, site).await,
        (ActionCategory::Deploy, ActionOwner::AWS, "S3") => s3::run(job, site).await,
        (ActionCategory::Invoke, ActionOwner::AWS, "Lambda") => lambda::run(job, site).await,
        _ => Outcome::Failed(no_runner(&job.action_type)),
    }
}

/// Workers ask for the jobs of this type, unless the settings mock it.
pub fn is_for_workers(action_type: &ActionTypeId, settings: &Settings) -> bool {
    if is_mocked(action_type, settings) {
        return false;
    }
    match action_type.owner {
        ActionOwner::Custom => true,
        ActionOwner::ThirdParty | ActionOwner::AWS => {
            settings.action_types.iter().any(|registered| registered.id() == *action_type)
        }
    }
}

/// An action of this type runs on this machine, or is mocked.
pub fn has_runner(action_type: &ActionTypeId, settings: &Settings) -> bool {
    let ActionTypeId { category, owner, provider, version } = action_type;
    let built = match (category, owner, provider.as_str()) {
        (ActionCategory::Source, ActionOwner::AWS, "S3" | "CodeCommit" | "CodeStarSourceConnection")
        | (ActionCategory::Source, ActionOwner::ThirdParty, "GitHub")
        | (ActionCategory::Deploy, ActionOwner::AWS, "CodeDeploy" | "S3")
        | (ActionCategory::Build | ActionCategory::Test, ActionOwner::AWS, "CodeBuild")
        | (ActionCategory::Compute, ActionOwner::AWS, "Commands")
        | (ActionCategory::Invoke, ActionOwner::AWS, "Lambda") => version == "1",
        _ => false,
    };
    built || is_mocked(action_type, settings)
}

fn is_mocked(action_type: &ActionTypeId, settings: &Settings) -> bool {
    let ActionTypeId { category, provider, .. } = action_type;
    settings.mock.contains_key(&format!("{category:?}/{provider}"))
}

fn no_runner(action_type: &ActionTypeId) -> Failure {
    let ActionTypeId { category, owner, provider, .. } = action_type;
    if *owner == ActionOwner::Custom {
        let message = format!(
            "The work of {action_type} is done by workers that ask for it, and only `towpath up` answers them."
        );
        return Failure::new(FailureCode::ConfigurationError, message);
    }
    let message = format!(
        "No runner on this machine for {action_type}. To mock it openly, add `\"{category:?}/{provider}\" = \"succeed\"` \
         under `[mock]` in towpath.toml."
    );
    Failure::new(FailureCode::ConfigurationError, message)
}

/// What an artifact may hold on this machine.
fn caps(site: &Site) -> Caps {
    Caps { bytes: site.settings.limits.artifact_bytes, files: site.settings.limits.artifact_files }
}

/// The folder that stands for a bucket: the settings' own, or one under the state folder.
fn bucket_folder(site: &Site, bucket: &str) -> Result<PathBuf, Failure> {
    folder_of_bucket(&site.settings, &site.state, bucket)
}

/// The file that an object is on this machine; `None` when bucket or key cannot be one.
pub(crate) fn object_file(settings: &Settings, state: &Path, bucket: &str, key: &str) -> Option<PathBuf> {
    object_path(&folder_of_bucket(settings, state, bucket).ok()?, key)
}

/// The version of an object, taken from its content.
pub(crate) fn object_version(file: &Path) -> std::io::Result<String> {
    source::object_version(file)
}

fn folder_of_bucket(settings: &Settings, state: &Path, bucket: &str) -> Result<PathBuf, Failure> {
    if let Some(folder) = settings.s3.get(bucket) {
        return Ok(folder.clone());
    }
    match bucket.contains('/') || matches!(bucket, "" | "." | "..") || bucket.contains('\0') {
        true => {
            let message = format!("`{bucket}` cannot be the name of a bucket.");
            Err(Failure::new(FailureCode::ConfigurationError, message))
        }
        false => Ok(state.join("s3").join(bucket)),
    }
}

/// The file of an object; `None` when its key could lead out of the bucket's folder.
fn object_path(folder: &Path, key: &str) -> Option<PathBuf> {
    let plain = key.split('/').all(|part| !matches!(part, "" | "." | "..")) && !key.contains('\0');
    plain.then(|| folder.join(key))
}

#[cfg(test)]
mod tests;
