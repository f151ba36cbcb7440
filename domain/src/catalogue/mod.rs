//! Every action and rule type as data: configuration keys, artifact counts, variables, time limits.
//!
//! One table serves validation, ListActionTypes and the engine's deadlines; nothing here decides anything.

mod actions;
pub mod custom;
pub mod homes;
pub mod integration;
mod rules;

use crate::limits::{
    ACTION_TIMEOUT_MINUTES_DEFAULT, CUSTOM_ACTION_TIMEOUT_MINUTES, RULE_TIMEOUT_MINUTES_DEFAULT,
};
use crate::pipeline::RuleTypeId;
use events::{ActionCategory, ActionOwner, ActionTypeId};
use integration::Integration;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

pub use rules::{RuleType, rule, rules};

/// An action type: who does a kind of work, and what it must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionType {
    /// What kind of work it is.
    pub category: ActionCategory,
    /// Who made the type.
    pub owner: ActionOwner,
    /// 1 to 35 letters, digits, `-` or `_`.
    pub provider: Cow<'static, str>,
    /// 1 to 9 letters, digits, `-` or `_`.
    pub version: Cow<'static, str>,
    /// How many input artifacts it takes.
    pub inputs: ArtifactCount,
    /// How many output artifacts it makes.
    pub outputs: ArtifactCount,
    /// Its configuration, in the order it is listed.
    pub properties: Cow<'static, [Property]>,
    /// Keys that are required once another key has a certain value.
    pub required_when: &'static [RequiredWhen],
    /// True when keys beyond `properties` are accepted: the provider's keys are not public.
    pub open_configuration: bool,
    /// The variables it publishes.
    pub output_variables: OutputVariables,
    /// How long an action may take, minutes; for approvals the default of `timeoutInMinutes`.
    pub timeout_minutes: u32,
    /// True when only V2 pipelines may use it.
    pub v2_only: bool,
    /// True when it runs the declaration's `commands`.
    pub compute: bool,
}

impl ActionType {
    /// The 4-tuple that identifies the type.
    pub fn id(&self) -> ActionTypeId {
        ActionTypeId {
            category: self.category,
            owner: self.owner,
            provider: self.provider.clone().into_owned(),
            version: self.version.clone().into_owned(),
        }
    }

    /// The property jobs are asked for by.
    pub fn queryable(&self) -> Option<&str> {
        self.properties.iter().find(|property| property.queryable).map(|property| &*property.name)
    }

    /// The configuration property of that name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// A custom type with no configuration yet, one day of time and the counts given.
    pub fn custom(
        category: ActionCategory,
        provider: impl Into<String>,
        version: impl Into<String>,
        inputs: ArtifactCount,
        outputs: ArtifactCount,
    ) -> Self {
        Self {
            category,
            owner: ActionOwner::Custom,
            provider: Cow::Owned(provider.into()),
            version: Cow::Owned(version.into()),
            inputs,
            outputs,
            properties: Cow::Borrowed(&[]),
            required_when: &[],
            open_configuration: false,
            output_variables: OutputVariables::Reported,
            timeout_minutes: CUSTOM_ACTION_TIMEOUT_MINUTES,
            v2_only: false,
            compute: false,
        }
    }

    fn is(&self, id: &ActionTypeId) -> bool {
        self.category == id.category
            && self.owner == id.owner
            && self.provider == id.provider
            && self.version == id.version
    }
}

/// How many artifacts of one direction an action declares, both bounds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactCount {
    /// Fewest.
    pub min: usize,
    /// Most.
    pub max: usize,
}

/// One key of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key; upper and lower case matter.
    pub name: Cow<'static, str>,
    /// Must be given.
    pub required: bool,
    /// Is kept aside and shown as `****`.
    pub secret: bool,
    /// Names the thing worked on.
    pub key: bool,
    /// Jobs may be polled for by its value; at most one property of a custom type.
    pub queryable: bool,
    /// May hold `Artifact::path`, a file in an input artifact.
    pub artifact_path: bool,
    /// For people; empty for the built-in types.
    pub description: Cow<'static, str>,
}

impl Property {
    /// A key that must be given.
    pub const fn required(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            required: true,
            secret: false,
            key: true,
            queryable: false,
            artifact_path: false,
            description: Cow::Borrowed(""),
        }
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            required: false,
            secret: false,
            key: false,
            queryable: false,
            artifact_path: false,
            description: Cow::Borrowed(""),
        }
    }

    /// A key that must be given and is never shown again.
    pub const fn secret(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            required: true,
            secret: true,
            key: false,
            queryable: false,
            artifact_path: false,
            description: Cow::Borrowed(""),
        }
    }

    /// The same key, but its value may be `Artifact::path`.
    #[must_use]
    pub const fn path(mut self) -> Self {
        self.artifact_path = true;
        self
    }
}

/// `key` is required when `other` has the value `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredWhen {
    /// The key that becomes required.
    pub key: &'static str,
    /// The key that decides.
    pub other: &'static str,
    /// The value that makes it so.
    pub value: &'static str,
}

/// Which variables an action publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputVariables {
    /// Always these.
    Fixed(&'static [&'static str]),
    /// Those the declaration names in `outputVariables`.
    Declared,
    /// Known only once the action ran: exported variables, stack outputs, what a worker reports.
    Reported,
}

/// The action types of one installation: the built-in ones it can carry out, and custom ones.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    custom: BTreeMap<ActionTypeId, ActionType>,
    integrations: BTreeMap<ActionTypeId, Integration>,
    disabled: BTreeSet<ActionTypeId>,
}

impl Registry {
    /// All built-in types, no custom one.
    pub fn builtin() -> Self {
        Self::default()
    }

    /// Adds a type, or replaces the custom one of the same identity.
    pub fn register(&mut self, action_type: ActionType) {
        self.custom.insert(action_type.id(), action_type);
    }

    /// Adds a type that the operator registered, or replaces its declaration. Those that are built in stay.
    pub fn register_integration(&mut self, declaration: Integration) {
        self.register(declaration.action_type());
        self.integrations.insert(declaration.id.clone(), declaration);
    }

    /// The declaration of a type that the operator registered.
    pub fn integration(&self, id: &ActionTypeId) -> Option<&Integration> {
        self.integrations.get(id)
    }

    /// Takes a type away: an installation without the means to carry it out neither lists nor accepts it.
    pub fn disable(&mut self, id: ActionTypeId) {
        self.disabled.insert(id);
    }

    /// The type of that identity, when this installation has it.
    pub fn find(&self, id: &ActionTypeId) -> Option<&ActionType> {
        let found = actions::BUILTIN.iter().find(|builtin| builtin.is(id)).or_else(|| self.custom.get(id))?;
        // The look-up by the whole identity comes last: it is needed only where something is disabled.
        (self.disabled.is_empty() || !self.disabled.contains(id)).then_some(found)
    }

    /// Every type of this installation: built-in ones first, custom ones by identity.
    pub fn iter(&self) -> impl Iterator<Item = &ActionType> {
        actions::BUILTIN
            .iter()
            .chain(self.custom.values())
            .filter(|found| self.disabled.is_empty() || !self.disabled.contains(&found.id()))
    }
}

/// Every built-in action type, in the order ListActionTypes shows them.
pub fn action_types() -> &'static [ActionType] {
    &actions::BUILTIN
}

/// The built-in action type of that identity.
pub fn action_type(id: &ActionTypeId) -> Option<&'static ActionType> {
    actions::BUILTIN.iter().find(|builtin| builtin.is(id))
}

/// How long an action of that type may take unless its declaration says otherwise, minutes.
pub fn timeout_minutes(id: &ActionTypeId) -> u32 {
    match (action_type(id), id.owner) {
        (Some(found), _) => found.timeout_minutes,
        (None, ActionOwner::Custom | ActionOwner::ThirdParty) => CUSTOM_ACTION_TIMEOUT_MINUTES,
        (None, ActionOwner::AWS) => ACTION_TIMEOUT_MINUTES_DEFAULT,
    }
}

/// The rule type of that identity.
pub fn rule_type(id: &RuleTypeId) -> Option<&'static RuleType> {
    (id.version() == "1").then(|| rule(&id.provider)).flatten()
}

/// How long a rule of that type may take unless its declaration says otherwise, minutes.
pub fn rule_timeout_minutes(id: &RuleTypeId) -> u32 {
    rule_type(id).map_or(RULE_TIMEOUT_MINUTES_DEFAULT, |found| found.timeout_minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(category: ActionCategory, owner: ActionOwner, provider: &str) -> ActionTypeId {
        ActionTypeId { category, owner, provider: provider.into(), version: "1".into() }
    }

    #[test]
    fn identities_are_unique_and_legal() {
        let ids: BTreeSet<ActionTypeId> = action_types().iter().map(ActionType::id).collect();
        assert_eq!(ids.len(), action_types().len());
        for found in action_types() {
            assert!((1..=crate::limits::PROVIDER_CHARS_MAX).contains(&found.provider.len()), "{found:?}");
            assert!(found.inputs.min <= found.inputs.max, "{found:?}");
            assert!(found.outputs.min <= found.outputs.max, "{found:?}");
        }
    }

    #[test]
    fn property_names_are_unique_and_short_enough() {
        for found in action_types() {
            let names: BTreeSet<&str> = found.properties.iter().map(|property| &*property.name).collect();
            assert_eq!(names.len(), found.properties.len(), "{}", found.id());
            assert!(names.iter().all(|name| name.len() <= crate::limits::CONFIGURATION_KEY_CHARS_MAX));
            for rule in found.required_when {
                assert!(names.contains(rule.key) && names.contains(rule.other), "{}", found.id());
            }
        }
    }

    #[test]
    fn the_whole_identity_is_the_key() {
        use ActionCategory::{Build, Deploy, Source};
        assert!(action_type(&id(Source, ActionOwner::AWS, "S3")).is_some());
        assert!(action_type(&id(Deploy, ActionOwner::AWS, "S3")).is_some());
        assert!(action_type(&id(Build, ActionOwner::AWS, "S3")).is_none());
        assert!(action_type(&id(Build, ActionOwner::Custom, "CodeBuild")).is_none());
    }

    #[test]
    fn a_type_may_be_registered_and_taken_away() {
        let mut registry = Registry::builtin();
        let jenkins = ActionType::custom(
            ActionCategory::Build,
            "Jenkins",
            "1",
            ArtifactCount { min: 0, max: 5 },
            ArtifactCount { min: 0, max: 5 },
        );
        assert!(registry.find(&jenkins.id()).is_none());
        registry.register(jenkins.clone());
        assert_eq!(registry.find(&jenkins.id()), Some(&jenkins));
        assert_eq!(registry.iter().count(), action_types().len() + 1);
        registry.disable(jenkins.id());
        assert!(registry.find(&jenkins.id()).is_none());
        assert_eq!(registry.iter().count(), action_types().len());
        assert!(registry.find(&action_types()[0].id()).is_some(), "the others stay");
    }

    #[test]
    fn no_part_of_an_identity_may_differ() {
        let own = id(ActionCategory::Source, ActionOwner::AWS, "S3");
        let registry = Registry::builtin();
        assert_eq!(registry.find(&own).map(ActionType::id), Some(own.clone()));
        for other in [
            ActionTypeId { category: ActionCategory::Build, ..own.clone() },
            ActionTypeId { owner: ActionOwner::ThirdParty, ..own.clone() },
            ActionTypeId { provider: "S4".into(), ..own.clone() },
            ActionTypeId { version: "2".into(), ..own.clone() },
        ] {
            assert_eq!((registry.find(&other), action_type(&other)), (None, None), "{other}");
        }
        let mut without = Registry::builtin();
        without.disable(own.clone());
        assert_eq!(without.find(&own), None);
        assert!(without.iter().all(|found| found.id() != own));
        assert!(action_type(&own).is_some(), "what is built in stays known");
    }

    #[test]
    fn a_property_says_what_it_is() {
        let found = action_type(&id(ActionCategory::Source, ActionOwner::ThirdParty, "GitHub"));
        let github = found.expect("it is built in");
        let of = |name: &str| github.property(name).map(|it| (it.required, it.secret, it.key, it.queryable));
        assert_eq!(of("Owner"), Some((true, false, true, false)));
        assert_eq!(of("OAuthToken"), Some((true, true, false, false)));
        assert_eq!(of("PollForSourceChanges"), Some((false, false, false, false)));
        assert_eq!(of("owner"), None);
        assert_eq!(github.queryable(), None);
        let paths: Vec<String> = action_types()
            .iter()
            .flat_map(|found| found.properties.iter().map(move |property| (found, property)))
            .filter(|(_, property)| property.artifact_path)
            .map(|(found, property)| format!("{} {}", found.provider, property.name))
            .collect();
        assert_eq!(
            paths,
            [
                "CloudFormation TemplatePath",
                "CloudFormation TemplateConfiguration",
                "CloudFormationStackSet TemplatePath",
                "CloudFormationStackSet Parameters",
                "CloudFormationStackSet DeploymentTargets",
                "CloudFormationStackInstances DeploymentTargets",
                "CloudFormationStackInstances ParameterOverrides",
            ]
        );
    }

    #[test]
    fn types_of_other_makers_and_of_v2_alone_are_marked() {
        let names = |is: fn(&ActionType) -> bool| -> Vec<String> {
            let named = |found: &ActionType| format!("{:?}/{}", found.category, found.provider);
            action_types().iter().filter(|found| is(found)).map(named).collect()
        };
        assert_eq!(
            names(|found| found.owner == ActionOwner::ThirdParty),
            ["Source/GitHub", "Deploy/AlexaSkillsKit", "Invoke/Snyk"]
        );
        assert_eq!(
            names(|found| found.v2_only),
            [
                "Build/ECRBuildAndPublish",
                "Build/Commands",
                "Compute/Commands",
                "Deploy/EC2",
                "Deploy/EKS",
                "Deploy/Lambda",
                "Invoke/CodePipeline",
            ]
        );
        assert_eq!(names(|found| found.compute), ["Build/Commands", "Compute/Commands"]);
        assert_eq!(names(|found| found.open_configuration), ["Invoke/Snyk"]);
        assert_eq!(names(|found| !found.required_when.is_empty()), ["Deploy/S3"]);
        assert_eq!(
            names(|found| found.output_variables == OutputVariables::Reported),
            [
                "Build/CodeBuild",
                "Test/CodeBuild",
                "Deploy/CloudFormation",
                "Invoke/Lambda",
                "Invoke/InspectorScan"
            ]
        );
    }

    #[test]
    fn a_registered_type_is_known_by_its_declaration() {
        let mut registry = Registry::builtin();
        let declaration: Integration = serde_json::from_value(serde_json::json!({
            "id": { "category": "Test", "owner": "ThirdParty", "provider": "Probe", "version": "1" },
            "executor": { "type": "JobWorker" },
            "inputArtifactDetails": { "minimumCount": 1, "maximumCount": 2 },
            "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 3 },
        }))
        .expect("it has all its members");
        let probe = declaration.id.clone();
        assert_eq!(registry.integration(&probe), None);
        registry.register_integration(declaration.clone());
        assert_eq!(registry.integration(&probe), Some(&declaration));
        let found = registry.find(&probe).expect("it was registered");
        assert_eq!(
            (found.inputs, found.outputs),
            (ArtifactCount { min: 1, max: 2 }, ArtifactCount { min: 0, max: 3 })
        );
        assert_eq!((found.owner, timeout_minutes(&probe)), (ActionOwner::ThirdParty, 24 * 60));
    }

    #[test]
    fn rules_have_their_time_and_their_version() {
        let id = |provider: &str, version: Option<&str>| -> RuleTypeId {
            let id = serde_json::json!({ "category": "Rule", "provider": provider, "version": version });
            serde_json::from_value(id).expect("it has all its members")
        };
        for (provider, minutes, inputs, may_skip) in [
            ("CloudWatchAlarm", 24 * 60, (0, 0), false),
            ("CodeBuild", 60, (0, 5), false),
            ("Commands", 60, (1, 10), false),
            ("DeploymentWindow", 24 * 60, (0, 0), false),
            ("LambdaInvoke", 60, (0, 5), true),
            ("VariableCheck", 60, (0, 0), true),
        ] {
            let found = rule_type(&id(provider, Some("1"))).expect("it is built in");
            assert_eq!((found.provider, (found.inputs.min, found.inputs.max)), (provider, inputs));
            assert_eq!((found.may_skip, found.compute), (may_skip, provider == "Commands"));
            assert_eq!(rule_timeout_minutes(&id(provider, None)), minutes, "{provider}");
            assert_eq!(rule_type(&id(provider, Some("2"))), None);
        }
        assert_eq!(rules().len(), 6);
        assert_eq!(rule_timeout_minutes(&id("DeploymentWindow", Some("2"))), 60);
        assert_eq!(rule_timeout_minutes(&id("Nothing", None)), 60);
    }

    #[test]
    fn every_kind_of_work_has_its_time() {
        use ActionCategory::{Approval, Build, Compute, Deploy, Invoke, Test};
        for (category, provider, minutes) in [
            (Deploy, "CloudFormation", 3 * 24 * 60),
            (Deploy, "CodeDeploy", 5 * 24 * 60),
            (Deploy, "CodeDeployToECS", 5 * 24 * 60),
            (Invoke, "Lambda", 24 * 60),
            (Deploy, "S3", 90),
            (Approval, "Manual", 7 * 24 * 60),
            (Build, "CodeBuild", 36 * 60),
            (Test, "CodeBuild", 8 * 60),
            (Compute, "Commands", 55),
            (Invoke, "StepFunctions", 7 * 24 * 60),
            (Deploy, "ECS", 60),
            (Deploy, "AppConfig", 60),
            (Deploy, "CloudFormationStackSet", 3 * 24 * 60),
            (Deploy, "CloudFormationStackInstances", 3 * 24 * 60),
            (Deploy, "EKS", 55),
            (Build, "ECRBuildAndPublish", 55),
            (Build, "Commands", 55),
            (Invoke, "InspectorScan", 55),
            (Invoke, "Nothing", 60),
        ] {
            assert_eq!(timeout_minutes(&id(category, ActionOwner::AWS, provider)), minutes, "{provider}");
        }
        for owner in [ActionOwner::Custom, ActionOwner::ThirdParty] {
            assert_eq!(timeout_minutes(&id(Build, owner, "Jenkins")), 24 * 60);
        }
    }
}
