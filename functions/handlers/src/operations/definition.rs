//! Taking a definition in: rules, normal form, secrets.

use crate::{Home, exceptions};
use api::{ApiError, Code};
use domain::pipeline::{self, PipelineDeclaration, Setting, secrets};
use engine::ports::{Secrets, SecretsError};
use events::PipelineVersion;
use serde_json::Value;

/// What a secret value that is only a mask (`****`) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masked {
    /// The secret that was stored before; without one the definition is refused.
    Stored,
    /// Nothing: the definition comes from a file that `get-pipeline` printed, and runs where no secret is needed.
    Ignored,
}

/// A definition as it may be declared: it obeys every rule, has its normal form, and its secrets lie in the store
/// of secrets. `current` is the definition it replaces. The wire's constraints have been checked.
pub async fn accept<H: Home>(
    home: &H,
    declaration: &Value,
    current: Option<&PipelineDeclaration>,
    masked: Masked,
) -> Result<PipelineDeclaration, ApiError> {
    let registry = &super::action_types::registry(home).await?;
    let mut definition = pipeline::parse(declaration).map_err(|error| exceptions::bad_definition(&error))?;
    let version = current
        .and_then(|current| current.version)
        .map_or(PipelineVersion(1), |last| PipelineVersion(last.0 + 1));
    let kind = current.and_then(|current| current.pipeline_type);
    pipeline::normalize(&mut definition, version, kind, registry);
    let setting = Setting { registry, region: home.engine().region(), account: home.engine().account() };
    pipeline::check(&definition, &setting).map_err(|error| exceptions::bad_definition(&error))?;
    let mut sent = secrets::take_secrets(&mut definition, registry);
    if masked == Masked::Ignored {
        sent.retain(|secret| !secrets::keeps_earlier(&secret.value));
    }
    // Most pipelines have none, and then there is nothing to read or write.
    if !sent.is_empty() {
        let no_secrets = |error: SecretsError| ApiError::new(Code::ServiceUnavailable, error.to_string());
        let stored = home.secrets().get(&definition.name).await.map_err(no_secrets)?;
        let kept = secrets::carry_over(sent, &stored).map_err(|error| exceptions::bad_definition(&error))?;
        home.secrets().put(&definition.name, &kept).await.map_err(no_secrets)?;
    }
    Ok(definition)
}
