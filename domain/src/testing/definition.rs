//! Small definitions, spelled short and read from JSON like any other.

use crate::pipeline::PipelineDeclaration;
use events::ExecutionMode;
use serde_json::{Map, Value, json};

/// A pipeline in the making.
#[derive(Debug, Clone)]
pub struct PipelineBuilder(Value);

/// An action in the making.
#[derive(Debug, Clone)]
pub struct ActionBuilder(Map<String, Value>);

/// A SUPERSEDED pipeline without stages.
pub fn pipeline(name: &str) -> PipelineBuilder {
    PipelineBuilder(json!({
        "name": name,
        "roleArn": "arn:aws:iam::000000000000:role/pipeline",
        "artifactStore": { "type": "S3", "location": "artifacts" },
        "executionMode": "SUPERSEDED",
        "pipelineType": "V2",
        "stages": [],
    }))
}

/// An S3 source; its artifact is named like it.
pub fn source(name: &str) -> ActionBuilder {
    typed(name, "Source", "S3").output(name)
}

/// A build.
pub fn action(name: &str) -> ActionBuilder {
    typed(name, "Build", "CodeBuild")
}

/// A deployment.
pub fn deploy(name: &str) -> ActionBuilder {
    typed(name, "Deploy", "S3")
}

/// A manual approval.
pub fn approval(name: &str) -> ActionBuilder {
    typed(name, "Approval", "Manual")
}

/// A build that workers ask for.
pub fn custom(name: &str) -> ActionBuilder {
    of(name, "Build", "Custom", "Jenkins")
}

/// A source that workers ask for; its artifact is named like it.
pub fn custom_source(name: &str) -> ActionBuilder {
    of(name, "Source", "Custom", "Shelf").output(name)
}

/// An invoked function.
pub fn function(name: &str) -> ActionBuilder {
    typed(name, "Invoke", "Lambda")
}

fn typed(name: &str, category: &str, provider: &str) -> ActionBuilder {
    of(name, category, "AWS", provider)
}

fn of(name: &str, category: &str, owner: &str, provider: &str) -> ActionBuilder {
    let action = json!({
        "name": name,
        "actionTypeId": { "category": category, "owner": owner, "provider": provider, "version": "1" },
        "configuration": {},
        "inputArtifacts": [],
        "outputArtifacts": [],
    });
    match action {
        Value::Object(members) => ActionBuilder(members),
        other => panic!("an action is an object: {other}"),
    }
}

impl PipelineBuilder {
    /// One more stage.
    #[must_use]
    pub fn stage(mut self, name: &str, actions: impl IntoIterator<Item = ActionBuilder>) -> Self {
        let actions: Vec<Value> = actions.into_iter().map(|action| Value::Object(action.0)).collect();
        push(&mut self.0["stages"], json!({ "name": name, "actions": actions }));
        self
    }

    /// What happens when the stage declared last fails: `onFailure.result`, and for `RETRY` the mode.
    #[must_use]
    pub fn on_failure(mut self, result: &str, retry_mode: Option<&str>) -> Self {
        let mut gate = json!({ "result": result });
        if let Some(mode) = retry_mode {
            gate["retryConfiguration"] = json!({ "retryMode": mode });
        }
        match self.0["stages"].as_array_mut().and_then(|stages| stages.last_mut()) {
            Some(stage) => stage["onFailure"] = gate,
            None => panic!("there is no stage yet"),
        }
        self
    }

    /// Another mode than SUPERSEDED.
    #[must_use]
    pub fn mode(mut self, mode: ExecutionMode) -> Self {
        self.0["executionMode"] = json!(mode);
        self
    }

    /// One more pipeline variable.
    #[must_use]
    pub fn variable(mut self, name: &str, default: Option<&str>) -> Self {
        if self.0.get("variables").is_none() {
            self.0["variables"] = json!([]);
        }
        let mut variable = json!({ "name": name });
        if let Some(default) = default {
            variable["defaultValue"] = json!(default);
        }
        push(&mut self.0["variables"], variable);
        self
    }

    /// Stores by Region instead of the one store.
    #[must_use]
    pub fn store_only_in(mut self, region: &str) -> Self {
        let store = self.0["artifactStore"].take();
        self.0["artifactStore"] = Value::Null;
        self.0["artifactStores"] = json!({ region: store });
        self
    }

    /// The definition.
    pub fn build(&self) -> PipelineDeclaration {
        match serde_json::from_value(self.0.clone()) {
            Ok(definition) => definition,
            Err(error) => panic!("the test's definition cannot be read: {error}\n{:#}", self.0),
        }
    }
}

impl ActionBuilder {
    /// `runOrder`.
    #[must_use]
    pub fn order(mut self, order: u16) -> Self {
        self.0.insert("runOrder".to_owned(), json!(order));
        self
    }

    /// One more input artifact.
    #[must_use]
    pub fn input(mut self, name: &str) -> Self {
        push(&mut self.0["inputArtifacts"], json!({ "name": name }));
        self
    }

    /// One more output artifact.
    #[must_use]
    pub fn output(mut self, name: &str) -> Self {
        push(&mut self.0["outputArtifacts"], json!({ "name": name }));
        self
    }

    /// The namespace of its variables.
    #[must_use]
    pub fn namespace(mut self, name: &str) -> Self {
        self.0.insert("namespace".to_owned(), json!(name));
        self
    }

    /// One configuration value.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.0["configuration"][key] = json!(value);
        self
    }

    /// `timeoutInMinutes`.
    #[must_use]
    pub fn timeout(mut self, minutes: u32) -> Self {
        self.0.insert("timeoutInMinutes".to_owned(), json!(minutes));
        self
    }
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        other => panic!("not a list: {other}"),
    }
}
