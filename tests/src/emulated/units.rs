//! What a call of DynamoDB takes of its capacity, worked out from the request and the answer by the service's published
//! rules: an emulator's word is not what is billed.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>

use serde_json::Value;

/// Bytes of one write unit.
const WRITE_BYTES: usize = 1024;
/// Bytes of one read unit.
const READ_BYTES: usize = 4096;

/// Units of a call.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Units {
    /// Write units.
    pub write: f64,
    /// Read units.
    pub read: f64,
}

/// What a call took. One that was refused by its condition is paid like one that was not.
pub fn of(operation: &str, request: &Value, answer: &Value) -> Units {
    let write = |units: usize| Units { write: units as f64, read: 0.0 };
    match operation {
        "PutItem" => write(written(&request["Item"])),
        "UpdateItem" => write(changed(request)),
        "DeleteItem" => write(written(&request["Key"])),
        "BatchWriteItem" => write(
            lists(&request["RequestItems"])
                .map(|entry| {
                    written(&entry["PutRequest"]["Item"]).max(written(&entry["DeleteRequest"]["Key"]))
                })
                .sum(),
        ),
        "TransactWriteItems" => {
            let parts = request["TransactItems"].as_array().into_iter().flatten();
            let units = |part: &Value| {
                let put = written(&part["Put"]["Item"]);
                let other = ["Update", "Delete", "ConditionCheck"].map(|kind| changed(&part[kind]));
                2 * put.max(other.into_iter().max().unwrap_or(0))
            };
            write(parts.map(units).sum())
        }
        "GetItem" => read(size(&answer["Item"]), consistent(request)),
        "Query" | "Scan" => {
            let items = answer["Items"].as_array().into_iter().flatten();
            read(items.map(size).sum(), consistent(request))
        }
        "BatchGetItem" => {
            let each = lists(&answer["Responses"]).map(|item| read(size(item), true).read / 2.0);
            Units { write: 0.0, read: each.sum() }
        }
        "TransactGetItems" => {
            let items = answer["Responses"].as_array().into_iter().flatten();
            Units { write: 0.0, read: items.map(|item| 2.0 * read(size(&item["Item"]), true).read).sum() }
        }
        _ => Units::default(),
    }
}

fn consistent(request: &Value) -> bool {
    request["ConsistentRead"] == true
}

fn read(bytes: usize, consistent: bool) -> Units {
    let units = bytes.div_ceil(READ_BYTES).max(1) as f64;
    Units { write: 0.0, read: if consistent { units } else { units / 2.0 } }
}

fn written(item: &Value) -> usize {
    if item.is_null() { 0 } else { size(item).div_ceil(WRITE_BYTES).max(1) }
}

/// For what changes or checks an item by its key: as much as the request says of it.
fn changed(request: &Value) -> usize {
    if request.is_null() {
        return 0;
    }
    (size(&request["Key"]) + size(&request["ExpressionAttributeValues"])).div_ceil(WRITE_BYTES).max(1)
}

fn lists(by_table: &Value) -> impl Iterator<Item = &Value> {
    by_table.as_object().into_iter().flat_map(|tables| tables.values()).filter_map(Value::as_array).flatten()
}

/// Bytes of an item: names and values of its attributes.
fn size(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + of_value(value)).sum()
}

fn of_value(value: &Value) -> usize {
    let Some((kind, inside)) = value.as_object().and_then(|object| object.iter().next()) else { return 0 };
    match (kind.as_str(), inside) {
        ("S", Value::String(text)) => text.len(),
        // Two digits to a byte, and one more.
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
        ("B", Value::String(base64)) => base64.len() / 4 * 3,
        ("L", Value::Array(values)) => 3 + values.iter().map(|value| 1 + of_value(value)).sum::<usize>(),
        ("M", Value::Object(members)) => {
            3 + members.iter().map(|(name, value)| 1 + name.len() + of_value(value)).sum::<usize>()
        }
        ("SS" | "NS" | "BS", Value::Array(values)) => {
            values.iter().map(|value| value.to_string().len()).sum()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn units_are_those_of_the_price_list() {
        let item = json!({"s": {"S": "x".repeat(1000)}, "n": {"N": "1"}});
        assert_eq!(of("PutItem", &json!({"Item": item}), &json!({})).write, 1.0);
        let large = json!({"s": {"S": "x".repeat(1100)}});
        assert_eq!(of("PutItem", &json!({"Item": large}), &json!({})).write, 2.0);
        let transaction = json!({"TransactItems": [{"Put": {"Item": item}},
            {"ConditionCheck": {"Key": {"s": {"S": "lane"}, "n": {"N": "7"}}}}]});
        assert_eq!(of("TransactWriteItems", &transaction, &json!({})).write, 4.0);
        let answer = json!({"Items": [item, item, item, item, item]});
        assert_eq!(of("Query", &json!({"ConsistentRead": true}), &answer).read, 2.0);
        assert_eq!(of("Query", &json!({}), &json!({"Items": []})).read, 0.5);
    }
}
