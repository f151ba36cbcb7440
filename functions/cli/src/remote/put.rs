//! `towpath put`.

use super::Common;
use crate::{
    client,
    definition_file::{self, Reading},
};
use anyhow::Context;
use api::model::{
    CreatePipelineInput, DisableStageTransitionInput, PipelineDeclaration, StageTransitionType, Tag,
    UpdatePipelineInput,
};
use clap::Parser;
use std::path::PathBuf;

/// Create a pipeline on a Towpath elsewhere out of a file, or update it.
///
/// The file is what `get-pipeline` prints, as JSON or YAML, or a CloudFormation template, such as `cdk synth` writes. It is
/// checked here first, with all that is wrong with it. Creating starts an execution; updating does not.
#[derive(Parser)]
pub struct Args {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which pipeline of a template.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// A value for a parameter of a template, or for what it cannot know.
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// The account that a template is for, 12 digits.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Puts it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.common.client()?;
    let reading = Reading {
        region: Some(client.region()),
        account: args.account.as_deref().unwrap_or(crate::up::ACCOUNT_DEFAULT),
        params: &args.param,
        pipeline: args.pipeline.as_deref(),
    };
    let file = definition_file::read(&args.file, &reading)?;
    anyhow::ensure!(
        file.template.is_none() || args.account.is_some(),
        "`{}` is a template, and does not know for which account: give `--account`",
        args.file.display()
    );
    let pipeline: PipelineDeclaration = serde_json::from_value(file.declaration)
        .with_context(|| format!("`{}` is not as the API has it", args.file.display()))?;
    let name = pipeline.name.clone();
    let update = UpdatePipelineInput { pipeline: pipeline.clone() };
    let (answer, word) = match client.tell(&update).await {
        Ok(answer) => (answer.pipeline, "updated"),
        Err(error) if client::refusal(&error).is_some_and(|no| no.code == "PipelineNotFoundException") => {
            let tags: Vec<Tag> = file.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
            let create = CreatePipelineInput { pipeline, tags: (!tags.is_empty()).then_some(tags) };
            let answer = client.tell(&create).await?;
            // As CloudFormation does it: a template says which transitions a new pipeline has closed.
            for closed in &file.closed {
                let close = DisableStageTransitionInput {
                    pipeline_name: name.clone(),
                    stage_name: closed.stage.clone(),
                    transition_type: StageTransitionType::Inbound,
                    reason: closed.reason.clone(),
                };
                client.ask(&close).await?;
            }
            (answer.pipeline, "created")
        }
        Err(error) => return Err(error),
    };
    let version = answer.as_ref().and_then(|pipeline| pipeline.version);
    if !args.common.printed(&answer)? {
        let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
        anstream::println!("{name} is {word}{version}");
    }
    Ok(0)
}
