//! What the world is told when the state of an execution changes, at the levels of pipeline, stage and action. See
//! `spec/events-and-notifications.md`, section 2. Pure: the same history makes the same changes, with the same ids.
//!
//! [`Course`] is a fold of its own, much smaller than the execution's: whoever tells keeps it beside the place it has
//! come to, and need not read the history again from its beginning.

mod course;
mod size;
pub mod topic;

pub use course::Course;
pub use size::DETAIL_BYTES_MAX;

use crate::{
    draft::{spread, uuid_of},
    pipeline::PipelineDeclaration,
    trigger::event::{digits, rfc3339},
};
use events::{
    ActionFailed, ActionSucceeded, ExecutionEvent, ExecutionId, PipelineName, StageEnded, StageName,
    StageRetried, Timestamp, Version,
    outbound::{
        ACTION_STATE_CHANGE, ActionChange, ChangeDetail, ChangedState, ExecutionResult,
        PIPELINE_STATE_CHANGE, PipelineChange, STAGE_SKIPPED, STAGE_STATE_CHANGE, StageChange,
    },
};

/// One change, ready to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The same whenever it is derived from the same history: a UUID.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What is published.
    pub detail: ChangeDetail,
}

impl StateChange {
    /// What it is now.
    pub fn state(&self) -> ChangedState {
        match &self.detail {
            ChangeDetail::Pipeline(change) => change.state,
            ChangeDetail::Stage(change) => change.state,
            ChangeDetail::Action(change) => change.state,
        }
    }

    /// `detail-type`.
    pub fn detail_type(&self) -> &'static str {
        match &self.detail {
            ChangeDetail::Pipeline(_) => PIPELINE_STATE_CHANGE,
            ChangeDetail::Stage(change) if change.state == ChangedState::Skipped => STAGE_SKIPPED,
            ChangeDetail::Stage(_) => STAGE_STATE_CHANGE,
            ChangeDetail::Action(_) => ACTION_STATE_CHANGE,
        }
    }

    /// The stage it is about.
    pub fn stage(&self) -> Option<&StageName> {
        match &self.detail {
            ChangeDetail::Pipeline(_) => None,
            ChangeDetail::Stage(change) => Some(&change.stage),
            ChangeDetail::Action(change) => Some(&change.stage),
        }
    }

    /// `detail` as JSON, at most [`DETAIL_BYTES_MAX`]: what is longest and matters least is cut first.
    pub fn body(&self) -> String {
        size::fit(&self.detail, DETAIL_BYTES_MAX)
    }
}

/// What is known besides the history.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The execution.
    pub execution: &'a ExecutionId,
    /// The installation's Region, and that of every action without one of its own.
    pub region: &'a str,
    /// The definition the execution follows, where it can be read.
    pub definition: Option<&'a PipelineDeclaration>,
}

/// An event with its place in the history.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// The event.
    pub event: &'a ExecutionEvent,
    /// Its version in the execution's stream.
    pub version: Version,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What the world is told of an event, in order, and takes the event into the course. Events must come in order, each
/// once.
pub fn tell(course: &mut Course, happened: Happened<'_>, around: Surroundings<'_>) -> Vec<StateChange> {
    let before = course.clone();
    course.evolve(happened.event, happened.at);
    let mut teller = Teller { course, happened, around, told: Vec::new() };
    teller.tell(&before);
    teller.told
}

struct Teller<'a> {
    course: &'a Course,
    happened: Happened<'a>,
    around: Surroundings<'a>,
    told: Vec<StateChange>,
}

impl Teller<'_> {
    fn tell(&mut self, before: &Course) {
        match self.happened.event {
            ExecutionEvent::ExecutionStarted(_) => self.pipeline(ChangedState::Started),
            ExecutionEvent::StageStarted(started) => self.stage(&started.stage, ChangedState::Started),
            ExecutionEvent::StageRetried(StageRetried { stage, .. }) => self.resumed(stage),
            // It goes on where it had failed; one that was still being asked goes on as it was.
            ExecutionEvent::ConditionOverridden(overridden) => {
                if before.ended {
                    self.resumed(&overridden.stage);
                }
            }
            ExecutionEvent::ActionStarted(started) => {
                self.action(self.course, &started.action_execution, ChangedState::Started, None);
            }
            ExecutionEvent::ActionSucceeded(succeeded) => {
                let result = Some(succeeded_result(succeeded));
                self.action(before, &succeeded.action_execution, ChangedState::Succeeded, result);
            }
            ExecutionEvent::ActionFailed(failed) => {
                let result = Some(failed_result(failed));
                self.action(before, &failed.action_execution, ChangedState::Failed, result);
            }
            ExecutionEvent::ActionAbandoned(abandoned) => {
                // Given up because somebody asked for it; otherwise together with its stage, which is cancelled.
                let state = if before.abandoning { ChangedState::Abandoned } else { ChangedState::Canceled };
                self.action(before, &abandoned.action_execution, state, None);
            }
            ExecutionEvent::StageSkipped(StageEnded { stage }) => self.stage(stage, ChangedState::Skipped),
            ExecutionEvent::StageSucceeded(StageEnded { stage }) => {
                self.stage(stage, ChangedState::Succeeded);
            }
            ExecutionEvent::StageFailed(StageEnded { stage }) => self.stage(stage, ChangedState::Failed),
            ExecutionEvent::StageStopped(StageEnded { stage }) => self.stage(stage, ChangedState::Stopped),
            ExecutionEvent::StageCancelled(StageEnded { stage }) => self.stage(stage, ChangedState::Canceled),
            ExecutionEvent::StopRequested(_) => self.stopping(before),
            ExecutionEvent::ExecutionSucceeded(_) => self.pipeline(ChangedState::Succeeded),
            ExecutionEvent::ExecutionFailed(_) => self.pipeline(ChangedState::Failed),
            ExecutionEvent::ExecutionStopped(_) => self.pipeline(ChangedState::Stopped),
            ExecutionEvent::ExecutionCancelled(_) => self.pipeline(ChangedState::Canceled),
            ExecutionEvent::ExecutionSuperseded(_) => self.pipeline(ChangedState::Superseded),
            // What a provider began is part of what is told at the end.
            ExecutionEvent::ActionProgressed(_)
            | ExecutionEvent::RuleProgressed(_)
            | ExecutionEvent::JobQueued(_)
            | ExecutionEvent::JobDispatched(_)
            | ExecutionEvent::JobAcknowledged(_)
            | ExecutionEvent::JobContinued(_)
            | ExecutionEvent::ResultIgnored(_)
            | ExecutionEvent::ConditionStarted(_)
            | ExecutionEvent::ConditionEnded(_)
            | ExecutionEvent::RuleStarted(_)
            | ExecutionEvent::RuleSucceeded(_)
            | ExecutionEvent::RuleFailed(_)
            | ExecutionEvent::RuleAbandoned(_)
            | ExecutionEvent::RuleResultIgnored(_) => {}
        }
    }

    fn resumed(&mut self, stage: &StageName) {
        self.pipeline(ChangedState::Resumed);
        self.stage(stage, ChangedState::Resumed);
    }

    /// A second request, which turns waiting into giving up, changes no state.
    fn stopping(&mut self, before: &Course) {
        if before.stopping {
            return;
        }
        self.pipeline(ChangedState::Stopping);
        if let Some(stage) = before.stage.as_ref().filter(|stage| stage.is_open) {
            self.stage(&stage.stage, ChangedState::Stopping);
        }
    }

    fn pipeline(&mut self, state: ChangedState) {
        let Some(start) = &self.course.start else { return };
        let stops = matches!(state, ChangedState::Stopping | ChangedState::Stopped);
        let id = self.id();
        let change = PipelineChange {
            pipeline: start.pipeline.clone(),
            execution_id: self.around.execution.clone(),
            start_time: millis(start.at),
            execution_trigger: self.course.trigger(state),
            state,
            version: start.version,
            pipeline_execution_attempt: self.course.attempt,
            stop_execution_comments: self.course.stop_reason.clone().filter(|_| stops),
            towpath_event_id: Some(id.clone()),
        };
        self.push(id, ChangeDetail::Pipeline(change));
    }

    fn stage(&mut self, stage: &StageName, state: ChangedState) {
        let Some(start) = &self.course.start else { return };
        let known = self.course.stage.as_ref().filter(|known| known.stage == *stage);
        let id = self.id();
        let change = StageChange {
            pipeline: start.pipeline.clone(),
            execution_id: self.around.execution.clone(),
            start_time: millis(known.map_or(self.happened.at, |known| known.started)),
            stage: stage.clone(),
            state,
            stage_last_retry_attempt_time: known.and_then(|known| known.retried).map(millis),
            version: start.version,
            pipeline_execution_attempt: self.course.attempt,
            towpath_event_id: Some(id.clone()),
        };
        self.push(id, ChangeDetail::Stage(change));
    }

    /// `course` is the one that knows the attempt: of an attempt that has ended, the one before.
    fn action(
        &mut self,
        course: &Course,
        attempt: &events::ActionExecutionId,
        state: ChangedState,
        result: Option<ExecutionResult>,
    ) {
        let (Some(start), Some(known)) = (&course.start, course.actions.get(attempt)) else { return };
        let own = self.around.definition.and_then(|definition| definition.stage(&known.stage));
        let own =
            own.and_then(|stage| stage.action(&known.action)).and_then(|action| action.region.as_deref());
        let id = self.id();
        let change = ActionChange {
            pipeline: start.pipeline.clone(),
            execution_id: self.around.execution.clone(),
            start_time: millis(known.started),
            stage: known.stage.clone(),
            action: known.action.clone(),
            action_execution_id: attempt.clone(),
            state,
            region: own.unwrap_or(self.around.region).to_owned(),
            input_artifacts: match self.happened.event {
                ExecutionEvent::ActionStarted(started) => started.inputs.iter().map(Into::into).collect(),
                _ => Vec::new(),
            },
            output_artifacts: if state == ChangedState::Succeeded {
                known.outputs.clone()
            } else {
                Vec::new()
            },
            execution_result: result.map(|result| ExecutionResult {
                external_execution_id: result.external_execution_id.or_else(|| known.external_id.clone()),
                external_execution_url: result.external_execution_url.or_else(|| known.external_url.clone()),
                ..result
            }),
            action_type: known.action_type.clone(),
            version: start.version,
            pipeline_execution_attempt: course.attempt,
            towpath_event_id: Some(id.clone()),
        };
        self.push(id, ChangeDetail::Action(Box::new(change)));
    }

    fn push(&mut self, id: String, detail: ChangeDetail) {
        let Some(start) = &self.course.start else { return };
        self.told.push(StateChange { id, at: self.happened.at, pipeline: start.pipeline.clone(), detail });
    }

    /// From the event's place in the log, and which of its changes this is.
    fn id(&self) -> String {
        let (version, ordinal) = (self.happened.version.to_string(), self.told.len().to_string());
        uuid_of(spread(["state-change", self.around.execution.as_str(), &version, &ordinal]))
    }
}

fn succeeded_result(succeeded: &ActionSucceeded) -> ExecutionResult {
    ExecutionResult {
        external_execution_url: succeeded.external_execution_url.clone(),
        external_execution_summary: succeeded.summary.clone(),
        external_execution_id: succeeded.external_execution_id.clone(),
        error_code: None,
    }
}

fn failed_result(failed: &ActionFailed) -> ExecutionResult {
    ExecutionResult {
        external_execution_url: failed.external_execution_url.clone(),
        external_execution_summary: Some(failed.summary.clone().unwrap_or_else(|| failed.message.clone())),
        external_execution_id: failed.external_execution_id.clone(),
        error_code: Some(failed.code),
    }
}

/// A moment as text, to the millisecond: `2026-03-01T10:00:00.123Z`.
pub fn millis(at: Timestamp) -> String {
    let mut text = rfc3339(at);
    text.pop();
    text.push('.');
    digits(&mut text, at.0.rem_euclid(1000), 3);
    text.push('Z');
    text
}

/// A moment as text, to the minute: `2026-03-01T10:00Z`.
pub fn minutes(at: Timestamp) -> String {
    let seconds = rfc3339(at);
    let (minutes, _) = seconds.rsplit_once(':').unwrap_or((&seconds, ""));
    format!("{minutes}Z")
}
