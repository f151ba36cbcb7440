//! Revisions that workers report of source actions. See `spec/api.md`, section 2.2.

use super::{
    existing,
    history::{AFTER_EXECUTIONS, executions_before},
    pipeline_name, send,
};
use crate::{Caller, Home, derived::execution_id, exceptions};
use api::{ApiError, model};
use domain::{
    Rejection,
    command::Wish,
    pipeline::versions::Pipeline,
    views::listing::{ExecutionSummary, pipeline_partition},
};
use engine::transact::Done;
use events::{ActionCategory, ActionName, ExecutionId, PipelineName, StageName, Trigger, TriggerType};
use std::collections::BTreeMap;

/// Executions, the newest, that are looked through for one that used a revision.
const LOOKED_THROUGH_MAX: usize = 1000;
/// Rows read at a time.
const PAGE_ROWS: usize = 250;

/// Starts an execution for a revision that none has used yet.
pub(super) async fn put<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutActionRevisionInput,
) -> Result<model::PutActionRevisionOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let pipeline = existing(home, &name).await?;
    let stage = StageName::parse(input.stage_name).map_err(|error| exceptions::bad_name(&error))?;
    let action = ActionName::parse(input.action_name).map_err(|error| exceptions::bad_name(&error))?;
    check_source(home, &name, &pipeline, &stage, &action)?;
    let revision = input.action_revision.revision_id;
    let answer = |new, execution: String| model::PutActionRevisionOutput {
        new_revision: Some(new),
        pipeline_execution_id: Some(execution),
    };
    if let Some(execution) = used_by(home, &name, &pipeline, &action, &revision).await? {
        return Ok(answer(false, execution.to_string()));
    }
    // Made of what is reported, so that the same report always means the same execution, however often it comes.
    let execution = derived(&name, pipeline.incarnation, &action, &revision);
    let trigger =
        Trigger { kind: TriggerType::PutActionRevision, detail: input.action_revision.revision_change_id };
    let wish = Wish::StartExecution {
        trigger,
        variables: BTreeMap::new(),
        revisions: BTreeMap::from([(action, revision)]),
    };
    let done = send(home, caller, &name, Some(execution.clone()), wish).await?;
    Ok(answer(done == Done::Written, execution.to_string()))
}

fn check_source<H: Home>(
    home: &H,
    name: &PipelineName,
    pipeline: &Pipeline,
    stage: &StageName,
    action: &ActionName,
) -> Result<(), ApiError> {
    let rejected = |rejection| exceptions::rejected(home.engine().account(), &rejection);
    let definition = pipeline.current_definition();
    let known = definition.and_then(|definition| definition.stages.iter().find(|known| known.name == *stage));
    let Some(known) = known else {
        return Err(rejected(Rejection::StageNotFound { pipeline: name.clone(), stage: stage.clone() }));
    };
    let Some(found) = known.actions.iter().find(|known| known.name == *action) else {
        let (pipeline, stage, action) = (name.clone(), stage.clone(), action.clone());
        return Err(rejected(Rejection::ActionNotFound { pipeline, stage, action }));
    };
    if found.action_type_id.category != ActionCategory::Source {
        let text = format!(
            "Action '{action}' in stage '{stage}' of pipeline '{name}' is not a source action: only those have revisions"
        );
        return Err(ApiError::validation(text));
    }
    Ok(())
}

/// The newest execution whose source action fetched this revision, of the newest [`LOOKED_THROUGH_MAX`].
async fn used_by<H: Home>(
    home: &H,
    name: &PipelineName,
    pipeline: &Pipeline,
    action: &ActionName,
    revision: &str,
) -> Result<Option<ExecutionId>, ApiError> {
    let partition = pipeline_partition(name, pipeline.incarnation);
    let mut before = AFTER_EXECUTIONS.to_owned();
    for _ in 0..LOOKED_THROUGH_MAX / PAGE_ROWS {
        let rows = executions_before(home, &partition, &before, PAGE_ROWS).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        before.clone_from(&last.q);
        let used = rows.iter().find_map(|row| {
            let summary: ExecutionSummary = serde_json::from_str(row.body.as_deref()?).ok()?;
            let used =
                summary.revisions.iter().any(|used| used.action == *action && used.revision_id == revision);
            used.then_some(summary.execution)
        });
        if used.is_some() {
            return Ok(used);
        }
    }
    Ok(None)
}

/// The id of the run that a revision starts.
fn derived(pipeline: &PipelineName, incarnation: u32, action: &ActionName, revision: &str) -> ExecutionId {
    execution_id(&[
        "put-action-revision",
        pipeline.as_str(),
        &incarnation.to_string(),
        action.as_str(),
        revision,
    ])
}
