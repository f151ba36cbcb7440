//! The change stream, for the views.

use crate::{
    entry::{Call, Failed},
    home::Home,
    stream::{self, Failures},
};
use handlers::project::project_changes;

/// Deals with a batch of records.
pub async fn handle(home: &Home, call: Call) -> Result<Failures, Failed> {
    let records = stream::read(call.payload, Home::commit)?;
    let unmet = home.within(call.until_ms, project_changes(&home.service, &records.changes)).await?;
    Ok(records.answer(home, unmet).await)
}
