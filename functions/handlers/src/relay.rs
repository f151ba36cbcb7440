//! The guarantee that what an event asks for is done: the same commits that whoever appended has reacted to are reacted
//! to again, on the states as they are by now. What has ended, or was begun, asks for nothing any more; of what is left,
//! a claim lets one process do it.

use crate::{
    Home,
    changes::{Change, Unmet, by_stream, settle},
    measure::{Measure, measures},
};
use domain::{Effect, execution::Execution, react};
use engine::log::{BoxError, Commit};
use events::{ExecutionEvent, ExecutionId, LaneEvent, PipelineName, StreamKind, codec::Stored};

/// What became of records.
#[derive(Debug, Default)]
pub struct Relayed {
    /// Those that were not dealt with; the others are done, whatever became of these.
    pub unmet: Vec<Unmet>,
    /// What the others say about how well things go.
    pub measures: Vec<Measure>,
}

/// Reacts to records.
///
/// `publish` tells the world of an execution's changes of state, with the commits that are new.
pub async fn relay<H: Home>(
    home: &H,
    changes: &[Change],
    publish: impl AsyncFn(&ExecutionId, &[&Commit]) -> Result<(), BoxError>,
) -> Relayed {
    let (streams, mut unmet) = by_stream(changes);
    let mut measured = Vec::new();
    for (stream, records) in streams {
        match stream.kind() {
            Ok(StreamKind::Execution(id)) => {
                let of_run = relay_execution(home, &id, &records).await;
                measured.extend(of_run.measures);
                // Told also when effects are still owed: should these records be given up, nobody would tell of them.
                if let Err(error) = publish(&id, &commits(&records)).await {
                    tracing::warn!(%stream, %error, "state changes could not be published");
                    let reason = format!("state changes of `{stream}` could not be published: {error}");
                    let is_met = |sequence: &str| of_run.unmet.iter().all(|unmet| unmet.sequence != sequence);
                    let met = records.iter().filter(|(sequence, _)| is_met(sequence));
                    unmet.extend(met.map(|(sequence, _)| Unmet::later(sequence, &reason)));
                }
                unmet.extend(of_run.unmet);
            }
            Ok(StreamKind::Lane(name)) => unmet.extend(relay_lane(home, &name, &records).await),
            // Nothing in the world follows from these.
            Ok(
                StreamKind::Pipeline(_)
                | StreamKind::ActionTypes(_)
                | StreamKind::Triggers(_)
                | StreamKind::Webhook(_),
            ) => {}
            Err(error) => {
                unmet.extend(records.iter().map(|(sequence, _)| Unmet::never(sequence, &error)));
            }
        }
    }
    settle(home).await;
    Relayed { unmet, measures: measured }
}

async fn relay_execution<H: Home>(home: &H, id: &ExecutionId, records: &[(&str, &Commit)]) -> Relayed {
    let all = |unmet: &dyn Fn(&str) -> Unmet| Relayed {
        unmet: records.iter().map(|(sequence, _)| unmet(sequence)).collect(),
        measures: Vec::new(),
    };
    // First, so that folding them need not parse them again.
    let read: Vec<_> = records.iter().map(|(_, commit)| decoded::<ExecutionEvent>(commit)).collect();
    let mut state = match home.engine().execution_with(id, &commits(records)).await {
        Ok((state, _)) => state,
        Err(error) => return all(&|sequence| Unmet::after(sequence, &error)),
    };
    if state.start.is_none() {
        return all(&|sequence| Unmet::never(sequence, format!("execution {id} has a commit and no start")));
    }
    let mut relayed = Relayed::default();
    let mut told: Vec<&ExecutionEvent> = Vec::new();
    for ((sequence, commit), events) in records.iter().zip(read) {
        match events {
            Ok(events) => {
                relayed.measures.extend(measures(&state, commit, &events));
                told.extend(events);
            }
            Err(reason) => relayed.unmet.push(Unmet::never(sequence, reason)),
        }
    }
    let mut effects = open(id, &state, &told);
    // Something is left to do as of these commits: perhaps it was done since.
    if !effects.is_empty() {
        state = match home.engine().execution_at(id).await {
            Ok((state, _)) => state,
            Err(error) => return all(&|sequence| Unmet::after(sequence, &error)),
        };
        effects = open(id, &state, &told);
        tracing::debug!(execution = %id, effects = effects.len(), "relayed");
    }
    home.engine().carry_out(effects);
    relayed
}

/// What events ask for that is still to be done, as a run stands.
fn open(id: &ExecutionId, state: &Execution, told: &[&ExecutionEvent]) -> Vec<Effect> {
    let Some(start) = &state.start else { return Vec::new() };
    let asked = told.iter().flat_map(|event| react::react_to_execution(&start.pipeline, id, state, event));
    asked.filter(|effect| is_open(state, effect)).collect()
}

fn commits<'a>(records: &[(&str, &'a Commit)]) -> Vec<&'a Commit> {
    records.iter().map(|(_, commit)| *commit).collect()
}

/// Whether an effect still asks for something that a provider was not asked for already: how begun work goes on, its
/// own completion and `sweep` ask.
fn is_open(state: &Execution, effect: &Effect) -> bool {
    match effect {
        Effect::RunAction { attempt, .. } => state
            .attempt(&attempt.action_execution)
            .is_none_or(|(_, run)| run.external_execution_id.is_none() && run.job.is_none()),
        Effect::RunRule { attempt, .. } => {
            state.rule(&attempt.rule_execution).is_none_or(|(_, _, run)| run.external_execution_id.is_none())
        }
        Effect::CancelAction { .. }
        | Effect::ClearTimer { .. }
        | Effect::SetTimer { .. }
        | Effect::CancelRule { .. }
        | Effect::ClearRuleTimer { .. }
        | Effect::SetRuleTimer { .. }
        | Effect::StartRollback { .. }
        | Effect::Tell(_) => true,
    }
}

async fn relay_lane<H: Home>(home: &H, name: &PipelineName, records: &[(&str, &Commit)]) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    // Several events of one batch often ask for the same, and once is enough.
    let mut effects: Vec<Effect> = Vec::new();
    for (sequence, commit) in records {
        match decoded::<LaneEvent>(commit) {
            Ok(events) => {
                for effect in events.iter().flat_map(|event| react::react_to_lane(name, event)) {
                    if !effects.contains(&effect) {
                        effects.push(effect);
                    }
                }
            }
            Err(reason) => unmet.push(Unmet::never(sequence, reason)),
        }
    }
    if effects.iter().any(|effect| matches!(effect, Effect::StartRollback { .. })) {
        let lane = match home.engine().lane_at(name).await {
            Ok((lane, _)) => lane,
            Err(error) => {
                return records.iter().map(|(sequence, _)| Unmet::after(sequence, &error)).collect();
            }
        };
        effects.retain(|effect| match effect {
            Effect::StartRollback { execution, .. } => lane.rollbacks.contains_key(execution),
            _ => true,
        });
    }
    home.engine().carry_out(effects);
    unmet
}

fn decoded<E: Stored>(commit: &Commit) -> Result<Vec<&E>, String> {
    let unreadable = |error| {
        format!("`{}` at version {} holds an event that cannot be read: {error}", commit.stream, commit.first)
    };
    commit.events.iter().map(|stored| stored.read().map_err(unreadable)).collect()
}
