//! `Ref` and `Fn::GetAtt`: parameters, what is always there, and resources by their local names.

use super::{
    Resource,
    evaluate::{At, Evaluator, Found},
    kind_of,
    local::{self, Attribute, Local},
};
use serde_json::Value;

impl Evaluator<'_> {
    pub(super) fn reference(&mut self, argument: &Value, at: &At<'_>) -> Found {
        match argument.as_str() {
            Some(name) => self.named(name, at),
            None => {
                self.problem(at, format!("{} stands where a name is expected", kind_of(argument)));
                Found::Unknown
            }
        }
    }

    /// What `Ref` and `${Name}` mean.
    pub(super) fn named(&mut self, name: &str, at: &At<'_>) -> Found {
        if name.starts_with("AWS::") {
            return self.pseudo(name, at);
        }
        if self.template.section("Parameters").is_some_and(|all| all.contains_key(name)) {
            return self.parameter(name, at);
        }
        match self.template.resource(name) {
            Some(resource) => self.of_resource(name, resource, None, at),
            None => {
                let hint = "a parameter, a resource, or a name such as `AWS::Region`".to_owned();
                self.problem_with(at, format!("nothing in the template is named `{name}`"), hint);
                Found::Unknown
            }
        }
    }

    pub(super) fn attribute(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let (name, attribute) = match argument {
            Value::String(text) => match text.split_once('.') {
                Some((name, attribute)) => (name.to_owned(), attribute.to_owned()),
                None => {
                    self.problem(at, format!("`{text}` must be `Resource.Attribute`"));
                    return Found::Unknown;
                }
            },
            other => {
                let form = "`[resource, attribute]`";
                let Some([name, attribute]) = self.arguments(other, 2..=2, form, at) else {
                    return Found::Unknown;
                };
                let name = self.text(name, &at.index(0));
                let (Some(name), Some(attribute)) = (name, self.text(attribute, &at.index(1))) else {
                    return Found::Unknown;
                };
                (name, attribute)
            }
        };
        self.attribute_of(&name, &attribute, at)
    }

    /// What `Fn::GetAtt` and `${Name.Attribute}` mean.
    pub(super) fn attribute_of(&mut self, name: &str, attribute: &str, at: &At<'_>) -> Found {
        match self.template.resource(name) {
            Some(resource) => self.of_resource(name, resource, Some(attribute), at),
            None => {
                self.problem(at, format!("the template has no resource `{name}`"));
                Found::Unknown
            }
        }
    }

    /// A resource's reference, or one of its attributes: as given, else by what the type is on this machine.
    fn of_resource(&mut self, id: &str, resource: Resource<'_>, of: Option<&str>, at: &At<'_>) -> Found {
        let key = match of {
            None => format!("Ref:{id}"),
            Some(attribute) => format!("GetAtt:{id}.{attribute}"),
        };
        if let Some(text) = self.given(&key) {
            return self.made(text, at);
        }
        if let Some(known) = self.names.get(&key) {
            return Found::Value(known.clone());
        }
        match self.exists(id, resource) {
            Some(true) => {}
            Some(false) => {
                self.problem(at, format!("`{id}` does not exist: its condition is false"));
                return Found::Unknown;
            }
            None => return Found::Unknown,
        }
        let kind = resource.kind;
        let meaning = local::of(kind).and_then(|local| match of {
            None => local.reference.map(|form| (local, Attribute::Text(form))),
            Some(attribute) => local.attribute(attribute).map(|found| (local, found)),
        });
        let Some((local, meaning)) = meaning else {
            let what = match of {
                None => format!("what AWS calls `{id}` ({kind})"),
                Some(attribute) => format!("what AWS gives as `{attribute}` of `{id}` ({kind})"),
            };
            return self.given_or_unknown(&key, &what, at);
        };
        let found = self.once(&key, at, |this| this.meaning(id, resource, local, meaning, at));
        if let Found::Value(value) = &found {
            self.names.insert(key, value.clone());
        }
        found
    }

    fn meaning(
        &mut self,
        id: &str,
        resource: Resource<'_>,
        local: &'static Local,
        meaning: Attribute,
        at: &At<'_>,
    ) -> Found {
        let (resources, properties) = (At::Root("Resources"), "Properties");
        let (own, of) = (resources.key(id), At::key);
        let properties = of(&own, properties);
        let form = match meaning {
            Attribute::Text(form) => form,
            Attribute::Property(name) => {
                let place = properties.key(name);
                return match resource.property(name) {
                    Some(value) => self.value(value, &place),
                    None => {
                        self.problem(at, format!("`{id}` has no `{name}`"));
                        Found::Unknown
                    }
                };
            }
        };
        let Some(name) = self.name_of(id, resource, local) else { return Found::Unknown };
        let path = match resource.property("Path").filter(|_| form.contains("{path}")) {
            Some(path) => match self.text(path, &properties.key("Path")) {
                Some(path) => path,
                None => return Found::Unknown,
            },
            None => "/".to_owned(),
        };
        let text = form
            .replace("{partition}", self.partition())
            .replace("{suffix}", self.suffix())
            .replace("{region}", &self.region())
            .replace("{account}", &self.account())
            .replace("{path}", &path)
            .replace("{name}", &name);
        self.made(text, at)
    }

    /// The name a resource has here: its own, or its logical id.
    pub(super) fn name_of(
        &mut self,
        id: &str,
        resource: Resource<'_>,
        local: &'static Local,
    ) -> Option<String> {
        let resources = At::Root("Resources");
        let own = resources.key(id);
        let properties = own.key("Properties");
        match local.name.and_then(|name| Some((name, resource.property(name)?))) {
            Some((name, value)) => match self.value(value, &properties.key(name)) {
                Found::Value(value) => match super::scalar(&value) {
                    Some(name) => Some(name),
                    None => {
                        let message = format!("{} stands where a text is expected", kind_of(&value));
                        self.problem(&properties.key(name), message);
                        None
                    }
                },
                Found::Nothing => Some(shortened(id, local.chars_max)),
                Found::Unknown => None,
            },
            None => Some(shortened(id, local.chars_max)),
        }
    }

    /// Whether a resource is made at all.
    pub(super) fn exists(&mut self, id: &str, resource: Resource<'_>) -> Option<bool> {
        let root = At::Root("Resources");
        let own = root.key(id);
        let at = own.key("Condition");
        match resource.whole.get("Condition") {
            None | Some(Value::Null) => Some(true),
            Some(Value::String(name)) => self.condition(name, &at),
            Some(_) => {
                self.problem(&at, "the name of a condition is expected".to_owned());
                None
            }
        }
    }

    fn pseudo(&mut self, name: &str, at: &At<'_>) -> Found {
        let text = match name {
            "AWS::NoValue" => return Found::Nothing,
            "AWS::Region" => self.region(),
            "AWS::AccountId" => self.account(),
            "AWS::StackName" => self.stack(),
            "AWS::Partition" => match self.given(name) {
                Some(text) => text,
                None => self.partition().to_owned(),
            },
            "AWS::URLSuffix" => match self.given(name) {
                Some(text) => text,
                None => self.suffix().to_owned(),
            },
            "AWS::StackId" => match self.given(name) {
                Some(text) => text,
                None => format!(
                    "arn:{}:cloudformation:{}:{}:stack/{}/00000000-0000-0000-0000-000000000000",
                    self.partition(),
                    self.region(),
                    self.account(),
                    self.stack()
                ),
            },
            "AWS::NotificationARNs" => {
                return self.given_or_unknown(name, "the topics that hear of the stack", at);
            }
            other => {
                self.problem(at, format!("there is no pseudo parameter `{other}`"));
                return Found::Unknown;
            }
        };
        self.made(text, at)
    }

    pub(super) fn region(&mut self) -> String {
        self.given("AWS::Region").unwrap_or_else(|| self.setting.region.to_owned())
    }

    fn account(&mut self) -> String {
        self.given("AWS::AccountId").unwrap_or_else(|| self.setting.account.to_owned())
    }

    fn stack(&mut self) -> String {
        self.given("AWS::StackName").unwrap_or_else(|| self.setting.stack.to_owned())
    }

    fn partition(&mut self) -> &'static str {
        let region = self.region();
        match region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn suffix(&mut self) -> &'static str {
        if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }
}

/// The end of a long id: tools that make up ids put what tells them apart there.
fn shortened(id: &str, chars_max: usize) -> String {
    id.chars().skip(id.chars().count().saturating_sub(chars_max)).collect()
}
