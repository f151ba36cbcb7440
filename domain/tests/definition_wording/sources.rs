//! Where executions begin: the first stage, what its actions publish and make, and the triggers of connections.

use crate::{
    ActionError, MemberError, StructureError, accept, compile, expect, plain, refusal, registry, violations,
};
use domain::pipeline::{PipelineType, normalize, parse};
use events::PipelineVersion;
use serde_json::{Value, json};

fn trigger(json: &mut Value, member: &str, filter: Value) {
    json["triggers"] = json!([{"providerType": "CodeStarSourceConnection",
        "gitConfiguration": {"sourceActionName": "Fetch", member: [filter]}}]);
}

#[test]
fn sources_stand_in_the_first_stage_and_nothing_else_does() {
    accept(&[
        ("two stages", |json| json["stages"].as_array_mut().unwrap().truncate(2)),
        ("50 stages", |json| {
            let stages = json["stages"].as_array_mut().unwrap();
            for number in stages.len()..50 {
                let mut stage = stages[2].clone();
                stage["name"] = json!(format!("S{number}"));
                stages.push(stage);
            }
        }),
    ]);
    let words = "Pipeline should start with a stage that only contains source actions";
    expect(&[
        (
            "an approval beside the source",
            |json| {
                let approval = json["stages"][2]["actions"][0].clone();
                json["stages"][0]["actions"].as_array_mut().unwrap().push(approval);
            },
            StructureError,
            "stages[0].actions[1]",
            words,
        ),
        (
            "nothing in the first stage",
            |json| json["stages"][0]["actions"] = json!([]),
            StructureError,
            "stages[0]",
            words,
        ),
    ]);
}

#[test]
fn an_artifact_is_made_in_an_earlier_stage_or_group() {
    fn second(json: &mut Value, order: u16) {
        let mut second = compile(json).clone();
        second["name"] = json!("Check");
        second["namespace"] = Value::Null;
        second["inputArtifacts"] = json!([{"name": "Built"}]);
        second["outputArtifacts"] = json!([]);
        second["runOrder"] = json!(order);
        second["configuration"]["BuildspecOverride"] = json!("#{Bld.key}");
        json["stages"][1]["actions"].as_array_mut().unwrap().push(second);
    }
    accept(&[("later in the stage", |json| second(json, 2))]);
    let found = violations(|json| second(json, 1));
    let said: Vec<_> = found.iter().map(|error| (error.code, &*error.path, error.hint.as_deref())).collect();
    assert_eq!(
        said,
        [
            (
                ActionError,
                "stages[1].actions[1].inputArtifacts[0]",
                Some(
                    "the action that makes `Built` does not run before this one: raise `runOrder`, or move the action \
                     to a later stage"
                )
            ),
            (
                ActionError,
                "stages[1].actions[1].configuration.BuildspecOverride",
                Some("let the action with the namespace `Bld` run in an earlier stage or group")
            ),
        ]
    );
}

#[test]
fn references_are_checked_wherever_they_may_stand() {
    accept(&[
        ("declared and published ones", |json| {
            json["variables"] = json!([{"name": "x"}]);
            compile(json)["configuration"]["ProjectName"] =
                json!("#{variables.x} #{Src.CommitId} #{codepipeline.PipelineExecutionId}");
        }),
        ("the execution's own id in a source", |json| {
            json["stages"][0]["actions"][0]["configuration"]["BranchName"] =
                json!("#{codepipeline.PipelineExecutionId}");
        }),
        ("one that is never closed", |json| {
            compile(json)["configuration"]["ProjectName"] = json!("#{Nobody.x")
        }),
    ]);
    let missing = |key: &str, reference: &str| {
        format!(
            "Valid format for a pipeline execution variable reference is a namespace and a key separated by a period \
             (.). The following pipeline execution variables are referencing a namespace that does not \
             exist.\nStageName=[Build], ActionName=[Compile], ActionConfigurationKey=[{key}], \
             VariableReferenceText=[{reference}]"
        )
    };
    let found = violations(|json| {
        crate::commands(json, &["true", "echo #{Nobody.a}"]);
        compile(json)["environmentVariables"] =
            json!([{"name": "A", "value": "x"}, {"name": "B", "value": "#{Nobody.b}"}]);
    });
    let said: Vec<_> = found.into_iter().map(|error| (error.path, error.message)).collect();
    assert_eq!(
        said,
        [
            ("stages[1].actions[0].commands[1]".to_owned(), missing("commands", "Nobody.a")),
            ("stages[1].actions[0].environmentVariables[1].value".to_owned(), missing("B", "Nobody.b")),
        ]
    );
}

#[test]
fn a_trigger_needs_a_connection_of_its_name() {
    let error = violations(|json| {
        trigger(json, "push", json!({"branches": {"includes": ["a"]}}));
        let source = &mut json["stages"][0]["actions"][0];
        source["actionTypeId"]["provider"] = json!("S3");
        source["configuration"] = json!({"S3Bucket": "b", "S3ObjectKey": "k"});
    });
    let said: Vec<_> =
        error.iter().map(|error| (&*error.path, &*error.message, error.hint.as_deref())).collect();
    let place = "triggers[0].gitConfiguration.sourceActionName";
    let words = "Triggers for connections must reference a CodeStarSourceConnection action.";
    let hint = "`Fetch` is no source action with the provider `CodeStarSourceConnection`";
    assert_eq!(said, [(place, words, Some(hint))]);
    // By its provider alone an action is no source.
    let found = violations(|json| {
        compile(json)["actionTypeId"]["provider"] = json!("CodeStarSourceConnection");
        json["triggers"] = json!([{"providerType": "CodeStarSourceConnection",
            "gitConfiguration": {"sourceActionName": "Compile"}}]);
    });
    assert!(found.iter().any(|error| error.path == place && error.message == words), "{found:?}");
}

#[test]
fn filters_hold_what_belongs_together() {
    let some = || json!({"includes": ["a"]});
    let of = |member: &str, filter: Value| {
        let mut json = plain();
        trigger(&mut json, member, filter);
        refusal(&json)
    };
    for (member, filter) in [
        ("push", json!({"tags": some()})),
        ("push", json!({"branches": some()})),
        ("push", json!({"branches": {"excludes": ["a"]}})),
        ("push", json!({"branches": some(), "filePaths": some()})),
        ("pullRequest", json!({"branches": some()})),
        ("pullRequest", json!({"events": ["OPEN"], "branches": {"excludes": ["a"]}, "filePaths": some()})),
    ] {
        assert_eq!(of(member, filter.clone()), None, "{filter}");
    }
    let (push, pull) = ("push filter", "pull request filter");
    for (member, filter, words) in [
        (
            "push",
            json!({"tags": some(), "branches": some()}),
            "A push filter with tags cannot have branches or file paths.",
        ),
        (
            "push",
            json!({"tags": some(), "filePaths": some()}),
            "A push filter with tags cannot have branches or file paths.",
        ),
        (
            "push",
            json!({"tags": some(), "branches": some(), "filePaths": some()}),
            "A push filter with tags cannot have branches or file paths.",
        ),
        ("push", json!({"filePaths": some()}), "A push filter with file paths must have branches."),
        ("push", json!({}), "A push filter must have tags or branches."),
        (
            "push",
            json!({"tags": {}}),
            "Each criteria of a push filter must have at least one include or exclude pattern.",
        ),
        (
            "push",
            json!({"branches": some(), "filePaths": {}}),
            "Each criteria of a push filter must have at least one include or exclude pattern.",
        ),
        ("pullRequest", json!({}), "A pull request filter must have branches."),
        ("pullRequest", json!({"filePaths": some()}), "A pull request filter must have branches."),
        (
            "pullRequest",
            json!({"branches": {}}),
            "Each criteria of a pull request filter must have at least one include or exclude pattern.",
        ),
    ] {
        let error = of(member, filter.clone()).unwrap();
        let place = format!("triggers[0].gitConfiguration.{member}[0]");
        assert_eq!((error.code, error.path, &*error.message), (MemberError, place, words), "{filter}");
        let hint = match member {
            "push" => format!("a {push} has `tags`, or `branches`, or `branches` and `filePaths`"),
            _ => format!("a {pull} has `branches`, or `branches` and `filePaths`"),
        };
        assert_eq!(error.hint, Some(hint));
    }
}

#[test]
fn every_pattern_of_a_trigger_is_read() {
    for (member, criterion, list) in [
        ("push", "tags", "includes"),
        ("push", "branches", "excludes"),
        ("push", "filePaths", "includes"),
        ("pullRequest", "branches", "includes"),
        ("pullRequest", "filePaths", "excludes"),
    ] {
        let found = violations(|json| {
            trigger(json, member, json!({"branches": {"includes": ["a"]}}));
            let filter = &mut json["triggers"][0]["gitConfiguration"][member][0];
            filter[criterion] = json!({list: ["a", "a[b"]});
        });
        let place = format!("triggers[0].gitConfiguration.{member}[0].{criterion}.{list}");
        let error = found.iter().find(|error| error.path == place).unwrap();
        assert!(error.message.starts_with("The glob pattern 'a[b' is not valid: "), "{}", error.message);
        assert_eq!(error.code, MemberError);
    }
}

#[test]
fn whatever_only_v2_pipelines_have_makes_one_of_a_pipeline_and_is_refused_in_v1() {
    type Row = (fn(&mut Value), &'static str);
    let rows: [Row; 7] = [
        (|json| json["executionMode"] = json!("PARALLEL"), "executionMode"),
        (|json| json["variables"] = json!([{"name": "x"}]), "variables"),
        (|json| trigger(json, "push", json!({"branches": {"includes": ["a"]}})), "triggers"),
        (|json| json["stages"][1]["beforeEntry"] = gated("FAIL"), "stages[1].beforeEntry"),
        (|json| json["stages"][1]["onSuccess"] = gated("FAIL"), "stages[1].onSuccess"),
        (|json| json["stages"][1]["onFailure"] = gated("ROLLBACK"), "stages[1].onFailure"),
        (|json| crate::commands(json, &["true"]), "stages[1].actions[0].actionTypeId"),
    ];
    let kind = |json: &Value| {
        let mut declaration = parse(json).unwrap();
        normalize(&mut declaration, PipelineVersion(1), None, &registry());
        declaration.pipeline_type
    };
    assert_eq!(kind(&plain()), Some(PipelineType::V1));
    for (change, place) in rows {
        let mut json = plain();
        change(&mut json);
        assert_eq!(refusal(&json), None, "{place}");
        assert_eq!(kind(&json), Some(PipelineType::V2), "{place}");
        json["pipelineType"] = json!("V2");
        assert_eq!(refusal(&json), None, "{place}");
        json["pipelineType"] = json!("V1");
        let error = refusal(&json).unwrap();
        assert_eq!(error.path, place);
        assert_eq!(error.hint.as_deref(), Some("set `pipelineType` to `V2`, or leave this out"));
    }
}

fn gated(result: &str) -> Value {
    crate::gate(result, json!([crate::rule("LambdaInvoke", json!({"FunctionName": "f"}))]))
}
