//! Idempotency keys, as rows of the table `views`: a transaction may span both tables, and the log itself is never
//! written over. `o` holds the outcome, `u` the moment from which the key is free again (milliseconds since 1970),
//! `x` the second after it, at which DynamoDB may drop the row.

use crate::item::{Item, number, number_of, text, text_of};
use engine::log::{Batch, Once};
use events::Timestamp;
use serde_json::{Value, json};

/// The key of a row that is alone in its partition.
pub(crate) const ALONE: &str = "-";

pub(super) fn key(key: &str) -> Value {
    json!({ "p": text(format!("once#{key}")), "q": text(ALONE) })
}

/// The put that takes a key, if nobody has it or it has expired by the time of the batch.
pub(super) fn put(table: &str, once: &Once, batch: &Batch) -> Value {
    let mut item = key(&once.key);
    item["o"] = text(&*once.outcome);
    item["u"] = number(once.expires.0);
    item["x"] = number(once.expires.0.div_euclid(1000).saturating_add(1));
    let mut put = json!({
        "TableName": table,
        "Item": item,
        "ConditionExpression": "attribute_not_exists(p)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    // A batch without commits has no time, and never finds a key free.
    if let Some(now) = batch.commits.iter().map(|commit| commit.time).max() {
        put["ConditionExpression"] = json!("attribute_not_exists(p) OR u <= :now");
        put["ExpressionAttributeValues"] = json!({ ":now": number(now.0) });
    }
    put
}

/// Outcome and expiry of a key that was taken.
pub(super) fn read(item: &Item) -> Option<(String, Timestamp)> {
    Some((text_of(item, "o")?.to_owned(), Timestamp(number_of(item, "u")?)))
}
