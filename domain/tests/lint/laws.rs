//! What holds for every definition: no panic, places that are there, nothing secret repeated.

use crate::parts::*;
use domain::pipeline::{lint, parse};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn rules_have_ids_of_their_own_and_say_all_they_should() {
    let mut ids = BTreeSet::new();
    for rule in lint::rules() {
        assert!(ids.insert(rule.id), "{}", rule.id);
        assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
        for sentence in [rule.why, rule.mend] {
            assert!(sentence.ends_with('.') && !sentence.contains("  "), "{}: {sentence}", rule.id);
        }
        assert_eq!(lint::rule(rule.id), Some(rule));
    }
    assert_eq!(lint::nearest_rule("poling-source"), Some("polling-source"));
    assert_eq!(lint::nearest_rule("nothing-like-it"), None);
}

/// The value at a finding's path.
fn at_path<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = json;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            value = value.get(index.parse::<usize>().ok()?)?;
            rest = after.strip_prefix('.').unwrap_or(after);
            continue;
        }
        // A key may itself hold a dot: the longest one that is there.
        let ends = rest.match_indices(['.', '[']).map(|(end, _)| end).chain([rest.len()]);
        let end = ends.filter(|end| value.get(&rest[..*end]).is_some()).max()?;
        value = value.get(&rest[..end])?;
        rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
    }
    Some(value)
}

const WORDS: &[&str] =
    &["Prod", "PreProd", "Deploy", "Compile", "A", "B", "Live-1", "Release", "Test", "Fetch"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("yes".to_owned()),
        Just("Code".to_owned()),
        Just("Code::a.yml".to_owned()),
        Just("CHANGE_SET_REPLACE".to_owned()),
        Just("CHANGE_SET_EXECUTE".to_owned()),
        Just("#{A.CommitId}".to_owned()),
        Just("#{A".to_owned()),
        Just("#{variables.V}".to_owned()),
        Just("arn:aws:s3:us-east-1:210987654321:x 123456789012".to_owned()),
        Just(r#"{"DBPassword":"correct-horse"}"#.to_owned()),
        "(?s).{1,40}",
        r#"[\[{"a:,}\]#.*0-9ü]{1,30}"#,
    ]
}

fn configuration() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "ProjectName",
        "PrimarySource",
        "EnvironmentVariables",
        "ActionMode",
        "StackName",
        "ChangeSetName",
        "ParameterOverrides",
        "PollForSourceChanges",
        "ClusterName",
        "ServiceName",
        "Variables",
        "Input",
        "a.b[0]",
        "NotificationArn",
        "OAuthToken",
        "DB_PASSWORD",
    ]);
    prop::collection::btree_map(keys, text(), 0..6).prop_map(|map| json!(map))
}

fn any_action() -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec![
        ("Source", "AWS", "S3"),
        ("Source", "ThirdParty", "GitHub"),
        ("Source", "AWS", "CodeStarSourceConnection"),
        ("Build", "AWS", "CodeBuild"),
        ("Test", "AWS", "CodeBuild"),
        ("Compute", "AWS", "Commands"),
        ("Deploy", "AWS", "CloudFormation"),
        ("Deploy", "AWS", "ECS"),
        ("Approval", "AWS", "Manual"),
        ("Invoke", "AWS", "Lambda"),
        ("Invoke", "AWS", "StepFunctions"),
        ("Build", "Custom", "Forge"),
    ]);
    let word = || prop::sample::select(WORDS);
    let artifacts = || prop::collection::vec(prop::sample::select(vec!["Code", "Built", "X"]), 0..3);
    let role = prop::option::of(prop::sample::select(vec![ROLE, "arn:aws:iam::210987654321:role/x"]));
    (kinds, word(), 1..4_u16, configuration(), artifacts(), artifacts(), role, prop::option::of(word()), text())
        .prop_map(|((category, owner, provider), name, order, configuration, inputs, outputs, role, namespace, text)| {
            let named = |names: Vec<&str>| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
            let mut action = json!({
                "name": name, "runOrder": order, "configuration": configuration,
                "actionTypeId": {"category": category, "owner": owner, "provider": provider, "version": "1"},
                "inputArtifacts": named(inputs), "outputArtifacts": named(outputs),
                "commands": [text], "outputVariables": ["N"],
                "environmentVariables": [{"name": "API_TOKEN", "value": text}],
            });
            if let Some(role) = role {
                action["roleArn"] = json!(role);
            }
            if let Some(namespace) = namespace {
                action["namespace"] = json!(namespace);
            }
            action
        })
}

fn any_pipeline() -> impl Strategy<Value = Value> {
    let stages = prop::collection::vec(
        (prop::sample::select(WORDS), prop::collection::vec(any_action(), 0..5), any::<bool>()),
        0..5,
    );
    let pattern = || prop::collection::vec("[a-c*/]{1,4}", 0..3);
    let filters = prop::collection::vec((pattern(), pattern(), prop::option::of(pattern())), 0..3);
    let mode = prop::sample::select(vec!["SUPERSEDED", "QUEUED", "PARALLEL"]);
    (stages, filters, mode, any::<bool>()).prop_map(|(stages, filters, mode, key)| {
        let stages: Vec<Value> = stages
            .into_iter()
            .map(|(name, actions, retry)| {
                let mut stage = stage(name, actions);
                if retry {
                    stage["onFailure"] = json!({"result": "RETRY"});
                }
                stage
            })
            .collect();
        let push: Vec<Value> = filters
            .into_iter()
            .map(|(includes, excludes, paths)| {
                let mut filter = json!({"branches": {"includes": includes, "excludes": excludes}});
                if let Some(paths) = paths {
                    filter["filePaths"] = json!({"includes": paths});
                }
                filter
            })
            .collect();
        let mut pipeline = pipeline(stages);
        pipeline["executionMode"] = json!(mode);
        pipeline["variables"] = json!([{"name": "V"}, {"name": "W", "defaultValue": "123456789012"}]);
        pipeline["triggers"] = json!([{
            "providerType": "CodeStarSourceConnection",
            "gitConfiguration": {"sourceActionName": "Fetch", "push": push},
        }]);
        if !key {
            pipeline["artifactStore"].as_object_mut().unwrap().remove("encryptionKey");
        }
        pipeline
    })
}

proptest! {
    #[test]
    fn every_finding_is_at_a_place_that_is_there(pipeline in any_pipeline()) {
        let findings = lint::lint(&parse(&pipeline).unwrap());
        for finding in &findings {
            prop_assert!(at_path(&pipeline, &finding.path).is_some(), "{finding:?}");
            prop_assert!(!finding.path.is_empty() && !finding.message.is_empty());
            prop_assert!(!finding.message.contains("correct-horse"), "{finding:?}");
        }
        // Asked again, the same is said.
        prop_assert_eq!(&lint::lint(&parse(&pipeline).unwrap()), &findings);
    }
}
