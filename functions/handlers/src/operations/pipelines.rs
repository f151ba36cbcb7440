//! Pipelines and their versions. See `spec/api.md`, section 2.1.

use super::{answer, at, definition, existing, pipeline_name, send};
use crate::{Caller, Home, exceptions, paging};
use api::{ApiError, ApiException, NoOutput, Operation, model};
use domain::{
    command::Wish,
    limits,
    pipeline::{PipelineDeclaration, tags},
    views::{PIPELINES, listing::PipelineSummary},
};
use engine::views::Views;
use events::{PipelineName, PipelineVersion, Trigger, TriggerType};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Declares a pipeline and starts its first execution.
pub(super) async fn create<H: Home>(home: &H, caller: &Caller, input: Value) -> Result<Value, ApiError> {
    check(Operation::CreatePipeline, &input)?;
    let name = name_of(&input)?;
    let known = home.engine().pipeline(&name).await.map_err(exceptions::unavailable)?;
    if known.current.is_some() {
        let rejection = domain::Rejection::PipelineNameInUse { pipeline: name };
        return Err(exceptions::rejected(home.engine().account(), &rejection));
    }
    let definition = definition::accept(home, &input["pipeline"], None).await?;
    let tags = tags_of(&input)?;
    check_room(home).await?;
    let wish = Wish::CreatePipeline { definition: Box::new(definition.clone()), tags: tags.clone() };
    send(home, caller, &name, None, wish).await?;
    let trigger = Trigger { kind: TriggerType::CreatePipeline, detail: caller.arn.clone() };
    let wish = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
    let execution = home.engine().fresh_execution_id();
    match send(home, caller, &name, Some(execution), wish).await {
        Ok(_) => {}
        // A pipeline whose variables have no defaults cannot start by itself; it exists all the same.
        Err(error) if error.code == ApiException::ValidationException.into() => {
            tracing::info!(pipeline = %name, %error, "created without a first execution");
        }
        Err(error) => return Err(error),
    }
    let mut output = json!({ "pipeline": declared(definition, PipelineVersion(1))? });
    if !tags.is_empty() {
        output["tags"] = tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    }
    Ok(output)
}

/// Declares a pipeline's next version.
pub(super) async fn update<H: Home>(home: &H, caller: &Caller, input: Value) -> Result<Value, ApiError> {
    check(Operation::UpdatePipeline, &input)?;
    let name = name_of(&input)?;
    let known = existing(home, &name).await?;
    let current = known.current_definition().map(AsRef::as_ref);
    let definition = definition::accept(home, &input["pipeline"], current).await?;
    send(home, caller, &name, None, Wish::UpdatePipeline { definition: Box::new(definition.clone()) })
        .await?;
    let after = existing(home, &name).await?;
    let version = after.current.unwrap_or(PipelineVersion(1));
    Ok(json!({ "pipeline": declared(definition, version)? }))
}

/// One version of a definition.
pub(super) async fn get<H: Home>(home: &H, input: model::GetPipelineInput) -> Result<Value, ApiError> {
    let name = pipeline_name(&input.name)?;
    let account = home.engine().account();
    let known = home.engine().pipeline(&name).await.map_err(exceptions::unavailable)?;
    let Some(current) = known.current else {
        let text = format!("Account '{account}' does not have a pipeline with name '{name}'");
        return Err(ApiError::new(ApiException::PipelineNotFoundException, text));
    };
    let asked = match input.version {
        None => current,
        Some(version) => PipelineVersion(u32::try_from(version).unwrap_or(u32::MAX)),
    };
    let definition = known.definition(asked).ok_or_else(|| {
        let text = format!("Pipeline '{name}' does not have a version {asked}");
        ApiError::new(ApiException::PipelineVersionNotFoundException, text)
    })?;
    let region = home.engine().region();
    Ok(json!({
        "pipeline": answer(Ok(definition))?,
        "metadata": {
            "pipelineArn": format!("arn:aws:codepipeline:{region}:{account}:{name}"),
            "created": answer(Ok(at(known.created)))?,
            "updated": answer(Ok(at(known.updated)))?,
        },
    }))
}

/// Deletes a pipeline with everything under way; one that is not there is deleted already.
pub(super) async fn delete<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::DeletePipelineInput,
) -> Result<NoOutput, ApiError> {
    let name = pipeline_name(&input.name)?;
    send(home, caller, &name, None, Wish::DeletePipeline).await?;
    Ok(NoOutput {})
}

/// Pipelines by name.
pub(super) async fn list<H: Home>(
    home: &H,
    input: model::ListPipelinesInput,
) -> Result<model::ListPipelinesOutput, ApiError> {
    let rows_max =
        input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(paging::PAGE_ROWS_DEFAULT);
    let after = match &input.next_token {
        Some(token) => Some(paging::cursor(PIPELINES, token)?.key),
        None => None,
    };
    let rows = home
        .views()
        .page(PIPELINES, after.as_deref(), rows_max + 1, false)
        .await
        .map_err(|error| exceptions::no_views(&error))?;
    let next_token = (rows.len() > rows_max).then(|| {
        let key = rows[rows_max - 1].q.clone();
        paging::token(PIPELINES, &paging::Cursor { key, within: 0 })
    });
    let summaries = rows
        .iter()
        .take(rows_max)
        .filter_map(|row| serde_json::from_str::<PipelineSummary>(row.body.as_deref()?).ok());
    let pipelines = summaries.map(summary).collect::<Result<_, _>>()?;
    Ok(model::ListPipelinesOutput { pipelines: Some(pipelines), next_token })
}

fn summary(summary: PipelineSummary) -> Result<model::PipelineSummary, ApiError> {
    let text = |value: Value| value.as_str().map(model::ExecutionMode::from);
    Ok(model::PipelineSummary {
        name: Some(summary.name.to_string()),
        version: Some(i64::from(summary.version.0)),
        pipeline_type: answer(Ok(summary.pipeline_type))?.as_str().map(model::PipelineType::from),
        execution_mode: text(answer(Ok(summary.execution_mode))?),
        created: at(summary.created),
        updated: at(summary.updated),
    })
}

fn check(operation: Operation, input: &Value) -> Result<(), ApiError> {
    api::validate(operation, input).map_err(ApiError::from)
}

fn name_of(input: &Value) -> Result<PipelineName, ApiError> {
    pipeline_name(input["pipeline"]["name"].as_str().unwrap_or_default())
}

fn declared(definition: PipelineDeclaration, version: PipelineVersion) -> Result<Value, ApiError> {
    answer(Ok(PipelineDeclaration { version: Some(version), ..definition }))
}

fn tags_of(input: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let listed: Vec<(String, String)> = input["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tag| {
            let text = |member: &str| tag[member].as_str().unwrap_or_default().to_owned();
            (text("key"), text("value"))
        })
        .collect();
    tags::check(&listed).map_err(|error| exceptions::bad_definition(&error))?;
    Ok(listed.into_iter().collect())
}

/// The quota of pipelines; counted from the list, which may be a moment behind.
async fn check_room<H: Home>(home: &H) -> Result<(), ApiError> {
    let rows = home
        .views()
        .page(PIPELINES, None, limits::PIPELINES_MAX, false)
        .await
        .map_err(|error| exceptions::no_views(&error))?;
    if rows.len() < limits::PIPELINES_MAX {
        return Ok(());
    }
    let text = format!("The account has {} pipelines already, the most it may have", limits::PIPELINES_MAX);
    Err(ApiError::new(ApiException::LimitExceededException, text))
}
