//! Whether a webhook may be put as it was sent. See `spec/api.md`, section 2.7.

use super::{WebhookDefinition, cidr, json_path::JsonPath};
use crate::{
    catalogue::Registry,
    limits::{WEBHOOK_FILTERS_MAX, WEBHOOK_SECRET_CHARS_MAX},
    pipeline::{ActionDeclaration, PipelineDeclaration},
};
use events::{ActionCategory, WebhookAuthentication};

/// Why a webhook may not be put; each is one exception of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhook {
    /// Something else about it.
    #[error("{0}")]
    Invalid(String),
    /// A filter that cannot be evaluated.
    #[error("{0}")]
    FilterPattern(String),
    /// The authentication's parameters do not fit its type.
    #[error("{0}")]
    Authentication(String),
}

/// Checks `authenticationConfiguration` against `authentication`: exactly what the type needs, and nothing more.
pub fn check_authentication(
    authentication: WebhookAuthentication,
    allowed_ip_range: Option<&str>,
    secret_token: Option<&str>,
) -> Result<(), BadWebhook> {
    let only = |member: &str| {
        let text = format!("'authenticationConfig' should contain only one property: '{member}'");
        BadWebhook::Authentication(text)
    };
    match (authentication, allowed_ip_range, secret_token) {
        (WebhookAuthentication::GithubHmac, None, Some(secret)) => {
            if (1..=WEBHOOK_SECRET_CHARS_MAX).contains(&secret.chars().count()) {
                return Ok(());
            }
            let text = format!("'SecretToken' must have 1 to {WEBHOOK_SECRET_CHARS_MAX} characters");
            Err(BadWebhook::Authentication(text))
        }
        (WebhookAuthentication::GithubHmac, _, _) => Err(only("SecretToken")),
        (WebhookAuthentication::Ip, Some(range), None) => {
            if cidr::is_range(range) {
                return Ok(());
            }
            let text = format!("'AllowedIPRange' must be a CIDR block such as 192.30.252.0/22: {range}");
            Err(BadWebhook::Authentication(text))
        }
        (WebhookAuthentication::Ip, _, _) => Err(only("AllowedIPRange")),
        (WebhookAuthentication::Unauthenticated, None, None) => Ok(()),
        (WebhookAuthentication::Unauthenticated, _, _) => {
            Err(BadWebhook::Authentication("'authenticationConfig' should contain no property".to_owned()))
        }
    }
}

/// Checks target and filters against the target pipeline as it is now.
pub fn check(
    webhook: &WebhookDefinition,
    pipeline: &PipelineDeclaration,
    registry: &Registry,
) -> Result<(), BadWebhook> {
    let action = target(webhook, pipeline).ok_or_else(|| {
        BadWebhook::Invalid(format!(
            "The target action '{}' is not a source action in the first stage of pipeline '{}'",
            webhook.target_action, webhook.target_pipeline
        ))
    })?;
    if webhook.filters.len() > WEBHOOK_FILTERS_MAX {
        let text = format!("A webhook has at most {WEBHOOK_FILTERS_MAX} filters: {}", webhook.filters.len());
        return Err(BadWebhook::Invalid(text));
    }
    for filter in &webhook.filters {
        let path = &filter.json_path;
        JsonPath::parse(path).map_err(|error| {
            BadWebhook::FilterPattern(format!("The JSON path '{path}' is not usable: {error}"))
        })?;
        for key in filter.match_equals.as_deref().into_iter().flat_map(placeholders) {
            let kind = registry.find(&action.action_type_id);
            let is_secret = kind.and_then(|kind| kind.property(key)).is_some_and(|property| property.secret);
            if is_secret || !action.configuration.contains_key(key) {
                return Err(BadWebhook::FilterPattern(format!(
                    "The filter '{path}' names {{{key}}}, which is not a key of the configuration of action '{}' that \
                     may be compared with",
                    webhook.target_action
                )));
            }
        }
    }
    Ok(())
}

/// The target action, while it is a source action of the first stage.
pub(super) fn target<'a>(
    webhook: &WebhookDefinition,
    pipeline: &'a PipelineDeclaration,
) -> Option<&'a ActionDeclaration> {
    let actions = &pipeline.first_stage()?.actions;
    actions.iter().find(|action| {
        action.name == webhook.target_action && action.action_type_id.category == ActionCategory::Source
    })
}

/// The keys in braces. Braces around anything that is no key are plain characters.
fn placeholders(pattern: &str) -> impl Iterator<Item = &str> {
    pieces(pattern).filter_map(|piece| match piece {
        Piece::Key(key) => Some(key),
        Piece::Text(_) => None,
    })
}

/// Part of a `matchEquals`.
pub(super) enum Piece<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// Stands for a value of the target action's configuration.
    Key(&'a str),
}

/// Splits a `matchEquals`.
pub(super) fn pieces(pattern: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(open) = rest.find('{') else { return Some(Piece::Text(std::mem::take(&mut rest))) };
        if open > 0 {
            let (text, after) = rest.split_at(open);
            rest = after;
            return Some(Piece::Text(text));
        }
        let key = rest[1..].split_once('}').filter(|(key, _)| is_key(key));
        if let Some((key, after)) = key {
            rest = after;
            return Some(Piece::Key(key));
        }
        let (text, after) = rest.split_at(1);
        rest = after;
        Some(Piece::Text(text))
    })
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_takes_exactly_what_it_needs() {
        use WebhookAuthentication::{GithubHmac, Ip, Unauthenticated};
        let legal = |kind, range, secret| check_authentication(kind, range, secret).is_ok();
        assert!(legal(GithubHmac, None, Some("s")));
        assert!(legal(Ip, Some("0.0.0.0/0"), None));
        assert!(legal(Unauthenticated, None, None));
        for (kind, range, secret) in [
            (GithubHmac, None, None),
            (GithubHmac, Some("0.0.0.0/0"), Some("s")),
            (GithubHmac, None, Some("")),
            (Ip, None, None),
            (Ip, Some("0.0.0.0"), None),
            (Ip, None, Some("s")),
            (Unauthenticated, None, Some("s")),
            (Unauthenticated, Some("0.0.0.0/0"), None),
        ] {
            assert!(!legal(kind, range, secret), "{kind:?} {range:?} {secret:?}");
        }
    }

    #[test]
    fn only_keys_in_braces_are_replaced() {
        let keys = |pattern| placeholders(pattern).collect::<Vec<_>>();
        assert_eq!(keys("refs/heads/{Branch}"), ["Branch"]);
        assert_eq!(keys("{Owner}/{Repo}"), ["Owner", "Repo"]);
        assert!(keys("^.*{ no key }$ {").is_empty());
        assert_eq!(keys("{{Branch}}"), ["Branch"]);
        assert_eq!(keys("ab}{Branch}"), ["Branch"], "what closes must have been opened");
    }
}
