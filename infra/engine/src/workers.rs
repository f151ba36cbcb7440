//! Work that nobody here does: it is offered as a job to workers that ask. See `spec/api.md`, section 2.5.

use crate::{
    Engine,
    action::{ActionJob, Failure, FailureCode, Outcome},
    job,
    log::{Log, LogError},
    ports::Actions,
    transact::{Envelope, TransactError},
};
use domain::{
    catalogue::custom::ActionTypes,
    command::{Attempt, Command, JobWish, Wish},
    limits,
};
use events::{AccountId, ActionOwner, CommandId, ExecutionId, PipelineName};
use std::sync::Arc;

impl<L: Log, A: Actions> Engine<L, A> {
    /// The custom types of this account and the updates of registered ones, as durable.
    pub async fn action_types(&self) -> Result<Arc<ActionTypes>, LogError> {
        let Some(account) = self.account_id() else { return Ok(Arc::default()) };
        self.single_at::<ActionTypes>(&account).await.map(|(state, _)| state)
    }

    /// The account as a name of a stream. `None` where none was given, as when a pipeline runs from its file.
    pub fn account_id(&self) -> Option<AccountId> {
        AccountId::parse(self.account()).ok()
    }

    /// The job of an attempt, whether it is under way or has ended; `None` when its definition is gone.
    pub async fn job_of(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        attempt: &Attempt,
    ) -> Result<Option<ActionJob>, LogError> {
        let (definitions, state) = self.as_known(pipeline, execution).await?;
        let definition = state.start.as_ref().and_then(|start| definitions.followed_by(start));
        Ok(definition.and_then(|definition| {
            job::job(&job::Place { pipeline, execution, attempt }, &state, definition, false)
        }))
    }

    /// Offers a job to workers. `Some` is the outcome of a job that no worker can ask for.
    pub(crate) async fn offer(
        &self,
        attempt: &Attempt,
        job: &ActionJob,
    ) -> Result<Option<Outcome>, TransactError> {
        let query = match self.query_value(job).await? {
            Ok(query) => query,
            Err(failure) => return Ok(Some(Outcome::Failed(failure))),
        };
        let id = CommandId::parse(format!("job#{}", attempt.action_execution))
            .expect("`job#` and a UUID are within a command id's letters and length");
        let wish = JobWish::Queue { query };
        let command = Command {
            pipeline: job.pipeline.clone(),
            execution: Some(job.execution.clone()),
            wish: Wish::OnJob { attempt: attempt.action_execution.clone(), wish },
        };
        let envelope = Envelope { id, actor: "towpath:engine".into(), command, once: None };
        self.insist(&envelope).await?;
        Ok(None)
    }

    /// The value a job is asked for by, if its type has a queryable property. A type that is gone fails the action.
    async fn query_value(&self, job: &ActionJob) -> Result<Result<Option<String>, Failure>, LogError> {
        // A partner's jobs are asked for by their type alone.
        if job.action_type.owner != ActionOwner::Custom {
            return Ok(Ok(None));
        }
        let failure = |message| Failure::new(FailureCode::ConfigurationError, message);
        let types = self.action_types().await?;
        let Some(known) = types.custom(&job.action_type) else {
            return Ok(Err(failure(format!(
                "The custom action type {} does not exist any more: create it again, or give the action another type.",
                job.action_type
            ))));
        };
        let action_type = known.definition.action_type();
        let Some(name) = action_type.queryable() else { return Ok(Ok(None)) };
        let value = job.configuration.get(name).map_or("", String::as_str);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let fits = (1..=limits::QUERY_VALUE_CHARS_MAX).contains(&value.len()) && value.chars().all(plain);
        Ok(match fits {
            true => Ok(Some(value.to_owned())),
            false => Err(failure(format!(
                "The configuration value `{name}` is what workers ask by; it must have 1 to {} letters, digits, `-` or `_`: `{value}`.",
                limits::QUERY_VALUE_CHARS_MAX
            ))),
        })
    }
}
