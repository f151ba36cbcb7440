//! Patterns, one line for each sentence of the page.

use domain::trigger::Glob;
use proptest::prelude::*;

#[test]
fn patterns_match_as_the_page_says() {
    // Pattern, texts that it matches, texts that it does not.
    let table: &[(&str, &[&str], &[&str])] = &[
        ("main", &["main"], &["Main", "main2", "amain", ""]),
        ("main*", &["main", "main-2"], &["main/x", "xmain"]),
        ("feature/**", &["feature/a", "feature/a/b", "feature/"], &["feature", "features/a"]),
        ("**", &["", "a", "a/b", ".git/x"], &[]),
        ("*", &["", "a", ".hidden"], &["a/b"]),
        ("directory/*", &["directory/a"], &["directory/a/b", "directory"]),
        ("directory/**/*", &["directory/a", "directory/a/b"], &["directory"]),
        (
            "common/**/*.js",
            &["common/app.js", "common/a/b/app.js"],
            &["common/app.ts", "app.js", "xcommon/app.js"],
        ),
        ("**/README.md", &["README.md", "a/README.md", "a/b/README.md"], &["aREADME.md", "README.mdx"]),
        ("**.js", &["a.js", "a/b.js"], &["a.jsx"]),
        ("a**b", &["ab", "axb", "a/x/b"], &["a", "abc"]),
        ("v?.?", &["v1.2"], &["v1", "v1.22", "v/.2"]),
        ("{main,release/*}", &["main", "release/1"], &["release/1/2", "{main,release/*}"]),
        ("x{,y}z", &["xz", "xyz"], &["xyyz"]),
        ("{**/a,b}", &["a", "x/a", "b"], &["x/b"]),
        ("v[0-9]", &["v1"], &["vx", "v"]),
        ("v[!0-9]", &["vx"], &["v1", "v/"]),
        ("[-a]", &["-", "a"], &["b"]),
        ("[!-a]", &["b"], &["-", "a", "/"]),
        ("[*?\\]", &["*", "?", "\\"], &["a"]),
        ("a\\*b", &["a*b"], &["axb", "a*xb"]),
        ("\\{a\\}", &["{a}"], &["a"]),
        ("a,b}", &["a,b}"], &["a"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[a-a]x", &["ax"], &["a", "bx"]),
        ("[--x]", &["-", "x"], &["0", "a"]),
        ("[a-c--x]", &["-", "0", "x"], &["%", "y"]),
        ("[a-cx-z]", &["a", "b", "c", "x", "z"], &["d", "w", "-"]),
        ("x**/y", &["x/y", "xa/b/y"], &["xy", "a/x/y"]),
        ("{src/,test/}**/x", &["src/x", "test/x", "src/a/b/x"], &["srcx", "x", "src/xx"]),
        ("{src,test}**/x", &["src/x", "srca/x", "test/a/x"], &["srcx"]),
        ("{src,test/}**/x", &["src/x", "test/a/x"], &["srcx"]),
        ("a/{,b/}**/x", &["a/x", "a/b/x", "a/c/x", "a/b/c/x"], &["ax", "a/bx"]),
        ("{\\{**/x,y}", &["{/x", "{a/x", "y"], &["{x"]),
        ("**/**/x", &["x", "a/x", "a/b/x"], &["ax"]),
        ("***", &["", "a/b"], &[]),
        ("a\\?", &["a?"], &["ab"]),
        ("größe?", &["größe1"], &["größe"]),
    ];
    for (pattern, yes, no) in table {
        let glob = Glob::parse(pattern).unwrap();
        yes.iter().for_each(|text| assert!(glob.matches(text), "`{pattern}` matches `{text}`"));
        no.iter().for_each(|text| assert!(!glob.matches(text), "`{pattern}` does not match `{text}`"));
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for wrong in ["a[b", "[", "[]", "[!]", "{a", "{a,{b}}", "a\\", "[z-a]", "[a/b]"] {
        assert!(Glob::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_pattern_made_to_be_slow_is_not() {
    let glob = Glob::parse(&"*a".repeat(120)).unwrap();
    assert!(!glob.matches(&"a".repeat(20_000).replace("aaaaaaaaaa", "aaaaaaaaab")));
}

proptest! {
    #[test]
    fn any_text_is_a_pattern_or_refused_and_none_breaks(pattern in "[a-c/*?{},!\\[\\]\\\\-]{0,24}", text in "[a-c/]{0,12}") {
        if let Ok(glob) = Glob::parse(&pattern) {
            glob.matches(&text);
        }
    }

    #[test]
    fn a_text_without_signs_matches_itself_alone(text in "[a-z/.é-]{0,20}", other in "[a-z/.é-]{0,20}") {
        let glob = Glob::parse(&text).unwrap();
        prop_assert!(glob.matches(&text));
        prop_assert_eq!(glob.matches(&other), text == other);
    }
}
