//! The rules of stage conditions on this machine: what is watched or compared is done here; builds, commands and
//! functions are left to the runners that carry out actions of that kind.

mod alarm;
mod window;

use super::{Site, codebuild, lambda};
use crate::settings::Mock;
use engine::{
    action::{Failure, FailureCode},
    rule::{Look, RuleJob, RuleOutcome, RuleSuccess, check},
};
use events::ActionCategory;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// True when a rule works, as against waiting or comparing: only those take one of the turns of actions, so that a
/// hundred closed deployment windows do not stand in the way of a build.
pub fn works(provider: &str) -> bool {
    matches!(provider, "CodeBuild" | "Commands" | "LambdaInvoke")
}

/// Decides one rule, or mocks it where the settings say so. A runner that panics makes it a rule that could not be
/// asked; dropping the future stops the runner.
pub async fn run(job: &RuleJob, site: &Site) -> RuleOutcome {
    let (own_job, own_site) = (job.clone(), site.clone());
    let work = async move { dispatch(&own_job, &own_site).await };
    match super::apart(job.rule_execution.as_str(), work).await {
        Ok(outcome) => outcome,
        Err(broke_off) => failed(
            FailureCode::SystemUnavailable,
            format!(
                "The runner for the rule `{}` broke off: {broke_off}. This is a fault in Towpath.",
                job.provider
            ),
        ),
    }
}

async fn dispatch(job: &RuleJob, site: &Site) -> RuleOutcome {
    if let Some(mock) = site.settings.mock.get(&format!("Rule/{}", job.provider)) {
        return mocked(job, site, *mock);
    }
    match job.provider.as_str() {
        "VariableCheck" => match check::look(job) {
            Ok(Look::Met(words)) => met(site, words),
            // Nothing to wait for: what is compared stands.
            Ok(Look::NotMet(words) | Look::Wait(_, words)) => not_met(site, words),
            Err(message) => not_asked(site, message),
        },
        "DeploymentWindow" => window::run(job, site).await,
        "CloudWatchAlarm" => alarm::run(job, site).await,
        "CodeBuild" => {
            let action = job.as_action(ActionCategory::Build, "CodeBuild");
            codebuild::run(&action, site).await.into()
        }
        "Commands" => {
            let action = job.as_action(ActionCategory::Compute, "Commands");
            codebuild::run_commands(&action, site).await.into()
        }
        "LambdaInvoke" => {
            let action = job.as_action(ActionCategory::Invoke, "Lambda");
            lambda::run(&action, site).await.into()
        }
        other => failed(
            FailureCode::ConfigurationError,
            format!(
                "No runner on this machine for rules of the provider `{other}`. To mock it openly, add \
                 `\"Rule/{other}\" = \"succeed\"` under `[mock]` in towpath.toml."
            ),
        ),
    }
}

fn mocked(job: &RuleJob, site: &Site, mock: Mock) -> RuleOutcome {
    const SUMMARY: &str = "mocked: nothing was asked";
    site.log.line(&format!("Rules of `{}` are mocked in towpath.toml: nothing is asked.", job.provider));
    match mock {
        Mock::Succeed => RuleOutcome::Succeeded(RuleSuccess {
            summary: Some(SUMMARY.into()),
            mocked: true,
            ..RuleSuccess::default()
        }),
        Mock::Fail => RuleOutcome::Failed(Failure {
            summary: Some(SUMMARY.into()),
            ..Failure::new(FailureCode::JobFailed, "mocked failure")
        }),
    }
}

fn met(site: &Site, summary: String) -> RuleOutcome {
    site.log.line(&summary);
    RuleOutcome::Succeeded(RuleSuccess { summary: Some(summary), ..RuleSuccess::default() })
}

fn not_met(site: &Site, message: String) -> RuleOutcome {
    site.log.line(&message);
    failed(FailureCode::JobFailed, message)
}

fn not_asked(site: &Site, message: String) -> RuleOutcome {
    site.log.line(&message);
    failed(FailureCode::ConfigurationError, message)
}

fn failed(code: FailureCode, message: String) -> RuleOutcome {
    RuleOutcome::Failed(Failure::new(code, message))
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits; false when the job was cancelled meanwhile.
async fn pause(site: &Site, time: Duration) -> bool {
    let mut cancelled: watch::Receiver<bool> = site.cancelled.clone();
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        // A sender that is gone cancels too: nobody waits for the outcome.
        _ = cancelled.wait_for(|cancelled| *cancelled) => false,
    }
}

fn cancelled() -> RuleOutcome {
    failed(FailureCode::SystemUnavailable, "The job was cancelled.".to_owned())
}

#[cfg(test)]
mod tests;
