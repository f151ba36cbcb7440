//! Who carries an attempt out: a lease on effort (`claim#<attempt>` in the table `views`). It keeps the function that
//! appended and the one that reads the change stream from both starting a deployment. It frees nothing and holds
//! nothing: stages are freed by events alone.

use crate::{
    client::Client,
    item::{number, number_of, text},
    log::once::ALONE,
    views::Table,
};
use engine::views::ViewsError;
use events::{ActionExecutionId, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// How long a claim that has run out is kept, in seconds, before DynamoDB may drop it.
const KEPT_S: i64 = 60 * 60;

/// Claims of one installation. Clones are the same.
#[derive(Clone)]
pub struct Claims(Arc<Table>);

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The attempt is the caller's until the end it asked for.
    Ours,
    /// Somebody else has it, until then.
    Theirs {
        /// When their claim runs out.
        until: Timestamp,
    },
}

impl Claims {
    /// The claims in this table.
    pub fn new(client: &Client, table: &str) -> Self {
        Self(Arc::new(Table::new(client, table)))
    }

    /// Takes an attempt that nobody has, whose claim has run out by `now`, or that this holder has already: asking again
    /// moves the end. A holder is one invocation, not one process.
    pub async fn take(
        &self,
        attempt: &ActionExecutionId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, ViewsError> {
        let put = self.0.put_if(json!({
            "Item": {
                "p": text(key(attempt)), "q": text(ALONE), "o": text(holder), "u": number(until.0),
                "x": number(until.0 / 1000 + KEPT_S),
            },
            "ConditionExpression": "attribute_not_exists(p) OR u <= :now OR o = :o",
            "ExpressionAttributeValues": { ":now": number(now.0), ":o": text(holder) },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }));
        Ok(match put.await? {
            Ok(()) => Claimed::Ours,
            // Gone in between, or without an end: whoever asks again will see.
            Err(theirs) => Claimed::Theirs { until: number_of(&theirs, "u").map_or(now, Timestamp) },
        })
    }

    /// Gives an attempt back before its end, so that whoever comes next need not wait. A claim that is somebody else's
    /// by now stays.
    pub async fn release(&self, attempt: &ActionExecutionId, holder: &str) -> Result<(), ViewsError> {
        let deleted = self.0.call(
            "DeleteItem",
            json!({
                "Key": { "p": text(key(attempt)), "q": text(ALONE) },
                "ConditionExpression": "attribute_not_exists(p) OR o = :o",
                "ExpressionAttributeValues": { ":o": text(holder) },
            }),
        );
        match deleted.await {
            Err(error) if !error.is(&["ConditionalCheckFailedException"]) => Err(self.0.error(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn key(attempt: &ActionExecutionId) -> String {
    format!("claim#{attempt}")
}
