//! Commits as items of the table `log`: key `s` (stream) and `n` (version of the first event), and
//!
//! | | |
//! |---|---|
//! | `e` | the events, as JSON: `[[type, schema, body], …]`, each body byte for byte as it was written; packed with zlib where that saves a write unit |
//! | `v` | version of the last event |
//! | `t` | recorded time, milliseconds since 1970 |
//! | `w` | id of the command |
//! | `a` | who sent it |
//! | `h` | the chain's hash |
//! | `z` | on some commits the state after it: `f`, which fold made it, and `d`, the state as JSON, packed where `e` is |
//!
//! Every byte of a name is paid for with every write.

use crate::item::{
    Item, bytes, bytes_of, number, number_of, packed, size, text, text_of, unpacked, write_units,
};
use domain::limits::ITEM_BYTES_MAX;
use engine::log::{BrokenChain, Commit, Hash, LogError, Snapshot, StoredEvent};
use events::{CommandId, StreamName, Timestamp, Version};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{borrow::Cow, sync::Arc};

/// Bytes of a snapshot that every stream may write, and how many more for each event it has. A snapshot spares its
/// readers the events before it, which weigh a few hundred bytes each and are read four times as cheaply as they were
/// written: one that weighs much more than they do costs more than it saves.
const SNAPSHOT_BYTES: usize = 4 * 1024;
const SNAPSHOT_BYTES_EACH_EVENT: usize = 32;

/// The item of a commit, packed where that makes it cheaper.
pub(super) fn encode(commit: &Commit) -> Result<Item, LogError> {
    let plain = plain(commit)?;
    let mut small = plain.clone();
    pack(Some(&mut small), "e");
    pack(small.get_mut("z").and_then(|z| z.get_mut("M")?.as_object_mut()), "d");
    let is_cheaper = write_units(size(&small)) < write_units(size(&plain));
    Ok(if is_cheaper { small } else { plain })
}

fn pack(item: Option<&mut Item>, name: &str) {
    let Some(item) = item else { return };
    if let Some(small) = text_of(item, name).map(packed) {
        item.insert(name.to_owned(), small);
    }
}

/// The item of a commit. A snapshot that would not be worth its price, or does not fit, is left out.
fn plain(commit: &Commit) -> Result<Item, LogError> {
    let unreadable = |reason| LogError::Unreadable { stream: commit.stream.clone(), reason };
    let mut item = Item::new();
    item.insert("s".to_owned(), text(commit.stream.as_str()));
    item.insert("n".to_owned(), number(commit.first.0));
    item.insert("e".to_owned(), text(events(&commit.events).map_err(unreadable)?));
    item.insert("v".to_owned(), number(commit.last().0));
    item.insert("t".to_owned(), number(commit.time.0));
    item.insert("w".to_owned(), text(commit.command.as_str()));
    item.insert("a".to_owned(), text(&*commit.actor));
    item.insert("h".to_owned(), bytes(&commit.hash.0));
    let weighs = size(&item);
    if weighs > ITEM_BYTES_MAX {
        let stream = commit.stream.clone();
        return Err(LogError::TooLarge { stream, bytes: weighs, bytes_max: ITEM_BYTES_MAX });
    }
    if let Some(Snapshot { fold, state }) = commit.snapshot.as_ref().filter(|snapshot| {
        let events = usize::try_from(commit.last().0).unwrap_or(usize::MAX);
        snapshot.state.len()
            <= SNAPSHOT_BYTES.saturating_add(events.saturating_mul(SNAPSHOT_BYTES_EACH_EVENT))
    }) {
        item.insert("z".to_owned(), json!({ "M": { "f": number(fold), "d": text(&**state) } }));
        if size(&item) > ITEM_BYTES_MAX {
            item.remove("z");
        }
    }
    Ok(item)
}

fn events(events: &[StoredEvent]) -> Result<String, String> {
    let mut all = String::from("[");
    for event in events {
        // A body that is not exactly one JSON text would not come back as it went in.
        let raw: Result<&RawValue, _> = serde_json::from_str(&event.body);
        if raw.map_err(|error| error.to_string())?.get().len() != event.body.len() {
            return Err(format!("the body of `{}` has spaces around it", event.kind));
        }
        let kind = serde_json::to_string(&event.kind).map_err(|error| error.to_string())?;
        let comma = if all.len() == 1 { "" } else { "," };
        all.extend([comma, "[", &kind, ",", &event.schema.to_string(), ",", &event.body, "]"]);
    }
    all.push(']');
    Ok(all)
}

#[derive(Deserialize)]
struct Event<'a>(#[serde(borrow)] Cow<'a, str>, u16, #[serde(borrow)] &'a RawValue);

/// The commit in an item of the table, or in the new image of its change stream.
pub fn commit(image: &Value) -> Result<Commit, LogError> {
    match image.as_object() {
        Some(item) => decode(item),
        None => decode(&Item::new()),
    }
}

pub(super) fn decode(item: &Item) -> Result<Commit, LogError> {
    let nameless = || LogError::Unavailable {
        subject: "an item of the log".to_owned(),
        source: "it has no key that towpath could have written".into(),
    };
    let stream = text_of(item, "s").and_then(|name| StreamName::parse(name).ok()).ok_or_else(nameless)?;
    let first = Version(number_of(item, "n").ok_or_else(nameless)?);
    let broken = |what| BrokenChain { stream: stream.clone(), version: first, what };
    let text = unpacked(item, "e");
    let stored: Vec<Event<'_>> = text
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| broken("its events are not readable"))?;
    let event = |Event(kind, schema, body): Event<'_>| StoredEvent::new(kind, schema, body.get());
    let events: Arc<[_]> = stored.into_iter().map(event).collect();
    let last: Option<u64> = number_of(item, "v");
    if events.is_empty() || last != Some(first.0 + events.len() as u64 - 1) {
        return Err(broken("it does not hold as many events as it says").into());
    }
    let command = text_of(item, "w").and_then(|id| CommandId::parse(id).ok());
    let (_, hash) = head(item).ok_or_else(|| broken("its hash is not readable"))?;
    let time = number_of(item, "t").map(Timestamp).ok_or_else(|| broken("its time is not readable"))?;
    Ok(Commit {
        command: command.ok_or_else(|| broken("its command is not an id"))?,
        actor: text_of(item, "a").ok_or_else(|| broken("its actor is not readable"))?.into(),
        snapshot: snapshot(item),
        stream,
        first,
        events,
        time,
        hash,
    })
}

/// A snapshot is a convenience: one that cannot be read is none.
fn snapshot(item: &Item) -> Option<Snapshot> {
    let parts = item.get("z")?.get("M")?.as_object()?;
    Some(Snapshot { fold: number_of(parts, "f")?, state: unpacked(parts, "d")?.into_owned() })
}

/// Version and hash a stream has after the commit in an item.
pub(super) fn head(item: &Item) -> Option<(Version, Hash)> {
    let hash = bytes_of(item, "h")?.try_into().ok()?;
    Some((Version(number_of(item, "v")?), Hash(hash)))
}

/// What an item of this commit weighs in bytes, as DynamoDB counts them, before it is packed.
pub fn weight(commit: &Commit) -> Result<usize, LogError> {
    plain(commit).map(|item| size(&item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::PipelineName;

    fn stored(first: u64, body: &str, snapshot: Option<&str>) -> Commit {
        Commit {
            stream: StreamName::lane(&PipelineName::parse("shop").unwrap()),
            first: Version(first),
            events: [StoredEvent::new("Stage\"Held", 2, body)].into(),
            time: Timestamp(-1),
            command: CommandId::parse("result#1").unwrap(),
            actor: "towpath:runner".into(),
            hash: Hash([7; 32]),
            snapshot: snapshot.map(|state| Snapshot { fold: 3, state: state.into() }),
        }
    }

    #[test]
    fn a_commit_comes_back_byte_for_byte() {
        let before = stored(5, "{ \"n\" : 1.50,\n\"t\":\"\\u00e9é\" }", Some("{\"a\":1}"));
        let item = encode(&before).unwrap();
        assert_eq!(decode(&item).unwrap(), before);
        assert_eq!(item["e"]["S"], "[[\"Stage\\\"Held\",2,{ \"n\" : 1.50,\n\"t\":\"\\u00e9é\" }]]");
        for body in ["", "{", "{} ", "{}{}", "}],[{"] {
            assert!(encode(&stored(5, body, None)).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_commit_of_more_than_a_write_unit_is_packed_and_comes_back() {
        let body = format!("{{\"keys\": [{}1]}}", "\"shop/Source/2554df85712bef6a\",".repeat(60));
        let before = stored(5, &body, Some(&body));
        let item = encode(&before).unwrap();
        assert!(write_units(size(&item)) == 1 && item["e"]["S"].is_null(), "{item:?}");
        assert_eq!(decode(&item).unwrap(), before);
        assert!(weight(&before).unwrap() > 3 * 1024);
    }

    #[test]
    fn a_snapshot_that_is_not_worth_its_price_is_left_out() {
        let state = "x".repeat(SNAPSHOT_BYTES + 64 * SNAPSHOT_BYTES_EACH_EVENT + 1);
        let kept =
            |first| decode(&encode(&stored(first, "{}", Some(&state))).unwrap()).unwrap().snapshot.is_some();
        assert!(!kept(64));
        assert!(kept(65));
    }

    #[test]
    fn a_snapshot_gives_way_before_events_do() {
        let body = format!("\"{}\"", "x".repeat(390_000));
        let state = "x".repeat(20_000);
        let item = encode(&stored(100_000, &body, Some(&state))).unwrap();
        assert!(!item.contains_key("z"));
        let body = format!("\"{}\"", "x".repeat(410_000));
        let error = encode(&stored(1, &body, None)).unwrap_err();
        assert!(matches!(error, LogError::TooLarge { bytes_max: 409_600, .. }), "{error}");
    }

    #[test]
    fn damage_is_named() {
        let item = encode(&stored(5, "{}", None)).unwrap();
        for (attribute, value) in [
            ("e", text("[]")),
            ("e", text("[[1]]")),
            ("v", number(9)),
            ("h", bytes(&[1])),
            ("w", text("")),
            ("t", text("now")),
            ("a", number(1)),
        ] {
            let mut damaged = item.clone();
            damaged.insert(attribute.to_owned(), value);
            let error = decode(&damaged).unwrap_err();
            assert!(matches!(&error, LogError::Broken(broken) if broken.version == Version(5)), "{error}");
            damaged.remove(attribute);
            assert!(decode(&damaged).is_err());
        }
        assert!(commit(&json!({ "s": { "S": "nobody" }, "n": { "N": "1" } })).is_err());
        assert!(commit(&Value::Null).is_err());
    }
}
