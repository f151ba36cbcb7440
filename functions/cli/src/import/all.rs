//! `towpath import --all`: every pipeline of an account and Region as files, and a report of what each needs.

use super::needs::{self, Need, Weight};
use crate::{client::Client, moving::HELD, remote};
use anyhow::Context;
use api::model::{GetPipelineInput, ListWebhooksInput, PipelineDeclaration, WebhookDefinition};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

/// What `towpath move create` must know besides the definitions.
pub const NOTES: &str = "moving-in.json";
/// What a person must know.
const REPORT: &str = "REPORT.md";
/// Pages of webhooks read, most.
const WEBHOOK_PAGES_MAX: usize = 100;

/// What is not in a definition.
#[derive(Serialize, Deserialize, Default)]
pub struct Notes {
    /// Where the pipelines came from.
    pub from: String,
    /// Closed transitions: by pipeline and stage, with the reason.
    pub closed: BTreeMap<String, BTreeMap<String, String>>,
}

struct Imported {
    name: String,
    version: i64,
    file: Value,
    needs: Vec<Need>,
    roles: Vec<String>,
    closed: BTreeMap<String, String>,
}

/// Imports them into a folder.
pub async fn all(client: &Client, folder: &Path, force: bool) -> anyhow::Result<u8> {
    let names = remote::pipelines::all(client).await?.into_iter().filter_map(|pipeline| pipeline.name);
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        anstream::println!("there are no pipelines at {}", client.shown());
        return Ok(0);
    }
    if !force {
        let files =
            names.iter().map(|name| format!("{name}.json")).chain([NOTES.to_owned(), REPORT.to_owned()]);
        let there = files.into_iter().find(|file| folder.join(file).exists());
        if let Some(file) = there {
            anyhow::bail!(
                "`{}` is there already: `--force` writes over it, `--out` names another folder",
                folder.join(file).display()
            );
        }
    }
    let webhooks = webhooks(client).await?;
    let mut imported = Vec::new();
    for name in names {
        imported.push(one(client, &name, &webhooks).await.with_context(|| format!("`{name}`"))?);
    }
    write(client, folder, &imported)?;
    tell(folder, &imported);
    Ok(0)
}

async fn one(client: &Client, name: &str, webhooks: &[WebhookDefinition]) -> anyhow::Result<Imported> {
    let answer = client.call(&GetPipelineInput { name: name.to_owned(), version: None }).await?;
    let mut file = json!({ "pipeline": super::declaration(&answer)? });
    let tags = super::tags(client, &answer).await.context("its tags")?;
    if !tags.is_empty() {
        file["tags"] = Value::Array(tags);
    }
    let pipeline: PipelineDeclaration = serde_json::from_value(file["pipeline"].clone())
        .context("its definition is not as the API has it")?;
    let state = remote::state_of(client, name).await?;
    let mut closed = BTreeMap::new();
    for stage in state.stage_states.into_iter().flatten() {
        let door = stage.inbound_transition_state.filter(|door| door.enabled == Some(false));
        // One that `towpath move` closed says who runs the pipeline, and is no wish of the pipeline's people.
        let reason = door
            .map(|door| door.disabled_reason.unwrap_or_default())
            .filter(|reason| !reason.starts_with(HELD));
        if let (Some(name), Some(reason)) = (stage.stage_name, reason) {
            closed.insert(name, reason);
        }
    }
    Ok(Imported {
        name: name.to_owned(),
        version: pipeline.version.unwrap_or_default(),
        needs: needs::of(&pipeline, webhooks, &closed),
        roles: needs::roles(&pipeline),
        file,
        closed,
    })
}

async fn webhooks(client: &Client) -> anyhow::Result<Vec<WebhookDefinition>> {
    let mut found = Vec::new();
    let mut next_token = None;
    for _ in 0..WEBHOOK_PAGES_MAX {
        let page = client.ask(&ListWebhooksInput { next_token, max_results: None }).await?;
        found.extend(page.webhooks.into_iter().flatten().map(|webhook| webhook.definition));
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(found);
        }
    }
    anyhow::bail!("there are more than {WEBHOOK_PAGES_MAX} pages of webhooks")
}

fn write(client: &Client, folder: &Path, imported: &[Imported]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    for one in imported {
        super::write(&folder.join(format!("{}.json", one.name)), &format!("{:#}\n", one.file), true)?;
    }
    let closed = imported.iter().filter(|one| !one.closed.is_empty());
    let notes = Notes {
        from: client.shown().to_owned(),
        closed: closed.map(|one| (one.name.clone(), one.closed.clone())).collect(),
    };
    super::write(&folder.join(NOTES), &format!("{}\n", serde_json::to_string_pretty(&notes)?), true)?;
    super::write(&folder.join(REPORT), &report(client.shown(), imported), true)
}

fn tell(folder: &Path, imported: &[Imported]) {
    for one in imported {
        let count = |weight| one.needs.iter().filter(|need| need.weight == weight).count();
        let (blocks, to_do) = (count(Weight::Blocks), count(Weight::Do));
        let words = match (blocks, to_do) {
            (0, 0) => "ready".to_owned(),
            (0, to_do) => format!("{to_do} to do"),
            (blocks, to_do) => format!("{blocks} in the way, {to_do} to do"),
        };
        anstream::println!("  {:<32}  version {:<4}  {words}", one.name, one.version);
    }
    let shown = folder.display();
    anstream::println!(
        "{} pipelines are in `{shown}`; `{shown}/{REPORT}` says what each needs",
        imported.len()
    );
    anstream::println!("next: `towpath move create {shown}` makes them in Towpath, and holds them there");
}

/// In Markdown, for a page or a ticket.
fn report(from: &str, imported: &[Imported]) -> String {
    let mut text = format!("# Pipelines to move in\n\n{} pipelines, from {from}.\n\n", imported.len());
    let mut line = |words: &str| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{words}");
    };
    line("| pipeline | version | in the way | to do |\n|---|---|---|---|");
    for one in imported {
        let count = |weight| one.needs.iter().filter(|need| need.weight == weight).count();
        line(&format!(
            "| {} | {} | {} | {} |",
            one.name,
            one.version,
            count(Weight::Blocks),
            count(Weight::Do)
        ));
    }
    line("\n## Roles\n");
    line(
        "Towpath takes the roles that CodePipeline took, if the parameter `ActionRoleArns` of its stack allows them. Each of \
         them must let Towpath's functions take it; this is the statement to add to its trust policy:\n",
    );
    line(&format!("```json\n{}\n```\n", trust(imported)));
    let roles: BTreeSet<&String> = imported.iter().flat_map(|one| &one.roles).collect();
    roles.iter().for_each(|role| line(&format!("- {role}")));
    line("\n## What starts them\n");
    line(
        "EventBridge rules that name a pipeline as their target start CodePipeline only, and its API does not list them. \
         Towpath has rules of its own for CodeCommit, S3 and ECR; schedules and other rules must be written again.",
    );
    for one in imported {
        line(&format!("\n## {}\n", one.name));
        if one.needs.is_empty() {
            line("Nothing to do.");
        }
        for need in &one.needs {
            let weight = match need.weight {
                Weight::Blocks => "in the way",
                Weight::Do => "to do",
                Weight::Know => "to know",
            };
            line(&format!("- **{weight}:** {}", need.text));
        }
    }
    text
}

/// The statement by which a role lets itself be taken.
fn trust(imported: &[Imported]) -> String {
    // arn:aws:iam::111122223333:role/name
    let role = imported.iter().flat_map(|one| &one.roles).next().map_or("", String::as_str);
    let mut parts = role.split(':');
    let (partition, account) = (parts.nth(1).unwrap_or("aws"), parts.nth(2).unwrap_or("<account>"));
    let statement = json!({
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
        "Action": "sts:AssumeRole",
        "Condition": { "ArnLike": { "aws:PrincipalArn": format!("arn:{partition}:iam::{account}:role/towpath/*") } },
    });
    format!("{statement:#}")
}
