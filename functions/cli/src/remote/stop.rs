//! `towpath stop`.

use super::{Common, execution_of, executions_of, id_of, words};
use anyhow::bail;
use api::model::StopPipelineExecutionInput;
use clap::Parser;

/// Executions among which the one to stop is looked for.
const LOOKED_AT: usize = 100;

/// Stop an execution on a Towpath elsewhere, after the actions that are going on, or at once.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The execution's id or its beginning; without it, the only one that is going on.
    #[arg(value_name = "EXECUTION")]
    execution: Option<String>,
    /// Do not wait for actions that are going on.
    #[arg(long)]
    abandon: bool,
    /// Why, for those who look later.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Stops it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let execution = match &args.execution {
        Some(text) => id_of(&execution_of(&client, &args.name, text).await?)?,
        None => {
            let all = executions_of(&client, &args.name, LOOKED_AT).await?;
            let goes_on = |status: &str| matches!(status, "InProgress" | "Stopping");
            let mut open = all
                .iter()
                .filter(|one| one.status.as_ref().is_some_and(|status| goes_on(status.as_str())))
                .filter_map(|one| one.pipeline_execution_id.clone());
            match (open.next(), open.next()) {
                (Some(only), None) => only,
                (None, _) => bail!("nothing is going on in `{}`", args.name),
                (Some(_), Some(_)) => bail!(
                    "more than one execution of `{0}` is going on: name one of `towpath executions {0}`",
                    args.name
                ),
            }
        }
    };
    let input = StopPipelineExecutionInput {
        pipeline_name: args.name.clone(),
        pipeline_execution_id: execution.clone(),
        abandon: args.abandon.then_some(true),
        reason: args.reason.clone(),
    };
    let answer = client.tell(&input).await?;
    if !args.common.printed(&answer)? {
        let how =
            if args.abandon { "is stopped" } else { "stops when the actions that are going on have ended" };
        anstream::println!("{} {how}", words::short(&execution));
    }
    Ok(0)
}
