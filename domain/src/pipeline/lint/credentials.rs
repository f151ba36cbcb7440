//! Secrets in plain sight. What is found is never repeated: neither the value nor a part of it.

use super::texts::{Site, Text, texts, words};
use super::{Family, Findings, Rule, Severity};
use crate::catalogue;
use crate::pipeline::PipelineDeclaration;
use serde_json::Value;

pub(super) const FAMILY: Family = Family { rules: &[&HARDCODED_SECRET], check };

static HARDCODED_SECRET: Rule = Rule {
    id: "hardcoded-secret",
    severity: Severity::Error,
    what: "a key, token or password written into the definition",
    why: "Everybody who may read the pipeline, its file, its history or the output of a run can read it, and it cannot \
          be taken back from any of these places.",
    mend: "Withdraw the secret where it is valid, store a new one in Secrets Manager, and refer to it: type \
           `SECRETS_MANAGER` for environment variables, `{{resolve:secretsmanager:…}}` in templates.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    for text in texts(declaration) {
        match what_is_secret(&text) {
            Some(what) => found.add(&HARDCODED_SECRET, &text.path, format!("{what}.")),
            None => continue,
        }
    }
}

/// What of a text is a secret, without saying it.
fn what_is_secret(text: &Text<'_>) -> Option<String> {
    if let Some(kind) = known_shape(text.value) {
        return Some(format!("this text holds {kind}"));
    }
    match text.site {
        Site::Environment(_, true) | Site::Command(_) | Site::Rule => None,
        Site::Environment(_, false) | Site::Variable => {
            let name = text.name.filter(|name| is_secret_name(name) && is_literal(text.value))?;
            Some(format!("by its name `{name}` is a secret, and its value is written here"))
        }
        Site::Configuration(place) => {
            let key = text.name?;
            let kind = catalogue::action_type(&place.action.action_type_id);
            let secret = kind.and_then(|kind| kind.property(key)).is_some_and(|property| property.secret);
            if secret && is_literal(text.value) {
                return Some(format!("`{key}` is a secret, and its value is written here"));
            }
            let member = members(text.value)
                .into_iter()
                .find(|(name, value)| is_secret_name(name) && is_literal(value))?;
            Some(format!("by its name `{}` in `{key}` is a secret, and its value is written here", member.0))
        }
    }
}

/// Names and values of the texts in a JSON setting: of an object, or of a list of `name` and `value`. Those that
/// say they are only the id of a secret are left out.
fn members(json: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => {
            for (name, value) in object {
                if let Value::String(value) = value {
                    found.push((name, value));
                }
            }
        }
        Ok(Value::Array(entries)) => {
            for entry in entries {
                let member = |name: &str| entry.get(name).and_then(Value::as_str);
                let plain = member("type").is_none_or(|kind| kind == "PLAINTEXT");
                if let (true, Some(name), Some(value)) = (plain, member("name"), member("value")) {
                    found.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | Err(_) => {}
    }
    found
}

/// Words that make a name that of a secret, alone or as the two words after each other.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "privatekey",
    "accesskey",
    "secretkey",
];
const SECRET_PAIRS: &[[&str; 2]] =
    &[["api", "key"], ["private", "key"], ["access", "key"], ["signing", "key"]];

/// Last words of names that speak about a secret, and are none.
const ABOUT_WORDS: &[&str] = &[
    "arn",
    "name",
    "id",
    "path",
    "url",
    "uri",
    "file",
    "filename",
    "bucket",
    "parameter",
    "param",
    "version",
    "length",
    "ttl",
    "expiry",
    "seconds",
    "minutes",
    "days",
    "type",
    "alias",
    "ref",
    "enabled",
    "region",
    "host",
    "endpoint",
    "issuer",
    "policy",
    "rotation",
    "prefix",
    "store",
    "key",
    "provider",
    "format",
    "required",
    "hash",
];

fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let about = words.last().is_some_and(|last| ABOUT_WORDS.contains(&last.as_str()));
    let pair = |pair: &[&str; 2]| words.windows(2).any(|window| window[0] == pair[0] && window[1] == pair[1]);
    let ends_in_pair = words.len() >= 2
        && SECRET_PAIRS
            .iter()
            .any(|pair| words[words.len() - 2] == pair[0] && words[words.len() - 1] == pair[1]);
    let secret =
        words.iter().any(|word| SECRET_WORDS.contains(&word.as_str())) || SECRET_PAIRS.iter().any(pair);
    // `SECRET_KEY` is a secret although `TOKEN_KEY` is more likely the name of one.
    let ends_in_secret_key = words.ends_with(&["secret".to_owned(), "key".to_owned()]);
    secret && (!about || ends_in_pair || ends_in_secret_key)
}

/// Whether a value is the secret itself, and not the way to it.
fn is_literal(value: &str) -> bool {
    const LITERAL_CHARS_MIN: usize = 4;
    let value = value.trim();
    let enclosed = |open: &str, close: &str| value.starts_with(open) && value.ends_with(close);
    let lower = value.to_ascii_lowercase();
    let refers = value.contains("#{")
        || value.contains("{{")
        || value.contains("${")
        || value.starts_with(['/', '$'])
        || ["arn:", "ssm:", "secretsmanager:", "vault:", "http://", "https://"]
            .iter()
            .any(|prefix| lower.starts_with(prefix));
    let stands_in = enclosed("<", ">") || enclosed("[", "]") || lower.contains("placeholder");
    let says_nothing = value.chars().all(|letter| letter == '*' || letter == 'x' || letter == 'X')
        || ["true", "false", "none", "null"].contains(&lower.as_str())
        || (value.len() <= LITERAL_CHARS_MAX_OF_NUMBER && value.parse::<u64>().is_ok());
    value.chars().count() >= LITERAL_CHARS_MIN && !refers && !stands_in && !says_nothing
}

/// Shorter numbers are lengths and times, not passwords.
const LITERAL_CHARS_MAX_OF_NUMBER: usize = 5;

/// Prefixes of tokens that tell what they are, how many letters and digits follow at least, and what to call them.
const TOKENS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "a temporary AWS access key"),
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghu_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("ghr_", 36, "a GitHub token"),
    ("github_pat_", 22, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("xoxb-", 10, "a Slack token"),
    ("xoxp-", 10, "a Slack token"),
    ("xoxa-", 10, "a Slack token"),
    ("npm_", 36, "an npm token"),
];

/// What a text holds that is a secret by its mere looks.
fn known_shape(text: &str) -> Option<&'static str> {
    let token = TOKENS.iter().find(|(prefix, length, _)| {
        text.match_indices(prefix).any(|(start, _)| {
            let fresh = !text[..start].ends_with(|before: char| before.is_ascii_alphanumeric());
            let tail = text[start + prefix.len()..]
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-');
            fresh && tail.count() >= *length
        })
    });
    if let Some((_, _, kind)) = token {
        return Some(kind);
    }
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    if text.contains("https://hooks.slack.com/services/T") {
        return Some("the address of a Slack webhook, which is its only protection");
    }
    has_password_in_url(text).then_some("an address with a password in it")
}

/// `https://user:password@host`, where the password is no reference.
fn has_password_in_url(text: &str) -> bool {
    text.match_indices("://").any(|(start, separator)| {
        let rest = &text[start + separator.len()..];
        let authority = rest.split(['/', '?', '#', '"', '\'', ' ']).next().unwrap_or_default();
        let userinfo = authority.rsplit_once('@').map(|(userinfo, _)| userinfo);
        let password = userinfo.and_then(|userinfo| userinfo.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| !password.contains(['$', '{', '%', '<']) && is_literal(password))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for secret in [
            "DB_PASSWORD",
            "DBPassword",
            "API_KEY",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "SECRET_KEY",
            "clientSecret",
            "PRIVATE_KEY",
            "SIGNING_KEY",
            "TOKEN",
            "SIGNING_KEY_PEM",
        ] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for other in [
            "SECRET_ARN",
            "TOKEN_URL",
            "AWS_ACCESS_KEY_ID",
            "PASSWORD_LENGTH",
            "TokenTTL",
            "KEY",
            "TABLE_KEY",
            "SECRETS_BUCKET",
            "CACHE_TOKENIZER",
            "SecretName",
            "TOKEN_KEY",
            "API_KEY_NAME",
            "API_VALUE",
            "MAIN_KEY_VALUE",
            "KEY_SECRET_ID",
            "",
        ] {
            assert!(!is_secret_name(other), "{other}");
        }
    }

    #[test]
    fn values_that_lead_to_a_secret_are_none() {
        for leads in [
            "#{variables.X}",
            "/prod/db/password",
            "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            "****",
            "<token>",
            "{{resolve:ssm-secure:x}}",
            "$TOKEN",
            "true",
            "3600",
            "placeholder-token",
            "",
            "  #{variables.X}  ",
            "prefix-${TOKEN}",
            "ssm:/prod/token",
            "SecretsManager:prod",
            "vault:prod",
            "http://host/token",
            "https://host/token",
            "[token]",
            "xxxx",
            "XXXX",
            "*x*X",
            "None",
            "null",
            "FALSE",
            "99999",
            "abc",
            "äöü",
        ] {
            assert!(!is_literal(leads), "{leads}");
        }
        for literal in [
            "hunter2",
            "12345678",
            "123456",
            "abcd",
            "<abcd",
            "abcd>",
            "[abcd",
            "abcd]",
            "<abcd]",
            "xxxxy",
            "truer",
            "1234a",
            "an arn: x",
        ] {
            assert!(is_literal(literal), "{literal}");
        }
    }

    #[test]
    fn known_shapes_are_recognised_at_the_start_of_a_word_only() {
        let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        assert_eq!(known_shape(&format!("x={key}")), Some("an AWS access key"));
        assert_eq!(known_shape(&format!("XX{key}")), None);
        assert_eq!(known_shape("AKIASHORT"), None);
        let token = ["ghp", "_", &"a1".repeat(18)].concat();
        assert_eq!(known_shape(&token), Some("a GitHub token"));
        assert_eq!(
            known_shape("git clone https://me:s3cretpw@host/x.git"),
            Some("an address with a password in it")
        );
        assert_eq!(known_shape("git clone https://me:${PASSWORD}@host/x.git"), None);
        assert_eq!(known_shape("https://host:8080/path@2"), None);
        assert_eq!(known_shape("git@github.com:acme/shop.git"), None);
    }

    #[test]
    fn every_token_is_known_from_its_least_length_on() {
        for (prefix, length, kind) in TOKENS {
            let of = |length: usize| [*prefix, &"aZ9_-".repeat(8)[..length]].concat();
            assert_eq!(known_shape(&format!("x={}.", of(*length))), Some(*kind), "{prefix}");
            assert_eq!(known_shape(&format!("x={}.", of(*length - 1))), None, "{prefix}");
            assert_eq!(known_shape(&format!("x{}", of(*length))), None, "{prefix} within a word");
        }
    }

    #[test]
    fn keys_hooks_and_addresses_are_known_as_a_whole() {
        let (begin, end) = (["-----", "BEGIN "].concat(), ["PRIVATE", " KEY-----"].concat());
        assert_eq!(known_shape(&format!("{begin}EC {end}")), Some("a private key"));
        assert_eq!(known_shape(&format!("{begin}CERTIFICATE-----")), None);
        assert_eq!(known_shape(&format!("the line with {end}")), None);
        let hook = ["https://hooks.slack.com/services", "/T0/B0/x"].concat();
        let is_hook = Some("the address of a Slack webhook, which is its only protection");
        assert_eq!(known_shape(&hook), is_hook);
        assert_eq!(known_shape("https://hooks.slack.com/services/"), None);
        for (address, is_told) in [
            ("https://me:s3cretpw@host/x", true),
            ("see https://host/x or ftp://me:s3cretpw@host", true),
            ("https://me:s3cr@tpw@host", true),
            ("https://me:pw@host", false),
            ("https://me:%PASSWORD%@host", false),
            ("https://me:<password>@host", false),
            ("https://me:$PASSWORD@host", false),
            ("https://s3cretpw@host:8080", false),
            ("https://host/me:s3cretpw@x", false),
            ("https://host?me:s3cretpw@x", false),
            ("me:s3cretpw@host", false),
        ] {
            assert_eq!(known_shape(address).is_some(), is_told, "{address}");
        }
    }

    #[test]
    fn members_of_json_settings_are_read_in_both_spellings() {
        let of = |json: &str| {
            members(json).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(of(r#"{"a": "1", "b": 2, "c": {"d": "3"}}"#), ["a=1"]);
        assert_eq!(
            of(r#"[{"name": "a", "value": "1"}, {"name": "b", "value": "2", "type": "PLAINTEXT"},
                {"name": "c", "value": "3", "type": "SECRETS_MANAGER"}, {"name": "d"}, {"value": "5"}, "x"]"#),
            ["a=1", "b=2"]
        );
        for nothing in ["\"a\"", "7", "null", "true", "a=1", ""] {
            assert!(members(nothing).is_empty(), "{nothing}");
        }
    }
}
