//! The change stream of the log's table: its records as they come, and the answer that says which of them have to come
//! again. A record that nobody can deal with is put into a queue, with its reason, and holds up nothing.

use crate::{entry::Failed, home::Home};
use handlers::{
    changes::{Change, Turn, Unmet},
    measure::Measure,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Bytes of a message in the queue, most: what every queue takes.
const MESSAGE_BYTES_MAX: usize = 200 * 1024;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    #[serde(rename = "eventSourceARN", default)]
    source: String,
    dynamodb: Inner,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inner {
    sequence_number: String,
    new_image: Option<Value>,
}

/// Which records have to come again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

/// Records, read as far as they can be.
#[derive(Debug)]
pub struct Records {
    /// Commits that were put into the log, or why one cannot be read.
    pub changes: Vec<Change>,
    raw: Vec<Value>,
}

/// Reads an event of the change stream. `commit` reads an item of the log's table; `None` for one that holds none.
pub fn read(
    payload: Value,
    commit: impl Fn(&Value) -> Option<Result<engine::log::Commit, String>>,
) -> Result<Records, Failed> {
    let event: Event = serde_json::from_value(payload)
        .map_err(|error| Failed::refused(format!("this is no event of a change stream: {error}")))?;
    let changes = event.records.iter().filter_map(|raw| change(raw, &commit)).collect();
    Ok(Records { changes, raw: event.records })
}

fn change(
    raw: &Value,
    commit: impl Fn(&Value) -> Option<Result<engine::log::Commit, String>>,
) -> Option<Change> {
    let record: Record = match Record::deserialize(raw) {
        Ok(record) => record,
        Err(error) => {
            let commit = Err(format!("the record cannot be read: {error}"));
            return Some(Change { sequence: sequence(raw).to_owned(), commit });
        }
    };
    // Rows of the log are inserted and never touched again; what else happens to the table is no commit.
    if record.event_name != "INSERT" {
        tracing::warn!(event = record.event_name, source = record.source, "the log's table was changed");
        return None;
    }
    let sequence = record.dynamodb.sequence_number;
    let Some(image) = &record.dynamodb.new_image else {
        let reason =
            "the record has no new image: the change stream must be of the kind NEW_IMAGE".to_owned();
        return Some(Change { sequence, commit: Err(reason) });
    };
    Some(Change { sequence, commit: commit(image)? })
}

/// A record's number, wherever it can be found; empty where it cannot.
fn sequence(raw: &Value) -> &str {
    raw["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}

impl Records {
    /// Answers for what was not dealt with: puts aside what never will be, and asks for the rest once more.
    pub async fn answer(&self, home: &Home, unmet: Vec<Unmet>) -> Failures {
        let (mut again, mut poison) = (Vec::new(), 0);
        for unmet in unmet {
            let Unmet { sequence, reason, turn } = &unmet;
            match turn {
                Turn::Later => {
                    tracing::warn!(sequence, reason, "a record has to come again");
                    again.push(unmet);
                }
                Turn::Never => {
                    poison += 1;
                    tracing::error!(sequence, reason, "a record cannot be dealt with");
                    if let Err(error) = self.put_aside(home, &unmet).await {
                        tracing::error!(sequence, error, "a record could not be put aside");
                        again.push(unmet);
                    }
                }
            }
        }
        home.measured(&[
            Measure::count("PoisonRecords", poison),
            Measure::count("RecordFailures", again.len()),
        ]);
        failures(&again)
    }

    async fn put_aside(&self, home: &Home, unmet: &Unmet) -> Result<(), String> {
        let raw = self.raw.iter().find(|raw| sequence(raw) == unmet.sequence);
        let message = message(home.function(), unmet, raw.unwrap_or(&Value::Null));
        home.put_aside(&message).await
    }
}

fn failures(again: &[Unmet]) -> Failures {
    let mut identifiers: Vec<String> = again.iter().map(|unmet| unmet.sequence.clone()).collect();
    identifiers.sort();
    identifiers.dedup();
    let failure = |item_identifier| Failure { item_identifier };
    Failures { batch_item_failures: identifiers.into_iter().map(failure).collect() }
}

/// What lies in the queue: who could not deal with what, and why.
fn message(function: &str, unmet: &Unmet, raw: &Value) -> String {
    let whole = json!({
        "function": function,
        "sequenceNumber": unmet.sequence,
        "reason": unmet.reason,
        "record": raw,
    });
    let text = whole.to_string();
    if text.len() <= MESSAGE_BYTES_MAX {
        return text;
    }
    // By its key it is found in the table.
    let key =
        json!({ "eventSourceARN": raw["eventSourceARN"], "dynamodb": { "Keys": raw["dynamodb"]["Keys"] } });
    json!({
        "function": function,
        "sequenceNumber": unmet.sequence,
        "reason": unmet.reason.chars().take(2_000).collect::<String>(),
        "record": key,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: &str, image: Value) -> Value {
        json!({
            "eventID": "1", "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1", "eventSourceARN": "arn:aws:dynamodb:us-east-1:111122223333:table/log/stream/1",
            "dynamodb": { "ApproximateCreationDateTime": 1.0, "Keys": { "s": { "S": "lane#p" }, "n": { "N": "1" } },
                "NewImage": image, "SequenceNumber": sequence, "SizeBytes": 1, "StreamViewType": "NEW_IMAGE" },
        })
    }

    fn none(_: &Value) -> Option<Result<engine::log::Commit, String>> {
        Some(Err("not a commit".into()))
    }

    #[test]
    fn a_record_that_cannot_be_read_is_known_by_its_number() {
        let mut removed = record("3", json!({}));
        removed["eventName"] = json!("REMOVE");
        let mut bare = record("4", json!({}));
        bare["dynamodb"].as_object_mut().unwrap().remove("NewImage");
        let mut odd = record("5", json!({}));
        odd.as_object_mut().unwrap().remove("eventName");
        let event = json!({ "Records": [record("1", json!({})), removed, bare, odd, json!(7)] });
        let changes = read(event, none).unwrap().changes;
        let read: Vec<(&str, &str)> = changes
            .iter()
            .map(|change| (change.sequence.as_str(), change.commit.as_ref().unwrap_err().as_str()))
            .collect();
        assert_eq!(read[0], ("1", "not a commit"));
        assert!(read[1].0 == "4" && read[1].1.contains("NEW_IMAGE"));
        assert!(read[2].0 == "5" && read[2].1.contains("eventName"));
        assert_eq!(read[3].0, "");
        assert_eq!(read.len(), 4);
        for wrong in [json!(null), json!({}), json!({ "Records": 7 })] {
            assert!(super::read(wrong, none).is_err());
        }
    }

    #[test]
    fn an_answer_names_each_record_once() {
        let unmet =
            |sequence: &str| Unmet { sequence: sequence.into(), reason: "no".into(), turn: Turn::Later };
        let answer = serde_json::to_value(failures(&[unmet("2"), unmet("1"), unmet("2")])).unwrap();
        let expected = json!({ "batchItemFailures": [{ "itemIdentifier": "1" }, { "itemIdentifier": "2" }] });
        assert_eq!(answer, expected);
    }

    #[test]
    fn what_is_put_aside_says_who_what_and_why() {
        let unmet = Unmet { sequence: "1".into(), reason: "no stream".into(), turn: Turn::Never };
        let text = message("relay", &unmet, &record("1", json!({ "s": { "S": "?" } })));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["reason"], "no stream");
        assert_eq!(value["record"]["dynamodb"]["NewImage"]["s"]["S"], "?");
        let large =
            message("relay", &unmet, &record("1", json!({ "e": { "S": "x".repeat(MESSAGE_BYTES_MAX) } })));
        assert!(large.len() < 1_000 && large.contains("lane#p"), "{large}");
    }
}
