//! `kill -9` while stages fail and go back: each failure leads to exactly one rollback, whenever the process died.

use crate::number;
use serde_json::{Value, json};
use std::{collections::BTreeMap, thread::sleep, time::Duration};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    processes,
    random::Random,
    server::Server,
};

/// Rounds unless the environment asks for others.
const KILLS_DEFAULT: u64 = 6;
/// How long a server lives after the last start, at most, milliseconds.
const LIFE_MS_MAX: usize = 400;
/// How long everything may take to come to its end at last.
const END_MAX: Duration = Duration::from_secs(120);

fn definition() -> Value {
    let ship = commands("Ship", &["test #{variables.FAIL} = no"]);
    let mut definition = pipeline("shop", vec![source(), stage("Live", vec![ship])]);
    definition["pipeline"]["executionMode"] = json!("QUEUED");
    definition["pipeline"]["variables"] = json!([{ "name": "FAIL", "defaultValue": "no" }]);
    definition["pipeline"]["stages"][1]["onFailure"] = json!({ "result": "ROLLBACK" });
    definition
}

fn executions(server: &Server) -> Vec<Value> {
    let listed = server.client.call("ListPipelineExecutions", &json!({ "pipelineName": "shop" }));
    assert_eq!(listed.get("nextToken"), None, "all of them fit on one page");
    listed["pipelineExecutionSummaries"].as_array().unwrap().clone()
}

fn all_over(server: &Server, seen: &mut Vec<Value>) -> bool {
    *seen = executions(server);
    let lane = server.client.call("GetPipelineState", &json!({ "name": "shop" }));
    let stages = lane["stageStates"].as_array().unwrap();
    seen.iter().all(|run| run["status"] != "InProgress")
        && stages.iter().all(|stage| stage["latestExecution"]["status"] != "InProgress")
        && missing(seen).is_empty()
}

/// Failures without a rollback.
fn missing(seen: &[Value]) -> Vec<&Value> {
    let is_answered = |failed: &&Value| {
        seen.iter().any(|run| run["trigger"]["triggerDetail"] == failed["pipelineExecutionId"])
    };
    let failed = seen.iter().filter(|run| run["status"] == "Failed");
    failed.filter(|failed| !is_answered(failed)).collect()
}

#[test]
fn no_kill_loses_a_rollback_or_makes_two_of_one() {
    let kills = number("TOWPATH_KILLS", KILLS_DEFAULT);
    let mut random = Random::new(number("TOWPATH_KILL_SEED", 1));
    let definition = definition();
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    server.client.call("CreatePipeline", &definition);
    let mut seen = Vec::new();
    assert!(processes::eventually(END_MAX, || all_over(&server, &mut seen)), "{seen:#?}");
    let good = seen[0]["pipelineExecutionId"].clone();
    server.kill();
    let variables = json!([{ "name": "FAIL", "value": "yes" }]);
    for _ in 0..kills {
        let server = Server::start(&folder);
        for _ in 0..=random.below(2) {
            // Too many at once is an answer too.
            let start = json!({ "name": "shop", "variables": variables });
            let _ = server.client.try_call("StartPipelineExecution", &start);
        }
        sleep(Duration::from_millis(random.below(LIFE_MS_MAX) as u64));
        server.kill();
    }
    let server = Server::start(&folder);
    let ended = processes::eventually(END_MAX, || all_over(&server, &mut seen));
    assert!(ended, "without a rollback: {:#?}\n{seen:#?}\n{}", missing(&seen), folder.read("server.err"));
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    for run in seen.iter().filter(|run| run["executionType"] == "ROLLBACK") {
        assert_eq!(run["status"], "Succeeded");
        assert_eq!(run["rollbackMetadata"]["rollbackTargetPipelineExecutionId"], good);
        *causes.entry(run["trigger"]["triggerDetail"].as_str().unwrap()).or_default() += 1;
    }
    let failed = seen.iter().filter(|run| run["status"] == "Failed").count();
    assert!(failed > 0 && causes.len() == failed, "{causes:?}\n{seen:#?}");
    assert!(causes.values().all(|count| *count == 1), "{causes:?}");
    assert!(server.stop().success());
}
