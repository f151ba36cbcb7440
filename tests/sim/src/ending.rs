//! What must hold when everything has come to rest.

use crate::{
    bus,
    home::Process,
    observer::{Observer, Stream},
    shared::Shared,
};
use domain::{
    execution::{Execution, ExecutionStatus, StageStatus},
    views::{OPEN, OWING, Row},
};
use engine::{
    log::{Commit, Loaded, Log, Position},
    memory::MemoryViews,
    streams::{self, Folded},
    views::Views,
};
use events::{
    ActionCategory, Entry, ExecutionId, PipelineName, Sequence, StageName, StreamName, TriggerType, Version,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

/// Everything has ended. What has not, in words.
pub fn unfinished(observer: &Observer) -> Option<String> {
    for (id, stream) in &observer.executions {
        if !stream.state.status.is_terminal() {
            let run = &stream.state;
            let stages = run.stages.iter().map(|stage| {
                let attempts = stage.attempts.iter().map(|run| format!("{} {:?}", run.action, run.status));
                format!("{} {:?} [{}]", stage.stage, stage.status, attempts.collect::<Vec<_>>().join(", "))
            });
            let stages = stages.collect::<Vec<_>>().join("; ");
            return Some(format!("`{id}` never ended: {:?}: {stages}", run.status));
        }
    }
    for (name, stream) in &observer.lanes {
        let lane = &stream.state;
        if !lane.under_way().is_empty() || !lane.superseded.is_empty() || !lane.rollbacks.is_empty() {
            return Some(format!("the lane of `{name}` is not empty: {lane:#?}"));
        }
    }
    None
}

/// Every law about histories that are over.
pub async fn check<const P: bool>(shared: &Arc<Shared>, process: &Process<P>) -> Result<(), String> {
    {
        let observer = shared.observer();
        observer.executions.values().try_for_each(|stream| rollbacks(&observer, &stream.state))?;
        nobody_deploys_after_somebody_newer(&observer)?;
    }
    // Nobody else looks any more.
    let observer = std::mem::take(&mut *shared.observer());
    let folded = folds(shared, &observer).await.and_then(|()| all_was_told(shared, &observer));
    *shared.observer() = observer;
    folded?;
    if P {
        knows_what_is_written(shared, process).await?;
    }
    rows_are_folds(shared, process).await
}

fn all_was_told(shared: &Shared, observer: &Observer) -> Result<(), String> {
    if !shared.plan.is_heard() {
        return Ok(());
    }
    let commits = shared.memory.follow(Position::default(), usize::MAX);
    let commits: Vec<Commit> = commits.into_iter().map(|(_, commit)| commit).collect();
    bus::check(shared, observer, &commits)
}

/// A stream folded from its newest snapshot is the one that was seen from outside, event by event; and so is one folded
/// from zero, which takes longer and is done in some of the worlds.
async fn folds(shared: &Shared, observer: &Observer) -> Result<(), String> {
    for (name, seen) in &observer.pipelines {
        same_fold(shared, &StreamName::pipeline(name), seen).await?;
    }
    for (name, seen) in &observer.lanes {
        same_fold(shared, &StreamName::lane(name), seen).await?;
    }
    for (id, seen) in &observer.executions {
        same_fold(shared, &StreamName::execution(id), seen).await?;
    }
    Ok(())
}

async fn same_fold<S: Folded + PartialEq + Debug>(
    shared: &Shared,
    name: &StreamName,
    seen: &Stream<S>,
) -> Result<(), String> {
    let same = |loaded: &Loaded, how: &str| {
        let (state, _) = streams::fold::<S>(name, loaded).map_err(|error| error.to_string())?;
        if state == seen.state {
            return Ok(());
        }
        Err(format!("{name} folds to another state {how}:\n{state:#?}\n{:#?}", seen.state))
    };
    if seen.has_snapshot || shared.plan.is_thorough() {
        let loaded = shared.memory.load(name, S::FOLD).await.map_err(|error| error.to_string())?;
        same(&loaded, "from its snapshot")?;
    }
    if shared.plan.is_thorough() {
        let commits = shared.memory.read(name, Version(0), usize::MAX).await;
        same(&Loaded { base: None, commits: commits.map_err(|error| error.to_string())? }, "from zero")?;
    }
    Ok(())
}

/// What a process keeps warm is what is written.
async fn knows_what_is_written<const P: bool>(shared: &Shared, process: &Process<P>) -> Result<(), String> {
    let engine = &process.home.engine;
    // Of runs that have ended little is kept warm, so that most of this reads the log once more.
    let ids: Vec<ExecutionId> = shared.observer().executions.keys().cloned().collect();
    for id in ids.into_iter().filter(|_| shared.plan.is_thorough()) {
        let (state, version) = engine.execution_at(&id).await.map_err(|error| error.to_string())?;
        let observer = shared.observer();
        let Some(seen) = observer.executions.get(&id) else { continue };
        if seen.last != version || seen.state != *state {
            return Err(format!("a process knows `{id}` at {version}, written is {}: {state:#?}", seen.last));
        }
    }
    let names: Vec<PipelineName> = shared.observer().lanes.keys().cloned().collect();
    for name in names {
        let (state, version) = engine.lane_at(&name).await.map_err(|error| error.to_string())?;
        let observer = shared.observer();
        let Some(seen) = observer.lanes.get(&name) else { continue };
        if seen.last != version || seen.state != *state {
            return Err(format!("a process knows the lane of `{name}` at {version}, not {}", seen.last));
        }
    }
    Ok(())
}

/// Rows made one by one, in whatever order word came, are those that one look at the whole log gives.
async fn rows_are_folds<const P: bool>(shared: &Shared, process: &Process<P>) -> Result<(), String> {
    process.catch_up(shared).await;
    for partition in [OPEN, OWING] {
        let left = bodies(&shared.views, partition).await?;
        if !left.is_empty() {
            return Err(format!(
                "nothing is listed as under way when all has ended: `{partition}`: {left:?}"
            ));
        }
    }
    if !shared.plan.is_listed_anew() {
        return Ok(());
    }
    let fresh = Arc::new(MemoryViews::new());
    let commits = shared.memory.follow(Position::default(), usize::MAX);
    crate::home::project_anew(process, &fresh, &commits).await?;
    let partitions: BTreeSet<String> =
        shared.views.partitions().into_iter().chain(fresh.partitions()).collect();
    for partition in partitions {
        let kept = bodies(&shared.views, &partition).await?;
        let made = bodies(&fresh, &partition).await?;
        if kept != made {
            let differ = |row: &&(String, String), others: &[(String, String)]| !others.contains(row);
            let only_kept: Vec<_> = kept.iter().filter(|row| differ(row, &made)).collect();
            let only_made: Vec<_> = made.iter().filter(|row| differ(row, &kept)).collect();
            return Err(format!("rows are folds: `{partition}`: {only_kept:#?}\nshould be {only_made:#?}"));
        }
    }
    Ok(())
}

async fn bodies(views: &MemoryViews, partition: &str) -> Result<Vec<(String, String)>, String> {
    let rows: Vec<Row> =
        views.page(partition, None, usize::MAX, false).await.map_err(|error| error.to_string())?;
    Ok(rows.into_iter().map(|row| (row.q, row.body.unwrap_or_default())).collect())
}

/// Among runs that keep their order, whoever deploys in a stage was started after everyone who deployed there before,
/// rollbacks excepted. Read from the attempts that were started, in the order of admissions.
fn nobody_deploys_after_somebody_newer(observer: &Observer) -> Result<(), String> {
    type Deployed<'l> = (Entry, Sequence, &'l ExecutionId);
    let mut places: BTreeMap<(&PipelineName, u32, &StageName), Vec<Deployed<'_>>> = BTreeMap::new();
    for (id, stream) in &observer.executions {
        let run = &stream.state;
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
fn rollbacks(observer: &Observer, run: &Execution) -> Result<(), String> {
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
    let target = observer.executions.get(&rollback.target).map(|stream| &stream.state);
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
    let cause = observer.executions.iter().find(|(id, _)| id.as_str() == start.trigger.detail);
    let failed = |cause: &Execution| {
        cause.status == ExecutionStatus::Failed
            && !cause.is_rollback()
            && cause.current_stage().is_some_and(|stage| stage.stage == rollback.stage)
    };
    match cause {
        Some((_, cause)) if failed(&cause.state) => Ok(()),
        _ => Err(format!("a rollback by itself is about who failed: {run:#?}\n{:#?}", cause.map(|it| it.0))),
    }
}
