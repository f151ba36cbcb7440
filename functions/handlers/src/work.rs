//! Long work: whoever appended hands an attempt on to a process with more time and memory, which carries it out.

use crate::Home;
use engine::{action::Work, log::LogError};
use serde_json::Value;

/// What cannot be an order to do some work.
#[derive(Debug, thiserror::Error)]
#[error("this is no order to do some work ({{\"pipeline\", \"execution\", \"attempt\"}}): {0}")]
pub struct BadOrder(String);

/// Reads an order.
pub fn order(payload: Value) -> Result<Work, BadOrder> {
    serde_json::from_value(payload).map_err(|error| BadOrder(error.to_string()))
}

/// Takes an attempt up in this process; false when it has ended. What somebody else is at is left alone.
pub async fn work<H: Home>(home: &H, order: &Work) -> Result<bool, LogError> {
    tracing::info!(
        pipeline = %order.pipeline,
        execution = %order.execution,
        attempt = %order.attempt,
        "long work is taken up"
    );
    home.engine().resume_attempt(&order.execution, &order.attempt).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_names_pipeline_execution_and_attempt() {
        let whole = json!({ "pipeline": "p", "execution": "e1", "attempt": "a1" });
        assert_eq!(order(whole).unwrap().attempt.as_str(), "a1");
        for wrong in [
            json!(null),
            json!([]),
            json!({ "pipeline": "p", "execution": "e1" }),
            json!({ "pipeline": "a b", "execution": "e1", "attempt": "a1" }),
            json!({ "pipeline": "p", "execution": "e1", "attempt": "a1", "also": 1 }),
        ] {
            assert!(order(wrong.clone()).unwrap_err().to_string().contains("attempt"), "{wrong}");
        }
    }
}
