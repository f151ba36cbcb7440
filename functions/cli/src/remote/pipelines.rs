//! `towpath pipelines`.

use super::{Common, table, words};
use api::model::{ListPipelinesInput, ListPipelinesOutput, PipelineSummary};
use clap::Parser;

/// Pages read, most.
const PAGES_MAX: usize = 100;

/// List the pipelines of a Towpath elsewhere.
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
}

/// Lists them.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let pipelines = all(&client).await?;
    if args.common.printed(&ListPipelinesOutput { pipelines: Some(pipelines.clone()), next_token: None })? {
        return Ok(0);
    }
    if pipelines.is_empty() {
        anstream::println!("there are no pipelines at {}", client.shown());
        return Ok(0);
    }
    let now = jiff::Timestamp::now();
    let row = |one: &PipelineSummary| {
        vec![
            one.name.clone().unwrap_or_default(),
            one.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            one.pipeline_type.as_ref().map_or("-", |kind| kind.as_str()).to_owned(),
            one.execution_mode.as_ref().map_or("-", |mode| mode.as_str()).to_owned(),
            words::ago(one.updated, now),
        ]
    };
    let rows: Vec<Vec<String>> = pipelines.iter().map(row).collect();
    table::print(&["NAME", "VERSION", "TYPE", "MODE", "CHANGED"], &rows);
    Ok(0)
}

/// Every pipeline there is.
pub async fn all(client: &crate::client::Client) -> anyhow::Result<Vec<PipelineSummary>> {
    let mut pipelines = Vec::new();
    let mut next_token = None;
    for _ in 0..PAGES_MAX {
        let page = client.ask(&ListPipelinesInput { next_token, max_results: None }).await?;
        pipelines.extend(page.pipelines.unwrap_or_default());
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(pipelines);
        }
    }
    anyhow::bail!("there are more than {PAGES_MAX} pages of pipelines")
}
