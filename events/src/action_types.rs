//! What can happen to the action types of an installation, beyond those it is built with.

use crate::ActionTypeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts of the `action-types#<account>` stream.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its shape")]
pub enum ActionTypesEvent {
    CustomActionTypeCreated(CustomActionTypeCreated),
    CustomActionTypeDeleted(CustomActionTypeDeleted),
    CustomActionTypeTagged(CustomActionTypeTagged),
    CustomActionTypeUntagged(CustomActionTypeUntagged),
    ActionTypeUpdated(ActionTypeUpdated),
}

/// A custom type was created, or one that was deleted is there again. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomActionTypeCreated {
    /// The 4-tuple; its owner is `Custom`.
    pub id: ActionTypeId,
    /// Links for people.
    #[serde(default)]
    pub settings: ActionTypeSettings,
    /// Its configuration, in the order it was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<ActionTypeProperty>,
    /// Fewest and most input artifacts.
    pub inputs: (u8, u8),
    /// Fewest and most output artifacts.
    pub outputs: (u8, u8),
    /// Tags given at creation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Principal that created it.
    pub by: String,
}

/// A custom type was deleted; its version is used up. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomActionTypeDeleted {
    /// The 4-tuple.
    pub id: ActionTypeId,
    /// Principal that deleted it.
    pub by: String,
}

/// Tags were added to a custom type, or got other values. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomActionTypeTagged {
    /// The 4-tuple.
    pub id: ActionTypeId,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// Principal that added them.
    pub by: String,
}

/// Tags were taken off a custom type. Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomActionTypeUntagged {
    /// The 4-tuple.
    pub id: ActionTypeId,
    /// Their keys.
    pub keys: Vec<String>,
    /// Principal that took them off.
    pub by: String,
}

/// A type that the operator registered was declared anew. Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionTypeUpdated {
    /// The 4-tuple.
    pub id: ActionTypeId,
    /// The whole declaration, as `GetActionType` shows it.
    pub declaration: serde_json::Value,
    /// Principal that updated it.
    pub by: String,
}

/// Links of a custom type; `{Config:<property>}` and `{ExternalExecutionId}` stand for values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub struct ActionTypeSettings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third_party_configuration_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_url_template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_url_template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_url_template: Option<String>,
}

/// One configuration property of a custom type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub struct ActionTypeProperty {
    pub name: String,
    pub required: bool,
    pub key: bool,
    pub secret: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queryable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `String`, `Number` or `Boolean`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
