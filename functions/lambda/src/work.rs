//! Long work, handed on by whoever appended.

use crate::{
    entry::{Call, Failed},
    home::Home,
    telemetry,
};
use handlers::work;
use serde_json::{Value, json};

/// Carries an attempt out.
pub async fn handle(home: &Home, call: Call) -> Result<Value, Failed> {
    let order = work::order(call.payload).map_err(Failed::refused)?;
    telemetry::note(|invocation| {
        invocation.event_id = Some(order.attempt.to_string());
        invocation.execution = Some(order.execution.to_string());
    });
    let is_under_way = work::work(&home.service, &order).await.map_err(Failed::later)?;
    Ok(json!({ "taken": is_under_way }))
}
