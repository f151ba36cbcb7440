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

#[cfg(test)]
mod tests {
    use super::*;
    use events::Newer;

    #[test]
    fn a_pipeline_is_governed_by_what_is_laid_down_for_all_and_by_its_own_gates() {
        let [shop, bank] = ["shop", "bank"].map(|name| PipelineName::parse(name).unwrap());
        let gate = GatePolicy { newer: Newer::Newest, older: None };
        let own = BTreeMap::from([(StageName::parse("Prod").unwrap(), gate)]);
        let gates = BTreeMap::from([(shop.clone(), own.clone())]);
        let exact = Policies { compatibility: Compatibility::Exact, gates };
        assert_eq!(*exact.of(&bank), EXACT);
        assert!(
            matches!(exact.of(&bank), Cow::Borrowed(_)),
            "nothing is made for those that nothing governs"
        );
        assert_eq!(
            exact.of(&shop).into_owned(),
            Policy { compatibility: Compatibility::Exact, gates: own.clone() }
        );
        let extended = Policies { compatibility: Compatibility::Extended, ..exact };
        let policy = |gates| Policy { compatibility: Compatibility::Extended, gates };
        assert_eq!(extended.of(&bank).into_owned(), policy(BTreeMap::new()));
        assert_eq!(extended.of(&shop).into_owned(), policy(own));
    }
}
