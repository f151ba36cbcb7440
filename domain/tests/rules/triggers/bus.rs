//! Rules, and the events of the services that sources lie in.

use super::{COMMIT, pipeline};
use domain::{
    pipeline::PipelineDeclaration,
    trigger::{
        Here, Rule, RuleInput, Start, Verdict,
        aws::{SourceChange, polled_objects},
        evaluate_object, evaluate_rule, evaluate_sources,
        event::{rfc3339, tick},
        pattern::Pattern,
        place,
        transformer::Transformer,
    },
};
use events::{ActionName, PipelineName, Timestamp, Trigger, TriggerType};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
fn an_event_of_a_schedule_is_whole() {
    assert_eq!(
        tick("arn:rule", "id-1", Timestamp(1_767_225_600_000), HERE),
        json!({
            "version": "0", "id": "id-1", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:rule"], "detail": {},
        })
    );
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
        (-2_203_891_200_000, "1900-03-01T00:00:00Z"),
        (946_684_799_999, "1999-12-31T23:59:59Z"),
        (1_709_251_199_000, "2024-02-29T23:59:59Z"),
        (1_735_689_599_000, "2024-12-31T23:59:59Z"),
        (1_767_225_600_000, "2026-01-01T00:00:00Z"),
        (13_574_563_200_000, "2400-02-29T00:00:00Z"),
        (253_402_300_799_000, "9999-12-31T23:59:59Z"),
        (253_402_300_800_000, "10000-01-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(Timestamp(at)), text);
    }
}

#[test]
fn a_change_is_told_in_words_with_a_short_commit() {
    let words = |event: &Value| SourceChange::of(event).unwrap().words();
    assert_eq!(
        words(&reference("main", "referenceUpdated")),
        "CodeCommit: 01234567 on branch `main` of `shop`"
    );
    assert_eq!(words(&reference("main", "referenceDeleted")), "CodeCommit: branch `main` of `shop`");
    assert_eq!(words(&object("b", "k.zip")), "S3: object `k.zip` in `b`");
    assert_eq!(words(&image("latest", "SUCCESS")), "ECR: image `shop:latest`");
}

#[test]
fn a_definition_lies_where_its_sources_do() {
    let of = |definition: &PipelineDeclaration| Vec::from_iter(place::places(definition));
    assert_eq!(of(&codecommit("false")), ["codecommit:shop"]);
    assert_eq!(of(&two_objects()), ["s3:b"]);
    assert_eq!(of(&pipeline("ECR", json!({ "RepositoryName": "shop" }), json!([]))), ["ecr:shop"]);
    let mut connected = super::connection(None);
    connected.stages[0].actions[0].configuration.insert("FullRepositoryId".into(), "Acme/Shop".into());
    assert_eq!(of(&connected), ["git:acme/shop"]);
    assert_eq!(of(&pipeline("S3", json!({}), json!([]))), Vec::<String>::new());
}

#[test]
fn only_what_wrote_an_object_or_moved_a_reference_is_a_change() {
    let trail = |name: &str| {
        json!({ "source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {
            "eventName": name, "requestParameters": { "bucketName": "b", "key": "k.zip" } } })
    };
    for name in ["CopyObject", "PutObject", "CompleteMultipartUpload"] {
        assert_eq!(SourceChange::of(&trail(name)).unwrap().words(), "S3: object `k.zip` in `b`");
    }
    for other in
        [trail("DeleteObject"), json!({ "source": "aws.s3", "detail-type": "Object Deleted" }), json!({})]
    {
        assert_eq!(SourceChange::of(&other), None, "{other}");
    }
    let commit = |event: &Value| match SourceChange::of(event) {
        Some(SourceChange::Reference { commit, .. }) => commit,
        other => panic!("{other:?}"),
    };
    assert_eq!(commit(&reference("main", "referenceCreated")).as_deref(), Some(COMMIT));
    let mut silent = reference("main", "");
    silent["detail"].as_object_mut().unwrap().remove("event");
    assert_eq!(commit(&silent).as_deref(), Some(COMMIT));
}

#[test]
fn why_a_change_of_the_sources_own_place_starts_nothing_is_said() {
    let code = codecommit("false");
    let mut tag = reference("v1", "referenceCreated");
    tag["detail"]["referenceType"] = json!("tag");
    let registry = pipeline("ECR", json!({ "RepositoryName": "shop" }), json!([]));
    let pulled = |action: &str, result: &str| {
        let mut event = image("latest", result);
        event["detail"]["action-type"] = json!(action);
        event
    };
    let not_pushed = "the image was not pushed, or not with success";
    let polled = "`Fetch` is polled: set `PollForSourceChanges` to false and let events start it";
    for (definition, event, words) in [
        (&code, tag, "tag `v1` is no branch"),
        (
            &code,
            reference("dev", "referenceUpdated"),
            "branch `dev` is not `main`, which the source action fetches",
        ),
        (&code, reference("main", "referenceDeleted"), "branch `main` got no new commit by it"),
        (&codecommit("true"), reference("main", "referenceUpdated"), polled),
        (&registry, pulled("DELETE", "SUCCESS"), not_pushed),
        (&registry, pulled("PUSH", "FAILURE"), not_pushed),
        (&registry, image("", "SUCCESS"), "the image was pushed without a tag"),
        (
            &registry,
            image("v1", "SUCCESS"),
            "image tag `v1` is not `latest`, which the source action fetches",
        ),
    ] {
        assert_eq!(reason(evaluate(definition, &event)), words);
    }
    assert_eq!(started(evaluate(&registry, &image("latest", "SUCCESS"))).0.as_deref(), Some("sha256:ab"));
}

/// Two sources of one bucket: only of one of them is the object told.
fn two_objects() -> PipelineDeclaration {
    let configuration = json!({ "S3Bucket": "b", "S3ObjectKey": "k.zip", "PollForSourceChanges": "false" });
    let mut definition = pipeline("S3", configuration, json!([]));
    let mut second = definition.stages[0].actions[0].clone();
    second.name = ActionName::parse("Also").unwrap();
    definition.stages[0].actions.push(second);
    definition
}

fn source_name(name: &str) -> ActionName {
    ActionName::parse(name).unwrap()
}

#[test]
fn every_source_that_fetches_what_changed_gets_its_revision() {
    let mut definition = two_objects();
    let expected = |revisions: &[(&str, &str)], because: &str| {
        let detail = "arn:aws:events:eu-west-1:123456789012:rule/source-shop-Fetch".to_owned();
        let revisions =
            revisions.iter().map(|(action, revision)| (source_name(action), (*revision).to_owned()));
        Verdict::Start(Box::new(Start {
            trigger: Trigger { kind: TriggerType::CloudWatchEvent, detail },
            revisions: revisions.collect(),
            variables: BTreeMap::new(),
            because: because.to_owned(),
        }))
    };
    let both = "it is what `Fetch` fetches; it is what `Also` fetches";
    assert_eq!(
        evaluate(&definition, &object("b", "k.zip")),
        expected(&[("Also", "v1"), ("Fetch", "v1")], both)
    );
    let mut unversioned = object("b", "k.zip");
    unversioned["detail"]["object"].as_object_mut().unwrap().remove("version-id");
    assert_eq!(evaluate(&definition, &unversioned), expected(&[], both));
    definition.stages[0].actions[1].configuration.insert("S3ObjectKey".into(), "other.zip".into());
    assert_eq!(
        evaluate(&definition, &object("b", "k.zip")),
        expected(&[("Fetch", "v1")], "it is what `Fetch` fetches")
    );
    assert_eq!(
        reason(evaluate(&definition, &object("b", "third.zip"))),
        "object `third.zip` is not `k.zip`, which the source action fetches; \
         object `third.zip` is not `other.zip`, which the source action fetches"
    );
}

#[test]
fn an_object_that_is_polled_starts_its_pipeline_by_its_new_version() {
    let mut definition = two_objects();
    let fetch = source_name("Fetch");
    assert_eq!(polled_objects(&definition), []);
    assert_eq!(evaluate_object(&definition, &fetch, "v2"), Verdict::Elsewhere, "events tell of it");
    definition.stages[0].actions[0].configuration.remove("PollForSourceChanges");
    assert_eq!(polled_objects(&definition), [(fetch.clone(), "b".to_owned(), "k.zip".to_owned())]);
    let started = Start {
        trigger: Trigger { kind: TriggerType::PollForSourceChanges, detail: "Fetch".to_owned() },
        revisions: BTreeMap::from([(fetch.clone(), "v2".to_owned())]),
        variables: BTreeMap::new(),
        because: "the object that `Fetch` fetches has a new version".to_owned(),
    };
    assert_eq!(evaluate_object(&definition, &fetch, "v2"), Verdict::Start(Box::new(started)));
    assert_eq!(evaluate_object(&definition, &source_name("Sign"), "v2"), Verdict::Elsewhere);
    definition.stages[0].actions[0].configuration.remove("S3ObjectKey");
    assert_eq!(polled_objects(&definition), []);
    assert_eq!(polled_objects(&codecommit("true")), [], "no object, though it is polled");
}

#[test]
fn each_kind_of_revision_fits_its_providers() {
    let s3 = two_objects();
    let registry = pipeline("ECR", json!({ "RepositoryName": "shop" }), json!([]));
    let judge = |definition: &PipelineDeclaration, kind: &str, value: &str| {
        let one = json!({ "actionName": "Fetch", "revisionType": kind, "revisionValue": value });
        let text =
            json!({ "sourceRevisions": [one], "variables": [{ "name": "V", "value": "1" }] }).to_string();
        let rule = rule(None, RuleInput::Constant(text));
        match evaluate_rule(&rule, definition, &json!({}), true, HERE) {
            Verdict::Start(start) => {
                assert_eq!(start.variables, BTreeMap::from([("V".to_owned(), "1".to_owned())]));
                assert_eq!(start.because, "the schedule of rule `after-tests` was due");
                Ok(start.revisions.into_values().next())
            }
            Verdict::Nothing { reason } => Err(reason),
            Verdict::Elsewhere => panic!("it was due"),
        }
    };
    let code = codecommit("false");
    for (definition, kind, value) in [
        (&code, "COMMIT_ID", "abc"),
        (&super::connection(None), "COMMIT_ID", "abc"),
        (&registry, "IMAGE_DIGEST", "sha256:cd"),
        (&s3, "S3_OBJECT_VERSION_ID", "v7"),
    ] {
        assert_eq!(judge(definition, kind, value), Ok(Some(value.to_owned())));
    }
    assert_eq!(judge(&s3, "S3_OBJECT_KEY", "k.zip"), Ok(None), "it is the key that is fetched anyway");
    for (definition, kind, value, words) in [
        (&s3, "S3_OBJECT_KEY", "x.zip", "another `S3_OBJECT_KEY` for `Fetch` is not supported here"),
        (&s3, "COMMIT_ID", "abc", "`COMMIT_ID` does not fit `Fetch` of provider `S3`"),
        (&code, "S3_OBJECT_KEY", "k", "`S3_OBJECT_KEY` does not fit `Fetch` of provider `CodeCommit`"),
        (&code, "IMAGE_DIGEST", "k", "`IMAGE_DIGEST` does not fit `Fetch` of provider `CodeCommit`"),
        (&registry, "COMMIT_ID", "k", "`COMMIT_ID` does not fit `Fetch` of provider `ECR`"),
    ] {
        assert_eq!(judge(definition, kind, value), Err(format!("rule `after-tests`: {words}")));
    }
}

#[test]
fn a_transformer_makes_the_input_of_the_event_and_of_the_rule() {
    let paths = BTreeMap::from([("commit".to_owned(), "$.detail.commitId".to_owned())]);
    let template = r#"{"sourceRevisions": [{"actionName": "Fetch", "revisionType": "COMMIT_ID", "revisionValue": <commit>}],
        "variables": [{"name": "Rule", "value": <aws.events.rule-name>}, {"name": "Arn", "value": <aws.events.rule-arn>},
                      {"name": "At", "value": <aws.events.event.ingestion-time>}]}"#;
    let transformer = Transformer::parse(&paths, template).unwrap();
    let rule = rule(Some(json!({ "source": ["aws.codecommit"] })), RuleInput::Transformed(transformer));
    let mut event = reference("main", "referenceUpdated");
    event["time"] = json!("2026-03-01T10:00:00Z");
    let Verdict::Start(start) = evaluate_rule(&rule, &codecommit("false"), &event, false, HERE) else {
        panic!()
    };
    assert_eq!(start.revisions, BTreeMap::from([(source_name("Fetch"), COMMIT.to_owned())]));
    assert_eq!(start.because, "the event is as rule `after-tests` wants it");
    let arn = "arn:aws:events:eu-west-1:123456789012:rule/after-tests";
    let variables = [("Arn", arn), ("At", "2026-03-01T10:00:00Z"), ("Rule", "after-tests")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(start.variables, BTreeMap::from(variables));
}

#[test]
fn only_an_event_of_the_kind_that_a_rule_is_about_is_told_of() {
    let definition = codecommit("false");
    let event = |source: &str, kind: &str, account: &str, state: &str| {
        json!({ "source": source, "detail-type": kind, "account": account, "region": "r", "resources": ["x"],
                "detail": { "pipeline": "tests", "state": state } })
    };
    let judge = |pattern: Value, event: &Value| match evaluate_rule(
        &rule(Some(pattern), RuleInput::Head),
        &definition,
        event,
        false,
        HERE,
    ) {
        Verdict::Start(_) => "starts",
        Verdict::Nothing { .. } => "nothing",
        Verdict::Elsewhere => "elsewhere",
    };
    let state = json!({ "state": ["DONE"] });
    let both = json!({ "source": ["a"], "detail-type": ["K"], "detail": state });
    for (pattern, event, expected) in [
        (both.clone(), event("a", "K", "1", "DONE"), "starts"),
        (both.clone(), event("a", "K", "1", "LOST"), "nothing"),
        (both.clone(), event("a", "L", "1", "LOST"), "elsewhere"),
        (both, event("b", "K", "1", "LOST"), "elsewhere"),
        (json!({ "detail": state, "source": ["a"] }), event("a", "L", "1", "LOST"), "nothing"),
        (json!({ "detail": state, "source": ["a"] }), event("b", "L", "1", "LOST"), "elsewhere"),
        (json!({ "detail": state, "detail-type": ["K"] }), event("b", "K", "1", "LOST"), "nothing"),
        (json!({ "detail": state }), event("a", "K", "1", "LOST"), "elsewhere"),
        (json!({ "source": ["a"], "account": ["2"] }), event("a", "K", "1", "DONE"), "elsewhere"),
        (json!({ "source": ["a"], "region": ["s"] }), event("a", "K", "1", "DONE"), "elsewhere"),
        (json!({ "source": ["a"], "resources": ["y"] }), event("a", "K", "1", "DONE"), "elsewhere"),
        (
            json!({ "source": ["a"], "detail": { "pipeline": ["shop"] } }),
            event("a", "K", "1", "DONE"),
            "elsewhere",
        ),
    ] {
        assert_eq!(judge(pattern.clone(), &event), expected, "{pattern} {event}");
    }
}
