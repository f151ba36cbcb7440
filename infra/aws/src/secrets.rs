//! Secrets as parameters of Systems Manager, encrypted (`SecureString`), below `/towpath/<installation>/`. They cost
//! nothing, and hold 4 KiB each.

use crate::client::{CallError, Client, Service};
use domain::pipeline::secrets::Secret;
use engine::ports::{Secrets, SecretsError};
use events::{ActionName, PipelineName, StageName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Bytes of one value: a parameter of the tier that costs nothing holds 4,096, the mark before the value among them.
const VALUE_BYTES_MAX: usize = 4095;

/// The secrets of one installation. Clones are the same.
#[derive(Debug, Clone)]
pub struct ParameterSecrets {
    client: Client,
    root: String,
    key: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    stage: StageName,
    action: ActionName,
    key: String,
    value: String,
}

impl ParameterSecrets {
    /// Below `/towpath/<installation>`, encrypted with this KMS key, or with the account's own for parameters.
    pub fn new(client: &Client, installation: &str, key: Option<String>) -> Self {
        Self::below(client, &format!("/towpath/{}", escaped(installation)), key)
    }

    /// The same below another path, which begins with `/`.
    pub fn below(client: &Client, root: &str, key: Option<String>) -> Self {
        Self { client: client.clone(), root: root.trim_end_matches('/').to_owned(), key }
    }

    fn of_pipeline(&self, pipeline: &PipelineName) -> String {
        format!("{}/pipelines/{}", self.root, escaped(pipeline.as_str()))
    }

    fn of_value(&self, name: &str) -> Result<String, SecretsError> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_legal) {
            return Err(SecretsError(format!("`{name}` is no name of a secret")));
        }
        Ok(format!("{}/values/{}", self.root, escaped(name)))
    }

    async fn call(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        self.client.json(Service::Ssm, operation, &input).await
    }

    async fn write(&self, name: &str, value: &str) -> Result<(), SecretsError> {
        if value.len() > VALUE_BYTES_MAX {
            let bytes = value.len();
            return Err(SecretsError(format!(
                "the secrets for `{name}` have {bytes} bytes together, and a parameter holds {VALUE_BYTES_MAX}: shorten \
                 them, or keep the long one in Secrets Manager"
            )));
        }
        // Parameters cannot be empty; the mark is taken off again when they are read.
        let mut input = json!({
            "Name": name, "Type": "SecureString", "Overwrite": true, "Tier": "Standard", "Value": format!("={value}"),
        });
        if let Some(key) = &self.key {
            input["KeyId"] = json!(key);
        }
        self.call("PutParameter", input).await.map(drop).map_err(|error| unanswered(name, &error))
    }

    async fn read(&self, name: &str) -> Result<Option<String>, SecretsError> {
        match self.call("GetParameter", json!({ "Name": name, "WithDecryption": true })).await {
            Ok(answer) => match answer["Parameter"]["Value"].as_str() {
                Some(value) => Ok(Some(value.strip_prefix('=').unwrap_or(value).to_owned())),
                None => Err(SecretsError(format!("the answer has no value for `{name}`"))),
            },
            Err(error) if error.is(&["ParameterNotFound"]) => Ok(None),
            Err(error) => Err(unanswered(name, &error)),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), SecretsError> {
        match self.call("DeleteParameter", json!({ "Name": name })).await {
            Err(error) if !error.is(&["ParameterNotFound"]) => Err(unanswered(name, &error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Secrets for ParameterSecrets {
    async fn put(&self, pipeline: &PipelineName, secrets: &[Secret]) -> Result<(), SecretsError> {
        let name = self.of_pipeline(pipeline);
        if secrets.is_empty() {
            return self.delete(&name).await;
        }
        let stored = |secret: &Secret| Stored {
            stage: secret.stage.clone(),
            action: secret.action.clone(),
            key: secret.key.clone(),
            value: secret.value.clone(),
        };
        let stored: Vec<Stored> = secrets.iter().map(stored).collect();
        let text = serde_json::to_string(&stored).map_err(|error| SecretsError(error.to_string()))?;
        self.write(&name, &text).await
    }

    async fn get(&self, pipeline: &PipelineName) -> Result<Vec<Secret>, SecretsError> {
        let name = self.of_pipeline(pipeline);
        let Some(text) = self.read(&name).await? else { return Ok(Vec::new()) };
        // The error of a parser may quote what it could not read.
        let stored: Vec<Stored> = serde_json::from_str(&text)
            .map_err(|_| SecretsError(format!("`{name}` does not hold what towpath wrote there")))?;
        let secret = |stored: Stored| Secret {
            stage: stored.stage,
            action: stored.action,
            key: stored.key,
            value: stored.value,
        };
        Ok(stored.into_iter().map(secret).collect())
    }

    async fn keep(&self, name: &str, value: &str) -> Result<(), SecretsError> {
        self.write(&self.of_value(name)?, value).await
    }

    async fn recall(&self, name: &str) -> Result<Option<String>, SecretsError> {
        self.read(&self.of_value(name)?).await
    }

    async fn forget(&self, name: &str) -> Result<(), SecretsError> {
        self.delete(&self.of_value(name)?).await
    }
}

/// Names of parameters have no `@`; no two names become one.
fn escaped(name: &str) -> String {
    name.replace('_', "__").replace('@', "_a")
}

fn unanswered(name: &str, error: &CallError) -> SecretsError {
    SecretsError(format!("`{name}`: {error}"))
}
