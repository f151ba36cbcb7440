//! Histories in words. `words.txt` tells every event that was ever stored, as `towpath log` would; the other files hold
//! what is told of the runs in `runs.rs`: the answers to read in reviews. `UPDATE_GOLDEN=1 cargo test -p domain --test
//! story` writes them anew.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]
#![allow(clippy::disallowed_methods, reason = "the words are a file; the code itself reads none")]

mod notices;
mod rows;
mod runs;
mod why;
mod wording;

use domain::{
    command::{ActionResult, Details, Wish},
    execution::Execution,
    story::{Difference, Run, diff, execution_words, lane_words, pipeline_words},
    testing::*,
};
use events::{
    ExecutionEvent, ExecutionId, LaneEvent, PipelineEvent, SourceRevision, Timestamp, Trigger, TriggerType,
    codec::Stored,
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

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

/// Holds a text against the file of that name.
#[track_caller]
fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/story").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    for (number, (line, expected)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "{name}, line {}", number + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{name}");
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
    check("words.txt", &text);
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

/// A run of `version` of the pipeline that began with this, whose build failed and succeeded the second time.
fn mended(version: u32, trigger: Trigger, summary: Option<&str>, seconds: i64) -> World {
    let of = |project: &str| {
        let build = [action("A").set("ProjectName", project)];
        pipeline("p").stage("Source", [source("Src")]).stage("Build", build)
    };
    let mut world = given(of("v1"));
    (2..=version).for_each(|version| world.when_updated(of(&format!("v{version}"))).accepted());
    let (variables, revisions) = (BTreeMap::new(), BTreeMap::new());
    world.send(Some("e1"), Wish::StartExecution { trigger, variables, revisions }).accepted();
    let attempt = world.attempt_of("e1", "Src");
    let revision = SourceRevision {
        action: attempt.action.clone(),
        revision_id: format!("r{version}"),
        summary: summary.map(ToOwned::to_owned),
        url: None,
        change_id: None,
        created: None,
    };
    let (details, output_variables) = (Details::default(), BTreeMap::new());
    let result =
        ActionResult::Succeeded { output_variables, revision: Some(revision), mocked: false, details };
    world.when_reported("e1", attempt, result).accepted();
    world.now.0 += 500;
    world.fail("e1", "A");
    world.when_retried("e1", "Build").accepted();
    world.now.0 += seconds * 1000;
    world.when_succeeds_with("e1", "A", &[("Tag", &version.to_string())]).accepted();
    world
}

fn whole<'a>(id: &'a ExecutionId, world: &'a World) -> Run<'a> {
    let definition = world.pipeline().current_definition().map(|definition| &**definition);
    Run { id, execution: world.run("e1"), definition, events: world.events("e1") }
}

#[test]
fn runs_of_two_versions_differ_in_all_that_led_to_them_and_in_how_long_the_last_attempts_took() {
    let id = execution_id("e1");
    let trigger = |kind, detail: &str| Trigger { kind, detail: detail.to_owned() };
    let first = mended(1, trigger(TriggerType::StartPipelineExecution, "ann"), Some("Mend it\nnow"), 2);
    let second = mended(2, trigger(TriggerType::CloudWatchEvent, ""), None, 3);
    let (a, b) = (whole(&id, &first), whole(&id, &second));
    assert_eq!(
        lines(&diff(&a, &b)),
        [
            "trigger : StartPipelineExecution (ann) | CloudWatchEvent",
            "version : 1 | 2",
            "revision Src: r1 (Mend it) | r2",
            "definition stages[1].actions[0].configuration.ProjectName: v1 | v2",
            "output variable Build/A Tag: 1 | 2",
            "duration Build/A: 2000 ms | 3000 ms",
        ]
    );
    assert_eq!(diff(&Run { definition: None, ..a }, &Run { definition: None, ..a }), []);
}

#[test]
fn of_a_definition_without_end_ten_thousand_places_are_looked_at() {
    let id = execution_id("e1");
    let world = mended(1, Trigger { kind: TriggerType::Webhook, detail: String::new() }, None, 1);
    let known = whole(&id, &world);
    let mut definition = known.definition.unwrap().clone();
    let more = (0..10_100).map(|number| (format!("k{number}"), String::new()));
    definition.stages[1].actions[0].configuration.extend(more);
    let (all, none) = (Run { definition: Some(&definition), ..known }, Run { definition: None, ..known });
    let found = diff(&all, &none);
    assert!(found.iter().all(|difference| difference.kind == "definition"));
    assert_eq!(found.len(), 10_000);
}
