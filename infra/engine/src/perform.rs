//! Carrying out effects. Each may be carried out twice: the result of an attempt is recorded once, whoever
//! reports it.

use crate::{
    Engine,
    action::{ActionJob, Failure, Outcome, Success},
    job,
    log::{Log, LogError},
    ports::Actions,
    transact::{Envelope, TransactError},
};
use domain::{
    Effect,
    command::{ActionResult, Attempt, Command, Details, Wish},
    execution::{ActionStatus, rollback::Past},
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
                    let engine = self.clone();
                    tokio::spawn(
                        async move { engine.run_action(pipeline, execution, attempt, resumed).await },
                    );
                }
                Effect::CancelAction { attempt } => self.actions().cancel(&attempt.action_execution),
                Effect::ClearTimer { action_execution } => self.timers().clear(&action_execution),
                Effect::SetTimer { pipeline, execution, attempt, at } => {
                    let id = attempt.action_execution.clone();
                    let wish = Wish::ExpireAction { attempt };
                    self.timers().set(&id, at, Command { pipeline, execution: Some(execution), wish });
                }
                Effect::StartRollback { pipeline, execution, stage, target } => {
                    let engine = self.clone();
                    tokio::spawn(
                        async move { engine.start_rollback(pipeline, execution, stage, target).await },
                    );
                }
                Effect::Tell(command) => self.tell(*command),
            }
        }
    }

    /// Sends a command of the system's own, and says so in the log when it fails.
    pub fn tell(&self, command: Command) {
        let engine = self.clone();
        tokio::spawn(async move {
            let name = command.name();
            let pipeline = command.pipeline.clone();
            let envelope = Envelope {
                id: engine.fresh_command_id(),
                actor: "towpath:engine".into(),
                command,
                once: None,
            };
            match engine.insist(envelope).await {
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

    async fn run_action(
        &self,
        pipeline: PipelineName,
        execution: ExecutionId,
        attempt: Attempt,
        resumed: bool,
    ) {
        let job = match self.job(&pipeline, &execution, &attempt, resumed).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => {
                self.give_up("an action could not be started", &error);
                return;
            }
        };
        let outcome = if self.actions().leaves_to_workers(&job.action_type) {
            match self.offer(&attempt, &job).await {
                Ok(outcome) => outcome,
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
            self.actions().run(job).await
        };
        let Some(outcome) = outcome else { return };
        let id = CommandId::parse(format!("result#{}", attempt.action_execution))
            .expect("`result#` and a UUID are within a command id's letters and length");
        let wish = Wish::RecordActionResult { attempt, result: result(outcome) };
        let command = Command { pipeline, execution: Some(execution.clone()), wish };
        let envelope = Envelope { id, actor: "towpath:runner".into(), command, once: None };
        match self.insist(envelope).await {
            Ok(()) => {}
            // Deleted meanwhile: nobody waits for this result.
            Err(TransactError::Rejected(rejection)) => {
                tracing::info!(%execution, %rejection, "a result was not taken");
            }
            Err(error) => {
                self.give_up("a result could not be recorded, so its action will run again", &error);
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
        let definitions = self.pipeline(pipeline).await?;
        let state = self.execution(execution).await?;
        let Some((_, run)) = state.attempt(&attempt.action_execution) else { return Ok(None) };
        let Some(start) = &state.start else { return Ok(None) };
        if run.status != ActionStatus::InProgress || start.incarnation != definitions.incarnation {
            return Ok(None);
        }
        let definition = definitions.definition(start.pipeline_version);
        Ok(definition.and_then(|definition| {
            job::job(&job::Place { pipeline, execution, attempt }, &state, definition, resumed)
        }))
    }

    /// Sends a command until the log answers, for a bounded time.
    pub(crate) async fn insist(&self, envelope: Envelope) -> Result<(), TransactError> {
        for attempt in 1.. {
            match self.transact(envelope.clone()).await {
                Ok(_) => {
                    // An attempt without an answer may have been written, and then nobody acted on it. A run that
                    // is owed would not be missed by anyone else before the next start.
                    if attempt > 1 {
                        self.resume_lane(&envelope.command.pipeline).await?;
                    }
                    return Ok(());
                }
                Err(rejected @ TransactError::Rejected(_)) => return Err(rejected),
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
fn pause(attempt: u32) -> Duration {
    Duration::from_millis(50).saturating_mul(1 << (attempt - 1).min(16)).min(RECORD_PAUSE_MAX)
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
