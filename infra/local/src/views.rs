//! Views as rows of the log's own file, written by its writer after each group of appends. They take no part in
//! an append's time: see [`crate::log`].

use crate::log::{Store, StoreError};
use engine::{
    log::Position,
    views::{Cursor, ViewRow, Views, ViewsError},
};
use events::Version;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::{future::Future, sync::Arc};
use tokio::sync::oneshot;

use crate::log::queue::{NotTaken, ViewJob};
use crate::log::rows::{int, number};

/// The views of one state folder; [`crate::log::SqliteLog::views`] makes it.
#[derive(Clone)]
pub struct SqliteViews {
    store: Arc<Store>,
}

impl SqliteViews {
    pub(crate) fn of(store: Arc<Store>) -> Self {
        Self { store }
    }

    fn queued(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), ViewsError>>) -> ViewJob,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let taken = self.store.queue.push_view(job(answer));
        async move {
            taken.map_err(refused)?;
            answered.await.unwrap_or_else(|_| Err(refused(NotTaken::Closed)))
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ViewsError> {
        let read = self.store.readers.run(read).await.map_err(refused)?;
        read.map_err(|error| ViewsError { source: StoreError::new(&self.store.path, error).into() })
    }
}

impl Views for SqliteViews {
    fn put(
        &self,
        rows: Vec<ViewRow>,
        cursor: Option<Cursor>,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        self.queued(|answer| ViewJob::Put { rows, cursor, answer })
    }

    async fn get(&self, p: &str, q: &str) -> Result<Option<ViewRow>, ViewsError> {
        const GET: &str = "SELECT q, v, body FROM views WHERE p = ?1 AND q = ?2";
        let (p, q) = (p.to_owned(), q.to_owned());
        self.read(move |conn| conn.prepare_cached(GET)?.query_row([&p, &q], |row| view(&p, row)).optional())
            .await
    }

    async fn page(
        &self,
        p: &str,
        after_q: Option<&str>,
        limit: usize,
        descending: bool,
    ) -> Result<Vec<ViewRow>, ViewsError> {
        let query = match (descending, after_q) {
            (false, None) => "SELECT q, v, body FROM views WHERE p = ?1 AND ?2 IS NULL ORDER BY q LIMIT ?3",
            (false, Some(_)) => "SELECT q, v, body FROM views WHERE p = ?1 AND q > ?2 ORDER BY q LIMIT ?3",
            (true, None) => {
                "SELECT q, v, body FROM views WHERE p = ?1 AND ?2 IS NULL ORDER BY q DESC LIMIT ?3"
            }
            (true, Some(_)) => {
                "SELECT q, v, body FROM views WHERE p = ?1 AND q < ?2 ORDER BY q DESC LIMIT ?3"
            }
        };
        let (p, after_q) = (p.to_owned(), after_q.map(str::to_owned));
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(query)?;
            let rows = statement.query_map(params![p, after_q, int(limit as u64)], |row| view(&p, row))?;
            rows.collect()
        })
        .await
    }

    async fn cursor(&self, reader: &str) -> Result<Position, ViewsError> {
        const CURSOR: &str = "SELECT position FROM cursors WHERE reader = ?1";
        let reader = reader.to_owned();
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(CURSOR)?;
            statement.query_row([reader], |row| number(row, 0).map(Position)).optional()
        };
        Ok(self.read(read).await?.unwrap_or_default())
    }

    fn drop_all(&self, reader: &str) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let reader = reader.to_owned();
        self.queued(|answer| ViewJob::DropAll { reader, answer })
    }
}

/// Writes rows and cursor into the open transaction.
pub(crate) fn write(conn: &Connection, rows: &[ViewRow], cursor: Option<&Cursor>) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT INTO views(p, q, v, body) SELECT ?1, ?2, ?3, ?4
        WHERE NOT EXISTS (SELECT 1 FROM views_gone WHERE p = ?1 AND q = ?2 AND v > ?3)
        ON CONFLICT(p, q) DO UPDATE SET v = excluded.v, body = excluded.body WHERE excluded.v >= views.v";
    const BACK: &str = "DELETE FROM views_gone WHERE p = ?1 AND q = ?2";
    const TAKE: &str = "DELETE FROM views WHERE p = ?1 AND q = ?2 AND v <= ?3";
    const GONE: &str = "INSERT INTO views_gone(p, q, v) SELECT ?1, ?2, ?3
        WHERE NOT EXISTS (SELECT 1 FROM views WHERE p = ?1 AND q = ?2)
        ON CONFLICT(p, q) DO UPDATE SET v = excluded.v WHERE excluded.v > views_gone.v";
    const CURSOR: &str = "INSERT INTO cursors(reader, position) VALUES (?1, ?2)
        ON CONFLICT(reader) DO UPDATE SET position = max(position, excluded.position)";
    for ViewRow { p, q, v, body } in rows {
        let v = int(v.0);
        match body {
            Some(body) => {
                if conn.prepare_cached(PUT)?.execute(params![p, q, v, body])? > 0 {
                    conn.prepare_cached(BACK)?.execute([p, q])?;
                }
            }
            None => {
                conn.prepare_cached(TAKE)?.execute(params![p, q, v])?;
                conn.prepare_cached(GONE)?.execute(params![p, q, v])?;
            }
        }
    }
    if let Some(Cursor { reader, at }) = cursor {
        conn.prepare_cached(CURSOR)?.execute(params![reader, int(at.0)])?;
    }
    Ok(())
}

/// Forgets all rows, and how far their reader had come, in the open transaction.
pub(crate) fn drop_all(conn: &Connection, reader: &str) -> rusqlite::Result<()> {
    conn.execute_batch("DELETE FROM views; DELETE FROM views_gone;")?;
    conn.execute("DELETE FROM cursors WHERE reader = ?1", [reader]).map(|_| ())
}

fn view(p: &str, row: &Row<'_>) -> rusqlite::Result<ViewRow> {
    Ok(ViewRow { p: p.to_owned(), q: row.get(0)?, v: Version(number(row, 1)?), body: Some(row.get(2)?) })
}

fn refused(refused: NotTaken) -> ViewsError {
    ViewsError { source: refused.into() }
}
