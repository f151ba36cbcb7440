//! Taking a definition in: constraints, rules, normal form, secrets.

use crate::{Home, SecretKey, Secrets, exceptions};
use api::{ApiError, Code};
use domain::pipeline::{self, PipelineDeclaration, PipelineType, secrets, validation};
use serde_json::Value;

/// A definition as it may be declared: it obeys every rule, has its normal form, and its secrets lie in the store
/// of secrets. `current` is the definition it replaces.
pub async fn accept<H: Home>(
    home: &H,
    declaration: &Value,
    current: Option<&PipelineDeclaration>,
) -> Result<PipelineDeclaration, ApiError> {
    let mut definition = pipeline::parse(declaration).map_err(|error| exceptions::bad_definition(&error))?;
    let current_type: Option<PipelineType> = current.and_then(|current| current.pipeline_type);
    validation::normalize(&mut definition, current_type);
    keep_masked(home, &mut definition).await?;
    let setting = validation::Setting {
        registry: home.registry(),
        region: home.engine().region(),
        account: home.engine().account(),
    };
    validation::check(&definition, &setting).map_err(|error| exceptions::bad_definition(&error))?;
    for secret in secrets::take_secrets(&mut definition) {
        let key = SecretKey {
            pipeline: definition.name.to_string(),
            stage: secret.stage.to_string(),
            action: secret.action.to_string(),
            key: secret.key.clone(),
        };
        home.secrets().put(&key, &secret.value).await.map_err(|error| no_secrets(&error))?;
    }
    Ok(definition)
}

/// A masked value sent back (`****`) stands for the secret stored before; with none stored it is no value at all.
async fn keep_masked<H: Home>(home: &H, definition: &mut PipelineDeclaration) -> Result<(), ApiError> {
    for masked in secrets::masked(definition) {
        let key = SecretKey {
            pipeline: definition.name.to_string(),
            stage: masked.stage.to_string(),
            action: masked.action.to_string(),
            key: masked.key.clone(),
        };
        let stored = home.secrets().get(&key).await.map_err(|error| no_secrets(&error))?;
        if stored.is_none() {
            secrets::forget(definition, &masked);
        }
    }
    Ok(())
}

fn no_secrets(error: &crate::SecretsError) -> ApiError {
    ApiError::new(Code::ServiceUnavailable, error.to_string())
}
