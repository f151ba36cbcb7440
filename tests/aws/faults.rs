//! Functions that die, hear nothing, wait in vain, and are gone for a while. No emulator throttles or loses an answer by
//! itself: the meter does it, between the real functions and the tables.

use super::{
    given::{Home, stage},
    whole::started,
};
use serde_json::json;
use std::time::Duration;
use tests::emulated::meter::{Call, What};

/// A write to the log of this pipeline's lane or execution.
fn appends(call: &Call, containing: &str) -> bool {
    ["PutItem", "TransactWriteItems"].contains(&call.operation.as_str())
        && call.body.contains("-LogTable-")
        && call.body.contains(containing)
}

pub(crate) fn dies_after_append(home: &mut Home) {
    let name = "dies-after-append";
    home.create(
        name,
        &[stage("Build", &[home.build("Compile")]), stage("Deploy", &[home.deployment("Site", "dies.html")])],
    );
    let meter = home.emulator().meter.clone();
    meter.clear();
    // The commit that starts the build is in the log; whoever wrote it does not live to start the build.
    let fault = meter
        .spoil(1, What::KillAfter, |call| appends(call, "Compile") && call.body.contains("ActionStarted"));
    home.push(name, "dies");
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
    assert_eq!(fault.hits(), 1, "nobody died");
    assert_eq!(builds(&meter.calls()), 1, "the build was started again");
}

pub(crate) fn dies_after_start(home: &mut Home) {
    let name = "dies-after-start";
    home.create(name, &[stage("Build", &[home.build("Compile")])]);
    let meter = home.emulator().meter.clone();
    meter.clear();
    // The build runs, and nobody has noted that it does.
    let fault = meter.spoil(1, What::KillAfter, |call| call.operation == "StartBuild");
    home.push(name, "dies");
    let execution = started(home, name, 2);
    // Its claim has to run out first, and `sweep` to come by.
    let long = Duration::from_secs(15 * 60);
    let so = tests::processes::eventually(long, || {
        std::thread::sleep(Duration::from_secs(1));
        home.stack.status(name, &execution) == "Succeeded"
    });
    assert!(so, "{:#}", home.stack.call("GetPipelineState", &json!({"name": name})));
    assert_eq!(fault.hits(), 1, "nobody died");
}

pub(crate) fn lost_answer(home: &mut Home) {
    let name = "lost-answer";
    home.create(
        name,
        &[stage("Build", &[home.build("Compile")]), stage("Deploy", &[home.deployment("Site", "lost.html")])],
    );
    let meter = home.emulator().meter.clone();
    meter.clear();
    let fault = meter.spoil(6, What::LoseAnswer, |call| appends(call, ""));
    home.push(name, "lost");
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
    assert_eq!(fault.hits(), 6, "no answer was lost");
    assert_eq!(builds(&meter.calls()), 1, "the build was started again");
    started(home, name, 2);
}

pub(crate) fn throttled(home: &mut Home) {
    let name = "throttled";
    home.create(
        name,
        &[
            stage("Build", &[home.build("Compile")]),
            stage("Deploy", &[home.deployment("Site", "throttled.html")]),
        ],
    );
    let meter = home.emulator().meter.clone();
    meter.clear();
    // Every third call of DynamoDB, forty times.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let fault = meter.spoil(40, What::Refuse(400, "ProvisionedThroughputExceededException"), move |call| {
        call.service == "dynamodb"
            && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(3)
    });
    home.push(name, "throttled");
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
    assert!(fault.hits() > 5, "only {} calls were throttled", fault.hits());
    assert_eq!(builds(&meter.calls()), 1, "the build was started again");
}

pub(crate) fn times_out(home: &mut Home) {
    let name = "times-out";
    home.create(
        name,
        &[
            stage("Build", &[home.build("Compile")]),
            stage("Deploy", &[home.deployment("Site", "times-out.html")]),
        ],
    );
    let meter = home.emulator().meter.clone();
    meter.clear();
    // Longer than anybody waits for a provider: whether the build was begun is not known.
    let fault = meter.spoil(1, What::Delay(Duration::from_secs(70)), |call| call.operation == "StartBuild");
    home.push(name, "times-out");
    let execution = started(home, name, 2);
    let so = tests::processes::eventually(Duration::from_secs(15 * 60), || {
        std::thread::sleep(Duration::from_secs(1));
        home.stack.status(name, &execution) == "Succeeded"
    });
    assert!(so, "{:#}", home.stack.call("GetPipelineState", &json!({"name": name})));
    assert_eq!(fault.hits(), 1, "nothing was held up");
}

pub(crate) fn restart(home: &mut Home) {
    let name = "restart";
    home.create(
        name,
        &[
            stage("Approve", &[home.approval("Wait")]),
            stage("Deploy", &[home.deployment("Site", "restart.html")]),
        ],
    );
    home.push(name, "restart");
    let execution = started(home, name, 2);
    let state = home.stack.wait_for_action(name, "Approve", "Wait", "InProgress");
    home.emulator().restart();
    let token = &state["latestExecution"]["token"];
    let result = json!({"summary": "still here", "status": "Approved"});
    let input = json!({"pipelineName": name, "stageName": "Approve", "actionName": "Wait", "token": token,
        "result": result});
    home.stack.call("PutApprovalResult", &input);
    home.stack.wait_for(name, &execution, "Succeeded");
}

fn builds(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.operation == "StartBuild").count()
}
