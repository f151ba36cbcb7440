//! What is asked of CloudFormation, read from an action's configuration and from files in its artifacts.

use super::{Service, pairs, parameters, refused};
use crate::actions::{
    archive,
    objects::Properties,
    provider::{Task, configuration},
};
use api::sigv4::percent_encoded;
use engine::action::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Bytes of a template, as CloudFormation bounds it.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a template that goes along with the call; a larger one is put into the artifact bucket.
const TEMPLATE_BODY_BYTES_MAX: usize = 51_200;
/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// `ActionMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    CreateUpdate,
    ReplaceOnFailure,
    DeleteOnly,
    ChangeSetReplace,
    ChangeSetExecute,
}

impl Mode {
    pub(super) fn of(task: &Task<'_>) -> Result<Self, Failure> {
        match task.needs("ActionMode")? {
            "CREATE_UPDATE" => Ok(Self::CreateUpdate),
            "REPLACE_ON_FAILURE" => Ok(Self::ReplaceOnFailure),
            "DELETE_ONLY" => Ok(Self::DeleteOnly),
            "CHANGE_SET_REPLACE" => Ok(Self::ChangeSetReplace),
            "CHANGE_SET_EXECUTE" => Ok(Self::ChangeSetExecute),
            other => Err(configuration(format!(
                "`ActionMode` is `{other}`, and not one of `CREATE_UPDATE`, `REPLACE_ON_FAILURE`, `DELETE_ONLY`, \
                 `CHANGE_SET_REPLACE`, `CHANGE_SET_EXECUTE`."
            ))),
        }
    }
}

/// `TemplateConfiguration`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateConfiguration {
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    tags: BTreeMap<String, Value>,
    #[serde(default)]
    stack_policy: Option<Value>,
}

/// A template, and what goes with it.
pub(super) struct Order {
    template: (&'static str, String),
    parameters: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    policy: Option<String>,
}

impl Order {
    pub(super) async fn read(task: &Task<'_>) -> Result<Self, Failure> {
        let template = template(task).await?;
        let TemplateConfiguration { parameters: given, tags, stack_policy } =
            template_configuration(task).await?;
        let mut all = parameters::read(task, "TemplateConfiguration", given).await?;
        if let Some(text) = task.value("ParameterOverrides") {
            let given: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
                configuration(format!("`ParameterOverrides` is not a JSON object of parameters: {error}."))
            })?;
            all.extend(parameters::read(task, "ParameterOverrides", given).await?);
        }
        let mut texts = BTreeMap::new();
        for (name, value) in tags {
            texts.insert(name.clone(), parameters::plain("a tag", &name, &value)?);
        }
        Ok(Self {
            template,
            parameters: all,
            tags: texts,
            policy: stack_policy.map(|policy| policy.to_string()),
        })
    }

    /// The stack policy of a change set that is carried out.
    pub(super) async fn stack_policy(task: &Task<'_>) -> Result<Option<String>, Failure> {
        Ok(template_configuration(task).await?.stack_policy.map(|policy| policy.to_string()))
    }

    /// What all calls with a template have in common. `known` are the parameters that the stack has: those that are not
    /// given keep their values.
    pub(super) async fn params(
        &self,
        task: &Task<'_>,
        known: &[String],
    ) -> Result<Vec<(String, String)>, Failure> {
        let (key, template) = &self.template;
        let mut params = vec![((*key).to_owned(), template.clone())];
        let mut number = 0;
        for (name, value) in &self.parameters {
            number += 1;
            let prefix = format!("Parameters.member.{number}");
            params.push((format!("{prefix}.ParameterKey"), name.clone()));
            params.push((format!("{prefix}.ParameterValue"), value.clone()));
        }
        for name in self.kept(task, known).await? {
            number += 1;
            let prefix = format!("Parameters.member.{number}");
            params.push((format!("{prefix}.ParameterKey"), name));
            params.push((format!("{prefix}.UsePreviousValue"), "true".to_owned()));
        }
        for (number, (name, value)) in (1..).zip(&self.tags) {
            params.push((format!("Tags.member.{number}.Key"), name.clone()));
            params.push((format!("Tags.member.{number}.Value"), value.clone()));
        }
        let capabilities = task.value("Capabilities").into_iter().flat_map(|list| list.split(','));
        let capabilities = capabilities.map(str::trim).filter(|one| !one.is_empty());
        for (number, capability) in (1..).zip(capabilities) {
            params.push((format!("Capabilities.member.{number}"), capability.to_owned()));
        }
        let role = task.value("RoleArn").map(|role| ("RoleARN", role.to_owned()));
        let policy = self.policy.clone().map(|policy| ("StackPolicyBody", policy));
        params.extend(role.into_iter().chain(policy).map(|(name, value)| (name.to_owned(), value)));
        Ok(params)
    }

    /// Parameters whose values stay: the stack has them, the template still does, and nobody gives them. Asked for only
    /// where there can be any.
    async fn kept(&self, task: &Task<'_>, known: &[String]) -> Result<Vec<String>, Failure> {
        let candidates: Vec<&String> =
            known.iter().filter(|name| !self.parameters.contains_key(*name)).collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let (key, template) = &self.template;
        let params = pairs([(*key, template)]);
        let answer = task.client.query(Service::CloudFormation, "GetTemplateSummary", &params).await;
        let answer = answer.map_err(|error| refused(task, error))?;
        let declared: Vec<String> = answer
            .members("GetTemplateSummaryResult/Parameters")
            .filter_map(|parameter| parameter.text_of("ParameterKey"))
            .collect();
        Ok(candidates.into_iter().filter(|name| declared.contains(name)).cloned().collect())
    }
}

async fn template(task: &Task<'_>) -> Result<(&'static str, String), Failure> {
    let (input, path) = parameters::place(task, "TemplatePath", task.needs("TemplatePath")?)?;
    let bytes = archive::read(task, input, path, TEMPLATE_BYTES_MAX).await?;
    let body = String::from_utf8(bytes).map_err(|_| {
        configuration(format!("The template `{path}` in the artifact `{}` is not UTF-8 text.", input.name))
    })?;
    if body.trim().is_empty() {
        return Err(configuration(format!(
            "The template `{path}` in the artifact `{}` is empty.",
            input.name
        )));
    }
    if body.len() <= TEMPLATE_BODY_BYTES_MAX {
        return Ok(("TemplateBody", body));
    }
    // Beside the artifact, where the same lifecycle removes it. CloudFormation fetches it with the caller's rights.
    let (bucket, key) = (&input.location.bucket, format!("{}.{}.template", input.location.key, task.token()));
    let properties = Properties { key: task.encryption_key.map(str::to_owned), ..Properties::default() };
    task.objects.put((bucket, &key), body, &properties).await.map_err(|error| task.failed(error))?;
    Ok(("TemplateURL", object_url(task, bucket, &key)))
}

/// The address of an object in the Region of the artifacts.
pub(super) fn object_url(task: &Task<'_>, bucket: &str, key: &str) -> String {
    let key: Vec<String> = key.split('/').map(percent_encoded).collect();
    let suffix = if task.artifact_region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://s3.{}.{suffix}/{bucket}/{}", task.artifact_region, key.join("/"))
}

async fn template_configuration(task: &Task<'_>) -> Result<TemplateConfiguration, Failure> {
    let Some(given) = task.value("TemplateConfiguration") else {
        return Ok(TemplateConfiguration::default());
    };
    let (input, path) = parameters::place(task, "TemplateConfiguration", given)?;
    let bytes = archive::read(task, input, path, FILE_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        configuration(format!(
            "`{path}` in the artifact `{}` is not a template configuration, \
             `{{\"Parameters\":{{}},\"Tags\":{{}},\"StackPolicy\":{{}}}}`: {error}.",
            input.name
        ))
    })
}
