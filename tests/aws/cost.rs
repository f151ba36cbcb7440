//! What a pipeline of ten actions costs, counted call by call.

use super::{
    given::{Home, stage},
    whole::started,
};
use std::{env, fs, time::Duration};
use tests::{
    emulated::{cost::Bill, emulator::Invocation, meter::Call},
    processes::eventually,
};

/// How long nothing may be called until everything that follows from an execution counts as done.
const QUIET: Duration = Duration::from_secs(5);
/// How long that may take to come about.
const QUIET_MAX: Duration = Duration::from_secs(60);
/// What is aimed at, and what was reached, by changes of state. More than that is a step back.
struct Bar {
    what: &'static str,
    aim: f64,
    reached: f64,
}

pub(crate) fn ten_actions(home: &mut Home) {
    let name = "ten";
    home.create(
        name,
        &[
            // They end one after another, as builds do: what ends at the same moment shares invocations and rows.
            stage(
                "Build",
                &[home.build_of("Compile", 3.0), home.build_of("Check", 4.7), home.build_of("Scan", 6.4)],
            ),
            stage(
                "Staging",
                &[home.deployment("Site", "ten-staging.html"), home.deployment("Copy", "ten-copy.html")],
            ),
            stage("Test", &[home.build_of("Integration", 3.0), home.build_of("Load", 4.7)]),
            stage(
                "Production",
                &[home.deployment("Site", "ten.html"), home.deployment("Mirror", "ten-mirror.html")],
            ),
        ],
    );
    quiet(home);
    home.emulator().meter.clear();
    let before = home.emulator().invocations().len();

    home.push(name, "ten");
    // Nobody asks how it goes: questions are not part of what an execution costs.
    let meter = home.emulator().meter.clone();
    assert!(eventually(QUIET_MAX, || !meter.calls().is_empty()), "nothing begins");
    quiet(home);
    let emulator = home.emulator();
    let calls = emulator.meter.calls();
    let invoked: Vec<Invocation> = emulator.invocations().split_off(before);
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
    let bill = Bill::of(&calls, &invoked);
    let table = bill.markdown("An execution of ten actions, with views and events");
    println!("{table}\n{}", detail(&calls, &invoked));
    if let Some(file) = env::var_os("TOWPATH_TEST_CALLS") {
        let lines = calls.iter().map(|call| {
            format!("{:?} {} {} {:?} {}\n", call.at, call.service, call.operation, call.units, call.body)
        });
        fs::write(file, lines.collect::<String>()).unwrap();
    }
    if let Some(file) = env::var_os("TOWPATH_TEST_COSTS") {
        fs::write(file, &table).unwrap();
    }
    // Ten actions, four stages after the source and the source's, the execution: each starts and ends.
    assert_eq!((bill.changes, bill.of_actions), (32.0, 20.0), "{table}");
    // The hot path is what an execution waits for: the log, who carries out what, and who is invoked for it.
    let appending = invoked.iter().filter(|one| ["trigger", "work"].contains(&one.function.as_str())).count();
    let hot = bill.count("write units, log") + bill.count("write units, claims and external ids");
    let (own, _) = bill.dollars();
    for (Bar { what, aim, reached }, count) in [
        (Bar { what: "write units on the hot path", aim: 2.0, reached: 1.4 }, hot),
        (Bar { what: "invocations on the hot path", aim: 1.0, reached: 0.5 }, appending as f64),
        (Bar { what: "dollars per million, of Towpath", aim: 3.0, reached: 3.0 }, own * 1e6),
    ] {
        for (of, by) in [("change of state", bill.changes), ("start or end of an action", bill.of_actions)] {
            let (found, word) = (count / by, if count / by <= aim { "met" } else { "NOT MET" });
            println!("{what}, for a {of}: {found:.2}, aimed at {aim}: {word}");
        }
        let found = count / bill.changes;
        assert!(found <= reached, "{what}: {found:.2}, and it was {reached} before\n{table}");
    }
}

/// Waits until nothing is called any more.
fn quiet(home: &mut Home) {
    let meter = home.emulator().meter.clone();
    let idle = |calls: &[Call]| calls.last().is_none_or(|call| call.at.elapsed() > QUIET);
    let came = eventually(QUIET_MAX, || {
        std::thread::sleep(Duration::from_millis(200));
        idle(&meter.calls())
    });
    assert!(came, "it does not come to rest");
}

/// Which operation was called how often, and which function was invoked by what.
fn detail(calls: &[Call], invoked: &[Invocation]) -> String {
    let mut counts = std::collections::BTreeMap::<String, (usize, f64)>::new();
    for call in calls {
        let kind = tests::emulated::cost::kind_of(call);
        let entry = counts.entry(format!("{} {} {kind:?}", call.service, call.operation)).or_default();
        *entry = (entry.0 + 1, entry.1 + call.units.write + call.units.read);
    }
    for one in invoked {
        let entry = counts.entry(format!("invoked {} by {}", one.function, one.source)).or_default();
        *entry = (entry.0 + 1, entry.1 + one.milliseconds);
    }
    counts.iter().map(|(what, (count, sum))| format!("{count:>5} {what} ({sum:.1})\n")).collect()
}
