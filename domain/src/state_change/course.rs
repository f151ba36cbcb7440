//! How far a run has come, as far as telling of it needs to know.

use events::{
    ActionCategory, ActionExecutionId, ActionName, ExecutionEvent, PipelineName, PipelineVersion, StageName,
    Timestamp, Trigger, TriggerType,
    outbound::{
        ChangedArtifact, ChangedState, ChangedType, ConnectionTrigger, ExecutionTrigger, PlainTrigger,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Characters of a commit message that are kept and told, most.
const COMMIT_MESSAGE_CHARS_MAX: usize = 2_048;

/// The fold. What has ended is dropped, so that it stays small: one stage, and the actions under way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    pub(super) start: Option<Beginning>,
    /// From 1; one more with each retry.
    pub(super) attempt: u32,
    /// The stage entered last.
    pub(super) stage: Option<StageCourse>,
    /// Attempts under way.
    pub(super) actions: BTreeMap<ActionExecutionId, ActionCourse>,
    /// Someone asked for the run to stop.
    pub(super) stopping: bool,
    /// And to give up what runs.
    pub(super) abandoning: bool,
    pub(super) stop_reason: Option<String>,
    /// What a connection's source action fetched, when a connection started the run.
    pub(super) connection: Option<ConnectionTrigger>,
    /// The run does nothing more unless someone takes it up again.
    pub(super) ended: bool,
    /// A source action failed since the run was started or retried.
    pub(super) source_failed: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Beginning {
    pub(super) pipeline: PipelineName,
    pub(super) version: PipelineVersion,
    pub(super) at: Timestamp,
    pub(super) trigger: Trigger,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StageCourse {
    pub(super) stage: StageName,
    pub(super) started: Timestamp,
    pub(super) retried: Option<Timestamp>,
    pub(super) is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ActionCourse {
    pub(super) stage: StageName,
    pub(super) action: ActionName,
    pub(super) action_type: ChangedType,
    pub(super) started: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) outputs: Vec<ChangedArtifact>,
    /// The provider's own id of the work, said when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external_url: Option<String>,
}

impl Course {
    /// Number of this fold; one more whenever its shape or meaning changes. A course that was kept by another fold is
    /// made anew from the history.
    pub const FOLD: u32 = 1;

    /// The pipeline and the definition the run follows.
    pub fn pipeline(&self) -> Option<(&PipelineName, PipelineVersion)> {
        self.start.as_ref().map(|start| (&start.pipeline, start.version))
    }

    /// The stage entered last.
    pub fn stage(&self) -> Option<&StageName> {
        self.stage.as_ref().map(|stage| &stage.stage)
    }

    /// What is told of the cause together with a change of the whole run. Who is behind a connection's change is known
    /// once it was fetched.
    pub(super) fn trigger(&self, state: ChangedState) -> Option<ExecutionTrigger> {
        let start = self.start.as_ref()?;
        let connection =
            self.connection.as_ref().filter(|_| !(self.source_failed && state == ChangedState::Failed));
        if let Some(connection) = connection {
            return Some(ExecutionTrigger::Connection(Box::new(connection.clone())));
        }
        (state == ChangedState::Started).then(|| {
            ExecutionTrigger::Plain(PlainTrigger {
                trigger_type: start.trigger.kind,
                trigger_detail: start.trigger.detail.clone(),
            })
        })
    }

    pub(super) fn evolve(&mut self, event: &ExecutionEvent, at: Timestamp) {
        match event {
            ExecutionEvent::ExecutionStarted(started) => {
                self.attempt = 1;
                self.start = Some(Beginning {
                    pipeline: started.pipeline.clone(),
                    version: started.pipeline_version,
                    at,
                    trigger: started.trigger.clone(),
                });
            }
            ExecutionEvent::StageStarted(started) => {
                self.stage = Some(StageCourse {
                    stage: started.stage.clone(),
                    started: at,
                    retried: None,
                    is_open: true,
                });
            }
            ExecutionEvent::StageRetried(retried) => {
                self.attempt += 1;
                self.goes_on(&retried.stage);
                if let Some(stage) = &mut self.stage {
                    stage.retried = Some(at);
                }
            }
            ExecutionEvent::ConditionOverridden(overridden) => self.goes_on(&overridden.stage),
            ExecutionEvent::ActionStarted(started) => {
                let course = ActionCourse {
                    stage: started.stage.clone(),
                    action: started.action.clone(),
                    action_type: (&started.action_type).into(),
                    started: at,
                    outputs: started.outputs.iter().map(Into::into).collect(),
                    external_id: None,
                    external_url: None,
                };
                self.actions.insert(started.action_execution.clone(), course);
            }
            ExecutionEvent::ActionProgressed(progressed) => {
                if let Some(known) = self.actions.get_mut(&progressed.action_execution) {
                    known.external_id = Some(progressed.external_execution_id.clone());
                    known.external_url.clone_from(&progressed.external_execution_url);
                }
            }
            ExecutionEvent::ActionSucceeded(succeeded) => {
                let ended = self.actions.remove(&succeeded.action_execution);
                let by_connection =
                    self.start.as_ref().map(|start| start.trigger.kind) == Some(TriggerType::WebhookV2);
                if by_connection && ended.is_some_and(|ended| is_connection(&ended.action_type)) {
                    self.connection.get_or_insert_with(|| connection(&succeeded.output_variables));
                }
            }
            ExecutionEvent::ActionFailed(failed) => {
                let ended = self.actions.remove(&failed.action_execution);
                self.source_failed |=
                    ended.is_some_and(|ended| ended.action_type.category == ActionCategory::Source);
            }
            ExecutionEvent::ActionAbandoned(abandoned) => {
                self.actions.remove(&abandoned.action_execution);
            }
            ExecutionEvent::StageSkipped(_)
            | ExecutionEvent::StageSucceeded(_)
            | ExecutionEvent::StageFailed(_)
            | ExecutionEvent::StageStopped(_)
            | ExecutionEvent::StageCancelled(_) => {
                if let Some(stage) = &mut self.stage {
                    stage.is_open = false;
                }
            }
            ExecutionEvent::StopRequested(requested) => {
                self.stopping = true;
                self.abandoning |= requested.abandon;
                self.stop_reason = requested.reason.clone().or(self.stop_reason.take());
            }
            ExecutionEvent::ExecutionSucceeded(_)
            | ExecutionEvent::ExecutionFailed(_)
            | ExecutionEvent::ExecutionStopped(_)
            | ExecutionEvent::ExecutionCancelled(_)
            | ExecutionEvent::ExecutionSuperseded(_) => self.ended = true,
            ExecutionEvent::RuleProgressed(_)
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

    fn goes_on(&mut self, stage: &StageName) {
        self.ended = false;
        self.stopping = false;
        self.abandoning = false;
        self.stop_reason = None;
        self.source_failed = false;
        if let Some(known) = self.stage.as_mut().filter(|known| known.stage == *stage) {
            known.is_open = true;
        }
    }
}

fn is_connection(action_type: &ChangedType) -> bool {
    action_type.category == ActionCategory::Source && action_type.provider == "CodeStarSourceConnection"
}

/// What the source action says of the commit, in its output variables.
fn connection(variables: &BTreeMap<String, String>) -> ConnectionTrigger {
    let said = |key: &str| {
        let value = variables.get(key).filter(|value| !value.is_empty())?;
        Some(value.chars().take(COMMIT_MESSAGE_CHARS_MAX).collect())
    };
    ConnectionTrigger {
        author_display_name: said("AuthorDisplayName"),
        full_repository_name: said("FullRepositoryName"),
        provider_type: said("ProviderType"),
        author_email: said("AuthorEmail"),
        commit_message: said("CommitMessage"),
        author_date: said("AuthorDate"),
        branch_name: said("BranchName"),
        tag_name: said("TagName"),
        commit_id: said("CommitId"),
        connection_arn: said("ConnectionArn"),
        author_id: said("AuthorId"),
    }
}
