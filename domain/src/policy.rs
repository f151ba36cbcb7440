//! What an installation lays down for its pipelines. A run records its share when it starts, and from then on
//! nothing is looked up here again.

use events::{Compatibility, EXACT, GatePolicy, PipelineName, Policy, StageName};
use std::{borrow::Cow, collections::BTreeMap};

/// Gates that can be laid down: as many as there are stages in ten of the largest pipelines.
pub const GATES_MAX: usize = 500;

/// The policies of every pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// How closely the service's own limits are kept, by every pipeline.
    pub compatibility: Compatibility,
    /// Gates by pipeline.
    pub gates: BTreeMap<PipelineName, BTreeMap<StageName, GatePolicy>>,
}

impl Policies {
    /// What governs runs of a pipeline that start now.
    pub fn of(&self, pipeline: &PipelineName) -> Cow<'static, Policy> {
        match (self.compatibility, self.gates.get(pipeline)) {
            (Compatibility::Exact, None) => Cow::Borrowed(&EXACT),
            (compatibility, gates) => {
                Cow::Owned(Policy { compatibility, gates: gates.cloned().unwrap_or_default() })
            }
        }
    }
}
