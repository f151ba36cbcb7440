//! The template's parameters: their types, what was given for them, and what they are by default.

use super::{
    evaluate::{At, Evaluator, Found},
    scalar,
};
use serde_json::{Map, Value};

/// Prefixes of keys that are not parameters.
const OTHER_KEYS: [&str; 7] = ["ImportValue:", "GetAtt:", "Ref:", "GetAZs:", "Cidr:", "resolve:", "AWS::"];
/// The type whose value lies in the Parameter Store.
const STORED: &str = "AWS::SSM::Parameter::Value<";

impl Evaluator<'_> {
    /// Checks everything that was given: the name of a parameter, and a value it allows.
    pub(super) fn check_given(&mut self) {
        let root = At::Root("Parameters");
        for name in self.setting.given.keys() {
            if OTHER_KEYS.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let declared = self.template.section("Parameters");
            if declared.is_some_and(|all| all.contains_key(name)) {
                self.parameter(name, &root.key(name));
                continue;
            }
            let known: Vec<&str> = declared.into_iter().flat_map(Map::keys).map(String::as_str).collect();
            let hint = match known.as_slice() {
                [] => "the template has no parameters".to_owned(),
                known => format!("its parameters: {}", known.join(", ")),
            };
            self.problem_with(&root, format!("there is no parameter `{name}` to give a value for"), hint);
        }
    }

    /// The value of a declared parameter.
    pub(super) fn parameter(&mut self, name: &str, at: &At<'_>) -> Found {
        if let Some(value) = self.parameters.get(name) {
            return Found::Value(value.clone());
        }
        let declared = self.template.section("Parameters").and_then(|all| all.get(name)?.as_object());
        let root = At::Root("Parameters");
        let own = root.key(name);
        let Some(declared) = declared else {
            self.problem(&own, "a map with the parameter's `Type` is expected".to_owned());
            return Found::Unknown;
        };
        let kind = declared.get("Type").and_then(Value::as_str).unwrap_or_default();
        let default = declared.get("Default").and_then(scalar);
        let text = match (self.given(name), default) {
            (Some(given), _) => given,
            (None, Some(key)) if kind.starts_with(STORED) => {
                let what = format!("the value that the Parameter Store holds under `{key}`");
                self.findings.unknown(name, &what, at.to_string());
                return Found::Unknown;
            }
            (None, Some(default)) => default,
            (None, None) => {
                self.findings.unknown(name, "a parameter without a default", at.to_string());
                return Found::Unknown;
            }
        };
        match self.checked(kind, declared, &text) {
            Ok(value) => {
                self.parameters.insert(name.to_owned(), value.clone());
                Found::Value(value)
            }
            Err(why) => {
                let hint = declared.get("ConstraintDescription").and_then(Value::as_str).map(str::to_owned);
                self.findings.problem(own.to_string(), why, hint);
                Found::Unknown
            }
        }
    }

    fn checked(&mut self, kind: &str, declared: &Map<String, Value>, text: &str) -> Result<Value, String> {
        // What is not to be echoed is not repeated in a message either.
        let secret = declared.get("NoEcho").and_then(scalar).is_some_and(|echo| echo == "true");
        let shown = if secret { "the value".to_owned() } else { format!("`{text}`") };
        let inner = kind.strip_prefix(STORED).and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
        let list = inner == "CommaDelimitedList" || inner.starts_with("List<");
        let number = inner == "Number" || inner == "List<Number>";
        if !(list || number || inner == "String" || inner.starts_with("AWS::")) {
            return Err(format!("`{kind}` is not a type of parameter"));
        }
        let items: Vec<&str> = if list { text.split(',').map(str::trim).collect() } else { vec![text] };
        for item in &items {
            if number && item.parse::<f64>().is_err() {
                return Err(format!("{shown} is not a number"));
            }
            self.within(declared, item, &shown, number)?;
        }
        Ok(if list { items.into_iter().map(Value::from).collect() } else { Value::from(text) })
    }

    fn within(
        &mut self,
        declared: &Map<String, Value>,
        text: &str,
        shown: &str,
        number: bool,
    ) -> Result<(), String> {
        if let Some(allowed) = declared.get("AllowedValues").and_then(Value::as_array) {
            let allowed: Vec<String> = allowed.iter().filter_map(scalar).collect();
            if !allowed.iter().any(|value| value == text) {
                return Err(format!("{shown} is not one of `{}`", allowed.join("`, `")));
            }
        }
        let bound = |key: &str| declared.get(key).and_then(scalar).and_then(|text| text.parse::<f64>().ok());
        let length = text.chars().count() as f64;
        let measure = if number { text.parse().unwrap_or(f64::NAN) } else { length };
        let (least, most) = if number { ("MinValue", "MaxValue") } else { ("MinLength", "MaxLength") };
        if let Some(least) = bound(least).filter(|least| measure < *least) {
            let what = if number { "less than" } else { "shorter than" };
            return Err(format!("{shown} is {what} {least}"));
        }
        if let Some(most) = bound(most).filter(|most| measure > *most) {
            let what = if number { "more than" } else { "longer than" };
            return Err(format!("{shown} is {what} {most}"));
        }
        let Some(pattern) = declared.get("AllowedPattern").and_then(Value::as_str) else { return Ok(()) };
        match (self.setting.matches)(pattern, text) {
            Some(true) => Ok(()),
            Some(false) => Err(format!("{shown} does not match `{pattern}`")),
            None => {
                let note = format!("the pattern `{pattern}` is not understood here: {shown} was not checked");
                self.findings.notes.push(("Parameters".to_owned(), note));
                Ok(())
            }
        }
    }
}
