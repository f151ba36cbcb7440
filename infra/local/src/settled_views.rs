//! Views that show everything the log holds: a read waits until the reader that keeps the rows has caught up.

use crate::{log::SqliteLog, views::SqliteViews};
use engine::{
    log::Position,
    views::{Cursor, ViewRow, Views, ViewsError},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a read waits for the rows before it answers with what there is.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// Views for readers who have just written.
pub struct SettledViews {
    views: SqliteViews,
    log: Arc<SqliteLog>,
    projected: watch::Receiver<Position>,
}

impl SettledViews {
    /// `projected` tells how far the rows reflect the log.
    pub fn new(views: SqliteViews, log: Arc<SqliteLog>, projected: watch::Receiver<Position>) -> Self {
        Self { views, log, projected }
    }

    async fn catch_up(&self) {
        let head = self.log.head();
        let mut projected = self.projected.clone();
        let caught_up = projected.wait_for(|at| *at >= head);
        if tokio::time::timeout(CATCH_UP_MAX, caught_up).await.is_err() {
            tracing::warn!("the listings are behind the log");
        }
    }
}

impl Views for SettledViews {
    fn put(
        &self,
        rows: Vec<ViewRow>,
        cursor: Option<Cursor>,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        self.views.put(rows, cursor)
    }

    async fn get(&self, p: &str, q: &str) -> Result<Option<ViewRow>, ViewsError> {
        self.catch_up().await;
        self.views.get(p, q).await
    }

    async fn page(
        &self,
        p: &str,
        after_q: Option<&str>,
        limit: usize,
        descending: bool,
    ) -> Result<Vec<ViewRow>, ViewsError> {
        self.catch_up().await;
        self.views.page(p, after_q, limit, descending).await
    }

    async fn cursor(&self, reader: &str) -> Result<Position, ViewsError> {
        self.views.cursor(reader).await
    }

    fn drop_all(&self, reader: &str) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        self.views.drop_all(reader)
    }
}
