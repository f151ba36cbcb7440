//! Each sign and word of a message for Slack, and where texts are cut.

use domain::{
    execution::{ExecutionStatus, StageStatus},
    notice::{
        Outcome,
        facts::{Approval, Commit, Facts, Failure, Step},
        slack::{Detail, detail, escaped, message, summary},
    },
};
use events::{PipelineName, PipelineVersion, StageName, Timestamp};
use serde_json::Value;

fn stage(name: &str) -> StageName {
    StageName::parse(name).unwrap()
}

fn plain() -> Facts {
    Facts {
        pipeline: PipelineName::parse("shop").unwrap(),
        execution: "0a1b2c3d".into(),
        version: PipelineVersion(7),
        status: ExecutionStatus::InProgress,
        outcome: None,
        is_rollback: false,
        stages: Vec::new(),
        commits: Vec::new(),
        trigger: "ann".into(),
        started: Timestamp(61_500),
        ended: None,
        failures: Vec::new(),
        cause: None,
        approvals: Vec::new(),
        link: None,
        place: "111122223333 eu-west-1".into(),
    }
}

fn failure(what: &str) -> Failure {
    let (reason, lines) = ("exit status 1".into(), Vec::new());
    Failure { stage: stage("Build"), what: what.into(), code: None, reason, lines, url: None }
}

fn approval(action: &str) -> Approval {
    let until = Timestamp(120_000);
    Approval { stage: stage("Gate"), action: action.into(), until, comment: None, url: None }
}

/// The texts of a message's sections.
fn sections(told: &Value) -> Vec<String> {
    let blocks = told["blocks"].as_array().unwrap().iter();
    blocks.filter_map(|block| block["text"]["text"].as_str()).skip(1).map(ToOwned::to_owned).collect()
}

fn fields(facts: &Facts) -> Vec<String> {
    let told = message(facts);
    let blocks = told["blocks"].as_array().unwrap();
    let fields = blocks.iter().find_map(|block| block["fields"].as_array()).unwrap();
    fields.iter().map(|field| field["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_state_has_its_sign_and_its_words() {
    let facts = |status| Facts { status, ..plain() };
    let asked = Facts { approvals: vec![approval("Ask")], ..plain() };
    let back = Facts { is_rollback: true, ..facts(ExecutionStatus::Succeeded) };
    let fixed = Facts { outcome: Some(Outcome::Fixed), ..facts(ExecutionStatus::Succeeded) };
    for (facts, header) in [
        (asked, "⏸️ shop – APPROVAL NEEDED"),
        (facts(ExecutionStatus::InProgress), "▶️ shop – IN PROGRESS"),
        (facts(ExecutionStatus::Stopping), "⏹️ shop – STOPPING"),
        (facts(ExecutionStatus::Stopped), "⏹️ shop – STOPPED"),
        (Facts { outcome: Some(Outcome::Fixed), ..back.clone() }, "↩️ shop – ROLLED BACK"),
        (back, "↩️ shop – ROLLED BACK"),
        (fixed, "✅ shop – FIXED"),
        (facts(ExecutionStatus::Succeeded), "✅ shop – SUCCEEDED"),
        (facts(ExecutionStatus::Superseded), "⏭️ shop – SUPERSEDED"),
        (facts(ExecutionStatus::Failed), "❌ shop – FAILED"),
        (facts(ExecutionStatus::Cancelled), "🚫 shop – CANCELED"),
    ] {
        let told = message(&facts);
        assert_eq!(told["blocks"][0]["text"]["text"], header);
        let line =
            header.replace(" –", "").replacen("shop ", "shop:", 1).to_lowercase().replace("shop:", "shop ");
        assert!(summary(&facts).starts_with(&line), "{}", summary(&facts));
    }
}

#[test]
fn each_stage_has_a_sign_in_the_strip_and_words_in_the_thread() {
    for (status, waits, sign, words) in [
        (None, false, "⬜", ""),
        (Some(StageStatus::InProgress), true, "⏸️", ""),
        (Some(StageStatus::InProgress), false, "⏳", "goes on"),
        (Some(StageStatus::Stopping), true, "⏹️", "is stopping"),
        (Some(StageStatus::Stopped), false, "⏹️", "stopped"),
        (Some(StageStatus::Succeeded), true, "✅", "succeeded"),
        (Some(StageStatus::Failed), false, "❌", "failed"),
        (Some(StageStatus::Cancelled), false, "🚫", "was canceled"),
        (Some(StageStatus::Skipped), false, "⏭️", "was skipped"),
    ] {
        let stages = vec![Step { stage: stage("Build"), status, waits }];
        assert_eq!(sections(&message(&Facts { stages, ..plain() })), [format!("{sign} Build")]);
        if let Some(status) = status.filter(|_| !words.is_empty()) {
            let told = detail(&Detail::Stage { stage: "Build", status, took: "4 s".into() });
            assert_eq!(told["text"], format!("{sign} *Build* {words} after 4 s"));
        }
    }
}

#[test]
fn each_detail_of_a_thread_has_its_words() {
    let answered =
        |approved, comment| Detail::Answered { place: "Gate/Ask".into(), approved, by: "ann", comment };
    let ended = Facts { status: ExecutionStatus::Cancelled, cause: Some("deleted".into()), ..plain() };
    for (what, text) in [
        (Detail::Failed(&[]), "❌ The execution failed"),
        (Detail::Resumed { stage: "A & B" }, "🔁 *A &amp; B* is tried again"),
        (answered(true, None), "👍 *Gate/Ask* was approved by ann"),
        (answered(false, Some("not yet")), "👎 *Gate/Ask* was rejected by ann: not yet"),
        (Detail::Ended(&ended), "🚫 shop canceled: deleted"),
    ] {
        let told = detail(&what);
        assert_eq!(told["text"], text);
        assert_eq!(told["blocks"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn three_failures_and_three_approvals_are_told() {
    let failures = Vec::from_iter(["A", "B", "C", "D"].map(failure));
    let approvals = Vec::from_iter(["A", "B", "C", "D"].map(approval));
    let told = message(&Facts { failures: failures.clone(), approvals, ..plain() });
    let starts = sections(&told).into_iter().map(|text| text.split("* ").next().unwrap().to_owned());
    assert_eq!(
        Vec::from_iter(starts),
        ["*Build/A", "*Build/B", "*Build/C", "⏸️ *Gate/A", "⏸️ *Gate/B", "⏸️ *Gate/C"]
    );
    assert_eq!(detail(&Detail::Failed(&failures))["blocks"].as_array().unwrap().len(), 3);
}

#[test]
fn one_line_says_what_failed_or_who_is_asked_or_why_it_ended() {
    let more = |facts: Facts| summary(&facts);
    assert_eq!(more(plain()), "▶️ shop in progress");
    assert_eq!(more(Facts { cause: Some("deleted".into()), ..plain() }), "▶️ shop in progress: deleted");
    let asked = Facts { approvals: vec![approval("Ask")], cause: Some("deleted".into()), ..plain() };
    assert_eq!(more(asked.clone()), "⏸️ shop approval needed in Gate/Ask");
    let failed =
        Facts { failures: vec![failure("A"), failure("B")], status: ExecutionStatus::Failed, ..asked };
    assert_eq!(more(failed), "❌ shop failed in Build/A: exit status 1");
}

#[test]
fn fields_say_what_is_known_and_nothing_of_the_rest() {
    let started = "*Started*\n<!date^61^{date_short_pretty} {time}|1970-01-01T00:01:01Z>";
    assert_eq!(fields(&plain()), ["*Started by*\nann", started, "*Execution*\n0a1b2c3d (version 7)"]);
    let commit = |id: &str, url: Option<&str>, author: Option<&str>| Commit {
        id: id.into(),
        url: url.map(Into::into),
        title: author.map(|_| "Fix it".into()),
        author: author.map(Into::into),
        branch: author.map(|_| "main".into()),
    };
    let url = Some("https://git.example.com/1");
    let commits =
        vec![commit("r1", None, None), commit("r2", url, Some("Ada")), commit("r3", url, Some("Bob"))];
    let (ended, cause) = (Some(Timestamp(65_000)), Some("deleted".into()));
    let facts = Facts { commits, ended, cause, is_rollback: true, ..plain() };
    assert_eq!(
        fields(&facts),
        [
            "*Revision*\nr1",
            "*Revision*\n<https://git.example.com/1|r2> Fix it (main)",
            "*Revision*\n<https://git.example.com/1|r3> Fix it (main)",
            "*Author*\nAda",
            "*Started by*\nann",
            started,
            "*Duration*\n3 s",
            "*Execution*\n0a1b2c3d (version 7, rollback)",
            "*Why*\ndeleted",
        ]
    );
}

/// What is shown of a failure with this address.
fn linked(url: &str) -> String {
    let failures = vec![Failure { url: Some(url.into()), reason: String::new(), ..failure("A") }];
    sections(&message(&Facts { failures, ..plain() })).remove(0)
}

#[test]
fn only_an_address_of_the_web_that_is_not_too_long_is_a_link() {
    let long = |chars: usize| format!("https://e.org/{}", "x".repeat(chars - 14));
    for (url, shown) in [
        ("https://e.org/a".to_owned(), "<https://e.org/a|Details>".to_owned()),
        ("http://e.org/a".to_owned(), "<http://e.org/a|Details>".to_owned()),
        ("javascript:alert(1)".to_owned(), "Details".to_owned()),
        (
            "https://e.org/<a>|b&c d\u{7}".to_owned(),
            "<https://e.org/%3Ca%3E%7Cb&amp;c%20d%20|Details>".to_owned(),
        ),
        (long(400), format!("<{}|Details>", long(400))),
        (long(401), "Details".to_owned()),
    ] {
        assert_eq!(linked(&url), format!("*Build/A* failed · {shown}"));
    }
}

#[test]
fn of_the_last_lines_as_many_are_shown_as_have_room() {
    let shown = |lines: &[String]| {
        let failures = vec![Failure { lines: lines.to_vec(), reason: String::new(), ..failure("A") }];
        let told = sections(&message(&Facts { failures, ..plain() })).remove(0);
        told.strip_prefix("*Build/A* failed\n```")
            .and_then(|told| told.strip_suffix("```"))
            .unwrap()
            .to_owned()
    };
    let long = |chars: usize| "x".repeat(chars);
    assert_eq!(
        shown(&["ab".into(), long(1_496)]),
        format!("ab\n{}", long(1_496)),
        "with an end of each line"
    );
    assert_eq!(shown(&["ab".into(), long(1_497)]), long(1_497));
    assert_eq!(shown(&["ab".into(), long(1_499)]), long(1_499));
    assert_eq!(
        shown(&["ab".into(), long(1_500)]),
        format!("{}…", long(1_499)),
        "the last, as far as it goes"
    );
    assert_eq!(shown(&["<".repeat(320), "&".repeat(50)]), "&amp;".repeat(50), "as they are sent");
}

#[test]
fn the_strip_is_as_long_as_a_section_has_room() {
    let strip = |lengths: &mut dyn Iterator<Item = usize>, reached: usize| {
        let steps = lengths.enumerate().map(|(at, chars)| {
            let status = (at == reached).then_some(StageStatus::Succeeded);
            Step { stage: stage(&"S".repeat(chars)), status, waits: false }
        });
        sections(&message(&Facts { stages: steps.collect(), ..plain() })).remove(0)
    };
    let most = |chars| std::iter::repeat_n(chars, 28);
    let fits = strip(&mut most(100).chain([38]), 0);
    assert!(fits.ends_with(&format!("   ⬜ {}", "S".repeat(38))), "{fits}");
    assert_eq!(fits.chars().count(), 2_980);
    let cut = strip(&mut most(100).chain([39]), 0);
    assert!(cut.ends_with("S   …") && !cut.starts_with('…'), "{cut}");
    let fits = strip(&mut [38].into_iter().chain(most(100)), 28);
    assert!(fits.starts_with(&format!("⬜ {}   ⬜ ", "S".repeat(38))), "{fits}");
    assert_eq!(fits.chars().count(), 2_980);
    let cut = strip(&mut [39].into_iter().chain(most(100)), 28);
    assert!(cut.starts_with("…   ⬜ S") && cut.ends_with('S'), "{cut}");
}

#[test]
fn a_text_is_cut_where_there_is_no_room_for_it_and_the_sign_of_a_cut() {
    for (text, most, shown) in [
        ("abc", 4, "abc"),
        ("abc", 3, "ab…"),
        ("a<b", 5, "a…"),
        ("a<b", 6, "a&lt;…"),
        ("a<b", 7, "a&lt;b"),
        ("a>b", 6, "a&gt;…"),
        ("a&b", 7, "a&amp;…"),
        ("a&b", 8, "a&amp;b"),
    ] {
        assert_eq!(escaped(text, most), shown, "{text} {most}");
    }
    let told = |chars: usize| {
        let comment = "x".repeat(chars);
        let by = "ann";
        let what = Detail::Answered { place: "Gate/Ask".into(), approved: true, by, comment: Some(&comment) };
        detail(&what)["text"].as_str().unwrap().to_owned()
    };
    let before = told(1).chars().count() - 1;
    assert_eq!(told(300 - before).chars().count(), 300);
    assert!(told(300 - before).ends_with('x'));
    let cut = told(301 - before);
    assert_eq!((cut.chars().count(), cut.ends_with("x…")), (300, true));
}

#[test]
fn what_is_long_is_cut_to_what_people_read() {
    let long = || "x".repeat(5_000);
    let cut = |most: usize| format!("{}…", "x".repeat(most - 1));
    let commit =
        Commit { id: long(), url: None, title: Some(long()), author: Some(long()), branch: Some(long()) };
    let cause = Some(long());
    let facts = Facts { commits: vec![commit], trigger: long(), cause, place: long(), ..plain() };
    let shown = fields(&facts);
    assert_eq!(shown[0], format!("*Revision*\n{} {} ({})", cut(60), cut(150), cut(60)));
    assert_eq!(shown[1], format!("*Author*\n{}", cut(200)));
    assert_eq!(shown[2], format!("*Started by*\n{}", cut(200)));
    assert_eq!(shown[5], format!("*Why*\n{}", cut(200)));
    let told = message(&facts);
    assert_eq!(told["blocks"][2]["elements"][0]["text"], cut(400));
    assert_eq!(told["text"].as_str().unwrap().chars().count(), 300);
    let failures =
        vec![Failure { reason: long(), ..failure("A") }, Failure { reason: long(), ..failure("B") }];
    let approvals = vec![Approval { comment: Some(long()), ..approval("Ask") }];
    let told = sections(&message(&Facts { failures, approvals, ..plain() }));
    assert_eq!(told[0], format!("*Build/A* failed\n```{}```", cut(700)));
    assert_eq!(told[1], format!("*Build/B* failed\n```{}```", cut(400)), "the others shorter");
    assert!(told[2].ends_with(&format!("\n{}", cut(700))), "{}", told[2]);
}
