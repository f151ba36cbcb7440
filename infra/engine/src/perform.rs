//! Carrying out effects. Each may be carried out twice: the result of an attempt is recorded once, whoever
//! reports it.

use crate::{
    Engine,
    action::{ActionJob, Begun, Failure, Outcome, Run, Success},
    busy::{Hand, InHand},
    job,
    log::{Log, LogError},
    ports::Actions,
    rule::{RuleJob, RuleOutcome, RuleSuccess},
    transact::{Envelope, TransactError},
};
use domain::{
    Effect,
    command::{ActionResult, Attempt, Command, Details, RuleAttempt, RuleResult, Wish},
    execution::{ActionStatus, rollback::Past},
    fault,
};
use events::{CommandId, ExecutionId, PipelineName, StageName};
use std::time::Duration;

/// How often a result is offered to a log that does not answer, before it is left to the next start to have the
/// action carried out again.
pub const RECORD_ATTEMPTS_MAX: u32 = 10;
/// The longest pause between two such attempts.
const RECORD_PAUSE_MAX: Duration = Duration::from_secs(10);

impl<L: Log, A: Actions> Engine<L, A> {
    /// Carries effects out, each on its own.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::RunAction { pipeline, execution, attempt, resumed } => {
                    self.set_out(|engine| async move {
                        engine.run_action(pipeline, execution, attempt, resumed).await;
                    });
                }
                Effect::CancelAction { pipeline, execution, attempt } => {
                    self.call_off(&attempt.action_execution);
                    self.set_out(|engine| async move {
                        engine.stop_action(&pipeline, &execution, &attempt).await;
                    });
                }
                Effect::ClearTimer { action_execution } => self.timers().clear(&action_execution),
                Effect::SetTimer { pipeline, execution, attempt, at } => {
                    let id = attempt.action_execution.clone();
                    let wish = Wish::ExpireAction { attempt };
                    self.timers().set(&id, at, Command { pipeline, execution: Some(execution), wish });
                }
                Effect::RunRule { pipeline, execution, attempt, resumed } => {
                    self.set_out(|engine| async move {
                        engine.run_rule(pipeline, execution, attempt, resumed).await;
                    });
                }
                Effect::CancelRule { pipeline, execution, rule_execution } => {
                    self.call_off(&(&rule_execution).into());
                    self.set_out(|engine| async move {
                        engine.stop_rule(&pipeline, &execution, &rule_execution).await;
                    });
                }
                Effect::ClearRuleTimer { rule_execution } => self.timers().clear(&(&rule_execution).into()),
                Effect::SetRuleTimer { pipeline, execution, attempt, at } => {
                    let id = (&attempt.rule_execution).into();
                    let wish = Wish::ExpireRule { attempt };
                    self.timers().set(&id, at, Command { pipeline, execution: Some(execution), wish });
                }
                Effect::StartRollback { pipeline, execution, stage, target } => {
                    self.set_out(|engine| async move {
                        engine.start_rollback(pipeline, execution, stage, target).await;
                    });
                }
                Effect::Tell(command) => self.tell(*command),
            }
        }
    }

    /// Sends a command of the system's own, and says so in the log when it fails.
    pub fn tell(&self, command: Command) {
        self.set_out(|engine| async move {
            let name = command.name();
            let pipeline = command.pipeline.clone();
            let envelope = Envelope {
                id: engine.fresh_command_id(),
                actor: "towpath:engine".into(),
                command,
                once: None,
            };
            match engine.insist(&envelope).await {
                Ok(()) => {}
                Err(TransactError::Rejected(rejection)) => {
                    tracing::debug!(%pipeline, command = name, %rejection, "a command of the system was refused");
                }
                Err(error) => engine.give_up("a run could not be brought in line with its pipeline", &error),
            }
        });
    }

    /// Looks up what the target had, and has the run start with it.
    async fn start_rollback(
        &self,
        pipeline: PipelineName,
        execution: ExecutionId,
        stage: StageName,
        target: ExecutionId,
    ) {
        let mut attempt = 1;
        let known = loop {
            match self.execution(&target).await {
                Ok(run) => break run,
                Err(error) if attempt >= RECORD_ATTEMPTS_MAX => {
                    self.give_up("a rollback could not be started", &error);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%target, %error, "trying again to read what a rollback goes back to");
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
            }
        };
        let past = Past::of(&known, &stage).map(Box::new);
        self.tell(Command { pipeline, execution: Some(execution), wish: Wish::StartRollback { past } });
    }

    /// Works at an attempt, once at a time: whoever has it in hand looks again when somebody asked meanwhile.
    async fn run_action(
        &self,
        pipeline: PipelineName,
        execution: ExecutionId,
        attempt: Attempt,
        mut resumed: bool,
    ) {
        let among = if fault!(BegunTwice) { &InHand::default() } else { self.in_hand() };
        let mut hand = among.take(&attempt.action_execution);
        while let Some(held) = hand {
            self.work_at_action(pipeline.clone(), execution.clone(), attempt.clone(), resumed, &held).await;
            hand = held.let_go();
            resumed = true;
        }
    }

    async fn work_at_action(
        &self,
        pipeline: PipelineName,
        execution: ExecutionId,
        attempt: Attempt,
        resumed: bool,
        hand: &Hand,
    ) {
        let job = match self.job(&pipeline, &execution, &attempt, resumed).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => {
                self.give_up("an action could not be started", &error);
                return;
            }
        };
        let run = if self.actions().leaves_to_workers(&job.action_type) {
            match self.offer(&attempt, &job).await {
                Ok(Some(outcome)) => Run::Ended(outcome),
                Ok(None) => Run::Elsewhere,
                // Deleted meanwhile: nobody shall do this work.
                Err(TransactError::Rejected(rejection)) => {
                    tracing::info!(%execution, %rejection, "a job was not queued");
                    return;
                }
                Err(error) => {
                    self.give_up("a job could not be offered to workers", &error);
                    return;
                }
            }
        } else {
            // On the heap, where it is not moved: what an adapter keeps while it works is large.
            self.unless_called_off(hand, Box::pin(self.actions().run(job))).await
        };
        let (id, wish) = match run {
            Run::Ended(outcome) => (
                format!("result#{}", attempt.action_execution),
                Wish::RecordActionResult { attempt, result: result(outcome) },
            ),
            Run::Begun(_) if fault!(ProgressForgotten) => return,
            Run::Begun(begun) => (
                format!("begun#{}", attempt.action_execution),
                Wish::NoteActionProgress { attempt, details: details(begun) },
            ),
            Run::Elsewhere => return,
        };
        self.record_result(id, pipeline, execution, wish).await;
    }

    async fn run_rule(
        &self,
        pipeline: PipelineName,
        execution: ExecutionId,
        attempt: RuleAttempt,
        mut resumed: bool,
    ) {
        let mut hand = self.in_hand().take(&(&attempt.rule_execution).into());
        while let Some(held) = hand {
            self.work_at_rule(pipeline.clone(), execution.clone(), attempt.clone(), resumed, &held).await;
            hand = held.let_go();
            resumed = true;
        }
    }

    async fn work_at_rule(
        &self,
        pipeline: PipelineName,
        execution: ExecutionId,
        attempt: RuleAttempt,
        resumed: bool,
        hand: &Hand,
    ) {
        let job = match self.rule_job(&pipeline, &execution, &attempt, resumed).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => {
                self.give_up("a rule could not be started", &error);
                return;
            }
        };
        let run = self.unless_called_off(hand, Box::pin(self.actions().run_rule(job))).await;
        let (id, wish) = match run {
            Run::Ended(outcome) => (
                format!("result#{}", attempt.rule_execution),
                Wish::RecordRuleResult { attempt, result: rule_result(outcome) },
            ),
            Run::Begun(begun) => (
                format!("begun#{}", attempt.rule_execution),
                Wish::NoteRuleProgress { attempt, details: details(begun) },
            ),
            Run::Elsewhere => return,
        };
        self.record_result(id, pipeline, execution, wish).await;
    }

    /// Has something done that nobody waits for, but [`Engine::quiet`].
    pub(crate) fn set_out<W: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Self) -> W) {
        let underway = self.0.busy.enter();
        // On the heap at once: until it runs, a task is moved ten times.
        let work = Box::pin(work(self.clone()));
        tokio::spawn(async move {
            work.await;
            drop(underway);
        });
    }

    /// Waits until everything this engine has set out to do has come to its end: also what followed from it. Work that
    /// goes on at a provider is not waited for. A process that may be frozen once it has answered waits for this first.
    pub async fn quiet(&self) {
        self.0.busy.quiet().await;
    }

    /// Sends a result until it is durable.
    async fn record_result(&self, id: String, pipeline: PipelineName, execution: ExecutionId, wish: Wish) {
        let id =
            CommandId::parse(id).expect("`result#` and a UUID are within a command id's letters and length");
        let command = Command { pipeline, execution: Some(execution.clone()), wish };
        let envelope = Envelope { id, actor: "towpath:runner".into(), command, once: None };
        match self.insist(&envelope).await {
            Ok(()) => {}
            // Deleted meanwhile: nobody waits for this result.
            Err(TransactError::Rejected(rejection)) => {
                tracing::info!(%execution, %rejection, "a result was not taken");
            }
            Err(error) => {
                self.give_up("a result could not be recorded, so its work will be taken up again", &error);
            }
        }
    }

    /// The job of an attempt, if it is still under way.
    async fn job(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        attempt: &Attempt,
        resumed: bool,
    ) -> Result<Option<ActionJob>, LogError> {
        let (definitions, state) = self.as_known(pipeline, execution).await?;
        let Some((_, run)) = state.attempt(&attempt.action_execution) else { return Ok(None) };
        let Some(start) = &state.start else { return Ok(None) };
        let definition = definitions.followed_by(start).filter(|_| run.status == ActionStatus::InProgress);
        Ok(definition.and_then(|definition| {
            job::job(&job::Place { pipeline, execution, attempt }, &state, definition, resumed)
        }))
    }

    /// The job of an attempt at a rule, if it is still under way.
    async fn rule_job(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        attempt: &RuleAttempt,
        resumed: bool,
    ) -> Result<Option<RuleJob>, LogError> {
        let (definitions, state) = self.as_known(pipeline, execution).await?;
        let Some((_, _, run)) = state.rule(&attempt.rule_execution) else { return Ok(None) };
        let Some(start) = &state.start else { return Ok(None) };
        let definition = definitions.followed_by(start).filter(|_| run.status == ActionStatus::InProgress);
        Ok(definition
            .and_then(|definition| job::rule_job(pipeline, execution, attempt, &state, definition, resumed)))
    }

    /// Sends a command until the log answers, for a bounded time. Only for work that was set out, which is dropped by
    /// nobody before its end.
    pub(crate) async fn insist(&self, envelope: &Envelope) -> Result<(), TransactError> {
        for attempt in 1.. {
            match Box::pin(self.attempts(envelope)).await {
                // Whatever came of the attempts before: see `lost`.
                Ok(_) => return Ok(()),
                // Again would be the same.
                Err(error @ (TransactError::Rejected(_) | TransactError::Log(LogError::TooLarge { .. }))) => {
                    return Err(error);
                }
                Err(error @ (TransactError::Log(_) | TransactError::Busy { .. })) => {
                    if attempt >= RECORD_ATTEMPTS_MAX {
                        return Err(error);
                    }
                    tracing::warn!(command = envelope.command.name(), %error, "trying again");
                    tokio::time::sleep(pause(attempt)).await;
                }
            }
        }
        Ok(())
    }
}

/// How long to wait after so many attempts: twice as long each time.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(50).saturating_mul(1 << (attempt - 1).min(16)).min(RECORD_PAUSE_MAX)
}

fn details(begun: Begun) -> Details {
    let Begun { external_execution_id, external_execution_url, summary } = begun;
    let external_execution_id = Some(external_execution_id);
    Details { summary, external_execution_id, external_execution_url, percent_complete: None }
}

fn result(outcome: Outcome) -> ActionResult {
    match outcome {
        Outcome::Succeeded(success) => {
            let Success {
                output_variables,
                summary,
                external_execution_id,
                external_execution_url,
                revision,
                mocked,
            } = success;
            let details =
                Details { summary, external_execution_id, external_execution_url, percent_complete: None };
            ActionResult::Succeeded { output_variables, revision, mocked, details }
        }
        Outcome::Failed(failure) => {
            let Failure { code, message, summary, external_execution_id, external_execution_url } = failure;
            let details =
                Details { summary, external_execution_id, external_execution_url, percent_complete: None };
            ActionResult::Failed { code, message, details }
        }
    }
}

fn rule_result(outcome: RuleOutcome) -> RuleResult {
    match outcome {
        RuleOutcome::Succeeded(success) => {
            let RuleSuccess { summary, external_execution_id, external_execution_url, mocked } = success;
            let details =
                Details { summary, external_execution_id, external_execution_url, ..Details::default() };
            RuleResult::Succeeded { mocked, details }
        }
        RuleOutcome::Failed(failure) => {
            let Failure { code, message, summary, external_execution_id, external_execution_url } = failure;
            let details =
                Details { summary, external_execution_id, external_execution_url, ..Details::default() };
            RuleResult::Failed { code, message, details }
        }
    }
}
