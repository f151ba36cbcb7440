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

/// What a leaf of one comparison says of values.
#[track_caller]
fn says(comparison: &str, yes: &[Value], no: &[Value]) {
    let pattern = Pattern::parse(&format!(r#"{{"a": {{"b": [{comparison}]}}}}"#)).unwrap();
    let event = |value: &Value| json!({ "a": { "b": value } });
    yes.iter().for_each(|value| assert!(pattern.matches(&event(value)), "{comparison} is met by {value}"));
    no.iter()
        .for_each(|value| assert!(!pattern.matches(&event(value)), "{comparison} is not met by {value}"));
}

#[test]
fn each_comparison_has_its_bounds() {
    let numeric = |operator: &str| format!(r#"{{"numeric": ["{operator}", 42]}}"#);
    let numbers = |numbers: &[f64]| Vec::from_iter(numbers.iter().map(|number| json!(number)));
    let (less, same, more) = (41.5, 42.0, 42.5);
    for (operator, yes, no) in [
        ("=", &[same][..], &[less, more][..]),
        ("<", &[less], &[same, more]),
        ("<=", &[less, same], &[more]),
        (">", &[more], &[less, same]),
        (">=", &[same, more], &[less]),
    ] {
        says(&numeric(operator), &numbers(yes), &numbers(no));
        says(&numeric(operator), &[], &[json!("42"), json!(null)]);
    }
    says(r#"{"numeric": [">", 41, "<", 42]}"#, &[json!(less)], &[json!(same), json!(41)]);
    says("42", &[json!(42), json!(same)], &[json!(more), json!("42"), json!(null)]);
    says("\"42\"", &[json!("42"), json!(["1", "42"])], &[json!(42), json!(["421"]), json!({})]);
    says("null", &[json!(null)], &[json!(0), json!(false)]);
    says(r#"{"cidr": "10.0.0.0/31"}"#, &[json!("10.0.0.1")], &[json!("10.0.0.2"), json!("ten"), json!(10)]);
    says(r#"{"exists": true}"#, &[json!(null), json!(0), json!([])], &[json!({ "c": 1 })]);
    says(r#"{"exists": false}"#, &[json!({ "c": 1 })], &[json!(null), json!(0)]);
}

#[test]
fn texts_are_compared_as_each_comparison_says() {
    let texts = |texts: &[&str]| Vec::from_iter(texts.iter().map(|text| json!(text)));
    let says = |comparison: &str, yes: &[&str], no: &[&str]| says(comparison, &texts(yes), &texts(no));
    says(r#"{"prefix": "ab"}"#, &["ab", "abc"], &["Abc", "cab", "a"]);
    says(r#"{"suffix": "ab"}"#, &["ab", "cab"], &["caB", "abc", "b"]);
    says(r#"{"prefix": {"equals-ignore-case": "aB"}}"#, &["ab", "ABc"], &["cab", "a"]);
    says(r#"{"suffix": {"equals-ignore-case": "aB"}}"#, &["ab", "cAB"], &["abc", "b"]);
    says(r#"{"equals-ignore-case": "aB"}"#, &["ab", "AB"], &["abc", "cab"]);
    says(r#"{"anything-but": "ab"}"#, &["abc", "Ab"], &["ab"]);
    says(r#"{"anything-but": ["ab", "cd"]}"#, &["ef"], &["ab", "cd"]);
    says(r#"{"anything-but": {"prefix": ["ab", "cd"]}}"#, &["xab"], &["abx", "cd"]);
    says(r#"{"anything-but": {"suffix": "ab"}}"#, &["abx"], &["xab"]);
    says(r#"{"anything-but": {"equals-ignore-case": ["ab"]}}"#, &["abx"], &["AB"]);
    says(r#"{"wildcard": "a\\*b\\\\"}"#, &["a*b\\"], &["axb\\", "a*b", "a*b*"]);
    says(r#"{"wildcard": "*"}"#, &["", "a*"], &[]);
}

#[test]
fn of_a_long_value_that_does_not_match_the_beginning_is_told() {
    let pattern = Pattern::parse(r#"{"a": ["x"]}"#).unwrap();
    let reason = |chars: usize| pattern.check(&json!({ "a": "y".repeat(chars) })).unwrap_err().reason;
    let words = "and the event pattern wants something else";
    assert_eq!(reason(77), format!("`a` is `\"{}\"`, {words}", "y".repeat(77)));
    assert_eq!(reason(100), format!("`a` is `\"{}…`, {words}", "y".repeat(78)));
}

#[test]
fn one_alternative_is_no_choice_and_a_list_of_texts_is_a_member() {
    let member = Pattern::parse(r#"{"$or": ["x"]}"#).unwrap();
    assert!(member.matches(&json!({ "$or": "x" })) && !member.matches(&json!({ "a": "x" })));
    assert!(Pattern::parse(r#"{"$or": [{"a": ["x"]}]}"#).is_err());
    assert!(Pattern::parse(r#"{"$or": [{"a": ["x"]}, "y"]}"#).is_err());
    let choice = Pattern::parse(r#"{"d": {"$or": [{"a": ["x"]}, {"b": ["y"]}]}}"#).unwrap();
    let mismatch = choice.check(&json!({ "d": { "a": "y", "b": "x" } })).unwrap_err();
    assert_eq!(mismatch.path, "d.$or");
    assert_eq!(mismatch.reason, "none of the alternatives of `d.$or` is met");
    assert!(choice.matches(&json!({ "d": { "a": "y", "b": "y" } })));
    assert!(!choice.matches(&json!({ "a": "x" })), "a choice is about the members beside it");
}

#[test]
fn objects_in_lists_stand_for_themselves_and_the_first_is_named_when_none_fits() {
    let pattern = Pattern::parse(r#"{"lines": {"sku": ["a"], "count": [2]}}"#).unwrap();
    let event = |lines: Value| json!({ "lines": lines });
    assert!(pattern.matches(&event(json!([{ "sku": "b" }, { "sku": "a", "count": 2 }]))));
    assert!(!pattern.matches(&event(json!([{ "sku": "a" }, { "count": 2 }]))), "one of them has both");
    let reason = |lines: Value| pattern.check(&event(lines)).unwrap_err().reason;
    assert!(reason(json!([{ "count": 7 }, { "count": 8 }])).starts_with("`lines.count` is `7`"));
    assert!(reason(json!([])).starts_with("`lines.count` is absent"));
    assert!(pattern.check(&json!({})).is_err());
}

#[test]
fn patterns_have_bounds_and_what_is_at_a_bound_is_taken() {
    let alternatives = |count: usize| json!({ "a": vec![1; count] }).to_string();
    assert!(Pattern::parse(&alternatives(500)).is_ok() && Pattern::parse(&alternatives(501)).is_err());
    let spread = json!({ "a": vec![1; 250], "b": { "c": vec![1; 251] } }).to_string();
    assert!(Pattern::parse(&spread).is_err(), "they are counted together");
    let long = |bytes: usize| format!(r#"{{"a":["{}"]}}"#, "x".repeat(bytes - 10));
    assert_eq!(long(4096).len(), 4096);
    assert!(Pattern::parse(&long(4096)).is_ok() && Pattern::parse(&long(4097)).is_err());
    let deep = |levels: usize| format!("{}[1]{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert!(Pattern::parse(&deep(33)).is_ok() && Pattern::parse(&deep(34)).is_err());
    let choices = |levels: usize| {
        let leaf = r#"{"a":[1]}"#.to_owned();
        (0..levels).fold(leaf, |inner, _| format!(r#"{{"$or":[{inner},{{"b":[1]}}]}}"#))
    };
    assert!(Pattern::parse(&choices(32)).is_ok() && Pattern::parse(&choices(33)).is_err());
    assert_eq!(Pattern::parse("{ \"a\" : [ 1 ] }").unwrap().text(), r#"{"a":[1]}"#);
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
    let why = |text: &str| Pattern::parse(text).unwrap_err().to_string();
    assert_eq!(why(r#"{"d": {"a": 7}}"#), "`d.a`: alternatives stand in a list, even one: [7]");
    assert_eq!(why(r#"{"d": {"a": [{"like": "x"}]}}"#), "`d.a`: there is no comparison `like`");
    assert_eq!(why(r#"{"a": [{"suffix": 1}]}"#), "`a`: `suffix` wants a text");
    assert_eq!(
        why(r#"{"a": [{"prefix": {"equals-ignore-case": "x", "y": 1}}]}"#),
        "`a`: `prefix` wants a text"
    );
    assert_eq!(why(r#"{"a": [{"anything-but": [["x"]]}]}"#), "`a`: `anything-but` lists plain values only");
    assert_eq!(why(r#"{"a": [{"anything-but": {"prefix": []}}]}"#), "`a`: `prefix` wants a text");
    assert_eq!(
        why(r#"{"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]}"#),
        "`a`: `anything-but` wants one comparison"
    );
    assert_eq!(why(r#"{"a": [{"anything-but": null}]}"#), "`a`: `anything-but` wants a value");
    assert!(why(r#"{"a": [{"numeric": ["<", 1, ">", 0, "=", 2]}]}"#).contains("`numeric` wants a list"));
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
    for name in ["aws.x", "", "a<b", "a>b"] {
        let paths = BTreeMap::from([(name.to_owned(), "$.a".to_owned())]);
        assert!(Transformer::parse(&paths, "x").is_err(), "`{name}` is no name");
    }
    let reserved = "<aws.events.rule-arn> <aws.events.event.ingestion-time> <not a name> <>";
    assert_eq!(transformed(&[], reserved, &event), r#""arn:rule" "2026-03-01T00:00:00Z" <not a name> <>"#);
    assert_eq!(transformed(&[], "<aws.events.event.json>", &json!({ "a": 1 })), r#"{"a":1}"#);
    assert_eq!(transformed(&[], "<aws.events.event>", &json!({ "a": 1 })), r#"{"a":1}"#);
    assert_eq!(transformed(&[], "<aws.events.else>", &event), "");
    let named = [("a_b-c.d2", "$.detail.n")];
    assert_eq!(transformed(&named, r#"\"<a_b-c.d2>""#, &event), r#"\"7""#, "a quote that is escaped");
    assert_eq!(transformed(&named, r#""\\" "<a_b-c.d2>""#, &event), r#""\\" "7""#);
    let say = [("say", "$.detail.say")];
    assert_eq!(transformed(&say, r#""\"<say>""#, &event), r#""\"a \"b\"""#);
    assert_eq!(transformed(&say, r#""\\"<say>"#, &event), r#""\\""a \"b\"""#);
    let long = |chars: usize| Transformer::parse(&BTreeMap::new(), &"ü".repeat(chars));
    assert!(long(8192).is_ok() && long(8193).is_err() && long(0).is_err());
    let many: BTreeMap<String, String> = (0..101).map(|n| (format!("n{n}"), "$.a".to_owned())).collect();
    assert!(Transformer::parse(&many, "x").is_err());
}

#[test]
fn a_transformer_has_bounds_and_says_which() {
    let paths = |count: usize| BTreeMap::from_iter((0..count).map(|n| (format!("n{n}"), "$.a".to_owned())));
    assert!(Transformer::parse(&paths(100), "<n0>").is_ok());
    let why = |paths: &BTreeMap<String, String>, template: &str| {
        Transformer::parse(paths, template).unwrap_err().to_string()
    };
    assert_eq!(why(&paths(101), "x"), "an input transformer has at most 100 paths");
    assert_eq!(why(&paths(1), ""), "an input template has 1 to 8192 characters");
    assert_eq!(why(&paths(1), "<n0> <n1>"), "the template has `<n1>`, and no path of that name");
    let named = |name: &str, path: &str| BTreeMap::from([(name.to_owned(), path.to_owned())]);
    assert_eq!(why(&named("aws.x", "$.a"), "x"), "`aws.x` cannot be the name of a placeholder");
    assert_eq!(why(&named("x", "$x"), "x"), "`x`: `.` or `[` is missing at character 2");
    let transformer = Transformer::parse(&paths(1), "<n0>").unwrap();
    let reserved = Reserved { rule_arn: "r", rule_name: "n", ingestion_time: "t" };
    let apply = |bytes: usize| transformer.apply(&json!({ "a": "x".repeat(bytes - 2) }), reserved);
    assert_eq!(apply(256 * 1024).unwrap().len(), 256 * 1024);
    assert_eq!(apply(256 * 1024 + 1).unwrap_err().to_string(), "the input grows beyond 262144 bytes");
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
    let revision =
        |kind: &str, value: &str| json!({ "actionName": "A", "revisionType": kind, "revisionValue": value });
    let of = |revisions: Vec<Value>| TargetInput::parse(&json!({ "sourceRevisions": revisions }).to_string());
    assert!(of(vec![revision("COMMIT_ID", "a"), revision("S3_OBJECT_KEY", "b")]).is_ok());
    assert!(of(vec![revision("COMMIT_ID", "a"), revision("COMMIT_ID", "b")]).is_err());
    assert!(of(vec![revision("COMMIT_ID", &"ü".repeat(1500))]).is_ok());
    assert!(of(vec![revision("COMMIT_ID", &"ü".repeat(1501))]).is_err());
    let variables = |count: usize| {
        let one = |index: usize| json!({ "name": format!("v{index}"), "value": "" });
        TargetInput::parse(&json!({ "variables": (0..count).map(one).collect::<Vec<_>>() }).to_string())
    };
    assert!(variables(50).is_ok() && variables(51).is_err());
    let revisions = |count: usize| of((0..count).map(|index| revision(&format!("K{index}"), "a")).collect());
    assert!(revisions(50).is_ok() && revisions(51).is_err());
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

/// What a `*` may stand for, tried out.
fn is_wild(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|taken| is_wild(rest, &text[taken..])),
        Some((letter, rest)) => text.first() == Some(letter) && is_wild(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn a_star_stands_for_any_text(parts in prop::collection::vec("[ab]{0,2}", 1..5), text in "[ab]{0,8}") {
        let parts: Vec<String> = parts.into_iter().enumerate()
            .map(|(index, part)| if index > 0 && part.is_empty() { "a".to_owned() } else { part })
            .collect();
        for pattern in [parts.join("*"), format!("{}*", parts.join("*"))] {
            let read = Pattern::parse(&json!({ "a": [{ "wildcard": pattern }] }).to_string()).unwrap();
            prop_assert_eq!(read.matches(&json!({ "a": text })), is_wild(pattern.as_bytes(), text.as_bytes()));
        }
    }

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
