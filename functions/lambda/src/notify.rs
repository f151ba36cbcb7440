//! Changes of state, told to people.

use crate::{
    entry::{Call, Failed},
    home::Home,
};
use handlers::{
    measure::Measure,
    notify::{execution_of, notify_of},
};
use serde_json::{Value, json};

/// Tells people of an event of the installation's bus: it is a hint, and what happened is read from the log.
pub async fn handle(home: &Home, call: Call) -> Result<Value, Failed> {
    let execution = execution_of(&call.payload).map_err(Failed::refused)?;
    let Some(desk) = home.desk(call.until_ms).await.map_err(Failed::later)? else {
        return Ok(json!({ "channels": 0 }));
    };
    let told = home.within(call.until_ms, notify_of(&home.service, &desk, &execution)).await?;
    let told = told.inspect_err(|_| home.measured(&[Measure::count("NotificationFailures", 1)]));
    let told = told.map_err(Failed::later)?;
    home.measured(&[
        Measure::count("NotificationsSent", told.posted + told.edited),
        Measure::count("NotificationFailures", told.refused),
    ]);
    if told.posted + told.edited + told.refused + told.left > 0 {
        tracing::info!(%execution, posted = told.posted, edited = told.edited, refused = told.refused, left = told.left, "told");
    }
    Ok(
        json!({ "channels": desk.channels.len(), "posted": told.posted, "edited": told.edited, "refused": told.refused }),
    )
}
