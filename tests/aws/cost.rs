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
const QUIET: Duration = Duration::from_secs(4);
/// How long that may take to come about.
const QUIET_MAX: Duration = Duration::from_secs(60);
/// Write units for a transition on the hot path: what is aimed at, and what was reached. More than that is a step back.
const WRITE_UNITS: (f64, f64) = (2.0, 3.5);
/// Dollars for a million transitions, in the same way.
const DOLLARS: (f64, f64) = (3.0, 6.0);

pub(crate) fn ten_actions(home: &mut Home) {
    let name = "ten";
    home.create(
        name,
        &[
            stage("Build", &[home.build("Compile"), home.build("Check"), home.build("Scan")]),
            stage(
                "Staging",
                &[home.deployment("Site", "ten-staging.html"), home.deployment("Copy", "ten-copy.html")],
            ),
            stage("Test", &[home.build("Integration"), home.build("Load")]),
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
    let execution = started(home, name, 2);
    home.stack.wait_for(name, &execution, "Succeeded");
    quiet(home);

    let emulator = home.emulator();
    let calls = emulator.meter.calls();
    // The tests' own questions are not part of what an execution costs.
    let invoked: Vec<Invocation> = emulator.invocations().split_off(before);
    let invoked: Vec<Invocation> = invoked.into_iter().filter(|one| one.function != "api").collect();
    let bill = Bill::of(&calls, &invoked);
    let table = bill.markdown("An execution of ten actions, with views and events");
    println!("{table}\n{}", detail(&calls, &invoked));
    if let Some(file) = env::var_os("TOWPATH_TEST_COSTS") {
        fs::write(file, &table).unwrap();
    }
    // Ten actions, four stages after the source and the source's, the execution: each starts and ends.
    assert_eq!(bill.transitions, 32.0, "{table}");
    let appending = invoked.iter().filter(|one| ["trigger", "work"].contains(&one.function.as_str())).count();
    let appending = appending as f64 / bill.transitions;
    assert!(appending <= 1.0, "{appending:.2} invocations for a transition on the hot path\n{table}");
    let hot =
        bill.per_transition("write units, log") + bill.per_transition("write units, claims and external ids");
    let dollars = bill.per_million();
    for (what, found, (aim, reached)) in
        [("write units on the hot path", hot, WRITE_UNITS), ("dollars per million", dollars, DOLLARS)]
    {
        println!("{what}: {found:.2}, aimed at {aim}: {}", if found <= aim { "met" } else { "NOT MET" });
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
