//! Patterns of trigger filters: `*` and `?` stay within one name, `**` crosses `/`, `[a-z]`, `{a,b}`, `\`.
//!
//! A pattern becomes a list of steps, which all places are carried through at once, so a match takes time in
//! proportion to pattern and text, whoever wrote them. `**/` at the start of a name means "in any folder, or in none",
//! which is what the guide's own example needs; after braces a name starts where every alternative ends one.

/// Why a text is no pattern, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadGlob(pub &'static str);

/// A pattern that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Takes one character.
    One(Test),
    /// Goes on here or there.
    Fork(usize, usize),
    Jump(usize),
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Is(char),
    NoSlash,
    Anything,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Test {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Is(wanted) => c == *wanted,
            Self::NoSlash => c != '/',
            Self::Anything => true,
            Self::Class { negated, ranges } => {
                c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

impl Glob {
    /// Reads a pattern.
    pub fn parse(pattern: &str) -> Result<Self, BadGlob> {
        let mut reader = Reader {
            text: pattern.chars().collect(),
            at: 0,
            steps: Vec::new(),
            group: None,
            begins_name: true,
        };
        while reader.at < reader.text.len() {
            reader.next()?;
        }
        if reader.group.is_some() {
            return Err(BadGlob("a `{` is not closed"));
        }
        reader.steps.push(Step::End);
        Ok(Self { steps: reader.steps })
    }

    /// Whether the whole text is as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        let mut places = Places::new(self.steps.len());
        places.reach(&self.steps, 0);
        for c in text.chars() {
            let mut next = Places::new(self.steps.len());
            for place in places.list {
                if let Some(Step::One(test)) = self.steps.get(place)
                    && test.takes(c)
                {
                    next.reach(&self.steps, place + 1);
                }
            }
            if next.list.is_empty() {
                return false;
            }
            places = next;
        }
        places.list.iter().any(|place| self.steps.get(*place) == Some(&Step::End))
    }
}

/// The steps a match stands before: each once.
struct Places {
    list: Vec<usize>,
    known: Vec<bool>,
}

impl Places {
    fn new(count: usize) -> Self {
        Self { list: Vec::new(), known: vec![false; count] }
    }

    fn reach(&mut self, steps: &[Step], from: usize) {
        let mut open = vec![from];
        while let Some(place) = open.pop() {
            if std::mem::replace(&mut self.known[place], true) {
                continue;
            }
            match &steps[place] {
                Step::Fork(one, other) => open.extend([*one, *other]),
                Step::Jump(to) => open.push(*to),
                Step::One(_) | Step::End => self.list.push(place),
            }
        }
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
    steps: Vec<Step>,
    /// An open `{`: the fork of its newest alternative, and the jumps out of those before.
    group: Option<Group>,
    /// What comes now stands at the start of a name: of all, after `/`, or of an alternative that does.
    begins_name: bool,
}

struct Group {
    fork: usize,
    exits: Vec<usize>,
    begins_name: bool,
    /// After every alternative so far a name begins.
    ends_name: bool,
}

impl Reader {
    fn next(&mut self) -> Result<(), BadGlob> {
        let c = self.text[self.at];
        let begins_name = std::mem::take(&mut self.begins_name);
        self.at += 1;
        match c {
            '\\' => {
                let escaped = *self.text.get(self.at).ok_or(BadGlob("it ends with a `\\`"))?;
                self.at += 1;
                self.plain(escaped);
            }
            '?' => self.steps.push(Step::One(Test::NoSlash)),
            '*' => self.star(begins_name),
            '[' => self.class()?,
            '{' => self.open(begins_name)?,
            ',' if self.group.is_some() => self.alternative(begins_name),
            '}' if self.group.is_some() => self.close(begins_name),
            plain => self.plain(plain),
        }
        Ok(())
    }

    fn plain(&mut self, c: char) {
        self.steps.push(Step::One(Test::Is(c)));
        self.begins_name = c == '/';
    }

    fn star(&mut self, begins_name: bool) {
        if self.text.get(self.at) != Some(&'*') {
            return self.repeat(Test::NoSlash);
        }
        while self.text.get(self.at) == Some(&'*') {
            self.at += 1;
        }
        if begins_name && self.text.get(self.at) == Some(&'/') {
            // Nothing, or anything that ends with a slash.
            self.at += 1;
            self.begins_name = true;
            let fork = self.steps.len();
            self.steps.push(Step::End);
            self.repeat(Test::Anything);
            self.steps.push(Step::One(Test::Is('/')));
            self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
        } else {
            self.repeat(Test::Anything);
        }
    }

    fn repeat(&mut self, test: Test) {
        let start = self.steps.len();
        self.steps.extend([Step::Fork(start + 1, start + 3), Step::One(test), Step::Jump(start)]);
    }

    fn class(&mut self) -> Result<(), BadGlob> {
        let open = BadGlob("a `[` is not closed");
        let negated = self.text.get(self.at) == Some(&'!');
        self.at += usize::from(negated);
        let length = self.text[self.at..].iter().position(|c| *c == ']').ok_or(open)?;
        let inside = &self.text[self.at..self.at + length];
        self.at += length + 1;
        let mut ranges = Vec::new();
        let mut at = 0;
        while let Some(low) = inside.get(at) {
            if *low == '/' {
                return Err(BadGlob("a `/` stands in brackets"));
            }
            let high = inside.get(at + 2).filter(|_| at > 0 || *low != '-').copied();
            match (inside.get(at + 1), high) {
                (Some('-'), Some(high)) if high < *low => {
                    return Err(BadGlob("a range in brackets runs backwards"));
                }
                (Some('-'), Some(high)) => {
                    ranges.push((*low, high));
                    at += 3;
                }
                _ => {
                    ranges.push((*low, *low));
                    at += 1;
                }
            }
        }
        if ranges.is_empty() {
            return Err(BadGlob("brackets are empty"));
        }
        self.steps.push(Step::One(Test::Class { negated, ranges }));
        Ok(())
    }

    fn open(&mut self, begins_name: bool) -> Result<(), BadGlob> {
        if self.group.is_some() {
            return Err(BadGlob("a `{` stands within braces"));
        }
        self.group = Some(Group { fork: self.steps.len(), exits: Vec::new(), begins_name, ends_name: true });
        self.begins_name = begins_name;
        self.steps.push(Step::End);
        Ok(())
    }

    fn alternative(&mut self, ends_name: bool) {
        let Some(group) = &mut self.group else { return };
        group.ends_name &= ends_name;
        self.begins_name = group.begins_name;
        group.exits.push(self.steps.len());
        self.steps.push(Step::End);
        self.steps[group.fork] = Step::Fork(group.fork + 1, self.steps.len());
        group.fork = self.steps.len();
        self.steps.push(Step::End);
    }

    fn close(&mut self, ends_name: bool) {
        let Some(group) = self.group.take() else { return };
        self.begins_name = group.ends_name && ends_name;
        self.steps[group.fork] = Step::Jump(group.fork + 1);
        let end = self.steps.len();
        for exit in group.exits {
            self.steps[exit] = Step::Jump(end);
        }
    }
}
