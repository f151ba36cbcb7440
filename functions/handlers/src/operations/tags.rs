//! Tags of pipelines, webhooks and custom action types. See `spec/api.md`, section 2.8.

use super::{action_types, order_webhook, send};
use crate::{Caller, Home, exceptions};
use api::{ApiError, ApiException, model};
use domain::{
    Rejection,
    catalogue::custom::ActionTypeWish,
    command::Wish,
    pipeline::{Tag, check_tags},
    webhook::WebhookWish,
};
use events::{ActionTypeId, PipelineName, WebhookName};
use serde_json::json;
use std::collections::BTreeMap;

/// What has tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Pipeline(PipelineName),
    Webhook(WebhookName),
    ActionType(ActionTypeId),
}

/// Adds tags, or changes their values.
pub(super) async fn tag<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::TagResourceInput,
) -> Result<model::TagResourceOutput, ApiError> {
    let arn = &input.resource_arn;
    let resource = parse(home, arn)?;
    let tags = checked(&input.tags, arn)?;
    let done = match &resource {
        Resource::Pipeline(name) => {
            send(home, caller, name, None, Wish::TagPipeline { tags }).await.map(|_| ())
        }
        Resource::Webhook(name) => {
            order_webhook(home, caller, name, WebhookWish::Tag { tags }).await.map(|_| ())
        }
        Resource::ActionType(id) => {
            let wish = ActionTypeWish::Tag { id: id.clone(), tags };
            action_types::record(home, caller, wish).await
        }
    };
    done.map_err(|error| of_resource(home, &resource, arn, error))?;
    Ok(model::TagResourceOutput {})
}

/// Takes tags off; those that are not there are off already.
pub(super) async fn untag<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::UntagResourceInput,
) -> Result<model::UntagResourceOutput, ApiError> {
    let arn = &input.resource_arn;
    let resource = parse(home, arn)?;
    let keys = input.tag_keys;
    let done = match &resource {
        Resource::Pipeline(name) => {
            send(home, caller, name, None, Wish::UntagPipeline { keys }).await.map(|_| ())
        }
        Resource::Webhook(name) => {
            order_webhook(home, caller, name, WebhookWish::Untag { keys }).await.map(|_| ())
        }
        Resource::ActionType(id) => {
            let wish = ActionTypeWish::Untag { id: id.clone(), keys };
            action_types::record(home, caller, wish).await
        }
    };
    done.map_err(|error| of_resource(home, &resource, arn, error))?;
    Ok(model::UntagResourceOutput {})
}

/// All tags of a resource, by key, on one page.
pub(super) async fn list<H: Home>(
    home: &H,
    input: model::ListTagsForResourceInput,
) -> Result<model::ListTagsForResourceOutput, ApiError> {
    let resource = parse(home, &input.resource_arn)?;
    if input.next_token.is_some() {
        // A resource has at most 50 tags and every page holds them all: no token was ever given out.
        let text = "The next token is not one of this listing";
        return Err(ApiError::new(ApiException::InvalidNextTokenException, text));
    }
    let engine = home.engine();
    let tags = match &resource {
        Resource::Pipeline(name) => {
            let pipeline = engine.pipeline(name).await.map_err(exceptions::unavailable)?;
            pipeline.current.map(|_| pipeline.tags.clone())
        }
        Resource::Webhook(name) => {
            let (webhook, _) = engine.webhook_at(name).await.map_err(exceptions::unavailable)?;
            webhook.definition.as_ref().map(|_| webhook.tags.clone())
        }
        Resource::ActionType(id) => {
            let types = engine.action_types().await.map_err(exceptions::unavailable)?;
            types.custom(id).map(|found| found.tags.clone())
        }
    };
    let tags = tags.ok_or_else(|| not_found(home, &resource))?;
    Ok(model::ListTagsForResourceOutput { tags: Some(listed(&tags)), next_token: None })
}

/// Tags as answers show them, by key.
pub(super) fn listed(tags: &BTreeMap<String, String>) -> Vec<model::Tag> {
    tags.iter().map(|(key, value)| model::Tag { key: key.clone(), value: value.clone() }).collect()
}

/// Tags as they were sent, checked.
pub(super) fn checked(sent: &[model::Tag], arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let tags: Vec<Tag> =
        sent.iter().map(|tag| Tag { key: tag.key.clone(), value: tag.value.clone() }).collect();
    check_tags(&tags, arn).map_err(|error| exceptions::bad_definition(&error))?;
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Reads an ARN of this account and Region. Its pattern was checked with the other constraints.
pub(super) fn parse<H: Home>(home: &H, arn: &str) -> Result<Resource, ApiError> {
    let (region, account) = (home.engine().region(), home.engine().account());
    let invalid = |why: &str| ApiError::new(ApiException::InvalidArnException, format!("{why}: {arn}"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &["arn", "aws", "codepipeline", of_region, of_account, resource] = parts.as_slice() else {
        return Err(invalid("The ARN is not one of CodePipeline in the partition `aws`"));
    };
    if of_region != region || of_account != account {
        return Err(invalid(&format!("The ARN is not one of Region {region} and account {account}")));
    }
    read(resource).ok_or_else(|| invalid("The ARN is not that of a pipeline, webhook or custom action type"))
}

fn read(resource: &str) -> Option<Resource> {
    match resource.split_once(':') {
        None => PipelineName::parse(resource).ok().map(Resource::Pipeline),
        Some(("webhook", name)) => WebhookName::parse(name).ok().map(Resource::Webhook),
        Some(("actiontype", id)) => {
            let parts: Vec<&str> = id.split('/').collect();
            let &["Custom", category, provider, version] = parts.as_slice() else { return None };
            let id =
                json!({ "category": category, "owner": "Custom", "provider": provider, "version": version });
            serde_json::from_value(id).ok().map(Resource::ActionType)
        }
        Some(_) => None,
    }
}

/// What these operations answer about a resource that is not there.
pub(super) fn not_found<H: Home>(home: &H, resource: &Resource) -> ApiError {
    let account = home.engine().account();
    let what = match resource {
        Resource::Pipeline(name) => format!("a pipeline with the name '{name}'"),
        Resource::Webhook(name) => format!("a webhook with the name '{name}'"),
        Resource::ActionType(ActionTypeId { category, provider, version, .. }) => {
            format!("a custom action type '{category:?}/{provider}/{version}'")
        }
    };
    let text = format!("The account with id '{account}' does not include {what}");
    ApiError::new(ApiException::ResourceNotFoundException, text)
}

/// The errors of these operations name the resource in their own way.
fn of_resource<H: Home>(home: &H, resource: &Resource, arn: &str, error: ApiError) -> ApiError {
    let missing = [
        ApiException::PipelineNotFoundException,
        ApiException::WebhookNotFoundException,
        ApiException::ActionTypeNotFoundException,
    ];
    if missing.into_iter().any(|exception| error.code == exception.into()) {
        return not_found(home, resource);
    }
    if error.code == ApiException::TooManyTagsException.into() {
        let text = Rejection::TooManyTags { resource: arn.to_owned() }.to_string();
        return ApiError::new(ApiException::TooManyTagsException, text);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_one_resource_or_none() {
        let name = |text| PipelineName::parse(text).unwrap();
        assert_eq!(read("shop"), Some(Resource::Pipeline(name("shop"))));
        assert_eq!(read("webhook"), Some(Resource::Pipeline(name("webhook"))));
        assert_eq!(read("webhook:w@1"), Some(Resource::Webhook(WebhookName::parse("w@1").unwrap())));
        let kind = Resource::ActionType(ActionTypeId {
            category: events::ActionCategory::Build,
            owner: events::ActionOwner::Custom,
            provider: "Jenkins".into(),
            version: "1".into(),
        });
        assert_eq!(read("actiontype:Custom/Build/Jenkins/1"), Some(kind));
        for other in [
            "shop/Stage",
            "webhook:",
            "webhook:a/b",
            "actiontype:AWS/Build/CodeBuild/1",
            "actiontype:Custom/Build",
            "actiontype:Custom/Bake/Jenkins/1",
            "job:1",
            "webhook:a:b",
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
