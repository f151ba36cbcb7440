//! What is to be built, read from an action's configuration.

use super::{ATTEMPT, identifier, overrides};
use crate::actions::{
    clone_ref::{self, Source},
    provider::{Task, configuration},
};
use engine::action::{
    ArtifactLocation, EnvironmentVariableType, Failure, InputArtifact, WORK_VARIABLE, Work,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One build, whoever asked for it.
pub(crate) struct Order {
    pub(crate) project: String,
    pub(crate) is_batch: bool,
    pub(crate) combine: bool,
    pub(crate) buildspec: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) variables: Vec<Variable>,
    /// The primary source first.
    pub(crate) sources: Vec<(String, Source, ArtifactLocation)>,
    pub(crate) outputs: Outputs,
    /// Members of the call that no action of this provider has, but others do.
    pub(crate) further: Map<String, Value>,
}

/// Where a build's artifacts go.
pub(crate) enum Outputs {
    None,
    /// What the buildspec's `artifacts` names.
    Primary(ArtifactLocation),
    /// What its `secondary-artifacts` name.
    Secondary(Vec<(String, ArtifactLocation)>),
}

/// A variable of a build's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: VariableType,
}

/// How to read a variable's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum VariableType {
    #[default]
    Plaintext,
    ParameterStore,
    SecretsManager,
}

impl Variable {
    pub(crate) fn plain(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), kind: VariableType::Plaintext }
    }
}

impl From<EnvironmentVariableType> for VariableType {
    fn from(kind: EnvironmentVariableType) -> Self {
        match kind {
            EnvironmentVariableType::Plaintext => Self::Plaintext,
            EnvironmentVariableType::SecretsManager => Self::SecretsManager,
        }
    }
}

impl Order {
    /// Reads an action of the provider `CodeBuild`.
    pub(super) async fn of_project(task: &Task<'_>) -> Result<Self, Failure> {
        let project = task.needs("ProjectName")?.to_owned();
        let is_batch = task.flag("BatchEnabled")?;
        let combine = task.flag("CombineArtifacts")?;
        if combine && !is_batch {
            return Err(configuration("`CombineArtifacts` needs `BatchEnabled` = `true`."));
        }
        let variables = match task.value("EnvironmentVariables") {
            Some(json) => variables(json)?,
            None => Vec::new(),
        };
        Ok(Self {
            project,
            is_batch,
            combine,
            buildspec: task.value("BuildspecOverride").map(str::to_owned),
            role: task.value("ServiceRoleArnOverride").map(str::to_owned),
            variables,
            sources: sources(task, task.value("PrimarySource")).await?,
            outputs: outputs(task)?,
            further: Map::new(),
        })
    }

    /// The input of the call.
    pub(super) fn input(&self, task: &Task<'_>) -> Value {
        let mut input = json!({
            "projectName": self.project,
            "idempotencyToken": task.token(),
            "environmentVariablesOverride": self.environment(task),
        });
        self.put_sources(&mut input);
        self.put_outputs(&mut input);
        let optional = [
            ("buildspecOverride", self.buildspec.as_deref()),
            ("serviceRoleOverride", self.role.as_deref()),
            ("encryptionKeyOverride", task.encryption_key.filter(|_| !matches!(self.outputs, Outputs::None))),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                input[key] = value.into();
            }
        }
        if self.combine {
            input["buildBatchConfigOverride"] = json!({ "combineArtifacts": true });
        }
        for (key, value) in &self.further {
            input[key] = value.clone();
        }
        input
    }

    /// The action's variables, and those by which a build knows where it belongs.
    fn environment(&self, task: &Task<'_>) -> Vec<Variable> {
        let job = task.job;
        let mut own = vec![
            Variable::plain("CODEPIPELINE_NAME", job.pipeline.to_string()),
            Variable::plain("CODEPIPELINE_EXECUTION_ID", job.execution.to_string()),
            Variable::plain(ATTEMPT, task.token()),
            Variable::plain(WORK_VARIABLE, Work::of(job).line()),
        ];
        let primary = self.sources.first().and_then(|(name, ..)| {
            job.inputs.iter().find(|input| identifier(input.name.as_str()) == *name)?.revision.clone()
        });
        own.extend(primary.map(|revision| Variable::plain("CODEPIPELINE_SOURCE_REVISION", revision)));
        own.retain(|variable| {
            is_ours(&variable.name) || self.variables.iter().all(|given| given.name != variable.name)
        });
        own.extend(self.variables.iter().filter(|given| !is_ours(&given.name)).cloned());
        own
    }

    fn put_sources(&self, input: &mut Value) {
        let Some(((_, primary, location), others)) = self.sources.split_first() else {
            input["sourceTypeOverride"] = "NO_SOURCE".into();
            return;
        };
        let (source, version) = overrides(primary, location);
        input["sourceTypeOverride"] = source["type"].clone();
        input["sourceLocationOverride"] = source["location"].clone();
        if source.get("gitCloneDepth").is_some() {
            input["gitCloneDepthOverride"] = source["gitCloneDepth"].clone();
        }
        if let Some(version) = version {
            input["sourceVersion"] = version.into();
        }
        // Always given: a project may have secondary sources of its own, which do not belong to this build.
        let (mut sources, mut versions) = (Vec::new(), Vec::new());
        for (name, source, location) in others {
            let (mut source, version) = overrides(source, location);
            source["sourceIdentifier"] = name.as_str().into();
            sources.push(source);
            versions
                .extend(version.map(|version| json!({ "sourceIdentifier": name, "sourceVersion": version })));
        }
        input["secondarySourcesOverride"] = sources.into();
        input["secondarySourcesVersionOverride"] = versions.into();
    }

    fn put_outputs(&self, input: &mut Value) {
        let (primary, secondary) = match &self.outputs {
            Outputs::None => (json!({ "type": "NO_ARTIFACTS" }), Vec::new()),
            Outputs::Primary(location) => (archive(location), Vec::new()),
            Outputs::Secondary(outputs) => {
                let secondary = outputs.iter().map(|(name, location)| {
                    let mut artifact = archive(location);
                    artifact["artifactIdentifier"] = name.as_str().into();
                    artifact
                });
                (json!({ "type": "NO_ARTIFACTS" }), secondary.collect())
            }
        };
        input["artifactsOverride"] = primary;
        input["secondaryArtifactsOverride"] = secondary.into();
    }
}

/// Variables by which a build is found again, and that no definition may set.
fn is_ours(name: &str) -> bool {
    name == ATTEMPT || name == WORK_VARIABLE
}

/// One ZIP archive at exactly this place: the service puts it together of path and name.
fn archive(location: &ArtifactLocation) -> Value {
    let (path, name) = location.key.rsplit_once('/').unwrap_or(("", &location.key));
    json!({
        "type": "S3",
        "location": location.bucket,
        "path": path,
        "name": name,
        "namespaceType": "NONE",
        "packaging": "ZIP",
        "overrideArtifactName": false,
    })
}

/// The inputs as sources, the primary one first.
pub(crate) async fn sources(
    task: &Task<'_>,
    named: Option<&str>,
) -> Result<Vec<(String, Source, ArtifactLocation)>, Failure> {
    let inputs = &task.job.inputs;
    let primary = primary(inputs, named)?;
    let mut sources: Vec<(String, Source, ArtifactLocation)> = Vec::new();
    let in_order = primary.into_iter().chain(inputs.iter().filter(|input| Some(*input) != primary));
    for input in in_order {
        let name = identifier(input.name.as_str());
        if sources.iter().any(|(other, ..)| *other == name) {
            return Err(configuration(format!(
                "Two input artifacts would both be called `{name}` in the build: CodeBuild has `_` for `-` in names. \
                 Give one of them another name."
            )));
        }
        sources.push((name, clone_ref::source(task, input).await?, input.location.clone()));
    }
    Ok(sources)
}

fn primary<'a>(
    inputs: &'a [InputArtifact],
    named: Option<&str>,
) -> Result<Option<&'a InputArtifact>, Failure> {
    let names = || inputs.iter().map(|input| format!("`{}`", input.name)).collect::<Vec<_>>().join(", ");
    match (named, inputs) {
        (Some(name), _) => match inputs.iter().find(|input| input.name.as_str() == name) {
            Some(found) => Ok(Some(found)),
            None => Err(configuration(format!(
                "`PrimarySource` is `{name}`, which is not an input artifact of the action: expected {}.",
                names()
            ))),
        },
        (None, [] | [_]) => Ok(inputs.first()),
        (None, _) => Err(configuration(format!(
            "The action has several input artifacts: name the one with the buildspec in `PrimarySource`: {}.",
            names()
        ))),
    }
}

fn outputs(task: &Task<'_>) -> Result<Outputs, Failure> {
    match &task.job.outputs[..] {
        [] => Ok(Outputs::None),
        [output] => Ok(Outputs::Primary(output.location.clone())),
        several => {
            let mut outputs: Vec<(String, ArtifactLocation)> = Vec::new();
            for output in several {
                let name = identifier(output.name.as_str());
                if outputs.iter().any(|(other, _)| *other == name) {
                    return Err(configuration(format!(
                        "Two output artifacts would both be called `{name}` in the buildspec: give one of them \
                         another name."
                    )));
                }
                outputs.push((name, output.location.clone()));
            }
            Ok(Outputs::Secondary(outputs))
        }
    }
}

/// The action's `EnvironmentVariables`: a JSON list. What is wrong is said without what it holds.
fn variables(json: &str) -> Result<Vec<Variable>, Failure> {
    let variables: Vec<Variable> = serde_json::from_str(json).map_err(|error| {
        configuration(format!(
            "`EnvironmentVariables` is not a JSON list of `{{\"name\":…,\"value\":…,\"type\":…}}`: {error}."
        ))
    })?;
    let is_bad = |name: &str| name.is_empty() || name.contains(['=', '\0']) || name.starts_with("CODEBUILD_");
    match variables.iter().find(|variable| is_bad(&variable.name)) {
        Some(bad) => Err(configuration(format!(
            "`{}` in `EnvironmentVariables` cannot be set: names are not empty, hold no `=`, and do not start with \
             `CODEBUILD_`.",
            bad.name
        ))),
        None => Ok(variables),
    }
}
