//! Action types: the built-in ones, those the operator registered, custom ones. See `spec/api.md`, sections 2.4, 4
//! and 5.

use super::{answer, pipelines::tags_of, some};
use crate::{Caller, Home, exceptions, paging};
use api::{ApiError, NoOutput, model};
use domain::catalogue::{
    ActionType, Registry,
    custom::{ActionTypeWish, ActionTypes, CustomDefinition, CustomType},
    integration::Integration,
};
use engine::{ports::Actions, single::Order};
use events::{ActionCategory, ActionOwner, ActionTypeId, ActionTypeProperty, ActionTypeSettings};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The action types as they stand now.
pub(super) async fn registry<H: Home>(home: &H) -> Result<Registry, ApiError> {
    let types = home.engine().action_types().await.map_err(exceptions::unavailable)?;
    Ok(types.registry(home.registry()))
}

/// The 4-tuple, as the core has it.
pub(super) fn type_id(id: &model::ActionTypeId) -> Result<ActionTypeId, ApiError> {
    serde_json::to_value(id)
        .and_then(serde_json::from_value)
        .map_err(|error| ApiError::validation(format!("the action type cannot be read: {error}")))
}

/// Creates a custom type; the same one again is created already.
pub(super) async fn create<H: Home>(home: &H, caller: &Caller, input: Value) -> Result<Value, ApiError> {
    let sent: model::CreateCustomActionTypeInput = api::decode_input(input.clone())?;
    let definition = definition(&sent)?;
    let tags = tags_of(&input, &arn(home, &definition.id))?;
    let wish = ActionTypeWish::Create { definition: Box::new(definition.clone()), tags: tags.clone() };
    record(home, caller, wish).await?;
    let mut output = json!({ "actionType": answer(Ok(custom(&definition)))? });
    if !tags.is_empty() {
        output["tags"] = tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    }
    Ok(output)
}

/// Deletes a custom type; one that is not there is deleted already.
pub(super) async fn delete<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::DeleteCustomActionTypeInput,
) -> Result<NoOutput, ApiError> {
    let model::DeleteCustomActionTypeInput { category, provider, version } = input;
    let owner = model::ActionOwner::Custom;
    let id = type_id(&model::ActionTypeId { category, owner, provider, version })?;
    record(home, caller, ActionTypeWish::Delete { id }).await?;
    Ok(NoOutput {})
}

/// The types this installation can carry out, by their text.
pub(super) async fn list<H: Home>(
    home: &H,
    input: model::ListActionTypesInput,
) -> Result<model::ListActionTypesOutput, ApiError> {
    let owner = input.action_owner_filter.as_ref().map_or("", |owner| owner.as_str()).to_owned();
    let region = input.region_filter.clone().unwrap_or_default();
    let question = format!("action types of {owner} in {region}");
    let after = match &input.next_token {
        Some(token) => Some(paging::cursor(&question, token)?.key),
        None => None,
    };
    if input.region_filter.is_some_and(|region| region != home.engine().region()) {
        return Ok(model::ListActionTypesOutput { action_types: Vec::new(), next_token: None });
    }
    let types = home.engine().action_types().await.map_err(exceptions::unavailable)?;
    let mut listed = listed(home, &types);
    listed.retain(|key, (of, _)| {
        (owner.is_empty() || format!("{of:?}") == owner) && after.as_ref().is_none_or(|after| key > after)
    });
    let more = listed.len() > paging::PAGE_ROWS_DEFAULT;
    let page: Vec<(String, model::ActionType)> =
        listed.into_iter().take(paging::PAGE_ROWS_DEFAULT).map(|(key, (_, found))| (key, found)).collect();
    let last = page.last().filter(|_| more).map(|(key, _)| key.clone());
    let next_token = last.map(|key| paging::token(&question, &paging::Cursor { key, within: 0 }));
    let action_types = page.into_iter().map(|(_, found)| found).collect();
    Ok(model::ListActionTypesOutput { action_types, next_token })
}

/// The declaration of a type that the operator registered.
pub(super) async fn get<H: Home>(
    home: &H,
    input: model::GetActionTypeInput,
) -> Result<model::GetActionTypeOutput, ApiError> {
    let model::GetActionTypeInput { category, owner, provider, version } = input;
    let owner = model::ActionOwner::from(owner.as_str());
    let id = type_id(&model::ActionTypeId { category, owner, provider, version })?;
    let registry = registry(home).await?;
    let found = registry.integration(&id).ok_or_else(|| not_found(home, &id))?;
    let action_type = answer(Ok(found)).and_then(|value| {
        serde_json::from_value(value).map_err(|error| {
            let text = format!("the declaration of {id} cannot be shown: {error}");
            ApiError::new(api::Code::InternalFailure, text)
        })
    })?;
    Ok(model::GetActionTypeOutput { action_type: Some(action_type) })
}

/// Declares a type anew that the operator registered.
pub(super) async fn update<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::UpdateActionTypeInput,
) -> Result<NoOutput, ApiError> {
    let declaration: Integration = serde_json::to_value(&input.action_type)
        .and_then(serde_json::from_value)
        .map_err(|error| ApiError::validation(format!("the declaration cannot be read: {error}")))?;
    // The operator's own entry says who does the work; without one there is nothing to update.
    let Some(registered) = home.registry().integration(&declaration.id) else {
        return Err(not_found(home, &declaration.id));
    };
    let registered = Box::new(registered.clone());
    record(home, caller, ActionTypeWish::Update { registered, declaration: Box::new(declaration) }).await?;
    Ok(NoOutput {})
}

/// `ActionTypeNotFoundException`.
pub(super) fn not_found<H: Home>(home: &H, id: &ActionTypeId) -> ApiError {
    let rejection = domain::Rejection::ActionTypeNotFound { id: id.clone() };
    exceptions::rejected(home.engine().account(), &rejection)
}

/// The ARN of a custom type.
pub(super) fn arn<H: Home>(home: &H, id: &ActionTypeId) -> String {
    let ActionTypeId { category, owner, provider, version } = id;
    let (region, account) = (home.engine().region(), home.engine().account());
    format!("arn:aws:codepipeline:{region}:{account}:actiontype:{owner:?}/{category:?}/{provider}/{version}")
}

pub(super) async fn record<H: Home>(home: &H, caller: &Caller, wish: ActionTypeWish) -> Result<(), ApiError> {
    let engine = home.engine();
    let key = engine.account_id().ok_or_else(|| {
        let text = format!("`{}` is not an account that can have action types", engine.account());
        ApiError::new(api::Code::InternalFailure, text)
    })?;
    let actor = caller.arn.clone();
    let order = Order::<ActionTypes> { id: engine.fresh_command_id(), actor, key, wish };
    engine.record(order).await.map_err(|error| exceptions::not_done(engine.account(), error))?;
    Ok(())
}

fn definition(sent: &model::CreateCustomActionTypeInput) -> Result<CustomDefinition, ApiError> {
    let id = type_id(&model::ActionTypeId {
        category: sent.category.clone(),
        owner: model::ActionOwner::Custom,
        provider: sent.provider.clone(),
        version: sent.version.clone(),
    })?;
    let count = |details: &model::ArtifactDetails| {
        let count = |count: i64| u8::try_from(count).unwrap_or(u8::MAX);
        (count(details.minimum_count), count(details.maximum_count))
    };
    let settings = sent.settings.clone().unwrap_or_default();
    let property = |property: &model::ActionConfigurationProperty| ActionTypeProperty {
        name: property.name.clone(),
        required: property.required,
        key: property.key,
        secret: property.secret,
        queryable: property.queryable,
        description: property.description.clone(),
        kind: property.r#type.as_ref().map(|kind| kind.as_str().to_owned()),
    };
    Ok(CustomDefinition {
        id,
        settings: ActionTypeSettings {
            third_party_configuration_url: settings.third_party_configuration_url,
            entity_url_template: settings.entity_url_template,
            execution_url_template: settings.execution_url_template,
            revision_url_template: settings.revision_url_template,
        },
        properties: sent.configuration_properties.iter().flatten().map(property).collect(),
        inputs: count(&sent.input_artifact_details),
        outputs: count(&sent.output_artifact_details),
    })
}

/// Every type with its text, by which the list is ordered, and its owner.
fn listed<H: Home>(home: &H, types: &ActionTypes) -> BTreeMap<String, (ActionOwner, model::ActionType)> {
    let registry = types.registry(home.registry());
    let mut listed = BTreeMap::new();
    for found in registry.iter() {
        let id = found.id();
        let shown = match types.custom(&id) {
            Some(CustomType { definition, .. }) => custom(definition),
            None if home.engine().actions().can_carry_out(&id) || id.category == ActionCategory::Approval => {
                other(found, registry.integration(&id))
            }
            None => continue,
        };
        listed.insert(id.to_string(), (id.owner, shown));
    }
    listed
}

fn custom(definition: &CustomDefinition) -> model::ActionType {
    let ActionTypeSettings {
        third_party_configuration_url,
        entity_url_template,
        execution_url_template,
        revision_url_template,
    } = definition.settings.clone();
    let settings = model::ActionTypeSettings {
        third_party_configuration_url,
        entity_url_template,
        execution_url_template,
        revision_url_template,
    };
    let property = |property: &ActionTypeProperty| model::ActionConfigurationProperty {
        name: property.name.clone(),
        required: property.required,
        key: property.key,
        secret: property.secret,
        queryable: property.queryable,
        description: property.description.clone(),
        r#type: property.kind.as_deref().map(model::ActionConfigurationPropertyType::from),
    };
    let details = |(min, max): (u8, u8)| model::ArtifactDetails {
        minimum_count: min.into(),
        maximum_count: max.into(),
    };
    model::ActionType {
        id: shown_id(&definition.id),
        settings: Some(settings).filter(|settings| *settings != model::ActionTypeSettings::default()),
        action_configuration_properties: some(definition.properties.iter().map(property).collect()),
        input_artifact_details: details(definition.inputs),
        output_artifact_details: details(definition.outputs),
    }
}

fn other(found: &ActionType, registered: Option<&Integration>) -> model::ActionType {
    let property = |property: &domain::catalogue::Property| model::ActionConfigurationProperty {
        name: property.name.clone().into_owned(),
        required: property.required,
        key: property.key,
        secret: property.secret,
        queryable: Some(property.queryable),
        description: Some(property.description.clone().into_owned()).filter(|text| !text.is_empty()),
        r#type: None,
    };
    let details = |count: domain::catalogue::ArtifactCount| model::ArtifactDetails {
        minimum_count: shown_count(count.min),
        maximum_count: shown_count(count.max),
    };
    let urls = registered.and_then(|declaration| declaration.urls.as_ref());
    let url = |name: &str| urls.and_then(|urls| urls[name].as_str()).map(str::to_owned);
    let settings = model::ActionTypeSettings {
        third_party_configuration_url: url("configurationUrl"),
        entity_url_template: url("entityUrlTemplate"),
        execution_url_template: url("executionUrlTemplate"),
        revision_url_template: url("revisionUrlTemplate"),
    };
    model::ActionType {
        id: shown_id(&found.id()),
        settings: Some(settings).filter(|settings| *settings != model::ActionTypeSettings::default()),
        action_configuration_properties: some(found.properties.iter().map(property).collect()),
        input_artifact_details: details(found.inputs),
        output_artifact_details: details(found.outputs),
    }
}

/// The model lets this list show five at most, though some types take more.
fn shown_count(count: usize) -> i64 {
    const SHOWN_MAX: usize = 5;
    count.min(SHOWN_MAX) as i64
}

/// The 4-tuple, as the wire has it.
pub(super) fn shown_id(id: &ActionTypeId) -> model::ActionTypeId {
    model::ActionTypeId {
        category: model::ActionCategory::from(format!("{:?}", id.category).as_str()),
        owner: model::ActionOwner::from(format!("{:?}", id.owner).as_str()),
        provider: id.provider.clone(),
        version: id.version.clone(),
    }
}

/// The links of a type, as templates: to the thing worked on, to one execution of the work, to a revision.
pub(super) fn links(types: &ActionTypes, registry: &Registry, id: &ActionTypeId) -> ActionTypeSettings {
    if let Some(found) = types.custom(id) {
        return found.definition.settings.clone();
    }
    let urls = registry.integration(id).and_then(|declaration| declaration.urls.as_ref());
    let url = |name: &str| urls.and_then(|urls| urls[name].as_str()).map(str::to_owned);
    ActionTypeSettings {
        third_party_configuration_url: url("configurationUrl"),
        entity_url_template: url("entityUrlTemplate"),
        execution_url_template: url("executionUrlTemplate"),
        revision_url_template: url("revisionUrlTemplate"),
    }
}
