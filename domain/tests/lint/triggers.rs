//! Filters that never decide anything.

use crate::parts::*;
use crate::{said, said_of_any};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];

fn pulled(filters: Value) -> Value {
    let mut pipeline = triggered(json!([]));
    let git = &mut pipeline["triggers"][0]["gitConfiguration"];
    git.as_object_mut().unwrap().remove("push");
    git["pullRequest"] = filters;
    pipeline
}

fn some(includes: &[&str]) -> Value {
    json!({"includes": includes})
}

#[test]
fn the_narrower_of_two_filters_is_told_with_the_number_of_the_wider() {
    let rule = "shadowed-trigger";
    let place = |index: usize| format!("triggers[0].gitConfiguration.push[{index}]");
    let told = |index: usize, wider: usize| {
        vec![format!(
            "{}: all that this filter matches is matched by filter number {wider} too.",
            place(index)
        )]
    };
    let of = |filters: Value| said_of_any(rule, &triggered(filters));
    let branches = |patterns: Value| json!({"branches": patterns});
    let tags = |patterns: Value| json!({"tags": patterns});
    assert_eq!(of(json!([branches(some(&["main"])), branches(some(&["**"]))])), told(0, 2));
    assert_eq!(of(json!([branches(some(&["**"])), branches(some(&["main"]))])), told(1, 1));
    assert_eq!(of(json!([branches(some(&["main"])), branches(some(&["main"]))])), told(1, 1));
    assert_eq!(of(json!([tags(some(&["v1"])), tags(some(&["v*"]))])), told(0, 2));
    let three = json!([branches(some(&["a"])), branches(some(&["b"])), branches(some(&["*"]))]);
    assert_eq!(of(three), [told(0, 3), told(1, 3)].concat());
    for apart in [
        json!([branches(some(&["main"]))]),
        json!([tags(some(&["a"])), branches(some(&["a"]))]),
        json!([branches(some(&["a"])), tags(some(&["a"]))]),
        json!([branches(some(&["a", "b"])), branches(some(&["b", "c"]))]),
        json!([{"filePaths": some(&["a"])}, {"filePaths": some(&["a"])}]),
        json!([{}, {}]),
    ] {
        assert_eq!(of(apart.clone()), NONE, "{apart}");
    }
}

#[test]
fn excludes_and_paths_make_a_filter_narrower() {
    let is_shadow = |wide: Value, narrow: Value| {
        !said_of_any("shadowed-trigger", &triggered(json!([wide, narrow]))).is_empty()
    };
    let branches = |patterns: Value| json!({"branches": patterns});
    let all_but = |excludes: &[&str]| json!({"includes": ["*"], "excludes": excludes});
    for (wide, narrow, expected) in [
        (all_but(&["x"]), json!({"includes": ["a"], "excludes": ["x"]}), true),
        (all_but(&["x"]), json!({"includes": ["a"], "excludes": ["*"]}), true),
        (all_but(&["x"]), json!({"includes": ["a"], "excludes": ["y"]}), false),
        (all_but(&["x"]), json!({"includes": ["a"]}), false),
        (all_but(&["x", "y"]), json!({"includes": ["a"], "excludes": ["x"]}), false),
        (json!({"excludes": ["x"]}), json!({"includes": ["a"], "excludes": ["x"]}), true),
        (json!({"excludes": ["x"]}), json!({"excludes": ["x", "y"]}), true),
        (json!({"includes": ["**"]}), json!({"excludes": ["x"]}), true),
        (json!({"includes": ["*"]}), json!({"excludes": ["x"]}), false),
        (json!({"includes": ["a", "b*"]}), json!({"includes": ["bc", "a"]}), true),
    ] {
        assert_eq!(
            is_shadow(branches(wide.clone()), branches(narrow.clone())),
            expected,
            "{narrow} in {wide}"
        );
    }
    let on = |paths: Value| json!({"branches": some(&["main"]), "filePaths": paths});
    for (wide, narrow, expected) in [
        (on(some(&["src/**"])), on(some(&["src/a"])), true),
        (on(some(&["src/**"])), on(some(&["doc/a"])), false),
        (branches(some(&["main"])), on(some(&["doc/a"])), true),
        (on(some(&["**"])), branches(json!({"includes": ["main"], "excludes": ["x"]})), false),
        (on(some(&["src/**"])), json!({"branches": some(&["dev"]), "filePaths": some(&["src/a"])}), false),
    ] {
        assert_eq!(is_shadow(wide.clone(), narrow.clone()), expected, "{narrow} in {wide}");
    }
}

#[test]
fn filters_of_pull_requests_have_their_events() {
    let is_shadow = |wide: Value, narrow: Value| {
        let lines = said_of_any("shadowed-trigger", &pulled(json!([wide, narrow])));
        let told = "triggers[0].gitConfiguration.pullRequest[1]: all that this filter matches is matched by filter \
                    number 1 too.";
        assert!(lines.iter().all(|line| line == told), "{lines:?}");
        !lines.is_empty()
    };
    let on = |events: Value, branch: &str| json!({"events": events, "branches": some(&[branch])});
    let all = || json!(["OPEN", "UPDATED", "CLOSED"]);
    for (wide, narrow, expected) in [
        (on(json!([]), "*"), on(json!(["OPEN"]), "main"), true),
        (on(json!([]), "*"), on(json!(["CLOSED", "UPDATED"]), "main"), true),
        (on(all(), "*"), on(json!([]), "main"), true),
        (on(json!(["OPEN", "CLOSED"]), "*"), on(json!([]), "main"), false),
        (on(json!(["OPEN", "CLOSED"]), "*"), on(json!(["CLOSED"]), "main"), true),
        (on(json!(["OPEN"]), "*"), on(json!(["OPEN", "CLOSED"]), "main"), false),
        (on(json!([]), "dev"), on(json!(["OPEN"]), "main"), false),
        (json!({}), on(json!([]), "main"), false),
        (json!({"branches": some(&["*"]), "filePaths": some(&["a"])}), on(json!([]), "main"), false),
    ] {
        assert_eq!(is_shadow(wide.clone(), narrow.clone()), expected, "{narrow} in {wide}");
    }
}

#[test]
fn every_kind_of_pattern_may_be_excluded_again() {
    let rule = "trigger-matches-nothing";
    let gone = || json!({"includes": ["a/b", "a/c"], "excludes": ["a/**"]});
    let place = "triggers[0].gitConfiguration";
    for (list, member) in [
        ("push", "tags"),
        ("push", "branches"),
        ("push", "filePaths"),
        ("pullRequest", "branches"),
        ("pullRequest", "filePaths"),
    ] {
        let mut filter = json!({"branches": some(&["main"])});
        if member == "tags" {
            filter = json!({});
        }
        filter[member] = gone();
        let definition = if list == "push" { triggered(json!([filter])) } else { pulled(json!([filter])) };
        assert_eq!(
            said(rule, &definition),
            [format!(
                "{place}.{list}[0].{member}: every pattern that `{member}` includes is excluded again."
            )]
        );
    }
    for some_are_left in [
        json!({"excludes": ["**"]}),
        json!({"includes": ["a", "b"], "excludes": ["b"]}),
        json!({"includes": ["a"]}),
    ] {
        assert_eq!(said(rule, &triggered(json!([{"branches": some_are_left}]))), NONE);
    }
}
