//! Stored shapes are a contract: what lies in `golden/` was written once and must read for ever. A file is added
//! with each type and schema, never edited: `golden/<stream>/<Type>.<schema>.json`, and `.<schema>.least.json`
//! without the members that may be missing.

use events::{
    ActionTypesEvent, ExecutionEvent, LaneEvent, PipelineEvent, TriggerEvent, WebhookEvent, codec::Stored,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

struct Golden {
    path: PathBuf,
    kind: String,
    schema: u16,
    body: Value,
}

fn golden(stream: &str) -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(stream);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<Golden> = entries
        .map(|entry| {
            let path = entry.expect("the folder can be listed").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name in plain letters");
            let mut parts = name.split('.');
            let kind = parts.next().unwrap_or_default().to_owned();
            let schema = parts.next().and_then(|schema| schema.parse().ok());
            let schema = schema.unwrap_or_else(|| panic!("`{name}` is not named <Type>.<schema>.json"));
            let text = fs::read_to_string(&path).expect("a golden file can be read");
            let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{name}`: {error}"));
            Golden { path, kind, schema, body }
        })
        .collect();
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

/// Every file reads; what is at the newest schema is written back as it was; every type has a file for every
/// schema it ever had.
fn check<E: Stored + Debug + PartialEq>(stream: &str) {
    let mut seen = BTreeSet::new();
    for Golden { path, kind, schema, body } in golden(stream) {
        let event = E::decode(&kind, schema, &body.to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(event.kind(), kind, "{}", path.display());
        if schema == event.schema() {
            let written: Value = serde_json::from_str(&event.body()).expect("a body is JSON");
            assert_eq!(written, body, "{} is written back otherwise", path.display());
        }
        seen.insert((kind, schema));
    }
    let every =
        E::TYPES.iter().flat_map(|(kind, newest)| (1..=*newest).map(|schema| ((*kind).to_owned(), schema)));
    assert_eq!(seen, every.collect(), "one file for each type and schema in golden/{stream}");
}

#[test]
fn stored_pipeline_events_read_for_ever() {
    check::<PipelineEvent>("pipeline");
}

#[test]
fn stored_lane_events_read_for_ever() {
    check::<LaneEvent>("lane");
}

#[test]
fn stored_action_type_events_read_for_ever() {
    check::<ActionTypesEvent>("action-types");
}

#[test]
fn stored_execution_events_read_for_ever() {
    check::<ExecutionEvent>("execution");
}

#[test]
fn stored_trigger_events_read_for_ever() {
    check::<TriggerEvent>("triggers");
}

#[test]
fn stored_webhook_events_read_for_ever() {
    check::<WebhookEvent>("webhook");
}

#[test]
fn members_that_a_later_version_adds_are_passed_over() {
    let body = r#"{"stage":"Build","entry":7,"added_later":true}"#;
    assert!(ExecutionEvent::decode("StageStarted", 1, body).is_ok());
}

#[test]
fn unknown_types_schemas_and_bodies_are_told_apart() {
    let message = |kind: &str, schema, body: &str| match ExecutionEvent::decode(kind, schema, body) {
        Ok(event) => panic!("{event:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(message("StageExploded", 1, "{}"), "unknown event type `StageExploded`");
    assert_eq!(
        message("StageStarted", 2, "{}"),
        "event `StageStarted` has schema 2; this version reads up to 1"
    );
    assert!(message("StageStarted", 0, "{}").contains("schema 0"));
    assert!(message("StageStarted", 1, "{}").contains("cannot be read: missing field `stage`"));
    assert!(message("StageHeld", 1, "{}").contains("unknown event type"), "it belongs to another stream");
}
