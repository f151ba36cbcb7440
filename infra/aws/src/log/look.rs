//! What stands in the log, read before a batch is judged: for batches that do not continue what this process knows,
//! and for those that were refused without saying why.

use super::{Inner, commits, once};
use crate::item::{Item, number, text};
use engine::{
    judge::{Head, Standing},
    log::{Batch, BrokenChain, Hash, LogError},
};
use events::{StreamName, Timestamp, Version};
use serde_json::json;
use std::collections::BTreeMap;

/// Facts about the streams and the key of one batch. Not of one moment: but what stands stays, and whoever writes on
/// the strength of them does so under a condition.
#[derive(Debug, Default)]
pub(super) struct Facts {
    heads: BTreeMap<StreamName, Head>,
    hashes: BTreeMap<(StreamName, Version), Hash>,
    once: Option<(String, Timestamp)>,
}

impl Standing for Facts {
    type Error = BrokenChain;

    fn head(&mut self, stream: &StreamName) -> Result<Head, BrokenChain> {
        Ok(self.heads.get(stream).copied().unwrap_or_default())
    }

    fn hash_at(&mut self, stream: &StreamName, first: Version) -> Result<Option<Hash>, BrokenChain> {
        Ok(self.hashes.get(&(stream.clone(), first)).copied())
    }

    fn taken(&mut self, _: &str) -> Result<Option<(String, Timestamp)>, BrokenChain> {
        Ok(self.once.clone())
    }
}

impl Inner {
    /// Reads what [`engine::judge::judge`] wants to know of this batch.
    pub(super) async fn look(&self, batch: &Batch) -> Result<Facts, LogError> {
        let mut facts = Facts::default();
        let streams = batch.commits.iter().map(|commit| &commit.stream);
        for stream in streams.chain(batch.checks.iter().map(|(stream, _)| stream)) {
            let head = self.head(stream).await?;
            self.ends.remember(stream, head.last, head.hash);
            facts.heads.insert(stream.clone(), head);
        }
        for commit in &batch.commits {
            let behind = facts.heads.get(&commit.stream).is_some_and(|head| head.last >= commit.first);
            if let Some(hash) = if behind { self.hash_at(&commit.stream, commit.first).await? } else { None }
            {
                facts.hashes.insert((commit.stream.clone(), commit.first), hash);
            }
        }
        if let Some(taken) = &batch.once {
            let input = json!({
                "TableName": self.tables.views, "Key": once::key(&taken.key), "ConsistentRead": true,
            });
            let answer = self.call("GetItem", &input, &taken.key).await?;
            facts.once = answer["Item"].as_object().and_then(once::read);
        }
        Ok(facts)
    }

    async fn head(&self, stream: &StreamName) -> Result<Head, LogError> {
        let input = json!({
            "TableName": self.tables.log,
            "KeyConditionExpression": "s = :s",
            "ExpressionAttributeValues": { ":s": text(stream.as_str()) },
            "ProjectionExpression": "v, h",
            "ScanIndexForward": false,
            "ConsistentRead": true,
            "Limit": 1,
        });
        let answer = self.call("Query", &input, stream.as_str()).await?;
        let Some(newest) = answer["Items"][0].as_object() else { return Ok(Head::default()) };
        let (last, hash) = readable(stream, newest)?;
        Ok(Head { last, hash })
    }

    async fn hash_at(&self, stream: &StreamName, first: Version) -> Result<Option<Hash>, LogError> {
        let input = json!({
            "TableName": self.tables.log,
            "Key": { "s": text(stream.as_str()), "n": number(first.0) },
            "ProjectionExpression": "v, h",
            "ConsistentRead": true,
        });
        let answer = self.call("GetItem", &input, stream.as_str()).await?;
        answer["Item"].as_object().map(|item| readable(stream, item).map(|(_, hash)| hash)).transpose()
    }
}

fn readable(stream: &StreamName, item: &Item) -> Result<(Version, Hash), LogError> {
    commits::head(item).ok_or_else(|| LogError::Unreadable {
        stream: stream.clone(),
        reason: "a commit's version or hash is not readable".to_owned(),
    })
}
