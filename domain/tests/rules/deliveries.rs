//! What a delivery asks of its webhook's pipeline.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::{
    catalogue::Registry,
    pipeline::PipelineDeclaration,
    webhook::{
        Asked, BadWebhook, WebhookDefinition, check, check_authentication, evaluate, json_path::JsonPath,
    },
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

#[test]
fn why_a_delivery_starts_nothing_is_said() {
    let mut body = push("main", COMMIT);
    body["head_commit"]["author"] = Value::Null;
    let deep = (0..120).fold(json!("end"), |inner, _| json!({ "a": inner }));
    body["deep"] = deep;
    let manifold = "..a".repeat(50);
    let mut gone = push("main", &"0".repeat(40));
    gone["deleted"] = json!(true);
    for (filters, body, reason) in [
        (
            &[("$.ref", Some("refs/heads/{Repo}"))][..],
            &body,
            "nothing at `$.ref` is `refs/heads/shop`".to_owned(),
        ),
        (&[("$.none", None)], &body, "there is nothing at `$.none`".to_owned()),
        (
            &[("$.ref", Some("{Gone} {OAuthToken}"))],
            &body,
            "the action's configuration has no `Gone` any more".to_owned(),
        ),
        (
            &[("$.ref", Some("{OAuthToken}"))],
            &body,
            "the action's configuration has no `OAuthToken` any more".to_owned(),
        ),
        (
            &[("$x", None)],
            &body,
            "the filter `$x` is not usable: `.` or `[` is missing at character 2".to_owned(),
        ),
        (
            &[(&manifold, Some("x"))],
            &body,
            format!("the filter `{manifold}` was given up: the path leads to more than 1000000 values"),
        ),
        (&[], &gone, "a branch or tag was deleted: there is nothing to fetch".to_owned()),
    ] {
        assert_eq!(asked(&hook(filters), Some("push"), body), Err(reason));
    }
    assert_eq!(asked(&hook(&[]), Some("Ping"), &body), Err("it is a ping".to_owned()));
    let mut strange = hook(&[]);
    strange.target_action = ActionName::parse("Sign").unwrap();
    let none = "pipeline 'shop' has no source action 'Sign' in its first stage any more";
    assert_eq!(asked(&strange, None, &body), Err(none.to_owned()));
    let missing = evaluate(&strange, None, &Registry::builtin(), None, &body);
    assert_eq!(missing, Asked::Nothing { reason: "there is no pipeline 'shop'".to_owned() });
    let long = hook(&[("$.ref", Some(&"x".repeat(400)))]);
    assert_eq!(asked(&long, None, &body).unwrap_err().chars().count(), 300);
}

#[test]
fn values_are_compared_as_text_and_lists_by_their_entries() {
    let body =
        json!({ "text": "7", "number": 7, "yes": true, "none": null, "list": [null, 7, "a"], "object": {} });
    for (path, equals, passes) in [
        ("$.text", "7", true),
        ("$.text", "8", false),
        ("$.number", "7", true),
        ("$.number", "7.0", false),
        ("$.yes", "true", true),
        ("$.yes", "false", false),
        ("$.none", "null", true),
        ("$.none", "", false),
        ("$.list", "null", true),
        ("$.list", "a", true),
        ("$.list", "b", false),
        ("$.object", "{}", false),
    ] {
        let told = asked(&hook(&[(path, Some(equals))]), None, &body);
        assert_eq!(told.is_ok(), passes, "{path} {equals}: {told:?}");
    }
}

#[test]
fn only_a_push_to_the_branch_that_is_fetched_pins_whatever_the_provider_calls_it() {
    let of = |provider: &str, key: &str, body: &Value| {
        let mut pipeline = pipeline();
        let action = &mut pipeline.stages[0].actions[0];
        action.action_type_id.provider = provider.into();
        action.configuration = [(key.to_owned(), "main".to_owned())].into();
        match evaluate(&hook(&[]), Some(&pipeline), &Registry::builtin(), Some("push"), body) {
            Asked::Start { revision } => revision.map(|(_, commit)| commit),
            Asked::Nothing { reason } => panic!("{reason}"),
        }
    };
    let body = push("main", COMMIT);
    let pinned = Some(COMMIT.to_owned());
    assert_eq!(of("GitHub", "Branch", &body), pinned);
    assert_eq!(of("CodeStarSourceConnection", "BranchName", &body), pinned);
    assert_eq!(of("CodeCommit", "BranchName", &body), pinned);
    assert_eq!(of("GitHub", "BranchName", &body), None);
    assert_eq!(of("S3", "BranchName", &body), None);
    assert_eq!(of("GitHub", "Branch", &push("main", &"a".repeat(64))), Some("a".repeat(64)));
    for odd in ["a".repeat(63), "g".repeat(40), "0".repeat(40)] {
        assert_eq!(of("GitHub", "Branch", &push("main", &odd)), None, "{odd}");
    }
}

#[test]
fn what_is_wrong_with_a_webhook_is_said() {
    let registry = Registry::builtin();
    let wrong = |hook: &WebhookDefinition| check(hook, &pipeline(), &registry).unwrap_err();
    let mut strange = hook(&[]);
    strange.target_action = ActionName::parse("Sign").unwrap();
    assert_eq!(
        wrong(&strange),
        BadWebhook::Invalid(
            "The target action 'Sign' is not a source action in the first stage of pipeline 'shop'".into()
        )
    );
    assert_eq!(check(&hook(&[("$.ref", None); 5]), &pipeline(), &registry), Ok(()));
    let many = BadWebhook::Invalid("A webhook has at most 5 filters: 6".into());
    assert_eq!(wrong(&hook(&[("$.ref", None); 6])), many);
    let path = "The JSON path '$x' is not usable: `.` or `[` is missing at character 2";
    assert_eq!(wrong(&hook(&[("$x", None)])), BadWebhook::FilterPattern(path.into()));
    let key = "The filter '$.ref' names {OAuthToken}, which is not a key of the configuration of action 'Fetch' that \
               may be compared with";
    assert_eq!(wrong(&hook(&[("$.ref", Some("{OAuthToken}"))])), BadWebhook::FilterPattern(key.into()));
}

#[test]
fn what_does_not_fit_an_authentication_is_said() {
    use WebhookAuthentication::{GithubHmac, Ip, Unauthenticated};
    let long = |chars: usize| "ü".repeat(chars);
    let only =
        |member: &str| Err(format!("'authenticationConfig' should contain only one property: '{member}'"));
    let secret = Err("'SecretToken' must have 1 to 100 characters".to_owned());
    let range = "'AllowedIPRange' must be a CIDR block such as 192.30.252.0/22: 10.0.0.0";
    let none = Err("'authenticationConfig' should contain no property".to_owned());
    for (kind, allowed, token, expected) in [
        (GithubHmac, None, Some(long(100)), Ok(())),
        (GithubHmac, None, Some(long(101)), secret.clone()),
        (GithubHmac, None, Some(String::new()), secret),
        (GithubHmac, None, None, only("SecretToken")),
        (Ip, Some("10.0.0.0/32"), None, Ok(())),
        (Ip, Some("10.0.0.0"), None, Err(range.to_owned())),
        (Ip, None, Some(long(1)), only("AllowedIPRange")),
        (Unauthenticated, None, None, Ok(())),
        (Unauthenticated, Some("10.0.0.0/8"), None, none),
    ] {
        let checked = check_authentication(kind, allowed, token.as_deref());
        assert_eq!(checked.map_err(|error| error.to_string()), expected);
    }
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
