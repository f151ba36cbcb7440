//! The journal of a pipeline's triggers: what came, and what became of it. A stream of its own, decided alone.

use events::{Timestamp, TriggerEvaluated, TriggerEvent, TriggerSource, TriggerVerdict};
use serde::{Deserialize, Serialize};

/// Number of this fold; one more whenever [`Triggers`]'s shape or meaning changes.
pub const FOLD: u32 = 1;

/// Evaluations a journal's state keeps, the newest.
pub const EVALUATIONS_KEPT: usize = 50;

/// The state of a `triggers#<pipeline>` stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Triggers {
    /// The newest evaluations, oldest first.
    pub recent: Vec<Evaluation>,
}

/// An event and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// When it was evaluated.
    pub at: Timestamp,
    /// The rest.
    #[serde(flatten)]
    pub evaluated: TriggerEvaluated,
}

/// A wish about a journal: to note an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Note(pub TriggerEvaluated);

impl Triggers {
    /// Writes one event down.
    pub fn evolve(&mut self, event: &TriggerEvent, at: Timestamp) {
        match event {
            TriggerEvent::TriggerEvaluated(evaluated) => {
                if self.recent.len() >= EVALUATIONS_KEPT {
                    self.recent.drain(..=self.recent.len() - EVALUATIONS_KEPT);
                }
                self.recent.push(Evaluation { at, evaluated: evaluated.clone() });
            }
        }
    }

    /// Decides a note. What started an execution is noted once for it, and a delivery that started nothing once for as
    /// long as it is remembered.
    pub fn decide(&self, note: &Note, now: Timestamp) -> Vec<TriggerEvent> {
        let Note(noted) = note;
        let is_known = |known: &Evaluation| match noted.verdict {
            TriggerVerdict::Started { .. } => known.evaluated.verdict == noted.verdict,
            TriggerVerdict::NotStarted { .. } => {
                noted.delivery.is_some()
                    && noted.delivery == known.evaluated.delivery
                    && now.since(known.at) < remembered_ms(noted.source)
            }
        };
        if self.recent.iter().any(is_known) {
            return Vec::new();
        }
        vec![TriggerEvent::TriggerEvaluated(noted.clone())]
    }

    /// Which execution something of this identity started already, if it was told of by another way.
    pub fn started_by_another(&self, identity: &str, source: TriggerSource) -> Option<&events::ExecutionId> {
        self.recent.iter().rev().find_map(|known| match &known.evaluated.verdict {
            TriggerVerdict::Started { execution, .. }
                if known.evaluated.identity.as_deref() == Some(identity)
                    && known.evaluated.source != source =>
            {
                Some(execution)
            }
            TriggerVerdict::Started { .. } | TriggerVerdict::NotStarted { .. } => None,
        })
    }
}

/// For how long a delivery is remembered, milliseconds: 24 hours; 1 hour where a source is watched, since the same step
/// of a branch is a new push later.
pub fn remembered_ms(source: TriggerSource) -> u64 {
    match source {
        TriggerSource::Watch => 60 * 60 * 1000,
        TriggerSource::GitHost | TriggerSource::Bus | TriggerSource::Schedule | TriggerSource::Pipeline => {
            24 * 60 * 60 * 1000
        }
    }
}

impl Note {
    /// Its name, for log lines.
    pub fn name(&self) -> &'static str {
        "NoteTrigger"
    }
}
