//! What may happen to a webhook.

use super::{IDLE_DELIVERIES_WRITTEN_MAX, IDLE_WINDOW_MS, Webhook, WebhookDefinition};
use crate::{command::Context, pipeline::new_tags, rejection::Rejection};
use events::{
    DeliveryEvaluated, DeliveryVerdict, Timestamp, WebhookDeleted, WebhookDeregistered, WebhookEvent,
    WebhookName, WebhookPut, WebhookRegistered, WebhookRegistrationFailed, WebhookTagged, WebhookUntagged,
};
use std::collections::BTreeMap;

/// What is wished of one webhook.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookWish {
    /// Make it, or give it another definition. All of it was checked.
    Put {
        /// The definition.
        definition: WebhookDefinition,
        /// Tags it gets besides those it has.
        tags: BTreeMap<String, String>,
        /// The `t` of its address, should it be new.
        fresh_token: String,
    },
    /// Delete it.
    Delete,
    /// Add tags, or change their values.
    Tag {
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Take tags off.
    Untag {
        /// Their keys.
        keys: Vec<String>,
    },
    /// Note that the Git host knows it, or why not.
    RecordRegistration {
        /// The host's id of the hook, or code and message of the failure.
        outcome: Result<String, (String, String)>,
    },
    /// Note that the Git host has forgotten it.
    Deregister,
    /// Note what came of a delivery.
    RecordDelivery(DeliveryEvaluated),
}

impl WebhookWish {
    /// The wish's name, for log lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "PutWebhook",
            Self::Delete => "DeleteWebhook",
            Self::Tag { .. } => "TagWebhook",
            Self::Untag { .. } => "UntagWebhook",
            Self::RecordRegistration { .. } => "RecordRegistration",
            Self::Deregister => "DeregisterWebhook",
            Self::RecordDelivery(_) => "RecordDelivery",
        }
    }
}

impl Webhook {
    /// Decides a wish about this webhook. One that is satisfied already yields no events.
    pub fn decide(
        &self,
        name: &WebhookName,
        wish: &WebhookWish,
        context: Context<'_>,
    ) -> Result<Vec<WebhookEvent>, Rejection> {
        let by = context.actor.to_owned();
        match wish {
            WebhookWish::Put { definition, tags, fresh_token } => {
                self.decide_put(name, definition, tags, fresh_token, by)
            }
            WebhookWish::Delete if self.definition.is_none() => Ok(Vec::new()),
            WebhookWish::Delete => Ok(vec![WebhookEvent::WebhookDeleted(WebhookDeleted { by })]),
            WebhookWish::RecordDelivery(evaluated) => Ok(self.decide_delivery(evaluated, context.now)),
            WebhookWish::Tag { .. }
            | WebhookWish::Untag { .. }
            | WebhookWish::RecordRegistration { .. }
            | WebhookWish::Deregister
                if self.definition.is_none() =>
            {
                Err(Rejection::WebhookNotFound { webhook: name.clone() })
            }
            WebhookWish::Tag { tags } => {
                let tags = self.new_tags(name, tags)?;
                if tags.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![WebhookEvent::WebhookTagged(WebhookTagged { tags, by })])
            }
            WebhookWish::Untag { keys } => {
                let keys: Vec<String> = self.tags.keys().filter(|key| keys.contains(key)).cloned().collect();
                if keys.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![WebhookEvent::WebhookUntagged(WebhookUntagged { keys, by })])
            }
            WebhookWish::RecordRegistration { outcome } => Ok(self.decide_registration(outcome, by)),
            WebhookWish::Deregister if self.registration == super::Registration::default() => Ok(Vec::new()),
            WebhookWish::Deregister => {
                Ok(vec![WebhookEvent::WebhookDeregistered(WebhookDeregistered { by })])
            }
        }
    }

    fn decide_put(
        &self,
        name: &WebhookName,
        definition: &WebhookDefinition,
        tags: &BTreeMap<String, String>,
        fresh_token: &str,
        by: String,
    ) -> Result<Vec<WebhookEvent>, Rejection> {
        let tags = self.new_tags(name, tags)?;
        if self.definition.as_ref() == Some(definition) && tags.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.definition.is_some();
        let definition = definition.clone();
        Ok(vec![WebhookEvent::WebhookPut(WebhookPut {
            target_pipeline: definition.target_pipeline,
            target_action: definition.target_action,
            filters: definition.filters,
            authentication: definition.authentication,
            allowed_ip_range: definition.allowed_ip_range,
            secret: definition.secret,
            token: if known { self.token.clone() } else { fresh_token.to_owned() },
            tags,
            by,
        })])
    }

    fn decide_registration(
        &self,
        outcome: &Result<String, (String, String)>,
        by: String,
    ) -> Vec<WebhookEvent> {
        match outcome {
            Ok(hook)
                if self.registration.hook.as_ref() == Some(hook) && self.registration.error.is_none() =>
            {
                Vec::new()
            }
            Ok(hook) => {
                vec![WebhookEvent::WebhookRegistered(WebhookRegistered { hook: hook.clone(), by })]
            }
            Err(error) if self.registration.error.as_ref() == Some(error) => Vec::new(),
            Err((code, message)) => {
                let (code, message) = (code.clone(), message.clone());
                vec![WebhookEvent::WebhookRegistrationFailed(WebhookRegistrationFailed { code, message, by })]
            }
        }
    }

    fn decide_delivery(&self, evaluated: &DeliveryEvaluated, now: Timestamp) -> Vec<WebhookEvent> {
        let is_start = matches!(evaluated.verdict, DeliveryVerdict::Started { .. });
        let is_known = is_start && self.recent.iter().any(|known| known.verdict == evaluated.verdict);
        let is_flood = !is_start
            && now.since(self.idle_since) < IDLE_WINDOW_MS
            && self.idle_written >= IDLE_DELIVERIES_WRITTEN_MAX;
        if self.definition.is_none() || is_known || is_flood {
            return Vec::new();
        }
        vec![WebhookEvent::DeliveryEvaluated(evaluated.clone())]
    }

    /// Those that are not there yet, or have another value.
    fn new_tags(
        &self,
        name: &WebhookName,
        tags: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Rejection> {
        new_tags(&self.tags, tags)
            .ok_or_else(|| Rejection::TooManyTags { resource: format!("webhook:{name}") })
    }
}
