//! The intrinsic functions, each in one place.

use super::{
    evaluate::{At, Evaluator, Found},
    kind_of, scalar,
};
use serde_json::Value;
use std::ops::RangeInclusive;

impl Evaluator<'_> {
    pub(super) fn function(&mut self, name: &str, argument: &Value, above: &At<'_>) -> Found {
        let at = &above.key(name);
        match name {
            "Ref" => self.reference(argument, at),
            "Fn::GetAtt" => self.attribute(argument, at),
            "Fn::Sub" => self.substitute(argument, at),
            "Fn::Join" => self.join(argument, at),
            "Fn::Split" => self.split(argument, at),
            "Fn::Select" => self.select(argument, at),
            "Fn::If" => self.choose(argument, at, above),
            "Fn::FindInMap" => self.find_in_map(argument, at),
            "Fn::ImportValue" => self.import_value(argument, at),
            "Fn::Base64" => self.base64(argument, at),
            "Fn::Length" => self.length(argument, at),
            "Fn::ToJsonString" => self.json_text(argument, at),
            "Fn::GetAZs" => self.zones(argument, at),
            "Fn::Cidr" => self.cidr(argument, at),
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                let hint = "put it under `Conditions`, and use `Fn::If` with its name here".to_owned();
                self.problem_with(at, format!("`{name}` is a condition, not a value"), hint);
                Found::Unknown
            }
            "Fn::Transform" => {
                let hint = "evaluate it first, and run the template that comes out of it".to_owned();
                self.problem_with(at, "`Fn::Transform` runs a macro that only AWS has".to_owned(), hint);
                Found::Unknown
            }
            other => {
                self.problem(at, format!("there is no function `{other}` here"));
                Found::Unknown
            }
        }
    }

    /// The arguments of a function that takes a list of them, unevaluated.
    pub(super) fn arguments<'v>(
        &mut self,
        argument: &'v Value,
        counts: RangeInclusive<usize>,
        form: &str,
        at: &At<'_>,
    ) -> Option<&'v [Value]> {
        let found = argument.as_array().map(Vec::as_slice).filter(|list| counts.contains(&list.len()));
        if found.is_none() {
            self.problem(at, format!("{} stands where {form} is expected", kind_of(argument)));
        }
        found
    }

    /// A list, evaluated.
    fn items(&mut self, value: &Value, at: &At<'_>) -> Option<Vec<Value>> {
        match self.value(value, at) {
            Found::Value(Value::Array(items)) => Some(items),
            Found::Value(other) => {
                self.problem(at, format!("{} stands where a list is expected", kind_of(&other)));
                None
            }
            Found::Nothing => Some(Vec::new()),
            Found::Unknown => None,
        }
    }

    fn join(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let form = "`[delimiter, [parts]]`";
        let Some([delimiter, parts]) = self.arguments(argument, 2..=2, form, at) else {
            return Found::Unknown;
        };
        let delimiter = self.text(delimiter, &at.index(0));
        let (Some(delimiter), Some(parts)) = (delimiter, self.items(parts, &at.index(1))) else {
            return Found::Unknown;
        };
        let mut texts = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let Some(text) = scalar(part) else {
                let parts_at = at.index(1);
                let message = format!("{} cannot be joined: texts can", kind_of(part));
                self.problem(&parts_at.index(index), message);
                return Found::Unknown;
            };
            texts.push(text);
        }
        self.made(texts.join(&delimiter), at)
    }

    fn split(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let Some([delimiter, text]) = self.arguments(argument, 2..=2, "`[delimiter, text]`", at) else {
            return Found::Unknown;
        };
        let delimiter = self.text(delimiter, &at.index(0));
        let (Some(delimiter), Some(text)) = (delimiter, self.text(text, &at.index(1))) else {
            return Found::Unknown;
        };
        if delimiter.is_empty() {
            self.problem(&at.index(0), "the delimiter must not be empty".to_owned());
            return Found::Unknown;
        }
        Found::Value(text.split(&delimiter).map(Value::from).collect())
    }

    fn select(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let Some([index, list]) = self.arguments(argument, 2..=2, "`[index, [values]]`", at) else {
            return Found::Unknown;
        };
        let index = self.text(index, &at.index(0));
        let (Some(index), Some(list)) = (index, self.items(list, &at.index(1))) else {
            return Found::Unknown;
        };
        match index.parse::<usize>().ok().and_then(|index| list.get(index)) {
            Some(value) => Found::Value(value.clone()),
            None => {
                let message = format!("there is no entry `{index}` in a list of {}", list.len());
                self.problem_with(at, message, "entries are counted from 0".to_owned());
                Found::Unknown
            }
        }
    }

    fn choose(&mut self, argument: &Value, at: &At<'_>, above: &At<'_>) -> Found {
        let form = "`[condition, value if true, value if false]`";
        let Some([condition, yes, no]) = self.arguments(argument, 3..=3, form, at) else {
            return Found::Unknown;
        };
        let Some(name) = condition.as_str() else {
            self.problem(&at.index(0), "the name of a condition is expected".to_owned());
            return Found::Unknown;
        };
        let (index, branch) = match self.condition(name, &at.index(0)) {
            Some(true) => (1, yes),
            Some(false) => (2, no),
            None => return Found::Unknown,
        };
        let place = at.index(index);
        self.origins.chosen(above.to_string(), place.to_string());
        self.value(branch, &place)
    }

    fn find_in_map(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let form = "`[map, first key, second key]`";
        let Some(arguments) = self.arguments(argument, 3..=4, form, at) else { return Found::Unknown };
        let mut keys = Vec::with_capacity(3);
        for (index, key) in arguments.iter().take(3).enumerate() {
            let Some(key) = self.text(key, &at.index(index)) else { return Found::Unknown };
            keys.push(key);
        }
        let found = self.template.section("Mappings").and_then(|maps| {
            let found = maps.get(&keys[0])?.get(&keys[1])?.get(&keys[2])?;
            Some(found.clone())
        });
        if let Some(value) = found {
            return self.value(&value, at);
        }
        if let Some(default) = arguments.get(3).and_then(|options| options.get("DefaultValue")) {
            return self.value(default, &at.index(3).key("DefaultValue"));
        }
        self.problem(at, format!("`Mappings` has nothing under `{}`", keys.join(".")));
        Found::Unknown
    }

    fn import_value(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let Some(name) = self.text(argument, at) else { return Found::Unknown };
        self.given_or_unknown(&format!("ImportValue:{name}"), "a value that another stack exports", at)
    }

    fn base64(&mut self, argument: &Value, at: &At<'_>) -> Found {
        match self.text(argument, at) {
            Some(text) => self.made(base64(text.as_bytes()), at),
            None => Found::Unknown,
        }
    }

    fn length(&mut self, argument: &Value, at: &At<'_>) -> Found {
        match self.items(argument, at) {
            Some(items) => Found::Value(items.len().into()),
            None => Found::Unknown,
        }
    }

    fn json_text(&mut self, argument: &Value, at: &At<'_>) -> Found {
        match self.value(argument, at) {
            Found::Value(value) => self.made(value.to_string(), at),
            other @ (Found::Nothing | Found::Unknown) => other,
        }
    }

    fn zones(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let Some(region) = self.text(argument, at) else { return Found::Unknown };
        let region = if region.is_empty() { self.region() } else { region };
        let what = "the availability zones of an account, separated by commas";
        self.listed(&format!("GetAZs:{region}"), what, at)
    }

    fn cidr(&mut self, argument: &Value, at: &At<'_>) -> Found {
        let form = "`[block, count, bits]`";
        let Some(arguments) = self.arguments(argument, 2..=3, form, at) else { return Found::Unknown };
        let mut words = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let Some(word) = self.text(argument, &at.index(index)) else { return Found::Unknown };
            words.push(word);
        }
        self.listed(&format!("Cidr:{}", words.join(",")), "address blocks, separated by commas", at)
    }

    /// Something unknown that is a list: given with commas.
    fn listed(&mut self, key: &str, what: &str, at: &At<'_>) -> Found {
        match self.given_or_unknown(key, what, at) {
            Found::Value(Value::String(text)) => Found::Value(text.split(',').map(Value::from).collect()),
            other => other,
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
