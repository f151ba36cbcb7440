//! `PutEvents`: events for the bus, each against all rules and sources.

use super::{Arrived, What, deal};
use crate::Home;
use api::{ApiError, Code};
use domain::trigger::{Here, Rule, event::Made};
use events::{Timestamp, TriggerSource};
use serde::Deserialize;
use serde_json::{Value, json};

/// Entries of one call, most: the service's own.
const ENTRIES_MAX: usize = 10;
/// Characters of an event's own id, most.
const ID_CHARS_MAX: usize = 200;
/// Objects and lists within each other in an event, most.
const RESOURCES_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    entries: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    time: Option<f64>,
    #[serde(default)]
    resources: Vec<String>,
    event_bus_name: Option<String>,
}

/// Deals with a body: `PutEvents`, or one whole event, whose id then makes it known when it comes again.
pub async fn put<H: Home>(home: &H, rules: &[Rule], body: &[u8]) -> Result<Value, ApiError> {
    let bad = |text: String| ApiError::new(Code::Serialization, text);
    let body: Value =
        serde_json::from_slice(body).map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    if body["detail-type"].is_string() && body["source"].is_string() {
        return whole(home, rules, body).await;
    }
    let input: Input =
        serde_json::from_value(body).map_err(|error| bad(format!("the body is no `PutEvents`: {error}")))?;
    if input.entries.is_empty() || input.entries.len() > ENTRIES_MAX {
        let text = format!("`Entries` must have 1 to {ENTRIES_MAX} members");
        return Err(ApiError::validation(text));
    }
    let (mut answers, mut failed) = (Vec::new(), 0);
    for entry in input.entries {
        match one(home, rules, entry).await {
            Ok(id) => answers.push(json!({ "EventId": id })),
            Err((code, message)) => {
                failed += 1;
                answers.push(json!({ "ErrorCode": code, "ErrorMessage": message }));
            }
        }
    }
    Ok(json!({ "FailedEntryCount": failed, "Entries": answers }))
}

async fn whole<H: Home>(home: &H, rules: &[Rule], event: Value) -> Result<Value, ApiError> {
    let id = event["id"].as_str().filter(|id| (1..=ID_CHARS_MAX).contains(&id.len()));
    let Some(id) = id.map(str::to_owned) else {
        return Err(ApiError::validation(format!("`id` must have 1 to {ID_CHARS_MAX} characters")));
    };
    let arrived =
        Arrived { source: TriggerSource::Bus, delivery: id.clone(), what: What::Bus { event, rules } };
    match deal(home, &arrived).await {
        Ok(_) => Ok(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": id }] })),
        Err(error) => {
            tracing::warn!(%error, "an event could not be dealt with");
            Err(ApiError::new(Code::InternalFailure, "not available: try again later"))
        }
    }
}

async fn one<H: Home>(home: &H, rules: &[Rule], entry: Value) -> Result<String, (&'static str, String)> {
    let invalid = |text: &str| ("InvalidArgument", text.to_owned());
    let entry: Entry =
        serde_json::from_value(entry).map_err(|error| ("InvalidArgument", error.to_string()))?;
    if entry
        .event_bus_name
        .as_deref()
        .is_some_and(|bus| bus != "default" && !bus.ends_with("event-bus/default"))
    {
        return Err(("ResourceNotFoundException", "there is only the event bus `default`".to_owned()));
    }
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let source = filled(entry.source).ok_or_else(|| invalid("`Source` is required"))?;
    let detail_type = filled(entry.detail_type).ok_or_else(|| invalid("`DetailType` is required"))?;
    let detail = filled(entry.detail).ok_or_else(|| invalid("`Detail` is required"))?;
    let detail: Value = serde_json::from_str(&detail)
        .map_err(|error| ("MalformedDetail", format!("`Detail` is not JSON: {error}")))?;
    if !detail.is_object() {
        return Err(("MalformedDetail", "`Detail` is not a JSON object".to_owned()));
    }
    if entry.resources.len() > RESOURCES_MAX {
        return Err(invalid("`Resources` has too many members"));
    }
    let engine = home.engine();
    let at = match entry.time {
        // Seconds; whatever is out of any calendar's reach is refused.
        Some(seconds) if (0.0..=253_402_300_799.0).contains(&seconds) => Timestamp((seconds * 1000.0) as i64),
        Some(_) => return Err(invalid("`Time` is out of range")),
        None => engine.clock().now(),
    };
    let id = engine.fresh_command_id().to_string();
    let resources = entry.resources;
    let here = Here { region: engine.region(), account: engine.account() };
    let made = Made { id: id.clone(), at, source, detail_type, resources, detail };
    let arrived = Arrived {
        source: TriggerSource::Bus,
        delivery: id.clone(),
        what: What::Bus { event: made.event(here), rules },
    };
    match deal(home, &arrived).await {
        Ok(_) => Ok(id),
        Err(error) => {
            tracing::warn!(%error, "an event could not be dealt with");
            Err(("InternalException", "not available: try again later".to_owned()))
        }
    }
}
