//! Events as sentences. Ids of attempts and entries are left out: they are for machines, which read the events.

use events::{
    ActionProgressed, ConditionVerdict, ExecutionEvent, ExecutionId, GaveWay, LaneEvent, Older,
    PipelineEvent, Policy, RuleProgressed, StageRetryMode, Trigger,
};

/// Letters of a text from outside that a sentence holds.
const TEXT_CHARS_MAX: usize = 200;

/// What happened to a pipeline's definition.
pub fn pipeline_words(event: &PipelineEvent) -> String {
    match event {
        PipelineEvent::PipelineDeclared(declared) => {
            format!("version {} was declared by {}", declared.version, declared.by)
        }
        PipelineEvent::PipelineTagged(tagged) => {
            let tags: Vec<String> = tagged.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("tagged {} by {}", tags.join(", "), tagged.by)
        }
        PipelineEvent::PipelineUntagged(untagged) => {
            format!("tags {} were taken off by {}", untagged.keys.join(", "), untagged.by)
        }
        PipelineEvent::PipelineDeleted(deleted) => format!("the pipeline was deleted by {}", deleted.by),
    }
}

/// What happened in the lane, as far as it concerns this run; `None` for what only concerns others.
pub fn lane_words(event: &LaneEvent, execution: &ExecutionId) -> Option<String> {
    match event {
        LaneEvent::StageHeld(held) if held.execution == *execution => {
            let how = if held.waited { "is let into" } else { "takes" };
            Some(format!("{how} stage {} (entry {})", held.stage, held.entry))
        }
        LaneEvent::StageReleased(released) if released.execution == *execution => {
            Some(format!("leaves stage {} free", released.stage))
        }
        LaneEvent::ExecutionWaits(waits) if waits.execution == *execution => {
            Some(format!("waits in front of stage {}", waits.stage))
        }
        LaneEvent::ExecutionLeft(left) if left.execution == *execution => {
            Some(format!("gives up its place in front of stage {}", left.stage))
        }
        LaneEvent::ExecutionSuperseded(superseded) if superseded.execution == *execution => Some(format!(
            "loses its place in front of stage {} to the newer execution {}",
            superseded.stage, superseded.by
        )),
        LaneEvent::ExecutionSuperseded(superseded) if superseded.by == *execution => Some(format!(
            "takes the place of the older execution {} in front of stage {}",
            superseded.execution, superseded.stage
        )),
        LaneEvent::RollbackOwed(owed) if owed.failed == *execution => Some(format!(
            "hands stage {} to the rollback {}, back to execution {}",
            owed.stage, owed.execution, owed.target
        )),
        LaneEvent::RollbackOwed(owed) if owed.execution == *execution => Some(format!(
            "shall roll stage {} back to execution {}, since {} failed",
            owed.stage, owed.target, owed.failed
        )),
        LaneEvent::LaneCleared(cleared) if cleared.executions.contains(execution) => {
            Some("is sent away: its pipeline was deleted".to_owned())
        }
        LaneEvent::StageHeld(_)
        | LaneEvent::StageReleased(_)
        | LaneEvent::ExecutionWaits(_)
        | LaneEvent::ExecutionLeft(_)
        | LaneEvent::ExecutionSuperseded(_)
        | LaneEvent::SupersessionSettled(_)
        | LaneEvent::RollbackOwed(_)
        | LaneEvent::RollbackSettled(_)
        | LaneEvent::TransitionDisabled(_)
        | LaneEvent::TransitionEnabled(_)
        | LaneEvent::LaneCleared(_) => None,
    }
}

/// What happened to a run.
pub fn execution_words(event: &ExecutionEvent) -> String {
    match event {
        ExecutionEvent::ExecutionStarted(started) => {
            let pinned: Vec<String> =
                started.revisions.iter().map(|(action, revision)| format!("{action} = {revision}")).collect();
            let pinned =
                if pinned.is_empty() { String::new() } else { format!(", with {}", pinned.join(", ")) };
            format!(
                "started on version {} by {}{pinned}{}",
                started.pipeline_version,
                trigger(&started.trigger),
                policy_words(&started.policy).map(|words| format!("; {words}")).unwrap_or_default()
            )
        }
        ExecutionEvent::StageStarted(started) => format!("enters stage {}", started.stage),
        ExecutionEvent::StageRetried(retried) => {
            let which = match retried.mode {
                StageRetryMode::FailedActions => "its failed actions",
                StageRetryMode::AllActions => "all its actions",
            };
            let by = if retried.automatic { "on its own".to_owned() } else { format!("by {}", retried.by) };
            format!("stage {} is retried {by}: {which}", retried.stage)
        }
        ExecutionEvent::ActionStarted(started) => {
            let kind = &started.action_type;
            format!("{}/{} starts ({})", started.stage, started.action, kind.provider)
        }
        ExecutionEvent::ActionSucceeded(succeeded) => {
            let verb = if succeeded.mocked { "is mocked" } else { "succeeded" };
            let by = succeeded.by.as_ref().map(|by| format!(", decided by {by}")).unwrap_or_default();
            let summary = after_colon(succeeded.summary.as_deref());
            format!("{}/{} {verb}{by}{summary}", succeeded.stage, succeeded.action)
        }
        ExecutionEvent::ActionFailed(failed) => {
            let by = failed.by.as_ref().map(|by| format!(", decided by {by}")).unwrap_or_default();
            let message = after_colon(Some(&failed.message));
            format!("{}/{} FAILED ({}){by}{message}", failed.stage, failed.action, failed.code)
        }
        ExecutionEvent::ActionAbandoned(abandoned) => {
            format!("{}/{} is abandoned", abandoned.stage, abandoned.action)
        }
        ExecutionEvent::JobQueued(queued) => {
            let again = queued.continuation_token.as_ref().map_or("", |_| " again");
            format!("{}/{} waits{again} for a worker (job {})", queued.stage, queued.action, queued.job)
        }
        ExecutionEvent::JobDispatched(dispatched) => {
            format!("stage {}: job {} is handed to a worker that asked", dispatched.stage, dispatched.job)
        }
        ExecutionEvent::JobAcknowledged(acknowledged) => {
            let by = &acknowledged.by;
            format!("stage {}: job {} is taken by a worker of {by}", acknowledged.stage, acknowledged.job)
        }
        ExecutionEvent::JobContinued(continued) => {
            let done = continued.percent_complete.map(|percent| format!(", {percent} % done"));
            let summary = after_colon(continued.summary.as_deref());
            let (stage, job) = (&continued.stage, &continued.job);
            format!("stage {stage}: job {job} goes on in another{}{summary}", done.unwrap_or_default())
        }
        ExecutionEvent::ActionProgressed(progressed) => {
            let ActionProgressed { stage, action, external_execution_id, summary, .. } = progressed;
            let summary = after_colon(summary.as_deref());
            format!("{stage}/{action} has begun as {external_execution_id}{summary}")
        }
        ExecutionEvent::RuleProgressed(progressed) => {
            let RuleProgressed { stage, rule, external_execution_id, summary, .. } = progressed;
            let summary = after_colon(summary.as_deref());
            format!("stage {stage}: rule {rule} has begun as {external_execution_id}{summary}")
        }
        ExecutionEvent::ResultIgnored(_) => "a result that came too late is ignored".to_owned(),
        ExecutionEvent::ConditionStarted(started) => {
            format!("the {} condition of stage {} is asked", started.condition.member(), started.stage)
        }
        ExecutionEvent::ConditionEnded(ended) => {
            let verdict = match ended.verdict {
                ConditionVerdict::Succeeded => "is met",
                ConditionVerdict::Failed => "is NOT MET",
                ConditionVerdict::Errored => "COULD NOT BE ASKED",
                ConditionVerdict::Cancelled => "is cancelled",
                ConditionVerdict::Abandoned => "is abandoned",
            };
            let summary = after_colon(ended.summary.as_deref());
            format!("the {} condition of stage {} {verdict}{summary}", ended.condition.member(), ended.stage)
        }
        ExecutionEvent::ConditionOverridden(overridden) => {
            let (gate, stage) = (overridden.condition.member(), &overridden.stage);
            format!("the {gate} condition of stage {stage} is overridden by {}", overridden.by)
        }
        ExecutionEvent::RuleStarted(started) => {
            let gate = started.condition.member();
            format!("rule {}/{} ({gate}) is asked ({})", started.stage, started.rule, started.provider)
        }
        ExecutionEvent::RuleSucceeded(succeeded) => {
            let verb = if succeeded.mocked { "is mocked" } else { "is met" };
            let summary = after_colon(succeeded.summary.as_deref());
            format!("rule {}/{} {verb}{summary}", succeeded.stage, succeeded.rule)
        }
        ExecutionEvent::RuleFailed(failed) => {
            let message = after_colon(Some(&failed.message));
            format!("rule {}/{} FAILED ({}){message}", failed.stage, failed.rule, failed.code)
        }
        ExecutionEvent::RuleAbandoned(abandoned) => {
            format!("rule {}/{} is abandoned", abandoned.stage, abandoned.rule)
        }
        ExecutionEvent::RuleResultIgnored(_) => "a rule's result that came too late is ignored".to_owned(),
        ExecutionEvent::StageSkipped(ended) => format!("stage {} is skipped", ended.stage),
        ExecutionEvent::StageSucceeded(ended) => format!("stage {} succeeded", ended.stage),
        ExecutionEvent::StageFailed(ended) => format!("stage {} FAILED", ended.stage),
        ExecutionEvent::StageStopped(ended) => format!("stage {} stopped", ended.stage),
        ExecutionEvent::StageCancelled(ended) => format!("stage {} is cancelled", ended.stage),
        ExecutionEvent::StopRequested(stop) => {
            let how = if stop.abandon { "to stop at once" } else { "to stop after what runs" };
            format!("is asked {how} by {}{}", stop.by, after_colon(stop.reason.as_deref()))
        }
        ExecutionEvent::ExecutionSucceeded(_) => "the execution succeeded".to_owned(),
        ExecutionEvent::ExecutionFailed(_) => "the execution FAILED".to_owned(),
        ExecutionEvent::ExecutionStopped(_) => "the execution stopped".to_owned(),
        ExecutionEvent::ExecutionCancelled(cancelled) => {
            format!("the execution is cancelled{}", after_colon(Some(&cancelled.reason)))
        }
        ExecutionEvent::ExecutionSuperseded(superseded) => {
            let why = superseded.rule.map(|rule| format!(": {}", gave_way(rule))).unwrap_or_default();
            format!("the execution is superseded by {}{why}", superseded.by)
        }
    }
}

/// What started a run: `StartPipelineExecution (arn:aws:iam::…)`.
pub(super) fn trigger(trigger: &Trigger) -> String {
    let detail = one_line(&trigger.detail);
    if detail.is_empty() { format!("{:?}", trigger.kind) } else { format!("{:?} ({detail})", trigger.kind) }
}

/// What governs a run beyond CodePipeline's own rules; `None` when nothing does.
pub fn policy_words(policy: &Policy) -> Option<String> {
    let extended = policy.is_extended().then(|| "extended: it keeps its own definition".to_owned());
    let gates = policy.gates.iter().map(|(stage, gate)| {
        let older = match gate.older {
            Some(Older::Refuse) => ", older refused",
            Some(Older::Allow) => ", older allowed",
            None => "",
        };
        format!("gate {stage}: newer {}{older}", gate.newer.as_str())
    });
    let words: Vec<String> = extended.into_iter().chain(gates).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// The rule by which a run gave way.
pub(super) fn gave_way(rule: GaveWay) -> &'static str {
    match rule {
        GaveWay::Gate => {
            "the gate's policy `supersede` lets a newer execution take the place of one that waits for its approval"
        }
        GaveWay::Order => "a newer execution has entered the stage before it, and no older one follows there",
    }
}

fn after_colon(text: Option<&str>) -> String {
    let line = text.map(one_line).unwrap_or_default();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// The first line of a text with something in it, cut, without what would move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let shown: String = line.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect();
    if line.chars().count() > TEXT_CHARS_MAX { format!("{shown}…") } else { shown }
}
