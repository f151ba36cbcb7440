//! What runs after what: waiting without a reason, and running together where that fails.

use super::texts::words;
use super::{Family, Findings, Rule, Severity};
use crate::pipeline::validation::{Place, places};
use crate::pipeline::{ActionDeclaration, ActionGroup, PipelineDeclaration, StageDeclaration, variables};
use events::{ActionCategory, ActionOwner};
use std::collections::BTreeMap;

pub(super) const FAMILY: Family = Family { rules: &[&SAME_TARGET_IN_PARALLEL, &SERIAL_ACTIONS], check };

static SAME_TARGET_IN_PARALLEL: Rule = Rule {
    id: "same-target-in-parallel",
    severity: Severity::Error,
    what: "two deployments to the same target at the same time",
    why: "A stack, a deployment group, a service or an environment takes one deployment at a time: the second is \
          refused, and which one is second changes from run to run.",
    mend: "Give them different `runOrder`s.",
};

static SERIAL_ACTIONS: Rule = Rule {
    id: "serial-actions",
    severity: Severity::Note,
    what: "builds or tests that wait for each other without using each other's results",
    why: "The stage takes as long as all of them together, where it could take as long as the longest.",
    mend: "Give them the same `runOrder`. Keep the order if one is meant to stop the other early, or changes something \
           that the other looks at.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    check_targets(declaration, found);
    for (index, stage) in declaration.stages.iter().enumerate() {
        for pair in stage.groups().windows(2) {
            let [earlier, later] = pair else { continue };
            check_groups(stage, index, earlier, later, found);
        }
    }
}

/// One finding for each group, at the first of its actions that waits in vain.
fn check_groups(
    stage: &StageDeclaration,
    stage_index: usize,
    earlier: &ActionGroup<'_>,
    later: &ActionGroup<'_>,
    found: &mut Findings,
) {
    let waits_in_vain = |action: &ActionDeclaration| {
        action.run_order == later.run_order
            && is_quiet(action)
            && !earlier.actions.iter().any(|before| depends(action, before))
    };
    let Some(first) = stage.actions.iter().position(waits_in_vain) else { return };
    if earlier.actions.iter().all(|action| is_quiet(action)) {
        let waiting: Vec<_> = stage.actions.iter().filter(|action| waits_in_vain(action)).collect();
        let names = |actions: &[&ActionDeclaration]| {
            let quoted: Vec<_> = actions.iter().map(|action| format!("`{}`", action.name)).collect();
            quoted.join(", ")
        };
        let (wait, use_, they) =
            if waiting.len() == 1 { ("waits", "uses", "it") } else { ("wait", "use", "they") };
        found.add(
            &SERIAL_ACTIONS,
            format!("stages[{stage_index}].actions[{first}].runOrder"),
            format!(
                "{} {wait} for {} but {use_} nothing made there: {they} could run with `runOrder` {}.",
                names(&waiting),
                names(&earlier.actions),
                earlier.run_order
            ),
        );
    }
}

/// Whether an action, as far as one can tell, changes nothing that another could see: builds and tests whose names
/// do not speak of deeds.
fn is_quiet(action: &ActionDeclaration) -> bool {
    const DEEDS: &[&str] = &[
        "deploy",
        "deployment",
        "publish",
        "push",
        "upload",
        "release",
        "migrate",
        "migration",
        "migrations",
        "update",
        "create",
        "apply",
        "provision",
        "sync",
        "start",
        "stop",
        "destroy",
        "delete",
        "cleanup",
        "execute",
        "promote",
        "smoke",
        "integration",
        "e2e",
        "acceptance",
        "rollback",
        "setup",
        "teardown",
        "invalidate",
        "notify",
        "copy",
    ];
    let kind = match action.action_type_id.category {
        ActionCategory::Build | ActionCategory::Test | ActionCategory::Compute => true,
        ActionCategory::Source
        | ActionCategory::Deploy
        | ActionCategory::Invoke
        | ActionCategory::Approval => false,
    };
    let by_aws = action.action_type_id.owner == ActionOwner::AWS
        && ["CodeBuild", "Commands"].contains(&action.action_type_id.provider.as_str());
    let project = action.configuration.get("ProjectName").map_or("", String::as_str);
    let deed = |name: &str| words(name).iter().any(|word| DEEDS.contains(&word.as_str()));
    kind && by_aws && !deed(action.name.as_str()) && !deed(project)
}

/// Whether an action uses an artifact or a variable of another.
fn depends(action: &ActionDeclaration, before: &ActionDeclaration) -> bool {
    let reads = action
        .input_artifacts
        .iter()
        .any(|input| before.output_artifacts.iter().any(|output| output.name == input.name));
    let asks = |text: &str| {
        before.namespace.as_ref().is_some_and(|namespace| {
            variables::references(text).any(|reference| reference.namespace == namespace.as_str())
        })
    };
    reads
        || action.configuration.values().any(|value| asks(value))
        || action.commands.iter().any(|command| asks(command))
        || action.environment_variables.iter().any(|variable| asks(&variable.value))
}

fn check_targets(declaration: &PipelineDeclaration, found: &mut Findings) {
    let mut taken: BTreeMap<_, Place<'_>> = BTreeMap::new();
    for place in places(declaration) {
        let Some((kind, target)) = target(place.action) else { continue };
        let action = place.action;
        let key = (place.stage_index, action.run_order, kind, target, &action.role_arn, &action.region);
        match taken.get(&key) {
            // The target's name stays unsaid: a setting may hold anything.
            Some(first) => found.add(
                &SAME_TARGET_IN_PARALLEL,
                place.path(".configuration"),
                format!(
                    "`{}` and `{}` deploy to the same {kind} at the same time.",
                    first.action.name, action.name
                ),
            ),
            None => {
                taken.insert(key, place);
            }
        }
    }
}

/// What an action deploys to, where that takes one deployment at a time: what it is, and the settings that name it.
fn target(action: &ActionDeclaration) -> Option<(&'static str, Vec<&str>)> {
    let id = &action.action_type_id;
    if (id.category, id.owner) != (ActionCategory::Deploy, ActionOwner::AWS) {
        return None;
    }
    let value = |key: &str| action.configuration.get(key).map(String::as_str);
    let (kind, keys): (_, &[&str]) = match id.provider.as_str() {
        // Any number of change sets may be prepared for one stack.
        "CloudFormation" if value("ActionMode") == Some("CHANGE_SET_REPLACE") => return None,
        "CloudFormation" => ("stack", &["StackName"]),
        "CodeDeploy" | "CodeDeployToECS" => ("deployment group", &["ApplicationName", "DeploymentGroupName"]),
        "ECS" => ("service", &["ClusterName", "ServiceName"]),
        "ElasticBeanstalk" => ("environment", &["ApplicationName", "EnvironmentName"]),
        _ => return None,
    };
    Some((kind, keys.iter().map(|key| value(key)).collect::<Option<_>>()?))
}
