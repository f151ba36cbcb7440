//! `towpath run`: one pipeline, here and now.

mod approve;
mod follow;
mod summary;

pub(crate) use summary::duration;

use crate::{
    definition_file,
    machine::{Machine, Opening},
    progress::Progress,
    signals::Signals,
};
use anyhow::Context;
use approve::Approvals;
use clap::Parser;
use domain::{
    Rejection,
    command::{Command, Wish},
    execution::ExecutionStatus,
};
use engine::transact::{Envelope, TransactError};
use events::{ExecutionId, PipelineName, Trigger, TriggerType};
use follow::Seen;
use handlers::{Caller, operations};
use local::settings::Settings;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal,
    path::{Path, PathBuf},
};

/// The run did not succeed.
const EXIT_FAILED: u8 = 1;
/// The run waits for an approval nobody here can give.
const EXIT_WAITING: u8 = 3;
/// Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// Run a pipeline here and now, from source to deployment.
///
/// Exit codes: 0 the run succeeded; 1 it failed or was stopped; 2 it could not be started; 3 it waits for an
/// approval that was not given; 130 it was interrupted.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's definition: the JSON that `aws codepipeline get-pipeline` prints.
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
    /// Where a source comes from: its action, repository id or repository name, and a folder or clone URL. Without
    /// it: the git repository that holds the pipeline's file.
    #[arg(long, value_name = "NAME=DIR|URL")]
    source: Vec<String>,
    /// Value of a pipeline variable.
    #[arg(long, value_name = "K=V")]
    var: Vec<String>,
    /// Approve this manual approval when it is reached.
    #[arg(long, value_name = "STAGE/ACTION")]
    approve: Vec<String>,
    /// Fetch this revision instead of the head of each source's branch.
    #[arg(long, value_name = "REV")]
    from_commit: Option<String>,
    /// Finish runs that were interrupted or wait for an approval, and start no new one.
    #[arg(long)]
    resume: bool,
    /// Settings. Without it: `towpath.toml` beside the pipeline's file, if there is one.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The state folder: log, artifacts, action logs. Without it: `.towpath` beside the pipeline's file.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let account = crate::up::ACCOUNT_DEFAULT;
    // From the first moment on: what a run has started is never left behind by a signal.
    let signals = Signals::listen().context("signals cannot be caught")?;
    let file = definition_file::read(&args.pipeline, None, account)?;
    let region = definition_file::region_of(&file.definition);
    let base = folder_of(&args.pipeline)?;
    let settings = settings(&args, &base)?;
    let variables = pairs(&args.var, "--var", "K=V")?;
    let approvals = Approvals::parse(&args.approve, &file.definition)?;
    let state = args.state.clone().unwrap_or_else(|| base.join(".towpath"));
    for warning in settings.warnings().into_iter().chain(unheard(&file.definition)) {
        anstream::eprintln!("warning: {warning}");
    }
    let opening = Opening {
        state: &state,
        settings,
        region: &region,
        account,
        command: &crate::command_line(),
        public_url: "",
    };
    let machine = Machine::open(opening).await?;
    let state = std::path::absolute(&state)?;
    let caller = Caller { arn: format!("arn:aws:iam::{account}:user/{}", user_name()) };
    let asked = Asked { args: &args, file: &file, variables, approvals, state: &state };
    let done = go(&machine, &caller, asked, signals).await;
    machine.close().await;
    done
}

/// What the command line asks for, read.
struct Asked<'a> {
    args: &'a Args,
    file: &'a definition_file::DefinitionFile,
    variables: BTreeMap<String, String>,
    approvals: Approvals,
    state: &'a Path,
}

async fn go(machine: &Machine, caller: &Caller, asked: Asked<'_>, signals: Signals) -> anyhow::Result<u8> {
    let Asked { args, file, variables, approvals, state } = asked;
    let pipeline = PipelineName::parse(file.definition.name.as_str()).context("the pipeline's name")?;
    let from = machine.log.head();
    // Runs of other pipelines in the folder are theirs to take up, or a server's.
    let interrupted: BTreeSet<ExecutionId> = machine.resume(Some(&pipeline)).await?.into_iter().collect();
    if !interrupted.is_empty() {
        anstream::println!(
            "{} interrupted run{} taken up again.",
            interrupted.len(),
            if interrupted.len() == 1 { " is" } else { "s are" }
        );
    }
    let fresh = if args.resume {
        anyhow::ensure!(
            !interrupted.is_empty(),
            "no run of this pipeline was interrupted or is waiting; leave out `--resume` to start one"
        );
        None
    } else {
        Some(start(machine, caller, file, variables).await?)
    };
    let watched: BTreeSet<ExecutionId> = interrupted.iter().cloned().chain(fresh.clone()).collect();
    let terminal = std::io::stdout().is_terminal() && !args.plain;
    let progress = Progress::new(&file.definition, terminal, watched.len() > 1);
    let follower = follow::Follower {
        machine,
        caller,
        approvals,
        progress,
        watched,
        interrupted,
        from,
        signals,
        pressed: 0,
    };
    let seen = follower.follow(&pipeline).await?;
    finish(machine, &file.definition, &seen, state, args).await
}

async fn start(
    machine: &Machine,
    caller: &Caller,
    file: &definition_file::DefinitionFile,
    variables: BTreeMap<String, String>,
) -> anyhow::Result<ExecutionId> {
    let (name, _) = operations::declare(&machine.service, caller, &file.declaration)
        .await
        .map_err(|error| anyhow::anyhow!("{}", error.message))?;
    let engine = &machine.service.engine;
    let execution = engine.fresh_execution_id();
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: caller.arn.clone() };
    let wish = Wish::StartExecution { trigger, variables, revisions: BTreeMap::new() };
    let envelope = Envelope {
        id: engine.fresh_command_id(),
        actor: caller.arn.clone(),
        command: Command { pipeline: name, execution: Some(execution.clone()), wish },
        once: None,
    };
    match engine.transact(envelope).await {
        Ok(_) => Ok(execution),
        Err(TransactError::Rejected(
            refused @ (Rejection::MissingVariable { .. } | Rejection::BadVariableValue { .. }),
        )) => anyhow::bail!("{refused}; give it with `--var NAME=VALUE`"),
        Err(error) => Err(error.into()),
    }
}

/// Says how it went, and turns it into an exit code.
async fn finish(
    machine: &Machine,
    definition: &domain::pipeline::PipelineDeclaration,
    seen: &Seen,
    state: &Path,
    args: &Args,
) -> anyhow::Result<u8> {
    let mut code = 0;
    for id in &seen.executions {
        let execution = machine.service.engine.execution(id).await?;
        summary::print(definition, id, &execution, state);
        if execution.status != ExecutionStatus::Succeeded {
            code = EXIT_FAILED;
        }
    }
    if let Some(waiting) = &seen.waiting {
        anstream::println!(
            "\nThe run waits for the approval {waiting}. To go on:\n  {} --resume --approve {}",
            again(args),
            shell_word(waiting)
        );
        return Ok(EXIT_WAITING);
    }
    Ok(if seen.interrupted { EXIT_INTERRUPTED } else { code })
}

/// The command that leads to the same run: whatever says where things are is said again.
fn again(args: &Args) -> String {
    let mut words = vec!["towpath".to_owned(), "run".to_owned(), args.pipeline.display().to_string()];
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    args.source.iter().for_each(|source| flag("--source", source.clone()));
    args.from_commit.iter().for_each(|revision| flag("--from-commit", revision.clone()));
    args.settings.iter().for_each(|path| flag("--settings", path.display().to_string()));
    args.state.iter().for_each(|path| flag("--state", path.display().to_string()));
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it for one.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn settings(args: &Args, base: &Path) -> anyhow::Result<Settings> {
    let mut settings = Settings::load(args.settings.as_deref(), base)?;
    let here = std::env::current_dir().context("the current folder is gone")?;
    for (name, value) in pairs(&args.source, "--source", "NAME=DIR|URL")? {
        // A folder on the command line is meant from here, one in the settings from there.
        let source = local::settings::Source::parse(&value, &here).map_err(anyhow::Error::msg)?;
        let value = match source {
            local::settings::Source::Folder(folder) => {
                anyhow::ensure!(
                    folder.is_dir(),
                    "`--source {name}`: there is no folder `{}`",
                    folder.display()
                );
                folder.display().to_string()
            }
            local::settings::Source::Url(url) => url,
        };
        settings.sources.insert(name, value);
    }
    settings.from_commit.clone_from(&args.from_commit);
    Ok(settings)
}

/// Approvals that would notify a topic, which this machine does not.
fn unheard(definition: &domain::pipeline::PipelineDeclaration) -> Vec<String> {
    let notifies = |action: &domain::pipeline::ActionDeclaration| {
        action.configuration.get("NotificationArn").map(String::as_str).unwrap_or_default().to_owned()
    };
    definition
        .actions()
        .map(|(stage, action)| (stage, action, notifies(action)))
        .filter(|(_, _, topic)| !topic.is_empty())
        .map(|(stage, action, topic)| {
            format!(
                "{}/{} notifies `{topic}` on AWS; on this machine nobody is notified",
                stage.name, action.name
            )
        })
        .collect()
}

fn folder_of(file: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(file)?;
    let folder = absolute.parent().context("the pipeline's file has no folder")?;
    Ok(folder.to_owned())
}

fn pairs(given: &[String], flag: &str, form: &str) -> anyhow::Result<BTreeMap<String, String>> {
    given
        .iter()
        .map(|text| {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("`{flag} {text}` must have the form `{form}`"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Who runs this, for the record: the login name where it can be part of an ARN.
fn user_name() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) { name } else { "local".into() }
}
