//! `towpath up`: executions per second, memory.

use crate::{
    Place,
    client::{Client, Server},
    definitions,
    table::{Table, fastest, ms},
};
use serde_json::json;
use std::{
    collections::VecDeque,
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Executions of one measurement; those that come first fill the caches.
const EXECUTIONS: usize = 1000;
/// Pipelines in PARALLEL mode, each with at most 50 executions at a time.
const PARALLEL_PIPELINES: usize = 4;
/// Pipelines in SUPERSEDED mode, each with one execution at a time.
const SUPERSEDED_PIPELINES: usize = 20;
/// How often a client looks whether its execution has ended.
const POLL: Duration = Duration::from_millis(5);
/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(2);
const RESIDENT_MIB_MAX: f64 = 30.0;
const STARTS: usize = 5;

pub(crate) fn measure(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let ready = (0..STARTS).map(|number| {
        let server = Server::start(place, &place.folder.join(format!("empty{number}")))?;
        let ready = server.ready;
        server.stop().map(|()| ready)
    });
    let ready: anyhow::Result<Vec<Duration>> = ready.collect();
    table.at_most("server: ready on an empty folder", ms(fastest(ready?)), 100.0, "ms");

    let folder = place.folder.join("server");
    let source = folder.join("one-file");
    fs::create_dir_all(&source)?;
    fs::write(source.join("readme.txt"), "one file\n")?;
    fs::write(folder.join("towpath.toml"), format!("[sources]\n{} = \"one-file\"\n", definitions::CHECKOUT))?;
    let server = Server::start(place, &folder)?;
    thread::sleep(REST);
    table.at_most("server: resident, fresh and idle", server.resident_mib()?, RESIDENT_MIB_MAX, "MiB");

    plain_shells(table)?;
    let burst = Load { name: "burst", mode: "PARALLEL", pipelines: PARALLEL_PIPELINES, at_once: 50 };
    burst.run(&server, table, "200 at a time in PARALLEL pipelines")?;
    let queue = Load { name: "line", mode: "SUPERSEDED", pipelines: SUPERSEDED_PIPELINES, at_once: 1 };
    queue.run(&server, table, "20 SUPERSEDED pipelines, each one at a time")?;
    thread::sleep(REST);
    let what = format!("server: resident and idle after {} executions", 2 * EXECUTIONS);
    table.at_most(what, server.resident_mib()?, RESIDENT_MIB_MAX, "MiB");
    server.stop()
}

/// The same shells without anything around them: three a run, runs side by side.
fn plain_shells(table: &mut Table) -> anyhow::Result<()> {
    let begun = Instant::now();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..EXECUTIONS / 4 * 2 {
                    let mut shell = Command::new("/bin/sh");
                    // What became of it does not matter here.
                    let _ = shell.args(["-c", "set -a; /bin/true"]).stdout(Stdio::null()).status();
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| drop(worker.join()));
    let rate = EXECUTIONS as f64 / begun.elapsed().as_secs_f64();
    table.note("plain shells, two a run, as many as the machine takes", format!("{rate:.0} runs a second"));
    Ok(())
}

struct Load {
    name: &'static str,
    mode: &'static str,
    pipelines: usize,
    at_once: usize,
}

impl Load {
    /// Each pipeline has a client of its own that keeps `at_once` executions under way and waits for them in turn.
    fn run(&self, server: &Server, table: &mut Table, how: &str) -> anyhow::Result<()> {
        let names: Vec<String> = (0..self.pipelines).map(|n| format!("{}-{n}", self.name)).collect();
        let mut client = server.client()?;
        for name in &names {
            let stage = vec![definitions::no_op(1, 1), definitions::no_op(2, 2)];
            client.call("CreatePipeline", &definitions::pipeline(name, self.mode, &[stage]))?;
        }
        // A fresh pipeline starts by itself once, as on AWS.
        for name in &names {
            wait_for_all(&mut client, name)?;
        }
        let cpu = server.processor_ms()?;
        let begun = Instant::now();
        let each = EXECUTIONS / self.pipelines;
        let done: anyhow::Result<Vec<()>> = thread::scope(|scope| {
            let work = |name: &String| {
                let (client, name) = (server.client(), name.clone());
                scope.spawn(move || executions(&mut client?, &name, each, self.at_once))
            };
            let workers: Vec<_> = names.iter().map(work).collect();
            let joined = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a client broke off")));
            joined.collect()
        });
        done?;
        let seconds = begun.elapsed().as_secs_f64();
        let what = format!("server: executions of a 3-action pipeline, {how}");
        table.at_least(what, EXECUTIONS as f64 / seconds, 200.0, "a second");
        let cpu = (server.processor_ms()? - cpu) / EXECUTIONS as f64;
        table.note("… processor time of the server and its shells, for each", format!("{cpu:.2} ms"));
        Ok(())
    }
}

/// Starts so many executions, `at_once` at a time, and sees each succeed.
pub(crate) fn executions(
    client: &mut Client,
    name: &str,
    count: usize,
    at_once: usize,
) -> anyhow::Result<()> {
    let mut under_way: VecDeque<String> = VecDeque::new();
    for _ in 0..count {
        if under_way.len() == at_once
            && let Some(oldest) = under_way.pop_front()
        {
            wait_for(client, name, &oldest)?;
        }
        let answer = client.call("StartPipelineExecution", &json!({ "name": name }))?;
        under_way.push_back(answer["pipelineExecutionId"].as_str().unwrap_or_default().to_owned());
    }
    under_way.iter().try_for_each(|id| wait_for(client, name, id))
}

fn wait_for(client: &mut Client, name: &str, id: &str) -> anyhow::Result<()> {
    loop {
        let input = json!({ "pipelineName": name, "pipelineExecutionId": id });
        let answer = client.call("GetPipelineExecution", &input)?;
        match answer["pipelineExecution"]["status"].as_str() {
            Some("Succeeded") => return Ok(()),
            Some("InProgress") => thread::sleep(POLL),
            other => anyhow::bail!("an execution of `{name}` ended as {other:?}"),
        }
    }
}

fn wait_for_all(client: &mut Client, name: &str) -> anyhow::Result<()> {
    let listed = client.call("ListPipelineExecutions", &json!({ "pipelineName": name }))?;
    for execution in listed["pipelineExecutionSummaries"].as_array().into_iter().flatten() {
        wait_for(client, name, execution["pipelineExecutionId"].as_str().unwrap_or_default())?;
    }
    Ok(())
}
