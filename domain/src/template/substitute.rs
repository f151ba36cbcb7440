//! `Fn::Sub`.

use super::{
    evaluate::{At, Evaluator, Found},
    kind_of,
};
use serde_json::{Map, Value};

impl Evaluator<'_> {
    pub(super) fn substitute(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let empty = Map::new();
        let (text, own, at) = match argument {
            Value::String(text) => (text, &empty, *at),
            other => {
                let form = "a text, or `[text, {names}]`";
                match self.arguments(other, 2..=2, form, at) {
                    Some([Value::String(text), Value::Object(own)]) => (text, own, at.index(0)),
                    Some(_) => {
                        self.problem(at, format!("{} stands where {form} is expected", kind_of(other)));
                        return Found::Unknown;
                    }
                    None => return Found::Unknown,
                }
            }
        };
        let mut made = String::with_capacity(text.len());
        let mut unknown = false;
        for part in parts(text) {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Hole(name) => match self.hole(name, own, &at) {
                    Some(value) => made.push_str(&value),
                    None => unknown = true,
                },
                Part::Open(rest) => {
                    let rest: String = rest.chars().take(40).collect();
                    self.problem(&at, format!("`{rest}` opens a `${{` that is not closed"));
                    unknown = true;
                }
            }
        }
        if unknown { Found::Unknown } else { self.made(made, &at) }
    }

    fn hole(&mut self, name: &str, own: &Map<String, Value>, at: &At<'_>) -> Option<String> {
        let found = match own.get(name) {
            Some(value) => self.value(value, at),
            None => match name.split_once('.') {
                _ if name.is_empty() => {
                    self.problem(at, "`${}` names nothing".to_owned());
                    return None;
                }
                Some((resource, attribute)) => self.attribute_of(resource, attribute, at),
                None => self.named(name, at),
            },
        };
        match found {
            Found::Value(value) => {
                let text = super::scalar(&value);
                if text.is_none() {
                    self.problem(at, format!("`${{{name}}}` is {}, not a text", kind_of(&value)));
                }
                text
            }
            Found::Nothing => {
                self.problem(at, format!("`${{{name}}}` has no value"));
                None
            }
            Found::Unknown => None,
        }
    }
}

enum Part<'s> {
    Text(&'s str),
    Hole(&'s str),
    /// A `${` without its end.
    Open(&'s str),
}

/// Texts and holes in turn. `${!name}` stands for the text `${name}`.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        found.push(Part::Text(&rest[..start]));
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            found.push(Part::Open(&rest[start..]));
            return found;
        };
        match inside[..end].strip_prefix('!') {
            Some(literal) => found.extend([Part::Text("${"), Part::Text(literal), Part::Text("}")]),
            None => found.push(Part::Hole(inside[..end].trim())),
        }
        rest = &inside[end + 1..];
    }
    found.push(Part::Text(rest));
    found
}
