//! Rules of stage conditions, and letting a run pass in spite of them. See `spec/api.md`, sections 2.2 and 2.3.

use super::{
    at,
    executions::execution_id,
    existing,
    history::{Listing, artifact, wanted},
    pipeline_name, send,
};
use crate::{Caller, Home, exceptions};
use api::{ApiError, NoOutput, model};
use domain::{
    catalogue::{self, Property},
    command::Wish,
    execution::{ConditionRun, Execution, RuleRun, StageRun, Start},
    pipeline::{PipelineDeclaration, versions::Pipeline},
};
use events::{ConditionType, ExecutionId, FailureCode, StageName};
use std::sync::Arc;

/// Input artifacts of a rule type that the API can tell of, most.
const ARTIFACTS_SHOWN_MAX: i64 = 5;

/// Lets an execution pass a condition, in the name of the caller.
pub(super) async fn override_condition<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::OverrideStageConditionInput,
) -> Result<NoOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let stage = StageName::parse(input.stage_name).map_err(|error| exceptions::bad_name(&error))?;
    let execution = execution_id(&input.pipeline_execution_id)?;
    let condition = match input.condition_type {
        model::ConditionType::BeforeEntry => ConditionType::BeforeEntry,
        model::ConditionType::OnSuccess => ConditionType::OnSuccess,
        model::ConditionType::Other(other) => {
            return Err(ApiError::validation(format!("`{other}` is not a condition type")));
        }
    };
    send(home, caller, &name, Some(execution), Wish::OverrideCondition { stage, condition }).await?;
    Ok(NoOutput {})
}

/// Attempts at rules, newest first: by execution, then by their start.
pub(super) async fn list<H: Home>(
    home: &H,
    input: model::ListRuleExecutionsInput,
) -> Result<model::ListRuleExecutionsOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let pipeline = existing(home, &name).await?;
    let filter = input.filter.unwrap_or_default();
    let wanted = wanted(filter.pipeline_execution_id, filter.latest_in_pipeline_execution)?;
    let question = format!("rules of {name} {:?} {}", wanted.only, wanted.newest);
    let details =
        |id: &ExecutionId, execution: &Execution| rule_details(&pipeline, id, execution, wanted.newest);
    let listing = Listing { home, name: &name, pipeline: &pipeline, details };
    let page = listing.page(&question, wanted.only, input.max_results, input.next_token).await?;
    Ok(model::ListRuleExecutionsOutput {
        rule_execution_details: Some(page.details),
        next_token: page.next_token,
    })
}

/// The rule types of this installation. It decides the rules of every Region alike, so none is filtered out.
pub(super) fn list_types(input: model::ListRuleTypesInput) -> Result<model::ListRuleTypesOutput, ApiError> {
    match input.rule_owner_filter {
        None | Some(model::RuleOwner::Aws) => {}
        Some(model::RuleOwner::Other(other)) => {
            return Err(ApiError::validation(format!("`{other}` is not a rule owner")));
        }
    }
    Ok(model::ListRuleTypesOutput { rule_types: catalogue::rules().iter().map(rule_type).collect() })
}

fn rule_type(rule: &catalogue::RuleType) -> model::RuleType {
    // The API's shape ends at 5; that a rule of commands takes more, only its page says.
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX).min(ARTIFACTS_SHOWN_MAX);
    model::RuleType {
        id: type_id(rule.provider, "1"),
        // Templates of addresses in the console of AWS, which these rules have no page in here.
        settings: Some(model::RuleTypeSettings::default()),
        rule_configuration_properties: Some(rule.properties.iter().map(property).collect()),
        input_artifact_details: model::ArtifactDetails {
            minimum_count: count(rule.inputs.min),
            maximum_count: count(rule.inputs.max),
        },
    }
}

fn property(property: &Property) -> model::RuleConfigurationProperty {
    model::RuleConfigurationProperty {
        name: property.name.to_string(),
        required: property.required,
        key: property.key,
        secret: property.secret,
        queryable: Some(property.queryable),
        description: Some(property.description.to_string()).filter(|text| !text.is_empty()),
        r#type: Some(model::RuleConfigurationPropertyType::String),
    }
}

fn type_id(provider: &str, version: &str) -> model::RuleTypeId {
    model::RuleTypeId {
        category: model::RuleCategory::Rule,
        owner: Some(model::RuleOwner::Aws),
        provider: provider.to_owned(),
        version: Some(version.to_owned()),
    }
}

/// Attempts at rules of one execution, newest first.
fn rule_details(
    pipeline: &Pipeline,
    id: &ExecutionId,
    execution: &Execution,
    newest: bool,
) -> Vec<model::RuleExecutionDetail> {
    let Some(start) = &execution.start else { return Vec::new() };
    let definition = pipeline.definition(start.pipeline_version);
    let is_newest = |stage: &StageRun, condition: &ConditionRun| {
        let mut same = stage.conditions.iter().rev().filter(|other| other.condition == condition.condition);
        same.next().is_some_and(|last| std::ptr::eq(last, condition))
    };
    let mut rules: Vec<(&StageRun, &ConditionRun, &RuleRun)> =
        execution.rules().filter(|(stage, condition, _)| !newest || is_newest(stage, condition)).collect();
    // Of one moment the last declared comes first, as with actions.
    rules.sort_by_key(|(_, _, rule)| rule.started);
    rules.reverse();
    let detail =
        |(stage, condition, rule)| detail(id, start, definition.map(Arc::as_ref), stage, condition, rule);
    rules.into_iter().map(detail).collect()
}

fn detail(
    id: &ExecutionId,
    start: &Start,
    definition: Option<&PipelineDeclaration>,
    stage: &StageRun,
    condition: &ConditionRun,
    rule: &RuleRun,
) -> model::RuleExecutionDetail {
    let declared = definition
        .and_then(|definition| definition.stage(&stage.stage)?.condition(condition.condition))
        .and_then(|condition| condition.rules.iter().find(|declared| declared.name == rule.rule));
    let configuration = declared.map(|declared| declared.configuration.clone()).unwrap_or_default();
    let mut resolved = configuration.clone();
    resolved.extend(rule.resolved.clone());
    model::RuleExecutionDetail {
        pipeline_execution_id: Some(id.to_string()),
        rule_execution_id: Some(rule.rule_execution.to_string()),
        pipeline_version: Some(i64::from(start.pipeline_version.0)),
        stage_name: Some(stage.stage.to_string()),
        rule_name: Some(rule.rule.to_string()),
        start_time: at(rule.started),
        last_update_time: at(rule.updated),
        updated_by: None,
        status: Some(model::RuleExecutionStatus::from(rule.status.as_str())),
        input: Some(model::RuleExecutionInput {
            rule_type_id: Some(type_id(&rule.provider, &rule.version)),
            configuration: Some(configuration),
            resolved_configuration: Some(resolved),
            role_arn: declared.and_then(|declared| declared.role_arn.as_ref()).map(ToString::to_string),
            region: declared.and_then(|declared| declared.region.clone()),
            input_artifacts: Some(rule.inputs.iter().map(artifact).collect()),
        }),
        output: Some(model::RuleExecutionOutput {
            execution_result: Some(model::RuleExecutionResult {
                external_execution_id: rule.external_execution_id.clone(),
                external_execution_summary: rule.summary.clone(),
                external_execution_url: rule.external_execution_url.clone(),
                error_details: error_details(rule.error.as_ref()),
            }),
        }),
    }
}

pub(super) fn error_details(error: Option<&(FailureCode, String)>) -> Option<model::ErrorDetails> {
    error.map(|(code, message)| model::ErrorDetails {
        code: Some(code.to_string()),
        message: Some(message.clone()),
    })
}
