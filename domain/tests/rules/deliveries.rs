//! What a delivery asks of its webhook's pipeline.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::{
    catalogue::Registry,
    pipeline::PipelineDeclaration,
    webhook::{Asked, BadWebhook, WebhookDefinition, check, evaluate, json_path::JsonPath},
};
use events::{ActionName, PipelineName, WebhookAuthentication, WebhookFilter};
use proptest::prelude::*;
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn pipeline() -> PipelineDeclaration {
    domain::pipeline::parse(&json!({
        "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/r",
        "stages": [
            { "name": "Source", "actions": [{
                "name": "Fetch",
                "actionTypeId": { "category": "Source", "owner": "ThirdParty", "provider": "GitHub", "version": "1" },
                "configuration": { "Owner": "acme", "Repo": "shop", "Branch": "main", "OAuthToken": "****" },
            }] },
            { "name": "Gate", "actions": [{
                "name": "Sign",
                "actionTypeId": { "category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1" },
            }] },
        ],
    }))
    .unwrap()
}

fn hook(filters: &[(&str, Option<&str>)]) -> WebhookDefinition {
    let filter = |(path, equals): &(&str, Option<&str>)| WebhookFilter {
        json_path: (*path).into(),
        match_equals: equals.map(Into::into),
    };
    WebhookDefinition {
        target_pipeline: PipelineName::parse("shop").unwrap(),
        target_action: ActionName::parse("Fetch").unwrap(),
        filters: filters.iter().map(filter).collect(),
        authentication: WebhookAuthentication::Unauthenticated,
        allowed_ip_range: None,
        secret: None,
    }
}

fn push(branch: &str, after: &str) -> Value {
    json!({ "ref": format!("refs/heads/{branch}"), "after": after, "forced": false, "size": 2,
        "head_commit": { "modified": ["a.rs", "b.rs"] } })
}

fn asked(hook: &WebhookDefinition, event: Option<&str>, body: &Value) -> Result<Option<String>, String> {
    match evaluate(hook, Some(&pipeline()), &Registry::builtin(), event, body) {
        Asked::Start { revision } => Ok(revision.map(|(action, commit)| {
            assert_eq!(action.as_str(), "Fetch");
            commit
        })),
        Asked::Nothing { reason } => Err(reason),
    }
}

#[test]
fn a_push_to_the_actions_branch_pins_its_commit_and_any_other_does_not() {
    let all = hook(&[]);
    let pinned = Ok(Some(COMMIT.to_owned()));
    assert_eq!(asked(&all, Some("push"), &push("main", COMMIT)), pinned);
    assert_eq!(asked(&all, None, &push("main", &COMMIT.to_uppercase())), pinned);
    assert_eq!(asked(&all, Some("push"), &push("side", COMMIT)), Ok(None));
    assert_eq!(asked(&all, Some("release"), &push("main", COMMIT)), Ok(None));
    for odd in ["", "main", "--upload-pack=x", &COMMIT[1..]] {
        assert_eq!(asked(&all, None, &push("main", odd)), Ok(None), "{odd}");
    }
    assert_eq!(asked(&all, None, &json!([1])), Ok(None));
    let tag = json!({ "ref": "refs/tags/main", "after": COMMIT });
    assert_eq!(asked(&all, None, &tag), Ok(None));
}

#[test]
fn pings_and_deletions_ask_for_nothing() {
    assert!(asked(&hook(&[]), Some("ping"), &push("main", COMMIT)).is_err());
    let mut gone = push("main", &"0".repeat(40));
    assert_eq!(asked(&hook(&[]), None, &gone), Ok(None), "only what says that it is a deletion is one");
    gone["deleted"] = json!(true);
    assert!(asked(&hook(&[]), None, &gone).unwrap_err().contains("deleted"));
}

#[test]
fn every_filter_must_pass() {
    let body = push("main", COMMIT);
    let passes = |filters: &[(&str, Option<&str>)]| asked(&hook(filters), None, &body).is_ok();
    assert!(passes(&[("$.ref", Some("refs/heads/{Branch}"))]));
    assert!(passes(&[("$.ref", Some("refs/heads/{Branch}")), ("$.head_commit", None)]));
    assert!(!passes(&[("$.ref", Some("refs/heads/{Branch}")), ("$.none", None)]));
    assert!(passes(&[("$.head_commit.modified", Some("b.rs"))]), "any entry of a list");
    assert!(!passes(&[("$.head_commit.modified", Some("c.rs"))]));
    assert!(passes(&[("$.size", Some("2"))]));
    assert!(passes(&[("$.forced", Some("false"))]));
    assert!(!passes(&[("$.head_commit", Some("{Owner}"))]), "an object is equal to no text");
    assert!(passes(&[("$.head_commit.modified[?(@ == 'a.rs')]", None)]));
}

#[test]
fn a_target_that_is_gone_is_told_and_starts_nothing() {
    let body = push("main", COMMIT);
    let mut hook = hook(&[]);
    let gone = evaluate(&hook, None, &Registry::builtin(), None, &body);
    assert!(matches!(gone, Asked::Nothing { reason } if reason.contains("no pipeline 'shop'")));
    hook.target_action = ActionName::parse("Sign").unwrap();
    assert!(asked(&hook, None, &body).unwrap_err().contains("'Sign'"));
}

#[test]
fn filters_may_name_keys_of_the_configuration_that_are_no_secrets() {
    let fits = |equals: &str| check(&hook(&[("$.ref", Some(equals))]), &pipeline(), &Registry::builtin());
    assert_eq!(fits("{Owner}/{Repo} and {plain words}"), Ok(()));
    for equals in ["{None}", "{OAuthToken}"] {
        assert!(matches!(fits(equals), Err(BadWebhook::FilterPattern(_))), "{equals}");
    }
    let six = vec![("$.ref", None); 6];
    assert!(matches!(check(&hook(&six), &pipeline(), &Registry::builtin()), Err(BadWebhook::Invalid(_))));
}

proptest! {
    #[test]
    fn a_path_is_read_or_refused_and_never_goes_wrong(path in "(\\$|)([.\\[\\]()'\"?@*=!<>&|,:0-9ab -]|\\PC){0,150}") {
        if let Ok(path) = JsonPath::parse(&path) {
            let _ = path.finds(&push("main", COMMIT), |_| false);
        }
    }

    #[test]
    fn what_is_assembled_from_known_parts_is_understood(
        parts in prop::collection::vec(prop::sample::select(vec![
            ".a", ".*", "..a", "..*", "['a b']", "[\"a\"]", "['a','b']", "[0]", "[-1]", "[0, 1]", "[*]", "[?(@.a)]",
            "[?(@.a == 'b')]", "[?(@['a'] != 1)]", "[?(@.a.b==null)]", "..[0]",
        ]), 0..12)
    ) {
        let path = format!("${}", parts.concat());
        prop_assert!(JsonPath::parse(&path).is_ok(), "{}", path);
    }
}
