//! What tells the world of what happened here: a bus, topics, the Web; and marks, by which whoever tells knows what has
//! been told. Everything here is told at least once, and nothing here is ever the truth.

use events::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, future::Future, time::Duration};

/// One event for a bus, in EventBridge's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEvent {
    /// The same whenever the same fact is told again. A bus that gives ids of its own (EventBridge does) keeps this one
    /// in `detail` only, where it stands as well.
    pub id: String,
    /// `source`.
    pub source: String,
    /// `detail-type`.
    pub detail_type: String,
    /// `time`.
    pub time: Timestamp,
    /// `resources`: ARNs.
    pub resources: Vec<String>,
    /// `detail`: a JSON object. It, the type and the source have at most [`BUS_EVENT_BYTES_MAX`] together.
    pub detail: String,
}

/// Bytes of one event, most: what one call of EventBridge takes.
pub const BUS_EVENT_BYTES_MAX: usize = 256 * 1024;

/// Takes events to whoever listens.
pub trait Bus: Send + Sync + 'static {
    /// Puts events on the bus in this order, however many: how they are divided into calls is the adapter's business.
    /// All are taken when it returns; after an error some may have been, and the caller puts all of them again.
    fn put(&self, events: Vec<BusEvent>) -> impl Future<Output = Result<(), OutwardError>> + Send;
}

/// One message for a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicMessage {
    /// The topic's ARN.
    pub topic: String,
    /// At most 100 ASCII characters.
    pub subject: Option<String>,
    /// The message; with `by_protocol` a JSON object of texts by protocol, among them `default`. At most 256 KiB.
    pub message: String,
    /// `MessageStructure` is `json`.
    pub by_protocol: bool,
    /// Texts by which subscriptions filter; at most 10.
    pub attributes: BTreeMap<String, String>,
    /// For a topic that keeps order (its name ends in `.fifo`): messages of one group come in order. Others do without.
    pub group: String,
    /// The same whenever the same message is published again; for a topic that keeps order.
    pub deduplication: String,
}

/// Publishes to topics.
pub trait Topics: Send + Sync + 'static {
    /// Publishes one message.
    fn publish(&self, message: TopicMessage) -> impl Future<Output = Result<(), OutwardError>> + Send;
}

/// What could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutwardError {
    /// It will not be taken the next time either: no such topic, no permission, too large. Whoever tells goes on with
    /// what comes after it, and says so to the operator.
    #[error("{0}")]
    Refused(String),
    /// Try again later.
    #[error("{0}")]
    Unavailable(String),
}

/// What is known under a key, and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// From 1; one more with each write.
    pub version: u64,
    /// The note: JSON, at most 64 KiB.
    pub note: String,
}

/// Notes of those who tell the world: how far they came, what they left there. Not derived from the log, and not views:
/// when they are lost, things are told twice. On AWS rows of the table `views`: partition the key, place `-`.
pub trait Marks: Send + Sync + 'static {
    /// What is noted under a key.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Mark>, MarksError>> + Send;

    /// Notes something, if what is there has the version that was seen (0: nothing is there). `false`: somebody else
    /// was faster, and nothing was written. May be forgotten after `expires`, not before.
    fn put(
        &self,
        key: &str,
        seen: u64,
        note: &str,
        expires: Timestamp,
    ) -> impl Future<Output = Result<bool, MarksError>> + Send;
}

/// The marks did not answer. Try again later.
#[derive(Debug, thiserror::Error)]
#[error("the marks did not answer: {0}")]
pub struct MarksError(pub String);

/// A JSON body for an address.
#[derive(Clone, PartialEq, Eq)]
pub struct WebPost {
    /// Where to. Often a secret.
    pub url: String,
    /// Sent as `Authorization: Bearer`. A secret.
    pub bearer: Option<String>,
    /// The body.
    pub body: String,
}

/// Shows nothing that might be a secret.
impl std::fmt::Debug for WebPost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "WebPost({} bytes)", self.body.len())
    }
}

/// What an address answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, where it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The body, cut to [`WEB_ANSWER_BYTES_MAX`].
    pub body: String,
}

/// Bytes of an answer that are read, most.
pub const WEB_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long an answer may take, in seconds.
pub const WEB_ANSWER_SECONDS_MAX: u64 = 10;

/// Posts to addresses outside. Follows no redirects; gives up after [`WEB_ANSWER_SECONDS_MAX`].
pub trait Web: Send + Sync + 'static {
    /// Posts a JSON body and reads the answer, whatever its status. The error is for people, and names no secret: not
    /// the address either.
    fn post(&self, post: WebPost) -> impl Future<Output = Result<WebAnswer, WebError>> + Send;

    /// Waits.
    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer came: {0}")]
pub struct WebError(pub String);
