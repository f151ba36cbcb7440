//! What a template says about the resources its pipeline names: build projects and deployment groups.

use super::{
    Evaluator, Resource,
    evaluate::{At, Found},
    local, scalar,
};
use serde_json::Value;

const PROJECT_TYPE: &str = "AWS::CodeBuild::Project";
const GROUP_TYPE: &str = "AWS::CodeDeploy::DeploymentGroup";

/// A build project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// Its logical id.
    pub id: String,
    /// Its name here.
    pub name: String,
    /// The buildspec, or its path in the source; `buildspec.yml` when absent.
    pub buildspec: Option<String>,
    /// Its environment variables, in order.
    pub variables: Vec<Variable>,
    /// Minutes a build may take.
    pub timeout_minutes: Option<u32>,
    /// The image builds run in on AWS; here they run as they are.
    pub image: Option<String>,
}

/// An environment variable of a build project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, or where that lies.
    pub value: String,
    /// Which of both.
    pub kind: VariableKind,
}

/// How a variable's value is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableKind {
    /// The value itself.
    Plaintext,
    /// A name in the Parameter Store.
    ParameterStore,
    /// The id of a secret.
    SecretsManager,
}

/// A deployment group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentGroup {
    /// Its logical id.
    pub id: String,
    /// The application's name here.
    pub application: String,
    /// Its own name here.
    pub name: String,
    /// `DeploymentConfigName`.
    pub config: Option<String>,
    /// New hosts replace old ones.
    pub blue_green: bool,
    /// A failed deployment is rolled back.
    pub auto_rollback: bool,
    /// Properties that mean nothing on this machine.
    pub ignored: Vec<String>,
}

/// Properties of a group that are about machines, and watches over them, that are not here.
const OF_MACHINES: [&str; 11] = [
    "AlarmConfiguration",
    "AutoScalingGroups",
    "BlueGreenDeploymentConfiguration",
    "Ec2TagFilters",
    "Ec2TagSet",
    "ECSServices",
    "LoadBalancerInfo",
    "OnPremisesInstanceTagFilters",
    "OnPremisesTagSet",
    "OutdatedInstancesStrategy",
    "TriggerConfigurations",
];

impl<'t> Evaluator<'t> {
    /// The build project that a pipeline calls by this name. `is_settled` tells what is decided elsewhere, by the
    /// name of a property or of a variable: that need not be known here.
    pub fn project(&mut self, name: &str, is_settled: &dyn Fn(&str) -> bool) -> Option<Project> {
        let (id, resource) = self.called(PROJECT_TYPE, name)?;
        let resources = At::Root("Resources");
        let own = resources.key(id);
        let at = own.key("Properties");
        let (source, environment) = (at.key("Source"), at.key("Environment"));
        let buildspec = part(resource, "Source", "BuildSpec")
            .filter(|_| !is_settled("BuildSpec"))
            .and_then(|spec| self.optional(spec, &source.key("BuildSpec")));
        let variables = part(resource, "Environment", "EnvironmentVariables").map_or_else(Vec::new, |list| {
            self.variables(list, is_settled, &environment.key("EnvironmentVariables"))
        });
        let timeout_minutes = resource
            .property("TimeoutInMinutes")
            .filter(|_| !is_settled("TimeoutInMinutes"))
            .and_then(|minutes| self.minutes(minutes, &at.key("TimeoutInMinutes")));
        // Not used, so it does not matter if it cannot be known.
        let before = std::mem::take(&mut self.findings);
        let image = part(resource, "Environment", "Image")
            .and_then(|image| self.optional(image, &environment.key("Image")));
        self.findings = before;
        let (id, name) = (id.to_owned(), name.to_owned());
        Some(Project { id, name, buildspec, variables, timeout_minutes, image })
    }

    fn minutes(&mut self, value: &Value, at: &At<'_>) -> Option<u32> {
        let text = self.optional(value, at)?;
        match text.parse() {
            Ok(minutes @ 1..) => Some(minutes),
            _ => {
                self.problem(at, format!("`{text}` is not a number of minutes"));
                None
            }
        }
    }

    fn variables(&mut self, list: &Value, is_settled: &dyn Fn(&str) -> bool, at: &At<'_>) -> Vec<Variable> {
        let whole;
        let list = match list {
            // Each for itself: one that is set elsewhere may be unknown here.
            Value::Array(list) => list,
            other => match self.resolved(other, at) {
                Found::Value(Value::Array(list)) => {
                    whole = list;
                    &whole
                }
                Found::Value(_) => {
                    self.problem(at, "a list of variables is expected".to_owned());
                    return Vec::new();
                }
                Found::Nothing | Found::Unknown => return Vec::new(),
            },
        };
        let mut read = Vec::new();
        for (index, variable) in list.iter().enumerate() {
            read.extend(self.variable(variable, is_settled, &at.index(index)));
        }
        read
    }

    fn variable(
        &mut self,
        variable: &Value,
        is_settled: &dyn Fn(&str) -> bool,
        at: &At<'_>,
    ) -> Option<Variable> {
        let plain_name = variable.get("Name").and_then(Value::as_str);
        if plain_name.is_some_and(is_settled) {
            return None;
        }
        let Found::Value(read) = self.resolved(variable, at) else { return None };
        let text = |key: &str| read.get(key).and_then(scalar);
        let (Some(name), Some(value)) = (text("Name"), text("Value")) else {
            self.problem(at, "`Name` and `Value` are needed here".to_owned());
            return None;
        };
        let kind = match text("Type").as_deref() {
            None | Some("PLAINTEXT") => VariableKind::Plaintext,
            Some("PARAMETER_STORE") => VariableKind::ParameterStore,
            Some("SECRETS_MANAGER") => VariableKind::SecretsManager,
            Some(other) => {
                let expected = "PLAINTEXT, PARAMETER_STORE or SECRETS_MANAGER";
                self.problem(&at.key("Type"), format!("`{other}` is not one of {expected}"));
                return None;
            }
        };
        (!is_settled(&name)).then_some(Variable { name, value, kind })
    }

    /// The deployment group that a pipeline calls by these names.
    pub fn deployment_group(&mut self, application: &str, name: &str) -> Option<DeploymentGroup> {
        let local = local::of(GROUP_TYPE)?;
        for id in self.template.ids_of(GROUP_TYPE) {
            let Some(resource) = self.template.resource(id) else { continue };
            let before = std::mem::take(&mut self.findings);
            let of = self.quietly(resource, id, "ApplicationName");
            let own = self.name_of(id, resource, local);
            self.findings = before;
            if of.as_deref() != Some(application) || own.as_deref() != Some(name) {
                continue;
            }
            return Some(self.group(id, resource, application, name));
        }
        None
    }

    fn group(&mut self, id: &str, resource: Resource<'_>, application: &str, name: &str) -> DeploymentGroup {
        let resources = At::Root("Resources");
        let own = resources.key(id);
        let at = own.key("Properties");
        let config = resource
            .property("DeploymentConfigName")
            .and_then(|config| self.optional(config, &at.key("DeploymentConfigName")));
        let member = |this: &mut Self, section: &str, member: &str| {
            let value = resource.property(section)?;
            match this.resolved(value, &at.key(section)) {
                Found::Value(value) => value.get(member).and_then(scalar),
                Found::Nothing | Found::Unknown => None,
            }
        };
        let style = member(self, "DeploymentStyle", "DeploymentType");
        let rollback = member(self, "AutoRollbackConfiguration", "Enabled");
        let ignored = OF_MACHINES.iter().filter(|property| resource.property(property).is_some());
        DeploymentGroup {
            id: id.to_owned(),
            application: application.to_owned(),
            name: name.to_owned(),
            config,
            blue_green: style.as_deref() == Some("BLUE_GREEN"),
            auto_rollback: rollback.as_deref() == Some("true"),
            ignored: ignored.map(|property| (*property).to_owned()).collect(),
        }
    }

    /// The resource of a type that goes by this name here.
    fn called(&mut self, kind: &str, name: &str) -> Option<(&'t str, Resource<'t>)> {
        let local = local::of(kind)?;
        let template = self.template;
        let before = std::mem::take(&mut self.findings);
        let found = template.ids_of(kind).into_iter().find_map(|id| {
            let resource = template.resource(id)?;
            let own = self.name_of(id, resource, local);
            (own.as_deref() == Some(name)).then_some((id, resource))
        });
        self.findings = before;
        found
    }

    fn quietly(&mut self, resource: Resource<'_>, id: &str, property: &str) -> Option<String> {
        let resources = At::Root("Resources");
        let own = resources.key(id);
        let at = own.key("Properties");
        self.optional(resource.property(property)?, &at.key(property))
    }

    /// A text that `AWS::NoValue` may leave out.
    fn optional(&mut self, value: &Value, at: &At<'_>) -> Option<String> {
        match self.resolved(value, at) {
            Found::Value(value) => {
                let text = scalar(&value);
                if text.is_none() {
                    let found = super::kind_of(&value);
                    self.problem(at, format!("{found} stands where a text is expected"));
                }
                text
            }
            Found::Nothing | Found::Unknown => None,
        }
    }
}

fn part<'t>(resource: Resource<'t>, section: &str, member: &str) -> Option<&'t Value> {
    resource.property(section)?.get(member).filter(|part| !part.is_null())
}
