//! What was: the commands that read a state folder's log and change nothing. They may run beside a server.

pub mod bundle;
pub mod diff;
pub mod log;
pub mod moment;
pub mod show;
pub mod why;

use anyhow::{Context, bail, ensure};
use domain::{execution::Execution, lane::Lane, pipeline::versions::Pipeline, trigger::Triggers};
use engine::log::Commit;
use events::{
    ExecutionEvent, ExecutionId, LaneEvent, PipelineEvent, PipelineName, Sequence, StreamKind, StreamName,
    Timestamp, TriggerEvent, codec::Stored,
};
use local::log::{History, LOG_FILE};
use std::{collections::BTreeMap, path::Path};

/// Letters of an execution's id that are enough, if no other begins so.
const PREFIX_CHARS_MIN: usize = 4;

/// The log of a state folder.
pub struct Past {
    history: History,
}

/// One event with what its commit says about it.
pub struct Told<E> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub event: E,
}

/// Which run is meant: an id, the beginning of one, a pipeline's newest run (`NAME`) or an earlier one (`NAME~1`).
pub struct Meant {
    /// The run.
    pub id: ExecutionId,
    /// Its pipeline.
    pub pipeline: PipelineName,
}

impl Past {
    /// Opens the log of a state folder.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(LOG_FILE);
        ensure!(path.exists(), "there is no log at `{}`; name the state folder with `--dir`", path.display());
        Ok(Self { history: History::open(&path)? })
    }

    /// The log itself.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Finds the run that is meant.
    pub fn execution(&self, text: &str) -> anyhow::Result<Meant> {
        if text.chars().count() >= PREFIX_CHARS_MIN && ExecutionId::parse(text).is_ok() {
            let found = self.history.streams(&format!("execution#{text}"), 2)?;
            match found.as_slice() {
                [] => {}
                [stream] => return self.of_stream(stream),
                _ => bail!("more than one execution's id begins with `{text}`: give more of it"),
            }
        }
        let (name, back) = match text.rsplit_once('~') {
            Some((name, back)) => (
                name,
                back.parse::<usize>()
                    .with_context(|| format!("`~{back}` is not a number of runs to go back"))?,
            ),
            None => (text, 0),
        };
        let Ok(pipeline) = PipelineName::parse(name) else {
            bail!("`{text}` is neither an execution's id nor a pipeline's name");
        };
        let runs = self.runs(&pipeline)?;
        let newest_first: Vec<&ExecutionId> = runs.values().rev().collect();
        match newest_first.get(back) {
            Some(id) => Ok(Meant { id: (*id).clone(), pipeline }),
            None if runs.is_empty() => {
                bail!("no execution's id begins with `{text}`, and no pipeline of that name ran here")
            }
            None => bail!(
                "the pipeline `{pipeline}` had {} runs: there is none {back} before the newest",
                runs.len()
            ),
        }
    }

    fn of_stream(&self, stream: &StreamName) -> anyhow::Result<Meant> {
        let StreamKind::Execution(id) = stream.kind()? else { bail!("`{stream}` is not an execution") };
        let (execution, _) = self.run_at(&id, None)?;
        let start = execution.start.with_context(|| format!("the execution {id} never started"))?;
        Ok(Meant { id, pipeline: start.pipeline })
    }

    /// Every run of a pipeline of this name, by the order of their starts; those of deleted ones first.
    pub fn runs(&self, pipeline: &PipelineName) -> anyhow::Result<BTreeMap<Sequence, ExecutionId>> {
        let mut runs = BTreeMap::new();
        for told in self.lane_events(pipeline)? {
            match told.event {
                LaneEvent::StageHeld(held) => drop(runs.insert(held.sequence, held.execution)),
                LaneEvent::ExecutionWaits(waits) => drop(runs.insert(waits.sequence, waits.execution)),
                _ => {}
            }
        }
        Ok(runs)
    }

    /// A run's events, oldest first.
    pub fn execution_events(&self, id: &ExecutionId) -> anyhow::Result<Vec<Told<ExecutionEvent>>> {
        told(&self.history.read(&StreamName::execution(id))?)
    }

    /// A lane's events, oldest first.
    pub fn lane_events(&self, pipeline: &PipelineName) -> anyhow::Result<Vec<Told<LaneEvent>>> {
        told(&self.history.read(&StreamName::lane(pipeline))?)
    }

    /// A pipeline's events, oldest first.
    pub fn pipeline_events(&self, pipeline: &PipelineName) -> anyhow::Result<Vec<Told<PipelineEvent>>> {
        told(&self.history.read(&StreamName::pipeline(pipeline))?)
    }

    /// What might have started a pipeline, the newest.
    pub fn triggers(&self, name: &PipelineName) -> anyhow::Result<Triggers> {
        let mut triggers = Triggers::default();
        let events: Vec<Told<TriggerEvent>> = told(&self.history.read(&StreamName::triggers(name))?)?;
        events.iter().for_each(|told| triggers.evolve(&told.event, told.at));
        Ok(triggers)
    }

    /// A run as it stood at a moment, or as it stands; with its events up to then.
    pub fn run_at(
        &self,
        id: &ExecutionId,
        moment: Option<Timestamp>,
    ) -> anyhow::Result<(Execution, Vec<Told<ExecutionEvent>>)> {
        let mut execution = Execution::default();
        let events: Vec<_> = until(self.execution_events(id)?, moment);
        events.iter().for_each(|told| execution.evolve(&told.event, told.at));
        Ok((execution, events))
    }

    /// A lane as it stood at a moment, or as it stands.
    pub fn lane_at(&self, pipeline: &PipelineName, moment: Option<Timestamp>) -> anyhow::Result<Lane> {
        let mut lane = Lane::default();
        until(self.lane_events(pipeline)?, moment).iter().for_each(|told| lane.evolve(&told.event, told.at));
        Ok(lane)
    }

    /// A pipeline's definitions as they stood at a moment, or as they stand.
    pub fn pipeline_at(&self, name: &PipelineName, moment: Option<Timestamp>) -> anyhow::Result<Pipeline> {
        let mut pipeline = Pipeline::default();
        let events = until(self.pipeline_events(name)?, moment);
        events.iter().for_each(|told| pipeline.evolve(&told.event, told.at));
        Ok(pipeline)
    }

    /// The definition a run follows, even if its pipeline was deleted since: as it was declared when it started.
    pub fn definition_of(
        &self,
        execution: &Execution,
    ) -> anyhow::Result<Option<std::sync::Arc<domain::pipeline::PipelineDeclaration>>> {
        let Some(start) = &execution.start else { return Ok(None) };
        let then = self.pipeline_at(&start.pipeline, Some(start.at))?;
        Ok(then.definition(start.pipeline_version).cloned())
    }
}

fn until<E>(events: Vec<Told<E>>, moment: Option<Timestamp>) -> Vec<Told<E>> {
    events.into_iter().take_while(|told| moment.is_none_or(|moment| told.at <= moment)).collect()
}

fn told<E: Stored>(commits: &[Commit]) -> anyhow::Result<Vec<Told<E>>> {
    let mut found = Vec::new();
    for commit in commits {
        for stored in commit.events.iter() {
            let event =
                stored.parse().with_context(|| format!("`{}`, version {}", commit.stream, commit.first))?;
            found.push(Told { at: commit.time, actor: commit.actor.to_string(), event });
        }
    }
    Ok(found)
}
