//! What an AWS service does, done on this machine: one file or folder per provider.
//!
//! A runner is handed one [`ActionJob`] and a [`Site`], works until it is done or cancelled, and returns an
//! [`Outcome`]. It never touches the log of events. It must leave nothing running behind, except services a
//! deployment hook started on purpose.

pub mod codebuild;
pub mod codedeploy;
pub mod lambda;
pub mod s3;
pub mod source;

use crate::{artifacts::ArtifactStore, output::ActionLog, settings::Settings};
use engine::action::{ActionJob, Outcome};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;

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

/// Carries out one job with the runner its action type names.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    let _ = (job, site);
    todo!()
}
