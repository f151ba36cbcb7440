//! Slack's limits, as its reference of blocks states them: see `spec/events-and-notifications.md`, section 5.2.

use domain::{
    execution::{ExecutionStatus, StageStatus},
    notice::{
        facts::{Approval, Commit, Facts, Failure, Step},
        slack::{BLOCKS_CHARS_MAX, Detail, detail, escaped, message},
    },
};
use events::{PipelineName, PipelineVersion, StageName, Timestamp};
use serde_json::Value;

/// Every block is one Slack knows, with the members it asks for, within its limits.
#[track_caller]
pub(crate) fn fits(told: &Value) {
    let text = told["text"].as_str().unwrap();
    assert!(!text.is_empty() && text.chars().count() <= 4_000, "{text}");
    let blocks = told["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()), "{}", blocks.len());
    let mut all = 0;
    let mut element = |of: &Value, most: usize, kind: &str| {
        assert_eq!(of["type"], kind, "{of}");
        let text = of["text"].as_str().unwrap();
        let chars = text.chars().count();
        assert!((1..=most).contains(&chars), "{chars} of {most}: {text}");
        if kind == "mrkdwn" {
            balanced(text);
        }
        all += chars;
    };
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => element(&block["text"], 150, "plain_text"),
            "section" if block.get("fields").is_some() => {
                let fields = block["fields"].as_array().unwrap();
                assert!((1..=10).contains(&fields.len()));
                fields.iter().for_each(|field| element(field, 2_000, "mrkdwn"));
            }
            "section" => element(&block["text"], 3_000, "mrkdwn"),
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                elements.iter().for_each(|of| element(of, 3_000, "mrkdwn"));
            }
            other => panic!("a block of type `{other}`"),
        }
    }
    assert!(all <= BLOCKS_CHARS_MAX, "{all} characters in all");
}

/// No link, fence or escape is cut in two, and nothing but our own links and dates is in angle brackets.
#[track_caller]
fn balanced(text: &str) {
    assert_eq!(text.matches("```").count() % 2, 0, "{text}");
    for (open, rest) in text.split('<').skip(1).map(|rest| ("<", rest)) {
        let (inside, _) = rest.split_once('>').unwrap_or_else(|| panic!("`{open}` is not closed: {text}"));
        let ours = ["https://", "http://", "!date^"].iter().any(|start| inside.starts_with(start));
        assert!(ours, "`<{inside}>`: {text}");
    }
    for rest in text.split('&').skip(1) {
        assert!(["amp;", "lt;", "gt;"].iter().any(|entity| rest.starts_with(entity)), "&{rest}");
    }
}

/// Everything as long as it can be, and full of what must be escaped.
fn worst() -> Facts {
    let long = |count: usize| "<&>".repeat(count);
    let stage = |index: usize| StageName::parse(format!("{:x>95}{index:05}", "S")).unwrap();
    let url = || Some(format!("https://example.org/{}", "u&".repeat(90)));
    let failure = |index: usize| Failure {
        stage: stage(index),
        what: "A".repeat(100),
        code: Some("RevisionUnavailable".into()),
        reason: long(2_000),
        lines: vec![long(30), "```".repeat(500), long(400), "last".into()],
        url: url(),
    };
    let approval = |index: usize| Approval {
        stage: stage(index),
        action: "A".repeat(100),
        until: Timestamp(i64::from(i32::MAX) * 1000),
        comment: Some(long(1_000)),
        url: url(),
    };
    let commit = Commit {
        id: long(500),
        url: url(),
        title: Some(long(500)),
        author: Some(long(500)),
        branch: Some(long(500)),
    };
    let step = |index: usize| Step { stage: stage(index), status: Some(StageStatus::Succeeded), waits: true };
    Facts {
        pipeline: PipelineName::parse("P".repeat(100)).unwrap(),
        execution: "0a1b2c3d".into(),
        version: PipelineVersion(u32::MAX),
        status: ExecutionStatus::Failed,
        outcome: None,
        is_rollback: true,
        stages: (0..50).map(step).collect(),
        commits: vec![commit; 3],
        trigger: long(500),
        started: Timestamp(0),
        ended: Some(Timestamp(i64::from(i32::MAX) * 1000)),
        failures: (0..5).map(failure).collect(),
        cause: Some(long(500)),
        approvals: (0..5).map(approval).collect(),
        link: url(),
        place: "111122223333 ap-southeast-2".into(),
    }
}

#[test]
fn the_longest_message_stays_within_slacks_limits() {
    let failed = Facts { approvals: Vec::new(), ..worst() };
    fits(&message(&failed));
    fits(&detail(&Detail::Failed(&failed.failures)));
    let asks = Facts { failures: Vec::new(), status: ExecutionStatus::InProgress, ..worst() };
    fits(&message(&asks));
    fits(&detail(&Detail::Asked(&asks.approvals[0])));
    fits(&detail(&Detail::Ended(&asks)));
}

#[test]
fn of_too_many_stages_those_around_the_one_reached_are_shown() {
    let mut facts = worst();
    facts.stages.iter_mut().skip(40).for_each(|step| step.status = None);
    let told = message(&facts);
    let strip = told["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(strip.starts_with('…') && strip.contains("00039"), "{strip}");
}

#[test]
fn as_many_stages_as_have_room_are_shown() {
    let step = |index: usize| Step {
        stage: StageName::parse(format!("Stage{index}")).unwrap(),
        status: Some(StageStatus::Succeeded),
        waits: false,
    };
    let told = message(&Facts { stages: (0..50).map(step).collect(), ..worst() });
    let strip = told["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(strip.starts_with("✅ Stage0   ✅ Stage1 ") && strip.ends_with("✅ Stage49"), "{strip}");
}

#[test]
fn only_a_failure_that_is_told_at_length_shows_its_lines() {
    let failure = |what: &str, lines: &[&str]| Failure {
        stage: StageName::parse("Build").unwrap(),
        what: what.into(),
        code: None,
        reason: "exit status 1".into(),
        lines: lines.iter().map(|line| line.to_string()).collect(),
        url: None,
    };
    let told = |failures: &[Failure]| message(&Facts { failures: failures.to_vec(), ..worst() }).to_string();
    let first = told(&[failure("A", &["of A"]), failure("B", &["of B"])]);
    assert!(
        first.contains("of A") && first.contains("*Build/B* failed") && !first.contains("of B"),
        "{first}"
    );
    let fences = told(&[failure("A", &[]), failure("B", &[])]).matches("```").count();
    assert_eq!(fences, 4, "a reason each, and nothing around no lines");
}

#[test]
fn a_message_without_anything_to_say_is_still_one() {
    let none = Facts {
        stages: Vec::new(),
        commits: Vec::new(),
        failures: Vec::new(),
        approvals: Vec::new(),
        cause: None,
        ended: None,
        link: None,
        trigger: "ana".into(),
        ..worst()
    };
    fits(&message(&none));
}

#[test]
fn an_escape_is_never_cut_in_two() {
    assert_eq!(escaped("a<b>&c", 100), "a&lt;b&gt;&amp;c");
    for most in 2..40 {
        let shown = escaped("<<<>>>&&&üüü", most);
        assert!(shown.chars().count() <= most, "{most}: {shown}");
        balanced(&shown);
    }
}
