//! Executions and action executions, past and present. See `spec/execution-semantics.md`, section 14.

use super::{answer, at, execution_type, executions::execution_id, existing, pipeline_name, some};
use crate::{Home, exceptions, paging};
use api::{ApiError, ApiException, model};
use domain::{
    execution::{AttemptRun, Execution, ExecutionStatus, ExecutionType, StageRun, Start},
    pipeline::{PipelineDeclaration, versions::Pipeline},
    views::{
        Row,
        listing::{EXECUTION_PREFIX, ExecutionSummary, pipeline_partition, succeeded_partition},
    },
};
use engine::views::Views;
use events::{Artifact, ExecutionId, PipelineName, SourceRevision};
use std::sync::Arc;

/// Sorts after every execution's row.
pub(super) const AFTER_EXECUTIONS: &str = "exec$";

/// One execution.
pub(super) async fn get<H: Home>(
    home: &H,
    input: model::GetPipelineExecutionInput,
) -> Result<model::GetPipelineExecutionOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let pipeline = existing(home, &name).await?;
    let id = execution_id(&input.pipeline_execution_id)?;
    let execution = find(home, &name, &pipeline, &id).await?;
    let Some(start) = &execution.start else { return Err(not_found(&name, &id)) };
    Ok(model::GetPipelineExecutionOutput { pipeline_execution: Some(describe(&id, start, &execution)?) })
}

/// Executions of a pipeline, newest first.
pub(super) async fn list_executions<H: Home>(
    home: &H,
    input: model::ListPipelineExecutionsInput,
) -> Result<model::ListPipelineExecutionsOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let pipeline = existing(home, &name).await?;
    let stage =
        input.filter.and_then(|filter| filter.succeeded_in_stage).and_then(|filter| filter.stage_name);
    // A page of another version would be of other executions.
    let version = pipeline.current.filter(|_| stage.is_some());
    let question = format!("executions of {name} {stage:?} {version:?}");
    let filtered = stage.is_some();
    let partition = pipeline_partition(&name, pipeline.incarnation);
    let rows_max = page_size(input.max_results);
    let after = match &input.next_token {
        Some(token) => paging::cursor(&question, token)?.key,
        None => AFTER_EXECUTIONS.to_owned(),
    };
    let mut rows = match stage.zip(pipeline.current) {
        None => executions_before(home, &partition, &after, rows_max + 1).await?,
        Some((stage, current)) => {
            let passed = succeeded_partition(&name, pipeline.incarnation, current, &stage);
            executions_before(home, &passed, &after, rows_max + 1).await?
        }
    };
    let more = rows.len() > rows_max;
    rows.truncate(rows_max);
    let last = rows.last().map(|row| row.q.clone()).filter(|_| more);
    let next_token = last.map(|key| paging::token(&question, &paging::Cursor { key, within: 0 }));
    if filtered {
        rows = own_rows(home, &partition, rows).await?;
    }
    let found = rows.iter().filter_map(summary).map(|summary| summarise(&summary));
    let found = found.collect::<Result<_, _>>()?;
    Ok(model::ListPipelineExecutionsOutput { pipeline_execution_summaries: Some(found), next_token })
}

/// The executions' own rows, in the places where another listing names them.
async fn own_rows<H: Home>(home: &H, partition: &str, named: Vec<Row>) -> Result<Vec<Row>, ApiError> {
    let mut rows = Vec::with_capacity(named.len());
    for name in named {
        let row = home.views().get(partition, &name.q).await;
        rows.extend(row.map_err(|error| exceptions::no_views(&error))?);
    }
    Ok(rows)
}

/// Attempts at actions, newest first: by execution, then by their start.
pub(super) async fn list_actions<H: Home>(
    home: &H,
    input: model::ListActionExecutionsInput,
) -> Result<model::ListActionExecutionsOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let pipeline = existing(home, &name).await?;
    let filter = input.filter.unwrap_or_default();
    let (only, newest_attempts) = match (filter.pipeline_execution_id, filter.latest_in_pipeline_execution) {
        (Some(_), Some(_)) => {
            let text = "the filter may name pipelineExecutionId or latestInPipelineExecution, not both";
            return Err(ApiError::validation(text));
        }
        (Some(id), None) => (Some(id), false),
        (None, Some(latest)) => {
            let newest = latest.start_time_range == model::StartTimeRange::Latest;
            (Some(latest.pipeline_execution_id), newest)
        }
        (None, None) => (None, false),
    };
    let question = format!("actions of {name} {only:?} {newest_attempts}");
    let place = match &input.next_token {
        Some(token) => Some(paging::cursor(&question, token)?),
        None => None,
    };
    let rows_max = page_size(input.max_results);
    let place = place.unwrap_or_else(|| paging::Cursor { key: AFTER_EXECUTIONS.into(), within: 0 });
    let listing = Listing { home, name: &name, pipeline: &pipeline, newest_attempts, rows_max };
    let (details, next) = match only {
        Some(id) => listing.one(&execution_id(&id)?, place.within).await?,
        None => listing.all(place).await?,
    };
    let next_token = next.map(|cursor| paging::token(&question, &cursor));
    Ok(model::ListActionExecutionsOutput { action_execution_details: Some(details), next_token })
}

type Page = (Vec<model::ActionExecutionDetail>, Option<paging::Cursor>);

struct Listing<'a, H> {
    home: &'a H,
    name: &'a PipelineName,
    pipeline: &'a Pipeline,
    newest_attempts: bool,
    rows_max: usize,
}

impl<H: Home> Listing<'_, H> {
    async fn one(&self, id: &ExecutionId, within: usize) -> Result<Page, ApiError> {
        let execution = find(self.home, self.name, self.pipeline, id).await?;
        let details = self.details(id, &execution);
        let start = if within == 0 { 0 } else { details.len().saturating_sub(within) };
        let page: Vec<_> = details.iter().skip(start).take(self.rows_max).cloned().collect();
        let left = details.len() - start - page.len();
        let next = (left > 0).then(|| paging::Cursor { key: id.to_string(), within: left });
        Ok((page, next))
    }

    async fn all(&self, place: paging::Cursor) -> Result<Page, ApiError> {
        let partition = pipeline_partition(self.name, self.pipeline.incarnation);
        let mut page: Vec<model::ActionExecutionDetail> = Vec::new();
        let mut after = place.key;
        // The row of the execution at `key` is read once more: some of its attempts, or all, are still to be given.
        let mut left = place.within;
        after.push('\u{1}');
        loop {
            let rows = executions_before(self.home, &partition, &after, self.rows_max).await?;
            let Some(last) = rows.last() else { return Ok((page, None)) };
            after.clone_from(&last.q);
            for row in rows {
                let Some(summary) = summary(&row) else { continue };
                let engine = self.home.engine();
                let execution =
                    engine.execution(&summary.execution).await.map_err(exceptions::unavailable)?;
                let details = self.details(&summary.execution, &execution);
                let count = details.len();
                let start = if left == 0 { 0 } else { count.saturating_sub(left) };
                for (index, detail) in details.into_iter().enumerate().skip(start) {
                    if page.len() == self.rows_max {
                        return Ok((page, Some(paging::Cursor { key: row.q, within: count - index })));
                    }
                    page.push(detail);
                }
                left = 0;
            }
        }
    }

    /// Attempts of one execution, newest first.
    fn details(&self, id: &ExecutionId, execution: &Execution) -> Vec<model::ActionExecutionDetail> {
        let Some(start) = &execution.start else { return Vec::new() };
        let definition = self.pipeline.definition(start.pipeline_version);
        let mut attempts: Vec<(&StageRun, &AttemptRun)> = execution
            .stages
            .iter()
            .flat_map(|stage| stage.attempts.iter().map(move |attempt| (stage, attempt)))
            .filter(|(stage, attempt)| {
                let newest = stage.attempts.iter().rev().find(|other| other.action == attempt.action);
                let is_newest =
                    newest.is_some_and(|newest| newest.action_execution == attempt.action_execution);
                !self.newest_attempts || is_newest
            })
            .collect();
        attempts.reverse();
        let detail = |(stage, attempt)| detail(id, start, definition.map(Arc::as_ref), stage, attempt);
        attempts.into_iter().map(detail).collect()
    }
}

pub(super) async fn executions_before<H: Home>(
    home: &H,
    partition: &str,
    before: &str,
    limit: usize,
) -> Result<Vec<Row>, ApiError> {
    let page = home.views().page(partition, Some(before), limit, true).await;
    let mut rows = page.map_err(|error| exceptions::no_views(&error))?;
    rows.retain(|row| row.q.starts_with(EXECUTION_PREFIX));
    Ok(rows)
}

/// The most one page may hold; the wire's constraints keep `maxResults` between 1 and 100.
fn page_size(max_results: Option<i64>) -> usize {
    let asked = max_results.and_then(|max| usize::try_from(max).ok());
    asked.unwrap_or(paging::PAGE_ROWS_DEFAULT).clamp(1, paging::PAGE_ROWS_DEFAULT)
}

async fn find<H: Home>(
    home: &H,
    name: &PipelineName,
    pipeline: &Pipeline,
    id: &ExecutionId,
) -> Result<Arc<Execution>, ApiError> {
    let execution = home.engine().execution(id).await.map_err(exceptions::unavailable)?;
    let belongs = execution
        .start
        .as_ref()
        .is_some_and(|start| start.pipeline == *name && start.incarnation == pipeline.incarnation);
    if belongs { Ok(execution) } else { Err(not_found(name, id)) }
}

fn not_found(name: &PipelineName, id: &ExecutionId) -> ApiError {
    let text = format!("Pipeline '{name}' does not have an execution with id '{id}'");
    ApiError::new(ApiException::PipelineExecutionNotFoundException, text)
}

fn summary(row: &Row) -> Option<ExecutionSummary> {
    serde_json::from_str(row.body.as_deref()?).ok()
}

fn describe(
    id: &ExecutionId,
    start: &Start,
    execution: &Execution,
) -> Result<model::PipelineExecution, ApiError> {
    let artifacts = execution.artifacts.iter().filter_map(|(name, state)| {
        let revision =
            execution.revisions.iter().find(|known| Some(&known.revision_id) == state.revision.as_ref())?;
        Some(model::ArtifactRevision {
            name: Some(name.to_string()),
            revision_id: Some(revision.revision_id.clone()),
            revision_summary: revision.summary.clone(),
            revision_url: revision.url.clone(),
            revision_change_identifier: revision.change_id.clone(),
            created: at(revision.created.unwrap_or(start.at)),
            ..model::ArtifactRevision::default()
        })
    });
    let variables = start.variables.iter().map(|(name, value)| model::ResolvedPipelineVariable {
        name: Some(name.clone()),
        resolved_value: Some(value.clone()),
    });
    Ok(model::PipelineExecution {
        pipeline_name: Some(start.pipeline.to_string()),
        pipeline_version: Some(i64::from(start.pipeline_version.0)),
        pipeline_execution_id: Some(id.to_string()),
        status: Some(model::PipelineExecutionStatus::from(execution.status.as_str())),
        status_summary: status_summary(execution.status, execution.cause.as_deref()),
        artifact_revisions: Some(artifacts.collect()),
        variables: some(variables.collect()),
        trigger: Some(trigger(&start.trigger)?),
        execution_mode: answer(Ok(start.mode))?.as_str().map(model::ExecutionMode::from),
        execution_type: Some(execution_type(start.execution_type())),
        rollback_metadata: start.rollback.as_ref().map(|rollback| rollback_metadata(&rollback.target)),
    })
}

fn summarise(summary: &ExecutionSummary) -> Result<model::PipelineExecutionSummary, ApiError> {
    Ok(model::PipelineExecutionSummary {
        pipeline_execution_id: Some(summary.execution.to_string()),
        status: Some(model::PipelineExecutionStatus::from(summary.status.as_str())),
        status_summary: status_summary(summary.status, summary.cause.as_deref()),
        start_time: at(summary.started),
        last_update_time: at(summary.updated),
        source_revisions: Some(summary.revisions.iter().map(revision).collect()),
        trigger: Some(trigger(&summary.trigger)?),
        stop_trigger: summary
            .stop
            .as_ref()
            .map(|stop| model::StopExecutionTrigger { reason: stop.reason.clone() }),
        execution_mode: answer(Ok(summary.mode))?.as_str().map(model::ExecutionMode::from),
        execution_type: Some(execution_type(match summary.rollback_target {
            Some(_) => ExecutionType::Rollback,
            None => ExecutionType::Standard,
        })),
        rollback_metadata: summary.rollback_target.as_ref().map(rollback_metadata),
    })
}

fn rollback_metadata(target: &ExecutionId) -> model::PipelineRollbackMetadata {
    model::PipelineRollbackMetadata { rollback_target_pipeline_execution_id: Some(target.to_string()) }
}

/// A superseded execution has none: what took its place is in the log.
fn status_summary(status: ExecutionStatus, cause: Option<&str>) -> Option<String> {
    match status {
        ExecutionStatus::Cancelled => cause.map(str::to_owned),
        ExecutionStatus::InProgress
        | ExecutionStatus::Stopping
        | ExecutionStatus::Stopped
        | ExecutionStatus::Succeeded
        | ExecutionStatus::Superseded
        | ExecutionStatus::Failed => None,
    }
}

fn trigger(trigger: &events::Trigger) -> Result<model::ExecutionTrigger, ApiError> {
    Ok(model::ExecutionTrigger {
        trigger_type: answer(Ok(trigger.kind))?.as_str().map(model::TriggerType::from),
        trigger_detail: Some(trigger.detail.clone()),
    })
}

fn revision(revision: &SourceRevision) -> model::SourceRevision {
    model::SourceRevision {
        action_name: revision.action.to_string(),
        revision_id: Some(revision.revision_id.clone()),
        revision_summary: revision.summary.clone(),
        revision_url: revision.url.clone(),
    }
}

fn detail(
    id: &ExecutionId,
    start: &Start,
    definition: Option<&PipelineDeclaration>,
    stage: &StageRun,
    attempt: &AttemptRun,
) -> model::ActionExecutionDetail {
    let declared = definition.and_then(|definition| definition.action(&stage.stage, &attempt.action));
    let configuration = declared.map(|action| action.configuration.clone()).unwrap_or_default();
    let mut resolved = configuration.clone();
    resolved.extend(attempt.resolved.clone());
    let kind = &attempt.action_type;
    model::ActionExecutionDetail {
        pipeline_execution_id: Some(id.to_string()),
        action_execution_id: Some(attempt.action_execution.to_string()),
        pipeline_version: Some(i64::from(start.pipeline_version.0)),
        stage_name: Some(stage.stage.to_string()),
        action_name: Some(attempt.action.to_string()),
        start_time: at(attempt.started),
        last_update_time: at(attempt.updated),
        updated_by: attempt.by.clone(),
        status: Some(model::ActionExecutionStatus::from(attempt.status.as_str())),
        input: Some(model::ActionExecutionInput {
            action_type_id: Some(model::ActionTypeId {
                category: model::ActionCategory::from(format!("{:?}", kind.category).as_str()),
                owner: model::ActionOwner::from(format!("{:?}", kind.owner).as_str()),
                provider: kind.provider.clone(),
                version: kind.version.clone(),
            }),
            configuration: Some(configuration),
            resolved_configuration: Some(resolved),
            role_arn: declared.and_then(|action| action.role_arn.as_ref()).map(ToString::to_string),
            region: declared.and_then(|action| action.region.clone()),
            input_artifacts: Some(attempt.inputs.iter().map(artifact).collect()),
            namespace: declared.and_then(|action| action.namespace.as_ref()).map(ToString::to_string),
        }),
        output: Some(model::ActionExecutionOutput {
            output_artifacts: Some(attempt.outputs.iter().map(artifact).collect()),
            execution_result: Some(model::ActionExecutionResult {
                // An approval's token doubles as its external id: the only way to find it in PARALLEL mode.
                external_execution_id: attempt
                    .token
                    .clone()
                    .or_else(|| attempt.external_execution_id.clone()),
                external_execution_summary: attempt.summary.clone(),
                external_execution_url: attempt.external_execution_url.clone(),
                error_details: attempt.error.as_ref().map(|(code, message)| model::ErrorDetails {
                    code: Some(code.to_string()),
                    message: Some(message.clone()),
                }),
                log_stream_arn: None,
            }),
            output_variables: Some(attempt.output_variables.clone()),
        }),
    }
}

fn artifact(artifact: &Artifact) -> model::ArtifactDetail {
    model::ArtifactDetail {
        name: Some(artifact.name.to_string()),
        s3location: Some(model::S3Location {
            bucket: Some(artifact.location.bucket.clone()),
            key: Some(artifact.location.key.clone()),
        }),
    }
}
