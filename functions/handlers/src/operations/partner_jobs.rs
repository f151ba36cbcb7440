//! Jobs of third-party action types: the partner proves with a token whose jobs it may see. See `spec/api.md`,
//! section 2.6.

use super::{
    action_types::{not_found, type_id},
    job_data,
    jobs::{self, Success},
};
use crate::{Caller, Home, exceptions};
use api::{ApiError, ApiException, NoOutput, model};
use domain::views::jobs::JobPlace;
use events::{ActionOwner, ActionTypeId, JobId};

/// Hands out the ids of jobs of a third-party type; what they are about, the partner asks with its token.
pub(super) async fn poll<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PollForThirdPartyJobsInput,
) -> Result<model::PollForThirdPartyJobsOutput, ApiError> {
    let id = type_id(&input.action_type_id)?;
    if id.owner != ActionOwner::ThirdParty {
        return Err(ApiError::validation(format!(
            "PollForThirdPartyJobs serves action types of the owner ThirdParty, found: {:?}",
            id.owner
        )));
    }
    let partner = home.partner(&id).ok_or_else(|| not_found(home, &id))?;
    let handed = jobs::hand_out(home, caller, &id, None, jobs::batch(input.max_batch_size)).await?;
    let listed = handed.into_iter().map(|handed| model::ThirdPartyJob {
        client_id: Some(partner.client_id.clone()),
        job_id: Some(handed.job.to_string()),
    });
    Ok(model::PollForThirdPartyJobsOutput { jobs: Some(listed.collect()) })
}

/// What a partner is told of its job, with the nonce of its last hand-out.
pub(super) async fn details<H: Home>(
    home: &H,
    input: model::GetThirdPartyJobDetailsInput,
) -> Result<model::GetThirdPartyJobDetailsOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, &input.client_token).await?;
    let state = home.engine().execution(&place.execution).await.map_err(exceptions::unavailable)?;
    let run = state.attempt(&place.action_execution).and_then(|(_, run)| run.job.as_ref());
    let open = run.filter(|run| run.job == job && !run.status.is_terminal());
    let Some(run) = open else {
        let text = format!("job '{job}' has ended");
        return Err(ApiError::new(ApiException::InvalidJobException, text));
    };
    let data = job_data::data(home, &place, &job).await?.ok_or_else(|| jobs::no_job(home, &job))?;
    Ok(model::GetThirdPartyJobDetailsOutput {
        job_details: Some(model::ThirdPartyJobDetails {
            id: Some(job.to_string()),
            data: Some(shown(data)),
            nonce: run.nonce.clone(),
        }),
    })
}

/// Gives a job to the partner that shows its nonce.
pub(super) async fn acknowledge<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::AcknowledgeThirdPartyJobInput,
) -> Result<model::AcknowledgeThirdPartyJobOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, &input.client_token).await?;
    let status = jobs::take(home, caller, &place, job, input.nonce).await?;
    Ok(model::AcknowledgeThirdPartyJobOutput { status: Some(status) })
}

/// Ends a job well, or lets its work go on in another.
pub(super) async fn succeed<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutThirdPartyJobSuccessResultInput,
) -> Result<NoOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, &input.client_token).await?;
    let success = Success {
        current_revision: input.current_revision,
        continuation_token: input.continuation_token,
        execution_details: input.execution_details,
        output_variables: std::collections::BTreeMap::new(),
    };
    jobs::report_success(home, caller, &place, job, success).await
}

/// Ends a job badly.
pub(super) async fn fail<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutThirdPartyJobFailureResultInput,
) -> Result<NoOutput, ApiError> {
    let (job, place) = find(home, &input.job_id, &input.client_token).await?;
    jobs::report_failure(home, caller, &place, job, input.failure_details).await
}

/// The attempt a job belongs to, for the partner whose token it is.
async fn find<H: Home>(home: &H, job: &str, token: &str) -> Result<(JobId, JobPlace), ApiError> {
    let is_partners = |id: &ActionTypeId| id.owner == ActionOwner::ThirdParty;
    let (job, place) = jobs::find(home, job, is_partners).await?;
    let partner = home.partner(&place.action_type).ok_or_else(|| jobs::no_job(home, &job))?;
    if !same(partner.client_token.as_bytes(), token.as_bytes()) {
        let text = format!("the client token is not the one of client '{}'", partner.client_id);
        return Err(ApiError::new(ApiException::InvalidClientTokenException, text));
    }
    Ok((job, place))
}

/// Compares without telling by its time where two secrets differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

/// A partner is not told in whose pipeline it works.
fn shown(data: model::JobData) -> model::ThirdPartyJobData {
    let context = data.pipeline_context.map(|context| model::PipelineContext {
        pipeline_arn: None,
        pipeline_execution_id: None,
        ..context
    });
    model::ThirdPartyJobData {
        action_type_id: data.action_type_id,
        action_configuration: data.action_configuration,
        pipeline_context: context,
        input_artifacts: data.input_artifacts,
        output_artifacts: data.output_artifacts,
        artifact_credentials: data.artifact_credentials,
        continuation_token: data.continuation_token,
        encryption_key: data.encryption_key,
    }
}
