//! Random values that fit a shape, made from the constraint table and the model's own expressions.

use api::constraint::{Kind, Shape};
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// A value that fits, different each time.
pub(crate) fn fitting(shape: &'static Shape, runner: &mut TestRunner) -> Value {
    match &shape.kind {
        Kind::Structure(members) => members
            .iter()
            .filter_map(|member| {
                let wanted = member.required || one_of(2, runner) == 0;
                wanted.then(|| (member.name.to_owned(), fitting(member.shape, runner)))
            })
            .collect(),
        Kind::List(entry) => (0..entries(shape, runner)).map(|_| fitting(entry, runner)).collect(),
        Kind::Map { key, value } => {
            (0..entries(shape, runner)).map(|_| (text(key, runner), fitting(value, runner))).collect()
        }
        Kind::Text(_) => Value::String(text(shape, runner)),
        Kind::Enum(values) => json!(values[one_of(values.len(), runner)]),
        Kind::Integer => {
            let least = shape.min.unwrap_or(0);
            json!(pick(least..=shape.max.unwrap_or(least + 1000), runner))
        }
        Kind::Boolean => json!(one_of(2, runner) == 0),
        Kind::Timestamp => json!(pick(0..=2_000_000_000_000_i64, runner) as f64 / 1000.0),
    }
}

/// A number below `count`.
pub(crate) fn one_of(count: usize, runner: &mut TestRunner) -> usize {
    pick(0..=count.saturating_sub(1), runner)
}

fn pick<S: Strategy>(strategy: S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

fn entries(shape: &Shape, runner: &mut TestRunner) -> i64 {
    let least = shape.min.unwrap_or(0);
    pick(least..=shape.max.unwrap_or(i64::MAX).min(least + 2), runner)
}

fn text(shape: &'static Shape, runner: &mut TestRunner) -> String {
    let least = shape.min.unwrap_or(0);
    let expression = match &shape.kind {
        // The generator reads `\w` as Unicode and `.` as "all but line feed"; the service reads Java's.
        Kind::Text(Some(pattern)) => pattern
            .text
            .trim_start_matches('^')
            .trim_end_matches('$')
            .replace(r"[\w]", "[0-9A-Za-z_]")
            .replace(".+", r"[^\n\r\x{85}\x{2028}\x{2029}]+")
            .replace(".*", r"[^\n\r\x{85}\x{2028}\x{2029}]*"),
        _ => format!("[ -~äß🚢]{{{least},{}}}", shape.max.unwrap_or(i64::MAX).min(least + 20)),
    };
    let fits = |text: &String| {
        let length = text.chars().count() as i64;
        length >= least && shape.max.is_none_or(|max| length <= max)
    };
    pick(string_regex(&expression).unwrap().prop_filter("length", fits), runner)
}
