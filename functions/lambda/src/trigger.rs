//! Events of the bus: what sources and providers say, and orders to start a pipeline.

use crate::{
    entry::{Call, Failed},
    home::Home,
    telemetry,
};
use events::TriggerVerdict;
use handlers::{
    inbound::{self, InboundError, Outcome},
    measure::Measure,
};
use serde_json::{Value, json};

/// Deals with an event. One that cannot be understood fails, so that the platform puts it aside with the reason.
pub async fn handle(home: &Home, call: Call) -> Result<Value, Failed> {
    let id = call.payload["id"].as_str().map(str::to_owned);
    telemetry::note(|invocation| invocation.event_id = id);
    match inbound::deal(&home.service, &home.externals, call.payload).await {
        Ok(Outcome::Evaluated(dealt)) => {
            let started = dealt.iter().filter_map(|one| match &one.verdict {
                TriggerVerdict::Started { execution, .. } => Some(execution.as_str()),
                TriggerVerdict::NotStarted { .. } => None,
            });
            Ok(json!({ "started": started.collect::<Vec<_>>() }))
        }
        Ok(Outcome::Taken(work)) => {
            telemetry::note(|invocation| invocation.execution = Some(work.execution.to_string()));
            Ok(json!({ "taken": work.attempt }))
        }
        Ok(Outcome::Nothing) => Ok(json!({})),
        Err(InboundError::Bad(bad)) => {
            home.measured(&[Measure::count("EventsRefused", 1)]);
            Err(Failed::refused(bad))
        }
        Err(error @ (InboundError::Unavailable(_) | InboundError::Hint(_))) => Err(Failed::later(error)),
    }
}
