//! Commits as rows: one JSON array of events to a row, each body as it was written, byte for byte, since the
//! chain of hashes covers it.

use super::error::Failed;
use engine::log::{BrokenChain, Commit, Hash, Loaded, Position, Snapshot, StoredEvent, verify_after};
use events::{CommandId, StreamName, Timestamp, Version};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, slice, sync::Arc};

/// Writes the events of a commit as the text of its row. Refuses a body that is not exactly one JSON text: it
/// would not come back as it went in. Says which.
pub(crate) fn encode(events: &[StoredEvent]) -> Result<String, String> {
    let bytes = events.iter().map(|event| event.kind.len() + event.body.len() + 48).sum();
    let mut text = String::with_capacity(bytes);
    for event in events {
        text.push(if text.is_empty() { '[' } else { ',' });
        let raw: Result<&RawValue, _> = serde_json::from_str(&event.body);
        if raw.map_err(|error| error.to_string())?.get().len() != event.body.len() {
            return Err(format!("the body of `{}` has spaces around it", event.kind));
        }
        let kind = serde_json::to_string(&event.kind).map_err(|error| error.to_string())?;
        text.extend(["{\"type\":", &kind, ",\"schema\":", &event.schema.to_string(), ",\"body\":"]);
        text.extend([event.body.as_str(), "}"]);
    }
    text.push(']');
    Ok(text)
}

#[derive(Deserialize)]
struct EventRow<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    schema: u16,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn decode(text: &str) -> Option<Arc<[StoredEvent]>> {
    let rows: Vec<EventRow<'_>> = serde_json::from_str(text).ok()?;
    let stored = |row: EventRow<'_>| StoredEvent::new(row.kind, row.schema, row.body.get());
    Some(rows.into_iter().map(stored).collect())
}

/// The columns [`commit`] reads, in its order.
macro_rules! columns {
    () => {
        "version, last, time, command, actor, events, hash, fold, snapshot"
    };
}

/// Builds a commit from a row that starts with [`columns`]. What cannot be read is damage: every row was
/// written by [`encode`] and its neighbours.
pub(crate) fn commit(row: &Row<'_>, stream: &StreamName) -> Result<Commit, Failed> {
    let first = Version(number(row, 0)?);
    let broken = |what| BrokenChain { stream: stream.clone(), version: first, what };
    let text = |index, what| row.get_ref(index)?.as_str().map_err(|_| Failed::Chain(broken(what)));
    let command = CommandId::parse(text(3, "its command is not readable")?)
        .map_err(|_| broken("its command is not an id"))?;
    let actor = text(4, "its actor is not readable")?.to_owned();
    let events = decode(text(5, "its events are not readable")?)
        .ok_or_else(|| broken("its events are not readable"))?;
    let last = number(row, 1)?;
    if events.is_empty() || last != first.0 + events.len() as u64 - 1 {
        return Err(broken("it does not hold as many events as it says").into());
    }
    let hash = hash(row, 6)?.ok_or_else(|| broken("its hash is not readable"))?;
    let snapshot = snapshot(row, 7).map_err(|_| broken("its snapshot is not readable"))?;
    let time = Timestamp(row.get(2)?);
    Ok(Commit { stream: stream.clone(), first, events, time, command, actor: actor.into(), hash, snapshot })
}

fn snapshot(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Snapshot>> {
    let fold: Option<u32> = row.get(index)?;
    fold.map(|fold| Ok(Snapshot { fold, state: row.get(index + 1)? })).transpose()
}

pub(crate) fn hash(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Hash>> {
    let bytes = row.get_ref(index)?;
    Ok(bytes.as_blob().ok().and_then(|bytes| bytes.try_into().ok()).map(Hash))
}

/// A number that was never negative when it was written.
pub(crate) fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)?.unsigned_abs())
}

/// A number as SQLite holds it. Versions and positions count events, and never come near the limit.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a stream from its newest snapshot of this fold, and checks the chain from there.
pub(crate) fn load(conn: &Connection, stream: &StreamName, fold: u32) -> Result<Loaded, Failed> {
    const NEWEST: &str = "SELECT last, hash, time, fold, snapshot, version FROM commits
        WHERE stream = ?1 AND fold = ?2 ORDER BY version DESC LIMIT 1";
    let found = conn
        .prepare_cached(NEWEST)?
        .query_row(params![stream.as_str(), fold], |row| {
            let snapshot = snapshot(row, 3)?;
            Ok((number(row, 0)?, hash(row, 1)?, Timestamp(row.get(2)?), snapshot, number(row, 5)?))
        })
        .optional()?;
    let base = match found {
        None => None,
        Some((last, Some(hash), time, Some(snapshot), _)) => Some((Version(last), hash, time, snapshot)),
        Some((.., version)) => {
            let what = "its hash or snapshot is not readable";
            return Err(BrokenChain { stream: stream.clone(), version: Version(version), what }.into());
        }
    };
    let (last, hash) = base.as_ref().map_or_else(Default::default, |base| (base.0, base.1));
    let commits = tail(conn, stream, (last, hash), i64::MAX)?;
    Ok(Loaded { base, commits })
}

/// Reads a stream after a version and checks the chain from the commit before.
pub(crate) fn read(
    conn: &Connection,
    stream: &StreamName,
    after: Version,
    limit: usize,
) -> Result<Vec<Commit>, Failed> {
    const BEFORE: &str = "SELECT last, hash FROM commits WHERE stream = ?1 AND version <= ?2
        ORDER BY version DESC LIMIT 1";
    let before = conn
        .prepare_cached(BEFORE)?
        .query_row(params![stream.as_str(), int(after.0)], |row| {
            Ok((Version(number(row, 0)?), hash(row, 1)?.unwrap_or_default()))
        })
        .optional()?;
    // The first commit must continue the one before it, which may end after the version that was named.
    tail(conn, stream, before.unwrap_or_default(), int(limit as u64))
}

/// Reads what follows a commit, given its last version and its hash. Each commit is checked as it is read, while
/// its bytes are at hand.
fn tail(
    conn: &Connection,
    stream: &StreamName,
    (mut last, mut hash): (Version, Hash),
    limit: i64,
) -> Result<Vec<Commit>, Failed> {
    const TAIL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM commits WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(TAIL)?;
    let mut rows = statement.query(params![stream.as_str(), int(last.0), limit])?;
    let mut commits = Vec::new();
    while let Some(row) = rows.next()? {
        let commit = commit(row, stream)?;
        verify_after(last, hash, slice::from_ref(&commit))?;
        (last, hash) = (commit.last(), commit.hash);
        commits.push(commit);
    }
    Ok(commits)
}

/// Reads commits of all streams in order of position.
pub(crate) fn follow(
    conn: &Connection,
    after: Position,
    limit: usize,
) -> Result<Vec<(Position, Commit)>, Failed> {
    const FOLLOW: &str = concat!(
        "SELECT ",
        columns!(),
        ", position, stream FROM commits WHERE position > ?1 ORDER BY position LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(FOLLOW)?;
    let mut rows = statement.query(params![int(after.0), int(limit as u64)])?;
    let mut commits = Vec::new();
    while let Some(row) = rows.next()? {
        let position = Position(number(row, 9)?);
        let name = row.get_ref(10)?.as_str().unwrap_or_default();
        let stream = StreamName::parse(name).map_err(|bad| Failed::Name(position, bad))?;
        commits.push((position, commit(row, &stream)?));
    }
    Ok(commits)
}

/// Position of the last commit.
pub(crate) fn head(conn: &Connection) -> rusqlite::Result<Position> {
    conn.query_row("SELECT ifnull(max(position), 0) FROM commits", [], |row| number(row, 0).map(Position))
}

/// Writes a commit at a position; `events` is what [`encode`] made of it.
pub(crate) fn insert(
    conn: &Connection,
    position: Position,
    commit: &Commit,
    events: &str,
) -> rusqlite::Result<()> {
    const INSERT: &str = concat!(
        "INSERT INTO commits(",
        columns!(),
        ", position, stream) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    let snapshot = commit.snapshot.as_ref();
    conn.prepare_cached(INSERT)?.execute(params![
        int(commit.first.0),
        int(commit.last().0),
        commit.time.0,
        commit.command.as_str(),
        commit.actor,
        events,
        &commit.hash.0[..],
        snapshot.map(|snapshot| snapshot.fold),
        snapshot.map(|snapshot| &snapshot.state),
        int(position.0),
        commit.stream.as_str(),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, body: &str) -> StoredEvent {
        StoredEvent::new(kind, 2, body)
    }

    #[test]
    fn events_come_back_byte_for_byte_and_read_as_plain_json() {
        let events = [event("A\"b", "{ \"n\" : 1.50,\n\"t\":\"\\u00e9é\" }"), event("B", "{}")];
        let text = encode(&events).unwrap();
        assert_eq!(*decode(&text).unwrap(), events);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json[0]["body"]["t"], "éé");
        assert_eq!(json[1]["type"], "B");
    }

    #[test]
    fn a_body_that_would_not_come_back_is_refused() {
        for body in ["", "{", "{} ", "{}{}", "}],[{"] {
            assert!(encode(&[event("A", body)]).is_err(), "{body:?}");
        }
    }
}
