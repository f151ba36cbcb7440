//! What a build finds in its environment (`spec/buildspec-and-appspec.md`, A5).
//!
//! Precedence, from weak to strong: what the host lends, built-in variables, the buildspec, the project, the
//! action. `CODEBUILD_` names are the runner's alone.

use super::{buildspec::Env, secrets::Secrets};
use crate::{runners::Site, settings::BuildProject};
use engine::action::{ActionJob, EnvironmentVariableType};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Host variables every build may see; `LC_*` too.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "DOCKER_HOST"];
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A variable given at the start of a build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
    #[serde(rename = "type", default)]
    pub(super) kind: VariableType,
}

/// How to read a variable's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum VariableType {
    #[default]
    Plaintext,
    ParameterStore,
    SecretsManager,
}

impl From<EnvironmentVariableType> for VariableType {
    fn from(kind: EnvironmentVariableType) -> Self {
        match kind {
            EnvironmentVariableType::Plaintext => Self::Plaintext,
            EnvironmentVariableType::SecretsManager => Self::SecretsManager,
        }
    }
}

/// The action's `EnvironmentVariables`: a JSON list.
pub(super) fn of_action(json: &str) -> Result<Vec<Variable>, String> {
    let variables: Vec<Variable> = serde_json::from_str(json).map_err(|error| {
        format!(
            "`EnvironmentVariables` of the action is not a JSON list of `{{\"name\":…,\"value\":…,\"type\":…}}`: {error}"
        )
    })?;
    match variables.iter().find(|variable| is_bad_name(&variable.name)) {
        Some(bad) => Err(format!(
            "`{}` in `EnvironmentVariables` of the action cannot be set: names are not empty, hold no `=`, \
             and do not start with `CODEBUILD_`",
            bad.name
        )),
        None => Ok(variables),
    }
}

fn is_bad_name(name: &str) -> bool {
    name.is_empty() || name.contains(['=', '\0']) || name.starts_with("CODEBUILD_")
}

/// A build's environment, and which of it must stay secret.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, String>,
    /// Variables whose values came from a secret.
    pub(super) secret_names: BTreeSet<String>,
}

/// The layers that are not the host's or the runner's own.
pub(super) struct Layers<'a> {
    pub(super) buildspec: &'a Env,
    pub(super) project: &'a BuildProject,
    pub(super) action: &'a [Variable],
    pub(super) inherit: &'a [String],
    pub(super) built_in: BTreeMap<String, String>,
}

impl Environment {
    /// Lays the layers over each other. Secrets are resolved and masked in the log before anything can print
    /// them.
    pub(super) fn build(site: &Site, layers: Layers<'_>) -> Result<Self, String> {
        let mut environment = Self { variables: host(layers.inherit), ..Self::default() };
        environment.variables.extend(layers.built_in.clone());
        let mut secrets = Secrets::new(site);
        let spec = layers.buildspec;
        let stored = spec.parameter_store.iter().map(|pair| (pair, VariableType::ParameterStore));
        let secret = spec.secrets_manager.iter().map(|pair| (pair, VariableType::SecretsManager));
        let plain = spec.variables.iter().map(|pair| (pair, VariableType::Plaintext));
        for ((name, value), kind) in plain.chain(stored).chain(secret) {
            environment.set(name, value, kind, &mut secrets)?;
        }
        let project = layers.project;
        let plain = project.environment.iter().map(|pair| (pair, VariableType::Plaintext));
        let stored = project.parameter_store.iter().map(|pair| (pair, VariableType::ParameterStore));
        let secret = project.secrets_manager.iter().map(|pair| (pair, VariableType::SecretsManager));
        for ((name, value), kind) in plain.chain(stored).chain(secret) {
            if is_bad_name(name) {
                return Err(format!("`{name}` in the environment of the project cannot be set"));
            }
            environment.set(name, value, kind, &mut secrets)?;
        }
        for variable in layers.action {
            environment.set(&variable.name, &variable.value, variable.kind, &mut secrets)?;
        }
        // Whatever a user of the same name could have meant, the runner's word counts.
        let own = layers.built_in.into_iter().filter(|(name, _)| name.starts_with("CODEBUILD_"));
        environment.variables.extend(own);
        site.log.mask(secrets.used);
        Ok(environment)
    }

    fn set(
        &mut self,
        name: &str,
        value: &str,
        kind: VariableType,
        secrets: &mut Secrets<'_>,
    ) -> Result<(), String> {
        if name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!(
                "the variable `{}` cannot be set: a zero byte or `=` in its name",
                name.escape_debug()
            ));
        }
        let value = match kind {
            VariableType::Plaintext => value.to_owned(),
            VariableType::ParameterStore => secrets.parameter(name, value)?,
            VariableType::SecretsManager => secrets.secret(name, value)?,
        };
        if kind == VariableType::Plaintext {
            self.secret_names.remove(name);
        } else {
            self.secret_names.insert(name.to_owned());
        }
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }
}

fn host(inherit: &[String]) -> BTreeMap<String, String> {
    // Asked for one by one: values elsewhere in the environment may not even be UTF-8.
    let named = INHERITED.iter().copied().chain(inherit.iter().map(String::as_str));
    let mut variables: BTreeMap<String, String> =
        named.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect();
    for (name, value) in std::env::vars_os() {
        if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string())
            && name.starts_with("LC_")
        {
            variables.insert(name, value);
        }
    }
    variables.entry("PATH".to_owned()).or_insert_with(|| PATH_DEFAULT.to_owned());
    variables
}

/// What the runner itself has to say.
pub(super) struct BuiltIn<'a> {
    pub(super) job: &'a ActionJob,
    pub(super) site: &'a Site,
    pub(super) project: &'a str,
    pub(super) build: &'a str,
    pub(super) number: u64,
    pub(super) begun_ms: i64,
    /// Index of the primary input.
    pub(super) primary: usize,
    /// Source directories, one per input.
    pub(super) sources: &'a [String],
}

impl BuiltIn<'_> {
    /// The built-in variables. Those a pipeline's build does not have in the service are not set here either.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let Self { job, site, project, build, .. } = self;
        let (region, account) = (&site.region, &site.account);
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: String| {
            variables.insert(name.to_owned(), value);
        };
        set("AWS_REGION", region.clone());
        set("AWS_DEFAULT_REGION", region.clone());
        set("CI", "true".to_owned());
        set("CODEBUILD_CI", "true".to_owned());
        set("CODEBUILD_LOCAL", "1".to_owned());
        set("CODEBUILD_BUILD_ARN", format!("arn:aws:codebuild:{region}:{account}:build/{project}:{build}"));
        set("CODEBUILD_BUILD_ID", format!("{project}:{build}"));
        set("CODEBUILD_BUILD_IMAGE", "local".to_owned());
        set("CODEBUILD_BUILD_NUMBER", self.number.to_string());
        set("CODEBUILD_BUILD_SUCCEEDING", "1".to_owned());
        set("CODEBUILD_BUILD_URL", format!("file://{}", site.log.path().display()));
        set("CODEBUILD_INITIATOR", format!("codepipeline/{}", job.pipeline));
        set("CODEBUILD_KMS_KEY_ID", format!("arn:aws:kms:{region}:{account}:alias/aws/s3"));
        set("CODEBUILD_PROJECT_ARN", format!("arn:aws:codebuild:{region}:{account}:project/{project}"));
        set("CODEBUILD_START_TIME", self.begun_ms.to_string());
        set("CODEPIPELINE_NAME", job.pipeline.to_string());
        set("CODEPIPELINE_EXECUTION_ID", job.execution.to_string());
        for (index, (input, source)) in job.inputs.iter().zip(self.sources).enumerate() {
            let version = input
                .revision
                .clone()
                .unwrap_or_else(|| format!("arn:aws:s3:::{}/{}", input.location.bucket, input.location.key));
            if index == self.primary {
                set("CODEBUILD_SRC_DIR", source.clone());
                set("PWD", source.clone());
                set("CODEBUILD_SOURCE_VERSION", version);
                set("CODEBUILD_SOURCE_REPO_URL", String::new());
                if let Some(revision) = &input.revision {
                    set("CODEBUILD_RESOLVED_SOURCE_VERSION", revision.clone());
                }
            } else {
                let id = identifier(input.name.as_str());
                set(&format!("CODEBUILD_SRC_DIR_{id}"), source.clone());
                set(&format!("CODEBUILD_SOURCE_VERSION_{id}"), version);
                set(&format!("CODEBUILD_SOURCE_REPO_URL_{id}"), String::new());
            }
        }
        variables
    }
}

/// An artifact's name as part of a variable's name.
pub(super) fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Replaces `$NAME` and `${NAME}`; what is not set becomes nothing, as in a shell. A `$` before anything else
/// stays.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, behind)) => (name, behind),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        if super::shell::is_shell_name(name) {
            expanded.push_str(variables.get(name).map_or("", String::as_str));
            rest = behind;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_a_shell_would() {
        let variables =
            BTreeMap::from([("A".to_owned(), "x".to_owned()), ("A_1".to_owned(), "y".to_owned())]);
        for (text, expected) in [
            ("$A/${A}_1/$A_1", "x/x_1/y"),
            ("$NONE.jar", ".jar"),
            ("cost: 5$", "cost: 5$"),
            ("$5 ${a-b} ${", "$5 ${a-b} ${"),
        ] {
            assert_eq!(expand(text, &variables), expected);
        }
    }

    #[test]
    fn the_actions_variables_are_a_json_list() {
        let read =
            of_action(r#"[{"name":"A","value":"1"},{"name":"B","value":"s:k","type":"SECRETS_MANAGER"}]"#);
        assert_eq!(read.unwrap()[1].kind, VariableType::SecretsManager);
        assert!(
            of_action("{}")
                .unwrap_err()
                .starts_with("`EnvironmentVariables` of the action is not a JSON list")
        );
        assert!(of_action(r#"[{"name":"CODEBUILD_X","value":"1"}]"#).unwrap_err().contains("`CODEBUILD_X`"));
        assert!(of_action(r#"[{"name":"A","value":"1","type":"PLAIN"}]"#).unwrap_err().contains("PLAIN"));
    }
}
