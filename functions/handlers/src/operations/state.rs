//! GetPipelineState. See `spec/execution-semantics.md`, section 13.

use super::{action_types, at, execution_type, existing, pipeline_name, rules::error_details};
use crate::{Home, exceptions};
use api::{ApiError, model};
use domain::{
    catalogue::{
        Registry,
        custom::{ActionTypes, link},
    },
    execution::{ActionStatus, RetryTrigger},
    lane::Lane,
    pipeline::{ActionDeclaration, StageDeclaration},
    views::{
        listing::pipeline_partition,
        pipeline_state::{
            ACTION_PREFIX, ActionRow, CONDITION_PREFIX, ConditionRow, GATES, STAGE_PREFIX, Shown,
            ShownCondition, ShownRule, StageRow, action_key, condition_key, stage_key,
        },
    },
};
use engine::views::Views;
use events::{ActionCategory, ConditionType};
use serde::de::DeserializeOwned;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// Rows that are read at a time, most.
const ROWS_AT_ONCE_MAX: usize = 512;

/// Where every stage and action of a pipeline stands.
pub(super) async fn get<H: Home>(
    home: &H,
    input: model::GetPipelineStateInput,
) -> Result<model::GetPipelineStateOutput, ApiError> {
    let name = pipeline_name(&input.name)?;
    let pipeline = existing(home, &name).await?;
    let lane = home.engine().lane(&name).await.map_err(exceptions::unavailable)?;
    let types = home.engine().action_types().await.map_err(exceptions::unavailable)?;
    let types = Types { registry: types.registry(home.registry()), types };
    let partition = pipeline_partition(&name, pipeline.incarnation);
    // Three ranges of rows, however many stages and actions there are.
    let stages: Vec<&StageDeclaration> =
        pipeline.current_definition().into_iter().flat_map(|definition| &definition.stages).collect();
    let actions = stages.iter().map(|stage| stage.actions.len()).sum();
    let gates = stages.iter().flat_map(|stage| GATES.map(|gate| stage.condition(gate).is_some()));
    let gates = gates.filter(|declared| *declared).count();
    let rows = Rows {
        stages: rows_under(home, &partition, STAGE_PREFIX, stages.len()).await?,
        actions: rows_under(home, &partition, ACTION_PREFIX, actions).await?,
        conditions: match gates {
            0 => BTreeMap::new(),
            _ => rows_under(home, &partition, CONDITION_PREFIX, gates).await?,
        },
    };
    let stage_states = stages.into_iter().map(|stage| stage_state(&rows, stage, &lane, &types)).collect();
    Ok(model::GetPipelineStateOutput {
        pipeline_name: Some(name.to_string()),
        pipeline_version: pipeline.current.map(|version| i64::from(version.0)),
        stage_states: Some(stage_states),
        created: at(pipeline.created),
        updated: at(pipeline.updated),
    })
}

/// What was last seen of each stage and action, by the key of its row.
struct Rows {
    stages: BTreeMap<String, String>,
    actions: BTreeMap<String, String>,
    conditions: BTreeMap<String, String>,
}

fn stage_state(rows: &Rows, stage: &StageDeclaration, lane: &Lane, types: &Types) -> model::StageState {
    let row: Option<StageRow> = read(&rows.stages, &stage_key(&stage.name));
    let action_states = stage.actions.iter().map(|action| {
        let key = action_key(&stage.name, &action.name);
        let row: Option<ActionRow> = read(&rows.actions, &key);
        action_state(action, row.as_ref().map(|row| &row.attempt), types)
    });
    let asked = |gate| condition_state(&rows.conditions, stage, gate);
    let traffic = lane.stages.get(&stage.name);
    let inbound: Vec<model::StageExecution> = traffic
        .into_iter()
        .flat_map(|traffic| &traffic.waiting)
        .map(|waiter| model::StageExecution {
            pipeline_execution_id: waiter.execution.to_string(),
            status: model::StageExecutionStatus::InProgress,
            r#type: Some(model::ExecutionType::Standard),
        })
        .collect();
    let transition = traffic.and_then(|traffic| traffic.transition.as_ref());
    model::StageState {
        stage_name: Some(stage.name.to_string()),
        inbound_execution: inbound.first().cloned(),
        inbound_executions: super::some(inbound),
        inbound_transition_state: Some(model::TransitionState {
            enabled: Some(transition.is_none_or(|transition| transition.enabled)),
            last_changed_by: transition.map(|transition| transition.by.clone()),
            last_changed_at: transition.and_then(|transition| at(transition.at)),
            disabled_reason: transition.and_then(|transition| transition.reason.clone()),
        }),
        action_states: Some(action_states.collect()),
        latest_execution: row.as_ref().map(|row| model::StageExecution {
            pipeline_execution_id: row.execution.to_string(),
            status: model::StageExecutionStatus::from(row.status.as_str()),
            r#type: Some(execution_type(row.execution_type)),
        }),
        retry_stage_metadata: row.as_ref().and_then(retry_metadata),
        before_entry_condition_state: asked(ConditionType::BeforeEntry),
        on_success_condition_state: asked(ConditionType::OnSuccess),
        on_failure_condition_state: asked(ConditionType::OnFailure),
    }
}

/// How a gate was answered last, whichever execution asked it. Nothing for a gate that was never asked, or that
/// the definition no longer has.
fn condition_state(
    rows: &BTreeMap<String, String>,
    stage: &StageDeclaration,
    gate: ConditionType,
) -> Option<model::StageConditionState> {
    let declared = stage.condition(gate)?;
    let ConditionRow { condition, .. } = read(rows, &condition_key(&stage.name, gate))?;
    let status = || Some(model::ConditionExecutionStatus::from(condition.status.as_str()));
    let summary = condition_summary(&condition);
    let rule_states = declared.rules.iter().map(|rule| model::RuleState {
        rule_name: Some(rule.name.to_string()),
        latest_execution: condition.rules.iter().find(|run| *run.rule == rule.name).map(rule_execution),
        ..model::RuleState::default()
    });
    let state = model::ConditionState {
        latest_execution: Some(model::ConditionExecution {
            status: status(),
            summary: summary.clone(),
            last_status_change: at(condition.updated),
        }),
        rule_states: Some(rule_states.collect()),
    };
    Some(model::StageConditionState {
        latest_execution: Some(model::StageConditionsExecution { status: status(), summary }),
        condition_states: Some(vec![state]),
    })
}

fn condition_summary(condition: &ShownCondition<'_>) -> Option<String> {
    let overridden = condition.by.as_ref().map(|by| format!("Overridden by {by}"));
    overridden.or_else(|| text(&condition.summary))
}

fn text(text: &Option<Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

fn rule_execution(rule: &ShownRule<'_>) -> model::RuleExecution {
    model::RuleExecution {
        rule_execution_id: Some(rule.rule_execution.to_string()),
        status: Some(model::RuleExecutionStatus::from(rule.status.as_str())),
        summary: text(&rule.summary),
        last_status_change: at(rule.updated),
        external_execution_id: text(&rule.external_execution_id),
        external_execution_url: text(&rule.external_execution_url),
        error_details: error_details(rule.error.as_deref()),
        ..model::RuleExecution::default()
    }
}

/// Present once the stage was retried in this execution; each count only once there is something to count.
fn retry_metadata(row: &StageRow) -> Option<model::RetryStageMetadata> {
    let count = |retries: u32| (retries > 0).then(|| i64::from(retries));
    let latest = match row.latest_retry? {
        RetryTrigger::AutomatedStageRetry => model::RetryTrigger::AutomatedStageRetry,
        RetryTrigger::ManualStageRetry => model::RetryTrigger::ManualStageRetry,
    };
    Some(model::RetryStageMetadata {
        auto_stage_retry_attempt: count(row.auto_retries),
        manual_stage_retry_attempt: count(row.manual_retries),
        latest_retry_trigger: Some(latest),
    })
}

/// The action types as they stand now.
struct Types {
    types: Arc<ActionTypes>,
    registry: Registry,
}

/// Where a person can look at what the action works on.
fn entity_url(action: &ActionDeclaration, attempt: Option<&Shown<'_>>, types: &Types) -> Option<String> {
    let resolved = attempt.map(|attempt| attempt.resolved.as_ref());
    let said = resolved.and_then(|resolved| resolved.get("ExternalEntityLink"));
    if let Some(said) = said.or_else(|| action.configuration.get("ExternalEntityLink")) {
        return Some(said.clone());
    }
    let links = action_types::links(&types.types, &types.registry, &action.action_type_id);
    let mut configuration = action.configuration.clone();
    configuration.extend(resolved.cloned().unwrap_or_default());
    let id = attempt.and_then(|attempt| attempt.external_execution_id.as_deref());
    link(links.entity_url_template.as_ref()?, &configuration, id)
}

fn action_state(
    action: &ActionDeclaration,
    attempt: Option<&Shown<'_>>,
    types: &Types,
) -> model::ActionState {
    let revision = attempt.and_then(|attempt| attempt.revision.as_ref());
    model::ActionState {
        action_name: Some(action.name.to_string()),
        current_revision: revision.map(|revision| model::ActionRevision {
            revision_id: revision.revision_id.clone(),
            revision_change_id: revision.change_id.as_ref().unwrap_or(&revision.revision_id).clone(),
            created: api::Timestamp::from_millis(
                revision.created.map_or(attempt.map_or(0, |attempt| attempt.updated.0), |created| created.0),
            ),
        }),
        latest_execution: attempt.map(|attempt| action_execution(action, attempt)),
        entity_url: entity_url(action, attempt, types),
        revision_url: revision.and_then(|revision| revision.url.clone()),
    }
}

fn action_execution(action: &ActionDeclaration, attempt: &Shown<'_>) -> model::ActionExecution {
    let is_open = attempt.status == ActionStatus::InProgress;
    // While it is open an approval shows what it asks; afterwards, what was answered.
    let question = (attempt.action_type.category == ActionCategory::Approval && is_open)
        .then(|| {
            attempt.resolved.get("CustomData").or_else(|| action.configuration.get("CustomData")).cloned()
        })
        .flatten();
    model::ActionExecution {
        action_execution_id: Some(attempt.action_execution.to_string()),
        status: Some(model::ActionExecutionStatus::from(attempt.status.as_str())),
        summary: question.or_else(|| text(&attempt.summary)),
        last_status_change: at(attempt.updated),
        token: text(&attempt.token).filter(|_| is_open),
        last_updated_by: text(&attempt.by),
        external_execution_id: text(&attempt.external_execution_id),
        external_execution_url: text(&attempt.external_execution_url),
        percent_complete: attempt.percent_complete.map(i64::from),
        error_details: error_details(attempt.error.as_deref()),
        ..model::ActionExecution::default()
    }
}

/// Every row whose key has this prefix, with those of stages and actions that are no longer declared. About so many
/// are expected; behind them lie rows of other kinds, which need not be read.
async fn rows_under<H: Home>(
    home: &H,
    partition: &str,
    prefix: &str,
    expected: usize,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut found = BTreeMap::new();
    let at_once = (expected + 1).min(ROWS_AT_ONCE_MAX);
    let mut after = prefix.to_owned();
    loop {
        let page = home.views().page(partition, Some(&after), at_once, false).await;
        let page = page.map_err(|error| exceptions::no_views(&error))?;
        let read = page.len();
        if let Some(last) = page.last() {
            after.clone_from(&last.q);
        }
        let of_prefix = page.into_iter().filter(|row| row.q.starts_with(prefix));
        found.extend(of_prefix.filter_map(|row| Some((row.q, row.body?))));
        if read < at_once || !after.starts_with(prefix) {
            return Ok(found);
        }
    }
}

fn read<T: DeserializeOwned>(rows: &BTreeMap<String, String>, key: &str) -> Option<T> {
    rows.get(key).and_then(|body| serde_json::from_str(body).ok())
}
