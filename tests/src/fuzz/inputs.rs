//! Inputs of operations, made from the service model: what each member may be, with values that mean something in
//! the world they are sent to; then mangled, or left alone.

use super::world::Pool;
use crate::random::Random;
use api::{
    Operation,
    constraint::{Kind, Member, Shape},
};
use serde_json::{Map, Value, json};

/// Entries of a list that are made, most.
const ENTRIES_MAX: usize = 3;
/// Levels of structures that are made; the model has no more.
const DEPTH_MAX: usize = 12;
/// Bytes of a text that is too long for everything.
const LONG: usize = 60_000;

/// An operation and its input.
pub(super) fn any(random: &mut Random, pool: &Pool) -> (Operation, Value) {
    let mut operation = *random.pick(Operation::ALL.as_slice());
    // Or there would soon be nothing left to ask about.
    if operation == Operation::DeletePipeline && random.below(4) > 0 {
        operation = *random.pick(&[Operation::StartPipelineExecution, Operation::CreatePipeline]);
    }
    let mut input = match operation {
        Operation::CreatePipeline | Operation::UpdatePipeline if random.below(5) > 0 => {
            definition(random, pool)
        }
        _ => structure(operation.model().input, random, pool, 0),
    };
    let mangled = match random.below(10) {
        0..6 => 0,
        6..8 => 1,
        8 => 2,
        _ => 1 + random.below(6),
    };
    for _ in 0..mangled {
        mangle(&mut input, random);
    }
    (operation, input)
}

/// A definition that was good once, often under another name.
fn definition(random: &mut Random, pool: &Pool) -> Value {
    let mut input = random.pick(&pool.definitions).clone();
    if random.below(2) == 0 {
        input["pipeline"]["name"] =
            json!(random.pick(&["shop", "queue", "burst", "new", "other", "a.b@c-d_e"]));
    }
    if random.below(4) == 0 {
        let key = random.pick(&["team", "aws:team", "t,m"]);
        input["tags"] = json!([{ "key": key, "value": random.pick(&["", "a", "b"]) }]);
    }
    for _ in 0..random.below(3) {
        meddle(&mut input["pipeline"], random);
    }
    input
}

/// Changes what a definition means and not what it looks like, so that it comes to the rules.
fn meddle(pipeline: &mut Value, random: &mut Random) {
    let mode = *random.pick(&["SUPERSEDED", "QUEUED", "PARALLEL"]);
    let Some(stages) = pipeline["stages"].as_array_mut().filter(|stages| !stages.is_empty()) else { return };
    let at = random.below(stages.len());
    match random.below(6) {
        0 => return stages.swap(0, at),
        1 => return drop(stages.remove(at)),
        2 => return stages.push(stages[at].clone()),
        3 => return pipeline["executionMode"] = json!(mode),
        4 => return pipeline["pipelineType"] = json!(random.pick(&["V1", "V2"])),
        _ => {}
    }
    let on_failure = json!({ "result": random.pick(&["ROLLBACK", "RETRY", "FAIL", "SKIP"]) });
    let Some(actions) = stages[at]["actions"].as_array_mut().filter(|actions| !actions.is_empty()) else {
        return;
    };
    let action = random.below(actions.len());
    let action = &mut actions[action];
    match random.below(12) {
        0 => {
            action["actionTypeId"]["provider"] = json!(random.pick(&["S3", "CodeBuild", "Nobody", "GitHub"]))
        }
        1 => action["actionTypeId"]["owner"] = json!(random.pick(&["AWS", "ThirdParty", "Custom"])),
        2 => {
            action["actionTypeId"]["category"] =
                json!(random.pick(&["Source", "Deploy", "Compute", "Approval"]))
        }
        3 => action["namespace"] = json!(random.pick(&["Code", "variables", "Own"])),
        4 => action["runOrder"] = json!(1 + random.below(3)),
        5 => action["region"] = json!(random.pick(&["us-east-1", "eu-west-1"])),
        6 => action["inputArtifacts"] = json!([{ "name": random.pick(&["Code", "Other"]) }]),
        7 => action["outputArtifacts"] = json!([{ "name": random.pick(&["Code", "Other"]) }]),
        8 => {
            action["configuration"]["Key"] =
                json!(random.pick(&["#{variables.COLOUR}", "#{none.X}", "#{", "v"]))
        }
        9 => action["timeoutInMinutes"] = json!(5 + random.below(100)),
        10 => action["commands"] = json!(["echo #{variables.NONE}"]),
        _ => stages[at]["onFailure"] = on_failure,
    }
}

fn structure(shape: &'static Shape, random: &mut Random, pool: &Pool, depth: usize) -> Value {
    let Kind::Structure(members) = &shape.kind else { return Value::Null };
    let wanted = |member: &Member, random: &mut Random| {
        if member.required { random.below(40) > 0 } else { random.below(3) == 0 }
    };
    let mut object = Map::new();
    for member in *members {
        if wanted(member, random) {
            object.insert(member.name.to_owned(), of(member.shape, member.name, random, pool, depth + 1));
        }
    }
    Value::Object(object)
}

fn of(shape: &'static Shape, member: &str, random: &mut Random, pool: &Pool, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    match &shape.kind {
        Kind::Structure(_) => structure(shape, random, pool, depth),
        Kind::List(entry) => {
            let least = usize::try_from(shape.min.unwrap_or(0)).unwrap_or(0).min(ENTRIES_MAX);
            let count = least + random.below(ENTRIES_MAX - least + 1);
            (0..count).map(|_| of(entry, member, random, pool, depth + 1)).collect()
        }
        Kind::Map { key, value } => {
            let count = random.below(ENTRIES_MAX);
            let entries = (0..count).map(|_| {
                let name = text(key, member, random, pool);
                (name, of(value, member, random, pool, depth + 1))
            });
            Value::Object(entries.collect())
        }
        Kind::Text(_) => json!(text(shape, member, random, pool)),
        Kind::Enum(values) => json!(random.pick(values)),
        Kind::Integer => {
            let (least, most) = (shape.min.unwrap_or(0), shape.max.unwrap_or(1_000));
            let span = usize::try_from(most.saturating_sub(least)).unwrap_or(1_000).saturating_add(1);
            json!(least + i64::try_from(random.below(span)).unwrap_or(0))
        }
        Kind::Boolean => json!(random.below(2) == 0),
        Kind::Timestamp => json!(random.pick(&[0.0, 1_767_225_600.5, 1e18, -1.0])),
    }
}

/// A text that has a meaning under this name, or one that at least fits.
fn text(shape: &'static Shape, member: &str, random: &mut Random, pool: &Pool) -> String {
    const SOME: &[&str] = &[
        "a",
        "1",
        "shop",
        "Source",
        "Build",
        "S3",
        "AWS",
        "Custom",
        "us-east-1",
        "team",
        "release-artifacts",
        "arn:aws:iam::123456789012:role/pipeline-role",
        "arn:aws:codepipeline:us-east-1:123456789012:shop",
        "arn:aws:lambda:us-east-1:123456789012:function:f",
        "123456789012",
        "https://example.com/",
        "$.ref",
        "refs/heads/{Branch}",
        "10.0.0.0/8",
        "#{variables.COLOUR}",
        "#{SourceVariables.CommitId}",
        "****",
        "00000000-0000-4000-8000-000000000001",
        "Approved",
        "two words",
        "[{\"name\":\"A\",\"value\":\"b\"}]",
    ];
    let known = match member {
        "targetPipelineExecutionId" | "rollbackTargetPipelineExecutionId" => pool.of("pipelineExecutionId"),
        "jobId" => {
            if random.below(2) == 0 {
                pool.of("jobId")
            } else {
                pool.of("id")
            }
        }
        "webhookName" | "targetPipeline" => pool.of("name"),
        "targetAction" => pool.of("actionName"),
        other => pool.of(other),
    };
    if !known.is_empty() && random.below(8) > 0 {
        return random.pick(known).clone();
    }
    let fits = |text: &&&str| {
        let long_enough = shape.min.is_none_or(|min| text.len() as i64 >= min);
        let short_enough = shape.max.is_none_or(|max| text.len() as i64 <= max);
        let matches = match &shape.kind {
            Kind::Text(Some(pattern)) => (pattern.matches)(text),
            _ => true,
        };
        long_enough && short_enough && matches
    };
    let fitting: Vec<&&str> = SOME.iter().filter(fits).collect();
    if fitting.is_empty() { (*random.pick(SOME)).to_owned() } else { (**random.pick(&fitting)).to_owned() }
}

/// Changes one value somewhere: takes it away, doubles it, or puts something strange in its place.
fn mangle(value: &mut Value, random: &mut Random) {
    let inside = random.below(6) > 0;
    match value {
        Value::Object(members) if inside && !members.is_empty() => {
            let chosen = random.below(members.len());
            let name = members.keys().nth(chosen).cloned().unwrap_or_default();
            match random.below(10) {
                0 => drop(members.remove(&name)),
                1 => {
                    let held = members.remove(&name).unwrap_or_default();
                    members.insert(strange_name(&name, random), held);
                }
                _ => mangle(members.entry(name).or_insert(Value::Null), random),
            }
        }
        Value::Array(entries) if inside && !entries.is_empty() => {
            let chosen = random.below(entries.len());
            match random.below(10) {
                0 => drop(entries.remove(chosen)),
                1 => {
                    let times = *random.pick(&[1, 2, 60]);
                    let again = entries[chosen].clone();
                    entries.extend(std::iter::repeat_n(again, times));
                }
                2 => entries.reverse(),
                _ => mangle(&mut entries[chosen], random),
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            *value = strange(value, random);
        }
    }
}

fn strange_name(name: &str, random: &mut Random) -> String {
    match random.below(4) {
        0 => name.to_uppercase(),
        1 => String::new(),
        2 => "k".repeat(LONG),
        _ => format!("{name}\u{0}"),
    }
}

/// Half of the time a value of the same type, which gets past the first gate.
fn strange(held: &Value, random: &mut Random) -> Value {
    match held {
        Value::String(text) if random.below(2) == 0 => strange_text(text, random),
        Value::Number(_) if random.below(2) == 0 => random
            .pick(&[json!(-1), json!(0), json!(1), json!(101), json!(i64::MAX), json!(i64::MIN)])
            .clone(),
        Value::Array(_) if random.below(2) == 0 => json!([]),
        Value::Object(_) if random.below(2) == 0 => json!({}),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => strange_type(held, random),
    }
}

fn strange_text(held: &str, random: &mut Random) -> Value {
    match random.below(13) {
        0 => json!(""),
        1 => json!("x".repeat(random.below(1_100))),
        2 => json!("ü".repeat(101)),
        3 => json!("x".repeat(LONG)),
        4 => json!("../../etc/passwd"),
        5 => json!("ü€😀\u{0}\u{7}\u{202e}\u{feff}"),
        6 => json!("#{variables.COLOUR}#{"),
        7 => json!("#{codepipeline.PipelineExecutionId}"),
        8 => json!("****"),
        9 => json!(format!("{held}\n")),
        10 => json!(held.to_uppercase()),
        11 => json!(held.chars().rev().collect::<String>()),
        _ => json!(format!(" {held}")),
    }
}

fn strange_type(held: &Value, random: &mut Random) -> Value {
    match random.below(14) {
        0 | 1 => Value::Null,
        2 => json!(true),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(1e300),
        6 => json!(1.5),
        7 => json!("x"),
        8 => json!([]),
        9 => json!({}),
        10 => json!([[[[null]]]]),
        11 => deep(random.below(200)),
        12 => json!({ "name": { "name": {} } }),
        _ => json!([held, held]),
    }
}

fn deep(levels: usize) -> Value {
    (0..levels)
        .fold(json!("x"), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) })
}
