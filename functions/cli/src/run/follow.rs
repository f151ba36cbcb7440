//! Following the log while runs go on: every event is shown, approvals are answered, Ctrl-C stops.

use super::approve::{Answer, Approvals};
use crate::{machine::Machine, progress::Progress, signals::Signals};
use domain::command::{Command, Wish};
use engine::{
    log::{Commit, Position},
    transact::{Envelope, TransactError},
};
use events::{
    ActionCategory, ActionStarted, CommandId, ExecutionEvent, ExecutionId, LaneEvent, PipelineName,
    StageName, StreamKind,
};
use handlers::Caller;
use std::{collections::BTreeSet, time::Duration};

/// Commits read at a time.
const FOLLOW_COMMITS: usize = 256;
/// How often a running terminal display is refreshed.
const TICK: Duration = Duration::from_millis(200);
/// How long a stop may take before the process ends without it.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Follows runs to their end.
pub(super) struct Follower<'a> {
    pub(super) machine: &'a Machine,
    pub(super) caller: &'a Caller,
    pub(super) approvals: Approvals,
    pub(super) progress: Progress,
    /// Stages whose inbound transitions are enabled first.
    pub(super) enable: Vec<StageName>,
    pub(super) watched: BTreeSet<ExecutionId>,
    /// Those among them that began before this process.
    pub(super) interrupted: BTreeSet<ExecutionId>,
    /// Where in the log to begin.
    pub(super) from: Position,
    pub(super) signals: Signals,
    /// How often it was told to end.
    pub(super) pressed: u32,
}

/// How the following ended.
pub(super) struct Seen {
    /// Every run watched.
    pub(super) executions: Vec<ExecutionId>,
    /// The approval nobody answered, as `STAGE/ACTION`.
    pub(super) waiting: Option<String>,
    /// The disabled transition that holds a run up.
    pub(super) closed: Option<Closed>,
    /// Ctrl-C.
    pub(super) interrupted: bool,
}

/// A transition that is disabled.
pub(super) struct Closed {
    /// The stage it leads into.
    pub(super) stage: StageName,
    /// Why.
    pub(super) reason: String,
}

impl Follower<'_> {
    pub(super) async fn follow(mut self, pipeline: &PipelineName) -> anyhow::Result<Seen> {
        let mut open = self.watched.clone();
        let mut waiting = self.waiting_since_before(pipeline).await?;
        // Not before: what starts because of it is shown as the log tells of it.
        for stage in std::mem::take(&mut self.enable) {
            super::send(self.machine, self.caller, pipeline, Wish::EnableTransition { stage }).await?;
        }
        let mut stopping = false;
        let mut at = self.from;
        let mut head = self.machine.log.watch();
        let mut trouble = self.machine.service.engine.trouble();
        let mut give_up_at = tokio::time::Instant::now() + Duration::from_secs(u64::from(u32::MAX));
        loop {
            if self.pressed > 0 && !stopping {
                stopping = true;
                give_up_at = tokio::time::Instant::now() + STOP_MAX;
                self.progress.say("Stopping: running actions are given up …");
                self.stop(pipeline, &open).await?;
            }
            // Looked at before the log is read: what is over now has its last event in what is read next.
            self.drop_ended(&mut open).await?;
            let runs = self.anything_runs(&open).await?;
            let closed = if runs { None } else { self.closed_door(pipeline, &open).await? };
            let stuck = (waiting.is_some() || closed.is_some()) && !runs;
            let commits = self.machine.log.follow(at, FOLLOW_COMMITS).await?;
            if let Some((position, _)) = commits.last() {
                at = *position;
                for (_, commit) in &commits {
                    let unanswered = self.show(pipeline, commit, &mut open).await?;
                    waiting = unanswered.or(waiting);
                }
                continue;
            }
            if open.is_empty() || stuck || tokio::time::Instant::now() > give_up_at {
                self.progress.finish();
                let executions = self.watched.into_iter().collect();
                let on = !open.is_empty() && !stopping;
                let (waiting, closed) = (waiting.filter(|_| on), closed.filter(|_| on));
                return Ok(Seen { executions, waiting, closed, interrupted: stopping });
            }
            if let Some(trouble) = trouble.borrow_and_update().clone() {
                anyhow::bail!("{trouble}\n  mend that, then go on with `towpath run … --resume`");
            }
            tokio::select! {
                changed = head.changed() => changed?,
                changed = trouble.changed() => changed?,
                () = tokio::time::sleep(TICK) => self.progress.tick(),
                () = self.signals.told() => {
                    self.pressed += 1;
                    anyhow::ensure!(self.pressed < 2, "interrupted twice: stopped without waiting for what runs");
                }
            }
        }
    }

    async fn show(
        &mut self,
        pipeline: &PipelineName,
        commit: &Commit,
        open: &mut BTreeSet<ExecutionId>,
    ) -> anyhow::Result<Option<String>> {
        let id = match commit.stream.kind() {
            Ok(StreamKind::Execution(id)) => id,
            Ok(StreamKind::Lane(name)) if name == *pipeline => {
                self.note_rollbacks(commit, open).await?;
                return Ok(None);
            }
            Ok(
                StreamKind::Lane(_)
                | StreamKind::Pipeline(_)
                | StreamKind::Webhook(_)
                | StreamKind::ActionTypes(_)
                | StreamKind::Triggers(_),
            )
            | Err(_) => return Ok(None),
        };
        if !self.watched.contains(&id) {
            return Ok(None);
        }
        let mut unanswered = None;
        for stored in commit.events.iter() {
            let event = stored.read::<ExecutionEvent>()?;
            self.progress.event(&id, event, commit.time);
            if let ExecutionEvent::ActionStarted(started) = event
                && started.action_type.category == ActionCategory::Approval
                && open.contains(&id)
            {
                unanswered = self.approve(pipeline, &id, started).await?.or(unanswered);
            }
        }
        Ok(unanswered)
    }

    /// A rollback belongs to the run that failed: it is shown, and waited for, like that one.
    async fn note_rollbacks(
        &mut self,
        commit: &Commit,
        open: &mut BTreeSet<ExecutionId>,
    ) -> anyhow::Result<()> {
        for stored in commit.events.iter().filter(|stored| stored.kind.starts_with("Rollback")) {
            match stored.read::<LaneEvent>()? {
                LaneEvent::RollbackOwed(owed) if self.watched.contains(&owed.failed) => {
                    let (stage, id, target) = (&owed.stage, &owed.execution, &owed.target);
                    self.progress.say(&format!("{stage} goes back to execution {target} as execution {id}"));
                    self.progress.show_several();
                    self.watched.insert(owed.execution.clone());
                    open.insert(owed.execution.clone());
                }
                LaneEvent::RollbackSettled(settled) if open.contains(&settled.execution) => {
                    let id = &settled.execution;
                    if !self.machine.service.engine.execution(id).await?.exists() {
                        self.progress.say(&format!("the rollback {id} is not possible any more"));
                        self.watched.remove(id);
                        open.remove(id);
                    }
                }
                LaneEvent::RollbackOwed(_)
                | LaneEvent::RollbackSettled(_)
                | LaneEvent::StageHeld(_)
                | LaneEvent::StageReleased(_)
                | LaneEvent::ExecutionWaits(_)
                | LaneEvent::ExecutionLeft(_)
                | LaneEvent::ExecutionSuperseded(_)
                | LaneEvent::SupersessionSettled(_)
                | LaneEvent::TransitionDisabled(_)
                | LaneEvent::TransitionEnabled(_)
                | LaneEvent::LaneCleared(_) => {}
            }
        }
        Ok(())
    }

    /// Answers an approval if somebody can; else names it.
    async fn approve(
        &mut self,
        pipeline: &PipelineName,
        id: &ExecutionId,
        started: &ActionStarted,
    ) -> anyhow::Result<Option<String>> {
        let place = format!("{}/{}", started.stage, started.action);
        let execution = self.machine.service.engine.execution(id).await?;
        let still_open = execution.running().any(|(_, attempt)| attempt.token == started.token);
        if !still_open {
            return Ok(None);
        }
        let definition = self.machine.service.engine.pipeline(pipeline).await?;
        let declared = definition
            .current_definition()
            .and_then(|definition| definition.action(&started.stage, &started.action));
        let question = started
            .resolved
            .get("CustomData")
            .or_else(|| declared.and_then(|action| action.configuration.get("CustomData")));
        self.progress.pause();
        let asked = tokio::select! {
            answer = self.approvals.ask(&place, question.map(String::as_str)) => Some(answer?),
            () = self.signals.told() => None,
        };
        self.progress.resume();
        let Some(answer) = asked else {
            self.pressed += 1;
            return Ok(None);
        };
        let (approved, summary) = match answer {
            Answer::Approved { summary } => (true, summary),
            Answer::Rejected { summary } => (false, summary),
            Answer::Nobody => {
                self.progress.say(&format!("Waiting for approval: {place}"));
                return Ok(Some(place));
            }
        };
        let wish = Wish::RecordApproval {
            stage: started.stage.clone(),
            action: started.action.clone(),
            token: started.token.clone().unwrap_or_default(),
            approved,
            summary,
        };
        self.send(pipeline, id, wish).await?;
        Ok(None)
    }

    /// Approvals that were asked before this process began, answered or named now.
    async fn waiting_since_before(&mut self, pipeline: &PipelineName) -> anyhow::Result<Option<String>> {
        let mut unanswered = None;
        for id in self.interrupted.clone() {
            let execution = self.machine.service.engine.execution(&id).await?;
            let open: Vec<ActionStarted> = execution
                .running()
                .filter(|(_, attempt)| attempt.token.is_some())
                .map(|(stage, attempt)| ActionStarted {
                    stage: stage.stage.clone(),
                    action: attempt.action.clone(),
                    action_execution: attempt.action_execution.clone(),
                    entry: attempt.entry,
                    action_type: attempt.action_type.clone(),
                    resolved: attempt.resolved.clone(),
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    deadline: attempt.deadline,
                    token: attempt.token.clone(),
                })
                .collect();
            for started in open {
                unanswered = self.approve(pipeline, &id, &started).await?.or(unanswered);
            }
        }
        Ok(unanswered)
    }

    async fn drop_ended(&self, open: &mut BTreeSet<ExecutionId>) -> anyhow::Result<()> {
        for id in open.clone() {
            if self.machine.service.engine.execution(&id).await?.status.is_terminal() {
                open.remove(&id);
            }
        }
        Ok(())
    }

    /// Something is under way that is not an approval: worth waiting for.
    async fn anything_runs(&self, open: &BTreeSet<ExecutionId>) -> anyhow::Result<bool> {
        for id in open {
            let execution = self.machine.service.engine.execution(id).await?;
            // A rollback that is about to start.
            if !execution.exists() {
                return Ok(true);
            }
            let acts = execution.running().any(|(_, attempt)| attempt.token.is_none());
            if acts || execution.running_rules().next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The disabled transition in front of which one of the runs waits.
    async fn closed_door(
        &self,
        pipeline: &PipelineName,
        open: &BTreeSet<ExecutionId>,
    ) -> anyhow::Result<Option<Closed>> {
        let lane = self.machine.service.engine.lane(pipeline).await?;
        let closed = lane.stages.iter().find_map(|(stage, traffic)| {
            let transition = traffic.transition.as_ref().filter(|transition| !transition.enabled)?;
            traffic.waiting.iter().any(|waiter| open.contains(&waiter.execution)).then(|| Closed {
                stage: stage.clone(),
                reason: transition.reason.clone().unwrap_or_else(|| "no reason was given".to_owned()),
            })
        });
        Ok(closed)
    }

    async fn stop(&self, pipeline: &PipelineName, open: &BTreeSet<ExecutionId>) -> anyhow::Result<()> {
        for id in open {
            let wish =
                Wish::StopExecution { abandon: true, reason: Some("interrupted at the terminal".into()) };
            match self.send(pipeline, id, wish).await {
                Ok(()) | Err(TransactError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn send(&self, pipeline: &PipelineName, id: &ExecutionId, wish: Wish) -> Result<(), TransactError> {
        let engine = &self.machine.service.engine;
        let id_of_command: CommandId = engine.fresh_command_id();
        let envelope = Envelope {
            id: id_of_command,
            actor: self.caller.arn.clone(),
            command: Command { pipeline: pipeline.clone(), execution: Some(id.clone()), wish },
            once: None,
        };
        engine.transact(envelope).await.map(|_| ())
    }
}
