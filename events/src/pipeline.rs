//! What can happen to a pipeline's definition.

use crate::{PipelineVersion, StoredDefinition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts of a `pipeline#<name>` stream.
#[derive(Debug, Clone, PartialEq)]
pub enum PipelineEvent {
    /// A definition was accepted, the first or a later one.
    PipelineDeclared(PipelineDeclared),
    /// The pipeline was deleted; the name may be declared anew, from version 1.
    PipelineDeleted(PipelineDeleted),
    /// Tags were added, or got other values.
    PipelineTagged(PipelineTagged),
    /// Tags were taken off.
    PipelineUntagged(PipelineUntagged),
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct PipelineDeclared {
    pub version: PipelineVersion,
    /// Normalised, without secrets.
    pub definition: StoredDefinition,
    /// Tags given at creation; empty on later versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Principal that declared it.
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct PipelineDeleted {
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct PipelineTagged {
    pub tags: BTreeMap<String, String>,
    pub by: String,
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the API's own words")]
pub struct PipelineUntagged {
    pub keys: Vec<String>,
    pub by: String,
}
