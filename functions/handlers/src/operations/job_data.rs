//! What a worker is told of its job. See `spec/api.md`, section 2.5.

use super::action_types::shown_id;
use crate::{Home, exceptions};
use api::{ApiError, Code, model};
use domain::{command::Attempt, pipeline::versions::Pipeline, views::jobs::JobPlace};
use engine::{
    action::{ActionJob, ArtifactLocation},
    ports::{ArtifactAccess, ArtifactLoan, Secrets},
};
use events::JobId;

/// A job with everything a worker needs; `None` when its definition is gone. Secrets are in clear: only those who
/// do the work are told.
pub(super) async fn data<H: Home>(
    home: &H,
    place: &JobPlace,
    job: &JobId,
) -> Result<Option<model::JobData>, ApiError> {
    let engine = home.engine();
    let state = engine.execution(&place.execution).await.map_err(exceptions::unavailable)?;
    let Some((stage, run)) = state.attempt(&place.action_execution) else { return Ok(None) };
    let attempt = Attempt {
        stage: stage.stage.clone(),
        action: run.action.clone(),
        action_execution: place.action_execution.clone(),
        entry: run.entry,
    };
    let found =
        engine.job_of(&place.pipeline, &place.execution, &attempt).await.map_err(exceptions::unavailable)?;
    let Some(mut found) = found else { return Ok(None) };
    reveal(home, &mut found).await?;
    let newest = run.job.as_ref().filter(|newest| newest.job == *job);
    let pipeline = engine.pipeline(&place.pipeline).await.map_err(exceptions::unavailable)?;
    let version = state.start.as_ref().map(|start| start.pipeline_version);
    Ok(Some(model::JobData {
        action_type_id: Some(shown_id(&found.action_type)),
        action_configuration: Some(model::ActionConfiguration {
            configuration: Some(found.configuration.clone()),
        }),
        pipeline_context: Some(context(home, &found)),
        input_artifacts: Some(inputs(&found)),
        output_artifacts: Some(outputs(&found)),
        artifact_credentials: credentials(home, &found).await?,
        continuation_token: newest.and_then(|newest| newest.continuation_token.clone()),
        encryption_key: version.and_then(|version| encryption_key(home, &pipeline, version)),
    }))
}

/// Puts secrets where the definition has masks.
async fn reveal<H: Home>(home: &H, job: &mut ActionJob) -> Result<(), ApiError> {
    if !job.configuration.values().any(|value| value == domain::pipeline::secrets::MASK) {
        return Ok(());
    }
    let stored = home
        .secrets()
        .get(&job.pipeline)
        .await
        .map_err(|error| ApiError::new(Code::ServiceUnavailable, error.to_string()))?;
    for secret in stored.iter().filter(|secret| secret.stage == job.stage && secret.action == job.action) {
        if let Some(value) = job.configuration.get_mut(&secret.key) {
            value.clone_from(&secret.value);
        }
    }
    Ok(())
}

fn context<H: Home>(home: &H, job: &ActionJob) -> model::PipelineContext {
    let (region, account) = (home.engine().region(), home.engine().account());
    model::PipelineContext {
        pipeline_name: Some(job.pipeline.to_string()),
        stage: Some(model::StageContext { name: Some(job.stage.to_string()) }),
        action: Some(model::ActionContext {
            name: Some(job.action.to_string()),
            action_execution_id: Some(job.action_execution.to_string()),
        }),
        pipeline_arn: Some(format!("arn:aws:codepipeline:{region}:{account}:{}", job.pipeline)),
        pipeline_execution_id: Some(job.execution.to_string()),
    }
}

fn inputs(job: &ActionJob) -> Vec<model::Artifact> {
    let input = |input: &engine::action::InputArtifact| model::Artifact {
        name: Some(input.name.to_string()),
        revision: input.revision.clone(),
        location: Some(location(&input.location)),
    };
    job.inputs.iter().map(input).collect()
}

fn outputs(job: &ActionJob) -> Vec<model::Artifact> {
    let output = |output: &engine::action::OutputArtifact| model::Artifact {
        name: Some(output.name.to_string()),
        revision: None,
        location: Some(location(&output.location)),
    };
    job.outputs.iter().map(output).collect()
}

fn location(place: &ArtifactLocation) -> model::ArtifactLocation {
    model::ArtifactLocation {
        r#type: Some(model::ArtifactLocationType::S3),
        s3_location: Some(model::S3ArtifactLocation {
            bucket_name: place.bucket.clone(),
            object_key: place.key.clone(),
        }),
    }
}

fn encryption_key<H: Home>(
    home: &H,
    pipeline: &Pipeline,
    version: events::PipelineVersion,
) -> Option<model::EncryptionKey> {
    let store = pipeline.definition(version)?.store(home.engine().region())?;
    let key = store.encryption_key.as_ref()?;
    serde_json::to_value(key).and_then(serde_json::from_value).ok()
}

/// Credentials for the artifacts of a job that has any.
async fn credentials<H: Home>(
    home: &H,
    job: &ActionJob,
) -> Result<Option<model::AWSSessionCredentials>, ApiError> {
    if job.inputs.is_empty() && job.outputs.is_empty() {
        return Ok(None);
    }
    let now = home.engine().clock().now();
    let lent = home
        .access()
        .lend(&ArtifactLoan::of(job), now)
        .await
        .map_err(|error| ApiError::new(Code::ServiceUnavailable, error.to_string()))?;
    Ok(Some(model::AWSSessionCredentials {
        access_key_id: lent.access_key_id,
        secret_access_key: lent.secret_access_key,
        session_token: lent.session_token,
    }))
}
