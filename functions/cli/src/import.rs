//! `towpath import`: a pipeline that lives on AWS, or on another Towpath, as a file.

pub mod all;
pub mod needs;

use crate::{
    client::{Client, endpoint::Reach},
    definition_file::{self, Reading},
};
use anyhow::Context;
use api::model::{GetPipelineInput, ListTagsForResourceInput};
use clap::Parser;
use local::settings::Settings;
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Pages of tags read, most: a pipeline has at most 50 tags.
const TAG_PAGES_MAX: usize = 10;

/// Write a live pipeline into a file that `towpath run` takes, and say what a run here needs.
///
/// It reads with GetPipeline and ListTagsForResource, and changes nothing. Credentials come from `--profile`, else
/// from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), else from the profile in AWS_PROFILE or
/// `default`, in ~/.aws/credentials and ~/.aws/config: keys, `credential_process`, a role; what else there is, the
/// `aws` command is asked for.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's name.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    name: Option<String>,
    /// Every pipeline there is, into a folder, with a report of what each needs on a Towpath on AWS.
    #[arg(long, conflicts_with_all = ["name", "version"])]
    all: bool,
    /// The file to write, `pipeline.json` without it; `-` prints it. With `--all` the folder, `pipelines` without it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
    /// A version other than the current one.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Where the API answers: an address of `towpath up`, for example. Without it: that of AWS.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_CODEPIPELINE")]
    endpoint_url: Option<String>,
    /// The Region. Without it: AWS_REGION, AWS_DEFAULT_REGION, or that of the profile.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The profile in ~/.aws.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

impl Args {
    /// A pipeline comes from CodePipeline unless an address is given: that of a Towpath in the environment is where it
    /// goes.
    fn reach(&self) -> Reach {
        Reach {
            url: self.endpoint_url.clone(),
            codepipeline: self.endpoint_url.is_none(),
            profile: self.profile.clone(),
            region: self.region.clone(),
            sign_for: None,
        }
    }
}

/// Imports it. `outer` stood before it on the command line.
pub async fn import(args: Args, outer: Reach) -> anyhow::Result<u8> {
    let args = Args {
        endpoint_url: args.endpoint_url.or(outer.url),
        region: args.region.or(outer.region),
        profile: args.profile.or(outer.profile),
        ..args
    };
    let Some(name) = &args.name else {
        let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("pipelines"));
        return all::all(&Client::of(&args.reach())?, &folder, args.force).await;
    };
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("pipeline.json"));
    let printed = out == Path::new("-");
    anyhow::ensure!(
        printed || args.force || !out.exists(),
        "`{}` is there already: `--force` writes over it, `--out` names another",
        out.display()
    );
    let client = Client::of(&args.reach())?;
    let input = GetPipelineInput { name: name.clone(), version: args.version.map(i64::from) };
    let answer = client.call(&input).await?;
    let pipeline = declaration(&answer)?;
    let mut file = json!({ "pipeline": pipeline });
    match tags(&client, &answer).await {
        Ok(tags) if tags.is_empty() => {}
        Ok(tags) => file["tags"] = Value::Array(tags),
        Err(error) => anstream::eprintln!("warning: the pipeline's tags are not in the file: {error}"),
    }
    let text = format!("{file:#}\n");
    if printed {
        anstream::print!("{text}");
        return Ok(0);
    }
    write(&out, &text, args.force)?;
    let version = file["pipeline"]["version"].as_u64().unwrap_or_default();
    anstream::println!("`{}`: {name} in version {version}, from {}", out.display(), client.shown());
    tell(&out, client.region())?;
    Ok(0)
}

/// The definition in an answer to GetPipeline, without what the service writes for members nobody set, and would refuse
/// if it were sent back.
fn declaration(answer: &Value) -> anyhow::Result<Value> {
    let mut pipeline =
        answer.get("pipeline").cloned().context("the answer to GetPipeline holds no pipeline")?;
    if let Some(members) = pipeline.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    Ok(pipeline)
}

async fn tags(client: &Client, answer: &Value) -> anyhow::Result<Vec<Value>> {
    let arn = answer["metadata"]["pipelineArn"].as_str().context("the answer names no ARN")?;
    let mut tags = Vec::new();
    let mut next_token = None;
    for _ in 0..TAG_PAGES_MAX {
        let resource_arn = arn.to_owned();
        let page =
            client.call(&ListTagsForResourceInput { resource_arn, next_token, max_results: None }).await?;
        tags.extend(page["tags"].as_array().cloned().unwrap_or_default());
        next_token = page["nextToken"].as_str().map(str::to_owned);
        if next_token.is_none() {
            return Ok(tags);
        }
    }
    anyhow::bail!("there are more than {TAG_PAGES_MAX} pages of them")
}

fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !force {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("`{}` is there already", path.display()),
        _ => anyhow::anyhow!("`{}` cannot be written: {error}", path.display()),
    })
}

/// What a run of the file needs here.
fn tell(path: &Path, region: &str) -> anyhow::Result<()> {
    let reading = Reading { region: Some(region), account: crate::up::ACCOUNT_DEFAULT, ..Reading::default() };
    let file = match definition_file::read(path, &reading) {
        Ok(file) => file,
        Err(error) => {
            anstream::println!("It does not run here as it is:\n{error}");
            return Ok(());
        }
    };
    let folder = std::path::absolute(path)?;
    let settings = Settings::load(None, folder.parent().unwrap_or(Path::new(".")))?;
    let needs = definition_file::needs(&file.definition, &settings);
    if needs.is_empty() {
        anstream::println!("`towpath run {}` needs no settings", path.display());
    } else {
        anstream::println!("`towpath run {}` rests on these settings in `towpath.toml`:", path.display());
        needs.iter().for_each(|need| anstream::println!("  {need}"));
    }
    let masked = file
        .definition
        .actions()
        .any(|(_, action)| action.configuration.values().any(|value| value == "****"));
    if masked {
        anstream::println!("  `****` stands where a secret was: no source here needs it");
    }
    Ok(())
}
