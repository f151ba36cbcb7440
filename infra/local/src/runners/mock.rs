//! Actions the settings say to mock: nothing is done, and everything says so.

use super::Site;
use crate::{archive::Packer, settings::Mock};
use engine::action::{ActionJob, Failure, FailureCode, Outcome, SourceRevision, Success};

const SUMMARY: &str = "mocked: nothing was done";

/// Reports what the settings ask for, with empty archives as output artifacts.
pub(super) async fn run(job: &ActionJob, site: &Site, mock: Mock) -> Outcome {
    site.log.line(&format!("`{}` is mocked in towpath.toml: nothing is done.", job.action_type));
    match mock {
        Mock::Fail => Outcome::Failed(Failure {
            summary: Some(SUMMARY.into()),
            ..Failure::new(FailureCode::JobFailed, "mocked failure")
        }),
        Mock::Succeed => {
            let (outputs, store, caps) = (job.outputs.clone(), site.artifacts.clone(), super::caps(site));
            let work = tokio::task::spawn_blocking(move || -> Result<(), String> {
                for output in &outputs {
                    let file = store.scratch().map_err(|error| error.to_string())?;
                    Packer::create(&file, caps)
                        .and_then(Packer::finish)
                        .map_err(|error| error.to_string())?;
                    store.put(&output.location, &file).map_err(|error| error.to_string())?;
                }
                Ok(())
            });
            match work.await.unwrap_or_else(|panicked| Err(panicked.to_string())) {
                Ok(()) => Outcome::Succeeded(success(job)),
                Err(message) => Outcome::Failed(Failure::new(FailureCode::SystemUnavailable, message)),
            }
        }
    }
}

fn success(job: &ActionJob) -> Success {
    let revision = (job.action_type.category == events::ActionCategory::Source).then(|| SourceRevision {
        action: job.action.clone(),
        revision_id: job.revision.clone().unwrap_or_else(|| "mocked".into()),
        summary: Some(SUMMARY.into()),
        url: None,
        change_id: None,
        created: None,
    });
    Success { summary: Some(SUMMARY.into()), revision, mocked: true, ..Success::default() }
}
