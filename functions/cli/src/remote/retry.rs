//! `towpath retry`.

use super::{Common, state_of, words};
use anyhow::{Context, bail};
use api::model::{RetryStageExecutionInput, StageRetryMode, StageState};
use clap::Parser;

/// Try a failed stage again on a Towpath elsewhere.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The stage; without it, the only one that failed.
    #[arg(value_name = "STAGE")]
    stage: Option<String>,
    /// Every action of the stage, not only those that failed.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Tries it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let state = state_of(&client, &args.name).await?;
    let stages: Vec<&StageState> = state.stage_states.iter().flatten().collect();
    let stage = match &args.stage {
        Some(name) => *stages
            .iter()
            .find(|stage| stage.stage_name.as_ref() == Some(name))
            .with_context(|| format!("`{}` has no stage `{name}`", args.name))?,
        None => only_failed(&stages, &args.name)?,
    };
    let stage_name = stage.stage_name.clone().unwrap_or_default();
    let latest = stage
        .latest_execution
        .as_ref()
        .with_context(|| format!("nobody has been in the stage `{stage_name}` of `{}`", args.name))?;
    let input = RetryStageExecutionInput {
        pipeline_name: args.name.clone(),
        stage_name: stage_name.clone(),
        pipeline_execution_id: latest.pipeline_execution_id.clone(),
        retry_mode: if args.all { StageRetryMode::AllActions } else { StageRetryMode::FailedActions },
    };
    let answer = client.tell(&input).await?;
    if !args.common.printed(&answer)? {
        let what = if args.all { "every action" } else { "what failed" };
        anstream::println!(
            "{stage_name} is tried again, {what}, for {}",
            words::short(&latest.pipeline_execution_id)
        );
    }
    Ok(0)
}

fn only_failed<'a>(stages: &[&'a StageState], name: &str) -> anyhow::Result<&'a StageState> {
    let has_failed = |stage: &&&StageState| {
        stage.latest_execution.as_ref().is_some_and(|latest| latest.status.as_str() == "Failed")
    };
    let failed: Vec<&&StageState> = stages.iter().filter(has_failed).collect();
    match failed.as_slice() {
        [one] => Ok(**one),
        [] => bail!("no stage of `{name}` failed: `towpath state {name}` shows how it stands"),
        several => {
            let names = several.iter().filter_map(|stage| stage.stage_name.as_deref()).collect::<Vec<_>>();
            bail!("more than one stage of `{name}` failed, name one: {}", names.join(", "))
        }
    }
}
