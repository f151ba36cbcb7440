//! The service model's regular expressions, one function each. All of them match the whole text.
//!
//! `.` is Java's: anything but a line terminator. `\w` is ASCII, as in Java. `xtask codegen` maps each
//! expression to its function and refuses a model with an expression it does not know.

/// `[0-9]{12}`
pub(crate) fn account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[0-9]{12}|\*`
pub(crate) fn account_or_any(text: &str) -> bool {
    text == "*" || account(text)
}

/// `AWS|ThirdParty`
pub(crate) fn action_type_owner(text: &str) -> bool {
    matches!(text, "AWS" | "ThirdParty")
}

/// `[A-Za-z0-9_]+`
pub(crate) fn word(text: &str) -> bool {
    alphanumeric_or(text, b"_")
}

/// `[a-zA-Z0-9-]+`
pub(crate) fn alphanumeric_hyphen(text: &str) -> bool {
    alphanumeric_or(text, b"-")
}

/// `[a-zA-Z0-9_-]+`
pub(crate) fn word_hyphen(text: &str) -> bool {
    alphanumeric_or(text, b"_-")
}

/// `[a-zA-Z0-9\-\.]+`
pub(crate) fn alphanumeric_hyphen_dot(text: &str) -> bool {
    alphanumeric_or(text, b"-.")
}

/// `[A-Za-z0-9@\-_]+`
pub(crate) fn word_hyphen_at(text: &str) -> bool {
    alphanumeric_or(text, b"@-_")
}

/// `[A-Za-z0-9.@\-_]+`
pub(crate) fn word_hyphen_at_dot(text: &str) -> bool {
    alphanumeric_or(text, b".@-_")
}

/// `[a-zA-Z0-9!@ \(\)\.\*\?\-]+`
pub(crate) fn plain_sentence(text: &str) -> bool {
    alphanumeric_or(text, b"!@ ().*?-")
}

/// `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
pub(crate) fn lower_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let lengths_fit = [8, 4, 4, 4, 12].iter().all(|length| {
        groups.next().is_some_and(|group| group.len() == *length && group.bytes().all(lower_hex))
    });
    lengths_fit && groups.next().is_none()
}

/// `.*`
pub(crate) fn one_line(text: &str) -> bool {
    !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// `arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*`
pub(crate) fn role_arn(text: &str) -> bool {
    let Some((number, name)) =
        after_arn(text, "iam").and_then(|rest| rest.strip_prefix(':')?.split_once(':'))
    else {
        return false;
    };
    account(number) && name.strip_prefix("role/").is_some_and(one_line)
}

/// `arn:aws(-[\w]+)*:lambda:.+:[0-9]{12}:function:.+`
pub(crate) fn lambda_function_arn(text: &str) -> bool {
    after_arn(text, "lambda").is_some_and(|rest| region_account_then(rest, "function:"))
}

/// `arn:aws(-[\w]+)*:codepipeline:.+:[0-9]{12}:.+`
pub(crate) fn codepipeline_arn(text: &str) -> bool {
    after_arn(text, "codepipeline").is_some_and(|rest| region_account_then(rest, ""))
}

const ACCOUNT_DIGITS: usize = 12;

fn alphanumeric_or(text: &str, others: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

fn lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// What follows `arn:aws(-[\w]+)*:<service>:`.
fn after_arn<'a>(text: &'a str, service: &str) -> Option<&'a str> {
    let (partition, rest) = text.strip_prefix("arn:aws")?.split_once(':')?;
    let partition_fits = partition.is_empty() || partition.strip_prefix('-')?.split('-').all(word);
    if partition_fits { rest.strip_prefix(service)?.strip_prefix(':') } else { None }
}

/// `.+:[0-9]{12}:<marker>.+`. The first `.+` may itself hold colons, so every colon is a candidate.
fn region_account_then(rest: &str, marker: &str) -> bool {
    let ends_well = |tail: &str| {
        tail.split_at_checked(ACCOUNT_DIGITS).is_some_and(|(number, tail)| {
            let name = tail.strip_prefix(':').and_then(|tail| tail.strip_prefix(marker));
            account(number) && name.is_some_and(|name| !name.is_empty())
        })
    };
    one_line(rest) && rest.match_indices(':').any(|(at, _)| at > 0 && ends_well(&rest[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0fe1d2c3-4b5a-6978-8796-a5b4c3d2e1f0";

    #[test]
    fn character_classes_match_whole_texts_only() {
        for (matches, accepted, refused) in [
            (word_hyphen_at_dot as fn(&str) -> bool, "a.B@1-_", &["", "a b", "ä", "a\n", "a/b"][..]),
            (word_hyphen_at, "a@1-_", &["", "a.b"]),
            (word_hyphen, "a-_1", &["", "a@"]),
            (word, "A_1", &["", "a-b"]),
            (alphanumeric_hyphen, "a-1", &["", "a_b", "a\n"]),
            (alphanumeric_hyphen_dot, "my-bucket.v2", &["", "a_b"]),
            (plain_sentence, "Wait (for QA)! ok? *.-@", &["", "a,b", "a:b", "it's"]),
            (account, "123456789012", &["", "12345678901", "1234567890123", "12345678901x", "١٢٣٤٥٦"]),
            (account_or_any, "*", &["**", ""]),
            (action_type_owner, "ThirdParty", &["Custom", "AWSThirdParty", ""]),
            (
                lower_uuid,
                UUID,
                &["", "0FE1D2C3-4b5a-6978-8796-a5b4c3d2e1f0", "0fe1d2c3-4b5a-6978-8796-a5b4c3d2e1f0-"],
            ),
        ] {
            assert!(matches(accepted), "{accepted}");
            for text in refused {
                assert!(!matches(text), "{text:?}");
            }
        }
    }

    #[test]
    fn a_dot_does_not_match_a_line_terminator() {
        assert!(one_line("") && one_line("tab\tand 🚢"));
        assert!(["a\nb", "a\r", "\u{2028}", "\u{85}"].iter().all(|text| !one_line(text)));
    }

    #[test]
    fn role_arns_need_twelve_digits_and_the_role_marker() {
        assert!(role_arn("arn:aws:iam::123456789012:role/service/Deploy"));
        assert!(role_arn("arn:aws-us-gov:iam::123456789012:role/"));
        for text in [
            "arn:aws:iam:eu-1:123456789012:role/x",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws-:iam::123456789012:role/x",
            "arn:aws--x:iam::123456789012:role/x",
            "arn:awsx:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/a\nb",
            "",
        ] {
            assert!(!role_arn(text), "{text:?}");
        }
    }

    #[test]
    fn resource_arns_need_a_region_an_account_and_a_name() {
        assert!(codepipeline_arn("arn:aws:codepipeline:eu-west-1:123456789012:shop"));
        assert!(codepipeline_arn("arn:aws-cn:codepipeline:a:b:123456789012:x:y"));
        assert!(!codepipeline_arn("arn:aws:codepipeline::123456789012:shop"));
        assert!(!codepipeline_arn("arn:aws:codepipeline:eu-west-1:123456789012:"));
        assert!(!codepipeline_arn("arn:aws:codepipeline:eu-west-1:12345678901é:x"));
        assert!(lambda_function_arn("arn:aws:lambda:eu-west-1:123456789012:function:f:1"));
        assert!(!lambda_function_arn("arn:aws:lambda:eu-west-1:123456789012:layer:f"));
    }
}
