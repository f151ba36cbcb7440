//! Action types that come and go: custom ones, and new declarations of those the operator registered. See
//! `spec/api.md`, section 4.

use super::{ActionType, ArtifactCount, Property, Registry, integration::Integration};
use crate::{command::Context, limits, rejection::Rejection};
use events::{
    ActionCategory, ActionTypeId, ActionTypeProperty, ActionTypeSettings, ActionTypeUpdated,
    ActionTypesEvent, CustomActionTypeCreated, CustomActionTypeDeleted, CustomActionTypeTagged,
    CustomActionTypeUntagged, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Number of this fold; one more whenever [`ActionTypes`]' shape or meaning changes.
pub const FOLD: u32 = 1;

/// The state of an `action-types#<account>` stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionTypes {
    /// Every custom type there ever was, by [`ActionTypeId`] as text.
    pub custom: BTreeMap<String, CustomType>,
    /// The newest declaration of each registered type that was updated.
    pub updated: BTreeMap<String, Integration>,
}

/// A custom type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomType {
    /// What it is.
    pub definition: CustomDefinition,
    /// It was deleted; its version may only be used again by the same definition.
    pub deleted: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What a custom type is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at `events::CustomActionTypeCreated`")]
pub struct CustomDefinition {
    pub id: ActionTypeId,
    pub settings: ActionTypeSettings,
    pub properties: Vec<ActionTypeProperty>,
    pub inputs: (u8, u8),
    pub outputs: (u8, u8),
}

/// What is wished of an account's action types.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionTypeWish {
    /// Create a custom type, or bring the same one back.
    Create {
        /// What it is; its shape was checked.
        definition: Box<CustomDefinition>,
        /// Its tags.
        tags: BTreeMap<String, String>,
    },
    /// Delete a custom type.
    Delete {
        /// Which.
        id: ActionTypeId,
    },
    /// Add tags to a custom type, or change their values.
    Tag {
        /// Which.
        id: ActionTypeId,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Take tags off a custom type.
    Untag {
        /// Which.
        id: ActionTypeId,
        /// Their keys.
        keys: Vec<String>,
    },
    /// Declare a registered type anew.
    Update {
        /// As the operator registered it.
        registered: Box<Integration>,
        /// As it shall be.
        declaration: Box<Integration>,
    },
}

impl ActionTypeWish {
    /// The wish's name, for log lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CreateCustomActionType",
            Self::Delete { .. } => "DeleteCustomActionType",
            Self::Tag { .. } => "TagCustomActionType",
            Self::Untag { .. } => "UntagCustomActionType",
            Self::Update { .. } => "UpdateActionType",
        }
    }
}

impl ActionTypes {
    /// A custom type that was not deleted.
    pub fn custom(&self, id: &ActionTypeId) -> Option<&CustomType> {
        self.custom.get(&id.to_string()).filter(|found| !found.deleted)
    }

    /// Custom types that were not deleted, by identity.
    pub fn live(&self) -> impl Iterator<Item = &CustomType> {
        self.custom.values().filter(|found| !found.deleted)
    }

    /// The built-in and registered types with these.
    pub fn registry(&self, base: &Registry) -> Registry {
        let mut registry = base.clone();
        for declaration in self.updated.values() {
            // A type that is not registered any more does not come back by an old update.
            if base.integration(&declaration.id).is_some() {
                registry.register_integration(declaration.clone());
            }
        }
        for found in self.live() {
            registry.register(found.definition.action_type());
        }
        registry
    }

    /// Decides a wish. No events: it is satisfied already.
    pub fn decide(
        &self,
        wish: &ActionTypeWish,
        context: Context<'_>,
    ) -> Result<Vec<ActionTypesEvent>, Rejection> {
        let by = context.actor.to_owned();
        match wish {
            ActionTypeWish::Create { definition, tags } => self.create(definition, tags, by),
            ActionTypeWish::Delete { id } => Ok(self
                .custom(id)
                .map(|_| {
                    let id = id.clone();
                    ActionTypesEvent::CustomActionTypeDeleted(CustomActionTypeDeleted { id, by })
                })
                .into_iter()
                .collect()),
            ActionTypeWish::Tag { id, tags } => self.tag(id, tags, by),
            ActionTypeWish::Untag { id, keys } => self.untag(id, keys, by),
            ActionTypeWish::Update { registered, declaration } => self.update(registered, declaration, by),
        }
    }

    fn create(
        &self,
        definition: &CustomDefinition,
        tags: &BTreeMap<String, String>,
        by: String,
    ) -> Result<Vec<ActionTypesEvent>, Rejection> {
        definition.check().map_err(|message| Rejection::InvalidActionType { message })?;
        let known = self.custom.get(&definition.id.to_string());
        match known {
            Some(known) if known.definition == *definition && !known.deleted => return Ok(Vec::new()),
            Some(known) if known.definition == *definition => {}
            Some(known) if known.deleted => {
                let ActionTypeId { category, provider, version, .. } = &definition.id;
                return Err(Rejection::InvalidActionType {
                    message: format!(
                        "The action type (Category: '{category:?}', Provider: '{provider}', Owner: 'Custom', \
                         Version: '{version}') has been deleted. Create a new version of the action type."
                    ),
                });
            }
            Some(_) => return Err(Rejection::ActionTypeAlreadyExists { id: definition.id.clone() }),
            None => {}
        }
        if self.live().count() >= limits::CUSTOM_TYPES_MAX {
            return Err(Rejection::TooManyActionTypes { limit: limits::CUSTOM_TYPES_MAX });
        }
        let CustomDefinition { id, settings, properties, inputs, outputs } = definition.clone();
        Ok(vec![ActionTypesEvent::CustomActionTypeCreated(CustomActionTypeCreated {
            id,
            settings,
            properties,
            inputs,
            outputs,
            tags: tags.clone(),
            by,
        })])
    }

    fn tag(
        &self,
        id: &ActionTypeId,
        tags: &BTreeMap<String, String>,
        by: String,
    ) -> Result<Vec<ActionTypesEvent>, Rejection> {
        let known = self.custom(id).ok_or_else(|| Rejection::ActionTypeNotFound { id: id.clone() })?;
        let mut tags = tags.clone();
        tags.retain(|key, value| known.tags.get(key) != Some(value));
        let added = tags.keys().filter(|key| !known.tags.contains_key(*key)).count();
        if known.tags.len() + added > limits::TAGS_MAX {
            return Err(Rejection::TooManyTags { resource: format!("actiontype:{id}") });
        }
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let id = id.clone();
        Ok(vec![ActionTypesEvent::CustomActionTypeTagged(CustomActionTypeTagged { id, tags, by })])
    }

    fn untag(
        &self,
        id: &ActionTypeId,
        keys: &[String],
        by: String,
    ) -> Result<Vec<ActionTypesEvent>, Rejection> {
        let known = self.custom(id).ok_or_else(|| Rejection::ActionTypeNotFound { id: id.clone() })?;
        let keys: Vec<String> = known.tags.keys().filter(|key| keys.contains(key)).cloned().collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let id = id.clone();
        Ok(vec![ActionTypesEvent::CustomActionTypeUntagged(CustomActionTypeUntagged { id, keys, by })])
    }

    fn update(
        &self,
        registered: &Integration,
        declaration: &Integration,
        by: String,
    ) -> Result<Vec<ActionTypesEvent>, Rejection> {
        let key = declaration.id.to_string();
        let current = self.updated.get(&key).unwrap_or(registered);
        declaration
            .check()
            .and_then(|()| declaration.check_follows(current))
            .map_err(|message| Rejection::ActionTypeUpdateRefused { message })?;
        if declaration == current {
            return Ok(Vec::new());
        }
        Ok(vec![ActionTypesEvent::ActionTypeUpdated(ActionTypeUpdated {
            id: declaration.id.clone(),
            declaration: serde_json::to_value(declaration)
                .expect("a declaration holds only text keys and plain values, which JSON can always write"),
            by,
        })])
    }

    /// Writes one event down.
    pub fn evolve(&mut self, event: &ActionTypesEvent, _: Timestamp) {
        match event {
            ActionTypesEvent::CustomActionTypeCreated(created) => {
                let definition = CustomDefinition {
                    id: created.id.clone(),
                    settings: created.settings.clone(),
                    properties: created.properties.clone(),
                    inputs: created.inputs,
                    outputs: created.outputs,
                };
                let found = CustomType { definition, deleted: false, tags: created.tags.clone() };
                self.custom.insert(created.id.to_string(), found);
            }
            ActionTypesEvent::CustomActionTypeDeleted(deleted) => self.change(&deleted.id, |found| {
                found.deleted = true;
                found.tags.clear();
            }),
            ActionTypesEvent::CustomActionTypeTagged(tagged) => {
                self.change(&tagged.id, |found| found.tags.extend(tagged.tags.clone()));
            }
            ActionTypesEvent::CustomActionTypeUntagged(untagged) => {
                self.change(&untagged.id, |found| found.tags.retain(|key, _| !untagged.keys.contains(key)));
            }
            ActionTypesEvent::ActionTypeUpdated(updated) => {
                // What cannot be read leaves the type as the operator registered it.
                if let Ok(declaration) = serde_json::from_value(updated.declaration.clone()) {
                    self.updated.insert(updated.id.to_string(), declaration);
                }
            }
        }
    }

    fn change(&mut self, id: &ActionTypeId, how: impl FnOnce(&mut CustomType)) {
        if let Some(found) = self.custom.get_mut(&id.to_string()) {
            how(found);
        }
    }
}

impl CustomDefinition {
    /// The type as pipelines are checked by.
    pub fn action_type(&self) -> ActionType {
        let count = |(min, max): (u8, u8)| ArtifactCount { min: min.into(), max: max.into() };
        let mut made = ActionType::custom(
            self.id.category,
            self.id.provider.clone(),
            self.id.version.clone(),
            count(self.inputs),
            count(self.outputs),
        );
        made.properties = Cow::Owned(self.properties.iter().map(property).collect());
        made
    }

    /// What is wrong with it, as the service words it where it is known to.
    fn check(&self) -> Result<(), String> {
        if matches!(self.id.category, ActionCategory::Approval | ActionCategory::Compute) {
            return Err(format!(
                "A custom action type cannot be of the category {:?}: no worker could carry it out.",
                self.id.category
            ));
        }
        for (min, max) in [self.inputs, self.outputs] {
            if max < min {
                return Err(format!(
                    "Maximum Number of Artifacts ({max}) has to be greater than or equal to minimum ({min})."
                ));
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.properties.iter().find(|property| !names.insert(&property.name)) {
            return Err(format!("Configuration property '{}' is given more than once.", twice.name));
        }
        self.check_queryable()?;
        let ActionTypeSettings { entity_url_template, execution_url_template, revision_url_template, .. } =
            &self.settings;
        [entity_url_template, execution_url_template, revision_url_template]
            .into_iter()
            .flatten()
            .try_for_each(|template| self.check_template(template))
    }

    fn check_queryable(&self) -> Result<(), String> {
        let queryable: Vec<&ActionTypeProperty> =
            self.properties.iter().filter(|property| property.queryable == Some(true)).collect();
        match queryable[..] {
            [] => Ok(()),
            [only] if only.required && !only.secret => Ok(()),
            [only] => Err(format!(
                "Invalid queryable property '{}'. Queryable configuration properties must be required and non-secret.",
                only.name
            )),
            _ => {
                let names: Vec<&str> = queryable.iter().map(|property| property.name.as_str()).collect();
                Err(format!(
                    "Multiple queryable configuration properties found with names '{}'. Up to one queryable property may be specified.",
                    names.join(", ")
                ))
            }
        }
    }

    fn check_template(&self, template: &str) -> Result<(), String> {
        for name in placeholders(template).filter_map(|inner| inner.strip_prefix("Config:")) {
            let usable = |property: &&ActionTypeProperty| property.required && !property.secret;
            if self.properties.iter().filter(usable).all(|property| property.name != name) {
                return Err(format!(
                    "URL template '{template}' uses the property '{name}', which is not a required and \
                     non-secret configuration property."
                ));
            }
        }
        Ok(())
    }
}

fn property(property: &ActionTypeProperty) -> Property {
    Property {
        name: Cow::Owned(property.name.clone()),
        required: property.required,
        secret: property.secret,
        key: property.key,
        queryable: property.queryable == Some(true),
        artifact_path: false,
        description: Cow::Owned(property.description.clone().unwrap_or_default()),
    }
}

/// What stands between `{` and `}`.
fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(inner, _)| inner))
}

/// A link made of its template. `None` when it needs a value there is none of.
pub fn link(
    template: &str,
    configuration: &BTreeMap<String, String>,
    external_execution_id: Option<&str>,
) -> Option<String> {
    let mut made = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        made.push_str(before);
        let Some((inner, after)) = after.split_once('}') else {
            made.push('{');
            rest = after;
            continue;
        };
        match inner.strip_prefix("Config:") {
            Some(name) => made.push_str(configuration.get(name)?),
            None if inner == "ExternalExecutionId" => made.push_str(external_execution_id?),
            None => {
                made.push('{');
                made.push_str(inner);
                made.push('}');
            }
        }
        rest = after;
    }
    made.push_str(rest);
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::ActionOwner;

    fn property(name: &str) -> ActionTypeProperty {
        ActionTypeProperty {
            name: name.into(),
            required: true,
            key: true,
            secret: false,
            queryable: None,
            description: None,
            kind: None,
        }
    }

    fn forge() -> CustomDefinition {
        CustomDefinition {
            id: ActionTypeId {
                category: ActionCategory::Build,
                owner: ActionOwner::Custom,
                provider: "Forge".into(),
                version: "1".into(),
            },
            settings: ActionTypeSettings::default(),
            properties: vec![
                property("Shown"),
                ActionTypeProperty { secret: true, ..property("Hidden") },
                ActionTypeProperty { required: false, ..property("Optional") },
            ],
            inputs: (1, 1),
            outputs: (0, 0),
        }
    }

    #[test]
    fn a_wish_goes_by_the_name_of_its_request() {
        let id = || forge().id;
        let declaration: Integration = serde_json::from_value(serde_json::json!({
            "id": id(), "executor": {},
            "inputArtifactDetails": { "minimumCount": 0, "maximumCount": 0 },
            "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 0 },
        }))
        .expect("it has all its members");
        let (registered, declaration) = (Box::new(declaration.clone()), Box::new(declaration));
        let tags = BTreeMap::new;
        let names = [
            ActionTypeWish::Create { definition: Box::new(forge()), tags: tags() },
            ActionTypeWish::Delete { id: id() },
            ActionTypeWish::Tag { id: id(), tags: tags() },
            ActionTypeWish::Untag { id: id(), keys: Vec::new() },
            ActionTypeWish::Update { registered, declaration },
        ]
        .map(|wish| wish.name());
        assert_eq!(
            names,
            [
                "CreateCustomActionType",
                "DeleteCustomActionType",
                "TagCustomActionType",
                "UntagCustomActionType",
                "UpdateActionType"
            ]
        );
    }

    #[test]
    fn a_definition_is_refused_in_words() {
        let words = "A custom action type cannot be of the category Compute: no worker could carry it out.";
        let compute = ActionTypeId { category: ActionCategory::Compute, ..forge().id };
        let with = |properties: Vec<ActionTypeProperty>| CustomDefinition { properties, ..forge() };
        for (definition, message) in [
            (CustomDefinition { id: compute, ..forge() }, words),
            (
                CustomDefinition { inputs: (1, 0), ..forge() },
                "Maximum Number of Artifacts (0) has to be greater than or equal to minimum (1).",
            ),
            (
                with(vec![property("a"), property("b"), property("a")]),
                "Configuration property 'a' is given more than once.",
            ),
        ] {
            assert_eq!(definition.check(), Err(message.to_owned()));
        }
        assert_eq!(forge().check(), Ok(()));
        let not_queried =
            |name| ActionTypeProperty { queryable: Some(false), secret: true, ..property(name) };
        assert_eq!(with(vec![not_queried("a"), not_queried("b")]).check(), Ok(()));
    }

    #[test]
    fn every_link_shows_only_what_is_required_and_no_secret() {
        let with = |which: usize, template: &str| {
            let mut links = [None, None, None];
            links[which] = Some(template.to_owned());
            let [entity_url_template, execution_url_template, revision_url_template] = links;
            let settings = ActionTypeSettings {
                entity_url_template,
                execution_url_template,
                revision_url_template,
                third_party_configuration_url: Some("https://{Config:Nothing}".into()),
            };
            CustomDefinition { settings, ..forge() }.check()
        };
        for which in 0..3 {
            assert_eq!(with(which, "https://x/{Config:Shown}/{ExternalExecutionId}/{odd}/{"), Ok(()));
            for name in ["Hidden", "Optional", "Nothing"] {
                let template = format!("https://x/{{Config:Shown}}/{{Config:{name}}}");
                let words = format!(
                    "URL template '{template}' uses the property '{name}', which is not a required and non-secret \
                     configuration property."
                );
                assert_eq!(with(which, &template), Err(words));
            }
        }
    }

    #[test]
    fn a_link_is_made_of_what_there_is() {
        let configuration =
            BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())]);
        for (template, id, made) in [
            ("https://x", None, Some("https://x")),
            ("{Config:A}/{Config:B}{Config:A}", None, Some("1/21")),
            ("{Config:C}", None, None),
            ("{ExternalExecutionId}", Some("7"), Some("7")),
            ("{ExternalExecutionId}", None, None),
            ("{Other}{", Some("7"), Some("{Other}{")),
            ("a{{Config:A}", None, Some("a{{Config:A}")),
        ] {
            assert_eq!(link(template, &configuration, id).as_deref(), made, "{template}");
        }
    }

    #[test]
    fn what_pipelines_are_checked_by_is_what_was_declared() {
        let mut definition = forge();
        definition.properties[0].queryable = Some(true);
        definition.properties[1].key = false;
        definition.properties[2].description = Some("for people".into());
        let made = definition.action_type();
        assert_eq!(
            (made.inputs, made.outputs),
            (ArtifactCount { min: 1, max: 1 }, ArtifactCount { min: 0, max: 0 })
        );
        assert_eq!((made.id(), made.queryable()), (definition.id, Some("Shown")));
        let properties: Vec<_> = made
            .properties
            .iter()
            .map(|it| (&*it.name, it.required, it.secret, it.key, it.queryable, &*it.description))
            .collect();
        assert_eq!(
            properties,
            [
                ("Shown", true, false, true, true, ""),
                ("Hidden", true, true, false, false, ""),
                ("Optional", false, false, true, false, "for people"),
            ]
        );
    }

    #[test]
    fn only_tags_that_change_are_written_down() {
        let context = Context {
            now: Timestamp(5),
            actor: "ann",
            command_id: "c",
            region: "us-east-1",
            policy: &events::EXACT,
        };
        let map = |tags: &[(&str, &str)]| -> BTreeMap<String, String> {
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut types = ActionTypes::default();
        let create =
            ActionTypeWish::Create { definition: Box::new(forge()), tags: map(&[("a", "1"), ("b", "2")]) };
        let tag = ActionTypeWish::Tag { id: forge().id, tags: map(&[("a", "1"), ("b", "3"), ("c", "4")]) };
        let untag = ActionTypeWish::Untag { id: forge().id, keys: vec!["c".into(), "x".into()] };
        let mut said = Vec::new();
        for wish in [create, tag, untag] {
            for event in types.decide(&wish, context).expect("all of it is legal") {
                types.evolve(&event, Timestamp(5));
                match event {
                    ActionTypesEvent::CustomActionTypeTagged(tagged) => {
                        said.push(format!("{:?}", tagged.tags))
                    }
                    ActionTypesEvent::CustomActionTypeUntagged(untagged) => {
                        said.push(format!("{:?}", untagged.keys))
                    }
                    ActionTypesEvent::CustomActionTypeCreated(_)
                    | ActionTypesEvent::CustomActionTypeDeleted(_)
                    | ActionTypesEvent::ActionTypeUpdated(_) => {}
                }
            }
        }
        assert_eq!(said, [r#"{"b": "3", "c": "4"}"#, r#"["c"]"#]);
        let found = types.custom(&forge().id).expect("it was created");
        assert_eq!(found.tags, map(&[("a", "1"), ("b", "3")]));
        assert_eq!(types.live().count(), 1);
    }
}
