//! Where deployments went. See `spec/api.md`, section 2.3.

use super::{at, existing, pipeline_name};
use crate::{Home, paging};
use api::{ApiError, ApiException, Code, model};
use engine::{
    action::{DeployTarget, TargetEvent},
    ports::Actions,
};
use events::{ActionExecutionId, Timestamp};

/// The targets of an attempt at a deploy action, in the order they were deployed to.
pub(super) async fn list<H: Home>(
    home: &H,
    input: model::ListDeployActionExecutionTargetsInput,
) -> Result<model::ListDeployActionExecutionTargetsOutput, ApiError> {
    let pipeline = input.pipeline_name.as_deref().map(pipeline_name).transpose()?;
    if let Some(name) = &pipeline {
        existing(home, name).await?;
    }
    let unknown = || {
        let text = format!("There is no deploy action execution with the id '{}'", input.action_execution_id);
        ApiError::new(ApiException::ActionExecutionNotFoundException, text)
    };
    let attempt = ActionExecutionId::parse(&input.action_execution_id).map_err(|_| unknown())?;
    let wanted = statuses(input.filters.as_deref().unwrap_or_default())?;
    let known = home.engine().actions().targets(&attempt).await;
    let known = known.map_err(|error| ApiError::new(Code::ServiceUnavailable, error.to_string()))?;
    let known = known.ok_or_else(unknown)?;
    if known.pipeline.is_some() && pipeline.is_some() && known.pipeline != pipeline {
        return Err(unknown());
    }
    let question = format!("targets of {attempt} {wanted:?}");
    let skipped = match &input.next_token {
        Some(token) => paging::cursor(&question, token)?.within,
        None => 0,
    };
    let rows_max = input.max_results.and_then(|max| usize::try_from(max).ok());
    let rows_max = rows_max.unwrap_or(paging::PAGE_ROWS_DEFAULT).max(1);
    // A deployment's targets are fixed when it begins, so a place in the list stays one. Filtered after they are
    // counted: a status may change between two pages.
    let mut page = Vec::new();
    let mut next = skipped;
    for target in known.targets.iter().skip(skipped) {
        if page.len() == rows_max {
            break;
        }
        next += 1;
        let is_wanted = wanted
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(|status| status.eq_ignore_ascii_case(&target.status)));
        if is_wanted {
            page.push(shown(target));
        }
    }
    let next_token = (next < known.targets.len())
        .then(|| paging::token(&question, &paging::Cursor { key: String::new(), within: next }));
    Ok(model::ListDeployActionExecutionTargetsOutput { targets: Some(page), next_token })
}

/// The statuses asked for: every filter must let a target through. `None` when there is no filter.
fn statuses(filters: &[model::TargetFilter]) -> Result<Option<Vec<String>>, ApiError> {
    let mut wanted: Option<Vec<String>> = None;
    for filter in filters {
        if filter.name != Some(model::TargetFilterName::TargetStatus) {
            return Err(ApiError::validation("a filter must have the name TARGET_STATUS"));
        }
        let values = filter.values.clone().unwrap_or_default();
        if values.is_empty() {
            return Err(ApiError::validation("the filter TARGET_STATUS must have values"));
        }
        wanted = Some(match wanted {
            None => values,
            Some(before) => {
                let both = |status: &String| values.iter().any(|value| value.eq_ignore_ascii_case(status));
                before.into_iter().filter(both).collect()
            }
        });
    }
    Ok(wanted)
}

fn shown(target: &DeployTarget) -> model::DeployActionExecutionTarget {
    model::DeployActionExecutionTarget {
        target_id: Some(target.id.clone()),
        target_type: Some(target.kind.clone()),
        status: Some(target.status.clone()),
        start_time: time(target.started),
        end_time: time(target.ended),
        events: Some(target.events.iter().map(event).collect()),
    }
}

fn event(event: &TargetEvent) -> model::DeployTargetEvent {
    model::DeployTargetEvent {
        name: Some(event.name.clone()),
        status: Some(event.status.clone()),
        start_time: time(event.started),
        end_time: time(event.ended),
        context: event
            .message
            .clone()
            .map(|message| model::DeployTargetEventContext { message: Some(message), ssm_command_id: None }),
    }
}

fn time(moment: Option<Timestamp>) -> Option<api::Timestamp> {
    moment.and_then(at)
}
