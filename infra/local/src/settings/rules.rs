//! `[[rules]]`, `[hooks.…]` and `[triggers]`: what starts pipelines, besides their own sources.

use crate::{schedule::Schedule, watch::NewBranchFiles};
use domain::trigger::{
    Rule, RuleInput,
    pattern::Pattern,
    transformer::{TargetInput, Transformer},
};
use events::PipelineName;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Rules, most: those of one event bus.
const RULES_MAX: usize = 300;
/// Bytes of a file with a secret, most.
const SECRET_BYTES_MAX: u64 = 4096;
/// Characters of a secret, least: shorter ones are guessed.
const SECRET_CHARS_MIN: usize = 8;

/// A rule as the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleSettings {
    /// Its name: 1 to 64 letters, digits, `.`, `-` or `_`.
    pub name: String,
    /// The pipeline it starts.
    pub pipeline: String,
    /// Which events it is for, as JSON.
    pub event_pattern: Option<String>,
    /// When it is due: `rate(…)` or `cron(…)`.
    pub schedule_expression: Option<String>,
    /// What the pipeline is started with, the same each time, as JSON.
    pub input: Option<String>,
    /// What the pipeline is started with, made from the event.
    pub input_transformer: Option<TransformerSettings>,
    /// `event` (default): the revision that the event carries; `head`: the newest.
    #[serde(default)]
    pub revision_from: RevisionFrom,
}

/// An input transformer as the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TransformerSettings {
    /// Name of a placeholder to a path into the event.
    #[serde(default)]
    pub input_paths_map: BTreeMap<String, String>,
    /// The text that the placeholders stand in.
    pub input_template: String,
}

/// Which revision a rule's event starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionFrom {
    /// The one it carries.
    #[default]
    Event,
    /// The newest.
    Head,
}

/// Which Git hosts may call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Hooks {
    /// `POST /hooks/github`.
    pub github: Option<Hook>,
    /// `POST /hooks/gitlab`.
    pub gitlab: Option<Hook>,
    /// `POST /hooks/bitbucket`.
    pub bitbucket: Option<Hook>,
}

/// A Git host's secret: where it is, never what it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hook {
    /// The variable that holds it.
    pub secret_env: Option<String>,
    /// The file that holds it, and nothing else.
    pub secret_file: Option<PathBuf>,
}

/// How events of repositories are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TriggerSettings {
    /// Pull requests of forks may start something. Default false.
    pub allow_forks: bool,
    /// Which files count as changed by the first push of a new branch. Default: none are known.
    pub new_branch_file_paths: NewBranch,
}

/// Which files count as changed by the first push of a new branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewBranch {
    /// None are known, so that a filter on paths is not met.
    #[default]
    NotMet,
    /// Those that differ from the default branch.
    CompareDefaultBranch,
}

impl From<NewBranch> for NewBranchFiles {
    fn from(setting: NewBranch) -> Self {
        match setting {
            NewBranch::NotMet => Self::Unknown,
            NewBranch::CompareDefaultBranch => Self::CompareDefaultBranch,
        }
    }
}

/// A rule that was understood, with its schedule if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// The rule.
    pub rule: Rule,
    /// When it is due.
    pub schedule: Option<Schedule>,
}

/// What is wrong with a rule: its member, and the reason.
type Wrong = (&'static str, String);

impl RuleSettings {
    /// The rule that is meant.
    pub fn read(&self) -> Result<Scheduled, (&'static str, String)> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if !(1..=64).contains(&self.name.len()) || !self.name.chars().all(is_name) {
            return Err(("name", "1 to 64 letters, digits, `.`, `-` or `_`".to_owned()));
        }
        let pipeline =
            PipelineName::parse(self.pipeline.as_str()).map_err(|error| ("pipeline", error.to_string()))?;
        let pattern = self.event_pattern.as_deref().map(Pattern::parse).transpose();
        let pattern = pattern.map_err(|error| ("event-pattern", error.to_string()))?;
        let schedule = self.schedule_expression.as_deref().map(Schedule::parse).transpose();
        let schedule = schedule.map_err(|error| ("schedule-expression", error.to_string()))?;
        if pattern.is_some() == schedule.is_some() {
            let text = "a rule has an `event-pattern` or a `schedule-expression`, one of them";
            return Err(("event-pattern", text.to_owned()));
        }
        let input = self.read_input()?;
        Ok(Scheduled { rule: Rule { name: self.name.clone(), pipeline, pattern, input }, schedule })
    }

    fn read_input(&self) -> Result<RuleInput, Wrong> {
        match (&self.input, &self.input_transformer, self.revision_from) {
            (Some(_), Some(_), _) => {
                Err(("input", "a rule has an `input` or an `input-transformer`, not both".to_owned()))
            }
            (Some(text), None, _) => match TargetInput::parse(text) {
                Ok(_) => Ok(RuleInput::Constant(text.clone())),
                Err(error) => Err(("input", error.to_string())),
            },
            (None, Some(transformer), _) => {
                Transformer::parse(&transformer.input_paths_map, &transformer.input_template)
                    .map(RuleInput::Transformed)
                    .map_err(|error| ("input-transformer", error.to_string()))
            }
            (None, None, RevisionFrom::Event) => Ok(RuleInput::Event),
            (None, None, RevisionFrom::Head) => Ok(RuleInput::Head),
        }
    }
}

/// What is wrong with the rules, if anything: the key, and the reason.
pub(super) fn check(rules: &[RuleSettings], hooks: &Hooks) -> Result<(), (String, String)> {
    if rules.len() > RULES_MAX {
        return Err(("rules".to_owned(), format!("there are more than {RULES_MAX}")));
    }
    for (index, rule) in rules.iter().enumerate() {
        let key = |member: &str| format!("rules[{index}].{member}");
        rule.read().map_err(|(member, message)| (key(member), message))?;
        if rules[..index].iter().any(|other| other.name == rule.name) {
            return Err((key("name"), format!("there are two rules `{}`", rule.name)));
        }
    }
    for (name, hook) in hooks.all() {
        if hook.secret_env.is_some() == hook.secret_file.is_some() {
            let text = "say where the secret is: `secret-env` or `secret-file`, one of them";
            return Err((format!("hooks.{name}"), text.to_owned()));
        }
    }
    Ok(())
}

impl Hooks {
    /// Those that there are, by the last part of their address.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Hook)> {
        let all = [("github", &self.github), ("gitlab", &self.gitlab), ("bitbucket", &self.bitbucket)];
        all.into_iter().filter_map(|(name, hook)| Some((name, hook.as_ref()?)))
    }

    pub(super) fn resolve(&mut self, base: &Path) {
        for hook in [&mut self.github, &mut self.gitlab, &mut self.bitbucket].into_iter().flatten() {
            if let Some(file) = &mut hook.secret_file {
                *file = base.join(&*file);
            }
        }
    }
}

impl Hook {
    /// The secret, without the line's end; or why there is none, which never holds a part of it.
    pub fn secret(&self) -> Result<String, String> {
        let (text, place) = match (&self.secret_env, &self.secret_file) {
            (Some(name), _) => {
                let text = std::env::var(name).map_err(|_| format!("the variable `{name}` is not set"))?;
                (text, format!("the variable `{name}`"))
            }
            (None, Some(file)) => {
                let shown = format!("the file `{}`", file.display());
                (read(file).map_err(|error| format!("{shown} cannot be read: {error}"))?, shown)
            }
            (None, None) => return Err("it is not said where the secret is".to_owned()),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        match text.chars().count() < SECRET_CHARS_MIN {
            true => Err(format!("{place} holds fewer than {SECRET_CHARS_MIN} characters")),
            false => Ok(text.to_owned()),
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(file)?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, SECRET_BYTES_MAX), &mut text)?;
    Ok(text)
}
