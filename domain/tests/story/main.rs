//! Histories in words. `words.txt` tells every event that was ever stored, as `towpath log` would: the answer to read in
//! reviews. `UPDATE_GOLDEN=1 cargo test -p domain --test story` writes it anew.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]
#![allow(clippy::disallowed_methods, reason = "the words are a file; the code itself reads none")]

use domain::{
    execution::Execution,
    story::{Difference, Run, diff, execution_words, lane_words, pipeline_words},
    testing::*,
};
use events::{ExecutionEvent, ExecutionId, LaneEvent, PipelineEvent, Timestamp, codec::Stored};
use serde_json::Value;
use std::{fmt::Write, fs, path::Path};

/// The stored events of one kind of stream that `events/golden` keeps, each with the file's name.
fn stored<E: Stored>(stream: &str) -> Vec<(String, E)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/golden").join(stream);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let read = |name: String| {
        let mut parts = name.split('.');
        let (kind, schema) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
        let event = E::decode(kind, schema, &fs::read_to_string(folder.join(&name)).unwrap()).unwrap();
        (name, event)
    };
    names.into_iter().map(read).collect()
}

/// Whoever a lane's event is about, as its body has it.
fn named_in(event: &LaneEvent) -> Vec<ExecutionId> {
    let body: Value = serde_json::from_str(&event.body()).unwrap();
    let texts = body.as_object().unwrap().values().flat_map(|value| match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        other => Vec::from_iter(other.as_str()),
    });
    let ids = texts.filter(|text| text.len() == 36).filter_map(|text| ExecutionId::parse(text).ok());
    ids.collect()
}

#[test]
fn every_stored_event_is_told_in_the_words_that_are_written_down() {
    let stranger = execution_id("e9");
    let mut text = String::new();
    for (name, event) in stored::<PipelineEvent>("pipeline") {
        writeln!(text, "{name}: {}", pipeline_words(&event)).unwrap();
    }
    for (name, event) in stored::<LaneEvent>("lane") {
        for id in named_in(&event) {
            let words = lane_words(&event, &id).unwrap_or_else(|| "nothing".to_owned());
            writeln!(text, "{name} to {id}: {words}").unwrap();
        }
        assert_eq!(lane_words(&event, &stranger), None, "{name} is nobody else's business");
    }
    for (name, event) in stored::<ExecutionEvent>("execution") {
        writeln!(text, "{name}: {}", execution_words(&event)).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/story/words.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    for (number, (line, expected)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "words.txt, line {}", number + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
}

fn lines(found: &[Difference]) -> Vec<String> {
    let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    found.iter().map(|it| format!("{} {}: {} | {}", it.kind, it.of, side(&it.a), side(&it.b))).collect()
}

fn ran(variable: &str, project: &str, succeeds: bool) -> (World, Execution) {
    let build = [action("A").set("ProjectName", project)];
    let mut world = given(
        pipeline("p").variable("V", Some("none")).stage("Source", [source("Src")]).stage("Build", build),
    );
    world.when_started_with("e1", &[("V", variable)], &[]).accepted();
    world.succeed("e1", "Src");
    world.now = Timestamp(world.now.0 + 1500);
    if succeeds {
        world.when_succeeds_with("e1", "A", &[("Tag", variable)]).accepted();
    } else {
        world.when_fails("e1", "A").accepted();
    }
    let run = world.run("e1").clone();
    (world, run)
}

#[test]
fn two_runs_are_compared_by_what_they_were_given_what_they_did_and_where_they_parted() {
    let id = execution_id("e1");
    let all = stored::<ExecutionEvent>("execution");
    let event = |kind: &str| {
        let found = all.iter().find(|(name, _)| name.split('.').next() == Some(kind));
        (Timestamp(0), found.unwrap().1.clone())
    };
    let (first, second) = (ran("1", "shop", true), ran("2", "bank", false));
    let events_a = [event("ExecutionStarted"), event("StageStarted"), event("ActionSucceeded")];
    let events_b = [event("ExecutionStarted"), event("StageStarted"), event("ActionFailed")];
    let of = |it: &(World, Execution)| it.0.pipeline().current_definition().unwrap().clone();
    let (definition_a, definition_b) = (of(&first), of(&second));
    let a = Run { id: &id, execution: &first.1, definition: Some(&definition_a), events: &events_a };
    let b = Run { id: &id, execution: &second.1, definition: Some(&definition_b), events: &events_b };
    let parted = |at: usize| (execution_words(&events_a[at].1), execution_words(&events_b[at].1));
    assert_eq!(
        lines(&diff(&a, &b)),
        [
            "status : Succeeded (stage Build Succeeded) | Failed (stage Build Failed)".to_owned(),
            "variable V: 1 | 2".to_owned(),
            "definition stages[1].actions[0].configuration.ProjectName: shop | bank".to_owned(),
            "output variable Build/A Tag: 1 | -".to_owned(),
            format!("first differing event event 3: {} | {}", parted(2).0, parted(2).1),
        ]
    );
    assert_eq!(diff(&a, &a), [], "nothing differs from itself");
    let shorter = Run { events: &events_a[..2], ..a };
    assert_eq!(lines(&diff(&a, &shorter)), [format!("first differing event event 3: {} | -", parted(2).0)]);
}
