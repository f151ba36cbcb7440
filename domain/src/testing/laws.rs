//! The laws of the core, checked on real decisions. Each check answers with words when a law is broken.

use crate::{
    Decision, Effect, Rejection, Scope,
    command::{Command, Context, Wish},
    decide,
    execution::{ConditionStatus, Execution},
    lane::{Lane, Waiter, excludes},
    pipeline::versions::Pipeline,
    react,
    state_change::StateChange,
};
use events::{
    ActionExecutionId, ExecutionId, ExecutionStarted, LaneEvent, RuleExecutionId, StageHeld, Timestamp,
    codec::Stored,
    outbound::{ChangeDetail, ChangedState},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug};

/// Every law that one decision can break.
///
/// # Errors
/// The law, and how it is broken.
pub fn of_decision(
    before: &Scope,
    after: &Scope,
    command: &Command,
    context: Context<'_>,
    decided: &Result<Decision, Rejection>,
) -> Result<(), String> {
    let decision = match decided {
        Err(rejection) => return same("a refusal leaves the states as they were", before, after, rejection),
        Ok(decision) => decision,
    };
    let mut again = before.clone();
    let repeated = decide(&mut again, command, context);
    same("deciding again decides the same", decided, &repeated, command)?;
    let folded = fold(before, decision, context.now);
    same("folding the events gives the state of the decision", &folded, after, decision)?;
    of_repetition(after, command, context)?;
    of_codec(decision)?;
    of_snapshots(after, decision)?;
    of_entries(before, decision)?;
    of_lane(&after.lane)
}

/// A satisfied command yields no events, unless the API wants a second one refused.
fn of_repetition(after: &Scope, command: &Command, context: Context<'_>) -> Result<(), String> {
    match command.wish {
        Wish::CreatePipeline { .. }
        | Wish::UpdatePipeline { .. }
        | Wish::StopExecution { .. }
        | Wish::RetryStage { .. }
        | Wish::OverrideCondition { .. }
        | Wish::OnJob { .. }
        | Wish::RecordApproval { .. } => return Ok(()),
        Wish::DeletePipeline
        | Wish::TagPipeline { .. }
        | Wish::UntagPipeline { .. }
        | Wish::StartExecution { .. }
        | Wish::RollbackStage { .. }
        | Wish::StartRollback { .. }
        | Wish::RecordActionResult { .. }
        | Wish::NoteActionProgress { .. }
        | Wish::ExpireAction { .. }
        | Wish::RecordRuleResult { .. }
        | Wish::NoteRuleProgress { .. }
        | Wish::ExpireRule { .. }
        | Wish::DisableTransition { .. }
        | Wish::EnableTransition { .. }
        | Wish::Settle => {}
    }
    let mut twice = after.clone();
    let context = Context { command_id: "another", ..context };
    same(
        "repeating a satisfied command yields no events",
        &Ok(Decision::default()),
        &decide(&mut twice, command, context),
        command,
    )
}

/// Events written down on a state.
pub fn fold(before: &Scope, decision: &Decision, at: Timestamp) -> Scope {
    let mut scope = before.clone();
    decision.pipeline.iter().for_each(|event| scope.pipeline.evolve(event, at));
    decision.lane.iter().for_each(|event| scope.lane.evolve(event, at));
    decision.execution.iter().for_each(|event| scope.execution.evolve(event, at));
    scope
}

fn of_codec(decision: &Decision) -> Result<(), String> {
    decision.pipeline.iter().try_for_each(round_trip)?;
    decision.lane.iter().try_for_each(round_trip)?;
    decision.execution.iter().try_for_each(round_trip)
}

/// What is stored reads back as the same event.
///
/// # Errors
/// The event, and what became of it.
pub fn round_trip<E: Stored + PartialEq + Debug>(event: &E) -> Result<(), String> {
    let back = E::decode(event.kind(), event.schema(), &event.body());
    match back {
        Ok(back) => same("an event reads back as it was written", event, &back, &event.body()),
        Err(error) => Err(format!("an event reads back as it was written: {error}\n{}", event.body())),
    }
}

fn of_snapshots(scope: &Scope, decision: &Decision) -> Result<(), String> {
    if !decision.pipeline.is_empty() {
        snapshot::<Pipeline>(&scope.pipeline)?;
    }
    if !decision.lane.is_empty() {
        snapshot::<Lane>(&scope.lane)?;
    }
    if !decision.execution.is_empty() {
        snapshot::<Execution>(&scope.execution)?;
    }
    Ok(())
}

fn snapshot<S: Serialize + DeserializeOwned + PartialEq + Debug>(state: &S) -> Result<(), String> {
    let law = "a snapshot reads back as the state";
    let text = serde_json::to_string(state).map_err(|error| format!("{law}: {error}"))?;
    let back: S = serde_json::from_str(&text).map_err(|error| format!("{law}: {error}\n{text}"))?;
    same(law, state, &back, &text)
}

/// Entries only grow, and so does the order of starts.
fn of_entries(before: &Scope, decision: &Decision) -> Result<(), String> {
    let mut newest = before.lane.entry;
    for event in &decision.lane {
        if let LaneEvent::StageHeld(held) = event {
            if held.entry <= newest {
                return Err(format!("entries only grow: {newest} is followed by {held:?}"));
            }
            newest = held.entry;
            of_order(&before.lane, held)?;
        }
    }
    for event in &decision.execution {
        // An owed rollback was given its number when it was decided on.
        let given = |sequence| before.lane.rollbacks.values().any(|owed| owed.sequence == sequence);
        if let events::ExecutionEvent::ExecutionStarted(ExecutionStarted { sequence, .. }) = event
            && *sequence <= before.lane.sequence
            && !given(*sequence)
        {
            return Err(format!("starts are numbered in order: {:?} got {sequence}", before.lane.sequence));
        }
    }
    Ok(())
}

/// Where order matters, nobody enters who is older than whoever entered before; a rollback may, and says nothing
/// about the order.
fn of_order(before: &Lane, held: &StageHeld) -> Result<(), String> {
    let newest = before.stages.get(&held.stage).and_then(|traffic| traffic.newest.as_ref());
    match newest.filter(|newest| newest.sequence > held.sequence) {
        Some(newer) if held.terms.ordered && !held.terms.rollback => {
            Err(format!("nobody enters an ordered stage after somebody newer: {newer:?} before {held:?}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A stage is held by at most one execution that excludes others, nobody holds or waits twice, and nobody waits
/// where they could enter.
///
/// # Errors
/// The stage at fault.
pub fn of_lane(lane: &Lane) -> Result<(), String> {
    let mut seen: Vec<&ExecutionId> = Vec::new();
    for (name, stage) in &lane.stages {
        let exclusive = stage.held.iter().filter(|hold| excludes(hold.mode, hold.terms)).count();
        if exclusive > 1 {
            return Err(format!("a stage is held by at most one execution: `{name}`: {:?}", stage.held));
        }
        let can_enter = |waiter: &&Waiter| exclusive == 0 || !excludes(waiter.mode, waiter.terms);
        if lane.is_open(name)
            && let Some(waiter) = stage.waiting.iter().find(can_enter)
        {
            return Err(format!("nobody waits at an open door of a free stage: `{name}`: {waiter:?}"));
        }
        if !stage.waiting.is_sorted_by_key(|waiter| waiter.sequence) {
            return Err(format!("who waits stands in the order of starts: `{name}`: {:?}", stage.waiting));
        }
        let held = stage.held.iter().map(|hold| &hold.execution);
        for execution in held.chain(stage.waiting.iter().map(|waiter| &waiter.execution)) {
            if seen.contains(&execution) {
                return Err(format!("an execution is in one place at a time: `{execution}` in {lane:#?}"));
            }
            seen.push(execution);
        }
    }
    Ok(())
}

/// What a run should have been told about itself by now.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Its pipeline was deleted.
    pub lost: bool,
    /// A message to it is still under way.
    pub pending: bool,
}

/// Lane and run agree: who is inside a stage holds it under the run's own number, who has ended is nowhere, and
/// who is between stages holds, waits, has been superseded, or is about to hear that it was sent away.
///
/// # Errors
/// The disagreement.
pub fn of_agreement(lane: &Lane, id: &ExecutionId, run: &Execution, heard: Heard) -> Result<(), String> {
    let place = (lane.hold_of(id), lane.wait_of(id), lane.superseded.get(id));
    let wrong = |what: &str| Err(format!("{what}: `{id}` is {:?} and in the lane {place:?}", run.status));
    if run.status.is_terminal() || heard.lost {
        return match place {
            (None, None, None) => Ok(()),
            _ => wrong("who has ended is nowhere in the lane"),
        };
    }
    if run.is_inside_a_stage() {
        let Some(current) = run.current_stage() else { return Ok(()) };
        return match place {
            (Some((stage, hold)), None, None) if *stage == current.stage && hold.entry == current.entry => {
                Ok(())
            }
            _ => wrong("who is inside a stage holds it"),
        };
    }
    match place {
        (Some(_), None, None) | (None, Some(_), None) | (None, None, Some(_)) => Ok(()),
        (None, None, None) if heard.pending => Ok(()),
        _ => wrong("who is between stages has been admitted, waits, or gave way"),
    }
}

/// A stage is held only for runs that exist, or that the lane still owes; who is owed does not exist.
///
/// # Errors
/// The stage that nobody would ever free, or the run that would be started twice.
pub fn of_owed(lane: &Lane, exists: impl Fn(&ExecutionId) -> bool) -> Result<(), String> {
    for (name, traffic) in &lane.stages {
        let is_there = |id| exists(id) != lane.rollbacks.contains_key(id);
        if let Some(hold) = traffic.held.iter().find(|hold| !is_there(&hold.execution)) {
            return Err(format!("a stage is held for a run that exists or is owed: `{name}`: {hold:?}"));
        }
    }
    for (id, owed) in &lane.rollbacks {
        if lane.hold_of(id).is_none_or(|(stage, _)| *stage != owed.stage) {
            return Err(format!("a stage is held for a rollback that is owed: `{id}`: {owed:?}"));
        }
    }
    Ok(())
}

/// Whatever is owed to a run, `resume` asks for: the work and the timer of each attempt under way.
///
/// # Errors
/// What would be forgotten after a crash.
pub fn of_resume(id: &ExecutionId, run: &Execution, asked: &[Effect]) -> Result<(), String> {
    let resumed = react::resume(id, run);
    for effect in asked.iter().filter(|effect| is_still_owed(id, run, effect)) {
        let again = |owed: &Effect| match (effect, owed) {
            (Effect::RunAction { attempt, .. }, Effect::RunAction { attempt: again, resumed, .. }) => {
                again == attempt && *resumed
            }
            (Effect::RunRule { attempt, .. }, Effect::RunRule { attempt: again, resumed, .. }) => {
                again == attempt && *resumed
            }
            _ => owed == effect,
        };
        if !resumed.iter().any(again) {
            return Err(format!("`resume` asks again for what is owed: {effect:?} is not in {resumed:?}"));
        }
    }
    Ok(())
}

/// Whether a run still owes what was asked for. What it owes no more it never will again, unless it comes back to life.
pub fn is_still_owed(id: &ExecutionId, run: &Execution, effect: &Effect) -> bool {
    match effect {
        Effect::RunAction { execution, attempt, .. } | Effect::SetTimer { execution, attempt, .. } => {
            execution == id && under_way(run, &attempt.action_execution)
        }
        Effect::RunRule { execution, attempt, .. } | Effect::SetRuleTimer { execution, attempt, .. } => {
            execution == id && rule_under_way(run, &attempt.rule_execution)
        }
        // Asking a provider to stop what no longer counts is a courtesy: nothing depends on it.
        Effect::CancelAction { .. } | Effect::CancelRule { .. } => false,
        Effect::ClearTimer { .. } | Effect::ClearRuleTimer { .. } => false,
        // No run can know of it: see `of_owed`.
        Effect::StartRollback { .. } => false,
        Effect::Tell(command) => {
            command.execution.as_ref() == Some(id)
                && command.wish == Wish::Settle
                && run.exists()
                && !run.status.is_terminal()
        }
    }
}

/// An effect still matters to some run: only then does `resume` have to ask for it again.
pub fn is_owed(effect: &Effect, run_of: impl Fn(&ExecutionId) -> bool) -> bool {
    match effect {
        Effect::RunAction { execution, .. } | Effect::RunRule { execution, .. } => run_of(execution),
        Effect::CancelAction { .. }
        | Effect::ClearTimer { .. }
        | Effect::CancelRule { .. }
        | Effect::ClearRuleTimer { .. }
        | Effect::StartRollback { .. } => false,
        Effect::SetTimer { execution, .. } | Effect::SetRuleTimer { execution, .. } => run_of(execution),
        Effect::Tell(command) => command.execution.as_ref().is_some_and(run_of),
    }
}

fn under_way(run: &Execution, id: &ActionExecutionId) -> bool {
    run.running().any(|(_, attempt)| attempt.action_execution == *id)
}

fn rule_under_way(run: &Execution, id: &RuleExecutionId) -> bool {
    run.running_rules().any(|(_, _, rule)| rule.rule_execution == *id)
}

/// A run waits at a gate exactly as long as one of the gate's rules is under way, and at one gate at a time.
///
/// # Errors
/// The condition at fault.
pub fn of_conditions(id: &ExecutionId, run: &Execution) -> Result<(), String> {
    for stage in &run.stages {
        let open: Vec<_> = stage
            .conditions
            .iter()
            .filter(|condition| condition.status == ConditionStatus::InProgress)
            .collect();
        let running: Vec<_> = stage.running_rules().collect();
        if open.len() > 1 {
            return Err(format!("one gate is asked at a time: `{id}` {}: {open:#?}", stage.stage));
        }
        let belong = open.iter().flat_map(|condition| &condition.rules).filter(|rule| running.contains(rule));
        if belong.count() != running.len() {
            return Err(format!("a rule under way belongs to an open condition: `{id}`: {running:#?}"));
        }
        let waits = !running.is_empty();
        let open = !open.is_empty();
        // A decision that could not read the definition leaves what follows to `Settle`.
        if waits && (!open || !run.is_inside_a_stage() || stage.running().next().is_some()) {
            return Err(format!("rules run alone, inside their stage: `{id}`: {stage:#?}"));
        }
        if run.status.is_terminal() && open {
            return Err(format!("who has ended asks no more: `{id}`: {stage:#?}"));
        }
    }
    Ok(())
}

fn same<T: PartialEq + Debug>(law: &str, left: &T, right: &T, about: &impl Debug) -> Result<(), String> {
    if left == right {
        Ok(())
    } else {
        Err(format!("{law}\n--- expected\n{left:#?}\n--- found\n{right:#?}\n--- about\n{about:#?}"))
    }
}

/// What the world was told last of a run, its stages and attempts is what they are.
///
/// # Errors
/// Where the two differ.
pub fn of_telling<'a>(
    run: &Execution,
    told: impl IntoIterator<Item = &'a StateChange>,
) -> Result<(), String> {
    let mut last: BTreeMap<String, ChangedState> = BTreeMap::new();
    for change in told {
        let of = match &change.detail {
            ChangeDetail::Pipeline(_) => "the run".to_owned(),
            ChangeDetail::Stage(stage) => stage.stage.to_string(),
            ChangeDetail::Action(action) => action.action_execution_id.to_string(),
        };
        if last.insert(of.clone(), change.state()) == Some(change.state())
            && change.state() != ChangedState::Resumed
        {
            return Err(format!("nothing is told twice in a row: {of} {}", change.state().as_str()));
        }
    }
    let stages = run.stages.iter();
    let attempts = stages.clone().flat_map(|stage| &stage.attempts);
    let is = std::iter::once(("the run".to_owned(), run.status.as_str()))
        .chain(stages.map(|stage| (stage.stage.to_string(), stage.status.as_str())))
        .chain(attempts.map(|attempt| (attempt.action_execution.to_string(), attempt.status.as_str())));
    for (of, status) in is {
        let Some(state) = last.get(&of) else { return Err(format!("of {of} nothing was told")) };
        let fits = match state {
            ChangedState::Started | ChangedState::Resumed => status == "InProgress",
            ChangedState::Canceled => matches!(status, "Cancelled" | "Abandoned"),
            other => other.as_str() == status.to_uppercase(),
        };
        if !fits {
            return Err(format!("{of} is {status}, and was told to be {}", state.as_str()));
        }
    }
    Ok(())
}
