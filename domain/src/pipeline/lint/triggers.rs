//! Filters that never decide anything.

use super::{Family, Findings, Rule, Severity};
use crate::pipeline::{
    GitPatterns, GitPullRequestFilter, GitPushFilter, PipelineDeclaration, PullRequestEvent,
};

pub(super) const FAMILY: Family = Family { rules: &[&SHADOWED_TRIGGER, &TRIGGER_MATCHES_NOTHING], check };

static SHADOWED_TRIGGER: Rule = Rule {
    id: "shadowed-trigger",
    severity: Severity::Warning,
    what: "a filter whose every match another filter matches too",
    why: "Any filter of a trigger may start the pipeline. Beside a wider one the narrower does nothing, although \
          somebody believes that it keeps runs away.",
    mend: "Remove the narrower filter, or narrow the wider one.",
};

static TRIGGER_MATCHES_NOTHING: Rule = Rule {
    id: "trigger-matches-nothing",
    severity: Severity::Warning,
    what: "patterns that are all excluded again",
    why: "An exclude beats an include: such a filter never starts anything, and nothing says so.",
    mend: "Take the pattern out of `excludes`, or remove the filter.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for (index, trigger) in declaration.triggers.iter().enumerate() {
        let git = &trigger.git_configuration;
        let path = |list: &str, filter: usize| format!("triggers[{index}].gitConfiguration.{list}[{filter}]");
        check_shadows(&git.push, push_covers, |filter| path("push", filter), found);
        check_shadows(&git.pull_request, pull_request_covers, |filter| path("pullRequest", filter), found);
        for (number, filter) in git.push.iter().enumerate() {
            let parts =
                [("tags", &filter.tags), ("branches", &filter.branches), ("filePaths", &filter.file_paths)];
            check_empty(&path("push", number), &parts, found);
        }
        for (number, filter) in git.pull_request.iter().enumerate() {
            let parts = [("branches", &filter.branches), ("filePaths", &filter.file_paths)];
            check_empty(&path("pullRequest", number), &parts, found);
        }
    }
}

fn check_shadows<F>(
    filters: &[F],
    covers: fn(&F, &F) -> bool,
    path: impl Fn(usize) -> String,
    found: &mut Findings,
) {
    for (index, narrow) in filters.iter().enumerate() {
        let wider = filters.iter().enumerate().find(|(other, wide)| {
            // Of two that match the same, the first stays.
            *other != index && covers(wide, narrow) && (*other < index || !covers(narrow, wide))
        });
        if let Some((other, _)) = wider {
            found.add(
                &SHADOWED_TRIGGER,
                path(index),
                format!("all that this filter matches is matched by filter number {} too.", other + 1),
            );
        }
    }
}

fn check_empty(path: &str, parts: &[(&str, &Option<GitPatterns>)], found: &mut Findings) {
    for (member, patterns) in parts {
        let Some(patterns) = patterns else { continue };
        let excluded = |include: &String| patterns.excludes.iter().any(|exclude| is_within(include, exclude));
        if !patterns.includes.is_empty() && patterns.includes.iter().all(excluded) {
            found.add(
                &TRIGGER_MATCHES_NOTHING,
                format!("{path}.{member}"),
                format!("every pattern that `{member}` includes is excluded again."),
            );
        }
    }
}

fn push_covers(wide: &GitPushFilter, narrow: &GitPushFilter) -> bool {
    match (&wide.tags, &narrow.tags, &wide.branches, &narrow.branches) {
        (Some(wide), Some(narrow), None, None) => patterns_cover(wide, narrow),
        (None, None, Some(wide_branches), Some(narrow_branches)) => {
            patterns_cover(wide_branches, narrow_branches)
                && paths_cover(&wide.file_paths, &narrow.file_paths)
        }
        (_, _, _, _) => false,
    }
}

fn pull_request_covers(wide: &GitPullRequestFilter, narrow: &GitPullRequestFilter) -> bool {
    const ALL: &[PullRequestEvent] =
        &[PullRequestEvent::Open, PullRequestEvent::Updated, PullRequestEvent::Closed];
    let events = |filter: &GitPullRequestFilter| match filter.events.is_empty() {
        true => ALL.to_vec(),
        false => filter.events.clone(),
    };
    let wide_events = events(wide);
    let branches = match (&wide.branches, &narrow.branches) {
        (Some(wide), Some(narrow)) => patterns_cover(wide, narrow),
        (None, _) | (_, None) => false,
    };
    branches
        && events(narrow).iter().all(|event| wide_events.contains(event))
        && paths_cover(&wide.file_paths, &narrow.file_paths)
}

fn paths_cover(wide: &Option<GitPatterns>, narrow: &Option<GitPatterns>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => patterns_cover(wide, narrow),
    }
}

/// Whether whatever the narrow patterns match, the wide ones match; no means no, or not known.
fn patterns_cover(wide: &GitPatterns, narrow: &GitPatterns) -> bool {
    let excludes =
        wide.excludes.iter().all(|out| narrow.excludes.iter().any(|narrower| is_within(out, narrower)));
    let included = |pattern: &String| wide.includes.iter().any(|wider| is_within(pattern, wider));
    let includes = match (wide.includes.is_empty(), narrow.includes.is_empty()) {
        (true, _) => true,
        (false, true) => wide.includes.iter().any(|pattern| pattern == "**"),
        (false, false) => narrow.includes.iter().all(included),
    };
    excludes && includes
}

/// Whether a pattern, by its mere text, matches nothing beyond another: no means no, or not known.
fn is_within(narrow: &str, wide: &str) -> bool {
    let plain = |text: &str| !text.contains(['*', '?', '[', '{', '\\']);
    if narrow == wide || wide == "**" {
        return true;
    }
    if let Some(folder) = wide.strip_suffix("**").filter(|folder| folder.ends_with('/') && plain(folder)) {
        return narrow.starts_with(folder);
    }
    match wide.strip_suffix('*').filter(|start| plain(start)) {
        Some(start) => narrow
            .strip_prefix(start)
            .is_some_and(|rest| !rest.contains(['/', '[', '{', '\\']) && !rest.contains("**")),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_within_others_are_recognised_only_where_that_is_certain() {
        for (narrow, wide) in [
            ("main", "main"),
            ("main", "*"),
            ("feature/a", "**"),
            ("src/a/b.rs", "src/**"),
            ("release-1", "release-*"),
            ("v1.*", "v*"),
            ("src/**", "src/**"),
            ("feature/x", "feature/*"),
            ("a?", "a*"),
            ("*", "*"),
            ("[a", "[a"),
        ] {
            assert!(is_within(narrow, wide), "{narrow} in {wide}");
        }
        for (narrow, wide) in [
            ("feature/a", "*"),
            ("main", "release-*"),
            ("**", "*"),
            ("srcs/a", "src/**"),
            ("a/b/c", "a/*"),
            ("{a/b,c}", "*"),
            ("[a/]x", "*"),
            ("x", "?"),
            ("a**", "a*"),
            ("ab\\/c", "a*"),
            ("srcs", "src**"),
            ("s*/a", "s*/**"),
            ("?b", "?*"),
            ("xa", "a"),
        ] {
            assert!(!is_within(narrow, wide), "{narrow} in {wide}");
        }
    }
}
