//! A world in memory: it keeps the states, sends commands, and carries out what they ask for.

use super::{definition::PipelineBuilder, laws, outcome::Outcome, words};
use crate::{
    Decision, Effect, Rejection, Scope,
    command::{ActionResult, Attempt, Command, Context, Details, JobWish, Reliance, RuleAttempt, Wish},
    decide,
    execution::{ActionStatus, AttemptRun, Execution, ExecutionStatus, StageStatus, rollback::Past},
    lane::Lane,
    pipeline::versions::Pipeline,
    react,
    state_change::{Course, Happened, StateChange, Surroundings, tell},
};
use events::{
    ActionName, ExecutionEvent, ExecutionId, FailureCode, LaneEvent, PipelineName, Policy, RuleExecutionId,
    SourceRevision, StageName, StageRetryMode, Timestamp, Trigger, TriggerType, Version,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// The states of some pipelines and runs, the time, and whatever the core asked for.
#[derive(Debug, Clone)]
pub struct World {
    /// The pipeline that commands are about.
    pub name: PipelineName,
    /// The clock; [`World::pass_minutes`] moves it.
    pub now: Timestamp,
    /// Who sends commands.
    pub actor: String,
    /// The Region label of this installation.
    pub region: String,
    /// What governs runs that start from now on.
    pub policy: Policy,
    /// Work the core asked for, in order.
    pub jobs: Vec<Attempt>,
    /// Rules the core asked to have asked, in order.
    pub rule_jobs: Vec<RuleAttempt>,
    /// Rules the core asked to stop, in order.
    pub cancelled_rules: Vec<RuleExecutionId>,
    /// Work the core asked to stop, in order.
    pub cancelled: Vec<Attempt>,
    /// Commands that the core wants sent later.
    pub timers: Vec<(Timestamp, Command)>,
    /// Commands that the core wants sent now and that were not yet.
    pub messages: VecDeque<Command>,
    /// The id of every command from now on; a fresh one each when `None`.
    pub command_id: Option<String>,
    /// What commands that do not rely on the current definition read instead of the pipeline as it is.
    pub stale_pipeline: Option<Pipeline>,
    /// What the last command that was accepted relied on, beside what it wrote.
    pub relied: Reliance,
    /// Messages stay where they are until [`World::deliver`].
    pub messages_wait: bool,
    pipelines: BTreeMap<PipelineName, (Pipeline, Lane)>,
    executions: BTreeMap<ExecutionId, Execution>,
    asked: Vec<Effect>,
    commands: u64,
    courses: BTreeMap<ExecutionId, (Version, Course)>,
    told: Vec<(ExecutionId, Arc<StateChange>)>,
    events: BTreeMap<ExecutionId, Vec<(Timestamp, ExecutionEvent)>>,
}

/// A world where this pipeline was just created.
pub fn given(pipeline: PipelineBuilder) -> World {
    let definition = pipeline.build();
    let mut world = World {
        name: definition.name.clone(),
        now: Timestamp(1_000_000),
        actor: "arn:aws:iam::000000000000:user/ann".to_owned(),
        region: "us-east-1".to_owned(),
        policy: Policy::default(),
        jobs: Vec::new(),
        rule_jobs: Vec::new(),
        cancelled_rules: Vec::new(),
        cancelled: Vec::new(),
        timers: Vec::new(),
        messages: VecDeque::new(),
        command_id: None,
        stale_pipeline: None,
        relied: Reliance::default(),
        messages_wait: false,
        pipelines: BTreeMap::new(),
        executions: BTreeMap::new(),
        asked: Vec::new(),
        commands: 0,
        courses: BTreeMap::new(),
        told: Vec::new(),
        events: BTreeMap::new(),
    };
    world.when_created(pipeline).accepted();
    world
}

/// Short ids are legal ids: `e1`.
#[track_caller]
pub fn execution_id(id: &str) -> ExecutionId {
    parsed(ExecutionId::parse(id))
}

/// A stage's name.
#[track_caller]
pub fn stage_name(name: &str) -> StageName {
    parsed(StageName::parse(name))
}

#[track_caller]
fn parsed<T>(name: Result<T, events::BadName>) -> T {
    match name {
        Ok(name) => name,
        Err(bad) => panic!("{bad}"),
    }
}

/// Sending commands.
impl World {
    /// Sends one command, carries out at once what it asks for, and holds everything against the laws.
    #[track_caller]
    pub fn send(&mut self, execution: Option<&str>, wish: Wish) -> Outcome {
        let command = Command { pipeline: self.name.clone(), execution: execution.map(execution_id), wish };
        let name = command.name();
        let mut result = self.decide(&command);
        let relied = self.relied;
        if let (Ok(lines), false) = (&mut result, self.messages_wait) {
            lines.extend(self.deliver());
        }
        self.relied = relied;
        self.check_agreement();
        Outcome { command: name, result }
    }

    /// Sends what waits to be sent, and what that leads to. The lines of all that happened.
    #[track_caller]
    pub fn deliver(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(command) = self.messages.pop_front() {
            match self.decide(&command) {
                Ok(more) => lines.extend(more),
                Err(rejection) => panic!("a message was refused: {rejection}: {command:?}"),
            }
        }
        lines
    }

    /// Moves the clock and sends the commands that were wanted by then.
    #[track_caller]
    pub fn pass_minutes(&mut self, minutes: u32) -> Outcome {
        self.now = self.now.plus_minutes(minutes);
        let (due, later) = std::mem::take(&mut self.timers).into_iter().partition(|(at, _)| *at <= self.now);
        self.timers = later;
        let due: Vec<(Timestamp, Command)> = due;
        self.messages.extend(due.into_iter().map(|(_, command)| command));
        let lines = self.deliver();
        self.check_agreement();
        Outcome { command: "the clock", result: Ok(lines) }
    }

    /// The states that a command about a run reads, for a test to change.
    pub fn scope_of(&self, execution: &str) -> Scope {
        let (pipeline, lane) = (self.pipeline().clone(), self.lane().clone());
        Scope { pipeline, lane, execution: self.run(execution).clone() }
    }

    /// What a command about a run would lead to on such states. Nothing comes of it.
    pub fn decide_on(&self, mut scope: Scope, execution: &str, wish: Wish) -> Result<Decision, Rejection> {
        let command = Command { pipeline: self.name.clone(), execution: Some(execution_id(execution)), wish };
        let context = Context {
            now: self.now,
            actor: &self.actor,
            command_id: "on such states",
            region: &self.region,
            policy: &self.policy,
        };
        decide(&mut scope, &command, context)
    }

    /// Writes an event of the lane down that no command of this test led to.
    pub fn happened_in_lane(&mut self, event: &LaneEvent) {
        let now = self.now;
        let (_, lane) = self.pipelines.entry(self.name.clone()).or_default();
        lane.evolve(event, now);
    }

    #[track_caller]
    fn decide(&mut self, command: &Command) -> Result<Vec<String>, Rejection> {
        self.commands += 1;
        let command_id = self.command_id.clone().unwrap_or_else(|| format!("command-{}", self.commands));
        let actor = self.actor.clone();
        let region = self.region.clone();
        let policy = self.policy.clone();
        let context = Context {
            now: self.now,
            actor: &actor,
            command_id: &command_id,
            region: &region,
            policy: &policy,
        };
        let before = self.scope(command);
        let mut after = before.clone();
        let decided = decide(&mut after, command, context);
        if let Err(broken) = laws::of_decision(&before, &after, command, context, &decided) {
            panic!("`{}` breaks a law: {broken}", command.name());
        }
        let decision = decided?;
        self.relied = command.relies_on(&decision, &after.execution);
        let mut effects = Vec::new();
        for event in &decision.lane {
            effects.extend(react::react_to_lane(&command.pipeline, event));
        }
        for event in &decision.execution {
            if let Some(id) = &command.execution {
                effects.extend(react::react_to_execution(&command.pipeline, id, &after.execution, event));
            }
        }
        let (pipeline, lane) = self.pipelines.entry(command.pipeline.clone()).or_default();
        *lane = after.lane;
        if !decision.pipeline.is_empty() {
            *pipeline = after.pipeline;
        }
        if let Some(id) = command.execution.as_ref().filter(|_| after.execution.exists()) {
            self.executions.insert(id.clone(), after.execution);
        }
        if let Some(id) = &command.execution {
            self.tell(id, &decision.execution);
        }
        self.perform(effects);
        Ok(words::decision_lines(command.execution.as_ref(), &decision))
    }

    /// Tells the world of a run's events, and holds what was told against the run's state.
    #[track_caller]
    fn tell(&mut self, id: &ExecutionId, events: &[ExecutionEvent]) {
        let (version, course) = self.courses.entry(id.clone()).or_default();
        let happened = self.events.entry(id.clone()).or_default();
        for event in events {
            happened.push((self.now, event.clone()));
            *version = version.next();
            let happened = Happened { event, version: *version, at: self.now };
            let around = Surroundings { execution: id, region: &self.region, definition: None };
            let changes = tell(course, happened, around);
            self.told.extend(changes.into_iter().map(|change| (id.clone(), Arc::new(change))));
        }
        let told = self.told.iter().filter(|(of, _)| of == id).map(|(_, change)| &**change);
        if let Some(Err(broken)) = self.executions.get(id).map(|run| laws::of_telling(run, told)) {
            panic!("a law is broken: {broken}");
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.asked.push(effect.clone());
            match effect {
                Effect::RunAction { attempt, .. } => self.jobs.push(attempt),
                Effect::CancelAction { attempt, .. } => self.cancelled.push(attempt),
                Effect::StartRollback { pipeline, execution, stage, target } => {
                    let past = self.past(&target, &stage);
                    let wish = Wish::StartRollback { past };
                    self.messages.push_back(Command { pipeline, execution: Some(execution), wish });
                }
                Effect::Tell(command) => self.messages.push_back(*command),
                Effect::ClearTimer { action_execution } => self.timers.retain(|(_, command)| {
                    !matches!(&command.wish, Wish::ExpireAction { attempt }
                        if attempt.action_execution == action_execution)
                }),
                Effect::RunRule { attempt, .. } => self.rule_jobs.push(attempt),
                Effect::CancelRule { rule_execution, .. } => self.cancelled_rules.push(rule_execution),
                Effect::ClearRuleTimer { rule_execution } => self.timers.retain(|(_, command)| {
                    !matches!(&command.wish, Wish::ExpireRule { attempt }
                        if attempt.rule_execution == rule_execution)
                }),
                Effect::SetRuleTimer { pipeline, execution, attempt, at } => {
                    let wish = Wish::ExpireRule { attempt };
                    self.timers.push((at, Command { pipeline, execution: Some(execution), wish }));
                }
                Effect::SetTimer { pipeline, execution, attempt, at } => {
                    let wish = Wish::ExpireAction { attempt };
                    self.timers.push((at, Command { pipeline, execution: Some(execution), wish }));
                }
            }
        }
    }

    fn past(&self, target: &ExecutionId, stage: &StageName) -> Option<Box<Past>> {
        self.executions.get(target).and_then(|run| Past::of(run, stage)).map(Box::new)
    }

    fn scope(&self, command: &Command) -> Scope {
        let (pipeline, lane) = self.pipelines.get(&command.pipeline).cloned().unwrap_or_default();
        let execution = command.execution.as_ref().and_then(|id| self.executions.get(id)).cloned();
        let stale = self.stale_pipeline.clone().filter(|_| !command.relies_on_current_definition());
        let pipeline = stale.unwrap_or(pipeline);
        Scope { pipeline, lane, execution: execution.unwrap_or_default() }
    }

    #[track_caller]
    fn check_agreement(&mut self) {
        let is_over = |id: &ExecutionId| self.executions.get(id).is_some_and(|run| run.status.is_terminal());
        self.asked.retain(|effect| laws::is_owed(effect, |id| !is_over(id)));
        for (_, lane) in self.pipelines.values() {
            if let Err(broken) = laws::of_owed(lane, |id| self.executions.contains_key(id)) {
                panic!("a law is broken: {broken}");
            }
        }
        for (id, run) in &self.executions {
            let Some(start) = &run.start else { continue };
            let Some((pipeline, lane)) = self.pipelines.get(&start.pipeline) else { continue };
            let heard = laws::Heard {
                lost: pipeline.incarnation != start.incarnation,
                pending: self.messages.iter().any(|message| message.execution.as_ref() == Some(id)),
            };
            let checked = laws::of_agreement(lane, id, run, heard)
                .and_then(|()| laws::of_conditions(id, run))
                .and_then(|()| laws::of_resume(id, run, &self.asked));
            if let Err(broken) = checked {
                panic!("a law is broken: {broken}");
            }
        }
    }
}

/// Commands, spelled short. Those named `when_` answer with what happened; the others must be accepted.
impl World {
    /// Creates the pipeline; later commands are about it.
    #[track_caller]
    pub fn when_created(&mut self, pipeline: PipelineBuilder) -> Outcome {
        let definition = pipeline.build();
        self.name = definition.name.clone();
        let wish = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
        self.send(None, wish)
    }

    /// Declares the next version.
    #[track_caller]
    pub fn when_updated(&mut self, pipeline: PipelineBuilder) -> Outcome {
        self.send(None, Wish::UpdatePipeline { definition: Box::new(pipeline.build()) })
    }

    /// Deletes the pipeline.
    #[track_caller]
    pub fn when_deleted(&mut self) -> Outcome {
        self.send(None, Wish::DeletePipeline)
    }

    /// Starts a run.
    #[track_caller]
    pub fn when_started(&mut self, execution: &str) -> Outcome {
        self.when_started_with(execution, &[], &[])
    }

    /// Starts a run with variables, and revisions by source action.
    #[track_caller]
    pub fn when_started_with(
        &mut self,
        execution: &str,
        variables: &[(&str, &str)],
        revisions: &[(&str, &str)],
    ) -> Outcome {
        let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: self.actor.clone() };
        let revision = |(name, value): &(&str, &str)| (parsed(ActionName::parse(*name)), (*value).to_owned());
        let wish = Wish::StartExecution {
            trigger,
            variables: owned(variables),
            revisions: revisions.iter().map(revision).collect(),
        };
        self.send(Some(execution), wish)
    }

    /// Starts a run.
    #[track_caller]
    pub fn start(&mut self, execution: &str) {
        self.when_started(execution).accepted();
    }

    /// Reports success of the action's attempt under way, or of its last one.
    #[track_caller]
    pub fn when_succeeds(&mut self, execution: &str, action: &str) -> Outcome {
        self.when_succeeds_with(execution, action, &[])
    }

    /// Reports success with output variables; a source also reports the revision `rev-<execution>`.
    #[track_caller]
    pub fn when_succeeds_with(
        &mut self,
        execution: &str,
        action: &str,
        variables: &[(&str, &str)],
    ) -> Outcome {
        let attempt = self.attempt_of(execution, action);
        let known = self.attempt(execution, action);
        let is_source = known.action_type.category == events::ActionCategory::Source;
        let revision = is_source.then(|| SourceRevision {
            action: known.action.clone(),
            revision_id: format!("rev-{execution}"),
            summary: None,
            url: None,
            change_id: None,
            created: None,
        });
        let result = ActionResult::Succeeded {
            output_variables: owned(variables),
            revision,
            mocked: false,
            details: Details::default(),
        };
        self.when_reported(execution, attempt, result)
    }

    /// Reports success; it must be accepted.
    #[track_caller]
    pub fn succeed(&mut self, execution: &str, action: &str) {
        self.when_succeeds(execution, action).accepted();
    }

    /// Reports failure of the action's attempt under way, or of its last one.
    #[track_caller]
    pub fn when_fails(&mut self, execution: &str, action: &str) -> Outcome {
        let attempt = self.attempt_of(execution, action);
        let result = ActionResult::Failed {
            code: FailureCode::JobFailed,
            message: "exit status 1".to_owned(),
            details: Details::default(),
        };
        self.when_reported(execution, attempt, result)
    }

    /// Reports failure; it must be accepted.
    #[track_caller]
    pub fn fail(&mut self, execution: &str, action: &str) {
        self.when_fails(execution, action).accepted();
    }

    /// Reports any result of any attempt.
    #[track_caller]
    pub fn when_reported(&mut self, execution: &str, attempt: Attempt, result: ActionResult) -> Outcome {
        self.send(Some(execution), Wish::RecordActionResult { attempt, result })
    }

    /// Wishes something of the newest attempt's job.
    #[track_caller]
    pub fn when_job(&mut self, execution: &str, action: &str, wish: JobWish) -> Outcome {
        let attempt = self.attempt_of(execution, action).action_execution;
        self.send(Some(execution), Wish::OnJob { attempt, wish })
    }

    /// Stops a run, letting running actions end.
    #[track_caller]
    pub fn when_stopped(&mut self, execution: &str) -> Outcome {
        let reason = Some("enough".to_owned());
        self.send(Some(execution), Wish::StopExecution { abandon: false, reason })
    }

    /// Stops a run, giving up running actions.
    #[track_caller]
    pub fn when_abandoned(&mut self, execution: &str) -> Outcome {
        self.send(Some(execution), Wish::StopExecution { abandon: true, reason: None })
    }

    /// Retries what failed.
    #[track_caller]
    pub fn when_retried(&mut self, execution: &str, stage: &str) -> Outcome {
        let wish = Wish::RetryStage { stage: stage_name(stage), mode: StageRetryMode::FailedActions };
        self.send(Some(execution), wish)
    }

    /// Retries a whole stage.
    #[track_caller]
    pub fn when_retried_all(&mut self, execution: &str, stage: &str) -> Outcome {
        let wish = Wish::RetryStage { stage: stage_name(stage), mode: StageRetryMode::AllActions };
        self.send(Some(execution), wish)
    }

    /// Rolls a stage back: a new run goes back to what an earlier one had.
    #[track_caller]
    pub fn when_rolled_back(&mut self, execution: &str, stage: &str, target: &str) -> Outcome {
        let (stage, target) = (stage_name(stage), execution_id(target));
        let past = self.past(&target, &stage);
        self.send(Some(execution), Wish::RollbackStage { stage, target, past })
    }

    /// Asks again for what the lane owes, as after a crash.
    #[track_caller]
    pub fn when_lane_resumed(&mut self) -> Outcome {
        let effects = react::resume_lane(&self.name, self.lane());
        self.perform(effects);
        let lines = self.deliver();
        self.check_agreement();
        Outcome { command: "resume", result: Ok(lines) }
    }

    /// Answers an approval with its own token.
    #[track_caller]
    pub fn when_answered(&mut self, execution: &str, action: &str, approved: bool) -> Outcome {
        let token = self.attempt(execution, action).token.clone().unwrap_or_default();
        let stage = self.attempt_of(execution, action).stage;
        self.when_answered_with(execution, stage.as_str(), action, &token, approved)
    }

    /// Answers an approval with any token.
    #[track_caller]
    pub fn when_answered_with(
        &mut self,
        execution: &str,
        stage: &str,
        action: &str,
        token: &str,
        approved: bool,
    ) -> Outcome {
        let wish = Wish::RecordApproval {
            stage: stage_name(stage),
            action: parsed(ActionName::parse(action)),
            token: token.to_owned(),
            approved,
            summary: "seen".to_owned(),
        };
        self.send(Some(execution), wish)
    }

    /// Closes a stage's inbound transition.
    #[track_caller]
    pub fn when_disabled(&mut self, stage: &str) -> Outcome {
        let wish = Wish::DisableTransition { stage: stage_name(stage), reason: "freeze".to_owned() };
        self.send(None, wish)
    }

    /// Opens it.
    #[track_caller]
    pub fn when_enabled(&mut self, stage: &str) -> Outcome {
        self.send(None, Wish::EnableTransition { stage: stage_name(stage) })
    }

    /// Tells a run to bring itself in line with its lane.
    #[track_caller]
    pub fn when_settled(&mut self, execution: &str) -> Outcome {
        self.send(Some(execution), Wish::Settle)
    }
}

/// Looking at the states.
impl World {
    /// Every run there ever was.
    pub fn runs(&self) -> Vec<String> {
        self.executions.keys().map(ToString::to_string).collect()
    }

    /// The run was started.
    #[track_caller]
    pub fn exists(&self, execution: &str) -> bool {
        self.executions.contains_key(&execution_id(execution))
    }

    /// What the world was told of a run, in order.
    pub fn told(&self, execution: &str) -> Vec<&StateChange> {
        let told = self.told.iter().filter(|(id, _)| id.as_str() == execution);
        told.map(|(_, change)| &**change).collect()
    }

    /// What happened to a run, oldest first, each with its time.
    #[track_caller]
    pub fn events(&self, execution: &str) -> &[(Timestamp, ExecutionEvent)] {
        match self.events.get(&execution_id(execution)) {
            Some(events) => events,
            None => panic!("nothing happened to `{execution}`"),
        }
    }

    /// What is remembered of a run between the changes that are told.
    #[track_caller]
    pub fn course(&self, execution: &str) -> &Course {
        match self.courses.get(&execution_id(execution)) {
            Some((_, course)) => course,
            None => panic!("nothing was told of `{execution}`"),
        }
    }

    /// A run's state.
    #[track_caller]
    pub fn run(&self, execution: &str) -> &Execution {
        match self.executions.get(&execution_id(execution)) {
            Some(run) => run,
            None => panic!("there is no run `{execution}`"),
        }
    }

    /// A run's status.
    #[track_caller]
    pub fn status(&self, execution: &str) -> ExecutionStatus {
        self.run(execution).status
    }

    /// The status of a stage of a run; `None` when it was not entered.
    #[track_caller]
    pub fn stage_status(&self, execution: &str, stage: &str) -> Option<StageStatus> {
        self.run(execution).stage(&stage_name(stage)).map(|run| run.status)
    }

    /// The status of the newest attempt at an action.
    #[track_caller]
    pub fn action_status(&self, execution: &str, action: &str) -> ActionStatus {
        self.attempt(execution, action).status
    }

    /// Every attempt at an action, oldest first.
    #[track_caller]
    pub fn attempts(&self, execution: &str, action: &str) -> Vec<&AttemptRun> {
        let stages = self.run(execution).stages.iter();
        stages.flat_map(|stage| &stage.attempts).filter(|run| run.action.as_str() == action).collect()
    }

    /// The newest attempt at an action.
    #[track_caller]
    pub fn attempt(&self, execution: &str, action: &str) -> &AttemptRun {
        match self.attempts(execution, action).pop() {
            Some(attempt) => attempt,
            None => panic!("`{action}` was never started in `{execution}`: {:#?}", self.run(execution)),
        }
    }

    /// What a provider would report the newest attempt at an action with.
    #[track_caller]
    pub fn attempt_of(&self, execution: &str, action: &str) -> Attempt {
        let attempt = self.attempt(execution, action);
        let stages = &self.run(execution).stages;
        let stage = stages.iter().find(|stage| {
            stage.attempts.iter().any(|other| other.action_execution == attempt.action_execution)
        });
        match stage {
            Some(stage) => Attempt {
                stage: stage.stage.clone(),
                action: attempt.action.clone(),
                action_execution: attempt.action_execution.clone(),
                entry: attempt.entry,
            },
            None => panic!("an attempt belongs to a stage"),
        }
    }

    /// The lane of the pipeline that commands are about.
    pub fn lane(&self) -> &Lane {
        match self.pipelines.get(&self.name) {
            Some((_, lane)) => lane,
            None => panic!("there never was a pipeline `{}`", self.name),
        }
    }

    /// The run that rolls back what this one failed in, started or owed; `None` when there is none.
    pub fn rollback_of(&self, failed: &str) -> Option<String> {
        let owed = self.lane().rollbacks.iter().find(|(_, owed)| owed.failed.as_str() == failed);
        let started = self.executions.iter().find(|(_, run)| {
            run.start.as_ref().is_some_and(|start| {
                start.trigger.kind == TriggerType::AutomatedRollback && start.trigger.detail == failed
            })
        });
        owed.map(|(id, _)| id).or(started.map(|(id, _)| id)).map(ToString::to_string)
    }

    /// Who holds a stage.
    #[track_caller]
    pub fn holders(&self, stage: &str) -> Vec<&str> {
        let traffic = self.lane().stages.get(&stage_name(stage));
        traffic
            .map_or(Vec::new(), |traffic| traffic.held.iter().map(|hold| hold.execution.as_str()).collect())
    }

    /// Who waits at a stage's door, in order.
    #[track_caller]
    pub fn waiters(&self, stage: &str) -> Vec<&str> {
        let traffic = self.lane().stages.get(&stage_name(stage));
        traffic.map_or(Vec::new(), |traffic| {
            traffic.waiting.iter().map(|waiter| waiter.execution.as_str()).collect()
        })
    }

    /// The definitions of the pipeline that commands are about.
    pub fn pipeline(&self) -> &Pipeline {
        match self.pipelines.get(&self.name) {
            Some((pipeline, _)) => pipeline,
            None => panic!("there never was a pipeline `{}`", self.name),
        }
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
