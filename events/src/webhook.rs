//! What can happen to a webhook.

use crate::{ActionName, ExecutionId, PipelineName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts of a `webhook#<name>` stream.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookEvent {
    /// The webhook was made, or took another definition.
    WebhookPut(WebhookPut),
    /// It is gone, and its address with it; the name may be used anew, with another address.
    WebhookDeleted(WebhookDeleted),
    /// Tags were added, or got other values.
    WebhookTagged(WebhookTagged),
    /// Tags were taken off.
    WebhookUntagged(WebhookUntagged),
    /// The Git host was told to send its pushes here.
    WebhookRegistered(WebhookRegistered),
    /// The Git host could not be told.
    WebhookRegistrationFailed(WebhookRegistrationFailed),
    /// The Git host was told to stop.
    WebhookDeregistered(WebhookDeregistered),
    /// Somebody called its address, and this is what came of it.
    DeliveryEvaluated(DeliveryEvaluated),
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookPut {
    pub target_pipeline: PipelineName,
    pub target_action: ActionName,
    pub filters: Vec<WebhookFilter>,
    pub authentication: WebhookAuthentication,
    /// With `IP`: who may call, as a CIDR block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_ip_range: Option<String>,
    /// With `GITHUB_HMAC`: under which name the secret lies in the store of secrets. Never the secret itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The `t` of its address; the same through all later definitions.
    pub token: String,
    /// Tags given with it; those it has already stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Principal that put it.
    pub by: String,
}

/// One condition that a delivery's body must meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookFilter {
    /// What to look at.
    pub json_path: String,
    /// What must be found there, with `{Key}` for values of the target action's configuration; without it,
    /// anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_equals: Option<String>,
}

/// `authentication`: how a caller shows that it may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WebhookAuthentication {
    /// By a signature over the body.
    GithubHmac,
    /// By its address.
    Ip,
    /// Not at all.
    Unauthenticated,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookDeleted {
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookTagged {
    pub tags: BTreeMap<String, String>,
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookUntagged {
    pub keys: Vec<String>,
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookRegistered {
    /// The host's own id of the hook.
    pub hook: String,
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookRegistrationFailed {
    pub code: String,
    /// At most 1,000 characters.
    pub message: String,
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct WebhookDeregistered {
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryEvaluated {
    /// The sender's id of the delivery, at most 128 characters; some senders give none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// What the sender says happened, such as `push`; at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: DeliveryVerdict,
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum DeliveryVerdict {
    /// It started this execution.
    Started {
        /// The execution.
        execution: ExecutionId,
    },
    /// It is genuine and asks for nothing.
    Ignored {
        /// Why, at most 300 characters.
        reason: String,
    },
    /// It is not from whom it should be.
    Refused {
        /// Why, at most 300 characters.
        reason: String,
    },
    /// It asked for an execution, and none could be started.
    NotStarted {
        /// Why, at most 300 characters.
        reason: String,
    },
}
