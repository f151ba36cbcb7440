//! What is noted of evaluations.

use domain::{
    story::why_pipeline,
    trigger::{EVALUATIONS_KEPT, Note, Triggers},
};
use events::{ExecutionId, PipelineName, Timestamp, TriggerEvaluated, TriggerSource, TriggerVerdict};
use std::collections::BTreeMap;

fn evaluated(verdict: TriggerVerdict) -> TriggerEvaluated {
    TriggerEvaluated {
        source: TriggerSource::Watch,
        event: "push of abc to branch `dev` of `acme/shop`".into(),
        identity: Some("acme/shop branch dev a..b".into()),
        delivery: None,
        verdict,
    }
}

fn not_started(reason: &str) -> TriggerEvaluated {
    evaluated(TriggerVerdict::NotStarted { reason: reason.into() })
}

fn started() -> TriggerEvaluated {
    let execution = ExecutionId::parse("5a1c0b7e-0d7f-4a6e-9c0b-6f3e2d1c0b9a").unwrap();
    evaluated(TriggerVerdict::Started { execution, revisions: BTreeMap::new(), because: "it is so".into() })
}

fn note(journal: &mut Triggers, evaluated: TriggerEvaluated, at: i64) -> usize {
    let events = journal.decide(&Note(evaluated), Timestamp(at));
    events.iter().for_each(|event| journal.evolve(event, Timestamp(at)));
    events.len()
}

#[test]
fn a_start_is_noted_once_and_what_started_nothing_each_time() {
    let mut journal = Triggers::default();
    assert_eq!(note(&mut journal, started(), 1), 1);
    assert_eq!(note(&mut journal, started(), 2), 0);
    assert_eq!(note(&mut journal, not_started("no"), 3), 1);
    assert_eq!(note(&mut journal, not_started("no"), 4), 1);
    assert_eq!(journal.recent.len(), 3);
    assert_eq!(Note(started()).name(), "NoteTrigger", "as logs call it");
}

#[test]
fn a_delivery_that_comes_again_is_noted_again_only_when_it_was_forgotten() {
    const HOUR: i64 = 60 * 60 * 1000;
    let of = |source, delivery: &str| TriggerEvaluated {
        source,
        delivery: Some(delivery.into()),
        ..not_started("no")
    };
    for (source, hours) in [
        (TriggerSource::Watch, 1),
        (TriggerSource::Bus, 24),
        (TriggerSource::GitHost, 24),
        (TriggerSource::Schedule, 24),
        (TriggerSource::Pipeline, 24),
    ] {
        let mut journal = Triggers::default();
        assert_eq!(note(&mut journal, of(source, "d-1"), 5), 1, "{source:?}");
        assert_eq!(note(&mut journal, of(source, "d-2"), 6), 1, "{source:?}");
        assert_eq!(note(&mut journal, of(source, "d-1"), 4 + hours * HOUR), 0, "{source:?}");
        assert_eq!(note(&mut journal, of(source, "d-1"), 5 + hours * HOUR), 1, "{source:?}");
    }
}

#[test]
fn only_the_newest_are_kept() {
    let mut journal = Triggers::default();
    for at in 0..EVALUATIONS_KEPT as i64 + 7 {
        note(&mut journal, not_started(&at.to_string()), at);
    }
    assert_eq!(journal.recent.len(), EVALUATIONS_KEPT);
    assert_eq!(journal.recent[0].at, Timestamp(7));
}

#[test]
fn the_same_push_known_in_another_way_is_recognised() {
    let mut journal = Triggers::default();
    note(&mut journal, started(), 1);
    let identity = "acme/shop branch dev a..b";
    assert!(journal.started_by_another(identity, TriggerSource::GitHost).is_some());
    assert!(
        journal.started_by_another(identity, TriggerSource::Watch).is_none(),
        "a delivery of its own kind is told apart by its id"
    );
    assert!(journal.started_by_another("another", TriggerSource::GitHost).is_none());
}

#[test]
fn why_tells_the_newest_first() {
    let mut journal = Triggers::default();
    note(&mut journal, started(), 1_000);
    note(&mut journal, not_started("branch `dev` is not among includes `main`"), 61_000);
    let name = PipelineName::parse("shop").unwrap();
    let answer = why_pipeline(
        &name,
        &Default::default(),
        &Default::default(),
        &journal,
        None,
        Timestamp(121_000),
        |_| None,
    );
    assert_eq!(
        answer.because,
        [
            "the push of abc to branch `dev` of `acme/shop` started nothing 60 s ago: branch `dev` is not among includes `main`",
            "the push of abc to branch `dev` of `acme/shop` started execution 5a1c0b7e-0d7f-4a6e-9c0b-6f3e2d1c0b9a 2 min ago: it is so",
        ]
    );
}
