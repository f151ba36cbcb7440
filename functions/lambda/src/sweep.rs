//! Once a minute: whatever is due and nobody was told of.

use crate::{
    entry::{Call, Failed},
    home::Home,
};
use events::Timestamp;
use handlers::{
    measure::Measure,
    sweep::{Bounds, sweep},
};
use serde_json::{Value, json};

/// Executions under way that one sweep looks at, most.
const ROWS_MAX: usize = 5_000;
/// What is kept of the time for ending what was taken up last, milliseconds.
const SETTLING_MS: i64 = 8_000;

/// Takes up what is due.
pub async fn handle(home: &Home, call: Call) -> Result<Value, Failed> {
    let until = Timestamp(call.until_ms.saturating_sub(SETTLING_MS));
    let bounds = Bounds { rows: ROWS_MAX, until };
    let swept = home.within(call.until_ms, sweep(&home.service, bounds)).await?.map_err(Failed::later)?;
    // An idle installation says nothing, and pays for nothing.
    if swept.open + swept.owed > 0 {
        tracing::info!(
            open = swept.open,
            taken = swept.taken,
            expired = swept.expired,
            owed = swept.owed,
            failed = swept.failed,
            is_cut = swept.is_cut,
            "swept"
        );
        home.measured(&[
            Measure::count("SweepOpen", swept.open),
            Measure::count("SweepTaken", swept.taken),
            Measure::count("SweepFailed", swept.failed),
            Measure::count("SweepUnfinished", usize::from(swept.is_cut)),
        ]);
    }
    Ok(json!({ "open": swept.open, "taken": swept.taken, "expired": swept.expired, "owed": swept.owed }))
}
