//! Where each member of a JSON text stands.
//!
//! A second walk over a text that is known to be JSON: the parser that reads values keeps no places. Paths are
//! spelt as findings spell them, `stages[0].actions[1].name`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Places that are kept, most; what lies beyond is told by the place of what holds it.
const PLACES_MAX: usize = 100_000;
/// Bytes of a path that is kept, most.
const PATH_BYTES_MAX: usize = 512;
/// Levels that are looked into: more than a definition has, fewer than could exhaust the stack.
const DEPTH_MAX: usize = 128;

/// A place in a text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Places by path.
#[derive(Debug, Default)]
pub struct Positions {
    places: BTreeMap<String, Position>,
}

impl Positions {
    /// The places of a JSON text; a declaration inside `{"pipeline": …}` counts from there. A text that is no JSON
    /// gives the places up to where it goes wrong.
    pub fn of_json(text: &str) -> Self {
        let mut walk = Walk { rest: text.chars().peekable(), here: Position::START, places: BTreeMap::new() };
        let mut path = String::new();
        walk.blank();
        walk.note(&path, walk.here);
        walk.value(&mut path, 0);
        Self { places: unwrap_pipeline(walk.places) }
    }

    /// The place of a member; of what holds it when it is not there itself.
    pub fn of(&self, path: &str) -> Position {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.places.get("").copied().unwrap_or(Position::START),
            }
        }
    }
}

fn unwrap_pipeline(places: BTreeMap<String, Position>) -> BTreeMap<String, Position> {
    const WRAPPING: &str = "pipeline";
    if !places.contains_key(WRAPPING) {
        return places;
    }
    places
        .into_iter()
        .filter_map(|(path, place)| {
            let inner = path.strip_prefix(WRAPPING)?;
            match inner.strip_prefix('.') {
                Some(member) => Some((member.to_owned(), place)),
                None => inner.is_empty().then(|| (String::new(), place)),
            }
        })
        .collect()
}

struct Walk<'a> {
    rest: Peekable<Chars<'a>>,
    here: Position,
    places: BTreeMap<String, Position>,
}

impl Walk<'_> {
    fn value(&mut self, path: &mut String, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match self.rest.peek() {
            Some('{') => self.object(path, depth),
            Some('[') => self.list(path, depth),
            Some('"') => {
                self.string();
            }
            Some(_) | None => {
                while self.rest.peek().is_some_and(|next| !",]}".contains(*next) && !next.is_whitespace()) {
                    self.take();
                }
            }
        }
    }

    fn object(&mut self, path: &mut String, depth: usize) {
        self.take();
        loop {
            self.blank();
            if self.rest.peek() != Some(&'"') {
                self.take();
                return;
            }
            let place = self.here;
            let name = self.string();
            let length = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&name);
            self.note(path, place);
            self.blank();
            if self.rest.peek() == Some(&':') {
                self.take();
            }
            self.blank();
            self.value(path, depth + 1);
            path.truncate(length);
            if !self.goes_on() {
                return;
            }
        }
    }

    fn list(&mut self, path: &mut String, depth: usize) {
        self.take();
        self.blank();
        if self.rest.peek() == Some(&']') {
            self.take();
            return;
        }
        for index in 0_usize.. {
            self.blank();
            let length = path.len();
            path.push_str(&format!("[{index}]"));
            self.note(path, self.here);
            self.value(path, depth + 1);
            path.truncate(length);
            if !self.goes_on() {
                return;
            }
        }
    }

    /// Past the comma; false past the end of the list or object, and wherever a text is no JSON.
    fn goes_on(&mut self) -> bool {
        self.blank();
        self.take() == Some(',')
    }

    /// A text in quotes, without them and with its escapes replaced.
    fn string(&mut self) -> String {
        let mut raw = String::new();
        raw.extend(self.take());
        while let Some(letter) = self.take() {
            raw.push(letter);
            match letter {
                '\\' => raw.extend(self.take()),
                '"' => break,
                _ => {}
            }
        }
        serde_json::from_str(&raw).unwrap_or(raw)
    }

    fn blank(&mut self) {
        while self.rest.peek().is_some_and(|next| next.is_whitespace()) {
            self.take();
        }
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.rest.next()?;
        if taken == '\n' {
            self.here = Position { line: self.here.line + 1, column: 1 };
        } else {
            self.here.column += 1;
        }
        Some(taken)
    }

    /// Of members of the same name the last counts, as it does to the parser.
    fn note(&mut self, path: &str, place: Position) {
        if path.len() <= PATH_BYTES_MAX && self.places.len() < PLACES_MAX {
            self.places.insert(path.to_owned(), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(positions: &Positions, path: &str) -> (usize, usize) {
        let place = positions.of(path);
        (place.line, place.column)
    }

    #[test]
    fn members_are_found_where_their_names_stand() {
        let text = "{\n  \"name\": \"shop\", \"stages\": [\n    { \"name\": \"A\" },\n    {\n      \"n\\u0061me\": \
                    \"B\", \"actions\": [1, [2, 3]]\n    }\n  ]\n}\n";
        let positions = Positions::of_json(text);
        assert_eq!(at(&positions, ""), (1, 1));
        assert_eq!(at(&positions, "name"), (2, 3));
        assert_eq!(at(&positions, "stages"), (2, 19));
        assert_eq!(at(&positions, "stages[0]"), (3, 5));
        assert_eq!(at(&positions, "stages[0].name"), (3, 7));
        assert_eq!(at(&positions, "stages[1].name"), (5, 7));
        assert_eq!(at(&positions, "stages[1].actions[1][1]"), (5, 44));
    }

    #[test]
    fn what_is_not_there_is_told_by_what_should_hold_it() {
        let positions = Positions::of_json("{\n \"stages\": [\n  {\"name\": \"A\"}]}");
        assert_eq!(at(&positions, "stages[0].actions[3].configuration.a.b"), (3, 3));
        assert_eq!(at(&positions, "stages[7]"), (2, 2));
        assert_eq!(at(&positions, "roleArn"), (1, 1));
    }

    #[test]
    fn a_wrapped_declaration_counts_from_the_declaration() {
        let positions = Positions::of_json("{\"metadata\": {},\n \"pipeline\": {\n  \"name\": \"shop\"}}");
        assert_eq!(at(&positions, "name"), (3, 3));
        assert_eq!(at(&positions, ""), (2, 2));
        assert_eq!(at(&positions, "metadata"), (2, 2));
    }

    #[test]
    fn columns_count_characters_and_quotes_may_be_escaped() {
        let positions = Positions::of_json(r#"{"ä\"{": "}ü", "b": 1}"#);
        assert_eq!(at(&positions, "b"), (1, 16));
    }

    #[test]
    fn a_text_that_is_no_json_does_no_harm() {
        for text in ["", "{", "[", "{\"a\"", "{\"a\":", "[1", "\"", "{]", "[}", "}{", "[,,]", "{,}", "\"\\"] {
            Positions::of_json(text);
        }
        Positions::of_json(&"[".repeat(100_000));
        Positions::of_json(&"{\"a\":".repeat(100_000));
    }
}
