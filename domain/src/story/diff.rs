//! How two runs differ: what they were given, what they did, where they parted.

use super::words::execution_words;
use crate::{
    execution::{Execution, StageRun},
    pipeline::PipelineDeclaration,
};
use events::{ExecutionEvent, ExecutionId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Differing places of two definitions that are listed.
const PLACES_MAX: usize = 100;

/// One run with all that is compared.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its id.
    pub id: &'a ExecutionId,
    /// Its state.
    pub execution: &'a Execution,
    /// The definition it followed.
    pub definition: Option<&'a PipelineDeclaration>,
    /// Its events, oldest first.
    pub events: &'a [(Timestamp, ExecutionEvent)],
}

/// One thing in which two runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `status`, `trigger`, `version`, `revision`, `variable`, `definition`, `output variable`, `duration` or
    /// `first differing event`.
    pub kind: &'static str,
    /// Which one: the variable's name, the place in the definition, the action.
    pub of: String,
    /// In the first run; `None` where it is missing.
    pub a: Option<String>,
    /// In the second run.
    pub b: Option<String>,
}

/// Everything in which two runs differ, inputs first. Durations are listed for every action of either, since no
/// two are the same.
pub fn diff(a: &Run<'_>, b: &Run<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |kind, of: &str, a: Option<String>, b: Option<String>| {
        if a != b {
            found.push(Difference { kind, of: of.to_owned(), a, b });
        }
    };
    let start = |run: &Run<'_>| run.execution.start.clone();
    let (start_a, start_b) = (start(a), start(b));
    compare("status", "", Some(status(a)), Some(status(b)));
    let trigger = |start: &Option<crate::execution::Start>| {
        start.as_ref().map(|start| super::words::trigger(&start.trigger))
    };
    compare("trigger", "", trigger(&start_a), trigger(&start_b));
    let version = |start: &Option<crate::execution::Start>| {
        start.as_ref().map(|start| start.pipeline_version.to_string())
    };
    compare("version", "", version(&start_a), version(&start_b));
    let (revisions_a, revisions_b) = (revisions(a.execution), revisions(b.execution));
    each(&revisions_a, &revisions_b, |of, a, b| compare("revision", of, a, b));
    let variables = |start: &Option<crate::execution::Start>| {
        start.as_ref().map(|start| start.variables.clone()).unwrap_or_default()
    };
    each(&variables(&start_a), &variables(&start_b), |of, a, b| compare("variable", of, a, b));
    each(&leaves(a.definition), &leaves(b.definition), |of, a, b| compare("definition", of, a, b));
    each(&outputs(a.execution), &outputs(b.execution), |of, a, b| compare("output variable", of, a, b));
    each(&durations(a.execution), &durations(b.execution), |of, a, b| compare("duration", of, a, b));
    if let Some((at, a, b)) = first_difference(a.events, b.events) {
        found.push(Difference { kind: "first differing event", of: format!("event {at}"), a, b });
    }
    found
}

fn status(run: &Run<'_>) -> String {
    let stage = run
        .execution
        .current_stage()
        .map(|stage| format!(" (stage {} {})", stage.stage, stage.status.as_str()));
    format!("{}{}", run.execution.status.as_str(), stage.unwrap_or_default())
}

/// Calls back for every key of either map, in order.
fn each(
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
    mut compare: impl FnMut(&str, Option<String>, Option<String>),
) {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    keys.into_iter().for_each(|key| compare(key, a.get(key).cloned(), b.get(key).cloned()));
}

fn revisions(execution: &Execution) -> BTreeMap<String, String> {
    let shown = |revision: &events::SourceRevision| {
        let summary = revision.summary.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
        let words = if summary.is_empty() { String::new() } else { format!(" ({summary})") };
        (revision.action.to_string(), format!("{}{words}", revision.revision_id))
    };
    execution.revisions.iter().map(shown).collect()
}

fn outputs(execution: &Execution) -> BTreeMap<String, String> {
    let named = |stage: &StageRun| {
        let counts = stage.attempts.iter().filter(|attempt| !attempt.set_aside);
        counts
            .flat_map(|attempt| {
                let place = format!("{}/{}", stage.stage, attempt.action);
                attempt
                    .output_variables
                    .iter()
                    .map(move |(key, value)| (format!("{place} {key}"), value.clone()))
            })
            .collect::<Vec<_>>()
    };
    execution.stages.iter().flat_map(named).collect()
}

fn durations(execution: &Execution) -> BTreeMap<String, String> {
    let timed = |stage: &StageRun| {
        let counts = stage.attempts.iter().filter(|attempt| !attempt.set_aside);
        counts
            .map(|attempt| {
                let millis = attempt.updated.since(attempt.started);
                (format!("{}/{}", stage.stage, attempt.action), format!("{millis} ms"))
            })
            .collect::<Vec<_>>()
    };
    execution.stages.iter().flat_map(timed).collect()
}

/// A definition as one line per leaf: `stages[1].actions[0].configuration.ProjectName`.
fn leaves(definition: Option<&PipelineDeclaration>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let value = definition.and_then(|definition| serde_json::to_value(definition).ok());
    if let Some(value) = value {
        // The version is compared on its own, and differs in any two definitions.
        collect(&value, String::new(), &mut found);
        found.remove("version");
    }
    found
}

fn collect(value: &Value, path: String, found: &mut BTreeMap<String, String>) {
    if found.len() >= PLACES_MAX * PLACES_MAX {
        return;
    }
    match value {
        Value::Object(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            members.iter().for_each(|(key, value)| collect(value, format!("{path}{dot}{key}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| collect(value, format!("{path}[{index}]"), found));
        }
        Value::String(text) => drop(found.insert(path, text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) => drop(found.insert(path, value.to_string())),
    }
}

/// Where two histories part: the number of the event from 1, and what each has there.
fn first_difference(
    a: &[(Timestamp, ExecutionEvent)],
    b: &[(Timestamp, ExecutionEvent)],
) -> Option<(usize, Option<String>, Option<String>)> {
    let words = |events: &[(Timestamp, ExecutionEvent)], at: usize| {
        events.get(at).map(|(_, event)| execution_words(event))
    };
    // The start differs by definition: by who asked, and when.
    (1..a.len().max(b.len())).map(|at| (at + 1, words(a, at), words(b, at))).find(|(_, a, b)| a != b)
}
