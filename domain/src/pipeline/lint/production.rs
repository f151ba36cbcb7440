//! What stands between a commit and production.

use super::approvals::is_approval;
use super::texts::words;
use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::{Place, moment, places};
use events::{ActionCategory, ExecutionMode};

pub(super) const FAMILY: Family = Family {
    rules: &[&PRODUCTION_WITHOUT_APPROVAL, &PRODUCTION_WITHOUT_ON_FAILURE, &DEPLOY_WITHOUT_TEST],
    check,
};

static PRODUCTION_WITHOUT_APPROVAL: Rule = Rule {
    id: "production-without-approval",
    severity: Severity::Warning,
    what: "work on production that nothing can hold up",
    why: "Every push that builds reaches production: there is no manual approval and no condition on the way, so a \
          bad change meets users first.",
    mend: "Put a manual approval in front, or a condition: `beforeEntry` on the stage (an alarm, a deployment window) \
           or `onSuccess` on an earlier one.",
};

static PRODUCTION_WITHOUT_ON_FAILURE: Rule = Rule {
    id: "production-without-on-failure",
    severity: Severity::Note,
    what: "a stage that deploys to production and has no `onFailure`",
    why: "A deployment that fails half way stays as it is until somebody looks.",
    mend: "Add `onFailure` with the result `ROLLBACK`, or `RETRY` where rolling back is not possible (PARALLEL mode); \
           this needs a pipeline of type V2.",
};

static DEPLOY_WITHOUT_TEST: Rule = Rule {
    id: "deploy-without-test",
    severity: Severity::Note,
    what: "a deployment straight from the source",
    why: "Nothing builds, tests or checks the commit before it is deployed; the deployment itself is the test.",
    mend: "Add a stage in front that runs the project's tests, with CodeBuild or Commands.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    check_approval(declaration, found);
    check_on_failure(declaration, found);
    check_tested(declaration, found);
}

fn check_approval(declaration: &PipelineDeclaration, found: &mut Findings) {
    // One is enough: what stands in front of the first stands in front of all.
    let Some(first) = places(declaration).filter(touches_production).min_by_key(moment) else { return };
    let approved = places(declaration).filter(is_approval).any(|place| moment(&place) < moment(&first));
    let gated = declaration.stages.iter().enumerate().any(|(index, stage)| {
        (index <= first.stage_index && stage.before_entry.is_some())
            || (index < first.stage_index && stage.on_success.is_some())
    });
    if !approved && !gated {
        found.add(
            &PRODUCTION_WITHOUT_APPROVAL,
            first.path(""),
            format!(
                "nothing can hold up a change before `{}` in stage `{}`.",
                first.action.name, first.stage.name
            ),
        );
    }
}

fn check_on_failure(declaration: &PipelineDeclaration, found: &mut Findings) {
    let way_out = match declaration.mode() {
        ExecutionMode::Parallel => "`RETRY`",
        ExecutionMode::Superseded | ExecutionMode::Queued => "`ROLLBACK` or `RETRY`",
    };
    for (index, stage) in declaration.stages.iter().enumerate() {
        let deploys = places(declaration).any(|place| {
            place.stage_index == index
                && touches_production(&place)
                && place.action.action_type_id.category == ActionCategory::Deploy
        });
        if deploys && stage.on_failure.is_none() {
            found.add(
                &PRODUCTION_WITHOUT_ON_FAILURE,
                format!("stages[{index}]"),
                format!(
                    "stage `{}` has no `onFailure`: {way_out} could answer a failed deployment.",
                    stage.name
                ),
            );
        }
    }
}

fn check_tested(declaration: &PipelineDeclaration, found: &mut Findings) {
    let deploy = |place: &Place<'_>| place.action.action_type_id.category == ActionCategory::Deploy;
    let Some(first) = places(declaration).filter(deploy).min_by_key(moment) else { return };
    let looks_at_it = |place: &Place<'_>| match place.action.action_type_id.category {
        ActionCategory::Build | ActionCategory::Test | ActionCategory::Compute | ActionCategory::Invoke => {
            true
        }
        ActionCategory::Source | ActionCategory::Deploy | ActionCategory::Approval => false,
    };
    if !places(declaration).any(|place| looks_at_it(&place) && moment(&place) < moment(&first)) {
        found.add(
            &DEPLOY_WITHOUT_TEST,
            first.path(""),
            format!("`{}` deploys what no earlier action has built or tested.", first.action.name),
        );
    }
}

/// Whether an action works on production, by its name or its stage's.
fn touches_production(place: &Place<'_>) -> bool {
    let (stage, action) = (place.stage.name.as_str(), place.action.name.as_str());
    match place.action.action_type_id.category {
        ActionCategory::Deploy => is_production(stage) || is_production(action),
        // Deployments are often made by builds and functions. Such a stage also holds what only prepares them.
        ActionCategory::Build | ActionCategory::Invoke | ActionCategory::Compute => {
            is_production(stage) && !prepares(stage) && !prepares(action)
        }
        ActionCategory::Source | ActionCategory::Test | ActionCategory::Approval => false,
    }
}

/// Whether a name is production's: `Prod`, `deploy-to-production`, `live`, but neither `PreProd` nor `Products`.
fn is_production(name: &str) -> bool {
    const PRODUCTION: &[&str] = &["prod", "production", "prd", "live"];
    const OTHERWISE: &[&str] = &["non", "pre", "not", "no", "before", "like"];
    let words = words(name);
    let any = |list: &[&str]| {
        words.iter().any(|word| list.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())))
    };
    any(PRODUCTION) && !any(OTHERWISE)
}

fn prepares(name: &str) -> bool {
    const PREPARES: &[&str] = &[
        "test", "tests", "synth", "plan", "validate", "check", "package", "assets", "diff", "lint", "scan",
        "notify",
    ];
    words(name).iter().any(|word| PREPARES.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_is_told_from_what_only_sounds_like_it() {
        for production in ["Prod", "PROD", "DeployToProduction", "prod-eu", "prod2", "Live", "PRD"] {
            assert!(is_production(production), "{production}");
        }
        for other in [
            "PreProd",
            "pre-production",
            "nonprod",
            "NonProd",
            "Products",
            "Reproduce",
            "Delivery",
            "Staging",
        ] {
            assert!(!is_production(other), "{other}");
        }
    }
}
