//! Closing and opening the doors between stages. See `spec/execution-semantics.md`, section 3.

use super::{existing, pipeline_name, send};
use crate::{Caller, Home, exceptions};
use api::{ApiError, ApiException, NoOutput, model};
use domain::command::Wish;
use events::{PipelineName, StageName};

/// Closes a door.
pub(super) async fn disable<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::DisableStageTransitionInput,
) -> Result<NoOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let stage = door(home, &name, &input.stage_name, &input.transition_type).await?;
    send(home, caller, &name, None, Wish::DisableTransition { stage, reason: input.reason }).await?;
    Ok(NoOutput {})
}

/// Opens a door.
pub(super) async fn enable<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::EnableStageTransitionInput,
) -> Result<NoOutput, ApiError> {
    let name = pipeline_name(&input.pipeline_name)?;
    let stage = door(home, &name, &input.stage_name, &input.transition_type).await?;
    send(home, caller, &name, None, Wish::EnableTransition { stage }).await?;
    Ok(NoOutput {})
}

/// The stage whose inbound door is meant: the outbound door of a stage is the inbound one of the next.
async fn door<H: Home>(
    home: &H,
    name: &PipelineName,
    stage: &str,
    kind: &model::StageTransitionType,
) -> Result<StageName, ApiError> {
    let stage = StageName::parse(stage).map_err(|error| exceptions::bad_name(&error))?;
    let pipeline = existing(home, name).await?;
    let definition = pipeline.current_definition();
    if definition.and_then(|definition| definition.stage(&stage)).is_none() {
        // Executions that keep an older definition may wait at a door which the current one no longer has.
        let lane = home.engine().lane(name).await.map_err(exceptions::unavailable)?;
        if *kind == model::StageTransitionType::Inbound && !lane.is_open(&stage) {
            return Ok(stage);
        }
        let text = format!("Pipeline '{name}' does not have a stage with name '{stage}'");
        return Err(ApiError::new(ApiException::StageNotFoundException, text));
    }
    match kind {
        model::StageTransitionType::Inbound => Ok(stage),
        model::StageTransitionType::Outbound => {
            let next = definition.and_then(|definition| definition.next_stage(&stage));
            next.map(|next| next.name.clone()).ok_or_else(|| {
                ApiError::validation(format!("stage '{stage}' is the last one: nothing follows it"))
            })
        }
        model::StageTransitionType::Other(other) => {
            Err(ApiError::validation(format!("`{other}` is not a transition type")))
        }
    }
}
