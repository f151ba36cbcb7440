//! Tags given beside a definition, or put on a resource later.

use super::error::{DefinitionError, DefinitionErrorCode};
use crate::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// 1 to 128 characters, unique on its resource; upper and lower case matter.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

/// Checks the tags of one resource, all of them after a change.
///
/// # Errors
/// `TooManyTagsException` above 50 tags, `InvalidTagsException` for a key or value that is not allowed. The
/// path is `tags`, or one tag's.
pub fn check_tags(tags: &[Tag], resource_arn: &str) -> Result<(), DefinitionError> {
    if tags.len() > TAGS_MAX {
        let message = format!("Tag limit exceeded for resource [{resource_arn}].");
        return Err(DefinitionError::new(DefinitionErrorCode::TooManyTagsException, "tags", message)
            .hint(format!("a resource has at most {TAGS_MAX} tags")));
    }
    let mut keys = BTreeSet::new();
    for (index, tag) in tags.iter().enumerate() {
        let invalid = |member: &str, message: String| {
            let path = format!("tags[{index}].{member}");
            DefinitionError::new(DefinitionErrorCode::InvalidTagsException, path, message)
        };
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(
                "key",
                "Not allowed to modify system tags. System tags start with 'aws:'. msg=[Caller is an end user and \
                 not allowed to mutate system tags]"
                    .to_owned(),
            ));
        }
        if tag.key.is_empty() || tag.key.chars().count() > TAG_KEY_CHARS_MAX {
            return Err(invalid("key", format!("A tag key must have 1 to {TAG_KEY_CHARS_MAX} characters.")));
        }
        if tag.value.chars().count() > TAG_VALUE_CHARS_MAX {
            return Err(invalid(
                "value",
                format!("The value of tag '{}' has more than {TAG_VALUE_CHARS_MAX} characters.", tag.key),
            ));
        }
        for (member, text) in [("key", &tag.key), ("value", &tag.value)] {
            if !text.chars().all(is_legal) {
                return Err(invalid(
                    member,
                    format!(
                        "Tag '{}' holds characters that are not allowed: use letters, digits, spaces and \
                         + - = . _ : / @",
                        tag.key
                    ),
                ));
            }
        }
        if !keys.insert(&tag.key) {
            return Err(invalid("key", format!("The tag key '{}' is given more than once.", tag.key)));
        }
    }
    Ok(())
}

/// Of the tags wished, those that a resource does not have yet or has with another value. `None` when it would then
/// have too many.
pub fn new_tags(
    have: &BTreeMap<String, String>,
    wished: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let mut new = wished.clone();
    new.retain(|key, value| have.get(key) != Some(value));
    let added = new.keys().filter(|key| !have.contains_key(*key)).count();
    (have.len() + added <= TAGS_MAX).then_some(new)
}

fn is_legal(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(tags: &[(&str, &str)]) -> Option<DefinitionErrorCode> {
        let tags: Vec<Tag> =
            tags.iter().map(|(key, value)| Tag { key: (*key).into(), value: (*value).into() }).collect();
        check_tags(&tags, "arn").err().map(|error| error.code)
    }

    #[test]
    fn tags_have_legal_keys_and_values() {
        use DefinitionErrorCode::InvalidTagsException;
        assert_eq!(code_of(&[("team", "Größe + 1"), ("Team", "")]), None);
        assert_eq!(code_of(&[("", "x")]), Some(InvalidTagsException));
        assert_eq!(code_of(&[("aws:x", "x")]), Some(InvalidTagsException));
        assert_eq!(code_of(&[("a", "x"), ("a", "y")]), Some(InvalidTagsException));
        assert_eq!(code_of(&[("a", "<x>")]), Some(InvalidTagsException));
        assert_eq!(code_of(&[("a", &"x".repeat(257))]), Some(InvalidTagsException));
    }

    #[test]
    fn a_tag_that_is_refused_is_told_with_its_place() {
        let of = |key: &str, value: &str| {
            let tags = [("team", "a"), (key, value)]
                .map(|(key, value)| Tag { key: key.into(), value: value.into() });
            let told = |error: DefinitionError| (error.path, error.message);
            check_tags(&tags, "arn").map_err(told)
        };
        assert_eq!(of(&"k".repeat(128), &"v".repeat(256)), Ok(()));
        assert_eq!(of(&"ä".repeat(128), &"ü".repeat(256)), Ok(()));
        assert_eq!(of("a Z0+-=._:/@", "b Z0+-=._:/@"), Ok(()));
        let illegal =
            "Tag 'a' holds characters that are not allowed: use letters, digits, spaces and + - = . _ : / @";
        let system = "Not allowed to modify system tags. System tags start with 'aws:'. msg=[Caller is an end user and \
                      not allowed to mutate system tags]";
        for (key, value, member, message) in [
            ("", "v", "key", "A tag key must have 1 to 128 characters."),
            (&*"k".repeat(129), "v", "key", "A tag key must have 1 to 128 characters."),
            ("a", &*"v".repeat(257), "value", "The value of tag 'a' has more than 256 characters."),
            ("AWS:x", "v", "key", system),
            ("a", "b*", "value", illegal),
            ("team", "b", "key", "The tag key 'team' is given more than once."),
        ] {
            assert_eq!(of(key, value), Err((format!("tags[1].{member}"), message.to_owned())), "{key}");
        }
        assert_eq!(of("a#", "b").unwrap_err().0, "tags[1].key");
    }

    #[test]
    fn only_what_changes_is_new_and_counts() {
        let map = |tags: &[(&str, &str)]| -> BTreeMap<String, String> {
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let have = map(&[("a", "1"), ("b", "2")]);
        assert_eq!(
            new_tags(&have, &map(&[("a", "1"), ("b", "3"), ("c", "4")])),
            Some(map(&[("b", "3"), ("c", "4")]))
        );
        let many: BTreeMap<String, String> =
            (0..49).map(|number| (format!("k{number}"), String::new())).collect();
        assert_eq!(new_tags(&many, &map(&[("x", "")])).map(|new| new.len()), Some(1));
        assert_eq!(new_tags(&many, &map(&[("x", ""), ("y", "")])), None);
        assert_eq!(new_tags(&many, &map(&[("x", ""), ("k0", "v")])).map(|new| new.len()), Some(2));
    }

    #[test]
    fn a_resource_has_at_most_fifty_tags() {
        let tags: Vec<Tag> =
            (0..51).map(|number| Tag { key: format!("k{number}"), value: String::new() }).collect();
        assert_eq!(check_tags(&tags[..50], "arn"), Ok(()));
        let error = check_tags(&tags, "arn:aws:codepipeline:eu-west-1:123456789012:shop").unwrap_err();
        assert_eq!(error.code, DefinitionErrorCode::TooManyTagsException);
        assert_eq!(
            (error.path.as_str(), error.hint.as_deref()),
            ("tags", Some("a resource has at most 50 tags"))
        );
        assert_eq!(
            error.message,
            "Tag limit exceeded for resource [arn:aws:codepipeline:eu-west-1:123456789012:shop]."
        );
    }
}
