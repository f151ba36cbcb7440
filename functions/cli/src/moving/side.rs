//! One side of a move: where a pipeline runs, or is held.

use super::HELD;
use crate::{
    client::{self, Client, endpoint::Reach},
    remote,
};
use anyhow::Context;
use api::model::{
    DisableStageTransitionInput, EnableStageTransitionInput, GetPipelineStateOutput,
    PipelineExecutionSummary, SourceRevision, StageState, StageTransitionType, StopPipelineExecutionInput,
};

/// Executions of a pipeline that are looked at, most.
const EXECUTIONS_MAX: usize = 300;

/// Letters of a reason, most.
const REASON_CHARS_MAX: usize = 300;

/// CodePipeline, or a Towpath.
pub struct Side {
    /// What it is called.
    pub name: &'static str,
    /// Calls it.
    pub client: Client,
}

/// Whether a pipeline gets past its first stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// It does: this side runs it.
    Open,
    /// `towpath move` closed it.
    Held,
    /// Somebody else closed it, for this reason.
    Closed(String),
}

/// A pipeline as it stands on one side.
pub struct Standing {
    /// The stages.
    pub stages: Vec<StageState>,
    /// The transition into the second.
    pub door: Door,
}

/// An execution, as far as a move asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// When it started, milliseconds.
    pub started: i64,
    /// What it has, by source action.
    pub revisions: Vec<(String, String)>,
}

impl Side {
    /// Reached so.
    pub fn new(name: &'static str, reach: &Reach) -> anyhow::Result<Self> {
        Ok(Self { name, client: Client::of(reach)? })
    }

    /// How a pipeline stands; none if it is not there.
    pub async fn standing(&self, pipeline: &str) -> anyhow::Result<Option<Standing>> {
        match remote::state_of(&self.client, pipeline).await {
            Ok(state) => Ok(Some(Standing::of(state)?)),
            Err(error)
                if client::refusal(&error).is_some_and(|no| no.code == "PipelineNotFoundException") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How a pipeline stands that must be there.
    pub async fn must_stand(&self, pipeline: &str) -> anyhow::Result<Standing> {
        let missing = || {
            format!("{} has no pipeline `{pipeline}`: `towpath move create` makes it in Towpath", self.name)
        };
        self.standing(pipeline).await?.with_context(missing)
    }

    /// Closes the transition into a stage.
    pub async fn close(&self, pipeline: &str, stage: &str, reason: &str) -> anyhow::Result<()> {
        let input = DisableStageTransitionInput {
            pipeline_name: pipeline.to_owned(),
            stage_name: stage.to_owned(),
            transition_type: StageTransitionType::Inbound,
            reason: reason.chars().map(plain).take(REASON_CHARS_MAX).collect(),
        };
        self.client.ask(&input).await.map(drop)
    }

    /// Opens it.
    pub async fn open(&self, pipeline: &str, stage: &str) -> anyhow::Result<()> {
        let input = EnableStageTransitionInput {
            pipeline_name: pipeline.to_owned(),
            stage_name: stage.to_owned(),
            transition_type: StageTransitionType::Inbound,
        };
        self.client.ask(&input).await.map(drop)
    }

    /// Stops an execution at once. One that has ended meanwhile is stopped enough.
    pub async fn stop(&self, pipeline: &str, execution: &str, reason: &str) -> anyhow::Result<()> {
        let input = StopPipelineExecutionInput {
            pipeline_name: pipeline.to_owned(),
            pipeline_execution_id: execution.to_owned(),
            abandon: Some(true),
            reason: Some(reason.chars().take(200).collect()),
        };
        let fine = ["PipelineExecutionNotStoppableException", "DuplicatedStopRequestException"];
        match self.client.tell(&input).await {
            Err(error) if !client::refusal(&error).is_some_and(|no| fine.contains(&no.code.as_str())) => {
                Err(error)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The newest executions of a pipeline.
    pub async fn runs(&self, pipeline: &str) -> anyhow::Result<Vec<Run>> {
        let all = remote::executions_of(&self.client, pipeline, EXECUTIONS_MAX).await?;
        Ok(all.into_iter().filter_map(Run::of).collect())
    }
}

impl Standing {
    fn of(state: GetPipelineStateOutput) -> anyhow::Result<Self> {
        let stages = state.stage_states.unwrap_or_default();
        let second = stages.get(1).context("the pipeline has no second stage")?;
        let door = match &second.inbound_transition_state {
            Some(door) if door.enabled == Some(false) => {
                let reason = door.disabled_reason.clone().unwrap_or_default();
                if reason.starts_with(HELD) { Door::Held } else { Door::Closed(reason) }
            }
            Some(_) | None => Door::Open,
        };
        Ok(Self { stages, door })
    }

    /// The stage behind the door.
    pub fn second(&self) -> &StageState {
        // There are two: `of` has seen to it.
        &self.stages[1]
    }

    /// Its name.
    pub fn second_name(&self) -> &str {
        name_of(self.second())
    }

    /// Whether sources are being fetched.
    pub fn is_fetching(&self) -> bool {
        self.stages.iter().take(1).any(goes_on)
    }

    /// The executions that wait at the door.
    pub fn waiting(&self) -> Vec<&str> {
        waiting_at(self.second())
    }

    /// The executions that wait further behind, by stage.
    pub fn waiting_behind(&self) -> Vec<(&str, &str)> {
        let behind = self.stages.iter().skip(2);
        let of = |stage| waiting_at(stage).into_iter().map(move |id| (name_of(stage), id));
        behind.flat_map(of).collect()
    }

    /// The execution that last went through the door.
    pub fn last_through(&self) -> Option<&str> {
        self.second().latest_execution.as_ref().map(|latest| latest.pipeline_execution_id.as_str())
    }

    /// The stages behind the door in which something goes on.
    pub fn at_work(&self) -> Vec<&str> {
        self.stages.iter().skip(1).filter(|stage| goes_on(stage)).map(name_of).collect()
    }
}

impl Run {
    fn of(summary: PipelineExecutionSummary) -> Option<Self> {
        let mut revisions: Vec<(String, String)> =
            summary.source_revisions.into_iter().flatten().filter_map(revision).collect();
        revisions.sort();
        Some(Self {
            id: summary.pipeline_execution_id?,
            started: summary.start_time.map_or(0, |at| at.as_millis()),
            revisions,
        })
    }

    /// Whether both have the same, which must be something.
    pub fn has_the_same_as(&self, other: &Self) -> bool {
        !self.revisions.is_empty() && self.revisions == other.revisions
    }
}

fn name_of(stage: &StageState) -> &str {
    stage.stage_name.as_deref().unwrap_or_default()
}

fn goes_on(stage: &StageState) -> bool {
    let latest = stage.latest_execution.as_ref();
    latest.is_some_and(|latest| matches!(latest.status.as_str(), "InProgress" | "Stopping"))
}

/// Those in front of a stage, each once: the service names the first of them twice.
fn waiting_at(stage: &StageState) -> Vec<&str> {
    let all = stage.inbound_executions.iter().flatten().chain(&stage.inbound_execution);
    let mut ids: Vec<&str> = Vec::new();
    for one in all.filter(|one| one.status.as_str() == "InProgress") {
        if !ids.contains(&one.pipeline_execution_id.as_str()) {
            ids.push(&one.pipeline_execution_id);
        }
    }
    ids
}

/// The letters that a reason may have, and space for all others.
fn plain(letter: char) -> char {
    let is_plain = letter.is_ascii_alphanumeric() || "!@ ().*?-".contains(letter);
    if is_plain { letter } else { ' ' }
}

fn revision(revision: SourceRevision) -> Option<(String, String)> {
    Some((revision.action_name, revision.revision_id?))
}
