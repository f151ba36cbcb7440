//! Answering manual approvals. See `spec/api.md`, section 2.2.

use super::{at, existing, pipeline_name, send};
use crate::{Caller, Home, exceptions};
use api::{ApiError, ApiException, model};
use domain::{
    command::Wish,
    lane::{Lane, StageTraffic},
    pipeline::{StageDeclaration, versions::Pipeline},
};
use events::{ActionName, ExecutionId, StageName};

/// Records an approval's answer, in the name of the caller.
pub(super) async fn put<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutApprovalResultInput,
) -> Result<model::PutApprovalResultOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let pipeline = existing(home, &name).await?;
    let stage = StageName::parse(input.stage_name).map_err(|error| exceptions::bad_name(&error))?;
    let action = ActionName::parse(input.action_name).map_err(|error| exceptions::bad_name(&error))?;
    let lane = home.engine().lane(&name).await.map_err(exceptions::unavailable)?;
    let declared = declared(&pipeline, &lane, &stage).ok_or_else(|| {
        let text = format!("Pipeline '{name}' does not have a stage with name '{stage}'");
        ApiError::new(ApiException::StageNotFoundException, text)
    })?;
    if declared.action(&action).is_none() {
        let text = format!("Stage '{stage}' does not have an action with name '{action}'");
        return Err(ApiError::new(ApiException::ActionNotFoundException, text));
    }
    let approved = match input.result.status {
        model::ApprovalStatus::Approved => true,
        model::ApprovalStatus::Rejected => false,
        model::ApprovalStatus::Other(other) => {
            return Err(ApiError::validation(format!("`{other}` is not an approval status")));
        }
    };
    let execution = execution_of(home, &name, &stage, &action, &input.token).await?;
    let wish =
        Wish::RecordApproval { stage, action, token: input.token, approved, summary: input.result.summary };
    send(home, caller, &name, Some(execution), wish).await?;
    Ok(model::PutApprovalResultOutput { approved_at: at(home.engine().clock().now()) })
}

/// The stage of the current definition; or, since executions that keep their own may still be in a stage which that
/// lacks, of the newest definition that has it.
fn declared<'p>(pipeline: &'p Pipeline, lane: &Lane, stage: &StageName) -> Option<&'p StageDeclaration> {
    let current = pipeline.current_definition().and_then(|definition| definition.stage(stage));
    let keeps = |traffic: &StageTraffic| traffic.held.iter().any(|hold| hold.terms.extended);
    let is_kept = || lane.stages.get(stage).is_some_and(keeps);
    let older = || pipeline.versions.values().rev().find_map(|definition| definition.stage(stage));
    current.or_else(|| is_kept().then(older).flatten())
}

/// The execution that asked with this token: one that holds the stage, or was the last to.
async fn execution_of<H: Home>(
    home: &H,
    pipeline: &events::PipelineName,
    stage: &StageName,
    action: &ActionName,
    token: &str,
) -> Result<ExecutionId, ApiError> {
    let lane = home.engine().lane(pipeline).await.map_err(exceptions::unavailable)?;
    let traffic = lane.stages.get(stage);
    let holds = traffic.into_iter().flat_map(|traffic| traffic.held.iter().chain(&traffic.last_entered));
    let candidates: Vec<ExecutionId> = holds.map(|hold| hold.execution.clone()).collect();
    for id in candidates {
        let execution = home.engine().execution(&id).await.map_err(exceptions::unavailable)?;
        let asked = execution.stage(stage).is_some_and(|run| {
            run.attempts
                .iter()
                .any(|attempt| attempt.action == *action && attempt.token.as_deref() == Some(token))
        });
        if asked {
            return Ok(id);
        }
    }
    let rejection = domain::Rejection::InvalidApprovalToken { token: token.to_owned(), stage: stage.clone() };
    Err(exceptions::rejected(home.engine().account(), &rejection))
}
