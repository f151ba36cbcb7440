//! The file: how it is made, and how it is told from a file of something else.

use super::error::{OpenError, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::{fs::File, path::Path, time::Duration};

/// `Towp` in ASCII, SQLite's mark of whose file it is.
const APPLICATION_ID: i64 = 0x546f_7770;

/// The format of the tables below.
const FORMAT: i64 = 1;

/// How long a write waits for a person's `sqlite3` to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes the write-ahead file is cut back to after a burst.
const WAL_BYTES_KEPT_MAX: i64 = 64 << 20;

/// Bytes of pages each reader keeps: what is read twice comes from the system's own cache all the same.
const READER_CACHE_BYTES: i64 = 512 << 10;

/// Prepared statements kept for each connection.
const STATEMENTS_MAX: usize = 48;

/// `views_gone` remembers the version at which a row was deleted, so that a straggler does not bring it back.
/// The triggers stop accidents with `sqlite3`, nothing more; the chain of hashes tells of the rest.
const TABLES: &str = "
CREATE TABLE commits(
    position INTEGER PRIMARY KEY, -- order of all commits, without gaps
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,     -- of the first event
    last INTEGER NOT NULL,        -- of the last event
    time INTEGER NOT NULL,        -- milliseconds since 1970-01-01T00:00:00Z
    command TEXT NOT NULL,
    actor TEXT NOT NULL,
    events TEXT NOT NULL,         -- JSON: [{type, schema, body}]
    hash BLOB NOT NULL,           -- SHA-256 over this commit and the hash of the one before it in its stream
    fold INTEGER,                 -- which fold made the snapshot
    snapshot TEXT,                -- the stream's state after this commit, JSON
    UNIQUE(stream, version)
);
CREATE INDEX commits_with_snapshot ON commits(stream, fold, version) WHERE fold IS NOT NULL;
CREATE TRIGGER commits_never_change BEFORE UPDATE ON commits
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER commits_never_go BEFORE DELETE ON commits
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TABLE once(key TEXT PRIMARY KEY, outcome TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX once_by_expiry ON once(expires);
CREATE TABLE views(
    p TEXT NOT NULL, q TEXT NOT NULL, v INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(p, q)
) WITHOUT ROWID;
CREATE TABLE views_gone(
    p TEXT NOT NULL, q TEXT NOT NULL, v INTEGER NOT NULL, PRIMARY KEY(p, q)
) WITHOUT ROWID;
CREATE TABLE cursors(reader TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
";

/// Opens the file for writing, making it when there is none. A file that is not a log of this format is left
/// as it is.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let said = |error| StoreError::new(path, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(said)?;
    prepare(&conn).map_err(said)?;
    let application: i64 = pragma(&conn, "application_id").map_err(said)?;
    let format: i64 = pragma(&conn, "user_version").map_err(said)?;
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(said)?;
    match (application, format, tables) {
        (0, 0, 0) => create(&conn, path).map_err(said)?,
        (APPLICATION_ID, FORMAT, _) => {}
        (APPLICATION_ID, found, _) if found > FORMAT => {
            return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        _ => return Err(OpenError::NotOurs { path: path.to_owned() }),
    }
    conn.pragma_update(None, "journal_mode", "WAL").map_err(said)?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT_MAX).map_err(said)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(said)?;
    Ok(conn)
}

/// Opens a file that [`open_writer`] found good, for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        prepare(&conn)?;
        // Negative: in KiB rather than in pages.
        conn.pragma_update(None, "cache_size", -READER_CACHE_BYTES / 1024)?;
        Ok(conn)
    };
    open().map_err(|error| StoreError::new(path, error))
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.busy_timeout(BUSY_TIMEOUT)
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

fn create(conn: &Connection, path: &Path) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "BEGIN EXCLUSIVE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {TABLES} COMMIT;"
    ))?;
    // SQLite makes the file's bytes durable, but not its name. Where a folder cannot be synced there is nothing
    // better to do than to go on.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn refused(make: impl FnOnce(&Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        make(&path);
        let before = fs::read(&path).unwrap();
        let refused = open_writer(&path).unwrap_err().to_string();
        assert!(fs::read(&path).unwrap() == before, "the file was changed");
        assert!(refused.contains(&format!("`{}`", path.display())), "{refused}");
        refused
    }

    #[test]
    fn a_file_that_is_no_database_is_left_alone() {
        let said = refused(|path| fs::write(path, "no database\n".repeat(1000)).unwrap());
        assert!(said.contains("is damaged"), "{said}");
    }

    #[test]
    fn a_database_of_something_else_is_left_alone() {
        let said = refused(|path| {
            Connection::open(path).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
        });
        assert!(said.contains("is not a log of towpath"), "{said}");
    }

    #[test]
    fn a_log_of_a_newer_version_is_left_alone() {
        let said = refused(|path| {
            let conn = open_writer(path).unwrap();
            conn.pragma_update(None, "user_version", 2).unwrap();
        });
        assert!(said.contains("newer towpath (format 2, this one reads up to 1)"), "{said}");
    }

    #[test]
    fn a_log_that_was_cut_short_is_left_alone() {
        let said = refused(|path| {
            drop(open_writer(path).unwrap());
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        });
        assert!(said.contains("is damaged"), "{said}");
    }

    #[test]
    fn commits_cannot_be_changed_by_accident() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open_writer(&folder.path().join("log.sqlite")).unwrap();
        conn.execute_batch("INSERT INTO commits VALUES (1, 's', 1, 1, 0, 'c', 'a', '[]', x'', NULL, NULL)")
            .unwrap();
        for accident in ["DELETE FROM commits", "UPDATE commits SET actor = 'b'"] {
            let refused = conn.execute_batch(accident).unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{refused}");
        }
    }
}
