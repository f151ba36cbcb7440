//! Names that make people look in the wrong place.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::{Place, places};
use events::ActionName;
use std::collections::BTreeMap;

pub(super) const FAMILY: Family = Family { rules: &[&REPEATED_ACTION_NAME], check };

static REPEATED_ACTION_NAME: Rule = Rule {
    id: "repeated-action-name",
    severity: Severity::Note,
    what: "the same action name in several stages",
    why: "The service asks for unique names only within a stage. Messages, dashboards and event rules that show or \
          match an action by its name alone then mean several actions.",
    mend: "Put the stage's purpose into the name: `DeployStaging`, `DeployProduction`.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    let mut by_name: BTreeMap<&ActionName, Vec<Place<'_>>> = BTreeMap::new();
    for place in places(declaration) {
        by_name.entry(&place.action.name).or_default().push(place);
    }
    for (name, holders) in by_name {
        let [first, second, ..] = &holders[..] else { continue };
        found.add(
            &REPEATED_ACTION_NAME,
            second.path(".name"),
            format!(
                "`{name}` is the name of {} actions; the first is in stage `{}`.",
                holders.len(),
                first.stage.name
            ),
        );
    }
}
