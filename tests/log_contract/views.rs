//! The contract of the views. Each function gets empty ones.

use engine::{
    log::Position,
    memory::MemoryViews,
    views::{Cursor, ViewRow, Views},
};
use events::Version;
use std::{ops::Deref, sync::Arc};

use crate::fixtures::KeptViews;

/// Views, or something that keeps what they live on beside them.
pub(crate) trait Open {
    fn open(&self) -> &impl Views;
}

impl Open for MemoryViews {
    fn open(&self) -> &impl Views {
        self
    }
}

impl Open for aws::views::DynamoViews {
    fn open(&self) -> &impl Views {
        self
    }
}

impl Open for KeptViews {
    fn open(&self) -> &impl Views {
        self.deref()
    }
}

fn row(q: &str, v: u64, body: Option<&str>) -> ViewRow {
    ViewRow { p: "pipelines".to_owned(), q: q.to_owned(), v: Version(v), body: body.map(str::to_owned) }
}

async fn bodies(views: &impl Views, after_q: Option<&str>, limit: usize, descending: bool) -> String {
    let page = views.page("pipelines", after_q, limit, descending).await.unwrap();
    page.iter().map(|row| row.q.as_str()).collect()
}

pub(crate) async fn a_row_is_read_back(views: Arc<impl Open>) {
    let views = views.open();
    let stored = row("shop", 3, Some("{\"name\":\"Grüße\"}"));
    views.put(vec![stored.clone()], None).await.unwrap();
    assert_eq!(views.get("pipelines", "shop").await.unwrap(), Some(stored));
    assert_eq!(views.get("pipelines", "other").await.unwrap(), None);
    assert_eq!(views.get("others", "shop").await.unwrap(), None);
}

pub(crate) async fn older_rows_change_nothing(views: Arc<impl Open>) {
    let views = views.open();
    for (v, body) in [(5, "five"), (4, "four"), (1, "one")] {
        views.put(vec![row("shop", v, Some(body))], None).await.unwrap();
    }
    views.put(vec![row("shop", 4, None)], None).await.unwrap();
    assert_eq!(views.get("pipelines", "shop").await.unwrap(), Some(row("shop", 5, Some("five"))));
    views.put(vec![row("shop", 5, Some("five again")), row("shop", 6, Some("six"))], None).await.unwrap();
    assert_eq!(views.get("pipelines", "shop").await.unwrap(), Some(row("shop", 6, Some("six"))));
}

pub(crate) async fn a_deleted_row_stays_deleted_for_stragglers(views: Arc<impl Open>) {
    let views = views.open();
    views.put(vec![row("shop", 1, Some("one")), row("shop", 3, None)], None).await.unwrap();
    views.put(vec![row("shop", 2, Some("two")), row("never", 7, None)], None).await.unwrap();
    assert_eq!(views.get("pipelines", "shop").await.unwrap(), None);
    assert_eq!(bodies(views, None, 10, false).await, "");
    views.put(vec![row("shop", 2, None), row("shop", 4, Some("four"))], None).await.unwrap();
    assert_eq!(views.get("pipelines", "shop").await.unwrap(), Some(row("shop", 4, Some("four"))));
    views.put(vec![row("never", 6, Some("six"))], None).await.unwrap();
    assert_eq!(bodies(views, None, 10, false).await, "shop");
}

pub(crate) async fn pages_walk_a_partition_both_ways(views: Arc<impl Open>) {
    let views = views.open();
    let rows = ["c", "a", "e", "b", "d"].map(|q| row(q, 1, Some("{}")));
    views.put(rows.to_vec(), None).await.unwrap();
    let elsewhere = ViewRow { p: "pipelines2".to_owned(), ..row("c2", 1, Some("{}")) };
    views.put(vec![elsewhere], None).await.unwrap();
    for (after, limit, descending, expected) in [
        (None, 10, false, "abcde"),
        (None, 2, false, "ab"),
        (Some("b"), 2, false, "cd"),
        (Some("bb"), 9, false, "cde"),
        (Some("e"), 9, false, ""),
        (None, 2, true, "ed"),
        (Some("d"), 9, true, "cba"),
        (Some("a"), 9, true, ""),
        (None, 0, false, ""),
    ] {
        assert_eq!(bodies(views, after, limit, descending).await, expected, "{after:?} {limit} {descending}");
    }
}

pub(crate) async fn the_cursor_moves_with_the_rows_and_never_back(views: Arc<impl Open>) {
    let views = views.open();
    let cursor = |reader: &str, at| Some(Cursor { reader: reader.to_owned(), at: Position(at) });
    assert_eq!(views.cursor("project").await.unwrap(), Position(0));
    views.put(vec![row("shop", 1, Some("{}"))], cursor("project", 7)).await.unwrap();
    views.put(vec![], cursor("project", 5)).await.unwrap();
    views.put(vec![], cursor("relay", 2)).await.unwrap();
    assert_eq!(views.cursor("project").await.unwrap(), Position(7));
    assert_eq!(views.cursor("relay").await.unwrap(), Position(2));
}

pub(crate) async fn dropping_everything_starts_afresh(views: Arc<impl Open>) {
    let views = views.open();
    let cursor = |reader: &str| Some(Cursor { reader: reader.to_owned(), at: Position(7) });
    views.put(vec![row("a", 9, Some("{}")), row("b", 9, None)], cursor("project")).await.unwrap();
    views.put(vec![], cursor("relay")).await.unwrap();
    views.drop_all("project").await.unwrap();
    assert_eq!(bodies(views, None, 10, false).await, "");
    assert_eq!(views.cursor("project").await.unwrap(), Position(0));
    assert_eq!(views.cursor("relay").await.unwrap(), Position(7));
    views.put(vec![row("a", 1, Some("{}")), row("b", 1, Some("{}"))], None).await.unwrap();
    assert_eq!(bodies(views, None, 10, false).await, "ab");
}
