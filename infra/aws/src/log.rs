//! The log in a table of DynamoDB: one item to a commit, put under the condition that no other stands in its place.
//! Nothing is ever written over, and nothing here has the right to.
//!
//! A condition can tell that a version is taken, not that the one before it is there. So a batch is written at once
//! where this process knows the commits it continues, as it does after every load and every append; otherwise what
//! stands is read first, and judged by the same rule as in every log ([`engine::judge`]).

mod commits;
mod known;
mod look;
pub(crate) mod once;
mod write;

pub use commits::{commit, weight};

use crate::{
    client::{CallError, Client, Limits, Service},
    item::{Item, number, text},
};
use engine::{
    judge::{Refused, Verdict, judge, well_formed},
    log::{Appended, Batch, Commit, Hash, Loaded, Log, LogError, verify_after},
};
use events::{StreamName, Version};
use known::{Ends, UnderWay};
use serde_json::{Value, json};
use std::{future::Future, sync::Arc, time::Duration};
use write::{Wrote, subject};

/// Commits read at first when a stream is loaded: more than there are, most of the time, since its last snapshot.
const LOAD_COMMITS: usize = 40;
/// Commits of every further page.
const PAGE_COMMITS: usize = 200;
/// Commits of one stream that are read at once; none that a run or a pipeline writes comes near it.
const COMMITS_MAX: usize = 1_000_000;
/// How often a batch is written while others are at the same items, or while what it met is not clear.
const WRITES_MAX: u32 = 12;
/// The first pause between two of these writes, most; it doubles from one to the next.
const PAUSE: Duration = Duration::from_millis(10);
/// Any of these pauses, most.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// How long and how often DynamoDB is asked.
pub(crate) const LIMITS: Limits = Limits {
    attempt: Duration::from_secs(4),
    total: Duration::from_secs(20),
    attempts: 8,
    // A page of 1 MB in its longest form, or every item that stood in the way of a transaction.
    answer_bytes: 16 << 20,
};

/// The names of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Commits.
    pub log: String,
    /// Rows for reading, idempotency keys, claims.
    pub views: String,
}

/// The log of one installation. Clones share what they know.
#[derive(Clone)]
pub struct DynamoLog(Arc<Inner>);

struct Inner {
    client: Client,
    tables: Tables,
    ends: Ends,
    under_way: UnderWay,
}

impl DynamoLog {
    /// The log in these tables.
    pub fn new(client: &Client, tables: Tables) -> Self {
        Self(Arc::new(Inner {
            client: client.with_limits(LIMITS),
            tables,
            ends: Ends::default(),
            under_way: UnderWay::default(),
        }))
    }
}

impl Log for DynamoLog {
    const PIPELINED: bool = false;

    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let number = self.0.under_way.begin();
        let (inner, about) = (Arc::clone(&self.0), subject(&batch));
        // A task of its own: whoever goes away in the middle does not take the batch back.
        let work = tokio::spawn(async move {
            let answer = inner.append(&batch).await;
            inner.under_way.end(number);
            answer
        });
        async move {
            work.await
                .unwrap_or_else(|error| Err(LogError::Unavailable { subject: about, source: error.into() }))
        }
    }

    async fn barrier(&self) {
        self.0.under_way.settled().await;
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        let mut newest_first: Vec<Commit> = Vec::new();
        let (mut base, mut after) = (None, None);
        while newest_first.len() < COMMITS_MAX {
            let limit = if newest_first.is_empty() { LOAD_COMMITS } else { PAGE_COMMITS };
            let page = self.0.page(stream, Version(0), false, limit, after.take()).await?;
            for item in page.items {
                let commit = commits::decode(&item)?;
                if let Some(snapshot) = commit.snapshot.clone().filter(|snapshot| snapshot.fold == fold) {
                    base = Some((commit.last(), commit.hash, commit.time, snapshot));
                    break;
                }
                newest_first.push(commit);
            }
            after = page.next;
            if base.is_some() || after.is_none() {
                break;
            }
        }
        let (last, hash) = base.as_ref().map_or_else(Default::default, |base| (base.0, base.1));
        newest_first.reverse();
        verify_after(last, hash, &newest_first)?;
        let (last, hash) = newest_first.last().map_or((last, hash), |commit| (commit.last(), commit.hash));
        self.0.ends.remember(stream, last, hash);
        Ok(Loaded { base, commits: newest_first })
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        let limit = limit.min(COMMITS_MAX);
        let mut commits: Vec<Commit> = Vec::new();
        let mut next = None;
        while commits.len() < limit {
            let page = PAGE_COMMITS.min(limit - commits.len());
            let page = self.0.page(stream, after, true, page, next.take()).await?;
            for item in page.items {
                commits.push(commits::decode(&item)?);
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        match commits.split_first() {
            Some((first, _)) if first.first == Version(1) => {
                verify_after(Version(0), Hash::default(), &commits)?;
            }
            // What it continues was not read; the rest must continue it.
            Some((first, rest)) => verify_after(first.last(), first.hash, rest)?,
            None => {}
        }
        Ok(commits)
    }
}

/// A page of a stream.
struct Page {
    items: Vec<Item>,
    next: Option<Value>,
}

impl Inner {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogError> {
        well_formed(batch)?;
        if batch.commits.is_empty() && batch.checks.is_empty() && batch.once.is_none() {
            return Ok(Appended::Written);
        }
        let mut clear = self.continues_what_is_known(batch);
        for attempt in 0..WRITES_MAX {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            if !clear {
                match judge(batch, &mut self.look(batch).await?, &Refused::default())? {
                    Verdict::Answer(answer) => return Ok(answer),
                    Verdict::Write => {}
                }
            }
            match self.write(batch).await? {
                Wrote::Answer(answer) => {
                    if answer == Appended::Written {
                        for commit in &batch.commits {
                            self.ends.remember(&commit.stream, commit.last(), commit.hash);
                        }
                    }
                    return Ok(answer);
                }
                Wrote::Unclear => clear = false,
                Wrote::Contended => {}
            }
        }
        let source = format!("other writers were at the same items, {WRITES_MAX} times in a row").into();
        Err(LogError::Unavailable { subject: subject(batch), source })
    }

    /// True when every commit continues, and every check names, the end of a commit that this process has seen. What is
    /// written then leaves no gap and keeps the chain, whether or not somebody else was faster.
    fn continues_what_is_known(&self, batch: &Batch) -> bool {
        let continues = |commit: &Commit| {
            let before = commit
                .first
                .0
                .checked_sub(1)
                .and_then(|version| self.ends.at(&commit.stream, Version(version)));
            before.is_some_and(|before| commit.chained(before) == commit.hash)
        };
        batch.commits.iter().all(continues)
            && batch.checks.iter().all(|(stream, version)| self.ends.at(stream, *version).is_some())
    }

    /// Reads a page of a stream, as of now.
    async fn page(
        &self,
        stream: &StreamName,
        after: Version,
        ascending: bool,
        limit: usize,
        next: Option<Value>,
    ) -> Result<Page, LogError> {
        let mut input = json!({
            "TableName": self.tables.log,
            "KeyConditionExpression": "s = :s AND n > :n",
            "ExpressionAttributeValues": { ":s": text(stream.as_str()), ":n": number(after.0) },
            "ScanIndexForward": ascending,
            "ConsistentRead": true,
            "Limit": limit,
        });
        if let Some(next) = next {
            input["ExclusiveStartKey"] = next;
        }
        let mut answer = self.call("Query", &input, stream.as_str()).await?;
        let next = Some(answer["LastEvaluatedKey"].take()).filter(|key| !key.is_null());
        let Value::Array(items) = answer["Items"].take() else {
            let source = "the answer to a query has no items".into();
            return Err(LogError::Unavailable { subject: stream.to_string(), source });
        };
        let items = items.into_iter().filter_map(|item| match item {
            Value::Object(item) => Some(item),
            _ => None,
        });
        Ok(Page { items: items.collect(), next })
    }

    async fn send(&self, operation: &str, input: &Value) -> Result<Value, CallError> {
        self.client.json(Service::DynamoDb, operation, input).await
    }

    async fn call(&self, operation: &str, input: &Value, subject: &str) -> Result<Value, LogError> {
        let answer = self.send(operation, input).await;
        answer.map_err(|error| self.unavailable(subject.to_owned(), error))
    }

    fn unavailable(&self, subject: String, error: CallError) -> LogError {
        let source = crate::store::StoreError::of(&[&self.tables.log, &self.tables.views], error).into();
        LogError::Unavailable { subject, source }
    }
}

/// Full jitter, so that writers who met do not meet again.
fn pause(attempt: u32) -> Duration {
    let most = PAUSE.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
    crate::client::jittered(most)
}
