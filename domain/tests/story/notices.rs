//! What a channel shows of runs, step by step, and what its rules hear: `notices.txt` holds it as people read it.

use crate::{check, runs};
use domain::{
    notice::{
        OUTCOMES, Outcome, Past, Rule,
        facts::{Facts, Known},
        slack::message,
    },
    testing::*,
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// The texts of a message, a block on each line.
fn shown(message: &Value) -> String {
    let mut text = format!("    {}\n", message["text"].as_str().unwrap());
    for block in message["blocks"].as_array().unwrap() {
        let parts =
            [&block["fields"], &block["elements"]].into_iter().flat_map(|part| part.as_array()).flatten();
        let parts = parts.chain([&block["text"]]).filter_map(|part| part["text"].as_str());
        let line = Vec::from_iter(parts).join(" | ").replace('\n', "\\n");
        writeln!(text, "    {}: {line}", block["type"].as_str().unwrap()).unwrap();
    }
    text
}

/// What a run looks like once these are the changes that were told.
fn of_run(world: &World, run: &str, outcome: Option<Outcome>) -> String {
    let id = execution_id(run);
    let known = Known {
        execution: &id,
        definition: world.pipeline().current_definition().map(|definition| &**definition),
        console: Some("https://deploy.example.com"),
        account: "111122223333",
        region: "eu-west-1",
    };
    shown(&message(&Facts::of(world.run(run), outcome, known).unwrap()))
}

#[test]
fn each_step_is_shown_to_those_who_asked_for_it() {
    let all = OUTCOMES.map(|(word, _)| word);
    let rule = Rule::parse(&[], &[], &all).unwrap();
    let of_stages = Rule::parse(&[], &["Build", "G*"], &all).unwrap();
    let past = Past::default();
    let mut text = String::new();
    let mut title = "";
    let mut heard: BTreeMap<String, usize> = BTreeMap::new();
    runs::all(&mut |moment| {
        let world = moment.world;
        if title != moment.title {
            title = moment.title;
            heard.clear();
            writeln!(text, "# {title}").unwrap();
        }
        writeln!(text, "\n{}", moment.step).unwrap();
        for run in world.runs() {
            let told = world.told(&run);
            let from = heard.insert(run.clone(), told.len()).unwrap_or_default();
            let mut newest = None;
            for change in told.into_iter().skip(from) {
                let wants = |rule: &Rule| rule.wants(change, world.course(&run), &past).map(Outcome::as_str);
                let (of_run, of_stages) = (wants(&rule), wants(&of_stages));
                newest = rule.wants(change, world.course(&run), &past).or(newest);
                if of_run.is_some() || of_stages.is_some() {
                    let (of_run, of_stages) = (of_run.unwrap_or("-"), of_stages.unwrap_or("-"));
                    writeln!(text, "  {run}: {of_run}, of the stages {of_stages}").unwrap();
                }
            }
            if newest.is_some() {
                text.push_str(&of_run(world, &run, newest));
            }
        }
    });
    check("notices.txt", &text);
}
