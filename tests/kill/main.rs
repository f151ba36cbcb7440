//! `kill -9` at random moments: whatever was started is finished after a restart, nothing that was done is done
//! again, and no process is left behind.
//!
//! `TOWPATH_KILLS=50` asks for more rounds than the few of every day, `TOWPATH_KILL_SEED` for other moments.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod account;
mod rollbacks;

use account::Account;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::Write,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    processes,
    random::Random,
    server::Server,
};

/// Rounds unless the environment asks for others.
const KILLS_DEFAULT: usize = 6;
/// Of so many kills one hits `towpath run`; the others hit the server.
const RUN_EVERY: usize = 5;
/// How long a process lives, at most, before it is killed.
const LIFE_MS_MAX: usize = 700;
/// How long everything may take to come to its end at last.
const END_MAX: Duration = Duration::from_secs(120);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// An action that writes down when it begins and when it is done.
fn action(name: &str, marks: &Folder, order: u32, seconds: &str) -> Value {
    let mark = |what: &str| {
        let file = marks.at("marks");
        format!("echo \"{what} $RUN {name} $(date +%s%3N)\" >> {}", file.display())
    };
    let mut action = commands(name, &[&mark("begin"), &format!("sleep {seconds}"), &mark("end")]);
    action["runOrder"] = json!(order);
    action["environmentVariables"] =
        json!([{ "name": "RUN", "value": "#{codepipeline.PipelineExecutionId}", "type": "PLAINTEXT" }]);
    action
}

fn definition(name: &str, mode: &str, marks: &Folder) -> Value {
    let side_by_side = [action("A", marks, 1, "0.15"), action("B", marks, 1, "0.05")];
    let build = stage("Build", [&side_by_side[..], &[action("C", marks, 2, "0.1")]].concat());
    let live = stage("Live", vec![action("D", marks, 1, "0.02")]);
    let mut definition = pipeline(name, vec![source(), build, live]);
    definition["pipeline"]["executionMode"] = json!(mode);
    definition
}

#[test]
fn no_kill_loses_a_run_or_does_twice_what_was_done() {
    let kills = usize::try_from(number("TOWPATH_KILLS", KILLS_DEFAULT as u64)).unwrap();
    let seed = number("TOWPATH_KILL_SEED", 1);
    let began = Instant::now();
    let of_run = (kills / RUN_EVERY).max(1);
    let mut random = Random::new(seed);
    let (served, accepted) = servers(kills - of_run, &mut random);
    let run = runs(of_run, &mut random);
    let line = format!(
        "kills: {kills} (seed {seed}): executions started {}, finished {}, lost {}; actions done {}, begun again \
         before their result was recorded {}, run again after it {}; processes left over 0; {:.0} s\n",
        served.started + run.started,
        served.finished + run.finished,
        served.lost + run.lost,
        served.actions + run.actions,
        served.begun_again + run.begun_again,
        served.run_again + run.run_again,
        began.elapsed().as_secs_f64(),
    );
    // Past the test's own capture: the counts are what this test is for.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    for account in [&served, &run] {
        assert_eq!((account.lost, account.run_again, &account.wrong), (0, 0, &Vec::new()), "{line}");
    }
    let unknown: Vec<&String> = accepted.iter().filter(|id| !served.known.contains(*id)).collect();
    assert!(unknown.is_empty(), "accepted, and not in the log: {unknown:?}");
}

/// Kills a server again and again while executions are started on it. Returns what the log tells, and the
/// executions whose start was answered.
fn servers(kills: usize, random: &mut Random) -> (Account, BTreeSet<String>) {
    let marks = Folder::new();
    let definitions = [definition("beside", "PARALLEL", &marks), definition("queued", "QUEUED", &marks)];
    let folder = Folder::repository(&definitions[0], &[("file.txt", "hello\n")]);
    let mut accepted = BTreeSet::new();
    let server = Server::start(&folder);
    for definition in &definitions {
        server.client.call("CreatePipeline", definition);
    }
    server.kill();
    for _ in 1..kills {
        // Now and then before it is ready.
        if random.below(6) == 0 {
            let mut up = folder.command(&["up", "--port", "0", "--dir", ".towpath"]);
            let mut child = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            sleep(Duration::from_millis(random.below(60) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
            continue;
        }
        let server = Server::start(&folder);
        for _ in 0..=random.below(4) {
            let name = random.pick(&["beside", "queued"]);
            // Too many at once is an answer too.
            if let Ok(started) = server.client.try_call("StartPipelineExecution", &json!({ "name": name })) {
                accepted.insert(started["pipelineExecutionId"].as_str().unwrap().to_owned());
            }
            sleep(Duration::from_millis(random.below(20) as u64));
        }
        sleep(Duration::from_millis(random.below(LIFE_MS_MAX) as u64));
        server.kill();
    }
    let server = Server::start(&folder);
    let mut open = Vec::new();
    let ended = processes::eventually(END_MAX, || {
        open = ["beside", "queued"].iter().flat_map(|name| unfinished(&server, name)).collect();
        open.is_empty()
    });
    assert!(ended, "still open: {open:#?}\n{}", folder.read("server.err"));
    assert!(server.stop().success());
    processes::none_left(marks.path().to_str().unwrap());
    processes::none_left(folder.path().to_str().unwrap());
    (account::of(&folder.state(), &marks.read("marks")), accepted)
}

fn unfinished(server: &Server, name: &str) -> Vec<Value> {
    let listed = server.client.call("ListPipelineExecutions", &json!({ "pipelineName": name }));
    let listed = listed["pipelineExecutionSummaries"].as_array().unwrap().clone();
    listed.into_iter().filter(|run| run["status"] == "InProgress").collect()
}

/// Kills `towpath run` and its resumptions.
fn runs(kills: usize, random: &mut Random) -> Account {
    let marks = Folder::new();
    let folder = Folder::repository(&definition("shop", "QUEUED", &marks), &[("file.txt", "hello\n")]);
    for round in 0..kills {
        let fresh = ["run", "pipeline.json"];
        let resumed = ["run", "pipeline.json", "--resume"];
        let arguments = if round % 3 == 2 { &resumed[..] } else { &fresh[..] };
        let mut run = folder.command(arguments);
        let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(random.below(LIFE_MS_MAX) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = folder.towpath(&["run", "pipeline.json", "--resume"]);
    let nothing_left = last.err.contains("no run of this pipeline");
    assert!(last.code == Some(0) || nothing_left, "{last:?}");
    processes::none_left(marks.path().to_str().unwrap());
    processes::none_left(folder.path().to_str().unwrap());
    account::of(&folder.state(), &marks.read("marks"))
}
