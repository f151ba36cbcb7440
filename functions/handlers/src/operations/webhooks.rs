//! Webhooks: put, delete, list, and told to Git hosts. See `spec/api.md`, section 2.7.

use super::{at, existing, order_webhook, pipeline_name, tags};
use crate::{Caller, Home, exceptions, paging, webhook};
use api::{ApiError, ApiException, model};
use domain::{
    limits,
    pipeline::{PipelineDeclaration, secrets},
    views::WEBHOOKS,
    webhook::{Webhook, WebhookDefinition, WebhookWish, check, check_authentication},
};
use engine::{
    ports::{Hook, HostError, Secrets},
    views::Views,
};
use events::{ActionName, WebhookAuthentication, WebhookFilter, WebhookName};
use std::sync::Arc;

/// Characters of the message that stays of a failed registration, most.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Makes a webhook, or gives it another definition; its address stays.
pub(super) async fn put<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::PutWebhookInput,
) -> Result<model::PutWebhookOutput, ApiError> {
    let name = webhook_name(&input.webhook.name)?;
    let tags = tags::checked(&input.tags.unwrap_or_default(), &webhook::arn(home, &name))?;
    let (known, _) = home.engine().webhook_at(&name).await.map_err(exceptions::unavailable)?;
    let (mut definition, sent_secret) = definition(&input.webhook)?;
    let pipeline = existing(home, &definition.target_pipeline).await?;
    let current = pipeline.current_definition().ok_or_else(|| {
        exceptions::pipeline_not_found(home.engine().account(), &definition.target_pipeline)
    })?;
    check(&definition, current, home.registry()).map_err(|error| exceptions::bad_webhook(&error))?;
    if known.definition.is_none() {
        check_room(home).await?;
    }
    let stored = known.definition.as_ref().and_then(|before| before.secret.clone());
    let kept = keep_secret(home, &name, sent_secret.as_deref(), stored.as_deref()).await?;
    definition.secret.clone_from(&kept);
    let fresh_token = webhook::fresh_token(home, &name);
    let put = order_webhook(home, caller, &name, WebhookWish::Put { definition, tags, fresh_token }).await;
    // What was replaced, or is not named by what was refused, nobody will ask for again.
    let unused = if put.is_ok() {
        stored.filter(|name| Some(name) != kept.as_ref())
    } else {
        kept.filter(|name| Some(name) != stored.as_ref())
    };
    if let Some(unused) = unused {
        forget(home, &unused).await;
    }
    put.map_err(|error| with_arn(error, &webhook::arn(home, &name)))?;
    let (state, _) = home.engine().webhook_at(&name).await.map_err(exceptions::unavailable)?;
    Ok(model::PutWebhookOutput { webhook: item(home, &name, &state) })
}

/// Deletes a webhook and its address; one that is not there is deleted already.
pub(super) async fn delete<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::DeleteWebhookInput,
) -> Result<model::DeleteWebhookOutput, ApiError> {
    let name = webhook_name(&input.name)?;
    let (known, _) = home.engine().webhook_at(&name).await.map_err(exceptions::unavailable)?;
    order_webhook(home, caller, &name, WebhookWish::Delete).await?;
    if let Some(secret) = known.definition.as_ref().and_then(|definition| definition.secret.as_ref()) {
        forget(home, secret).await;
    }
    Ok(model::DeleteWebhookOutput {})
}

/// Webhooks by name.
pub(super) async fn list<H: Home>(
    home: &H,
    input: model::ListWebhooksInput,
) -> Result<model::ListWebhooksOutput, ApiError> {
    let rows_max =
        input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(paging::PAGE_ROWS_DEFAULT);
    let after = match &input.next_token {
        Some(token) => Some(paging::cursor(WEBHOOKS, token)?.key),
        None => None,
    };
    let rows = home
        .views()
        .page(WEBHOOKS, after.as_deref(), rows_max + 1, false)
        .await
        .map_err(|error| exceptions::no_views(&error))?;
    let next_token = (rows.len() > rows_max).then(|| {
        let key = rows[rows_max - 1].q.clone();
        paging::token(WEBHOOKS, &paging::Cursor { key, within: 0 })
    });
    let mut webhooks = Vec::new();
    for row in rows.into_iter().take(rows_max) {
        let Ok(name) = WebhookName::parse(row.q) else { continue };
        let (state, _) = home.engine().webhook_at(&name).await.map_err(exceptions::unavailable)?;
        webhooks.extend(item(home, &name, &state));
    }
    Ok(model::ListWebhooksOutput { webhooks: Some(webhooks), next_token })
}

/// Tells the Git host to send its pushes to the webhook's address. Where that cannot be done, the webhook says so.
pub(super) async fn register<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::RegisterWebhookWithThirdPartyInput,
) -> Result<model::RegisterWebhookWithThirdPartyOutput, ApiError> {
    let (name, state) = named(home, input.webhook_name).await?;
    let outcome = tell_host(home, &state)
        .await
        .map_err(|error| (error.code, error.message.chars().take(MESSAGE_CHARS_MAX).collect::<String>()));
    if let Err((code, message)) = &outcome {
        tracing::warn!(webhook = %name, code, message, "the Git host was not told");
    }
    order_webhook(home, caller, &name, WebhookWish::RecordRegistration { outcome }).await?;
    Ok(model::RegisterWebhookWithThirdPartyOutput {})
}

/// Has the Git host forget the webhook's address.
pub(super) async fn deregister<H: Home>(
    home: &H,
    caller: &Caller,
    input: model::DeregisterWebhookWithThirdPartyInput,
) -> Result<model::DeregisterWebhookWithThirdPartyOutput, ApiError> {
    let (name, state) = named(home, input.webhook_name).await?;
    let told = match (&state.registration.hook, &home.outside().git_hosts) {
        (Some(hook), Some(hosts)) => {
            // The host's id says which repository it belongs to, so that a changed pipeline does not hide it.
            let (repository, id) = hook.rsplit_once('#').unwrap_or(("", hook));
            hosts.deregister(repository, id).await
        }
        (Some(_), None) => Err(no_credentials()),
        (None, _) => Ok(()),
    };
    let wish = match told {
        Ok(()) => WebhookWish::Deregister,
        Err(HostError { code, message }) => WebhookWish::RecordRegistration {
            outcome: Err((code, message.chars().take(MESSAGE_CHARS_MAX).collect())),
        },
    };
    order_webhook(home, caller, &name, wish).await?;
    Ok(model::DeregisterWebhookWithThirdPartyOutput {})
}

async fn tell_host<H: Home>(home: &H, state: &Webhook) -> Result<String, HostError> {
    let definition = state.definition.as_ref().ok_or_else(no_credentials)?;
    let unavailable = |message: String| HostError { code: "ServiceUnavailable".to_owned(), message };
    let pipeline = home
        .engine()
        .pipeline(&definition.target_pipeline)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let current = pipeline.current_definition();
    let repository =
        current.and_then(|current| repository(current, &definition.target_action)).ok_or_else(|| {
            HostError {
                code: "InvalidTargetAction".to_owned(),
                message: format!("action '{}' is not a GitHub source action", definition.target_action),
            }
        })?;
    let hosts = home.outside().git_hosts.as_ref().ok_or_else(no_credentials)?;
    let secret = match &definition.secret {
        Some(name) => home.secrets().recall(name).await.map_err(|error| unavailable(error.to_string()))?,
        None => None,
    };
    let url = webhook::url(home, &state.token);
    let hook = Hook { repository: &repository, url: &url, secret: secret.as_deref() };
    hosts.register(&hook).await.map(|id| format!("{repository}#{id}"))
}

fn no_credentials() -> HostError {
    HostError {
        code: "NoCredentials".to_owned(),
        message: "no Git host is configured here: set `git-host` in towpath.toml, or make the hook by hand"
            .to_owned(),
    }
}

/// `owner/name` of a GitHub source action.
fn repository(definition: &PipelineDeclaration, action: &ActionName) -> Option<String> {
    let (_, action) = definition.actions().find(|(_, found)| found.name == *action)?;
    if action.action_type_id.provider != "GitHub" {
        return None;
    }
    Some(format!("{}/{}", action.configuration.get("Owner")?, action.configuration.get("Repo")?))
}

/// A webhook that exists.
async fn named<H: Home>(home: &H, name: Option<String>) -> Result<(WebhookName, Arc<Webhook>), ApiError> {
    let name = webhook_name(&name.unwrap_or_default())?;
    let (state, _) = home.engine().webhook_at(&name).await.map_err(exceptions::unavailable)?;
    if state.definition.is_none() {
        let rejection = domain::Rejection::WebhookNotFound { webhook: name };
        return Err(exceptions::rejected(home.engine().account(), &rejection));
    }
    Ok((name, state))
}

/// The definition as sent, its secret apart.
fn definition(sent: &model::WebhookDefinition) -> Result<(WebhookDefinition, Option<String>), ApiError> {
    let authentication = match &sent.authentication {
        model::WebhookAuthenticationType::GithubHmac => WebhookAuthentication::GithubHmac,
        model::WebhookAuthenticationType::Ip => WebhookAuthentication::Ip,
        model::WebhookAuthenticationType::Unauthenticated => WebhookAuthentication::Unauthenticated,
        model::WebhookAuthenticationType::Other(other) => {
            return Err(ApiError::validation(format!("`{other}` is not a kind of authentication")));
        }
    };
    let parameters = &sent.authentication_configuration;
    let (range, secret) = (&parameters.allowed_ip_range, &parameters.secret_token);
    check_authentication(authentication, range.as_deref(), secret.as_deref())
        .map_err(|error| exceptions::bad_webhook(&error))?;
    let filter = |filter: &model::WebhookFilterRule| WebhookFilter {
        json_path: filter.json_path.clone(),
        match_equals: filter.match_equals.clone(),
    };
    let definition = WebhookDefinition {
        target_pipeline: pipeline_name(&sent.target_pipeline)?,
        target_action: ActionName::parse(&sent.target_action)
            .map_err(|error| exceptions::bad_name(&error))?,
        filters: sent.filters.iter().map(filter).collect(),
        authentication,
        allowed_ip_range: range.clone(),
        secret: None,
    };
    Ok((definition, secret.clone()))
}

/// Keeps a secret under a fresh name, so that the one in use stays until the webhook names the new one. Returns the
/// name to be noted: the earlier one when nothing changed, or only a mask was sent.
async fn keep_secret<H: Home>(
    home: &H,
    webhook: &WebhookName,
    sent: Option<&str>,
    stored: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let Some(sent) = sent else { return Ok(None) };
    let no_secrets = |error| exceptions::no_secrets(&error);
    let before = match stored {
        Some(name) => home.secrets().recall(name).await.map_err(no_secrets)?,
        None => None,
    };
    if before.is_some() && (before.as_deref() == Some(sent) || secrets::keeps_earlier(sent)) {
        return Ok(stored.map(str::to_owned));
    }
    if secrets::keeps_earlier(sent) {
        let text =
            "'SecretToken' is a mask, and no value is stored that it could stand for: send the value itself";
        let exception = ApiException::InvalidWebhookAuthenticationParametersException;
        return Err(ApiError::new(exception, text));
    }
    let name = format!("webhook.{webhook}.{}", home.engine().fresh_command_id());
    home.secrets().keep(&name, sent).await.map_err(no_secrets)?;
    Ok(Some(name))
}

/// A secret that stays behind harms nobody, and is no reason to fail.
async fn forget<H: Home>(home: &H, secret: &str) {
    if let Err(error) = home.secrets().forget(secret).await {
        tracing::warn!(%error, "a secret that is not used any more was not removed");
    }
}

/// A webhook as answers show it; `None` when there is none.
fn item<H: Home>(home: &H, name: &WebhookName, state: &Webhook) -> Option<model::ListWebhookItem> {
    let definition = state.definition.as_ref()?;
    let filter = |filter: &WebhookFilter| model::WebhookFilterRule {
        json_path: filter.json_path.clone(),
        match_equals: filter.match_equals.clone(),
    };
    let (error_code, error_message) = state.registration.error.clone().unzip();
    Some(model::ListWebhookItem {
        definition: model::WebhookDefinition {
            name: name.to_string(),
            target_pipeline: definition.target_pipeline.to_string(),
            target_action: definition.target_action.to_string(),
            filters: definition.filters.iter().map(filter).collect(),
            authentication: match definition.authentication {
                WebhookAuthentication::GithubHmac => model::WebhookAuthenticationType::GithubHmac,
                WebhookAuthentication::Ip => model::WebhookAuthenticationType::Ip,
                WebhookAuthentication::Unauthenticated => model::WebhookAuthenticationType::Unauthenticated,
            },
            authentication_configuration: model::WebhookAuthConfiguration {
                allowed_ip_range: definition.allowed_ip_range.clone(),
                secret_token: definition.secret.as_ref().map(|_| secrets::MASK.to_owned()),
            },
        },
        url: webhook::url(home, &state.token),
        error_message,
        error_code,
        last_triggered: state.last_triggered.and_then(at),
        arn: Some(webhook::arn(home, name)),
        tags: Some(tags::listed(&state.tags)),
    })
}

fn webhook_name(text: &str) -> Result<WebhookName, ApiError> {
    WebhookName::parse(text).map_err(|error| exceptions::bad_name(&error))
}

fn with_arn(error: ApiError, arn: &str) -> ApiError {
    if error.code != ApiException::TooManyTagsException.into() {
        return error;
    }
    let text = domain::Rejection::TooManyTags { resource: arn.to_owned() }.to_string();
    ApiError::new(ApiException::TooManyTagsException, text)
}

/// The quota of webhooks; counted from the list, which may be a moment behind.
async fn check_room<H: Home>(home: &H) -> Result<(), ApiError> {
    let rows = home
        .views()
        .page(WEBHOOKS, None, limits::WEBHOOKS_MAX, false)
        .await
        .map_err(|error| exceptions::no_views(&error))?;
    if rows.len() < limits::WEBHOOKS_MAX {
        return Ok(());
    }
    let text = format!("The account has {} webhooks already, the most it may have", limits::WEBHOOKS_MAX);
    Err(ApiError::new(ApiException::LimitExceededException, text))
}
