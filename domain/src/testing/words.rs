//! Events as lines that a test can spell. Ids of attempts, entries and times are left out: they have tests of
//! their own.

use crate::Decision;
use events::{ExecutionEvent, ExecutionId, LaneEvent, PipelineEvent};

/// A decision as lines: the pipeline's, the lane's, then the run's.
pub fn decision_lines(execution: Option<&ExecutionId>, decision: &Decision) -> Vec<String> {
    let id = execution.map_or("?", ExecutionId::as_str);
    let pipeline = decision.pipeline.iter().map(pipeline_line);
    let lane = decision.lane.iter().map(lane_line);
    let run = decision.execution.iter().map(|event| format!("{id}: {}", execution_line(event)));
    pipeline.chain(lane).chain(run).collect()
}

/// For example `pipeline: PipelineDeclared 2`.
pub fn pipeline_line(event: &PipelineEvent) -> String {
    match event {
        PipelineEvent::PipelineDeclared(declared) => {
            format!("pipeline: PipelineDeclared {}", declared.version)
        }
        PipelineEvent::PipelineTagged(tagged) => {
            format!("pipeline: PipelineTagged {}", tagged.tags.keys().cloned().collect::<Vec<_>>().join(" "))
        }
        PipelineEvent::PipelineUntagged(untagged) => {
            format!("pipeline: PipelineUntagged {}", untagged.keys.join(" "))
        }
        PipelineEvent::PipelineDeleted(_) => "pipeline: PipelineDeleted".to_owned(),
    }
}

/// For example `lane: StageHeld Build e1`.
pub fn lane_line(event: &LaneEvent) -> String {
    let words = match event {
        LaneEvent::StageHeld(held) => format!("StageHeld {} {}", held.stage, held.execution),
        LaneEvent::StageReleased(released) => {
            format!("StageReleased {} {}", released.stage, released.execution)
        }
        LaneEvent::ExecutionWaits(waits) => format!("ExecutionWaits {} {}", waits.stage, waits.execution),
        LaneEvent::ExecutionLeft(left) => format!("ExecutionLeft {} {}", left.stage, left.execution),
        LaneEvent::ExecutionSuperseded(superseded) => {
            format!("ExecutionSuperseded {} {} by {}", superseded.stage, superseded.execution, superseded.by)
        }
        LaneEvent::SupersessionSettled(settled) => format!("SupersessionSettled {}", settled.execution),
        LaneEvent::RollbackOwed(owed) => {
            format!("RollbackOwed {} {} to {}", owed.stage, owed.execution, owed.target)
        }
        LaneEvent::RollbackSettled(settled) => format!("RollbackSettled {}", settled.execution),
        LaneEvent::TransitionDisabled(disabled) => format!("TransitionDisabled {}", disabled.stage),
        LaneEvent::TransitionEnabled(enabled) => format!("TransitionEnabled {}", enabled.stage),
        LaneEvent::LaneCleared(cleared) => {
            let told: Vec<&str> = cleared.executions.iter().map(ExecutionId::as_str).collect();
            format!("LaneCleared [{}]", told.join(" "))
        }
    };
    format!("lane: {words}")
}

/// For example `ActionStarted Build/Compile`; the run's id is not among what an event holds.
pub fn execution_line(event: &ExecutionEvent) -> String {
    match event {
        ExecutionEvent::ExecutionStarted(started) => {
            let to = started.rollback.as_ref().map(|rollback| format!(" back to {}", rollback.target));
            format!("ExecutionStarted v{}{}", started.pipeline_version, to.unwrap_or_default())
        }
        ExecutionEvent::StageStarted(started) => format!("StageStarted {}", started.stage),
        ExecutionEvent::StageRetried(retried) => {
            let by_itself = if retried.automatic { " automatically" } else { "" };
            format!("StageRetried {} {:?}{by_itself}", retried.stage, retried.mode)
        }
        ExecutionEvent::ActionStarted(started) => {
            format!("ActionStarted {}/{}", started.stage, started.action)
        }
        ExecutionEvent::ActionSucceeded(succeeded) => {
            format!("ActionSucceeded {}/{}", succeeded.stage, succeeded.action)
        }
        ExecutionEvent::ActionFailed(failed) => {
            format!("ActionFailed {}/{} {}", failed.stage, failed.action, failed.code)
        }
        ExecutionEvent::ActionAbandoned(abandoned) => {
            format!("ActionAbandoned {}/{}", abandoned.stage, abandoned.action)
        }
        ExecutionEvent::JobQueued(queued) => format!("JobQueued {}/{}", queued.stage, queued.action),
        ExecutionEvent::JobDispatched(dispatched) => {
            format!("JobDispatched {} {}", dispatched.stage, dispatched.nonce)
        }
        ExecutionEvent::JobAcknowledged(acknowledged) => format!("JobAcknowledged {}", acknowledged.stage),
        ExecutionEvent::JobContinued(continued) => format!("JobContinued {}", continued.stage),
        ExecutionEvent::ActionProgressed(progressed) => {
            format!("ActionProgressed {}/{}", progressed.stage, progressed.action)
        }
        ExecutionEvent::RuleProgressed(progressed) => {
            format!("RuleProgressed {}/{}", progressed.stage, progressed.rule)
        }
        ExecutionEvent::ResultIgnored(_) => "ResultIgnored".to_owned(),
        ExecutionEvent::ConditionStarted(started) => {
            format!("ConditionStarted {} {}", started.stage, started.condition.member())
        }
        ExecutionEvent::ConditionEnded(ended) => {
            format!("ConditionEnded {} {} {:?}", ended.stage, ended.condition.member(), ended.verdict)
        }
        ExecutionEvent::ConditionOverridden(overridden) => {
            format!("ConditionOverridden {} {}", overridden.stage, overridden.condition.member())
        }
        ExecutionEvent::RuleStarted(started) => format!("RuleStarted {}/{}", started.stage, started.rule),
        ExecutionEvent::RuleSucceeded(succeeded) => {
            format!("RuleSucceeded {}/{}", succeeded.stage, succeeded.rule)
        }
        ExecutionEvent::RuleFailed(failed) => {
            format!("RuleFailed {}/{} {}", failed.stage, failed.rule, failed.code)
        }
        ExecutionEvent::RuleAbandoned(abandoned) => {
            format!("RuleAbandoned {}/{}", abandoned.stage, abandoned.rule)
        }
        ExecutionEvent::RuleResultIgnored(_) => "RuleResultIgnored".to_owned(),
        ExecutionEvent::StageSkipped(ended) => format!("StageSkipped {}", ended.stage),
        ExecutionEvent::StageSucceeded(ended) => format!("StageSucceeded {}", ended.stage),
        ExecutionEvent::StageFailed(ended) => format!("StageFailed {}", ended.stage),
        ExecutionEvent::StageStopped(ended) => format!("StageStopped {}", ended.stage),
        ExecutionEvent::StageCancelled(ended) => format!("StageCancelled {}", ended.stage),
        ExecutionEvent::StopRequested(stop) if stop.abandon => "StopRequested abandon".to_owned(),
        ExecutionEvent::StopRequested(_) => "StopRequested".to_owned(),
        ExecutionEvent::ExecutionSucceeded(_) => "ExecutionSucceeded".to_owned(),
        ExecutionEvent::ExecutionFailed(_) => "ExecutionFailed".to_owned(),
        ExecutionEvent::ExecutionStopped(_) => "ExecutionStopped".to_owned(),
        ExecutionEvent::ExecutionCancelled(_) => "ExecutionCancelled".to_owned(),
        ExecutionEvent::ExecutionSuperseded(superseded) => {
            format!("ExecutionSuperseded by {}", superseded.by)
        }
    }
}
