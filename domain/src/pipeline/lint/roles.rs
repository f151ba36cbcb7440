//! Roles of actions: those nobody takes on, and those that separate nothing.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::{Place, places};
use events::{ActionCategory, ActionOwner};

pub(super) const FAMILY: Family =
    Family { rules: &[&UNUSED_ROLE, &REDUNDANT_ROLE, &ONE_ROLE_FOR_ALL], check };

static UNUSED_ROLE: Rule = Rule {
    id: "unused-role",
    severity: Severity::Note,
    what: "a `roleArn` on an action that never uses one",
    why: "A manual approval that notifies no topic does nothing in anybody's name, and actions of other makers bring \
          their own rights. The role only has to be kept and reviewed.",
    mend: "Leave `roleArn` out, and delete the role if nothing else uses it.",
};

static REDUNDANT_ROLE: Rule = Rule {
    id: "redundant-role",
    severity: Severity::Note,
    what: "an action whose `roleArn` is the pipeline's own",
    why: "That is what an action without `roleArn` uses anyway; written down, the role must also be allowed to assume \
          itself.",
    mend: "Leave the action's `roleArn` out, or give it a role that may do only what this action needs.",
};

static ONE_ROLE_FOR_ALL: Rule = Rule {
    id: "one-role-for-all",
    severity: Severity::Note,
    what: "one and the same role on every action",
    why: "Roles for actions exist so that the build cannot deploy and the staging deployment cannot touch production. \
          One role for all may do everything from everywhere.",
    mend: "Give builds, each environment's deployments and sources a role of their own, or leave them all to the \
           pipeline's role.",
};

/// Fewer actions than this that share a role are no sign of carelessness.
const SHARING_ACTIONS_MIN: usize = 3;

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for place in places(declaration) {
        let Some(role) = &place.action.role_arn else { continue };
        let name = &place.action.name;
        if let Some(reason) = useless(&place) {
            found.add(&UNUSED_ROLE, place.path(".roleArn"), format!("`{name}` has a role, but {reason}."));
        } else if *role == declaration.role_arn {
            found.add(
                &REDUNDANT_ROLE,
                place.path(".roleArn"),
                format!("`{name}` names the pipeline's own role."),
            );
        }
    }
    check_shared(declaration, found);
}

fn useless(place: &Place<'_>) -> Option<&'static str> {
    let id = &place.action.action_type_id;
    let notifies = place.action.configuration.contains_key("NotificationArn");
    match (id.category, id.owner) {
        (ActionCategory::Approval, ActionOwner::AWS) if !notifies => {
            Some("an approval that notifies nobody uses none")
        }
        (_, ActionOwner::ThirdParty | ActionOwner::Custom) => Some("only actions of AWS use one"),
        (_, ActionOwner::AWS) => None,
    }
}

fn check_shared(declaration: &PipelineDeclaration, found: &mut Findings) {
    let users: Vec<_> = places(declaration).filter(|place| acts_in_a_role(place)).collect();
    let Some(first) = users.first() else { return };
    let Some(role) = &first.action.role_arn else { return };
    let same = users.iter().all(|place| place.action.role_arn.as_ref() == Some(role));
    if users.len() >= SHARING_ACTIONS_MIN && same && *role != declaration.role_arn {
        found.add(
            &ONE_ROLE_FOR_ALL,
            first.path(".roleArn"),
            format!("all {} actions that use a role use this one.", users.len()),
        );
    }
}

/// Whether an action does something in a role's name.
fn acts_in_a_role(place: &Place<'_>) -> bool {
    let id = &place.action.action_type_id;
    id.owner == ActionOwner::AWS && id.category != ActionCategory::Approval
}
