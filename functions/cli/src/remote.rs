//! The commands that speak to a Towpath elsewhere, by its API alone.
//!
//! What they say is for people; `--format json` gives the service's own answer.

mod approve;
mod doors;
mod executions;
pub mod pipelines;
mod put;
mod retry;
mod rollback;
mod start;
mod state;
mod stop;
pub mod table;
pub mod words;

use crate::{
    client::{Client, endpoint::Reach},
    past::show::Format,
};
use anyhow::{Context, bail};
use api::model::{
    GetPipelineStateInput, GetPipelineStateOutput, ListPipelineExecutionsInput, PipelineExecutionSummary,
};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Letters of an execution's id that are enough, if no other begins so.
const PREFIX_CHARS_MIN: usize = 4;
/// Executions in one page, as many as the API gives.
const PAGE: i64 = 100;
/// Executions looked through for the beginning of an id, most.
const EXECUTIONS_LOOKED_THROUGH_MAX: usize = 1_000;

/// What every command here takes.
#[derive(Args)]
pub struct Common {
    #[command(flatten)]
    reach: Reach,
    /// `text` for people, `json` for programs.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl Common {
    fn client(&self) -> anyhow::Result<Client> {
        Client::of(&self.reach)
    }

    /// Prints an answer for programs; false when people shall read it.
    fn printed(&self, answer: &impl Serialize) -> anyhow::Result<bool> {
        if self.format == Format::Json {
            anstream::println!("{}", serde_json::to_string_pretty(answer)?);
        }
        Ok(self.format == Format::Json)
    }
}

// No words here: those of a variant would hide the longer ones that each command has of its own.
/// The commands.
#[derive(Subcommand)]
pub enum Command {
    Pipelines(pipelines::Args),
    State(state::Args),
    Executions(executions::Args),
    Put(put::Args),
    Start(start::Args),
    Stop(stop::Args),
    Approve(approve::Args),
    Retry(retry::Args),
    Rollback(rollback::Args),
    Disable(doors::DisableArgs),
    Enable(doors::EnableArgs),
}

impl Command {
    fn common(&mut self) -> &mut Common {
        match self {
            Self::Pipelines(args) => &mut args.common,
            Self::State(args) => &mut args.common,
            Self::Executions(args) => &mut args.common,
            Self::Put(args) => &mut args.common,
            Self::Start(args) => &mut args.common,
            Self::Stop(args) => &mut args.common,
            Self::Approve(args) => &mut args.common,
            Self::Retry(args) => &mut args.common,
            Self::Rollback(args) => &mut args.common,
            Self::Disable(args) => &mut args.common,
            Self::Enable(args) => &mut args.common,
        }
    }
}

/// Carries one out. `outer` stood before it on the command line.
pub async fn run(mut command: Command, outer: Reach) -> anyhow::Result<u8> {
    let reach = &mut command.common().reach;
    *reach = std::mem::take(reach).or(outer);
    match command {
        Command::Pipelines(args) => pipelines::run(args).await,
        Command::State(args) => state::run(args).await,
        Command::Executions(args) => executions::run(args).await,
        Command::Put(args) => put::run(args).await,
        Command::Start(args) => start::run(args).await,
        Command::Stop(args) => stop::run(args).await,
        Command::Approve(args) => approve::run(args).await,
        Command::Retry(args) => retry::run(args).await,
        Command::Rollback(args) => rollback::run(args).await,
        Command::Disable(args) => doors::disable(args).await,
        Command::Enable(args) => doors::enable(args).await,
    }
}

/// The state of a pipeline.
pub async fn state_of(client: &Client, name: &str) -> anyhow::Result<GetPipelineStateOutput> {
    client.ask(&GetPipelineStateInput { name: name.to_owned() }).await
}

/// The newest executions of a pipeline, newest first, as many as are wanted.
pub async fn executions_of(
    client: &Client,
    name: &str,
    wanted: usize,
) -> anyhow::Result<Vec<PipelineExecutionSummary>> {
    let mut found: Vec<PipelineExecutionSummary> = Vec::new();
    let mut next_token = None;
    while found.len() < wanted {
        let max_results = Some(PAGE.min((wanted - found.len()) as i64));
        let input = ListPipelineExecutionsInput {
            pipeline_name: name.to_owned(),
            max_results,
            filter: None,
            next_token,
        };
        let page = client.ask(&input).await?;
        found.extend(page.pipeline_execution_summaries.unwrap_or_default());
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    found.truncate(wanted);
    Ok(found)
}

/// The execution whose id begins so.
pub async fn execution_of(
    client: &Client,
    name: &str,
    text: &str,
) -> anyhow::Result<PipelineExecutionSummary> {
    anyhow::ensure!(
        text.chars().count() >= PREFIX_CHARS_MIN,
        "`{text}` is too short for the beginning of an execution's id: give at least {PREFIX_CHARS_MIN} letters"
    );
    let all = executions_of(client, name, EXECUTIONS_LOOKED_THROUGH_MAX).await?;
    let begins = |one: &PipelineExecutionSummary| {
        one.pipeline_execution_id.as_deref().is_some_and(|id| id.starts_with(text))
    };
    let mut found = all.into_iter().filter(begins);
    let first = found.next().with_context(|| {
        format!(
            "no execution of `{name}` has an id that begins with `{text}`: see `towpath executions {name}`"
        )
    })?;
    if found.next().is_some() {
        bail!("more than one execution's id begins with `{text}`: give more of it");
    }
    Ok(first)
}

/// The id in a summary.
pub fn id_of(execution: &PipelineExecutionSummary) -> anyhow::Result<String> {
    execution.pipeline_execution_id.clone().context("the answer names an execution without its id")
}

/// `STAGE/ACTION`, taken apart.
fn stage_and_action(text: &str) -> anyhow::Result<(&str, &str)> {
    text.split_once('/').with_context(|| format!("`{text}` must read `STAGE/ACTION`"))
}
