//! Manual approvals: how long they hold up the work, and whether they hold up anything.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::{Place, places};
use events::{ActionCategory, ExecutionMode};

pub(super) const FAMILY: Family = Family {
    rules: &[&APPROVAL_BESIDE_WORK, &APPROVAL_HOLDS_STAGE, &QUEUE_BEHIND_APPROVAL, &APPROVAL_WITHOUT_TIMEOUT],
    check,
};

static APPROVAL_BESIDE_WORK: Rule = Rule {
    id: "approval-beside-work",
    severity: Severity::Warning,
    what: "an approval with the `runOrder` of other actions",
    why: "Actions with the same `runOrder` start together: the work is done before anybody has said yes, and a no \
          comes too late.",
    mend: "Give the approval a lower `runOrder` than the actions it guards, or a stage of its own in front of theirs.",
};

static APPROVAL_HOLDS_STAGE: Rule = Rule {
    id: "approval-holds-stage",
    severity: Severity::Warning,
    what: "an approval at the end of a stage that deploys",
    why: "The stage is taken until the answer comes. Nothing newer can be deployed to this environment meanwhile, not \
          even the repair of what is being looked at.",
    mend: "Move the approval to the beginning of the next stage, or into a stage of its own.",
};

static QUEUE_BEHIND_APPROVAL: Rule = Rule {
    id: "queue-behind-approval",
    severity: Severity::Warning,
    what: "an approval without `timeoutInMinutes` in a QUEUED pipeline",
    why: "In QUEUED mode no execution overtakes another: one unanswered question stops all that come after it, for \
          up to 7 days.",
    mend: "Set `timeoutInMinutes` to the time within which somebody answers.",
};

static APPROVAL_WITHOUT_TIMEOUT: Rule = Rule {
    id: "approval-without-timeout",
    severity: Severity::Note,
    what: "an approval without `timeoutInMinutes`",
    why: "It waits for 7 days, holds its stage all that time, and may then be given for a commit that nobody \
          remembers.",
    mend: "Set `timeoutInMinutes` (5 to 86400) to the time within which an answer still makes sense.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for place in places(declaration).filter(is_approval) {
        check_place(&place, found);
        check_timeout(declaration, &place, found);
    }
}

pub(super) fn is_approval(place: &Place<'_>) -> bool {
    place.action.action_type_id.category == ActionCategory::Approval
}

fn check_place(place: &Place<'_>, found: &mut Findings) {
    let order = place.action.run_order;
    let works = |category: ActionCategory| match category {
        ActionCategory::Build | ActionCategory::Deploy | ActionCategory::Invoke | ActionCategory::Compute => {
            true
        }
        // Tests beside an approval give the one who decides something to look at.
        ActionCategory::Source | ActionCategory::Test | ActionCategory::Approval => false,
    };
    let stage = place.stage;
    let beside = stage
        .actions
        .iter()
        .find(|action| action.run_order == order && works(action.action_type_id.category));
    if let Some(beside) = beside {
        let member = if order.get() == 1 { "" } else { ".runOrder" };
        found.add(
            &APPROVAL_BESIDE_WORK,
            place.path(member),
            format!("`{}` starts together with `{}`, and does not guard it.", place.action.name, beside.name),
        );
        return;
    }
    let last = stage.actions.iter().all(|action| action.run_order <= order);
    let deployed = stage
        .actions
        .iter()
        .filter(|action| action.run_order < order && action.action_type_id.category == ActionCategory::Deploy)
        .max_by_key(|action| action.run_order);
    if let (true, Some(deployed)) = (last, deployed) {
        found.add(
            &APPROVAL_HOLDS_STAGE,
            place.path(""),
            format!(
                "stage `{}` stays taken after `{}` until `{}` is answered.",
                stage.name, deployed.name, place.action.name
            ),
        );
    }
}

fn check_timeout(declaration: &PipelineDeclaration, place: &Place<'_>, found: &mut Findings) {
    if place.action.timeout_in_minutes.is_some() {
        return;
    }
    let name = &place.action.name;
    match declaration.mode() {
        ExecutionMode::Queued => found.add(
            &QUEUE_BEHIND_APPROVAL,
            place.path(""),
            format!("all executions queue behind `{name}` for up to 7 days."),
        ),
        ExecutionMode::Superseded | ExecutionMode::Parallel => found.add(
            &APPROVAL_WITHOUT_TIMEOUT,
            place.path(""),
            format!("`{name}` waits up to 7 days for an answer."),
        ),
    }
}
