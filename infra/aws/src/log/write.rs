//! One write of a batch, and what its answer says.

use super::{Inner, commits, once};
use crate::{
    client::CallError,
    item::{Item, number, text},
};
use engine::log::{Appended, Batch, LogError};
use events::{StreamName, Version};
use serde_json::{Value, json};

/// Operations of one transaction, most.
const OPERATIONS_MAX: usize = 100;

/// What came of one write.
pub(super) enum Wrote {
    /// The answer.
    Answer(Appended),
    /// Nothing was written, and from the refusal alone one cannot tell what to answer.
    Unclear,
    /// Nothing was written: another writer was at the same items at that moment.
    Contended,
}

impl Inner {
    /// Writes the whole batch under the condition that it continues what stands, or nothing.
    pub(super) async fn write(&self, batch: &Batch) -> Result<Wrote, LogError> {
        let mut operations = Vec::new();
        for commit in &batch.commits {
            operations.push(json!({ "Put": {
                "TableName": self.tables.log,
                "Item": commits::encode(commit)?,
                "ConditionExpression": "attribute_not_exists(s)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }}));
        }
        let checks: Vec<_> = batch.checks.iter().filter(|check| !is_a_put(batch, check)).collect();
        for (stream, version) in &checks {
            operations.push(json!({ "ConditionCheck": {
                "TableName": self.tables.log,
                "Key": { "s": text(stream.as_str()), "n": number(version.next().0) },
                "ConditionExpression": "attribute_not_exists(s)",
            }}));
        }
        operations.extend(
            batch.once.iter().map(|once| json!({ "Put": once::put(&self.tables.views, once, batch) })),
        );
        let subject = subject(batch);
        if operations.len() > OPERATIONS_MAX {
            let source = format!("a batch of more than {OPERATIONS_MAX} commits, checks and keys").into();
            return Err(LogError::Unavailable { subject, source });
        }
        let single = operations.len() == 1 && operations[0].get("Put").is_some();
        let answer = if single {
            self.send("PutItem", &operations[0]["Put"]).await
        } else {
            self.send("TransactWriteItems", &json!({ "TransactItems": operations })).await
        };
        match answer {
            Ok(_) => Ok(Wrote::Answer(Appended::Written)),
            Err(CallError::Refused { code, details, .. }) if code == "ConditionalCheckFailedException" => {
                Ok(refused(batch, &checks, &[Reason::Failed(details["Item"].as_object())]))
            }
            Err(CallError::Refused { code, details, .. }) if code == "TransactionCanceledException" => {
                cancelled(batch, &checks, subject, &details)
            }
            // A single put meets a transaction on the same item.
            Err(error) if error.is(&["TransactionConflictException"]) => Ok(Wrote::Contended),
            Err(error) => Err(self.unavailable(subject, error)),
        }
    }
}

/// True for a check that a put of the same batch makes already: no two operations of a transaction may be about one
/// item.
fn is_a_put(batch: &Batch, (stream, version): &(StreamName, Version)) -> bool {
    batch.commits.iter().any(|commit| commit.stream == *stream && commit.first == version.next())
}

/// What became of one operation.
#[derive(Debug, Clone, Copy)]
enum Reason<'a> {
    /// Nothing was said against it.
    None,
    /// Its condition did not hold, on this item.
    Failed(Option<&'a Item>),
}

/// Reads the reasons, one for each operation in their order.
fn cancelled(
    batch: &Batch,
    checks: &[&(StreamName, Version)],
    subject: String,
    details: &Value,
) -> Result<Wrote, LogError> {
    let listed = details["CancellationReasons"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut reasons = Vec::new();
    let mut busy = false;
    for reason in listed {
        match reason["Code"].as_str() {
            Some("ConditionalCheckFailed") => reasons.push(Reason::Failed(reason["Item"].as_object())),
            Some("None") => reasons.push(Reason::None),
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
                busy = true;
                reasons.push(Reason::None);
            }
            _ => {
                let source = format!("the transaction was cancelled: {reason}").into();
                return Err(LogError::Unavailable { subject, source });
            }
        }
    }
    let failed = reasons.iter().any(|reason| matches!(reason, Reason::Failed(_)));
    Ok(match (busy, failed) {
        (true, false) => Wrote::Contended,
        // What the busy items would have said is not known.
        (true, true) | (false, false) => Wrote::Unclear,
        (false, true) => refused(batch, checks, &reasons),
    })
}

/// The same order as in [`engine::judge::judge`]: all of it stands; its key was taken; it lost a race.
fn refused(batch: &Batch, checks: &[&(StreamName, Version)], reasons: &[Reason<'_>]) -> Wrote {
    if reasons.len() != batch.commits.len() + checks.len() + usize::from(batch.once.is_some()) {
        return Wrote::Unclear;
    }
    let (of_commits, others) = reasons.split_at(batch.commits.len());
    let (of_checks, of_once) = others.split_at(checks.len());
    let stands = |(reason, commit): (&Reason<'_>, &engine::log::Commit)| match reason {
        Reason::Failed(Some(item)) => commits::head(item).is_some_and(|(_, hash)| hash == commit.hash),
        Reason::Failed(None) | Reason::None => false,
    };
    let stood = of_commits.iter().zip(&batch.commits).filter(|pair| stands(*pair)).count();
    if stood > 0 && stood == batch.commits.len() {
        return Wrote::Answer(Appended::Written);
    }
    // Part of it stands: look whether the rest does.
    if stood > 0 {
        return Wrote::Unclear;
    }
    match of_once.first() {
        Some(Reason::Failed(Some(item))) => {
            return match once::read(item) {
                Some((outcome, _)) => Wrote::Answer(Appended::Repeated { outcome }),
                None => Wrote::Unclear,
            };
        }
        // A key that was taken answers before a conflict does, and whether it was is not said for certain.
        Some(Reason::Failed(None) | Reason::None) => return Wrote::Unclear,
        None => {}
    }
    let commits = of_commits.iter().zip(batch.commits.iter().map(|commit| &commit.stream));
    let checks = of_checks.iter().zip(checks.iter().map(|(stream, _)| stream));
    let lost = commits.chain(checks).find(|(reason, _)| matches!(reason, Reason::Failed(_)));
    lost.map_or(Wrote::Unclear, |(_, stream)| Wrote::Answer(Appended::Conflict { stream: stream.clone() }))
}

/// What a batch is about, for messages.
pub(super) fn subject(batch: &Batch) -> String {
    let stream = batch.commits.first().map(|commit| &commit.stream);
    let stream = stream.or(batch.checks.first().map(|(stream, _)| stream)).map(StreamName::to_string);
    stream.or(batch.once.as_ref().map(|once| once.key.clone())).unwrap_or_else(|| "an empty batch".to_owned())
}
