//! Functions that die, hear nothing, wait in vain, and are gone for a while. No emulator throttles or loses an answer by
//! itself: the meter does it, between the real functions and the tables.

use super::{
    given::{Home, stage},
    whole::started,
};
use aws::client::Service;
use serde_json::json;
use std::time::Duration;
use tests::{
    emulated::{
        emulator::Invocation,
        meter::{Call, What},
        stack::SOON,
    },
    processes::eventually,
};

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
    let begun_before = begun(home);
    let meter = home.emulator().meter.clone();
    meter.clear();
    // The build runs, and nobody has noted that it does.
    let fault = meter.spoil(1, What::KillAfter, |call| call.operation == "StartBuild");
    home.push(name, "dies");
    let execution = started(home, name, 2);
    // Its claim has to run out first, and `sweep` to come by.
    let long = Duration::from_secs(15 * 60);
    let so = eventually(long, || {
        std::thread::sleep(Duration::from_secs(1));
        home.stack.status(name, &execution) == "Succeeded"
    });
    assert!(so, "{:#}", home.stack.call("GetPipelineState", &json!({"name": name})));
    assert_eq!(fault.hits(), 1, "nobody died");
    assert_eq!(begun(home) - begun_before, 1, "the build was started again");
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
    let begun_before = begun(home);
    let meter = home.emulator().meter.clone();
    meter.clear();
    // Longer than anybody waits for a provider: whether the build was begun is not known.
    let fault = meter.spoil(1, What::Delay(Duration::from_secs(70)), |call| call.operation == "StartBuild");
    home.push(name, "times-out");
    let execution = started(home, name, 2);
    let so = eventually(Duration::from_secs(15 * 60), || {
        std::thread::sleep(Duration::from_secs(1));
        home.stack.status(name, &execution) == "Succeeded"
    });
    assert!(so, "{:#}", home.stack.call("GetPipelineState", &json!({"name": name})));
    assert_eq!(fault.hits(), 1, "nothing was held up");
    assert_eq!(begun(home) - begun_before, 1, "the build was started again");
}

/// One function answers for itself when its provider takes longer than it has; another one cannot, and is ended. What
/// they began is taken up once their claims have run out, and begun only once.
pub(crate) fn runs_out_of_time(home: &mut Home) {
    let (slow, stuck) = ("slow-provider", "stuck-function");
    for name in [slow, stuck] {
        home.create(name, &[stage("Build", &[home.build("Compile")])]);
    }
    let meter = home.emulator().meter.clone();
    meter.clear();
    let (before, begun_before) = (home.emulator().invocations().len(), begun(home));
    let short = Short::of(home, &["TriggerFunction", "RelayFunction", "WorkFunction"]);
    let begun_by = |name: &str, what: What| {
        // The change stream's readers may ask for the same build in the same moment.
        let is_triggers =
            |call: &Call| call.operation == "StartBuild" && call.function().as_deref() == Some("trigger");
        let fault = meter.spoil(1, what, is_triggers);
        home.push(name, name);
        let execution = started(home, name, 2);
        assert!(eventually(SOON, || fault.hits() == 1), "{name}: no build was begun");
        execution
    };
    let of_slow = begun_by(slow, What::Delay(Duration::from_secs(u64::from(SHORT_S) * 2)));
    let of_stuck = begun_by(stuck, What::FreezeAfter);
    let ended = || home.emulator.as_ref().unwrap().invocations().split_off(before);
    let of = |one: &&Invocation| one.function == "trigger" && one.source == "Object Created";
    let so = eventually(SOON, || {
        std::thread::sleep(Duration::from_millis(200));
        let ended = ended();
        let milliseconds = |seconds: u32| f64::from(seconds) * 1000.0;
        // A second before its end it answers, whatever is still under way.
        let by_itself = |one: &Invocation| {
            !one.failed && (milliseconds(SHORT_S - 1)..milliseconds(SHORT_S)).contains(&one.milliseconds)
        };
        let by_force = |one: &Invocation| {
            one.error.starts_with("Task timed out after") && one.milliseconds >= milliseconds(SHORT_S)
        };
        ended.iter().filter(of).any(by_itself) && ended.iter().filter(of).any(by_force)
    });
    assert!(so, "nobody ran out of time: {:#?}", ended());
    drop(short);
    for (name, execution) in [(slow, of_slow), (stuck, of_stuck)] {
        let so = eventually(Duration::from_secs(10 * 60), || {
            std::thread::sleep(Duration::from_secs(1));
            home.stack.status(name, &execution) == "Succeeded"
        });
        assert!(so, "{:#}", home.stack.call("GetPipelineState", &json!({"name": name})));
        started(home, name, 2);
    }
    // Whoever calls CodeBuild again does so with the same token.
    assert_eq!(begun(home) - begun_before, 2, "a build was started again");
}

/// How long functions have for an invocation while a test keeps them short, in seconds.
const SHORT_S: u32 = 6;

/// Functions that have little time, until this value ends.
struct Short<'a> {
    home: &'a Home,
    functions: &'a [&'static str],
}

impl<'a> Short<'a> {
    fn of(home: &'a Home, functions: &'a [&'static str]) -> Self {
        for function in functions {
            home.stack.set_timeout(function, SHORT_S);
        }
        Self { home, functions }
    }
}

impl Drop for Short<'_> {
    fn drop(&mut self) {
        for function in self.functions {
            self.home.stack.set_timeout(function, if *function == "WorkFunction" { 900 } else { 60 });
        }
    }
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

/// How many builds of the fixtures' project there ever were.
fn begun(home: &Home) -> usize {
    let list =
        home.stack.aws.json(Service::CodeBuild, "ListBuildsForProject", &json!({"projectName": "shop"}));
    list["ids"].as_array().map_or(0, Vec::len)
}
