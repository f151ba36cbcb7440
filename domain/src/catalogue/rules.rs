//! The rule types of stage conditions.

use super::{ArtifactCount, Property};

/// A rule type: what decides, and what it must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleType {
    /// Identifies the type; category `Rule`, owner `AWS`, version `1`.
    pub provider: &'static str,
    /// How many input artifacts it takes.
    pub inputs: ArtifactCount,
    /// Its configuration, in the order it is listed.
    pub properties: &'static [Property],
    /// True when it runs the declaration's `commands`.
    pub compute: bool,
    /// True when a condition that skips its stage may use it.
    pub may_skip: bool,
    /// How long a rule may take unless its declaration says otherwise, minutes.
    pub timeout_minutes: u32,
}

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
const NONE: ArtifactCount = ArtifactCount { min: 0, max: 0 };
const fn from_to(min: usize, max: usize) -> ArtifactCount {
    ArtifactCount { min, max }
}
const fn required(name: &'static str) -> Property {
    Property::required(name)
}
const fn optional(name: &'static str) -> Property {
    Property::optional(name)
}

static RULES: &[RuleType] = &[
    RuleType {
        provider: "CloudWatchAlarm",
        inputs: NONE,
        // `AlarmStates` is required on newer pages and optional on older ones: definitions of either age pass.
        properties: &[required("AlarmName"), optional("AlarmStates"), optional("WaitTime")],
        compute: false,
        may_skip: false,
        timeout_minutes: DAY,
    },
    RuleType {
        provider: "CodeBuild",
        inputs: from_to(0, 5),
        properties: &[
            required("ProjectName"),
            optional("PrimarySource"),
            optional("BatchEnabled"),
            optional("CombineArtifacts"),
            optional("EnvironmentVariables"),
            optional("BuildspecOverride"),
            optional("ServiceRoleArnOverride"),
        ],
        compute: false,
        may_skip: false,
        timeout_minutes: HOUR,
    },
    RuleType {
        provider: "Commands",
        inputs: from_to(1, 10),
        properties: &[
            optional("EnvironmentType"),
            optional("ComputeType"),
            optional("VpcId"),
            optional("Subnets"),
            optional("SecurityGroupIds"),
        ],
        compute: true,
        may_skip: false,
        timeout_minutes: HOUR,
    },
    RuleType {
        provider: "DeploymentWindow",
        inputs: NONE,
        properties: &[required("Cron"), optional("TimeZone")],
        compute: false,
        may_skip: false,
        timeout_minutes: DAY,
    },
    RuleType {
        provider: "LambdaInvoke",
        inputs: from_to(0, 5),
        properties: &[required("FunctionName"), optional("UserParameters")],
        compute: false,
        may_skip: true,
        timeout_minutes: HOUR,
    },
    RuleType {
        provider: "VariableCheck",
        inputs: NONE,
        properties: &[required("Variable"), required("Value"), required("Operator")],
        compute: false,
        may_skip: true,
        timeout_minutes: HOUR,
    },
];

/// Every rule type, by provider.
pub fn rules() -> &'static [RuleType] {
    RULES
}

/// The rule type of that provider.
pub fn rule(provider: &str) -> Option<&'static RuleType> {
    RULES.iter().find(|rule| rule.provider == provider)
}
