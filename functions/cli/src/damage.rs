//! Telling a damaged history from a log that did not answer.

use engine::{log::LogError, transact::TransactError};
use handlers::project::ProjectError;

/// Whether a history that cannot be believed is what went wrong. Trying again does not help then.
pub fn is_damage(error: &anyhow::Error) -> bool {
    matches!(log_error(error), Some(LogError::Broken(_) | LogError::Unreadable { .. }))
}

/// What the log said, if that is what went wrong. The layers above pass it on as it is, so that no cause names it.
fn log_error(error: &anyhow::Error) -> Option<&LogError> {
    if let Some(TransactError::Log(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(ProjectError::Log(error)) = error.downcast_ref() {
        return Some(error);
    }
    error.downcast_ref()
}
