//! `towpath start`.

use super::{Common, words};
use crate::client::Client;
use anyhow::Context;
use api::model::{
    GetPipelineExecutionInput, PipelineVariable, SourceRevisionOverride, SourceRevisionType,
    StartPipelineExecutionInput,
};
use clap::Parser;
use std::time::{Duration, Instant};

/// How often a run that is waited for is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Start an execution on a Towpath elsewhere.
///
/// With `--wait` it ends with code 0 when the run succeeded, and with 1 when it did not.
#[derive(Parser)]
#[command(after_help = "Examples:\n  towpath start shop --var COLOUR=blue\n  \
                  towpath start shop --revision Checkout=8f3c1de… --wait\n  \
                  towpath start shop --revision Image=IMAGE_DIGEST:sha256:…")]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// A value for a variable of the pipeline.
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// The revision for a source action: a commit, or `TYPE:` and the revision, where TYPE is COMMIT_ID, IMAGE_DIGEST,
    /// S3_OBJECT_VERSION_ID or S3_OBJECT_KEY.
    #[arg(long, value_name = "ACTION=REVISION")]
    revision: Vec<String>,
    /// Wait until the run has ended.
    #[arg(long)]
    wait: bool,
    /// How long to wait, minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, requires = "wait")]
    wait_minutes: u32,
    #[command(flatten)]
    pub common: Common,
}

/// Starts it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let input = StartPipelineExecutionInput {
        name: args.name.clone(),
        variables: listed(&args.var, variable)?,
        // So that it can be sent twice, and starts one run.
        client_request_token: Some(uuid::Uuid::new_v4().to_string()),
        source_revisions: listed(&args.revision, revision)?,
    };
    let answer = client.ask(&input).await?;
    let id = answer.pipeline_execution_id.clone().context("the answer names no execution")?;
    let is_for_programs = args.common.printed(&answer)?;
    if !is_for_programs {
        anstream::println!("started {id}");
    }
    if args.wait {
        let minutes = Duration::from_secs(u64::from(args.wait_minutes) * 60);
        return ended(&client, &args.name, &id, minutes, !is_for_programs).await;
    }
    if !is_for_programs {
        anstream::println!("`towpath state {}` shows how it goes", args.name);
    }
    Ok(0)
}

fn listed<T>(given: &[String], read: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Option<Vec<T>>> {
    let all: Vec<T> = given.iter().map(|text| read(text)).collect::<anyhow::Result<_>>()?;
    Ok((!all.is_empty()).then_some(all))
}

fn variable(text: &str) -> anyhow::Result<PipelineVariable> {
    let (name, value) =
        text.split_once('=').with_context(|| format!("`--var {text}` must read `NAME=VALUE`"))?;
    Ok(PipelineVariable { name: name.to_owned(), value: value.to_owned() })
}

fn revision(text: &str) -> anyhow::Result<SourceRevisionOverride> {
    let (action, revision) =
        text.split_once('=').with_context(|| format!("`--revision {text}` must read `ACTION=REVISION`"))?;
    let typed = revision.split_once(':').filter(|(kind, _)| SourceRevisionType::VALUES.contains(kind));
    let (kind, value) = match typed {
        Some((kind, value)) => (kind, value),
        None if revision.starts_with("sha256:") => ("IMAGE_DIGEST", revision),
        None => ("COMMIT_ID", revision),
    };
    Ok(SourceRevisionOverride {
        action_name: action.to_owned(),
        revision_type: kind.into(),
        revision_value: value.to_owned(),
    })
}

/// Waits for a run's end; the code to end with.
async fn ended(
    client: &Client,
    name: &str,
    id: &str,
    at_most: Duration,
    is_told: bool,
) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let input =
        GetPipelineExecutionInput { pipeline_name: name.to_owned(), pipeline_execution_id: id.to_owned() };
    loop {
        let told = client.ask(&input).await?.pipeline_execution.unwrap_or_default();
        let status = told.status.as_ref().map_or("-", |status| status.as_str());
        if !matches!(status, "InProgress" | "Stopping") {
            if is_told {
                let why =
                    told.status_summary.map(|why| format!(": {}", words::line(&why))).unwrap_or_default();
                anstream::println!(
                    "{} after {}{why}",
                    words::status(status),
                    words::span(begun.elapsed().as_millis() as i64)
                );
                if status != "Succeeded" {
                    anstream::println!("`towpath state {name}` shows where");
                }
            }
            return Ok(u8::from(status != "Succeeded"));
        }
        anyhow::ensure!(
            begun.elapsed() < at_most,
            "{id} is still {status} after {} min; it goes on: `towpath state {name}` shows how",
            at_most.as_secs() / 60
        );
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_say_their_type_or_are_commits() {
        let read = |text: &str| {
            let read = revision(text).unwrap();
            (read.action_name, read.revision_type.as_str().to_owned(), read.revision_value)
        };
        let told = |action: &str, kind: &str, value: &str| (action.into(), kind.into(), value.into());
        assert_eq!(read("Checkout=8f3c"), told("Checkout", "COMMIT_ID", "8f3c"));
        assert_eq!(read("Image=sha256:12"), told("Image", "IMAGE_DIGEST", "sha256:12"));
        assert_eq!(read("Zip=S3_OBJECT_KEY:a=b:c"), told("Zip", "S3_OBJECT_KEY", "a=b:c"));
        assert!(revision("Checkout").is_err() && variable("COLOUR").is_err());
        assert_eq!(variable("A=b=c").unwrap().value, "b=c");
    }
}
