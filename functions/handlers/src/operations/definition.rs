//! Taking a definition in: rules, normal form, secrets.

use crate::{Home, exceptions};
use api::{ApiError, Code};
use domain::pipeline::{self, PipelineDeclaration, Setting, secrets};
use engine::ports::{Secrets, SecretsError};
use events::PipelineVersion;
use serde_json::Value;

/// What a secret value that is only a mask (`****`) stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    /// The secret that was stored before; without one the definition is refused.
    Stored,
    /// Nothing, so the definition is refused: a pipeline of this name is new, whatever an older one left behind.
    None,
    /// Nothing, and nothing is needed: the definition comes from a file that `get-pipeline` printed, and runs where
    /// no secret is.
    Ignored,
}

/// A definition that obeys every rule and has its normal form. Its secrets still stand in it. `current` is the
/// definition it replaces. The wire's constraints have been checked. Nothing is written.
pub(super) async fn judge<H: Home>(
    home: &H,
    declaration: &Value,
    current: Option<&PipelineDeclaration>,
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
    Ok(definition)
}

/// Moves a judged definition's secrets into the store of secrets; what comes back may be declared.
pub(super) async fn keep_secrets<H: Home>(
    home: &H,
    mut definition: PipelineDeclaration,
    earlier: Earlier,
) -> Result<PipelineDeclaration, ApiError> {
    let registry = &super::action_types::registry(home).await?;
    let mut sent = secrets::take_secrets(&mut definition, registry);
    if earlier == Earlier::Ignored {
        sent.retain(|secret| !secrets::keeps_earlier(&secret.value));
    }
    // Most pipelines have none, and then there is nothing to read or write.
    if !sent.is_empty() {
        let no_secrets = |error: SecretsError| ApiError::new(Code::ServiceUnavailable, error.to_string());
        let stored = match earlier {
            Earlier::Stored => home.secrets().get(&definition.name).await.map_err(no_secrets)?,
            Earlier::None | Earlier::Ignored => Vec::new(),
        };
        let kept = secrets::carry_over(sent, &stored).map_err(|error| exceptions::bad_definition(&error))?;
        home.secrets().put(&definition.name, &kept).await.map_err(no_secrets)?;
    }
    Ok(definition)
}
