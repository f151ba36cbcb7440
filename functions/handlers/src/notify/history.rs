//! A run as it unfolded, event by event, with what is known around it.

use super::NotifyError;
use crate::Home;
use domain::{
    execution::{Execution, ExecutionStatus, Start},
    notice::{
        Outcome, Past,
        facts::{Facts, Known},
    },
    pipeline::PipelineDeclaration,
    state_change::{Course, Happened, StateChange, Surroundings, tell},
    views::listing::{EXECUTION_PREFIX, ExecutionSummary, pipeline_partition, place},
};
use engine::{log::Log, views::Views};
use events::{ExecutionEvent, ExecutionId, StageName, StreamName, Timestamp, Version};
use std::sync::Arc;

/// Changes older than this are told to nobody, milliseconds: 24 hours. It is what keeps a channel that was just made from
/// hearing of all that ever happened.
pub const AGE_MAX_MS: i64 = 24 * 60 * 60 * 1000;

/// Commits that are read at a time.
const COMMITS: usize = 128;
/// Runs that are looked through for the one that finished last, most.
const PREVIOUS_MAX: usize = 100;
/// Rows read at a time for that.
const PAGE_ROWS: usize = 20;

/// A run's events, all of them.
pub(super) struct History {
    execution: ExecutionId,
    events: Vec<(Version, Timestamp, ExecutionEvent)>,
    definition: Option<Arc<PipelineDeclaration>>,
}

impl History {
    pub(super) async fn read<H: Home>(home: &H, execution: &ExecutionId) -> Result<Self, NotifyError> {
        let stream = StreamName::execution(execution);
        let (mut events, mut after) = (Vec::new(), Version(0));
        loop {
            let commits = home.engine().log().read(&stream, after, COMMITS).await?;
            let Some(last) = commits.last() else { break };
            after = last.last();
            for commit in &commits {
                for (index, stored) in commit.events.iter().enumerate() {
                    // One that this version cannot read is passed over: it must not keep people from being told.
                    let Ok(event) = stored.parse::<ExecutionEvent>() else {
                        tracing::error!(%stream, kind = %stored.kind, "nobody is told of an event that cannot be read");
                        continue;
                    };
                    events.push((Version(commit.first.0 + index as u64), commit.time, event));
                }
            }
        }
        let started = events.iter().find_map(|(_, _, event)| match event {
            ExecutionEvent::ExecutionStarted(started) => Some((&started.pipeline, started.pipeline_version)),
            _ => None,
        });
        let definition = match started {
            Some((pipeline, version)) => home.engine().pipeline(pipeline).await?.definition(version).cloned(),
            None => None,
        };
        Ok(Self { execution: execution.clone(), events, definition })
    }

    /// Version of the last event; 0 when there is none.
    pub(super) fn last(&self) -> Version {
        self.events.last().map_or(Version(0), |(version, _, _)| *version)
    }

    /// The story from its beginning.
    pub(super) fn unfold(&self) -> Unfolding<'_> {
        Unfolding {
            history: self,
            next: 0,
            run: Execution::default(),
            course: Course::default(),
            failed_in: None,
        }
    }
}

/// A run as it was after some of its events.
pub(super) struct Unfolding<'h> {
    history: &'h History,
    next: usize,
    /// The run.
    pub(super) run: Execution,
    /// What was told of it.
    pub(super) course: Course,
    /// It failed before, there.
    failed_in: Option<Option<StageName>>,
}

impl Unfolding<'_> {
    /// Takes in one more event. Its version, and what is told of it.
    pub(super) fn step<H: Home>(&mut self, home: &H) -> Option<(Version, Vec<StateChange>)> {
        let (version, at, event) = self.history.events.get(self.next)?;
        self.next += 1;
        self.run.evolve(event, *at);
        let around = Surroundings {
            execution: &self.history.execution,
            region: home.engine().region(),
            definition: self.history.definition.as_deref(),
        };
        let changes = tell(&mut self.course, Happened { event, version: *version, at: *at }, around);
        if matches!(event, ExecutionEvent::ExecutionFailed(_)) {
            self.failed_in = Some(self.course.stage().cloned());
        }
        Some((*version, changes))
    }

    /// What makes a success a recovery; nothing while the run has not succeeded.
    pub(super) async fn past<H: Home>(&self, home: &H) -> Result<Past, NotifyError> {
        let is_success = self.run.status == ExecutionStatus::Succeeded;
        let Some(start) = self.run.start.as_ref().filter(|_| is_success) else { return Ok(Past::default()) };
        if let Some(failed_in) = &self.failed_in {
            return Ok(Past { failed_before: true, previous_failed: None, failed_in: failed_in.clone() });
        }
        let Some(previous) = previous_failed(home, &self.history.execution, start).await? else {
            return Ok(Past::default());
        };
        let state = home.engine().execution(&previous).await?;
        let failed_in = state.current_stage().map(|stage| stage.stage.clone());
        Ok(Past { failed_before: false, previous_failed: Some(previous), failed_in })
    }

    /// What there is to say.
    pub(super) fn facts<H: Home>(
        &self,
        home: &H,
        console: Option<&str>,
        outcome: Option<Outcome>,
    ) -> Option<Facts> {
        let known = Known {
            execution: &self.history.execution,
            definition: self.history.definition.as_deref(),
            console,
            account: home.engine().account(),
            region: home.engine().region(),
        };
        Facts::of(&self.run, outcome, known)
    }
}

/// The run before this one, in the order of starts, that came to an end of its own; if that was a failure. Runs that
/// were stopped, cancelled or superseded say nothing about the pipeline, and rollbacks nothing about what they undo.
async fn previous_failed<H: Home>(
    home: &H,
    execution: &ExecutionId,
    start: &Start,
) -> Result<Option<ExecutionId>, NotifyError> {
    let partition = pipeline_partition(&start.pipeline, start.incarnation);
    let mut after = place(execution, start);
    for _ in 0..PREVIOUS_MAX / PAGE_ROWS {
        let rows = home.views().page(&partition, Some(&after), PAGE_ROWS, true).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        after.clone_from(&last.q);
        for row in &rows {
            if !row.q.starts_with(EXECUTION_PREFIX) {
                return Ok(None);
            }
            let body = row.body.as_deref().unwrap_or_default();
            let Ok(summary) = serde_json::from_str::<ExecutionSummary>(body) else { continue };
            if summary.rollback_target.is_some() {
                continue;
            }
            match summary.status {
                ExecutionStatus::Failed => return Ok(Some(summary.execution)),
                ExecutionStatus::Succeeded => return Ok(None),
                ExecutionStatus::InProgress
                | ExecutionStatus::Stopping
                | ExecutionStatus::Stopped
                | ExecutionStatus::Superseded
                | ExecutionStatus::Cancelled => {}
            }
        }
    }
    Ok(None)
}
