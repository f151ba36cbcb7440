//! What people do: start, stop, retry, answer, open and close doors, change and delete pipelines.

use crate::{log::SimLog, prng::Prng};
use domain::{
    command::{Command, Wish},
    execution::{ActionStatus, Execution, StageStatus, rollback::Past},
    testing::{PipelineBuilder, action, approval, deploy, pipeline, rule, source, stage_name},
};
use events::{
    Compatibility, ConditionType, ExecutionId, ExecutionMode, GatePolicy, Newer, Older, PipelineName, Policy,
    StageName, StageRetryMode, Trigger, TriggerType,
};
use std::collections::BTreeMap;

/// What the installation lays down when this order comes: now CodePipeline as it is, now more. The same whenever the
/// order is sent again.
pub fn policy(order: &str) -> Policy {
    let seed = order.bytes().fold(7_usize, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let compatibility = if seed.is_multiple_of(3) { Compatibility::Exact } else { Compatibility::Extended };
    let newer = [Newer::Hold, Newer::Hold, Newer::Supersede, Newer::Newest][seed / 3 % 4];
    let older = [None, Some(Older::Refuse)][seed / 12 % 2];
    let gates = if seed / 24 % 2 == 0 { vec![] } else { vec!["Gate", "Deploy"] };
    let gates = gates.into_iter().map(|stage| (stage_name(stage), GatePolicy { newer, older })).collect();
    Policy { compatibility, gates }
}

/// The names in use.
pub const PIPELINES: [&str; 3] = ["shop", "site", "tool"];

const MODES: [ExecutionMode; 3] = [ExecutionMode::Superseded, ExecutionMode::Queued, ExecutionMode::Parallel];

/// One of three shapes that share the names of some stages.
fn definition(name: &str, prng: &mut Prng) -> PipelineBuilder {
    let usual = PIPELINES.iter().position(|known| *known == name).unwrap_or(0);
    let mode = if prng.chance(80) { MODES[usual] } else { *prng.pick(&MODES) };
    let bare = pipeline(name).mode(mode).stage("Source", [source("Src").namespace("Src")]);
    let build = [
        action("Compile").input("Src").output("App").namespace("Build"),
        action("Check").set("Commit", "#{Src.Commit}"),
        action("Pack").order(2).input("App").output("Image"),
    ];
    let shape = prng.below(4);
    let built = gates(on_failure(bare.stage("Build", build), mode, prng), mode, prng);
    let whole = match shape {
        0 => return built,
        1 => built.stage("Deploy", [deploy("Push").input("App").set("Tag", "#{Build.Tag}")]),
        _ => built
            .stage("Gate", [approval("Ask").timeout(60)])
            .stage("Deploy", [deploy("Push"), deploy("Copy").input("App"), deploy("Probe").order(2)]),
    };
    gates(on_failure(whole, mode, prng), mode, prng)
}

/// Conditions of the stage declared last, on about half of the stages.
fn gates(pipeline: PipelineBuilder, mode: ExecutionMode, prng: &mut Prng) -> PipelineBuilder {
    let entry = rule("In").set("Variable", "#{Src.Commit}").timeout(30);
    let gated = match prng.below(4) {
        0 => pipeline.before_entry("FAIL", [entry, rule("Also")]),
        1 => pipeline.before_entry("SKIP", [entry]),
        _ => pipeline,
    };
    let rolls_back = mode != ExecutionMode::Parallel;
    let gated = match prng.below(4) {
        0 => gated.on_success("FAIL", [rule("Out"), rule("Calm")]),
        1 if rolls_back => gated.on_success("ROLLBACK", [rule("Out")]),
        _ => gated,
    };
    // In place of what `on_failure` chose: a stage has one or the other.
    if rolls_back && prng.chance(15) { gated.on_failure_when("ROLLBACK", [rule("Undo")]) } else { gated }
}

/// What happens when the stage declared last fails. PARALLEL pipelines may not ask for a rollback.
fn on_failure(pipeline: PipelineBuilder, mode: ExecutionMode, prng: &mut Prng) -> PipelineBuilder {
    match prng.below(4) {
        0 => pipeline.on_failure("RETRY", *prng.pick(&[Some("FAILED_ACTIONS"), Some("ALL_ACTIONS")])),
        1 | 2 if mode != ExecutionMode::Parallel => pipeline.on_failure("ROLLBACK", None),
        _ => pipeline,
    }
}

/// Declares a pipeline.
pub fn create(name: &PipelineName, prng: &mut Prng) -> Command {
    let definition = Box::new(definition(name.as_str(), prng).build());
    let wish = Wish::CreatePipeline { definition, tags: BTreeMap::new() };
    Command { pipeline: name.clone(), execution: None, wish }
}

/// Something a person does; whether it makes sense is for the core to say.
pub fn act(log: &SimLog, new_run: &ExecutionId, prng: &mut Prng) -> Option<Command> {
    let name = PipelineName::parse(*prng.pick(&PIPELINES)).ok()?;
    let runs: Vec<(&ExecutionId, &Execution)> = log
        .executions
        .iter()
        .map(|(id, stream)| (id, stream.now()))
        .filter(|(_, run)| run.start.as_ref().is_some_and(|start| start.pipeline == name))
        .collect();
    let stage = stage_name(prng.pick::<&str>(&["Source", "Build", "Gate", "Deploy"]));
    let about = |execution: Option<ExecutionId>, wish| Command { pipeline: name.clone(), execution, wish };
    // The newest runs are those that anyone is interested in.
    let newest = runs.len().saturating_sub(6);
    let run = (!runs.is_empty()).then(|| runs[newest + prng.below(runs.len() - newest)]);
    Some(match prng.below(100) {
        0..=35 => about(Some(new_run.clone()), start(prng)),
        36..=39 => about(Some(new_run.clone()), roll_back(stage, run?, prng)),
        40..=49 => {
            let wish = Wish::StopExecution { abandon: prng.chance(40), reason: None };
            about(Some(run?.0.clone()), wish)
        }
        50..=64 => {
            let (id, run) = run?;
            // Mostly the stage that failed.
            let failed = run.current_stage().map(|stage| stage.stage.clone());
            let stage = if prng.chance(80) { failed? } else { stage };
            let all = prng.chance(30);
            let mode = if all { StageRetryMode::AllActions } else { StageRetryMode::FailedActions };
            about(Some(id.clone()), Wish::RetryStage { stage, mode })
        }
        65..=69 => {
            let (id, run) = run?;
            let gates = [ConditionType::BeforeEntry, ConditionType::OnSuccess];
            let condition = *prng.pick(&gates);
            // Mostly the gate that stands in the way.
            let open = run.current_stage().and_then(|stage| Some((stage, stage.conditions.last()?)));
            let (stage, condition) = match open.filter(|_| prng.chance(80)) {
                Some((run, asked)) => (run.stage.clone(), asked.condition),
                None => (stage, condition),
            };
            about(Some(id.clone()), Wish::OverrideCondition { stage, condition })
        }
        70..=82 => answer(run?.0, run?.1, &name, !prng.chance(25))?,
        83..=87 => about(None, Wish::DisableTransition { stage, reason: "freeze".to_owned() }),
        88..=94 => about(None, Wish::EnableTransition { stage }),
        95..=96 => {
            let definition = Box::new(definition(name.as_str(), prng).build());
            about(None, Wish::UpdatePipeline { definition })
        }
        97 => about(None, Wish::DeletePipeline),
        _ => create(&name, prng),
    })
}

/// Mostly a stage that can be rolled back to that run.
fn roll_back(stage: StageName, (target, run): (&ExecutionId, &Execution), prng: &mut Prng) -> Wish {
    let passed = run.stages.iter().skip(1).rfind(|stage| stage.status == StageStatus::Succeeded);
    let stage = passed.filter(|_| prng.chance(80)).map_or(stage, |passed| passed.stage.clone());
    let past = Past::of(run, &stage).map(Box::new);
    Wish::RollbackStage { stage, target: target.clone(), past }
}

fn start(prng: &mut Prng) -> Wish {
    let kind =
        if prng.chance(50) { TriggerType::StartPipelineExecution } else { TriggerType::CloudWatchEvent };
    let trigger = Trigger { kind, detail: "someone".to_owned() };
    Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() }
}

/// Answers an approval of a run, an open one if there is any.
pub fn answer(id: &ExecutionId, run: &Execution, name: &PipelineName, approved: bool) -> Option<Command> {
    let asked = run.stages.iter().flat_map(|stage| stage.attempts.iter().map(move |asked| (stage, asked)));
    let (stage, asked) = asked
        .filter(|(_, attempt)| attempt.token.is_some())
        .max_by_key(|(_, attempt)| attempt.status == ActionStatus::InProgress)?;
    let wish = Wish::RecordApproval {
        stage: stage.stage.clone(),
        action: asked.action.clone(),
        token: asked.token.clone()?,
        approved,
        summary: "seen".to_owned(),
    };
    Some(Command { pipeline: name.clone(), execution: Some(id.clone()), wish })
}

/// Whatever is needed so that everything under way can come to an end.
pub fn let_everything_end(log: &SimLog) -> Vec<Command> {
    let mut commands = Vec::new();
    for (name, stream) in &log.lanes {
        let closed = stream.now().stages.keys().filter(|stage| !stream.now().is_open(stage));
        let open = |stage: &StageName| Command {
            pipeline: name.clone(),
            execution: None,
            wish: Wish::EnableTransition { stage: stage.clone() },
        };
        commands.extend(closed.map(open));
    }
    for (id, stream) in &log.executions {
        let run = stream.now();
        let waits = run.running().any(|(_, attempt)| attempt.token.is_some());
        if let (true, Some(start)) = (waits, &run.start) {
            commands.extend(answer(id, run, &start.pipeline, true));
            // Where only the newest may pass, the others are sent away.
            if start.policy.gates.values().any(|gate| gate.newer == Newer::Newest) {
                commands.extend(answer(id, run, &start.pipeline, false));
            }
        }
    }
    commands
}
