//! `towpath up` on a full folder: what single requests take.

use crate::{
    Place,
    client::{Client, Server},
    full,
    table::{Table, median, ms},
};
use anyhow::Context;
use serde_json::{Value, json};
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use tests::random::Random;

/// Connections at a time, each waiting for its answer before it asks again.
const CONNECTIONS: usize = 4;
/// Requests of each connection; those before that only warm up.
const REQUESTS: usize = 1_000;
const WARM_UP: usize = 100;
const P99_MS_MAX: f64 = 5.0;
/// Rows of the pages that are compared.
const PAGE: usize = 50;
/// Pages until deep inside.
const DEEP: usize = 200;
const ROUNDS: usize = 40;
const STAGES: usize = 50;
const ACTIONS: usize = 500;

pub(crate) fn measure(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let folder = place.folder.join("full");
    fs::create_dir_all(folder.join(".towpath"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    let known = runtime.block_on(full::make(&folder.join(".towpath")))?;
    drop(runtime);
    let what = format!("{} executions of {} pipelines, made in process", full::EXECUTIONS, full::PIPELINES);
    table.note(what, format!("{:.0} s", begun.elapsed().as_secs_f64()));
    let bytes = fs::metadata(folder.join(".towpath").join(local::log::LOG_FILE))?.len();
    table.note(
        "… their log with its listings, on disk",
        format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
    );
    let server = Server::start(place, &folder)?;
    table.note("… server: ready on it", format!("{:.1} ms", ms(server.ready)));
    latencies(&server, &known, table)?;
    pages(&server, table)?;
    largest(&server, table)?;
    table.note("… resident after all of that", format!("{:.1} MiB", server.resident_mib()?));
    server.stop()
}

type Ask<'a> = &'a (dyn Fn(&mut Random) -> Value + Sync);

fn latencies(server: &Server, known: &[Vec<String>], table: &mut Table) -> anyhow::Result<()> {
    let any = |random: &mut Random| full::name(random.below(full::PIPELINES));
    let execution = |random: &mut Random| {
        let number = random.below(known.len());
        json!({ "pipelineName": full::name(number), "pipelineExecutionId": random.pick(&known[number]) })
    };
    let longest = json!({ "pipelineName": full::name(0) });
    let asks: [(&str, &str, Ask<'_>); 6] = [
        ("GetPipeline", "any pipeline", &|random| json!({ "name": any(random) })),
        ("GetPipelineState", "any pipeline", &|random| json!({ "name": any(random) })),
        ("GetPipelineExecution", "any of them", &execution),
        ("ListPipelines", "first page, 100 rows", &|_| json!({})),
        ("ListPipelineExecutions", "first page of the longest, 100 rows", &|_| longest.clone()),
        ("ListActionExecutions", "first page of the longest, 100 rows", &|_| longest.clone()),
    ];
    for (operation, which, ask) in asks {
        let times = asked(server, operation, ask)?;
        let at = |share: f64| ms(times[((times.len() - 1) as f64 * share) as usize]);
        let what = format!("{operation}, {which}: p99, {CONNECTIONS} connections");
        if operation == "ListActionExecutions" {
            table.note(what, format!("{:.2} ms", at(0.99)));
        } else {
            table.at_most(what, at(0.99), P99_MS_MAX, "ms");
        }
        let rate =
            1.0 / times.iter().map(Duration::as_secs_f64).sum::<f64>() * (times.len() * CONNECTIONS) as f64;
        table.note("… half of them within; rate", format!("{:.2} ms; {rate:.0} a second", at(0.5)));
    }
    Ok(())
}

/// Times of all requests, sorted.
fn asked(server: &Server, operation: &str, ask: Ask<'_>) -> anyhow::Result<Vec<Duration>> {
    let connection = |number: usize| -> anyhow::Result<Vec<Duration>> {
        let mut client = server.client()?;
        let mut random = Random::new(number as u64);
        let mut times = Vec::with_capacity(REQUESTS);
        for round in 0..WARM_UP + REQUESTS {
            let time = once(&mut client, operation, &ask(&mut random))?;
            if round >= WARM_UP {
                times.push(time);
            }
        }
        Ok(times)
    };
    let mut all = Vec::new();
    thread::scope(|scope| {
        let running: Vec<_> =
            (0..CONNECTIONS).map(|number| scope.spawn(move || connection(number))).collect();
        for one in running {
            all.extend(one.join().unwrap_or_else(|_| anyhow::bail!("a client broke off"))?);
        }
        anyhow::Ok(())
    })?;
    all.sort_unstable();
    Ok(all)
}

/// From before the request is sent to after its answer is read; signing is the client's own.
fn once(client: &mut Client, operation: &str, input: &Value) -> anyhow::Result<Duration> {
    let request = client.request(operation, input)?;
    let begun = Instant::now();
    client.send(operation, &request)?;
    Ok(begun.elapsed())
}

/// A page costs what it holds, wherever it is and however long the history.
fn pages(server: &Server, table: &mut Table) -> anyhow::Result<()> {
    let mut client = server.client()?;
    let first = |number: usize| json!({ "pipelineName": full::name(number), "maxResults": PAGE });
    let mut deep = first(0);
    for _ in 0..DEEP {
        let page = client.call("ListPipelineExecutions", &deep)?;
        deep["nextToken"] = page.get("nextToken").context("the history is too short")?.clone();
    }
    let mut medians = Vec::new();
    for (what, input) in [
        (format!("a page of {PAGE} executions: of a pipeline with some eighty"), first(1)),
        (format!("… the first of {}", full::LONGEST), first(0)),
        (format!("… after {} of them", DEEP * PAGE), deep),
    ] {
        let times: anyhow::Result<Vec<_>> =
            (0..ROUNDS).map(|_| once(&mut client, "ListPipelineExecutions", &input)).collect();
        let time = ms(median(times?));
        medians.push(time);
        table.note(what, format!("{time:.2} ms"));
    }
    table.at_most(
        "… the dearest as a multiple of the first",
        medians[1].max(medians[2]) / medians[0],
        1.5,
        "×",
    );
    Ok(())
}

/// The largest definition there may be.
fn largest(server: &Server, table: &mut Table) -> anyhow::Result<()> {
    let mut client = server.client()?;
    let name = full::name(full::PIPELINES - 1);
    let each = ACTIONS.div_ceil(STAGES);
    // The source action is one of them.
    let stages: Vec<Vec<Value>> = (1..STAGES)
        .map(|_| (1..=each).map(|number| crate::definitions::no_op(number, number)).collect())
        .collect();
    let definition = crate::definitions::pipeline(&name, "SUPERSEDED", &stages);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        client.call("DeletePipeline", &json!({ "name": name }))?;
        times.push(once(&mut client, "CreatePipeline", &definition)?);
    }
    let count: usize = stages.iter().map(Vec::len).sum::<usize>() + 1;
    let bytes = definition.to_string().len();
    let what = format!("CreatePipeline of {STAGES} stages and {count} actions ({} KiB)", bytes >> 10);
    table.at_most(what, ms(median(times)), 20.0, "ms");
    let state = once(&mut client, "GetPipelineState", &json!({ "name": name }))?;
    table.note("… its GetPipelineState", format!("{:.2} ms", ms(state)));
    client.call("DeletePipeline", &json!({ "name": name }))?;
    Ok(())
}
