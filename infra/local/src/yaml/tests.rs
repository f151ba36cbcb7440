use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn root(text: &str) -> Node {
    parse(text).unwrap().unwrap()
}

/// Every scalar as a text.
fn value(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Scalar { text, .. } => json!(text),
        Content::List(items) => items.iter().map(value).collect(),
        Content::Map(entries) => entries.iter().map(|(key, node)| (key.name.clone(), value(node))).collect(),
    }
}

fn why(text: &str) -> String {
    let flaw = parse(text).unwrap_err();
    format!("{}:{}: {}", flaw.place.line, flaw.place.column, flaw.message)
}

#[test]
fn scalars_keep_their_spelling() {
    let text = "a: 012345678901\nb: 2010-09-09\nc: yes\nd: 1.10\ne: ~\nf: '~'\ng: 0x1F\nh: ''\ni: 1e3\nj: 0644 # why\n\
                k: plain words\nl: &x 010\nm: *x\nn: !!str 7\n";
    let expected = json!({
        "a": "012345678901", "b": "2010-09-09", "c": "yes", "d": "1.10", "e": null, "f": "~", "g": "0x1F", "h": "",
        "i": "1e3", "j": "0644", "k": "plain words", "l": "010", "m": "010", "n": "7",
    });
    assert_eq!(value(&root(text)), expected);
}

#[test]
fn quotes_and_blocks_are_told_from_plain_words() {
    let Content::List(items) = root("- 0644\n- '0644'\n- \"0644\"\n- |-\n  0644\n- two\n  lines\n").content
    else {
        panic!("a list")
    };
    let quoted = items.iter().map(|item| matches!(item.content, Content::Scalar { quoted: true, .. }));
    assert_eq!(quoted.collect::<Vec<_>>(), [false, true, true, true, false]);
}

#[test]
fn nodes_and_keys_know_their_places() {
    let Content::Map(entries) = root("a: 1\nbé:\n  - x\nc: [é, y]\n").content else { panic!("a map") };
    let (key, list) = &entries[1];
    assert_eq!((key.place.line, key.place.column), (2, 1));
    let Content::List(items) = &list.content else { panic!("a list") };
    assert_eq!((items[0].place.line, items[0].place.column), (3, 5));
    let Content::List(items) = &entries[2].1.content else { panic!("a list") };
    assert_eq!((items[1].place.line, items[1].place.column), (4, 8), "characters, not bytes");
}

#[test]
fn aliases_and_merges_are_replaced() {
    let Content::Map(entries) = root("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\n").content else {
        panic!("a map")
    };
    let Content::Map(mine) = &entries[1].1.content else { panic!("a map") };
    let mine: Vec<_> = mine.iter().map(|(key, node)| (key.name.as_str(), value(node))).collect();
    assert_eq!(mine, [("y", json!("3")), ("x", json!("1"))]);
}

#[test]
fn tags_stand_for_keys_where_somebody_knows_them() {
    let key_of_tag: KeyOfTag = |tag| match tag {
        "!Ref" => Ok(Some("Ref".to_owned())),
        "!Ignored" => Ok(None),
        other => Err(format!("what is `{other}`?")),
    };
    let text = "a: !Ref X\nb: !Ref\nc: !Ref [x]\nd: !Ref {x: y}\ne: !Ignored z\nf: !!int 7\ng: ! h\n";
    let expected = json!({
        "a": {"Ref": "X"}, "b": {"Ref": ""}, "c": {"Ref": ["x"]}, "d": {"Ref": {"x": "y"}}, "e": "z", "f": "7",
        "g": "h",
    });
    assert_eq!(value(&parse_tagged(text, key_of_tag).unwrap().unwrap()), expected);
    let place = Place { line: 1, column: 10 };
    let message = "what is `!Reff`?".to_owned();
    assert_eq!(parse_tagged("a: !Reff X\n", key_of_tag), Err(Flaw { place, message }));
    assert_eq!(value(&root("a: !Reff X\n")), json!({"a": "X"}));
}

#[test]
fn a_document_with_nothing_in_it_is_none() {
    for text in ["", "\u{feff}", "# only words\n", "~", "--- null\n", "---\n...\n"] {
        assert_eq!(parse(text), Ok(None), "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_are_no_part_of_the_text() {
    assert_eq!(value(&root("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n")), json!({"a": "1", "b": "x\ny\n"}));
    assert_eq!(why("\u{feff}a: 1\r\na: 2\r\n"), "2:1: `a` is given twice: first on line 1");
}

#[test]
fn mistakes_are_named_with_their_place() {
    assert_eq!(why("a: 1\nb: 2\na: 3\n"), "3:1: `a` is given twice: first on line 1");
    assert_eq!(why("? [a]\n: b\n"), "1:3: a key must be one word or a quoted text");
    assert_eq!(why("a: 1\n---\nb: 1\n"), "2:1: a second document starts here: one is expected");
    assert_eq!(why("~\n---\nb: 1\n"), "2:1: a second document starts here: one is expected");
    assert_eq!(why("a:\n  <<: x\n"), "2:7: `<<` takes a map, or a list of maps");
    assert_eq!(why("a: &x [*x]\n"), "1:8: this alias stands for the list or map it lies in");
    assert!(why("a: [1\nb: 2").starts_with("2:2: this is not YAML: "), "{}", why("a: [1\nb: 2"));
}

#[test]
fn everything_is_bounded() {
    let brackets = |count| format!("{}{}", "[".repeat(count), "]".repeat(count));
    assert!(parse(&brackets(100)).is_ok());
    assert_eq!(why(&brackets(101)), "1:101: more than 100 levels");
    assert!(why(&"[".repeat(100_000)).contains("this is not YAML"));
    assert!(why(&"- ".repeat(100_000)).contains("more than 100 levels"));
    let keys = |count| (0..count).map(|key| format!("k{key}: 1\n")).collect::<String>();
    assert!(parse(&keys(5_000)).is_ok());
    assert_eq!(why(&keys(5_001)), "5001:1: more than 5000 keys");
    assert_eq!(why(&" ".repeat(TEXT_BYTES_MAX + 1)), "1:1: the file is larger than 1048576 bytes");
}

#[test]
fn aliases_that_multiply_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", ")));
    }
    assert!(why(&text).contains("too much once its aliases are replaced"));
}

#[test]
fn aliases_lead_no_deeper_than_brackets_may() {
    let nested = |count, inner: &str| format!("{}{inner}{}", "[".repeat(count), "]".repeat(count));
    let text = |count| format!("a: &a {}\nb: {}\n", nested(49, "x"), nested(count, "*a"));
    assert!(parse(&text(50)).is_ok());
    assert_eq!(why(&text(51)), "2:55: more than 100 levels");
}

#[test]
fn anchors_within_each_other_are_bounded() {
    let text = |count| format!("{}{}{}", "&a [".repeat(count), "x,".repeat(10_000), "]".repeat(count));
    assert!(parse(&text(10)).is_ok());
    assert!(why(&text(20)).contains("too much once its aliases are replaced"));
}

#[test]
fn merged_maps_may_hold_no_more_keys_than_one() {
    let map = |first: usize, last: usize| {
        (first..last).map(|key| format!("k{key}: 1")).collect::<Vec<_>>().join(", ")
    };
    let text = |last| format!("<<: [{{{}}}, {{{}}}]\n", map(0, 4_000), map(3_000, last));
    assert!(parse(&text(5_000)).is_ok());
    assert!(why(&text(5_001)).ends_with("more than 5000 keys"));
}

#[test]
fn an_alias_may_stand_for_a_key_and_be_one() {
    assert_eq!(value(&root("&k a: 1\nb: *k\n")), json!({"a": "1", "b": "a"}));
    assert_eq!(value(&root("a: &k b\n*k : 1\n")), json!({"a": "b", "b": "1"}));
    assert_eq!(why("&k a: 1\n*k : 2\n"), "2:1: `a` is given twice: first on line 1");
}

#[test]
fn a_merge_in_quotes_is_a_key_like_any_other() {
    assert_eq!(value(&root("'<<': {a: 1}\nb: 2\n")), json!({"<<": {"a": "1"}, "b": "2"}));
}

/// Pieces of buildspecs, appspecs and templates, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a: ", "- ", "  ", "\n", "\n  ", "\n    - ", "!Sub ", "!x ", "! ", "!!str ", "[", "]", "{", "}",
        ", ", ": ", "&a ", "*a", "<<: ", "'", "\"", "|\n", ">-\n", "#", "---\n", "...\n", "%TAG ! x", "? ",
        "${X}", "012", "~", "\t", "\r\n", "\u{feff}", "é", "\0",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![pieces(), any::<String>()]) {
        let key_of_tag: KeyOfTag = |tag| Ok(Some(tag.to_owned()));
        for read in [parse(&text), parse_tagged(&text, key_of_tag)] {
            match read {
                Ok(Some(node)) => prop_assert!(node.place >= Place::START && !value(&node).is_null()),
                Ok(None) => {}
                Err(flaw) => prop_assert!(flaw.place >= Place::START && !flaw.message.is_empty()),
            }
        }
    }

    /// Whatever JSON can say, YAML reads the same, but that everything is a text: so lines can be found in both.
    #[test]
    fn json_is_read_alike(texts in prop::collection::btree_map("[ -~]{1,8}", "[ -~]{0,8}", 0..6)) {
        let expected = json!({ "list": [texts], "map": texts });
        for text in [expected.to_string(), format!("{expected:#}")] {
            prop_assert_eq!(value(&root(&text)), expected.clone(), "{}", text);
        }
    }
}
