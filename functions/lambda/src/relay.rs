//! The change stream, for what events ask of the world.

use crate::{
    entry::{Call, Failed},
    home::Home,
    stream::{self, Failures},
};
use engine::log::Commit;
use events::ExecutionId;
use handlers::relay::relay;

/// Deals with a batch of records.
pub async fn handle(home: &Home, call: Call) -> Result<Failures, Failed> {
    let records = stream::read(call.payload, Home::commit)?;
    let publish = async |id: &ExecutionId, commits: &[&Commit]| home.publish(id, commits).await;
    let relayed = home.within(call.until_ms, relay(&home.service, &records.changes, publish)).await?;
    home.measured(&relayed.measures);
    Ok(records.answer(home, relayed.unmet).await)
}
