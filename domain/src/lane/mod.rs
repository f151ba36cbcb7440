//! A lane: the traffic of one pipeline. Who holds each stage, who waits at its door, which doors are closed.
//!
//! The lane alone decides who may enter a stage; an execution hears of it by `Settle`.

pub mod admit;
pub mod transitions;

use events::{
    Entry, ExecutionId, ExecutionMode, LaneEvent, PipelineVersion, Sequence, StageHeld, StageName, Terms,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Number of this fold; one more whenever [`Lane`]'s shape or meaning changes.
pub const FOLD: u32 = 3;

/// The state of a `lane#<pipeline>` stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// What is known of each stage that was ever touched.
    pub stages: BTreeMap<StageName, StageTraffic>,
    /// Superseded executions that have not yet recorded their end, each with the newer one.
    pub superseded: BTreeMap<ExecutionId, ExecutionId>,
    /// Runs that must still be started, each to roll back the stage that is held for it.
    pub rollbacks: BTreeMap<ExecutionId, OwedRollback>,
    /// The newest admission's number.
    pub entry: Entry,
    /// The newest start's number.
    pub sequence: Sequence,
    /// How often the lane was cleared: equal to the pipeline's own count of deletions.
    pub incarnation: u32,
}

/// One stage's traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTraffic {
    /// Who holds it: at most one, or any number of PARALLEL executions.
    pub held: Vec<Hold>,
    /// Who waits, first to enter first.
    pub waiting: Vec<Waiter>,
    /// Who entered last, even if it has left.
    pub last_entered: Option<Hold>,
    /// The newest of those that entered on terms of order, even if it has left.
    pub newest: Option<Newest>,
    /// Who succeeded here last, of those that may be rolled back to.
    pub last_succeeded: Option<Success>,
    /// The inbound transition's last change; `None` when it was never touched.
    pub transition: Option<Transition>,
}

/// An execution in a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub execution: ExecutionId,
    /// Under which number.
    pub entry: Entry,
    /// Its mode.
    pub mode: ExecutionMode,
    /// On which terms.
    pub terms: Terms,
}

/// An execution that no older one may follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Who.
    pub execution: ExecutionId,
    /// Its place in the order of starts.
    pub sequence: Sequence,
}

/// An execution that passed a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Success {
    /// Who.
    pub execution: ExecutionId,
    /// The definition's version it followed.
    pub version: PipelineVersion,
}

/// A rollback that was decided on and whose run does not exist yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `events::RollbackOwed`")]
pub struct OwedRollback {
    pub stage: StageName,
    pub sequence: Sequence,
    pub target: ExecutionId,
    pub failed: ExecutionId,
}

/// An execution at a stage's door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiter {
    /// Who.
    pub execution: ExecutionId,
    /// Its place in the order of starts.
    pub sequence: Sequence,
    /// Its mode.
    pub mode: ExecutionMode,
    /// On which terms.
    pub terms: Terms,
    /// Since when.
    pub since: Timestamp,
}

/// A door that someone opened or closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Open.
    pub enabled: bool,
    /// Why it is closed.
    pub reason: Option<String>,
    /// Who changed it last.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An execution of this mode and on these terms shares a stage with no other of its kind.
pub(crate) fn excludes(mode: ExecutionMode, terms: Terms) -> bool {
    mode != ExecutionMode::Parallel || terms.ordered
}

impl StageTraffic {
    /// Somebody is inside who excludes others.
    pub fn is_taken(&self) -> bool {
        !fault!(TwoInAStage) && self.held.iter().any(|hold| excludes(hold.mode, hold.terms))
    }

    fn enter(&mut self, held: &StageHeld) {
        let StageHeld { execution, sequence, entry, mode, terms, .. } = held;
        let hold = Hold { execution: execution.clone(), entry: *entry, mode: *mode, terms: *terms };
        self.waiting.retain(|waiter| waiter.execution != held.execution);
        self.held.retain(|other| other.execution != held.execution);
        self.held.push(hold.clone());
        self.last_entered = Some(hold);
        let is_newest = self.newest.as_ref().is_none_or(|newest| newest.sequence < *sequence);
        if terms.ordered && !terms.rollback && is_newest {
            self.newest = Some(Newest { execution: execution.clone(), sequence: *sequence });
        }
    }
}

impl Lane {
    /// Writes one event down.
    pub fn evolve(&mut self, event: &LaneEvent, at: Timestamp) {
        match event {
            LaneEvent::StageHeld(held) => {
                self.stages.entry(held.stage.clone()).or_default().enter(held);
                self.entry = self.entry.max(held.entry);
                self.sequence = self.sequence.max(held.sequence);
            }
            LaneEvent::StageReleased(released) => {
                if let Some(stage) = self.stages.get_mut(&released.stage) {
                    stage.held.retain(|hold| hold.execution != released.execution);
                    if let Some(version) = released.succeeded {
                        stage.last_succeeded =
                            Some(Success { execution: released.execution.clone(), version });
                    }
                }
            }
            LaneEvent::ExecutionWaits(waits) => {
                let stage = self.stages.entry(waits.stage.clone()).or_default();
                stage.waiting.retain(|waiter| waiter.execution != waits.execution);
                let place = stage.waiting.partition_point(|waiter| waiter.sequence < waits.sequence);
                stage.waiting.insert(
                    place,
                    Waiter {
                        execution: waits.execution.clone(),
                        sequence: waits.sequence,
                        mode: waits.mode,
                        terms: waits.terms,
                        since: at,
                    },
                );
                self.sequence = self.sequence.max(waits.sequence);
            }
            LaneEvent::ExecutionLeft(left) => {
                if let Some(stage) = self.stages.get_mut(&left.stage) {
                    stage.waiting.retain(|waiter| waiter.execution != left.execution);
                }
            }
            LaneEvent::ExecutionSuperseded(superseded) => {
                if let Some(stage) = self.stages.get_mut(&superseded.stage) {
                    stage.waiting.retain(|waiter| waiter.execution != superseded.execution);
                }
                self.superseded.insert(superseded.execution.clone(), superseded.by.clone());
            }
            LaneEvent::SupersessionSettled(settled) => {
                self.superseded.remove(&settled.execution);
            }
            LaneEvent::RollbackOwed(owed) => {
                self.rollbacks.insert(
                    owed.execution.clone(),
                    OwedRollback {
                        stage: owed.stage.clone(),
                        sequence: owed.sequence,
                        target: owed.target.clone(),
                        failed: owed.failed.clone(),
                    },
                );
            }
            LaneEvent::RollbackSettled(settled) => {
                self.rollbacks.remove(&settled.execution);
            }
            LaneEvent::TransitionDisabled(disabled) => {
                self.stages.entry(disabled.stage.clone()).or_default().transition = Some(Transition {
                    enabled: false,
                    reason: Some(disabled.reason.clone()),
                    by: disabled.by.clone(),
                    at,
                });
            }
            LaneEvent::TransitionEnabled(enabled) => {
                self.stages.entry(enabled.stage.clone()).or_default().transition =
                    Some(Transition { enabled: true, reason: None, by: enabled.by.clone(), at });
            }
            LaneEvent::LaneCleared(_) => {
                // Numbers go on growing: a late result of a deleted pipeline must stay fenced off.
                self.stages.clear();
                self.superseded.clear();
                self.rollbacks.clear();
                self.incarnation += 1;
            }
        }
    }

    /// Where an execution is admitted, with the admission's number.
    pub fn hold_of(&self, execution: &ExecutionId) -> Option<(&StageName, &Hold)> {
        self.stages.iter().find_map(|(name, stage)| {
            stage.held.iter().find(|hold| hold.execution == *execution).map(|hold| (name, hold))
        })
    }

    /// At which door an execution waits.
    pub fn wait_of(&self, execution: &ExecutionId) -> Option<&StageName> {
        self.stages.iter().find_map(|(name, stage)| {
            stage.waiting.iter().any(|waiter| waiter.execution == *execution).then_some(name)
        })
    }

    /// Who entered a stage last.
    pub fn last_entered(&self, stage: &StageName) -> Option<&Hold> {
        self.stages.get(stage)?.last_entered.as_ref()
    }

    /// Who succeeded in a stage last, of those that may be rolled back to.
    pub fn last_succeeded(&self, stage: &StageName) -> Option<&Success> {
        self.stages.get(stage)?.last_succeeded.as_ref()
    }

    /// The inbound transition of a stage is open.
    pub fn is_open(&self, stage: &StageName) -> bool {
        self.stages
            .get(stage)
            .and_then(|traffic| traffic.transition.as_ref())
            .is_none_or(|transition| transition.enabled)
            || fault!(ClosedDoorIgnored)
    }

    /// Everyone who waits in front of a stage and whom an update sends away, with the stage: neither PARALLEL runs
    /// nor those that keep their own definition.
    pub fn ended_by_updates(&self) -> Vec<(StageName, ExecutionId)> {
        self.stages
            .iter()
            .flat_map(|(name, stage)| {
                let ended = stage
                    .waiting
                    .iter()
                    .filter(|waiter| waiter.mode != ExecutionMode::Parallel && !waiter.terms.extended);
                ended.map(|waiter| (name.clone(), waiter.execution.clone()))
            })
            .collect()
    }

    /// Everyone under way: in a stage or at a door, each once.
    pub fn under_way(&self) -> BTreeSet<&ExecutionId> {
        self.stages
            .values()
            .flat_map(|stage| {
                let held = stage.held.iter().map(|hold| &hold.execution);
                held.chain(stage.waiting.iter().map(|waiter| &waiter.execution))
            })
            .collect()
    }
}
