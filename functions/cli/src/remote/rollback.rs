//! `towpath rollback`.

use super::{Common, execution_of, id_of, words};
use anyhow::Context;
use api::model::RollbackStageInput;
use clap::Parser;

/// Take a stage back to what an earlier execution had there, on a Towpath elsewhere.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The stage.
    #[arg(value_name = "STAGE")]
    stage: String,
    /// The execution to go back to: its id or the beginning of it.
    #[arg(long, value_name = "EXECUTION")]
    to: String,
    #[command(flatten)]
    pub common: Common,
}

/// Takes it back.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let target = id_of(&execution_of(&client, &args.name, &args.to).await?)?;
    let input = RollbackStageInput {
        pipeline_name: args.name.clone(),
        stage_name: args.stage.clone(),
        target_pipeline_execution_id: target.clone(),
    };
    let answer = client.tell(&input).await?;
    if !args.common.printed(&answer)? {
        let id = Some(answer.pipeline_execution_id)
            .filter(|id| !id.is_empty())
            .context("the answer names no execution")?;
        anstream::println!("{id} takes {} back to {}", args.stage, words::short(&target));
    }
    Ok(0)
}
