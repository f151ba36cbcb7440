//! Reading a definition out of JSON, with the place of whatever cannot be read.
//!
//! Serde's own deserializer over a `Value` says what is wrong but not where. This one is the same walk with a
//! path: each list and object it returns through prepends its step to the error. A `null` member counts as
//! absent, as it does on the wire.

use super::PipelineDeclaration;
use super::error::{DefinitionError, DefinitionErrorCode};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value;
use std::fmt;

/// Reads a declaration: bare, inside `{"pipeline": ...}`, or as GetPipeline returns it (with `metadata`).
/// Members the API does not know are ignored.
///
/// # Errors
/// The first member that is missing, of the wrong kind or breaks its rule: `SerializationException` for a wrong
/// kind of JSON value, else `ValidationException`.
pub fn parse(json: &Value) -> Result<PipelineDeclaration, DefinitionError> {
    let declaration = match json.get("pipeline") {
        Some(inner @ Value::Object(_)) => inner,
        Some(_) | None => json,
    };
    serde::Deserialize::deserialize(Reader { value: declaration }).map_err(ReadError::into_definition_error)
}

/// What could not be read, and the steps to it, innermost first.
#[derive(Debug)]
struct ReadError {
    problem: Problem,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Problem {
    /// The JSON value is of another kind than the member.
    Kind { found: String, expected: String },
    /// A required member is not there.
    Missing,
    /// A word outside an enumeration.
    Variant { expected: &'static [&'static str] },
    /// A text or number that breaks its own rule.
    Rule(String),
}

#[derive(Debug)]
enum Step {
    Member(String),
    Index(usize),
}

impl ReadError {
    fn of(problem: Problem) -> Self {
        Self { problem, steps: Vec::new() }
    }

    fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => path.push_str(&format!(".{name}")),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn into_definition_error(self) -> DefinitionError {
        let path = self.path();
        match self.problem {
            Problem::Kind { found, expected } => {
                let message = format!("{found} stands where {expected} is expected");
                let error = DefinitionError::new(DefinitionErrorCode::SerializationException, path, message);
                // A list in quotes would be one no more.
                if expected == A_TEXT && ![A_LIST, A_MAP, NOTHING].contains(&found.as_str()) {
                    error.hint("write the value in quotes: every value of a configuration is a text")
                } else {
                    error
                }
            }
            Problem::Missing => DefinitionError::constraint(path, "Member must not be null")
                .hint("this member is required: add it"),
            Problem::Variant { expected } => {
                let words = expected.join(", ");
                DefinitionError::constraint(path, &format!("Member must satisfy enum value set: [{words}]"))
                    .hint(format!("use one of: {words}; upper and lower case matter"))
            }
            Problem::Rule(rule) => {
                let message = format!("1 validation error detected: {rule}");
                DefinitionError::new(DefinitionErrorCode::ValidationException, path, message)
            }
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at `{}`", self.problem, self.path())
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::of(Problem::Rule(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::of(Problem::Kind { found: found_words(found), expected: expected_words(&expected.to_string()) })
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::of(Problem::Variant { expected })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::of(Problem::Missing).under(Step::Member(name.to_owned()))
    }
}

/// Characters shown of a text that stands where none may, most.
const SHOWN_CHARS: usize = 60;

/// What things are called in messages.
const A_TEXT: &str = "a text";
const A_LIST: &str = "a list";
const A_MAP: &str = "a map";
const NOTHING: &str = "nothing";

/// JSON's kinds in words of people, not of the reader's language.
fn found_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(yes) => format!("`{yes}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) => match text.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("the text `{}…`", &text[..end]),
            None => format!("the text `{text}`"),
        },
        Unexpected::Unit | Unexpected::Option => NOTHING.to_owned(),
        Unexpected::Seq => A_LIST.to_owned(),
        Unexpected::Map => A_MAP.to_owned(),
        other => other.to_string(),
    }
}

/// The same for what a type asks for.
fn expected_words(expected: &str) -> String {
    let words = match expected {
        "a string" => A_TEXT,
        "a boolean" => "`true` or `false`",
        "a sequence" => A_LIST,
        "a map" => A_MAP,
        whole if whole.starts_with(['i', 'u']) && whole[1..].parse::<u8>().is_ok() => "a whole number",
        shape if shape.starts_with("struct ") => A_MAP,
        other => other,
    };
    words.to_owned()
}

/// A JSON value being read.
struct Reader<'a> {
    value: &'a Value,
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(unsigned), _, _) => visitor.visit_u64(unsigned),
                (None, Some(signed), _) => visitor.visit_i64(signed),
                (None, None, float) => visitor.visit_f64(float.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Object(members) => visitor.visit_map(Members { members: members.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            // Members would be taken in the order of a list.
            Value::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            Value::String(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            other => Err(de::Error::invalid_type(unexpected(other), &"a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(yes) => Unexpected::Bool(*yes),
        Value::Number(_) => Unexpected::Other("a number"),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((index, value)) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(Reader { value }).map(Some).map_err(|error| error.under(Step::Index(index)))
    }
}

struct Members<'a> {
    members: serde_json::map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> de::MapAccess<'de> for Members<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((name, value)) = self.members.find(|(_, value)| !value.is_null()) else {
            return Ok(None);
        };
        self.value = Some((name, value));
        seed.deserialize(de::value::BorrowedStrDeserializer::new(name))
            .map(Some)
            .map_err(|error: ReadError| error.under(Step::Member(name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (name, value) =
            self.value.take().ok_or_else(|| de::Error::custom("a value was asked for before its name"))?;
        seed.deserialize(Reader { value }).map_err(|error| error.under(Step::Member(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(change: impl FnOnce(&mut Value)) -> DefinitionError {
        let mut json = json!({
            "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/r",
            "artifactStore": {"type": "S3", "location": "artifacts"},
            "stages": [{"name": "Source", "actions": [{
                "name": "Fetch", "runOrder": 1,
                "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                "configuration": {"S3Bucket": "b"}
            }]}]
        });
        assert!(parse(&json).is_ok());
        change(&mut json);
        parse(&json).unwrap_err()
    }

    #[test]
    fn a_name_that_breaks_its_rule_is_found_by_its_path() {
        let error = refused(|json| json["stages"][0]["actions"][0]["name"] = json!("a b"));
        assert_eq!(error.path, "stages[0].actions[0].name");
        assert_eq!(error.code, DefinitionErrorCode::ValidationException);
        assert!(error.message.contains("`a b` is not a action name"), "{}", error.message);
    }

    #[test]
    fn a_missing_member_is_named() {
        let error = refused(|json| {
            json["stages"][0].as_object_mut().unwrap().remove("actions");
        });
        assert_eq!(error.path, "stages[0].actions");
        assert_eq!(
            error.message,
            "1 validation error detected: Value at 'pipeline.stages.1.member.actions' failed to satisfy \
             constraint: Member must not be null"
        );
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = refused(|json| json["executionMode"] = json!("FAST"));
        assert_eq!(error.path, "executionMode");
        assert!(
            error.message.ends_with("Member must satisfy enum value set: [SUPERSEDED, QUEUED, PARALLEL]"),
            "{}",
            error.message
        );
    }

    #[test]
    fn a_wrong_kind_of_value_is_a_serialization_exception() {
        let error = refused(|json| json["stages"][0]["actions"][0]["configuration"]["S3Bucket"] = json!(7));
        assert_eq!(error.code, DefinitionErrorCode::SerializationException);
        assert_eq!(error.path, "stages[0].actions[0].configuration.S3Bucket");
        assert_eq!(error.message, "the number 7 stands where a text is expected");
        let error = refused(|json| json["stages"] = json!({}));
        assert_eq!(
            (error.code, error.path.as_str()),
            (DefinitionErrorCode::SerializationException, "stages")
        );
    }

    #[test]
    fn what_is_expected_is_told_in_words_and_what_has_none_as_it_is() {
        for (expected, words) in [
            ("a string", "a text"),
            ("a boolean", "`true` or `false`"),
            ("a sequence", "a list"),
            ("i64", "a whole number"),
            ("u8", "a whole number"),
            ("struct StageDeclaration", "a map"),
            ("f64", "f64"),
            ("item", "item"),
            ("u", "u"),
            ("one of two", "one of two"),
        ] {
            assert_eq!(expected_words(expected), words);
        }
    }

    #[test]
    fn every_kind_of_value_is_named_where_another_is_expected() {
        let text = Some("write the value in quotes: every value of a configuration is a text");
        let of = |pointer: &str, value: Value| {
            let error = refused(|json| *json.pointer_mut(pointer).unwrap() = value);
            assert_eq!(error.code, DefinitionErrorCode::SerializationException, "{}", error.message);
            (error.message, error.hint)
        };
        let bucket = "/stages/0/actions/0/configuration/S3Bucket";
        let (order, category) = ("/stages/0/actions/0/runOrder", "/stages/0/actions/0/actionTypeId/category");
        for (pointer, value, message, hint) in [
            (bucket, json!(true), "`true` stands where a text is expected", text),
            (bucket, json!(-7), "the number -7 stands where a text is expected", text),
            (bucket, json!(1.5), "the number 1.5 stands where a text is expected", text),
            (bucket, json!([]), "a list stands where a text is expected", None),
            (bucket, json!({}), "a map stands where a text is expected", None),
            ("/stages/0", json!(["Source", []]), "a list stands where a map is expected", None),
            (order, json!("1"), "the text `1` stands where a whole number is expected", None),
            (order, json!(1.5), "the number 1.5 stands where a whole number is expected", None),
            (category, json!(true), "`true` stands where a text is expected", text),
            (category, json!(7), "a number stands where a text is expected", text),
            (category, json!([]), "a list stands where a text is expected", None),
            (category, json!({}), "a map stands where a text is expected", None),
        ] {
            assert_eq!(of(pointer, value), (message.to_owned(), hint.map(str::to_owned)), "{pointer}");
        }
        let error = refused(|json| json["stages"][0]["actions"][0]["commands"] = json!(["a", null]));
        assert_eq!(error.path, "stages[0].actions[0].commands[1]");
        assert_eq!(error.message, "nothing stands where a text is expected");
    }

    #[test]
    fn what_breaks_a_rule_is_answered_with_the_rule_and_what_is_missing_with_a_hint() {
        let rule = refused(|json| json["stages"][0]["actions"][0]["runOrder"] = json!(-1));
        assert_eq!(rule.code, DefinitionErrorCode::ValidationException);
        assert_eq!(
            rule.message,
            "1 validation error detected: `-1` is not a run order: a number from 1 to 999"
        );
        let missing = refused(|json| json["stages"][0]["actions"][0]["name"] = Value::Null);
        assert_eq!(missing.path, "stages[0].actions[0].name");
        assert_eq!(missing.hint.as_deref(), Some("this member is required: add it"));
        let word = refused(|json| json["executionMode"] = json!("queued"));
        let hint = "use one of: SUPERSEDED, QUEUED, PARALLEL; upper and lower case matter";
        assert_eq!(word.hint.as_deref(), Some(hint));
        let whole = parse(&json!("x")).unwrap_err();
        assert_eq!((whole.path.as_str(), whole.code), ("", DefinitionErrorCode::SerializationException));
    }

    #[test]
    fn an_error_of_the_reader_names_its_place() {
        let error = <ReadError as de::Error>::custom("odd").under(Step::Index(3));
        let error = error.under(Step::Member("stages".into()));
        assert_eq!(error.to_string(), "Rule(\"odd\") at `stages[3]`");
    }

    #[test]
    fn the_three_wrappings_read_the_same() {
        let bare = json!({
            "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/r", "stages": [], "unheardOf": 1,
            "triggers": null
        });
        let declared = parse(&bare).unwrap();
        assert_eq!(parse(&json!({ "pipeline": bare })).unwrap(), declared);
        assert_eq!(parse(&json!({ "pipeline": bare, "metadata": {"created": 1.5} })).unwrap(), declared);
    }
}
