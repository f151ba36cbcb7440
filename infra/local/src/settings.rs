//! `towpath.toml`: what each resource a pipeline names is on this machine.
//!
//! Every table has defaults, so that a plain repository with a buildspec needs no file at all. Relative paths
//! are relative to the file's folder. Unknown keys are errors: a misspelt setting must not be ignored.

mod gates;
mod load;
mod notifications;
mod rules;

pub use gates::GateSettings;
pub use load::{SETTINGS_FILE, SettingsError};
pub use notifications::{NoticeRule, NotificationSettings, SlackSettings, SlackWay, outcomes};
pub use rules::{
    Hook, Hooks, NewBranch, RevisionFrom, RuleSettings, Scheduled, TransformerSettings, TriggerSettings,
};

use domain::catalogue::integration::{Counts, Integration, IntegrationProperty};
use events::{ActionCategory, ActionOwner, ActionTypeId, Compatibility};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// The folder relative paths start from: the file's own, or the pipeline's. Not a key of the file.
    #[serde(skip)]
    pub base: PathBuf,
    /// Repository (`RepositoryName`, `FullRepositoryId`, `Owner/Repo`), or source action name, to a path or
    /// clone URL. Without an entry: the repository that holds the pipeline's file.
    pub sources: BTreeMap<String, String>,
    /// A revision that replaces the head of every source's branch (`--from-commit`). Not a key of the file.
    #[serde(skip)]
    pub from_commit: Option<String>,
    /// `ProjectName` to a build project.
    pub codebuild: BTreeMap<String, BuildProject>,
    /// `Application/DeploymentGroup` to a deployment group.
    pub codedeploy: BTreeMap<String, DeploymentGroup>,
    /// Bucket name to a folder that stands for it.
    pub s3: BTreeMap<String, PathBuf>,
    /// Lambda `FunctionName` to a local command.
    pub lambda: BTreeMap<String, Function>,
    /// `AlarmName` to what stands for a CloudWatch alarm.
    pub alarms: BTreeMap<String, Alarm>,
    /// Secrets for builds: a JSON file of name to value, or a folder with one file per name.
    pub secrets: Option<PathBuf>,
    /// `Category/Provider`, or `Rule/Provider`, to what a mock reports. A mock is always shown as a mock.
    pub mock: BTreeMap<String, Mock>,
    /// Action types beyond the built-in ones, whose work a partner's worker does.
    pub action_types: Vec<RegisteredType>,
    /// Limits on what a build may leave behind and print.
    pub limits: BuildLimits,
    /// The Git host that is told of webhooks. Without it nobody is told.
    pub git_host: Option<GitHost>,
    /// What `towpath lint` says nothing about.
    pub lint: LintSettings,
    /// Git hosts that may call, and their secrets.
    pub hooks: Hooks,
    /// Rules for events and schedules.
    pub rules: Vec<RuleSettings>,
    /// How events of repositories are taken.
    pub triggers: TriggerSettings,
    /// How closely CodePipeline's own limits are kept: `exact` or `extended`. Default `exact` for `towpath up` and
    /// `extended` for `towpath run`.
    pub compatibility: Option<Compatibility>,
    /// `Pipeline/Stage` to what becomes of newer and older runs there.
    pub gates: BTreeMap<String, GateSettings>,
    /// Who is told of what happens to executions.
    pub notifications: NotificationSettings,
}

/// The Git host whose API may be called to register webhooks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GitHost {
    /// Where its API is. Default `https://api.github.com`.
    #[serde(default = "GitHost::api_default")]
    pub api: String,
    /// A file that holds a token allowed to change the webhooks of repositories, and nothing else.
    pub token_file: PathBuf,
}

impl GitHost {
    fn api_default() -> String {
        "https://api.github.com".to_owned()
    }
}

/// Where a source action fetches from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder on this machine: absolute.
    Folder(PathBuf),
    /// A clone URL: `https`, `http`, `ssh`, `git` or `file`, or `user@host:path`.
    Url(String),
}

impl Source {
    /// Reads an entry of `[sources]`, or the value of `--source`: a clone URL, or a folder relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        load::parse_source(text, base)
    }
}

impl Settings {
    /// Reads `towpath.toml`. With a path, that file must be there, and relative paths start from its folder.
    /// Without one, `towpath.toml` in `base` is read if there is one; otherwise every setting has its default.
    pub fn load(path: Option<&Path>, base: &Path) -> Result<Self, SettingsError> {
        load::load(path, base)
    }

    /// What is legal but surprising, one sentence each, for a person to read before the first run.
    pub fn warnings(&self) -> Vec<String> {
        load::warnings(self)
    }

    /// Where a source action fetches from: by the action's name, then the repository's whole id
    /// (`owner/name`), then its name alone. `None` without an entry: then it is the git repository that
    /// holds [`base`](Self::base).
    pub fn source_for(&self, action: &str, repository: &str) -> Option<Result<Source, String>> {
        let name = repository.rsplit('/').next().unwrap_or(repository);
        let text = [action, repository, name].into_iter().find_map(|key| self.sources.get(key))?;
        Some(Source::parse(text, &self.base))
    }
}

/// A CodeBuild project on this machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BuildProject {
    /// Path of the buildspec in the primary source, or the buildspec itself. Default `buildspec.yml`.
    pub buildspec: Option<String>,
    /// The project's environment variables, plain values.
    pub environment: BTreeMap<String, String>,
    /// Variables whose values lie under a name in [`Settings::secrets`], as in the Parameter Store.
    pub parameter_store: BTreeMap<String, String>,
    /// Variables whose values lie under an id in [`Settings::secrets`], as in Secrets Manager.
    pub secrets_manager: BTreeMap<String, String>,
    /// Where `buildspec` comes from, for messages, when it is not from the file. Not a key of the file.
    #[serde(skip)]
    pub buildspec_from: Option<String>,
    /// 5 to 2160 in AWS; any positive number here. Default 60.
    pub timeout_minutes: Option<u32>,
    /// Host variables a build may see, besides `PATH`, `LANG`, `LC_*`, `TZ`, `TERM`, `HOME`, `USER` and
    /// `DOCKER_HOST`.
    pub inherit: Vec<String>,
    /// Run phases that ask for another user (`run-as`) as the current one. Default false: such a build fails.
    pub ignore_run_as: bool,
}

/// A CodeDeploy deployment group on this machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DeploymentGroup {
    /// The hosts, each a folder. Without any: one host under the state folder.
    pub hosts: Vec<Host>,
    /// For blue/green: the replacement hosts; the two sets change roles with each deployment.
    pub replacement_hosts: Vec<Host>,
    /// `in-place` (default) or `blue-green`.
    pub style: DeploymentStyle,
    /// `CodeDeployDefault.OneAtATime` (default), `.HalfAtATime` or `.AllAtOnce`.
    pub config: Option<String>,
    /// Redeploy the last good revision when a deployment fails. Default true.
    pub auto_rollback: Option<bool>,
    /// `DISALLOW` (default), `OVERWRITE` or `RETAIN`; the appspec's own setting wins.
    pub file_exists_behavior: Option<String>,
    /// Commands run in place of a load balancer; when set, the traffic events run.
    pub load_balancer: Option<LoadBalancer>,
    /// Do not fail when `owner`, `group` or `runas` cannot be honoured without root. Default false.
    pub ignore_ownership: bool,
    /// Failures of ApplicationStop and the BlockTraffic events do not fail a deployment. Default false.
    pub ignore_application_stop_failures: bool,
    /// Extra variables for hook scripts.
    pub environment: BTreeMap<String, String>,
}

/// A host: a folder that stands for its root file system.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// Its name in output and logs.
    pub name: String,
    /// The folder; destinations of the appspec are resolved under it.
    pub root: PathBuf,
    /// Extra variables for hook scripts on this host, for example `PORT`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// How a deployment replaces what runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentStyle {
    /// The same hosts, one batch after another.
    #[default]
    InPlace,
    /// New hosts first, then traffic moves, then the old ones are let go.
    BlueGreen,
}

/// Commands that stand for a load balancer, run in the folder of the settings. They get `TOWPATH_HOST` and
/// `TOWPATH_HOST_ROOT`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LoadBalancer {
    /// Takes a host out of traffic.
    pub block: Option<String>,
    /// Puts a host into traffic.
    pub allow: Option<String>,
}

/// A Lambda function on this machine: a program that gets the job event on stdin.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Function {
    /// Program and arguments. A program with a `/` in its name is a path like any other here; one without is
    /// looked up in `PATH`.
    pub command: Vec<String>,
    /// Extra variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Default 20, the service's own reply window.
    #[serde(default)]
    pub timeout_minutes: Option<u32>,
}

/// A CloudWatch alarm on this machine: a program that prints its state, or a file whose first line is its state:
/// `OK`, `ALARM` or `INSUFFICIENT_DATA`. One of the two.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Alarm {
    /// Program and arguments; its last line of output is the state. A program with a `/` in its name is a path like
    /// any other here; one without is looked up in `PATH`.
    pub command: Vec<String>,
    /// The file.
    pub file: Option<PathBuf>,
}

/// An action type that is registered here: a partner's worker asks for its jobs with the client's id and token.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegisteredType {
    /// `Source`, `Build`, `Deploy`, `Test` or `Invoke`.
    pub category: ActionCategory,
    /// 1 to 35 letters, digits, `-` or `_`.
    pub provider: String,
    /// 1 to 9 letters, digits, `-` or `_`. Default `1`.
    #[serde(default = "first_version")]
    pub version: String,
    /// For people, at most 1,024 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// By what the partner knows for whom a job is: a UUID.
    pub client_id: String,
    /// By what the partner is known: 1 to 256 characters. A secret.
    pub client_token: String,
    /// Fewest and most input artifacts, 0 to 10.
    #[serde(default)]
    pub inputs: (u8, u8),
    /// Fewest and most output artifacts, 0 to 10.
    #[serde(default)]
    pub outputs: (u8, u8),
    /// Its configuration, at most 10 properties.
    #[serde(default)]
    pub properties: Vec<RegisteredProperty>,
    /// Links for people.
    #[serde(default)]
    pub urls: RegisteredUrls,
}

/// One configuration property of a registered type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegisteredProperty {
    /// 1 to 50 characters.
    pub name: String,
    /// May be left out. Default false.
    #[serde(default)]
    pub optional: bool,
    /// Names the thing worked on. Default false.
    #[serde(default)]
    pub key: bool,
    /// Is kept aside and shown as `****`. Default false.
    #[serde(default)]
    pub no_echo: bool,
    /// At most 250 characters.
    #[serde(default)]
    pub description: Option<String>,
}

/// Links of a registered type; `{Config:<property>}` and `{ExternalExecutionId}` stand for values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the API's own words")]
pub struct RegisteredUrls {
    pub configuration_url: Option<String>,
    pub entity_url_template: Option<String>,
    pub execution_url_template: Option<String>,
    pub revision_url_template: Option<String>,
}

fn first_version() -> String {
    "1".to_owned()
}

/// A registered type never shows its client's token by accident.
impl std::fmt::Debug for RegisteredType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegisteredType({} of client {})", self.id(), self.client_id)
    }
}

impl RegisteredType {
    /// The 4-tuple.
    pub fn id(&self) -> ActionTypeId {
        ActionTypeId {
            category: self.category,
            owner: ActionOwner::ThirdParty,
            provider: self.provider.clone(),
            version: self.version.clone(),
        }
    }

    /// The declaration as the API shows it.
    pub fn declaration(&self, account: &str) -> Integration {
        let counts = |(min, max): (u8, u8)| Counts { minimum_count: min.into(), maximum_count: max.into() };
        let property = |property: &RegisteredProperty| IntegrationProperty {
            name: property.name.clone(),
            optional: property.optional,
            key: property.key,
            no_echo: property.no_echo,
            queryable: None,
            description: property.description.clone(),
        };
        let RegisteredUrls {
            configuration_url,
            entity_url_template,
            execution_url_template,
            revision_url_template,
        } = &self.urls;
        let mut urls = json!({
            "configurationUrl": configuration_url,
            "entityUrlTemplate": entity_url_template,
            "executionUrlTemplate": execution_url_template,
            "revisionUrlTemplate": revision_url_template,
        });
        if let Some(members) = urls.as_object_mut() {
            members.retain(|_, url| !url.is_null());
        }
        Integration {
            description: self.description.clone(),
            executor: json!({
                "type": "JobWorker",
                "configuration": { "jobWorkerExecutorConfiguration": { "pollingAccounts": [account] } },
            }),
            id: self.id(),
            input_artifact_details: counts(self.inputs),
            output_artifact_details: counts(self.outputs),
            permissions: Some(json!({ "allowedAccounts": [account] })),
            properties: self.properties.iter().map(property).collect(),
            urls: Some(urls).filter(|urls| urls.as_object().is_some_and(|members| !members.is_empty())),
        }
    }
}

/// What a mocked action or rule reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mock {
    /// Reports success, with empty output artifacts.
    Succeed,
    /// Reports failure.
    Fail,
}

/// Hints about definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LintSettings {
    /// Ids of the rules that are passed over.
    pub allow: Vec<String>,
}

/// Limits that keep one build from filling the disk.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BuildLimits {
    /// Bytes of one action's log; what comes after is counted, not kept. Default 100 MiB.
    pub log_bytes: u64,
    /// Bytes of one artifact, packed or unpacked. Default 2 GiB.
    pub artifact_bytes: u64,
    /// Files in one artifact. Default 100,000.
    pub artifact_files: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self { log_bytes: 100 << 20, artifact_bytes: 2 << 30, artifact_files: 100_000 }
    }
}
