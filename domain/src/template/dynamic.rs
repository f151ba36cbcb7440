//! Dynamic references: `{{resolve:ssm:/name}}` inside a text, which AWS replaces when it deploys.

use super::evaluate::{At, Evaluator, Found};
use serde_json::Value;

const OPEN: &str = "{{resolve:";

/// Members that only AWS reads: a token with which it would fetch a repository. The reference stays as it is.
const UNREAD: [&str; 2] = ["OAuthToken", "SecretToken"];

impl Evaluator<'_> {
    /// Evaluates an expression, and then what is to be resolved in the texts of its value.
    pub(super) fn resolved(&mut self, value: &Value, at: &At<'_>) -> Found {
        match self.value(value, at) {
            Found::Value(mut value) => match self.resolve(&mut value, at, false) {
                true => Found::Value(value),
                false => Found::Unknown,
            },
            Found::Nothing => Found::Nothing,
            Found::Unknown => {
                // Something else is missing already: this is told along with it, not afterwards.
                self.resolve(&mut value.clone(), at, false);
                Found::Unknown
            }
        }
    }

    fn resolve(&mut self, value: &mut Value, at: &At<'_>, unread: bool) -> bool {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
            Value::String(text) if !text.contains(OPEN) || unread => true,
            Value::String(text) => match self.replaced(text, at) {
                Some(replaced) => {
                    *text = replaced;
                    true
                }
                None => false,
            },
            Value::Array(items) => {
                let items = items.iter_mut().enumerate();
                // Each is looked at, so that all that is missing is told at once.
                items.fold(true, |known, (index, item)| self.resolve(item, &at.index(index), unread) && known)
            }
            // Of what could not be evaluated: which of the texts in it matter is not known.
            Value::Object(members)
                if members.keys().any(|name| name == "Ref" || name.starts_with("Fn::")) =>
            {
                true
            }
            Value::Object(members) => members.iter_mut().fold(true, |known, (name, member)| {
                let unread = UNREAD.contains(&name.as_str());
                self.resolve(member, &at.key(name), unread) && known
            }),
        }
    }

    fn replaced(&mut self, text: &str, at: &At<'_>) -> Option<String> {
        let mut made = String::new();
        let mut rest = text;
        let mut known = true;
        while let Some(start) = rest.find(OPEN) {
            let inside = &rest[start + 2..];
            let Some(end) = inside.find("}}") else { break };
            made.push_str(&rest[..start]);
            let what = "a value that AWS looks up when it deploys the template";
            match self.given_or_unknown(&inside[..end], what, at) {
                Found::Value(Value::String(value)) => made.push_str(&value),
                _ => known = false,
            }
            rest = &inside[end + 2..];
        }
        made.push_str(rest);
        known.then_some(made)
    }
}
