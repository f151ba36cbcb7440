//! The list of webhooks: their names. What else is shown of one is read from its stream, which is always current.

use super::{Row, WEBHOOKS, json};
use crate::webhook::Webhook;
use events::{Version, WebhookName};

/// Rows of a webhook's stream.
pub fn rows(name: &WebhookName, state: &Webhook, version: Version) -> Vec<Row> {
    let body = state.definition.is_some().then(|| json(name));
    vec![Row { p: WEBHOOKS.into(), q: name.to_string(), v: version, body }]
}
