//! Jobs of custom action types: workers poll, acknowledge, and report. See `spec/api.md`, section 2.5.

use super::{
    action_types::{links, not_found, type_id},
    job_data,
};
use crate::{Caller, Home, exceptions};
use api::{ApiError, ApiException, NoOutput, model};
use domain::{
    Rejection,
    catalogue::custom::link,
    command::{ActionResult, Command, Details, JobWish, Wish},
    execution::job::{JobStatus, is_function},
    limits,
    pipeline::variables,
    views::jobs::{JOBS, JobPlace, WaitingJob, waiting_partition},
};
use engine::{
    transact::{Done, Envelope, TransactError},
    views::Views,
};
use events::{ActionOwner, ActionTypeId, FailureCode, JobId, SourceRevision, Timestamp};
use std::collections::BTreeMap;

/// Rows of waiting jobs read at a time.
const PAGE_ROWS: usize = 100;
/// Rows of waiting jobs looked at by one poll, most: the rest was handed out a moment ago, or waits for the next one.
const SCAN_ROWS_MAX: usize = 1_000;

/// Hands out jobs of a custom type.
pub(super) async fn poll<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PollForJobsInput,
) -> Result<model::PollForJobsOutput, ApiError> {
    let id = type_id(&input.action_type_id)?;
    if id.owner != ActionOwner::Custom {
        return Err(ApiError::validation(format!(
            "PollForJobs serves action types of the owner Custom, found: {:?}",
            id.owner
        )));
    }
    let types = home.engine().action_types().await.map_err(exceptions::unavailable)?;
    let known = types.custom(&id).ok_or_else(|| not_found(home, &id))?.definition.action_type();
    let query = query(known.queryable(), input.query_param.unwrap_or_default())?;
    let handed = hand_out(home, caller, &id, query.as_deref(), batch(input.max_batch_size)).await?;
    let account = home.engine().account();
    let jobs = handed.into_iter().map(|handed| model::Job {
        id: Some(handed.job.to_string()),
        data: Some(handed.data),
        nonce: Some(handed.nonce),
        account_id: Some(account.to_owned()),
    });
    Ok(model::PollForJobsOutput { jobs: Some(jobs.collect()) })
}

/// Gives a job to the worker that shows its nonce.
pub(super) async fn acknowledge<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::AcknowledgeJobInput,
) -> Result<model::AcknowledgeJobOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, is_custom).await?;
    let status = take(home, caller, &place, job, input.nonce).await?;
    Ok(model::AcknowledgeJobOutput { status: Some(status) })
}

/// What a worker is told of its job, with fresh credentials.
pub(super) async fn details<H: Home>(
    home: &H,
    input: model::GetJobDetailsInput,
) -> Result<model::GetJobDetailsOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, |id| is_custom(id) || is_function(id)).await?;
    let data = job_data::data(home, &place, &job).await?.ok_or_else(|| no_job(home, &job))?;
    Ok(model::GetJobDetailsOutput {
        job_details: Some(model::JobDetails {
            id: Some(job.to_string()),
            data: Some(data),
            account_id: Some(home.engine().account().to_owned()),
        }),
    })
}

/// Ends a job well, or lets its work go on in another.
pub(super) async fn succeed<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutJobSuccessResultInput,
) -> Result<NoOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, |id| is_custom(id) || is_function(id)).await?;
    let success = Success {
        current_revision: input.current_revision,
        continuation_token: input.continuation_token,
        execution_details: input.execution_details,
        output_variables: input.output_variables.unwrap_or_default(),
    };
    report_success(home, caller, &place, job, success).await
}

/// Ends a job badly.
pub(super) async fn fail<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutJobFailureResultInput,
) -> Result<NoOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, |id| is_custom(id) || is_function(id)).await?;
    report_failure(home, caller, &place, job, input.failure_details).await
}

/// A job that was handed to whoever asked.
pub(super) struct Handed {
    pub(super) job: JobId,
    pub(super) nonce: String,
    pub(super) data: model::JobData,
}

/// Hands out jobs that wait, the oldest first.
pub(super) async fn hand_out<H: Home>(
    home: &H,
    caller: &Caller,
    action_type: &ActionTypeId,
    query: Option<&str>,
    jobs_max: usize,
) -> Result<Vec<Handed>, ApiError> {
    let partition = waiting_partition(action_type, query);
    let mut handed = Vec::new();
    let mut after: Option<String> = None;
    let mut scanned = 0;
    while handed.len() < jobs_max && scanned < SCAN_ROWS_MAX {
        let rows = home
            .views()
            .page(&partition, after.as_deref(), PAGE_ROWS, false)
            .await
            .map_err(|error| exceptions::no_views(&error))?;
        let Some(last) = rows.last() else { break };
        after = Some(last.q.clone());
        scanned += rows.len();
        let is_last = rows.len() < PAGE_ROWS;
        let waiting = rows.into_iter().filter_map(|row| serde_json::from_str(&row.body?).ok());
        for waiting in waiting {
            if handed.len() == jobs_max {
                break;
            }
            handed.extend(hand(home, caller, waiting).await?);
        }
        if is_last {
            break;
        }
    }
    Ok(handed)
}

/// Hands out one job, unless somebody else has it.
async fn hand<H: Home>(home: &H, caller: &Caller, waiting: WaitingJob) -> Result<Option<Handed>, ApiError> {
    let WaitingJob { job, place, offered_from } = waiting;
    if home.engine().clock().now() < offered_from {
        return Ok(None);
    }
    // Read first: what cannot be told must not be kept from others for a minute.
    let Some(data) = job_data::data(home, &place, &job).await? else { return Ok(None) };
    let nonce = home.engine().fresh_command_id().to_string();
    let wish = JobWish::Dispatch { job: job.clone(), nonce: nonce.clone() };
    match send(home, caller, &place, wish).await {
        Ok(_) => Ok(Some(Handed { job, nonce, data })),
        // The row was older than the job: others were faster, or the work is not wanted any more.
        Err(TransactError::Rejected(rejection)) => {
            tracing::debug!(%job, %rejection, "a job was not handed out");
            Ok(None)
        }
        Err(error) => Err(exceptions::not_done(home.engine().account(), error)),
    }
}

/// Gives a job to the worker that shows its nonce, and answers what became of it. Of a job that has ended, how.
pub(super) async fn take<H: Home>(
    home: &H,
    caller: &Caller,
    place: &JobPlace,
    job: JobId,
    nonce: String,
) -> Result<model::JobStatus, ApiError> {
    let status = match send(home, caller, place, JobWish::Acknowledge { job, nonce }).await {
        Ok(_) => JobStatus::InProgress,
        Err(TransactError::Rejected(Rejection::InvalidJobState { status, .. })) if status.is_terminal() => {
            status
        }
        Err(error) => return Err(exceptions::not_done(home.engine().account(), error)),
    };
    Ok(model::JobStatus::from(status.as_str()))
}

/// What a worker reports of work that went well.
pub(super) struct Success {
    pub(super) current_revision: Option<model::CurrentRevision>,
    pub(super) continuation_token: Option<String>,
    pub(super) execution_details: Option<model::ExecutionDetails>,
    pub(super) output_variables: BTreeMap<String, String>,
}

/// Records that a job ended well.
pub(super) async fn report_success<H: Home>(
    home: &H,
    caller: &Caller,
    place: &JobPlace,
    job: JobId,
    success: Success,
) -> Result<NoOutput, ApiError> {
    let Success { current_revision, continuation_token, execution_details, output_variables } = success;
    if continuation_token.is_some() && !output_variables.is_empty() {
        return Err(ApiError::validation(
            "outputVariables cannot be given together with a continuationToken: the work goes on",
        ));
    }
    check_variables(&output_variables)?;
    let said = execution_details.unwrap_or_default();
    let links = Links::of(home, place).await?;
    let details = Details {
        external_execution_url: links.execution(said.external_execution_id.as_deref()),
        summary: said.summary,
        external_execution_id: said.external_execution_id,
        percent_complete: said.percent_complete.and_then(|percent| u8::try_from(percent).ok()),
    };
    let wish = match continuation_token {
        Some(continuation_token) => JobWish::Continue { job, continuation_token, details },
        None => {
            let revision = current_revision.map(|revision| links.revision(revision));
            let result = ActionResult::Succeeded { output_variables, revision, mocked: false, details };
            JobWish::End { job, result }
        }
    };
    finish(home, caller, place, wish).await
}

/// Records that a job ended badly.
pub(super) async fn report_failure<H: Home>(
    home: &H,
    caller: &Caller,
    place: &JobPlace,
    job: JobId,
    failure: model::FailureDetails,
) -> Result<NoOutput, ApiError> {
    let links = Links::of(home, place).await?;
    let code = match failure.r#type {
        model::FailureType::JobFailed => FailureCode::JobFailed,
        model::FailureType::ConfigurationError => FailureCode::ConfigurationError,
        model::FailureType::PermissionError => FailureCode::PermissionError,
        model::FailureType::RevisionOutOfSync => FailureCode::RevisionOutOfSync,
        model::FailureType::RevisionUnavailable => FailureCode::RevisionUnavailable,
        model::FailureType::SystemUnavailable => FailureCode::SystemUnavailable,
        model::FailureType::Other(other) => {
            return Err(ApiError::validation(format!("`{other}` is not a type of failure")));
        }
    };
    let details = Details {
        external_execution_url: links.execution(failure.external_execution_id.as_deref()),
        external_execution_id: failure.external_execution_id,
        ..Details::default()
    };
    let result = ActionResult::Failed { code, message: failure.message, details };
    finish(home, caller, place, JobWish::End { job, result }).await
}

/// The attempt a job belongs to. Jobs of other kinds of types are as unknown as those there never were.
pub(super) async fn find<H: Home>(
    home: &H,
    job: &str,
    is_served: impl Fn(&ActionTypeId) -> bool,
) -> Result<(JobId, JobPlace), ApiError> {
    let unknown = || {
        let text = format!("there is no job with the id '{job}'");
        ApiError::new(ApiException::JobNotFoundException, text)
    };
    let id = JobId::parse(job).map_err(|_| unknown())?;
    let row = home.views().get(JOBS, id.as_str()).await.map_err(|error| exceptions::no_views(&error))?;
    let place: Option<JobPlace> =
        row.and_then(|row| row.body).and_then(|body| serde_json::from_str(&body).ok());
    let place = place.filter(|place| is_served(&place.action_type)).ok_or_else(unknown)?;
    Ok((id, place))
}

/// `JobNotFoundException`.
pub(super) fn no_job<H: Home>(home: &H, job: &JobId) -> ApiError {
    exceptions::rejected(home.engine().account(), &Rejection::JobNotFound { job: job.clone() })
}

/// How many jobs one poll asks for.
pub(super) fn batch(max_batch_size: Option<i64>) -> usize {
    let asked = max_batch_size.and_then(|size| usize::try_from(size).ok()).unwrap_or(1);
    asked.clamp(1, limits::JOB_BATCH_MAX)
}

fn is_custom(id: &ActionTypeId) -> bool {
    id.owner == ActionOwner::Custom
}

/// The value jobs are asked for by. A type with a queryable property must be asked by it, one without must not.
fn query(queryable: Option<&str>, mut given: BTreeMap<String, String>) -> Result<Option<String>, ApiError> {
    let value = queryable.and_then(|name| given.remove(name));
    match (queryable, value) {
        (_, _) if !given.is_empty() => {
            let name = given.keys().next().map_or("", String::as_str);
            Err(ApiError::validation(format!("`{name}` is not a queryable property of the action type")))
        }
        (Some(name), None) => Err(ApiError::validation(format!(
            "queryParam must give a value for `{name}`, the queryable property of the action type"
        ))),
        (_, value) => Ok(value),
    }
}

fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), ApiError> {
    variables::check_output_variables(variables).map_err(|bad| match bad {
        variables::BadOutputVariables::TooLarge { .. } => {
            ApiError::new(ApiException::OutputVariablesSizeExceededException, bad.to_string())
        }
        variables::BadOutputVariables::Name { .. } => ApiError::validation(bad.to_string()),
    })
}

async fn finish<H: Home>(
    home: &H,
    caller: &Caller,
    place: &JobPlace,
    wish: JobWish,
) -> Result<NoOutput, ApiError> {
    let sent = send(home, caller, place, wish).await;
    sent.map_err(|error| exceptions::not_done(home.engine().account(), error))?;
    Ok(NoOutput {})
}

async fn send<H: Home>(
    home: &H,
    caller: &Caller,
    place: &JobPlace,
    wish: JobWish,
) -> Result<Done, TransactError> {
    let engine = home.engine();
    let command = Command {
        pipeline: place.pipeline.clone(),
        execution: Some(place.execution.clone()),
        wish: Wish::OnJob { attempt: place.action_execution.clone(), wish },
    };
    let id = engine.fresh_command_id();
    engine.transact(Envelope { id, actor: caller.arn.clone(), command, once: None }).await
}

/// The links a type promises, and what they are made of.
struct Links {
    settings: events::ActionTypeSettings,
    configuration: BTreeMap<String, String>,
    action: events::ActionName,
}

impl Links {
    async fn of<H: Home>(home: &H, place: &JobPlace) -> Result<Self, ApiError> {
        let engine = home.engine();
        let types = engine.action_types().await.map_err(exceptions::unavailable)?;
        let registry = types.registry(home.registry());
        let state = engine.execution(&place.execution).await.map_err(exceptions::unavailable)?;
        let pipeline = engine.pipeline(&place.pipeline).await.map_err(exceptions::unavailable)?;
        let found = state.attempt(&place.action_execution);
        let (stage, run) = found.ok_or_else(|| {
            let text = "the execution of the job is not there any more";
            ApiError::new(ApiException::JobNotFoundException, text)
        })?;
        let version = state.start.as_ref().map(|start| start.pipeline_version);
        let definition = version.and_then(|version| pipeline.definition(version));
        let declared = definition.and_then(|definition| definition.action(&stage.stage, &run.action));
        let mut configuration = declared.map(|action| action.configuration.clone()).unwrap_or_default();
        configuration.extend(run.resolved.clone());
        Ok(Self {
            settings: links(&types, &registry, &place.action_type),
            configuration,
            action: run.action.clone(),
        })
    }

    fn execution(&self, external_execution_id: Option<&str>) -> Option<String> {
        // Without an id there is no new link: the last one stays.
        let id = external_execution_id?;
        link(self.settings.execution_url_template.as_ref()?, &self.configuration, Some(id))
    }

    fn revision(&self, said: model::CurrentRevision) -> SourceRevision {
        let template = self.settings.revision_url_template.as_ref();
        SourceRevision {
            action: self.action.clone(),
            url: template.and_then(|template| link(template, &self.configuration, None)),
            revision_id: said.revision,
            summary: said.revision_summary,
            change_id: Some(said.change_identifier),
            created: said.created.map(|created| Timestamp(created.as_millis())),
        }
    }
}
