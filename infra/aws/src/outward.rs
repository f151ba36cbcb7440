//! What tells the world: EventBridge, SNS, addresses of the Web; and the notes of those who tell.

mod bus;
mod marks;
mod topics;
mod web;

pub use bus::EventBus;
pub use marks::DynamoMarks;
pub use topics::SnsTopics;
pub use web::HttpsWeb;

use crate::client::CallError;
use engine::outward::OutwardError;

/// Whose turn it is after a call that came to nothing.
fn not_told(error: &CallError) -> OutwardError {
    match error {
        CallError::Unavailable { .. } => OutwardError::Unavailable(error.to_string()),
        CallError::Refused { .. } | CallError::Unusable { .. } => OutwardError::Refused(error.to_string()),
    }
}
