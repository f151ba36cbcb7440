//! The form of the constraint table that `model.rs` fills in: what the service model says about a value
//! before anyone knows what it means.

/// One shape of the service model.
#[derive(Debug)]
pub struct Shape {
    /// Name in the service model, such as `PipelineName`.
    pub name: &'static str,
    /// What a value of this shape is made of.
    pub kind: Kind,
    /// Least characters, entries or value, depending on the kind.
    pub min: Option<i64>,
    /// Most characters, entries or value, depending on the kind.
    pub max: Option<i64>,
}

/// What a value of a shape is made of.
#[derive(Debug)]
pub enum Kind {
    /// An object with known members; others are ignored.
    Structure(&'static [Member]),
    /// An array whose entries all have this shape.
    List(&'static Shape),
    /// An object with free keys.
    Map {
        /// Shape of every key; always text.
        key: &'static Shape,
        /// Shape of every value.
        value: &'static Shape,
    },
    /// A string, possibly restricted by a pattern that the whole of it must match.
    Text(Option<Pattern>),
    /// A string out of a fixed set.
    Enum(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Seconds since the epoch, with an optional fraction.
    Timestamp,
}

/// One member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Name on the wire; case matters.
    pub name: &'static str,
    /// Shape of its value.
    pub shape: &'static Shape,
    /// Whether it must be there and not `null`.
    pub required: bool,
}

/// A regular expression of the service model, with the function that decides it.
///
/// The model uses twenty of them, nearly all a character class with a `+`. A function each is shorter than
/// a regular expression engine is, and cannot be made slow by its input.
#[derive(Debug)]
pub struct Pattern {
    /// As the model writes it; this is what error messages quote.
    pub text: &'static str,
    /// Whether the whole text matches.
    pub matches: fn(&str) -> bool,
}

/// Constructors in `const` form, so that the generated table stays readable.
impl Shape {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, min: None, max: None }
    }

    pub(crate) const fn min(mut self, min: i64) -> Self {
        self.min = Some(min);
        self
    }

    pub(crate) const fn max(mut self, max: i64) -> Self {
        self.max = Some(max);
        self
    }
}

pub(crate) const fn required(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: true }
}

pub(crate) const fn optional(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: false }
}

pub(crate) const fn pattern(text: &'static str, matches: fn(&str) -> bool) -> Kind {
    Kind::Text(Some(Pattern { text, matches }))
}

/// The shape of that name in the service model, errors excepted.
pub fn shape(name: &str) -> Option<&'static Shape> {
    let shapes = crate::model::SHAPES;
    shapes.binary_search_by(|shape| shape.name.cmp(name)).ok().map(|at| shapes[at])
}
