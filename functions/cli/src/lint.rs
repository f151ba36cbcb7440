//! `towpath lint`: what valid definitions will suffer from, said before they run.

mod positions;
mod reading;
mod report;
mod rules;
mod sarif;

use clap::{Parser, ValueEnum};
use domain::pipeline::lint::{self, Severity};
use local::settings::Settings;
use reading::Problem;
use std::path::{Path, PathBuf};

/// Something at or above the denied level was found.
const EXIT_FOUND: u8 = 1;
/// A file could not be read, or is no legal definition.
const EXIT_UNREADABLE: u8 = 2;

/// Say what pipeline definitions will suffer from, before they run.
///
/// A definition can be legal and still fail at its last stage, leak a password, or send every push to production.
/// Each finding says what is the matter and where, why that hurts, and how to mend it. Nothing is started, nothing
/// outside of the files is asked, and no secret that is found is repeated.
///
/// Exit codes: 0 nothing at or above the denied level (errors, unless `--deny` says otherwise); 1 something was; 2 a
/// file could not be read, or is no legal definition.
#[derive(Parser)]
#[command(
    after_long_help = "Examples:\n  towpath lint pipeline.json\n  towpath lint --deny warnings pipelines/*.json\n  \
                    towpath lint --format sarif pipeline.json > lint.sarif\n  \
                    towpath lint --allow approval-without-timeout pipeline.json\n\n\
                    To pass over a rule for good, write into `towpath.toml` beside the definition:\n  \
                    [lint]\n  allow = [\"approval-without-timeout\"]"
)]
pub struct Args {
    /// The definitions: what `aws codepipeline get-pipeline` prints, as JSON or YAML, or CloudFormation templates.
    #[arg(value_name = "FILE", required_unless_present = "list_rules")]
    files: Vec<PathBuf>,
    /// How to tell what was found: for people, as JSON, or as SARIF 2.1.0 for code scanning. `md` is for
    /// `--list-rules` only.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The least that makes the exit code 1.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "errors")]
    deny: Deny,
    /// Pass over this rule; may be repeated.
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
    /// Settings. Without it: `towpath.toml` beside each definition, if there is one.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The pipeline's Region. Without it: the one that fits the definition's artifact stores and topics.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// A value for a parameter of a template, or for what it cannot know; may be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    params: Vec<String>,
    /// List all rules, with why and how to mend, and read no file.
    #[arg(long)]
    list_rules: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    Md,
}

#[derive(Clone, Copy, ValueEnum)]
enum Deny {
    Errors,
    Warnings,
    Notes,
}

impl Deny {
    fn least(self) -> Severity {
        match self {
            Deny::Errors => Severity::Error,
            Deny::Warnings => Severity::Warning,
            Deny::Notes => Severity::Note,
        }
    }
}

/// One file and what is to be said about it.
struct Linted {
    path: PathBuf,
    /// The pipeline's name, where it could be read.
    pipeline: Option<String>,
    /// False when the file could not be read or is no legal definition.
    legal: bool,
    /// By place.
    problems: Vec<Problem>,
}

/// Runs it.
pub fn lint(args: &Args) -> anyhow::Result<u8> {
    if args.list_rules {
        anstream::print!("{}", rules::list(args.format)?);
        return Ok(0);
    }
    anyhow::ensure!(args.format != Format::Md, "`--format md` is for `--list-rules` only");
    for id in &args.allow {
        check_rule(id)?;
    }
    let linted = args.files.iter().map(|path| file(path, args)).collect::<anyhow::Result<Vec<_>>>()?;
    match args.format {
        Format::Text | Format::Md => anstream::print!("{}", report::text(&linted)),
        Format::Json => anstream::println!("{}", report::json(&linted)),
        Format::Sarif => anstream::println!("{}", sarif::sarif(&linted)),
    }
    let denied = |problem: &Problem| problem.severity >= args.deny.least();
    Ok(match linted.iter().all(|file| file.legal) {
        false => EXIT_UNREADABLE,
        true if linted.iter().any(|file| file.problems.iter().any(denied)) => EXIT_FOUND,
        true => 0,
    })
}

fn file(path: &Path, args: &Args) -> anyhow::Result<Linted> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let settings = Settings::load(args.settings.as_deref(), folder)?;
    let mut linted = reading::lint(path, args.region.as_deref(), &args.params);
    linted.problems.retain(|problem| {
        let id = problem.rule.as_str();
        // What makes a definition illegal carries the name of an exception, and cannot be passed over.
        lint::rule(id).is_none()
            || !settings.lint.allow.iter().chain(&args.allow).any(|allowed| allowed == id)
    });
    Ok(linted)
}

fn check_rule(id: &str) -> anyhow::Result<()> {
    let hint = match lint::nearest_rule(id) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`towpath lint --list-rules` lists them".to_owned(),
    };
    anyhow::ensure!(lint::rule(id).is_some(), "there is no rule `{id}`; {hint}");
    Ok(())
}
