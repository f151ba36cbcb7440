//! Rules, and the events of the services that sources lie in.

use super::{COMMIT, pipeline};
use domain::{
    pipeline::PipelineDeclaration,
    trigger::{
        Here, Rule, RuleInput, Verdict,
        aws::SourceChange,
        evaluate_rule, evaluate_sources,
        event::{rfc3339, tick},
        pattern::Pattern,
        place,
    },
};
use events::{PipelineName, Timestamp, TriggerType};
use serde_json::{Value, json};

const HERE: Here<'_> = Here { region: "eu-west-1", account: "123456789012" };

fn name() -> PipelineName {
    PipelineName::parse("shop").unwrap()
}

fn codecommit(poll: &str) -> PipelineDeclaration {
    let configuration =
        json!({ "RepositoryName": "shop", "BranchName": "main", "PollForSourceChanges": poll });
    pipeline("CodeCommit", configuration, json!([]))
}

fn reference(branch: &str, event: &str) -> Value {
    json!({ "source": "aws.codecommit", "detail-type": "CodeCommit Repository State Change",
        "detail": { "event": event, "repositoryName": "shop", "referenceType": "branch", "referenceName": branch,
                    "commitId": COMMIT } })
}

fn object(bucket: &str, key: &str) -> Value {
    json!({ "source": "aws.s3", "detail-type": "Object Created",
        "detail": { "bucket": { "name": bucket }, "object": { "key": key, "version-id": "v1" } } })
}

fn image(tag: &str, result: &str) -> Value {
    json!({ "source": "aws.ecr", "detail-type": "ECR Image Action",
        "detail": { "action-type": "PUSH", "result": result, "repository-name": "shop", "image-tag": tag,
                    "image-digest": "sha256:ab" } })
}

/// What an event means for a definition, which the list of pipelines must say as well.
fn evaluate(definition: &PipelineDeclaration, event: &Value) -> Verdict {
    let verdict = evaluate_sources(&name(), definition, event, HERE);
    let change = SourceChange::of(event).map(|change| place::of_change(&change));
    let is_listed = change.is_some_and(|place| place::places(definition).contains(&place));
    assert_eq!(verdict != Verdict::Elsewhere, is_listed, "{event}");
    verdict
}

#[track_caller]
fn started(verdict: Verdict) -> (Option<String>, String) {
    match verdict {
        Verdict::Start(start) => {
            assert_eq!(start.trigger.kind, TriggerType::CloudWatchEvent);
            (start.revisions.into_values().next(), start.trigger.detail)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Nothing { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_of_the_sources_own_service_starts_with_its_revision() {
    let of = |definition: &PipelineDeclaration, event: &Value| evaluate(definition, event);
    let code = codecommit("false");
    assert_eq!(started(of(&code, &reference("main", "referenceUpdated"))).0.as_deref(), Some(COMMIT));
    assert!(reason(of(&code, &reference("dev", "referenceUpdated"))).contains("branch `dev` is not `main`"));
    assert!(reason(of(&code, &reference("main", "referenceDeleted"))).contains("no new commit"));
    assert!(reason(of(&codecommit("true"), &reference("main", "referenceUpdated"))).contains("is polled"));
    let bucket = pipeline(
        "S3",
        json!({ "S3Bucket": "b", "S3ObjectKey": "k.zip", "PollForSourceChanges": "false" }),
        json!([]),
    );
    assert_eq!(started(of(&bucket, &object("b", "k.zip"))).0.as_deref(), Some("v1"));
    assert!(reason(of(&bucket, &object("b", "other.zip"))).contains("object `other.zip` is not `k.zip`"));
    assert_eq!(of(&bucket, &object("c", "k.zip")), Verdict::Elsewhere);
    let trail = json!({ "source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {
        "eventName": "PutObject", "requestParameters": { "bucketName": "b", "key": "k.zip" },
        "responseElements": { "x-amz-version-id": "v9" } } });
    assert_eq!(started(of(&bucket, &trail)).0.as_deref(), Some("v9"));
    let registry = pipeline("ECR", json!({ "RepositoryName": "shop", "ImageTag": "latest" }), json!([]));
    assert_eq!(started(of(&registry, &image("latest", "SUCCESS"))).0.as_deref(), Some("sha256:ab"));
    assert!(reason(of(&registry, &image("dev", "SUCCESS"))).contains("image tag `dev` is not `latest`"));
    assert!(reason(of(&registry, &image("", "SUCCESS"))).contains("without a tag"));
    assert!(reason(of(&registry, &image("latest", "FAILURE"))).contains("not with success"));
}

fn rule(pattern: Option<Value>, input: RuleInput) -> Rule {
    let pattern = pattern.map(|pattern| Pattern::parse(&pattern.to_string()).unwrap());
    Rule { name: "after-tests".into(), pipeline: name(), pattern, input }
}

#[test]
fn a_rule_starts_its_pipeline_with_what_its_input_says() {
    let definition = codecommit("false");
    let source = json!({ "source": ["aws.codecommit"] });
    let event = reference("main", "referenceUpdated");
    let judge = |input: RuleInput| {
        evaluate_rule(&rule(Some(source.clone()), input), &definition, &event, false, HERE)
    };
    let (revision, detail) = started(judge(RuleInput::Event));
    assert_eq!(revision.as_deref(), Some(COMMIT));
    assert_eq!(detail, "arn:aws:events:eu-west-1:123456789012:rule/after-tests");
    assert_eq!(started(judge(RuleInput::Head)).0, None);
    let text = |kind: &str, action: &str| {
        json!({ "sourceRevisions": [{ "actionName": action, "revisionType": kind, "revisionValue": "abc" }] })
            .to_string()
    };
    assert_eq!(started(judge(RuleInput::Constant(text("COMMIT_ID", "Fetch")))).0.as_deref(), Some("abc"));
    assert!(reason(judge(RuleInput::Constant(text("IMAGE_DIGEST", "Fetch")))).contains("does not fit"));
    assert!(reason(judge(RuleInput::Constant(text("COMMIT_ID", "Sign")))).contains("no source action"));
    assert!(reason(judge(RuleInput::Constant("not json".into()))).contains("cannot start"));
}

#[test]
fn an_event_that_nearly_matches_is_told_of_and_a_strange_one_is_not() {
    let definition = codecommit("false");
    let pattern = json!({ "source": ["aws.codepipeline"], "detail": { "pipeline": ["tests"], "state": ["SUCCEEDED"] } });
    let rule = rule(Some(pattern), RuleInput::Event);
    let change = |state: &str| json!({ "source": "aws.codepipeline", "detail": { "pipeline": "tests", "state": state } });
    started(evaluate_rule(&rule, &definition, &change("SUCCEEDED"), false, HERE));
    assert_eq!(
        reason(evaluate_rule(&rule, &definition, &change("FAILED"), false, HERE)),
        "rule `after-tests`: `detail.state` is `\"FAILED\"`, and the event pattern wants something else"
    );
    assert_eq!(
        evaluate_rule(&rule, &definition, &json!({ "source": "aws.s3" }), false, HERE),
        Verdict::Elsewhere
    );
}

#[test]
fn a_tick_starts_its_rule_and_no_event_does() {
    let definition = codecommit("false");
    let rule = rule(None, RuleInput::Event);
    let event = tick("arn:rule", "id", Timestamp(0), HERE);
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(started(evaluate_rule(&rule, &definition, &event, true, HERE)).0, None);
    assert_eq!(evaluate_rule(&rule, &definition, &event, false, HERE), Verdict::Elsewhere);
}

#[test]
fn moments_are_written_as_dates() {
    for (at, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399_999, "2000-02-28T23:59:59Z"),
        (951_782_400_000, "2000-02-29T00:00:00Z"),
        (4_107_542_399_000, "2100-02-28T23:59:59Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
    ] {
        assert_eq!(rfc3339(Timestamp(at)), text);
    }
}
