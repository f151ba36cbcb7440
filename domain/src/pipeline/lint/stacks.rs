//! CloudFormation: actions that lack what their mode needs, and change sets that are not there.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::validation::{Moment, Place, moment, places};
use crate::pipeline::{ActionDeclaration, PipelineDeclaration, RetryMode};

pub(super) const FAMILY: Family =
    Family { rules: &[&INCOMPLETE_STACK_ACTION, &CHANGE_SET_NOT_PREPARED, &RETRY_OF_USED_CHANGE_SET], check };

static INCOMPLETE_STACK_ACTION: Rule = Rule {
    id: "incomplete-stack-action",
    severity: Severity::Error,
    what: "a CloudFormation action without a setting its mode needs",
    why: "What is needed depends on `ActionMode`, and is looked at only when the action runs.",
    mend: "`CREATE_UPDATE` and `REPLACE_ON_FAILURE` need `TemplatePath` and `RoleArn`, `CHANGE_SET_REPLACE` also \
           `ChangeSetName`, `CHANGE_SET_EXECUTE` only `ChangeSetName`, `DELETE_ONLY` only `RoleArn`.",
};

static CHANGE_SET_NOT_PREPARED: Rule = Rule {
    id: "change-set-not-prepared",
    severity: Severity::Error,
    what: "a change set that is executed before, or while, it is made",
    why: "`CHANGE_SET_EXECUTE` then finds no change set, or the one of an earlier run. Without `runOrder` all actions \
          of a stage start together.",
    mend: "Give the action with `CHANGE_SET_REPLACE` a lower `runOrder`, and both the same `StackName` and \
           `ChangeSetName`.",
};

static RETRY_OF_USED_CHANGE_SET: Rule = Rule {
    id: "retry-of-used-change-set",
    severity: Severity::Warning,
    what: "a retry of failed actions where a change set is executed",
    why: "A change set can be executed once. Retrying only what failed executes it again, and fails again.",
    mend: "Set `retryConfiguration.retryMode` to `ALL_ACTIONS`, with the making of the change set in the same stage.",
};

const REPLACE: &str = "CHANGE_SET_REPLACE";
const EXECUTE: &str = "CHANGE_SET_EXECUTE";

/// What each mode needs.
const NEEDED: &[(&str, &[&str])] = &[
    ("CREATE_UPDATE", &["TemplatePath", "RoleArn"]),
    ("REPLACE_ON_FAILURE", &["TemplatePath", "RoleArn"]),
    (REPLACE, &["ChangeSetName", "TemplatePath", "RoleArn"]),
    (EXECUTE, &["ChangeSetName"]),
    ("DELETE_ONLY", &["RoleArn"]),
];

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for place in places(declaration).filter(|place| is_stack_action(place.action)) {
        check_settings(&place, found);
        if mode(place.action) == Some(EXECUTE) {
            check_prepared(declaration, &place, found);
        }
    }
    check_retries(declaration, found);
}

fn is_stack_action(action: &ActionDeclaration) -> bool {
    action.action_type_id.provider == "CloudFormation"
}

fn mode(action: &ActionDeclaration) -> Option<&str> {
    action.configuration.get("ActionMode").map(String::as_str)
}

fn check_settings(place: &Place<'_>, found: &mut Findings) {
    let Some(mode) = mode(place.action).filter(|mode| !mode.contains("#{")) else { return };
    let name = &place.action.name;
    let Some((_, needed)) = NEEDED.iter().find(|(known, _)| *known == mode) else {
        let known: Vec<_> = NEEDED.iter().map(|(known, _)| *known).collect();
        found.add(
            &INCOMPLETE_STACK_ACTION,
            place.path(".configuration.ActionMode"),
            format!("`{name}` has an `ActionMode` that does not exist; there are `{}`.", known.join("`, `")),
        );
        return;
    };
    for key in needed.iter().filter(|key| !place.action.configuration.contains_key(**key)) {
        found.add(
            &INCOMPLETE_STACK_ACTION,
            place.path(".configuration"),
            format!("`{name}` has the mode `{mode}`, which needs `{key}`."),
        );
    }
}

/// Stack, Region and role: what together names one stack.
fn stack(action: &ActionDeclaration) -> (Option<&String>, Option<&String>) {
    (action.configuration.get("StackName"), action.region.as_ref())
}

/// Actions that make change sets for the stack of another action, with when they do.
fn makers<'a>(
    declaration: &'a PipelineDeclaration,
    of: &'a ActionDeclaration,
) -> impl Iterator<Item = (Moment, Place<'a>)> {
    places(declaration)
        .filter(move |place| {
            is_stack_action(place.action)
                && mode(place.action) == Some(REPLACE)
                && stack(place.action) == stack(of)
        })
        .map(|place| (moment(&place), place))
}

fn check_prepared(declaration: &PipelineDeclaration, place: &Place<'_>, found: &mut Findings) {
    let name = |action: &ActionDeclaration| action.configuration.get("ChangeSetName").cloned();
    let wanted = name(place.action);
    let mut makers = makers(declaration, place.action).peekable();
    // Made by nobody here: by a build, perhaps.
    if wanted.is_none() || makers.peek().is_none() {
        return;
    }
    let makers: Vec<_> = makers.collect();
    let (same, other): (Vec<_>, Vec<_>) = makers.iter().partition(|(_, maker)| name(maker.action) == wanted);
    let message = match (same.iter().any(|(made, _)| *made < moment(place)), same.first(), other.first()) {
        (true, _, _) => return,
        (false, Some((made, maker)), _) => {
            let when = if *made == moment(place) { "starts together with" } else { "runs before" };
            format!("`{}` {when} `{}`, which makes its change set.", place.action.name, maker.action.name)
        }
        (false, None, Some((_, maker))) => format!(
            "`{}` executes another change set than `{}` makes for the same stack.",
            place.action.name, maker.action.name
        ),
        (false, None, None) => return,
    };
    found.add(&CHANGE_SET_NOT_PREPARED, place.path(".configuration.ChangeSetName"), message);
}

fn check_retries(declaration: &PipelineDeclaration, found: &mut Findings) {
    for (index, stage) in declaration.stages.iter().enumerate() {
        let retry = stage.on_failure.as_ref().and_then(|gate| gate.retry_mode());
        if retry != Some(RetryMode::FailedActions) {
            continue;
        }
        let executes =
            stage.actions.iter().find(|action| is_stack_action(action) && mode(action) == Some(EXECUTE));
        if let Some(action) = executes {
            found.add(
                &RETRY_OF_USED_CHANGE_SET,
                format!("stages[{index}].onFailure"),
                format!("when `{}` fails, its change set is executed a second time.", action.name),
            );
        }
    }
}
