//! Rolling a stage back: a new run enters it directly, with what an earlier one had. See
//! `spec/execution-semantics.md`, section 9.
//!
//! By hand the run starts in the decision itself. A stage that failed is handed to the run-to-be at once, ahead of
//! whoever waits; the run is started by a command of its own, since a decision writes to one run alone. Until then
//! the lane owes it.

use super::{Execution, StageStatus, advance, gate};
use crate::{
    draft::Draft,
    lane::{
        Hold, Success,
        admit::{self, Arrival},
    },
    limits,
    pipeline::{ActionDeclaration, PipelineDeclaration, variables},
    rejection::Rejection,
};
use events::{
    ArtifactName, EXACT, Entry, ExecutionEvent, ExecutionId, ExecutionMode, ExecutionStarted, KeptArtifact,
    LaneEvent, PipelineName, PipelineVersion, Rollback, RollbackOwed, RollbackSettled, Sequence,
    SourceRevision, StageName, Terms, Timestamp, Trigger, TriggerType,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What an earlier run had, as far as a rollback to it must know. It travels with the command, since a decision
/// reads one run alone; what is in it does not change any more once the run has passed the stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pipeline: PipelineName,
    incarnation: u32,
    version: PipelineVersion,
    at: Timestamp,
    is_rollback: bool,
    succeeded: bool,
    variables: BTreeMap<String, String>,
    artifacts: Vec<KeptArtifact>,
    sources: Vec<SourceRevision>,
    /// By stage and action.
    outputs: BTreeMap<(String, String), BTreeMap<String, String>>,
}

impl Past {
    /// What a run had; `None` when there is none.
    pub fn of(run: &Execution, stage: &StageName) -> Option<Self> {
        let start = run.start.as_ref()?;
        let artifacts = run.artifacts.iter().map(|(name, state)| KeptArtifact {
            name: name.clone(),
            location: state.location.clone(),
            revision: state.revision.clone(),
        });
        let counted = run.stages.iter().flat_map(|stage| {
            let attempts = stage.attempts.iter().filter(|attempt| !attempt.set_aside);
            attempts.map(move |attempt| {
                let place = (stage.stage.to_string(), attempt.action.to_string());
                (place, attempt.output_variables.clone())
            })
        });
        Some(Self {
            pipeline: start.pipeline.clone(),
            incarnation: start.incarnation,
            version: start.pipeline_version,
            at: start.at,
            is_rollback: start.rollback.is_some(),
            succeeded: run.stage(stage).is_some_and(|run| run.status == StageStatus::Succeeded),
            variables: start.variables.clone(),
            artifacts: artifacts.collect(),
            sources: run.revisions.clone(),
            outputs: counted.collect(),
        })
    }

    /// What of it a run of the stage uses, and what its histories show. What the stage makes itself it makes again.
    fn kept(&self, definition: &PipelineDeclaration, stage: &StageName, target: &ExecutionId) -> Rollback {
        let actions = definition.stage(stage).map_or(&[][..], |declared| &declared.actions);
        let read: BTreeSet<&ArtifactName> =
            actions.iter().flat_map(|action| &action.input_artifacts).map(|input| &input.name).collect();
        let made: BTreeSet<&ArtifactName> =
            actions.iter().flat_map(|action| &action.output_artifacts).map(|output| &output.name).collect();
        let is_kept = |kept: &&KeptArtifact| {
            !made.contains(&kept.name) && (read.contains(&kept.name) || kept.revision.is_some())
        };
        Rollback {
            stage: stage.clone(),
            target: target.clone(),
            artifacts: self.artifacts.iter().filter(is_kept).cloned().collect(),
            sources: self.sources.clone(),
            outputs: self.referred_to(definition, stage, actions),
        }
    }

    /// Output variables of other stages that these actions refer to, by namespace.
    fn referred_to(
        &self,
        definition: &PipelineDeclaration,
        stage: &StageName,
        actions: &[ActionDeclaration],
    ) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for reference in actions.iter().flat_map(templates).flat_map(|text| variables::references(text)) {
            let Some((of, action)) = definition.namespace(reference.namespace) else { continue };
            let place = (of.name.to_string(), action.name.to_string());
            let value = self.outputs.get(&place).and_then(|outputs| outputs.get(reference.key));
            if let (Some(value), false) = (value, of.name == *stage) {
                let namespace = found.entry(reference.namespace.to_owned()).or_default();
                namespace.insert(reference.key.to_owned(), value.clone());
            }
        }
        found
    }
}

/// Every text of an action in which references are replaced.
fn templates(action: &ActionDeclaration) -> impl Iterator<Item = &String> {
    let configuration = action.configuration.values().chain(&action.commands);
    configuration.chain(action.environment_variables.iter().map(|variable| &variable.value))
}

/// Rolls a stage back by hand: starts the run of this id with what the target had.
pub(crate) fn by_hand(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    stage: &StageName,
    target: &ExecutionId,
    past: Option<&Past>,
) -> Result<(), Rejection> {
    if draft.scope.execution.exists() {
        return Ok(());
    }
    let checked = check(draft, stage, target, past, draft.policy.is_extended())?;
    if draft.scope.lane.rollbacks.values().any(|owed| owed.stage == *stage) {
        let reason = "it is about to be rolled back";
        return Err(Rejection::Conflict { execution: target.clone(), stage: stage.clone(), reason });
    }
    if draft.scope.lane.stages.get(stage).is_some_and(|traffic| !traffic.held.is_empty()) {
        return Err(unable(stage, target, "the stage is running"));
    }
    // The limit on executions under way does not count here: RollbackStage knows no such refusal.
    let sequence = draft.scope.lane.sequence.next();
    let (mode, terms) = (checked.mode, gate::terms(draft.policy, checked.definition.stage(stage), true));
    let arrival = Arrival { execution: id, sequence, mode, stage, terms, first_stage: false };
    let entry = admit::hold(draft, &arrival, false);
    let trigger = Trigger { kind: TriggerType::ManualRollback, detail: draft.actor.to_owned() };
    begin(draft, id, &checked, Place { stage, target, sequence, entry, mode, terms }, trigger);
    Ok(())
}

/// Hands a stage that failed to a run that rolls it back, ahead of everyone who waits; the lane owes that run from
/// now on. False, with nothing done, when there is nothing to go back to: then the stage just fails. The scope's
/// run must still hold the stage.
pub(crate) fn automatic(
    draft: &mut Draft<'_>,
    id: &ExecutionId,
    definition: &PipelineDeclaration,
    stage: &StageName,
) -> bool {
    let is_source = definition.first_stage().is_some_and(|first| first.name == *stage);
    let version = candidate(draft).filter(|_| !is_source && !draft.is_outdated());
    let last = draft.scope.lane.last_succeeded(stage);
    let any_version = draft.is_extended() && version.is_some();
    let is_target = |last: &&Success| (any_version || Some(last.version) == version) && last.execution != *id;
    let target = last.filter(is_target);
    let Some(target) = target.map(|last| last.execution.clone()) else { return false };
    if !admit::holds(draft, stage, id) {
        return false;
    }
    let sequence = draft.scope.lane.sequence.next();
    // A run fails in a stage at most once in this way: the rollback enters after it, which rules out a retry.
    let execution = ExecutionId::parse(draft.derive_uuid(&[id.as_str(), stage.as_str(), "rollback"]))
        .expect("a derived UUID has 36 characters, all hexadecimal or dashes");
    let mode = definition.mode();
    let policy = draft.scope.execution.start.as_ref().map_or(&EXACT, |start| &start.policy);
    let terms = gate::terms(policy, definition.stage(stage), true);
    let arrival = Arrival { execution: &execution, sequence, mode, stage, terms, first_stage: false };
    admit::hand_over(draft, id, &arrival);
    draft.lane(LaneEvent::RollbackOwed(RollbackOwed {
        stage: stage.clone(),
        execution,
        sequence,
        target,
        failed: id.clone(),
    }));
    true
}

/// Starts the run that the lane owes. Should it have become impossible meanwhile, by an update for example, the
/// stage is freed instead. Nothing to do when it is owed no more.
pub(crate) fn start_owed(draft: &mut Draft<'_>, id: &ExecutionId, past: Option<&Past>) {
    let Some(owed) = draft.scope.lane.rollbacks.get(id).cloned() else { return };
    draft.lane(LaneEvent::RollbackSettled(RollbackSettled { execution: id.clone() }));
    let hold = draft.scope.lane.hold_of(id).map(|(_, hold)| hold.clone());
    let extended = hold.as_ref().is_some_and(|hold| hold.terms.extended);
    let checked = check(draft, &owed.stage, &owed.target, past, extended);
    let (Ok(checked), Some(Hold { entry, mode, terms, .. })) = (checked, hold) else {
        admit::release(draft, &owed.stage, id);
        return;
    };
    let trigger = Trigger { kind: TriggerType::AutomatedRollback, detail: owed.failed.to_string() };
    let (stage, target, sequence) = (&owed.stage, &owed.target, owed.sequence);
    let place = Place { stage, target, sequence, entry, mode, terms };
    begin(draft, id, &checked, place, trigger);
}

/// The version under which the scope's run may be rolled back to, once it has succeeded in a stage.
pub(crate) fn candidate(draft: &Draft<'_>) -> Option<PipelineVersion> {
    let start = draft.scope.execution.start.as_ref()?;
    let counts =
        start.rollback.is_none() && (start.mode != ExecutionMode::Parallel || start.policy.is_extended());
    counts.then_some(start.pipeline_version)
}

/// What a check has found.
struct Checked<'a> {
    /// What the rollback follows: the target's own.
    definition: Arc<PipelineDeclaration>,
    /// The pipeline's mode now: the lane is as it is today.
    mode: ExecutionMode,
    past: &'a Past,
}

/// Where a rollback takes place.
struct Place<'a> {
    stage: &'a StageName,
    target: &'a ExecutionId,
    sequence: Sequence,
    entry: Entry,
    mode: ExecutionMode,
    terms: Terms,
}

/// Whether the stage can go back to that run, whatever goes on in it. Extended, the run's own definition decides,
/// whatever the pipeline's has become since; otherwise the two must be the same.
fn check<'a>(
    draft: &Draft<'_>,
    stage: &StageName,
    target: &ExecutionId,
    past: Option<&'a Past>,
    extended: bool,
) -> Result<Checked<'a>, Rejection> {
    let pipeline = &draft.scope.pipeline;
    let current = pipeline.current_definition().cloned().ok_or_else(|| draft.no_pipeline())?;
    let mode = current.mode();
    let own = |past: &&Past| past.pipeline == *draft.name && past.incarnation == draft.scope.lane.incarnation;
    let past = past.filter(own);
    let targets = past.filter(|_| extended).and_then(|past| pipeline.definition(past.version)).cloned();
    if current.stage(stage).is_none() && targets.as_ref().is_none_or(|own| own.stage(stage).is_none()) {
        return Err(draft.no_stage(stage));
    }
    let past = past.ok_or_else(|| draft.no_execution(target))?;
    let unreadable = extended && targets.is_none();
    let definition = targets.unwrap_or(current);
    let changed = !extended && Some(past.version) != pipeline.current;
    let wrong = [
        (!extended && mode == ExecutionMode::Parallel, "the pipeline is in PARALLEL mode"),
        (definition.first_stage().is_some_and(|first| first.name == *stage), "it is the source stage"),
        (unreadable, "that execution's own definition cannot be read"),
        (definition.stage(stage).is_none(), "that execution's own definition has no such stage"),
        (changed, "the pipeline was changed since that execution started"),
        (past.is_rollback, "that execution is a rollback itself"),
        (!past.succeeded, "that execution did not succeed in the stage"),
    ];
    if let Some((_, reason)) = wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(unable(stage, target, reason));
    }
    if draft.now.since(past.at) > limits::HISTORY_DAYS_MAX * DAY_MS {
        return Err(Rejection::ExecutionOutdated { execution: target.clone() });
    }
    Ok(Checked { definition, mode, past })
}

fn unable(stage: &StageName, target: &ExecutionId, reason: &'static str) -> Rejection {
    Rejection::UnableToRollback { stage: stage.clone(), target: target.clone(), reason }
}

/// Notes the start of a run that holds its stage already, and starts its first actions.
fn begin(draft: &mut Draft<'_>, id: &ExecutionId, checked: &Checked<'_>, place: Place<'_>, trigger: Trigger) {
    let Checked { definition, past, .. } = checked;
    draft.execution(ExecutionEvent::ExecutionStarted(ExecutionStarted {
        pipeline: draft.name.clone(),
        pipeline_version: past.version,
        incarnation: past.incarnation,
        mode: place.mode,
        sequence: place.sequence,
        trigger,
        variables: past.variables.clone(),
        revisions: BTreeMap::new(),
        rollback: Some(past.kept(definition, place.stage, place.target)),
        policy: gate::policy_of_rollback(place.terms, place.stage),
    }));
    advance::enter(draft, place.stage, place.entry);
    advance::advance(draft, id, definition);
}
