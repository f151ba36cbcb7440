//! JSONPath as webhook filters know it: a part of Jayway's dialect. What is not known is refused by name when the
//! webhook is put, so that no filter means something else than its author thinks.

use serde_json::Value;
use std::ops::ControlFlow;

/// Characters of a path, most: the service model's own.
pub const JSON_PATH_CHARS_MAX: usize = 150;
/// Values looked at for one path in one body, most. Paths with several `..` grow with a power of the body's depth,
/// and the body is a stranger's.
pub const VALUES_VISITED_MAX: usize = 1_000_000;

/// A path that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

/// What is wrong with a path, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Something of the dialect that is not evaluated here.
    #[error(
        "{what} at character {at} is not supported: use $, .name, ['name'], [0], [*], ..name and [?(@.name == 'value')]"
    )]
    Unsupported {
        /// For example "the function `length()`".
        what: String,
        /// Counted from 1.
        at: usize,
    },
    /// No path in any dialect.
    #[error("{what} at character {at}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Counted from 1.
        at: usize,
    },
}

/// Too many values would have to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path leads to more than {VALUES_VISITED_MAX} values")]
pub struct TooMuch;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// `.name`, `['name']`, `['a', 'b']`.
    Names(Vec<String>),
    /// `[0]`, `[0, 2]`; below zero counts from the end.
    Indices(Vec<i64>),
    /// `[*]`, `.*`.
    Every,
    /// `..`: the value and everything in it.
    Descend,
    /// `[?(…)]`.
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    /// From the entry, `@`.
    path: Vec<String>,
    /// `None`: there must be something.
    compare: Option<(bool, Value)>,
}

impl JsonPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let mut reader = Reader { characters: text.chars().collect(), at: 0 };
        let mut steps = Vec::new();
        if !reader.takes('$') {
            // As in Jayway: a path without `$` begins with a name below it.
            if reader.peek() == Some('@') {
                return Err(reader.unsupported("`@` outside of a filter"));
            }
            if !matches!(reader.peek(), Some('.' | '[')) {
                steps.push(reader.member()?);
            }
        }
        while let Some(next) = reader.peek() {
            match next {
                '.' => reader.dot(&mut steps)?,
                '[' => steps.push(reader.bracket()?),
                _ => return Err(reader.malformed("`.` or `[` is missing")),
            }
        }
        Ok(Self { steps })
    }

    /// Whether some value that the path leads to is as wanted.
    pub fn finds(&self, body: &Value, mut is_wanted: impl FnMut(&Value) -> bool) -> Result<bool, TooMuch> {
        let mut walk = Walk { left: VALUES_VISITED_MAX, is_wanted: &mut is_wanted };
        match walk.step(&self.steps, body) {
            ControlFlow::Continue(()) => Ok(false),
            ControlFlow::Break(End::Found) => Ok(true),
            ControlFlow::Break(End::TooMuch) => Err(TooMuch),
        }
    }
}

enum End {
    Found,
    TooMuch,
}

struct Walk<'a> {
    left: usize,
    is_wanted: &'a mut dyn FnMut(&Value) -> bool,
}

impl Walk<'_> {
    fn step(&mut self, steps: &[Step], value: &Value) -> ControlFlow<End> {
        let Some(left) = self.left.checked_sub(1) else { return ControlFlow::Break(End::TooMuch) };
        self.left = left;
        let Some((step, rest)) = steps.split_first() else {
            return if (self.is_wanted)(value) {
                ControlFlow::Break(End::Found)
            } else {
                ControlFlow::Continue(())
            };
        };
        match step {
            Step::Names(names) => names
                .iter()
                .filter_map(|name| value.as_object()?.get(name))
                .try_for_each(|value| self.step(rest, value)),
            Step::Indices(indices) => indices
                .iter()
                .filter_map(|index| entry(value, *index))
                .try_for_each(|value| self.step(rest, value)),
            Step::Every => children(value).try_for_each(|value| self.step(rest, value)),
            Step::Descend => {
                self.step(rest, value)?;
                children(value).try_for_each(|value| self.step(steps, value))
            }
            Step::Filter(filter) => {
                // Of a list its entries; of anything else itself.
                let alone = (!value.is_array()).then_some(value);
                let entries = value.as_array().into_iter().flatten().chain(alone);
                entries.filter(|entry| filter.passes(entry)).try_for_each(|value| self.step(rest, value))
            }
        }
    }
}

impl Filter {
    fn passes(&self, entry: &Value) -> bool {
        let found = self.path.iter().try_fold(entry, |value, name| value.as_object()?.get(name));
        match (&self.compare, found) {
            (None, found) => found.is_some(),
            (Some((equal, wanted)), Some(found)) => (found == wanted) == *equal,
            (Some((equal, _)), None) => !equal,
        }
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(entries) => Box::new(entries.iter()),
        Value::Object(members) => Box::new(members.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
    }
}

fn entry(value: &Value, index: i64) -> Option<&Value> {
    let entries = value.as_array()?;
    let at = if index < 0 { i64::try_from(entries.len()).ok()?.checked_add(index)? } else { index };
    entries.get(usize::try_from(at).ok()?)
}

struct Reader {
    characters: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn needs(&mut self, wanted: char, otherwise: &'static str) -> Result<(), BadPath> {
        if self.takes(wanted) { Ok(()) } else { Err(self.malformed(otherwise)) }
    }

    fn blanks(&mut self) {
        while self.takes(' ') {}
    }

    fn malformed(&self, what: &'static str) -> BadPath {
        BadPath::Malformed { what, at: self.at + 1 }
    }

    fn unsupported(&self, what: impl Into<String>) -> BadPath {
        BadPath::Unsupported { what: what.into(), at: self.at + 1 }
    }

    /// From a `.`.
    fn dot(&mut self, steps: &mut Vec<Step>) -> Result<(), BadPath> {
        self.at += 1;
        if self.takes('.') {
            steps.push(Step::Descend);
            if self.peek() == Some('[') {
                return Ok(());
            }
        }
        steps.push(self.member()?);
        Ok(())
    }

    /// A name, or `*`.
    fn member(&mut self) -> Result<Step, BadPath> {
        if self.takes('*') {
            return Ok(Step::Every);
        }
        let start = self.at;
        let name = self.name()?;
        if self.peek() == Some('(') {
            self.at = start;
            return Err(self.unsupported(format!("the function `{name}()`")));
        }
        Ok(Step::Names(vec![name]))
    }

    fn name(&mut self) -> Result<String, BadPath> {
        let start = self.at;
        while self.peek().is_some_and(|next| !".[]()?@*'\", =!<>&|".contains(next)) {
            self.at += 1;
        }
        if start == self.at {
            return Err(self.malformed("a name is missing"));
        }
        Ok(self.characters[start..self.at].iter().collect())
    }

    /// From a `[`.
    fn bracket(&mut self) -> Result<Step, BadPath> {
        self.at += 1;
        self.blanks();
        let step = match self.peek() {
            Some('\'' | '"') => self.names()?,
            Some('*') => {
                self.at += 1;
                Step::Every
            }
            Some('?') => Step::Filter(self.filter()?),
            Some('(') => return Err(self.unsupported("a script `[(…)]`")),
            Some(':') => return Err(self.unsupported("a slice `[from:to]`")),
            Some('-' | '0'..='9') => self.indices()?,
            _ => return Err(self.malformed("a quoted name, a number, `*` or `?(` is missing")),
        };
        self.blanks();
        self.needs(']', "`]` is missing")?;
        Ok(step)
    }

    fn names(&mut self) -> Result<Step, BadPath> {
        let mut names = Vec::new();
        loop {
            names.push(self.quoted()?);
            self.blanks();
            if !self.takes(',') {
                return Ok(Step::Names(names));
            }
            self.blanks();
        }
    }

    fn indices(&mut self) -> Result<Step, BadPath> {
        let mut indices = Vec::new();
        loop {
            indices.push(self.integer()?);
            self.blanks();
            if self.peek() == Some(':') {
                return Err(self.unsupported("a slice `[from:to]`"));
            }
            if !self.takes(',') {
                return Ok(Step::Indices(indices));
            }
            self.blanks();
        }
    }

    fn integer(&mut self) -> Result<i64, BadPath> {
        let start = self.at;
        self.takes('-');
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.characters[start..self.at].iter().collect();
        digits
            .parse()
            .map_err(|_| BadPath::Malformed { what: "a number is missing or too large", at: start + 1 })
    }

    /// Text in quotes, `\` before a quote or a `\` in it.
    fn quoted(&mut self) -> Result<String, BadPath> {
        let Some(quote @ ('\'' | '"')) = self.peek() else {
            return Err(self.malformed("a quoted name is missing"));
        };
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.malformed("a quote is not closed")),
                Some(next) if next == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => {
                    self.at += 1;
                    let Some(escaped @ ('\'' | '"' | '\\')) = self.peek() else {
                        return Err(self.unsupported("this escape"));
                    };
                    text.push(escaped);
                    self.at += 1;
                }
                Some(next) => {
                    text.push(next);
                    self.at += 1;
                }
            }
        }
    }

    /// From a `?`.
    fn filter(&mut self) -> Result<Filter, BadPath> {
        self.at += 1;
        self.blanks();
        self.needs('(', "`(` is missing after `?`")?;
        self.blanks();
        if !self.takes('@') {
            return Err(self.unsupported("a filter that does not begin with `@`"));
        }
        let path = self.filter_path()?;
        self.blanks();
        let compare = match self.peek() {
            Some(')') => None,
            Some(sign @ ('=' | '!')) => {
                self.at += 1;
                if !self.takes('=') {
                    return Err(self.unsupported(format!("the operator `{sign}`")));
                }
                if matches!(self.peek(), Some('=' | '~')) {
                    return Err(self.unsupported("this operator"));
                }
                self.blanks();
                Some((sign == '=', self.literal()?))
            }
            Some(sign @ ('<' | '>' | '&' | '|')) => {
                return Err(self.unsupported(format!("the operator `{sign}`")));
            }
            Some(_) => return Err(self.unsupported("this operator")),
            None => return Err(self.malformed("`)` is missing")),
        };
        self.blanks();
        if matches!(self.peek(), Some('&' | '|')) {
            return Err(self.unsupported("more than one condition in a filter"));
        }
        self.needs(')', "`)` is missing")?;
        Ok(Filter { path, compare })
    }

    fn filter_path(&mut self) -> Result<Vec<String>, BadPath> {
        let mut path = Vec::new();
        loop {
            if self.takes('.') {
                let start = self.at;
                if matches!(self.peek(), Some('.' | '*')) {
                    return Err(self.unsupported("`..` or `*` within a filter"));
                }
                let name = self.name()?;
                if self.peek() == Some('(') {
                    self.at = start;
                    return Err(self.unsupported(format!("the function `{name}()`")));
                }
                path.push(name);
            } else if self.takes('[') {
                if !matches!(self.peek(), Some('\'' | '"')) {
                    return Err(self.unsupported("anything but a quoted name in brackets within a filter"));
                }
                path.push(self.quoted()?);
                self.needs(']', "`]` is missing")?;
            } else {
                return Ok(path);
            }
        }
    }

    /// A text in quotes, a number, `true`, `false` or `null`.
    fn literal(&mut self) -> Result<Value, BadPath> {
        if matches!(self.peek(), Some('\'' | '"')) {
            return self.quoted().map(Value::String);
        }
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_ascii_alphanumeric() || "+-.".contains(next)) {
            self.at += 1;
        }
        let word: String = self.characters[start..self.at].iter().collect();
        match serde_json::from_str(&word) {
            Ok(value) => Ok(value),
            Err(_) => {
                self.at = start;
                Err(self.malformed("a text in quotes, a number, `true`, `false` or `null` is missing"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(path: &str, body: &Value) -> Vec<Value> {
        let mut all = Vec::new();
        let path = JsonPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let end = path.finds(body, |value| {
            all.push(value.clone());
            false
        });
        assert_eq!(end, Ok(false));
        all
    }

    fn push() -> Value {
        json!({
            "ref": "refs/heads/main",
            "head_commit": { "modified": ["a.rs", "b.rs"], "author": { "name": "Ann" } },
            "commits": [
                { "id": "1", "author": { "name": "Ann" }, "distinct": true },
                { "id": "2", "author": { "name": "Bob" }, "distinct": false, "odd name": "x", "it's": 7 },
            ],
        })
    }

    #[test]
    fn each_form_leads_where_it_should() {
        let body = push();
        let cases: &[(&str, Value)] = &[
            ("$.ref", json!(["refs/heads/main"])),
            ("ref", json!(["refs/heads/main"])),
            ("$['ref']", json!(["refs/heads/main"])),
            ("$[\"ref\"]", json!(["refs/heads/main"])),
            ("$.head_commit.modified", json!([["a.rs", "b.rs"]])),
            ("$.head_commit.modified[*]", json!(["a.rs", "b.rs"])),
            ("$.head_commit.modified[1]", json!(["b.rs"])),
            ("$.head_commit.modified[-1]", json!(["b.rs"])),
            ("$.head_commit.modified[0,1]", json!(["a.rs", "b.rs"])),
            ("$.head_commit.modified[7]", json!([])),
            ("$.commits[*].id", json!(["1", "2"])),
            ("$.commits[0]['id','distinct']", json!(["1", true])),
            ("$..name", json!(["Ann", "Bob", "Ann"])),
            ("$..author['name']", json!(["Ann", "Bob", "Ann"])),
            ("$.commits[?(@.author.name == 'Bob')].id", json!(["2"])),
            ("$.commits[?(@.author.name != 'Bob')].id", json!(["1"])),
            ("$.commits[?(@.distinct==true)].id", json!(["1"])),
            ("$.commits[?( @['odd name'] )].id", json!(["2"])),
            ("$.commits[?(@['it\\'s'] == 7)].id", json!(["2"])),
            ("$.commits[1]['it\\'s']", json!([7])),
            ("$.commits.id", json!([])),
            ("$.ref.x", json!([])),
            ("$.none", json!([])),
        ];
        for (path, wanted) in cases {
            assert_eq!(Value::Array(found(path, &body)), *wanted, "{path}");
        }
        assert_eq!(found("$", &body), std::slice::from_ref(&body));
        assert_eq!(found("$..*", &json!({ "a": [1, 2] })).len(), 3);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let cases = [
            ("$.commits.length()", "the function `length()` at character 11"),
            ("$.commits[0:2]", "a slice `[from:to]` at character 12"),
            ("$.commits[(@.length-1)]", "a script `[(…)]` at character 11"),
            ("$.commits[?(@.id > 1)]", "the operator `>` at character 18"),
            ("$.commits[?(@.id =~ /x/)]", "the operator `=`"),
            ("$.a[?(@.x == 1 && @.y == 2)]", "more than one condition in a filter"),
            ("$.a[?(@..x == 1)]", "`..` or `*` within a filter"),
            ("$.a[?($.x == 1)]", "a filter that does not begin with `@`"),
            ("@.a", "`@` outside of a filter"),
        ];
        for (path, wanted) in cases {
            let error = JsonPath::parse(path).unwrap_err();
            assert!(matches!(error, BadPath::Unsupported { .. }), "{path}: {error}");
            assert!(error.to_string().starts_with(wanted), "{path}: {error}");
        }
        for path in [
            "",
            "$.",
            "$.a.",
            "$[",
            "$['a",
            "$[]",
            "$x",
            "$.a[?(@.x == y)]",
            "$.a b",
            "$[99999999999999999999]",
        ] {
            let error = JsonPath::parse(path);
            assert!(matches!(error, Err(BadPath::Malformed { .. })), "{path}: {error:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let unsupported = [
            ("$.a[:2]", "a slice `[from:to]` at character 5"),
            ("$.a[0 :2]", "a slice `[from:to]` at character 7"),
            ("$['a\\n']", "this escape at character 6"),
            ("$.a[?(@.x = 1)]", "the operator `=` at character 12"),
            ("$.a[?(@.x ! 1)]", "the operator `!` at character 12"),
            ("$.a[?(@.x === 1)]", "this operator at character 13"),
            ("$.a[?(@.x =~ 1)]", "the operator `=` at character 12"),
            ("$.a[?(@.x < 1)]", "the operator `<` at character 11"),
            ("$.a[?(@.x & 1)]", "the operator `&` at character 11"),
            ("$.a[?(@.x in 1)]", "this operator at character 11"),
            ("$.a[?(@.x == 1 | @.y)]", "more than one condition in a filter at character 16"),
            ("$.a[?(@.*)]", "`..` or `*` within a filter at character 9"),
            ("$.a[?(@.size() == 1)]", "the function `size()` at character 9"),
            ("$.a[?(@[0])]", "anything but a quoted name in brackets within a filter at character 9"),
            ("min($.a)", "the function `min()` at character 1"),
        ];
        let malformed = [
            ("$", ""),
            ("$.", "a name is missing at character 3"),
            ("$..", "a name is missing at character 4"),
            ("$x", "`.` or `[` is missing at character 2"),
            ("$[", "a quoted name, a number, `*` or `?(` is missing at character 3"),
            ("$[a]", "a quoted name, a number, `*` or `?(` is missing at character 3"),
            ("$['a'", "`]` is missing at character 6"),
            ("$['a", "a quote is not closed at character 5"),
            ("$['a',0]", "a quoted name is missing at character 7"),
            ("$[0,]", "a number is missing or too large at character 5"),
            ("$[-]", "a number is missing or too large at character 3"),
            ("$[0 1]", "`]` is missing at character 5"),
            ("$[?@.a]", "`(` is missing after `?` at character 4"),
            ("$[?(@.a", "`)` is missing at character 8"),
            ("$[?(@.a == 1 x)]", "`)` is missing at character 14"),
            ("$[?(@['a' == 1)]", "`]` is missing at character 10"),
            (
                "$[?(@.a == x)]",
                "a text in quotes, a number, `true`, `false` or `null` is missing at character 12",
            ),
        ];
        for (path, wanted) in unsupported {
            let hint =
                " is not supported: use $, .name, ['name'], [0], [*], ..name and [?(@.name == 'value')]";
            assert_eq!(JsonPath::parse(path).unwrap_err().to_string(), format!("{wanted}{hint}"), "{path}");
        }
        for (path, wanted) in malformed {
            let error = JsonPath::parse(path).err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(error, wanted, "{path}");
        }
    }

    #[test]
    fn blanks_quotes_and_numbers_may_be_written_as_in_other_programs() {
        let body =
            json!({ "a": [{ "x": 1.5 }, { "x": -2 }, { "x": null }, { "y": "it's \"so\" \\" }], "@b": 7 });
        let cases = [
            ("$[ 'a' ][ 0 , 1 ].x", json!([1.5, -2])),
            ("$['a', '@b']", json!([body["a"], 7])),
            ("$[\"a\"][-4].x", json!([1.5])),
            ("$.a[-5]", json!([])),
            ("$.a[ * ].x", json!([1.5, -2, null])),
            ("$.*[0].x", json!([1.5])),
            ("*.x", json!([])),
            (".a[0].x", json!([1.5])),
            ("['@b']", json!([7])),
            ("$.a[?(@.x == 1.5)].x", json!([1.5])),
            ("$.a[? ( @.x == -2 ) ].x", json!([-2])),
            ("$.a[?(@.x == null)].x", json!([null])),
            ("$.a[?(@.x != null)].x", json!([1.5, -2])),
            ("$.a[?(@.y == 'it\\'s \"so\" \\\\')].y", json!([body["a"][3]["y"]])),
            ("$.a[0][?(@.x)].x", json!([1.5])),
            ("$.a[0].x[?(@ == 1.5)]", json!([1.5])),
            ("$.a[0][?(@.x == 1.5)].x", json!([1.5])),
            ("$..[0].x", json!([1.5])),
        ];
        for (path, wanted) in cases {
            assert_eq!(Value::Array(found(path, &body)), wanted, "{path}");
        }
    }

    #[test]
    fn a_path_that_multiplies_is_cut_short() {
        let mut body = json!("end");
        for _ in 0..120 {
            body = json!({ "a": body });
        }
        let path = JsonPath::parse(&"..a".repeat(50)).unwrap();
        assert_eq!(path.finds(&body, |value| value == "other"), Err(TooMuch));
    }
}
