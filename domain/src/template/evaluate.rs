//! Walks an expression and gives its value.

use super::{Findings, Origins, Template};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Nodes looked at in all evaluations of one template, most.
const STEPS_MAX: usize = 1_000_000;
/// Bytes of text made in all of them, most.
const BYTES_MAX: usize = 16 << 20;
/// Expressions within each other, references followed, most.
const DEPTH_MAX: usize = 200;

/// What a template is evaluated under.
#[derive(Clone, Copy)]
pub struct Setting<'s> {
    /// `AWS::Region`, unless given.
    pub region: &'s str,
    /// `AWS::AccountId`, unless given.
    pub account: &'s str,
    /// `AWS::StackName`, unless given.
    pub stack: &'s str,
    /// Values of parameters by name, and of what cannot be known here by the key an [`super::Unknown`] has.
    pub given: &'s BTreeMap<String, String>,
    /// Whether a pattern matches a whole text; `None` when the pattern cannot be read. Patterns are the world's.
    pub matches: &'s dyn Fn(&str, &str) -> Option<bool>,
}

/// Evaluates parts of one template. What it finds gathers until it is taken.
pub struct Evaluator<'t> {
    pub(super) template: Template<'t>,
    pub(super) setting: Setting<'t>,
    pub(super) findings: Findings,
    pub(super) origins: Origins,
    /// Keys of what was given and was needed.
    pub(super) used: BTreeSet<String>,
    pub(super) parameters: BTreeMap<String, Value>,
    pub(super) conditions: BTreeMap<String, bool>,
    /// Names and attributes of resources already worked out.
    pub(super) names: BTreeMap<String, Value>,
    /// References and conditions being followed, outermost first.
    pub(super) under_way: Vec<String>,
    steps: usize,
    bytes: usize,
    depth: usize,
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    Value(Value),
    /// `AWS::NoValue`: as if it had not been written.
    Nothing,
    /// Not known, or wrong; the findings say why.
    Unknown,
}

/// A place in the template, without a text until somebody asks for one.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Root(&'a str),
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Root(name) => f.write_str(name),
            At::Key(above, name) => write!(f, "{above}.{name}"),
            At::Index(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

impl<'a> At<'a> {
    pub(crate) fn key(&'a self, name: &'a str) -> At<'a> {
        At::Key(self, name)
    }

    pub(crate) fn index(&'a self, index: usize) -> At<'a> {
        At::Index(self, index)
    }
}

impl<'t> Evaluator<'t> {
    /// An evaluator of a template. Everything that was given for a parameter is checked at once.
    pub fn new(template: Template<'t>, setting: Setting<'t>) -> Self {
        let mut evaluator = Self {
            template,
            setting,
            findings: Findings::default(),
            origins: Origins::default(),
            used: BTreeSet::new(),
            parameters: BTreeMap::new(),
            conditions: BTreeMap::new(),
            names: BTreeMap::new(),
            under_way: Vec::new(),
            steps: 0,
            bytes: 0,
            depth: 0,
        };
        evaluator.check_given();
        evaluator
    }

    /// What was found since this was last asked.
    pub fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// What was given for unknown things and nothing asked for: misspelt, perhaps.
    pub fn unused(&self) -> Vec<String> {
        let keys = self.setting.given.keys().filter(|key| !self.used.contains(*key));
        let parameters = self.template.section("Parameters");
        let is_parameter = |key: &str| parameters.is_some_and(|all| all.contains_key(key));
        keys.filter(|key| !is_parameter(key) && !key.starts_with("AWS::")).cloned().collect()
    }

    pub(super) fn value(&mut self, value: &Value, at: &At<'_>) -> Found {
        if !self.enter(at) {
            return Found::Unknown;
        }
        let found = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Found::Value(value.clone()),
            Value::String(text) => self.made(text.clone(), at),
            Value::Array(items) => self.list(items, at),
            Value::Object(members) => match function(members) {
                Some((name, argument)) => self.function(name, argument, at),
                None => self.members(members, at),
            },
        };
        self.depth -= 1;
        found
    }

    /// The value as a text; `None` when there is none, and the findings say why.
    pub(super) fn text(&mut self, value: &Value, at: &At<'_>) -> Option<String> {
        match self.value(value, at) {
            Found::Value(value) => {
                let text = super::scalar(&value);
                if text.is_none() {
                    let message = format!("{} stands where a text is expected", super::kind_of(&value));
                    self.problem(at, message);
                }
                text
            }
            Found::Nothing => {
                self.problem(at, "`AWS::NoValue` stands where a text is expected".to_owned());
                None
            }
            Found::Unknown => None,
        }
    }

    fn list(&mut self, items: &[Value], at: &At<'_>) -> Found {
        let mut kept = Vec::with_capacity(items.len());
        let mut unknown = false;
        for (index, item) in items.iter().enumerate() {
            match self.value(item, &at.index(index)) {
                Found::Value(value) => {
                    if kept.len() != index {
                        self.origins.moved(&at.to_string(), kept.len(), index);
                    }
                    kept.push(value);
                }
                Found::Nothing => {}
                Found::Unknown => unknown = true,
            }
        }
        if unknown { Found::Unknown } else { Found::Value(Value::Array(kept)) }
    }

    fn members(&mut self, members: &Map<String, Value>, at: &At<'_>) -> Found {
        if let Some(name) = members.keys().find(|name| name.starts_with("Fn::")) {
            self.problem(at, format!("`{name}` must be the only key of its map"));
            return Found::Unknown;
        }
        let mut kept = Map::new();
        let mut unknown = false;
        for (name, value) in members {
            match self.value(value, &at.key(name)) {
                Found::Value(value) => drop(kept.insert(name.clone(), value)),
                Found::Nothing => {}
                Found::Unknown => unknown = true,
            }
        }
        if unknown { Found::Unknown } else { Found::Value(Value::Object(kept)) }
    }

    /// A text that an expression made, on the account of the whole.
    pub(super) fn made(&mut self, text: String, at: &At<'_>) -> Found {
        if self.is_spent() {
            return Found::Unknown;
        }
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > BYTES_MAX {
            let bound = format!("{} MiB of text", BYTES_MAX >> 20);
            self.problem(at, format!("the template makes more than {bound}: it is not evaluated further"));
            return Found::Unknown;
        }
        Found::Value(Value::String(text))
    }

    pub(super) fn enter(&mut self, at: &At<'_>) -> bool {
        if self.is_spent() {
            return false;
        }
        if self.depth >= DEPTH_MAX {
            self.problem(at, format!("more than {DEPTH_MAX} expressions lie within each other"));
            return false;
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.problem(at, format!("the template asks for more than {STEPS_MAX} steps"));
            return false;
        }
        self.depth += 1;
        true
    }

    /// As `enter`, for what is not a value; the caller calls `leave`.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    fn is_spent(&self) -> bool {
        self.steps > STEPS_MAX || self.bytes > BYTES_MAX
    }

    pub(super) fn problem(&mut self, at: &At<'_>, message: String) {
        self.findings.problem(at.to_string(), message, None);
    }

    pub(super) fn problem_with(&mut self, at: &At<'_>, message: String, hint: String) {
        self.findings.problem(at.to_string(), message, Some(hint));
    }

    /// The value that was given for this key, else a note that somebody has to.
    pub(super) fn given_or_unknown(&mut self, key: &str, what: &str, at: &At<'_>) -> Found {
        match self.given(key) {
            Some(text) => self.made(text, at),
            None => {
                self.findings.unknown(key, what, at.to_string());
                Found::Unknown
            }
        }
    }

    pub(super) fn given(&mut self, key: &str) -> Option<String> {
        let text = self.setting.given.get(key)?;
        self.used.insert(key.to_owned());
        Some(text.clone())
    }

    /// Runs `follow` unless the same thing is being followed already, which it reports as a circle.
    pub(super) fn once(&mut self, what: &str, at: &At<'_>, follow: impl FnOnce(&mut Self) -> Found) -> Found {
        if let Some(start) = self.under_way.iter().position(|other| other == what) {
            let circle = self.under_way[start..].iter().map(String::as_str).chain([what]);
            let circle = circle.collect::<Vec<_>>().join(" → ");
            self.problem(at, format!("this leads back to itself: {circle}"));
            return Found::Unknown;
        }
        if !self.enter(at) {
            return Found::Unknown;
        }
        self.under_way.push(what.to_owned());
        let found = follow(self);
        self.under_way.pop();
        self.leave();
        found
    }
}

/// The intrinsic function that a map with one key stands for.
fn function(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = members.iter().next().filter(|_| members.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with<T>(work: impl FnOnce(&mut Evaluator<'_>) -> T) -> T {
        let whole = json!({ "Resources": {} });
        let template = Template::of(&whole).expect("it has a mark of a template");
        let given = BTreeMap::new();
        let setting = Setting { region: "r", account: "a", stack: "s", given: &given, matches: &|_, _| None };
        work(&mut Evaluator::new(template, setting))
    }

    fn messages(evaluator: &mut Evaluator<'_>) -> Vec<String> {
        evaluator.take_findings().problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn text_may_fill_its_account_and_not_a_byte_more() {
        with(|evaluator| {
            let at = At::Root("x");
            let half = "x".repeat(BYTES_MAX / 2);
            for _ in 0..2 {
                assert_eq!(evaluator.made(half.clone(), &at), Found::Value(half.clone().into()));
            }
            assert!(evaluator.enter(&at), "a full account is not an overdrawn one");
            assert_eq!(evaluator.made(String::new(), &at), Found::Value("".into()));
            assert_eq!(messages(evaluator), Vec::<String>::new());
            assert_eq!(evaluator.made("x".into(), &at), Found::Unknown);
            let told = ["the template makes more than 16 MiB of text: it is not evaluated further"];
            assert_eq!(messages(evaluator), told);
            // From here on nothing is evaluated, and nothing more is said.
            assert_eq!(evaluator.made(String::new(), &at), Found::Unknown);
            assert!(!evaluator.enter(&at));
            assert_eq!(evaluator.value(&json!(1), &at), Found::Unknown);
            assert_eq!(messages(evaluator), Vec::<String>::new());
        });
    }

    #[test]
    fn steps_have_an_end_and_it_is_told_once() {
        with(|evaluator| {
            let at = At::Root("x");
            for _ in 0..STEPS_MAX {
                assert!(evaluator.enter(&at));
                evaluator.leave();
            }
            assert_eq!(evaluator.made("x".into(), &at), Found::Value("x".into()), "the last step is a step");
            assert!(!evaluator.enter(&at));
            assert_eq!(messages(evaluator), ["the template asks for more than 1000000 steps"]);
            assert!(!evaluator.enter(&at));
            assert_eq!(evaluator.made("x".into(), &at), Found::Unknown);
            assert_eq!(messages(evaluator), Vec::<String>::new());
        });
    }

    #[test]
    fn two_hundred_expressions_may_lie_within_each_other() {
        with(|evaluator| {
            let at = At::Root("x");
            for _ in 0..DEPTH_MAX {
                assert!(evaluator.enter(&at));
            }
            assert!(!evaluator.enter(&at));
            assert_eq!(messages(evaluator), ["more than 200 expressions lie within each other"]);
            evaluator.leave();
            assert!(evaluator.enter(&at), "who leaves makes room");
        });
    }
}
