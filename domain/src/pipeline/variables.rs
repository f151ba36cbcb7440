//! Variable references: `#{namespace.key}` inside a text.
//!
//! Replacing is one pass: what a variable's value holds is never looked at again, so a commit message that
//! contains `#{...}` stays as it is, and quotes inside JSON texts are not escaped.

use crate::limits::{OUTPUT_VARIABLES_BYTES_MAX, RESOLVED_CONFIGURATION_BYTES_MAX};
use std::collections::BTreeMap;
use std::fmt;

/// The namespace that holds `PipelineExecutionId`; always there.
pub const NAMESPACE_PIPELINE: &str = "codepipeline";
/// The namespace of the pipeline's own variables; there when the pipeline declares any.
pub const NAMESPACE_VARIABLES: &str = "variables";

/// One `#{namespace.key}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference<'a> {
    /// Whose variable: an action's namespace, `codepipeline` or `variables`.
    pub namespace: &'a str,
    /// The variable's name.
    pub key: &'a str,
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.key)
    }
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text that stays as it is.
    Text(&'a str),
    /// A reference to replace.
    Reference(Reference<'a>),
    /// What stands between `#{` and `}` but is no reference. Definitions with one are refused; where one turns
    /// up anyway it stays as it is.
    Malformed(&'a str),
}

/// Why a text's references could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nothing stands behind a reference: its action published no such variable, or was passed over.
    #[error(transparent)]
    Unresolved(#[from] UnresolvedReference),
    /// The text would outgrow its limit.
    #[error("the configuration is larger than {max} bytes once its variables are replaced")]
    TooLarge {
        /// The limit, bytes.
        max: usize,
    },
}

/// A reference nothing stands behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable `#{{{namespace}.{key}}}` has no value")]
pub struct UnresolvedReference {
    /// The namespace asked for.
    pub namespace: String,
    /// The variable asked for.
    pub key: String,
}

/// The pieces of a template in order. An `#{` that is never closed is text.
pub fn segments(template: &str) -> Segments<'_> {
    Segments { rest: template }
}

/// The references of a template in order, repeated where it repeats them.
pub fn references(template: &str) -> impl Iterator<Item = Reference<'_>> {
    segments(template).filter_map(|segment| match segment {
        Segment::Reference(reference) => Some(reference),
        Segment::Text(_) | Segment::Malformed(_) => None,
    })
}

/// Replaces every reference by what `lookup` answers.
///
/// # Errors
/// The first reference `lookup` has no answer for; a result above [`RESOLVED_CONFIGURATION_BYTES_MAX`].
pub fn resolve<'t, T: AsRef<str>>(
    template: &'t str,
    lookup: impl FnMut(Reference<'t>) -> Option<T>,
) -> Result<String, ResolveError> {
    resolve_within(template, lookup, RESOLVED_CONFIGURATION_BYTES_MAX)
}

/// Replaces every reference in every value of a configuration.
///
/// # Errors
/// The first reference without an answer, in the order of keys, with the key it stands under; keys and values
/// that together exceed [`RESOLVED_CONFIGURATION_BYTES_MAX`].
pub fn resolve_configuration<T: AsRef<str>>(
    configuration: &BTreeMap<String, String>,
    mut lookup: impl FnMut(Reference<'_>) -> Option<T>,
) -> Result<BTreeMap<String, String>, (String, ResolveError)> {
    let mut left = RESOLVED_CONFIGURATION_BYTES_MAX;
    let mut resolved = BTreeMap::new();
    for (key, template) in configuration {
        let too_large = ResolveError::TooLarge { max: RESOLVED_CONFIGURATION_BYTES_MAX };
        left = left.checked_sub(key.len()).ok_or_else(|| (key.clone(), too_large.clone()))?;
        let value = resolve_within(template, &mut lookup, left).map_err(|error| match error {
            ResolveError::TooLarge { .. } => (key.clone(), too_large),
            unresolved @ ResolveError::Unresolved(_) => (key.clone(), unresolved),
        })?;
        left -= value.len();
        resolved.insert(key.clone(), value);
    }
    Ok(resolved)
}

/// What is wrong with the variables an action published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOutputVariables {
    /// They are too many or too long.
    #[error("the output variables hold {bytes} bytes, more than the {max} an action may publish")]
    TooLarge {
        /// Names and values together, bytes.
        bytes: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// A name no reference could spell.
    #[error("`{name}` is not the name of a variable: 1 or more letters, digits, `@`, `-` or `_`")]
    Name {
        /// The name, cut to 120 characters.
        name: String,
    },
}

/// Checks what an action published.
///
/// # Errors
/// More than [`OUTPUT_VARIABLES_BYTES_MAX`] of names and values; a name no reference could spell.
pub fn check_output_variables(variables: &BTreeMap<String, String>) -> Result<(), BadOutputVariables> {
    let bytes = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > OUTPUT_VARIABLES_BYTES_MAX {
        return Err(BadOutputVariables::TooLarge { bytes, max: OUTPUT_VARIABLES_BYTES_MAX });
    }
    match variables.keys().find(|name| !is_part(name)) {
        Some(name) => Err(BadOutputVariables::Name { name: name.chars().take(120).collect() }),
        None => Ok(()),
    }
}

/// See [`segments`].
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let template = self.rest;
        let Some(open) = template.find("#{") else {
            self.rest = "";
            return Some(Segment::Text(template));
        };
        let Some(length) = template[open + 2..].find('}') else {
            self.rest = "";
            return Some(Segment::Text(template));
        };
        if open > 0 {
            self.rest = &template[open..];
            return Some(Segment::Text(&template[..open]));
        }
        let inner = &template[2..2 + length];
        self.rest = &template[2 + length + 1..];
        Some(match inner.split_once('.') {
            Some((namespace, key)) if is_part(namespace) && is_part(key) => {
                Segment::Reference(Reference { namespace, key })
            }
            Some(_) | None => Segment::Malformed(inner),
        })
    }
}

/// A namespace's or a key's characters. Length is no matter here: what is too long names nothing.
fn is_part(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@-_".contains(&byte))
}

fn resolve_within<'t, T: AsRef<str>>(
    template: &'t str,
    mut lookup: impl FnMut(Reference<'t>) -> Option<T>,
    bytes_max: usize,
) -> Result<String, ResolveError> {
    let mut resolved = String::with_capacity(template.len().min(bytes_max));
    let push = |resolved: &mut String, text: &str| {
        // Checked before the copy: many references to one long value must not fill the memory.
        if resolved.len() + text.len() > bytes_max {
            return Err(ResolveError::TooLarge { max: bytes_max });
        }
        resolved.push_str(text);
        Ok(())
    };
    for segment in segments(template) {
        match segment {
            Segment::Text(text) => push(&mut resolved, text)?,
            Segment::Malformed(inner) => {
                push(&mut resolved, "#{")?;
                push(&mut resolved, inner)?;
                push(&mut resolved, "}")?;
            }
            Segment::Reference(reference) => {
                let value = lookup(reference).ok_or_else(|| UnresolvedReference {
                    namespace: reference.namespace.to_owned(),
                    key: reference.key.to_owned(),
                })?;
                push(&mut resolved, value.as_ref())?;
            }
        }
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(reference: Reference<'_>) -> Option<&'static str> {
        match (reference.namespace, reference.key) {
            ("Src", "CommitId") => Some("abc123"),
            ("Src", "Message") => Some("fix #{Src.CommitId} \"quoted\""),
            (_, _) => None,
        }
    }

    #[test]
    fn several_references_are_replaced_in_one_value() {
        let resolved = resolve("a #{Src.CommitId}-#{Src.CommitId}!", lookup).unwrap();
        assert_eq!(resolved, "a abc123-abc123!");
    }

    #[test]
    fn a_value_that_looks_like_a_reference_is_not_replaced_again() {
        let resolved = resolve("#{Src.Message}", lookup).unwrap();
        assert_eq!(resolved, "fix #{Src.CommitId} \"quoted\"");
    }

    #[test]
    fn a_reference_without_a_value_is_named() {
        let error = resolve("#{Src.Nothing}", lookup).unwrap_err();
        assert_eq!(error.to_string(), "the variable `#{Src.Nothing}` has no value");
    }

    #[test]
    fn malformed_references_are_told_from_text() {
        for (template, expected) in [
            ("#{}", Segment::Malformed("")),
            ("#{nodot}", Segment::Malformed("nodot")),
            ("#{.key}", Segment::Malformed(".key")),
            ("#{ns.}", Segment::Malformed("ns.")),
            ("#{a.b.c}", Segment::Malformed("a.b.c")),
            ("#{a. b}", Segment::Malformed("a. b")),
            ("#{a.#{b.c}", Segment::Malformed("a.#{b.c")),
            ("#{never.closed", Segment::Text("#{never.closed")),
            ("# {a.b}", Segment::Text("# {a.b}")),
        ] {
            assert_eq!(segments(template).next(), Some(expected), "{template}");
        }
    }

    #[test]
    fn a_resolved_text_has_a_limit() {
        let long = "x".repeat(60 * 1024);
        let twice = resolve("#{a.b}#{a.b}", |_| Some(&long));
        assert_eq!(twice, Err(ResolveError::TooLarge { max: RESOLVED_CONFIGURATION_BYTES_MAX }));
        let configuration =
            [("A", "#{a.b}"), ("B", "#{a.b}")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (key, error) = resolve_configuration(&configuration.into(), |_| Some(&long)).unwrap_err();
        assert_eq!(key, "B");
        assert_eq!(error, ResolveError::TooLarge { max: RESOLVED_CONFIGURATION_BYTES_MAX });
        assert_eq!(
            error.to_string(),
            "the configuration is larger than 102400 bytes once its variables are replaced"
        );
    }

    #[test]
    fn a_text_may_fill_its_limit_and_not_a_byte_more() {
        let value = "v".repeat(10);
        let of = |template: &str, max: usize| resolve_within(template, |_| Some(&value), max);
        for (template, resolved) in [
            ("text", "text"),
            ("a#{n.k}b", "avvvvvvvvvvb"),
            ("#{odd}", "#{odd}"),
            ("#{n.k}#{n.k}", "vvvvvvvvvvvvvvvvvvvv"),
        ] {
            assert_eq!(of(template, resolved.len()).as_deref(), Ok(resolved));
            let max = resolved.len() - 1;
            assert_eq!(of(template, max), Err(ResolveError::TooLarge { max }), "{template}");
        }
    }

    #[test]
    fn keys_and_values_of_a_configuration_share_one_limit() {
        let max = RESOLVED_CONFIGURATION_BYTES_MAX;
        let of = |size: usize, pairs: &[(&str, &str)]| {
            let value = "x".repeat(size);
            let configuration =
                pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
            resolve_configuration(&configuration, |_| Some(&value))
                .map(|resolved| resolved.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>())
                .map_err(|(key, _)| key)
        };
        let two = [("Aaa", "1234"), ("B", "#{n.k}")];
        assert_eq!(of(max - 8, &two), Ok(max));
        assert_eq!(of(max - 7, &two), Err("B".to_owned()));
        let three = [("A", "#{n.k}"), ("B", "")];
        assert_eq!(of(max - 2, &three), Ok(max));
        assert_eq!(of(max - 1, &three), Err("B".to_owned()), "there is no room for the key");
    }

    #[test]
    fn the_first_key_with_a_reference_to_nothing_is_named() {
        let configuration = [("A", "#{Src.CommitId}"), ("B", "#{Src.Nothing}"), ("C", "#{Src.None}")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (key, error) = resolve_configuration(&configuration.into(), lookup).unwrap_err();
        assert_eq!(
            (key.as_str(), error.to_string().as_str()),
            ("B", "the variable `#{Src.Nothing}` has no value")
        );
    }

    #[test]
    fn references_are_listed_in_order_and_as_often_as_they_stand_there() {
        let all: Vec<String> =
            references("#{a.b} #{odd} x #{c.d}#{a.b} #{").map(|reference| reference.to_string()).collect();
        assert_eq!(all, ["a.b", "c.d", "a.b"]);
        for (template, inner) in
            [("#{a.@-_Z9}", true), ("#{a.b c}", false), ("#{ä.b}", false), ("#{a.b/}", false)]
        {
            assert_eq!(references(template).count() == 1, inner, "{template}");
        }
    }

    #[test]
    fn published_variables_have_a_limit_and_a_spelling() {
        let of = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
        let fits = "x".repeat(OUTPUT_VARIABLES_BYTES_MAX - 1);
        assert_eq!(check_output_variables(&of("a", fits)), Ok(()));
        let spills = "x".repeat(OUTPUT_VARIABLES_BYTES_MAX);
        assert!(matches!(
            check_output_variables(&of("a", spills)),
            Err(BadOutputVariables::TooLarge { bytes: 122_881, .. })
        ));
        assert!(matches!(
            check_output_variables(&of("a.b", String::new())),
            Err(BadOutputVariables::Name { .. })
        ));
        let two = BTreeMap::from([
            ("ab".to_owned(), "x".repeat(OUTPUT_VARIABLES_BYTES_MAX - 5)),
            ("cd".to_owned(), "y".to_owned()),
        ]);
        assert_eq!(check_output_variables(&two), Ok(()));
        let told = |variables: BTreeMap<String, String>| {
            check_output_variables(&variables).map_err(|error| error.to_string())
        };
        assert_eq!(
            told(of("ab", "x".repeat(OUTPUT_VARIABLES_BYTES_MAX))),
            Err("the output variables hold 122882 bytes, more than the 122880 an action may publish".into())
        );
        assert_eq!(
            told(of(&"ü".repeat(121), String::new())),
            Err(format!(
                "`{}` is not the name of a variable: 1 or more letters, digits, `@`, `-` or `_`",
                "ü".repeat(120)
            ))
        );
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics_and_loses_nothing(template in "(?s)([#{}. a-z]|.){0,40}") {
            let mut rebuilt = String::new();
            for segment in segments(&template) {
                match segment {
                    Segment::Text(text) => rebuilt.push_str(text),
                    Segment::Malformed(inner) => rebuilt.push_str(&format!("#{{{inner}}}")),
                    Segment::Reference(reference) => rebuilt.push_str(&format!("#{{{reference}}}")),
                }
            }
            prop_assert_eq!(rebuilt, template);
        }

        #[test]
        fn text_without_references_is_unchanged(template in "[^#]{0,200}") {
            prop_assert_eq!(resolve(&template, |_| None::<&str>).unwrap(), template);
        }

        #[test]
        fn replacing_is_not_recursive(value in ".{0,60}") {
            let resolved = resolve("<#{a.b}>", |_| Some(&value)).unwrap();
            prop_assert_eq!(resolved, format!("<{value}>"));
        }
    }
}
