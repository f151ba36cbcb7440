//! The states: each is reached by commands, as in life.

use domain::{command::JobWish, testing::*};
use events::{Compatibility, ExecutionMode, GatePolicy, Newer};

/// Source, two builds side by side and one after them, a gate with a deployment behind it.
pub(crate) fn definition(mode: ExecutionMode) -> PipelineBuilder {
    pipeline("p")
        .mode(mode)
        .variable("V", Some("1"))
        .stage("Source", [source("Src").namespace("Src")])
        .stage("Build", [action("A"), action("B"), action("C").order(2)])
        .stage("Prod", [approval("Sign"), deploy("Ship").order(2)])
}

fn fresh(mode: ExecutionMode) -> World {
    given(definition(mode))
}

/// A run inside the stage `Build`, with `A` and `B` under way.
fn building(mode: ExecutionMode) -> World {
    let mut world = fresh(mode);
    world.start("e1");
    world.succeed("e1", "Src");
    world
}

/// A run that is asked on its way into `Prod`, which has a way out that is asked too.
fn gated() -> World {
    let definition = definition(ExecutionMode::Superseded);
    let gated = definition.before_entry("FAIL", [rule("Open")]).on_success("FAIL", [rule("Healthy")]);
    let mut world = given(gated);
    world.start("e1");
    built(&mut world, "e1");
    world
}

fn built(world: &mut World, run: &str) {
    ["Src", "A", "B", "C"].iter().for_each(|action| world.succeed(run, action));
}

/// A run that waits for the approval.
fn asked(mode: ExecutionMode) -> World {
    let mut world = fresh(mode);
    world.start("e1");
    built(&mut world, "e1");
    world
}

/// Two runs: `e1` holds the last stage, `e2` waits in front of it.
fn behind(mode: ExecutionMode) -> World {
    let mut world = asked(mode);
    world.start("e2");
    built(&mut world, "e2");
    world
}

/// A state that commands are tried at.
pub(crate) struct State {
    /// The pipeline's mode, where the same state is looked at in each.
    pub(crate) mode: Option<&'static str>,
    /// What brought it about.
    pub(crate) name: &'static str,
    /// The state.
    pub(crate) world: World,
}

/// Every state; those of SUPERSEDED mode first.
pub(crate) fn all() -> Vec<State> {
    let modes = [
        ("SUPERSEDED", ExecutionMode::Superseded),
        ("QUEUED", ExecutionMode::Queued),
        ("PARALLEL", ExecutionMode::Parallel),
    ];
    let of_modes = modes.into_iter().flat_map(|(name, mode)| {
        of_mode(mode).into_iter().map(move |(state, world)| State { mode: Some(name), name: state, world })
    });
    let mut deleted = building(ExecutionMode::Superseded);
    deleted.when_deleted().accepted();
    let mut again = deleted.clone();
    again.when_created(definition(ExecutionMode::Superseded)).accepted();
    let mut shut = gated();
    shut.when_rule_fails("e1", "Open").accepted();
    let mut shut_out = gated();
    shut_out.when_rule_succeeds("e1", "Open").accepted();
    shut_out.when_answered("e1", "Sign", true).accepted();
    shut_out.succeed("e1", "Ship");
    shut_out.when_rule_fails("e1", "Healthy").accepted();
    let others = [
        ("e1 is asked at the gate of Prod", gated()),
        ("e1 failed at the gate of Prod", shut),
        ("e1 failed at the way out of Prod", shut_out),
        ("the pipeline was deleted with e1 under way", deleted),
        ("the pipeline was deleted and declared again; e1 is of the deleted one", again),
    ];
    let others = others.into_iter().chain(jobs()).chain(governed());
    let others = others.map(|(name, world)| State { mode: None, name, world });
    of_modes.chain(others).collect()
}

/// Runs that are governed by more than CodePipeline's own rules.
fn governed() -> Vec<(&'static str, World)> {
    let extended = |mode| {
        let mut world = fresh(mode);
        world.policy.compatibility = Compatibility::Extended;
        world.start("e1");
        world
    };
    let mut failed = extended(ExecutionMode::Queued);
    failed.succeed("e1", "Src");
    ["A", "B"].iter().for_each(|action| failed.fail("e1", action));
    failed.when_updated(definition(ExecutionMode::Queued).stage("Later", [deploy("More")])).accepted();
    let mut done = extended(ExecutionMode::Parallel);
    built(&mut done, "e1");
    done.when_answered("e1", "Sign", true).accepted();
    done.succeed("e1", "Ship");
    done.when_updated(definition(ExecutionMode::Parallel).stage("Later", [deploy("More")])).accepted();
    let gate = |newer| {
        let mut world = fresh(ExecutionMode::Queued);
        world.policy.gates.insert(stage_name("Prod"), GatePolicy { newer, older: None });
        for run in ["e1", "e2"] {
            world.start(run);
            built(&mut world, run);
        }
        world
    };
    vec![
        ("extended: e1 failed in Build, and the pipeline was updated since", failed),
        ("extended, PARALLEL: e1 succeeded, and the pipeline was updated since", done),
        ("e2 waits behind the approval of e1, at a gate where only the newest may pass", gate(Newer::Newest)),
        ("e2 took the place of e1, at a gate where newer executions supersede", gate(Newer::Supersede)),
    ]
}

/// What a job goes through.
fn jobs() -> Vec<(&'static str, World)> {
    let mut queued = building(ExecutionMode::Superseded);
    queued.when_job("e1", "A", JobWish::Queue { query: None }).accepted();
    let job = queued.attempt("e1", "A").job.as_ref().unwrap().job.clone();
    let mut handed = queued.clone();
    handed.when_job("e1", "A", JobWish::Dispatch { job: job.clone(), nonce: "n1".into() }).accepted();
    let mut taken = handed.clone();
    taken.when_job("e1", "A", JobWish::Acknowledge { job: job.clone(), nonce: "n1".into() }).accepted();
    let mut stopped = taken.clone();
    stopped.when_abandoned("e1").accepted();
    vec![
        ("A of e1 waits for a worker", queued),
        ("the job of A of e1 was handed to a worker", handed),
        ("a worker has the job of A of e1", taken),
        ("e1 was stopped while a worker had the job of A", stopped),
    ]
}

fn of_mode(mode: ExecutionMode) -> Vec<(&'static str, World)> {
    let mut states = vec![
        ("no execution yet", fresh(mode)),
        ("e1 builds", building(mode)),
        ("e1 waits for the approval", asked(mode)),
    ];
    let mut one_failed = building(mode);
    one_failed.fail("e1", "A");
    states.push(("e1: A failed, B still runs", one_failed.clone()));
    one_failed.succeed("e1", "B");
    states.push(("e1 failed in Build", one_failed.clone()));
    one_failed.when_retried("e1", "Build").accepted();
    states.push(("e1 is retried: A runs again", one_failed));
    let mut stopping = building(mode);
    stopping.when_stopped("e1").accepted();
    states.push(("e1 is stopping, A and B still run", stopping.clone()));
    stopping.succeed("e1", "A");
    stopping.succeed("e1", "B");
    states.push(("e1 was stopped before C", stopping));
    let mut abandoned = building(mode);
    abandoned.when_abandoned("e1").accepted();
    states.push(("e1 was stopped, A and B abandoned", abandoned));
    let mut rejected = asked(mode);
    rejected.when_answered("e1", "Sign", false).accepted();
    states.push(("e1: the approval was rejected", rejected));
    let mut expired = asked(mode);
    expired.pass_minutes(8 * 24 * 60).accepted();
    states.push(("e1: nobody answered the approval in time", expired));
    let mut done = asked(mode);
    done.when_answered("e1", "Sign", true).accepted();
    done.succeed("e1", "Ship");
    states.push(("e1 succeeded", done));
    let mut closed = fresh(mode);
    closed.when_disabled("Build").accepted();
    closed.start("e1");
    closed.succeed("e1", "Src");
    states.push(("e1 waits at a disabled transition", closed.clone()));
    closed.start("e2");
    closed.succeed("e2", "Src");
    states.push(("the newer e2 arrived at the same disabled transition", closed));
    states.push(("e2 waits in front of the stage that e1 holds", behind(mode)));
    let mut overtaken = building(mode);
    overtaken.fail("e1", "A");
    overtaken.fail("e1", "B");
    overtaken.start("e2");
    overtaken.succeed("e2", "Src");
    states.push(("e1 failed in Build, and e2 entered it since", overtaken));
    let mut updated = building(mode);
    updated.when_updated(definition(mode).stage("Later", [deploy("More")])).accepted();
    states.push(("the pipeline was updated while e1 builds", updated));
    states
}
