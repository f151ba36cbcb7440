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
        let is_lost =
            |known: &&IntegrationProperty| self.properties.iter().all(|property| property.name != known.name);
        if let Some(lost) = earlier.properties.iter().find(is_lost) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn property(name: &str) -> Value {
        json!({ "name": name, "optional": false, "key": true, "noEcho": false })
    }

    fn with(change: impl FnOnce(&mut Value)) -> Integration {
        let mut declaration = json!({
            "id": { "category": "Test", "owner": "ThirdParty", "provider": "Probe", "version": "1" },
            "executor": { "type": "JobWorker", "configuration": {} },
            "inputArtifactDetails": { "minimumCount": 1, "maximumCount": 1 },
            "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 0 },
            "properties": [property("Suite"), property("Note")],
        });
        declaration["properties"][1]["optional"] = json!(true);
        change(&mut declaration);
        serde_json::from_value(declaration).expect("it has all its members")
    }

    #[test]
    fn a_declaration_that_is_refused_is_told_why() {
        let artifacts = "Maximum Number of Artifacts (1) has to be greater than or equal to minimum (2).";
        let counts = || json!({ "minimumCount": 2, "maximumCount": 1 });
        let numbered =
            |count: usize| json!((0..count).map(|n| property(&format!("P{n}"))).collect::<Vec<_>>());
        let queryable = |one: &mut Value| one["queryable"] = json!(true);
        let shown = "Property 'Suite' is queryable and must be required and shown.";
        for (declaration, message) in [
            (
                with(|it| it["id"]["owner"] = json!("Custom")),
                "An action type of the owner Custom is made by CreateCustomActionType.",
            ),
            (with(|it| it["inputArtifactDetails"] = counts()), artifacts),
            (with(|it| it["outputArtifactDetails"] = counts()), artifacts),
            (with(|it| it["properties"] = numbered(11)), "An action type may have 10 properties, found 11."),
            (
                with(|it| it["properties"][1]["name"] = json!("Suite")),
                "Property 'Suite' is given more than once.",
            ),
            (
                with(|it| {
                    queryable(&mut it["properties"][0]);
                    it["properties"][0]["noEcho"] = json!(true);
                }),
                shown,
            ),
            (
                with(|it| {
                    queryable(&mut it["properties"][0]);
                    it["properties"][0]["optional"] = json!(true);
                }),
                shown,
            ),
            (
                with(|it| {
                    queryable(&mut it["properties"][0]);
                    queryable(&mut it["properties"][1]);
                }),
                "Up to one property may be queryable.",
            ),
        ] {
            assert_eq!(declaration.check(), Err(message.to_owned()));
        }
        for legal in [
            with(|_| {}),
            with(|it| it["properties"] = numbered(10)),
            with(|it| queryable(&mut it["properties"][0])),
            with(|it| it["properties"][1]["queryable"] = json!(false)),
            with(|it| it["id"]["owner"] = json!("AWS")),
        ] {
            assert_eq!(legal.check(), Ok(()), "{legal:?}");
        }
    }

    #[test]
    fn a_successor_that_would_break_a_pipeline_is_told_why() {
        let earlier = with(|_| {});
        for (later, message) in [
            (
                with(|it| it["properties"][1]["optional"] = json!(false)),
                "Property 'Note' is optional and cannot be made required.",
            ),
            (
                with(|it| it["properties"] = json!([property("Suite"), property("Depth")])),
                "Property 'Depth' is new and must be optional.",
            ),
            (
                with(|it| it["properties"] = json!([property("Suite")])),
                "Property 'Note' cannot be taken away.",
            ),
            (with(|it| it["executor"] = json!({ "type": "Lambda" })), "The executor's type cannot change."),
        ] {
            assert_eq!(later.check_follows(&earlier), Err(message.to_owned()));
        }
        for legal in [
            with(|_| {}),
            with(|it| it["properties"][0]["optional"] = json!(true)),
            with(|it| it["executor"]["configuration"] = json!({ "jobTimeout": 5 })),
        ] {
            assert_eq!(legal.check_follows(&earlier), Ok(()), "{legal:?}");
        }
    }

    #[test]
    fn properties_keep_what_is_said_about_them() {
        let declared = with(|it| {
            it["properties"][0]["queryable"] = json!(true);
            it["properties"][1]["noEcho"] = json!(true);
            it["properties"][1]["description"] = json!("for people");
        });
        let made = declared.action_type();
        assert_eq!((made.queryable(), made.output_variables), (Some("Suite"), OutputVariables::Reported));
        let descriptions: Vec<_> = made.properties.iter().map(|it| (it.secret, &*it.description)).collect();
        assert_eq!(descriptions, [(false, ""), (true, "for people")]);
    }
}
