//! Every command at every state: what happens, or by which rejection it is refused. `matrix.txt` is the answer to
//! read in reviews; `UPDATE_GOLDEN=1 cargo test -p domain --test sweep` writes it anew.
//!
//! Each outcome also passes the laws in `domain::testing::laws`, and none may be a panic.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]
#![allow(clippy::disallowed_methods, reason = "the matrix is a file; the rules themselves read none")]

mod commands;
mod states;

use domain::{
    command::{Reliance, Wish},
    testing::World,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

/// What one command led to, short enough for a line.
fn outcome(world: &World, execution: Option<&str>, wish: &Wish) -> Result<String, String> {
    let mut world = world.clone();
    let sent = panic::catch_unwind(AssertUnwindSafe(|| world.send(execution, wish.clone()).result));
    match sent {
        Ok(Ok(lines)) if lines.is_empty() => Ok("nothing happens".to_owned()),
        Ok(Ok(lines)) => {
            let relied = match world.relied {
                Reliance { pipeline: true, lane: true } => " | definition, lane",
                Reliance { pipeline: true, lane: false } => " | definition",
                Reliance { pipeline: false, lane: true } => " | lane",
                Reliance { pipeline: false, lane: false } => "",
            };
            Ok(format!("{}{relied}", lines.join("; ")))
        }
        Ok(Err(rejection)) => {
            let spelled = format!("{rejection:?}");
            let name = spelled.split([' ', '(', '{']).next().unwrap_or_default();
            Err(format!("{name}: {rejection}"))
        }
        Err(_) => panic!("a panic is no answer: see above"),
    }
}

const HEADING: &str = "\
Every command at every state. `e1` is the execution that commands speak of; other executions have other numbers.
A refusal changes nothing. After a bar stands what must not have moved meanwhile although nothing was written there.
Of the modes QUEUED and PARALLEL only what differs from SUPERSEDED is listed.
";

/// What each command led to at one state.
type Row = BTreeMap<&'static str, Result<String, String>>;

fn row(world: &World) -> Row {
    let all = commands::all(world);
    all.iter().map(|(name, execution, wish)| (*name, outcome(world, *execution, wish))).collect()
}

fn matrix() -> String {
    let mut text = HEADING.to_owned();
    let mut first: BTreeMap<&str, Row> = BTreeMap::new();
    for state in states::all() {
        let mut found = row(&state.world);
        let title = state.mode.map(|mode| format!("{mode}: ")).unwrap_or_default();
        match first.get(state.name) {
            Some(reference) => found.retain(|command, outcome| reference.get(command) != Some(&*outcome)),
            None => drop(first.insert(state.name, found.clone())),
        }
        if !found.is_empty() {
            write!(text, "\n## {title}{}\n{}", state.name, told(&found)).unwrap();
        }
    }
    text
}

fn told(row: &Row) -> String {
    let mut text = String::new();
    let mut refused: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (command, outcome) in row {
        match outcome {
            Ok(happened) => writeln!(text, "{command}\n    {happened}").unwrap(),
            Err(rejection) => refused.entry(rejection).or_default().push(command),
        }
    }
    for (rejection, commands) in refused {
        writeln!(text, "refused: {}\n    {rejection}", commands.join(", ")).unwrap();
    }
    text
}

#[test]
fn every_command_at_every_state_leads_to_what_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sweep/matrix.txt");
    let found = matrix();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap();
    let differing = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let at = differing.unwrap_or(found.lines().count().min(expected.lines().count()));
    let around = |text: &str| text.lines().skip(at.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
    assert!(
        found == expected,
        "line {} differs; if that is meant, UPDATE_GOLDEN=1 writes the file anew\nfound\n{}\n\nexpected\n{}",
        at + 1,
        around(&found),
        around(&expected)
    );
}

#[test]
fn every_kind_of_wish_is_swept() {
    let mut swept = BTreeSet::new();
    for state in states::all() {
        swept.extend(commands::all(&state.world).iter().map(|(_, _, wish)| commands::kind(wish)));
    }
    let missing: Vec<&&str> = commands::KINDS.iter().filter(|kind| !swept.contains(**kind)).collect();
    assert!(missing.is_empty(), "not swept: {missing:?}");
}
