//! What a stage asks before its actions and after them: conditions and their rules, as declared.

use super::members::{RoleArn, TimeoutMinutes};
use super::{AsSent, InputArtifact};
use events::{ConditionType, RuleName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Conditions asked before a stage is entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BeforeEntry {
    /// Exactly one.
    pub conditions: Vec<Condition>,
}

/// Conditions asked after a stage's actions succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnSuccess {
    /// Exactly one.
    pub conditions: Vec<Condition>,
}

/// What happens when a stage failed: a result at once, or conditions that decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnFailure {
    /// `ROLLBACK` or `RETRY`; excludes `conditions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ConditionResult>,
    /// Only with the result `RETRY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_configuration: Option<RetryConfiguration>,
    /// None, or exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl OnFailure {
    /// How to retry automatically; `None` when the stage asks for no retry.
    pub fn retry_mode(&self) -> Option<RetryMode> {
        (self.result == Some(ConditionResult::Retry))
            .then(|| self.retry_configuration.and_then(|retry| retry.retry_mode).unwrap_or_default())
    }
}

/// `onFailure.retryConfiguration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryConfiguration {
    /// Which actions run again; the failed ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_mode: Option<RetryMode>,
}

/// Which actions of a stage a retry runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RetryMode {
    /// Those that failed, and those after them.
    #[default]
    FailedActions,
    /// Every action of the stage.
    AllActions,
}

/// Rules, and what happens when they are not met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// What happens when a rule fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ConditionResult>,
    /// 1 to 5 rules.
    #[serde(default)]
    pub rules: Vec<RuleDeclaration>,
}

impl Condition {
    /// What it leads to, with the default of its gate filled in.
    pub fn result_in(&self, gate: ConditionType) -> ConditionResult {
        self.result.unwrap_or(match gate {
            ConditionType::BeforeEntry | ConditionType::OnSuccess => ConditionResult::Fail,
            ConditionType::OnFailure => ConditionResult::Rollback,
        })
    }
}

/// What a condition that is not met leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConditionResult {
    /// The stage goes back to the last execution that passed it.
    Rollback,
    /// The stage fails.
    Fail,
    /// The stage is tried again, once.
    Retry,
    /// The stage is passed over.
    Skip,
}

/// One rule of a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleDeclaration {
    /// Unique in its condition; spelled like an action's name.
    pub name: RuleName,
    /// Who decides.
    pub rule_type_id: RuleTypeId,
    /// The rule's settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, String>,
    /// At most 50 commands; the `Commands` rule only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Artifacts read.
    #[serde(default, skip_serializing_if = "AsSent::is_absent")]
    pub input_artifacts: AsSent<Vec<InputArtifact>>,
    /// The role to assume from the pipeline's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
    /// Where the rule runs; the pipeline's Region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How long the rule may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes: Option<TimeoutMinutes>,
}

/// Identity of a rule type. Owner and version are kept as sent: both may be absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleTypeId {
    /// Always `Rule`.
    pub category: RuleCategory,
    /// `AWS` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<RuleOwner>,
    /// 1 to 35 letters, digits, `-` or `_`.
    pub provider: String,
    /// `1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl RuleTypeId {
    /// The version, with the default filled in.
    pub fn version(&self) -> &str {
        self.version.as_deref().unwrap_or("1")
    }
}

/// `ruleTypeId.category`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum RuleCategory {
    #[default]
    Rule,
}

/// `ruleTypeId.owner`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum RuleOwner {
    #[default]
    AWS,
}
