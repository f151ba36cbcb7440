//! Rules about triggers and pipeline variables.

use super::Setting;
use crate::pipeline::DefinitionErrorCode::{InvalidStructureException, ValidationException};
use crate::pipeline::{
    ActionDeclaration, DefinitionError, GitConfiguration, GitPatterns, GitPullRequestFilter, GitPushFilter,
    PipelineDeclaration, Trigger,
};
use crate::trigger::Glob;
use events::ActionCategory;
use std::collections::BTreeSet;

/// The only provider whose events triggers filter.
const CONNECTION: &str = "CodeStarSourceConnection";

pub(super) fn check(declaration: &PipelineDeclaration, _: &Setting<'_>, found: &mut Vec<DefinitionError>) {
    let mut served = BTreeSet::new();
    for (index, trigger) in declaration.triggers.iter().enumerate() {
        check_source(declaration, trigger, index, found);
        let source = &trigger.git_configuration.source_action_name;
        if !served.insert(source) {
            found.push(
                DefinitionError::new(
                    InvalidStructureException,
                    format!("triggers[{index}].gitConfiguration.sourceActionName"),
                    format!("Only one trigger can be used for a source action. {source} has more than one."),
                )
                .hint("put all filters of a source action into one trigger"),
            );
        }
        check_filters(trigger, index, found);
    }
    let mut names = BTreeSet::new();
    for (index, variable) in declaration.variables.iter().enumerate() {
        if !names.insert(&variable.name) {
            found.push(DefinitionError::new(
                InvalidStructureException,
                format!("variables[{index}].name"),
                format!(
                    "Variable names must be unique. The following variable name is already in use: {}",
                    variable.name
                ),
            ));
        }
    }
}

fn check_source(
    declaration: &PipelineDeclaration,
    trigger: &Trigger,
    index: usize,
    found: &mut Vec<DefinitionError>,
) {
    let is_connection = |action: &ActionDeclaration| {
        action.action_type_id.category == ActionCategory::Source
            && action.action_type_id.provider == CONNECTION
    };
    let name = &trigger.git_configuration.source_action_name;
    let mut sources = declaration.actions().map(|(_, action)| action);
    if !sources.any(|action| action.name == *name && is_connection(action)) {
        found.push(
            DefinitionError::new(
                InvalidStructureException,
                format!("triggers[{index}].gitConfiguration.sourceActionName"),
                "Triggers for connections must reference a CodeStarSourceConnection action.",
            )
            .hint(format!("`{name}` is no source action with the provider `{CONNECTION}`")),
        );
    }
}

fn check_filters(trigger: &Trigger, index: usize, found: &mut Vec<DefinitionError>) {
    let git = &trigger.git_configuration;
    let path = |member: String| format!("triggers[{index}].gitConfiguration.{member}");
    for (member, patterns) in criteria(git) {
        let lists = [("includes", &patterns.includes), ("excludes", &patterns.excludes)];
        for (list, pattern) in
            lists.into_iter().flat_map(|(list, all)| all.iter().map(move |one| (list, one)))
        {
            if let Err(error) = Glob::parse(pattern) {
                found.push(DefinitionError::new(
                    ValidationException,
                    path(format!("{member}.{list}")),
                    format!("The glob pattern '{pattern}' is not valid: {error}."),
                ));
            }
        }
    }
    for (filter_index, filter) in git.push.iter().enumerate() {
        if let Some(message) = push_problem(filter) {
            found.push(
                DefinitionError::new(ValidationException, path(format!("push[{filter_index}]")), message)
                    .hint("a push filter has `tags`, or `branches`, or `branches` and `filePaths`"),
            );
        }
    }
    for (filter_index, filter) in git.pull_request.iter().enumerate() {
        if let Some(message) = pull_request_problem(filter) {
            found.push(
                DefinitionError::new(
                    ValidationException,
                    path(format!("pullRequest[{filter_index}]")),
                    message,
                )
                .hint("a pull request filter has `branches`, or `branches` and `filePaths`"),
            );
        }
    }
}

/// Every pattern of a trigger, with where it stands.
fn criteria(git: &GitConfiguration) -> Vec<(String, &GitPatterns)> {
    let mut all = Vec::new();
    for (index, filter) in git.push.iter().enumerate() {
        all.push((format!("push[{index}].tags"), &filter.tags));
        all.push((format!("push[{index}].branches"), &filter.branches));
        all.push((format!("push[{index}].filePaths"), &filter.file_paths));
    }
    for (index, filter) in git.pull_request.iter().enumerate() {
        all.push((format!("pullRequest[{index}].branches"), &filter.branches));
        all.push((format!("pullRequest[{index}].filePaths"), &filter.file_paths));
    }
    all.into_iter().filter_map(|(place, patterns)| Some((place, patterns.as_ref()?))).collect()
}

fn push_problem(filter: &GitPushFilter) -> Option<&'static str> {
    if [&filter.tags, &filter.branches, &filter.file_paths].into_iter().flatten().any(is_empty) {
        return Some("Each criteria of a push filter must have at least one include or exclude pattern.");
    }
    match (&filter.tags, &filter.branches, &filter.file_paths) {
        (Some(_), None, None) | (None, Some(_), _) => None,
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) => {
            Some("A push filter with tags cannot have branches or file paths.")
        }
        (None, None, Some(_)) => Some("A push filter with file paths must have branches."),
        (None, None, None) => Some("A push filter must have tags or branches."),
    }
}

fn pull_request_problem(filter: &GitPullRequestFilter) -> Option<&'static str> {
    if [&filter.branches, &filter.file_paths].into_iter().flatten().any(is_empty) {
        return Some(
            "Each criteria of a pull request filter must have at least one include or exclude pattern.",
        );
    }
    filter.branches.is_none().then_some("A pull request filter must have branches.")
}

fn is_empty(patterns: &GitPatterns) -> bool {
    patterns.includes.is_empty() && patterns.excludes.is_empty()
}
