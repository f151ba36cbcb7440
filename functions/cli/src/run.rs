//! `towpath run`: one pipeline, here and now.

mod approve;
mod follow;
mod summary;

pub(crate) use summary::duration;

use crate::{
    definition_file::{self, Reading},
    machine::{Machine, Opening},
    past::Past,
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
use events::{Compatibility, ExecutionId, PipelineName, StageName, Trigger, TriggerType};
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
/// The run waits for an approval nobody here can give, or at a transition that is disabled.
const EXIT_WAITING: u8 = 3;
/// Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// Run a pipeline here and now, from source to deployment.
///
/// Exit codes: 0 the run succeeded; 1 it failed or was stopped; 2 it could not be started; 3 it waits for an
/// approval that was not given, or at a disabled transition; 130 it was interrupted.
#[derive(Parser)]
pub struct Args {
    /// The pipeline's definition: what `aws codepipeline get-pipeline` prints, as JSON or YAML, or a CloudFormation,
    /// SAM or CDK template with a pipeline in it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which pipeline of a template: its name or logical id.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Value of a template's parameter, or of what only AWS knows: `ImportValue:NAME=VALUE`,
    /// `GetAtt:RESOURCE.ATTRIBUTE=VALUE`, `Ref:RESOURCE=VALUE`, `AWS::Region=VALUE`.
    #[arg(long, value_name = "K=V")]
    param: Vec<String>,
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
    /// Enable the transition into this stage before the run goes on.
    #[arg(long, value_name = "STAGE")]
    enable: Vec<String>,
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
    /// How closely CodePipeline's own limits are kept: `exact`, as the service does it; `extended`, where an execution
    /// keeps its own definition and no older one deploys after a newer one. Without it: `compatibility` of the
    /// settings, and without that, `extended`.
    #[arg(long, value_name = "exact|extended", value_parser = crate::machine::compatibility)]
    compatibility: Option<Compatibility>,
    /// Plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let account = crate::up::ACCOUNT_DEFAULT;
    // From the first moment on: what a run has started is never left behind by a signal.
    let signals = Signals::listen().context("signals cannot be caught")?;
    let reading = Reading { region: None, account, params: &args.param, pipeline: args.pipeline.as_deref() };
    let file = definition_file::read(&args.file, &reading)?;
    let base = definition_file::home_of(&folder_of(&args.file)?);
    let mut settings = settings(&args, &base)?;
    let variables = pairs(&args.var, "--var", "K=V")?;
    let approvals = Approvals::parse(&args.approve, &file.definition)?;
    let enable = stages(&args.enable, &file.definition)?;
    let state = std::path::absolute(args.state.clone().unwrap_or_else(|| base.join(".towpath")))?;
    for line in definition_file::settle(&file, &mut settings, &state)? {
        anstream::println!("{line}");
    }
    for warning in settings.warnings().into_iter().chain(unheard(&file.definition)) {
        anstream::eprintln!("warning: {warning}");
    }
    let account = file.account.as_str();
    let command = &crate::command_line();
    let opening = Opening {
        state: &state,
        settings,
        compatibility: Compatibility::Extended,
        region: &file.region,
        account,
        command,
        public_url: "",
    };
    let machine = Machine::open(opening).await?;
    let caller = Caller { arn: format!("arn:aws:iam::{account}:user/{}", user_name()) };
    let asked = Asked { args: &args, file: &file, variables, approvals, enable, state: &state };
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
    enable: Vec<StageName>,
    state: &'a Path,
}

async fn go(machine: &Machine, caller: &Caller, asked: Asked<'_>, signals: Signals) -> anyhow::Result<u8> {
    let Asked { args, file, variables, approvals, enable, state } = asked;
    let pipeline = PipelineName::parse(file.definition.name.as_str()).context("the pipeline's name")?;
    let from = machine.log.head();
    let begun = machine.service.engine.clock().now();
    // Runs of other pipelines in the folder are theirs to take up, or a server's.
    let interrupted: BTreeSet<ExecutionId> = machine.resume(Some(&pipeline)).await?.into_iter().collect();
    if !interrupted.is_empty() {
        anstream::println!(
            "{} interrupted run{} taken up again.",
            interrupted.len(),
            if interrupted.len() == 1 { " is" } else { "s are" }
        );
    }
    if args.resume {
        anyhow::ensure!(
            !interrupted.is_empty(),
            "no run of this pipeline was interrupted or is waiting; leave out `--resume` to start one"
        );
    } else {
        declare(machine, caller, file).await?;
    }
    let fresh = match args.resume {
        true => None,
        false => Some(start(machine, caller, &pipeline, variables).await?),
    };
    let watched: BTreeSet<ExecutionId> = interrupted.iter().cloned().chain(fresh.clone()).collect();
    let terminal = std::io::stdout().is_terminal() && !args.plain;
    let mut progress = Progress::new(&file.definition, terminal, watched.len() > 1);
    if !interrupted.is_empty() {
        // As they stood before they were taken up: what happened since is told by their events.
        let past = Past::open(state)?;
        for id in &interrupted {
            progress.catch_up(id, &past.run_at(id, Some(begun))?.0);
        }
    }
    let follower = follow::Follower {
        machine,
        caller,
        approvals,
        progress,
        enable,
        watched,
        interrupted,
        from,
        signals,
        pressed: 0,
    };
    let seen = follower.follow(&pipeline).await?;
    finish(machine, file, &seen, state, args).await
}

/// Makes the pipeline what the file says. Transitions that a template closes are closed on its first appearance:
/// later they are whatever somebody made of them.
async fn declare(
    machine: &Machine,
    caller: &Caller,
    file: &definition_file::DefinitionFile,
) -> anyhow::Result<()> {
    let declared = operations::declare(&machine.service, caller, &file.declaration, &file.tags)
        .await
        .map_err(|error| anyhow::anyhow!("{}", error.message))?;
    for closed in file.closed.iter().filter(|_| declared.is_new) {
        let stage = StageName::parse(&closed.stage).context("`DisableInboundStageTransitions`")?;
        let wish = Wish::DisableTransition { stage, reason: closed.reason.clone() };
        send(machine, caller, &declared.name, wish).await?;
    }
    Ok(())
}

async fn send(machine: &Machine, caller: &Caller, pipeline: &PipelineName, wish: Wish) -> anyhow::Result<()> {
    let engine = &machine.service.engine;
    let envelope = Envelope {
        id: engine.fresh_command_id(),
        actor: caller.arn.clone(),
        command: Command { pipeline: pipeline.clone(), execution: None, wish },
        once: None,
    };
    engine.transact(envelope).await?;
    Ok(())
}

async fn start(
    machine: &Machine,
    caller: &Caller,
    name: &PipelineName,
    variables: BTreeMap<String, String>,
) -> anyhow::Result<ExecutionId> {
    let engine = &machine.service.engine;
    let execution = engine.fresh_execution_id();
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: caller.arn.clone() };
    let wish = Wish::StartExecution { trigger, variables, revisions: BTreeMap::new() };
    let envelope = Envelope {
        id: engine.fresh_command_id(),
        actor: caller.arn.clone(),
        command: Command { pipeline: name.clone(), execution: Some(execution.clone()), wish },
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
    file: &definition_file::DefinitionFile,
    seen: &Seen,
    state: &Path,
    args: &Args,
) -> anyhow::Result<u8> {
    let mut code = 0;
    for id in &seen.executions {
        let execution = machine.service.engine.execution(id).await?;
        summary::print(&file.definition, id, &execution, state);
        if execution.status != ExecutionStatus::Succeeded {
            code = EXIT_FAILED;
        }
    }
    if let Some(closed) = &seen.closed {
        anstream::println!(
            "\nThe run waits: the transition into {} is disabled: {}. To go on:\n  {} --resume --enable {}",
            closed.stage,
            closed.reason,
            again(args, file),
            shell_word(closed.stage.as_str())
        );
        return Ok(EXIT_WAITING);
    }
    if let Some(waiting) = &seen.waiting {
        anstream::println!(
            "\nThe run waits for the approval {waiting}. To go on:\n  {} --resume --approve {}",
            again(args, file),
            shell_word(waiting)
        );
        return Ok(EXIT_WAITING);
    }
    Ok(if seen.interrupted { EXIT_INTERRUPTED } else { code })
}

/// The command that leads to the same run: whatever says where things are is said again.
fn again(args: &Args, file: &definition_file::DefinitionFile) -> String {
    let mut words = vec!["towpath".to_owned(), "run".to_owned(), args.file.display().to_string()];
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    args.pipeline.iter().for_each(|name| flag("--pipeline", name.clone()));
    let secret = |key: &str| file.template.as_ref().is_some_and(|template| template.is_secret(key));
    for param in &args.param {
        let key = param.split('=').next().unwrap_or_default().trim();
        flag("--param", if secret(key) { format!("{key}=…") } else { param.clone() });
    }
    args.source.iter().for_each(|source| flag("--source", source.clone()));
    args.from_commit.iter().for_each(|revision| flag("--from-commit", revision.clone()));
    args.compatibility.iter().for_each(|word| flag("--compatibility", word.as_str().to_owned()));
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
    settings.compatibility = args.compatibility.or(settings.compatibility);
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

fn stages(
    given: &[String],
    definition: &domain::pipeline::PipelineDeclaration,
) -> anyhow::Result<Vec<StageName>> {
    let known = definition.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>().join(", ");
    let parse = |text: &String| {
        let stage = StageName::parse(text.as_str()).ok().filter(|stage| definition.stage(stage).is_some());
        stage.with_context(|| {
            format!("`--enable {text}`: the pipeline has no such stage; its stages: {known}")
        })
    };
    given.iter().map(parse).collect()
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
