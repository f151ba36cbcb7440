//! Event patterns and input transformers.

use domain::trigger::{
    pattern::Pattern,
    transformer::{Reserved, TargetInput, Transformer},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn patterns_match_as_the_service_documents_them() {
    let event = json!({
        "source": "shop.orders", "detail-type": "Order", "resources": ["arn:a", "arn:b"],
        "detail": { "state": "PAID", "total": 42.0, "ip": "10.0.0.7", "tags": ["x", "y"], "none": null, "ok": true,
                    "lines": [{ "sku": "a" }, { "sku": "b" }], "path": "a/b/c.txt" },
    });
    let yes = [
        json!({ "source": ["shop.orders"] }),
        json!({ "source": ["other", "shop.orders"], "detail": { "state": ["PAID"] } }),
        json!({ "resources": ["arn:b"] }),
        json!({ "source": [{ "prefix": "shop." }] }),
        json!({ "source": [{ "prefix": { "equals-ignore-case": "SHOP." } }] }),
        json!({ "source": [{ "suffix": ".orders" }] }),
        json!({ "detail": { "state": [{ "equals-ignore-case": "paid" }] } }),
        json!({ "detail": { "path": [{ "wildcard": "a/*/*.txt" }] } }),
        json!({ "detail": { "state": [{ "anything-but": "OPEN" }] } }),
        json!({ "detail": { "state": [{ "anything-but": ["OPEN", "LOST"] }] } }),
        json!({ "detail": { "state": [{ "anything-but": { "prefix": "OP" } }] } }),
        json!({ "detail": { "state": [{ "anything-but": { "wildcard": "O*" } }] } }),
        json!({ "detail": { "total": [{ "numeric": [">", 0, "<=", 42] }] } }),
        json!({ "detail": { "total": [42] } }),
        json!({ "detail": { "ip": [{ "cidr": "10.0.0.0/24" }] } }),
        json!({ "detail": { "state": [{ "exists": true }], "gone": [{ "exists": false }] } }),
        json!({ "detail": { "none": [null], "ok": [true] } }),
        json!({ "detail": { "lines": { "sku": ["b"] } } }),
        json!({ "$or": [{ "source": ["x"] }, { "detail": { "state": ["PAID"] } }] }),
    ];
    let no = [
        json!({ "source": ["shop"] }),
        json!({ "source": ["shop.orders"], "detail": { "state": ["OPEN"] } }),
        json!({ "detail": { "gone": ["x"] } }),
        json!({ "detail": { "gone": [{ "anything-but": "x" }] } }),
        json!({ "detail": { "total": [{ "numeric": ["<", 42] }] } }),
        json!({ "detail": { "state": [{ "numeric": ["=", 1] }] } }),
        json!({ "detail": { "ip": [{ "cidr": "10.0.1.0/24" }] } }),
        json!({ "detail": { "state": [{ "exists": false }] } }),
        json!({ "detail": [{ "exists": true }] }),
        json!({ "detail": { "path": [{ "wildcard": "a/*.js" }] } }),
        json!({ "$or": [{ "source": ["x"] }, { "source": ["y"] }] }),
        json!({ "resources": ["arn:c"] }),
    ];
    let read = |pattern: &Value| Pattern::parse(&pattern.to_string()).unwrap();
    yes.iter().for_each(|pattern| assert!(read(pattern).matches(&event), "{pattern}"));
    no.iter().for_each(|pattern| assert!(!read(pattern).matches(&event), "{pattern}"));
    let mismatch = read(&no[1]).check(&event).unwrap_err();
    assert_eq!(mismatch.reason, "`detail.state` is `\"PAID\"`, and the event pattern wants something else");
}

#[test]
fn what_is_no_pattern_is_refused_with_its_place() {
    for wrong in [
        "",
        "[]",
        "{}",
        "7",
        r#"{"source": "x"}"#,
        r#"{"source": []}"#,
        r#"{"source": {}}"#,
        r#"{"a": [[1]]}"#,
        r#"{"a": [{"prefix": 1}]}"#,
        r#"{"a": [{"unknown": "x"}]}"#,
        r#"{"a": [{"numeric": [">"]}]}"#,
        r#"{"a": [{"numeric": ["~", 1]}]}"#,
        r#"{"a": [{"cidr": "x"}]}"#,
        r#"{"a": [{"exists": 1}]}"#,
        r#"{"a": [{"wildcard": "a**"}]}"#,
        r#"{"a": [{"prefix": "a", "suffix": "b"}]}"#,
        r#"{"a": [{"anything-but": []}]}"#,
    ] {
        assert!(Pattern::parse(wrong).is_err(), "{wrong}");
    }
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    assert!(Pattern::parse(&deep).is_err());
    let wide = json!({ "a": (0..1000).collect::<Vec<_>>() }).to_string();
    assert!(Pattern::parse(&wide).is_err());
}

fn transformed(paths: &[(&str, &str)], template: &str, event: &Value) -> String {
    let paths: BTreeMap<String, String> =
        paths.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
    let reserved =
        Reserved { rule_arn: "arn:rule", rule_name: "nightly", ingestion_time: "2026-03-01T00:00:00Z" };
    Transformer::parse(&paths, template).unwrap().apply(event, reserved).unwrap()
}

#[test]
fn placeholders_stand_for_values_with_and_without_quotes() {
    let event =
        json!({ "detail": { "image-digest": "sha256:ab", "n": 7, "say": "a \"b\"", "o": { "k": 1 } } });
    let digest = [("revisionValue", "$.detail.image-digest")];
    assert_eq!(transformed(&digest, r#"{"v": <revisionValue>}"#, &event), r#"{"v": "sha256:ab"}"#);
    assert_eq!(transformed(&digest, r#"{"v": "<revisionValue>"}"#, &event), r#"{"v": "sha256:ab"}"#);
    assert_eq!(
        transformed(&[("n", "$.detail.n")], r#"{"v": <n>, "t": "is <n>"}"#, &event),
        r#"{"v": 7, "t": "is 7"}"#
    );
    let quoted = transformed(&[("say", "$.detail.say")], r#"{"v": "x <say>"}"#, &event);
    assert_eq!(serde_json::from_str::<Value>(&quoted).unwrap(), json!({ "v": "x a \"b\"" }));
    let object = transformed(&[("o", "$.detail.o")], r#"{"v": "<o>", "w": <o>}"#, &event);
    assert_eq!(serde_json::from_str::<Value>(&object).unwrap(), json!({ "v": "{\"k\":1}", "w": { "k": 1 } }));
    assert_eq!(transformed(&[("x", "$.detail.gone")], r#"{"v": "<x>"}"#, &event), r#"{"v": ""}"#);
    assert_eq!(
        transformed(&[], r#"{"a": "<aws.events.rule-name>", "b": "1 < 2"}"#, &event),
        r#"{"a": "nightly", "b": "1 < 2"}"#
    );
    assert!(Transformer::parse(&BTreeMap::new(), "<unknown>").is_err());
    let many: BTreeMap<String, String> = (0..101).map(|n| (format!("n{n}"), "$.a".to_owned())).collect();
    assert!(Transformer::parse(&many, "x").is_err());
}

#[test]
fn an_input_names_revisions_and_variables_and_nothing_is_taken_twice() {
    let input = TargetInput::parse(
        r#"{"sourceRevisions":[{"actionName":"Fetch","revisionType":"COMMIT_ID","revisionValue":"ab"}],
            "variables":[{"name":"V","value":"1"}],"other":true}"#,
    )
    .unwrap();
    assert_eq!(input.revisions.len(), 1);
    assert_eq!(input.variables["V"], "1");
    assert_eq!(TargetInput::parse("{}").unwrap(), TargetInput::default());
    for wrong in [
        "",
        "7",
        r#"{"variables":[{"name":"V"}]}"#,
        r#"{"variables":[{"name":"V","value":"1"},{"name":"V","value":"2"}]}"#,
        r#"{"sourceRevisions":[{"actionName":"a b","revisionType":"COMMIT_ID","revisionValue":"ab"}]}"#,
        r#"{"sourceRevisions":[{"actionName":"a","revisionType":"COMMIT_ID","revisionValue":""}]}"#,
    ] {
        assert!(TargetInput::parse(wrong).is_err(), "{wrong}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        "[a-z<>$*\\\\\"]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("prefix"),
        Just("numeric"),
        Just("anything-but"),
        Just("$or"),
        Just("exists"),
        Just("wildcard"),
        Just("source"),
        Just("detail"),
        Just("cidr")
    ];
    leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|pairs| pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn no_pattern_and_no_event_breaks_the_matcher(pattern in any_json(), event in any_json()) {
        if let Ok(read) = Pattern::parse(&pattern.to_string()) {
            prop_assert_eq!(read.matches(&event), read.check(&event).is_ok());
        }
    }

    #[test]
    fn no_template_breaks_the_transformer(template in "[<>a\"\\\\{} .]{1,40}", event in any_json()) {
        let paths = BTreeMap::from([("a".to_owned(), "$.source".to_owned())]);
        if let Ok(read) = Transformer::parse(&paths, &template) {
            let reserved = Reserved { rule_arn: "r", rule_name: "n", ingestion_time: "t" };
            prop_assert!(read.apply(&event, reserved).is_ok());
        }
    }
}
