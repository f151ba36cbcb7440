//! Laws that hold for every history: random commands through the world, which checks each of them. See
//! `domain::testing::laws` for the list.

use domain::{Decision, execution::ExecutionStatus, testing::*};
use events::{
    Compatibility,
    ConditionType::{BeforeEntry, OnSuccess},
    ExecutionMode, GatePolicy, LaneEvent, Newer, Older, PipelineDeleted, PipelineEvent, Policy,
    TransitionDisabled,
};
use proptest::prelude::*;

const RUNS: [&str; 6] = ["e1", "e2", "e3", "e4", "e5", "e6"];
const STAGES: [&str; 4] = ["Source", "Build", "Deploy", "Verify"];
const ACTIONS: [&str; 7] = ["Src", "A", "B", "C", "Ask", "Push", "Look"];

fn definition(mode: ExecutionMode) -> PipelineBuilder {
    let gated = bare(mode)
        .before_entry("SKIP", [rule("In").set("Variable", "#{Src.Commit}")])
        .on_success("FAIL", [rule("Out"), rule("Out2")])
        .on_failure("RETRY", Some("ALL_ACTIONS"));
    let live = gated.stage("Deploy", [approval("Ask").timeout(30), deploy("Push").order(2).input("App")]);
    let live = live.before_entry("FAIL", [rule("Window").timeout(45)]);
    let live = if mode == ExecutionMode::Parallel { live } else { live.on_failure("ROLLBACK", None) };
    let live = live.stage("Verify", [action("Look")]);
    if mode == ExecutionMode::Parallel {
        return live;
    }
    live.on_success("ROLLBACK", [rule("Healthy")]).on_failure_when("", [rule("Undo")])
}

fn bare(mode: ExecutionMode) -> PipelineBuilder {
    pipeline("p").mode(mode).variable("V", Some("1")).stage("Source", [source("Src").namespace("Src")]).stage(
        "Build",
        [
            action("A").input("Src").output("App").namespace("A"),
            action("B").set("Key", "#{Src.Commit} #{variables.V}"),
            action("C").order(2).input("App"),
        ],
    )
}

#[test]
fn a_decision_is_empty_when_no_stream_got_an_event() {
    let mut world = given(bare(ExecutionMode::Superseded));
    world.start("e1");
    let (_, run) = world.events("e1").last().expect("it has started").clone();
    let run = Decision { execution: vec![run], ..Decision::default() };
    let disabled = TransitionDisabled { stage: stage_name("Build"), reason: "no".into(), by: "ann".into() };
    let lane = Decision { lane: vec![LaneEvent::TransitionDisabled(disabled)], ..Decision::default() };
    let deleted = PipelineEvent::PipelineDeleted(PipelineDeleted { by: "ann".into() });
    let pipeline = Decision { pipeline: vec![deleted], ..Decision::default() };
    assert!(Decision::default().is_empty());
    assert!([run, lane, pipeline].iter().all(|decision| !decision.is_empty()));
}

/// One random step. Most are refused or change nothing, which is what half of the laws are about.
fn step(world: &mut World, mode: ExecutionMode, (what, who, which): (u8, usize, usize)) {
    let run = RUNS[who % RUNS.len()];
    let stage = STAGES[which % STAGES.len()];
    let action = ACTIONS[which % ACTIONS.len()];
    let known = world.exists(run);
    let started = known && !world.attempts(run, action).is_empty();
    let _ = match what {
        0..=9 => {
            world.policy = policy(which);
            world.when_started(run)
        }
        10..=39 if started => world.when_succeeds_with(run, action, &[("Commit", "abc")]),
        40..=47 if started => world.when_fails(run, action),
        48..=57 if started => world.when_answered(run, action, what % 4 != 0),
        58..=59 => world.when_stopped(run),
        60..=61 if known => {
            world.when_overridden(run, stage, if which % 2 == 0 { BeforeEntry } else { OnSuccess })
        }
        62..=64 => world.when_abandoned(run),
        65..=71 => world.when_retried(run, stage),
        72..=75 => world.when_retried_all(run, stage),
        76..=79 => world.when_disabled(stage),
        80..=86 => world.when_enabled(stage),
        87..=88 => world.pass_minutes(29),
        89 => world.pass_minutes(30 * 24 * 60 + 1),
        97 if which % 2 == 0 => {
            world.policy = policy(which / 2);
            world.when_rolled_back(&format!("b{}", which % 4), stage, run)
        }
        97 => world.when_rolled_back(&format!("b{}", which % 4), stage, run),
        98 => world.when_lane_resumed(),
        90 => world.when_updated(definition(mode)),
        91 => world.when_deleted(),
        92..=95 => world.when_created(definition(mode)),
        96 => {
            world.messages_wait = !world.messages_wait;
            world.when_settled(run)
        }
        10..=61 if known => rule_ends(world, run, what, which),
        _ => world.when_settled(run),
    };
}

/// Half of the runs are governed by CodePipeline's own rules, the others by more, and all of them share a lane.
fn policy(which: usize) -> Policy {
    let compatibility = if which.is_multiple_of(3) { Compatibility::Extended } else { Compatibility::Exact };
    let newer = [Newer::Hold, Newer::Supersede, Newer::Newest][which / 3 % 3];
    let gate = GatePolicy { newer, older: [None, Some(Older::Refuse)][which / 6 % 2] };
    let gates = if which.is_multiple_of(4) { vec![(stage_name("Deploy"), gate)] } else { Vec::new() };
    Policy { compatibility, gates: gates.into_iter().collect() }
}

fn rule_ends(world: &mut World, run: &str, what: u8, which: usize) -> Outcome {
    let rules: Vec<String> = world.run(run).rules().map(|(_, _, rule)| rule.rule.to_string()).collect();
    // Mostly the newest, now and then one that has ended long ago.
    let Some(rule) = rules.iter().rev().nth(if which.is_multiple_of(5) { which } else { which % 2 }) else {
        return world.when_settled(run);
    };
    match what % 5 {
        0 => world.when_rule_fails(run, rule),
        1 => world.when_rule_cannot_run(run, rule),
        _ => world.when_rule_succeeds(run, rule),
    }
}

/// Opens every door and answers everything; then nothing may be under way.
fn finish(world: &mut World) -> Vec<(String, ExecutionStatus)> {
    world.messages_wait = false;
    world.deliver();
    world.when_lane_resumed().accepted();
    if world.pipeline().current.is_some() {
        for stage in STAGES {
            world.when_enabled(stage).accepted();
        }
    }
    for _ in 0..RUNS.len() * ACTIONS.len() {
        for run in world.runs() {
            let running = world.run(&run).running_rules();
            let rules: Vec<String> = running.map(|(_, _, rule)| rule.rule.to_string()).collect();
            for rule in rules {
                world.when_rule_succeeds(&run, &rule).accepted();
            }
            for action in ACTIONS {
                if !world.attempts(&run, action).is_empty() {
                    world.when_succeeds_with(&run, action, &[("Commit", "abc")]).accepted();
                }
            }
        }
    }
    let ends = |run: String| (run.clone(), world.status(&run));
    world.runs().into_iter().map(ends).collect()
}

fn modes() -> impl Strategy<Value = ExecutionMode> {
    prop_oneof![
        3 => Just(ExecutionMode::Superseded),
        2 => Just(ExecutionMode::Queued),
        1 => Just(ExecutionMode::Parallel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_laws_and_can_come_to_an_end(
        mode in modes(),
        steps in proptest::collection::vec((0u8..100, 0usize..64, 0usize..64), 1..120),
    ) {
        let mut world = given(definition(mode));
        for one in steps {
            step(&mut world, mode, one);
        }
        for (run, status) in finish(&mut world) {
            prop_assert!(status.is_terminal(), "`{}` is still {:?}\n{:#?}", run, status, world.lane());
        }
        prop_assert!(world.lane().under_way().is_empty());
        prop_assert!(world.lane().superseded.is_empty());
        prop_assert!(world.lane().rollbacks.is_empty());
    }
}
