//! `towpath approve`.

use super::{Common, stage_and_action, state_of, words};
use anyhow::{Context, bail};
use api::model::{ApprovalResult, ApprovalStatus, GetPipelineStateOutput, PutApprovalResultInput};
use clap::Parser;

/// Answer an approval that a pipeline of a Towpath elsewhere waits for.
///
/// Who answered is recorded as the ARN that the request was signed with.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The approval, as STAGE/ACTION; without it, the only one that waits.
    #[arg(value_name = "STAGE/ACTION")]
    approval: Option<String>,
    /// Say no.
    #[arg(long)]
    reject: bool,
    /// Why, for those who look later; 512 letters at most.
    #[arg(long, value_name = "TEXT", default_value = "")]
    summary: String,
    #[command(flatten)]
    pub common: Common,
}

/// An approval that waits for its answer.
struct Waiting {
    stage: String,
    action: String,
    token: String,
    execution: String,
}

/// Answers it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let waiting = waiting(&state_of(&client, &args.name).await?);
    let one = match &args.approval {
        Some(text) => {
            let (stage, action) = stage_and_action(text)?;
            let found = waiting.into_iter().find(|one| one.stage == stage && one.action == action);
            found.with_context(|| format!("`{text}` of `{}` does not wait for an answer", args.name))?
        }
        None => only(waiting, &args.name)?,
    };
    let status = if args.reject { ApprovalStatus::Rejected } else { ApprovalStatus::Approved };
    let input = PutApprovalResultInput {
        pipeline_name: args.name.clone(),
        stage_name: one.stage.clone(),
        action_name: one.action.clone(),
        result: ApprovalResult { summary: args.summary.clone(), status: status.clone() },
        token: one.token,
    };
    let answer = client.tell(&input).await?;
    if !args.common.printed(&answer)? {
        let word = if args.reject { "rejected" } else { "approved" };
        anstream::println!("{}/{} is {word} for {}", one.stage, one.action, words::short(&one.execution));
    }
    Ok(0)
}

fn only(waiting: Vec<Waiting>, name: &str) -> anyhow::Result<Waiting> {
    let names: Vec<String> = waiting.iter().map(|one| format!("{}/{}", one.stage, one.action)).collect();
    let mut waiting = waiting.into_iter();
    match (waiting.next(), waiting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => bail!("`{name}` waits for no approval"),
        (Some(_), Some(_)) => {
            bail!("`{name}` waits for more than one approval, name one: {}", names.join(", "))
        }
    }
}

fn waiting(state: &GetPipelineStateOutput) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for stage in state.stage_states.iter().flatten() {
        for action in stage.action_states.iter().flatten() {
            let Some(latest) = &action.latest_execution else { continue };
            let goes_on = latest.status.as_ref().is_some_and(|status| status.as_str() == "InProgress");
            if let (true, Some(token)) = (goes_on, &latest.token) {
                waiting.push(Waiting {
                    stage: stage.stage_name.clone().unwrap_or_default(),
                    action: action.action_name.clone().unwrap_or_default(),
                    token: token.clone(),
                    execution: stage
                        .latest_execution
                        .as_ref()
                        .map(|latest| latest.pipeline_execution_id.clone())
                        .unwrap_or_default(),
                });
            }
        }
    }
    waiting
}
