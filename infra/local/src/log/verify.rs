//! The whole history, checked: every commit's hash, every stream without gaps, the log without gaps.

use super::{
    error::{Failed, StoreError},
    rows::{self, number},
    schema,
};
use engine::log::{Commit, Hash, LogError, Position, verify_after};
use events::{StreamName, Version};
use rusqlite::{Connection, Row};
use std::{fmt, path::Path, slice};

/// Damages listed; a log with more is beyond listing.
pub const DAMAGES_MAX: usize = 100;

/// Commits checked between two reports of progress.
const COMMITS_BETWEEN_REPORTS: u64 = 1000;

/// What a check of the whole log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Streams seen.
    pub streams: u64,
    /// Commits seen.
    pub commits: u64,
    /// Events in the commits that are whole.
    pub events: u64,
    /// What is wrong: the first damage of each stream, and gaps; at most [`DAMAGES_MAX`].
    pub damages: Vec<Damage>,
}

/// One thing wrong with the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where in the log's order.
    pub position: Position,
    /// The stream's name as stored.
    pub stream: String,
    /// First version of the commit at fault.
    pub version: Version,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, stream, version, what } = self;
        write!(f, "stream `{stream}`, version {version} (commit {} of the log): {what}", position.0)
    }
}

/// Checks the whole file. It may be in use; nothing is written to it. `progress` gets the commits checked so far
/// and their total, now and then. Blocks: about half a second for 100,000 commits.
pub fn verify_file(path: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Verified, LogError> {
    let conn = schema::open_reader(path).map_err(|error| error.unavailable("the whole log"))?;
    check(&conn, &mut progress).map_err(|error| StoreError::new(path, error).unavailable("the whole log"))
}

fn check(conn: &Connection, progress: &mut dyn FnMut(u64, u64)) -> rusqlite::Result<Verified> {
    let total = conn.query_row("SELECT count(*) FROM commits", [], |row| number(row, 0))?;
    let mut found = Verified::default();
    let mut stream = Stream::default();
    let mut statement = conn.prepare(
        "SELECT version, last, time, command, actor, events, hash, fold, snapshot, position, stream
         FROM commits ORDER BY stream, version",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if found.commits.is_multiple_of(COMMITS_BETWEEN_REPORTS) {
            progress(found.commits, total);
        }
        found.commits += 1;
        let name = String::from_utf8_lossy(row.get_ref(10)?.as_bytes().unwrap_or_default()).into_owned();
        if stream.name != name {
            found.streams += 1;
            stream = Stream { name, ..Stream::default() };
        }
        if stream.damaged {
            continue;
        }
        match stream.check(row)? {
            Ok(commit) => found.events += commit.events.len() as u64,
            Err(what) => {
                stream.damaged = true;
                found.report(row, what)?;
            }
        }
    }
    progress(found.commits, total);
    gaps(conn, &mut found)?;
    Ok(found)
}

/// The stream being walked, and where it ends so far.
#[derive(Default)]
struct Stream {
    name: String,
    last: Version,
    hash: Hash,
    damaged: bool,
}

impl Stream {
    fn check(&mut self, row: &Row<'_>) -> rusqlite::Result<Result<Commit, String>> {
        let name = match StreamName::parse(&self.name) {
            Ok(name) => name,
            Err(bad) => return Ok(Err(bad.to_string())),
        };
        let commit = match rows::commit(row, &name) {
            Ok(commit) => commit,
            Err(Failed::Chain(broken)) => return Ok(Err(broken.what.to_owned())),
            Err(Failed::Name(_, bad)) => return Ok(Err(bad.to_string())),
            Err(Failed::Store(error)) => return Err(error),
        };
        if let Err(broken) = verify_after(self.last, self.hash, slice::from_ref(&commit)) {
            return Ok(Err(broken.what.to_owned()));
        }
        (self.last, self.hash) = (commit.last(), commit.hash);
        Ok(Ok(commit))
    }
}

impl Verified {
    fn report(&mut self, row: &Row<'_>, what: String) -> rusqlite::Result<()> {
        if self.damages.len() < DAMAGES_MAX {
            let stream =
                String::from_utf8_lossy(row.get_ref(10)?.as_bytes().unwrap_or_default()).into_owned();
            let (version, position) = (Version(number(row, 0)?), Position(number(row, 9)?));
            self.damages.push(Damage { position, stream, version, what });
        }
        Ok(())
    }
}

/// A commit removed from the end of its stream leaves the stream's chain whole, but a gap in the log's order.
fn gaps(conn: &Connection, found: &mut Verified) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(
        "SELECT position, stream, version FROM commits AS later WHERE position > 1
         AND NOT EXISTS (SELECT 1 FROM commits WHERE position = later.position - 1) ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if found.damages.len() == DAMAGES_MAX {
            break;
        }
        found.damages.push(Damage {
            position: Position(number(row, 0)?),
            stream: row.get(1)?,
            version: Version(number(row, 2)?),
            what: "a commit of the log before it is missing".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::log::StoredEvent;
    use events::{CommandId, PipelineName, Timestamp};

    fn damages_after(tampering: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let conn = schema::open_writer(&path).unwrap();
        for (index, name) in ["a", "b", "a", "b"].into_iter().enumerate() {
            let stream = StreamName::lane(&PipelineName::parse(name).unwrap());
            let earlier = rows::read(&conn, &stream, Version(0), 9).unwrap();
            let mut commit = Commit {
                stream,
                first: Version(earlier.len() as u64 + 1),
                events: [StoredEvent::new("A", 1, "{}")].into(),
                time: Timestamp(0),
                command: CommandId::parse("c").unwrap(),
                actor: "towpath:test".into(),
                hash: Hash::default(),
                snapshot: None,
            };
            commit.hash = commit.chained(earlier.last().map_or(Hash::default(), |commit| commit.hash));
            let text = rows::encode(&commit.events).unwrap();
            rows::insert(&conn, Position(index as u64 + 1), &commit, &text).unwrap();
        }
        conn.execute_batch("DROP TRIGGER commits_never_change; DROP TRIGGER commits_never_go").unwrap();
        conn.execute_batch(tampering).unwrap();
        let found = verify_file(&path, |_, _| ()).unwrap();
        found.damages.iter().map(Damage::to_string).collect()
    }

    #[test]
    fn a_whole_log_has_no_damages() {
        assert!(damages_after("").is_empty());
    }

    #[test]
    fn tampering_is_found_where_it_was_done() {
        for (tampering, expected) in [
            ("UPDATE commits SET actor = 'eve' WHERE position = 2", "stream `lane#b`, version 1 (commit 2"),
            ("UPDATE commits SET time = 1 WHERE position = 3", "stream `lane#a`, version 2 (commit 3"),
            ("UPDATE commits SET events = '[{' WHERE position = 3", "stream `lane#a`, version 2 (commit 3"),
            ("UPDATE commits SET events = '[]' WHERE position = 3", "stream `lane#a`, version 2 (commit 3"),
            ("UPDATE commits SET hash = x'00' WHERE position = 4", "stream `lane#b`, version 2 (commit 4"),
            ("UPDATE commits SET stream = x'ff' WHERE position = 4", "version 2 (commit 4 of the log)"),
            ("DELETE FROM commits WHERE position = 3", "a commit of the log before it is missing"),
            ("DELETE FROM commits WHERE position = 1", "a commit before it is missing"),
        ] {
            let damages = damages_after(tampering);
            assert!(damages.iter().any(|damage| damage.contains(expected)), "{tampering}: {damages:?}");
        }
    }
}
