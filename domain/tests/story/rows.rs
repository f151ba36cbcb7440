//! The rows for reading that runs write, step by step: `rows.txt` holds each, with what it was written for. A row that
//! is written for nothing costs as much as one that is needed.

use crate::{check, runs};
use domain::{
    testing::*,
    views::{Row, jobs, listing, pipeline_state},
};
use events::Version;
use std::{collections::BTreeMap, fmt::Write};

fn write(text: &mut String, rows: impl IntoIterator<Item = Row>) {
    for Row { p, q, v, body } in rows {
        let body = body.unwrap_or_else(|| "is taken away".to_owned());
        writeln!(text, "  {p} | {q} | {v}\n    {body}").unwrap();
    }
}

/// What the events of a run since there were so many write.
fn of_run(world: &World, run: &str, from: usize) -> Vec<Row> {
    let (id, state, events) = (execution_id(run), world.run(run), world.events(run));
    let version = Version(events.len() as u64);
    let fresh = || events.iter().skip(from).map(|(_, event)| event);
    let listed = listing::execution_rows(&id, state, version, fresh());
    let succeeded = listing::succeeded_rows(&id, state, version, fresh());
    let shown = pipeline_state::rows(&id, state, version, fresh());
    let jobs = jobs::rows(&id, state, version, fresh());
    [listed, succeeded, shown, jobs].concat()
}

#[test]
fn each_step_writes_the_rows_of_what_it_changed_and_no_others() {
    let mut text = String::new();
    let mut title = "";
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut known = BTreeMap::new();
    runs::all(&mut |moment| {
        let world = moment.world;
        if title != moment.title {
            title = moment.title;
            seen.clear();
            known.clear();
            writeln!(text, "# {title}").unwrap();
        }
        writeln!(text, "\n{}", moment.step).unwrap();
        let of_all = [
            listing::pipeline_rows(&world.name, world.pipeline(), Version(1)),
            listing::lane_rows(&world.name, world.lane(), Version(1)),
        ];
        for row in of_all.into_iter().flatten() {
            if known.insert(row.p.clone(), row.clone()) != Some(row.clone()) {
                write(&mut text, [row]);
            }
        }
        for run in world.runs() {
            let from = seen.insert(run.clone(), world.events(&run).len()).unwrap_or_default();
            write(&mut text, of_run(world, &run, from));
        }
    });
    check("rows.txt", &text);
}
