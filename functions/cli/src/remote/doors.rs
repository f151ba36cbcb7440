//! `towpath disable` and `towpath enable`: the transition into a stage.

use super::Common;
use api::model::{DisableStageTransitionInput, EnableStageTransitionInput, StageTransitionType};
use clap::Parser;

/// Close the transition into a stage on a Towpath elsewhere: whoever comes waits in front of it.
#[derive(Parser)]
pub struct DisableArgs {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The stage.
    #[arg(value_name = "STAGE")]
    stage: String,
    /// Why, for those who look later; 300 letters at most.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub common: Common,
}

/// Open the transition into a stage on a Towpath elsewhere: whoever waits in front of it enters.
#[derive(Parser)]
pub struct EnableArgs {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The stage.
    #[arg(value_name = "STAGE")]
    stage: String,
    #[command(flatten)]
    pub common: Common,
}

/// Closes it.
pub async fn disable(args: DisableArgs) -> anyhow::Result<u8> {
    let input = DisableStageTransitionInput {
        pipeline_name: args.name.clone(),
        stage_name: args.stage.clone(),
        transition_type: StageTransitionType::Inbound,
        reason: args.reason.clone(),
    };
    // Closed twice is closed.
    let answer = args.common.client()?.ask(&input).await?;
    if !args.common.printed(&answer)? {
        anstream::println!("the transition into {} of {} is closed", args.stage, args.name);
    }
    Ok(0)
}

/// Opens it.
pub async fn enable(args: EnableArgs) -> anyhow::Result<u8> {
    let input = EnableStageTransitionInput {
        pipeline_name: args.name.clone(),
        stage_name: args.stage.clone(),
        transition_type: StageTransitionType::Inbound,
    };
    let answer = args.common.client()?.ask(&input).await?;
    if !args.common.printed(&answer)? {
        anstream::println!("the transition into {} of {} is open", args.stage, args.name);
    }
    Ok(0)
}
