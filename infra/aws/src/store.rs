//! What DynamoDB, S3 and the others say, in plain words with what to do.

use crate::client::CallError;

/// An error of a store.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: CallError,
}

impl StoreError {
    /// `places` are the tables or buckets that were asked for.
    pub(crate) fn of(places: &[&str], error: CallError) -> Self {
        let places = places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(" or ");
        let message = if error.is(&["ResourceNotFoundException", "NoSuchBucket"]) {
            format!(
                "{places} is not there yet, or not in this account and Region: deploy the template first ({error})"
            )
        } else if error.is_denied() {
            format!("a permission on {places} is missing; the role of this function must have it: {error}")
        } else {
            error.to_string()
        };
        Self { message, source: error }
    }

    /// What was said.
    pub fn call(&self) -> &CallError {
        &self.source
    }
}
