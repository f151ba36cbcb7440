//! What can happen to a pipeline's triggers.

use crate::{ActionName, ExecutionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts of a `triggers#<pipeline>` stream.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerEvent {
    /// Something that concerns the pipeline happened outside, and this is what became of it.
    TriggerEvaluated(TriggerEvaluated),
}

/// Schema 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerEvaluated {
    /// How it came to be known.
    pub source: TriggerSource,
    /// What happened, in words, at most 500 characters.
    pub event: String,
    /// What tells it from another event that is known in another way, at most 300 characters: repository,
    /// reference, commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What tells this delivery from every other, at most 64 characters: one that comes again is not noted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: TriggerVerdict,
}

/// How an event came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerSource {
    /// A source that is looked at again and again.
    Watch,
    /// A Git host called.
    GitHost,
    /// An event was put on the bus.
    Bus,
    /// A schedule was due.
    Schedule,
    /// Another pipeline's execution changed its state.
    Pipeline,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TriggerVerdict {
    /// It started this execution.
    Started {
        /// The execution.
        execution: ExecutionId,
        /// The revisions it was pinned to, by source action.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        revisions: BTreeMap<ActionName, String>,
        /// Which rule decided, at most 500 characters.
        because: String,
    },
    /// It started nothing.
    NotStarted {
        /// Which rule decided, at most 500 characters.
        reason: String,
    },
}
