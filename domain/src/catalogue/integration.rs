//! Action types that the operator of an installation registers: a partner's worker, or a function, does their work.
//! See `spec/api.md`, section 2.4.

use super::{ActionType, ArtifactCount, OutputVariables, Property};
use crate::limits;
use events::{ActionOwner, ActionTypeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// `ActionTypeDeclaration`, as `GetActionType` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the API's own words")]
pub struct Integration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub executor: Value,
    pub id: ActionTypeId,
    pub input_artifact_details: Counts,
    pub output_artifact_details: Counts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<IntegrationProperty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Value>,
}

/// How many artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the API's own words")]
pub struct Counts {
    pub minimum_count: usize,
    pub maximum_count: usize,
}

/// One configuration property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the API's own words")]
pub struct IntegrationProperty {
    pub name: String,
    pub optional: bool,
    pub key: bool,
    pub no_echo: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queryable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Integration {
    /// The type as pipelines are checked by.
    pub fn action_type(&self) -> ActionType {
        let count = |counts: Counts| ArtifactCount { min: counts.minimum_count, max: counts.maximum_count };
        let mut made = ActionType::custom(
            self.id.category,
            self.id.provider.clone(),
            self.id.version.clone(),
            count(self.input_artifact_details),
            count(self.output_artifact_details),
        );
        made.owner = self.id.owner;
        made.output_variables = OutputVariables::Reported;
        made.properties = Cow::Owned(self.properties.iter().map(property).collect());
        made
    }

    /// What is wrong with it on its own.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        if self.id.owner == ActionOwner::Custom {
            return Err("An action type of the owner Custom is made by CreateCustomActionType.".to_owned());
        }
        for counts in [self.input_artifact_details, self.output_artifact_details] {
            let Counts { minimum_count: min, maximum_count: max } = counts;
            if max < min {
                return Err(format!(
                    "Maximum Number of Artifacts ({max}) has to be greater than or equal to minimum ({min})."
                ));
            }
        }
        if self.properties.len() > limits::CUSTOM_TYPE_PROPERTIES_MAX {
            let max = limits::CUSTOM_TYPE_PROPERTIES_MAX;
            return Err(format!(
                "An action type may have {max} properties, found {}.",
                self.properties.len()
            ));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.properties.iter().find(|property| !names.insert(&property.name)) {
            return Err(format!("Property '{}' is given more than once.", twice.name));
        }
        let queryable = |property: &&IntegrationProperty| property.queryable == Some(true);
        let queryable: Vec<&IntegrationProperty> = self.properties.iter().filter(queryable).collect();
        match queryable[..] {
            [] => Ok(()),
            [only] if !only.optional && !only.no_echo => Ok(()),
            [only] => Err(format!("Property '{}' is queryable and must be required and shown.", only.name)),
            _ => Err("Up to one property may be queryable.".to_owned()),
        }
    }

    /// What is wrong with it as the successor of `earlier`: pipelines that were legal must stay so.
    ///
    /// # Errors
    /// In words.
    pub fn check_follows(&self, earlier: &Self) -> Result<(), String> {
        for property in self.properties.iter().filter(|property| !property.optional) {
            match earlier.properties.iter().find(|known| known.name == property.name) {
                Some(known) if known.optional => {
                    return Err(format!(
                        "Property '{}' is optional and cannot be made required.",
                        known.name
                    ));
                }
                Some(_) => {}
                None => return Err(format!("Property '{}' is new and must be optional.", property.name)),
            }
        }
        let kept =
            |known: &&IntegrationProperty| self.properties.iter().all(|property| property.name != known.name);
        if let Some(lost) = earlier.properties.iter().find(kept) {
            return Err(format!("Property '{}' cannot be taken away.", lost.name));
        }
        if self.executor.get("type") != earlier.executor.get("type") {
            return Err("The executor's type cannot change.".to_owned());
        }
        Ok(())
    }
}

fn property(property: &IntegrationProperty) -> Property {
    Property {
        name: Cow::Owned(property.name.clone()),
        required: !property.optional,
        secret: property.no_echo,
        key: property.key,
        queryable: property.queryable == Some(true),
        artifact_path: false,
        description: Cow::Owned(property.description.clone().unwrap_or_default()),
    }
}
