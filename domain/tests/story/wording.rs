//! Sentences about events that no stored example has, and how texts from outside stand in them.

use domain::story::{execution_words, pipeline_words, policy_words};
use events::{
    Compatibility, ExecutionEvent, GatePolicy, Newer, Older, PipelineEvent, Policy, StageName, codec::Stored,
};
use serde_json::{Value, json};

fn told(kind: &str, body: &Value) -> String {
    execution_words(&ExecutionEvent::decode(kind, 1, &body.to_string()).unwrap())
}

#[test]
fn each_verdict_has_its_words() {
    for (verdict, words) in [
        ("Succeeded", "is met"),
        ("Failed", "is NOT MET"),
        ("Errored", "COULD NOT BE ASKED"),
        ("Cancelled", "is cancelled"),
        ("Abandoned", "is abandoned"),
    ] {
        let body = json!({ "stage": "Live", "condition": "BEFORE_ENTRY", "verdict": verdict });
        assert_eq!(told("ConditionEnded", &body), format!("the beforeEntry condition of stage Live {words}"));
    }
}

#[test]
fn of_a_text_from_outside_one_line_is_told_without_what_moves_a_cursor() {
    let long = |chars: usize| "ü".repeat(chars);
    for (reason, shown) in [
        ("because".to_owned(), ": because".to_owned()),
        (String::new(), String::new()),
        (" \n\t\n".to_owned(), String::new()),
        ("\n  first \nsecond".to_owned(), ": first".to_owned()),
        ("a\u{1b}[2Jb\tc".to_owned(), ": a[2Jbc".to_owned()),
        (long(200), format!(": {}", long(200))),
        (long(201), format!(": {}…", long(200))),
    ] {
        let words = told("ExecutionCancelled", &json!({ "reason": reason }));
        assert_eq!(words, format!("the execution is cancelled{shown}"));
    }
}

#[test]
fn several_of_a_kind_stand_one_after_another() {
    let pipeline =
        |kind: &str, body: Value| pipeline_words(&PipelineEvent::decode(kind, 1, &body.to_string()).unwrap());
    let tags = json!({ "tags": { "team": "shop", "stage": "beta" }, "by": "ann" });
    assert_eq!(pipeline("PipelineTagged", tags), "tagged stage=beta, team=shop by ann");
    let keys = json!({ "keys": ["team", "stage"], "by": "ann" });
    assert_eq!(pipeline("PipelineUntagged", keys), "tags team, stage were taken off by ann");
    let started = json!({
        "pipeline": "shop", "pipeline_version": 4, "mode": "QUEUED", "sequence": 1,
        "trigger": { "type": "Webhook", "detail": "hook" }, "revisions": { "Also": "r2", "Src": "r1" },
    });
    assert_eq!(
        told("ExecutionStarted", &started),
        "started on version 4 by Webhook (hook), with Also = r2, Src = r1"
    );
}

#[test]
fn a_policy_is_told_gate_by_gate_and_none_where_nothing_is_laid_down() {
    assert_eq!(policy_words(&Policy::default()), None);
    let gate = |stage: &str, newer, older| (StageName::parse(stage).unwrap(), GatePolicy { newer, older });
    let mut policy = Policy {
        compatibility: Compatibility::Exact,
        gates: [
            gate("A", Newer::Hold, None),
            gate("B", Newer::Newest, Some(Older::Allow)),
            gate("C", Newer::Supersede, Some(Older::Refuse)),
        ]
        .into(),
    };
    let gates =
        "gate A: newer hold; gate B: newer newest, older allowed; gate C: newer supersede, older refused";
    assert_eq!(policy_words(&policy).as_deref(), Some(gates));
    policy.compatibility = Compatibility::Extended;
    let extended = format!("extended: it keeps its own definition; {gates}");
    assert_eq!(policy_words(&policy), Some(extended));
}
