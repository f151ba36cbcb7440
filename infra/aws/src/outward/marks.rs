//! Notes of those who tell the world, as rows of the table `views`: `p` the key, `q` a dash, `m` how often it was written,
//! `o` the note (packed with zlib where that saves a write unit), `x` the second after which DynamoDB may drop it.

use crate::{
    client::Client,
    item::{Item, number, number_of, packed, size, text, unpacked, write_units},
    log::once::ALONE,
    views::Table,
};
use engine::outward::{Mark, Marks, MarksError};
use engine::views::ViewsError;
use events::Timestamp;
use serde_json::json;
use std::sync::Arc;

/// Marks of one installation. Clones are the same.
#[derive(Clone)]
pub struct DynamoMarks(Arc<Table>);

impl DynamoMarks {
    /// The marks in this table.
    pub fn new(client: &Client, table: &str) -> Self {
        Self(Arc::new(Table::new(client, table)))
    }
}

impl Marks for DynamoMarks {
    async fn get(&self, key: &str) -> Result<Option<Mark>, MarksError> {
        Ok(self.0.get(key, ALONE).await.map_err(|error| unanswered(&error))?.and_then(|item| mark(&item)))
    }

    async fn put(&self, key: &str, seen: u64, note: &str, expires: Timestamp) -> Result<bool, MarksError> {
        let item = |note| {
            Item::from_iter([
                ("p".to_owned(), text(key)),
                ("q".to_owned(), text(ALONE)),
                ("m".to_owned(), number(seen + 1)),
                ("o".to_owned(), note),
                ("x".to_owned(), number(expires.0.div_euclid(1000).saturating_add(1))),
            ])
        };
        let (plain, small) = (item(text(note)), item(packed(note)));
        let is_cheaper = write_units(size(&small)) < write_units(size(&plain));
        let mut input = json!({
            "Item": if is_cheaper { small } else { plain },
            "ConditionExpression": "attribute_not_exists(p)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        });
        if seen > 0 {
            input["ConditionExpression"] = json!("m = :seen");
            input["ExpressionAttributeValues"] = json!({ ":seen": number(seen) });
        }
        Ok(match self.0.put_if(input).await.map_err(|error| unanswered(&error))? {
            Ok(()) => true,
            // It may be our own write, whose answer was lost.
            Err(stands) => mark(&stands).is_some_and(|mark| mark.version == seen + 1 && mark.note == note),
        })
    }
}

fn mark(item: &Item) -> Option<Mark> {
    Some(Mark { version: number_of(item, "m")?, note: unpacked(item, "o")?.into_owned() })
}

fn unanswered(error: &ViewsError) -> MarksError {
    MarksError(error.source.to_string())
}
