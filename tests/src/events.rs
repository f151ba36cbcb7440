//! Events for the bus, signed as a client of EventBridge does.

use crate::client::{Answer, Client};
use serde_json::{Value, json};

/// Puts events: a list of `(source, detail type, detail)`.
#[track_caller]
pub fn put(client: &Client, events: &[(&str, &str, Value)]) -> Answer {
    let entries: Vec<Value> = events
        .iter()
        .map(|(source, kind, detail)| json!({ "Source": source, "DetailType": kind, "Detail": detail.to_string() }))
        .collect();
    put_body(client, "/", &json!({ "Entries": entries }).to_string().into_bytes())
}

/// Puts a body to `/`, with the target of `PutEvents`, or to `/events`.
#[track_caller]
pub fn put_body(client: &Client, path: &str, body: &[u8]) -> Answer {
    client.send(&client.signed_for("events", path, "AWSEvents.PutEvents", body)).unwrap()
}
