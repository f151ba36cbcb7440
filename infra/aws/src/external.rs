//! The way from a provider's own id back to the attempt it works for (`external#<provider>` in the table `views`). An
//! event that names the id is a hint to take that attempt up, and no more.

use crate::{
    client::Client,
    item::{Item, number, text, text_of},
    views::Table,
    world::SystemClock,
};
use engine::{action::Work, ports::Clock as _, views::ViewsError};
use events::{ActionExecutionId, ExecutionId, PipelineName};
use serde_json::json;
use std::sync::Arc;

/// How long a row is kept, in seconds: longer than any attempt may take.
const KEPT_S: i64 = 90 * 24 * 60 * 60;

/// External work of one installation. Clones are the same.
#[derive(Clone)]
pub struct External(Arc<Table>);

impl External {
    /// The rows in this table.
    pub fn new(client: &Client, table: &str) -> Self {
        Self(Arc::new(Table::new(client, table)))
    }

    /// Notes whose work a provider's id is. Again is harmless.
    pub async fn put(&self, provider: &str, id: &str, work: &Work) -> Result<(), ViewsError> {
        let put = self.0.call(
            "PutItem",
            json!({ "Item": {
                "p": text(key(provider)),
                "q": text(id),
                "n": text(work.pipeline.as_str()),
                "r": text(work.execution.as_str()),
                "k": text(work.attempt.as_str()),
                "x": number(SystemClock.now().0 / 1000 + KEPT_S),
            }}),
        );
        put.await.map(drop).map_err(|error| self.0.error(error))
    }

    /// Whose work this is; `None` when it is none of ours.
    pub async fn find(&self, provider: &str, id: &str) -> Result<Option<Work>, ViewsError> {
        // Keys of DynamoDB are neither empty nor long; ids of ours were neither.
        if id.is_empty() || id.len() > 1024 {
            return Ok(None);
        }
        Ok(self.0.get(&key(provider), id).await?.and_then(|item| work(&item)))
    }
}

fn work(item: &Item) -> Option<Work> {
    Some(Work {
        pipeline: PipelineName::parse(text_of(item, "n")?).ok()?,
        execution: ExecutionId::parse(text_of(item, "r")?).ok()?,
        attempt: ActionExecutionId::parse(text_of(item, "k")?).ok()?,
    })
}

fn key(provider: &str) -> String {
    format!("external#{provider}")
}
