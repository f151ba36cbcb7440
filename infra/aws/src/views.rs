//! Rows for reading in the table `views`: key `p` (partition) and `q` (place in it), `v` the version a row reflects, `b`
//! the row as JSON. A row that was deleted keeps its version, without `b`, until DynamoDB drops it at the second `x`.
//!
//! The same table holds what is no view: [`crate::claims`], [`crate::external`], idempotency keys. Those rows have no `v`.

use crate::{
    client::{CallError, Client, Service, jittered},
    item::{Item, number, number_of, text, text_of},
    log::{LIMITS, once::ALONE},
    store::StoreError,
    world::SystemClock,
};
use engine::{
    log::Position,
    ports::Clock as _,
    views::{Cursor, ViewRow, Views, ViewsError},
};
use events::Version;
use serde_json::{Value, json};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Rows written at the same time, most.
const WRITES_AT_ONCE: usize = 8;
/// How long the version of a deleted row is kept, in seconds: a straggler of the change stream is a day old at most.
const DELETED_KEPT_S: i64 = 24 * 60 * 60;
/// Items read for one answer at least, those among them that were deleted.
const PAGE_ITEMS_MIN: usize = 50;
/// Items read for one answer at most.
const PAGE_ITEMS_MAX: usize = 1_000;
/// Answers to one page, most: a partition that holds this many deleted rows in a row is broken.
const PAGES_MAX: usize = 200;
/// Deletes in one request, most.
const DELETES_MAX: usize = 25;
/// How often what was left undone is asked for again.
const DELETE_ATTEMPTS_MAX: u32 = 10;

/// The views of one installation. Clones are the same views.
#[derive(Clone)]
pub struct DynamoViews(Arc<Table>);

/// A table, and how it is called.
pub(crate) struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub(crate) fn new(client: &Client, name: &str) -> Self {
        Self { client: client.with_limits(LIMITS), name: name.to_owned() }
    }

    /// Calls an operation on this table.
    pub(crate) async fn call(&self, operation: &str, mut input: Value) -> Result<Value, CallError> {
        input["TableName"] = json!(self.name);
        self.client.json(Service::DynamoDb, operation, &input).await
    }

    /// Writes an item under a condition; gives what stood in the way when it did not hold.
    pub(crate) async fn put_if(&self, input: Value) -> Result<Result<(), Item>, ViewsError> {
        match self.call("PutItem", input).await {
            Ok(_) => Ok(Ok(())),
            Err(CallError::Refused { code, mut details, .. })
                if code == "ConditionalCheckFailedException" =>
            {
                Ok(Err(match details["Item"].take() {
                    Value::Object(item) => item,
                    _ => Item::new(),
                }))
            }
            Err(error) => Err(self.error(error)),
        }
    }

    pub(crate) async fn get(&self, p: &str, q: &str) -> Result<Option<Item>, ViewsError> {
        let input = json!({ "Key": { "p": text(p), "q": text(q) }, "ConsistentRead": true });
        let mut answer = self.call("GetItem", input).await.map_err(|error| self.error(error))?;
        Ok(match answer["Item"].take() {
            Value::Object(item) => Some(item),
            _ => None,
        })
    }

    pub(crate) fn error(&self, error: CallError) -> ViewsError {
        ViewsError { source: StoreError::of(&[&self.name], error).into() }
    }
}

impl DynamoViews {
    /// The views in this table.
    pub fn new(client: &Client, table: &str) -> Self {
        Self(Arc::new(Table::new(client, table)))
    }

    fn spawned(
        work: impl Future<Output = Result<(), ViewsError>> + Send + 'static,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let work = tokio::spawn(work);
        async move { work.await.unwrap_or_else(|error| Err(ViewsError { source: error.into() })) }
    }
}

impl Views for DynamoViews {
    fn put(
        &self,
        rows: Vec<ViewRow>,
        cursor: Option<Cursor>,
    ) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let table = Arc::clone(&self.0);
        Self::spawned(async move {
            let mut writes = JoinSet::new();
            for row in newest(rows) {
                if writes.len() >= WRITES_AT_ONCE {
                    joined(&mut writes).await?;
                }
                let table = Arc::clone(&table);
                writes.spawn(async move { table.put_row(row).await });
            }
            while !writes.is_empty() {
                joined(&mut writes).await?;
            }
            // Last: it says that everything up to here has been dealt with.
            match cursor {
                Some(cursor) => table.put_cursor(cursor).await,
                None => Ok(()),
            }
        })
    }

    async fn get(&self, p: &str, q: &str) -> Result<Option<ViewRow>, ViewsError> {
        Ok(self.0.get(p, q).await?.and_then(|item| row(&item)))
    }

    async fn page(
        &self,
        p: &str,
        after_q: Option<&str>,
        limit: usize,
        descending: bool,
    ) -> Result<Vec<ViewRow>, ViewsError> {
        // A key is never empty, and cannot be compared with what is.
        let edge = after_q.filter(|q| !q.is_empty());
        if descending && after_q.is_some() && edge.is_none() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            if rows.len() >= limit {
                break;
            }
            let read = (limit - rows.len()).clamp(PAGE_ITEMS_MIN, PAGE_ITEMS_MAX);
            let mut answer = self.0.page(p, edge, read, descending, next.take()).await?;
            let Value::Array(items) = answer["Items"].take() else { break };
            rows.extend(items.iter().filter_map(|item| row(item.as_object()?)));
            next = Some(answer["LastEvaluatedKey"].take()).filter(|key| !key.is_null());
            if next.is_none() {
                break;
            }
        }
        rows.truncate(limit);
        Ok(rows)
    }

    async fn cursor(&self, reader: &str) -> Result<Position, ViewsError> {
        let item = self.0.get(&cursor_key(reader), ALONE).await?;
        Ok(item.and_then(|item| number_of(&item, "n")).map(Position).unwrap_or_default())
    }

    fn drop_all(&self, reader: &str) -> impl Future<Output = Result<(), ViewsError>> + Send + 'static {
        let (table, reader) = (Arc::clone(&self.0), reader.to_owned());
        Self::spawned(async move {
            table.drop_rows().await?;
            let key = json!({ "p": text(cursor_key(&reader)), "q": text(ALONE) });
            let dropped = table.call("DeleteItem", json!({ "Key": key })).await;
            dropped.map(|_| ()).map_err(|error| table.error(error))
        })
    }
}

impl Table {
    async fn put_row(&self, row: ViewRow) -> Result<(), ViewsError> {
        let mut item = Item::new();
        item.insert("p".to_owned(), text(row.p));
        item.insert("q".to_owned(), text(row.q));
        item.insert("v".to_owned(), number(row.v.0));
        match row.body {
            Some(body) => item.insert("b".to_owned(), text(body)),
            None => item.insert("x".to_owned(), number(SystemClock.now().0 / 1000 + DELETED_KEPT_S)),
        };
        let put = self.put_if(json!({
            "Item": item,
            "ConditionExpression": "attribute_not_exists(p) OR v <= :v",
            "ExpressionAttributeValues": { ":v": number(row.v.0) },
        }));
        // A newer row stands: this one is a straggler.
        put.await.map(drop)
    }

    async fn put_cursor(&self, cursor: Cursor) -> Result<(), ViewsError> {
        let put = self.put_if(json!({
            "Item": { "p": text(cursor_key(&cursor.reader)), "q": text(ALONE), "n": number(cursor.at.0) },
            "ConditionExpression": "attribute_not_exists(p) OR n < :n",
            "ExpressionAttributeValues": { ":n": number(cursor.at.0) },
        }));
        put.await.map(drop)
    }

    async fn page(
        &self,
        p: &str,
        edge: Option<&str>,
        limit: usize,
        descending: bool,
        next: Option<Value>,
    ) -> Result<Value, ViewsError> {
        let mut input = json!({
            "KeyConditionExpression": "p = :p",
            "ExpressionAttributeValues": { ":p": text(p) },
            "FilterExpression": "attribute_exists(b)",
            "ScanIndexForward": !descending,
            "Limit": limit,
            // An event is held against the list of pipelines: whoever has just declared one counts on standing there.
            "ConsistentRead": true,
        });
        if let Some(edge) = edge {
            input["KeyConditionExpression"] =
                json!(if descending { "p = :p AND q < :q" } else { "p = :p AND q > :q" });
            input["ExpressionAttributeValues"][":q"] = text(edge);
        }
        if let Some(next) = next {
            input["ExclusiveStartKey"] = next;
        }
        self.call("Query", input).await.map_err(|error| self.error(error))
    }

    /// Goes through the whole table: for an operator who has the views made anew, not for everyday use.
    async fn drop_rows(&self) -> Result<(), ViewsError> {
        let mut next: Option<Value> = None;
        loop {
            let mut input =
                json!({ "FilterExpression": "attribute_exists(v)", "ProjectionExpression": "p, q" });
            if let Some(next) = next.take() {
                input["ExclusiveStartKey"] = next;
            }
            let mut answer = self.call("Scan", input).await.map_err(|error| self.error(error))?;
            let keys = answer["Items"].as_array().map(Vec::as_slice).unwrap_or_default();
            for some in keys.chunks(DELETES_MAX) {
                self.delete(some).await?;
            }
            next = Some(answer["LastEvaluatedKey"].take()).filter(|key| !key.is_null());
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes items by their keys; what DynamoDB left undone is asked for again.
    async fn delete(&self, keys: &[Value]) -> Result<(), ViewsError> {
        let all: Vec<Value> = keys.iter().map(|key| json!({ "DeleteRequest": { "Key": key } })).collect();
        let mut left = json!({ &self.name: all });
        for attempt in 0..DELETE_ATTEMPTS_MAX {
            let input = json!({ "RequestItems": left });
            let answer = self.client.json(Service::DynamoDb, "BatchWriteItem", &input).await;
            left = answer.map_err(|error| self.error(error))?["UnprocessedItems"].take();
            if left.as_object().is_none_or(serde_json::Map::is_empty) {
                return Ok(());
            }
            tokio::time::sleep(jittered(Duration::from_millis(50 << attempt))).await;
        }
        let source = format!("`{}` left deletes undone, {DELETE_ATTEMPTS_MAX} times in a row", self.name);
        Err(ViewsError { source: source.into() })
    }
}

/// The newest of each row, the later of two of the same version: they are written in no order.
fn newest(rows: Vec<ViewRow>) -> impl Iterator<Item = ViewRow> {
    let mut newest: BTreeMap<(String, String), ViewRow> = BTreeMap::new();
    for row in rows {
        let key = (row.p.clone(), row.q.clone());
        if newest.get(&key).is_none_or(|known| known.v <= row.v) {
            newest.insert(key, row);
        }
    }
    newest.into_values()
}

async fn joined(writes: &mut JoinSet<Result<(), ViewsError>>) -> Result<(), ViewsError> {
    match writes.join_next().await {
        Some(joined) => joined.unwrap_or_else(|error| Err(ViewsError { source: error.into() })),
        None => Ok(()),
    }
}

/// The row in an item; none where it was deleted, or is no row.
fn row(item: &Item) -> Option<ViewRow> {
    Some(ViewRow {
        p: text_of(item, "p")?.to_owned(),
        q: text_of(item, "q")?.to_owned(),
        v: Version(number_of(item, "v")?),
        body: Some(text_of(item, "b")?.to_owned()),
    })
}

fn cursor_key(reader: &str) -> String {
    format!("cursor#{reader}")
}
