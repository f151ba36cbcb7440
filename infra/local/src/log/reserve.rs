//! Room for the write-ahead file, taken before it is needed. A durable write into room that is there costs the disk
//! one write; one that makes the file longer has the file system's own journal written as well, which takes several
//! times as long, and longer still while other programs write.

use std::{
    fs::OpenOptions,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// What the write-ahead file holds before SQLite begins it anew: 1,000 pages, each with a head of 24 bytes.
const WAL_BYTES: u64 = 4 << 20;

/// Bytes written at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Fills the write-ahead file of this log up with zeros, which SQLite knows from what it wrote itself: they carry
/// neither its mark nor a checksum. To be called by whoever writes the log, while it does not write.
pub(crate) fn reserve(log: &Path) -> io::Result<()> {
    let mut name = log.as_os_str().to_owned();
    name.push("-wal");
    // SQLite locks the log and its `-shm` file, not this one: opening and closing it here drops no lock.
    let mut file = OpenOptions::new().write(true).open(PathBuf::from(name))?;
    let mut at = file.seek(SeekFrom::End(0))?;
    if at >= WAL_BYTES {
        return Ok(());
    }
    let zeros = vec![0; CHUNK_BYTES];
    while at < WAL_BYTES {
        let count = usize::try_from(WAL_BYTES - at).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        file.write_all(&zeros[..count])?;
        at += count as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::schema::{open_reader, open_writer};
    use std::fs;

    #[test]
    fn what_was_written_before_and_after_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let wal = folder.path().join("log.sqlite-wal");
        let put = "INSERT INTO cursors(reader, position) VALUES ('a', 1)
            ON CONFLICT DO UPDATE SET position = position + 1";
        let position = |conn: &rusqlite::Connection| -> i64 {
            conn.query_row("SELECT position FROM cursors", [], |row| row.get(0)).unwrap()
        };
        let conn = open_writer(&path).unwrap();
        conn.execute_batch(put).unwrap();
        reserve(&path).unwrap();
        conn.execute_batch(put).unwrap();
        assert_eq!(fs::metadata(&wal).unwrap().len(), WAL_BYTES);
        assert_eq!(position(&open_reader(&path).unwrap()), 2);
        // As after a crash: what is there is all there is.
        let other = folder.path().join("copy.sqlite");
        fs::copy(&path, &other).unwrap();
        fs::copy(&wal, folder.path().join("copy.sqlite-wal")).unwrap();
        let conn = open_writer(&other).unwrap();
        assert_eq!(position(&conn), 2);
        reserve(&other).unwrap();
        conn.execute_batch(put).unwrap();
        assert_eq!(position(&conn), 3);
    }

    #[test]
    fn a_file_of_zeros_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        drop(open_writer(&path).unwrap());
        let wal = folder.path().join("log.sqlite-wal");
        fs::write(&wal, vec![0; 1 << 20]).unwrap();
        let conn = open_writer(&path).unwrap();
        conn.execute_batch("INSERT INTO cursors(reader, position) VALUES ('a', 1)").unwrap();
        let quick: String = conn.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
        assert_eq!(quick, "ok");
    }
}
