//! Events on a bus of EventBridge.

use super::not_told;
use crate::client::{Client, Service, jittered};
use engine::outward::{BUS_EVENT_BYTES_MAX, Bus, BusEvent, OutwardError};
use serde_json::{Value, json};
use std::time::Duration;

/// Events in one call, most.
const ENTRIES_MAX: usize = 10;
/// How often events that were not taken are put again.
const ATTEMPTS_MAX: u32 = 6;
/// The first pause before that, most; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of an entry's time, as EventBridge counts them.
const TIME_BYTES: usize = 14;

/// A bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    /// The bus of this name or ARN.
    pub fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { client: client.clone(), name: name.into() }
    }

    /// Puts what fits into one call, in order. Those that will never be taken are gathered in `refused`.
    async fn put_some(&self, mut events: &[BusEvent], refused: &mut Vec<String>) -> Result<(), OutwardError> {
        for attempt in 0..ATTEMPTS_MAX {
            let entries: Vec<Value> = events.iter().map(|event| self.entry(event)).collect();
            let answer =
                self.client.json(Service::EventBridge, "PutEvents", &json!({ "Entries": entries })).await;
            let answer = answer.map_err(|error| not_told(&error))?;
            let results = answer["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut again = None;
            for (index, result) in results.iter().enumerate().take(events.len()) {
                let Some(code) = result["ErrorCode"].as_str() else { continue };
                let words = result["ErrorMessage"].as_str().unwrap_or_default();
                if passes(code) {
                    again = again.or(Some((index, format!("{code}: {words}"))));
                } else if again.is_none() {
                    refused.push(format!("event `{}`: {code}: {words}", events[index].id));
                }
            }
            // What came after the first that was not taken goes again with it, though it may have been taken: twice in
            // order is better than once out of it.
            let Some((index, words)) = again else { return Ok(()) };
            events = &events[index..];
            if attempt + 1 == ATTEMPTS_MAX {
                let text = format!("the bus `{}` did not take event `{}`: {words}", self.name, events[0].id);
                return Err(OutwardError::Unavailable(text));
            }
            tokio::time::sleep(jittered(PAUSE.saturating_mul(1 << attempt))).await;
        }
        Ok(())
    }

    fn entry(&self, event: &BusEvent) -> Value {
        json!({
            "EventBusName": self.name,
            "Source": event.source,
            "DetailType": event.detail_type,
            "Time": event.time.epoch_seconds(),
            "Resources": event.resources,
            "Detail": event.detail,
        })
    }
}

impl Bus for EventBus {
    async fn put(&self, events: Vec<BusEvent>) -> Result<(), OutwardError> {
        let mut refused = Vec::new();
        let (fit, too_large): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| weight(event) <= BUS_EVENT_BYTES_MAX);
        for event in too_large {
            let (id, bytes) = (&event.id, weight(&event));
            refused.push(format!("event `{id}`: {bytes} bytes, at most {BUS_EVENT_BYTES_MAX}"));
        }
        let mut rest = &fit[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(in_one_call(rest));
            self.put_some(now, &mut refused).await?;
            rest = later;
        }
        if refused.is_empty() {
            return Ok(());
        }
        Err(OutwardError::Refused(format!("the bus `{}` refused {}", self.name, refused.join("; "))))
    }
}

/// How many of these fit into one call: at least one, since none is too large by itself.
fn in_one_call(events: &[BusEvent]) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take(ENTRIES_MAX).take_while(|event| {
        bytes += weight(event);
        bytes <= BUS_EVENT_BYTES_MAX
    });
    fit.count().max(1)
}

/// Bytes of an entry, as EventBridge counts them.
fn weight(event: &BusEvent) -> usize {
    let resources: usize = event.resources.iter().map(String::len).sum();
    TIME_BYTES + event.source.len() + event.detail_type.len() + event.detail.len() + resources
}

fn passes(code: &str) -> bool {
    matches!(code, "ThrottlingException" | "InternalFailure" | "InternalException" | "ServiceUnavailable")
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Timestamp;

    fn event(bytes: usize) -> BusEvent {
        BusEvent {
            id: "1".into(),
            source: "s".into(),
            detail_type: "t".into(),
            time: Timestamp(0),
            resources: vec!["r".into()],
            detail: "x".repeat(bytes - TIME_BYTES - 3),
        }
    }

    #[test]
    fn a_call_holds_ten_events_and_a_quarter_of_a_mebibyte() {
        assert_eq!(in_one_call(&vec![event(100); 25]), 10);
        assert_eq!(in_one_call(&vec![event(100 << 10); 5]), 2);
        assert_eq!(in_one_call(&[event(256 << 10), event(100)]), 1);
        assert_eq!(in_one_call(&[event(100)]), 1);
    }
}
