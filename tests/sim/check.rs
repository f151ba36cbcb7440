//! What must hold after every step, and at the end.

use crate::log::{Fold, SimLog, Stream};
use domain::{
    Effect,
    execution::{Execution, ExecutionStatus, StageStatus},
    testing::laws::{self, Heard},
};
use events::{
    ActionCategory, ActionExecutionId, ArtifactLocation, Entry, ExecutionEvent, ExecutionId, PipelineName,
    Sequence, StageName, TriggerType, codec::Stored,
};
use std::collections::{BTreeMap, BTreeSet};

/// After a step that touched this pipeline.
pub fn after_step(log: &SimLog, pipeline: &PipelineName) -> Result<(), String> {
    let Some(lane) = log.lanes.get(pipeline) else { return Ok(()) };
    let lane = lane.now();
    laws::of_lane(lane)?;
    laws::of_owed(lane, |id| log.executions.contains_key(id))?;
    for (id, run) in runs_of(log, pipeline) {
        let Some(start) = &run.start else { continue };
        let heard = Heard { lost: start.incarnation != lane.incarnation, pending: true };
        laws::of_agreement(lane, id, run, heard)?;
        laws::of_conditions(id, run)?;
    }
    Ok(())
}

/// What was ever asked for a run is asked again as long as it is owed.
pub fn resume_covers(log: &SimLog, id: &ExecutionId, asked: &[Effect]) -> Result<(), String> {
    match log.executions.get(id) {
        Some(stream) => laws::of_resume(id, stream.now(), asked),
        None => Ok(()),
    }
}

/// When everything has come to rest.
pub fn at_the_end(log: &SimLog) -> Result<(), String> {
    for (id, stream) in &log.executions {
        let run = stream.now();
        if !run.status.is_terminal() {
            let lane = run.start.as_ref().and_then(|start| log.lanes.get(&start.pipeline));
            return Err(format!("`{id}` never ended: {run:#?}\n{:#?}", lane.map(Stream::now)));
        }
    }
    for (name, stream) in &log.lanes {
        let lane = stream.now();
        if !lane.under_way().is_empty() || !lane.superseded.is_empty() || !lane.rollbacks.is_empty() {
            return Err(format!("the lane of `{name}` is not empty: {lane:#?}"));
        }
    }
    log.pipelines.values().try_for_each(folds)?;
    log.lanes.values().try_for_each(folds)?;
    log.executions.values().try_for_each(folds)?;
    log.executions.values().try_for_each(|stream| rollbacks(log, stream.now()))?;
    nobody_deploys_after_somebody_newer(log)?;
    one_result_each(log)
}

/// Among runs that keep their order, whoever deploys in a stage was started after everyone who deployed there before,
/// rollbacks excepted. Read from the attempts that were started, in the order of admissions.
fn nobody_deploys_after_somebody_newer(log: &SimLog) -> Result<(), String> {
    type Deployed<'l> = (Entry, Sequence, &'l ExecutionId);
    let mut places: BTreeMap<(&PipelineName, u32, &StageName), Vec<Deployed<'_>>> = BTreeMap::new();
    for (id, stream) in &log.executions {
        let run = stream.now();
        let Some(start) = run.start.as_ref().filter(|start| start.policy.is_extended()) else { continue };
        for stage in run.stages.iter().filter(|_| start.rollback.is_none()) {
            let deploys =
                stage.attempts.iter().filter(|run| run.action_type.category == ActionCategory::Deploy);
            let place = (&start.pipeline, start.incarnation, &stage.stage);
            let entries = deploys.map(|attempt| (attempt.entry, start.sequence, id));
            places.entry(place).or_default().extend(entries);
        }
    }
    for (place, deployed) in &mut places {
        deployed.sort();
        if let Some(pair) = deployed.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            return Err(format!("nobody deploys after somebody newer: {place:?}: {pair:?}"));
        }
    }
    Ok(())
}

/// A rollback runs its one stage, goes back to a run that passed it under the same definition, and is never the
/// cause of another attempt; no stage is tried again of its own accord more than once.
fn rollbacks(log: &SimLog, run: &Execution) -> Result<(), String> {
    if run.stages.iter().any(|stage| stage.auto_retries > 1) {
        return Err(format!("a stage is tried again once: {run:#?}"));
    }
    let Some((start, rollback)) =
        run.start.as_ref().and_then(|start| Some((start, start.rollback.as_ref()?)))
    else {
        return Ok(());
    };
    if run.stages.len() != 1 || run.stages[0].stage != rollback.stage || run.stages[0].auto_retries > 0 {
        return Err(format!("a rollback is about one stage and tried once: {run:#?}"));
    }
    let target = log.executions.get(&rollback.target).map(Stream::now);
    let fits = |target: &Execution| {
        let passed = target.stage(&rollback.stage).map(|stage| stage.status) == Some(StageStatus::Succeeded);
        let then = target.start.as_ref().map(|then| (then.pipeline_version, then.incarnation));
        passed && !target.is_rollback() && then == Some((start.pipeline_version, start.incarnation))
    };
    if !target.is_some_and(fits) {
        return Err(format!("a rollback goes back to who succeeded: {run:#?}\n{target:#?}"));
    }
    if start.trigger.kind != TriggerType::AutomatedRollback {
        return Ok(());
    }
    let cause = log.executions.iter().find(|(id, _)| id.as_str() == start.trigger.detail);
    let failed = |cause: &Execution| {
        cause.status == ExecutionStatus::Failed
            && !cause.is_rollback()
            && cause.current_stage().is_some_and(|stage| stage.stage == rollback.stage)
    };
    match cause {
        Some((_, cause)) if failed(cause.now()) => Ok(()),
        _ => Err(format!("a rollback by itself is about who failed: {run:#?}\n{cause:#?}")),
    }
}

fn runs_of<'l>(
    log: &'l SimLog,
    pipeline: &'l PipelineName,
) -> impl Iterator<Item = (&'l ExecutionId, &'l Execution)> {
    let runs = log.executions.iter().map(|(id, stream)| (id, stream.now()));
    runs.filter(move |(_, run)| run.start.as_ref().is_some_and(|start| start.pipeline == *pipeline))
}

fn folds<S: Fold>(stream: &Stream<S>) -> Result<(), String> {
    let folded = stream.folded_from_zero()?;
    if folded == *stream.now() {
        Ok(())
    } else {
        Err(format!("folding from zero gives another state\n{folded:#?}\n{:#?}", stream.now()))
    }
}

/// An attempt starts once and ends at most once; nothing of it comes before its start; its places are its own.
fn one_result_each(log: &SimLog) -> Result<(), String> {
    let mut started: BTreeSet<ActionExecutionId> = BTreeSet::new();
    let mut ended: BTreeSet<ActionExecutionId> = BTreeSet::new();
    let mut places: BTreeSet<ArtifactLocation> = BTreeSet::new();
    for row in log.executions.values().flat_map(|stream| &stream.rows) {
        let event = ExecutionEvent::decode(&row.kind, row.schema, &row.body).map_err(|e| e.to_string())?;
        let end = match event {
            ExecutionEvent::ActionStarted(event) => {
                if let Some(twice) = event.outputs.iter().find(|it| !places.insert(it.location.clone())) {
                    return Err(format!("a place is never used twice: {twice:?}"));
                }
                if !started.insert(event.action_execution.clone()) {
                    return Err(format!("an attempt starts once: {:?}", event.action_execution));
                }
                continue;
            }
            ExecutionEvent::ActionSucceeded(event) => event.action_execution,
            ExecutionEvent::ActionFailed(event) => event.action_execution,
            ExecutionEvent::ActionAbandoned(event) => event.action_execution,
            ExecutionEvent::RuleStarted(event) => {
                if !started.insert((&event.rule_execution).into()) {
                    return Err(format!("an attempt at a rule starts once: {:?}", event.rule_execution));
                }
                continue;
            }
            ExecutionEvent::RuleSucceeded(event) => (&event.rule_execution).into(),
            ExecutionEvent::RuleFailed(event) => (&event.rule_execution).into(),
            ExecutionEvent::RuleAbandoned(event) => (&event.rule_execution).into(),
            ExecutionEvent::ResultIgnored(_)
            | ExecutionEvent::RuleResultIgnored(_)
            | ExecutionEvent::ConditionStarted(_)
            | ExecutionEvent::ConditionEnded(_)
            | ExecutionEvent::ConditionOverridden(_)
            | ExecutionEvent::StageSkipped(_)
            | ExecutionEvent::JobQueued(_)
            | ExecutionEvent::JobDispatched(_)
            | ExecutionEvent::JobAcknowledged(_)
            | ExecutionEvent::JobContinued(_)
            | ExecutionEvent::ActionProgressed(_)
            | ExecutionEvent::RuleProgressed(_)
            | ExecutionEvent::ExecutionStarted(_)
            | ExecutionEvent::StageStarted(_)
            | ExecutionEvent::StageRetried(_)
            | ExecutionEvent::StageSucceeded(_)
            | ExecutionEvent::StageFailed(_)
            | ExecutionEvent::StageStopped(_)
            | ExecutionEvent::StageCancelled(_)
            | ExecutionEvent::StopRequested(_)
            | ExecutionEvent::ExecutionSucceeded(_)
            | ExecutionEvent::ExecutionFailed(_)
            | ExecutionEvent::ExecutionStopped(_)
            | ExecutionEvent::ExecutionCancelled(_)
            | ExecutionEvent::ExecutionSuperseded(_) => continue,
        };
        if !started.contains(&end) || !ended.insert(end.clone()) {
            return Err(format!("an attempt that started ends at most once: {end:?}"));
        }
    }
    Ok(())
}
