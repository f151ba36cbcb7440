//! Where in a template each part of an evaluated value came from.
//!
//! Values stand where their expressions stood, with two exceptions: `Fn::If` puts a branch in its own place, and
//! `AWS::NoValue` closes the gap in a list. Only those are written down.

use std::collections::BTreeMap;

/// Maps a place in an evaluated value to its place in the template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// From the place an entry of a list has now to the one it had.
    moved: BTreeMap<String, String>,
    /// From an `Fn::If` to the branch that was taken.
    chosen: BTreeMap<String, String>,
}

impl Origins {
    pub(crate) fn moved(&mut self, list: &str, now: usize, before: usize) {
        self.moved.insert(format!("{list}[{now}]"), format!("{list}[{before}]"));
    }

    pub(crate) fn chosen(&mut self, place: String, branch: String) {
        self.chosen.insert(place, branch);
    }

    /// The place in the template of `path`, which lies in the value evaluated from `root`.
    pub fn source_of(&self, root: &str, path: &str) -> String {
        let mut place = self.settle(root.to_owned());
        for step in steps(path) {
            if !step.starts_with('[') {
                place.push('.');
            }
            place.push_str(step);
            place = self.settle(place);
        }
        place
    }

    fn settle(&self, place: String) -> String {
        let mut place = self.moved.get(&place).cloned().unwrap_or(place);
        // A branch may be an `Fn::If` itself.
        while let Some(branch) = self.chosen.get(&place) {
            place = branch.clone();
        }
        place
    }
}

/// `a.b[0].c` as `a`, `b`, `[0]`, `c`.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').flat_map(|part| {
        let (name, rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        let indices = rest.split_inclusive(']');
        std::iter::once(name).chain(indices).filter(|step| !step.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_entries_and_chosen_branches_are_followed() {
        let mut origins = Origins::default();
        origins.moved("P.Stages", 1, 2);
        origins.chosen("P.Stages[2]".into(), "P.Stages[2].Fn::If[1]".into());
        let source = |path: &str| origins.source_of("P", path);
        assert_eq!(source("Stages[0].Name"), "P.Stages[0].Name");
        assert_eq!(source("Stages[1].Name"), "P.Stages[2].Fn::If[1].Name");
        assert_eq!(source("Stages[1].Lists[0][3]"), "P.Stages[2].Fn::If[1].Lists[0][3]");
        origins.chosen("P.Stages[2].Fn::If[1]".into(), "P.Stages[2].Fn::If[1].Fn::If[2]".into());
        let source = |path: &str| origins.source_of("P", path);
        assert_eq!(source("Stages[1]"), "P.Stages[2].Fn::If[1].Fn::If[2]", "a branch may be a choice itself");
        assert_eq!(source(""), "P");
        origins.chosen("P".into(), "P.Fn::If[1]".into());
        assert_eq!(origins.source_of("P", "Name"), "P.Fn::If[1].Name");
    }
}
