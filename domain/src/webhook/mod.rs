//! Webhooks: addresses that Git hosts call, and what a call leads to. A webhook is decided alone: it names a pipeline
//! and shares no stream with it.

mod check;
pub mod cidr;
mod decide;
mod delivery;
pub mod json_path;

pub use check::{BadWebhook, check, check_authentication};
pub use decide::WebhookWish;
pub use delivery::{Asked, evaluate};

use events::{
    ActionName, DeliveryEvaluated, DeliveryVerdict, PipelineName, Timestamp, WebhookAuthentication,
    WebhookEvent, WebhookFilter, WebhookPut,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of this fold; one more whenever [`Webhook`]'s shape or meaning changes.
pub const FOLD: u32 = 1;

/// Deliveries whose evaluation a webhook's state keeps, the newest.
pub const DELIVERIES_KEPT: usize = 20;
/// Evaluations of deliveries that start nothing, written in one window, most: an address is public, and whoever
/// calls it for nothing must not fill the log.
pub const IDLE_DELIVERIES_WRITTEN_MAX: u32 = 60;
/// The length of such a window, milliseconds.
pub const IDLE_WINDOW_MS: u64 = 60_000;

/// The state of a `webhook#<name>` stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// What it does; `None` before the first definition and after a deletion.
    pub definition: Option<WebhookDefinition>,
    /// The `t` of its address; empty when there is no webhook.
    pub token: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What the Git host knows of it.
    pub registration: Registration,
    /// When a delivery last started an execution.
    pub last_triggered: Option<Timestamp>,
    /// The newest deliveries, oldest first.
    pub recent: Vec<Delivery>,
    /// When the current window of written evaluations began.
    pub idle_since: Timestamp,
    /// How many that started nothing were written in it.
    pub idle_written: u32,
}

/// What a webhook does. `SecretToken` is not in here: `secret` says where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words, see `WebhookDefinition`")]
pub struct WebhookDefinition {
    pub target_pipeline: PipelineName,
    pub target_action: ActionName,
    pub filters: Vec<WebhookFilter>,
    pub authentication: WebhookAuthentication,
    pub allowed_ip_range: Option<String>,
    /// Under which name the secret lies in the store of secrets.
    pub secret: Option<String>,
}

/// What the Git host knows of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The host's own id of the hook, while it is registered.
    pub hook: Option<String>,
    /// Code and message of the last registration, when it failed.
    pub error: Option<(String, String)>,
}

/// A delivery and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// When it was evaluated.
    pub at: Timestamp,
    /// The sender's id of it.
    pub delivery: Option<String>,
    /// What the sender says happened.
    pub event: Option<String>,
    /// What came of it.
    pub verdict: DeliveryVerdict,
}

impl Webhook {
    /// Writes one event down.
    pub fn evolve(&mut self, event: &WebhookEvent, at: Timestamp) {
        match event {
            WebhookEvent::WebhookPut(put) => self.put(put),
            WebhookEvent::WebhookDeleted(_) => *self = Self::default(),
            WebhookEvent::WebhookTagged(tagged) => self.tags.extend(tagged.tags.clone()),
            WebhookEvent::WebhookUntagged(untagged) => {
                self.tags.retain(|key, _| !untagged.keys.contains(key));
            }
            WebhookEvent::WebhookRegistered(registered) => {
                self.registration = Registration { hook: Some(registered.hook.clone()), error: None };
            }
            WebhookEvent::WebhookRegistrationFailed(failed) => {
                self.registration.error = Some((failed.code.clone(), failed.message.clone()));
            }
            WebhookEvent::WebhookDeregistered(_) => self.registration = Registration::default(),
            WebhookEvent::DeliveryEvaluated(evaluated) => self.evaluated(evaluated, at),
        }
    }

    fn put(&mut self, put: &WebhookPut) {
        self.token.clone_from(&put.token);
        self.tags.extend(put.tags.clone());
        self.definition = Some(WebhookDefinition {
            target_pipeline: put.target_pipeline.clone(),
            target_action: put.target_action.clone(),
            filters: put.filters.clone(),
            authentication: put.authentication,
            allowed_ip_range: put.allowed_ip_range.clone(),
            secret: put.secret.clone(),
        });
    }

    fn evaluated(&mut self, evaluated: &DeliveryEvaluated, at: Timestamp) {
        match evaluated.verdict {
            DeliveryVerdict::Started { .. } => self.last_triggered = Some(at),
            DeliveryVerdict::Ignored { .. }
            | DeliveryVerdict::Refused { .. }
            | DeliveryVerdict::NotStarted { .. } => {
                if at.since(self.idle_since) >= IDLE_WINDOW_MS {
                    self.idle_since = at;
                    self.idle_written = 0;
                }
                self.idle_written += 1;
            }
        }
        if self.recent.len() >= DELIVERIES_KEPT {
            self.recent.remove(0);
        }
        self.recent.push(Delivery {
            at,
            delivery: evaluated.delivery.clone(),
            event: evaluated.event.clone(),
            verdict: evaluated.verdict.clone(),
        });
    }
}
