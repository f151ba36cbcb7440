//! Where executions come from: polling, and action types whose time is over.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use crate::pipeline::validation::places;
use events::{ActionCategory, ActionOwner, ActionTypeId};

pub(super) const FAMILY: Family = Family { rules: &[&POLLING_SOURCE, &DEPRECATED_ACTION_TYPE], check };

static POLLING_SOURCE: Rule = Rule {
    id: "polling-source",
    severity: Severity::Warning,
    what: "a source that is asked for changes again and again",
    why: "Polling starts a run minutes after the push instead of seconds, an account has a fixed number of polling \
          pipelines, and CodePipeline stops polling for a pipeline that was idle for 30 days. It is the default \
          wherever the setting is left out.",
    mend: "Set `PollForSourceChanges` to `\"false\"` and let an EventBridge rule on the repository or bucket start \
           the pipeline.",
};

static DEPRECATED_ACTION_TYPE: Rule = Rule {
    id: "deprecated-action-type",
    severity: Severity::Warning,
    what: "an action type whose time is over",
    why: "It still parses, but the service behind it is retired, or its maker advises against it; new features do \
          not come to it.",
    mend: "GitHub (version 1): use `CodeStarSourceConnection` with a connection. OpsWorks: deploy with `CodeDeploy` \
           or `EC2`.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for place in places(declaration) {
        let action = place.action;
        let name = &action.name;
        if let Some(reason) = deprecated(&action.action_type_id) {
            found.add(&DEPRECATED_ACTION_TYPE, place.path(".actionTypeId"), format!("`{name}` {reason}"));
            continue;
        }
        if !polls_by_default(&action.action_type_id) {
            continue;
        }
        match action.configuration.get("PollForSourceChanges") {
            Some(value) if value.eq_ignore_ascii_case("false") || value.contains("#{") => {}
            Some(_) => found.add(
                &POLLING_SOURCE,
                place.path(".configuration.PollForSourceChanges"),
                format!("`{name}` polls its source for changes."),
            ),
            None => found.add(
                &POLLING_SOURCE,
                place.path(".configuration"),
                format!("`{name}` does not set `PollForSourceChanges`, so it polls its source for changes."),
            ),
        }
    }
}

fn deprecated(id: &ActionTypeId) -> Option<&'static str> {
    match (id.category, id.owner, id.provider.as_str()) {
        (ActionCategory::Source, ActionOwner::ThirdParty, "GitHub") => Some(
            "takes its source by GitHub's version 1 action, with one person's OAuth token, and polls or needs a webhook.",
        ),
        (ActionCategory::Deploy, ActionOwner::AWS, "OpsWorks") => {
            Some("deploys with OpsWorks, which AWS has shut down: the action cannot succeed.")
        }
        (_, _, _) => None,
    }
}

fn polls_by_default(id: &ActionTypeId) -> bool {
    id.category == ActionCategory::Source
        && id.owner == ActionOwner::AWS
        && ["S3", "CodeCommit"].contains(&id.provider.as_str())
}

/// Whether pushes start executions of this pipeline without anybody's doing, as far as its definition tells.
pub(super) fn starts_by_itself(declaration: &PipelineDeclaration) -> bool {
    let off = |value: Option<&String>| value.is_some_and(|value| value.eq_ignore_ascii_case("false"));
    !declaration.triggers.is_empty()
        || places(declaration).any(|place| {
            let id = &place.action.action_type_id;
            let configuration = &place.action.configuration;
            match (id.category, id.provider.as_str()) {
                (ActionCategory::Source, "S3" | "CodeCommit" | "GitHub") => {
                    !off(configuration.get("PollForSourceChanges"))
                }
                (ActionCategory::Source, "CodeStarSourceConnection") => {
                    !off(configuration.get("DetectChanges"))
                }
                (_, _) => false,
            }
        })
}
