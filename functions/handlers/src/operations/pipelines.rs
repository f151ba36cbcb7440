//! Pipelines and their versions. See `spec/api.md`, section 2.1.

use super::{
    answer, at,
    definition::{self, Earlier},
    existing, pipeline_name, send,
};
use crate::{Caller, Home, exceptions, paging, project::list_at_once};
use api::{ApiError, ApiException, NoOutput, Operation, model};
use domain::{
    command::Wish,
    limits,
    pipeline::{PipelineDeclaration, Tag, check_tags},
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
    // Everything is judged before the first secret is put away: what is refused leaves nothing behind.
    let accepted = definition::judge(home, &input["pipeline"], None).await?;
    let tags = tags_of(&input, &arn(home, &name))?;
    check_room(home).await?;
    let definition = definition::keep_secrets(home, accepted, Earlier::None).await?;
    let wish = Wish::CreatePipeline { definition: Box::new(definition.clone()), tags: tags.clone() };
    send(home, caller, &name, None, wish).await?;
    list_at_once(home, &name).await;
    let trigger = Trigger { kind: TriggerType::CreatePipeline, detail: caller.arn.clone() };
    let wish = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
    let execution = home.engine().fresh_execution_id();
    // The pipeline exists, whatever becomes of its first execution: one whose variables have no defaults cannot start
    // by itself, and a caller who is told of an error would create it once more.
    if let Err(error) = send(home, caller, &name, Some(execution), wish).await {
        tracing::warn!(pipeline = %name, %error, "created without a first execution");
    }
    let mut output = under("pipeline", declared(definition, PipelineVersion(1))?);
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
    let accepted = definition::judge(home, &input["pipeline"], current).await?;
    let definition = definition::keep_secrets(home, accepted, Earlier::Stored).await?;
    send(home, caller, &name, None, Wish::UpdatePipeline { definition: Box::new(definition.clone()) })
        .await?;
    list_at_once(home, &name).await;
    let after = existing(home, &name).await?;
    let version = after.current.unwrap_or(PipelineVersion(1));
    Ok(under("pipeline", declared(definition, version)?))
}

/// An object with one member, which is moved into it: `json!` would copy a whole definition.
fn under(member: &str, value: Value) -> Value {
    Value::Object([(member.to_owned(), value)].into_iter().collect())
}

/// What came of declaring a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The pipeline.
    pub name: PipelineName,
    /// Its current version.
    pub version: PipelineVersion,
    /// It was not there before.
    pub is_new: bool,
}

/// Declares a definition if it differs from the current one, and starts nothing: what a run from a file does first.
/// Masked secrets are ignored; tags are those of a pipeline that is new. The wire's constraints are checked here.
pub async fn declare<H: Home>(
    home: &H,
    caller: &Caller,
    declaration: &Value,
    tags: &BTreeMap<String, String>,
) -> Result<Declared, ApiError> {
    api::validate_shape("PipelineDeclaration", declaration, "pipeline").map_err(ApiError::from)?;
    let name = pipeline_name(declaration["name"].as_str().unwrap_or_default())?;
    let known = home.engine().pipeline(&name).await.map_err(exceptions::unavailable)?;
    let current = known.current_definition().map(AsRef::as_ref);
    let accepted = definition::judge(home, declaration, current).await?;
    let definition = definition::keep_secrets(home, accepted, Earlier::Ignored).await?;
    let wish = match (current, known.current) {
        (Some(current), Some(version)) => {
            let renumbered = PipelineDeclaration { version: current.version, ..definition.clone() };
            if renumbered == *current {
                return Ok(Declared { name, version, is_new: false });
            }
            Wish::UpdatePipeline { definition: Box::new(definition) }
        }
        _ => {
            let listed: Vec<Tag> =
                tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
            check_tags(&listed, &arn(home, &name)).map_err(|error| exceptions::bad_definition(&error))?;
            Wish::CreatePipeline { definition: Box::new(definition), tags: tags.clone() }
        }
    };
    let is_new = matches!(wish, Wish::CreatePipeline { .. });
    send(home, caller, &name, None, wish).await?;
    list_at_once(home, &name).await;
    let version = existing(home, &name).await?.current.unwrap_or(PipelineVersion(1));
    Ok(Declared { name, version, is_new })
}

/// One version of a definition.
pub(super) async fn get<H: Home>(home: &H, input: model::GetPipelineInput) -> Result<Value, ApiError> {
    let name = pipeline_name(&input.name)?;
    let account = home.engine().account();
    let pipeline_arn = arn(home, &name);
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
    Ok(json!({
        "pipeline": answer(Ok(definition))?,
        "metadata": {
            "pipelineArn": pipeline_arn,
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
    list_at_once(home, &name).await;
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

fn arn<H: Home>(home: &H, name: &PipelineName) -> String {
    format!("arn:aws:codepipeline:{}:{}:{name}", home.engine().region(), home.engine().account())
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

pub(super) fn tags_of(input: &Value, arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
    let tags = input["tags"].as_array().into_iter().flatten();
    let tags: Vec<Tag> = tags.map(|tag| Tag { key: text(tag, "key"), value: text(tag, "value") }).collect();
    check_tags(&tags, arn).map_err(|error| exceptions::bad_definition(&error))?;
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
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
