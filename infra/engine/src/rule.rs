//! The contract between the engine and whatever decides a rule of a stage's condition. See
//! `spec/execution-semantics.md`, section 10.
//!
//! What rules compare, and when they are met, is the same in every home and stands in the modules below. They ask
//! nobody and wait for nothing: a [`Look`] says what is so at one moment.

pub mod alarm;
pub mod check;
pub mod window;

use crate::action::{ActionJob, ActionTypeId, Failure, InputArtifact, Outcome, Region, Success};
use events::{
    ActionCategory, ActionName, ActionOwner, ConditionType, Entry, ExecutionId, PipelineName,
    RuleExecutionId, RuleName, StageName, Timestamp,
};
use std::collections::BTreeMap;

/// Everything a provider needs to know to decide one rule once.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleJob {
    /// This attempt's id; providers use it as their client token.
    pub rule_execution: RuleExecutionId,
    /// The run it belongs to.
    pub execution: ExecutionId,
    /// The pipeline of that run.
    pub pipeline: PipelineName,
    /// The stage whose gate is asked.
    pub stage: StageName,
    /// Which gate: a rule that watches something watches the way in and the way out differently.
    pub condition: ConditionType,
    /// The rule's name.
    pub rule: RuleName,
    /// What the provider calls the work, when it is known to have begun: ask it rather than begin again.
    pub begun: Option<String>,
    /// The stage admission this attempt belongs to; handed back with the result.
    pub entry: Entry,
    /// Who decides: `ruleTypeId.provider`; category `Rule` and owner `AWS` go without saying.
    pub provider: String,
    /// `ruleTypeId.version`.
    pub version: String,
    /// The roles in whose name it is asked: the pipeline's, and the rule's own, which is assumed from it.
    pub roles: Vec<String>,
    /// Where the provider works, where the definition says so; the pipeline's Region when absent.
    pub region: Option<Region>,
    /// The key that the artifacts are encrypted with; the bucket's own way when absent.
    pub encryption_key: Option<String>,
    /// Configuration with every `#{namespace.key}` replaced.
    pub configuration: BTreeMap<String, String>,
    /// The `commands` field, with references replaced.
    pub commands: Vec<String>,
    /// Input artifacts in declared order.
    pub inputs: Vec<InputArtifact>,
    /// True when this job was already started before a crash: work left behind by the earlier attempt must be
    /// cleared away first.
    pub resumed: bool,
    /// When the attempt began; a rule that waits for so long counts from here, also when it is resumed.
    pub started: Timestamp,
    /// When the attempt times out.
    pub deadline: Timestamp,
}

/// How an attempt at a rule ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleOutcome {
    /// The rule is met.
    Succeeded(RuleSuccess),
    /// With the code `JobFailed`: it was asked, and is not met. With every other: it could not be asked.
    Failed(Failure),
}

/// What a provider reports of a rule that is met. All texts are for people, except the id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSuccess {
    /// One line about what was found, at most 2,048 characters.
    pub summary: Option<String>,
    /// The provider's own id of the work.
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    pub external_execution_url: Option<String>,
    /// True when nothing was really asked: the settings asked for a mock.
    pub mocked: bool,
}

impl RuleJob {
    /// The rule as the action that does the same work. What an action would publish, a rule keeps to itself.
    pub fn as_action(&self, category: ActionCategory, provider: &str) -> ActionJob {
        ActionJob {
            action_execution: (&self.rule_execution).into(),
            execution: self.execution.clone(),
            pipeline: self.pipeline.clone(),
            stage: self.stage.clone(),
            action: ActionName::parse(self.rule.as_str())
                .expect("a rule's name has the letters and the length of an action's"),
            begun: self.begun.clone(),
            entry: self.entry,
            action_type: ActionTypeId {
                category,
                owner: ActionOwner::AWS,
                provider: provider.to_owned(),
                version: self.version.clone(),
            },
            roles: self.roles.clone(),
            region: self.region.clone(),
            encryption_key: self.encryption_key.clone(),
            configuration: self.configuration.clone(),
            commands: self.commands.clone(),
            output_variables: Vec::new(),
            environment_variables: Vec::new(),
            inputs: self.inputs.clone(),
            outputs: Vec::new(),
            revision: None,
            resumed: self.resumed,
            deadline: self.deadline,
        }
    }
}

/// The outcome of an action as that of the rule it stands for.
impl From<Outcome> for RuleOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded(Success {
                summary,
                external_execution_id,
                external_execution_url,
                output_variables: _,
                revision: _,
                mocked,
            }) => Self::Succeeded(RuleSuccess {
                summary,
                external_execution_id,
                external_execution_url,
                mocked,
            }),
            Outcome::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// What one look at a rule gives. All texts are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is met.
    Met(String),
    /// It is not met, and will not be.
    NotMet(String),
    /// Nothing is decided yet; nothing changes by itself before that moment.
    Wait(Timestamp, String),
}

/// A configuration value that must be there.
///
/// # Errors
/// Why the rule cannot be asked, for people.
pub fn value<'a>(job: &'a RuleJob, key: &str) -> Result<&'a str, String> {
    let value = job.configuration.get(key).map(String::as_str).filter(|text| !text.is_empty());
    value.ok_or_else(|| format!("The configuration of the rule `{}` has no `{key}`.", job.rule))
}
