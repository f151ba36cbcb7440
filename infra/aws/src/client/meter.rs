//! Counts what is asked of AWS: the table of costs is counted, not guessed.

use super::Service;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts requests. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<BTreeMap<(Service, String), Count>>>);

/// What was counted for one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count {
    /// Requests sent, those that were sent again among them.
    pub requests: u64,
    /// Those of them that were sent again.
    pub again: u64,
    /// Read units of DynamoDB, as it says itself.
    pub read_units: f64,
    /// Write units of DynamoDB, as it says itself.
    pub write_units: f64,
    /// Bytes of bodies sent.
    pub sent: u64,
    /// Bytes of bodies that came back.
    pub received: u64,
}

impl Meter {
    /// Starts at nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted so far.
    pub fn counts(&self) -> BTreeMap<(Service, String), Count> {
        self.lock().clone()
    }

    /// What was counted so far, and begins anew.
    pub fn take(&self) -> BTreeMap<(Service, String), Count> {
        std::mem::take(&mut *self.lock())
    }

    /// What was counted so far, for a line of a log: `{"dynamodb": {"PutItem": {…}}}`.
    pub fn json(&self) -> Value {
        let mut all = serde_json::Map::new();
        for ((service, operation), count) in &*self.lock() {
            let of_service = all.entry(service.to_string()).or_insert_with(|| json!({}));
            of_service[operation] = json!({
                "requests": count.requests, "again": count.again, "readUnits": count.read_units,
                "writeUnits": count.write_units, "sent": count.sent, "received": count.received,
            });
        }
        Value::Object(all)
    }

    pub(super) fn request(&self, service: Service, operation: &str, attempt: u32, sent: usize) {
        let mut counts = self.lock();
        let count = counts.entry((service, operation.to_owned())).or_default();
        count.requests += 1;
        count.again += u64::from(attempt > 1);
        count.sent += sent as u64;
    }

    pub(super) fn answer(&self, service: Service, operation: &str, received: usize) {
        let mut counts = self.lock();
        counts.entry((service, operation.to_owned())).or_default().received += received as u64;
    }

    /// Adds what an answer of DynamoDB says it took: one number, or one for each table.
    pub(super) fn capacity(&self, operation: &str, answer: &Value) {
        let consumed = &answer["ConsumedCapacity"];
        let tables = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
        let units: f64 = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
        let reads = matches!(operation, "GetItem" | "Query" | "BatchGetItem" | "TransactGetItems" | "Scan");
        let mut counts = self.lock();
        let count = counts.entry((Service::DynamoDb, operation.to_owned())).or_default();
        if reads {
            count.read_units += units;
        } else {
            count.write_units += units;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Service, String), Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Operations of DynamoDB that say what they took when they are asked to.
pub(super) fn says_capacity(operation: &str) -> bool {
    const THOSE: &[&str] = &[
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    ];
    THOSE.contains(&operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_added_up_by_operation() {
        let meter = Meter::new();
        meter.request(Service::DynamoDb, "PutItem", 1, 100);
        meter.request(Service::DynamoDb, "PutItem", 2, 100);
        meter.capacity("PutItem", &json!({ "ConsumedCapacity": { "CapacityUnits": 1.0 } }));
        meter.capacity(
            "TransactWriteItems",
            &json!({ "ConsumedCapacity": [{ "CapacityUnits": 4.0 }, { "CapacityUnits": 2.0 }] }),
        );
        meter.capacity("Query", &json!({ "ConsumedCapacity": { "CapacityUnits": 0.5 } }));
        meter.capacity("GetItem", &json!({}));
        let counts = meter.take();
        let of = |operation: &str| counts[&(Service::DynamoDb, operation.to_owned())];
        assert_eq!((of("PutItem").requests, of("PutItem").again, of("PutItem").write_units), (2, 1, 1.0));
        assert_eq!((of("TransactWriteItems").write_units, of("Query").read_units), (6.0, 0.5));
        assert!(meter.counts().is_empty());
    }
}
