//! What must hold after every step, and at the end.

use crate::log::{Fold, SimLog, Stream};
use domain::{
    Effect,
    testing::laws::{self, Heard},
};
use events::{ActionExecutionId, ArtifactLocation, ExecutionEvent, ExecutionId, PipelineName, codec::Stored};
use std::collections::BTreeSet;

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
    one_result_each(log)
}

fn runs_of<'l>(
    log: &'l SimLog,
    pipeline: &'l PipelineName,
) -> impl Iterator<Item = (&'l ExecutionId, &'l domain::execution::Execution)> {
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
