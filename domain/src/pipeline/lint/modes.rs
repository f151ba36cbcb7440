//! What the execution mode makes of deployments.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::places;
use events::{ActionCategory, ExecutionMode};

pub(super) const FAMILY: Family = Family { rules: &[&PARALLEL_DEPLOY], check };

static PARALLEL_DEPLOY: Rule = Rule {
    id: "parallel-deploy",
    severity: Severity::Warning,
    what: "executions in PARALLEL that deploy to the same place",
    why: "In PARALLEL mode executions pass each other: an older commit that builds slowly is deployed after, and \
          over, a newer one. There is no rollback of a stage in this mode either.",
    mend: "Use `QUEUED` or `SUPERSEDED` for pipelines that deploy to one place, or put a variable of the run, such as \
           `#{Source.BranchName}`, into the target's name.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    match declaration.mode() {
        ExecutionMode::Parallel => {}
        ExecutionMode::Queued | ExecutionMode::Superseded => return,
    }
    let fixed: Vec<_> = places(declaration)
        .filter(|place| place.action.action_type_id.category == ActionCategory::Deploy)
        // A target that is named after the run is another one for each.
        .filter(|place| !place.action.configuration.values().any(|value| value.contains("#{")))
        .collect();
    let Some(first) = fixed.first() else { return };
    let others = match fixed.len() - 1 {
        0 => String::new(),
        1 => " (and one more action)".to_owned(),
        more => format!(" (and {more} more actions)"),
    };
    found.add(
        &PARALLEL_DEPLOY,
        "executionMode",
        format!(
            "executions run in PARALLEL, and `{}` in stage `{}`{others} deploys all of them to the same place.",
            first.action.name, first.stage.name
        ),
    );
}
