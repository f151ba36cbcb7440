//! What a delivery asks for: a start, or nothing. Whether it is genuine was found out before.

use super::{
    WebhookDefinition,
    check::{Piece, pieces, target},
    json_path::JsonPath,
};
use crate::{
    catalogue::Registry,
    limits::WEBHOOK_REASON_CHARS_MAX,
    pipeline::{ActionDeclaration, PipelineDeclaration},
};
use events::{ActionName, WebhookFilter};
use serde_json::Value;

/// What a genuine delivery asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A start, with the revision its sender speaks of, if the target action would fetch from the same branch.
    Start {
        /// For the target action.
        revision: Option<(ActionName, String)>,
    },
    /// Nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// Evaluates a delivery on the target pipeline as it is now. `event` is what the sender says happened.
pub fn evaluate(
    webhook: &WebhookDefinition,
    pipeline: Option<&PipelineDeclaration>,
    registry: &Registry,
    event: Option<&str>,
    body: &Value,
) -> Asked {
    match ask(webhook, pipeline, registry, event, body) {
        Ok(revision) => Asked::Start { revision },
        Err(reason) => Asked::Nothing { reason: reason.chars().take(WEBHOOK_REASON_CHARS_MAX).collect() },
    }
}

fn ask(
    webhook: &WebhookDefinition,
    pipeline: Option<&PipelineDeclaration>,
    registry: &Registry,
    event: Option<&str>,
    body: &Value,
) -> Result<Option<(ActionName, String)>, String> {
    if event.is_some_and(|event| event.eq_ignore_ascii_case("ping")) {
        return Err("it is a ping".to_owned());
    }
    let Some(pipeline) = pipeline else {
        return Err(format!("there is no pipeline '{}'", webhook.target_pipeline));
    };
    let action = target(webhook, pipeline).ok_or_else(|| {
        format!(
            "pipeline '{}' has no source action '{}' in its first stage any more",
            webhook.target_pipeline, webhook.target_action
        )
    })?;
    for filter in &webhook.filters {
        check_filter(filter, action, registry, body)?;
    }
    if body["deleted"] == true && body["after"].as_str().is_some_and(is_nothing) {
        return Err("a branch or tag was deleted: there is nothing to fetch".to_owned());
    }
    Ok(pinned(action, event, body).map(|commit| (action.name.clone(), commit)))
}

fn check_filter(
    filter: &WebhookFilter,
    action: &ActionDeclaration,
    registry: &Registry,
    body: &Value,
) -> Result<(), String> {
    let path = &filter.json_path;
    // Checked when the webhook was put; a later program might read paths otherwise.
    let parsed =
        JsonPath::parse(path).map_err(|error| format!("the filter `{path}` is not usable: {error}"))?;
    let wanted =
        filter.match_equals.as_deref().map(|pattern| filled(pattern, action, registry)).transpose()?;
    let found = parsed.finds(body, |value| match &wanted {
        None => true,
        Some(wanted) => {
            is_equal(value, wanted)
                || value.as_array().is_some_and(|all| all.iter().any(|one| is_equal(one, wanted)))
        }
    });
    match (found, wanted) {
        (Ok(true), _) => Ok(()),
        (Ok(false), Some(wanted)) => Err(format!("nothing at `{path}` is `{wanted}`")),
        (Ok(false), None) => Err(format!("there is nothing at `{path}`")),
        (Err(error), _) => Err(format!("the filter `{path}` was given up: {error}")),
    }
}

/// Compared as text; a list or an object is never equal to one.
fn is_equal(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(truth) => truth.to_string() == wanted,
        Value::Null => wanted == "null",
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// `matchEquals` with the values of the target action's configuration.
fn filled(pattern: &str, action: &ActionDeclaration, registry: &Registry) -> Result<String, String> {
    let kind = registry.find(&action.action_type_id);
    let value = |key: &str| {
        let is_secret = kind.and_then(|kind| kind.property(key)).is_some_and(|property| property.secret);
        let value = action.configuration.get(key).filter(|_| !is_secret);
        value.ok_or_else(|| format!("the action's configuration has no `{key}` any more"))
    };
    let mut text = String::new();
    for piece in pieces(pattern) {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Key(key) => text.push_str(value(key)?),
        }
    }
    Ok(text)
}

/// The commit a push speaks of, when it is one of the branch that the action fetches: on another branch the newest
/// commit is fetched, as ever.
fn pinned(action: &ActionDeclaration, event: Option<&str>, body: &Value) -> Option<String> {
    if event.is_some_and(|event| event != "push") {
        return None;
    }
    let key = match action.action_type_id.provider.as_str() {
        "GitHub" => "Branch",
        "CodeStarSourceConnection" | "CodeCommit" => "BranchName",
        _ => return None,
    };
    let branch = body["ref"].as_str()?.strip_prefix("refs/heads/")?;
    let commit = body["after"].as_str()?;
    let is_commit = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_own = action.configuration.get(key).is_some_and(|own| own == branch);
    (is_commit && is_own && !is_nothing(commit)).then(|| commit.to_ascii_lowercase())
}

/// What a push names when there is no commit.
fn is_nothing(commit: &str) -> bool {
    !commit.is_empty() && commit.bytes().all(|byte| byte == b'0')
}
