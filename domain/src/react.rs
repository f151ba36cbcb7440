//! `react`: event to effects. `resume`: state to effects still owed. Whatever `react` asks for that has no result
//! yet, `resume` asks for again.

use crate::{
    command::{Attempt, Command, RuleAttempt, Wish},
    effect::Effect,
    execution::{ActionStatus, AttemptRun, Execution, RuleRun, StageRun},
    lane::Lane,
};
use events::{
    ActionCategory, ActionExecutionId, ExecutionEvent, ExecutionId, LaneEvent, PipelineName, RuleExecutionId,
    StageName,
};

/// What an execution's event asks of the world. `state_after` is the state after the whole commit the event came
/// with, or later: work that has ended by then, or could not even begin, is not asked for.
pub fn react_to_execution(
    pipeline: &PipelineName,
    execution: &ExecutionId,
    state_after: &Execution,
    event: &ExecutionEvent,
) -> Vec<Effect> {
    match event {
        ExecutionEvent::ActionStarted(started) => match state_after.attempt(&started.action_execution) {
            Some(_) if fault!(ActionNotAskedFor) => Vec::new(),
            Some((stage, attempt)) if attempt.status == ActionStatus::InProgress => {
                owed(pipeline, execution, stage, attempt, false)
            }
            Some(_) | None => Vec::new(),
        },
        ExecutionEvent::ActionAbandoned(abandoned) => {
            cancel(pipeline, execution, state_after, &abandoned.action_execution)
        }
        ExecutionEvent::ActionFailed(failed) if failed.timed_out => {
            cancel(pipeline, execution, state_after, &failed.action_execution)
        }
        // It was called off before anybody knew that it had begun.
        ExecutionEvent::ActionProgressed(progressed) => match state_after.attempt(&progressed.action_execution) {
            Some((_, run)) if run.is_called_off() && !fault!(BegunUnheard) => {
                cancel(pipeline, execution, state_after, &progressed.action_execution)
            }
            Some(_) | None => Vec::new(),
        },
        ExecutionEvent::ActionSucceeded(succeeded) => clear_timer(&succeeded.action_execution),
        ExecutionEvent::ActionFailed(failed) => clear_timer(&failed.action_execution),
        ExecutionEvent::RuleStarted(started) => match state_after.rule(&started.rule_execution) {
            Some(_) if fault!(RuleNotAskedFor) => Vec::new(),
            Some((stage, _, rule)) if rule.status == ActionStatus::InProgress => {
                owed_rule(pipeline, execution, stage, rule, false)
            }
            Some(_) | None => Vec::new(),
        },
        ExecutionEvent::RuleAbandoned(abandoned) => cancel_rule(pipeline, execution, &abandoned.rule_execution),
        ExecutionEvent::RuleFailed(failed) if failed.timed_out => {
            cancel_rule(pipeline, execution, &failed.rule_execution)
        }
        ExecutionEvent::RuleProgressed(progressed) => match state_after.rule(&progressed.rule_execution) {
            Some((_, _, run)) if run.is_called_off() => {
                cancel_rule(pipeline, execution, &progressed.rule_execution)
            }
            Some(_) | None => Vec::new(),
        },
        ExecutionEvent::RuleSucceeded(succeeded) => clear_rule_timer(&succeeded.rule_execution),
        ExecutionEvent::RuleFailed(failed) => clear_rule_timer(&failed.rule_execution),
        ExecutionEvent::ExecutionStarted(_)
        | ExecutionEvent::StageStarted(_)
        | ExecutionEvent::StageRetried(_)
        | ExecutionEvent::ResultIgnored(_)
        | ExecutionEvent::ConditionStarted(_)
        | ExecutionEvent::ConditionEnded(_)
        | ExecutionEvent::ConditionOverridden(_)
        | ExecutionEvent::RuleResultIgnored(_)
        | ExecutionEvent::StageSkipped(_)
        // Workers ask for jobs; nobody is told of them.
        | ExecutionEvent::JobQueued(_)
        | ExecutionEvent::JobDispatched(_)
        | ExecutionEvent::JobAcknowledged(_)
        | ExecutionEvent::JobContinued(_)
        | ExecutionEvent::StageSucceeded(_)
        | ExecutionEvent::StageFailed(_)
        | ExecutionEvent::StageStopped(_)
        | ExecutionEvent::StageCancelled(_)
        | ExecutionEvent::StopRequested(_)
        | ExecutionEvent::ExecutionSucceeded(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_) => Vec::new(),
    }
}

/// What a lane's event asks of the world: whoever did not cause it must be told, and who is owed must be started.
pub fn react_to_lane(pipeline: &PipelineName, event: &LaneEvent) -> Vec<Effect> {
    match event {
        LaneEvent::StageHeld(held) if held.waited && !fault!(NobodyTold) => {
            vec![tell_settle(pipeline, &held.execution)]
        }
        LaneEvent::ExecutionWaits(waits) => told(pipeline, waits.displaces.as_ref()),
        LaneEvent::TransitionEnabled(enabled) => told(pipeline, enabled.displaces.as_ref()),
        // Who left by its own decision is not disturbed by this; who was sent away ends by it.
        LaneEvent::ExecutionLeft(left) => vec![tell_settle(pipeline, &left.execution)],
        LaneEvent::ExecutionSuperseded(superseded) => vec![tell_settle(pipeline, &superseded.execution)],
        LaneEvent::LaneCleared(cleared) => {
            cleared.executions.iter().map(|execution| tell_settle(pipeline, execution)).collect()
        }
        LaneEvent::RollbackOwed(_) if fault!(RollbackNotAskedFor) => Vec::new(),
        LaneEvent::RollbackOwed(owed) => {
            vec![start_rollback(pipeline, &owed.execution, &owed.stage, &owed.target)]
        }
        LaneEvent::StageHeld(_)
        | LaneEvent::StageReleased(_)
        | LaneEvent::SupersessionSettled(_)
        | LaneEvent::RollbackSettled(_)
        | LaneEvent::TransitionDisabled(_) => Vec::new(),
    }
}

fn told(pipeline: &PipelineName, execution: Option<&ExecutionId>) -> Vec<Effect> {
    execution.map(|execution| tell_settle(pipeline, execution)).into_iter().collect()
}

/// What is still owed to a run that may have been left alone: its running actions and rules, and
/// word from its lane.
pub fn resume(execution: &ExecutionId, state: &Execution) -> Vec<Effect> {
    let Some(start) = &state.start else { return Vec::new() };
    if state.status.is_terminal() {
        return Vec::new();
    }
    let mut effects: Vec<Effect> = state
        .running()
        .flat_map(|(stage, attempt)| owed(&start.pipeline, execution, stage, attempt, true))
        .collect();
    let rules = state.running_rules();
    effects
        .extend(rules.flat_map(|(stage, _, rule)| owed_rule(&start.pipeline, execution, stage, rule, true)));
    // Also when actions run: the pipeline may have been deleted unheard.
    effects.push(tell_settle(&start.pipeline, execution));
    effects.retain(|effect| match effect {
        Effect::RunAction { .. } => !fault!(ActionNotResumed),
        Effect::SetTimer { .. } => !fault!(TimerNotResumed),
        Effect::Tell(_) => !fault!(SettleNotResumed),
        Effect::CancelAction { .. }
        | Effect::ClearTimer { .. }
        | Effect::RunRule { .. }
        | Effect::CancelRule { .. }
        | Effect::ClearRuleTimer { .. }
        | Effect::SetRuleTimer { .. }
        | Effect::StartRollback { .. } => true,
    });
    effects
}

/// What is still owed to one attempt at an action or a rule; nothing when it has ended.
pub fn resume_attempt(
    execution: &ExecutionId,
    state: &Execution,
    attempt: &ActionExecutionId,
) -> Vec<Effect> {
    let Some(start) = &state.start else { return Vec::new() };
    let actions = state
        .running()
        .filter(|(_, run)| run.action_execution == *attempt)
        .flat_map(|(stage, run)| owed(&start.pipeline, execution, stage, run, true));
    let rules = state
        .running_rules()
        .filter(|(_, _, rule)| rule.rule_execution.as_str() == attempt.as_str())
        .flat_map(|(stage, _, rule)| owed_rule(&start.pipeline, execution, stage, rule, true));
    actions.chain(rules).collect()
}

/// What a lane still owes: runs that do not exist yet, and that no listing of runs can name.
pub fn resume_lane(pipeline: &PipelineName, lane: &Lane) -> Vec<Effect> {
    let owed = lane.rollbacks.iter().filter(|_| !fault!(RollbackNotResumed));
    owed.map(|(execution, owed)| start_rollback(pipeline, execution, &owed.stage, &owed.target)).collect()
}

fn start_rollback(
    pipeline: &PipelineName,
    execution: &ExecutionId,
    stage: &StageName,
    target: &ExecutionId,
) -> Effect {
    Effect::StartRollback {
        pipeline: pipeline.clone(),
        execution: execution.clone(),
        stage: stage.clone(),
        target: target.clone(),
    }
}

fn owed(
    pipeline: &PipelineName,
    execution: &ExecutionId,
    stage: &StageRun,
    run: &AttemptRun,
    resumed: bool,
) -> Vec<Effect> {
    let attempt = attempt_of(stage, run);
    let expire = Effect::SetTimer {
        pipeline: pipeline.clone(),
        execution: execution.clone(),
        attempt: attempt.clone(),
        at: run.deadline,
    };
    if run.action_type.category == ActionCategory::Approval {
        return vec![expire];
    }
    let work =
        Effect::RunAction { pipeline: pipeline.clone(), execution: execution.clone(), attempt, resumed };
    vec![work, expire]
}

fn owed_rule(
    pipeline: &PipelineName,
    execution: &ExecutionId,
    stage: &StageRun,
    run: &RuleRun,
    resumed: bool,
) -> Vec<Effect> {
    let attempt = RuleAttempt {
        stage: stage.stage.clone(),
        rule: run.rule.clone(),
        rule_execution: run.rule_execution.clone(),
        entry: run.entry,
    };
    let (pipeline, execution) = (pipeline.clone(), execution.clone());
    let expire = Effect::SetRuleTimer {
        pipeline: pipeline.clone(),
        execution: execution.clone(),
        attempt: attempt.clone(),
        at: run.deadline,
    };
    vec![Effect::RunRule { pipeline, execution, attempt, resumed }, expire]
}

fn cancel_rule(pipeline: &PipelineName, execution: &ExecutionId, id: &RuleExecutionId) -> Vec<Effect> {
    let (pipeline, execution) = (pipeline.clone(), execution.clone());
    let cancel = Effect::CancelRule { pipeline, execution, rule_execution: id.clone() };
    [cancel].into_iter().chain(clear_rule_timer(id)).collect()
}

fn clear_rule_timer(id: &RuleExecutionId) -> Vec<Effect> {
    vec![Effect::ClearRuleTimer { rule_execution: id.clone() }]
}

fn cancel(
    pipeline: &PipelineName,
    execution: &ExecutionId,
    state: &Execution,
    id: &ActionExecutionId,
) -> Vec<Effect> {
    let attempt = state.attempt(id).filter(|_| !fault!(WorkNotCalledOff));
    let attempt = attempt.map(|(stage, run)| attempt_of(stage, run));
    let (pipeline, execution) = (pipeline.clone(), execution.clone());
    let cancel = attempt.map(|attempt| Effect::CancelAction { pipeline, execution, attempt });
    cancel.into_iter().chain(clear_timer(id)).collect()
}

fn clear_timer(id: &ActionExecutionId) -> Vec<Effect> {
    vec![Effect::ClearTimer { action_execution: id.clone() }]
}

fn attempt_of(stage: &StageRun, run: &AttemptRun) -> Attempt {
    Attempt {
        stage: stage.stage.clone(),
        action: run.action.clone(),
        action_execution: run.action_execution.clone(),
        entry: run.entry,
    }
}

fn tell_settle(pipeline: &PipelineName, execution: &ExecutionId) -> Effect {
    let command =
        Command { pipeline: pipeline.clone(), execution: Some(execution.clone()), wish: Wish::Settle };
    Effect::Tell(Box::new(command))
}
