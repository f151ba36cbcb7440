//! Secret configuration values: kept aside from the definition, shown as `****`.

use super::PipelineDeclaration;
use super::error::{DefinitionError, DefinitionErrorCode};
use crate::catalogue::Registry;
use events::{ActionName, StageName};
use std::fmt;

/// What stands where a secret was.
pub const MASK: &str = "****";

/// One secret value and where it belongs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The configuration key.
    pub key: String,
    /// The value itself.
    pub value: String,
}

impl Secret {
    /// Whether both belong to the same key of the same action.
    pub fn same_place(&self, other: &Self) -> bool {
        (&self.stage, &self.action, &self.key) == (&other.stage, &other.action, &other.key)
    }
}

/// A secret never shows its value by accident.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}/{} {})", self.stage, self.action, self.key)
    }
}

/// Takes every secret value out of a definition and leaves [`MASK`]. Which keys are secret the catalogue says.
pub fn take_secrets(declaration: &mut PipelineDeclaration, registry: &Registry) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for stage in &mut declaration.stages {
        for action in &mut stage.actions {
            let Some(kind) = registry.find(&action.action_type_id) else { continue };
            for property in kind.properties.iter().filter(|property| property.secret) {
                let Some(value) = action.configuration.get_mut(&*property.name) else { continue };
                secrets.push(Secret {
                    stage: stage.name.clone(),
                    action: action.name.clone(),
                    key: property.name.clone().into_owned(),
                    value: std::mem::replace(value, MASK.to_owned()),
                });
            }
        }
    }
    secrets
}

/// Whether a value sent with an update asks to keep the secret that is stored: it consists of `*` alone.
pub fn keeps_earlier(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte == b'*')
}

/// The secrets after an update: those sent, with the stored one wherever [`keeps_earlier`] holds.
///
/// # Errors
/// `InvalidActionDeclarationException` when there is no stored secret under the same stage, action and key: a
/// renamed stage or action loses its secrets.
pub fn carry_over(sent: Vec<Secret>, stored: &[Secret]) -> Result<Vec<Secret>, DefinitionError> {
    sent.into_iter()
        .map(|secret| {
            if !keeps_earlier(&secret.value) {
                return Ok(secret);
            }
            stored.iter().find(|earlier| earlier.same_place(&secret)).cloned().ok_or_else(|| lost(&secret))
        })
        .collect()
}

fn lost(secret: &Secret) -> DefinitionError {
    let Secret { stage, action, key, .. } = secret;
    DefinitionError::new(
        DefinitionErrorCode::InvalidActionDeclarationException,
        "",
        format!("Action configuration for action '{action}' is missing required configuration '{key}'"),
    )
    .hint(format!("no value is stored for `{key}` of `{action}` in stage `{stage}`: send the value itself"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with_token(token: &str) -> PipelineDeclaration {
        super::super::parse(&json!({
            "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/r",
            "stages": [{"name": "Source", "actions": [{
                "name": "Fetch",
                "actionTypeId":
                    {"category": "Source", "owner": "ThirdParty", "provider": "GitHub", "version": "1"},
                "configuration": {"Owner": "o", "Repo": "r", "Branch": "main", "OAuthToken": token}
            }]}]
        }))
        .unwrap()
    }

    #[test]
    fn a_secret_leaves_the_definition_and_its_mask_stays() {
        let mut declaration = with_token("ghp_hidden");
        let secrets = take_secrets(&mut declaration, &Registry::builtin());
        assert_eq!(secrets.len(), 1);
        assert_eq!(secrets[0].value, "ghp_hidden");
        assert_eq!(declaration.stages[0].actions[0].configuration["OAuthToken"], MASK);
        assert_eq!(declaration.stages[0].actions[0].configuration["Owner"], "o");
        assert_eq!(format!("{secrets:?}"), "[Secret(Source/Fetch OAuthToken)]");
    }

    #[test]
    fn stars_keep_the_stored_secret_and_anything_else_replaces_it() {
        let registry = Registry::builtin();
        let stored = take_secrets(&mut with_token("ghp_hidden"), &registry);
        let same = carry_over(take_secrets(&mut with_token("****"), &registry), &stored).unwrap();
        assert_eq!(same[0].value, "ghp_hidden");
        let new = carry_over(take_secrets(&mut with_token("ghp_new*"), &registry), &stored).unwrap();
        assert_eq!(new[0].value, "ghp_new*");
        assert_eq!(["*", "****", "", "*x*"].map(keeps_earlier), [true, true, false, false]);
    }

    #[test]
    fn a_secret_belongs_to_one_key_of_one_action() {
        let stored = take_secrets(&mut with_token("ghp_hidden"), &Registry::builtin());
        let own = || stored[0].clone();
        assert!(own().same_place(&Secret { value: "other".into(), ..own() }));
        for other in [
            Secret { stage: StageName::parse("Other").unwrap(), ..own() },
            Secret { action: ActionName::parse("Other").unwrap(), ..own() },
            Secret { key: "Other".into(), ..own() },
        ] {
            assert!(!own().same_place(&other), "{other:?}");
            let asked = vec![Secret { value: MASK.into(), ..other }];
            assert!(carry_over(asked, &stored).is_err());
        }
    }

    #[test]
    fn a_renamed_stage_loses_its_secret() {
        let registry = Registry::builtin();
        let stored = take_secrets(&mut with_token("ghp_hidden"), &registry);
        let mut renamed = with_token("****");
        renamed.stages[0].name = StageName::parse("Fetching").unwrap();
        let error = carry_over(take_secrets(&mut renamed, &registry), &stored).unwrap_err();
        assert_eq!(
            error.message,
            "Action configuration for action 'Fetch' is missing required configuration 'OAuthToken'"
        );
        assert_eq!(
            error.hint.as_deref(),
            Some("no value is stored for `OAuthToken` of `Fetch` in stage `Fetching`: send the value itself")
        );
    }
}
